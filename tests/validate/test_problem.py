"""Problems: which starts are chosen, and what the truth is there, against the recorded samples."""

import numpy as np
import pytest

from tests.oscillator import SPECS, episode, write_log
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples
from worldmodel.validate import problem as module
from worldmodel.validate.problem import make_problem

DT, CONTEXT, HORIZON = 0.1, 6, 5
SEEN = tuple(s for s in SPECS if s.kind != "video")
OUTAGE_S = (1.1, 2.7)  # longer than a context


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Positions and fixes with noise, and beside them, as truth, without."""
    path = tmp_path_factory.mktemp("log") / "a.h5"
    rng = np.random.default_rng(0)
    with LogWriter(path, SEEN, truth=[s for s in SEEN if s.kind != "action"]) as writer:
        for seed in range(2):
            truth = {s.name: episode(seed)[s.name] for s in SEEN}
            streams = dict(truth)
            time, data = truth["position"]
            streams["position"] = Samples(time, data + 0.3 * rng.normal(size=data.shape))
            time, fixes = truth["gps"]
            noisy = fixes + rng.normal(size=fixes.shape) * (3e-5, 3e-5, 3)
            there = (time < OUTAGE_S[0]) | (time > OUTAGE_S[1])
            streams["gps"] = Samples(time[there], noisy[there])
            truth.pop("force")
            writer.append(streams, truth=truth)
    return Log(path, truth=True)


@pytest.fixture(scope="module")
def run(log):
    return untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)


@pytest.fixture(scope="module")
def problem(run, log):
    return make_problem(run, log, name="a", horizon_s=None)


def sample_at(stream, time):
    """The sample stamped at `time`, or None."""
    row = np.flatnonzero(np.abs(stream.time - time) < 1e-6)
    return stream.data[row[0]] if len(row) else None


def test_truth_is_free_of_noise_and_readings_are_as_recorded(problem, log):
    assert problem.has_truth
    for w, (e, t) in enumerate(problem.starts[::5]):
        for h in range(HORIZON):
            at = (t + 1 + h) * DT
            for found, source in (
                (problem.truth, log.episodes[e].truth),
                (problem.recorded, log.episodes[e].streams),
            ):
                np.testing.assert_allclose(found["position"][5 * w, h], sample_at(source["position"], at), rtol=1e-6)
    assert (problem.truth["position"] - problem.recorded["position"]).std() == pytest.approx(0.3, rel=0.3)


def last_fix(log, e, t):
    """The newest fix that a context shows, and None where it shows none."""
    stream = log.episodes[e].streams["gps"]
    seen = (stream.time <= t * DT + 1e-6) & (stream.time > (t - CONTEXT) * DT + 1e-6)
    return stream.data[seen][-1] if seen.any() else None


def test_true_positions_are_metres_from_the_noisy_fix_that_the_model_has(problem, log):
    checked = 0
    for w, (e, t) in enumerate(problem.starts):
        fix = last_fix(log, e, t)
        for h in range(HORIZON) if fix is not None else ():
            true = sample_at(log.episodes[e].truth["gps"], (t + 1 + h) * DT)
            assert problem.truth_mask["gps"][w, h].all() == (true is not None)
            if true is not None:
                expected = geodetic_to_enu(true[None], fix)[0]
                np.testing.assert_allclose(problem.truth["gps"][w, h], expected, atol=0.01)
                checked += 1
    assert checked > 40


def test_without_a_fix_in_the_context_no_position_is_scored(problem, log):
    """What is predicted is relative to that fix; without it, there is nothing to compare with the truth."""
    blind = [w for w, (e, t) in enumerate(problem.starts) if last_fix(log, e, t) is None]
    assert len(blind) > 5
    assert not problem.mask["gps"][blind].any()
    assert not problem.truth_mask["gps"][blind].any()


def test_without_truth_what_was_recorded_stands_for_it(run, log):
    plain = make_problem(run, Log(log.files[0]), name="a", horizon_s=None)
    assert not plain.has_truth
    for name in plain.recorded:
        np.testing.assert_array_equal(plain.truth[name], plain.recorded[name])
        np.testing.assert_array_equal(plain.truth_mask[name], plain.mask[name])


def test_starts_are_spread_over_all_episodes_when_there_are_too_many(run, log, monkeypatch):
    every = make_problem(run, log, name="a", horizon_s=None).starts
    monkeypatch.setattr(module, "MAX_STARTS", 10)
    few = make_problem(run, log, name="a", horizon_s=None).starts
    assert len(few) == 10
    assert {tuple(s) for s in few} <= {tuple(s) for s in every}
    assert few[0].tolist() == every[0].tolist()
    assert few[-1].tolist() == every[-1].tolist()
    assert set(few[:, 0]) == {0, 1}


def test_chosen_episodes_and_one_moment(run, log):
    assert make_problem(run, log, name="a", horizon_s=None, episodes=[1]).windows.episodes == [1]
    moment = make_problem(run, log, name="a", horizon_s=0.3, at_s=1.5)
    assert moment.starts.tolist() == [[0, 15], [1, 15]]
    assert (moment.kind, moment.horizon) == ("counterfactual", 3)


def test_a_horizon_that_is_none_and_a_log_that_does_not_fit_are_refused(run, log, tmp_path):
    with pytest.raises(WorldModelError, match="must be positive"):
        make_problem(run, log, name="a", horizon_s=0.0)
    with pytest.raises(WorldModelError, match="as long as the context plus the horizon"):
        make_problem(run, log, name="a", horizon_s=30.0)
    full = Log(write_log(tmp_path / "b.h5", 1))
    other = untrained_run(full, dt=DT, context=CONTEXT, horizon=HORIZON)
    with pytest.raises(WorldModelError, match="expects other streams"):
        make_problem(other, log, name="a", horizon_s=None)

"""Problems: which starts are chosen, and what the truth is there, against the recorded samples."""

import dataclasses

import numpy as np
import pytest

from tests.oscillator import SPECS, episode, write_log
from tests.validate.problems import problem_by_hand
from worldmodel.errors import WorldModelError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate.labels import nearest, seconds
from worldmodel.validate.problem import Problem, make_problem, problem_of

DT, CONTEXT, HORIZON = 0.1, 6, 5
SEEN = tuple(s for s in SPECS if s.kind != "video")
SLOW = StreamSpec("plant", "sensor", ("level",), ("m",), 1 / 60)
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


SPANS = {"dt": DT, "context_s": CONTEXT * DT, "horizon_s": HORIZON * DT}


@pytest.fixture(scope="module")
def problem(log):
    return make_problem(log, **SPANS)


def sample_at(stream, time):
    """The sample stamped at `time`, or None."""
    row = np.flatnonzero(np.abs(stream.time - time) < 1e-6)
    return stream.data[row[0]] if len(row) else None


def test_truth_is_free_of_noise_and_readings_are_as_recorded(problem, log):
    assert problem.truth.noise_free
    for w, (e, t) in enumerate(problem.starts[::5]):
        for h in range(HORIZON):
            at = (t + 1 + h) * DT
            for found, source in (
                (problem.truth.truth, log.episodes[e].truth),
                (problem.truth.recorded, log.episodes[e].streams),
            ):
                came = found["position"].values[5 * w, h]
                np.testing.assert_allclose(came, sample_at(source["position"], at), rtol=1e-6)
    true, noisy = (came["position"].values for came in (problem.truth.truth, problem.truth.recorded))
    assert (true - noisy).std() == pytest.approx(0.3, rel=0.3)


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
            assert problem.truth.truth["gps"].mask[w, h].all() == (true is not None)
            if true is not None:
                expected = geodetic_to_enu(true[None], fix)[0]
                np.testing.assert_allclose(problem.truth.truth["gps"].values[w, h], expected, atol=0.01)
                checked += 1
    assert checked > 40


def test_without_a_fix_in_the_context_no_position_is_scored(problem, log):
    """What is predicted is relative to that fix; without it, there is nothing to compare with the truth."""
    blind = [w for w, (e, t) in enumerate(problem.starts) if last_fix(log, e, t) is None]
    assert len(blind) > 5
    assert not problem.truth.recorded["gps"].mask[blind].any()
    assert not problem.truth.truth["gps"].mask[blind].any()


def test_without_truth_what_was_recorded_stands_for_it(log):
    plain = make_problem(Log(log.files[0]), **SPANS).truth
    assert not plain.noise_free
    for name, came in plain.recorded.items():
        np.testing.assert_array_equal(plain.truth[name].values, came.values)
        np.testing.assert_array_equal(plain.known(name), came.mask)


def test_figures_count_what_came_and_is_known(problem):
    """During the outage the truth is known and no fix came: no figure counts it."""
    assert problem.truth.truth["gps"].mask.sum() > problem.truth.recorded["gps"].mask.sum()
    np.testing.assert_array_equal(problem.truth.known("gps"), problem.truth.recorded["gps"].mask)


def test_starts_are_spread_over_all_episodes_when_there_are_too_many(log):
    every, few = (make_problem(log, max_starts=most, **SPANS).starts for most in (None, 10))
    assert len(every) == len(make_problem(log, **SPANS).truth.windows.starts())
    assert len(few) == 10
    assert {tuple(s) for s in few} <= {tuple(s) for s in every}
    assert few[0, 1] < every[0, 1] + len(every) / 10
    assert few[-1, 1] > every[-1, 1] - len(every) / 10
    assert set(few[:, 0]) == {0, 1}


def test_chosen_episodes_and_a_moment_of_each(log):
    assert make_problem(log, episodes=[1], **SPANS).truth.windows.episodes == [1]
    windows = make_problem(log, **SPANS).truth.windows
    moment = problem_of(windows, name="a", at_s=[1.5, 2.0], acted="slowly")
    assert moment.starts.tolist() == [[0, 15], [1, 20]]
    assert (moment.kind, moment.acted) == ("counterfactual", "slowly")


def test_spans_without_sense_are_refused(log):
    for spans in ({"horizon_s": 0.0}, {"dt": -1.0}, {"context_s": float("nan")}):
        with pytest.raises(WorldModelError, match="must be positive"):
            make_problem(log, **(SPANS | spans))
    with pytest.raises(WorldModelError, match="as long as the context plus the horizon"):
        make_problem(log, **(SPANS | {"horizon_s": 30.0}))


def test_it_needs_no_spans(log):
    problem = make_problem(log)
    assert problem.dt == pytest.approx(0.02)  # the commands come at 50 Hz
    assert (len(problem.past_times), problem.horizon) == (64, 64)


def test_what_a_predictor_gets_is_named_and_physical(problem, log):
    asked = problem.asked
    for w in range(0, len(asked.starts), 9):
        e, t = asked.starts[w]
        for c in range(CONTEXT):
            seen = sample_at(log.episodes[e].streams["position"], (t - CONTEXT + 1 + c) * DT)
            np.testing.assert_allclose(asked.past["position"][w, c], seen, rtol=1e-6)
        force = log.episodes[e].streams["force"]
        for k in range(CONTEXT - 1 + HORIZON):
            first = round((t - CONTEXT + 1 + k) * DT / 0.02)
            mean = force.data[first : first + 5].mean()
            assert asked.actions["force"][w, k, 0] == pytest.approx(mean, rel=1e-4, abs=1e-6)
    assert asked.actions["force"].shape[1] == CONTEXT - 1 + HORIZON
    phase = asked.past["phase"][asked.past_mask["phase"]]
    assert np.abs(phase).max() > 2
    assert not asked.past["gps"][~asked.past_mask["gps"]].any()
    np.testing.assert_allclose(asked.past_times, [-0.5, -0.4, -0.3, -0.2, -0.1, 0])
    np.testing.assert_allclose(asked.times, [0.1, 0.2, 0.3, 0.4, 0.5])


def everything(value, seen=None):
    """Every array that can be reached from an object by attributes, items and properties."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, so that no other gets its number
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from everything(part, seen)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from everything(part, seen)
    elif isinstance(value, Problem):
        for name in sorted({*vars(value), *dir(type(value))}):
            if not name.startswith("__") and name not in ("truth", "asked") and not callable(getattr(value, name)):
                yield from everything(getattr(value, name), seen)


def test_a_predictor_cannot_see_what_came(tmp_path):
    """Two recordings are alike up to a moment, and in their commands; then what a predictor gets is equal."""
    now = 2.0

    def apart(streams, sign):
        for name, (time, data) in streams.items():
            if name not in ("force", "gps"):
                later = (time > now + 1e-9).reshape(-1, *(1,) * (data.ndim - 1))
                other = data // (3 + sign) if name == "camera" else data + sign
                streams[name] = Samples(time, np.where(later, other, data).astype(data.dtype))
            elif name == "gps":
                streams[name] = Samples(time, np.where(time[:, None] > now + 1e-9, data + 1e-4 * sign, data))
        return streams

    given = []
    for sign in (1, -1):
        log = Log(write_log(tmp_path / f"{sign}.h5", 2, edit=lambda streams, sign=sign: apart(streams, sign)))
        whole = make_problem(log, **SPANS)
        given.append(problem_of(whole.truth.windows, name="a", at_s=[now, now]))
    one, two = (list(everything(problem.asked)) for problem in given)
    assert len(one) == len(two) > 15
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(given[0].asked.context.frames) == 1
    for name in ("position", "gps", "phase"):
        apart_by = given[0].truth.recorded[name].values - given[1].truth.recorded[name].values
        assert (apart_by[given[0].truth.known(name)] != 0).all()


def test_some_streams_alone_are_seen_as_they_are_among_all(log):
    whole = make_problem(log, **SPANS)
    names = [spec.name for spec in whole.layout.streams if spec.name not in ("velocity", "gps")]
    part = whole.only(names)
    assert set(part.streams) == set(names) < set(whole.streams)
    assert part.answers is None
    for name in part.past:
        np.testing.assert_array_equal(part.past[name], whole.past[name])
        np.testing.assert_array_equal(part.past_mask[name], whole.past_mask[name])
    for name in part.actions:
        np.testing.assert_array_equal(part.actions[name], whole.actions[name])
        np.testing.assert_array_equal(part.actions_mask[name], whole.actions_mask[name])
    ages = [whole.layout.readings.index(spec) for spec in part.layout.readings]
    np.testing.assert_array_equal(part.context.age_s, whole.context.age_s[..., ages])
    np.testing.assert_array_equal(part.starts, whole.starts)
    assert not whole.only([s.name for s in whole.readings]).actions


def test_the_answers_are_not_to_be_had(problem):
    with pytest.raises(WorldModelError, match="without its answers"):
        _ = problem.asked.truth
    assert "without answers" in repr(problem.asked)
    assert "gps: gps of east, north, up" in repr(problem)


def test_of_slow_logs_more_than_the_last_horizon_is_tabulated(tmp_path):
    with LogWriter(tmp_path / "a.h5", [SLOW]) as writer:
        writer.append({"plant": Samples(60.0 * np.arange(200), np.zeros((200, 1)))})
    asked = make_problem(Log(tmp_path / "a.h5"), dt=60.0, context_s=600.0, horizon_s=3840.0)
    assert list(asked.horizons) == [60, 120, 300, 600, 1800, 3600]
    assert [seconds(s) for s in (0.25, 3600.0, 301_440.0)] == ["0.25 s", "3600 s", "301,440 s"]
    assert nearest(list(asked.horizons), 1.0) == 3  # of those that are all farther than a second, a middle one


@pytest.mark.parametrize(
    ("dt", "horizons"),
    [(1 / 49.99, [0.02, 0.1, 0.5, 1.0]), (0.008, [0.25, 0.5, 1.0]), (0.05, [0.05, 0.1, 0.25, 0.5, 1.0])],
)
def test_a_tick_that_divides_no_second_has_horizons_all_the_same(dt, horizons):
    """As of a log whose rate was measured to be 49.99 Hz, or of 125 Hz."""
    asked = problem_by_hand(StreamSpec("x", "sensor", ("x",), ("",), 1 / dt), np.zeros((1, round(1.28 / dt), 1)))
    asked = dataclasses.replace(asked, layout=dataclasses.replace(asked.layout, dt=dt))
    assert list(asked.horizons) == horizons
    assert [(tick + 1) * dt for tick in asked.horizons.values()] == pytest.approx(horizons, rel=0.01)

"""A scene is measured as a run is: beside what it has to beat, and by what nothing was learned from."""

import json
import shutil

import numpy as np
import pytest

from tests.command_line import done, run
from tests.simulate.identification import machines
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.models.experts.physics import Physics
from worldmodel.physics import KnownScene
from worldmodel.simulate import simulate
from worldmodel.training.beside import baselines_from
from worldmodel.validate import Model, make_problem, score, validate
from worldmodel.validate.leaks import action_use, estimate_leak, future_leak

FEW = {"horizon_s": 0.2, "max_starts": 12, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The true machine's scene in `true`, and a log of it."""
    folder = tmp_path_factory.mktemp("validated")
    true = machines.scene(folder / "true", machines.TRUE, "delay_s = 0.008")
    simulate(str(true), folder / "log3.h5", episodes=3, seconds=0.8, seed=3, progress=False)
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return validate(folder / "true", log=folder / "log3.h5", **FEW)


def test_the_right_scene_beats_holding_and_says_why_there_is_nothing_else(result):
    assert result.subject == "scene"
    assert set(result.overall) == {"scene", "hold", "floor_reading", "floor_estimate"}
    assert result.overall["scene"][-1] < 0.1 * result.overall["hold"][-1]
    np.testing.assert_allclose(result.overall["scene"], result.overall["floor_estimate"], rtol=0.3)
    assert result.provenance.seed is None
    said = " ".join(result.notes)
    assert "none was given" in said
    assert "not calibrated" in said


def test_its_members_are_as_wide_as_its_errors(result):
    assert 0.75 < result.coverage("angle", "scene", 0.2) <= 1.0
    assert 0.4 < result.figure("spread_skill", "angle", "scene", 0.1) < 2.5


def test_it_knows_nothing_of_what_comes_and_uses_what_is_commanded(folder):
    with Log(folder / "log3.h5", truth=True) as log:
        known = KnownScene.of(folder / "true").on(log)
        problem = make_problem(log, context_s=known.context * 0.01, horizon_s=0.1, max_starts=6)
        for probe in (future_leak, estimate_leak, action_use):
            assert probe(Model(known), problem), probe
        assert score(problem, [known]).subject == "scene"


def test_episodes_that_it_was_fitted_to_are_left_out(folder, tmp_path):
    kept = shutil.copytree(folder / "true", tmp_path / "fitted")
    with Log(folder / "log3.h5") as log:
        names, sha256 = list(log.episode_names), list(log.file_sha256)
    told = {"parameters": [], "covariance": [], "measured": names[2:], "logs_sha256": sha256}
    (kept / "identified.json").write_text(json.dumps({**told, "fitted": names[:2]}))
    found = validate(kept, log=folder / "log3.h5", **FEW)
    assert found.setting.episodes == 1
    assert "2 of 3 episodes are left out" in found.shared_roles
    (kept / "identified.json").write_text(json.dumps({**told, "fitted": names}))
    with pytest.raises(WorldModelError, match="fitted to every episode"):
        validate(kept, log=folder / "log3.h5", **FEW)


def test_baselines_learn_nothing_from_what_is_measured(folder, tmp_path, monkeypatch):
    kept = shutil.copytree(folder / "true", tmp_path / "fitted")
    with Log(folder / "log3.h5") as log:
        known, sha256 = KnownScene.of(kept).on(log), log.episode_sha256
        asked, windows = [], KnownScene.windows
        monkeypatch.setattr(
            KnownScene, "windows", lambda *most, **given: asked.append(given) or windows(*most, **given)
        )
        baselines_from(known, log, sha256[1:2])
        assert asked == [{"episodes": [0, 2]}]
    with pytest.raises(WorldModelError, match="learn from what is measured"):
        validate(kept, log=folder / "log3.h5", learn=[folder / "log3.h5"], **FEW)


def test_a_scene_that_falls_apart_is_said(folder, tmp_path):
    wild = machines.scene(tmp_path / "wild", machines.TRUE.replace("damping", 'stiffness="-1e4" damping'))
    with pytest.raises(WorldModelError, match="became unstable"):
        KnownScene.of(wild).imagine(folder / "log3.h5", episode=0, at_s=0.5)


def test_simulations_that_become_unstable_are_counted_and_hold(folder, monkeypatch):
    simulated = Physics.simulate

    def spoilt(self, *asked, **more):
        found = simulated(self, *asked, **more)
        found.ahead[:2] = np.nan
        return found

    monkeypatch.setattr(Physics, "simulate", spoilt)
    with Log(folder / "log3.h5", truth=True) as log:
        known = KnownScene.of(folder / "true").on(log)
        problem = make_problem(log, context_s=known.context * 0.01, horizon_s=0.05, max_starts=6)
        forecast = Model(known).predict(problem.asked)
    assert "2 of 6 simulations became unstable" in forecast.note
    held = problem.past["angle"][:2, -1]
    np.testing.assert_allclose(forecast.mean["angle"][:2], np.repeat(held[:, None], 5, 1), atol=1e-5)


def test_the_command_writes_a_report_beside_what_learned_from_a_log_and_refuses_what_does_not_fit(folder, tmp_path):
    short = simulate(str(folder / "true"), tmp_path / "short.h5", episodes=2, seconds=0.2, progress=False)
    words = ("--horizon", 0.05, "--learn", folder / "log3.h5", "--out", tmp_path / "report")
    done("validate", folder / "true", "--log", short, *words)
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert {"scene", "mean", "hold", "velocity", "linear"} < set(metrics["overall"])
    assert "none was given" not in " ".join(metrics["notes"])
    assert "scene (MuJoCo)" in (tmp_path / "report" / "report.html").read_text()
    ran = run("validate", "cartpole", "--log", short, "--out", tmp_path / "other")
    assert (ran.code, "does not fit the scene" in ran.err) == (2, True)
    assert not (tmp_path / "other").exists()

"""The floor: MuJoCo from the last readings is right where readings are, and as wrong as they are where they are not."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.content import content_dir
from worldmodel.logs.reader import Log
from worldmodel.simulate import simulate
from worldmodel.validate.floor import floor_predictions
from worldmodel.validate.metrics import residual
from worldmodel.validate.problem import make_problem

HORIZON_S = 0.6


def quiet_scene(name, folder):
    """A copy of a shipped scene whose sensors are free of noise, without its camera."""
    shutil.copytree(content_dir("sim") / name, folder)
    text = (folder / "scene.toml").read_text()
    text = re.sub(r"noise_std = [^#\n]*", "noise_std = 0.0", text)
    (folder / "scene.toml").write_text(re.sub(r"\[streams\.camera\][^\[]*\[64, 64\][^\[]*", "", text))
    return folder


def floor_errors(scene, path, dt, seconds=4.0):
    """By stream, the floor's errors [W, H, S] where truth is known, and the problem."""
    simulate(scene, path, episodes=4, seconds=seconds, seed=3, progress=False)
    log = Log(path, truth=True)
    run = untrained_run(log, dt=dt, context=round(1.0 / dt), horizon=round(HORIZON_S / dt))
    problem = make_problem(run, log, name="", horizon_s=HORIZON_S)
    predicted, note = floor_predictions(problem)
    assert "MuJoCo started from the last reading" in note
    circular = {s.name: s.circular if s.kind == "sensor" else (False,) * 3 for s in problem.readings}
    return {
        n: np.where(problem.truth_mask[n], residual(predicted[n], problem.truth[n], circular[n]), np.nan)
        for n in predicted
    }, problem


def test_without_noise_the_floor_is_exact(tmp_path):
    errors, problem = floor_errors(str(quiet_scene("cartpole", tmp_path / "quiet")), tmp_path / "a.h5", 0.02)
    assert errors.keys() == {"cart", "pole"}
    assert problem.has_truth
    for name, error in errors.items():
        assert np.nanmax(np.abs(error)) < 1e-3, name
        assert problem.truth[name].std() > 0.1
        assert np.isfinite(error).mean() > 0.99


def test_with_noise_the_floor_is_as_wrong_as_the_last_reading_and_then_more(tmp_path):
    errors, problem = floor_errors("cartpole", tmp_path / "a.h5", 0.02)
    for spec in problem.readings:
        rmse = np.sqrt(np.nanmean(errors[spec.name] ** 2, 0))
        np.testing.assert_allclose(rmse[0], spec.noise_std, rtol=0.25)
    assert (np.nanmean(errors["pole"][:, -1] ** 2, 0) > np.nanmean(errors["pole"][:, 0] ** 2, 0)).all()


def test_without_noise_the_floor_knows_where_the_rover_goes(tmp_path):
    """GPS fixes are older than the moment, by up to an outage: the way since the fix is physics too."""
    errors, problem = floor_errors(str(quiet_scene("rover", tmp_path / "quiet")), tmp_path / "a.h5", 0.05, seconds=6.0)
    speed = np.abs(np.diff(problem.truth["gps"], axis=1)).max() / 0.05
    assert speed > 0.5
    assert np.nanmax(np.abs(errors["gps"])) < 0.05


def test_a_log_without_a_twin_has_no_floor(tmp_path):
    predicted, note = floor_predictions(SimpleNamespace(log=Log(write_log(tmp_path / "a.h5", 1))))
    assert predicted is None
    assert "no physical floor" in note


@pytest.mark.parametrize(("scene", "why"), [("nowhere", "no scene"), ("cartpole", "no stream 'gps'")])
def test_a_twin_that_does_not_fit_is_named_and_stops_nothing(tmp_path, scene, why):
    log = Log(write_log(tmp_path / "a.h5", 2))
    problem = make_problem(untrained_run(log, dt=0.02, context=10, horizon=10), log, name="", horizon_s=0.2)
    log.about["scene"] = scene
    predicted, note = floor_predictions(problem)
    assert predicted is None
    assert "no physical floor" in note
    assert why in note

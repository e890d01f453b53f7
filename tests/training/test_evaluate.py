"""Error on the select episodes: what it is made of, and that a model that goes astray is not the best."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.oscillator import SPECS, write_log
from tests.untrained import untrained_run
from worldmodel.logs.reader import Log
from worldmodel.models.objective import horizon_weights
from worldmodel.training import evaluate
from worldmodel.training.evaluate import Selection

DT, CONTEXT, HORIZON = 0.02, 10, 12


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    log = Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 2))
    run = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)
    return Selection(run.windows(log), 0), run


def predicting(held, monkeypatch, mean, frame_error=0.01):
    """The evaluation of a model that predicts `mean` and whose frames have that squared error."""
    held, run = held
    frames = np.full(len(held.future.values), frame_error, np.float32)
    monkeypatch.setattr(held, "_predict", lambda *_: (mean, [frames]))
    return held.measure(run.model)


def test_a_frame_is_scored_wherever_a_horizon_holds_one(held):
    """At a tick of 20 ms, a camera of 10 Hz has a frame in every fifth."""
    future = held[0].future
    assert future.frames_mask[0].all()
    assert set(np.unique(future.frame_ticks)) == set(range(HORIZON // 2, HORIZON // 2 + 5))


def test_frames_without_a_picture_do_not_count(held, monkeypatch):
    found, run = held
    frames = np.linspace(0.01, 0.5, len(found.future.values))
    there = np.zeros((len(frames), 1), bool)
    there[3:5] = True
    monkeypatch.setattr(found, "future", found.future._replace(frames_mask=(there,)))
    monkeypatch.setattr(found, "_predict", lambda *_: (found.future.values, [frames]))
    named = found.measure(run.model).named
    assert named["select/psnr_db/camera"] == pytest.approx(-10 * np.log10(frames[3:5].mean()))


def test_errors_are_in_physical_units(held, monkeypatch):
    off = held[0].future.values.copy()
    layout = held[0].layout
    off[..., layout.columns["position"]] += 0.25
    result = predicting(held, monkeypatch, off)
    assert result.named["select/rmse/position/0"] == pytest.approx(0.25, rel=1e-4)
    assert result.named["select/rmse/velocity/0"] == 0
    std = float(np.asarray(held[1].model.scaling.std[...])[layout.columns["position"]][0])
    assert result.named["select/nrmse/position"] == pytest.approx(0.25 / std, rel=1e-4)


def test_a_horizon_of_which_nothing_is_known_has_a_weight_of_neither_kind(held, monkeypatch):
    """Not the largest, as an error of nothing would have."""
    found, run = held
    mask = found.future.mask.copy()
    mask[:, 3:6] = False
    monkeypatch.setattr(found, "future", found.future._replace(mask=mask))
    result = predicting((found, run), monkeypatch, found.future.values + np.float32(0.3))
    assert np.isnan(result.errors[3:6]).all()
    assert np.isfinite(np.delete(result.errors, slice(3, 6))).all()
    weights = np.asarray(horizon_weights(jnp.asarray(result.errors)))
    np.testing.assert_array_equal(weights[3:6], 1)
    assert np.delete(weights, slice(3, 6)).mean() == pytest.approx(1, rel=1e-5)
    assert np.isfinite(result.score)


def test_frames_count_in_the_score_and_weigh_no_horizon_of_readings(held, monkeypatch):
    found = held[0]
    astray = found.future.values + np.float32(0.1)
    good, bad = (predicting(held, monkeypatch, astray, error) for error in (0.001, 0.2))
    np.testing.assert_array_equal(good.errors, bad.errors)
    assert bad.score > good.score


def test_a_mean_frame_has_an_error_of_one(held, monkeypatch):
    """At the horizons of its own: those where nothing is shown have none."""
    found, _ = held
    real = found.future.frames[0][found.future.frames_mask[0][:, 0], 0] / 255
    plain = ((real - real.mean(0)) ** 2).mean()
    result = predicting(held, monkeypatch, found.future.values, float(plain))
    streams = len(found.layout.readings) + len(found.layout.videos)
    assert result.score == pytest.approx(1 / streams, rel=1e-3)
    ((relative, _),) = found._videos([np.full(len(found.future.values), plain)])
    shown = np.unique(found.future.frame_ticks)
    np.testing.assert_allclose(relative[shown], 1, rtol=1e-5)
    assert np.isnan(np.delete(relative, shown)).all()


def test_where_nothing_at_all_is_known_no_model_is_good(held, monkeypatch):
    found, run = held
    nothing = found.future._replace(
        mask=np.zeros_like(found.future.mask), frames_mask=(np.zeros_like(found.future.frames_mask[0]),)
    )
    monkeypatch.setattr(found, "future", nothing)
    result = predicting((found, run), monkeypatch, nothing.values)
    assert result.score == np.inf
    np.testing.assert_array_equal(horizon_weights(jnp.asarray(result.errors)), 1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_prediction_that_is_no_number_is_the_worst_and_not_the_best(held, monkeypatch, wrong):
    good = predicting(held, monkeypatch, held[0].future.values + 0.1)
    astray = held[0].future.values + np.float32(0.1)
    astray[0, 5:] = wrong
    bad = predicting(held, monkeypatch, astray)
    assert np.isfinite(good.score)
    assert bad.score == np.inf
    assert (bad.errors[5:] > 100 * good.errors[5:]).all()
    np.testing.assert_allclose(bad.errors[:5], good.errors[:5])
    assert np.isfinite(bad.errors).all()


def test_the_model_itself_is_measured(held):
    """Against a plain loop over windows and members."""
    found, run = held
    result = found.measure(run.model)
    belief = run.model.observe(found.context)
    latents = run.model.imagine(belief, found.future.actions, evaluate._MEMBERS, found.key)
    mean = run.model.denormalise(run.model.decode(latents).mean(1), belief.angle)
    column = found.layout.columns["position"]
    error = np.asarray(jnp.where(found.future.mask, mean - found.future.values, 0))[..., column]
    there = found.future.mask[..., column]
    rmse = np.sqrt((error**2).sum(0) / there.sum(0))
    assert result.named["select/rmse/position/0"] == pytest.approx(float(np.sqrt((rmse**2).mean())), rel=1e-4)
    assert {s.name for s in SPECS} >= {key.split("/")[2] for key in result.named if key.count("/") > 1}

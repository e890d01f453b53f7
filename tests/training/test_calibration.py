"""The spread that held-out episodes ask for: what it is of members whose spread is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.imagine.calibration import LEVEL, central_interval, conformal_level
from worldmodel.logs.reader import Log
from worldmodel.training import calibration
from worldmodel.training.calibration import measure_spread


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    log = Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 2))
    run = untrained_run(log, dt=0.02, context=10, horizon=16)
    cut = run.windows(log)
    starts = np.repeat(cut.starts(), 8, 0)
    return run.model, *cut.cut(starts, 16, np.zeros((len(starts), 0), int))


def drawn(shape, spread, rng):
    """Members [B, 32, ...] whose deviation is `spread` times that of the truth [B, ...] about their centre."""
    return spread * rng.normal(size=(shape[0], 32, *shape[1:])), rng.normal(size=shape)


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_members_are_widened_and_narrowed_to_hold_what_they_say(windows, monkeypatch, spread):
    model, context, future = windows
    rng = np.random.default_rng(0)
    members, truth = drawn(future.values.shape, spread, rng)
    monkeypatch.setattr(calibration.nnx, "jit", lambda _: lambda *_: (members, truth))
    factors = measure_spread(model, context, future, None)
    assert factors.shape == future.values.shape[1:]
    assert factors.mean() == pytest.approx(1 / spread, rel=0.1)
    model.spread = calibration.nnx.Variable(jnp.asarray(factors))
    fresh, came = drawn((len(truth), *truth.shape[1:]), spread, rng)
    low, high = central_interval(np.asarray(model.calibrate(jnp.asarray(fresh))), LEVEL)
    assert ((low <= came) & (came <= high)).mean() == pytest.approx(LEVEL, abs=0.02)


def test_a_horizon_that_is_too_narrow_is_widened_there_alone(windows, monkeypatch):
    model, context, future = windows
    rng = np.random.default_rng(0)
    members, truth = drawn(future.values.shape, 1.0, rng)
    members[:, :, 8:] *= 0.25
    monkeypatch.setattr(calibration.nnx, "jit", lambda _: lambda *_: (members, truth))
    factors = measure_spread(model, context, future, None)
    assert factors[:3].mean() == pytest.approx(1, rel=0.1)
    assert factors[-1].mean() == pytest.approx(4, rel=0.15)


def test_what_is_masked_has_no_say(windows, monkeypatch):
    model, context, future = windows
    rng = np.random.default_rng(0)
    members, truth = drawn(future.values.shape, 1.0, rng)
    mask = rng.uniform(size=truth.shape) < 0.5
    truth[~mask] = 1e6
    monkeypatch.setattr(calibration.nnx, "jit", lambda _: lambda *_: (members, truth))
    factors = measure_spread(model, context, future._replace(mask=mask), None)
    assert factors.mean() == pytest.approx(1, rel=0.1)


def test_mean_of_members_stays(windows):
    model, _, _ = windows
    members = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 4, model.layout.size)))
    model.spread = calibration.nnx.Variable(jnp.full((2, model.layout.size), 3.0))
    spread = model.calibrate(members)
    np.testing.assert_allclose(spread.mean(1), members.mean(1), atol=1e-5)
    np.testing.assert_allclose(spread.std(1), 3 * members.std(1), rtol=1e-4)


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (8, 8), (9, 9), (19, 18), (99, 90), (128, 117)])
def test_the_quantile_of_scores_holds_the_next_one(count, rank):
    """The smallest rank of `count` scores that one more falls under with a chance of 90 %: rank / (count + 1)."""
    assert conformal_level(count) * count == pytest.approx(rank)
    assert rank / (count + 1) >= LEVEL or rank == count
    assert (rank - 1) / (count + 1) < LEVEL


def test_few_windows_are_widened_more(windows, monkeypatch):
    model, context, future = windows
    members, truth = drawn(future.values.shape, 1.0, np.random.default_rng(0))
    few = future._replace(mask=np.where(np.arange(len(truth))[:, None, None] < 5, future.mask, False))
    monkeypatch.setattr(calibration.nnx, "jit", lambda _: lambda *_: (members, truth))
    assert measure_spread(model, context, few, None).mean() > 1.2

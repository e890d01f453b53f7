"""Baselines on data whose continuation is known, and against plain loops."""

import numpy as np
import pytest

from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context, Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines import Baselines
from worldmodel.training.data import measure_scaling
from worldmodel.types import Samples, StreamSpec

B, C, H, Y, A = 6, 20, 15, 3, 2
NEWEST = np.array([1, 2, 4])  # columns 0 and 3 are earlier slots, which baselines do not read
MEAN, STD = np.array([5.0, -2.0, 100.0], np.float32), np.array([2.0, 0.1, 30.0], np.float32)


def baselines(**changes):
    parts = {
        "newest": NEWEST,
        "mean": MEAN,
        "std": STD,
        "action_mean": np.array([0.3, -1.0]),
        "action_std": np.array([2.0, 0.5]),
        "spans": np.full(Y, 8),
        "weights": np.zeros((0, Y)),
        "lags": 0,
    }
    return Baselines(**{**parts, **changes})


def context_of(readings, mask, seed=0):
    """A context whose readings at the tick [B, C, Y] these are; masked ones are 0, as alignment leaves them."""
    rng = np.random.default_rng(seed)
    values, known = rng.normal(size=(B, C, 5)), np.ones((B, C, 5), bool)
    values[..., NEWEST], known[..., NEWEST] = np.where(mask, readings, 0), mask
    actions = rng.normal(size=(B, C - 1, A))
    return Context(values.astype(np.float32), known, np.zeros((B, C, 2)), actions.astype(np.float32), (), ())


def gappy(seed=1):
    return np.random.default_rng(seed).uniform(size=(B, C, Y)) < 0.4


def test_hold_is_the_last_valid_reading():
    readings, mask = MEAN + STD * np.random.default_rng(0).normal(size=(B, C, Y)), gappy()
    mask[0, :, 1] = False
    mask[1, 1:, 0], mask[1, 0, 0] = False, True
    ahead = baselines().predict("hold", context_of(readings, mask), np.zeros((B, H, A)))
    assert ahead.shape == (B, H, Y)
    for b in range(B):
        for y in range(Y):
            valid = [readings[b, t, y] for t in range(C) if mask[b, t, y]]
            expected = valid[-1] if valid else MEAN[y]  # nothing is known but what readings are on average
            np.testing.assert_allclose(ahead[b, :, y], expected, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_velocity_is_exact_on_straight_lines_and_through_masks(masked):
    rng = np.random.default_rng(0)
    level, slope = MEAN + STD * rng.normal(size=(B, 1, Y)), 0.1 * STD * rng.normal(size=(B, 1, Y))
    mask = gappy() if masked else np.ones((B, C, Y), bool)
    mask[:, -8], mask[:, -5], mask[:, -2:] = True, True, not masked  # two readings at least, and none at the end
    ahead = baselines().predict(
        "velocity", context_of(level + slope * np.arange(1 - C, 1)[:, None], mask), np.zeros((B, H, A))
    )
    np.testing.assert_allclose((ahead - level - slope * np.arange(1, H + 1)[:, None]) / STD, 0, atol=2e-5)


def test_velocity_is_the_least_squares_line_over_its_span():
    readings, mask = MEAN + STD * np.random.default_rng(0).normal(size=(B, C, Y)), gappy()
    spans = np.array([4, 8, 20])
    ahead = baselines(spans=spans).predict("velocity", context_of(readings, mask), np.zeros((B, H, A)))
    ticks, lines = np.arange(1 - C, 1), 0
    for b in range(B):
        for y in range(Y):
            used = mask[b, :, y] & (ticks > -spans[y])
            if used.sum() > 1:
                expected = np.polyval(np.polyfit(ticks[used], readings[b, used, y], 1), np.arange(1, H + 1))
                np.testing.assert_allclose(ahead[b, :, y] / STD[y], expected / STD[y], atol=2e-4)
                lines += 1
    assert lines > 9


def test_velocity_holds_what_it_has_read_only_once():
    readings, mask = np.tile(MEAN + STD, (B, C, 1)), np.zeros((B, C, Y), bool)
    mask[:, 3] = True
    ahead = baselines().predict("velocity", context_of(readings, mask), np.zeros((B, H, A)))
    np.testing.assert_allclose(ahead, np.broadcast_to(MEAN + STD, ahead.shape), rtol=1e-5)


@pytest.mark.parametrize("lags", [1, 3])
def test_the_linear_rollout_equals_a_plain_loop(lags):
    rng = np.random.default_rng(2)
    readings, mask = MEAN + STD * rng.normal(size=(B, C, Y)), np.ones((B, C, Y), bool)
    fitted = baselines(weights=0.1 * rng.normal(size=(lags * (Y + A) + 1, Y)), lags=lags)
    context, actions = context_of(readings, mask), rng.normal(size=(B, H, A))
    ahead = fitted.predict("linear", context, actions)
    for b in range(B):
        x = {t - C + 1: (context.values[b, t, NEWEST] - MEAN) / STD for t in range(C)}  # by tick, 0 is now
        u = {t - C + 1: context.actions[b, t] for t in range(C - 1)} | {t: actions[b, t] for t in range(H)}
        for t in range(H):
            acted = [(u[k] - fitted.action_mean) / fitted.action_std for k in range(t - lags + 1, t + 1)]
            inputs = np.concatenate([*(x[k] for k in range(t - lags + 1, t + 1)), *acted, [1.0]])
            x[t + 1] = x[t] + inputs @ fitted.weights
        expected = np.stack([x[t + 1] for t in range(H)])
        np.testing.assert_allclose((ahead[b] - MEAN) / STD, expected, rtol=1e-4, atol=1e-5)


DT = 0.05
STEP, PUSH = np.array([[1.0, 0.05], [-0.2, 0.97]]), np.array([[0.0, 0.002], [0.05, 0.0]])
ACTION = StreamSpec("push", "action", ("left", "right"), ("N", "N"), 1 / DT)


def linear_log(path, columns, episodes=6, ticks=200, seed=0):
    """A log of x' = STEP x + PUSH u + (0, 0.01), without noise, of which some columns are read."""
    spec = StreamSpec("state", "sensor", tuple(f"x{c}" for c in columns), ("m",) * len(columns), 1 / DT)
    rng = np.random.default_rng(seed)
    with LogWriter(path, (spec, ACTION)) as writer:
        for _ in range(episodes):
            u, x = rng.normal(size=(ticks, 2)), np.zeros((ticks, 2))
            x[0] = rng.normal(size=2)
            for k in range(ticks - 1):
                x[k + 1] = STEP @ x[k] + PUSH @ u[k] + (0, 0.01)
            time = np.arange(ticks) * DT
            writer.append({"state": Samples(time, x[:, columns]), "push": Samples(time, u)})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), 24, 40)


@pytest.mark.parametrize("columns", [[0, 1], [0]], ids=["all of the state", "positions only"])
def test_the_linear_model_finds_a_linear_system_with_actions(tmp_path, columns):
    """With hidden velocities, two lags of positions and actions still say all."""
    windows = linear_log(tmp_path / "train.h5", columns)
    fitted = Baselines.fit(windows, measure_scaling(windows, 0), seed=0)
    fresh = linear_log(tmp_path / "fresh.h5", columns, episodes=1, seed=77)
    starts = fresh.starts()[::9]
    context, future = fresh.cut(starts, 40, np.zeros((len(starts), 0), int))
    ahead = fitted.predict("linear", context, future.actions)
    hold = fitted.predict("hold", context, future.actions)
    still = fitted.predict("linear", context, np.zeros_like(future.actions))
    assert np.abs((ahead - future.values) / fitted.std).max() < 0.01
    assert np.abs((hold - future.values) / fitted.std).max() > 1
    assert np.abs((still - future.values) / fitted.std).max() > 0.2


def test_spans_suit_the_data(tmp_path):
    """A long line where noise hides the slope, a short one where the slope changes fast."""
    spec = StreamSpec("both", "sensor", ("noisy", "turning"), ("m", "m"), 1 / DT)
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path / "a.h5", (spec,)) as writer:
        for _ in range(4):
            time = np.arange(300) * DT
            noisy = rng.normal() * time + rng.normal(size=300)
            writer.append({"both": Samples(time, np.stack([noisy, np.sin(4 * time + rng.uniform(0, 6))], -1))})
    log = Log(tmp_path / "a.h5")
    windows = Windows.of(log, TickLayout(DT, (spec,)), 32, 4)
    noisy, turning = Baselines.fit(windows, measure_scaling(windows, 0), seed=0).spans
    assert (noisy, turning) == (32, 2)


def test_what_is_saved_predicts_the_same(tmp_path):
    windows = linear_log(tmp_path / "train.h5", [0, 1], episodes=2)
    fitted = Baselines.fit(windows, measure_scaling(windows, 0), seed=0)
    fitted.save(tmp_path / "baselines.npz")
    context, future = windows.cut(windows.starts()[:5], 40, np.zeros((5, 0), int))
    for name in ("hold", "velocity", "linear"):
        one, two = (
            b.predict(name, context, future.actions) for b in (fitted, Baselines.load(tmp_path / "baselines.npz"))
        )
        np.testing.assert_array_equal(one, two)

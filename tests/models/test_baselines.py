"""Baselines on data whose continuation is known, and against plain loops and numpy's own least squares."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context, Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.apart import Apart, Shared
from worldmodel.models.baselines.direct import Asked, Direct, Questions, grid, halving
from worldmodel.models.baselines.fitted import _split
from worldmodel.models.baselines.inputs import Means, edges_of
from worldmodel.models.baselines.onestep import OneStep
from worldmodel.models.baselines.ridge import affordable, ridge
from worldmodel.models.baselines.simple import Velocity, hold_last
from worldmodel.models.baselines.view import Examples, Lens, in_phase, in_step, on_ticks
from worldmodel.training.data import measure_scaling
from worldmodel.types import Commands, Samples, StreamSpec

DT = 0.05
B, C, H, Y, A = 6, 20, 15, 3, 2
MEAN, STD = np.array([5.0, -2.0, 100.0]), np.array([2.0, 0.1, 30.0])
PUSH = StreamSpec("push", "action", ("left", "right"), ("N", "N"), 1 / DT)
SENSOR = StreamSpec("s", "sensor", ("a", "b", "c"), ("m", "m", "m"), 1 / DT)
LENS = Lens(TickLayout(DT, (SENSOR, PUSH)), MEAN, STD, np.array([0.3, -1.0]), np.array([2.0, 0.5]))


def commands(values, mask=None):
    mask = np.ones(values.shape, bool) if mask is None else mask
    return Commands(values, mask, np.zeros((*values.shape[:2], 1)))


def context_of(readings, mask, seed=0):
    """A context whose readings at the tick [B, C, Y] these are; masked ones are 0, as alignment leaves them."""
    actions = commands(np.random.default_rng(seed).normal(size=(B, C - 1, A)))
    return Context(np.where(mask, readings, 0), mask, np.zeros((B, C, 1)), actions, (), ())


def view_of(readings, mask, seed=0):
    actions = np.random.default_rng(seed + 100).normal(size=(B, H, A))
    return LENS.look(context_of(readings, mask, seed), commands(actions))


def gappy(seed=1):
    return np.random.default_rng(seed).uniform(size=(B, C, Y)) < 0.4


def noise(seed=0):
    return MEAN + STD * np.random.default_rng(seed).normal(size=(B, C, Y))


def test_hold_is_the_last_valid_reading():
    readings, mask = noise(), gappy()
    mask[0, :, 1] = False
    mask[1, 1:, 0], mask[1, 0, 0] = False, True
    ahead = LENS.units(hold_last(view_of(readings, mask)))
    assert ahead.shape == (B, H, Y)
    for b in range(B):
        for y in range(Y):
            valid = [readings[b, t, y] for t in range(C) if mask[b, t, y]]
            expected = valid[-1] if valid else MEAN[y]  # nothing is known but what readings are on average
            np.testing.assert_allclose(ahead[b, :, y], expected, rtol=1e-5)


def test_before_its_first_reading_a_column_is_held_at_the_mean_not_at_what_comes():
    readings, mask = noise(), np.ones((B, C, Y), bool)
    mask[:, :7] = False
    held = view_of(readings, mask).held
    np.testing.assert_array_equal(held[:, :7], 0)
    np.testing.assert_allclose(LENS.units(held[:, 7:]), readings[:, 7:], rtol=1e-6)


def test_a_sample_counts_whichever_slot_of_its_tick_it_is_in():
    layout = TickLayout(DT, (StreamSpec("fast", "sensor", ("a",), ("m",), 3 / DT),))
    lens = Lens(layout, np.zeros(3), np.ones(3), np.zeros(0), np.zeros(0))
    mask = np.array([[[True, True, True], [False, True, False], [False, False, False]]])
    values = np.where(mask, np.arange(9.0).reshape(1, 3, 3) + 1, 0)
    none = Commands(np.zeros((1, 2, 0)), np.zeros((1, 2, 0), bool), np.zeros((1, 2, 0)))
    view = lens.look(Context(values, mask, np.zeros((1, 3, 1)), none, (), ()), none)
    np.testing.assert_array_equal(view.held[0, :, 0], [3, 5, 5])
    np.testing.assert_array_equal(view.mask[0, :, 0], [True, True, False])


@pytest.mark.parametrize("masked", [False, True])
def test_velocity_is_exact_on_straight_lines_and_through_masks(masked):
    rng = np.random.default_rng(0)
    level, slope = MEAN + STD * rng.normal(size=(B, 1, Y)), 0.1 * STD * rng.normal(size=(B, 1, Y))
    mask = gappy() if masked else np.ones((B, C, Y), bool)
    mask[:, -8], mask[:, -5], mask[:, -2:] = True, True, not masked  # two readings at least, and none at the end
    view = view_of(level + slope * np.arange(1 - C, 1)[:, None], mask)
    ahead = LENS.units(Velocity(np.full(Y, 8)).predict(view))
    np.testing.assert_allclose((ahead - level - slope * np.arange(1, H + 1)[:, None]) / STD, 0, atol=2e-5)


def test_velocity_goes_by_the_times_of_samples_not_of_ticks():
    rng = np.random.default_rng(0)
    view, age = view_of(noise(), gappy()), rng.uniform(size=(B, C, Y))
    slope = rng.normal(size=(B, 1, Y))
    line = slope * (np.arange(1 - C, 1)[:, None] - age)
    ahead = Velocity(np.full(Y, C)).predict(view._replace(readings=np.where(view.mask, line, 0), age=age))
    np.testing.assert_allclose(ahead, slope * np.arange(1, H + 1)[:, None], atol=1e-9)


def test_velocity_is_the_least_squares_line_over_its_span():
    readings, mask, spans = noise(), gappy(), np.array([4, 8, 20])
    ahead = LENS.units(Velocity(spans).predict(view_of(readings, mask)))
    ticks, lines = np.arange(1 - C, 1), 0
    for b in range(B):
        for y in range(Y):
            used = mask[b, :, y] & (ticks > -spans[y])
            if used.sum() > 1:
                expected = np.polyval(np.polyfit(ticks[used], readings[b, used, y], 1), np.arange(1, H + 1))
                np.testing.assert_allclose(ahead[b, :, y] / STD[y], expected / STD[y], atol=2e-4)
                lines += 1
    assert lines > 9


def test_a_flag_that_leaps_does_not_choose_over_how_long_a_velocity_is_measured_beside_it():
    rng = np.random.default_rng(0)
    series = np.stack([np.cumsum(rng.normal(size=(B, C + H)) * 0.1, 1), rng.integers(0, 2, (B, C + H))], 2)
    series = np.concatenate([np.cumsum(series[..., :1], 1), series[..., 1:], series[..., 1:]], 2)
    view = view_of(series[:, :C], np.ones((B, C, Y), bool))
    came = LENS.normal(series[:, C:])
    seen = Examples(view, came, np.ones(came.shape, bool), np.zeros(came.shape))
    smooth, flag, _ = Velocity.fit(seen, LENS.layout).spans
    assert smooth <= 4
    assert flag == C


def test_velocity_holds_what_it_has_read_only_once():
    mask = np.zeros((B, C, Y), bool)
    mask[:, 3] = True
    ahead = LENS.units(Velocity(np.full(Y, 8)).predict(view_of(np.tile(MEAN + STD, (B, C, 1)), mask)))
    np.testing.assert_allclose(ahead, np.broadcast_to(MEAN + STD, ahead.shape), rtol=1e-5)


@pytest.mark.parametrize("lags", [1, 3])
def test_the_one_step_rollout_equals_a_plain_loop(lags):
    weights = 0.1 * np.random.default_rng(2).normal(size=(lags * (Y + A) + 1, Y))
    view = view_of(noise(), np.ones((B, C, Y), bool))
    ahead = OneStep(weights, lags).predict(view)
    for b in range(B):
        x = {t - C + 1: view.readings[b, t] for t in range(C)}  # by tick, 0 is now
        u = {t - C + 1: view.past[b, t] for t in range(C - 1)} | {t: view.ahead[b, t] for t in range(H)}
        for t in range(H):
            seen = range(t - lags + 1, t + 1)
            x[t + 1] = x[t] + np.concatenate([*(x[k] for k in seen), *(u[k] for k in seen), [1.0]]) @ weights
        np.testing.assert_allclose(ahead[b], np.stack([x[t + 1] for t in range(H)]), rtol=1e-6)


def test_ridge_is_least_squares_with_rows_that_pull_slopes_to_zero_and_targets_that_miss():
    rng = np.random.default_rng(0)
    inputs, targets, mask = rng.normal(size=(50, 4)) + 3, rng.normal(size=(50, 3)) - 5, rng.uniform(size=(50, 3)) < 0.6
    mask[:, 2] = False
    for penalty, weights in zip((0.0, 0.7), ridge(inputs, targets, mask, (0.0, 0.7)), strict=True):
        for column in (0, 1):
            rows = mask[:, column]
            pull = np.sqrt(penalty * rows.sum()) * np.eye(4, 5)
            left = np.concatenate([np.pad(inputs[rows], ((0, 0), (0, 1)), constant_values=1), pull])
            expected = np.linalg.lstsq(left, np.concatenate([targets[rows, column], np.zeros(4)]))[0]
            np.testing.assert_allclose(weights[:, column], expected, rtol=1e-8)
        np.testing.assert_array_equal(weights[:, 2], 0)


def test_ridge_of_more_inputs_than_rows_is_what_inputs_at_right_angles_to_all_rows_do_not_change():
    rng = np.random.default_rng(0)
    inputs, targets, mask = rng.normal(size=(20, 9)), rng.normal(size=(20, 2)), np.ones((20, 2), bool)
    many = inputs @ np.linalg.qr(rng.normal(size=(40, 9)))[0].T
    few, turned = (ridge(x, targets, mask, (0.1,))[0] for x in (inputs, many))
    np.testing.assert_allclose(many @ turned[:-1] + turned[-1], inputs @ few[:-1] + few[-1], rtol=1e-9)


def test_ridge_finds_slopes_of_inputs_that_lie_far_from_zero():
    rng = np.random.default_rng(0)
    inputs = (1e4 + rng.uniform(-1, 1, size=(400, 3))).astype(np.float32)
    slopes = np.array([[2.0], [-1.0], [0.5]])
    targets = ((inputs - np.float32(1e4)) @ slopes + 7).astype(np.float32)
    weights = ridge(inputs, targets, np.ones(targets.shape, bool), (1e-9,))[0]
    np.testing.assert_allclose(weights[:3], slopes, atol=1e-5)
    np.testing.assert_allclose(inputs.astype(float) @ weights[:3] + weights[3], targets, atol=1e-4)


def test_direct_is_least_squares_on_the_last_readings_and_every_action_until_then():
    rng = np.random.default_rng(0)
    count, context, horizon = 400, 3, 4
    readings = MEAN + STD * rng.normal(size=(count, context, Y))
    actions = rng.normal(size=(count, context - 1 + horizon, A))
    ones = np.ones(readings.shape, bool)
    past = commands(actions[:, : context - 1])
    view = LENS.look(
        Context(readings, ones, np.zeros((count, context, 1)), past, (), ()), commands(actions[:, context - 1 :])
    )
    truth = rng.normal(size=(count, horizon, Y))
    examples = Examples(view, truth, np.ones(truth.shape, bool), np.zeros(truth.shape))
    ahead = Direct.fitted(examples, LENS.layout, (1e-6,)).predict(view, LENS.layout)
    for tick in range(horizon):
        inputs = [readings.reshape(count, -1), actions[:, : context + tick].reshape(count, -1), np.ones((count, 1))]
        left = np.concatenate(inputs, 1)
        expected = left @ np.linalg.lstsq(left, truth[:, tick])[0]
        np.testing.assert_allclose(ahead[:, tick], expected, atol=1e-4)


@pytest.mark.parametrize("tick", [1, 2, 15, 16, 17, 40])
def test_actions_are_averaged_over_equal_shares_of_the_time_until_a_tick(tick):
    rng = np.random.default_rng(tick)
    mask = rng.uniform(size=(B, 30, A)) < 0.5
    values = np.where(mask, rng.normal(size=mask.shape), np.nan)
    view = view_of(noise(), gappy())._replace(ahead=values, ahead_mask=mask)
    got = Means.of(view).shares(edges_of(tick)[None], np.array([[tick]])).reshape(B, 16, 2, A)
    edges = np.round(np.linspace(0, tick, min(tick, 16) + 1)).astype(int)
    for share, (a, b) in enumerate(itertools.pairwise(edges)):
        ticks = [min(t, 29) for t in range(a, b)]  # short actions end as they ended
        known = mask[:, ticks].any(1)
        mean = np.nan_to_num(np.nansum(values[:, ticks], 1) / np.maximum(mask[:, ticks].sum(1), 1))
        np.testing.assert_allclose(got[:, share], np.stack([mean, known], 1), rtol=1e-12, atol=1e-13)
    assert not got[:, len(edges) - 1 :].any()


def test_targets_are_moved_from_their_samples_times_to_the_ticks():
    rng = np.random.default_rng(0)
    age, mask = rng.uniform(size=(B, H, Y)), rng.uniform(size=(B, H, Y)) < 0.6
    mask[:, 1], mask[:, -1], mask[:, -4] = True, True, True
    line = 3.0 * np.arange(H)[:, None] + 1
    examples = Examples(None, np.where(mask, line - 3 * age, 0), mask, np.where(mask, age, 7.0))
    np.testing.assert_allclose(
        np.where(mask, in_phase(examples, 0.0), line), np.broadcast_to(line, mask.shape), atol=1e-9
    )


def test_what_is_in_phase_with_a_sensor_at_the_clocks_rate_is_taken_as_it_came_and_comes_back_on_the_ticks(tmp_path):
    """A curve that no line follows, sampled 0.4 ticks before each tick, in some episodes 0.7."""
    spec = StreamSpec("s", "sensor", ("a",), ("m",), 1 / DT)
    with LogWriter(tmp_path / "log.h5", (spec, PUSH)) as writer:
        for episode in range(8):
            grid = np.arange(120) * DT
            time = grid + DT * (0.6 if episode % 2 else 0.3)
            push = Samples(grid, np.zeros((120, 2)))
            writer.append({"s": Samples(time, np.sin(3 * time + episode)[:, None]), "push": push})
    windows = windows_of(tmp_path / "log.h5", 16, 10)
    baselines = fit(windows)
    examples = baselines.lens.examples(windows, np.asarray(windows.starts()))
    rows = np.unique(np.round(examples.age[:, 0, 0], 3))
    np.testing.assert_allclose(rows, [0.4, 0.7])
    phases = examples.view.age[:, -1]
    moved = in_phase(examples, phases)
    np.testing.assert_allclose(moved, examples.came, atol=1e-5)
    error = baselines.lens.scale * np.sqrt(
        np.nanmean(examples.squared_errors(baselines.ahead("linear", examples.view)))
    )
    assert error < 5e-3  # lines from sample to tick and back are 3e-3 off; phases that are not told, 2e-2


def test_what_a_sensor_read_at_even_times_lies_on_the_lines_between_its_samples():
    """Samples of a line at uneven times: ticks without one, ticks before the first, and one that comes late."""
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(4, C, (B, 8)), 1) - 1
    newest = np.array([[np.searchsorted(t, tick, side="right") - 1 for tick in range(C)] for t in time])
    there = newest >= 0
    at = np.where(there, np.take_along_axis(time, np.maximum(newest, 0), 1), -np.inf)
    line = np.arange(B)[:, None] + 1.0
    age = np.broadcast_to((np.arange(C) - at)[..., None], (B, C, Y))
    held = np.broadcast_to(np.where(there, line * np.where(there, at, 0.0) - 5, 0.0)[..., None], (B, C, Y))
    view = view_of(noise(), gappy())._replace(held=held, age=age)
    values, known = in_step(view, [slice(1, 3)])
    wanted = at[:, -1:] - np.arange(C)[::-1]
    first = at[np.arange(B), there.argmax(1)][:, None]  # that is kept: of two in a tick the newest counts
    leading = np.ceil(first - 1e-9 - wanted)
    np.testing.assert_array_equal(known, np.repeat((leading <= 2)[..., None], 2, -1))
    expected = line * wanted - 5
    np.testing.assert_allclose(values[known], np.repeat(expected[..., None], 2, -1)[known], atol=1e-9)


def test_a_tick_without_a_sample_is_no_jump(tmp_path):
    """A curve whose samples' stamps are uneven, so that some ticks have none and others two."""
    spec = StreamSpec("s", "sensor", ("a",), ("m",), 1 / DT)
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path / "log.h5", (spec, PUSH)) as writer:
        for episode in range(8):
            grid = np.arange(200) * DT
            time = grid + DT * np.where(rng.uniform(size=200) < 0.03, 1.05, 0.2)
            time = time[np.concatenate([[True], np.diff(time) > 0])]
            push = Samples(grid, np.zeros((200, 2)))
            writer.append({"s": Samples(time, np.sin(3 * time + episode)[:, None]), "push": push})
    windows = windows_of(tmp_path / "log.h5", 16, 10)
    baselines = fit(windows)
    examples = baselines.lens.examples(windows, np.asarray(windows.starts()))
    assert 0.01 < 1 - examples.view.mask.mean() < 0.05
    errors = examples.squared_errors(baselines.ahead("linear", examples.view))
    assert baselines.lens.scale * np.sqrt(np.nanmean(errors)) < 1.2e-2  # 0.05 where such ticks count as no change


STEP, FORCE = np.array([[1.0, 0.05], [-0.2, 0.97]]), np.array([[0.0, 0.002], [0.05, 0.0]])


def linear_log(path, columns, episodes=6, ticks=200, seed=0, horizon=16, pushed=(1, 1)):
    """A log of x' = STEP x + FORCE u + (0, 0.01), without noise, of which some columns are read."""
    spec = StreamSpec("state", "sensor", tuple(f"x{c}" for c in columns), ("m",) * len(columns), 1 / DT)
    rng = np.random.default_rng(seed)
    with LogWriter(path, (spec, PUSH)) as writer:
        for episode in range(episodes):
            u, x = rng.normal(size=(ticks, 2)) * (pushed if episode % 2 else pushed[::-1]), np.zeros((ticks, 2))
            x[0] = rng.normal(size=2)
            for k in range(ticks - 1):
                x[k + 1] = STEP @ x[k] + FORCE @ u[k] + (0, 0.01)
            time = np.arange(ticks) * DT
            writer.append({"state": Samples(time, x[:, columns]), "push": Samples(time, u)})
    return windows_of(path, 24, horizon)


def windows_of(path, context, horizon, dt=DT):
    log = Log(path)
    return Windows.of(log, TickLayout(dt, tuple(log.streams.values())), context, horizon)


def fit(windows, **options):
    return Baselines.fit(windows, measure_scaling(windows, 0), seed=0, **options)


@pytest.mark.parametrize("columns", [[0, 1], [0]], ids=["all of the state", "positions only"])
@pytest.mark.parametrize("kind", ["direct", "step"])
def test_both_linear_models_find_a_linear_system_with_actions(tmp_path, columns, kind):
    """With hidden velocities, the last positions and actions still say all."""
    fitted = fit(linear_log(tmp_path / "train.h5", columns))
    fitted.linear.by_direct[:] = kind == "direct"
    fresh = linear_log(tmp_path / "fresh.h5", columns, episodes=1, seed=77)
    context, future = fresh.cut(fresh.starts()[::9], 16)
    ahead, hold = (fitted.predict(name, context, future.actions) for name in ("linear", "hold"))
    none = future.actions._replace(values=np.zeros_like(future.actions.values))
    still = fitted.predict("linear", context, none)
    std = fitted.lens.scale
    assert np.abs((ahead - future.values) / std).max() < 0.01
    assert np.abs((hold - future.values) / std).max() > 1
    assert np.abs((still - future.values) / std).max() > 0.1


def test_a_long_horizon_is_fitted_at_some_ticks_and_asked_at_all(tmp_path):
    fitted = fit(linear_log(tmp_path / "train.h5", [0, 1], horizon=100))
    assert len(fitted.linear.direct.ticks) <= 32
    assert set(fitted.linear.direct.ticks) >= {1, 2, 3, 100}
    fresh = linear_log(tmp_path / "fresh.h5", [0, 1], episodes=1, seed=77, horizon=100)
    context, future = fresh.cut(fresh.starts()[::9], 100)
    fitted.linear.by_direct[:] = True
    ahead = fitted.predict("linear", context, future.actions)
    assert np.sqrt((((ahead - future.values) / fitted.lens.scale) ** 2).mean()) < 0.15


@pytest.mark.parametrize("late", [0.0, 0.3, 1.0, 1.6])
def test_no_tick_is_moved_by_what_is_commanded_after_it(tmp_path, late):
    """Not even one between two ticks that are fitted, or between two samples."""
    windows = linear_log(tmp_path / "log.h5", [0, 1], ticks=260, horizon=80)
    baselines = fit(windows)
    view = baselines.lens.examples(windows, np.asarray(windows.starts())[:40:10]).view
    view = view._replace(age=view.age + late)
    direct, layout = baselines.linear.direct, baselines.lens.layout
    before = direct.predict(view, layout)
    assert before.shape[1] > len(direct.ticks)
    for tick in (1, 7, 40, 43, 77):
        later = view.ahead.copy()
        later[:, tick:] += 3
        after = direct.predict(view._replace(ahead=later), layout)
        np.testing.assert_array_equal(after[:, :tick], before[:, :tick])
        assert not np.allclose(after[:, tick:], before[:, tick:])


@pytest.mark.parametrize("ticks", [np.arange(1, 13), np.array([1, 2, 3, 4, 6, 9, 12])])
def test_paths_of_sensors_slower_than_the_tick_lose_jags_alone(ticks):
    none = np.zeros((1, 0))
    asked = Asked(Means(none, none), none, np.zeros(0, int), [], spans=np.array([1, 2, 3]))
    line = (3 + 0.5 * ticks)[:, None, None] * np.ones((1, 2, 3))
    np.testing.assert_allclose(asked.evened(line, ticks), line, rtol=1e-12)
    jags = np.stack([(-1.0) ** ticks, (-1.0) ** ticks, np.cos(2 * np.pi / 3 * ticks)], -1)[:, None] + line[:, :1]
    evened = asked.evened(jags, ticks)
    np.testing.assert_array_equal(evened[..., 0], jags[..., 0])  # of one at the clock's rate all is kept
    np.testing.assert_allclose(asked.evened(jax.numpy.asarray(jags), ticks), evened, rtol=1e-5)
    if len(ticks) == 12:
        np.testing.assert_allclose(evened[2:-2, :, 1:], line[2:-2, :1, 1:], atol=1e-12)


@pytest.mark.parametrize("horizon", [3, 14, 60])
@pytest.mark.parametrize("lates", [(0,), (0, 1, 2)])
def test_shares_that_all_questions_are_told_alike_are_multiplied_as_others(horizon, lates):
    """Against each question by itself; the view's horizon may end before the last tick that is fitted."""
    rng, ticks, actions = np.random.default_rng(horizon), grid(horizon), 2
    view = view_of(noise(), np.ones((B, C, Y), bool))
    ahead = rng.normal(size=(B, max(horizon - 5, 2), actions))
    view = view._replace(ahead=ahead, ahead_mask=rng.uniform(size=ahead.shape) < 0.7)
    view = view._replace(past=rng.normal(size=(B, C - 1, actions)), past_mask=np.ones((B, C - 1, actions), bool))
    acts = np.sort(rng.permutation(16 * 2 * actions)[:37])
    seen, weights = rng.normal(size=(B, 4)), rng.normal(size=(len(ticks), 4 + len(acts) + 1, Y))
    asked = Asked(Means.of(view), seen, acts, [], spans=np.ones(Y, int))
    questions = Questions.of(tuple(ticks.tolist()), lates)
    wanted = []
    for model, until in zip(questions.model, questions.until, strict=True):
        told = asked.means.shares(edges_of(int(ticks[model]))[None], until[None])[:, 0, acts]
        wanted.append(np.concatenate([seen, told, np.ones((B, 1))], 1) @ weights[model])
    np.testing.assert_allclose(asked.of(questions, ticks, weights), np.stack(wanted, 1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("slower", [1, 5])
def test_what_is_said_of_a_tick_does_not_depend_on_how_far_it_is_asked(tmp_path, slower):
    """Compiled programs are asked farther than the question."""
    windows = linear_log(tmp_path / "log.h5", [0, 1], ticks=260, horizon=80)
    baselines = fit(windows)
    view = baselines.lens.examples(windows, np.asarray(windows.starts())[:40:10]).view
    streams = (dataclasses.replace(s, rate_hz=s.rate_hz / slower) for s in windows.layout.streams)
    layout, direct = TickLayout(DT, tuple(streams)), baselines.linear.direct
    whole = direct.predict(view, layout)
    for horizon in (1, 4, 21, 60):
        less = view._replace(ahead=view.ahead[:, :horizon], ahead_mask=view.ahead_mask[:, :horizon])
        np.testing.assert_allclose(direct.predict(less, layout), whole[:, :horizon], atol=1e-9)


def test_predictions_between_samples_lie_on_the_lines_between_them():
    age = np.random.default_rng(0).uniform(0, 2, (B, 1, Y))
    age[0] = 1.0
    age[1] = 0.0
    view = view_of(noise(), np.ones((B, C, Y), bool))._replace(age=np.broadcast_to(age, (B, C, Y)))
    line = view.held[:, -1:] + 2.0 * np.arange(1, H + 1)[:, None]
    moved = on_ticks(lambda lates: [line for _ in lates], view)
    np.testing.assert_allclose(moved, view.held[:, -1:] + 2.0 * (np.arange(1, H + 1)[:, None] + age), rtol=1e-12)


@pytest.mark.parametrize("kind", [True, False])
def test_beyond_the_horizon_that_was_fitted_one_step_goes_on_from_the_last(tmp_path, kind):
    fitted = fit(linear_log(tmp_path / "train.h5", [0, 1], horizon=8))
    fitted.linear.by_direct[:] = kind
    fresh = linear_log(tmp_path / "fresh.h5", [0, 1], episodes=1, seed=77, horizon=24)
    context, future = fresh.cut(fresh.starts()[::9], 24)
    for name in fitted.names:
        assert fitted.predict(name, context, future.actions).shape == future.values.shape
    ahead = fitted.predict("linear", context, future.actions)
    assert np.abs((ahead - future.values) / fitted.lens.scale).max() < 0.02
    fewer = future.actions._replace(values=future.actions.values[:, :5], mask=future.actions.mask[:, :5])
    np.testing.assert_allclose(fitted.predict("linear", context, fewer), ahead[:, :5], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_was_chosen_is_fitted_again_on_all_episodes(tmp_path, seed):
    """Each of two episodes pushes on one side only, so that neither alone shows both."""
    windows = linear_log(tmp_path / "train.h5", [0, 1], episodes=2, pushed=(1, 0))
    fitted = Baselines.fit(windows, measure_scaling(windows, 0), seed)
    fresh = linear_log(tmp_path / "fresh.h5", [0, 1], episodes=1, seed=77)
    context, future = fresh.cut(fresh.starts()[::9], 16)
    ahead = fitted.predict("linear", context, future.actions)
    assert np.abs((ahead - future.values) / fitted.lens.scale).max() < 0.02


WALKS = StreamSpec("walks", "sensor", tuple("abcdefghij"), ("m",) * 10, 1 / DT)


def walks(path, episodes, seed):
    """Random walks, of which nothing is predictable; windows that lie side by side share most of their futures."""
    rng = np.random.default_rng(seed)
    with LogWriter(path, (WALKS,)) as writer:
        for _ in range(episodes):
            writer.append({"walks": Samples(np.arange(60) * DT, rng.normal(size=(60, 10)).cumsum(0))})
    return windows_of(path, 8, 16)


def test_the_choice_is_by_episode_where_windows_of_the_same_ones_would_choose_to_overfit(tmp_path):
    train, fresh = walks(tmp_path / "train.h5", 6, 0), walks(tmp_path / "fresh.h5", 40, 1)
    context, future = fresh.cut(fresh.starts()[::3], 16)
    errors = {}
    for name, fitted in (("by episode", fit(train)), ("by window", fit(train, select=train))):
        ahead = fitted.predict("linear", context, future.actions)
        errors[name] = np.sqrt(((ahead - future.values) ** 2).mean())
    hold = np.sqrt(((fitted.predict("hold", context, future.actions) - future.values) ** 2).mean())
    assert errors["by episode"] < 1.15 * hold
    assert errors["by window"] > 1.4 * hold


def test_episodes_that_choose_do_not_learn():
    starts = np.stack([np.repeat(np.arange(9), 5), np.tile(np.arange(5), 9)], 1)
    learn, choose = _split(starts, 3, np.random.default_rng(0))
    assert len(set(learn[:, 0])) == 7
    assert set(learn[:, 0]) | set(choose[:, 0]) == set(range(9))
    assert not set(learn[:, 0]) & set(choose[:, 0])
    alone = np.stack([np.zeros(40, int), np.arange(40)], 1)
    learn, choose = _split(alone, 3, np.random.default_rng(0))
    assert choose[:, 1].min() - learn[:, 1].max() > 3
    for part in _split(alone[:3], 3, np.random.default_rng(0)):
        np.testing.assert_array_equal(part, alone[:3])


def test_spans_suit_the_data(tmp_path):
    """A long line where noise hides the slope, a short one where the slope changes fast."""
    specs = [StreamSpec(name, "sensor", ("x",), ("m",), 1 / DT) for name in ("noisy", "turning")]
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path / "a.h5", specs) as writer:
        for _ in range(4):
            time = np.arange(300) * DT
            noisy, turning = rng.normal() * time + rng.normal(size=300), np.sin(4 * time + rng.uniform(0, 6))
            writer.append({"noisy": Samples(time, noisy[:, None]), "turning": Samples(time, turning[:, None])})
    assert tuple(fit(windows_of(tmp_path / "a.h5", 32, 4)).velocity.spans) == (32, 2)


PLACE = StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 1 / DT, "map")
WIND = StreamSpec(
    "wind", "sensor", ("east", "north", "angle"), ("m/s", "m/s", "rad"), 1 / DT, "enu", circular=(0, 0, 1)
)


def straight_drives(path, turned=0.0, episodes=5):
    """Drives at 2 m/s, each in a direction of its own, and an angle near pi."""
    rng = np.random.default_rng(0)
    with LogWriter(path, (PLACE, dataclasses.replace(WIND, frame=""))) as writer:
        for _ in range(episodes):
            time, way = np.arange(80) * DT, rng.uniform(-3, 3) + turned
            drive = 2 * time + 0.2 * np.sin(2 * time + rng.uniform(0, 6))
            place = np.stack([np.cos(way) * drive, np.sin(way) * drive, np.zeros(80)], 1)
            angle = np.pi + 0.3 * rng.normal(size=80)
            other = np.stack([7 + rng.normal(size=80), rng.normal(size=80), (angle + np.pi) % (2 * np.pi) - np.pi], 1)
            writer.append({"place": Samples(time, place), "wind": Samples(time, other)})
    return windows_of(path, 20, 10)


def test_the_mean_is_where_a_machine_goes_in_the_frame_of_its_track(tmp_path):
    windows = straight_drives(tmp_path / "a.h5")
    fitted = fit(windows)
    context, future = windows.cut(windows.starts()[::7], 10)
    ahead = fitted.predict("mean", context, future.actions)
    np.testing.assert_allclose(ahead[..., :2], future.values[..., :2], atol=0.25)  # the 0.2 m that sway
    np.testing.assert_allclose(np.linalg.norm(ahead[..., :2], axis=-1)[0], 2 * DT * np.arange(1, 11), atol=0.03)
    np.testing.assert_allclose(ahead[..., 3:5], np.broadcast_to((7, 0), (*ahead.shape[:2], 2)), atol=0.2)
    sine, cosine = ahead[..., 5], ahead[..., 6]
    np.testing.assert_allclose(np.hypot(sine, cosine), 1, atol=1e-5)  # a circular mean, at its length
    np.testing.assert_allclose(np.abs(np.arctan2(sine, cosine)), np.pi, atol=0.1)
    np.testing.assert_array_equal(ahead[..., 3:], np.broadcast_to(ahead[:1, :1, 3:], ahead[..., 3:].shape))


def test_a_turned_world_gives_turned_predictions(tmp_path):
    """Fitted on the one, asked in the other; drives go every way, so the frame of the log is not enough."""
    plain, turned = straight_drives(tmp_path / "a.h5"), straight_drives(tmp_path / "b.h5", turned=1.2)
    fitted, again = fit(plain), fit(turned)
    starts = plain.starts()[::7]
    (context, future), (other, _) = plain.cut(starts, 10), turned.cut(starts, 10)
    way = np.array([[np.cos(1.2), np.sin(1.2)], [-np.sin(1.2), np.cos(1.2)]])
    for name in fitted.names:
        ahead = fitted.predict(name, context, future.actions)
        for who in (fitted, again):
            found = who.predict(name, other, future.actions)
            np.testing.assert_allclose(found[..., :2], ahead[..., :2] @ way, atol=2e-3, err_msg=name)
            np.testing.assert_allclose(found[..., 2:], ahead[..., 2:], atol=2e-3, err_msg=name)


def test_baselines_and_model_are_given_the_very_same_numbers(tmp_path):
    """Readings, masks and actions, turned and normalised; commands to the north and east among them."""
    given = StreamSpec("given", "action", ("east", "north"), ("m/s", "m/s"), 1 / DT, "enu")
    place = dataclasses.replace(PLACE, frame="enu")
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path / "a.h5", (place, WIND, given)) as writer:
        time = np.arange(80) * DT
        writer.append(
            {
                "place": Samples(time, rng.normal(size=(80, 3)).cumsum(0)),
                "wind": Samples(time[::2], rng.uniform(-3, 3, size=(40, 3))),
                "given": Samples(time[30:], rng.normal(size=(50, 2))),  # unknown before
            }
        )
    log = Log(tmp_path / "a.h5")
    run = untrained_run(log, dt=DT, context=20, horizon=10)
    scaling = [np.asarray(x[...]) for x in run.model.scaling[:4]]
    lens = Lens(run.layout, *scaling)
    windows = Windows.of(log, run.layout, 20, 10)
    context, future = windows.cut(windows.starts(), 10)
    view = lens.look(context, future.actions)
    assert np.ptp(view.angle) > 1
    angle = run.model._angle(context, run.model._shown(context, None))
    np.testing.assert_allclose(view.angle, angle, atol=1e-5)
    seen = np.where(context.mask, run.model.normalise(context.values, angle), 0)
    np.testing.assert_allclose(view.slots, seen, atol=1e-4)
    for ours, mask, theirs in (
        (view.past, view.past_mask, context.actions),
        (view.ahead, view.ahead_mask, future.actions),
    ):
        values, known, _ = np.split(np.asarray(run.model._actions(theirs, angle)), [2, 4], -1)
        assert not mask.all()
        np.testing.assert_allclose(ours, values, atol=1e-4)
        np.testing.assert_array_equal(mask, known > 0)


def test_an_unknown_command_has_no_value():
    view = view_of(noise(), np.ones((B, C, Y), bool))
    mask = np.random.default_rng(0).uniform(size=(B, H, A)) < 0.5
    values = np.random.default_rng(1).normal(size=(B, H, A))
    one, two = (
        LENS.look(context_of(noise(), np.ones((B, C, Y), bool)), commands(np.where(mask, values, other), mask)).ahead
        for other in (0.0, 99.0)
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[~mask], 0)
    assert view.horizon == H


def test_windows_without_video_are_the_same_but_for_their_frames(oscillator):
    starts = oscillator.starts()[::9]
    for whole, plain in zip(oscillator.cut(starts, 8), oscillator.without_video().cut(starts, 8), strict=True):
        assert whole.frames
        assert not plain.frames
        np.testing.assert_array_equal(plain.values, whole.values)
        np.testing.assert_array_equal(plain.actions.values, whole.actions.values)


@pytest.fixture
def oscillator(tmp_path):
    return windows_of(write_log(tmp_path / "log.h5", episodes=4), 10, 8, dt=0.1)


def test_what_is_saved_predicts_the_same(tmp_path, oscillator):
    fitted = fit(oscillator)
    fitted.save(tmp_path / "baselines.npz")
    loaded = Baselines.load(tmp_path / "baselines.npz", oscillator.layout)
    context, future = oscillator.cut(oscillator.starts()[:5], 8)
    assert fitted.names == loaded.names
    for name in fitted.names:
        one, two = (b.predict(name, context, future.actions) for b in (fitted, loaded))
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(fitted.mean_frames["camera"], loaded.mean_frames["camera"])


def test_baselines_of_another_release_are_refused(tmp_path, oscillator):
    fit(oscillator).save(tmp_path / "baselines.npz")
    with np.load(tmp_path / "baselines.npz") as file:
        arrays = {**file, "version": 99}
    np.savez(tmp_path / "baselines.npz", **arrays)
    with pytest.raises(WorldModelError, match=r"another release[\s\S]*version 99"):
        Baselines.load(tmp_path / "baselines.npz", oscillator.layout)


def test_an_unknown_name_is_refused(oscillator):
    context, future = oscillator.cut(oscillator.starts()[:2], 8)
    with pytest.raises(ValueError, match=r"mean, hold, velocity, linear; not 'dead_reckoning'"):
        fit(oscillator).predict("dead_reckoning", context, future.actions)


def test_the_mean_frame_is_that_of_the_training_frames(oscillator):
    frames = np.concatenate([e.streams["camera"].data for e in oscillator.log.episodes])
    found = fit(oscillator).mean_frames["camera"]
    assert found.dtype == np.uint8
    assert found.shape == frames.shape[1:]
    expected = frames.mean(0)  # a bright column of 255 moves over black: 256 draws say how often it is where
    assert np.abs(found - expected).max() < 0.1 * 255
    assert np.abs(found - expected).mean() < 5


def test_a_column_apart_is_told_by_a_ridge_on_its_own_inputs_and_those_that_all_share():
    rng = np.random.default_rng(0)
    own, shared = rng.normal(size=(200, 4)) * [1, 5, 0, 0.1], 3 + rng.normal(size=(200, 6))
    change, mask = own[:, 0] - shared[:, 1] + rng.normal(size=200), rng.uniform(size=200) < 0.7
    for told in (np.ones(6, bool), np.arange(6) < 3, np.zeros(6, bool)):
        found = Shared(shared, 0.1).fitted(own, change, mask, told)
        inputs = np.concatenate([own, shared[:, told]], 1)
        scale = np.where(inputs.std(0) > 0, inputs.std(0), np.inf)
        expected = ridge(inputs / scale, change[:, None], mask[:, None], (0.1,))[0, :, 0] / np.append(scale, 1)
        np.testing.assert_allclose(found[np.concatenate([np.ones(4, bool), told, [True]])], expected, atol=1e-12)
        np.testing.assert_array_equal(found[4:-1][~told], 0)
    np.testing.assert_array_equal(Shared(shared, 0.1).fitted(own, change, np.zeros(200, bool), told), 0)


@pytest.mark.parametrize("off", [3e-14, -3e-14])
def test_how_clocks_are_rounded_moves_nothing(off):
    """The oldest sample of a context was no longer there where the newest was a rounding error older."""
    held = np.random.default_rng(0).normal(size=(B, C, Y))
    view = view_of(noise(), gappy())._replace(held=held, age=np.zeros((B, C, Y)))
    other = view._replace(age=view.age + off * (np.arange(C) == C - 1)[:, None])
    for one, two in zip(in_step(view, [slice(0, Y)]), in_step(other, [slice(0, Y)]), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-9)
        assert two.all() or two.dtype != bool


def test_ticks_ahead_are_fitted_from_the_ends_inwards():
    assert halving(1) == [0]
    assert halving(2) == [0, 1]
    assert halving(9) == [0, 8, 4, 2, 6, 1, 3, 5, 7]
    assert sorted(halving(32)) == list(range(32))


def test_where_time_is_short_fewer_ticks_ahead_are_fitted_and_those_as_ever(tmp_path):
    windows, said = linear_log(tmp_path / "train.h5", [0, 1]), []
    examples = fit(windows).lens.examples(windows, windows.starts()[::7])
    layout = windows.layout
    every, few = (
        Direct.fitted(examples, layout, (1e-3,), allowance=allowance)
        for allowance in (UNLIMITED, Allowance(0, said.append))
    )
    assert few.ticks.tolist() == [1, windows.horizon]
    np.testing.assert_array_equal(few.weights, every.weights[[0, -1]])
    np.testing.assert_array_equal(few.predict(examples.view, layout)[:, 0], every.predict(examples.view, layout)[:, 0])
    assert said == ["no time left for linear models of every tick ahead"]
    told = np.ones((len(layout.newest), layout.action_count), bool)
    each = [Apart.fit(examples, layout, 0.1, told, a) for a in (UNLIMITED, Allowance(0, said.append))]
    np.testing.assert_array_equal(each[1].own, each[0].own[[0, -1]])
    assert each[1].ticks.tolist() == [1, windows.horizon]


def test_baselines_without_any_time_left_still_tell_all_ticks_ahead_and_are_fitted_again(tmp_path):
    windows, said = linear_log(tmp_path / "train.h5", [0, 1]), []
    hurried = fit(windows, allowance=Allowance(0, said.append))
    assert "no time left for linear models of every tick ahead" in said
    assert len(said) == len(set(said))
    assert len(hurried.linear.direct.ticks) < len(fit(windows).linear.direct.ticks)
    again = hurried.refit(windows, windows.starts()[::3], 0)
    assert len(again.linear.direct.ticks) == windows.horizon == len(again.linear.shares)
    context, future = windows.cut(windows.starts()[::9], windows.horizon)
    for baselines in (hurried, again):
        for name in baselines.names:
            ahead = baselines.predict(name, context, future.actions)
            assert np.isfinite(ahead).all()
        near = baselines.lens.look(context, future.actions).newest(12)
        assert np.isfinite(baselines.ahead("linear", near)).all()


def test_regressions_that_would_take_minutes_are_fitted_on_fewer_rows_spread_evenly():
    together = np.ones((4000, 32, 60), bool)  # one regression for all columns
    np.testing.assert_array_equal(affordable(together, 500, 5), np.arange(4000))
    apart = np.random.default_rng(0).uniform(size=together.shape) < 0.2  # one for each
    rows = affordable(apart, 1900, 5)
    assert 200 < len(rows) < 2000
    assert np.ptp(np.diff(rows)) <= 1
    assert len(affordable(apart[..., :1], 1900, 5)) > 2 * len(rows)


def test_older_runs_whose_penalties_were_chosen_one_by_one_are_read(tmp_path):
    windows = linear_log(tmp_path / "train.h5", [0, 1])
    fitted, path = fit(windows), tmp_path / "baselines.npz"
    fitted.save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "linear.shares"}
    choice = np.random.default_rng(0).integers(5, size=fitted.linear.shares[:, 0].shape)
    np.savez(path, **arrays, **{"linear.choice": choice})
    found = Baselines.load(path, windows.layout).linear.shares
    assert found.shape == fitted.linear.shares.shape
    np.testing.assert_array_equal(found.argmax(1), choice)
    np.testing.assert_array_equal(found.sum(1), 1)

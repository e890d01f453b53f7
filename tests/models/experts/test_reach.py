"""What lies outside of what was trained on is said, by column and by how far."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.test_baselines import LENS, A, B, C, H, Y, commands, context_of
from tests.oscillator import SPECS, write_log
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.reach import Reach, described, labels
from worldmodel.training.data import measure_scaling

AHEAD = np.zeros((B, H, Y))


def view_of(readings, actions):
    return LENS.look(context_of(LENS.units(readings), np.ones((B, C, Y), bool)), commands(actions))


def calm():
    return np.zeros((B, C, Y)), np.tile(LENS.action_mean, (B, H, 1))


@pytest.fixture
def reach():
    came = np.random.default_rng(0).uniform(-1, 1, (50, H, Y))
    came[..., 0] = np.nan  # never read
    came[0, 0, 1:] = [-1.0, 1.0]
    return Reach.of(came, np.random.default_rng(1).uniform(-2, 2, (50, H, A)))


def test_within_there_is_nothing_to_say(reach):
    readings, actions = calm()
    outside = reach.outside(view_of(readings, actions), AHEAD)
    assert (outside == 0).all()  # nor of what was never read
    assert described(outside, LENS.layout) == {}


@pytest.mark.parametrize(("error", "tried"), [(1.0, 2.0), (5.0, 0.0)])
def test_commands_count_as_tried_as_far_beyond_all_others_as_left_out_episodes_were_foretold_well(reach, error, tried):
    rng, groups = np.random.default_rng(2), np.repeat(np.arange(5), 10)
    led = rng.uniform(-2, 2, (50, H, A))
    led[:, 0] = [-2.0, 2.0]  # all go to both ends
    far = groups == 3
    led[far, :, 1] += 2.0
    led[0, 1, 0] = np.nan
    found = reach.having_tried(led, groups, np.where(far, error, 1.0))
    assert found.tried == pytest.approx(tried)
    asked = np.array([[[0.0, 2.0 + 0.5], [2.0 + 2.5, 0.0]]])
    low, high = reach.led_low, reach.led_high
    np.testing.assert_allclose(found.commands_within(asked), np.clip(asked, low - tried, high + tried))
    assert reach.having_tried(led[far], groups[far], np.ones(10)).tried == 0  # an episode alone has no others
    again = reach.having_tried(np.clip(led, -2, 2), groups, np.ones(50))
    assert again.tried == 0


def test_a_reading_of_the_context_and_an_action_after_it_count_by_how_far_they_are_beyond(reach):
    readings, actions = calm()
    readings[2, 3, 1] = -4.0
    actions[4, 5, 0] += 3.5 * LENS.action_std[0]
    outside = reach.outside(view_of(readings, actions), AHEAD)
    np.testing.assert_allclose(outside[2, :, 1], 4 + reach.low[1], rtol=1e-5)
    np.testing.assert_allclose(outside[4, :, Y], [0.0] * 5 + [3.5 - reach.led_high[0]] * (H - 5), rtol=1e-5)
    found = described(outside, LENS.layout)
    assert list(found) == ["s.b", "push.left"]
    assert labels(LENS.layout) == ["s.a", "s.b", "s.c", "push.left", "push.right"]


def test_what_is_foretold_beyond_all_that_was_read_counts_too(reach):
    ahead = AHEAD.copy()
    ahead[3, H - 1, 2] = 5.0
    view = view_of(*calm())
    np.testing.assert_allclose(reach.outside(view, ahead)[3, -1], [0, 0, 5 - reach.high[2], *[0] * A])
    assert (reach.outside(view, ahead)[3, :-1] == 0).all()
    np.testing.assert_allclose(reach.outside(view, jnp.asarray(ahead)), reach.outside(view, ahead), rtol=1e-6)


def test_a_wall_is_where_readings_pile_up(reach):
    """A vehicle that stands, or a joint at its stop; not a sensor of few digits, nor the end of a smooth motion."""
    rng, many = np.random.default_rng(2), 5000
    moves = rng.uniform(0, 3, many)
    read = np.stack([np.maximum(moves - 0.3, 0), np.round(moves), np.minimum(moves, 2.9)], 1)
    whole = Reach.of(read[:, None], np.zeros((many, 1, A)))
    floor, ceiling = whole._walls(read[None], LENS.layout)
    np.testing.assert_array_equal(floor, [0.0, -np.inf, -np.inf])
    np.testing.assert_array_equal(ceiling, [np.inf, np.inf, 2.9])


def test_where_a_counter_stands_at_first_or_at_last_is_no_wall():
    """An odometer was imagined to stay where a car had parked; its speed does come back to 0 and go on from there."""
    speed = np.clip(np.sin(np.arange(5000) / 200 - 0.4), 0, 0.8)
    odometer = np.cumsum(speed)
    read = np.stack([speed, odometer, -odometer], 1).reshape(50, 100, 3)
    floor, ceiling = Reach.of(read, np.zeros((50, 1, A)))._walls(read, LENS.layout)
    np.testing.assert_array_equal(floor, [0.0, -np.inf, -np.inf])
    np.testing.assert_array_equal(ceiling, [0.8, np.inf, np.inf])


def test_what_is_switched_is_never_beyond_either_state():
    """It was imagined at -0.2 and 1.3, and a mean of 1.05 said to be outside; of three states it is not so clear."""
    states, rare = np.arange(5000) // 40 % 2, np.arange(5000)
    read = np.stack([states, states + (rare == 47), states * (rare % 2)], 1).astype(float)
    whole = Reach.of(read[:, None], np.zeros((5000, 1, A)))
    few = np.delete(read, 47, 0)  # of some windows, where the third state is not seen
    floor, ceiling = whole._walls(few[None], LENS.layout)
    np.testing.assert_array_equal(floor, [0.0, -np.inf, 0.0])
    np.testing.assert_array_equal(ceiling, [1.0, np.inf, 1.0])


def test_nothing_goes_through_a_wall_unless_it_has_been_beyond_or_commands_are_new(reach):
    reach = dataclasses.replace(reach, floor=np.array([-np.inf, -1.0, -np.inf]), ceiling=np.array([np.inf, np.inf, 1]))
    readings, actions = calm()
    readings[1, 4] = -1.5  # it has been beyond the floor
    actions[2, 0, 0] += 9 * LENS.action_std[0]
    actions[3, 2, 0] += 9 * LENS.action_std[0]
    view, path = view_of(readings, actions), np.tile([0.0, -3.0, 3.0], H // 3)
    ahead = np.tile(path[:, None], (B, 2, 1, Y))
    for found in (reach.walled(ahead, view), np.asarray(reach.walled(jnp.asarray(ahead), view))):
        np.testing.assert_array_equal(found[0, 0], np.stack([path, np.maximum(path, -1), np.minimum(path, 1)], 1))
        np.testing.assert_array_equal(found[1, 1], np.stack([path, path, np.minimum(path, 1)], 1))
        np.testing.assert_array_equal(found[2], ahead[2])
        np.testing.assert_array_equal(found[3, 0], [*found[0, 0, :2], *ahead[3, 0, 2:]])  # commands are so far within
    plain = Reach(reach.low, reach.high, reach.led_low, reach.led_high)  # of an earlier release
    np.testing.assert_array_equal(plain.walled(ahead, view), ahead)


def test_a_path_is_astray_once_it_has_left_twice_what_was_read_and_stays_so(reach):
    reach = dataclasses.replace(reach, low=np.array([np.inf, -1.0, 0.0]), high=np.array([-np.inf, 1.0, 2.0]))
    path = np.array([0.0, 1.9, 2.5, 0.0, -4.0, np.nan, 0.0])
    ahead = np.stack([path, path, path + 1], -1)[None, None]  # nothing is known of the first
    found = reach.astray(ahead)[0, 0]
    np.testing.assert_allclose(found[:, 0], 0)
    for column in (1, 2):
        np.testing.assert_allclose(found[:, column], [0, 0, 0.5, 0.5, 2, 2, 2])
    np.testing.assert_allclose(reach.astray(jnp.asarray(ahead))[0, 0], found, atol=1e-6)


def test_a_path_is_held_back_three_widths_from_what_was_read_and_from_where_it_begins(reach):
    reach = dataclasses.replace(reach, low=np.array([np.inf, -1.0, 0.0]), high=np.array([-np.inf, 1.0, 0.1]))
    path = np.array([0.0, 6.9, 7.5, 1e9, -8.0, np.nan])
    ahead, now = np.stack([path] * 3, -1)[None, None], np.array([[[0.0, 0.0, 5.0]]])
    found = reach.held_back(ahead, now)[0, 0]
    np.testing.assert_array_equal(found[:, 0], path)  # nothing is known of it
    np.testing.assert_array_equal(found[:, 1], [0.0, 6.9, 7.0, 7.0, -7.0, np.nan])
    np.testing.assert_array_equal(found[:, 2], [0.0, 6.9, 7.5, 8.0, -3.0, np.nan])  # of what hardly moved a deviation
    np.testing.assert_allclose(reach.held_back(jnp.asarray(ahead), now)[0, 0], found, rtol=1e-6)


def test_nothing_of_a_recording_lies_outside_of_it(tmp_path):
    """Neither the way that lies behind a machine, nor what was commanded once, nor what few windows hold."""
    log = Log(write_log(tmp_path / "log.h5", episodes=3))
    streams = tuple(spec for spec in SPECS if spec.kind != "video")
    windows = Windows.of(log, TickLayout(0.05, streams), 8, 6)
    lens = Lens(windows.layout, *map(np.asarray, measure_scaling(windows, 0)[:4]))
    starts = np.asarray(windows.starts())
    assert set(map(tuple, windows.starts().end_to_end(14))) < set(map(tuple, starts))
    reach = Reach.over(lens, [windows])
    seen = lens.examples(windows, starts)
    way = windows.layout.relative[windows.layout.newest]
    found = reach.outside(seen.view, np.where(seen.mask & ~way, seen.came, 0)).max((0, 1))
    way = np.pad(way, (0, len(lens.action_mean)))  # ends differ by window
    assert way.any()
    assert (found[~way] == 0).all()
    assert (found[way] < 0.5).all()
    named = np.array(labels(windows.layout))[way]
    assert labels(windows.layout).count("phase.angle") == 2  # its sine and cosine
    assert set(named) == {"gps (way)"}  # it lies nowhere else than before, but farther
    one = Reach.over(lens, [Windows.of(log, windows.layout, 8, 6, [0])])
    np.testing.assert_array_equal(vars(Reach.joined([one, reach]))["low"], reach.low)

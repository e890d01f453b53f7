import dataclasses
import tempfile

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oscillator import SPECS, episode, write_log
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import MAX_PER_TICK, TickLayout, align, commands, default_dt, ticks_of
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

LAYOUT = TickLayout(0.02, SPECS)


def after(seconds: float):
    """An edit that changes every sample stamped after `seconds`."""

    def edit(streams):
        out = {}
        for name, (time, data) in streams.items():
            changed = data.copy()
            late = time > seconds + 1e-9
            changed[late] = 255 - changed[late] if data.dtype == np.uint8 else changed[late] * 0.5 + 0.1
            out[name] = Samples(time, changed)
        return out

    return edit


def test_nothing_at_or_before_t_sees_anything_after_t(tmp_path):
    at = 2.0
    plain = align(Log(write_log(tmp_path / "a.h5", 1)).episodes[0], LAYOUT)
    other = align(Log(write_log(tmp_path / "b.h5", 1, edit=after(at))).episodes[0], LAYOUT)
    tick = round(at / LAYOUT.dt)
    assert (plain.values.dtype, plain.mask.dtype) == (np.float32, bool)
    for name in ("values", "mask", "age_s", "frames"):
        np.testing.assert_array_equal(getattr(plain, name)[: tick + 1], getattr(other, name)[: tick + 1])
    for one, two in zip(plain.actions, other.actions, strict=True):
        np.testing.assert_array_equal(one[:tick], two[:tick])
    assert (plain.values[tick + 1 :] != other.values[tick + 1 :]).any()


@given(dt=st.floats(1e-3, 2.0), share=st.floats(0, 0.999), row=st.integers(0, 10_000))
def test_a_tick_is_where_its_moment_is(dt, share, row):
    layout = TickLayout(dt, (), share * dt)
    at_s = layout.time_s(row)
    assert layout.row(at_s) == pytest.approx(row, abs=1e-6)
    assert (layout.count(at_s), layout.count(at_s + 0.9 * dt)) == (row + 1, row + 1)
    if row:
        assert layout.count(at_s - 0.1 * dt) == row


def test_a_phase_moves_ticks_as_earlier_stamps_would(tmp_path):
    """Of the same samples; tick 0 is the phase after time zero, and the last within the recording."""
    layout = dataclasses.replace(LAYOUT, phase_s=0.013)
    recorded = Log(write_log(tmp_path / "a.h5", 1)).episodes[0]
    ticks = align(recorded, layout)
    count = int(np.floor((recorded.duration_s - 0.013) / LAYOUT.dt)) + 1
    assert len(ticks.values) == count
    early = {n: Samples(s.time - 0.013, s.data) for n, s in recorded.streams.items()}
    shown, given = [early["camera"].time], {s.name: early[s.name] for s in LAYOUT.actions}
    moved = ticks_of(early, given, shown, LAYOUT, np.arange(count) * LAYOUT.dt, ticks.origin)
    for one, two in zip(jax.tree.leaves(ticks), jax.tree.leaves(moved), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    plain = align(recorded, LAYOUT)
    assert (plain.values[:count] != ticks.values).any()


def test_a_recording_that_ends_before_its_first_tick_has_that_one(tmp_path):
    layout = TickLayout(5.0, SPECS, 4.5)
    ticks = align(Log(write_log(tmp_path / "a.h5", 1)).episodes[0], layout)
    assert len(ticks.values) == 1
    assert ticks.mask[0].any()


def test_context_holds_nothing_of_the_future(tmp_path):
    at, contexts = 2.0, []
    for name, edit in (("a", None), ("b", after(at))):
        log = Log(write_log(tmp_path / f"{name}.h5", 1, edit=edit))
        windows = Windows.of(log, LAYOUT, 40, 10)
        contexts.append(windows.cut(np.array([[0, round(at / LAYOUT.dt)]]), 10)[0])
    for one, two in zip(*map(jax.tree.leaves, contexts), strict=True):
        np.testing.assert_array_equal(one, two)


def test_slots_hold_the_newest_sample_up_to_their_time(tmp_path):
    streams = episode(0)
    ticks = align(Log(write_log(tmp_path / "a.h5", 1)).episodes[0], LAYOUT)
    columns = LAYOUT.columns["velocity"]
    assert LAYOUT.slots(SPECS[1]) == 2
    np.testing.assert_allclose(ticks.values[5, columns], streams["velocity"].data[[9, 10], 0], rtol=1e-6)


def test_gap_is_a_mask_with_an_age_and_nan_is_masked(tmp_path):
    def edit(streams):
        time, data = streams["position"]
        keep = (time < 1.0) | (time > 2.0)
        data = data.copy()
        data[10] = np.nan
        return {**streams, "position": Samples(time[keep], data[keep])}

    ticks = align(Log(write_log(tmp_path / "a.h5", 1, edit=edit)).episodes[0], LAYOUT)
    column = LAYOUT.columns["position"].start
    assert not ticks.mask[10, column]
    assert not ticks.mask[55:95, column].any()
    assert (ticks.values[55:95, column] == 0).all()
    assert np.isfinite(ticks.values).all()
    assert ticks.age_s[75, 0] == pytest.approx(1.5 - 0.98, abs=1e-5)


def test_a_row_that_says_nothing_of_a_stream_hides_none_of_its_samples(tmp_path):
    """A wide table: the slow sensor's cells are filled in every fifth row only, and never on the tick."""

    def edit(streams):
        time, data = streams["velocity"]
        sparse = np.where((np.arange(len(time)) % 5 == 2)[:, None], data, np.nan)
        return {**streams, "velocity": Samples(time, sparse)}

    spec = StreamSpec("velocity", "sensor", ("v",), ("m/s",), 20.0)
    episode = Log(write_log(tmp_path / "a.h5", 1, edit=edit)).episodes[0]
    ticks = align(episode, TickLayout(0.1, (spec,)))
    assert ticks.mask[1:].all()
    time, data = episode.streams["velocity"].time, episode.streams["velocity"].data
    for tick in range(1, 20):
        known = np.flatnonzero(np.isfinite(data[:, 0]) & (time <= 0.1 * tick + 1e-9))[-1]
        assert ticks.values[tick, -1] == data[known, 0]
        assert ticks.age_s[tick, 0] == pytest.approx(0.1 * tick - time[known], abs=1e-6)


def aligned(spec, time, data, dt):
    with tempfile.TemporaryDirectory() as folder:
        with LogWriter(f"{folder}/a.h5", [spec]) as writer:
            writer.append({spec.name: Samples(time, data)})
        return align(Log(f"{folder}/a.h5").episodes[0], TickLayout(dt, (spec,)))


def test_of_a_sample_only_the_columns_that_are_numbers_are_known():
    spec = StreamSpec("imu", "sensor", ("x", "y"), ("", ""), 10.0)
    ticks = aligned(spec, np.array([0.0, 0.1]), np.array([[1.0, np.nan], [np.nan, 2.0]]), 0.1)
    np.testing.assert_array_equal(ticks.mask, [[True, False], [False, True]])


def test_a_slot_holds_nothing_of_an_earlier_share():
    """In a gap after t, a slot of t + dt that reached back a whole tick would hold what the context already showed."""
    spec = StreamSpec("imu", "sensor", ("x",), ("m/s^2",), 80.0)
    time = np.arange(0, 1.0, 1 / 80)
    time = time[(time <= 0.5) | (time > 0.575)]
    ticks = aligned(spec, time, time[:, None], 0.1)
    assert ticks.mask.shape[1] == 8
    assert ticks.mask[5].all()
    for slot in range(8):
        end = 0.5 + 0.1 * (slot + 1) / 8
        there = time[(time > end - 0.0125 + 1e-9) & (time <= end + 1e-9)]
        assert ticks.mask[6, slot] == bool(len(there))
        if len(there):
            assert ticks.values[6, slot] == pytest.approx(there[-1])
    assert not ticks.mask[6, :5].any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.001, 0.05), min_size=20, max_size=80), st.integers(1, 40))
def test_slots_are_shares_of_the_tick(gaps, rate):
    time = np.cumsum(gaps)
    spec = StreamSpec("imu", "sensor", ("x",), ("",), rate * 10.0)
    layout = TickLayout(0.1, (spec,))
    ticks = aligned(spec, time, time[:, None], 0.1)
    count, several = layout.slots(spec), layout.averaged(spec)
    assert count <= MAX_PER_TICK
    assert count * several >= rate
    for tick in range(len(ticks.values)):
        for slot in range(count):
            end = 0.1 * tick + 0.1 * (slot + 1 - count) / count
            share = time[(time > end - 0.1 / count + 1e-7) & (time <= end + 1e-7)]
            assert ticks.mask[tick, slot] == bool(len(share))
            if len(share):
                expected = share.mean() if several > 1 else share[-1]
                assert ticks.values[tick, slot] == pytest.approx(expected, abs=1e-6)


def test_vibration_above_the_slots_does_not_fold_into_slow_motion():
    spec = StreamSpec("imu", "sensor", ("x",), ("m/s^2",), 400.0)
    time = np.arange(0, 4, 1 / 400)
    vibration = np.sin(2 * np.pi * 81.0 * time)[:, None]  # sampled at 80 Hz it looks like 1 Hz, as strong as it is
    assert TickLayout(0.1, (spec,)).slots(spec) == 8
    ticks = aligned(spec, time, vibration, 0.1)
    assert np.abs(ticks.values[1:]).max() < 0.1


def test_an_angle_that_shares_a_slot_is_averaged_as_one():
    spec = StreamSpec("yaw", "sensor", ("yaw",), ("rad",), 200.0, circular=(True,))
    time = np.arange(0, 1, 1 / 200)
    ticks = aligned(spec, time, np.where(np.arange(200) % 2, 3.1, -3.1)[:, None], 0.1)
    length = np.hypot(ticks.values[2, 0], ticks.values[2, 1])
    assert length == pytest.approx(1)
    assert ticks.values[2, 1] < -0.99  # not the cosine of 0


def in_force(time, data, ticks, dt, **spec):
    data = np.asarray(data, float)
    names = tuple(f"a{i}" for i in range(data.shape[1]))
    spec = StreamSpec("act", "action", names, (spec.pop("unit", ""),) * len(names), 10.0, **spec)
    return commands({"act": Samples(np.asarray(time, float), data)}, TickLayout(dt, (spec,)), ticks)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.001, 0.3), min_size=1, max_size=20), st.floats(0.01, 0.2), st.integers(0, 9))
def test_an_action_is_the_mean_of_what_was_in_force(gaps, dt, seed):
    time = np.cumsum(gaps)
    data = np.random.default_rng(seed).normal(size=(len(time), 2))
    ticks = np.arange(5) * dt
    fine = ticks[:, None] + (np.arange(4000) + 0.5) / 4000 * dt
    row = np.searchsorted(time, fine, side="right") - 1
    there = (row >= 0).sum(1)
    expected = np.where(row[..., None] < 0, 0, data[np.maximum(row, 0)]).sum(1) / np.maximum(there, 1)[:, None]
    found = in_force(time, data, ticks, dt)
    clear = (there == 0) | (there > 50)  # a command at the very end of a tick is hard to see in steps
    np.testing.assert_allclose(found.values[clear], expected[clear], atol=0.1)
    np.testing.assert_array_equal(found.mask[clear], np.repeat(there[clear, None] > 0, 2, 1))
    newest = [time[time < t + dt - 1e-7] for t in ticks]
    ages = [max(t - n[-1], 0) if len(n) else np.inf for t, n in zip(ticks, newest, strict=True)]
    np.testing.assert_allclose(found.age_s[:, 0], ages, atol=1e-5)


def test_before_the_first_command_nothing_is_known():
    found = in_force([2.0], [[1500.0]], np.arange(4.0), 1.0)
    np.testing.assert_array_equal(found.mask[:, 0], [False, False, True, True])
    np.testing.assert_array_equal(found.values[:, 0], [0, 0, 1500, 1500])
    np.testing.assert_array_equal(found.age_s[:, 0], [np.inf, np.inf, 0, 1])
    nothing = in_force(np.zeros(0), np.zeros((0, 2)), np.arange(3.0), 1.0)
    assert not nothing.mask.any()


def test_a_command_that_a_rounded_stamp_puts_into_the_tick_before_is_not_known_there():
    found = in_force([2.0 - 1e-9], [[1500.0]], np.arange(4.0), 1.0)
    np.testing.assert_array_equal(found.mask[:, 0], [False, False, True, True])


@pytest.mark.parametrize(("rate", "ticks"), [(50.0, 1), (25.0, 2), (5.0, 10), (400.0, 1)])
def test_the_ticks_from_one_sample_to_the_next(rate, ticks):
    assert LAYOUT.interval(StreamSpec("s", "sensor", ("x",), ("m",), rate)) == ticks


def test_an_action_that_is_no_number_does_not_end_the_one_before():
    data = np.array([[np.nan, 1.0], [2.0, np.inf], [np.nan, -np.inf], [4.0, 3.0]])
    found = in_force(np.arange(4.0), data, np.arange(4.0), 1.0)
    np.testing.assert_allclose(found.values, [[0, 1], [2, 1], [2, 1], [4, 3]])
    np.testing.assert_array_equal(found.mask[:, 0], [False, True, True, True])


def test_a_commanded_angle_averages_across_pi():
    found = in_force([0.0, 0.5], [[3.1], [-3.1]], np.zeros(1), 1.0, unit="rad", circular=(True,))
    np.testing.assert_allclose(found.values, [[0, -1]], atol=1e-6)


@pytest.mark.parametrize(
    ("rates", "dt"),
    [
        ({"sensor": 0.25, "action": 0.25}, 4.0),
        ({"sensor": 1000.0, "action": 1000.0}, 0.008),
        ({"sensor": 500.0, "action": 500.0}, 0.01),
        ({"sensor": 100.0, "action": 20.0}, 0.05),
        ({"sensor": 400.0, "action": 4.0}, 0.1),
        ({"sensor": 1.0}, 1.0),
    ],
)
def test_the_default_tick_follows_the_rates_at_both_ends(rates, dt):
    specs = [StreamSpec(kind, kind, ("x",), ("",), rate) for kind, rate in rates.items()]
    assert default_dt(specs) == pytest.approx(dt)


def test_a_target_knows_how_old_it_is(tmp_path):
    log = Log(
        write_log(tmp_path / "a.h5", 1, edit=lambda s: {**s, "gps": Samples(s["gps"].time + 0.013, s["gps"].data)})
    )
    windows = Windows.of(log, LAYOUT, 40, 20)
    _, future = windows.cut(np.array([[0, 100]]), 20)
    column, stream = LAYOUT.columns["gps"].start, [s.name for s in LAYOUT.readings].index("gps")
    came = np.flatnonzero(future.mask[0, :, column])
    assert len(came) == 2
    np.testing.assert_allclose(future.age_s[0, came, stream], 0.007, atol=1e-6)


def test_gps_is_relative_to_the_last_valid_fix(tmp_path):
    log = Log(write_log(tmp_path / "a.h5", 1))
    windows = Windows.of(log, LAYOUT, 40, 20)
    context, _ = windows.cut(np.array([[0, 100]]), 20)
    columns = LAYOUT.columns["gps"]
    valid = context.mask[0, :, columns.start]
    np.testing.assert_array_equal(context.values[0, valid, columns][-1], 0)
    assert np.abs(context.values[0, valid, columns][0]).max() > 0.1


def test_episode_shorter_than_context_and_horizon(tmp_path):
    windows = Windows.of(Log(write_log(tmp_path / "a.h5", 1, seconds=1.0)), LAYOUT, 40, 20)
    with pytest.raises(WorldModelError, match="as long as the context plus the horizon"):
        windows.starts()

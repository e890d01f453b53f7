"""Windows against plain loops over the aligned episodes and the recorded samples."""

import tracemalloc

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from worldmodel.logs import aligned
from worldmodel.logs.align import TickLayout, align
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Starts, Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

LAYOUT = TickLayout(0.05, SPECS)
CONTEXT, HORIZON = 12, 8
SECONDS = (2.0, 0.7, 1.5)  # the second is too short for a context and a horizon


def without(streams, name, low, high):
    """The streams with one silent in [low, high) seconds."""
    time, data = streams[name]
    there = (time < low) | (time >= high)
    return {**streams, name: Samples(time[there], data[there])}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.h5"
    with LogWriter(path, SPECS) as writer:
        for seed, seconds in enumerate(SECONDS):
            writer.append(episode(seed, seconds))
        writer.append(without(without(episode(9, 3.0), "gps", 0.7, 2.3), "camera", 1.0, 2.0))
    return Log(path)


@pytest.fixture(scope="module", params=["in memory", "in a file"])
def windows(log, request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "in a file":
            patch.setattr(aligned, "MEMORY_BUDGET_BYTES", 0)
        return Windows.of(log, LAYOUT, CONTEXT, HORIZON)


def test_starts_are_all_whose_context_and_horizon_lie_in_one_episode(log, windows):
    expected = []
    for e in range(len(log.episodes)):
        ticks = len(align(log.episodes[e], LAYOUT).values)
        expected += [(e, t) for t in range(ticks) if t - CONTEXT + 1 >= 0 and t + HORIZON < ticks]
    assert [tuple(s) for s in windows.starts()] == expected
    assert {e for e, _ in expected} == {0, 2, 3}
    assert len(windows.starts(2)) == len(expected) + 6 * 3 + 1  # a shorter horizon lets the short episode in


def test_windows_are_slices_of_the_aligned_episode(log, windows):
    starts = windows.starts()[::7]
    context, future = windows.cut(starts, HORIZON)
    rest = np.flatnonzero(~LAYOUT.relative)
    for row, (e, t) in enumerate(starts):
        ticks = align(log.episodes[e], LAYOUT)
        past, ahead = slice(t - CONTEXT + 1, t + 1), slice(t + 1, t + 1 + HORIZON)
        np.testing.assert_array_equal(context.values[row][:, rest], ticks.values[past][:, rest])
        np.testing.assert_array_equal(context.mask[row][:, rest], ticks.mask[past][:, rest])
        np.testing.assert_array_equal(context.age_s[row], ticks.age_s[past])
        np.testing.assert_array_equal(future.values[row][:, rest], ticks.values[ahead][:, rest])
        np.testing.assert_array_equal(future.mask[row][:, rest], ticks.mask[ahead][:, rest])
        np.testing.assert_array_equal(future.age_s[row], ticks.age_s[ahead])
        for part, led, leaves in zip(ticks.actions, context.actions, future.actions, strict=True):
            np.testing.assert_array_equal(led[row], part[t - CONTEXT + 1 : t])
            np.testing.assert_array_equal(leaves[row], part[t : t + HORIZON])


def test_gps_is_relative_to_the_last_valid_fix_of_the_context(log, windows):
    columns = np.flatnonzero(LAYOUT.relative)
    starts = windows.starts()
    context, future = windows.cut(starts, HORIZON)
    relative = 0
    for row, (e, t) in enumerate(starts):
        ticks = align(log.episodes[e], LAYOUT)
        past, ahead = slice(t - CONTEXT + 1, t + 1), slice(t + 1, t + 1 + HORIZON)
        seen = ticks.mask[past][:, columns].all(1)
        if not seen.any():
            continue
        fix = ticks.values[past][:, columns][seen][-1]
        for part, span in ((context, past), (future, ahead)):
            there = ticks.mask[span][:, columns].all(1)
            np.testing.assert_array_equal(part.mask[row][:, columns].all(1), there)
            np.testing.assert_array_equal(
                part.values[row][there][:, columns], ticks.values[span][there][:, columns] - fix
            )
            assert (part.values[row][~there][:, columns] == 0).all()
        relative += 1
    assert relative > 40


def test_without_a_fix_in_the_context_gps_is_masked_before_and_after(windows):
    columns = np.flatnonzero(LAYOUT.relative)
    start = np.array([[3, 44]])  # 1.65 to 2.2 s: silent since 0.6 s, and the fixes come back at 2.4 s
    context, future = windows.cut(start, HORIZON)
    assert windows.ticks[3].mask[45:53, columns].any()
    for part in (context, future):
        assert not part.mask[0][:, columns].any()
        assert (part.values[0][:, columns] == 0).all()


def slow_and_fast(path, period, silent=(0.0, 0.0)):
    """Windows of a thermometer of two columns, which reads every so many seconds, beside a motor at 20 Hz."""
    specs = [
        StreamSpec("motor", "sensor", ("speed",), ("rad/s",), 20.0),
        StreamSpec("heat", "sensor", ("a", "b"), ("K", "K"), 1 / period),
    ]
    time = np.arange(0.3, 20, period)
    time = time[(time < silent[0]) | (time >= silent[1])]
    heat = np.stack([300 + time, 400 + time], 1)
    heat[1::3, 1] = np.nan
    with LogWriter(path, specs) as writer:
        motor = np.arange(0, 20, 0.05)
        writer.append({"motor": Samples(motor, np.sin(motor)[:, None]), "heat": Samples(time, heat)})
    return Windows.of(Log(path), TickLayout(0.05, tuple(specs)), CONTEXT, HORIZON), time, heat


def test_of_a_sensor_slower_than_a_context_the_last_reading_is_known(tmp_path):
    """Of each column that the context does not show, by a plain loop."""
    windows, time, heat = slow_and_fast(tmp_path / "a.h5", 1.4)
    starts, dt = windows.starts()[:], 0.05
    context, future = windows.cut(starts, HORIZON)
    columns, carried = windows.layout.columns["heat"], 0
    for row, (_, t) in enumerate(starts):
        expected = np.full((CONTEXT, 2), np.nan)
        for tick in range(CONTEXT):
            at_s = (t - CONTEXT + 1 + tick) * dt
            for sample in np.flatnonzero((time > at_s - dt + 1e-7) & (time <= at_s + 1e-7)):
                expected[tick] = heat[sample]
        before = np.flatnonzero(time <= (t - CONTEXT + 1) * dt + 1e-7)
        unseen = np.isnan(expected).all(0)
        if len(before):
            for column in np.flatnonzero(unseen):
                told = before[np.isfinite(heat[before, column])]
                expected[0, column] = heat[told[-1], column] if len(told) else np.nan
            age_s = (t - CONTEXT + 1) * dt - time[before[-1]]
            assert context.age_s[row, 0, 1] == pytest.approx(age_s, abs=1e-6)
            carried += unseen.any()
        np.testing.assert_array_equal(context.mask[row][:, columns], np.isfinite(expected))
        np.testing.assert_array_equal(context.values[row][:, columns], np.float32(np.nan_to_num(expected)))
    assert carried > 100
    assert future.mask[..., columns].any(2).mean() < 0.05  # what is to be foretold are samples


def test_of_a_sensor_that_contexts_show_and_that_falls_silent_nothing_is_carried_in(tmp_path):
    windows, _, _ = slow_and_fast(tmp_path / "a.h5", 0.4 / 1.5, silent=(5.0, 8.0))
    context, _ = windows.cut(np.array([[0, 130]]), HORIZON)
    assert not context.mask[..., windows.layout.columns["heat"]].any()


def newest_frame(recorded, tick):
    """The recorded frame stamped in the tick, or None."""
    stamped = [i for i, t in enumerate(recorded.time) if (tick - 1) * LAYOUT.dt + 1e-7 < t <= tick * LAYOUT.dt + 1e-7]
    return recorded.data[stamped[-1]] if stamped else None


def test_frames_are_the_newest_two_seen_and_those_asked_for(log, windows):
    starts = windows.starts()
    asked = np.tile([0, 3, 6, 7], (len(starts), 1))
    context, future = windows.cut(starts, HORIZON, asked)
    counts = set()
    for row, (e, t) in enumerate(starts):
        recorded = log.episodes[e].streams["camera"]
        seen = [f for k in range(t - CONTEXT + 1, t + 1) if (f := newest_frame(recorded, k)) is not None][-2:]
        counts.add(len(seen))
        assert context.frames_mask[0][row].tolist() == [len(seen) == 2, len(seen) >= 1]
        for frame, expected in zip(context.frames[0][row][2 - len(seen) :], seen, strict=True):
            np.testing.assert_array_equal(frame, expected)
        for place, tick in enumerate(asked[row]):
            expected = newest_frame(recorded, t + 1 + tick)
            assert future.frames_mask[0][row, place] == (expected is not None)
            np.testing.assert_array_equal(future.frames[0][row, place], 0 if expected is None else expected)
    assert counts == {0, 1, 2}
    np.testing.assert_array_equal(future.frame_ticks, asked)


def test_frame_ticks_move_on_to_the_next_frame_and_begin_anew_at_the_end(windows):
    starts = np.asarray(windows.starts())
    wanted = np.random.default_rng(0).integers(HORIZON, size=(len(starts), 3))
    moved = windows.frame_ticks(starts, wanted, HORIZON)
    none = 0
    for row, (e, t) in enumerate(starts):
        there = [h for h in range(HORIZON) if windows.ticks[e].frames[t + 1 + h, 0] >= 0]
        none += not there
        for place, tick in enumerate(wanted[row]):
            expected = next((h for h in there if h >= tick), there[0]) if there else tick
            assert moved[row, place] == expected
    assert none > 0


def test_without_video_everything_else_stays(windows):
    starts = windows.starts()[::9]
    (context, future), (plain, ahead) = windows.cut(starts, HORIZON), windows.without_video().cut(starts, HORIZON)
    assert plain.frames == ahead.frames == ()
    for one, other in zip((*context[:3], *future[1:4]), (*plain[:3], *ahead[1:4]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_starts_are_picked_like_rows_of_an_array(windows):
    starts, rows = windows.starts(), np.asarray(windows.starts())
    rng = np.random.default_rng(0)
    for key in (0, -1, slice(None, None, 5), slice(7, 3, -1), rng.integers(-9, len(rows), 30), rows[:, 0] == 2, [3, 1]):
        np.testing.assert_array_equal(starts[key], rows[key])
    np.testing.assert_array_equal(starts[:, 1], rows[:, 1])
    np.testing.assert_array_equal(list(starts), rows)
    for wrong in (len(rows), -len(rows) - 1, [0, len(rows)]):
        with pytest.raises(IndexError):
            starts[wrong]


def test_starts_are_thinned_evenly_to_what_a_table_may_hold(windows):
    starts, rows = windows.starts(), np.asarray(windows.starts())
    np.testing.assert_array_equal(starts.thinned(), rows)
    np.testing.assert_array_equal(starts.thinned(len(rows)), rows)
    for most in (1, 7, len(rows) - 1):
        found = starts.thinned(most)
        assert len(found) == most
        at = np.array([np.flatnonzero((rows == row).all(1))[0] for row in found])
        assert (np.diff(at) > 0).all()
        assert (np.diff([-1, *at, len(rows)]) <= 2 * len(rows) / most + 1).all()


def test_a_long_log_needs_no_table_of_its_starts():
    starts = Starts(np.full(1000, 10**9), 3)
    tracemalloc.start()
    assert len(starts.thinned()) <= 1 << 16
    np.testing.assert_array_equal(starts[10**12 - 1], [999, 10**9 + 2])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_chosen_episodes_only(log, windows):
    chosen = Windows.of(log, LAYOUT, CONTEXT, HORIZON, [3, 0])
    assert chosen.episodes == [3, 0]
    one, _ = chosen.cut(np.array([[0, 20], [1, 20]]), HORIZON)
    other, _ = windows.cut(np.array([[3, 20], [0, 20]]), HORIZON)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.frames[0], other.frames[0])


def test_the_last_fix_is_what_positions_of_a_window_are_relative_to(windows):
    columns, last = np.flatnonzero(LAYOUT.relative), LAYOUT.slot_columns(LAYOUT.spec("gps"))[-1]
    for e, t in np.concatenate([windows.starts()[::6], [[3, 44]]]):
        context, _ = windows.cut(np.array([[e, t]]), HORIZON)
        fix, ticks = windows.last_fixes(np.array([[e, t]]))["gps"][0], windows.ticks[e]
        for row in np.flatnonzero(context.mask[0][:, last].all(1)):
            at = t - CONTEXT + 1 + row
            np.testing.assert_allclose(context.values[0, row, last] + fix, ticks.values[at, last], rtol=1e-6)
        assert np.isnan(fix).all() == (not ticks.mask[t - CONTEXT + 1 : t + 1, columns].any())
    np.testing.assert_array_equal(windows.last_fixes(np.array([[0, 20]]))["velocity"], [[0]])

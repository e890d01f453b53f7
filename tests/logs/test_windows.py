"""Windows against plain loops over the aligned episodes and the recorded samples."""

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from worldmodel.logs import windows as module
from worldmodel.logs.align import TickLayout, align
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples

LAYOUT = TickLayout(0.05, SPECS)
CONTEXT, HORIZON = 12, 8
SECONDS = (2.0, 0.7, 1.5)  # the second is too short for a context and a horizon
NO_TICKS = np.zeros((1, 0), int)


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


@pytest.fixture(scope="module")
def windows(log):
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
    context, future = windows.cut(starts, HORIZON, np.zeros((len(starts), 0), int))
    rest = np.setdiff1d(np.arange(LAYOUT.size), np.arange(LAYOUT.size)[LAYOUT.columns["gps"]])
    for row, (e, t) in enumerate(starts):
        ticks = align(log.episodes[e], LAYOUT)
        past, ahead = slice(t - CONTEXT + 1, t + 1), slice(t + 1, t + 1 + HORIZON)
        np.testing.assert_array_equal(context.values[row][:, rest], ticks.values[past][:, rest])
        np.testing.assert_array_equal(context.mask[row][:, rest], ticks.mask[past][:, rest])
        np.testing.assert_array_equal(context.age_s[row], ticks.age_s[past])
        for cut, whole in zip(context.actions, ticks.actions, strict=True):
            np.testing.assert_array_equal(cut[row], whole[t - CONTEXT + 1 : t])
        np.testing.assert_array_equal(future.values[row][:, rest], ticks.values[ahead][:, rest])
        np.testing.assert_array_equal(future.mask[row][:, rest], ticks.mask[ahead][:, rest])
        for cut, whole in zip(future.actions, ticks.actions, strict=True):
            np.testing.assert_array_equal(cut[row], whole[t : t + HORIZON])


def test_gps_is_relative_to_the_last_valid_fix_of_the_context(log, windows):
    columns = np.arange(LAYOUT.size)[LAYOUT.columns["gps"]]
    starts = windows.starts()
    context, future = windows.cut(starts, HORIZON, np.zeros((len(starts), 0), int))
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
    columns = np.arange(LAYOUT.size)[LAYOUT.columns["gps"]]
    start = np.array([[3, 44]])  # 1.65 to 2.2 s: silent since 0.6 s, and the fixes come back at 2.4 s
    context, future = windows.cut(start, HORIZON, NO_TICKS)
    assert windows.ticks[3].mask[45:53, columns].any()
    for part in (context, future):
        assert not part.mask[0][:, columns].any()
        assert (part.values[0][:, columns] == 0).all()


def newest_frame(recorded, tick):
    """The recorded frame stamped in the tick, or None."""
    stamped = [i for i, t in enumerate(recorded.time) if (tick - 1) * LAYOUT.dt + 1e-7 < t <= tick * LAYOUT.dt + 1e-7]
    return recorded.data[stamped[-1]] if stamped else None


@pytest.mark.parametrize("budget", [module.VIDEO_BUDGET_BYTES, 0])
def test_frames_are_the_newest_two_seen_and_those_asked_for(log, monkeypatch, budget):
    monkeypatch.setattr(module, "VIDEO_BUDGET_BYTES", budget)  # from memory, or by index from the file
    windows = Windows.of(log, LAYOUT, CONTEXT, HORIZON)
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


def test_chosen_episodes_only(log, windows):
    chosen = Windows.of(log, LAYOUT, CONTEXT, HORIZON, [3, 0])
    assert chosen.episodes == [3, 0]
    one, _ = chosen.cut(np.array([[0, 20], [1, 20]]), HORIZON, np.zeros((2, 0), int))
    other, _ = windows.cut(np.array([[3, 20], [0, 20]]), HORIZON, np.zeros((2, 0), int))
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.frames[0], other.frames[0])

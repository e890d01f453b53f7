import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oscillator import SPECS, episode, write_log
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout, align, mean_action
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
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
    for name in ("values", "mask", "age_s", "frames"):
        np.testing.assert_array_equal(getattr(plain, name)[: tick + 1], getattr(other, name)[: tick + 1])
    np.testing.assert_array_equal(plain.actions[:tick], other.actions[:tick])
    assert (plain.values[tick + 1 :] != other.values[tick + 1 :]).any()


def test_context_holds_nothing_of_the_future(tmp_path):
    at, contexts = 2.0, []
    for name, edit in (("a", None), ("b", after(at))):
        log = Log(write_log(tmp_path / f"{name}.h5", 1, edit=edit))
        windows = Windows.of(log, LAYOUT, 40, 10)
        contexts.append(windows.cut(np.array([[0, round(at / LAYOUT.dt)]]), 10, np.zeros((1, 1), int))[0])
    for field in contexts[0]._fields:
        one, two = (getattr(c, field) for c in contexts)
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


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


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.001, 0.3), min_size=1, max_size=20), st.floats(0.01, 0.2), st.integers(0, 9))
def test_mean_action_is_the_integral_of_what_was_in_force(gaps, dt, seed):
    time = np.cumsum(gaps)
    data = np.random.default_rng(seed).normal(size=(len(time), 2))
    ticks = np.arange(5) * dt
    fine = ticks[:, None] + (np.arange(4000) + 0.5) / 4000 * dt
    row = np.searchsorted(time, fine, side="right") - 1
    expected = np.where(row[..., None] < 0, 0, data[np.maximum(row, 0)]).mean(1)
    np.testing.assert_allclose(mean_action(Samples(time, data), ticks, dt), expected, atol=5e-3)


def test_an_action_that_is_no_number_does_not_end_the_one_before():
    data = np.array([[np.nan, 1.0], [2.0, np.inf], [np.nan, -np.inf], [4.0, 3.0]])
    found = mean_action(Samples(np.arange(4.0), data), np.arange(4.0), 1.0)
    np.testing.assert_allclose(found, [[0, 1], [2, 1], [2, 1], [4, 3]])


def test_gps_is_relative_to_the_last_valid_fix(tmp_path):
    log = Log(write_log(tmp_path / "a.h5", 1))
    windows = Windows.of(log, LAYOUT, 40, 20)
    context, _ = windows.cut(np.array([[0, 100]]), 20, np.zeros((1, 1), int))
    columns = LAYOUT.columns["gps"]
    valid = context.mask[0, :, columns.start]
    np.testing.assert_array_equal(context.values[0, valid, columns][-1], 0)
    assert np.abs(context.values[0, valid, columns][0]).max() > 0.1


def test_episode_shorter_than_context_and_horizon(tmp_path):
    windows = Windows.of(Log(write_log(tmp_path / "a.h5", 1, seconds=1.0)), LAYOUT, 40, 20)
    with pytest.raises(WorldModelError, match="as long as the context plus the horizon"):
        windows.starts()

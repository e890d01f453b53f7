"""The statistics that a model is scaled by, and batches that depend on nothing but seed and step."""

import tracemalloc

import jax
import numpy as np
import pytest

from tests.oscillator import SPECS, write_log
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Starts, Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.training.data import Batches, measure_scaling, still
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """One long episode of a log, and two short ones of another; what is cut says only where it is from."""
    folder = tmp_path_factory.mktemp("logs")
    logs = [write_log(folder / "a.h5", 1, 4.0), write_log(folder / "b.h5", 2, 1.0)]
    return Windows.of(Log(logs), TickLayout(0.05, SPECS), 4, 4)


def test_a_slow_sensor_with_a_mean_changes_by_what_it_changes(tmp_path):
    """A thermometer at 300 K, read once a second: before its first reading it was not at 0 K."""
    spec = StreamSpec("air", "sensor", ("temperature",), ("K",), 1.0)
    rng, scales = np.random.default_rng(0), {}
    readings = 300 + 0.5 * rng.normal(size=(60, 1))
    with LogWriter(tmp_path / "a.h5", [spec]) as writer:
        writer.append({"air": Samples(np.arange(60) + 0.05, readings)})
    for context in (32, 64):
        windows = Windows.of(Log(tmp_path / "a.h5"), TickLayout(0.1, (spec,)), context, 16)
        scales[context] = measure_scaling(windows, 0)
    expected = np.diff(readings[:, 0]).std() / readings.std() / np.sqrt(10)  # it changes in every tenth tick
    for scaling in scales.values():
        np.testing.assert_allclose(scaling.step, expected, rtol=0.2)
        np.testing.assert_allclose(scaling.bend, expected * np.sqrt(2), rtol=0.2)


def test_actions_are_scaled_by_those_that_were_given(tmp_path):
    servo = StreamSpec("servo", "action", ("pulse",), ("us",), 10.0)
    sensor = StreamSpec("x", "sensor", ("x",), ("m",), 10.0)
    time, rng = np.arange(200) * 0.1, np.random.default_rng(0)
    pulses = 1500 + 20 * rng.normal(size=(100, 1))
    with LogWriter(tmp_path / "a.h5", [servo, sensor]) as writer:
        writer.append({"x": Samples(time, time[:, None]), "servo": Samples(time[100:], pulses)})
    scaling = measure_scaling(Windows.of(Log(tmp_path / "a.h5"), TickLayout(0.1, (servo, sensor)), 20, 20), 0)
    assert scaling.action_mean[0] == pytest.approx(1500, abs=15)
    assert scaling.action_std[0] == pytest.approx(20, rel=0.3)


def test_a_field_in_tesla_is_scaled_by_what_it_moves(tmp_path):
    """Its millionths are all that there is of it; a column that never moves is left as it is."""
    spec = StreamSpec("field", "sensor", ("x", "y", "z"), ("T",) * 3, 10.0)
    rng = np.random.default_rng(0)
    field = np.stack([2e-5 + 3e-7 * rng.normal(size=200), 1e-7 * rng.normal(size=200), np.full(200, 4.2e-5)], 1)
    with LogWriter(tmp_path / "a.h5", [spec]) as writer:
        writer.append({"field": Samples(np.arange(200) * 0.1, field)})
    scaling = measure_scaling(Windows.of(Log(tmp_path / "a.h5"), TickLayout(0.1, (spec,)), 20, 20), 0)
    np.testing.assert_allclose(scaling.std[:2], [3e-7, 1e-7], rtol=0.2)
    assert scaling.std[2] == 1


def test_what_never_moved_is_told_from_what_deviates_by_one(tmp_path):
    spec = StreamSpec("x", "sensor", ("fixed", "square", "noise"), ("m",) * 3, 10.0)
    square = np.where(np.arange(200) % 2, 1.0, -1.0)
    data = np.stack([np.full(200, 4.2), square, np.random.default_rng(0).normal(size=200)], 1)
    with LogWriter(tmp_path / "a.h5", [spec]) as writer:
        writer.append({"x": Samples(np.arange(200) * 0.1, data)})
    layout = TickLayout(0.1, (spec,))
    scaling = measure_scaling(Windows.of(Log(tmp_path / "a.h5"), layout, 20, 20), 0)
    assert scaling.std[1] == 1
    assert still(scaling, layout).tolist() == [True, False, False]


def test_a_column_has_one_scale_in_all_slots_of_a_tick(tmp_path):
    """Of a sensor that lost three of four samples a tick while it read more: in the other slots its mean is less."""
    spec = StreamSpec("x", "sensor", ("x", "y"), ("m", "m"), 40.0)
    time = np.arange(800) / 40
    kept = (time < 10) | (np.arange(800) % 4 == 0)
    data = np.stack([5 * (time > 10) + np.sin(time), np.cos(3 * time)], 1)
    with LogWriter(tmp_path / "a.h5", [spec]) as writer:
        writer.append({"x": Samples(time[kept], data[kept])})
    layout = TickLayout(0.1, (spec,))
    scaling = measure_scaling(Windows.of(Log(tmp_path / "a.h5"), layout, 10, 10), 0)
    slots = layout.slot_columns(spec)
    assert len(slots) == 4
    for values in (scaling.mean[slots], scaling.std[slots]):
        np.testing.assert_array_equal(values, np.broadcast_to(values[0], values.shape))
    np.testing.assert_allclose(scaling.mean[slots[0]], data[kept].mean(0), atol=0.3)
    np.testing.assert_allclose(scaling.std[slots[0]], data[kept].std(0), rtol=0.1)


def test_positions_are_scaled_as_the_model_sees_them(tmp_path):
    """Straight drives in all directions: along the track they spread far, and across it not at all, at one scale."""
    spec = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0)
    origin, time = np.array([48.0, 11.0, 500.0]), np.arange(60) * 0.1
    with LogWriter(tmp_path / "a.h5", [spec]) as writer:
        for heading in np.linspace(0, 2 * np.pi, 7)[:-1]:
            metres = 10 * time[:, None] * [np.cos(heading), np.sin(heading), 0]
            fixes = codec(spec).recorded(metres, np.zeros(3), origin)
            writer.append({"gps": Samples(time, fixes)})
    windows = Windows.of(Log(tmp_path / "a.h5"), TickLayout(0.1, (spec,)), 20, 10)
    scaling = measure_scaling(windows, 0)
    along = np.arange(1, 11).std()  # 1 to 10 metres ahead
    np.testing.assert_allclose(scaling.mean, 0)
    np.testing.assert_allclose(scaling.std[:2], along / np.sqrt(2), rtol=0.02)


def test_a_stage_that_moves_by_nanometres_moves(tmp_path):
    """Places have no mean that they could be little beside; the way that stands still is little beside the others."""
    spec = StreamSpec("stage", "position", ("x", "y", "z"), ("m",) * 3, 10.0)
    rng = np.random.default_rng(0)
    place = np.stack([4e-8 * rng.normal(size=400), 4e-8 * rng.normal(size=400), 1e-16 * rng.normal(size=400)], 1)
    with LogWriter(tmp_path / "a.h5", [spec]) as writer:
        writer.append({"stage": Samples(np.arange(400) * 0.1, place)})
    layout = TickLayout(0.1, (spec,))
    scaling = measure_scaling(Windows.of(Log(tmp_path / "a.h5"), layout, 20, 20), 0)
    np.testing.assert_allclose(scaling.std[:2], 4e-8 * np.sqrt(2), rtol=0.2)
    assert still(scaling, layout)[:2].tolist() == [False, False]
    assert scaling.std[2] == 1


def drawn(windows, monkeypatch, weights, batches=40):
    """Starts [M, 2] of many batches."""
    found, real = [], Windows.cut

    def cut(self, starts, *rest):
        found.append(starts)
        return real(self, starts, *rest)

    monkeypatch.setattr(Windows, "cut", cut)
    each = Batches(windows, 64, 1, 0, sources=[0, 1, 1], weights=weights)
    for step in range(batches):
        each.at(step, 4)
    return np.concatenate(found)


def test_by_default_each_window_is_as_likely(windows, monkeypatch):
    starts = drawn(windows, monkeypatch, None)
    own = (windows.starts()[:, 0] == 0).mean()
    assert (starts[:, 0] == 0).mean() == pytest.approx(own, abs=0.03)


def test_a_log_is_drawn_from_by_its_weight_and_its_windows_alike(windows, monkeypatch):
    starts = drawn(windows, monkeypatch, (1.0, 3.0))
    assert (starts[:, 0] == 0).mean() == pytest.approx(0.25, abs=0.03)
    assert (starts[:, 0] == 1).mean() == pytest.approx(0.375, abs=0.03)
    ticks = np.unique(starts[starts[:, 0] == 2, 1], return_counts=True)
    assert len(ticks[0]) == (windows.starts()[:, 0] == 2).sum()
    assert ticks[1].max() < 2 * ticks[1].min()


class Long:
    """Stands for windows of so many starts in each episode, and keeps those that are cut."""

    def __init__(self, *counts):
        self.counts, self.cuts = np.array(counts), []

    def starts(self, horizon):
        return Starts(self.counts, 5)

    def frame_ticks(self, starts, ticks, horizon):
        return ticks

    def cut(self, starts, *_):
        self.cuts.append(starts)


def test_weighted_starts_are_those_of_a_table_of_all_of_them():
    windows = Long(7, 0, 40, 13)
    each = Batches(windows, 500, 1, 3, sources=[0, 1, 1, 0], weights=(1.0, 3.0))
    each.at(11, 4)
    table, source = np.asarray(windows.starts(4)), np.array([0, 1, 1, 0])
    chance = np.array([1.0 / 20, 3.0 / 40])[source[table[:, 0]]]  # within a log all are alike
    drawn = np.random.Generator(np.random.Philox(key=[3, 11])).uniform(size=500)
    expected = table[np.searchsorted(np.cumsum(chance)[:-1] / chance.sum(), drawn, side="right")]
    np.testing.assert_array_equal(windows.cuts[0], expected)


def test_a_log_without_a_window_takes_no_share():
    windows = Long(0, 9)
    Batches(windows, 50, 1, 0, sources=[0, 1], weights=(5.0, 1.0)).at(0, 4)
    assert set(windows.cuts[0][:, 0]) == {1}


@pytest.mark.parametrize("weights", [None, (1.0, 3.0)])
def test_what_a_batch_takes_does_not_grow_with_the_log(weights):
    each = Batches(Long(10**12, 10**11), 8, 1, 0, sources=[0, 1], weights=weights)
    tracemalloc.start()
    each.at(0, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("weights", [None, (1.0, 3.0)])
def test_a_batch_depends_on_seed_and_step_alone(windows, weights):
    one, two = (Batches(windows, 8, 1, 3, sources=[0, 1, 1], weights=weights) for _ in range(2))
    one.at(0, 4)
    assert all(map(np.array_equal, jax.tree.leaves(one.at(5, 4)), jax.tree.leaves(two.at(5, 4))))
    assert not np.array_equal(one.at(5, 4)[0].values, one.at(6, 4)[0].values)
    streamed = two.stream(4, lambda _: 4)
    next(streamed)
    horizon, second = next(streamed)
    assert horizon == 4
    np.testing.assert_array_equal(second[0].values, one.at(5, 4)[0].values)

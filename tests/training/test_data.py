"""The statistics that a model is scaled by, and batches that depend on nothing but seed and step."""

import jax
import numpy as np
import pytest

from tests.oscillator import SPECS, write_log
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.training.data import Batches, measure_scaling
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    return Windows.of(Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 3)), TickLayout(0.02, SPECS), 20, 12)


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


def test_a_batch_depends_on_seed_and_step_alone(windows):
    one, again = (Batches(windows, 8, 1, 3).at(step, 12) for step in (5, 5))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    other = Batches(windows, 8, 1, 3).at(6, 12)
    assert (one[0].values != other[0].values).any()
    streamed = Batches(windows, 8, 1, 3).stream(4, lambda _: 12)
    next(streamed)
    _, second = next(streamed)
    np.testing.assert_array_equal(second[0].values, one[0].values)

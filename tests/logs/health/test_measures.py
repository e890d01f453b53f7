"""What checks share of an array is what each would have found in it."""

import numpy as np
import pytest

from tests.logs.health.build import record, sensor
from worldmodel.logs.health.measures import Intervals, Readings, columns_of, intervals_of
from worldmodel.types import Samples

COUNT = 70_000  # of several blocks, and parts
NOISE = np.random.default_rng(0).normal(size=COUNT)
CLIPPED = np.clip(NOISE, -1, 1.5)
HOLES = np.where(NOISE > 1, np.nan, NOISE)
ENDLESS = np.where(NOISE > 3, np.inf, NOISE)


@pytest.mark.parametrize(
    "values", [NOISE, CLIPPED, HOLES, ENDLESS, np.full(COUNT, 2.0), np.full(COUNT, np.nan), NOISE[:1]]
)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_readings(values, kind):
    values = values.astype(kind)
    readings = Readings(values)
    assert readings.finite == np.isfinite(values).all()
    np.testing.assert_array_equal(readings.ends, (np.fmin.reduce(values), np.fmax.reduce(values)))
    for side, end in enumerate(readings.ends):
        np.testing.assert_array_equal(readings.rows_at(side), np.flatnonzero(values == end))
    assert readings.repeats == (np.diff(values) == 0).sum()


@pytest.mark.parametrize(
    ("time", "ordered", "typical"),
    [
        ([0, 1, 2, 4], True, 1),
        ([0, 1, 1, 2], False, 1),
        ([0, np.nan, 2], False, 0),
        ([5], True, 0),
        ([3, 2, 1], False, 0),
    ],
)
def test_intervals(time, ordered, typical):
    intervals = Intervals(np.array(time, float))
    assert (intervals.ordered, intervals.typical) == (ordered, typical)


def test_what_was_replaced_is_measured_anew():
    recording = record((sensor("s", "a", [""]), np.arange(4.0), np.arange(4.0)))
    assert columns_of(recording, "s")[0].ends == (0, 3)
    assert columns_of(recording, "s") is columns_of(recording, "s")
    recording.samples["s"] = Samples(np.arange(3.0) * 2, np.arange(3.0)[:, None])
    assert columns_of(recording, "s")[0].ends == (0, 2)
    assert intervals_of(recording, "s").typical == 2

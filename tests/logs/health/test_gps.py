"""Fixes that are none, in other spellings, and where nothing could have gone."""

import numpy as np
import pytest

from tests.logs.health.build import gps, one, record, said
from worldmodel.errors import RecipeError
from worldmodel.logs.health.examination import examined

TIME = np.arange(200) / 10
TRACK = np.stack([45 + 1e-6 * np.arange(200), 7 + 1e-6 * np.arange(200), 200 + 0.01 * TIME], 1)


def drive(data, *more):
    return record((gps(*more), TIME, data))


def test_a_track_is_told_nothing_of():
    assert said(drive(TRACK), "gps") == []


def test_a_track_in_radians_is_told():
    data = TRACK * (np.pi / 180, np.pi / 180, 1)
    assert "are they radians" in one(drive(data), "gps: units").text


@pytest.mark.parametrize("none", [(0, 0), (90, 180), (91, 181), (-1, -1)])
def test_positions_that_are_none_are_left_out_and_counted(none):
    data = TRACK.copy()
    data[:50, :2] = none
    (done,) = examined(drive(data))
    assert done.samples["gps"].time[0] == 5.0
    np.testing.assert_array_equal(done.samples["gps"].data, TRACK[50:])
    assert [(f.check, f.severity, f.count, f.row) for f in done.findings] == [("gps: no position", "mask", 50, 0)]


def test_rows_that_the_receiver_calls_none_are_left_out_and_a_column_that_never_says_so_is_no_such_column():
    fix = np.where(np.arange(200) < 30, 1.0, 3.0)
    (done,) = examined(drive(np.column_stack([TRACK, fix]), ("fix_type", "")))
    assert len(done.samples["gps"].time) == 170
    (done,) = examined(drive(np.column_stack([TRACK, np.zeros(200)]), ("fix", "")))
    assert len(done.samples["gps"].time) == 200
    dop = np.where(np.arange(200) < 30, 99.99, 1.2)
    (done,) = examined(drive(np.column_stack([TRACK, dop]), ("hdop", "")))
    assert len(done.samples["gps"].time) == 170


@pytest.mark.parametrize(
    ("spelt", "cause"),
    [
        (TRACK * [1e7, 1e7, 1000], "1e-7 degrees"),
        (TRACK[:, [1, 0, 2]] + [100, 0, 0], "swapped"),
        (np.stack([4530.1234 + 1e-4 * np.arange(200), 730.5678 + 1e-4 * np.arange(200), TRACK[:, 2]], 1), "ddmm.mmmm"),
        (TRACK + [500, 77, 0], "no degrees"),
        (TRACK + [0, 200, 0], "from 0 to 360"),
    ],
)
def test_other_spellings_are_refused_with_the_likely_cause(spelt, cause):
    with pytest.raises(RecipeError, match=cause):
        examined(drive(spelt))


def test_a_few_fixes_beyond_the_globe_are_left_out():
    data = TRACK.copy()
    data[7, 0] = 245
    (done,) = examined(drive(data))
    assert [(f.check, f.count, f.row) for f in done.findings] == [("gps: range", 1, 7)]


def test_fixes_far_off_at_the_moment_of_lock_are_left_out():
    data = TRACK.copy()
    data[:12, :2] += [3.0, -40.0]
    (done,) = examined(drive(data))
    assert len(done.samples["gps"].time) == 188
    finding = done.findings[0]
    assert (finding.check, finding.count, finding.row) == ("gps: jumps", 12, 0)
    assert "3000" not in finding.text
    assert float(finding.text.split(" up to ")[1].split(" km")[0]) == pytest.approx(3120, rel=0.05)  # by cosines


def test_a_jump_that_the_receivers_own_speed_contradicts_is_left_out_and_a_fast_machine_is_not():
    speed = np.full(200, 2.0)
    data = np.column_stack([TRACK, speed])
    data[90:93, 0] += 0.002  # 222 m to the side for 0.3 s
    assert one(drive(data, ("speed", "m/s")), "gps: jumps").count == 3
    fast = TRACK.copy()
    fast[:, 0] += np.arange(200) * 20 / 111_000  # 200 m/s
    assert said(drive(fast), "gps: jumps") == []


def test_an_outage_in_which_it_moved_on_is_no_jump():
    data = TRACK.copy()
    data[100:, 0] += 0.02  # 2.2 km further
    time = np.where(np.arange(200) < 100, TIME, TIME + 120)
    assert said(record((gps(), time, data)), "gps: jumps") == []


def test_a_speed_in_another_unit_is_told():
    track = TRACK.copy()
    track[:, 0] += np.arange(200) * 2 / 111_195  # 20 m/s
    for factor, count in ((1.0, 0), (3.6, 1), (1 / 3.6, 1)):
        data = np.column_stack([track, np.full(200, 20.0 * factor)])
        assert len(said(drive(data, ("speed", "m/s")), "gps: speed")) == count

"""Clocks with the faults of real ones: what is dropped and counted, cut, sorted, or refused with the cause."""

import numpy as np
import pytest

from tests.logs.health.build import action, noise, one, record, said, sensor
from worldmodel.errors import RecipeError
from worldmodel.logs.health.examination import examined
from worldmodel.logs.ingest.recording import nominal_rate

WHEEL = sensor("wheel", ["speed"], ["m/s"], 10.0)
TIME = np.arange(300) / 10


def wheel(time, data=None):
    return record((WHEEL, time, noise(len(time)) if data is None else data))


def test_a_clean_clock_is_told_nothing_of():
    assert said(wheel(TIME), "clock") == []


def test_episodes_that_follow_each_other_in_one_table_are_cut():
    time = np.tile(np.arange(200) / 10, 6)
    parts = examined(record((WHEEL, time, noise(1200)), (action("u", ["u"], rate_hz=10.0), time, noise(1200, seed=1))))
    assert [part.name for part in parts] == [f"drive part {i}" for i in range(1, 7)]
    for part in parts:
        np.testing.assert_allclose(part.samples["wheel"].time, np.arange(200) / 10)
        np.testing.assert_allclose(part.samples["u"].time, np.arange(200) / 10)
    assert [f.severity for part in parts for f in part.findings] == ["cut"]
    assert parts[0].findings[0].count == 5
    assert parts[0].findings[0].row == 200


def test_a_clock_that_is_set_back_begins_another_episode():
    recording = wheel(np.concatenate([TIME, TIME + 29.9 - 90]))
    recording.origin_utc = 1.78e9
    first, second = examined(recording)
    assert len(first.samples["wheel"].time) == len(second.samples["wheel"].time) == 300
    assert second.origin_utc == pytest.approx(1.78e9 + 29.9 - 90)


def test_a_clock_that_is_set_to_the_date_is_cut_there_and_the_first_part_has_no_date():
    recording = wheel(np.concatenate([TIME, TIME + 1.78e9]))
    recording.origin_utc = 5.0
    first, second = examined(recording)
    assert np.isnan(first.origin_utc)
    assert second.origin_utc == pytest.approx(1.78e9 + 5)
    np.testing.assert_allclose(second.samples["wheel"].time, TIME, atol=1e-6)


def test_streams_with_a_clock_each_that_go_back_at_different_rows_are_cut_together():
    fast, slow = np.tile(np.arange(100) / 100, 2), np.tile(np.arange(10) / 10, 2)
    parts = examined(record((sensor("fast", ["a"], [""]), fast, noise(200)), (WHEEL, slow, noise(20, seed=1))))
    assert [len(part.samples["fast"].time) for part in parts] == [100, 100]
    assert [len(part.samples["wheel"].time) for part in parts] == [10, 10]


def test_streams_of_which_only_one_goes_back_are_refused():
    with pytest.raises(RecipeError, match=r"1 in fast, 0 in wheel"):
        examined(
            record((sensor("fast", ["a"], [""], 10.0), np.tile(TIME, 2), noise(600)), (WHEEL, TIME, noise(300, seed=1)))
        )


def test_an_hour_without_any_stream_parts_episodes_and_one_that_goes_on_does_not():
    later = np.concatenate([TIME, TIME + 5000])
    assert len(examined(wheel(later))) == 2
    steady = sensor("battery", ["v"], ["V"], 0.1)
    assert len(examined(record((WHEEL, later, noise(600)), (steady, np.arange(0, 5020, 10.0), noise(502))))) == 1


def test_minutes_of_nothing_are_told_and_kept():
    recording = wheel(np.concatenate([TIME, TIME + 200]))
    assert one(recording, "clock: silence").row == 300
    assert len(examined(recording)) == 1


def test_a_few_repeats_are_left_out_and_counted():
    time = TIME.copy()
    time[[50, 100]] = time[[49, 99]]
    (done,) = examined(wheel(time))
    assert len(done.samples["wheel"].time) == 298
    assert [(f.check, f.count, f.row) for f in done.findings] == [("clock: repeats", 2, 50)]


@pytest.mark.parametrize(
    ("time", "cause"),
    [
        (np.floor(TIME), "whole seconds"),
        (np.full(300, 5.0), "spreadsheet"),
        (np.floor(TIME * 4) / 4, "0.25 s apart"),
    ],
)
def test_many_repeats_are_refused_with_the_cause(time, cause):
    with pytest.raises(RecipeError, match=cause):
        examined(wheel(time))


def test_rows_that_were_written_twice_are_one_sample_however_many():
    data = noise(300)
    (done,) = examined(wheel(np.repeat(TIME, 3), np.repeat(data, 3, axis=0)))
    np.testing.assert_array_equal(done.samples["wheel"].data, data)
    assert one(done.findings and wheel(np.repeat(TIME, 3), np.repeat(data, 3, axis=0)), "clock: written").count == 600


def test_rows_that_overtook_each_other_are_sorted():
    order = np.arange(300)
    order[[40, 41]] = [41, 40]
    data = noise(300)
    (done,) = examined(wheel(TIME[order], data[order]))
    np.testing.assert_array_equal(done.samples["wheel"].data, data)
    np.testing.assert_array_equal(done.samples["wheel"].time, TIME)
    assert [f.severity for f in done.findings] == ["sort"]


def test_a_stray_stamp_in_the_future_costs_that_row_and_not_all_that_follow():
    time = TIME.copy()
    time[100] = 1e6
    (done,) = examined(wheel(time))
    assert len(done.samples["wheel"].time) == 299
    assert [(f.check, f.row) for f in done.findings] == [("clock: stray stamps", 100)]


def test_rows_without_a_time_are_left_out_and_counted():
    time = TIME.copy()
    time[:7] = np.nan
    (done,) = examined(wheel(time))
    assert [(f.check, f.count) for f in done.findings] == [("clock: no time", 7)]


@pytest.mark.parametrize(
    ("factor", "unit"), [(1e3, "ms"), (1e6, "us"), (1e9, "ns"), (1 / 86400, "days"), (1 / 60, "minutes")]
)
def test_a_rate_that_another_unit_explains_is_refused_with_that_unit(factor, unit):
    finding = one(wheel(TIME * factor), "clock: rate")
    assert finding.severity == "refuse"
    assert f'unit = "{unit}" would fit' in finding.remedy


def test_a_rate_that_is_apart_by_two_is_refused_and_of_commands_it_is_told():
    assert one(wheel(TIME * 2.1), "clock: rate").severity == "refuse"
    assert said(wheel(TIME * 1.8), "clock: rate") == []
    late = record((action("u", ["u"], rate_hz=10.0), TIME * 2.1, noise(300)))
    assert one(late, "clock: rate").severity == "warn"


def test_commands_that_are_written_when_they_change_have_no_rate_to_be_told_of():
    time = np.cumsum(np.random.default_rng(0).lognormal(0, 1.8, 300))
    for rate_hz in (0.01, 10.0):
        assert said(record((action("u", ["u"], rate_hz=rate_hz), time, noise(300))), "clock: rate") == []
    off = one(record((action("u", ["u"], rate_hz=1.0), time * 1e3, noise(300))), "clock: rate")
    assert "ms" in off.remedy
    assert off.severity == "refuse"


def test_a_door_that_is_written_when_it_changes_has_no_rate_and_is_told():
    """One of a log's recordings in which it moved more rarely had to be mended before any could be trained on."""
    time, door = np.cumsum(np.random.default_rng(0).lognormal(3, 1, 20)), np.arange(20) % 2
    slower = sensor("door", ["open"], [""], rate_hz=3 * 20 / time[-1])
    assert said(record((slower, time, door)), "clock: rate") == []
    told = one(record((slower, time, door)), "values: on change")
    assert told.severity == "warn"
    assert "action" in told.remedy
    off = one(
        record((sensor("door", ["open"], [""], rate_hz=19 / (time[-1] - time[0])), time * 1e3, door)), "clock: rate"
    )
    assert off.severity == "refuse"  # in milliseconds
    for data in (np.arange(20), np.zeros(20)):  # a reading that takes any value, and one that is written again
        assert said(record((slower, time, data)), "values: on change") == []
    assert said(record((slower, 10.0 * np.arange(20), door)), "values: on change") == []


def test_the_rate_is_that_of_a_streams_own_samples_and_not_of_the_rows_of_its_table():
    data = np.where(np.arange(300) % 10 == 0, 1.0 + np.arange(300), np.nan)
    assert said(record((sensor("gps_speed", ["v"], ["m/s"], 1.0), TIME, data)), "clock") == []


def test_bursts_and_outages_are_no_other_rate():
    bursts = (np.arange(300) // 10) + (np.arange(300) % 10) * 1e-3  # ten at once, once a second: 10 Hz in the mean
    assert said(wheel(bursts), "clock: rate") == []
    outage = np.concatenate([TIME[:100], TIME[:100] + 59])  # 10 Hz in the median
    assert said(wheel(outage), "clock: rate") == []


def test_streams_that_never_meet_are_refused_where_their_clocks_are_hours_apart():
    other = sensor("imu", ["a"], ["m/s^2"], 10.0)

    def apart(seconds):
        return record((WHEEL, TIME, noise(300)), (other, TIME + seconds, noise(300, seed=1)))

    assert one(apart(1e5), "clock: apart").severity == "refuse"
    assert one(apart(50), "clock: apart").severity == "warn"
    assert said(apart(20), "clock: apart") == []


def test_the_rate_that_importers_measure_does_not_mind_what_is_wrong_with_a_clock():
    assert nominal_rate(TIME) == 10
    assert nominal_rate(np.concatenate([TIME, TIME - 90, TIME + 1e9, [np.nan]])) == 10
    assert nominal_rate(TIME[:1]) == nominal_rate(np.zeros(5)) == 1

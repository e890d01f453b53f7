"""Clocks that nothing ties together: how much they differ, where streams on both tell the same motion."""

import re

import numpy as np
import pytest

from tests.logs.health.build import action, gps, noise, one, record, said, sensor
from worldmodel.logs.health.offsets import measured_offset
from worldmodel.logs.ingest.recording import StampedBy

TIME = np.arange(6000) / 100
GYRO = sensor("gyro", "xyz", ["rad/s"] * 3)
ACCELEROMETER = sensor("accelerometer", "xyz", ["m/s^2"] * 3)


def wander(seed, seconds):
    """A motion that never repeats, of standard deviation 1, as smooth as a mean over so many seconds."""
    window = np.hanning(int(100 * seconds) + 2)
    motion = np.convolve(np.random.default_rng(seed).normal(size=len(TIME) + len(window) - 1), window, "valid")
    return (motion - motion.mean()) / motion.std()


TURN, SPEED = 0.3 * wander(1, 2.0), 10 + 1.5 * wander(2, 5.0)
HEADING = np.cumsum(TURN) / 100


def felt(values, column):
    data = 0.02 * noise(len(TIME), 3, seed=column)
    data[:, column] += values
    return data


def fixes():
    east, north = np.cumsum(SPEED * np.cos(HEADING)) / 100, np.cumsum(SPEED * np.sin(HEADING)) / 100
    place = np.stack([45 + north / 111_195, 7 + east / 111_195 / np.cos(np.pi / 4), 200 + 0 * TIME], 1)
    return gps(), TIME[::10], place[::10]


def wheel(kind=sensor):
    return kind("wheel", ["speed"], ["m/s"], rate_hz=20.0), TIME[::5], SPEED[::5] + 0.01 * noise(1200, seed=7)[:, 0]


YAW = sensor("compass", ["heading"], ["rad"], rate_hz=20.0, circular=(True,)), TIME[::5], HEADING[::5] % (2 * np.pi)
PAIRS = {
    "gyro and course": ((GYRO, TIME, felt(TURN, 2)), fixes()),
    "gyro and heading": ((GYRO, TIME, felt(TURN, 1)), YAW),
    "accelerometer and speed": ((ACCELEROMETER, TIME, felt(-np.gradient(SPEED, 0.01), 0)), wheel()),
    "one column in both": ((sensor("can", ["speed"], ["m/s"]), TIME, SPEED[:, None]), wheel(action)),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("behind_s", [1.7e9, 12.5, -7.25])
def test_what_two_streams_tell_of_one_motion_measures_the_offset_of_their_clocks(pair, behind_s):
    (spec, time, data), other = PAIRS[pair]
    recording = record((spec, time - behind_s, data), other)
    offset = measured_offset(recording, [spec.name], [other[0].name])
    assert offset.behind_s == pytest.approx(behind_s, abs=0.04)
    assert offset.correlation > 0.8
    assert offset.next_best < 0.75


def test_a_motion_that_repeats_and_one_of_another_machine_measure_nothing():
    laps = np.tile(wander(3, 0.5)[:1500], 4)
    fast = np.tile(wander(3, 0.5)[:1500], 4) + 0.02 * noise(len(TIME), seed=4)[:, 0]
    columns = sensor("can", ["speed"], ["m/s"]), sensor("other", ["speed"], ["m/s"])
    repeated = record((columns[0], TIME, laps), (columns[1], TIME, fast))
    assert measured_offset(repeated, ["can"], ["other"]) is None
    unlike = record((GYRO, TIME, felt(wander(5, 2.0), 2)), fixes())
    assert measured_offset(unlike, ["gyro"], ["gps"]) is None


@pytest.mark.parametrize(("rows", "seconds"), [(1000, 4.0), (2000, 4.0), (3000, 8.0), (6000, 8.0)])
def test_few_slow_motions_measure_nothing(rows, seconds):
    """Of which some would go alike at some offset by chance."""
    told = 0
    for seed in range(20):
        own, other = wander(100 + seed, seconds)[:rows], wander(200 + seed, seconds)[:rows]
        columns = sensor("can", ["speed"], ["m/s"]), sensor("gps_speed", ["speed"], ["m/s"])
        recording = record(*((spec, TIME[:rows], data) for spec, data in zip(columns, (own, other), strict=True)))
        told += measured_offset(recording, ["can"], ["gps_speed"]) is not None
    assert told == 0


def test_an_offset_of_any_size_is_told_between_clocks_that_are_known_to_be_others():
    (spec, time, data), other = PAIRS["gyro and course"]
    recording = record((spec, time - 12.5, data), other)
    assert said(recording, "clock: offset") == []
    recording.clocks = {"gyro": StampedBy("imu.csv", 0.5), "gps": StampedBy("gps.csv")}
    finding = one(recording, "clock: offset")
    assert float(re.search(r"it is (\S+) s later", finding.text)[1]) == pytest.approx(12.5, abs=0.04)
    assert float(re.search(r"lag_s = (\S+) of gps", finding.text)[1]) == pytest.approx(12.5, abs=0.04)
    recording.clocks = {"gps": StampedBy("gps.csv"), "gyro": StampedBy("imu.csv", 0.5)}
    (finding,) = said(recording, "clock: offset")
    assert float(re.search(r"lag_s = (\S+) of gyro", finding.text)[1]) == pytest.approx(0.5 - 12.5, abs=0.04)


def test_an_offset_is_told_once_whatever_else_would_tell_it():
    gyro, course = PAIRS["gyro and course"]
    acceleration, speed = PAIRS["accelerometer and speed"]
    late = [(spec, time + 0.4, data) for spec, time, data in (course, speed)]
    recording = record(gyro, acceleration, *late)
    recording.clocks = {
        name: StampedBy("imu" if name in ("gyro", "accelerometer") else "gps") for name in recording.specs
    }
    assert one(recording, "clock: offset").stream == "gps"


def test_streams_of_one_clock_that_never_meet_the_others_are_refused_with_the_offset_that_is_measured():
    gyro, course = PAIRS["gyro and course"]
    accelerometer = (ACCELEROMETER, TIME, felt(0 * TIME, 0))
    recording = record(gyro, accelerometer, (course[0], course[1] + 1.7e9, course[2]))
    recording.origin_utc = 0.0  # the fixes have dates
    finding = one(recording, "clock: apart")
    assert finding.severity == "refuse"
    assert finding.stream == "gyro, accelerometer"
    added, correlation = re.search(r"add (\S+) s to the times.*correlation of (\S+),", finding.remedy).groups()
    assert float(added) == pytest.approx(1.7e9, abs=0.04)
    assert float(correlation) > 0.9
    unknown = record(accelerometer, (course[0], course[1] + 1.7e9, course[2]))
    unknown.clocks = {"accelerometer": StampedBy("imu.csv"), "gps": StampedBy("gps.csv")}
    assert 'origin = "recording"' in one(unknown, "clock: apart").remedy


@pytest.mark.parametrize(("clocks", "severity"), [(("a", "b"), "refuse"), (("a", "a"), "warn"), ((), "warn")])
def test_clocks_of_their_own_that_never_meet_are_refused_however_near(clocks, severity):
    first, second = (sensor(name, ["x"], ["m"]) for name in ("left", "right"))
    recording = record((first, TIME, noise(len(TIME))), (second, TIME + 100, noise(len(TIME), seed=1)))
    recording.clocks = {name: StampedBy(clock) for name, clock in zip(("left", "right"), clocks, strict=False)}
    assert one(recording, "clock: apart").severity == severity
    before = record((first, TIME, noise(len(TIME))), (second, np.array([60.5, 61]), noise(2)))  # such as commands
    before.clocks = recording.clocks
    assert one(before, "clock: apart").severity == "warn"
    recording.clocks = {name: clock._replace(dated=True) for name, clock in recording.clocks.items()}
    assert one(recording, "clock: apart").severity == "warn"

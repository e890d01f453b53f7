"""PX4 ULog: files made here by its specification, and real ones beside what pyulog says of them."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import fuzz
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import ulog
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data")) / "px4"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real PX4 logs are not at {REAL}")
START = 5_000_000  # microseconds since boot
UTC = 1_700_000_000_000_000
KINDS = {"f": "float", "d": "double", "i": "int32_t", "I": "uint32_t", "Q": "uint64_t", "B": "uint8_t"}
IMU = [("gyro_rad", "3f"), ("accelerometer_timestamp_relative", "i"), ("accelerometer_m_s2", "3f")]
OLD_GPS = [("time_utc_usec", "Q"), ("lat", "i"), ("lon", "i"), ("alt", "i"), ("eph", "f"), ("fix_type", "B")]
NEW_GPS = [
    ("latitude_deg", "d"), ("longitude_deg", "d"), ("altitude_msl_m", "d"), ("altitude_ellipsoid_m", "d"),
    ("fix_type", "B"), ("vel_n_m_s", "f"), ("vel_e_m_s", "f"), ("vel_d_m_s", "f"),
]  # fmt: skip


def message(kind, content):
    return struct.pack("<Hc", len(content), kind.encode()) + content


class Builder:
    """A ULog, message by message: https://docs.px4.io/main/en/dev_log/ulog_file_format.html."""

    def __init__(self, start=START):
        self.head = b"ULog\x01\x12\x35\x01" + struct.pack("<Q", start)
        self.formats, self.data, self.appended, self.layouts = b"", b"", b"", []

    def topic(self, name, fields, instance=0):
        """A function that writes a message of this topic: its stamp, and its values."""
        fields = [("timestamp", "Q"), *fields]
        told = "".join(f"{KINDS[c[-1]]}{f'[{c[:-1]}]' if c[:-1] else ''} {f};" for f, c in fields)
        self.formats += message("F", f"{name}:{told}".encode())
        number, layout = len(self.layouts), "<H" + "".join(code for _, code in fields)
        self.layouts.append(layout)
        self.data += message("A", struct.pack("<BH", instance, number) + name.encode())
        return lambda at, *values: self.write(message("D", struct.pack(layout, number, at, *values)))

    def write(self, content):
        self.data += content

    def save(self, path):
        """What was written, and behind it what was appended when the log was whole already."""
        at = len(self.head) + 3 + 40 + len(self.formats) + len(self.data)
        flags = struct.pack("<8B8B3Q", *[0] * 8, bool(self.appended), *[0] * 7, at if self.appended else 0, 0, 0)
        path.write_bytes(self.head + message("B", flags) + self.formats + self.data + self.appended)
        return path


def read(path):
    (recording,) = ulog.read(path, Options())
    return recording


def noted(recording, *words):
    return any(all(word in note for word in words) for note in recording.notes)


def test_the_imu_and_its_clocks(tmp_path):
    """The accelerometer is 2 ms behind the gyro; where it has no new reading its offset says so."""
    log = Builder()
    imu = log.topic("sensor_combined", IMU)
    for i in range(10):
        imu(START + 4000 * i, 0.1, 0.2, i, 0x7FFFFFFF if i == 3 else 2000, 1, 2, -9.8)
    recording = read(log.save(tmp_path / "a.ulg"))
    gyro, accelerometer = recording.samples["gyro"], recording.samples["accelerometer"]
    np.testing.assert_allclose(gyro.time, 0.004 * np.arange(10), atol=1e-9)
    np.testing.assert_allclose(gyro.data[:, 2], np.arange(10))
    np.testing.assert_allclose(accelerometer.time, 0.002 + 0.004 * np.delete(np.arange(10), 3), atol=1e-9)
    np.testing.assert_allclose(accelerometer.data, [[1, 2, -9.8]] * 9, atol=1e-6)
    assert noted(recording, "accelerometer: 1 of 10")


def test_a_reading_that_comes_again_with_a_faster_sensor_is_one(tmp_path):
    """The magnetometer's reading of every other message is the one before: its stamp says so."""
    log = Builder()
    imu = log.topic("sensor_combined", [("magnetometer_timestamp_relative", "i"), ("magnetometer_ga", "3f")])
    for i in range(8):
        imu(START + 4000 * i, -4000 * (i % 2), i // 2, 0, 1)
    recording = read(log.save(tmp_path / "a.ulg"))
    np.testing.assert_allclose(recording.samples["magnetometer"].time, 0.008 * np.arange(4), atol=1e-9)
    np.testing.assert_allclose(recording.samples["magnetometer"].data[:, 0], 1e-4 * np.arange(4), rtol=1e-6)
    assert noted(recording, "magnetometer: 4 of 8", "repeat")


def test_the_older_fields_of_gps(tmp_path):
    log = Builder()
    gps = log.topic("vehicle_gps_position", OLD_GPS)
    rows = [(0, 0, 0, 0), (0, 0, 0, 3), (473_977_419, 85_455_942, 488_004, 1), (-473_977_419, 85_455_942, 488_004, 3)]
    for i, (lat, lon, alt, fix) in enumerate(rows):
        gps(START + 200_000 * i, UTC + 200_000 * i, lat, lon, alt, 1.5, fix)
    recording = read(log.save(tmp_path / "a.ulg"))
    np.testing.assert_allclose(recording.samples["gps"].data, [[-47.3977419, 8.5455942, 488.004, 1.5]], rtol=1e-9)
    assert recording.specs["gps"].columns[3] == "horizontal_accuracy"
    assert noted(recording, "gps: 3 of 4 messages are no fix")
    assert recording.origin_utc == pytest.approx(UTC / 1e6 + 0.6, abs=1e-5)


def test_the_newer_fields_of_gps_and_two_receivers(tmp_path):
    log = Builder()
    for instance in range(2):
        gps = log.topic("sensor_gps", NEW_GPS, instance)
        for i in range(3):
            gps(START + 100_000 * i, 47.5 + instance, 8.5, 488, 535, 3, 1, 2, -3)
    recording = read(log.save(tmp_path / "a.ulg"))
    for name, latitude in (("gps", 47.5), ("gps_1", 48.5)):
        np.testing.assert_array_equal(recording.samples[name].data, [[latitude, 8.5, 535]] * 3)
    assert recording.specs["gps_velocity"].columns == ("velocity_north", "velocity_east", "velocity_down")
    np.testing.assert_array_equal(recording.samples["gps_velocity"].data, [[1, 2, -3]] * 3)
    assert np.isnan(recording.origin_utc)


def test_attitude_and_actuators(tmp_path):
    """Readings have the time when they were measured, commands that when they were given."""
    log = Builder()
    attitude = log.topic("vehicle_attitude", [("timestamp_sample", "Q"), ("q", "4f")])
    motors = log.topic("actuator_motors", [("timestamp_sample", "Q"), ("control", "12f")])
    outputs = log.topic("actuator_outputs", [("noutputs", "I"), ("output", "16f")], 1)
    for i in range(5):
        at = START + 10_000 * i
        attitude(at, at - 3000, 1, 0, 0, 0)
        motors(at, at - 3000, *[0.1 * i] * 4, *[np.nan] * 8)
        outputs(at, 2, *range(1000, 1016))
    recording = read(log.save(tmp_path / "a.ulg"))
    assert recording.specs["attitude"].kind == "orientation"
    assert recording.specs["motors"].columns == ("motor_1", "motor_2", "motor_3", "motor_4")
    assert recording.specs["outputs_1"].columns == ("output_1", "output_2")
    assert {recording.specs[name].kind for name in ("motors", "outputs_1")} == {"action"}
    np.testing.assert_allclose(recording.samples["attitude"].time, 0.01 * np.arange(5), atol=1e-9)
    np.testing.assert_allclose(recording.samples["motors"].time, 0.003 + 0.01 * np.arange(5), atol=1e-9)
    assert noted(recording, "stamped when measured", "attitude 3.0")


def test_the_message_that_came_most_makes_a_stream(tmp_path):
    log = Builder()
    chosen = log.topic("vehicle_magnetometer", [("magnetometer_ga", "3f")])
    raw = log.topic("sensor_mag", [(axis, "f") for axis in "xyz"])
    other = log.topic("cpuload", [("load", "f")])
    for i in range(4):
        chosen(START + 20_000 * i, 0.2, 0, 0.4)
    raw(START, 1, 1, 1)
    other(START, 0.5)
    recording = read(log.save(tmp_path / "a.ulg"))
    np.testing.assert_allclose(recording.samples["magnetometer"].data, [[2e-5, 0, 4e-5]] * 4, rtol=1e-6)
    assert noted(recording, "magnetometer", "fewer sensor_mag")
    assert noted(recording, "no stream is made of", "cpuload")


def test_appended_sections_dropouts_and_stale_messages(tmp_path):
    """The bus still held an old command when the log began."""
    log = Builder()
    outputs = log.topic("actuator_outputs", [("noutputs", "I"), ("output", "16f")])
    outputs(START - 3_000_000, 1, *[900] * 16)
    for i in range(3):
        outputs(START + 100_000 * i, 1, *[1000] * 16)
    log.write(message("O", struct.pack("<H", 250)))
    subscription = message("A", struct.pack("<BH", 0, 0) + b"actuator_outputs")
    log.appended = subscription + message("D", struct.pack(log.layouts[0], 0, START + 500_000, 1, *[1100] * 16))
    recording = read(log.save(tmp_path / "a.ulg"))
    np.testing.assert_allclose(recording.samples["outputs"].time, [0, 0.1, 0.2, 0.5], atol=1e-9)
    assert recording.samples["outputs"].data[-1] == 1100
    assert noted(recording, "1 dropouts", "250 ms")
    assert noted(recording, "1 messages from before the log began")


def test_sizes_are_checked_before_allocation(tmp_path):
    log = Builder()
    log.topic("sensor_combined", IMU)(START, *[0] * 7)
    log.formats = message("F", b"a:float[60000] x;") + message("F", b"sensor_combined:uint64_t timestamp;a[60000] y;")
    with pytest.raises(RecipeError, match="60000 fields"):
        read(log.save(tmp_path / "a.ulg"))


def test_a_log_without_a_stream_is_refused(tmp_path):
    log = Builder()
    log.topic("cpuload", [("load", "f")])(START, 0.5)
    with pytest.raises(RecipeError, match=r"has no samples[\s\S]*cpuload"):
        read(log.save(tmp_path / "a.ulg"))


def test_damage_ends_in_a_named_error(tmp_path):
    log = Builder()
    imu, gps = log.topic("sensor_combined", IMU), log.topic("vehicle_gps_position", OLD_GPS)
    for i in range(5):
        imu(START + 4000 * i, *[0] * 7)
        gps(START + 4000 * i, UTC, 473_977_419, 85_455_942, 488_004, 1.5, 3)
    found = fuzz("ulog", log.save(tmp_path / "a.ulg"), 300, 0, tmp_path / "kept", Options((4, 4), scratch=tmp_path))
    assert set(found) == {"read", "refused"}


@needs_real
@pytest.mark.parametrize("name", ["foxglove_test_ulog", "sample_appended_multiple", "sample_log_small"])
def test_real_logs_are_as_pyulog_reads_them(name):
    from pyulog import ULog

    recording, log = read(REAL / f"{name}.ulg"), ULog(str(REAL / f"{name}.ulg"))
    imu = log.get_dataset("sensor_combined").data
    np.testing.assert_array_equal(recording.samples["gyro"].data[:, 1], imu["gyro_rad[1]"])
    np.testing.assert_allclose(np.diff(recording.samples["gyro"].time), np.diff(imu["timestamp"]) / 1e6, atol=1e-6)
    assert abs(np.median(np.linalg.norm(recording.samples["accelerometer"].data, axis=1)) - 9.8) < 0.5
    np.testing.assert_allclose(np.linalg.norm(recording.samples["attitude"].data, axis=1), 1, atol=1e-3)
    assert recording.samples["gyro"].time[-1] < 11


@needs_real
def test_real_fixes_begin_where_the_receiver_has_one(tmp_path):
    from pyulog import ULog

    source = REAL / "sample_logging_tagged_and_default_params.ulg"
    ingest(source, tmp_path / "log.h5", progress=False)
    (episode,) = Log(tmp_path / "log.h5").episodes
    fixes = ULog(str(source)).get_dataset("vehicle_gps_position").data
    good = fixes["fix_type"] >= 2
    np.testing.assert_allclose(episode.streams["gps"].data[:, 0], fixes["lat"][good] * 1e-7, rtol=1e-12)
    told = episode.origin_utc + episode.streams["gps"].time
    np.testing.assert_allclose(told, fixes["time_utc_usec"][good] / 1e6, atol=1e-3)

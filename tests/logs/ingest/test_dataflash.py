"""ArduPilot's logs of several generations, written here by their own description, in binary and in text."""

import struct

import numpy as np
import pytest

from tests.fuzz import fuzz
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats import dataflash
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant

CODES = {
    "Q": "Q",
    "B": "B",
    "I": "I",
    "H": "H",
    "c": "h",
    "C": "H",
    "L": "i",
    "e": "i",
    "f": "f",
    "n": "4s",
    "Z": "64s",
}
SCALES = {"c": 100, "C": 100, "e": 100, "L": 1e7}
WEEK, MS = 2290, 86_400_000  # 2023-11-27 00:00:00 GPS time, which is 18 s less in UTC
UTC = 1_701_043_182
GPS = ("GPS", "QBBIHBcLLeff", "TimeUS,I,Status,GMS,GWk,NSats,HDop,Lat,Lng,Alt,Spd,GCrs")
IMU = ("IMU", "QBffffff", "TimeUS,I,GyrX,GyrY,GyrZ,AccX,AccY,AccZ")
ATT = ("ATT", "Qccccccff", "TimeUS,DesRoll,Roll,DesPitch,Pitch,DesYaw,Yaw,ErrRP,ErrYaw")
MAG = ("MAG", "QBfff", "TimeUS,I,MagX,MagY,MagZ")
BARO = ("BARO", "QBff", "TimeUS,I,Alt,Press")
RCIN = ("RCIN", "QHH", "TimeUS,C1,C2")
RCOU = ("RCOU", "QHHH", "TimeUS,C1,C2,C3")
MODE = ("MODE", "QB", "TimeUS,Mode")
OLD_GPS = ("GPS", "BIHBcLLeeEeI", "Status,TimeMS,Week,NSats,HDop,Lat,Lng,RelAlt,Alt,Spd,GCrs,T")
OLD_IMU = ("IMU2", "Iffffff", "TimeMS,GyrX,GyrY,GyrZ,AccX,AccY,AccZ")


def write(path, messages):
    """A log of (layout, values), as binary or, if the path ends so, as text."""
    return (_write_text if path.suffix == ".log" else _write_binary)(path, messages)


def _packed(codes, values):
    packed = [
        round(value * SCALES[code]) if code in SCALES else value for code, value in zip(codes, values, strict=True)
    ]
    return struct.pack("<" + "".join(CODES[code] for code in codes), *packed)


def _write_binary(path, messages):
    fmt = ("FMT", "BBnNZ", "Type,Length,Name,Format,Columns")
    kinds = {layout: 130 + i for i, layout in enumerate(dict.fromkeys(layout for layout, _ in messages))}
    content = b""
    for (name, codes, columns), kind in ({fmt: 128} | kinds).items():
        length = 3 + struct.calcsize("<" + "".join("16s" if c == "N" else CODES[c] for c in codes))
        told = struct.pack("<BB4s16s64s", kind, length, name.encode(), codes.encode(), columns.encode())
        content += b"\xa3\x95\x80" + told
    for layout, values in messages:
        content += b"\xa3\x95" + bytes([kinds[layout]]) + _packed(layout[1], values)
    path.write_bytes(content)
    return path


def _write_text(path, messages):
    lines = ["FMT, 128, 89, FMT, BBnNZ, Type,Length,Name,Format,Columns"]
    for i, (name, codes, columns) in enumerate(dict.fromkeys(layout for layout, _ in messages)):
        lines.append(f"FMT, {130 + i}, 50, {name}, {codes}, {columns}")
    lines += [", ".join([layout[0], *map(str, values)]) for layout, values in messages]
    path.write_text("\n".join(lines) + "\n")
    return path


def flight(count=5):
    for i in range(count):
        us = 1_000_000 + 100_000 * i
        yield IMU, (us, 0, 0.1, 0.0, float(i), 0.0, 0.0, -9.5)
        yield IMU, (us, 1, 0.2, 0.0, float(i), 0.0, 0.0, -9.5)
        place = (47.5, 8.5) if i else (0.0, 0.0)
        yield GPS, (us, 0, 3 if i > 1 else 1, MS + 100 * i, WEEK, 9, 0.8, *place, 500.25, 2.0, 90.0)
        yield ATT, (us, 0, 0, 0, 0, 0, 90.0, 0.0, 0.0)
        yield MAG, (us, 0, 200.0, 0.0, 400.0)
        yield BARO, (us, 0, 12.0, 101325.0)
        yield RCIN, (us, 1500, 1100 + i)
        yield RCOU, (us, 1000, 1200 + i, 0)
        yield MODE, (us, 4)


def read(path):
    (recording,) = dataflash.read(path, Options())
    return recording


def noted(recording, *words):
    return any(all(word in note for word in words) for note in recording.notes)


@pytest.mark.parametrize("name", ["flight.bin", "flight.log"])
def test_a_flight(tmp_path, name):
    path = write(tmp_path / name, list(flight()))
    assert claimant(path) == "dataflash"
    recording, steps = read(path), np.arange(5)
    half = np.sqrt(0.5)
    expected = {
        "gyro": ("sensor", [[0.1, 0, i] for i in steps]),
        "gyro_1": ("sensor", [[0.2, 0, i] for i in steps]),
        "accelerometer": ("sensor", [[0, 0, -9.5]] * 5),
        "accelerometer_1": ("sensor", [[0, 0, -9.5]] * 5),
        "attitude": ("orientation", [[half, 0, 0, half]] * 5),
        "magnetometer": ("sensor", [[2e-5, 0, 4e-5]] * 5),
        "barometer": ("sensor", [[101325]] * 5),
        "rc_in": ("action", [[1500, 1100 + i] for i in steps]),
        "outputs": ("action", [[1000, 1200 + i, 0] for i in steps]),
        "gps": ("gps", [[47.5, 8.5, 500.25, 2, np.pi / 2]] * 3),
    }
    assert set(recording.samples) == set(expected)
    for stream, (kind, data) in expected.items():
        assert recording.specs[stream].kind == kind
        np.testing.assert_allclose(recording.samples[stream].data, data, atol=1e-6, err_msg=stream)
    np.testing.assert_allclose(recording.samples["gyro"].time, 0.1 * steps, atol=1e-9)
    np.testing.assert_allclose(recording.samples["gps"].time, [0.2, 0.3, 0.4], atol=1e-9)
    assert recording.origin_utc == pytest.approx(UTC, abs=1e-3)
    assert noted(recording, "gps: 2 of 5")
    assert noted(recording, "no stream is made of", "MODE")


def test_an_older_generation(tmp_path):
    """Milliseconds; the second IMU by its name; the time of the week beside the time since boot."""
    messages = [(OLD_IMU, (1000 + 20 * i, 0.0, 0.0, 0.5, 0.0, 0.0, -9.5)) for i in range(4)]
    messages += [
        (OLD_GPS, (3, MS + 500 * i, WEEK, 9, 1.0, 47.5, 8.5, 3.0, 500.0, 1, 90, 1000 + 500 * i)) for i in (0, 1)
    ]
    recording = read(write(tmp_path / "old.log", messages))
    np.testing.assert_allclose(recording.samples["gyro_1"].time, 0.02 * np.arange(4), atol=1e-9)
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 0.5], atol=1e-9)
    assert recording.origin_utc == pytest.approx(UTC, abs=1e-3)


def test_names_of_instances():
    names = {"IMU": ("IMU", 0), "IMU2": ("IMU", 1), "ACC1": ("ACC", 0), "GYR3": ("GYR", 2), "GPSB": ("GPS", 1)}
    names |= {"BAR2": ("BARO", 1), "GPS2": ("GPS", 1), "RCOU": ("RCOU", 0)}
    assert {name: dataflash._named(name) for name in names} == names


def test_a_log_without_a_stream_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"has no samples[\s\S]*MODE"):
        read(write(tmp_path / "a.bin", [(MODE, (1, 4))]))


@pytest.mark.parametrize("name", ["flight.bin", "flight.log"])
def test_damage_ends_in_a_named_error(tmp_path, name):
    path = write(tmp_path / name, list(flight(2)))
    found = fuzz("dataflash", path, 150, 0, tmp_path / "kept", Options((4, 4), scratch=tmp_path))
    assert set(found) <= {"read", "refused"}


def test_logs_whose_messages_tell_no_time_are_refused_for_that(tmp_path):
    """As ArduPilot wrote them before 3.1, with lines of greeting before the formats."""
    path = tmp_path / "old.log"
    formats = ["FMT, 128, 89, FMT, BBnNZ, Type,Length,Name,Format", "FMT, 1, 17, ATT, cc, Roll,Pitch"]
    gps = "FMT, 130, 35, GPS, BIBcLLeeEe, Status,Time,NSats,HDop,Lat,Lng,RelAlt,Alt,Spd,GCrs"
    fixes = [f"GPS, 3, {i}, 9, 1.5, 24.2, 54.5, 0.1, 9.4, 0.0, 347.2" for i in (1000, 1200, 1400)]
    path.write_text("\n".join(["7", "", "ArduCopter V3.0.1", *formats, gps, "ATT, 0.23, 0.75", *fixes]) + "\n")
    assert claimant(path) == "dataflash"
    with pytest.raises(RecipeError, match="tells no time"):
        list(dataflash.read(path, Options()))

"""ArduPilot's dataflash logs, `.bin` and the text `.log`, read by pymavlink.

Names and units of fields are those of AP_Logger/LogStructure.h and of older releases of it: instances were numbered by
the message's name (IMU2, GPSB) before they were by a field, and times were milliseconds (TimeMS) once.
"""

import contextlib
import functools
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldmodel.codecs import QUATERNION, XYZ
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.tables.stamps import GPS_EPOCH_S, WEEK_S, leap_seconds
from worldmodel.logs.ingest.importer import Options, needed
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

APART = True  # a format of no length, as damage makes one, sends the library round in circles
_MAGIC, _TEXT_MAGIC, _TEXT_BYTES = b"\xa3\x95\x80", b"FMT, 128,", 4096
_BLOCK = 4096  # messages between two signs of life
_LEAST_FIX = 2  # in the plane
_NUMBERED = re.compile(r"(IMU|ACC|GYR|MAG|GPS|BARO?)([1-9B])")  # GPSB and BAR2 are the second
_CHANNEL = re.compile(r"(?:Chan|Ch|C)(\d+)")


class _Stream(NamedTuple):
    """A stream of a message.

    Attributes:
        name: the stream's; instance 1 is `NAME_1`.
        kind: its kind.
        columns: its columns.
        fields: the message's, one a column.
        unit: of all.
        scale: what turns the message's unit into it.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    fields: tuple[str, ...]
    unit: str
    scale: float = 1.0


def _fields(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}{axis}" for axis in "XYZ")


_GYRO = _Stream("gyro", "sensor", XYZ, _fields("Gyr"), "rad/s")
_ACCELEROMETER = _Stream("accelerometer", "sensor", XYZ, _fields("Acc"), "m/s^2")
_MILLIGAUSS = 1e-7  # T
_STREAMS = {
    "IMU": (_GYRO, _ACCELEROMETER),
    "GYR": (_GYRO._replace(name="gyro_raw"),),
    "ACC": (_ACCELEROMETER._replace(name="accelerometer_raw"),),
    "MAG": (_Stream("magnetometer", "sensor", XYZ, _fields("Mag"), "T", _MILLIGAUSS),),
    "BARO": (_Stream("barometer", "sensor", ("pressure",), ("Press",), "Pa"),),
    "ATT": (_Stream("attitude", "orientation", QUATERNION, ("Roll", "Pitch", "Yaw"), "", math.pi / 180),),
    "RCIN": (_Stream("rc_in", "action", (), (), "us"),),
    "RCOU": (_Stream("outputs", "action", (), (), "us"),),
}


def claims(path: Path) -> bool:
    """Files that begin with the format of formats, in binary or in text."""
    try:
        with open(path, "rb") as file:
            begins = file.read(_TEXT_BYTES)
    except OSError:
        return False
    return begins.startswith(_MAGIC) or (path.suffix.lower() == ".log" and _TEXT_MAGIC in begins)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a file, whose time zero is its first sample."""
    with reading(path, "a dataflash log"):
        messages = _Messages(path, options.advance)
        recording = Recording(path.name, about={"description": "ArduPilot dataflash log"})
        for (name, instance), rows in sorted(messages.rows.items()):
            if _clock(rows[0], name == "GPS") is None:
                recording.notes.append(f"{name}: {len(rows)} messages tell no time and are left out")
                continue
            suffix = f"_{instance}" if instance else ""
            if name == "GPS":
                _add_fixes(f"gps{suffix}", rows, recording)
            for stream in _STREAMS.get(name, ()):
                _add(stream, f"{stream.name}{suffix}", rows, recording)
        recording.leave_out(messages.others)
        recording.shift(recording.first_sample(path))
        yield recording


class _Messages:
    """The messages of a log that make streams.

    Attributes:
        rows: the fields of each, by its name and instance.
        others: the names of those that make none.
    """

    def __init__(self, path: Path, advance: Callable[[int], object]) -> None:
        library = needed("pymavlink.DFReader", "ardupilot")
        with open(path, "rb") as file:
            binary = file.read(len(_MAGIC)) == _MAGIC
        self.rows: dict[tuple[str, int], list[Any]] = defaultdict(list)
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            kind = library.DFReader_binary if binary else library.DFReader_text
            with _timed(path), kind(str(path), True, lambda _: advance(0)) as log:
                known = {form.name for form in log.formats.values()}
                wanted = [name for name in known if _named(name)[0] in {*_STREAMS, "GPS"}]
                self.others = known - set(wanted) - {"FMT", "FMTU", "UNIT", "MULT", "PARM"}
                messages = iter(functools.partial(log.recv_match, type=wanted), None)
                for count, message in enumerate(messages):
                    if count % _BLOCK == 0:
                        advance(0)
                    name, instance = _named(message.get_type())
                    fields = message.to_dict()
                    self.rows[name, int(fields.get("I", instance))].append(fields)


@contextlib.contextmanager
def _timed(path: Path) -> Iterator[None]:
    """Says what the library's error means where messages have no times, as before ArduPilot 3.1."""
    try:
        yield
    except TypeError as error:
        raise RecipeError(
            f"{path} tells no time of its messages.",
            expected="TimeUS or TimeMS in each, as ArduPilot writes since 3.1",
            found=str(error),
            remedy="leave it out",
        ) from error


def _named(name: str) -> tuple[str, int]:
    """The message that a name stands for, and the instance: IMU2 is IMU, 1; ACC1 is ACC, 0."""
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return name, 0
    stem = "BARO" if match[1] == "BAR" else match[1]
    return stem, 1 if match[2] == "B" else int(match[2]) - 1


def _clock(row: dict[str, Any], gps: bool) -> tuple[str, float] | None:
    """The field of the time since boot, when a sample was taken or else logged, and its unit; None if there is none."""
    clocks = (("SampleUS", 1e-6), ("TimeUS", 1e-6), ("T" if gps else "TimeMS", 1e-3))
    return next((clock for clock in clocks if clock[0] in row), None)


def _seconds(rows: list[dict[str, Any]], gps: bool = False) -> np.ndarray:
    """Since boot, of each message [M]."""
    clock = _clock(rows[0], gps)
    if clock is None:
        raise ValueError("messages without a time")
    return np.array([float(row[clock[0]]) for row in rows]) * clock[1]


def _add(stream: _Stream, name: str, rows: list[dict[str, Any]], recording: Recording) -> None:
    fields, columns = stream.fields, stream.columns
    if not columns:
        fields = tuple(field for field in rows[0] if _CHANNEL.fullmatch(field))
        columns = tuple(f"channel_{_CHANNEL.fullmatch(field)[1]}" for field in fields)  # type: ignore[index]
    if not fields or any(field not in rows[0] for field in fields):
        recording.notes.append(f"{name}: its messages have other fields: {', '.join(rows[0])}")
        return
    time = _seconds(rows)
    data = np.array([[row[field] for field in fields] for row in rows], np.float64) * stream.scale
    frame = "body" if stream.kind == "sensor" and len(columns) == len(XYZ) else ""
    if stream.kind == "orientation":
        data, frame = _quaternions(data), "ned"
    spec = StreamSpec(name, stream.kind, columns, (stream.unit,) * len(columns), nominal_rate(time), frame)
    recording.add(spec, time, data)


def _quaternions(angles: np.ndarray) -> np.ndarray:
    """Of roll, pitch and yaw [M, 3] in rad, turned about z, then y, then x: [M, 4], scalar first."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("ZYX", angles[:, ::-1]).as_quat(scalar_first=True)


def _add_fixes(name: str, rows: list[dict[str, Any]], recording: Recording) -> None:
    fixed = [row for row in rows if row.get("Status", 0) >= _LEAST_FIX and (row["Lat"] or row["Lng"])]
    if len(fixed) < len(rows):
        recording.notes.append(f"{name}: {len(rows) - len(fixed)} of {len(rows)} messages are no fix and are left out")
    if not fixed:
        return
    time = _seconds(fixed, gps=True)
    data = np.array([[row[field] for field in ("Lat", "Lng", "Alt", "Spd", "GCrs")] for row in fixed], np.float64)
    data[:, 4] = np.radians(data[:, 4])
    spec = StreamSpec(
        name, "gps", (*GPS_COLUMNS, "speed", "course"), (*GPS_UNITS, "m/s", "rad"), nominal_rate(time), "wgs84",
        description="altitude above mean sea level, course from north",
    )  # fmt: skip
    recording.add(spec, time, data)
    _tell_utc(name, fixed, time, recording)


def _tell_utc(name: str, rows: list[dict[str, Any]], time: np.ndarray, recording: Recording) -> None:
    """The UTC of boot by GPS weeks and milliseconds of the first receiver that knows them."""
    weeks = np.array([row.get("GWk", row.get("Week", 0)) for row in rows], np.float64)
    of_week = np.array([row.get("GMS", row.get("TimeMS", 0)) for row in rows], np.float64)
    if not (weeks > 0).any() or math.isfinite(recording.origin_utc):
        return
    gps_s = GPS_EPOCH_S + weeks * WEEK_S + of_week / 1000
    boot = (gps_s - leap_seconds(gps_s) - time)[weeks > 0]
    recording.origin_utc = float(np.median(boot))
    recording.notes.append(f"{name}: origin by its UTC, of which {len(boot)} fixes are {np.ptp(boot):.3f} s apart")

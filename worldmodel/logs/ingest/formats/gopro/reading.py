"""Reads a GoPro MP4 with GPMF telemetry: video, IMU, magnetometer, GPS and, from a drone, its commands.

Vectors are given in the camera's frame, x to the side, y along the lens, z up. Models store the axes in different
orders: newer ones say which (`ORIN`: a letter per stored channel, lower case if it points the other way), older ones
only in GoPro's documentation, which `_AXES_BY_MODEL` repeats.
"""

import calendar
import dataclasses
import math
import time as clock
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.gopro import gpmf
from worldmodel.logs.ingest.formats.gopro.clock import Pieces, camera_offset, drone_offset, sample_times
from worldmodel.logs.ingest.formats.gopro.fixes import contradicted
from worldmodel.logs.ingest.formats.gopro.mp4 import Payload, read_payloads
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

XYZ = ("x", "y", "z")
_VECTORS = {  # key: name, unit
    "ACCL": ("accelerometer", "m/s^2"),
    "GYRO": ("gyro", "rad/s"),
    "MAGN": ("magnetometer", "T"),
}
_TO_SI = {"m/s²": 1.0, "rad/s": 1.0, "µT": 1e-6, "T": 1.0, "g": 9.80665, "deg/s": math.pi / 180, "°/s": math.pi / 180}
_AXES_BY_MODEL = {"fusion": "yXZ", "hero6": "YxZ", "hero7": "YxZ"}
_AXES_OTHERWISE = "ZXY"
_NO_LOCK = 2  # fix types below this are no fix


@dataclasses.dataclass(frozen=True)
class _DroneStream:
    """A stream whose first column is the drone's time."""

    name: str
    kind: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    take: tuple[int, ...]
    clock_unit_s: float  # seconds per unit of the first column after GPMF's scale, which is wrong for some streams
    scale: float = 1.0
    fix_column: int | None = None
    circular: tuple[bool, ...] = ()
    frame: str = "body"
    description: str = ""


_EULER = ("roll", "pitch", "yaw")
_DRONE = {
    "GPRI": _DroneStream(
        "gps", "gps", (*GPS_COLUMNS, "horizontal_accuracy", "vertical_accuracy"), (*GPS_UNITS, "m", "m"),
        (1, 2, 3, 4, 5), 1.0, fix_column=8, frame="wgs84", description="the drone's receiver; altitude above sea level",
    ),
    "ATTD": _DroneStream(
        "attitude", "sensor", (*_EULER, "roll_rate", "pitch_rate", "yaw_rate"), ("rad",) * 3 + ("rad/s",) * 3,
        (1, 2, 3, 4, 5, 6), 1.0, circular=(True,) * 3 + (False,) * 3, frame="ned",
        description="the drone's own estimate",
    ),
    "ESCS": _DroneStream(
        "motors", "sensor", ("motor1", "motor2", "motor3", "motor4"), ("rad/s",) * 4, (1, 2, 3, 4), 1e-6,
        scale=2 * math.pi / 60, description="speed of each rotor",
    ),
    "ATTR": _DroneStream(
        "command", "action", (*_EULER, "thrust"), ("rad", "rad", "rad", ""), (1, 2, 3, 4), 1e-3,
        circular=(True, True, True, False), frame="ned", description="commanded attitude, and thrust as a fraction",
    ),
}  # fmt: skip


def read_telemetry(path: Path) -> Recording:
    """Reads the sensors of one MP4 file, in seconds of its media clock.

    Raises:
        RecipeError: if the file is damaged or has no telemetry.
    """
    payloads = read_payloads(path, b"gpmd")
    pieces, device = _collect(path, payloads)
    if not pieces:
        raise RecipeError(
            f"{path} has no GPMF telemetry.",
            expected="an MP4 file straight from a GoPro camera, with a telemetry track (gpmd)",
            remedy="use the camera's original file (editors drop the track), or ingest its sensors as CSV",
        )
    recording = Recording(path.name)
    offset = camera_offset(pieces)
    for key, (name, unit) in _VECTORS.items():
        if pieces.get(key):
            _add_vector(recording, pieces[key], device[key], name, unit, offset)
            if missing := len(payloads) - len({payload.start for payload, _ in pieces[key]}):
                recording.notes.append(
                    f"{name}: {missing} of the {len(payloads)} parts of the telemetry have none of it"
                )
    _add_camera_gps(recording, pieces, offset)
    _add_drone(recording, pieces)
    return recording


def _collect(path: Path, payloads: Iterable[Payload]) -> tuple[dict[str, Pieces], dict[str, str]]:
    """The pieces of every stream by key, and the device that each comes from."""
    pieces: dict[str, list[tuple[Payload, gpmf.DeviceStream]]] = defaultdict(list)
    device: dict[str, str] = {}
    for payload in payloads:
        try:
            for stream in gpmf.streams(payload.content):
                if device.setdefault(stream.key, stream.device) == stream.device:
                    pieces[stream.key].append((payload, stream))
        except ValueError as error:
            raise RecipeError(
                f"{path}: its telemetry at {payload.start:.2f} s is damaged.",
                found=str(error),
                remedy="copy the file again from the camera",
            ) from error
    return dict(pieces), device


def _add_vector(recording: Recording, pieces: Pieces, device: str, name: str, unit: str, offset: float) -> None:
    values = _stack(pieces)
    properties = pieces[0][1].properties
    found = str(properties.get("SIUN", properties.get("UNIT", "")))
    if found and found not in _TO_SI:
        raise RecipeError(
            f"{recording.name}: {name} is in a unit that is not known.", expected=", ".join(_TO_SI), found=found
        )
    if name == "magnetometer" and "ORIN" not in properties:
        values, frame = values[:, :3], "sensor"  # a fourth, unlabelled value is left out
    else:
        axes = str(properties.get("ORIN", _default_axes(device)))
        values, frame = _to_xyz(values, axes), "camera"
    time = sample_times(pieces, offset)
    spec = StreamSpec(name, "sensor", XYZ, (unit,) * 3, nominal_rate(time), frame, description=f"from {device}")
    recording.add(spec, time, values * _TO_SI.get(found, 1.0))


def _default_axes(device: str) -> str:
    known = (axes for model, axes in _AXES_BY_MODEL.items() if model in device.lower().replace(" ", ""))
    return next(known, _AXES_OTHERWISE)


def _to_xyz(values: np.ndarray, axes: str) -> np.ndarray:
    """Orders stored channels [M, 3] as x, y, z; `axes` names each channel, in lower case if it is negated."""
    if sorted(axes.upper()) != ["X", "Y", "Z"]:
        raise RecipeError("The telemetry names axes that are not known.", expected="x, y and z once each", found=axes)
    signed = values[:, :3] * [1.0 if axis.isupper() else -1.0 for axis in axes]
    return signed[:, [axes.upper().index(axis) for axis in "XYZ"]]


def _add_camera_gps(recording: Recording, pieces: dict[str, Pieces], offset: float) -> None:
    """GPS9 says fix and precision with every sample, GPS5 once a payload."""
    key = "GPS9" if pieces.get("GPS9") else "GPS5"
    if not pieces.get(key):
        return
    values, time = _stack(pieces[key]), sample_times(pieces[key], offset)
    if key == "GPS9":
        precision, fix = values[:, 7], values[:, 8]
        unix = 946684800 + values[:, 5] * 86400 + values[:, 6]  # days since 2000-01-01, seconds since midnight
        origins = unix - time
    else:
        precision, fix = _per_sample(pieces[key], "GPSP") / 100, _per_sample(pieces[key], "GPSF")
        firsts = np.cumsum([0, *(len(piece.values) for _, piece in pieces[key])])[:-1]
        stamps = [
            (_unix(piece.properties.get("GPSU")), int(row)) for (_, piece), row in zip(pieces[key], firsts, strict=True)
        ]
        origins = np.array([unix - time[row] for unix, row in stamps if row < len(time)])
    locked = fix >= _NO_LOCK
    if not locked.all():
        recording.notes.append(f"gps: dropped {(~locked).sum()} of {len(locked)} fixes that had no lock")
    wrong = contradicted(time[locked], values[locked, :3], values[locked, 3])
    if wrong.any():
        recording.notes.append(
            f"gps: dropped {wrong.sum()} of {len(wrong)} fixes further from the others than the receiver's speed allows"
        )
        locked[locked] = ~wrong
    spec = StreamSpec(
        "gps", "gps", (*GPS_COLUMNS, "dilution_of_precision"), (*GPS_UNITS, ""), nominal_rate(time), "wgs84",
        description="altitude above the WGS-84 ellipsoid",
    )  # fmt: skip
    recording.add(spec, time[locked], np.column_stack([values[:, :3], precision])[locked])
    if np.isfinite(origins).any():
        recording.origin_utc = float(np.nanmedian(origins))


def _add_drone(recording: Recording, pieces: dict[str, Pieces]) -> None:
    stamped = [
        (payload, piece.values[:, 0] * stream.clock_unit_s)
        for key, stream in _DRONE.items()
        for payload, piece in pieces.get(key, ())
        if len(piece.values)
    ]
    offset = drone_offset(stamped)
    for key, stream in _DRONE.items():
        if not pieces.get(key) or stream.name in recording.specs:
            continue
        values = _stack(pieces[key])
        if stream.fix_column is not None:
            locked = values[:, stream.fix_column] >= _NO_LOCK
            if not locked.all():
                recording.notes.append(
                    f"{stream.name}: dropped {(~locked).sum()} of {len(locked)} fixes that had no lock"
                )
            values = values[locked]
        time = values[:, 0] * stream.clock_unit_s - offset
        spec = StreamSpec(
            stream.name, stream.kind, stream.columns, stream.units, nominal_rate(time), stream.frame,
            circular=stream.circular, description=stream.description,
        )  # fmt: skip
        recording.add(spec, time, values[:, list(stream.take)] * stream.scale)
    if math.isnan(recording.origin_utc) and pieces.get("SYST"):  # since boot, and UTC to the second
        system = _stack(pieces["SYST"])
        recording.origin_utc = float(np.median(system[:, 1] - system[:, 0])) + offset


def _stack(pieces: Pieces) -> np.ndarray:
    return np.concatenate([piece.values for _, piece in pieces if len(piece.values)])


def _per_sample(pieces: Pieces, key: str) -> np.ndarray:
    """A property that is given once a payload, for every sample; NaN where it is missing."""
    return np.concatenate(
        [np.full(len(piece.values), np.ravel(piece.properties.get(key, np.nan))[0], float) for _, piece in pieces]
    )


def _unix(text: object) -> float:
    """Seconds since 1970 of `yymmddhhmmss.sss`; NaN where there is no such text."""
    try:
        stamp = str(text)
        return calendar.timegm(clock.strptime(stamp[:12], "%y%m%d%H%M%S")) + float(stamp[12:] or 0)
    except ValueError:
        return math.nan

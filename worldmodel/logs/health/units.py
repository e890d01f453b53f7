"""Checks of units by the size of what is measured: gravity, what gyros can turn, the field of the earth."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.measures import Readings, columns_of
from worldmodel.logs.health.values import thin
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

GYRO_WORDS = ("gyro", "angular_velocity", "body_rate", "imu")
_FEW = 10
_GYRO_ENDS = 40.0  # rad/s; the widest range that is made is 4000 deg/s only in a few, 2000 deg/s in nearly all
_RADIANS = "convert it: scale = 0.017453292519943295"
_GRAVITY = {"g": (1.0, 9.80665), "mg": (1000.0, 9.80665e-3), "cm/s^2": (980.665, 0.01)}  # its size in a unit, the scale
_FIELDS = (("gauss", 0.2, 0.8), ("uT", 20.0, 80.0), ("mG", 200.0, 800.0))  # the earth's in a unit, least and most


def check_units(recording: "Recording") -> Iterator[Finding]:
    """Quantities whose size tells their unit."""
    for spec, samples in readings(recording):
        if spec.kind == "sensor" and len(samples.time) >= _FEW:
            columns = columns_of(recording, spec.name)
            for check in (_acceleration, _turning, _tilt, _field):
                for text, remedy, rows in check(spec, columns):
                    yield found(recording, "values: units", spec.name, "warn", text, remedy, rows)


_Misfits = Iterator[tuple[str, str, np.ndarray]]
_ALL = np.zeros(0, int)


def _of_unit(spec: StreamSpec, unit: str) -> list[int]:
    return [i for i, u in enumerate(spec.units) if u == unit]


def _length(data: list[Readings], columns: list[int]) -> float:
    """The median length of vectors."""
    lengths = np.sqrt(sum(np.square(thin(data[column].values).astype(np.float64)) for column in columns))
    known = lengths[np.isfinite(lengths)]
    return float(np.median(known)) if len(known) else np.nan


def _acceleration(spec: StreamSpec, data: list[Readings]) -> _Misfits:
    columns, name = _of_unit(spec, "m/s^2"), spec.name.lower()
    if len(columns) == 3 and ("acc" in name or "imu" in name):
        length = _length(data, columns)
        unit, (size, scale) = min(_GRAVITY.items(), key=lambda known: abs(length / known[1][0] - 1))
        if abs(length / size - 1) < 0.1:
            text = f"its acceleration is {length:.4g} m/s^2 long in the median, and gravity is 9.81: it seems to be in"
            yield f"{text} {unit}", f"convert it: scale = {scale:g}", _ALL


def _turning(spec: StreamSpec, data: list[Readings]) -> _Misfits:
    columns = _of_unit(spec, "rad/s")
    if not columns or not any(word in spec.name.lower() for word in GYRO_WORDS):
        return
    if not np.max(np.abs([data[column].ends for column in columns])) > _GYRO_ENDS:  # at once, as nearly all
        return
    fastest = np.max([np.abs(data[column].values) for column in columns], axis=0)
    rows = np.flatnonzero(fastest > _GYRO_ENDS)
    if len(rows):
        told = f"{len(rows)} of {len(fastest)} rows"
        text = f"it turns at up to {np.nanmax(fastest):.4g} rad/s, and gyros end at 35 ({told})"
        yield f"{text}: these are degrees a second, or were not measured", f"{_RADIANS}; or leave these rows out", rows


def _tilt(spec: StreamSpec, data: list[Readings]) -> _Misfits:
    columns = [i for i in _of_unit(spec, "rad") if any(word in spec.columns[i].lower() for word in ("roll", "pitch"))]
    if columns and spec.frame != "joint":
        most = float(np.nanmax(np.abs([data[column].ends for column in columns])))
        if most > 7:
            yield f"it is tilted by {most:.4g} rad: it seems to be in degrees", _RADIANS, _ALL


def _field(spec: StreamSpec, data: list[Readings]) -> _Misfits:
    columns = _of_unit(spec, "T")
    if len(columns) == 3:
        length = _length(data, columns)
        unit = next((unit for unit, least, most in _FIELDS if least < length < most), "")
        if unit:
            text = f"its field is {length:.3g} T long, and the earth's is 25 to 65 uT: it seems to be in {unit}"
            yield text, "convert it: 1 uT is 1e-6 T, 1 gauss 1e-4 T, 1 mG 1e-7 T", _ALL

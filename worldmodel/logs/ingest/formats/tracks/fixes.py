"""Fixes on their way from a track into a recording."""

import datetime
import math
from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

UNITS = {"speed": "m/s", "course": "rad", "fix_quality": "", "satellites": "", "hdop": "", "vdop": "", "pdop": ""}
_MOST_COLUMNS = 64


class Fixes:
    """A stretch of a track: numbers by name, NaN where a fix does not tell one.

    Those named `time` (seconds), `latitude`, `longitude` (deg), `altitude` (m) and as in `UNITS` make the stream `gps`.

    Args:
        name: what the source calls the stretch; may be empty.
        dated: whether `time` is since 1970-01-01 UTC.
    """

    def __init__(self, name: str = "", dated: bool = True) -> None:
        self.name, self.dated = name, dated
        self.columns: dict[str, array[float]] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, told: Mapping[str, float]) -> None:
        """Adds a fix; names beyond 64 are not kept."""
        for name in told.keys() - self.columns.keys():
            if len(self.columns) < _MOST_COLUMNS:
                self.columns[name] = array("d", [math.nan]) * self._rows
        for name, column in self.columns.items():
            column.append(told.get(name, math.nan))
        self._rows += 1

    def column(self, name: str) -> np.ndarray:
        """Its values [M]."""
        return np.array(self.columns[name]) if name in self.columns else np.full(len(self), np.nan)

    def tells(self, name: str) -> bool:
        """Whether any fix has that number."""
        return name in self.columns and bool(np.isfinite(self.column(name)).any())


def number(text: str | None) -> float:
    """A finite number; NaN in place of any other text."""
    try:
        value = float(text or "nan")
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def utc(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date and time, which is UTC where it tells no zone; NaN for other text."""
    try:
        stamp = datetime.datetime.fromisoformat(text)
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def told_by(stretches: Sequence[Fixes]) -> tuple[str, ...]:
    """Those of `UNITS` that any of the stretches has."""
    return tuple(name for name in UNITS if any(fixes.tells(name) for fixes in stretches))


def place(recording: Recording, fixes: Fixes, columns: tuple[str, ...], description: str) -> None:
    """Adds the stream `gps` from the first fix on, and what else was told as `track_data`; no-fix rows are left out.

    Args:
        recording: gets them.
        fixes: what the source tells.
        columns: the stream's, after the position.
        description: the stream's, one line for people.
    """
    time = fixes.column("time")
    position = np.column_stack([fixes.column(name) for name in GPS_COLUMNS])
    there = np.isfinite(position[:, :2]).all(1) & (position[:, :2] != 0).any(1) & (fixes.column("fix_quality") != 0)
    for left, why in ((~there, "are no fix"), (there & ~np.isfinite(time), "have no time")):
        if left.any():
            recording.notes.append(f"gps: {left.sum()} of {len(left)} rows {why} and are left out")
    there &= np.isfinite(time)
    if not there.any():
        return
    time, zero = time[there], float(time[there][0])
    recording.origin_utc = zero if fixes.dated else math.nan
    data = np.column_stack([position, *(fixes.column(name) for name in columns)])
    spec = StreamSpec(
        "gps", "gps", (*GPS_COLUMNS, *columns), (*GPS_UNITS, *(UNITS[name] for name in columns)), nominal_rate(time),
        "wgs84", description=description,
    )  # fmt: skip
    recording.add(spec, time - zero, data[there])
    others = sorted(fixes.columns.keys() - {"time", *GPS_COLUMNS, *UNITS})
    if others:
        spec = StreamSpec(
            "track_data", "sensor", tuple(others), ("",) * len(others), nominal_rate(time),
            description="what the track tells beside its fixes, as it is",
        )  # fmt: skip
        recording.add(spec, time - zero, np.column_stack([fixes.column(name) for name in others])[there])

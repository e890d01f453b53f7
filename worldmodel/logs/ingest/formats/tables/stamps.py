"""A table's clock as nanoseconds: numbers in many units, dates in many spellings."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.dates import instants
from worldmodel.logs.ingest.formats.tables.recipe import Clock

if TYPE_CHECKING:
    from worldmodel.logs.ingest.formats.tables.table import Table

_DAY = 86400 * 10**9
UNITS = {
    "s": 10**9, "cs": 10**7, "ms": 10**6, "us": 10**3, "ns": 1,
    "minutes": 60 * 10**9, "hours": 3600 * 10**9,
    "days": _DAY,
    "excel_days": _DAY,  # since 1899-12-30
    "matlab_days": _DAY,  # since the year 0, 1970-01-01 being 719529
    "hhmmss": 10**9,  # time of day as digits, 163920.6
    "week_s": 10**9,  # seconds of a GPS week
    "100us": 10**5,  # Xsens
    "100ns": 100,  # .NET
}  # fmt: skip
NO_ZONE = "the times tell no zone that is known, and are taken for UTC; time_zone in [clock] says which it is"
UTC_TIME = re.compile(r"(?<![a-z])(?:utc|gmt)(?![a-z])", re.IGNORECASE)  # likewise
GPS_TIME = re.compile(r"\bGPST\b")  # a column of dates that is called so, as RTKLIB's is
ORDERS = ("year_first", "day_first", "month_first")
_EPOCH_DAYS = {"excel_days": 25569, "matlab_days": 719529}
GPS_EPOCH_S, WEEK_S = 315964800, 604800
# From when on GPS time was how many seconds ahead of UTC (IERS bulletin C).
_LEAPS = ((915148800, 13), (1136073600, 14), (1230768000, 15), (1341100800, 16), (1435708800, 17), (1483228800, 18))
_FIRST = 1000  # steps that tell of nearly all clocks what their last digit is
_COUNTERS = (16, 24, 32)  # bits
_SEAM = 20  # usual steps at most from the last stamp of a counter to the first of its next round
_PERIODS = {"hhmmss": _DAY, "week_s": WEEK_S * 10**9}


def nanoseconds(path: Path, table: "Table", clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """The clock as int64 nanoseconds [M], so that large stamps keep their last digits, and which rows have one [M].

    Raises:
        RecipeError: if a stamp cannot be read, naming its row.
    """
    if clock not in table.stamps:
        table.stamps[clock] = _nanoseconds(path, table, clock)
    return table.stamps[clock]


def _nanoseconds(path: Path, table: "Table", clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    ns, valid = _read(path, table, clock)
    if clock.fraction:
        parts = table.floats(clock.fraction)
        valid = valid & np.isfinite(parts)
        ns = ns + np.rint(np.where(valid, parts, 0) * UNITS[clock.fraction_unit]).astype(np.int64)
    if isinstance(clock.origin, float):
        ns = ns + round(clock.origin * 1e9)
    if clock.duplicates == "spread":
        ns = ns.copy()
        ns[valid] = spread(ns[valid])
    return ns, valid


def with_stamp(ns: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The stamps [M] of the rows that have one."""
    return ns if valid.all() else ns[valid]


def last_digit(table: "Table", clock: Clock, ns: np.ndarray) -> float:
    """What stamps [M] were rounded to, in seconds: a power of ten, or the last bits of float32 or float64."""
    import pyarrow as pa

    if clock.columns and pa.types.is_float32(table.kind(clock.columns[0])):
        stamps = table.floats(clock.columns[0])
        return float(np.spacing(np.float32(np.nanmax(np.abs(stamps))))) * UNITS[clock.unit] * 1e-9
    common = int(np.gcd.reduce(np.diff(ns[: _FIRST + 1])))
    if common % 10 == 0:  # else the first have told
        steps = np.diff(ns)
        common = int(np.gcd.reduce(steps[steps != steps[0]], initial=int(steps[0])))
    digit = next((10.0 ** (power - 9) for power in range(9, 0, -1) if common and common % 10**power == 0), 0.0)
    return max(digit, _bits(table, clock))


def _bits(table: "Table", clock: Clock) -> float:
    """What float64 leaves of stamps, in seconds: since 1970 more than the nanoseconds that are kept."""
    import pyarrow as pa

    if not clock.columns or clock.unit not in UNITS or not pa.types.is_float64(table.kind(clock.columns[0])):
        return 0.0
    last = 2 * float(np.spacing(np.nanmax(np.abs(table.floats(clock.columns[0])), initial=0.0))) * UNITS[clock.unit]
    return last * 1e-9 if last > 10 else 0.0


def _read(path: Path, table: "Table", clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow as pa

    if not clock.columns:
        return np.rint(table.rows * (clock.period_s or 0) * 1e9).astype(np.int64), np.ones(len(table.rows), bool)
    name = clock.columns[0]
    kind = table.kind(name)
    if len(clock.columns) == 2 or table.is_words(name) or pa.types.is_temporal(kind):
        columns = [table.column(column) for column in clock.columns]
        drop, zone = table.unreadable == "drop", clock.time_zone or "UTC"
        ns, valid, local = instants(path, clock.columns, columns, clock.dates, zone, drop)
        if not clock.time_zone and any(map(GPS_TIME.search, clock.columns)):
            gps = ns > GPS_EPOCH_S * 10**9
            return np.where(gps, ns - leap_seconds(ns // 10**9) * 10**9, ns), valid
        told = clock.time_zone or any(map(UTC_TIME.search, clock.columns))
        if local and not told and clock.dated and NO_ZONE not in table.notes:
            table.notes.append(NO_ZONE)
        return ns, valid
    if pa.types.is_integer(kind) and clock.unit not in (*_EPOCH_DAYS, *_PERIODS):
        return _integers(path, table, clock)
    number = table.floats(name)
    number = number - _EPOCH_DAYS[clock.unit] if clock.unit in _EPOCH_DAYS else number
    most = 2.0**63 / UNITS[clock.unit]
    if len(number) and -most < number.min() and number.max() < most:  # at once, as nearly all
        valid = np.ones(len(number), bool)
    else:
        valid = np.abs(number) < most  # which NaN and infinity are not
    return _from_numbers(table, clock, number if valid.all() else np.where(valid, number, 0), valid), valid


def _integers(path: Path, table: "Table", clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    column, unit = table.column(clock.columns[0]), UNITS[clock.unit]
    stamps, most = np.asarray(column.fill_null(0)), (2**63 - 1) // unit
    if ((stamps > most) | (stamps < -most)).any():
        raise RecipeError(
            f"{path}: the clock {clock.columns[0]!r} cannot be in {clock.unit}.",
            expected=f"stamps up to {most}, which is the year 2262",
            found=str(stamps[(stamps > most) | (stamps < -most)][0]),
            remedy="give the unit that the stamps are in",
        )
    valid = ~np.asarray(column.is_null())
    return _without_overflow(table, clock.columns[0], stamps.astype(np.int64), valid) * unit, valid


def _without_overflow(table: "Table", name: str, stamps: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Whole stamps [M], on from there where a counter of some bits began anew after its last number."""
    steps = np.diff(stamps[valid])
    back = steps[steps < 0]
    if not len(back) or not (steps > 0).any():
        return stamps
    usual = np.median(steps[steps > 0])
    for bits in _COUNTERS:
        if (back > -(2**bits)).all() and (back + 2**bits <= _SEAM * usual).all() and stamps[valid].min() >= 0:
            table.notes.append(f"{name} began anew after {bits} bits, {len(back)} times; on from there")
            return wrapped(stamps, valid, 2**bits)
    return stamps


def _from_numbers(table: "Table", clock: Clock, number: np.ndarray, valid: np.ndarray) -> np.ndarray:
    if clock.unit in _EPOCH_DAYS:
        return np.rint(number * 86400 * 1e6).astype(np.int64) * 1000  # whole microseconds, which is what days tell
    if clock.unit == "hhmmss":
        minutes, seconds = np.divmod(number, 100)
        hours, minutes = np.divmod(minutes, 100)
        return wrapped(np.rint((3600 * hours + 60 * minutes + seconds) * 1e9).astype(np.int64), valid, _DAY)
    ns = _rounded(number, UNITS[clock.unit])
    if clock.unit != "week_s":
        return ns
    if clock.week is None:
        return wrapped(ns, valid, _PERIODS["week_s"])
    week = table.floats(clock.week) if isinstance(clock.week, str) else np.full(len(ns), float(clock.week))
    gps_s = (GPS_EPOCH_S + np.nan_to_num(week) * WEEK_S).astype(np.int64)
    return ns + gps_s * 10**9 - leap_seconds(gps_s) * 10**9


def _rounded(number: np.ndarray, unit: int) -> np.ndarray:
    """Numbers [M] of units of so many nanoseconds as int64.

    Where all are decimals that float64 still tells apart from their neighbours, they are these decimals, which the
    largest number's last bit would miss. Of more decimals than that none is taken away.
    """
    whole = number * unit
    ns = np.rint(whole, out=whole).astype(np.int64)
    bit = float(np.spacing(max(number.max(initial=1.0), -number.min(initial=-1.0)))) * unit
    if bit <= 1:
        return ns
    digit = 10 ** math.ceil(math.log10(bit))
    decimals = (ns + digit // 2) // digit * digit
    return decimals if np.abs(ns - decimals).max(initial=0) <= bit else ns


def leap_seconds(gps_s: np.ndarray) -> np.ndarray:
    """How many seconds GPS time was ahead of UTC at seconds since 1970 [M]."""
    starts, counts = np.transpose(_LEAPS)
    return counts[np.searchsorted(starts, gps_s, "right").clip(1) - 1]


def wrapped(ns: np.ndarray, valid: np.ndarray, period: int) -> np.ndarray:
    """Stamps [M] that begin anew after a period, on from there: at midnight, or at the end of a week."""
    ns = ns.copy()
    steps = np.diff(ns[valid], prepend=ns[valid][:1])
    ns[valid] += period * np.cumsum(steps < -period // 2)
    return ns


def spread(ns: np.ndarray) -> np.ndarray:
    """Stamps [M] of which several rows have the same, each at its place up to the next stamp.

    The first of them may be cut off at its beginning, so its rows lie before the next at the usual distance.
    """
    starts = np.flatnonzero(np.diff(ns, prepend=ns[:1] - 1))
    if len(starts) < 2:
        return ns
    counts, steps = np.diff(starts, append=len(ns)), np.diff(ns[starts])
    usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    lengths = np.append(np.where(steps > 0, np.minimum(steps, usual), usual), usual)
    place = np.arange(len(ns)) - np.repeat(starts, counts)
    full = np.rint(np.repeat(lengths / counts, counts) * place).astype(np.int64)
    period = np.median(lengths[1:] / counts[1:])
    late = max(0, int(lengths[0] - counts[0] * period)) if counts[0] * period < lengths[0] else 0
    out = ns + full
    if late:
        out[: counts[0]] = ns[0] + late + np.rint(place[: counts[0]] * period).astype(np.int64)
    last = slice(starts[-1], len(ns))  # it may be cut off at its end
    out[last] = ns[last] + np.rint(place[last] * min(period, lengths[-1] / counts[-1])).astype(np.int64)
    return out

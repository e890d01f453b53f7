"""What a column of times may be: in which unit numbers count, and in which order dates stand."""

import re
from collections.abc import Iterator

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.conversions import spelt, split
from worldmodel.logs.ingest.formats.tables.dates import zone_s
from worldmodel.logs.ingest.formats.tables.fields import SINCE_1970
from worldmodel.logs.ingest.formats.tables.latin import words_of
from worldmodel.logs.ingest.formats.tables.recipe import Clock
from worldmodel.logs.ingest.formats.tables.stamps import GPS_TIME, NO_ZONE, UNITS, UTC_TIME, WEEK_S, nanoseconds
from worldmodel.logs.ingest.formats.tables.table import Table

_HALF = re.compile(r"\d\s*[ap]\.?m\b", re.IGNORECASE)
_SIGNS = {"milli": "ms", "micro": "us", "nano": "ns", "sampletimefine": "100us"}  # the last is Xsens's
_MOVELLA_DOT = 2000  # steps of `SampleTimeFine` that are microseconds, as of the DOT, and not the MTi's 100 us
_FAR_S = 100.0  # between samples of a log with stamps since 1970
_LATE_S, _HOUR_S = 3.0, 3600.0  # how far those of a logger may be off whole minutes, up to an hour
_SAYS_1970 = re.compile(r"(?:^|_)(?:unix|epoch|posix|utc)")
_COUNTED = ("s", "ms", "us", "ns")
_NEAR = 0.05  # of a rate that is told
_LETTERS = re.compile(r":\d{2}(?:[.,]\d+)?\s*([A-Za-z]{2,5})$")
_ZONE = re.compile(r"(Z|UTC|GMT|[+-]\d{2}:?\d{2})$")
_LONG = {"min": "minutes", "mins": "minutes", "minute": "minutes", "minutes": "minutes", "h": "hours", "hr": "hours",
         "hrs": "hours", "hour": "hours", "hours": "hours", "d": "days", "day": "days", "days": "days",
         "sec": "s", "secs": "s", "second": "s", "seconds": "s"}  # fmt: skip
_OF_WEEK = re.compile(r"(?:^|_)i?tow(?:_|$)|(?:time|seconds)_of_week")
_WEEK = re.compile(r"(?:^|_)(?:week|wn)(?:_?(?:no|num|number))?$")


def plain_name(name: str) -> str:
    """A column's name in lower case without its unit."""
    return words_of(split(name)[0]) or name.lower()


def unit_of_time(name: str) -> str:
    """The unit that a column is called: `ms`, `us` or `ns`, however they are spelt; empty for other names."""
    unit = spelt(name.partition("_since_")[0])  # such as the start
    return unit if unit in _COUNTED[1:] else ""


def as_dates(table: Table, columns: tuple[str, ...]) -> Iterator[tuple[Clock, list[str]]]:
    """Text, or two columns of it, as dates in each order, with the doubts of each."""
    kind = table.kind(columns[-1])
    first = str(table.column(columns[-1])[0])
    zoned = getattr(kind, "tz", None) or _ZONE.search(first)
    letters = _LETTERS.search(first)
    known = zoned or (letters and zone_s(letters[1]) is not None)
    known = known or any(way.search(column) for column in columns for way in (GPS_TIME, UTC_TIME))
    doubts = [] if known else [NO_ZONE]
    yield Clock(columns, origin="unix"), doubts
    orders = [("day_first", "month_first"), ("month_first", "day_first")]
    american = bool(_HALF.search(str(table.column(columns[-1])[0])))  # who counts hours so has the month first
    for order, other in reversed(orders) if american else orders:
        either = _reads(table, Clock(columns, dates=other))
        told = [f"the dates may have the day or the month first; they are read {order}"] if either else []
        yield Clock(columns, dates=order, origin="unix"), [*told, *doubts]


def _reads(table: Table, clock: Clock) -> bool:
    try:
        nanoseconds(table.path, table, clock)
    except RecipeError:
        return False
    return True


def as_numbers(table: Table, name: str) -> Iterator[tuple[Clock, list[str]]]:
    """A column of numbers in the unit that it tells, or that its size and its steps do, with the doubts."""
    numbers = table.floats(name)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < 2:
        return
    first, steps = float(numbers[0]), np.diff(numbers)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    told = table.unit(name) or unit_of_time(name)
    unit = _LONG.get(told or name.lower().rpartition("_")[2], told)
    sized = next((u for u, (low, high) in SINCE_1970.items() if low <= first < high), None)
    finer = sized and UNITS.get(unit, UNITS[sized]) < UNITS[sized]  # that is told, and counts since a start
    told_so = sized == unit or _SAYS_1970.search(plain_name(name))
    since_1970 = sized if sized and not finer and (told_so or _is_plausible(step, sized)) else None
    if since_1970 and "gps" in name.lower():
        yield Clock((name,), unit=since_1970), [f"{name}: its date is not known, as it may count from 1980 too"]
    elif since_1970:
        yield Clock((name,), unit=since_1970, origin="unix"), []
    elif unit in ("", "s") and _OF_WEEK.search(plain_name(name)) and 0 <= numbers.min() <= numbers.max() <= WEEK_S:
        yield _of_week(table, name)
    elif unit in UNITS:
        yield Clock((name,), unit=unit), []
    elif name.lower() == "tmr10ms":
        yield Clock((name,), unit="cs"), []
    elif _tells_time_of_day(numbers):
        yield Clock((name,), unit="hhmmss"), [f"{name} is taken for the digits of the time of day, hhmmss"]
    elif hint := next((unit for sign, unit in _SIGNS.items() if sign in name.lower()), ""):
        yield Clock((name,), unit="us" if hint == "100us" and step > _MOVELLA_DOT else hint), []
    elif 30000 < first < 80000 and 0 < step < 0.05 and not _are_coarse(numbers):
        yield Clock((name,), unit="excel_days", origin="unix"), [f"{name} is taken for day numbers of Excel, in UTC"]
    elif 700000 < first < 800000 and 0 < step < 0.05 and not _are_coarse(numbers):
        yield Clock((name,), unit="matlab_days", origin="unix"), [f"{name} is taken for day numbers of MATLAB, in UTC"]
    elif step:
        fits = table.rate_hz and next((u for u in _COUNTED if abs(_rate(step, u) / table.rate_hz - 1) < _NEAR), None)
        unit = fits or _by_step(numbers, step)
        sure = name.lower().endswith("seconds_elapsed")
        doubts = [] if sure else [f"{name} is taken for {unit}: {_rate(step, unit):.4g} Hz"]
        if table.rate_hz and not fits:
            doubts.append(f"the text above the table tells a rate of {table.rate_hz:g} Hz, which {name} does not have")
        yield Clock((name,), unit=unit), doubts


def _is_plausible(step: float, unit: str) -> bool:
    """Whether samples may be so far apart: not by hours, unless by whole minutes, of which loggers may be late."""
    seconds = step * UNITS[unit] * 1e-9
    late = abs(seconds - 60 * round(seconds / 60))
    return seconds < _FAR_S or late <= (_LATE_S if seconds <= _HOUR_S + _LATE_S else 0)


def _of_week(table: Table, name: str) -> tuple[Clock, list[str]]:
    """Seconds of a GPS week, by the column that has its number."""
    week = next((column for column in table.names if _WEEK.search(plain_name(column))), None)
    if week is None:
        return Clock((name,), unit="week_s"), [f"{name} is taken for seconds of a GPS week, of which no column tells"]
    return Clock((name,), unit="week_s", week=week, origin="unix"), []


def _tells_time_of_day(numbers: np.ndarray) -> bool:
    """Whether stamps are digits of hours, minutes and seconds: even steps as such, and 41 from 59 to 100 as numbers."""
    minutes, seconds = np.divmod(numbers % 1e4, 100)
    if not ((numbers >= 0) & (numbers < 240000) & (minutes < 60) & (seconds < 60)).all():
        return False
    plain, told = np.diff(numbers), np.diff(3600 * (numbers // 1e4) + 60 * minutes + seconds)
    return bool(plain.max() >= 40 and told.min() >= 0 and told.max() < 40 and plain.max() > 2 * told.max())


def _are_coarse(numbers: np.ndarray) -> bool:
    """Whether stamps have four decimals at most, as seconds may: days with no more tell ten seconds apart at best."""
    return bool((np.abs(numbers * 1e4 - np.rint(numbers * 1e4)) < 1e-3).all())


def _by_step(numbers: np.ndarray, step: float) -> str:
    """The unit of stamps that tell none: whole numbers far apart are parts of a second."""
    if (numbers % 1).any() or step < 2:
        return "s"
    return "ms" if step < 500 else "us" if step < 500_000 else "ns"


def _rate(step: float, unit: str) -> float:
    return 1e9 / (step * UNITS[unit])

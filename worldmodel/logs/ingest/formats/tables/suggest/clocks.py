"""Finds a table's clock: by its name, and by values that grow from row to row."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.conversions import split
from worldmodel.logs.ingest.formats.tables.dates import zone_s
from worldmodel.logs.ingest.formats.tables.recipe import Clock
from worldmodel.logs.ingest.formats.tables.stamps import NO_ZONE, UNITS, WEEK_S, nanoseconds
from worldmodel.logs.ingest.formats.tables.table import Table

_NAMES = re.compile(
    r"time|stamp|^ts?$|^date|date$|seconds?$|seconds|elapsed|^sec$|^ms$|millis|micros|^utc|epoch?|zeit|temps|tiempo|^datum|^fecha|^hora$|^heure|^clock$|(?:^|_)i?tow|^tmr"
)
_DATE, _TIME = re.compile(r"dat|fecha|jour"), re.compile(r"time|uhrzeit|zeit|hora|heure|utc")
_SHORT = re.compile(r"_ts?$|^ts?_(?![xyz]$)")  # which may be a temperature too
_AXIS = re.compile(r"^x(?:_\d+)?$")  # `X[s]`, as plots and Delsys have it
_HALF = re.compile(r"\d\s*[ap]\.?m\b", re.IGNORECASE)
_SIGNS = {"milli": "ms", "micro": "us", "nano": "ns", "sampletimefine": "100us"}  # the last is Xsens's
_COUNTED = ("s", "ms", "us", "100us", "ns", "100ns", "cs")
_NEAR = 0.05  # of a rate that is told
_TELLING = (  # what the size of a stamp since 1970 says of its unit, from 2001 to 2100
    (1e18, 4.1e18, "ns"), (1e15, 4.1e15, "us"), (1e12, 4.1e12, "ms"), (1e9, 4.1e9, "s"),
)  # fmt: skip
_HEADER = re.compile(r"header_?stamp$")  # when it was measured, beside when the message came
_LETTERS = re.compile(r":\d{2}(?:[.,]\d+)?\s*([A-Za-z]{2,5})$")
_ZONE = re.compile(r"(Z|UTC|GMT|[+-]\d{2}:?\d{2})$")
_PART = re.compile(
    r"(?:^|_)(?:(?P<ns>n(?:ano)?_?s(?:ec(?:ond)?s?)?)|(?P<us>u_?s(?:ec(?:ond)?s?)?|micro_?s(?:ec(?:ond)?s?)?)"
    r"|(?P<ms>m(?:illi)?_?s(?:ec(?:ond)?s?)?|millis))$"
)
_LONG = {"min": "minutes", "mins": "minutes", "minute": "minutes", "minutes": "minutes", "h": "hours", "hr": "hours",
         "hrs": "hours", "hour": "hours", "hours": "hours", "d": "days", "day": "days", "days": "days"}  # fmt: skip
_OF_WEEK = re.compile(r"(?:^|_)i?tow(?:_|$)|(?:time|seconds)_of_week")
_WEEK = re.compile(r"(?:^|_)(?:week|wn)(?:_?(?:no|num|number))?$")
_DAY_NS = 86400 * 10**9
_ORDERLY = 0.9  # the share of steps that have to go on


# How well columns serve as a clock, the clock, its doubts, its stamps, and which rows have one.
Tried = tuple[tuple[float, bool, bool, int, float], Clock, list[str], np.ndarray, np.ndarray]


class FoundClock(NamedTuple):
    """A table's clock.

    Attributes:
        clock: as a recipe has it.
        columns: every column that tells a time, which no stream is read from.
        stamps_s: the seconds of each row since the first [M], NaN for rows without.
        doubts: what is not certain.
    """

    clock: Clock
    columns: tuple[str, ...]
    stamps_s: np.ndarray
    doubts: tuple[str, ...]


def find_clock(path: Path, table: Table) -> FoundClock:
    """The clock of a table.

    Raises:
        RecipeError: if none can be told.
    """
    clocks = named(table)
    found = [clock for columns in _candidates(table, clocks) for clock in _tried(path, table, columns)]
    if not found and table.rate_hz:
        return _by_rate(table, table.rate_hz)
    if not found:
        raise RecipeError(
            f"No clock can be told in {path}.",
            expected="a column of a name such as time, whose numbers or dates grow from row to row",
            found=", ".join(table.names[:40]),
            remedy="write a recipe whose [clock] names it, or says period_s (see datasets/README.md)",
        )
    _, clock, doubts, ns, valid = max(found, key=lambda one: one[0])
    origin = ns[valid].min()
    serve = {column for one in found for column in one[1].columns}
    clocks = [name for name in clocks if name in serve or not _SHORT.search(_plain(name))]
    clocks += [clock.fraction] if clock.fraction else []
    clocks += [clock.week] if isinstance(clock.week, str) else []
    return FoundClock(clock, tuple(clocks), np.where(valid, (ns - origin) * 1e-9, np.nan), tuple(doubts))


def _by_rate(table: Table, rate_hz: float) -> FoundClock:
    """Rows that follow each other evenly, as the text above them says."""
    told = f"no column is a clock; rows follow each other at {rate_hz:g} Hz, as the text above them tells"
    return FoundClock(Clock((), period_s=1 / rate_hz), (), np.arange(table.data.num_rows) / rate_hz, (told,))


def named(table: Table) -> list[str]:
    """The columns that are called as clocks are, or hold times."""
    return [
        name
        for name in table.names
        if _NAMES.search(_plain(name))
        or _SHORT.search(_plain(name))
        or _is_temporal(table, name)
        or (_AXIS.search(_plain(name)) and table.unit(name) in UNITS)
    ]


def _is_temporal(table: Table, name: str) -> bool:
    import pyarrow as pa

    return pa.types.is_temporal(table.kind(name))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", split(name)[0].lower()).strip("_") or name.lower()


def _candidates(table: Table, named: list[str]) -> Iterator[tuple[str, ...]]:
    yield from ((name,) for name in named)
    dates = [name for name in named if _DATE.match(_plain(name)) and "time" not in _plain(name)]
    times = [name for name in named if _TIME.match(_plain(name))]
    yield from ((date, time) for date in dates for time in times)


def _tried(path: Path, table: Table, columns: tuple[str, ...]) -> Iterator[Tried]:
    """Columns as a clock; nothing where they do not serve as one."""
    import pyarrow as pa

    text = len(columns) == 2 or table.is_words(columns[0]) or pa.types.is_temporal(table.kind(columns[0]))
    for clock, doubts in _as_dates(table, columns) if text else _as_numbers(table, columns[0]):
        try:
            ns, valid = nanoseconds(path, table, clock)
        except RecipeError:
            continue
        steps = np.diff(ns[valid])
        if len(steps) and (steps >= 0).mean() >= _ORDERLY and (steps > 0).any():
            moving = float((steps > 0).mean())
            parts = _fraction(path, table, clock) if not (ns[valid] % 10**9).any() else None
            if parts is not None:
                clock, (ns, valid) = parts, nanoseconds(path, table, parts)
                moving = float((np.diff(ns[valid]) > 0).mean())
            elif moving < _ORDERLY and not (ns[valid] % 10**9).any():
                clock = dataclasses.replace(clock, duplicates="spread")
                doubts = [*doubts, "the times are whole seconds: rows of one are placed evenly up to the next"]
                ns, valid = nanoseconds(path, table, clock)
            dated = text and ns[valid][0] > _DAY_NS
            if text and not dated:
                clock, doubts = dataclasses.replace(clock, origin="first"), []
            measured = bool(_HEADER.search(_plain(columns[0])))
            yield (
                (round(moving, 1), dated or clock.origin == "unix", measured, len(columns), moving),
                clock,
                doubts,
                ns,
                valid,
            )
            return


def _fraction(path: Path, table: Table, clock: Clock) -> Clock | None:
    """A clock of whole seconds with the column that has the parts of them; None where there is none."""
    for name in table.names:
        told = _PART.search(_plain(name)) or _PART.search(table.unit(name))
        if told is None or name in clock.columns or table.is_words(name):
            continue
        unit = next(unit for unit, found in told.groupdict().items() if found)
        parts = table.floats(name)
        parts = parts[np.isfinite(parts)]
        if not len(parts) or parts.min() < 0 or parts.max() * UNITS[unit] >= 10**9 or not np.ptp(parts):
            continue
        whole = dataclasses.replace(clock, fraction=name, fraction_unit=unit)
        ns, valid = nanoseconds(path, table, whole)
        if (np.diff(ns[valid]) >= 0).mean() >= _ORDERLY:
            return whole
    return None


def _as_dates(table: Table, columns: tuple[str, ...]) -> Iterator[tuple[Clock, list[str]]]:
    kind = table.kind(columns[-1])
    first = str(table.column(columns[-1])[0])
    zoned = getattr(kind, "tz", None) or _ZONE.search(first)
    letters = _LETTERS.search(first)
    doubts = [] if zoned or (letters and zone_s(letters[1]) is not None) else [NO_ZONE]
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


def _as_numbers(table: Table, name: str) -> Iterator[tuple[Clock, list[str]]]:
    numbers = table.floats(name)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < 2:
        return
    first, steps = float(numbers[0]), np.diff(numbers)
    step = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
    told = table.unit(name)
    unit = _LONG.get(told or name.lower().rpartition("_")[2], told)
    since_1970 = next((u for low, high, u in _TELLING if low <= first < high), None)
    if since_1970 and "gps" in name.lower():
        yield Clock((name,), unit=since_1970), [f"{name}: its date is not known, as it may count from 1980 too"]
    elif since_1970:
        yield Clock((name,), unit=since_1970, origin="unix"), []
    elif unit in ("", "s") and _OF_WEEK.search(_plain(name)) and 0 <= numbers.min() <= numbers.max() <= WEEK_S:
        yield _of_week(table, name)
    elif unit in UNITS:
        yield Clock((name,), unit=unit), []
    elif name.lower() == "tmr10ms":
        yield Clock((name,), unit="cs"), []
    elif _tells_time_of_day(numbers):
        yield Clock((name,), unit="hhmmss"), [f"{name} is taken for the digits of the time of day, hhmmss"]
    elif hint := next((unit for sign, unit in _SIGNS.items() if sign in name.lower()), ""):
        yield Clock((name,), unit=hint), []
    elif 30000 < first < 80000 and 0 < step < 0.05:
        yield Clock((name,), unit="excel_days", origin="unix"), [f"{name} is taken for day numbers of Excel, in UTC"]
    elif 700000 < first < 800000 and 0 < step < 0.05:
        yield Clock((name,), unit="matlab_days", origin="unix"), [f"{name} is taken for day numbers of MATLAB, in UTC"]
    elif step:
        fits = table.rate_hz and next((u for u in _COUNTED if abs(_rate(step, u) / table.rate_hz - 1) < _NEAR), None)
        unit = fits or _by_step(numbers, step)
        sure = name.lower().endswith("seconds_elapsed")
        doubts = [] if sure else [f"{name} is taken for {unit}: {_rate(step, unit):.4g} Hz"]
        if table.rate_hz and not fits:
            doubts.append(f"the text above the table tells a rate of {table.rate_hz:g} Hz, which {name} does not have")
        yield Clock((name,), unit=unit), doubts


def _of_week(table: Table, name: str) -> tuple[Clock, list[str]]:
    """Seconds of a GPS week, by the column that has its number."""
    week = next((column for column in table.names if _WEEK.search(_plain(column))), None)
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


def _by_step(numbers: np.ndarray, step: float) -> str:
    """The unit of stamps that tell none: whole numbers far apart are parts of a second."""
    if (numbers % 1).any() or step < 2:
        return "s"
    return "ms" if step < 500 else "us" if step < 500_000 else "ns"


def _rate(step: float, unit: str) -> float:
    return 1e9 / (step * UNITS[unit])

"""Finds a table's clock: by its name, and by values that grow from row to row."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.recipe import Clock
from worldmodel.logs.ingest.formats.tables.stamps import UNITS, nanoseconds
from worldmodel.logs.ingest.formats.tables.suggest.guesses import as_dates, as_numbers, plain_name, unit_of_time
from worldmodel.logs.ingest.formats.tables.suggest.long import name_column
from worldmodel.logs.ingest.formats.tables.table import Table

_NAMES = re.compile(
    r"time(?!t(?:er|ry)|_(?:state|status)|_?out$)|stamp|^date|date$|seconds?$|seconds|elapsed|^secs?$|millis|micros|^utc|epoch?|zeit|temps|tiempo|^datum|^fecha|^hora$|^heure|^clock$|(?:^|_)i?tow|^tmr"
    r"|(?:created|recorded|measured|observed|logged|updated|changed)_(?:at|on)$"
)
_DATE, _TIME = re.compile(r"dat|fecha|jour"), re.compile(r"time|uhrzeit|zeit|hora|heure|utc")
_SHORT = re.compile(r"(?:^|_)ts?$|^ts?_(?![xyz]$)")  # which may be a temperature too
_SET = re.compile(r"_(?:sp|set_?point|soll(?:wert)?|consigne)$")  # how long something is to take
_AXIS = re.compile(r"^x(?:_\d+)?$")  # `X[s]`, as plots and Delsys have it
_HEADER = re.compile(r"header_?stamp$")  # when it was measured, beside when the message came
_PART = re.compile(
    r"(?:^|_)(?:(?P<ns>n(?:ano)?_?s(?:ec(?:ond)?s?)?)|(?P<us>u_?s(?:ec(?:ond)?s?)?|micro_?s(?:ec(?:ond)?s?)?)"
    r"|(?P<ms>m(?:illi)?_?s(?:ec(?:ond)?s?)?|millis))$"
)
_DAY_NS = 86400 * 10**9
_ORDERLY = 0.9  # the share of steps that have to go on


# How well columns serve as a clock, the clock, its doubts, its stamps, and which rows have one.
Tried = tuple[tuple[float, bool, bool, int, float], Clock, list[str], np.ndarray, np.ndarray]


class FoundClock(NamedTuple):
    """A table's clock.

    Attributes:
        clock: as a recipe has it.
        columns: every column that tells a time, which no stream is read from.
        stamps_s: the seconds of each row since the first [M], NaN for rows without; of readings by their names in no
            order of times, those of one name after those of another.
        doubts: what is not certain.
        first_s: the first stamp in seconds, as the clock counts.
    """

    clock: Clock
    columns: tuple[str, ...]
    stamps_s: np.ndarray
    doubts: tuple[str, ...]
    first_s: float = 0.0

    @property
    def span_s(self) -> tuple[float, float]:
        """The first and the last stamp in seconds, as the clock counts."""
        return self.first_s, self.first_s + float(np.nanmax(self.stamps_s))


def find_clock(path: Path, table: Table) -> FoundClock:
    """The clock of a table.

    Raises:
        RecipeError: if none can be told.
    """
    clocks = named(table)
    found = [clock for columns in _candidates(table, clocks) for clock in _tried(path, table, columns)]
    key = "" if found else name_column(table, clocks)
    if key:  # readings of each name go on, though they stand behind those of others
        table = table.part(table.data.take(np.argsort(table.codes(key), kind="stable")))
        found = [clock for columns in _candidates(table, clocks) for clock in _tried(path, table, columns)]
    if not found and table.rate_hz:
        return _by_rate(table, table.rate_hz)
    if not found:
        raise RecipeError(
            f"No clock can be told in {path}.",
            expected="a column of a name such as time, whose numbers or dates grow from row to row",
            found=", ".join(table.names[:40]),
            remedy=_why_none(path, table, clocks)
            or "write a recipe whose [clock] names it, or says period_s (see datasets/README.md)",
        )
    _, clock, doubts, ns, valid = max(found, key=lambda one: one[0])
    origin = ns[valid].min()
    serve = {column for one in found for column in one[1].columns}
    lasting = (name for name in clocks if _SHORT.search(plain_name(name)) or unit_of_time(name) or _lasts(table, name))
    lost = {*lasting} - serve
    clocks = [name for name in clocks if name not in lost]
    clocks += [clock.fraction] if clock.fraction else []
    clocks += [clock.week] if isinstance(clock.week, str) else []
    return FoundClock(clock, tuple(clocks), np.where(valid, (ns - origin) * 1e-9, np.nan), tuple(doubts), origin * 1e-9)


def _lasts(table: Table, name: str) -> bool:
    """Whether a column that is called as clocks are falls about as it rises, as how long something took does."""
    if table.is_words(name) or is_temporal(table, name):
        return False
    numbers = table.floats(name)
    steps = np.diff(numbers[np.isfinite(numbers)])
    return bool((steps < 0).sum() > (1 - _ORDERLY) * (steps != 0).sum())


def _why_none(path: Path, table: Table, clocks: list[str]) -> str:
    """What to do where a column tells times that go back from row to row; empty where none does."""
    for name in clocks:
        numbers = () if table.is_words(name) or is_temporal(table, name) else table.floats(name)
        try:
            ns = np.asarray(numbers) if len(numbers) else nanoseconds(path, table, Clock((name,), origin="unix"))[0]
        except RecipeError:
            continue
        if len(ns) > 1 and (np.diff(ns) <= 0).mean() >= _ORDERLY and ns[0] > ns[-1]:
            return f"{name} goes back from row to row: turn the rows around, so that the oldest come first"
    return ""


def _by_rate(table: Table, rate_hz: float) -> FoundClock:
    """Rows that follow each other evenly, as the text above them says."""
    told = f"no column is a clock; rows follow each other at {rate_hz:g} Hz, as the text above them tells"
    return FoundClock(Clock((), period_s=1 / rate_hz), (), np.arange(table.data.num_rows) / rate_hz, (told,))


def named(table: Table) -> list[str]:
    """The columns that are called as clocks are, or hold times."""
    return [
        name
        for name in table.names
        if ((_NAMES.search(plain_name(name)) or unit_of_time(name)) and not _SET.search(plain_name(name)))
        or (_SHORT.search(plain_name(name)) and table.unit(name) in ("", *UNITS))  # T [°C] is a temperature
        or is_temporal(table, name)
        or (_AXIS.search(plain_name(name)) and table.unit(name) in UNITS)
    ]


def is_temporal(table: Table, name: str) -> bool:
    """Whether a column holds what the table itself calls times."""
    import pyarrow as pa

    return pa.types.is_temporal(table.kind(name))


def _candidates(table: Table, named: list[str]) -> Iterator[tuple[str, ...]]:
    yield from ((name,) for name in named)
    dates = [name for name in named if _DATE.match(plain_name(name)) and "time" not in plain_name(name)]
    times = [name for name in named if _TIME.match(plain_name(name))]
    yield from ((date, time) for date in dates for time in times)


def _tried(path: Path, table: Table, columns: tuple[str, ...]) -> Iterator[Tried]:
    """Columns as a clock; nothing where they do not serve as one."""
    import pyarrow as pa

    text = len(columns) == 2 or table.is_words(columns[0]) or pa.types.is_temporal(table.kind(columns[0]))
    for clock, doubts in as_dates(table, columns) if text else as_numbers(table, columns[0]):
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
            measured = bool(_HEADER.search(plain_name(columns[0])))
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
        told = _PART.search(plain_name(name)) or _PART.search(table.unit(name))
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

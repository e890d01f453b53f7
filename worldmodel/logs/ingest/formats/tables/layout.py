"""How a text file is laid out: what the recipe says, and the rest from its first lines."""

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from worldmodel.logs.ingest.formats.tables.conversions import is_unit, spelt, split
from worldmodel.logs.ingest.formats.tables.fields import DELIMITERS, fields_at, fields_of, is_value
from worldmodel.logs.ingest.formats.tables.headers import above_data, groups_above, names_at
from worldmodel.logs.ingest.formats.tables.recipe import Text

LINES = 400  # of them at most
_INDEX = "index"  # what pandas writes before the columns, without a name
_DAY, _HOUR = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"), re.compile(r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?")
_BELOW = 6  # lines below the header in which the data begin
_WORDED = re.compile(r"[^\W_]|[%°²]")  # which a line under a header is not
_WITH_COMMA, _WITH_POINT = (re.compile(rf"[-+]?\d*{mark}\d+([eE][-+]?\d+)?") for mark in (",", r"\."))


class Layout(NamedTuple):
    """Where what is in a text.

    Attributes:
        delimiter: between fields; a space is any run of blanks.
        decimal: `.` or `,`.
        names: of the columns, without surrounding blanks.
        units: of the columns as a row of units spells them; empty where there is none.
        start: the first line of the data, counted from 0.
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    start: int


def calls(names: Sequence[str]) -> set[str]:
    """Everything that a recipe may call columns of these names: with and without their units, by name and place."""
    counts = Counter(names)
    places = (f"{name}#{i}" for name, count in counts.items() for i in range(1, count + 1))
    return {*names, *(split(name)[0] for name in names), *places}


def has_columns(called: set[str], wanted: Sequence[str]) -> bool:
    """Whether columns that may be called so have all that are wanted; those by place are thought to be there."""
    return all({name, re.sub(r"\[\d+\]$", "", name)} & called or name.startswith("#") for name in wanted)


def find_layout(lines: Sequence[str], text: Text, wanted: Sequence[str], clock: str = "") -> Layout:
    """The layout of a text.

    Args:
        lines: its first.
        text: what the recipe says.
        wanted: columns that it is known to have; without any, the header is the line above the first data.
        clock: the column whose fields have digits in every line of data.

    Raises:
        ValueError: if no line can be the header.
    """
    lines = [line if not (text.comment and line.startswith(text.comment)) else "" for line in lines[:LINES]]
    given = [text.delimiter] if text.delimiter else list(DELIMITERS)
    if not text.header:
        return _without_header(lines, text, given)
    over = (text.header_rows or 1) - 1  # lines of groups above the last line of names
    wanted = [name for name in wanted if not name.startswith("#")]  # a place says nothing of a header
    if text.skip is not None and text.skip >= len(lines):
        raise ValueError(f"the recipe skips {text.skip} lines, and its beginning has {len(lines)}")
    if text.skip is not None:
        row = text.skip + over
        given = sorted(given, key=lambda d: not (wanted and has_columns(calls(names_at(lines, row, d, over)), wanted)))
        with contextlib.suppress(ValueError):  # of what has no numbers below
            given = given if wanted or len(given) == 1 else [above_data(lines[row:], given)[0]]
        return _below(lines, text, row, given[0], clock, over)
    named = (
        (d, row) for d in given for row in range(over, len(lines)) if wanted and _fits(lines, row, d, wanted, over)
    )
    first: Layout | None = None
    for delimiter, row in named:
        layout = _below(lines, text, row, delimiter, clock, over)
        if _has_data(lines, layout, clock):
            return layout
        first = first or layout
    if first:
        return first
    delimiter, row = above_data(lines, given)
    return _below(lines, text, row, delimiter, clock, over or groups_above(lines, row, delimiter))


def _fits(lines: Sequence[str], row: int, delimiter: str, wanted: Sequence[str], over: int) -> bool:
    if not over and any(name not in lines[row] and not set(name) & set('"#[') for name in wanted):
        return False  # at once, as most lines are no header
    return has_columns(calls(names_at(lines, row, delimiter, over)), wanted)


def _without_header(lines: Sequence[str], text: Text, given: Sequence[str]) -> Layout:
    start = text.skip or 0
    delimiter = max(given, key=lambda d: sum(map(is_value, fields_at(lines, start, d))))
    fields = fields_at(lines, start, delimiter)
    names = tuple(f"#{i}" for i in range(1, len(fields) + 1))
    return Layout(delimiter, text.decimal or _decimal(lines[start:], delimiter), names, (), start)


def _below(lines: Sequence[str], text: Text, row: int, delimiter: str, clock: str, over: int) -> Layout:
    """The layout whose header is a row, with so many lines of groups above it."""
    names = names_at(lines, row, delimiter, over)
    if len(names) > 1 and not names[0] and all(names[1:]):
        names[0] = _INDEX
    at = _place(names, clock)
    if text.units_rows is not None:
        start = row + 1 + text.units_rows
    else:
        below = range(row + 1, min(len(lines), row + 1 + _BELOW))
        start = next((i for i in below if _is_data(fields_of(lines[i], delimiter), len(names), at)), row + 1)
    above = [fields_of(line, delimiter) for line in lines[row + 1 : start]]
    again = fields_at(lines, row, delimiter)  # the header once more
    worded = (tuple(fields) for fields in above if len(fields) >= len(names) > 0 and any(map(_WORDED.search, fields)))
    units = max((fields for fields in worded if list(fields) != again), key=_units_in, default=())
    first = fields_at(lines, start, delimiter)
    if len(names) == len(first) + 1 and not names[-1]:  # of the header alone the line ends in a delimiter
        names.pop()
    if delimiter == " " and len(first) == len(names) + 1 and _DAY.fullmatch(first[0]) and _HOUR.fullmatch(first[1]):
        names = ["date", f"time {names[0]}", *names[1:]]  # RTKLIB's `GPST` is both
    if len(first) > len(names) and not any(first[len(names) :]):  # each line ends in a delimiter
        names += [""] * (len(first) - len(names))
    return Layout(delimiter, text.decimal or _decimal(lines[start:], delimiter), unique(names), units, start)


def _place(names: Sequence[str], clock: str) -> int | None:
    return next((i for i, name in enumerate(names) if clock and clock in (name, split(name)[0])), None)


def _units_in(fields: Sequence[str]) -> int:
    return sum(is_unit(spelt(field.strip("[]()"))) for field in fields if field)


def _is_data(fields: Sequence[str], count: int, clock: int | None) -> bool:
    if clock is not None:
        return clock < len(fields) and any(c.isdigit() for c in fields[clock])
    return any(map(is_value, fields)) and len(fields) <= count + 1


def _has_data(lines: Sequence[str], layout: Layout, clock: str) -> bool:
    """Whether lines of data of as many fields as names lie below."""
    below = [fields_of(line, layout.delimiter) for line in lines[layout.start : layout.start + _BELOW] if line.strip()]
    at = _place(layout.names, clock)
    return any(len(fields) >= len(layout.names) and _is_data(fields, len(layout.names), at) for fields in below)


def _decimal(lines: Sequence[str], delimiter: str) -> str:
    """The decimal mark of the first line of data in which a number has one: whole numbers tell none."""
    for line in lines if delimiter != "," else ():
        fields = fields_of(line, delimiter)
        if any(map(_WITH_COMMA.fullmatch, fields)):
            return ","
        if any(map(_WITH_POINT.fullmatch, fields)):
            return "."
    return "."


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names of which those that come again are told apart by their place: `speed#1`, `speed#2`."""
    counts: dict[str, int] = {}
    out = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        out.append(f"{name}#{counts[name]}" if names.count(name) > 1 else name)
    return tuple(out)

"""How a text file is laid out: what the recipe says, and the rest from its first lines."""

import codecs
import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from worldmodel.logs.ingest.formats.tables.conversions import is_unit, spelt, split
from worldmodel.logs.ingest.formats.tables.recipe import Text

HEAD = 1 << 16  # bytes that are looked at
LINES = 400  # of them at most
_INDEX = "index"  # what pandas writes before the columns, without a name
_BELOW = 6  # lines below the header in which the data begin
DELIMITERS = (",", ";", "\t", "|", " ")
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)", re.IGNORECASE)
_TIME = re.compile(r"\d{1,4}([-/.:]\w{1,9}){1,5}.*")
_WITH_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")


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


def encoding_of(head: bytes, given: str | None) -> tuple[str, int]:
    """A text's encoding, and how many bytes of a mark come before it."""
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return name, len(mark)
    if given:
        return given, 0
    zeros = head[:512]
    if len(zeros) >= 8 and zeros[1::2].count(0) > 0.4 * len(zeros) / 2 and 0 not in zeros[::2]:
        return "utf-16-le", 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252", 0
    return "utf-8", 0


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of a line, without surrounding blanks."""
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return [field.strip() for field in line.split(delimiter)]


def is_value(field: str) -> bool:
    """Whether a field is a number, or a time."""
    return bool(_NUMBER.fullmatch(field) or _TIME.fullmatch(field))


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
    if text.skip is not None and text.skip >= len(lines):
        raise ValueError(f"the recipe skips {text.skip} lines, and its beginning has {len(lines)}")
    if text.skip is not None:
        row = text.skip + over
        given = sorted(given, key=lambda d: not has_columns(calls(_names(lines, row, d, over)), wanted))
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
    delimiter, row = _above_data(lines, given)
    return _below(lines, text, row, delimiter, clock, over or _groups_above(lines, row, delimiter))


def _fields(lines: Sequence[str], row: int, delimiter: str) -> list[str]:
    return fields_of(lines[row], delimiter) if row < len(lines) else []


def _names(lines: Sequence[str], row: int, delimiter: str, over: int) -> list[str]:
    """The names in a line, each after its groups in so many lines above: `IMU.x`."""
    names = _stripped(_fields(lines, row, delimiter))
    for above in range(row - 1, row - 1 - over, -1):
        names = list(map(_within, _filled(_stripped(_fields(lines, above, delimiter)), len(names)), names))
    return names


def _within(group: str, name: str) -> str:
    """A column's name after its group's; a unit alone after the name that it is of."""
    if not (group and name) or group == name:
        return group or name
    return f"{group} {name}" if name[0] in "[(" else f"{group}.{name}"


def _fits(lines: Sequence[str], row: int, delimiter: str, wanted: Sequence[str], over: int) -> bool:
    if not over and any(name not in lines[row] and not set(name) & set('"#[') for name in wanted):
        return False  # at once, as most lines are no header
    return has_columns(calls(_names(lines, row, delimiter, over)), wanted)


def _stripped(names: Sequence[str]) -> list[str]:
    """Names without a mark of comment before the first of them."""
    if not names:
        return []
    first = names[0].lstrip("#%").strip()
    return [first, *names[1:]] if first or not names[0] else list(names[1:])


def _without_header(lines: Sequence[str], text: Text, given: Sequence[str]) -> Layout:
    start = text.skip or 0
    delimiter = max(given, key=lambda d: sum(map(is_value, _fields(lines, start, d))))
    fields = _fields(lines, start, delimiter)
    names = tuple(f"#{i}" for i in range(1, len(fields) + 1))
    return Layout(delimiter, text.decimal or _decimal(fields, delimiter), names, (), start)


def _below(lines: Sequence[str], text: Text, row: int, delimiter: str, clock: str, over: int) -> Layout:
    """The layout whose header is a row, with so many lines of groups above it."""
    names = _names(lines, row, delimiter, over)
    if len(names) > 1 and not names[0] and all(names[1:]):
        names[0] = _INDEX
    at = _place(names, clock)
    if text.units_rows is not None:
        start = row + 1 + text.units_rows
    else:
        below = range(row + 1, min(len(lines), row + 1 + _BELOW))
        start = next((i for i in below if _is_data(fields_of(lines[i], delimiter), len(names), at)), row + 1)
    above = [fields_of(line, delimiter) for line in lines[row + 1 : start]]
    units = max((tuple(fields) for fields in above if len(fields) >= len(names) > 0), key=_units_in, default=())
    first = _fields(lines, start, delimiter)
    if len(first) > len(names) and not any(first[len(names) :]):  # each line ends in a delimiter
        names += [""] * (len(first) - len(names))
    return Layout(delimiter, text.decimal or _decimal(first, delimiter), _unique(names), units, start)


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


def _decimal(fields: Sequence[str], delimiter: str) -> str:
    return "," if delimiter != "," and any(map(_WITH_COMMA.fullmatch, fields)) else "."


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names of which those that come again are told apart by their place: `speed#1`, `speed#2`."""
    counts: dict[str, int] = {}
    out = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        out.append(f"{name}#{counts[name]}" if names.count(name) > 1 else name)
    return tuple(out)


def _above_data(lines: Sequence[str], given: Sequence[str]) -> tuple[str, int]:
    """The delimiter, and the row of the header: the words above the first lines of numbers.

    Raises:
        ValueError: if there are none.
    """
    best = max(_guesses(lines, given), default=None)
    if best is None:
        first = next((line for line in lines if line.strip()), "")[:80]
        raise ValueError(
            f"no line is a header, with lines of numbers below, where the first is {first!r} (a recipe can say how "
            "many lines to skip, which delimiter there is, or that there is no header)"
        )
    _, _, _, delimiter, row = best
    return delimiter, row


def _guesses(lines: Sequence[str], given: Sequence[str]) -> Iterator[tuple[float, int, int, str, int]]:
    """Each delimiter's share of numbers, number of fields, rank, itself, and the row of the header."""
    for rank, delimiter in enumerate(given):
        rows = _Rows(lines, delimiter)
        for i in range(1, len(lines)):
            if delimiter != " " and delimiter not in lines[i]:
                continue
            width, values = len(rows[i]), sum(map(is_value, rows[i]))
            if width < 2:
                continue
            alike = all(len(rows[j]) in (0, width) for j in range(i, min(i + 3, len(lines))))
            enough = 2 * values >= width if not is_value(rows[i][0] or "0") else 3 * values >= width
            below = rows[i + 1] if i + 1 < len(lines) else []
            alike = alike and (not any(below) or any(map(is_value, below)))
            if not (enough and alike) or (width == 2 and values < 2):
                continue
            header = _top(lines, rows, i, width)
            if header is not None:
                share = values / max(1, sum(bool(field) for field in rows[i]))
                yield round(share, 1), width, -rank, delimiter, header
            break


class _Rows(dict[int, list[str]]):
    """The fields of lines by their numbers, parted when they are asked for."""

    def __init__(self, lines: Sequence[str], delimiter: str) -> None:
        self._lines, self._delimiter = lines, delimiter

    def __missing__(self, number: int) -> list[str]:
        self[number] = _stripped(fields_of(self._lines[number], self._delimiter))
        return self[number]


def _top(lines: Sequence[str], rows: Mapping[int, Sequence[str]], first: int, width: int) -> int | None:
    """The row of names above the first row of data: of those of words that are as wide, and full, the one with the
    most different words; the highest of several.
    """
    row, found = first - 1, list[int]()
    while row >= 0 and first - row <= _BELOW:
        if rows[row] and not (width - 1 <= len(rows[row]) <= width and not any(map(is_value, rows[row]))):
            break
        if found and (not rows[row] or lines[row].startswith("#")):
            break
        found += [row] if sum(map(bool, rows[row])) > 0.5 * width else []
        row -= 1
    return max(found, key=lambda row: (len(set(rows[row]) - {""}), -row), default=None)


def _filled(groups: Sequence[str], width: int) -> list[str]:
    """Groups of columns, each named above its first, for all of the columns."""
    last, every = "", []
    for group in [*groups, *[""] * (width - len(groups))][:width]:
        last = group or last
        every.append(last)
    return every


def _groups_above(lines: Sequence[str], row: int, delimiter: str) -> int:
    """How many lines above a line of names have names of groups of its columns."""
    width, count = len(_stripped(_fields(lines, row, delimiter))), 0
    while row > count and _are_groups(_stripped(_fields(lines, row - count - 1, delimiter)), width):
        count += 1
    return count


def _are_groups(words: Sequence[str], width: int) -> bool:
    """Whether words name groups of columns: several, with columns between them that have none, or the same again.

    A word and its value, `Driver,Kim,,,`, do not: what follows them is empty.
    """
    if abs(len(words) - width) > 1 or any(map(is_value, words)):
        return False
    there = [i for i, word in enumerate(words) if word]
    return any(b - a > 1 or words[a] == words[b] for a, b in itertools.pairwise(there))

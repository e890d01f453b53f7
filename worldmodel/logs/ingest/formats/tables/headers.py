"""Where the names of a table's columns are: the words above its data, and the groups above these."""

import itertools
import re
from collections.abc import Iterator, Sequence

from worldmodel.logs.ingest.formats.tables.fields import fields_at, fields_of, is_value, stripped

_ABOVE = 6  # lines of words above the data at most
_CLOCK = re.compile(r"^(?:t|time)/(?:s|ms|min|h)$", re.IGNORECASE)
_PIPED = re.compile(r'^"?(?P<name>[^"|]+)"?\|"?(?P<unit>[^"|]*)"?\|[-+\d.]+\|[-+\d.]+\|\d+$')
_SLASH = re.compile(r"^(?P<name>[^/]+)/(?P<unit>[^/].*)$")


def names_at(lines: Sequence[str], row: int, delimiter: str, over: int) -> list[str]:
    """The names in a line, each after its groups in so many lines above: `IMU.x`."""
    names = stripped(fields_at(lines, row, delimiter))
    for above in range(row - 1, row - 1 - over, -1):
        names = list(map(_within, _filled(stripped(fields_at(lines, above, delimiter)), len(names)), names))
    return in_brackets(names)


def in_brackets(names: Sequence[str]) -> list[str]:
    """Names with their units in brackets, where a clock shows that they stand behind a slash: `time/s`, `Ecell/V`.

    RaceCapture's, `"AccelX"|"G"|-3.0|3.0|25`, tell a range and a rate too.
    """
    if names and all(map(_PIPED.match, names)):
        return [_PIPED.sub(r"\g<name> [\g<unit>]", name).replace(" []", "") for name in names]
    if not any(map(_CLOCK.search, names)):
        return list(names)
    return [_SLASH.sub(r"\g<name> [\g<unit>]", name) for name in names]


def _within(group: str, name: str) -> str:
    """A column's name after its group's; a unit alone after the name that it is of."""
    if not (group and name) or group == name:
        return group or name
    return f"{group} {name}" if name[0] in "[(" else f"{group}.{name}"


def above_data(lines: Sequence[str], given: Sequence[str]) -> tuple[str, int]:
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
    *_, delimiter, row = best
    return delimiter, row


def _guesses(lines: Sequence[str], given: Sequence[str]) -> Iterator[tuple[float, bool, int, int, str, int]]:
    """Each delimiter's share of numbers, whether there are as many names, fields, rank, itself, the header's row."""
    for rank, delimiter in enumerate(given):
        rows = _Rows(lines, delimiter)
        for i in range(1, len(lines)):
            if delimiter != " " and delimiter not in lines[i]:
                continue
            width = len(rows[i])
            if width < 2:
                continue
            values = sum(map(is_value, rows[i]))
            there = [rows[j] for j in range(i, min(i + 3, len(lines)))]
            alike = all(len(row) == width or not any(row) for row in there)
            enough = 2 * values >= width if not is_value(rows[i][0] or "0") else 3 * values >= width
            enough = enough or all(map(_takes_turns, there))
            below = rows[i + 1] if i + 1 < len(lines) else []
            alike = alike and (not any(below) or any(map(is_value, below)))
            if not (enough and alike) or (width == 2 and values < 2):
                continue
            header = _top(lines, rows, i, width)
            if header is not None:
                share = values / max(1, sum(bool(field) for field in rows[i]))
                yield round(share, 1), len(rows.names(header, width)) == width, width, -rank, delimiter, header
            break


def _takes_turns(fields: Sequence[str]) -> bool:
    """Whether a row tells a time and a few readings, as of sensors that take turns, each in columns of its own."""
    filled = [field for field in fields if field]
    return len(filled) > 1 and is_value(fields[0]) and 2 * sum(map(is_value, filled)) >= len(filled)


class _Rows(dict[int, list[str]]):
    """The fields of lines by their numbers, parted when they are asked for."""

    def __init__(self, lines: Sequence[str], delimiter: str) -> None:
        self._lines, self._delimiter = lines, delimiter

    def __missing__(self, number: int) -> list[str]:
        self[number] = stripped(fields_of(self._lines[number], self._delimiter))
        return self[number]

    def names(self, number: int, width: int) -> list[str]:
        """Those of a header, of which alone the line may end in a delimiter, as BioLogic's does."""
        fields = self[number]
        return fields[:-1] if len(fields) == width + 1 and not fields[-1] else fields


def _top(lines: Sequence[str], rows: _Rows, first: int, width: int) -> int | None:
    """The row of names above the first row of data: of those of words that are as wide, and full, the one with the
    most different words; the highest of several.
    """
    row, found = first - 1, list[int]()
    while row >= 0 and first - row <= _ABOVE:
        words = rows.names(row, width)
        if any(words) and not (width - 1 <= len(words) <= width and not any(map(is_value, words))):
            break
        if found and (not any(words) or lines[row].startswith("#")):
            break
        found += [row] if sum(map(bool, words)) > 0.5 * width else []
        row -= 1
    return max(found, key=lambda row: (len(set(rows[row]) - {""}), -row), default=None)


def _filled(groups: Sequence[str], width: int) -> list[str]:
    """Groups of columns, each named above its first, for all of the columns."""
    last, every = "", []
    for group in [*groups, *[""] * (width - len(groups))][:width]:
        last = group or last
        every.append(last)
    return every


def groups_above(lines: Sequence[str], row: int, delimiter: str) -> int:
    """How many lines above a line of names have names of groups of its columns."""
    width, count = len(stripped(fields_at(lines, row, delimiter))), 0
    while row > count and _are_groups(stripped(fields_at(lines, row - count - 1, delimiter)), width):
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

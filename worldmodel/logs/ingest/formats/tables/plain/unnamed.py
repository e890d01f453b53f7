"""Rows without a line of names, each behind a date or a stamp since 1970, as SLAM programs and watches write them.

`1305031098.6659 1.35 0.63 1.63 0.61 0.59 -0.33 -0.39` or `2014-05-07 16:29:48.123,-0.12,0.23,0.96`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.logs.ingest.formats.tables.fields import DELIMITERS, SINCE_1970, fields_of, is_value
from worldmodel.logs.ingest.formats.tables.plain.rows import Rows, left_out

_FEWEST = 4  # rows
_DATE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_TUM = ("timestamp", "tx", "ty", "tz", "qx", "qy", "qz", "qw")
_UNIT = 0.01  # how far the length of a quaternion may be from 1


class _Found(NamedTuple):
    delimiter: str
    width: int


def claims(lines: Sequence[str]) -> bool:
    """Whether all lines are numbers, as many in each, behind a time that grows."""
    return _found(lines) is not None


def plain(lines: Sequence[str]) -> Rows:
    """The rows, with columns that are called by their places; those of a trajectory as TUM's tools name them.

    Raises:
        ValueError: if the first lines are damaged.
    """
    found = _found(lines[: 10 * _FEWEST])
    if found is None:
        raise ValueError("its first lines are damaged")
    delimiter, width = found
    parted = [(line, _fields(line, delimiter)) for line in lines if line.strip()]
    rows = [fields for _, fields in parted if len(fields) == width and _is_time(fields[0])]
    others = [line for line, fields in parted if len(fields) != width or not _is_time(fields[0])]
    names = [f"column_{i}" for i in range(1, width + 1)]
    names[0], told = "time", "its columns have no names, and are called by their places"
    if delimiter == " " and width == len(_TUM) and _are_turns(rows):
        names, told = list(_TUM), f"its columns have no names: taken for a trajectory, {' '.join(_TUM)}, as TUM's are"
    return Rows(
        names, rows, ".", [told, *left_out(len(others), "lines that are no rows of numbers", "".join(others[:1]))]
    )


def _found(lines: Sequence[str]) -> _Found | None:
    there = [line for line in lines if line.strip()]
    for delimiter in DELIMITERS:
        rows = [_fields(line, delimiter) for line in there]
        width = len(rows[0]) if rows else 0
        if width < 2 or len(rows) < _FEWEST or any(len(row) != width for row in rows):
            continue
        if all(_is_time(row[0]) and all(is_value(field) or not field for field in row) for row in rows):
            times = [row[0] if _DATE.match(row[0]) else float(row[0]) for row in rows]
            alike = len(set(map(type, times))) == 1
            if alike and times == sorted(times) and times[0] != times[-1]:  # type: ignore[type-var]
                return _Found(delimiter, width)
    return None


def _fields(line: str, delimiter: str) -> list[str]:
    """Those of a line, which may end in a delimiter."""
    fields = fields_of(line, delimiter)
    return fields[:-1] if len(fields) > 1 and not fields[-1] else fields


def _is_time(field: str) -> bool:
    if _DATE.match(field):
        return True
    try:
        number = float(field)
    except ValueError:
        return False
    return any(low <= number < high for low, high in SINCE_1970.values())


def _are_turns(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the last four fields of each row are a unit quaternion."""
    try:
        turns = np.array([row[-4:] for row in rows], float)
    except ValueError:
        return False
    return bool((np.abs(np.linalg.norm(turns, axis=1) - 1) < _UNIT).all())

"""What Empatica's E4 writes, a file a sensor: the first sample's stamp, the rate, and lines of readings.

Of heart beats it writes `stamp, IBI` and lines of seconds since then and of the interval.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from worldmodel.logs.ingest.formats.tables.fields import SINCE_1970
from worldmodel.logs.ingest.formats.tables.plain.rows import FILE, Rows, left_out

_FROM, _TO = SINCE_1970["s"]
_FASTEST = 1000.0  # Hz
_BEATS = re.compile(r"\s*(?P<start>\d{10}(?:\.\d+)?)\s*,\s*IBI\s*$")
_COUNTS = 64  # of the accelerometer, in 1 g


class _Head(NamedTuple):
    start: float
    rate_hz: float
    width: int


def claims(lines: Sequence[str]) -> bool:
    """Whether a text begins so."""
    return bool(lines and _BEATS.match(lines[0])) or _head(lines) is not None


def plain(lines: Sequence[str]) -> Rows:
    """The readings, each with its time.

    Raises:
        ValueError: if the first lines are damaged.
    """
    beats, head = _BEATS.match(lines[0]) if lines else None, _head(lines)
    if beats:
        start, names, told = float(beats["start"]), ["time", "ibi [s]"], "its times are those of heart beats"
        read = [_numbers(line) for line in lines[1:] if line.strip()]
        rows = [[f"{start + row[0]:.6f}", f"{row[1]:.6f}"] for row in read if len(row) == 2]
    elif head:
        three = head.width == 3
        names = ["time", *(["x [g]", "y [g]", "z [g]"] if three else [FILE] * head.width)]
        told = (
            f"rows follow each other at {head.rate_hz:g} Hz from the stamp in its first line, as those of Empatica's E4"
        )
        told += f"; {_COUNTS} counts are taken for 1 g" if three else ""
        read = [_numbers(line) for line in lines[2:] if line.strip()]
        scale = 1 / _COUNTS if three else 1
        rows = [
            [f"{head.start + i / head.rate_hz:.6f}", *(f"{scale * value:.9g}" for value in row)]
            for i, row in enumerate(read)
            if len(row) == head.width
        ]
    else:
        raise ValueError("its first lines are damaged")
    return Rows(names, rows, ".", [told, *left_out(len(read) - len(rows), "lines that are no readings", "")])


def _head(lines: Sequence[str]) -> _Head | None:
    """What the first two lines say, where they are one stamp and one rate in every column, and readings follow."""
    stamps, rates, first = map(_numbers, [*lines[:3], "", "", ""][:3])
    alike = len(set(stamps)) == len(set(rates)) == 1 and len(stamps) == len(rates) == len(first)
    if not alike or not (_FROM <= stamps[0] < _TO and 0 < rates[0] <= _FASTEST and max(map(abs, first)) < _FROM):
        return None
    return _Head(stamps[0], rates[0], len(stamps))


def _numbers(line: str) -> list[float]:
    """Those of a line; none where it holds others."""
    try:
        return [float(field) for field in line.split(",")]
    except ValueError:
        return []

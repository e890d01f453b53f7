"""LabVIEW measurement files (ni.com/tutorial/4139): a header, and segments that have a header each."""

import datetime
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from worldmodel.logs.ingest.formats.tables.plain.rows import Rows, left_out, with_unit

_FIRST, _END, _SEGMENT = "LabVIEW Measurement", "***End_of_Header***", "Channels"
_SPECIAL = "***Start_Special***", "***End_Special***"
_EPOCH_S = 2_082_844_800  # LabVIEW counts from 1904
_ABSOLUTE_S = 2e9  # times that are as large as that do

Fields = list[str]


class _Segment(NamedTuple):
    """The tags of a segment, the names of its columns, and its rows."""

    tags: dict[str, Fields]
    names: Fields
    rows: list[Fields]


def claims(lines: Sequence[str]) -> bool:
    """By its first word."""
    return bool(lines) and re.split(r"[\t,;]", lines[0].strip())[0] == _FIRST


def plain(lines: Sequence[str]) -> Rows:
    """All segments below each other, with the seconds since the first began.

    Raises:
        ValueError: if it is no whole file, its columns are no times, or segments have other channels.
    """
    delimiter = "," if any(re.match(r"Separator\W+Comma", line) for line in lines[:40]) else "\t"
    fields = [[field.strip() for field in line.split(delimiter)] for line in lines]
    end = next((i for i, row in enumerate(fields) if row[0] == _END), len(fields))
    head = _tags(fields[:end])
    segments = [segment for segment in _segments(list(_without_special(fields[end + 1 :]))) if segment.rows]
    if not segments:
        raise ValueError("none of its segments has samples")
    kind, decimal = _word(head, "X_Columns", "One"), _decimal(head, segments[0])
    names = _named(segments[0], kind)
    if any(_named(segment, kind) != names for segment in segments):
        raise ValueError("its segments have other channels than the first: one file is one recording")
    starts = [_start(segment.tags) for segment in segments]
    began = starts[0]
    rows, torn = list[Fields](), list[Fields]()
    for segment, start in zip(segments, starts, strict=True):
        later = (start - began).total_seconds() if start and began else 0.0
        for row in _with_times(segment, kind, len(names), later):
            (rows if len(row) == len(names) else torn).append(row)
    notes = [f"it began at {began}, by a clock whose zone it does not tell"] if began else []
    notes += [f"its {len(segments)} segments follow each other"] if len(segments) > 1 else []
    return Rows(names, rows, decimal, [*notes, *left_out(len(torn), "torn rows", torn[0] if torn else "")])


def _tags(rows: Sequence[Fields]) -> dict[str, Fields]:
    return {row[0]: row[1:] for row in rows if row[0]}


def _word(tags: dict[str, Fields], name: str, default: str) -> str:
    return next(iter(tags.get(name, ())), "") or default


def _decimal(head: dict[str, Fields], segment: _Segment) -> str:
    """Version 1 does not tell it."""
    told = _word(head, "Decimal_Separator", "")
    return told or ("," if any("," in field for field in segment.rows[0]) else ".")


def _without_special(rows: Sequence[Fields]) -> Iterator[Fields]:
    special = False
    for row in rows:
        special = (special or row[0] == _SPECIAL[0]) and row[0] != _SPECIAL[1]
        if any(row) and not special and row[0] != _SPECIAL[1]:
            yield row


def _segments(rows: Sequence[Fields]) -> Iterator[_Segment]:
    starts = [i for i, row in enumerate(rows) if row[0] == _SEGMENT]
    for start, stop in itertools.pairwise([*starts, len(rows)]):
        end = next((i for i in range(start, stop) if rows[i][0] == _END), stop)
        tags, (names, *data) = _tags(rows[start:end]), rows[end + 1 : stop] or [[]]
        dimension = _word(tags, "X_Dimension", "Time")
        if dimension.lower() != "time":
            raise ValueError(f"its samples are over {dimension}, not over time")
        yield _Segment(tags, names, data)


def _named(segment: _Segment, kind: str) -> Fields:
    """The names of the columns that are kept: the time, and those of the channels with their units."""
    named = [name for name in segment.names if name not in ("X_Value", "Comment")]
    every = 2 if kind == "Multi" else 1
    units = segment.tags.get("Y_Unit_Label", [])[::every]
    channels = [with_unit(name, unit) for name, unit in itertools.zip_longest(named, units[: len(named)], fillvalue="")]
    if kind == "Multi":
        return [name for channel in channels for name in ("time [s]", channel)]
    return ["time [s]", *channels]


def _start(tags: dict[str, Fields]) -> datetime.datetime | None:
    """When a segment began, by the clock of the machine."""
    time, _, part = _word(tags, "Time", "").replace(",", ".").partition(".")
    try:
        return datetime.datetime.strptime(f"{_word(tags, 'Date', '')} {time}.{part[:6] or 0}", "%Y/%m/%d %H:%M:%S.%f")
    except ValueError:
        return None


def _with_times(segment: _Segment, kind: str, width: int, later: float) -> Iterator[Fields]:
    """The rows of a segment, their times `later` seconds on, without comments."""
    if kind == "No":
        first, step = _even(segment.tags)
        for index, row in enumerate(segment.rows):
            yield [repr(first + index * step + later), *(row[1:] if not row[0] else row)[: width - 1]]
        return
    places = range(0, width, 2) if kind == "Multi" else (0,)
    for row in segment.rows:
        row = row[:width] + [""] * (width - len(row) if kind == "Multi" else 0)  # channels that have ended before
        for place in places:
            row[place] = _moved(row[place], later)
        yield row


def _moved(time: str, later: float) -> str:
    try:
        seconds = float(time.replace(",", "."))
    except ValueError:
        return time
    if seconds > _ABSOLUTE_S:
        return repr(seconds - _EPOCH_S)
    return repr(seconds + later) if later else time


def _even(tags: dict[str, Fields]) -> tuple[float, float]:
    """The first time and the step of channels that have no column of times."""
    firsts, steps = ({float(value.replace(",", ".")) for value in tags.get(n, ()) if value} for n in ("X0", "Delta_X"))
    if len(firsts) != 1 or len(steps) != 1:
        raise ValueError("its channels have no times, and not one X0 and Delta_X")
    return firsts.pop(), steps.pop()

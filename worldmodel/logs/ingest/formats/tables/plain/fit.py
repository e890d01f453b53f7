"""CSV that FitCSVTool of the FIT SDK makes of FIT files: a message a line, each field with its value and its unit."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from worldmodel.logs.ingest.formats.tables.plain.rows import Rows, left_out, with_unit

_HEADER = ("Type", "Local Number", "Message", "Field 1", "Value 1", "Units 1")
_RECORD = "record"
_EPOCH_S = 631_065_600  # FIT counts from 1989-12-31 UTC
_DEG = 180 / 2**31  # a semicircle
_NONE = 2**31 - 1  # of a position
_PLACE = ("position_lat", "position_long")
_CALLED = {"position_lat": "latitude", "position_long": "longitude", "enhanced_altitude": "altitude"}
_BETTER = {"speed": "enhanced_speed", "altitude": "enhanced_altitude"}  # the same with more digits
_COLUMN = re.compile(rf"{_RECORD}\.(?P<name>[^\[]+)(?:\[(?P<unit>.*)\])?$")

Message = dict[str, tuple[str, str]]  # the value and the unit of each field


def claims(lines: Sequence[str]) -> bool:
    """By its header."""
    first = _fields(lines[0]) if lines else []
    return tuple(first[:6]) == _HEADER or _is_records(first)


def _is_records(names: Sequence[str]) -> bool:
    """Whether a file is the one of records that the tool makes beside the other: a column a field."""
    return bool(names) and any(name.startswith(f"{_RECORD}.timestamp") for name in names)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line]), [])]


def plain(lines: Sequence[str]) -> Rows:
    """The records, with latitude and longitude in degrees and times since 1970.

    Raises:
        ValueError: if there is none.
    """
    first, *others = lines
    torn = [line for line in others if line.count('"') % 2]
    rows = csv.reader(line for line in others if line.strip() and not line.count('"') % 2)
    names = _fields(first)
    messages, notes = _of_columns(names, rows) if _is_records(names) else _of_messages(rows)
    if not messages:
        raise ValueError(f"none of its messages is a record: {'; '.join(notes)}")
    better = {old for old, new in _BETTER.items() if any(new in message for message in messages)}
    units = {name: unit for message in messages for name, (_, unit) in message.items() if name not in better}
    table = [[_value(name, message.get(name, ("", ""))[0]) for name in units] for message in messages]
    called = [with_unit(_CALLED.get(name, name), "deg" if name in _PLACE else unit) for name, unit in units.items()]
    return Rows(called, table, ".", [*notes, *left_out(len(torn), "torn lines", torn[0] if torn else "")])


def _of_messages(rows: Iterable[Sequence[str]]) -> tuple[list[Message], list[str]]:
    """The records, and a note of the other messages."""
    messages, others = list[Message](), Counter[str]()
    for kind, _, name, *fields in (row for row in rows if len(row) > 3):
        if kind == "Data" and name == _RECORD:
            messages.append(_taken(fields))
        elif kind == "Data":
            others[name] += 1
    told = ", ".join(f"{name} ({count})" for name, count in others.items())
    return messages, [f"messages that no stream is read from: {told}"] if told else []


def _taken(fields: Sequence[str]) -> Message:
    """The fields of a message; the first of those of one name, as its own come before a developer's."""
    message: Message = {}
    for name, value, unit in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if name:
            message.setdefault(name.strip(), (value.strip(), unit.strip()))
    return message


def _of_columns(names: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[list[Message], list[str]]:
    told = [_COLUMN.match(name) for name in names]
    known = [(i, match["name"].strip(), (match["unit"] or "").strip()) for i, match in enumerate(told) if match]
    messages = [
        {name: (row[i].strip(), unit) for i, name, unit in known if i < len(row) and row[i].strip()} for row in rows
    ]
    return [message for message in messages if "timestamp" in message], []


def _value(name: str, value: str) -> str:
    """A field as a log has it."""
    if name not in ("timestamp", *_PLACE) or not value:
        return value.replace("\t", " ")
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        return value
    if name == "timestamp":
        return str(number + _EPOCH_S)
    return repr(number * _DEG) if number != _NONE else ""

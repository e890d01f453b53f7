"""Parses GPMF, the telemetry format of GoPro cameras and drones: nested key, length and value records.

The format is described by its authors at https://github.com/gopro/gpmf-parser. Every value is big-endian and padded
to four bytes. A stream (`STRM`) holds properties such as its scale and units and then, last, its data.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_NUMBERS = {"b": ">i1", "B": ">u1", "d": ">f8", "f": ">f4", "j": ">i8", "J": ">u8"}
_NUMBERS |= {"l": ">i4", "L": ">u4", "s": ">i2", "S": ">u2", "q": ">i4", "Q": ">i8"}
_FIXED_POINT = {"q": 2.0**-16, "Q": 2.0**-32}


class Record(NamedTuple):
    """One record.

    Attributes:
        key: four characters.
        kind: the type character; empty for a record that holds records.
        size: bytes of one sample.
        repeat: how many samples.
        content: the bytes, without padding.
    """

    key: str
    kind: str
    size: int
    repeat: int
    content: bytes


class DeviceStream(NamedTuple):
    """One stream of one device within one payload.

    Attributes:
        device: the device's name.
        key: of the data, such as `ACCL`.
        values: float64 [M, S] in the stream's units, after its scale.
        properties: the other records by key: text, or an array of numbers.
    """

    device: str
    key: str
    values: np.ndarray
    properties: dict[str, str | list[str] | np.ndarray]


def records(data: bytes) -> Iterator[Record]:
    """The records of a block, one level deep.

    Raises:
        ValueError: if a record reaches beyond the block.
    """
    at = 0
    while at + 8 <= len(data):
        key, kind, size, count = struct.unpack_from(">4scBH", data, at)
        if key == b"\0\0\0\0":  # padding at the end of a payload
            return
        length = size * count
        if at + 8 + length > len(data):
            raise ValueError(f"record {key!r} of {length} bytes reaches beyond its block")
        content = data[at + 8 : at + 8 + length]
        yield Record(key.decode("latin1"), kind.decode("latin1").strip("\0"), size, count, content)
        at += 8 + (length + 3) // 4 * 4


def streams(payload: bytes) -> Iterator[DeviceStream]:
    """Every stream of every device in one payload."""
    for device in records(payload):
        if device.key != "DEVC":
            continue
        name = ""
        for record in records(device.content):
            if record.key == "DVNM":
                name = _text(record.content)
            elif record.key == "STRM":
                yield _stream(name, list(records(record.content)))


def _stream(device: str, parts: list[Record]) -> DeviceStream:
    properties = {part.key: _value(part) for part in parts[:-1] if part.kind not in ("", "?")}
    last = parts[-1]
    scale = np.asarray(properties.get("SCAL", 1.0), float).ravel()
    values = _table(last, str(properties.get("TYPE", "")))
    fits = values.size and len(scale) in (1, values.shape[1])
    return DeviceStream(device, last.key, values / scale if fits else values, properties)


def _value(record: Record) -> str | list[str] | np.ndarray:
    if record.kind in _NUMBERS:
        return _table(record, "").squeeze()
    if record.kind == "c" and record.repeat > 1 and record.size > 1:
        size = record.size
        return [_text(record.content[i * size : (i + 1) * size]) for i in range(record.repeat)]
    return _text(record.content)


def _table(record: Record, structure: str) -> np.ndarray:
    """The samples [M, S] as float64; a column that is no number is NaN."""
    kinds = structure if record.kind == "?" else record.kind
    if record.kind in _NUMBERS:
        kinds = record.kind * (record.size // np.dtype(_NUMBERS[record.kind]).itemsize)
    fields = [
        (f"f{i}", _NUMBERS.get(kind, {"F": "S4", "U": "S16", "G": "S16"}.get(kind, "S1")))
        for i, kind in enumerate(kinds)
    ]
    layout = np.dtype(fields)
    if not fields or layout.itemsize != record.size:
        return np.zeros((0, 0))
    raw = np.frombuffer(record.content, layout, record.repeat)
    columns = [
        raw[name].astype(float) * _FIXED_POINT.get(kind, 1.0) if kind in _NUMBERS else np.full(len(raw), np.nan)
        for (name, _), kind in zip(fields, kinds, strict=True)
    ]
    return np.stack(columns, axis=1)


def _text(content: bytes) -> str:
    return content.decode("latin1").rstrip("\0 ")

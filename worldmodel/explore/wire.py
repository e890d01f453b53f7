"""What goes to a page: arrays and pictures as text; and what comes from one, checked."""

import base64
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.types import Samples


def array(values: np.ndarray) -> dict[str, str]:
    """Values as base64 of little-endian float32, row after row; NaN where there is none."""
    return {"f32": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()}


def png(frame: np.ndarray) -> str:
    """A frame uint8 [rows, columns, 3] as a PNG (ISO/IEC 15948) in a `data:` address."""
    rows, columns, _ = frame.shape
    lines = np.insert(frame.reshape(rows, -1), 0, 0, axis=1)  # each line begins with its filter: none
    head = struct.pack(">2I5B", columns, rows, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")]
    whole = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)
    return "data:image/png;base64," + base64.b64encode(whole).decode()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def number(request: Mapping[str, Any], key: str) -> float | None:
    """A finite number of a request; None where it does not say.

    Raises:
        WorldModelError: if it is something else.
    """
    value = request.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WorldModelError(f"{key} is no number.", expected="a finite number", found=repr(value)[:80])
    return float(value)


def whole(request: Mapping[str, Any], key: str, default: int, most: int) -> int:
    """A whole number from 0 to `most`.

    Raises:
        WorldModelError: if it is something else.
    """
    value = number(request, key)
    if value is None:
        return default
    if value != int(value) or not 0 <= value <= most:
        raise WorldModelError(f"{key} cannot be {value:g}.", expected=f"a whole number from 0 to {most}")
    return int(value)


def names(request: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of names; none where it does not say."""
    value = request.get(key) or []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise WorldModelError(f"{key} is no list of names.", expected='such as ["gps"]', found=repr(value)[:80])
    return tuple(value)


def actions(request: Mapping[str, Any]) -> dict[str, Samples] | None:
    """What is commanded: by stream rows of a time after the moment and its values; None where it does not say."""
    given = request.get("actions")
    if given is None:
        return None
    try:
        tables = {str(name): np.array(rows, np.float64).reshape(len(rows), -1) for name, rows in given.items()}
        good = all(table.shape[1] > 1 and np.isfinite(table).all() for table in tables.values())
    except (AttributeError, TypeError, ValueError):
        good = False
    if not good:
        raise WorldModelError(
            "The actions cannot be read.", expected="by stream rows [time, value, ...] of finite numbers",
            found=repr(given)[:80],
        )  # fmt: skip
    return {name: Samples(table[:, 0], table[:, 1:].astype(np.float32)) for name, table in tables.items()}

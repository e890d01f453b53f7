"""What goes to a page: text, with arrays apart from it; and what comes from one, checked."""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.types import Samples


def packed(answer: Any) -> tuple[Any, bytes, bytes]:
    """An answer as JSON can hold it, and its arrays: all float32 and all pixels, one after another.

    In place of an array stands `{"f32": first, "shape": [...]}`, of pixels `{"u8": first, "shape": [...]}`: where its
    first element is among all of them. Numbers are little-endian, NaN where there is none.
    """
    floats, pixels = bytearray(), bytearray()

    def plain(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: plain(value) for key, value in part.items()}
        if isinstance(part, list | tuple):
            return [plain(value) for value in part]
        if not isinstance(part, np.ndarray):
            return part
        if part.dtype == np.uint8:
            pixels.extend(part.tobytes())
            return {"u8": len(pixels) - part.size, "shape": part.shape}
        floats.extend(np.asarray(part, "<f4").tobytes())
        return {"f32": len(floats) // 4 - part.size, "shape": part.shape}

    return plain(answer), bytes(floats), bytes(pixels)


def message(answer: Mapping[str, Any]) -> bytes:
    """An answer as one binary message: the bytes of its JSON and of its floats as two uint32, these, and its pixels.

    The JSON ends with spaces, so that floats begin at a multiple of four.
    """
    head, floats, pixels = packed(answer)
    text = json.dumps(head, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<2I", len(text), len(floats)) + text + floats + pixels


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

"""Messages: JSON, and the same as MessagePack with arrays as bytes; samples checked before anything sees them."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.serve.question import Asked
from worldmodel.types import Samples, StreamSpec

BINARY = "application/msgpack"
_TYPES = ("<f4", "<f8", "|u1", "<i4", "<i8")  # of arrays in MessagePack
_LARGEST = 1e12  # of times and numbers
_ASKED = {"at_s": float, "horizon_s": float, "members": int, "seed": int, "frames": bool}


class MalformedError(WorldModelError):
    """What came is no message at all."""


def unpack(body: bytes, binary: bool) -> dict[str, Any]:
    """The object that a body holds; nothing is an empty one.

    Raises:
        MalformedError: if it is none.
    """
    kind = "MessagePack" if binary else "JSON"
    try:
        found = (_unpack_binary(body) if binary else json.loads(body, parse_constant=_no_constant)) if body else {}
    except (ValueError, RecursionError, TypeError) as error:
        raise MalformedError(f"The body is no {kind}.", found=str(error)[:200]) from error
    if not isinstance(found, dict):
        raise MalformedError("The body is no object.", expected="an object", found=type(found).__name__)
    return found


def pack(message: dict[str, Any], binary: bool) -> bytes:
    """A message with arrays among its values; in JSON they are lists, with null for what is no finite number."""
    if not binary:
        return json.dumps(_plain(message), allow_nan=False, separators=(",", ":")).encode()
    import msgpack

    return msgpack.packb(message, default=_array)


def samples_of(message: Any, specs: Iterable[StreamSpec], what: str) -> dict[str, Samples]:
    """By stream, what `{"gyro": {"time": [...], "data": [...]}}` holds.

    Raises:
        WorldModelError: for a stream that is none of `specs`, times that do not increase, and values that do not fit.
    """
    named = {spec.name: spec for spec in specs}
    if not isinstance(message, dict):
        raise WorldModelError(f"{what} is no object.", expected='{"name": {"time": [...], "data": [...]}}')
    if unknown := [name for name in message if name not in named]:
        problem = f"{what} has a stream {str(unknown[0])[:80]!r}, which nobody asks for here."
        raise WorldModelError(problem, expected=", ".join(named) or "none")
    return {name: _samples(given, named[name], f"{what}.{name}") for name, given in message.items()}


def asked_of(message: Mapping[str, Any], actions: Iterable[StreamSpec], also: tuple[str, ...] = ()) -> Asked:
    """How to imagine, of a message that may have the keys of `Asked` and those of `also`.

    Raises:
        WorldModelError: for another key, or a value of another type.
    """
    if unknown := message.keys() - {*_ASKED, "actions", *also}:
        problem = f"{str(min(unknown, key=str))[:80]!r} is no part of this message."
        raise WorldModelError(problem, expected=", ".join((*also, "actions", *_ASKED)))
    given = {name: message[name] for name in _ASKED if message.get(name) is not None}
    for name, value in given.items():
        kind = _ASKED[name]
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST
        if not (isinstance(value, kind) if kind is bool else number and kind(value) == value):
            raise WorldModelError(f"{name} does not fit.", expected=kind.__name__, found=repr(value)[:80])
    return Asked(actions=samples_of(message.get("actions") or {}, actions, "actions"), **given)


def since_of(message: Mapping[str, Any]) -> float | None:
    """The moment after which alarms are told (`since_s`); None where it is not given.

    Raises:
        WorldModelError: for another key, or what is no number.
    """
    if unknown := message.keys() - {"since_s"}:
        raise WorldModelError(f"{str(min(unknown, key=str))[:80]!r} is no part of alarms.", expected="since_s")
    given = message.get("since_s")
    try:
        since_s = None if given is None else float(given)
    except (ValueError, TypeError):
        since_s = math.nan
    if since_s is not None and not abs(since_s) < _LARGEST:
        raise WorldModelError("since_s does not fit.", expected="seconds", found=repr(given)[:80])
    return since_s


def trajectory_message(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory: by stream times [M] and data [M, K, S]."""
    return {
        "start_s": trajectory.start_s,
        "streams": {n: {"time": s.time, "data": s.data} for n, s in trajectory.imagined.items()},
        "trust": {name: {e: np.asarray(x) for e, x in each.items()} for name, each in trajectory.trust.items()},
        "outside": {name: float(size) for name, size in trajectory.outside.items()},
        "unsure": dict(trajectory.unsure),
        "silent": list(trajectory.silent),
        "aimless": list(trajectory.aimless),
    }


def _samples(given: Any, spec: StreamSpec, what: str) -> Samples:
    if not isinstance(given, dict) or given.keys() != {"time", "data"}:
        raise WorldModelError(f"{what} does not fit.", expected='{"time": [...], "data": [...]}')
    time, data = _numbers(given["time"], f"{what}.time"), _numbers(given["data"], f"{what}.data")
    expected = (len(time) if time.ndim else 0, *spec.sample_shape)
    if not data.size and not time.size:
        data = data.reshape(0, *spec.sample_shape)
    if time.ndim != 1 or data.shape != expected:
        shape = f"time [M] and data [M, {', '.join(map(str, spec.sample_shape))}]"
        raise WorldModelError(f"{what} has another shape.", expected=shape, found=f"{time.shape} and {data.shape}")
    if not np.isfinite(time).all() or (np.diff(time) <= 0).any() or (np.abs(time) > _LARGEST).any():
        raise WorldModelError(f"{what}.time does not increase.", expected="finite seconds, each above the one before")
    if spec.kind == "video":
        if not ((data >= 0) & (data <= 255)).all():
            raise WorldModelError(f"{what}.data holds no pixels.", expected="0 to 255")
        return Samples(time, data.astype(np.uint8))
    if (np.abs(data[np.isfinite(data)]) > np.finfo(np.float32).max).any():
        raise WorldModelError(f"{what}.data is beyond float32.")
    return Samples(time, data.astype(np.float64))


def _numbers(given: Any, what: str) -> np.ndarray:
    """An array; null is NaN."""
    try:
        found = given if isinstance(given, np.ndarray) else np.array(given, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise WorldModelError(f"{what} is no array of numbers.", found=str(error)[:120]) from error
    return found


def _unpack_binary(body: bytes) -> Any:
    import msgpack

    return msgpack.unpackb(body, object_hook=_from_array, strict_map_key=True)


def _from_array(found: dict[str, Any]) -> Any:
    if found.keys() != {"dtype", "shape", "data"}:
        return found
    if found["dtype"] not in _TYPES or not isinstance(found["data"], bytes):
        raise ValueError(f"an array of dtype {str(found['dtype'])[:20]!r}; there are {', '.join(_TYPES)}")
    return np.frombuffer(found["data"], found["dtype"]).reshape(tuple(found["shape"]))


def _array(value: Any) -> dict[str, Any]:
    value = np.ascontiguousarray(value)
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": value.tobytes()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            known, value = np.isfinite(value), value.astype(object)
            value[~known] = None
        return value.tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON; write null for a reading that is missing")

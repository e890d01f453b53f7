"""Messages of a CAN bus as streams, by a DBC."""

import math
import re
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.tables.conversions import spelt
from worldmodel.logs.ingest.importer import needed
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import StreamSpec
from worldmodel.units import conversion

_SI = ("m/s", "rad", "rad/s", "m/s^2", "m", "s", "V", "A", "N", "Nm", "K", "Pa", "T", "kg", "W")
_TOLD = 5
_LEAST_BITS = 4  # of fewer, what is not valid is what a signal tells
_MAGNETIC = re.compile(r"mag", re.I)  # what is called so is in gauss where it is in G
_NO_READING = re.compile(r"\bsna\b|not[ _]?avail|unavailable|invalid|no[ _]?signal|not[ _]?defined|undefined", re.I)


def dbc_beside(path: Path) -> list[Path]:
    """The DBC files in a log's folder."""
    return sorted(file for file in path.parent.iterdir() if file.suffix.lower() == ".dbc")


def load(files: Sequence[Path], notes: list[str]) -> list[Any]:
    """The messages that DBC files describe, of those of one address the first; `notes` gets the others.

    Raises:
        RecipeError: if one cannot be read.
    """
    cantools = needed("cantools", "can")
    found: dict[tuple[int, bool], Any] = {}
    for dbc in files:
        with reading(dbc, "a DBC"):
            messages = cantools.database.load_file(str(dbc), cache_dir=None, strict=False).messages
        again = [message.name for message in messages if _address(message) in found]
        if again:
            notes.append(f"{dbc.name}: {len(again)} messages have addresses of earlier DBC files: {_few(again)}")
        found = {_address(message): message for message in messages} | found
    return list(found.values())


def _address(message: Any) -> tuple[int, bool]:
    return message.frame_id, bool(message.is_extended_frame)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_TOLD]) + (" and others" if len(names) > _TOLD else "")


def add_message(
    recording: Recording, message: Any, stream: str, kind: str, frames: Iterable[tuple[float, bytes]]
) -> None:
    """Adds a message's signals; multiplexed ones as a stream for each value of the multiplexers, at its own times.

    Args:
        recording: gets them, and a note of the frames that do not fit.
        message: as the DBC has it.
        stream: its name; the multiplexers' values follow.
        kind: `sensor`, or `action` for what was sent.
        frames: seconds and bytes of each.
    """
    selectors = [signal.name for signal in message.signals if signal.is_multiplexer]
    groups: dict[tuple[str, ...], tuple[tuple[str, ...], array[float], array[float]]] = {}
    count = broken = short = 0
    for seconds, content in frames:
        count += 1
        try:
            decoded = _decoded(message, content)
            values = [float(value) for value in decoded.values()]
            selected = tuple(f"{decoded[name]:g}" for name in selectors if name in decoded)
        except Exception:  # of several types, by what the DBC says
            broken += 1
            continue
        if selected not in groups:
            whole = _decoded(message, content.ljust(message.length, b"\0"))
            groups[selected] = tuple(whole), array("d"), array("d")
        names, times, rows = groups[selected]
        short += len(decoded) < len(names)
        times.append(seconds)
        rows.extend(values if tuple(decoded) == names else [float(decoded.get(name, math.nan)) for name in names])
    if broken:
        recording.notes.append(f"{stream}: {broken} of {count} frames do not fit the DBC and are left out")
    if short:
        told = f"{short} of {count} frames are shorter than its {message.length} bytes"
        recording.notes.append(f"{stream}: {told}: signals beyond are missing")
    for selected, (names, times, rows) in sorted(groups.items()):
        if not names:
            continue
        signals, time = [message.get_signal_by_name(name) for name in names], np.array(times)
        units, *to_si = zip(*(in_si(s.unit or "", f"{message.name}.{s.name}") for s in signals), strict=True)
        scale, offset = map(np.array, to_si)
        data = np.array(rows).reshape(len(time), len(names))
        none = _no_readings(signals, data)
        data[none] = np.nan
        if none.any():
            told = ", ".join(f"{n} of {s.name}" for s, n in zip(signals, none.sum(0), strict=True) if n)
            recording.notes.append(f"{'_'.join((stream, *selected))}: what the DBC calls no reading is missing: {told}")
        name = "_".join((stream, *selected))
        spec = StreamSpec(name, kind, names, units, nominal_rate(time), description=str(message.comment or ""))
        recording.add(spec, time, data * scale + offset)
        recording.stored[name] = (  # of the numbers as they are on the bus
            scale * [float(signal.scale) for signal in signals],
            offset + scale * [float(signal.offset) for signal in signals],
        )


def _no_readings(signals: Sequence[Any], data: np.ndarray) -> np.ndarray:
    """Which values [M, S] have a name that says that they are none, such as SNA: of the last two of a signal's bits."""
    none = np.zeros(data.shape, bool)
    for column, signal in enumerate(signals):
        last = 2 ** (signal.length - signal.is_signed) - 1
        for raw, name in (signal.choices or {}).items() if signal.length >= _LEAST_BITS else ():
            if last - 1 <= raw <= last and _NO_READING.search(str(name)):
                none[:, column] |= data[:, column] == raw * signal.scale + signal.offset
    return none


def _decoded(message: Any, content: bytes) -> dict[str, Any]:
    return message.decode(content[: message.length], decode_choices=False, allow_truncated=True)


def in_si(unit: str, name: str) -> tuple[str, float, float]:
    """The SI unit that the unit of what is called so becomes, its scale and offset; the unit itself where none fits."""
    known = "gauss" if unit.strip() == "G" and _MAGNETIC.search(name) else spelt(unit)
    for si in _SI:
        if found := conversion(known, si):
            return si, found.scale, found.offset
    return unit, 1.0, 0.0

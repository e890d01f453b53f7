"""Messages of a CAN bus as streams, by a DBC."""

import math
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.importer import needed
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import StreamSpec
from worldmodel.units import conversion

_SI = ("m/s", "rad", "rad/s", "m/s^2", "m", "s", "V", "A", "N", "Nm", "K", "Pa", "T", "kg", "W")


def load(dbc: Path) -> list[Any]:
    """The messages that a DBC describes.

    Raises:
        RecipeError: if it cannot be read.
    """
    cantools = needed("cantools", "can")
    with reading(dbc, "a DBC"):
        return list(cantools.database.load_file(str(dbc), cache_dir=None).messages)


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
    count = broken = 0
    for seconds, content in frames:
        count += 1
        try:
            decoded = message.decode(content[: message.length], decode_choices=False, allow_truncated=True)
            values = [float(value) for value in decoded.values()]
            selected = tuple(f"{decoded[name]:g}" for name in selectors if name in decoded)
        except Exception:  # of several types, by what the DBC says
            broken += 1
            continue
        names, times, rows = groups.setdefault(selected, (tuple(decoded), array("d"), array("d")))
        times.append(seconds)
        rows.extend(values if tuple(decoded) == names else [float(decoded.get(name, math.nan)) for name in names])
    if broken:
        recording.notes.append(f"{stream}: {broken} of {count} frames do not fit the DBC and are left out")
    for selected, (names, times, rows) in sorted(groups.items()):
        if not names:
            continue
        units, scale, offset = zip(*(in_si(message.get_signal_by_name(name).unit or "") for name in names), strict=True)
        time = np.array(times)
        spec = StreamSpec(
            "_".join((stream, *selected)), kind, names, units, nominal_rate(time),
            description=str(message.comment or ""),
        )  # fmt: skip
        recording.add(spec, time, np.array(rows).reshape(len(time), len(names)) * scale + offset)


def in_si(unit: str) -> tuple[str, float, float]:
    """The SI unit that a unit becomes, and its scale and offset; the unit itself where none fits."""
    for si in _SI:
        if found := conversion(unit, si):
            return si, found.scale, found.offset
    return unit, 1.0, 0.0

"""The raw CAN bus of a comma2k19 segment: the commands that the device sent, and messages by a DBC."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.comma2k19.arrays import Folder
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.importer import needed
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import StreamSpec
from worldmodel.units import conversion

SENT = 128  # added to the number of a bus where the device itself sent
_BYTES = 8
_SI = ("m/s", "rad", "rad/s", "m/s^2", "m", "V", "A", "N", "Nm", "K")


class _Command(NamedTuple):
    """A signed 16-bit number in a message that the device sent."""

    address: int
    start: int
    scale: float
    stream: str
    column: str
    unit: str
    description: str


# Of a Toyota, by opendbc's toyota_nodsu_pt: STEERING_LKA and ACC_CONTROL.
_COMMANDS = (
    _Command(0x2E4, 1, 1.0, "steering_command", "torque", "", "asked of the steering, in its own counts"),
    _Command(0x343, 0, 1e-3, "acceleration_command", "acceleration", "m/s^2", "asked of the car"),
)  # fmt: skip


class _Frames(NamedTuple):
    """Frames: seconds [M], addresses [M], buses [M] and their bytes [M, 8], zero beyond a frame's end."""

    time: np.ndarray
    address: np.ndarray
    bus: np.ndarray
    content: np.ndarray


def _frames(folder: Folder) -> _Frames | None:
    names = ("t", "address", "src", "data")
    time, address, bus, content = (folder.array(f"processed_log/CAN/raw_can/{name}") for name in names)
    if time is None or address is None or bus is None or content is None:
        return None
    if not (time.shape == address.shape == bus.shape == content.shape and time.ndim == 1):
        raise RecipeError(f"{folder.path}: the arrays of its raw CAN are not of one length.", remedy="copy it again")
    if content.dtype.kind != "S" or content.dtype.itemsize > _BYTES:
        raise RecipeError(f"{folder.path}: its raw CAN holds no frames.", found=str(content.dtype))
    content = content.astype(f"S{_BYTES}").view(np.uint8).reshape(-1, _BYTES)
    return _Frames(time.astype(np.float64), address, bus, content)


def add_commands(folder: Folder, recording: Recording) -> None:
    """Adds the commands that are known without a DBC: those to a Toyota."""
    frames = _frames(folder)
    if frames is None:
        return
    for command in _COMMANDS:
        rows = (frames.address == command.address) & (frames.bus == SENT)
        if not rows.any():
            recording.notes.append(f"{command.stream}: no frame of address {command.address:#x} was sent")
            continue
        raw = frames.content[rows, command.start : command.start + 2].copy().view(">i2")
        spec = StreamSpec(
            command.stream, "action", (command.column,), (command.unit,), nominal_rate(frames.time[rows]),
            description=command.description,
        )  # fmt: skip
        recording.add(spec, frames.time[rows], raw * command.scale)


def add_messages(folder: Folder, recording: Recording, dbc: Path) -> None:
    """Adds every message of the car's main bus that a DBC knows; of those that the device sent, as actions.

    Signals that share a message are a stream; multiplexed ones are of several, each at its own times.
    """
    frames = _frames(folder)
    if frames is None:
        return
    messages = _messages(dbc)
    for bus, kind in ((0, "sensor"), (SENT, "action")):
        for address in np.unique(frames.address[frames.bus == bus]):
            if int(address) in messages:
                rows = np.flatnonzero((frames.address == address) & (frames.bus == bus))
                _add_message(recording, messages[int(address)], kind, frames.time[rows], frames.content[rows])
    others = sorted({int(bus) for bus in np.unique(frames.bus)} - {0, SENT})
    if others:
        recording.notes.append(f"CAN: the DBC is taken for bus 0; buses {', '.join(map(str, others))} are left out")


def _messages(dbc: Path) -> dict[int, Any]:
    cantools = needed("cantools", "can")
    with reading(dbc, "a DBC"):
        return {message.frame_id: message for message in cantools.database.load_file(str(dbc)).messages}


def _add_message(recording: Recording, message: Any, kind: str, time: np.ndarray, content: np.ndarray) -> None:
    groups: dict[tuple[str, ...], list[tuple[float, list[float]]]] = defaultdict(list)
    broken = 0
    for seconds, row in zip(time, content, strict=True):
        try:
            values = message.decode(row.tobytes()[: message.length], decode_choices=False, allow_truncated=True)
        except Exception:  # of several types, by what the DBC says
            broken += 1
            continue
        groups[tuple(values)].append((float(seconds), [float(value) for value in values.values()]))
    if broken:
        recording.notes.append(f"{message.name}: {broken} of {len(time)} frames do not fit the DBC and are left out")
    for number, (names, rows) in enumerate(sorted(groups.items())):
        name = message.name if len(groups) == 1 else f"{message.name}_{number}"
        stream = f"{name}_sent" if kind == "action" else name
        stamps, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        units, scale, offset = zip(
            *(_in_si(message.get_signal_by_name(name).unit or "") for name in names), strict=True
        )
        spec = StreamSpec(stream, kind, names, units, nominal_rate(stamps), description=str(message.comment or ""))
        recording.add(spec, stamps, values * scale + offset)


def _in_si(unit: str) -> tuple[str, float, float]:
    """The SI unit that a unit becomes, and its scale and offset; the unit itself where none fits."""
    for si in _SI:
        if found := conversion(unit, si):
            return si, found.scale, found.offset
    return unit, 1.0, 0.0

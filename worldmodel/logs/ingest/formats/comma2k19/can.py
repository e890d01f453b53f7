"""The raw CAN bus of a comma2k19 segment: the commands that the device sent, and messages by a DBC."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.comma2k19.arrays import Folder
from worldmodel.logs.ingest.formats.dbc import add_message, load
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import StreamSpec

SENT = 128  # added to the number of a bus where the device itself sent
_BYTES = 8


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


def add_messages(folder: Folder, recording: Recording, dbc: Sequence[Path]) -> None:
    """Adds every message of the car's main bus that a DBC knows; of those that the device sent, as actions.

    Signals that share a message are a stream; multiplexed ones are of several, by the multiplexer's value.
    """
    frames = _frames(folder)
    if frames is None:
        return
    messages = {message.frame_id: message for message in load(dbc, recording.notes)}
    for bus, kind in ((0, "sensor"), (SENT, "action")):
        for address in np.unique(frames.address[frames.bus == bus]):
            if int(address) in messages:
                rows = np.flatnonzero((frames.address == address) & (frames.bus == bus))
                message, name = messages[int(address)], messages[int(address)].name
                stream = f"{name}_sent" if kind == "action" else name
                contents = (row.tobytes() for row in frames.content[rows])
                add_message(recording, message, stream, kind, zip(frames.time[rows], contents, strict=True))
    others = sorted({int(bus) for bus in np.unique(frames.bus)} - {0, SENT})
    if others:
        recording.notes.append(f"CAN: the DBC is taken for bus 0; buses {', '.join(map(str, others))} are left out")

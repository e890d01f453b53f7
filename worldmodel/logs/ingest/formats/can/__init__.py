"""CAN logs (candump, ASC, BLF, TRC, CSV), decoded by a DBC: a stream a message."""

import math
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.can import frames
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.dbc import add_message, load
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

_SINCE_1970 = 1e9  # seconds; stamps of a log that counts from its beginning are less
_MOST_TOLD = 12

_Key = tuple[str, int, bool, bool]  # bus, address, whether that is extended, whether it was sent


def claims(path: Path) -> bool:
    """By a file's first bytes."""
    try:
        return path.is_file() and frames.kind(path) is not None
    except OSError:
        return False


def parts(path: Path) -> list[Path]:
    """The log, and the DBC beside it where there is one."""
    beside = _beside(path)
    return [path, *beside] if len(beside) == 1 else [path]


def _beside(path: Path) -> list[Path]:
    return sorted(file for file in path.parent.iterdir() if file.suffix.lower() == ".dbc")


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode, whose time zero is the first frame of a message that the DBC knows.

    Raises:
        RecipeError: if no DBC is given, the log is damaged, or no frame is of a message that it knows.
    """
    recording = Recording(path.name, about={"description": "CAN log"})
    dbc = options.dbc or (_found(path, recording),)
    known = ", ".join(file.name for file in dbc)
    messages = {(m.frame_id, bool(m.is_extended_frame)): m for m in load(dbc, recording.notes)}
    with reading(path, "a CAN log"):
        kept = _Kept(messages)
        for frame in frames.messages(path, options.advance, recording.notes):
            kept.add(frame)
        recording.notes += kept.notes()
        if not kept.times:
            raise RecipeError(
                f"{path} has no frame of a message that {known} knows.",
                expected="addresses such as " + ", ".join(f"{address:#x}" for address, _ in list(messages)[:5]),
                found="; ".join(recording.notes) or "no frames",
                remedy="--dbc FILE of this machine",
            )
        kept.add_to(recording)
    if not recording.samples:
        raise RecipeError(f"{path} has no frame that fits {known}.", found="; ".join(recording.notes))
    zero = min(float(samples.time[0]) for samples in recording.samples.values())
    recording.origin_utc = 0.0 if zero > _SINCE_1970 else math.nan
    recording.shift(zero)
    yield recording


def _found(path: Path, recording: Recording) -> Path:
    beside = _beside(path)
    if len(beside) != 1:
        raise RecipeError(
            f"Nothing says what the messages of {path} mean.",
            expected="a DBC file",
            found=f"{len(beside)} beside it",
            remedy="--dbc FILE (dbc= in Python)",
        )
    recording.notes.append(f"decoded by {beside[0].name}, which lies beside it")
    return beside[0]


class _Kept:
    """The frames of known messages by bus, address and direction, and how many others there were."""

    def __init__(self, messages: dict[tuple[int, bool], Any]) -> None:
        self._messages = messages
        self.times: dict[_Key, array[float]] = {}
        self._contents: dict[_Key, list[bytes]] = {}
        self._others: Counter[str] = Counter()
        self._unknown: Counter[int] = Counter()

    def add(self, frame: Any) -> None:
        address = frame.arbitration_id, bool(frame.is_extended_id)
        if frame.is_error_frame or frame.is_remote_frame:
            self._others["error frames" if frame.is_error_frame else "remote frames"] += 1
        elif address not in self._messages:
            self._unknown[address[0]] += 1
        else:
            key = _bus(frame.channel), *address, not frame.is_rx
            self.times.setdefault(key, array("d")).append(frame.timestamp)
            self._contents.setdefault(key, []).append(bytes(frame.data))

    def notes(self) -> list[str]:
        """One note of what was left out."""
        left = [f"{count} {what}" for what, count in sorted(self._others.items())]
        if self._unknown:
            told = ", ".join(f"{address:#x}" for address in sorted(self._unknown)[:_MOST_TOLD])
            more = f" and {len(self._unknown) - _MOST_TOLD} more" if len(self._unknown) > _MOST_TOLD else ""
            left.append(f"{self._unknown.total()} frames of addresses that the DBC does not know ({told}{more})")
        return [f"CAN: left out: {', '.join(left)}"] if left else []

    def add_to(self, recording: Recording) -> None:
        """Adds a stream a message, named for its bus too where there are several."""
        several = len({bus for bus, *_ in self.times}) > 1
        for key, times in sorted(self.times.items()):
            bus, address, extended, sent = key
            message = self._messages[address, extended]
            name = "_".join((message.name, *([bus] if several else []), *(["sent"] if sent else [])))
            contents = self._contents.pop(key)
            kind = "action" if sent else "sensor"
            add_message(recording, message, name, kind, zip(times, contents, strict=True))


def _bus(channel: Any) -> str:
    """A bus as its log calls it; Vector's, which python-can counts from 0, count from 1."""
    return str(channel + 1 if isinstance(channel, int) else channel or "")

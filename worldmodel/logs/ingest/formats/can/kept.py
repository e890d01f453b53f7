"""Frames of a CAN bus on their way into streams, a stream a message."""

import itertools
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from worldmodel.logs.ingest.formats.dbc import add_message
from worldmodel.logs.ingest.recording import Recording

_MOST_TOLD = 12
_NO_SOURCE, _BROADCAST = 0xFE, 0xF0  # of J1939

Key = tuple[str, int, bool, bool]  # bus, address, whether that is extended, whether it was sent


class Kept:
    """The frames of known messages by bus, address and direction, and how many others there were.

    Args:
        messages: what the DBC knows. Those of J1939, as it says or as none of its long addresses has a source, have any
            priority, source and destination.
        seen: the buses, addresses and directions of earlier pieces of the log, which count where streams are named.
    """

    def __init__(self, messages: Sequence[Any], seen: set[Key]) -> None:
        self._seen = seen
        self._messages = {(m.frame_id, bool(m.is_extended_frame)): m for m in messages}
        wide = [message for message in messages if message.is_extended_frame]
        any_source = all(message.frame_id & 0xFF == _NO_SOURCE for message in wide)
        self._groups = {_group(m.frame_id): m for m in wide if any_source or m.protocol == "j1939"}
        self.times: dict[Key, array[float]] = {}
        self._contents: dict[Key, list[bytes]] = {}
        self._others: Counter[str] = Counter()
        self._unknown: Counter[int] = Counter()
        self._by_group = 0

    def take(self, frames: Iterator[Any], most: int) -> bool:
        """Takes frames, so many at most; returns whether there may be more."""
        left = most
        for frame in itertools.islice(frames, most):
            self.add(frame)
            left -= 1
        return left == 0

    def add(self, frame: Any) -> None:
        address = frame.arbitration_id, bool(frame.is_extended_id)
        if frame.is_error_frame or frame.is_remote_frame:
            self._others["error frames" if frame.is_error_frame else "remote frames"] += 1
        elif self._message(*address) is None:
            self._unknown[address[0]] += 1
        else:
            self._by_group += address not in self._messages
            key = _bus(frame.channel), *address, not frame.is_rx
            self.times.setdefault(key, array("d")).append(frame.timestamp)
            self._contents.setdefault(key, []).append(bytes(frame.data))

    def _message(self, address: int, extended: bool) -> Any | None:
        known = self._messages.get((address, extended))
        return known if known is not None or not extended else self._groups.get(_group(address))

    def notes(self) -> list[str]:
        """What was left out, and what was known by its group alone."""
        left = [f"{count} {what}" for what, count in sorted(self._others.items())]
        if self._unknown:
            told = ", ".join(f"{address:#x}" for address in sorted(self._unknown)[:_MOST_TOLD])
            more = f" and {len(self._unknown) - _MOST_TOLD} more" if len(self._unknown) > _MOST_TOLD else ""
            left.append(f"{self._unknown.total()} frames of addresses that the DBC does not know ({told}{more})")
        notes = [f"CAN: left out: {', '.join(left)}"] if left else []
        if self._by_group:
            notes.append(f"CAN: {self._by_group} frames are known by their parameter groups of J1939 alone")
        return notes

    def add_to(self, recording: Recording) -> None:
        """Adds a stream a message, named for its bus too where there are several."""
        self._seen.update(self.times)
        several = len({bus for bus, *_ in self._seen}) > 1
        named: dict[Key, Any] = {key: self._message(key[1], key[2]) for key in self._seen}
        senders = Counter(message.name for message in {(m.name, key[1]): m for key, m in named.items()}.values())
        for key, times in sorted(self.times.items()):
            bus, address, _, sent = key
            message = named[key]
            sender = [f"{address:x}"] if senders[message.name] > 1 else []
            name = "_".join((message.name, *sender, *([bus] if several else []), *(["sent"] if sent else [])))
            contents = self._contents.pop(key)
            kind = "action" if sent else "sensor"
            add_message(recording, message, name, kind, zip(times, contents, strict=True))


def _group(address: int) -> int:
    """The parameter group in an address of J1939: without its priority, its source, and the destination of some."""
    page, pdu, specific = address >> 24 & 3, address >> 16 & 0xFF, address >> 8 & 0xFF
    return page << 16 | pdu << 8 | (specific if pdu >= _BROADCAST else 0)


def _bus(channel: Any) -> str:
    """A bus as its log calls it; Vector's, which python-can counts from 0, count from 1."""
    return str(channel + 1 if isinstance(channel, int) else channel or "")

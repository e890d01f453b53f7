"""MCAP files with messages in ROS 2's CDR, in JSON or in Protobuf.

The file is read by mcap (https://mcap.dev/spec), its messages by mcap-ros2-support and mcap-protobuf-support.
"""

import contextlib
import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.ros import Message, decoded, read_bag
from worldmodel.logs.ingest.importer import Options, begins_with, needed
from worldmodel.logs.ingest.recording import Recording

_CONSTANT, _SHORT = re.compile(r"[A-Z](?:[A-Z0-9]|_(?=[A-Z0-9]))*"), 16
_MAGIC = b"\x89MCAP0\r\n"


def claims(path: Path) -> bool:
    """Files that begin as MCAP does."""
    return begins_with(path, _MAGIC)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a file, or as many as there are pieces of it."""
    with reading(path, "an MCAP file"):
        yield from read_bag(path, _Bag(path), options)


class _Bag:
    """An MCAP file as a bag: by its index, or from front to back where its writer was cut off before it wrote one."""

    def __init__(self, path: Path) -> None:
        self._path, self._size = path, path.stat().st_size
        self._decoders: dict[int, Callable[[bytes], Any] | None] = {}
        self.notes: list[str] = []
        self.failed: Counter[tuple[str, str]] = Counter()
        self.topics: dict[str, str] = {}
        unread: set[str] = set()
        for schema, channel in self._channels():
            if self._decoder(schema, channel) is None:
                unread.add(f"{channel.topic} ({channel.message_encoding})")
            else:
                self.topics[channel.topic] = schema.name if schema is not None else ""
        if unread:
            told = ", ".join(sorted(unread))
            self.notes.append(f"topics in codings, or of definitions, that are not read: {told}")

    def messages(self, topics: Iterable[str], since: int | None = None, until: int | None = None) -> Iterator[Message]:
        topics = list(topics)
        for schema, channel, message in self._stored(topics, since, until):
            decode = self._decoder(schema, channel)
            if decode is not None and channel.topic in topics:
                content = decoded(self, channel.topic, functools.partial(decode, message.data))
                if content is not None:
                    yield Message(channel.topic, message.log_time, content, len(message.data))

    def _channels(self) -> list[tuple[Any, Any]]:
        reader = needed("mcap.reader", "ros")
        summary = None
        with open(self._path, "rb") as file, contextlib.suppress(Exception):  # of many kinds where the end is missing
            summary = reader.SeekingReader(file, record_size_limit=self._size).get_summary()
        self._indexed = summary is not None and bool(summary.channels)
        if summary is not None and self._indexed:
            return [(summary.schemas.get(channel.schema_id), channel) for channel in summary.channels.values()]
        self.notes.append("the file has no index, as it was not finished: read as far as it goes")
        found = {channel.id: (schema, channel) for schema, channel, _ in self._stored(None)}
        return list(found.values())

    def _stored(
        self, topics: list[str] | None, since: int | None = None, until: int | None = None
    ) -> Iterator[tuple[Any, Any, Any]]:
        reader = needed("mcap.reader", "ros")
        asked: dict[str, Any] = {"starting_at": since, "ending_before": until, "log_time_order": False}
        with open(self._path, "rb") as file:  # its own, as a film is read between two pieces of the numbers
            if self._indexed:
                yield from reader.SeekingReader(file, record_size_limit=self._size).iter_messages(topics, **asked)
                return
            with contextlib.suppress(Exception):  # its end
                yield from reader.NonSeekingReader(file, record_size_limit=self._size).iter_messages(topics, **asked)

    def _decoder(self, schema: Any, channel: Any) -> Callable[[bytes], Any] | None:
        if channel.id not in self._decoders:
            self._decoders[channel.id] = _decoder(schema, channel)
        return self._decoders[channel.id]


def _decoder(schema: Any, channel: Any) -> Callable[[bytes], Any] | None:
    if channel.message_encoding == "json":
        return _from_json
    if schema is not None and schema.encoding == "ros2msg" and not _ends(schema.data.decode(errors="replace")):
        return None
    for module in ("mcap_ros2.decoder", "mcap_protobuf.decoder"):
        factory = needed(module, "ros").DecoderFactory()
        with contextlib.suppress(Exception):  # of many kinds, by what is wrong with the definition
            decoder = factory.decoder_for(channel.message_encoding, schema)
            if decoder is not None:
                return decoder
    return None


def _ends(definition: str) -> bool:
    """Whether the library comes to an end with a definition: it never does with a long name that is no constant's."""
    constants = (line.partition("#")[0].partition(" ")[2].partition("=") for line in definition.splitlines())
    names = (name.strip() for name, mark, _ in constants if mark)
    return all(len(name) < _SHORT or _CONSTANT.fullmatch(name) for name in names)


def _from_json(content: bytes) -> Any:
    return json.loads(content, object_hook=lambda fields: SimpleNamespace(**fields))

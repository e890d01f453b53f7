"""ROS 1 bags, and ROS 2 bags: folders with `metadata.yaml`, or a lone SQLite file. Read by rosbags."""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.ros import Message, decoded, read_bag
from worldmodel.logs.ingest.importer import Options, needed
from worldmodel.logs.ingest.recording import Recording

_MAGIC_1 = b"#ROSBAG V2.0"
_MAGIC_SQLITE = b"SQLite format 3\x00"
_METADATA, _METADATA_KEY, _METADATA_BYTES = "metadata.yaml", b"rosbag2_bagfile_information", 4096


def claims(path: Path) -> bool:
    """Files that begin as a ROS 1 bag, SQLite files called `.db3`, and folders with the metadata of ROS 2."""
    try:
        with open(path / _METADATA if path.is_dir() else path, "rb") as file:
            begins = file.read(_METADATA_BYTES)
    except OSError:
        return False
    if path.is_dir():
        return _METADATA_KEY in begins
    return begins.startswith(_MAGIC_1) or (path.suffix == ".db3" and begins.startswith(_MAGIC_SQLITE))


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a bag, or as many as there are pieces of it."""
    rosbags = needed("rosbags.highlevel", "ros")
    typesys = needed("rosbags.typesys", "ros")
    with reading(path, "a ROS bag (`rosbag reindex`, or `ros2 bag reindex`, mends one that was not closed)"):
        store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)  # for bags that do not describe their messages
        with rosbags.AnyReader([path], default_typestore=store) as reader:
            yield from read_bag(path, _Bag(reader), options)


class _Bag:
    """A bag of rosbags as a bag."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.topics: dict[str, str] = {connection.topic: connection.msgtype for connection in reader.connections}
        self.notes: list[str] = []
        self.failed: Counter[tuple[str, str]] = Counter()

    def messages(self, topics: Iterable[str], since: int | None = None, until: int | None = None) -> Iterator[Message]:
        chosen = [connection for connection in self._reader.connections if connection.topic in set(topics)]
        for connection, received, content in self._reader.messages(chosen, since, until) if chosen else ():
            decode = functools.partial(self._reader.deserialize, content, connection.msgtype)
            message = decoded(self, connection.topic, decode)
            if message is not None:
                yield Message(connection.topic, received, message, len(content))

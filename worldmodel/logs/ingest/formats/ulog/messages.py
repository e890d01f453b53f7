"""The messages of a ULog, as pyulog reads them."""

import contextlib
import io
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.logs.ingest.importer import needed

_MOST_FIELDS = 10_000  # of a message, arrays and nested ones counted in full
_MOST_NESTED = 10
_STALE_US = 1_000_000  # a message that is so much older than the log was on the bus when it began
_LONGEST_DELAY_US = 1_000_000  # between a measurement and its message; stamps that are further apart are no such

Fields = Mapping[str, np.ndarray]


class Messages:
    """The messages of a file by name and instance; those of appended sections follow the others.

    Attributes:
        info: what the file says of itself.
        notes: what it lost.
        others: the names of messages that were not asked for.

    Args:
        path: the file.
        names: of the messages that are read.
    """

    def __init__(self, path: Path, names: set[str]) -> None:
        wanted = _Wanted(names)
        log = _load(path, wanted)
        parts: dict[tuple[str, int], list[Fields]] = defaultdict(list)
        for data in log.data_list:
            parts[data.name, data.multi_id].append(data.data)
        joined = {key: _joined(several) for key, several in parts.items()}
        self._fields = {key: _fresh(fields, log.start_timestamp) for key, fields in joined.items()}
        self._start: int = log.start_timestamp
        self.info: Mapping[str, object] = log.msg_info_dict
        self.others = wanted.asked - names
        self.notes = list(_losses(log))
        if stale := sum(rows(joined[key]) - rows(self._fields[key]) for key in joined):
            self.notes.append(f"{stale} messages from before the log began are left out")

    def instances(self, name: str, needs: tuple[str, ...]) -> dict[int, Fields]:
        """The fields of each instance of a message that has rows, and these fields."""
        return {
            instance: fields
            for (topic, instance), fields in sorted(self._fields.items())
            if topic == name and rows(fields) and all(field in fields for field in needs)
        }

    def stamps(self, fields: Fields, measured: bool, late: str = "") -> tuple[np.ndarray, float]:
        """When messages were published, or measured where they tell, and the median of how much earlier that is.

        Args:
            fields: of the messages.
            measured: whether it is the measurement that counts.
            late: a field of microseconds that are added.

        Returns:
            Seconds from the log's start [M], which are exact where its clock is that of the world too; and seconds.
        """
        published, sampled = fields["timestamp"].astype(np.int64) - self._start, fields.get("timestamp_sample")
        if measured and sampled is not None:
            delay = fields["timestamp"].astype(np.int64) - sampled.astype(np.int64)
            if (np.abs(delay) < _LONGEST_DELAY_US).all():
                return (published - delay) / 1e6, float(np.median(delay)) / 1e6
        return (published + fields[late] if late in fields else published) / 1e6, 0.0


def rows(fields: Fields) -> int:
    """How many messages there are."""
    return len(fields["timestamp"])


class _Wanted:
    """The names of the messages to read, as pyulog asks for them; it keeps which were asked for."""

    def __init__(self, names: set[str]) -> None:
        self.names, self.asked = names, set[str]()

    def __contains__(self, name: str) -> bool:
        self.asked.add(name)
        return name in self.names


def _load(path: Path, wanted: _Wanted) -> Any:
    ulog = needed("pyulog", "ulog").ULog
    with contextlib.redirect_stdout(io.StringIO()):  # where pyulog speaks of damage
        formats = ulog(str(path), parse_header_only=True).message_formats
        for name in wanted.names & formats.keys():
            _count_fields(formats, name, 0)
        return ulog(str(path), wanted)


def _count_fields(formats: Mapping[str, Any], name: str, depth: int) -> int:
    """How many numbers a message has, before anything is allocated for them."""
    count = 0
    for kind, size, _ in formats[name].fields if depth < _MOST_NESTED else ():
        count += max(size, 1) * (_count_fields(formats, kind, depth + 1) if kind in formats else 1)
    if count > _MOST_FIELDS:
        raise ValueError(f"message {name} has {count} fields")
    return count


def _joined(parts: list[Fields]) -> Fields:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _fresh(fields: Fields, start: int) -> Fields:
    keep = fields["timestamp"].astype(np.float64) >= start - _STALE_US
    return fields if keep.all() else {key: values[keep] for key, values in fields.items()}


def _losses(log: Any) -> list[str]:
    lost = [dropout.duration for dropout in log.dropouts]
    notes = [f"{len(lost)} dropouts while it was written: {sum(lost)} ms, the longest {max(lost)} ms"] if lost else []
    return [*notes, "the file is damaged: messages are missing from it"] if log.file_corruption else notes

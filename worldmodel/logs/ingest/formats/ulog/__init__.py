"""PX4 ULog: what was measured, the position and attitude that were estimated, and what the actuators were told.

The file is read by pyulog (https://docs.px4.io/main/en/dev_log/ulog_file_format.html).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.ulog.fixes import add_fixes
from worldmodel.logs.ingest.formats.ulog.messages import Fields, Messages, rows
from worldmodel.logs.ingest.formats.ulog.topics import GPS, NAMES, STREAMS, Topic
from worldmodel.logs.ingest.importer import Options, begins_with
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import StreamSpec

_MAGIC = b"ULog\x01\x12\x35"
_NO_TIME = 0x7FFFFFFF  # in place of an offset, where a sensor has no new reading


def claims(path: Path) -> bool:
    """Files that begin as ULog does."""
    return begins_with(path, _MAGIC)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a file, whose time zero is its first sample."""
    with reading(path, "a PX4 ULog"):
        messages = Messages(path, NAMES)
        recording = Recording(path.name, notes=messages.notes)
        recording.about["description"] = f"PX4 ULog, {messages.info.get('ver_hw', 'hardware not said')}"
        late: dict[str, float] = {}
        for stream in STREAMS:
            late |= _add(messages, stream, recording)
        add_fixes(messages, GPS, recording)
        if told := [f"{stream} {1e3 * delay:.1f}" for stream, delay in late.items() if delay]:
            recording.notes.append(f"stamped when measured, ms before the message (median): {', '.join(told)}")
        recording.leave_out(messages.others)
        recording.shift(recording.first_sample(path))
        yield recording


def _add(messages: Messages, stream: str, recording: Recording) -> dict[str, float]:
    """Adds a stream an instance, and says how much earlier than its message each was measured, in seconds.

    Of several messages the one with the most rows makes it; others are mostly looked at once a second.
    """
    there = {
        topic: instances
        for topic in STREAMS[stream]
        if (instances := messages.instances(topic.name, topic.fields if topic.columns else topic.fields[:1]))
    }
    if not there:
        return {}
    best = max(there, key=lambda topic: max(map(rows, there[topic].values())))
    for topic in there.keys() - {best}:
        recording.notes.append(f"{stream}: made of {best.name}, not of the fewer {topic.name}")
    names = {instance: f"{stream}_{instance}" if instance else stream for instance in there[best]}
    return {names[i]: _add_instance(messages, best, names[i], fields, recording) for i, fields in there[best].items()}


def _add_instance(messages: Messages, topic: Topic, name: str, fields: Fields, recording: Recording) -> float:
    names = topic.columns or _used(topic, fields)
    if not names:
        return 0.0
    time, delay = messages.stamps(fields, topic.kind != "action", topic.late)
    data = np.empty((rows(fields), len(names)), order="F")  # as it is checked
    for i, field in enumerate(topic.fields[: len(names)]):
        np.multiply(fields[field], topic.scale, out=data[:, i], dtype=np.float64)
    keep = ~_empty(topic, fields)
    if not keep.all():
        recording.notes.append(f"{name}: {(~keep).sum()} of {len(keep)} messages say that they hold none; left out")
    if topic.late in fields and (again := _repeated(time, data)).any():
        recording.notes.append(f"{name}: {again.sum()} of {len(keep)} messages repeat the reading before; left out")
        keep &= ~again
    if not keep.any():
        return 0.0
    if not keep.all():
        time, data = time[keep], data[keep]
    spec = StreamSpec(
        name, topic.kind, names, (topic.unit,) * len(names), nominal_rate(time), topic.frame,
        description=topic.description,
    )  # fmt: skip
    recording.add(spec, time, data)
    return delay


def _empty(topic: Topic, fields: Fields) -> np.ndarray:
    """Which messages [M] say themselves that they have no reading."""
    empty = np.zeros(rows(fields), bool)
    if topic.late in fields:
        empty |= fields[topic.late] == _NO_TIME
    if topic.valid in fields:
        empty |= fields[topic.valid] == 0
    return empty


def _repeated(time: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Which rows [M] are the one before them again: a message of several sensors comes with the fastest of them."""
    return np.concatenate([[False], (np.diff(time) == 0) & (np.diff(data, axis=0) == 0).all(1)])


def _used(topic: Topic, fields: Fields) -> tuple[str, ...]:
    """Names for the columns of actuators: as many as the message says, or up to the last that was ever told a value."""
    count = sum(field in fields for field in topic.fields)
    if "noutputs" in fields:
        count = min(count, int(fields["noutputs"].max()))
    else:
        told = [i for i in range(count) if np.isfinite(fields[topic.fields[i]]).any()]
        count = max(told, default=-1) + 1
    noun = topic.name.removeprefix("actuator_").removesuffix("s")
    return tuple(f"{noun}_{i + 1}" for i in range(count))

"""Compares the logs of the sources, and makes one of them: a file, or above a size a folder that is read as one log."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import h5py
import numpy as np

from worldmodel.files import whole_file, whole_folder
from worldmodel.logs import format as fmt
from worldmodel.logs.health.copies import Gathered, compared
from worldmodel.logs.health.examination import refuse
from worldmodel.logs.health.finding import FINDINGS, Finding
from worldmodel.logs.ingest.assembly import Assembly
from worldmodel.logs.ingest.conversion import NOTES
from worldmodel.logs.ingest.recording import Recording
from worldmodel.logs.ingest.widening import widened
from worldmodel.logs.reader import Episode, Log, Stream, opened
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

SHARD_BYTES = 16 << 30
SHARDS = "shard-*.h5"


def join(
    parts: Sequence[Path],
    out: Path,
    about: Mapping[str, object],
    force: bool,
    strict: bool = False,
    shard_bytes: int = SHARD_BYTES,
    joins: str = "",
    gathered: Mapping[Path, Mapping[str, Gathered]] | None = None,
) -> Assembly:
    """Joins logs, in order; what each says of itself stands unless `about` or an earlier one says it.

    Args:
        parts: the logs.
        out: the file to write; a folder where they are larger than a shard.
        about: what the log says of itself.
        force: replace `out`.
        strict: whether what is found of all together is an error.
        shard_bytes: how large a shard grows; a larger part is a shard of its own.
        joins: what makes one recording of parts that are a sensor each, for messages.
        gathered: what is to be compared of the logs, where that is known of them.

    Raises:
        LogFormatError: if a stream of one is another one than an earlier one's of that name.
        RecipeError: for what is found of all together, if `strict`.
    """
    if len(parts) == 1:
        return _renamed(parts[0], out, about, force, strict, gathered)
    found = _together(opened(parts), strict, gathered)
    wide = widened(parts)
    assembly = Assembly(wide, joins)
    shards = list(_shards(parts, shard_bytes))
    if len(shards) == 1:
        with LogWriter(out, (), about=about, force=force) as log:
            _take(assembly.into(log), parts, found)
        return assembly
    specs = _union(parts) | wide
    with whole_folder(out, force, replaces=(SHARDS,)) as folder:
        for number, shard in enumerate(shards):
            with LogWriter(folder / SHARDS.replace("*", f"{number:04d}"), specs.values(), about=about) as log:
                _take(assembly.into(log, specs), shard, () if number else found)
    return assembly


def _together(
    logs: Iterable[Log], strict: bool, gathered: Mapping[Path, Mapping[str, Gathered]] | None
) -> list[Finding]:
    found = compared(logs, gathered)
    if strict and found:
        raise refuse(found, strict)
    return found


def _renamed(
    part: Path,
    out: Path,
    about: Mapping[str, object],
    force: bool,
    strict: bool,
    gathered: Mapping[Path, Mapping[str, Gathered]] | None,
) -> Assembly:
    """The only log takes its place, as there is nothing to join it with."""
    assembly = Assembly()
    with Log(part) as log:
        found = _together([log], strict, gathered)
        own = dict(log.about)
        assembly.specs |= log.streams
        assembly.episodes += log.episode_names
        for name in log.streams:
            (stream,), places = log.by_file(name)
            assembly.sampled[name] = int((np.diff(np.append(places[:, 1], len(stream))) > 0).sum())
    assembly.note(*own.pop(NOTES, []))  # type: ignore[misc]
    assembly.findings += [*found, *map(Finding.from_json, own.pop(FINDINGS, []))]  # type: ignore[call-overload]
    said = {FINDINGS: [finding.to_json() for finding in assembly.findings]} if assembly.findings else {}
    with whole_file(out, force) as partial:
        os.replace(part, partial)
        with h5py.File(partial, "r+") as file:
            fmt.write_attrs(file, said | own | dict(about))
    return assembly


def _shards(parts: Sequence[Path], most: int) -> Iterator[list[Path]]:
    shard: list[Path] = []
    size = 0
    for part in parts:
        more = part.stat().st_size
        if shard and size + more > most:
            yield shard
            shard, size = [], 0
        shard.append(part)
        size += more
    yield shard


def _union(parts: Sequence[Path]) -> dict[str, StreamSpec]:
    """What the streams of logs are, each as the first that has it says."""
    specs: dict[str, StreamSpec] = {}
    for log in opened(parts):
        specs = log.streams | specs
    return specs


def _take(assembly: Assembly, parts: Sequence[Path], found: Sequence[Finding]) -> None:
    """Appends the episodes of logs, and keeps what was found of them in the log that they go into."""
    said = list(found)
    for log in opened(parts):
        about = dict(log.about)
        assembly.note(*about.pop(NOTES, []))  # type: ignore[misc]
        said += map(Finding.from_json, about.pop(FINDINGS, []))  # type: ignore[call-overload]
        assembly.tell(about)
        for episode in log.episodes:
            assembly.append(_recording(episode))
    assembly.settle()
    assembly.tell({FINDINGS: [finding.to_json() for finding in said]} if said else {})
    assembly.findings += said


def as_recording(episode: Episode) -> Recording:
    """An episode of a log as a recording, all but its video in memory."""
    recording = _recording(episode)
    for name, stream in episode.streams.items():
        if name in recording.samples and stream.spec.kind != "video":
            recording.samples[name] = Samples(stream.time, stream.data)
    return recording


def _recording(episode: Episode) -> Recording:
    """An episode of a log as a recording again, whose data are read when they are asked for."""
    there = {name: stream for name, stream in episode.streams.items() if len(stream)}
    samples = {name: Samples(stream.time, cast(np.ndarray, _Rows(stream))) for name, stream in there.items()}
    return Recording(episode.name, {name: stream.spec for name, stream in there.items()}, samples, episode.origin_utc)


class _Rows:
    """A stream's data in a file, sliced as an array is."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.shape, self.dtype = (len(stream), *stream.spec.sample_shape), fmt.data_type(stream.spec)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        return self._stream.stored(start, stop)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

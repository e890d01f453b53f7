"""Makes one log of many recordings: the union of their streams, each in the units of the first that has it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import format as fmt
from worldmodel.logs.ingest.recording import Recording
from worldmodel.logs.reader import Episode, Log, Stream
from worldmodel.logs.same import conform
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

_REMEDY = "make a log of each kind of machine"


class Assembly:
    """Appends recordings to a log that is being written.

    Args:
        log: the writer.

    Attributes:
        specs: what the log's streams are so far.
        episodes: the names of its episodes.
        sampled: in how many episodes each stream has samples.
        notes: what was dropped, assumed, or kept though it is not finite; a line for people each.
    """

    def __init__(self, log: LogWriter) -> None:
        self.log = log
        self.specs: dict[str, StreamSpec] = {}
        self.episodes: list[str] = []
        self.sampled: Counter[str] = Counter()
        self.notes: list[str] = []
        self._first: dict[str, str] = {}  # the recording that a stream comes from

    def append(self, recording: Recording) -> None:
        """Adds one as an episode; what it says of itself stands unless an earlier one said it.

        Raises:
            LogFormatError: if a stream of it is another one than an earlier recording's of that name.
            RecipeError: if it has no sample at all.
        """
        if not any(len(samples.time) for samples in recording.samples.values()):
            raise RecipeError(
                f"{recording.name} has no samples.",
                expected="one sample of one stream at least",
                found=f"none of {', '.join(recording.specs) or 'any stream'}",
                remedy="leave it out",
            )
        self.log.append(
            {name: self._read(recording, name) for name in recording.specs},
            name=recording.name,
            origin_utc=recording.origin_utc,
        )
        self.episodes.append(recording.name)
        self.notes += [f"{recording.name}: {note}" for note in recording.notes]
        self.log.about = recording.about | self.log.about

    def _read(self, recording: Recording, name: str) -> Samples:
        """A stream's samples, in the units of the log's."""
        spec, samples = recording.specs[name], recording.samples[name]
        if name not in self.specs:
            self.log.declare(spec)
            self.specs[name], self._first[name] = spec, recording.name
        read = conform(self.specs[name], spec, f"{recording.name} has other streams than {self._first[name]}", _REMEDY)
        self.sampled[name] += len(samples.time) > 0
        return Samples(samples.time, read(samples.data))

    def missing(self) -> Iterator[str]:
        """A line for each stream that some episodes lack."""
        every = len(self.episodes)
        for name, count in self.sampled.items():
            if count < every:
                yield f"{name}: {every - count} of {every} episodes have none of it"


def not_finite(recording: Recording) -> Iterator[str]:
    """A line for each stream that has readings which are no numbers."""
    for name, spec in recording.specs.items():
        if spec.kind != "video":
            count = int((~np.isfinite(recording.samples[name].data)).sum())
            if count:
                size = recording.samples[name].data.size
                yield f"{name}: {count} of {size} readings are NaN or infinite (kept as they are; readers mask them)"


def recordings(path: Path) -> Iterator[Recording]:
    """The episodes of a log as recordings again, whose data are read when they are asked for."""
    with Log(path) as log:
        yield from (_recording(episode) for episode in log.episodes)


def _recording(episode: Episode) -> Recording:
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

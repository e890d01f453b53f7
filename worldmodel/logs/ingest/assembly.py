"""Makes one log of many recordings: the union of their streams, each in the units of the first that has it."""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import format as fmt
from worldmodel.logs.health.finding import Finding
from worldmodel.logs.health.measures import columns_of
from worldmodel.logs.ingest.recording import Recording
from worldmodel.logs.ingest.widening import filled, narrowed
from worldmodel.logs.same import conform
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

_TOGETHER = 0.5  # of the shorter of two episodes
_JOINS = (
    "tables are joined by a recipe whose streams have a `file` each, as `worldmodel ingest --suggest FOLDER` writes"
)


class Assembly:
    """Appends recordings to logs that are being written, one after the other.

    Args:
        wide: streams of which some recordings have fewer columns, with all of them.
        joins: what makes one recording of files that are a sensor each.

    Attributes:
        specs: what the log's streams are so far.
        episodes: the names of its episodes.
        sampled: in how many episodes each stream has samples.
        notes: what was dropped, assumed, or kept though it is not finite; a line for people each.
        findings: what the checks said of them.
    """

    def __init__(self, wide: Mapping[str, StreamSpec] | None = None, joins: str = "") -> None:
        self._joins = joins or _JOINS
        self._log: LogWriter | None = None
        self._wide = wide or {}
        self._lacking: Counter[tuple[str, tuple[str, ...]]] = Counter()  # a stream, and columns that an episode lacks
        self.specs: dict[str, StreamSpec] = {}
        self.episodes: list[str] = []
        self.sampled: Counter[str] = Counter()
        self.notes: list[str] = []
        self.findings: list[Finding] = []
        self._first: dict[str, str] = {}  # the recording that a stream comes from
        self._longest: dict[str, tuple[int, float]] = {}  # of its recordings: samples and nominal rate
        self._spans: list[_Span] = []

    def into(self, log: LogWriter, specs: Mapping[str, StreamSpec] | None = None) -> Self:
        """Goes on with another log, which has the streams `specs` already."""
        self._log = log
        self.specs |= specs or {}
        return self

    def tell(self, about: Mapping[str, object]) -> None:
        """What a recording says of itself, which stands unless an earlier one said it."""
        self._writer.about = dict(about) | self._writer.about

    def note(self, *notes: str) -> None:
        self.notes += notes

    @property
    def _writer(self) -> LogWriter:
        if self._log is None:
            raise RuntimeError("recordings are appended to a log: call `into` first")
        return self._log

    def append(self, recording: Recording) -> None:
        """Adds one as an episode.

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
        self._writer.append(
            {name: self._read(recording, name) for name in recording.specs},
            name=recording.name,
            origin_utc=recording.origin_utc,
        )
        self.episodes.append(recording.name)
        there = {name: samples.time[-1] for name, samples in recording.samples.items() if len(samples.time)}
        if math.isfinite(recording.origin_utc):
            start = recording.origin_utc
            self._spans.append(_Span(start, start + float(max(there.values())), recording.name, frozenset(there)))
        self.notes += [f"{recording.name}: {note}" for note in recording.notes]
        self.findings += recording.findings
        self.tell(recording.about)

    def _read(self, recording: Recording, name: str) -> Samples:
        """A stream's samples, in the units and with the columns of the log's."""
        spec, samples = recording.specs[name], recording.samples[name]
        if name not in self.specs:
            self.specs[name], self._first[name] = self._wide.get(name, spec), recording.name
            self._writer.declare(self.specs[name], len(samples.time))
        whose = self._first.get(name, "an earlier recording")
        remedy = f"make a log of each kind of machine; where files are sensors of one recording, {self._joins}"
        expected = narrowed(self.specs[name], spec.columns) if name in self._wide else self.specs[name]
        read = conform(expected, spec, f"{recording.name} has other streams than {whose}", remedy)
        self.sampled[name] += len(samples.time) > 0
        self._longest[name] = max(self._longest.get(name, (0, spec.rate_hz)), (len(samples.time), spec.rate_hz))
        if spec.columns == self.specs[name].columns:
            return Samples(samples.time, read(samples.data))
        if len(samples.time):
            self._lacking[name, tuple(c for c in self.specs[name].columns if c not in spec.columns)] += 1
        return Samples(samples.time, filled(read(np.asarray(samples.data)), spec.columns, self.specs[name].columns))

    def settle(self) -> None:
        """Gives each stream the nominal rate of its longest recording, which tells it best."""
        for name, (_, rate_hz) in self._longest.items():
            if rate_hz != self.specs[name].rate_hz:
                self._writer.set_rate(name, rate_hz)
                self.specs[name] = dataclasses.replace(self.specs[name], rate_hz=rate_hz)

    def missing(self) -> Iterator[str]:
        """A line for each stream that some episodes lack, as a whole or in some of its columns."""
        every = len(self.episodes)
        for (name, columns), count in sorted(self._lacking.items()):
            yield f"{name}: {count} of {every} episodes lack {', '.join(columns)}, NaN there"
        for name, count in self.sampled.items():
            if count < every:
                yield f"{name}: {every - count} of {every} episodes have none of it"
        if self.apart:
            one, other = self.apart[0]
            more = f" and {len(self.apart) - 1} pairs more" if len(self.apart) > 1 else ""
            yield (
                f"{one} and {other}{more} were recorded at the same time, and share no stream: each is an episode "
                f"without what the other has. If they are sensors of one recording, {self._joins}"
            )

    @property
    def apart(self) -> list[tuple[str, str]]:
        """Episodes of one time that share no stream, by their names."""
        pairs = itertools.pairwise(sorted(self._spans))
        return [(one.name, other.name) for one, other in pairs if _are_apart(one, other)]


class _Span(NamedTuple):
    """When an episode was recorded, in seconds since 1970, and which streams it has."""

    start: float
    stop: float
    name: str
    streams: frozenset[str]


def _are_apart(one: _Span, other: _Span) -> bool:
    """Whether two, the earlier one first, are of the same time and share no stream."""
    both = min(one.stop, other.stop) - other.start
    return both > _TOGETHER * min(one.stop - one.start, other.stop - other.start) and not one.streams & other.streams


def _fits(recording: Recording, name: str) -> bool:
    """Whether all readings of a stream are finite as stored, by their ends."""
    columns, most = columns_of(recording, name), float(np.finfo(fmt.data_type(recording.specs[name])).max)
    there = len(recording.samples[name].time) > 0
    return there and all(column.finite and -most <= column.ends[0] and column.ends[1] <= most for column in columns)


def not_finite(recording: Recording) -> Iterator[str]:
    """Lines for each stream that has readings which are no numbers; rows and columns without any are told apart."""
    for name, spec in recording.specs.items():
        if spec.kind != "video" and not _fits(recording, name):
            with np.errstate(over="ignore"):  # what is too large for the log is infinite there
                data = np.asarray(recording.samples[name].data).astype(fmt.data_type(spec))
            empty, never = (np.isnan(data).all(axis) for axis in (1, 0))
            if data.shape[1] > 1 and empty.any() and not empty.all():
                yield (
                    f"{name}: {empty.sum()} of {len(data)} rows hold nothing of it (no samples to a model, as where a "
                    "slower sensor shares a table)"
                )
                data = data[~empty]
            if never.any() and not never.all():
                yield f"{name}: {', '.join(np.array(spec.columns)[never])}: never told"
                data = data[:, ~never]
            count, size = int((~np.isfinite(data)).sum()), data.size
            if count:
                yield f"{name}: {count} of {size} readings are NaN or infinite (kept as they are; readers mask them)"

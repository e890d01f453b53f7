"""Reads logs: `Log("drive.h5").episodes[3].streams["imu"].data`."""

import contextlib
import copy
import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import hdf5plugin  # noqa: F401 (registers the filters of logs that others compressed)
import numpy as np

from worldmodel.draw import beside_text
from worldmodel.errors import LogFormatError, WorldModelError
from worldmodel.logs import format as fmt
from worldmodel.logs.identity import episode_sha256
from worldmodel.logs.same import Conformed, conform_all
from worldmodel.logs.tidy import joined, tidy
from worldmodel.logs.writer import check_increasing
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    import pandas as pd

    from worldmodel.draw import Picture
    from worldmodel.logs.dataset import WindowDataset
    from worldmodel.logs.health.survey import Health


class Stream:
    """One stream of one episode. Samples are read from the file when they are asked for.

    stream.time        float64 [M], seconds from the episode's origin
    stream.data        [M, S], or [M, rows, columns, 3] for video, as recorded, in the units of `stream.spec`
    stream.mask        bool [M, S] (video: [M]): False where a reading is NaN or infinite
    stream[2.0:5.0]    the Samples stamped in [2 s, 5 s)
    """

    def __init__(self, group: h5py.Group, read: Conformed, rows: slice, where: str) -> None:
        self.spec, self._read, self._group, self._rows, self._where = read.spec, read, group, rows, where

    def __len__(self) -> int:
        return self._rows.stop - self._rows.start

    @cached_property
    def time(self) -> np.ndarray:
        with _damage(self._where):
            time = np.asarray(self._group["time"][self._rows], np.float64)
        check_increasing(time, self._where)
        return time

    @property
    def data(self) -> np.ndarray:
        return self.rows(0, len(self))

    @property
    def dataset(self) -> h5py.Dataset:
        """Where the data lie in the file, among those of other episodes."""
        return self._group["data"]

    @property
    def mask(self) -> np.ndarray:
        return np.ones(len(self), bool) if self.spec.kind == "video" else np.isfinite(self.data)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The data of samples `start` to `stop`, counted within the episode."""
        return self._read(self.stored(start, stop))

    def stored(self, start: int, stop: int) -> np.ndarray:
        """As `rows`, in the units of the file."""
        with _damage(self._where):
            return self._group["data"][self._rows.start + start : self._rows.start + stop]

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """All data in order, so many samples at a time, each block with its first sample's number."""
        first, last = self._rows.start, self._rows.stop
        with _damage(self._where):
            dataset = self.dataset  # opened once for all
        for start in range(first, last, rows):
            with _damage(self._where):
                block = dataset[start : min(start + rows, last)]
            yield start - first, self._read(block)

    def __getitem__(self, seconds: slice) -> Samples:
        if not isinstance(seconds, slice) or seconds.step is not None:
            raise TypeError("a stream is sliced by seconds, as stream[2.0:5.0]; .data and .time hold the arrays")
        low, high = -np.inf if seconds.start is None else seconds.start, seconds.stop
        start, stop = np.searchsorted(self.time, [low, np.inf if high is None else high])
        return Samples(self.time[start:stop], self.rows(int(start), int(stop)))

    def to_frame(self) -> "pd.DataFrame":
        """The readings, one row each: stream, column, unit, time_s, value as recorded."""
        return tidy([(self.spec, Samples(self.time, self.data))])

    @property
    def measured_rate_hz(self) -> float:
        """Samples a second from the median interval; NaN for fewer than two samples."""
        return float(1 / np.median(np.diff(self.time))) if len(self) > 1 else float("nan")

    def __repr__(self) -> str:
        spec = self.spec
        shape = "x".join(map(str, (len(self), *spec.sample_shape)))
        named = (
            f"{column} [{unit}]" if unit else column for column, unit in zip(spec.columns, spec.units, strict=True)
        )
        columns = "" if spec.kind == "video" else ", " + ", ".join(named)
        span = f", {self.time[0]:.3f} to {self.time[-1]:.3f} s" if len(self) else ""
        return f"<Stream {spec.name}: {spec.kind} {shape}{columns}, {spec.rate_hz:g} Hz{span}>"


class Episode:
    """One continuous recording: its streams on a common time origin."""

    def __init__(
        self,
        name: str,
        origin_utc: float,
        duration_s: float,
        streams: dict[str, Stream],
        truth: dict[str, Stream] | None,
        sha256: Callable[[], str],
    ) -> None:
        self.name, self.origin_utc, self.duration_s, self.streams = name, origin_utc, duration_s, streams
        self._truth, self._sha256 = truth, sha256

    @property
    def sha256(self) -> str:
        """A hash of what was recorded: the same of every copy, whatever its name, its origin and its log."""
        return self._sha256()

    @property
    def truth(self) -> dict[str, Stream]:
        """Noise-free readings and simulator state, by name; empty for real logs.

        Raises:
            WorldModelError: unless the log was opened with `truth=True`.
        """
        if self._truth is None:
            raise WorldModelError("This log was opened without its truth.", remedy="open it as Log(path, truth=True)")
        return self._truth

    def plot(self) -> "Picture":
        """A film strip of each video, a row for each other stream with its gaps shaded, GPS as a track."""
        from worldmodel.logs.plot import draw_episode

        return draw_episode(self)

    def to_frame(self) -> "pd.DataFrame":
        """The readings of all streams but video, one row each: stream, column, unit, time_s, value as recorded."""
        return tidy((s.spec, Samples(s.time, s.data)) for s in self.streams.values() if s.spec.kind != "video")

    def _repr_html_(self) -> str:
        return beside_text(repr(self), self.plot())

    def __repr__(self) -> str:
        lines = [f"<Episode {self.name!r}: {self.duration_s:.2f} s"]
        return "\n  ".join([*lines, *(repr(stream) for stream in self.streams.values())]) + ">"


TOGETHER = (
    "ingest the sources of all into one log (worldmodel ingest SOURCE... --out LOG), which has the streams of all its "
    "episodes; files that are sensors of one recording become one episode by the recipe that `worldmodel ingest "
    "--suggest FOLDER > recipe.toml` writes"
)


class Log:
    """A log: one HDF5 file, a folder of them, or several of either, read as one sequence of episodes.

    Args:
        paths: a file, a folder, or a sequence of them.
        truth: whether episodes show the truth. Nothing that trains asks for it.

    Attributes:
        streams: the specification of every stream by name, as the first file has it.
        episodes: a sequence of `Episode`. Those of later files read in the units of the first.

    Raises:
        LogFormatError: for a file that is no log, is of another version, is damaged, or has other streams than the
            first (`worldmodel.logs.same`).
    """

    def __init__(self, paths: Path | str | Sequence[Path | str], *, truth: bool = False) -> None:
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        self.files = [file for path in given for file in _log_files(Path(path))]
        first, *more = [_LogFile(file, truth) for file in self.files]
        self._parts = [first, *(_joined(first, part) for part in more)]
        self.streams: dict[str, StreamSpec] = first.specs(fmt.STREAMS)
        self.about: dict[str, object] = first.about
        self.episodes = _Episodes(self._parts)
        if not len(self.episodes):
            names = ", ".join(str(path) for path in self.files)
            raise LogFormatError(f"There is no episode in {names}.", remedy="record or ingest at least one")

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files; streams can no longer be read."""
        for part in self._parts:
            part.file.close()

    def conform(self, specs: Iterable[StreamSpec], whose: str = "The run") -> "Log":
        """This log with streams that read in other units: those of `specs`, such as a run's.

        It is this very log where nothing differs. Streams that `specs` does not name stay as they are. Both logs share
        their files: to close one closes both.

        Args:
            specs: the streams that somebody expects.
            whose: who does, as the error names it.

        Raises:
            LogFormatError: if the log lacks one of them, or has another in its place (`worldmodel.logs.same`).
        """
        wanted = self.streams | {spec.name: spec for spec in specs}
        remedy = "ingest the log with the recipe and size that the training log was made with"
        parts = [
            part.conform(
                wanted.values(), wanted.values(), f"{whose} expects other streams than {part.path} has", remedy
            )
            for part in self._parts
        ]
        if all(new.reads_as(old) for new, old in zip(parts, self._parts, strict=True)):
            return self
        log = copy.copy(self)
        log._parts = parts
        log.streams, log.episodes = log._parts[0].specs(fmt.STREAMS), _Episodes(log._parts)
        return log

    def health(self, dt: float | None = None) -> "Health":
        """What is wrong with the log, what of it is usable, what was commanded; see `worldmodel.logs.health.survey`."""
        from worldmodel.logs.health.survey import survey

        return survey(self, dt)

    def windows(
        self, *, context_s: float, horizon_s: float, dt: float | None = None, episodes: Sequence[int] | None = None
    ) -> "WindowDataset":
        """Every window of the log as a dataset for a model of your own; see `worldmodel.logs.dataset`.

        Args:
            context_s: what is seen, up to the window's moment.
            horizon_s: what comes after it.
            dt: seconds a tick; by default the one that suits the log.
            episodes: which; by default all.
        """
        from worldmodel.logs.dataset import WindowDataset

        return WindowDataset.of(self, context_s=context_s, horizon_s=horizon_s, dt=dt, episodes=episodes)

    def to_frame(self, episodes: Sequence[int] | None = None) -> "pd.DataFrame":
        """The readings of all streams but video, one row each: episode, stream, column, unit, time_s, value.

        Values are as recorded. A gyro as a table: `frame[frame.stream == "gyro"].pivot(index=["episode", "time_s"],
        columns="column", values="value")`.
        """
        frames = []
        for index in range(len(self.episodes)) if episodes is None else episodes:
            frames.append(self.episodes[index].to_frame())
            frames[-1].insert(0, "episode", index)
        return joined(frames)

    @cached_property
    def episode_names(self) -> tuple[str, ...]:
        """The label of each episode: `Episode.name`, without opening the episodes."""
        return tuple(name for part in self._parts for name in part.episode_names())

    @cached_property
    def episode_sha256(self) -> tuple[str, ...]:
        """The hash of each episode's content: `Episode.sha256`, without opening the episodes."""
        return tuple(part.sha256(index) for part in self._parts for index in range(part.count))

    @cached_property
    def file_sha256(self) -> tuple[str, ...]:
        """A hash of each file's bytes."""
        return tuple(_sha256(path) for path in self.files)

    @cached_property
    def sha256(self) -> str:
        """A hash of the log: of its file, or of the files' hashes where there are several."""
        one, *more = self.file_sha256
        return hashlib.sha256("".join(self.file_sha256).encode()).hexdigest() if more else one

    def copies(self) -> list[tuple[int, ...]]:
        """Which episodes are the same recording: groups of two or more, in order."""
        groups = defaultdict(list)
        for index, known in enumerate(self.episode_sha256):
            groups[known].append(index)
        return [tuple(group) for group in groups.values() if len(group) > 1]

    @property
    def durations_s(self) -> np.ndarray:
        """float64 [episodes]."""
        return np.concatenate([part.durations for part in self._parts])

    def by_file(self, name: str) -> tuple[list[Stream], np.ndarray]:
        """A stream of each file over all of the file's episodes, and int [episodes, 2]: the file and the first row."""
        streams, places = [], []
        for i, part in enumerate(self._parts):
            streams.append(part.whole_stream(name))
            first = part.first_rows(name)
            places.append(np.stack([np.full(len(first), i), first], 1))
        return streams, np.concatenate(places)

    @property
    def has_truth(self) -> bool:
        """Whether the log was opened with its truth, and each of its files holds some."""
        return all(part.specs(fmt.TRUTH) for part in self._parts)

    def _repr_html_(self) -> str:
        return beside_text(repr(self), self.episodes[0].plot())

    def __repr__(self) -> str:
        names = ", ".join(str(path) for path in self.files[:3]) + (" ..." if len(self.files) > 3 else "")
        lines = [f"<Log {names}: {len(self.episodes)} episodes, {sum(e.duration_s for e in self.episodes):.1f} s"]
        for s in self.streams.values():
            shape = "x".join(map(str, s.sample_shape))
            lines.append(f"{s.name}: {s.kind} [{shape}] {', '.join(dict.fromkeys(s.units))} at {s.rate_hz:g} Hz")
        return "\n  ".join(lines) + ">"


def opened(files: Iterable[Path]) -> Iterator[Log]:
    """Each file as a log of its own, which is open until the next is asked for."""
    for file in files:
        with Log(file) as log:
            yield log


def check_episode(log: Log, index: int) -> None:
    """Refuses a number that is not of an episode; a person's -1 is a mistake, not the last one."""
    if not 0 <= index < len(log.episodes):
        raise WorldModelError(
            f"There is no episode {index}.", expected=f"0 to {len(log.episodes) - 1}", found=str(index)
        )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Episodes(Sequence[Episode]):
    def __init__(self, parts: list["_LogFile"]) -> None:
        self._parts, self._ends = parts, np.cumsum([part.count for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} of a log with {len(self)}")
        index %= len(self)
        part = int(np.searchsorted(self._ends, index, side="right"))
        return self._parts[part].episode(index - (int(self._ends[part - 1]) if part else 0))

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} episodes>"


class _LogFile:
    """One open file whose structure has been checked."""

    def __init__(self, path: Path, truth: bool) -> None:
        self.path = path
        try:
            self.file = h5py.File(path, "r")
        except BlockingIOError as error:
            raise LogFormatError(
                f"{path} is locked: another process is writing it.",
                found=str(error).splitlines()[0],
                remedy="wait until it has ended, or copy the file and read the copy",
            ) from error
        except OSError as error:
            whole = h5py.is_hdf5(path)
            raise LogFormatError(
                f"{path} {'is damaged or truncated' if whole else 'is not an HDF5 file'}.",
                found=str(error).splitlines()[0],
                remedy="copy or record it again" if whole else "turn recordings into a log with `worldmodel ingest`",
            ) from error
        with _damage(path):
            self._read_structure(truth)

    def _read_structure(self, truth: bool) -> None:
        self._check_header()
        self.members = int(self.file.attrs[fmt.MEMBERS]) if fmt.MEMBERS in self.file.attrs else None
        self.about = self._read_about()
        table = self._need(fmt.EPISODES)
        durations = self._need("duration", table)
        self.count = len(durations)
        self.durations = np.asarray(durations[:], np.float64)
        if not ((self.durations >= 0) & (self.durations < fmt.LONGEST_S)).all():
            raise LogFormatError(
                f"{self.path}: /{fmt.EPISODES}/duration holds what is no length of a recording.",
                expected="seconds, 0 or more, and less than a year",
                found=str(self.durations[~((self.durations >= 0) & (self.durations < fmt.LONGEST_S))][0]),
            )
        self.origins = self._need("origin_utc", table)[: self.count]
        self.names = self._need("name", table)
        if min(len(self.origins), len(self.names)) < self.count:
            raise LogFormatError(
                f"{self.path}: the table of episodes is not whole.",
                expected=f"{self.count} rows in each of duration, origin_utc and name",
                found=f"{self.count}, {len(self.origins)} and {len(self.names)}",
                remedy="write logs with worldmodel.logs.LogWriter, or ingest the recording again",
            )
        self.truth = truth
        self._stored: dict[str, dict[str, StreamSpec]] = {fmt.STREAMS: {}, fmt.TRUTH: {}}
        self._offsets: dict[str, np.ndarray] = {}
        for section in (fmt.STREAMS, *((fmt.TRUTH,) if truth and fmt.TRUTH in self.file else ())):
            for name, group in self._need(section).items():
                self._check_stream(section, name, group)
        self._read = {section: conform_all((), specs, "") for section, specs in self._stored.items()}

    def specs(self, section: str) -> dict[str, StreamSpec]:
        """What the streams of a section are, by name."""
        return {name: read.spec for name, read in self._read[section].items()}

    def conform(
        self, streams: Iterable[StreamSpec], truth: Iterable[StreamSpec], problem: str, remedy: str
    ) -> "_LogFile":
        """The same file, whose streams and what there is of their truth read as others' do; see `conform_all`."""
        there = self._stored[fmt.TRUTH]
        other = copy.copy(self)
        other._read = {
            fmt.STREAMS: conform_all(streams, self._stored[fmt.STREAMS], problem, remedy),
            fmt.TRUTH: conform_all([spec for spec in truth if spec.name in there], there, problem, remedy),
        }
        return other

    def _need(self, name: str, group: h5py.Group | None = None):
        """What is called so in a group; by default in the root."""
        group = self.file if group is None else group
        try:
            return group[name]
        except KeyError as error:
            if name in group:  # and cannot be opened
                raise
            raise LogFormatError(
                f"{self.path} lacks the dataset {group.name.rstrip('/')}/{name}.",
                expected="the groups and datasets of datasets/README.md",
                found=", ".join(self.file) or "an empty file",
                remedy="write logs with worldmodel.logs.LogWriter, or ingest the recording again",
            ) from error

    def _check_header(self) -> None:
        found = self.file.attrs.get("format")
        if found != fmt.FORMAT:
            raise LogFormatError(
                f"{self.path} is HDF5, but not a log of this toolkit.",
                expected=f"a root attribute format = {fmt.FORMAT!r}",
                found=repr(found),
                remedy="turn recordings into a log with `worldmodel ingest`",
            )
        version = self.file.attrs.get("version")
        if version not in fmt.READABLE:
            raise LogFormatError(
                f"{self.path} is a log of another version.",
                expected=f"version {' or '.join(map(str, fmt.READABLE))}",
                found=f"version {version}",
                remedy="ingest or simulate it again with this release, or read it with the release that wrote it",
            )

    def _read_about(self) -> dict[str, object]:
        text = self.file.attrs.get("about")
        try:
            return dict(json.loads(text))
        except (TypeError, ValueError) as error:
            raise LogFormatError(
                f"{self.path}: the root attribute `about` cannot be read.",
                expected="a JSON object",
                found=repr(text),
                remedy="write logs with worldmodel.logs.LogWriter, or ingest the recording again",
            ) from error

    def _check_stream(self, section: str, name: str, group: h5py.Group) -> None:
        where = f"{section}/{name}"
        self._stored[section][name] = spec = fmt.read_spec(group)
        data, time = self._need("data", group), self._need("time", group)
        if data.dtype.kind not in "fiu" or time.dtype.kind not in "fiu" or time.ndim != 1:
            raise LogFormatError(
                f"{self.path}: /{where} has data or times of the wrong type.",
                expected="numbers, and times in one dimension",
                found=f"data {data.dtype} {list(data.shape)}, time {time.dtype} {list(time.shape)}",
            )
        offsets = self._need("offsets", group)[: self.count + 1]
        rows = f"{self.path}: /{where}"
        if data.shape[1:] != fmt.sample_shape(spec, self.members):
            expected, found = (
                f"samples of shape {list(fmt.sample_shape(spec, self.members))}",
                f"{list(data.shape[1:])}",
            )
            raise LogFormatError(f"{rows}/data has the wrong shape.", expected=expected, found=found)
        offsets = np.asarray(offsets, np.int64)
        if len(offsets) != self.count + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise LogFormatError(
                f"{rows}/offsets is broken.",
                expected=f"{self.count + 1} row numbers that start at 0 and do not fall",
                found=f"{len(offsets)} of them",
            )
        if min(len(data), len(time)) < offsets[-1]:
            raise LogFormatError(
                f"{rows} is shorter than its offsets say.",
                expected=f"{offsets[-1]} samples and times",
                found=f"{len(data)} samples and {len(time)} times",
            )
        self._offsets[where] = offsets

    def reads_as(self, other: "_LogFile") -> bool:
        return self._read == other._read

    def episode(self, index: int) -> Episode:
        truth = self._streams(fmt.TRUTH, index) if self.truth else None
        streams = self._streams(fmt.STREAMS, index)
        hashed = functools.partial(self.sha256, index)
        return Episode(
            self._name(index), float(self.origins[index]), float(self.durations[index]), streams, truth, hashed
        )

    def _name(self, index: int) -> str:
        with _damage(self.path):
            return str(self.names.asstr()[index])

    def episode_names(self) -> list[str]:
        with _damage(self.path):
            return [str(name) for name in self.names.asstr()[: self.count]]

    def sha256(self, index: int) -> str:
        """The hash of an episode's content: from the table or, where it has none, computed once."""
        if not self._hashes[index]:
            self._hashes[index] = episode_sha256(self._streams(fmt.STREAMS, index).values())
        return self._hashes[index]

    @cached_property
    def _hashes(self) -> list[str]:
        with _damage(self.path):
            table = self.file[fmt.EPISODES]
            known = table["sha256"].asstr()[: self.count].tolist() if "sha256" in table else []
        return known + [""] * (self.count - len(known))

    def whole_stream(self, name: str) -> Stream:
        """A stream over all episodes."""
        section, last = self.file[fmt.STREAMS], int(self._offsets[f"{fmt.STREAMS}/{name}"][-1])
        where = f"{self.path}: stream {name!r}"
        return Stream(section[name], self._read[fmt.STREAMS][name], slice(0, last), where)

    def first_rows(self, name: str) -> np.ndarray:
        """int [episodes] the row where each begins."""
        return self._offsets[f"{fmt.STREAMS}/{name}"][:-1]

    def _streams(self, section: str, index: int) -> dict[str, Stream]:
        streams, episode = {}, self._name(index)
        for name, read in self._read[section].items():
            start, stop = (int(row) for row in self._offsets[f"{section}/{name}"][index : index + 2])
            where = f"{self.path}: stream {name!r} of episode {index} ({episode})"
            streams[name] = Stream(self.file[section][name], read, slice(start, stop), where)
        return streams


@contextlib.contextmanager
def _damage(where: Path | str) -> Iterator[None]:
    """Turns what h5py raises of a damaged file, or of one that is built otherwise, into an error that says so."""
    try:
        yield
    except (KeyError, OSError, RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise LogFormatError(
            f"{where} is damaged, or built otherwise than datasets/README.md says.",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            remedy="copy or record it again",
        ) from error


def _log_files(path: Path) -> list[Path]:
    if not path.exists():
        raise LogFormatError(f"{path} does not exist.", expected="an HDF5 log or a folder of them")
    files = sorted(path.glob("*.h5")) if path.is_dir() else [path]
    if not files:
        raise LogFormatError(f"The folder {path} holds no log.", expected="files that end in .h5")
    return files


def _joined(first: _LogFile, other: _LogFile) -> _LogFile:
    """Another file of a log, that reads as the first does."""
    problem = f"{other.path} has other streams than {first.path}"
    streams, found = first.specs(fmt.STREAMS), other.specs(fmt.STREAMS)
    if streams.keys() != found.keys():
        names = {"expected": ", ".join(streams), "found": ", ".join(found)}
        raise LogFormatError(f"{problem}.", **names, remedy=f"where they are of one machine, {TOGETHER}")
    remedy = "use logs of one recipe or scene together"
    return other.conform(streams.values(), first.specs(fmt.TRUTH).values(), problem, remedy)

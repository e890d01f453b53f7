"""Writes logs: episode by episode, each visible only when all of it is there, the file only when it is whole."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import h5py
import numpy as np

from worldmodel.errors import LogFormatError
from worldmodel.files import whole_file
from worldmodel.logs import format as fmt
from worldmodel.logs.clock import time_zero
from worldmodel.logs.identity import Held, blocks, episode_sha256
from worldmodel.patient import PatientFile
from worldmodel.types import Samples, StreamSpec

_LARGE_BYTES, _LINE_BYTES = 1 << 16, 64  # chunks of frames begin at a line of the cache: they are copied out faster
_PENDING_BYTES = 1 << 24  # of small episodes that wait to be written together


Seen = Callable[[StreamSpec, Sequence[int], int, np.ndarray], object]


class _Datasets(NamedTuple):
    """Of a stream, open while a log is written: to look them up for each episode takes longer than to write it."""

    data: h5py.Dataset
    time: h5py.Dataset
    offsets: h5py.Dataset


class LogWriter:
    """A context manager that writes one log.

        with LogWriter("drive.h5", specs, about={"source": "my rover"}) as writer:
            writer.append({"imu": Samples(time, data)}, name="drive 1")

    Args:
        path: the file to write; it appears under this name when the block ends without an error.
        streams: what the log's streams are. An episode may leave a stream empty. `declare` adds more.
        truth: what the simulator knows (state, noise-free readings); kept apart from `streams`.
        about: what the log says of itself; values that JSON can hold.
        members: for imagined trajectories, how many futures every sample holds: data are then [M, K, ...].
        force: replace a file that exists.
        seen: called with each block of data that is written: the stream, the samples of the episodes that it is of, its
            first row within these, and the rows.

    Raises:
        WorldModelError: if the file exists and not `force`, or cannot be written.
        LogFormatError: if a stream or an episode breaks an invariant of the format, or there is no episode. What is
            written can be opened.
    """

    def __init__(
        self,
        path: Path | str,
        streams: Iterable[StreamSpec],
        *,
        truth: Iterable[StreamSpec] = (),
        about: Mapping[str, object] | None = None,
        members: int | None = None,
        force: bool = False,
        seen: Seen | None = None,
    ) -> None:
        self.members, self._seen = members, seen
        self.path = Path(path)
        self._specs = {fmt.STREAMS: _by_name(streams), fmt.TRUTH: _by_name(truth)}
        self.about = dict(about or {})
        self._output = whole_file(self.path, force)
        self._raw: PatientFile | None = None
        self._file: h5py.File | None = None
        self._datasets: dict[str, dict[str, _Datasets]] = {fmt.STREAMS: {}, fmt.TRUTH: {}}
        self._table: dict[str, h5py.Dataset] = {}  # of the episodes
        self._count = 0  # episodes in the file
        self._pending: list[tuple[dict[str, dict[str, Held]], dict[str, Any]]] = []  # and those that wait to be
        self._pending_bytes = 0

    def __enter__(self) -> Self:
        partial = self._output.__enter__()
        try:
            self._raw = PatientFile(partial, "w+b")
            aligned = {"alignment_threshold": _LARGE_BYTES, "alignment_interval": _LINE_BYTES}
            self._file = h5py.File(self._raw, "w", libver="latest", **aligned)
            if self.members is not None:
                self._file.attrs[fmt.MEMBERS] = self.members
            for section, specs in self._specs.items():
                for spec in specs.values():
                    self._create(section, spec)
            self._file.require_group(fmt.STREAMS)
            table = self._file.create_group(fmt.EPISODES)
            kinds = {
                "name": h5py.string_dtype(),
                "origin_utc": np.float64,
                "sha256": h5py.string_dtype("ascii", 64),
                "duration": np.float64,  # last: it is what readers count
            }
            self._table = {
                name: table.create_dataset(name, (0,), kind, maxshape=(None,)) for name, kind in kinds.items()
            }
        except BaseException as error:
            if not self._close(type(error), error, error.__traceback__):
                raise
        return self

    def __exit__(self, kind, error, traceback) -> bool | None:
        if error is not None:
            return self._close(kind, error, traceback)
        try:
            self._finish()
        except BaseException as failed:
            self._close(type(failed), failed, failed.__traceback__)
            raise
        return self._close(None, None, None)

    def _finish(self) -> None:
        file, _ = self._opened()
        self._flush()
        if not self._count:
            raise LogFormatError(f"{self.path} would hold no episode.", remedy="append one at least")
        fmt.write_attrs(file, self.about)

    def _close(self, kind, error, traceback) -> bool | None:
        try:
            if self._file is not None:
                self._file.close()
            if self._raw is not None:
                self._raw.close()
                if error is None:
                    self._raw.check()
        except OSError as closing:  # the last buffers did not fit on the disk
            return self._output.__exit__(OSError, closing, closing.__traceback__)
        return self._output.__exit__(kind, error, traceback)

    def declare(self, spec: StreamSpec, samples: int = 0) -> None:
        """Adds a stream to the log, which the episodes before have no samples of.

        Args:
            spec: what it is.
            samples: how many the next episode has, where that is known: long streams are written in larger chunks.

        Raises:
            LogFormatError: if it has one of that name, or cannot hold one.
        """
        self._opened()
        self._flush()
        self._specs[fmt.STREAMS] = _by_name([*self._specs[fmt.STREAMS].values(), spec])
        self._create(fmt.STREAMS, spec, samples)

    def _create(self, section: str, spec: StreamSpec, samples: int = 0) -> None:
        group = self._opened()[0].require_group(section)
        self._datasets[section][spec.name] = _created(group, spec, self.members, self._count, samples)

    def set_rate(self, name: str, rate_hz: float) -> None:
        """Another nominal rate of a stream, where more is known of it than when it was declared."""
        file, _ = self._opened()
        self._specs[fmt.STREAMS][name] = dataclasses.replace(self._specs[fmt.STREAMS][name], rate_hz=rate_hz)
        file[fmt.STREAMS][name].attrs["rate_hz"] = rate_hz

    def append(
        self,
        streams: Mapping[str, Samples],
        *,
        truth: Mapping[str, Samples] | None = None,
        name: str = "",
        origin_utc: float = math.nan,
        duration_s: float | None = None,
    ) -> None:
        """Adds an episode.

        Times are seconds from the episode's time zero, or since 1970-01-01 UTC in all streams: the first sample, or
        `origin_utc` where it is given, is time zero then.

        Args:
            streams: samples by stream name; a stream that is left out is empty in this episode. Data may be anything
                that has an array's shape and type and is sliced as one: it is read by blocks.
            truth: the same for what the simulator knows.
            name: a label for people, such as the source file.
            origin_utc: the episode's time zero, in seconds since 1970-01-01 UTC; NaN where unknown.
            duration_s: how long it lasted from time zero; by default up to its last sample.

        Raises:
            LogFormatError: if the episode breaks an invariant of the format; nothing of it is written then.
        """
        self._opened()
        given = {fmt.STREAMS: streams, fmt.TRUTH: truth or {}}
        held = {s: {n: self._check(s, n, samples) for n, samples in given[s].items()} for s in given}
        times = {f"{s}/{n}": h.time for s, group in held.items() for n, h in group.items() if len(h.time)}
        if not times:
            raise LogFormatError(f"Episode {name!r} has no samples.", remedy="leave empty recordings out of the log")
        zero = time_zero(times, f"episode {name!r}", origin_utc)
        size = sum(h.bytes for group in held.values() for h in group.values())
        held = {s: {n: h._replace(time=h.time - zero) if zero else h for n, h in held[s].items()} for s in held}
        last = max(time[-1] for time in times.values()) - zero
        row = {
            "name": name.replace("\0", "?").encode(
                errors="replace"
            ),  # it may be a file's name, which may hold any byte
            "origin_utc": zero or origin_utc,
            "duration": _checked_duration(last if duration_s is None else duration_s),
        }
        if size > _PENDING_BYTES:
            self._flush()
            self._end([held], [row | {"sha256": self._write(held)}])
            return
        held = {s: {n: h.copied() for n, h in held[s].items()} for s in held}
        self._pending.append((held, row | {"sha256": episode_sha256(held[fmt.STREAMS].values())}))
        self._pending_bytes += size
        if self._pending_bytes > _PENDING_BYTES or len(self._pending) >= fmt.ROWS_PER_CHUNK:
            self._flush()

    def _write(self, held: Mapping[str, Mapping[str, Held]]) -> str:
        """Writes the data of an episode that is too large to wait, block by block as it is hashed; returns its hash."""
        streams, hashed = self._datasets[fmt.STREAMS], set[str]()

        def put(name: str, first: int, block: np.ndarray) -> None:
            _put(streams[name].data, len(streams[name].time) + first, block)
            hashed.add(name)
            if self._seen is not None:
                part = held[fmt.STREAMS][name]
                self._seen(part.spec, [len(part.time)], first, block)

        for name, part in held[fmt.STREAMS].items():
            streams[name].data.resize(len(streams[name].time) + len(part.time), axis=0)
        known = episode_sha256(held[fmt.STREAMS].values(), put)
        for section, group in held.items():
            for name, part in group.items():
                if section != fmt.STREAMS or name not in hashed:
                    self._append_data(section, name, [part])
        return known

    def _flush(self) -> None:
        """Writes the episodes that wait: many small ones at once, which is far faster."""
        if not self._pending:
            return
        episodes, rows = zip(*self._pending, strict=True)
        for section, streams in self._datasets.items():
            for name in streams:
                self._append_data(section, name, [held[section][name] for held in episodes if name in held[section]])
        self._end(episodes, rows)
        self._pending, self._pending_bytes = [], 0

    def _append_data(self, section: str, name: str, parts: Sequence[Held]) -> None:
        """Adds a stream's data in several episodes."""
        datasets, counts = self._datasets[section][name], [len(part.time) for part in parts]
        if any(counts):
            start = len(datasets.time)
            datasets.data.resize(start + sum(counts), axis=0)
            for first, block in blocks(*parts):
                _put(datasets.data, start + first, block)
                if self._seen is not None and section == fmt.STREAMS:
                    self._seen(parts[0].spec, counts, first, block)

    def _end(self, episodes: Sequence[Mapping[str, Mapping[str, Held]]], rows: Sequence[Mapping[str, Any]]) -> None:
        """Makes episodes visible whose data have been written."""
        _, raw = self._opened()
        for section, streams in self._datasets.items():
            for name, datasets in streams.items():
                _append_times(datasets, [held[section].get(name) for held in episodes])
        self._count += len(rows)
        for key, dataset in self._table.items():
            _extend(dataset, [row[key] for row in rows])
        raw.check()

    def _opened(self) -> tuple[h5py.File, PatientFile]:
        if self._file is None or self._raw is None:
            raise RuntimeError("an open writer is needed: use it in a with block")
        return self._file, self._raw

    def _check(self, section: str, name: str, samples: Samples) -> Held:
        spec = self._specs[section].get(name)
        if spec is None:
            raise LogFormatError(
                f"{self.path}: the log has no stream {name!r} in {section}.", expected=", ".join(self._specs[section])
            )
        time = np.asarray(samples.time)
        data = samples.data if hasattr(samples.data, "dtype") else np.asarray(samples.data)
        if time.dtype.kind not in "fiu" or data.dtype.kind not in "fiub":
            raise LogFormatError(
                f"Stream {name!r} has samples that are no numbers.",
                expected="times in seconds, and readings as numbers",
                found=f"times {time.dtype} and data {data.dtype}",
            )
        if time.ndim != 1 or data.shape != (len(time), *fmt.sample_shape(spec, self.members)):
            raise LogFormatError(
                f"Stream {name!r} has samples of the wrong shape.",
                expected=f"times [M] and data [M, {', '.join(map(str, fmt.sample_shape(spec, self.members)))}]",
                found=f"times {list(time.shape)} and data {list(data.shape)}",
            )
        time = time.astype(np.float64, copy=False)
        check_increasing(time, f"Stream {name!r}")
        return Held(spec, time, data)


def _by_name(specs: Iterable[StreamSpec]) -> dict[str, StreamSpec]:
    """Refuses streams that a file cannot hold under their names."""
    found: dict[str, StreamSpec] = {}
    for spec in specs:
        if not spec.name or spec.name == "." or set("/\0") & set(spec.name) or spec.name in found:
            raise LogFormatError(
                f"A stream cannot be called {spec.name!r}.", expected="a name of its own, without a slash"
            )
        if 0 in spec.sample_shape:
            raise LogFormatError(f"Stream {spec.name!r} has no columns, or no pixels.", expected="one at least")
        found[spec.name] = spec
    return found


def _checked_duration(seconds: float) -> float:
    if not 0 <= seconds < fmt.LONGEST_S:
        raise LogFormatError(
            "An episode's duration is no length of a recording.",
            expected="seconds from its time zero, 0 or more, and less than a year",
            found=f"{seconds}",
        )
    return seconds


def check_increasing(time: np.ndarray, what: str) -> None:
    """Refuses times [M] that are not finite or do not strictly increase, saying where."""
    if len(time) and (time[1:] > time[:-1]).all() and np.isfinite(time[[0, -1]]).all():  # at once, as nearly all
        return
    wrong = ~np.isfinite(time)
    wrong[1:] |= ~(np.diff(time) > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise LogFormatError(
            f"{what} has times that do not increase.",
            expected="finite seconds, each later than the one before",
            found=f"{float(time[row])!r} s at row {row}" + (f" after {float(time[row - 1])!r} s" if row else ""),
            remedy="drop or repair the samples around that row",
        )


def _created(section: h5py.Group, spec: StreamSpec, members: int | None, episodes: int, samples: int) -> _Datasets:
    """The datasets of a stream that so many episodes have no samples of, and the next has so many."""
    group = section.create_group(spec.name)
    fmt.write_spec(group, spec)
    rows, times = fmt.rows_per_chunk(spec, samples), fmt.times_per_chunk(samples)
    shape, none = fmt.sample_shape(spec, members), np.zeros(episodes + 1, np.int64)
    return _Datasets(
        group.create_dataset("data", (0, *shape), fmt.data_type(spec), maxshape=(None, *shape), chunks=(rows, *shape)),
        group.create_dataset("time", (0,), np.float64, maxshape=(None,), chunks=(times,)),
        group.create_dataset("offsets", data=none, maxshape=(None,), chunks=(fmt.ROWS_PER_CHUNK,)),
    )


def _append_times(datasets: _Datasets, parts: Sequence[Held | None]) -> None:
    """Adds the times of a stream's samples in several episodes, None where one has none, and where these end."""
    start, times = len(datasets.time), [part.time for part in parts if part is not None]
    if times:
        _extend(datasets.time, np.concatenate(times) if len(times) > 1 else times[0])
    _extend(datasets.offsets, start + np.cumsum([0 if part is None else len(part.time) for part in parts]))


def _extend(dataset: h5py.Dataset, values: np.ndarray | Sequence[Any]) -> None:
    if len(values):
        start = len(dataset)
        dataset.resize(start + len(values), axis=0)
        _put(dataset, start, values)


def _put(dataset: h5py.Dataset, start: int, values: np.ndarray | Sequence[Any]) -> None:
    """Writes rows from one on; whole chunks as they are, which HDF5 would copy into its cache first."""
    done, rows = 0, dataset.chunks[0]
    if isinstance(values, np.ndarray) and len(values) >= rows:
        values = np.ascontiguousarray(values, dataset.dtype)
        origin = (0,) * (values.ndim - 1)
        for at in range(-start % rows, len(values) - rows + 1, rows):
            if done < at:
                dataset[start + done : start + at] = values[done:at]
            dataset.id.write_direct_chunk((start + at, *origin), values[at : at + rows])
            done = at + rows
    if done < len(values):
        dataset[start + done : start + len(values)] = values[done:]

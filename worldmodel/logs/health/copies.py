"""Compares recordings with each other: copies, stretches that they share, commands unlike those of the others."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.logs.health.finding import Finding
from worldmodel.logs.health.rescaled import ONE_ONLY, Picked, picked, rescaled, rows_to_pick
from worldmodel.logs.reader import Log, Stream
from worldmodel.types import StreamSpec

_KINDS = ("sensor", "position", "orientation", "pose")
_ROWS = 32  # of a window that is compared as a whole, a power of two
_CHANGES = 16  # between them at least: what stands still is alike everywhere
_ONE_IN = 32  # windows, a power of two, is remembered, by its hash, so that equal windows are remembered in both places
_SHARED = 6  # windows make a stretch
_CHUNK_ROWS = 1 << 20  # of actions that are in memory at once,
_BLOCK_ROWS = 1 << 15  # and of others, which stay in the processor's while they are hashed
_MANTISSA = 9  # bits that another export may round differently are left out
_FEW_EPISODES = 5
_UNLIKE = 10.0  # times the reach of three quarters of the episodes
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Gathered(NamedTuple):
    """What is compared of one stream of a file.

    Attributes:
        hashes: of windows, uint64 [K].
        rows: the first row of each [K].
        values: the readings [P, S] of the rows to pick.
    """

    hashes: np.ndarray
    rows: np.ndarray
    values: np.ndarray


class Gathering:
    """Gathers what is compared of a file's streams while it is written, or read: block by block, as rows lie in it."""

    def __init__(self) -> None:
        self._streams: dict[str, _OfStream] = {}

    def take(self, spec: StreamSpec, counts: Sequence[int], first: int, data: np.ndarray) -> None:
        """Takes rows [M, S] of a stream.

        Args:
            spec: the stream.
            counts: the samples of some episodes, which follow those taken before.
            first: the first of the rows, counted within these.
            data: as they lie in the file.
        """
        if spec.kind in _KINDS:
            self._streams.setdefault(spec.name, _OfStream(len(spec.columns))).take(counts, first, data)

    def done(self) -> dict[str, Gathered]:
        """By stream."""
        return {name: stream.done() for name, stream in self._streams.items()}


class _OfStream:
    def __init__(self, columns: int) -> None:
        self._at, self._left = 0, np.zeros(0, np.uint64)  # hashes of rows whose windows reach on, and the first of them
        self._windows = [(self._left, np.zeros(0, int))]
        self._wanted = np.zeros(0, int)
        self._values = [np.zeros((0, columns), np.float32)]

    def take(self, counts: Sequence[int], first: int, data: np.ndarray) -> None:
        if first == 0:
            self._wanted = rows_to_pick(np.asarray(counts))
        start, stop = np.searchsorted(self._wanted, [first, first + len(data)])
        with np.errstate(over="ignore"):  # what is too large is infinite
            self._values.append(data[self._wanted[start:stop] - first].astype(np.float32))
        for at in range(0, len(data), _BLOCK_ROWS):
            rows = np.concatenate([self._left, _row_hashes(data[at : at + _BLOCK_ROWS])])
            self._windows.append(_windows_of(rows, self._at))
            self._left = rows[-(_ROWS - 1) :]
            self._at += len(rows) - len(self._left)

    def done(self) -> Gathered:
        hashes, rows = map(np.concatenate, zip(*self._windows, strict=True))
        return Gathered(hashes, rows, np.concatenate(self._values))


class _Windows(NamedTuple):
    """Windows of one stream that are remembered: their hashes, the episode and the first row of each."""

    hashes: np.ndarray
    episode: np.ndarray
    row: np.ndarray


def compared(logs: Iterable[Log], known: Mapping[Path, Mapping[str, Gathered]] | None = None) -> list[Finding]:
    """Recordings of all logs beside each other: copies, shared stretches, commands far beyond those of the others.

    Args:
        logs: of one file each.
        known: what was gathered of some files while they were written, which is not read again.
    """
    names: list[str] = []
    whole: dict[str, list[int]] = defaultdict(list)
    windows: dict[str, list[_Windows]] = defaultdict(list)
    reach: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    readings: dict[str, list[Picked]] = defaultdict(list)
    for log in logs:
        gathered = (known or {}).get(log.files[0], {})
        for number, sha256 in enumerate(log.episode_sha256, len(names)):
            whole[sha256].append(number)
        for name, spec in log.streams.items():
            (stream,), places = log.by_file(name)
            if spec.kind == "action":
                for first, starts, data in _chunks(stream, places[:, 1]):
                    _reach(reach, spec, len(names) + first, starts, data)
            elif spec.kind in _KINDS:
                counts = np.diff(np.append(places[:, 1], len(stream)))
                own = gathered.get(name) or _gathered(stream, counts)
                windows[name].append(_inside(own, len(names), places[:, 1]))
                readings[name].append(picked(log.files[0], spec, len(names), counts, own.values))
        names += log.episode_names
    copies = [group for group in whole.values() if len(group) > 1]
    told = {pair for group in copies for pair in itertools.combinations(group, 2)}
    return [
        *(_copy([names[i] for i in group]) for group in copies),
        *_stretches(windows, names, told),
        *rescaled(readings, names, told),
        *_unlike(reach, names),
    ]


def _chunks(stream: Stream, begins: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Some episodes of a stream at a time: the first of them, the row at which each begins, and their data."""
    edges = np.append(begins, len(stream))
    first = 0
    while first < len(begins):
        stop = max(int(np.searchsorted(edges, edges[first] + _CHUNK_ROWS, side="right")) - 1, first + 1)
        yield first, edges[first:stop] - edges[first], stream.rows(int(edges[first]), int(edges[stop]))
        first = stop


def _reach(
    reach: dict[tuple[str, str], list[np.ndarray]], spec: StreamSpec, first: int, starts: np.ndarray, data: np.ndarray
) -> None:
    """Adds the greatest absolute value of each column in each episode: rows of (episode, value)."""
    there = np.flatnonzero(np.diff(np.append(starts, len(data))) > 0)
    if len(there):
        most = np.fmax.reduceat(np.abs(data), starts[there], axis=0)
        for column, values in zip(spec.columns, most.T, strict=True):
            reach[spec.name, column].append(np.stack([first + there, values], 1))


def _gathered(stream: Stream, counts: np.ndarray) -> Gathered:
    """What is compared of a stream of episodes of so many samples [N], read off its file."""
    gathering = _OfStream(len(stream.spec.columns))
    for row, data in stream.blocks(_BLOCK_ROWS):
        gathering.take(counts.tolist(), row, data)
    return gathering.done()


def _inside(gathered: Gathered, first: int, starts: np.ndarray) -> _Windows:
    """The windows that do not reach into the next episode; these begin at rows [N], and the first has a number."""
    begin = gathered.rows
    episode = np.searchsorted(starts, begin, side="right") - 1
    inside = episode == np.searchsorted(starts, begin + _ROWS - 1, side="right") - 1
    return _Windows(gathered.hashes[inside], first + episode[inside], (begin - starts[episode])[inside])


def _windows_of(rows: np.ndarray, at: int) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the windows that are kept of rows with hashes [M], and where each begins, counted from `at`.

    A window's hash is the sum of its rows' hashes, modulo 2^64: that of two halves, which are sums of their halves.
    """
    if len(rows) < _ROWS:
        return np.zeros(0, np.uint64), np.zeros(0, int)
    hashes = rows
    for half in (1 << i for i in range(_ROWS.bit_length() - 1)):
        hashes = hashes[half:] + hashes[:-half]
    hashes = _mixed(hashes)
    begin = np.flatnonzero((hashes & np.uint64(_ONE_IN - 1)) == 0)
    changes = rows[1:] != rows[:-1]
    if not changes.all():
        count = np.cumsum(np.concatenate([[False], changes]))
        begin = begin[count[begin + _ROWS - 1] - count[begin] >= _CHANGES]
    return hashes[begin], at + begin


def _row_hashes(data: np.ndarray) -> np.ndarray:
    """A hash of each row [M] of samples [M, S], the last bits of float32 left out."""
    with np.errstate(over="ignore"):  # what is too large is infinite
        bits = np.add(np.ascontiguousarray(data, np.float32), np.float32(0)).view(np.uint32)
    bits += np.uint32(1 << (_MANTISSA - 1))
    bits >>= np.uint32(_MANTISSA)
    columns = bits.T.astype(np.uint64, order="C")
    columns *= np.cumprod(np.full(len(columns), _ODD), dtype=np.uint64)[:, None]
    total = columns[0]
    for column in columns[1:]:
        total += column
    return _mixed(total)


def _mixed(hashes: np.ndarray) -> np.ndarray:
    mixed = hashes >> np.uint64(29)
    mixed ^= hashes
    mixed *= _ODD
    mixed ^= mixed >> np.uint64(32)
    return mixed


def _stretches(windows: dict[str, list[_Windows]], names: list[str], told: set[tuple[int, int]]) -> Iterator[Finding]:
    """Pairs of episodes that share a stretch, but those that are told; they are added to these."""
    for stream, parts in windows.items():
        every = _Windows(*map(np.concatenate, zip(*parts, strict=True)))
        for (one, other, offset), rows in _shared(every).items():
            if (one, other) not in told and _is_whole(every, one, rows):
                told.add((one, other))
                yield _stretch(stream, names[one], names[other], min(rows), max(rows) + _ROWS, offset)


def _shared(every: _Windows) -> dict[tuple[int, int, int], list[int]]:
    """For each pair of episodes, and how many rows later it is in the other, where both have the same window."""
    hashes = np.sort(every.hashes)
    if not (hashes[1:] == hashes[:-1]).any():  # at once, as nearly all
        return {}
    order = np.lexsort((every.row, every.episode, every.hashes))
    hashes = every.hashes[order]
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    found: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for a, b in zip(order[same], order[same + 1], strict=True):
        row = int(every.row[a])
        found[int(every.episode[a]), int(every.episode[b]), int(every.row[b]) - row].append(row)
    return found


def _is_whole(every: _Windows, episode: int, rows: list[int]) -> bool:
    """Whether nearly all windows from the first of these rows to the last are shared: else it is chance."""
    between = (every.episode == episode) & (every.row >= min(rows)) & (every.row <= max(rows))
    return len(rows) >= _SHARED and len(rows) > 0.8 * between.sum()


def _stretch(stream: str, name: str, other: str, first: int, last: int, offset: int) -> Finding:
    text = f"rows {first} to {last} are rows {first + offset} to {last + offset} of {other}"
    return Finding("copies: stretch", stream, "warn", text, ONE_ONLY, last - first, first, episode=name)


def _copy(names: list[str]) -> Finding:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    text = f"the same recording as {', '.join(names[1:4])}{more}, to the last bit"
    return Finding("copies: whole", "all streams", "warn", text, ONE_ONLY, episode=names[0])


def _unlike(reach: dict[tuple[str, str], list[np.ndarray]], names: list[str]) -> Iterator[Finding]:
    """Episodes in which a command goes far beyond what it does in others."""
    said: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (stream, column), parts in reach.items():
        every = np.concatenate(parts)
        every = every[np.isfinite(every[:, 1])]
        usual = float(np.percentile(every[:, 1], 75)) if len(every) >= _FEW_EPISODES else 0.0
        odd = every[:, 1] > _UNLIKE * usual
        if usual and odd.any():
            others = every[~odd, 1].max()
            for episode, value in every[odd]:
                said[stream, int(episode)].append(f"{column} reaches {value:.4g}, and {others:.4g} at most in others")
    for (stream, episode), columns in said.items():
        text = f"{'; '.join(columns[:3])}{' and more columns' if len(columns) > 3 else ''}"
        remedy = "leave the episode out, if no machine was given that"
        yield Finding("commands: unlike others", stream, "warn", text, remedy, episode=names[episode])

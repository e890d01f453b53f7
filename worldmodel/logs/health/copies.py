"""Compares recordings with each other: copies, stretches that they share, commands unlike those of the others."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.logs.health.finding import Finding
from worldmodel.logs.reader import Episode, Log

_KINDS = ("sensor", "position", "orientation", "pose")
_ROWS = 32  # of a window that is compared as a whole
_CHANGES = 16  # between them at least: what stands still is alike everywhere
_ONE_IN = 32  # windows is remembered, by its hash, so that equal windows are remembered in both places
_SHARED = 3  # windows make a stretch
_MANTISSA = 9  # bits that another export may round differently are left out
_FEW_EPISODES = 5
_UNLIKE = 10.0  # times the reach of three quarters of the episodes
_ODD = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_ODD), -1, 1 << 64))
_REMEDY = "leave all but one out: a copy among what measures is no measurement"


class _Windows(NamedTuple):
    """Windows of one stream that are remembered: their hashes, the episode and the first row of each."""

    hashes: np.ndarray
    episode: np.ndarray
    row: np.ndarray


def compared(files: Iterable[Path]) -> list[Finding]:
    """What is said of recordings beside each other, of all logs together."""
    names: list[str] = []
    whole: dict[str, list[int]] = defaultdict(list)
    windows: dict[str, list[_Windows]] = defaultdict(list)
    reach: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for file in files:
        with Log(file) as log:
            for episode, known in zip(log.episodes, log.episode_sha256, strict=True):
                whole[known].append(len(names))
                _take(episode, len(names), windows, reach)
                names.append(episode.name)
    copies = [group for group in whole.values() if len(group) > 1]
    return [
        *(_copy([names[i] for i in group]) for group in copies),
        *_stretches(windows, names, {pair for group in copies for pair in itertools.combinations(group, 2)}),
        *_unlike(reach, names),
    ]


def _take(
    episode: Episode,
    number: int,
    windows: dict[str, list[_Windows]],
    reach: dict[tuple[str, str], dict[int, float]],
) -> None:
    for name, stream in episode.streams.items():
        if stream.spec.kind == "action" and len(stream):
            most = np.fmax.reduce(np.abs(stream.data), 0)
            for column, value in zip(stream.spec.columns, most, strict=True):
                reach[name, column][number] = float(value)
        elif stream.spec.kind in _KINDS and len(stream) >= _ROWS:
            windows[name].append(_remembered(stream.data, number))


def _remembered(data: np.ndarray, episode: int) -> _Windows:
    """The windows of an episode's samples [M, S] that are kept.

    A window's hash is a polynomial in its rows' hashes, modulo 2^64 (Rabin and Karp 1987), which cumulative sums give.
    """
    rows = _row_hashes(data)
    with np.errstate(over="ignore"):
        power = np.cumprod(np.concatenate([[np.uint64(1)], np.full(len(rows) - 1, _ODD)]), dtype=np.uint64)
        back = np.cumprod(np.concatenate([[np.uint64(1)], np.full(len(rows) - 1, _INVERSE)]), dtype=np.uint64)
        sums = np.concatenate([[np.uint64(0)], np.cumsum(rows * power, dtype=np.uint64)])
        starts = np.arange(len(rows) - _ROWS + 1)
        hashes = _mixed((sums[_ROWS:] - sums[:-_ROWS]) * back[starts])
    changes = np.concatenate([[0], np.cumsum(rows[1:] != rows[:-1])])
    keep = (hashes % np.uint64(_ONE_IN) == 0) & (changes[starts + _ROWS - 1] - changes[starts] >= _CHANGES)
    return _Windows(hashes[keep], np.full(keep.sum(), episode), starts[keep])


def _row_hashes(data: np.ndarray) -> np.ndarray:
    """A hash of each row [M] of samples [M, S], the last bits of float32 left out."""
    bits = (np.ascontiguousarray(data, np.float32) + np.float32(0)).view(np.uint32)
    kept = ((bits + np.uint32(1 << (_MANTISSA - 1))) >> np.uint32(_MANTISSA)).astype(np.uint64)
    with np.errstate(over="ignore"):
        factors = np.cumprod(np.full(data.shape[1], _ODD), dtype=np.uint64)
        return _mixed((kept * factors).sum(1, dtype=np.uint64))


def _mixed(hashes: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        hashes = (hashes ^ (hashes >> np.uint64(29))) * _ODD
    return hashes ^ (hashes >> np.uint64(32))


def _stretches(windows: dict[str, list[_Windows]], names: list[str], whole: set[tuple[int, int]]) -> Iterator[Finding]:
    """Pairs of episodes that share a stretch, but those that are the same as a whole."""
    told: set[tuple[int, int]] = set()
    for stream, parts in windows.items():
        every = _Windows(*map(np.concatenate, zip(*parts, strict=True)))
        for (one, other, offset), rows in _shared(every).items():
            if (one, other) not in whole and (one, other) not in told and _is_whole(every, one, rows):
                told.add((one, other))
                yield _stretch(stream, names[one], names[other], min(rows), max(rows) + _ROWS, offset)


def _shared(every: _Windows) -> dict[tuple[int, int, int], list[int]]:
    """For each pair of episodes, and how many rows later it is in the other, where both have the same window."""
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
    return Finding("copies: stretch", stream, "warn", text, _REMEDY, last - first, first, episode=name)


def _copy(names: list[str]) -> Finding:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    text = f"the same recording as {', '.join(names[1:4])}{more}, to the last bit"
    return Finding("copies: whole", "all streams", "warn", text, _REMEDY, episode=names[0])


def _unlike(reach: dict[tuple[str, str], dict[int, float]], names: list[str]) -> Iterator[Finding]:
    """Episodes in which a command goes far beyond what it does in others."""
    said: dict[tuple[str, int], list[str]] = defaultdict(list)
    for (stream, column), by_episode in reach.items():
        values = np.array([value for value in by_episode.values() if np.isfinite(value)])
        usual = float(np.percentile(values, 75)) if len(values) >= _FEW_EPISODES else 0.0
        for episode, value in by_episode.items():
            if usual and value > _UNLIKE * usual:
                others = values[values <= _UNLIKE * usual].max()
                said[stream, episode].append(f"{column} reaches {value:.4g}, and {others:.4g} at most in others")
    for (stream, episode), columns in said.items():
        text = f"{'; '.join(columns[:3])}{' and more columns' if len(columns) > 3 else ''}"
        remedy = "leave the episode out, if no machine was given that"
        yield Finding("commands: unlike others", stream, "warn", text, remedy, episode=names[episode])

"""Copies of a recording in other units, or with fewer digits: readings in proportion, but for what was rounded."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.logs.health.finding import Finding
from worldmodel.logs.reader import Log
from worldmodel.types import StreamSpec
from worldmodel.units import conversion

ONE_ONLY = "leave all but one out: a copy among what measures is no measurement"
_ROWS = 12  # of an episode that are remembered, evenly from its first to its last
_LEAST = 64  # samples of an episode
_NEAR = 0.01  # of the greatest reading: how far those of a copy may be off, by what was rounded
_MOVES = 0.02  # of the greatest reading, the standard deviation of a column that tells anything
_STEPS = 100  # of its last digit, over which such a column goes
_NEIGHBOURS = 8  # episodes that are compared with each
_MOST_PAIRS = 64  # that are compared as a whole
_ALIKE = "the same"
_FACTORS = {  # between units that are in use for one quantity; of others a machine may just have moved more
    _ALIKE: 1.0, "km/h and m/s": 3.6, "degrees and radians": 180 / np.pi, "g and m/s^2": 9.80665,
    "mph and m/s": 1 / 0.44704, "knots and m/s": 1 / 0.514444, "rpm and rad/s": 30 / np.pi, "feet and m": 1 / 0.3048,
    "thousandths": 1e3, "hundredths": 1e2, "millionths": 1e6,
}  # fmt: skip
_EXACT = 1e-3  # how well a factor is met


class Picked(NamedTuple):
    """Some readings of one stream of a log's file.

    Attributes:
        path: the file.
        spec: the stream.
        first: the number of the file's first episode among all.
        episodes: which of the file's episodes are long enough [E].
        counts: how many samples they have [E].
        values: [E, rows, S].
    """

    path: Path
    spec: StreamSpec
    first: int
    episodes: np.ndarray
    counts: np.ndarray
    values: np.ndarray


def rows_to_pick(counts: np.ndarray) -> np.ndarray:
    """Which rows of episodes of so many samples [N], one after the other, are picked: of those that are long enough."""
    long = counts >= _LEAST
    steps = np.rint(np.linspace(0, 1, _ROWS) * (counts[long, None] - 1)).astype(int)
    return ((np.cumsum(counts) - counts)[long, None] + steps).ravel()


def picked(path: Path, spec: StreamSpec, first: int, counts: np.ndarray, values: np.ndarray) -> Picked:
    """The readings [K, S] of the rows to pick of a file's episodes of so many samples [N], the first number `first`."""
    episodes = np.flatnonzero(counts >= _LEAST)
    return Picked(path, spec, first, episodes, counts[episodes], values.reshape(len(episodes), _ROWS, values.shape[1]))


def rescaled(
    streams: Mapping[str, Sequence[Picked]], names: Sequence[str], known: Collection[tuple[int, int]]
) -> Iterator[Finding]:
    """Pairs of episodes of which one is the other in other units, or with other digits.

    Args:
        streams: what was picked of each stream, in the order of the files.
        names: of all episodes.
        known: pairs that are told otherwise.
    """
    pairs = {pair: off for parts in streams.values() for pair, off in _near(parts) if pair not in known}
    with _Logs() as logs:
        for one, other in sorted(pairs, key=lambda pair: pairs[pair])[:_MOST_PAIRS]:
            units = _units(streams, logs, one, other)
            if units:
                told = [f"{column} in {unit}" for column, unit in units.items() if unit != _ALIKE]
                how = f", but for units: {', '.join(told)}" if told else ", with other digits"
                stream = ", ".join(dict.fromkeys(column.partition(".")[0] for column in units))
                text = f"the same recording as {names[other]}{how}"
                yield Finding("copies: other units", stream, "warn", text, ONE_ONLY, episode=names[one])


class _Logs(contextlib.ExitStack):
    """Files that are opened when they are needed, once."""

    def __init__(self) -> None:
        super().__init__()
        self._logs: dict[Path, Log] = {}

    def __getitem__(self, path: Path) -> Log:
        if path not in self._logs:
            self._logs[path] = self.enter_context(Log(path))
        return self._logs[path]


def _near(parts: Sequence[Picked]) -> Iterator[tuple[tuple[int, int], float]]:
    """Pairs of episodes of as many samples, whose picked readings are in proportion, and how far they are off."""
    if len({part.spec.columns for part in parts}) != 1:
        return
    episodes = np.concatenate([part.first + part.episodes for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    values = np.concatenate([part.values for part in parts])
    most = np.abs(values).max(1, keepdims=True, initial=0.0)
    shapes = np.divide(values, most, out=np.zeros_like(values), where=most > 0)
    moves = (shapes.std(1) > _MOVES).any(1) & np.isfinite(shapes).all((1, 2))
    if moves.sum() < 2:
        return
    episodes, counts, shapes = episodes[moves], counts[moves], shapes[moves].reshape(int(moves.sum()), -1)
    order = np.lexsort((shapes.mean(1), counts))
    for step in range(1, _NEIGHBOURS + 1):
        one, other = order[:-step], order[step:]
        off = np.abs(shapes[one] - shapes[other]).max(1, initial=0.0)
        for i in np.flatnonzero((counts[one] == counts[other]) & (off < _NEAR)):
            a, b = sorted((int(episodes[one[i]]), int(episodes[other[i]])))
            yield (a, b), float(off[i])


def _units(streams: Mapping[str, Sequence[Picked]], logs: _Logs, one: int, other: int) -> dict[str, str]:
    """Between which units columns of two episodes that move differ; none where these are not the same recording."""
    units: dict[str, str] = {}
    for parts in streams.values():
        held = [found for episode in (one, other) if (found := _stream(parts, logs, episode)) is not None]
        if len(held) < 2:
            continue
        (spec, first), (their, second) = held
        if len(first) != len(second) or spec.columns != their.columns:
            return {}
        for i, column in enumerate(spec.columns):
            change = conversion(their.units[i], spec.units[i])
            readings = change.offset + change.scale * second[:, i] if change else second[:, i]
            unit = _between(first[:, i], readings)
            if unit is None:
                return {}
            if unit:
                units[f"{spec.name}.{column}"] = unit
    return units


def _stream(parts: Sequence[Picked], logs: _Logs, episode: int) -> tuple[StreamSpec, np.ndarray] | None:
    """A stream of an episode; None where it is too short to tell."""
    for part in parts:
        number = episode - part.first
        if number in part.episodes:
            return part.spec, np.asarray(logs[part.path].episodes[number].streams[part.spec.name].data, np.float64)
    return None


def _between(one: np.ndarray, other: np.ndarray) -> str | None:
    """Between which units two columns [M] differ; empty where they stand still, None where they are not in proportion.

    What is left is no more than what was rounded: half of the last digit of each.
    """
    there = np.isfinite(one)
    if (there != np.isfinite(other)).any():
        return None
    one, other = one[there], other[there]
    most = np.abs(one).max(initial=0.0), np.abs(other).max(initial=0.0)
    if not min(most):
        return "" if most[0] == most[1] else None
    small, large = (one, other) if most[0] <= most[1] else (other, one)
    ratio = float((small @ large) / (small @ small))
    unit, factor = min(_FACTORS.items(), key=lambda known: abs(ratio / known[1] - 1))
    digits = _last_digit(small), _last_digit(large)
    rounded = 0.51 * (factor * digits[0] + digits[1]) + 4 * np.finfo(np.float32).eps * max(most)
    if abs(ratio / factor - 1) > _EXACT + rounded / max(most) or np.abs(large - factor * small).max() > rounded:
        return None
    moves = all(np.ptp(values) > _STEPS * digit for values, digit in zip((small, large), digits, strict=True))
    return unit if moves and np.std(large) > _MOVES * max(most) else ""


def _last_digit(values: np.ndarray) -> float:
    """The least step between readings [M], beyond what float32 rounds."""
    steps = np.diff(np.unique(values.astype(np.float32)))
    least = 8 * np.finfo(np.float32).eps * float(np.abs(values).max())
    return float(min(steps[steps > least], default=least))

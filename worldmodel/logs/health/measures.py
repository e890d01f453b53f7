"""What several checks ask of the same arrays, measured once: intervals of stamps, ends and repeats of readings."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_BLOCK = 4096  # readings whose ends are kept, so that where an end is reached is not looked for in all of them
_PART = 1 << 15  # readings that stay in the processor's cache while all of it is measured


def intervals_of(recording: "Recording", name: str) -> "Intervals":
    """Those of a stream's stamps."""
    return _measured(recording, recording.samples[name].time, Intervals)


def columns_of(recording: "Recording", name: str) -> "list[Readings]":
    """Each column of a stream that is no film."""
    return _measured(recording, recording.samples[name].data, _in_columns)


def _measured(recording: "Recording", array: Any, measure: Callable[[Any], Any]) -> Any:
    """What is measured of an array, which is not changed in place while checks run."""
    of, known = recording.measured.get(id(array), (None, None))
    if of is not array:
        known = measure(array)
        recording.measured[id(array)] = array, known
    return known


def _in_columns(data: Any) -> "list[Readings]":
    return [Readings(column) for column in np.asarray(data).T]


class Intervals:
    """The steps [M - 1] between stamps [M]."""

    def __init__(self, time: np.ndarray) -> None:
        self._time = time

    @functools.cached_property
    def steps(self) -> np.ndarray:
        return np.diff(self._time)

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest; NaN where one is none."""
        return (float(self.steps.min()), float(self.steps.max())) if len(self.steps) else (np.nan, np.nan)

    @functools.cached_property
    def ordered(self) -> bool:
        """Whether stamps are finite, and each is later than the one before."""
        return bool(np.isfinite(self._time).all()) and (len(self._time) < 2 or self.ends[0] > 0)

    @functools.cached_property
    def typical(self) -> float:
        """The median of the steps that are above zero; 0 where there is none."""
        ahead = self.steps if self.ordered else self.steps[self.steps > 0]
        return float(np.median(ahead)) if len(ahead) else 0.0


class Readings:
    """The readings [M] of one column."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @functools.cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The least and the greatest of each block, and how many of each part are the one before once more."""
        least, most, repeats = [self.values[:0]], [self.values[:0]], [0]
        for at in range(0, len(self.values), _PART):
            part, before = self.values[at : at + _PART], self.values[max(at - 1, 0) : at + _PART]
            starts = np.arange(0, len(part), _BLOCK)
            least.append(np.minimum.reduceat(part, starts))
            most.append(np.maximum.reduceat(part, starts))
            repeats.append(int(np.count_nonzero(before[1:] == before[:-1])))
        return np.concatenate(least), np.concatenate(most), np.array(repeats)

    @property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest of each block; NaN where one is none, as a minimum is found faster so."""
        return self._parts[:2]

    @functools.cached_property
    def finite(self) -> bool:
        """Whether all are."""
        return all(bool(np.isfinite(block).all()) for block in self._blocks)

    @functools.cached_property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest that are numbers; NaN where there is none."""
        if self.finite:
            return float(self._blocks[0].min()), float(self._blocks[1].max())
        return float(np.fmin.reduce(self.values)), float(np.fmax.reduce(self.values))

    def rows_at(self, end: int) -> np.ndarray:
        """At which rows the least (0) or the greatest (1) is reached."""
        value = self.ends[end]
        if not self.finite:
            return np.flatnonzero(self.values == value)
        starts = np.flatnonzero(self._blocks[end] == value) * _BLOCK
        blocks = [start + np.flatnonzero(self.values[start : start + _BLOCK] == value) for start in starts]
        return np.concatenate(blocks)

    @property
    def repeats(self) -> int:
        """How many are the one before once more."""
        return int(self._parts[2].sum())

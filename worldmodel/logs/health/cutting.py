"""Cuts a recording into episodes: at rows, or every so many seconds. Each sample is in one of them."""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.types import Samples

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording


def cut_every(recording: "Recording", seconds: float) -> list["Recording"]:
    """Episodes of so many seconds each, from the first sample of any stream on, called after where they lie.

    What is left at the end is an episode where it is half as long at least, and else belongs to the last. Stretches
    without any sample are none.

    Args:
        recording: whose stamps increase in each stream.
        seconds: above zero; infinite for no cut.

    Raises:
        RecipeError: if they are less than there is from one sample to the next.
    """
    there = [samples.time for samples in recording.samples.values() if len(samples.time)]
    if not there or seconds == np.inf:
        return [recording]
    start, stop = min(time[0] for time in there), max(time[-1] for time in there)
    count = math.floor((stop - start) / seconds + 0.5)
    if count < 2:
        return [recording]
    if count > max(map(len, there)):
        raise RecipeError(
            f"{recording.name} cannot be cut into episodes of {seconds:g} s.",
            expected="several samples in each",
            found=f"{count} episodes, and {max(map(len, there))} samples of a stream at most",
            remedy="cut it into longer ones",
        )
    inner = start + seconds * np.arange(1, count)
    starts = {name: np.searchsorted(samples.time, inner) for name, samples in recording.samples.items()}
    ends = [*(seconds * np.arange(1, count)), stop - start]
    held = [np.diff(starts[name], prepend=0, append=len(s.time)) for name, s in recording.samples.items()]
    parts = cut_at(recording, starts)
    for part, number in zip(parts, np.flatnonzero(np.any(held, axis=0)), strict=True):
        part.name = f"{recording.name} {seconds * number:g} to {ends[number]:g} s"
    parts[0].notes.append(f"cut into {len(parts)} episodes of {seconds:g} s each; what is noted here is of all of them")
    return parts


def cut_at(recording: "Recording", starts: Mapping[str, np.ndarray]) -> list["Recording"]:
    """An episode from each stretch between cuts that has samples, its time zero where it begins.

    Notes and findings stay with the first.

    Args:
        recording: it.
        starts: the rows of each stream that begin another episode; where a stream has none it is in the first alone.
    """
    edges = {
        name: [0, *map(int, starts.get(name, ())), len(samples.time)] for name, samples in recording.samples.items()
    }
    count = max(map(len, edges.values())) - 1
    parts = [
        {name: _between(recording, name, *rows[i : i + 2]) for name, rows in edges.items() if i + 1 < len(rows)}
        for i in range(count)
    ]
    there = [part for part in parts if any(len(samples.time) for samples in part.values())]
    return [_part(recording, part, number == 0) for number, part in enumerate(there)]


def _between(recording: "Recording", name: str, start: int, stop: int) -> Samples:
    samples, film = recording.samples[name], recording.specs[name].kind == "video"
    data = Picked(samples.data, np.arange(start, stop)) if film else samples.data[start:stop]
    return Samples(samples.time[start:stop], data)  # type: ignore[arg-type]


def _part(recording: "Recording", samples: dict[str, Samples], first: bool) -> "Recording":
    there = {name: held for name, held in samples.items() if len(held.time)}
    part = dataclasses.replace(
        recording,
        specs={name: recording.specs[name] for name in there},
        samples=there,
        notes=list(recording.notes) if first else [],
        findings=list(recording.findings) if first else [],
    )
    part.shift(min(float(held.time[0]) for held in there.values()))
    return part


class Picked:
    """Some rows of what is sliced as an array is, such as a film in a file, read when they are asked for."""

    def __init__(self, data: "np.ndarray | Picked", rows: np.ndarray) -> None:
        held: tuple[np.ndarray, np.ndarray] = (data, rows) if not isinstance(data, Picked) else data._of(rows)
        self._data, self._rows = held
        self.shape, self.dtype = (len(rows), *self._data.shape[1:]), self._data.dtype

    def _of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._data, self._rows[rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return self._data[self._rows[rows]]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

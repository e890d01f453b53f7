"""Checks a film's clock against a gyro's: how the picture moves against how the camera turns."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs import video
from worldmodel.logs.health.finding import Finding
from worldmodel.logs.health.motion import clock_offset, gyros
from worldmodel.logs.health.signals import at, best_match, even

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_MOST_FRAMES = 1800  # the first minute of a usual film is enough
_BLOCK = 16  # of them in memory
_PIXELS = 64
_LEAST_SHARE = 0.1  # of the spectrum that agrees on the shift
_LEAST_S = 5.0
_SURE = 0.9  # the least correlation by which an offset is told
_MOST_S = 1.0  # offsets that are looked for
_TURNING_RAD_S = 0.05
_MOVING_PIXELS = 0.2


def check_flow(recording: "Recording") -> Iterator[Finding]:
    """When the picture moves against when a gyro turns; told only where both move alike without doubt."""
    films = [name for name, spec in recording.specs.items() if spec.kind == "video"]
    turning = list(gyros(recording)) if films else []
    for name in films:
        time = recording.samples[name].time[:_MOST_FRAMES]
        if not turning or len(time) < 8 or time[-1] - time[0] < _LEAST_S:
            continue
        flow = shifts(recording.samples[name].data, len(time)) / np.diff(time)[:, None]
        for gyro, felt, rates in turning:
            yield from _offset(recording, name, (time[1:] + time[:-1]) / 2, flow, gyro.name, felt.time, rates)


def shifts(film: np.ndarray, count: int) -> np.ndarray:
    """How far each of the first pictures lies right of and below the one before: float [count - 1, 2].

    In pixels of a picture of about 64 at most, by the phase of the cross spectrum (Kuglin and Hines 1975); NaN where
    no shift makes one of the other.

    Args:
        film: uint8 [M, rows, columns, 3], or what is sliced as such.
        count: how many of them.
    """
    grey = _grey(film, count)
    before = next(grey)
    found = []
    for picture in grey:
        shift, share = video.shift(before, picture)
        found.append(shift if share > _LEAST_SHARE else (np.nan, np.nan))
        before = picture
    return np.array(found).reshape(-1, 2)


def _grey(film: np.ndarray, count: int) -> Iterator[np.ndarray]:
    step = max(1, *(size // _PIXELS for size in film.shape[1:3]))
    for start in range(0, count, _BLOCK):
        for frame in np.asarray(film[start : min(start + _BLOCK, count)])[:, ::step, ::step]:
            yield frame.mean(-1, dtype=np.float32)


def _offset(
    recording: "Recording",
    film: str,
    between: np.ndarray,
    flow: np.ndarray,
    gyro: str,
    time: np.ndarray,
    rates: np.ndarray,
) -> Iterator[Finding]:
    rate = float(1 / np.median(np.diff(between)))
    grid = even(max(time[0], between[0]), min(time[-1], between[-1]), rate)
    if len(grid) < _LEAST_S * rate:
        return
    moved = [at(grid, between, axis) for axis in flow.T if np.nanstd(axis) > _MOVING_PIXELS * rate]
    turned = [_smooth(at(grid, time, axis)) for axis in rates.T if np.std(axis) > _TURNING_RAD_S]
    matches = [best_match(given, seen, rate, _MOST_S) for given in turned for seen in map(_smooth, moved)]
    best = max((match for match in matches if match), key=lambda match: abs(match.correlation), default=None)
    if best and abs(best.correlation) > _SURE and abs(best.lag_s) > 1.5 / rate:
        yield clock_offset(recording, film, gyro, best.lag_s, abs(best.correlation))


def _smooth(values: np.ndarray) -> np.ndarray:
    return np.convolve(values, np.ones(3) / 3, "same")

"""Where windows start: at the states that the readings about these moments tell, and free within what they say."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import rotation_vector
from worldmodel.simulate.identification.recordings import Recording, noise_of, stream_of
from worldmodel.simulate.observer import Observer
from worldmodel.simulate.pulls import Pull
from worldmodel.simulate.reading import of_body, turned
from worldmodel.simulate.world import World

_NEAR, _NEAR_S = 8, 0.05  # samples either side that a start is fitted to, and how far they may lie
_NEAR_INTERVALS = 3.5  # or how many of their intervals, where they are rarer
_DEGREE = 3  # of the polynomial in time


class Starts(NamedTuple):
    """Where W windows start.

    Attributes:
        states: [W, Q] by the readings.
        free: int [L] coordinates of a state that may move.
        turns: where in a state quaternions begin that may turn, each about three axes of the body.
        std: [F] how far each may, F = L + 3 for each turn.
    """

    states: np.ndarray
    free: np.ndarray
    turns: tuple[int, ...]
    std: np.ndarray

    def moved(self, by: np.ndarray) -> np.ndarray:
        """States [W, Q] off by [W, F] from these."""
        states, count = self.states.copy(), len(self.free)
        states[:, self.free] += by[:, :count]
        for number, at in enumerate(self.turns):
            vector = by[:, count + 3 * number :][:, :3]
            states[:, at : at + 4] = turned(states[:, at : at + 4], vector)
        return states


class Series(NamedTuple):
    """What was read of one coordinate: times [M], values [M] and the standard deviation of their noise."""

    time: np.ndarray
    data: np.ndarray
    noise: float


class Fitted(NamedTuple):
    """What readings about a moment say of a place [C] and its speed [C], with their errors; NaN where nothing."""

    place: np.ndarray
    speed: np.ndarray
    place_std: np.ndarray
    speed_std: np.ndarray


def starts_of(observer: Observer, recordings: Sequence[Recording], starts: np.ndarray) -> Starts:
    """The starts of windows at [W, 2], recording and seconds."""
    world = observer.world
    states = np.tile(world.default_state(), (len(starts), 1))
    std = np.full(states.shape, np.nan)
    for speed in sorted({c for pull in observer.pulls for c in range(pull.speeds.start, pull.speeds.stop)}):
        place, rate = _sensors_of(observer.pulls, speed)
        at = [place[0].place + place[1] if place else -1, speed]
        for index in np.unique(starts[:, 0]).astype(int):
            of_place, of_speed = (None if p is None else _column(world, recordings[index], *p) for p in (place, rate))
            for row in np.flatnonzero(starts[:, 0] == index):
                found = _local(of_place, of_speed, starts[row, 1])
                for coordinate, value, error in zip(at, found[:2], found[2:], strict=True):
                    if np.isfinite(value[0]):
                        states[row, coordinate], std[row, coordinate] = value[0], error[0]
    turns = [pull for pull in observer.pulls if pull.kind == "turn"]
    errors = [_turned(pull, recordings, starts, states, std) for pull in turns]
    free = np.flatnonzero(np.isfinite(std).all(0))
    told = [i for i, error in enumerate(errors) if np.isfinite(error).all()]
    spans = np.concatenate([np.median(each, 0) for each in (std[:, free], *(errors[i] for i in told))])
    return Starts(states, free, tuple(turns[i].place for i in told), spans)


def _sensors_of(found: Sequence[Pull], speed: int) -> tuple[tuple[Pull, int] | None, tuple[Pull, int] | None]:
    """The sensors of a coordinate and of its speed, each with which of its values that is."""
    of = {pull.kind: (pull, speed - pull.speed) for pull in reversed(found) if pull.speed <= speed < pull.speeds.stop}
    return of.get("place"), of.get("speed")


def _column(world: World, recording: Recording, pull: Pull, value: int) -> Series:
    """What a sensor reads of one coordinate."""
    samples = recording.readings[pull.stream]
    read = (samples.data - stream_of(world.scene, pull.stream).bias)[:, pull.columns]
    if pull.site >= 0:
        read = of_body(world, pull.site, read)
    data = np.unwrap(read[:, value]) if pull.wraps else read[:, value]
    return Series(samples.time, data, max(float(noise_of(np.diff(data[:, None], axis=0))[0]), 1e-9))


def _local(place: Series | None, speed: Series | None, at: float) -> Fitted:
    """Of a polynomial through the readings of a place and its speed about a moment."""
    powers = np.arange(_DEGREE + 1) + (place is None)  # of a coordinate whose place is not read, nothing is constant
    designs, reads = [np.zeros((0, len(powers)))], [np.zeros(0)]
    for order, series in enumerate((place, speed)):
        if series is not None:
            time, data = _about(series.time, series.data, at)
            factor = powers if order else np.ones(len(powers))
            designs.append(factor * time[:, None] ** np.maximum(powers - order, 0) / series.noise)
            reads.append(data / series.noise)
    solved, errors = _solved(np.concatenate(designs), np.concatenate(reads)[:, None])
    if place is None:
        solved, errors = (np.concatenate([np.full((1, 1), np.nan), each]) for each in (solved, errors))
    return Fitted(solved[0], solved[1], errors[0], errors[1])


def _solved(design: np.ndarray, read: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [K, C] and their errors of readings [M, C] of unit noise; NaN where these are too few."""
    if len(read) <= design.shape[1]:
        return (np.full((design.shape[1], read.shape[1]), np.nan),) * 2
    solved, *_ = np.linalg.lstsq(design, read, rcond=None)
    left = np.sqrt(np.maximum(np.mean((design @ solved - read) ** 2, 0), 1.0))  # a cubic is not all of the motion
    return solved, left * np.sqrt(np.maximum(np.diag(np.linalg.pinv(design.T @ design)), 0))[:, None]


def _about(time: np.ndarray, data: np.ndarray, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Times from a moment and values of the samples about it."""
    middle = int(np.searchsorted(time, at))
    rows = slice(max(middle - _NEAR, 0), middle + _NEAR)
    since = time[rows] - at
    interval_s = float(np.median(np.diff(since))) if len(since) > 1 else 0.0
    near = np.abs(since) <= max(_NEAR_S, _NEAR_INTERVALS * interval_s)
    return since[near], data[rows][near]


def _turned(
    pull: Pull, recordings: Sequence[Recording], starts: np.ndarray, states: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Puts attitudes into states, and their rates where no sensor reads them, with the errors of rates; in place.

    Returns:
        [W, 3] errors of attitudes in the body's axes; NaN where too few readings are near.
    """
    errors = np.full((len(starts), 3), np.nan)
    for index in np.unique(starts[:, 0]).astype(int):
        time, data = recordings[index].readings[pull.stream]
        read = data[:, pull.columns] / np.linalg.norm(data[:, pull.columns], axis=1, keepdims=True)
        noise = max(float(noise_of(rotation_vector(read[:-1], read[1:])).mean()), 1e-9)
        for row in np.flatnonzero(starts[:, 0] == index):
            nearest, found = _attitude(time, read, noise, starts[row, 1])
            if not np.isfinite(found.place).all():
                continue
            states[row, pull.coordinates] = turned(nearest, found.place)
            errors[row] = found.place_std
            if not np.isfinite(std[row, pull.speeds]).all():
                states[row, pull.speeds], std[row, pull.speeds] = found.speed, found.speed_std
    return errors


def _attitude(time: np.ndarray, read: np.ndarray, noise: float, at: float) -> tuple[np.ndarray, Fitted]:
    """The reading [4] nearest to a moment, and the rotation vector from there to the attitude, with its rate."""
    since, near = _about(time, read, at)
    nearest = near[np.argmin(np.abs(since))] if len(near) else np.array([1.0, 0, 0, 0])
    design = since[:, None] ** np.arange(_DEGREE + 1) / noise
    solved, errors = _solved(design, rotation_vector(nearest, near) / noise)
    return nearest, Fitted(solved[0], solved[1], errors[0], errors[1])

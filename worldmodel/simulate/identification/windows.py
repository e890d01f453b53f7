"""Stretches of recordings to simulate: where they start, what was commanded, what was read."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.logs.reader import Episode
from worldmodel.simulate.identification.parameters import Machine
from worldmodel.simulate.observer import Observer, Pull, Readings
from worldmodel.simulate.reading import of_body
from worldmodel.simulate.scene import Scene, SceneStream
from worldmodel.simulate.signals import controls_at, readings_at
from worldmodel.simulate.world import World
from worldmodel.types import Samples

_EVERY = 0.4  # of its length from window to window
_COMPARED = 25  # moments of a window at which readings are compared, at most
_NEAR, _NEAR_S = 8, 0.05  # samples either side that a start is fitted to, and how far they may lie
_NEAR_INTERVALS = 3.5  # or how many of their intervals, where they are rarer
_DEGREE = 3  # of the polynomial in time


class Recording(NamedTuple):
    """What is used of an episode: actions and readings by stream, and how long it is in seconds."""

    name: str
    actions: dict[str, Samples]
    readings: dict[str, Samples]
    seconds: float

    @classmethod
    def of(cls, scene: Scene, episode: Episode) -> "Recording":
        """Of an episode; readings of which a column is missing are none."""
        acted = {s.spec.name: _samples(episode, s) for s in scene.actions}
        read = {s.spec.name: _samples(episode, s) for s in scene.sensed if s.spec.kind == "sensor"}
        return cls(episode.name, acted, read, episode.duration_s)


def _samples(episode: Episode, stream: SceneStream) -> Samples:
    found = episode.streams[stream.spec.name]
    data = np.asarray(found.data, np.float64)
    there = np.isfinite(data).all(1)
    return Samples(found.time[there], data[there])


class Series(NamedTuple):
    """What was read of one coordinate: times [M], values [M] and the standard deviation of their noise."""

    time: np.ndarray
    data: np.ndarray
    noise: float


class Compared(NamedTuple):
    """What one stream read in W windows.

    Attributes:
        time: [W, M] seconds from the start.
        values: [W, M, S].
        known: bool [W, M].
        noise: [S] its standard deviation.
    """

    time: np.ndarray
    values: np.ndarray
    known: np.ndarray
    noise: np.ndarray


@dataclasses.dataclass
class Windows:
    """W windows of one length.

    Attributes:
        observer: of the world of the scene as the user gave it.
        recordings: that they are cut from.
        starts: [W, 2] recording and seconds.
        horizon_s: how long they are.
        states: [W, Q] where they start, by the readings about their start.
        free: int [F] which coordinates of a start are free within the error of its fit, `std` [F].
        compared: by stream.
    """

    observer: Observer
    recordings: Sequence[Recording]
    starts: np.ndarray
    horizon_s: float
    states: np.ndarray
    free: np.ndarray
    std: np.ndarray
    compared: dict[str, Compared]
    _commanded: tuple[list, np.ndarray] | None = None

    @classmethod
    def cut(
        cls, observer: Observer, recordings: Sequence[Recording], starts: np.ndarray, horizon_s: float
    ) -> "Windows":
        """Windows at starts [W, 2]."""
        world = observer.world
        steps = int(np.ceil(horizon_s / world.step_s))
        horizon_s = steps * world.step_s
        states, free, std = _starts(observer, recordings, starts)
        compared = {
            s.spec.name: _compared(s, recordings, starts, horizon_s)
            for s in world.scene.sensed
            if s.spec.kind == "sensor"
        }
        return cls(observer, recordings, starts, horizon_s, states, free, std, compared)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def world(self) -> World:
        """Of the scene as the user gave it."""
        return self.observer.world

    @property
    def steps(self) -> int:
        return round(self.horizon_s / self.world.step_s)

    def follow(self, machine: Machine) -> None:
        """Takes what no sensor reads about a start from a simulation of all that went before it."""
        if not _hidden(self.observer):
            return
        scene = machine.scene(self.world.scene)
        read = _fixed(self.observer)
        for index in np.unique(self.starts[:, 0]).astype(int):
            rows = np.flatnonzero(self.starts[:, 0] == index)
            states = _followed(self.observer, scene, machine, self.recordings[index], self.starts[rows, 1])
            states[:, read] = self.states[np.ix_(rows, read)]
            self.states[rows] = states

    def predict(self, machine: Machine, moved: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What a machine's sensors would read, [W, M, S] by stream, and bool [W] whether its worlds stayed finite.

        Args:
            machine: the machine.
            moved: [W, F] how far the free coordinates are from their fits.
        """
        states = self.states.copy()
        states[:, self.free] += moved
        scene = machine.scene(self.world.scene)
        for pull in self.observer.pulls:
            if pull.kind == "place":
                read, given = (_stream(each, pull.stream).bias[pull.columns] for each in (scene, self.world.scene))
                states[:, pull.coordinates] -= read - given
        begun = np.rint(self.starts[:, 1] / self.world.step_s).astype(int) + self.world.settle_steps
        rolled = self.world.try_rollout(states, self._controls(scene), begun, [machine.model] * len(self))
        out = {
            name: readings_at(self.world, scene, _stream(scene, name), rolled.sensors, part.time)
            for name, part in self.compared.items()
        }
        return out, rolled.sound >= self.steps

    def errors(self, predicted: Mapping[str, np.ndarray]) -> np.ndarray:
        """What was read less what was predicted, [W, R] of all streams, moments and columns; NaN where unknown."""
        parts = []
        for name, part in self.compared.items():
            error = codec(_stream(self.world.scene, name).spec).residual(part.values, predicted[name])
            parts.append(np.where(part.known[..., None], error, np.nan).reshape(len(self), -1))
        return np.concatenate(parts, 1)

    @property
    def noise(self) -> np.ndarray:
        """[R] the noise of each number of `errors`."""
        return np.concatenate([np.tile(c.noise, c.time.shape[1]) for c in self.compared.values()])

    @property
    def columns(self) -> int:
        """How many numbers are read at a moment."""
        return sum(len(part.noise) for part in self.compared.values())

    def motion(self) -> dict[str, float]:
        """By stream, how far the column that moves most does, in deviations of its noise."""
        found = {}
        for name, part in self.compared.items():
            deviation = part.values[part.known].std(0) if part.known.any() else np.zeros(len(part.noise))
            found[name] = float(np.max(deviation / np.maximum(part.noise, 1e-9)))
        return found

    def held(self, name: str) -> np.ndarray:
        """[W, S] a stream's newest reading at each start; its first where it has none yet."""
        out = np.empty((len(self), len(self.compared[name].noise)))
        for row, (index, at) in enumerate(self.starts):
            samples = self.recordings[int(index)].readings[name]
            out[row] = samples.data[max(int(np.searchsorted(samples.time, at + 1e-7, side="right")) - 1, 0)]
        return out

    def _controls(self, scene: Scene) -> np.ndarray:
        """[W, N, U], computed once as long as nothing is fitted of the commands."""
        key = [(stream.delay_s, stream.bias.tolist()) for stream in scene.actions]
        if self._commanded is None or self._commanded[0] != key:
            self._commanded = key, self._held(scene)
        return self._commanded[1]

    def _held(self, scene: Scene) -> np.ndarray:
        times = np.arange(self.steps) * self.world.step_s
        out = np.empty((len(self), self.steps, len(self.world.rest_controls)))
        for index in np.unique(self.starts[:, 0]).astype(int):
            rows = np.flatnonzero(self.starts[:, 0] == index)
            at = self.starts[rows, 1][:, None] + times
            out[rows] = controls_at(self.world, scene, self.recordings[index].actions, at)
        return out


def spread(recordings: Sequence[Recording], horizon_s: float) -> np.ndarray:
    """Starts [W, 2] of windows of a length, evenly over every recording."""
    parts = []
    for index, recording in enumerate(recordings):
        times = np.arange(_NEAR_S, recording.seconds - horizon_s, _EVERY * horizon_s)
        parts.append(np.stack([np.full(len(times), float(index)), times], 1))
    return np.concatenate(parts)


def _stream(scene: Scene, name: str) -> SceneStream:
    return next(s for s in scene.streams if s.spec.name == name)


def _compared(stream: SceneStream, recordings: Sequence[Recording], starts: np.ndarray, horizon_s: float) -> Compared:
    """The newest reading at each of some moments that lie evenly over the window."""
    count = int(np.clip(horizon_s * stream.spec.rate_hz, 1, _COMPARED))
    moments = np.arange(1, count + 1) / count * horizon_s
    time = np.zeros((len(starts), count))
    values = np.zeros((len(starts), count, len(stream.spec.columns)))
    known = np.zeros((len(starts), count), bool)
    noises = []
    for index in np.unique(starts[:, 0]).astype(int):
        rows, samples = np.flatnonzero(starts[:, 0] == index), recordings[index].readings[stream.spec.name]
        if not len(samples.time):
            continue
        begin = starts[rows, 1][:, None]
        newest = np.searchsorted(samples.time, begin + moments + 1e-7, side="right") - 1
        at = np.maximum(newest, 0)
        time[rows], values[rows] = samples.time[at] - begin, samples.data[at]
        known[rows] = (time[rows] > 0) & np.diff(newest, axis=1, prepend=-1).astype(bool)
        noises.append(_noise(samples))
    found = np.nanmedian(noises, 0) if noises else np.zeros(values.shape[-1])
    return Compared(time, values, known, np.maximum(found, stream.noise_std))


def _noise(samples: Samples) -> np.ndarray:
    """[S] the standard deviation of noise, whose third differences have 20 times its variance.

    By their median, for steps and collisions are none.
    """
    if len(samples.time) < 8:
        return np.full(samples.data.shape[1], np.nan)
    third = np.abs(np.diff(samples.data, 3, axis=0))
    return np.median(third, 0) / 0.6745 / np.sqrt(20)


def _hidden(observer: Observer) -> bool:
    """Whether a speed, or what an actuator remembers, is not read."""
    read = {c for pull in observer.pulls for c in range(pull.speeds.start, pull.speeds.stop)}
    model = observer.world.model
    return len(read) < model.nv or len(observer.world.packing.names) > model.nq + model.nv


def _fixed(observer: Observer) -> np.ndarray:
    """int [R] which coordinates readings about a start tell."""
    found = [np.r_[pull.coordinates, pull.speeds] for pull in observer.pulls]
    return np.unique(np.concatenate([np.zeros(0, int), *found]))


def _followed(
    observer: Observer, scene: Scene, machine: Machine, recording: Recording, times: np.ndarray
) -> np.ndarray:
    """States [K, Q] at times [K] of a recording, simulated from its beginning and pulled to what was read."""
    world = observer.world
    keep = np.rint(times / world.step_s).astype(int)
    read = {
        name: Readings.of([samples]).unspoilt(_stream(scene, name))
        for name, samples in recording.readings.items()
        if len(samples.time)
    }
    states = observer.begin(read, world.default_state()[None])
    controls = controls_at(world, scene, recording.actions, np.arange(keep.max() + 1) * world.step_s)[None]
    begun = np.full(1, world.settle_steps)
    order = np.argsort(keep, kind="stable")
    out, _ = observer.follow(read, states, controls, begun=begun, model=machine.model, keep=keep[order].tolist())
    return out[0][np.argsort(order)]


def _starts(
    observer: Observer, recordings: Sequence[Recording], starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States [W, Q] by the readings about each start, which coordinates are free, int [F], and how much, [F]."""
    world, found = observer.world, observer.pulls
    states = np.tile(world.default_state(), (len(starts), 1))
    std = np.full((len(starts), states.shape[1]), np.nan)
    for speed in sorted({c for pull in found for c in range(pull.speeds.start, pull.speeds.stop)}):
        place, rate = _sensors_of(found, speed)
        for index in np.unique(starts[:, 0]).astype(int):
            rows = np.flatnonzero(starts[:, 0] == index)
            at_place, of_speed = (None if p is None else _column(world, recordings[index], *p) for p in (place, rate))
            for row in rows:
                fitted = _local(at_place, of_speed, starts[row, 1])
                at = [place[0].place + place[1] if place else -1, speed]
                for coordinate, value, error in zip(at, *fitted, strict=True):
                    if coordinate >= 0 and np.isfinite(value):
                        states[row, coordinate], std[row, coordinate] = value, error
    for pull in found:
        if pull.kind == "turn":
            _turned(world, pull, recordings, starts, states)
    free = np.flatnonzero(np.isfinite(std).all(0))
    return states, free, np.median(std[:, free], 0)


def _sensors_of(found: Sequence[Pull], speed: int) -> tuple[tuple[Pull, int] | None, tuple[Pull, int] | None]:
    """The sensors of a coordinate and of its speed, each with which of its values that is."""
    of = {pull.kind: (pull, speed - pull.speed) for pull in reversed(found) if pull.speed <= speed < pull.speeds.stop}
    return of.get("place"), of.get("speed")


def _column(world: World, recording: Recording, pull: Pull, value: int) -> Series:
    """What a sensor reads of one coordinate."""
    samples = recording.readings[pull.stream]
    read = (samples.data - _stream(world.scene, pull.stream).bias)[:, pull.columns]
    if pull.site >= 0:
        read = of_body(world, pull.site, read)
    data = np.unwrap(read[:, value]) if pull.wraps else read[:, value]
    return Series(samples.time, data, max(float(_noise(Samples(samples.time, data[:, None]))[0]), 1e-9))


def _local(place: Series | None, speed: Series | None, at: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Place and speed at a moment, and their errors, of a polynomial through the readings about it; NaN for none."""
    unknown = (np.nan, np.nan), (np.nan, np.nan)
    powers = np.arange(_DEGREE + 1) + (place is None)  # of a coordinate whose place is not read, nothing is constant
    designs, reads = [np.zeros((0, len(powers)))], [np.zeros(0)]
    for order, series in enumerate((place, speed)):
        if series is not None:
            time, data = _about(series, at)
            factor = powers if order else np.ones(len(powers))
            designs.append(factor * time[:, None] ** np.maximum(powers - order, 0) / series.noise)
            reads.append(data / series.noise)
    design, read = np.concatenate(designs), np.concatenate(reads)
    if len(read) <= len(powers):
        return unknown
    solved, *_ = np.linalg.lstsq(design, read, rcond=None)
    left = np.sqrt(max(float(np.mean((design @ solved - read) ** 2)), 1.0))  # a cubic is not all of the motion
    errors = left * np.sqrt(np.maximum(np.diag(np.linalg.pinv(design.T @ design)), 0))
    if place is None:
        return (np.nan, float(solved[0])), (np.nan, float(errors[0]))
    return (float(solved[0]), float(solved[1])), (float(errors[0]), float(errors[1]))


def _about(series: Series, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Times from a moment and values of the samples about it."""
    middle = int(np.searchsorted(series.time, at))
    rows = slice(max(middle - _NEAR, 0), middle + _NEAR)
    time = series.time[rows] - at
    interval_s = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    near = np.abs(time) <= max(_NEAR_S, _NEAR_INTERVALS * interval_s)
    return time[near], series.data[rows][near]


def _turned(world: World, pull: Pull, recordings: Sequence[Recording], starts: np.ndarray, states: np.ndarray) -> None:
    """Puts the last attitude that was read before each start into its state, turned on by the rates there."""
    for row, (index, at) in enumerate(starts):
        samples = recordings[int(index)].readings[pull.stream]
        newest = int(np.searchsorted(samples.time, at + 1e-7, side="right")) - 1
        if newest >= 0:
            turned = samples.data[newest, pull.columns]
            turned = turned / np.linalg.norm(turned)
            world.mj.mju_quatIntegrate(turned, states[row, pull.speeds], at - samples.time[newest])
            states[row, pull.coordinates] = turned

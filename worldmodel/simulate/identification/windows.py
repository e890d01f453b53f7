"""Stretches of recordings to simulate: where they start, what was commanded, what was read."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.simulate.identification.parameters import Machine
from worldmodel.simulate.identification.recordings import Recording, noise_of, stream_of
from worldmodel.simulate.identification.starts import Starts, starts_of
from worldmodel.simulate.observer import Observer, Readings
from worldmodel.simulate.scene import Scene, SceneStream
from worldmodel.simulate.signals import controls_at, readings_at
from worldmodel.simulate.world import World

_EVERY = 0.4  # of its length from window to window
_FIRST_S = 0.05  # where the first begins: later, so that readings lie on both sides
_COMPARED = 25  # moments of a window at which readings are compared, at most


class Compared(NamedTuple):
    """What one stream read in W windows.

    Attributes:
        time: [W, M] seconds from the start.
        values: [W, M, S].
        known: bool [W, M].
        noise: [E] the standard deviation of the components of an error.
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
        begin: where they start, by the readings about their start.
        compared: by stream.
    """

    observer: Observer
    recordings: Sequence[Recording]
    starts: np.ndarray
    horizon_s: float
    begin: Starts
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
        begin = starts_of(observer, recordings, starts)
        compared = {s.spec.name: _compared(s, recordings, starts, horizon_s) for s in world.scene.read}
        return cls(observer, recordings, starts, horizon_s, begin, compared)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def world(self) -> World:
        """Of the scene as the user gave it."""
        return self.observer.world

    def take(self, rows: np.ndarray) -> "Windows":
        """Some of them, by their rows."""
        compared = {
            name: part._replace(time=part.time[rows], values=part.values[rows], known=part.known[rows])
            for name, part in self.compared.items()
        }
        begin = self.begin._replace(states=self.begin.states[rows])
        return dataclasses.replace(self, starts=self.starts[rows], begin=begin, compared=compared, _commanded=None)

    @property
    def steps(self) -> int:
        return round(self.horizon_s / self.world.step_s)

    def follow(self, machine: Machine) -> None:
        """Takes what no sensor reads about a start from a simulation of all that went before it."""
        if not _hidden(self.observer):
            return
        states, read = _followed(self.observer, machine, self.recordings, self.starts), _fixed(self.observer)
        states[:, read] = self.begin.states[:, read]
        self.begin.states[:] = states

    def predict(self, machine: Machine, moved: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What a machine's sensors would read, [W, M, S] by stream, and bool [W] whether its worlds stayed finite.

        Args:
            machine: the machine.
            moved: [W, F] how far its starts are from their fits (`Starts`).
        """
        states = self.begin.moved(moved)
        scene = machine.scene(self.world.scene)
        for pull in self.observer.pulls:
            if pull.kind == "place":
                read, given = (stream_of(each, pull.stream).bias[pull.columns] for each in (scene, self.world.scene))
                states[:, pull.coordinates] -= read - given
        begun = np.rint(self.starts[:, 1] / self.world.step_s).astype(int) + self.world.settle_steps
        rolled = self.world.try_rollout(states, self._controls(scene), begun, [machine.model] * len(self))
        out = {
            name: readings_at(self.world, scene, stream_of(scene, name), rolled.sensors, part.time)
            for name, part in self.compared.items()
        }
        return out, rolled.sound >= self.steps

    def errors(self, predicted: Mapping[str, np.ndarray]) -> np.ndarray:
        """What was read less what was predicted, [W, R] of all streams, moments and columns; NaN where unknown."""
        parts = []
        for name, part in self.compared.items():
            error = codec(stream_of(self.world.scene, name).spec).residual(part.values, predicted[name])
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

    def deviation(self, name: str) -> np.ndarray:
        """[E] how far a stream's readings are from their mean, as a root mean square."""
        part, of = self.compared[name], codec(stream_of(self.world.scene, name).spec)
        if not part.known.any():
            return np.zeros(len(part.noise))
        values = part.values[part.known]
        return np.sqrt(np.mean(of.residual(values, of.mean(values, np.ones(values.shape, bool))) ** 2, 0))

    def motion(self) -> dict[str, float]:
        """By stream, how far what moves most does, in deviations of its noise."""
        parts = self.compared.items()
        return {name: float(np.max(self.deviation(name) / np.maximum(part.noise, 1e-9))) for name, part in parts}

    def held(self, name: str) -> np.ndarray:
        """[W, S] a stream's newest reading at each start; its first where it has none yet."""
        out = np.empty((len(self), self.compared[name].values.shape[-1]))
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
        times = np.arange(_FIRST_S, recording.seconds - horizon_s, _EVERY * horizon_s)
        parts.append(np.stack([np.full(len(times), float(index)), times], 1))
    return np.concatenate(parts)


def _compared(stream: SceneStream, recordings: Sequence[Recording], starts: np.ndarray, horizon_s: float) -> Compared:
    """The newest reading at each of some moments that lie evenly over the window."""
    count = int(np.clip(horizon_s * stream.spec.rate_hz, 1, _COMPARED))
    moments = np.arange(1, count + 1) / count * horizon_s
    time = np.zeros((len(starts), count))
    values = np.zeros((len(starts), count, len(stream.spec.columns)))
    known = np.zeros((len(starts), count), bool)
    of, noises = codec(stream.spec), []
    for index in np.unique(starts[:, 0]).astype(int):
        rows, samples = np.flatnonzero(starts[:, 0] == index), recordings[index].readings[stream.spec.name]
        if not len(samples.time):
            continue
        begin = starts[rows, 1][:, None]
        newest = np.searchsorted(samples.time, begin + moments + 1e-7, side="right") - 1
        at = np.maximum(newest, 0)
        time[rows], values[rows] = samples.time[at] - begin, samples.data[at]
        known[rows] = (time[rows] > 0) & np.diff(newest, axis=1, prepend=-1).astype(bool)
        noises.append(noise_of(of.residual(samples.data[1:], samples.data[:-1])))
    found = np.nanmedian(noises, 0) if noises else np.zeros(len(of.error_labels))
    given = stream.noise_std if len(stream.noise_std) == len(found) else 0.0  # of a quaternion it says little
    return Compared(time, values, known, np.maximum(found, given))


def _hidden(observer: Observer) -> bool:
    """Whether a speed, or what an actuator remembers, is not read."""
    read = {c for pull in observer.pulls for c in range(pull.speeds.start, pull.speeds.stop)}
    model = observer.world.model
    return len(read) < model.nv or len(observer.world.packing.names) > model.nq + model.nv


def _fixed(observer: Observer) -> np.ndarray:
    """int [R] which coordinates readings about a start tell."""
    found = [np.r_[pull.coordinates, pull.speeds] for pull in observer.pulls]
    return np.unique(np.concatenate([np.zeros(0, int), *found]))


def _followed(observer: Observer, machine: Machine, recordings: Sequence[Recording], starts: np.ndarray) -> np.ndarray:
    """States [W, Q] at starts [W, 2], simulated from the recordings' beginnings and pulled to what was read."""
    world, scene = observer.world, machine.scene(observer.world.scene)
    read = {
        s.spec.name: Readings.of([r.readings[s.spec.name] for r in recordings]).unspoilt(s)
        for s in scene.read
        if any(len(r.readings[s.spec.name].time) for r in recordings)
    }
    keep, column = np.unique(np.rint(starts[:, 1] / world.step_s).astype(int), return_inverse=True)
    times = np.arange(max(keep.max(), 1)) * world.step_s
    controls = np.stack([controls_at(world, scene, r.actions, times) for r in recordings])
    states = observer.begin(read, np.tile(world.default_state(), (len(recordings), 1)))
    begun = np.full(len(recordings), world.settle_steps)
    models = [machine.model] * len(recordings)
    out, _ = observer.follow(read, states, controls, begun=begun, models=models, keep=keep.tolist())
    return out[starts[:, 0].astype(int), column]

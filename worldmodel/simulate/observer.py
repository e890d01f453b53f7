"""The best estimate of a state from what sensors have read: simulate along, and pull what is read towards the readings.

A fixed-gain observer (an alpha-beta filter about the physics; Kalata 1984, doi 10.1109/TAES.1984.310438): it needs no
covariances, and on a real double pendulum was as good as an extended Kalman filter at a sixth of its cost.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from worldmodel.simulate.reading import TURNS, coordinates, of_body
from worldmodel.simulate.scene import SceneStream
from worldmodel.simulate.world import World
from worldmodel.types import Samples

_PLACE = 0.3  # how far a reading of a place alone is believed; between 0.1 and 0.7 it hardly matters
_SPEED = _PLACE**2 / (2 - _PLACE)  # and what it says of the speed, over its interval
_SPEED_ALONE = 0.4  # how far a reading of a speed is believed where no place is read
_SPEED_BESIDE = 0.02  # and where one is, if the scene does not say how noisy both are
_SETTLED = 300  # steps after which a filter's gains are steady
_SAME_STEP = 1e-4  # of a physics step: a reading stamped on a step was taken there


@dataclasses.dataclass(frozen=True)
class Pull:
    """A sensor that reads coordinates of the state.

    Attributes:
        stream: which it is of; `columns` are its columns there.
        kind: `place`, `turn` (a unit quaternion) or `speed`.
        place: where in a state the coordinates begin, or of a speed those that it is the speed of.
        speed: where their speeds begin.
        width: how many speeds there are: 1 or 3.
        interval_s: usual seconds between readings.
        wraps: whether it is an angle that wraps.
        site: of a gyro, the site that it is fixed to; -1 of others.
        noise: standard deviation of a reading; 0 where the scene does not say.
    """

    stream: str
    columns: slice
    kind: str
    place: int
    speed: int
    width: int
    interval_s: float
    wraps: bool
    site: int
    noise: float

    @property
    def speeds(self) -> slice:
        return slice(self.speed, self.speed + self.width)

    @property
    def coordinates(self) -> slice:
        """What it reads, in a state."""
        if self.kind == "speed":
            return self.speeds
        return slice(self.place, self.place + (4 if self.kind == "turn" else self.width))


class Gains(NamedTuple):
    """How far a reading pulls: of a place also its speed, over the reading's interval."""

    place: float
    speed: float


class Readings(NamedTuple):
    """What one stream read in each of W worlds, sorted by time, those that lack some at an infinite time.

    Attributes:
        time: [W, M] seconds from the beginning of the simulation.
        values: [W, M, S], NaN where unknown.
    """

    time: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, worlds: Sequence[Samples]) -> "Readings":
        """Of samples of each world."""
        most, width = max(len(w.time) for w in worlds), worlds[0].data.shape[1]
        time, values = np.full((len(worlds), most), np.inf), np.full((len(worlds), most, width), np.nan)
        for row, samples in enumerate(worlds):
            time[row, : len(samples.time)], values[row, : len(samples.time)] = samples
        return cls(time, values)

    def unspoilt(self, stream: SceneStream) -> "Readings":
        """Of recorded ones those of the machine itself: without a stream's bias, at the times when they were taken."""
        return Readings(self.time - stream.delay_s, self.values - stream.bias)


class Observer:
    """Estimates states of a world from what its sensors read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pulls = tuple(pulls(world))

    def begin(self, read: Mapping[str, Readings], states: np.ndarray) -> np.ndarray:
        """States [W, Q] of which what is read (as for `follow`) is as it was read first."""
        states = np.array(states, np.float64)
        for pull in self._read_in(read):
            values = self._values(pull, read)
            known = np.isfinite(values).all(-1)
            first = values[np.arange(len(states)), known.argmax(1)]
            at = pull.coordinates
            states[:, at] = np.where(known.any(1)[:, None], first, states[:, at])
        return states

    def follow(
        self,
        read: Mapping[str, Readings],
        states: np.ndarray,
        controls: np.ndarray,
        *,
        begun: np.ndarray | None = None,
        models: Sequence[Any] | None = None,
        keep: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Simulates W worlds, pulled to what was read on the way. A state knows nothing that was read after it.

        Args:
            read: by stream, as the model's sensors would say, at the times when it was so (`Readings.unspoilt`).
            states: [W, Q] where the simulation begins.
            controls: [W, N, U].
            begun: int [W] physics steps that each world has run before.
            models: one for each world, copies of this world's with other numbers; by default its own.
            keep: int [K] physics steps, rising, of which states are wanted; by default the last alone.

        Returns:
            [W, K, Q], and bool [W] whether a world stayed finite; one that did not stands still.
        """
        worlds, steps = controls.shape[:2]
        keep = [steps] if keep is None else list(keep)
        begun = np.zeros(worlds, int) if begun is None else begun
        active = self._read_in(read)
        gains, values = [_gains(pull, active) for pull in active], [self._values(pull, read) for pull in active]
        due = [_due(read[pull.stream].time, steps, self.world.step_s) for pull in active]
        stops = np.unique(np.concatenate([[0, *keep], *(np.flatnonzero((d >= 0).any(0)) for d in due)]).astype(int))
        out, sound, now = np.empty((worlds, len(keep), states.shape[1])), np.ones(worlds, bool), 0
        states = np.array(states, np.float64)
        for stop in stops[stops <= max(keep)]:
            if stop > now:
                rolled = self.world.try_rollout(states, controls[:, now:stop], begun + now, models)
                sound &= rolled.sound >= stop - now
                states, now = np.where(sound[:, None], rolled.states[:, -1], states), int(stop)
            for pull, gain, data, rows in zip(active, gains, values, due, strict=True):
                chosen = np.flatnonzero((rows[:, stop] >= 0) & sound)
                self._correct(pull, gain, states, chosen, data[chosen, rows[chosen, stop]])
            for place in np.flatnonzero(np.equal(keep, stop)):
                out[:, place] = states
        return out, sound

    def _read_in(self, read: Mapping[str, Readings]) -> list[Pull]:
        return [pull for pull in self.pulls if pull.stream in read]

    def _values(self, pull: Pull, read: Mapping[str, Readings]) -> np.ndarray:
        """[W, M, ...] what a sensor read, as the coordinates have it."""
        values = read[pull.stream].values[..., pull.columns]
        if pull.site >= 0:
            values = of_body(self.world, pull.site, values)
        return values / np.linalg.norm(values, axis=-1, keepdims=True) if pull.kind == "turn" else values

    def _correct(self, pull: Pull, gains: Gains, states: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        """Pulls some rows of the states towards values [R, ...]; in place."""
        known = np.isfinite(values).all(-1)
        rows, values = rows[known], values[known]
        at = _block(rows, pull.speeds)
        if pull.kind == "speed":
            states[at] += gains.speed * (values - states[at])
        elif pull.kind == "turn":
            self._turn(pull, gains, states, rows, values)
        else:
            places = _block(rows, pull.coordinates)
            missed = values - states[places]
            missed = (missed + np.pi) % (2 * np.pi) - np.pi if pull.wraps else missed
            states[places] += gains.place * missed
            states[at] += gains.speed * missed / pull.interval_s

    def _turn(self, pull: Pull, gains: Gains, states: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        mj, missed = self.world.mj, np.zeros(3)
        for row, value in zip(rows, values, strict=True):
            turned = states[row, pull.coordinates]
            mj.mju_subQuat(missed, value, turned)  # in the body's own axes, as its rates are
            mj.mju_quatIntegrate(turned, missed, gains.place)
            states[row, pull.coordinates] = turned
            states[row, pull.speeds] += gains.speed * missed / pull.interval_s


def _block(rows: np.ndarray, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """What indexes a block of a matrix, given rows and a span of columns."""
    return rows[:, None], np.arange(columns.start, columns.stop)[None]


def _gains(pull: Pull, active: Sequence[Pull]) -> Gains:
    """How far a sensor's readings are believed beside the others'.

    Where place and speed are read and the scene says how noisily, as far as a Kalman filter of them would, of a machine
    pushed by forces so strong that the place alone would be believed as ever.
    """
    of_speed = pull.kind == "speed"
    other = next((p for p in active if p.speed == pull.speed and (p.kind == "speed") != of_speed), None)
    if other is None:
        return Gains(0.0, _SPEED_ALONE) if of_speed else Gains(_PLACE, _SPEED)
    place, speed = (other, pull) if of_speed else (pull, other)
    if not (place.noise > 0 and speed.noise > 0):
        return Gains(0.0, _SPEED_BESIDE) if of_speed else Gains(_PLACE, _SPEED)
    often = speed.interval_s / place.interval_s
    both = _steady(float(speed.noise * np.sqrt(often) * place.interval_s / place.noise))
    return Gains(0.0, min(both[2] * often, 1.0)) if of_speed else Gains(*both[:2])


@functools.lru_cache
def _steady(ratio: float) -> tuple[float, float, float]:
    """Steady gains of place on place, of place on speed, of speed on speed, of a mass that unknown forces push.

    Args:
        ratio: the noise of a speed times the interval, over that of a place.
    """
    step, push = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([0.5, 1.0]) * _SPEED / np.sqrt(1 - _PLACE)
    noise, covariance = np.diag([1.0, ratio**2]), np.eye(2)
    for _ in range(_SETTLED):
        gain = covariance @ np.linalg.inv(covariance + noise)
        covariance = step @ (covariance - gain @ covariance) @ step.T + np.outer(push, push)
    return float(gain[0, 0]), float(gain[1, 0]), float(gain[1, 1])


def pulls(world: World) -> Iterator[Pull]:
    """The sensors of a world that read coordinates of its state, those without a delay of MuJoCo's own."""
    model = world.model
    for stream in world.scene.read:
        column = 0
        for address in stream.sources:
            sensor, width = world.elements.find("sensor", address), len(world.sensor_columns([address]))
            kind = world.elements.sensor_type(sensor)
            at = coordinates(world, sensor, kind)
            columns, column = slice(column, column + width), column + width
            if at is None or model.sensor_delay[sensor] > 0:
                continue
            place, speed = (at, _speed_of(model, at)) if at < model.nq else (-1, at)
            site = int(model.sensor_objid[sensor]) if kind == "gyro" else -1
            what = "turn" if kind in TURNS else "place" if at < model.nq else "speed"
            wraps = any(stream.spec.circular[columns])
            speeds = 3 if what == "turn" else width
            noise = float(np.sqrt(np.mean(stream.noise_std[columns] ** 2))) * (2 if what == "turn" else 1)
            interval_s = 1 / stream.spec.rate_hz
            yield Pull(stream.spec.name, columns, what, place, speed, speeds, interval_s, wraps, site, noise)


def _speed_of(model: Any, place: int) -> int:
    """Where in a state the speed of a coordinate is."""
    joint = int(np.searchsorted(model.jnt_qposadr, place, side="right")) - 1
    within = place - int(model.jnt_qposadr[joint])
    return int(model.nq + model.jnt_dofadr[joint]) + within  # of a turn, which comes fourth, the rates come fourth


def _due(time: np.ndarray, steps: int, step_s: float) -> np.ndarray:
    """int [W, N + 1] which reading, of times [W, M], each physics step is the first after; -1 where none is.

    Of several the newest. What was read before the simulation begins is not due.
    """
    at = np.ceil(time / step_s - _SAME_STEP)
    due = np.full((len(time), steps + 1), -1)
    world, row = np.nonzero((at >= 0) & (at <= steps))
    due[world, at[world, row].astype(int)] = row  # later ones overwrite
    return due

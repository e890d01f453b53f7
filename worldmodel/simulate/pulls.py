"""Which sensors read coordinates of a state, and how far each is believed beside the others."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from worldmodel.simulate.reading import TURNS, coordinates
from worldmodel.simulate.world import World

_PLACE = 0.3  # how far a reading of a place alone is believed; between 0.1 and 0.7 it hardly matters
_SPEED = _PLACE**2 / (2 - _PLACE)  # and what it says of the speed, over its interval
_SPEED_ALONE = 0.4  # how far a reading of a speed is believed where no place is read
_SPEED_BESIDE = 0.02  # and where one is, if the scene does not say how noisy both are
_SETTLED = 300  # steps after which a filter's gains are steady


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


def gains_of(pull: Pull, active: Sequence[Pull]) -> Gains:
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

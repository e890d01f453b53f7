"""What crosses between a log and a simulator: commands become controls, sensor values readings, late and shifted."""

import numpy as np

from worldmodel.arrays import hold, wrapped
from worldmodel.geo import enu_to_geodetic
from worldmodel.simulate.scene import Scene, SceneStream
from worldmodel.simulate.world import World
from worldmodel.types import Samples

_SAME_S = 1e-7  # stamps and physics steps that differ by less are meant to agree


class Held:
    """Commands, each in force until the next that is a number.

    Args:
        given: stamps [M] and values [M, A].
        rest: [A] what is in force before the first.
    """

    def __init__(self, given: Samples, rest: np.ndarray) -> None:
        data = np.asarray(given.data, np.float64).reshape(len(given.time), len(rest))
        held, begun = hold(np.nan_to_num(data), np.isfinite(data), axis=0)
        self._time = np.asarray(given.time, np.float64)
        self._values = np.concatenate([rest[None], np.where(begun, held, rest)])
        spans = np.diff(self._time)[:, None] * self._values[1:-1]
        self._integral = np.concatenate([np.zeros((1, len(rest))), np.cumsum(spans, 0)]) if len(spans) else None

    def mean(self, times: np.ndarray, width_s: float) -> np.ndarray:
        """The mean [..., A] over `width_s` from each of the times [...]."""
        first = self._row(times + _SAME_S)
        last = self._row(times + width_s - _SAME_S)
        means = self._values[first]
        between = first != last  # elsewhere no rounding shall come in
        if between.any():
            begin = times[between]
            means[between] = (self._until(begin + width_s) - self._until(begin)) / width_s
        return means

    def _row(self, times: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._time, times, side="right")

    def _until(self, times: np.ndarray) -> np.ndarray:
        """The integral [K, A] from the first stamp up to times [K], negative before it."""
        row = self._row(times)
        known = np.zeros((1, self._values.shape[1])) if self._integral is None else self._integral
        since = times - self._time[np.maximum(row - 1, 0)]
        return known[np.maximum(row - 1, 0)] + since[..., None] * self._values[row]


def controls_at(world: World, scene: Scene, actions: dict[str, Samples], times: np.ndarray) -> np.ndarray:
    """Controls [N, U] of the physics steps that begin at times [N]: of each command the mean over the step.

    A command acts `delay_s` after its stamp and holds until the next that is a number. Before the first, or where there
    is none, stands the scene's own: that of its keyframe, or 0.
    """
    controls = np.tile(world.rest_controls, (*np.shape(times), 1))
    for stream in scene.actions:
        given = actions.get(stream.spec.name)
        if given is None or not len(given.time):
            continue
        columns = world.control_columns(stream.sources)
        held = Held(given, world.rest_controls[columns] - stream.bias)
        controls[..., columns] = held.mean(np.asarray(times) - stream.delay_s, world.step_s) + stream.bias
    return controls


def readings_at(world: World, scene: Scene, stream: SceneStream, sensors: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What a stream records without noise, [..., M, S]; see `raw_readings`."""
    return sense(scene, stream, raw_readings(world, stream, sensors, times))


def raw_readings(world: World, stream: SceneStream, sensors: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The model's sensor values [..., M, S] that a stream records at times after the first of [..., N + 1, all].

    Times are [M], or [..., M], each world's own. A reading was taken `delay_s` before its stamp, between two steps in
    proportion; none before the first step.
    """
    values = sensors[..., world.sensor_columns(stream.sources)]
    times = np.reshape(times, (1,) * (values.ndim - 1 - np.ndim(times)) + np.shape(times))
    at = np.clip((times - stream.delay_s) / world.step_s, 0, values.shape[-2] - 1)[..., None]
    low = np.floor(at + 1e-6).astype(int)
    share = np.where(at - low > 1e-6, at - low, 0.0)
    first = np.take_along_axis(values, low, -2)
    if not share.any():
        return first
    high = np.minimum(low + 1, values.shape[-2] - 1)
    return first * (1 - share) + np.take_along_axis(values, high, -2) * share


def sense(scene: Scene, stream: SceneStream, values: np.ndarray) -> np.ndarray:
    """Sensor values [..., S] of the model as the stream records them: with its bias, GPS as latitude and so on."""
    values = values + stream.bias
    if stream.spec.kind == "gps":
        return enu_to_geodetic(values.reshape(-1, 3), scene.origin).reshape(values.shape)
    wraps = np.asarray(stream.spec.circular)
    return np.where(wraps, wrapped(values), values)

"""From streams on their own clocks to ticks on one, causally: tick k holds what was stamped in (t_k - dt, t_k]."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.geo import enu_to_geodetic, geodetic_to_enu
from worldmodel.logs.reader import Episode
from worldmodel.types import Samples, StreamSpec

MAX_PER_TICK = 8
_ROUNDING_S = 1e-7  # 0.15 s and 3 ticks of 0.05 s are the same moment


class Ticks(NamedTuple):
    """One episode on the model's clock; tick k is at k * dt seconds.

    Attributes:
        values: float32 [T, D] features of all sensor and GPS streams; 0 where the mask is False.
        mask: bool [T, D].
        age_s: float32 [T, streams] seconds since each low-dimensional stream's newest sample.
        actions: float32 [T, A], the mean of what was in force over [t, t + dt): the action that leaves tick k.
        frames: int64 [T, videos] index of the newest frame of the tick within the episode, -1 where none.
        origin: float64 [3] latitude, longitude (deg), altitude (m) that GPS features are east-north-up metres from.
    """

    values: np.ndarray
    mask: np.ndarray
    age_s: np.ndarray
    actions: np.ndarray
    frames: np.ndarray
    origin: np.ndarray


@dataclasses.dataclass(frozen=True)
class TickLayout:
    """How the streams of a log become columns of `Ticks`.

    Features of a stream are its columns, an angle that wraps as sine and cosine, GPS as east, north, up in metres.
    A stream faster than the tick has several slots a tick, each the newest sample at its time; slots are in time
    order, so a stream's last slot is its reading at the tick.
    """

    dt: float
    streams: tuple[StreamSpec, ...]

    def of_kind(self, *kinds: str) -> tuple[StreamSpec, ...]:
        return tuple(s for s in self.streams if s.kind in kinds)

    @cached_property
    def readings(self) -> tuple[StreamSpec, ...]:
        """The low-dimensional streams that are predicted: sensors and GPS."""
        return self.of_kind("sensor", "gps")

    @cached_property
    def videos(self) -> tuple[StreamSpec, ...]:
        return self.of_kind("video")

    @property
    def action_count(self) -> int:
        return sum(len(s.columns) for s in self.of_kind("action"))

    def slots(self, spec: StreamSpec) -> int:
        """Slots a tick: the stream's rate times dt, between 1 and `MAX_PER_TICK`."""
        return int(np.clip(round(spec.rate_hz * self.dt), 1, MAX_PER_TICK))

    def interval(self, spec: StreamSpec) -> int:
        """Ticks from one sample of a stream to the next at its nominal rate, at least 1."""
        return max(round(1 / (spec.rate_hz * self.dt)), 1)

    def features(self, spec: StreamSpec) -> int:
        return 3 if spec.kind == "gps" else len(spec.columns) + sum(spec.circular)

    def width(self, spec: StreamSpec) -> int:
        return self.slots(spec) * self.features(spec)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where each reading stream's slots x features are among the D columns."""
        ends = np.cumsum([0, *(self.width(s) for s in self.readings)])
        return {s.name: slice(int(a), int(b)) for s, a, b in zip(self.readings, ends[:-1], ends[1:], strict=True)}

    @cached_property
    def newest(self) -> np.ndarray:
        """int [Y] which of the D columns are a stream's last slot: the readings at the tick."""
        parts = [np.arange(c.stop - self.features(s), c.stop) for s, c in self._pairs()]
        return np.concatenate(parts) if parts else np.zeros(0, int)

    def reading_columns(self, spec: StreamSpec) -> slice:
        """Where a stream's features are among the Y readings at the tick."""
        before = self.readings[: self.readings.index(spec)]
        start = sum(self.features(s) for s in before)
        return slice(start, start + self.features(spec))

    @cached_property
    def gps_columns(self) -> dict[str, np.ndarray]:
        """int [N, 3] columns of each GPS stream's slots."""
        return {s.name: np.arange(c.start, c.stop).reshape(-1, 3) for s, c in self._pairs() if s.kind == "gps"}

    @property
    def size(self) -> int:
        return sum(self.width(s) for s in self.readings)

    def _pairs(self):
        return [(s, self.columns[s.name]) for s in self.readings]

    def to_physical(self, spec: StreamSpec, features: np.ndarray) -> np.ndarray:
        """Features [..., F] to the stream's columns [..., S] (GPS: east, north, up in metres)."""
        if spec.kind == "gps" or not any(spec.circular):
            return features
        out, position = [], 0
        for wraps in spec.circular:
            part = features[..., position : position + 1 + wraps]
            out.append(np.arctan2(part[..., 0], part[..., 1]) if wraps else part[..., 0])
            position += 1 + wraps
        return np.stack(out, -1)

    def to_features(self, spec: StreamSpec, data: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Recorded samples [M, S] to features [M, F]; NaN stays NaN."""
        if spec.kind == "gps":
            return geodetic_to_enu(data[:, :3], origin)
        parts = []
        for column, wraps in zip(data.T, spec.circular, strict=True):
            parts += [np.sin(column), np.cos(column)] if wraps else [column]
        return np.stack(parts, -1)


def default_dt(streams: Sequence[StreamSpec]) -> float:
    """The tick that suits a log: its fastest action's interval, within 0.01 to 0.1 s."""
    rates = [s.rate_hz for s in streams if s.kind == "action"] or [float(np.median([s.rate_hz for s in streams]))]
    return float(np.clip(1 / max(rates), 0.01, 0.1))


def align(episode: Episode, layout: TickLayout, truth: bool = False, origin: np.ndarray | None = None) -> Ticks:
    """Puts an episode on the model's clock.

    Args:
        episode: the recording.
        layout: the streams wanted and the tick.
        truth: read the noise-free counterparts of the readings (the log must be open with its truth).
        origin: what GPS is measured from; by default the episode's first valid fix.

    Raises:
        WorldModelError: if the episode's times do not increase.
    """
    ticks = np.arange(int(np.floor(episode.duration_s / layout.dt + 1e-6)) + 1) * layout.dt
    source = episode.truth if truth else episode.streams
    origin = _origin(episode, layout) if origin is None else origin
    values = np.zeros((len(ticks), layout.size), np.float32)
    mask = np.zeros(values.shape, bool)
    ages = np.full((len(ticks), len(layout.readings)), np.inf, np.float32)
    for i, spec in enumerate(layout.readings):
        if spec.name not in source or not len(source[spec.name]):
            continue
        stream = source[spec.name]
        features = layout.to_features(spec, np.asarray(stream.data, np.float64), origin)
        known = np.isfinite(features).any(1)  # a row of a table that says nothing of this stream is no sample of it
        value, valid, ages[:, i] = _slots(stream.time[known], features[known], ticks, layout.dt, layout.slots(spec))
        values[:, layout.columns[spec.name]], mask[:, layout.columns[spec.name]] = value, valid
    parts = [mean_action(Samples(s.time, s.data), ticks, layout.dt) for s in _actions(episode, layout)]
    actions = np.concatenate(parts, 1) if parts else np.zeros((len(ticks), 0), np.float32)
    frames = [_newest(episode.streams[s.name].time, ticks, layout.dt) for s in layout.videos]
    return Ticks(values, mask, ages, actions, np.stack(frames, 1) if frames else np.zeros((len(ticks), 0), int), origin)


def mean_action(samples: Samples, ticks: np.ndarray, dt: float) -> np.ndarray:
    """Mean over [t, t + dt) of actions [M, A] that hold until the next one; 0 before the first: float32 [T, A].

    An action that is no finite number does not end the one before it.
    """
    data = np.asarray(samples.data, np.float64)
    valid = np.isfinite(data)
    last = np.maximum.accumulate(np.where(valid, np.arange(len(data))[:, None], 0), 0)
    data = np.take_along_axis(np.where(valid, data, 0.0), last, 0)
    if not len(data):
        return np.zeros((len(ticks), data.shape[1]), np.float32)
    steps = np.diff(samples.time)[:, None] * data[:-1]
    integral = np.concatenate([np.zeros((1, data.shape[1])), np.cumsum(steps, 0)])

    def until(t: np.ndarray) -> np.ndarray:
        row = np.searchsorted(samples.time, t, side="right") - 1
        held = (t - samples.time[np.maximum(row, 0)])[:, None] * data[np.maximum(row, 0)]
        return np.where(row[:, None] < 0, 0.0, integral[np.maximum(row, 0)] + held)

    return ((until(ticks + dt) - until(ticks)) / dt).astype(np.float32)


def geodetic(enu: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """East-north-up metres [..., 3] back to latitude, longitude (deg) and altitude (m)."""
    return enu_to_geodetic(enu.reshape(-1, 3), origin).reshape(enu.shape)


def _actions(episode: Episode, layout: TickLayout):
    streams = [episode.streams[s.name] for s in layout.of_kind("action")]
    for stream, spec in zip(streams, layout.of_kind("action"), strict=True):
        if stream.spec.sample_shape != spec.sample_shape:
            raise WorldModelError(
                f"Action stream {spec.name!r} has the wrong width.",
                expected=f"{len(spec.columns)} columns ({', '.join(spec.columns)})",
                found=f"{len(stream.spec.columns)}",
            )
    return streams


def _origin(episode: Episode, layout: TickLayout) -> np.ndarray:
    for spec in layout.of_kind("gps"):
        fixes = np.asarray(episode.streams[spec.name].data[:, :3], np.float64)
        valid = fixes[np.isfinite(fixes).all(1)]
        if len(valid):
            return valid[0]
    return np.zeros(3)


def _newest(time: np.ndarray, ticks: np.ndarray, dt: float) -> np.ndarray:
    """int [T] index of the newest sample in (t - dt, t], -1 where there is none."""
    row = np.searchsorted(time, ticks + _ROUNDING_S, side="right") - 1
    fresh = (row >= 0) & (time[np.maximum(row, 0)] > ticks - dt + _ROUNDING_S) if len(time) else row >= 0
    return np.where(fresh, row, -1)


def _slots(time, features, ticks, dt, count):
    """Values and mask [T, N * F] of the newest samples at each slot's time, and the newest sample's age [T]."""
    slots = (ticks[:, None] + dt * (np.arange(count) + 1 - count) / count).ravel()
    row = _newest(time, slots, dt)
    value = features[np.maximum(row, 0)] if len(time) else np.zeros((len(slots), features.shape[1]))
    valid = (row >= 0)[:, None] & np.isfinite(value)
    value = np.where(valid, value, 0).astype(np.float32).reshape(len(ticks), -1)
    last = np.searchsorted(time, ticks + _ROUNDING_S, side="right") - 1
    age = np.where(last >= 0, ticks - time[np.maximum(last, 0)], np.inf) if len(time) else np.full(len(ticks), np.inf)
    return value, valid.reshape(len(ticks), -1), np.maximum(age, 0).astype(np.float32)

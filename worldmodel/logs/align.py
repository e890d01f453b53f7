"""From streams on their own clocks to ticks on one, causally: tick k holds what was stamped in (t_k - dt, t_k]."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from worldmodel.arrays import hold
from worldmodel.codecs import READINGS, codec
from worldmodel.logs.frame import WorldFrames
from worldmodel.logs.physical import first_fix
from worldmodel.logs.reader import Episode, Stream
from worldmodel.types import Array, Commands, Samples, StreamSpec

MAX_PER_TICK = 8
_SLOW = 8  # ticks from sample to sample, from which on a context may show none
_USUAL_DT_S = (0.01, 0.1)  # the ticks that most machines' control runs at
ROUNDING_S = 1e-7  # 0.15 s and 3 ticks of 0.05 s are the same moment


class Ticks(NamedTuple):
    """One episode on the model's clock; tick k is at `TickLayout.time_s(k)`.

    Attributes:
        values: float32 [T, D] features of all streams that are read; 0 where the mask is False.
        mask: bool [T, D].
        age_s: float32 [T, streams] seconds since each stream's newest sample; infinite before the first.
        actions: what leaves each tick, [T, A].
        frames: int64 [T, videos] index of the newest frame of the tick within the episode, -1 where none.
        origin: float64 [3] latitude, longitude (deg), altitude (m) that fixes are east-north-up metres from.
        held: float32 [T, L] the newest reading of what is `TickLayout.slow`, NaN before the first.
        followed: float32 [T, P] places that stand for the fixes that were read (`worldmodel.logs.followed`), if any.
    """

    values: np.ndarray
    mask: np.ndarray
    age_s: np.ndarray
    actions: Commands
    frames: np.ndarray
    origin: np.ndarray
    held: np.ndarray
    followed: np.ndarray


@dataclasses.dataclass(frozen=True)
class TickLayout:
    """How the streams of a log become columns of `Ticks`.

    Features of a stream are its codec's. A stream faster than the tick has several slots a tick, each for an equal
    share of it, in time order, so that a stream's last slot is its reading at the tick.

    Attributes:
        dt: seconds from tick to tick.
        streams: those wanted of a log.
        phase_s: seconds from time zero to the first tick, less than `dt`.
    """

    dt: float
    streams: tuple[StreamSpec, ...]
    phase_s: float = 0.0

    def time_s(self, row: Array) -> Array:
        """Where ticks are, in seconds after time zero."""
        return self.phase_s + row * self.dt

    def row(self, time_s: Array) -> Array:
        """The way back: which tick a moment is at, with the share of the next that it is after it."""
        return (time_s - self.phase_s) / self.dt

    def count(self, duration_s: Array) -> Array:
        """How many ticks episodes of these durations have: one at least, though it may be after the end."""
        return np.floor(np.maximum(self.row(np.asarray(duration_s)), 0) + 1e-6).astype(int) + 1

    def of_kind(self, *kinds: str) -> tuple[StreamSpec, ...]:
        return tuple(s for s in self.streams if s.kind in kinds)

    def spec(self, name: str) -> StreamSpec:
        """The stream of a name."""
        return next(s for s in self.streams if s.name == name)

    def without_video(self) -> "TickLayout":
        """The same without films."""
        return dataclasses.replace(self, streams=tuple(s for s in self.streams if s.kind != "video"))

    @cached_property
    def readings(self) -> tuple[StreamSpec, ...]:
        """The low-dimensional streams that are predicted."""
        return self.of_kind(*READINGS)

    @cached_property
    def videos(self) -> tuple[StreamSpec, ...]:
        return self.of_kind("video")

    @cached_property
    def actions(self) -> tuple[StreamSpec, ...]:
        return self.of_kind("action")

    @cached_property
    def action_columns(self) -> dict[str, slice]:
        """Where each action stream's features are among the A columns."""
        return _spans(self.actions, [self.features(s) for s in self.actions])

    @property
    def action_count(self) -> int:
        return sum(self.features(s) for s in self.actions)

    def averaged(self, spec: StreamSpec) -> int:
        """Samples that share a slot, and are averaged there: more than one where a tick holds over `MAX_PER_TICK`."""
        return max(math.ceil(round(spec.rate_hz * self.dt) / MAX_PER_TICK), 1)

    def slots(self, spec: StreamSpec) -> int:
        """Slots a tick, between 1 and `MAX_PER_TICK`."""
        return self._slots[spec.name]

    @cached_property
    def _slots(self) -> dict[str, int]:
        return {s.name: max(math.ceil(round(s.rate_hz * self.dt) / self.averaged(s)), 1) for s in self.streams}

    def slot_ticks(self, spec: StreamSpec) -> np.ndarray:
        """float64 [N] when each slot of a tick ends, in ticks after it: the last with it, at 0."""
        count = self.slots(spec)
        return (np.arange(count) + 1 - count) / count

    def interval(self, spec: StreamSpec) -> int:
        """Ticks from one sample of a stream to the next at its nominal rate, at least 1."""
        return max(round(1 / (spec.rate_hz * self.dt)), 1)

    def features(self, spec: StreamSpec) -> int:
        return codec(spec).features

    def width(self, spec: StreamSpec) -> int:
        return self.slots(spec) * self.features(spec)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Where each reading stream's slots x features are among the D columns."""
        return _spans(self.readings, [self.width(s) for s in self.readings])

    @cached_property
    def newest(self) -> np.ndarray:
        """int [Y] which of the D columns are a stream's last slot: the readings at the tick."""
        return np.concatenate([np.zeros(0, int), *(self.slot_columns(s)[-1] for s in self.readings)])

    def slot_columns(self, spec: StreamSpec) -> np.ndarray:
        """int [N, F] which of the D columns hold each slot of a stream."""
        return self._slot_columns[spec.name]

    @cached_property
    def _slot_columns(self) -> dict[str, np.ndarray]:
        spans = [(s, self.columns[s.name]) for s in self.readings]
        return {s.name: np.arange(c.start, c.stop).reshape(self.slots(s), -1) for s, c in spans}

    @cached_property
    def reading_columns(self) -> dict[str, slice]:
        """Where each stream's features are among the Y readings at the tick."""
        return _spans(self.readings, [self.features(s) for s in self.readings])

    @cached_property
    def stream_of(self) -> np.ndarray:
        """int [D] which of `readings` each column is of."""
        return np.repeat(np.arange(len(self.readings)), [self.width(s) for s in self.readings]).astype(int)

    @cached_property
    def held_columns(self) -> dict[str, slice]:
        """Where the features of sensors that read so rarely that contexts may show no reading of them are among `slow`.

        None of places: what a machine did since an old one is not in the context.
        """
        slow = [s for s in self.readings if self.interval(s) >= _SLOW and not any(codec(s).relative)]
        return _spans(slow, [self.features(s) for s in slow])

    @cached_property
    def slow(self) -> np.ndarray:
        """int [L] which of the D columns these are."""
        columns = (self._slot_columns[name][-1] for name in self.held_columns)
        return np.concatenate([np.zeros(0, int), *columns])

    def rarer_than(self, ticks: int) -> np.ndarray:
        """bool [L] of which of what is slow so many ticks hold no two samples at the nominal rates."""
        rates = np.array([self.readings[i].rate_hz for i in self.stream_of[self.slow]])
        return rates * ticks * self.dt < 2

    def age_ticks(self, age_s: Array) -> Array:
        """Ages [..., streams] in seconds of each stream's samples to ages [..., D] in ticks, by column."""
        return (age_s / self.dt)[..., self.stream_of]

    @cached_property
    def relative(self) -> np.ndarray:
        """bool [D] which columns a window sees relative to the last one of its context."""
        parts = [np.tile(codec(s).relative, self.slots(s)) for s in self.readings]
        return np.concatenate([np.zeros(0, bool), *parts]).astype(bool)

    @cached_property
    def frames(self) -> WorldFrames:
        """What turns with the machine's heading."""
        ranges = [np.arange(c.start, c.stop)[None] for c in self.action_columns.values()]
        return WorldFrames(
            [(s, self.slot_columns(s)) for s in self.readings], list(zip(self.actions, ranges, strict=True))
        )

    @property
    def size(self) -> int:
        return sum(self.width(s) for s in self.readings)


def _spans(streams: Sequence[StreamSpec], widths: Sequence[int]) -> dict[str, slice]:
    ends = np.cumsum([0, *widths])
    return {s.name: slice(int(a), int(b)) for s, a, b in zip(streams, ends[:-1], ends[1:], strict=True)}


def default_dt(streams: Sequence[StreamSpec]) -> float:
    """The tick that suits a log: the interval of its fastest action, within 0.01 to 0.1 s.

    Unless the log itself is slower or faster: where no stream has a sample in 0.1 s, a tick may be as long as the
    fastest's interval; where 0.01 s hold more samples than there are slots, it is shorter. A log without actions
    follows the median of its rates.
    """
    rates = [s.rate_hz for s in streams if s.kind == "action"] or [float(np.median([s.rate_hz for s in streams]))]
    fastest = max((s.rate_hz for s in streams if s.kind != "video"), default=rates[0])
    shortest, longest = min(_USUAL_DT_S[0], MAX_PER_TICK / fastest), max(_USUAL_DT_S[1], 1 / fastest)
    return float(np.clip(1 / max(rates), shortest, longest))


def align(episode: Episode, layout: TickLayout, truth: bool = False, origin: np.ndarray | None = None) -> Ticks:
    """Puts an episode on the model's clock.

    Args:
        episode: the recording.
        layout: the streams wanted and the tick.
        truth: read the noise-free counterparts of the readings (the log must be open with its truth).
        origin: what fixes are measured from; by default the episode's first.

    Raises:
        WorldModelError: if the episode's times do not increase.
    """
    ticks = layout.time_s(np.arange(layout.count(episode.duration_s)))
    source = episode.truth if truth else episode.streams
    origin = _origin(episode, layout) if origin is None else origin
    readings = {s.name: source[s.name] for s in layout.readings if s.name in source}
    given = {s.name: Samples(episode.streams[s.name].time, episode.streams[s.name].data) for s in layout.actions}
    return ticks_of(readings, given, [episode.streams[s.name].time for s in layout.videos], layout, ticks, origin)


def ticks_of(
    readings: Mapping[str, Samples | Stream],
    given: Mapping[str, Samples],
    shown: Sequence[Float[np.ndarray, " M"]],
    layout: TickLayout,
    ticks: Float[np.ndarray, " T"],
    origin: Float[np.ndarray, " 3"],
) -> Ticks:
    """The ticks at some times, of a whole recording or of one tick alone.

    A tick is made of the samples within it, and of the newest before it: its age, and what is commanded. The same
    samples give the same bits, whatever else there is.

    Args:
        readings: by stream; one may be missing.
        given: commands by action stream.
        shown: when the frames of each video were taken.
        layout: the streams and the tick.
        ticks: seconds, increasing.
        origin: what fixes are measured from.
    """
    values = np.zeros((len(ticks), layout.size), np.float32)
    mask = np.zeros(values.shape, bool)
    ages = np.full((len(ticks), len(layout.readings)), np.inf, np.float32)
    held = np.full((len(ticks), len(layout.slow)), np.nan, np.float32)
    for i, spec in enumerate(layout.readings):
        if spec.name in readings and len(readings[spec.name].time):
            columns = layout.columns[spec.name]
            values[:, columns], mask[:, columns], ages[:, i] = _slots(readings[spec.name], layout, spec, ticks, origin)
            if spec.name in layout.held_columns:
                held[:, layout.held_columns[spec.name]] = _held(readings[spec.name], spec, ticks, origin)
    unfollowed = np.zeros((len(ticks), 0), np.float32)
    led, frames = commands(given, layout, ticks), frames_at(shown, layout, ticks)
    return Ticks(values, mask, ages, led, frames, origin, held, unfollowed)


def frames_at(
    shown: Sequence[Float[np.ndarray, " M"]], layout: TickLayout, ticks: Float[np.ndarray, " T"]
) -> Int[np.ndarray, "T V"]:
    """`Ticks.frames`: which of the frames taken at times `shown`, by video, is the newest of each tick."""
    frames = [_newest(time, ticks, layout.dt) for time in shown]
    return np.stack(frames, 1) if frames else np.zeros((len(ticks), 0), int)


def readings_of(
    readings: Mapping[str, Samples],
    layout: TickLayout,
    ticks: Float[np.ndarray, " T"],
    origin: Float[np.ndarray, " 3"],
) -> Ticks:
    """`ticks_of` some readings alone, without commands and frames."""
    none = {s.name: Samples(np.zeros(0), np.zeros((0, *s.sample_shape))) for s in layout.actions}
    return ticks_of(readings, none, [np.zeros(0) for _ in layout.videos], layout, ticks, origin)


def commands(given: Mapping[str, Samples], layout: TickLayout, ticks: Float[np.ndarray, " T"]) -> Commands:
    """The actions [T, A] that leave `ticks` [T], from what was commanded, by stream, at times on the same clock."""
    parts = [_in_force(given[s.name], s, ticks, layout.dt) for s in layout.actions]
    if not parts:
        return Commands(*(np.zeros((len(ticks), 0), kind) for kind in (np.float32, bool, np.float32)))
    return Commands(*(np.concatenate(part, 1) for part in zip(*parts, strict=True)))


def _in_force(
    samples: Samples, spec: StreamSpec, ticks: Float[np.ndarray, " T"], dt: float
) -> tuple[Float[np.ndarray, "T F"], Bool[np.ndarray, "T F"], Float[np.ndarray, "T 1"]]:
    """Mean over [t, t + dt) of a stream's features [T, F], which are known, and the newest command's age [T, 1].

    A command holds until the next; one that is no finite number does not end the one before it.
    """
    features = codec(spec).encode(np.asarray(samples.data, np.float64), np.zeros(3))
    time, known = np.asarray(samples.time, np.float64), np.isfinite(features)
    time, features, known = (x[known.any(1)] for x in (time, features, known))
    if not len(time):
        shape = (len(ticks), features.shape[1])
        return np.zeros(shape, np.float32), np.zeros(shape, bool), np.full((len(ticks), 1), np.inf, np.float32)
    held, begun = hold(np.where(known, features, 0.0), known, axis=0)
    both = np.concatenate([np.where(begun, held, 0.0), begun], 1)
    total, span = np.hsplit(_integral(time, both, ticks, dt), 2)
    mask = span > 1e-6 * dt
    mean = codec(spec).normalised(np.where(mask, total / np.maximum(span, 1e-9 * dt), 0.0))
    row = np.searchsorted(time, ticks + dt - ROUNDING_S) - 1
    age = np.where(row >= 0, np.maximum(ticks - time[np.maximum(row, 0)], 0), np.inf)
    return np.where(mask, mean, 0).astype(np.float32), mask, age[:, None].astype(np.float32)


def _integral(
    time: Float[np.ndarray, " M"], values: Float[np.ndarray, "M F"], ticks: Float[np.ndarray, " T"], dt: float
) -> Float[np.ndarray, "T F"]:
    """Integral over [t, t + dt) of values [M, F] that hold until the next one, 0 before the first: [T, F]."""
    first, last = np.searchsorted(time, ticks, side="right") - 1, np.searchsorted(time, ticks + dt) - 1
    tick, row = _each(first, last + 1)
    row, none = np.maximum(row, 0), row < 0
    until = np.minimum(np.append(time[1:], np.inf)[row], ticks[tick] + dt)
    held = np.where(none, 0.0, until - np.maximum(time[row], ticks[tick]))
    return _sums(held[:, None] * values[row], tick, len(ticks))


def _each(first: Int[np.ndarray, " T"], end: Int[np.ndarray, " T"]) -> tuple[np.ndarray, np.ndarray]:
    """int [N] of all the rows from each `first` to before its `end`: which it is of, and the row."""
    count = np.maximum(end - first, 0)
    of = np.repeat(np.arange(len(first)), count)
    return of, np.arange(len(of)) + np.repeat(first - np.cumsum(count) + count, count)


def _sums(values: Shaped[np.ndarray, "N F"], of: Int[np.ndarray, " N"], count: int) -> Float[np.ndarray, "T F"]:
    """Sums of the rows that are of each, one after the other: running sums would carry over what came before."""
    return np.stack([np.bincount(of, column, count) for column in values.T], 1)


def _origin(episode: Episode, layout: TickLayout) -> np.ndarray:
    """The episode's first fix."""
    for spec in layout.of_kind("gps"):
        fixes = episode.streams[spec.name].data
        if np.isfinite(fixes[:, :2]).all(1).any():
            return first_fix(spec, fixes)
    return np.zeros(3)


def _newest(time: Float[np.ndarray, " M"], ticks: Float[np.ndarray, " T"], dt: float) -> Int[np.ndarray, " T"]:
    """int [T] index of the newest sample in (t - dt, t], -1 where there is none."""
    row = np.searchsorted(time, ticks + ROUNDING_S, side="right") - 1
    fresh = (row >= 0) & (time[np.maximum(row, 0)] > ticks - dt + ROUNDING_S) if len(time) else row >= 0
    return np.where(fresh, row, -1)


def _slots(
    stream: Samples | Stream, layout: TickLayout, spec: StreamSpec, ticks: np.ndarray, origin: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Values and mask [T, N * F] of each slot's share of the tick, and the newest sample's age [T].

    A slot holds the newest sample of its share, or the mean of those that share it: a low-pass filter that looks back
    only, without which a fast stream's noise and vibration would fold into slow motion.
    """
    features = codec(spec).encode(np.asarray(stream.data, np.float64), origin)
    known = np.isfinite(features)
    time, some = stream.time, known.any(1)
    if not some.all():  # a row of a table that says nothing of this stream is no sample of it
        time, features, known = time[some], features[some], known[some]
    count, shape = layout.slots(spec), (len(ticks), -1)
    slots = (ticks[:, None] + layout.dt * layout.slot_ticks(spec)).ravel()
    pick = _mean_of if layout.averaged(spec) > 1 else _newest_of
    value, valid = pick(time, np.where(known, features, 0.0), known, slots, layout.dt / count)
    value = np.where(valid, codec(spec).normalised(value), 0).astype(np.float32)
    last = np.searchsorted(time, ticks + ROUNDING_S, side="right") - 1
    age = np.where(last >= 0, ticks - time[np.maximum(last, 0)], np.inf) if len(time) else np.full(len(ticks), np.inf)
    return value.reshape(shape), valid.reshape(shape), np.maximum(age, 0).astype(np.float32)


def _held(stream: Samples | Stream, spec: StreamSpec, ticks: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """The newest reading [T, F] of each feature at each tick, however old; NaN before the first."""
    features = codec(spec).normalised(codec(spec).encode(np.asarray(stream.data, np.float64), origin))
    held, begun = hold(features, np.isfinite(features), axis=0)
    told = np.concatenate([np.full((1, features.shape[1]), np.nan), np.where(begun, held, np.nan)])
    return told[np.searchsorted(stream.time, ticks + ROUNDING_S, side="right")]


def _newest_of(time, features, known, slots, share):
    """Of each slot the newest sample in (t - share, t]: values and mask [slots, F]."""
    row = _newest(time, slots, share)
    if not len(time):
        return np.zeros((len(slots), features.shape[1])), np.zeros((len(slots), features.shape[1]), bool)
    return features[np.maximum(row, 0)], (row >= 0)[:, None] & known[np.maximum(row, 0)]


def _mean_of(time, features, known, slots, share):
    """Of each slot the mean of the samples in (t - share, t]: values and mask [slots, F]."""
    slot, row = _each(*(np.searchsorted(time, t + ROUNDING_S, side="right") for t in (slots - share, slots)))
    total, count = (_sums(x[row], slot, len(slots)) for x in (features, known))
    return total / np.maximum(count, 1), count > 0

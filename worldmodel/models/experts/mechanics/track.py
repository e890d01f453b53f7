"""What mechanics sees of windows: coordinates and derivatives in units, with their times, and the actions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import hold
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.columns import Column

SAMPLES = 8  # the newest of the faster stream's slots that a polynomial goes through
REACH = 32  # ticks of a context that matter


class Samples(NamedTuple):
    """Every slot of one column over the ticks of a context.

    Attributes:
        value: [B, S] in units, angles unwrapped, held until the next.
        mask: bool [B, S].
        time: [B, S] ticks from the last tick of the context, not above 0.
        slots: a tick.
    """

    value: np.ndarray
    mask: np.ndarray
    time: np.ndarray
    slots: int


class Track(NamedTuple):
    """Windows as a mechanic sees them, of 2n columns: the coordinates, then their derivatives.

    Attributes:
        samples: of each column.
        seen: [B, C, 2n] the newest sample of each tick, held until the next.
        mask: bool [B, C, 2n] where a tick has one.
        age: [B, C, 2n] ticks from it to its tick; 0 where there is none.
        acted: [B, C - 1 + H, A] actions from tick to tick, in standard deviations.
    """

    samples: tuple[Samples, ...]
    seen: np.ndarray
    mask: np.ndarray
    age: np.ndarray
    acted: np.ndarray

    @property
    def ticks(self) -> int:
        """C."""
        return self.seen.shape[1]

    def take(self, rows: np.ndarray) -> "Track":
        """Some of the windows."""
        samples = tuple(Samples(s.value[rows], s.mask[rows], s.time[rows], s.slots) for s in self.samples)
        return Track(samples, *(part[rows] for part in self[1:]))


class Came(NamedTuple):
    """What followed, [B, H, 2n]: values in units, angles unwrapped from the track's last; where there is one; ages."""

    value: np.ndarray
    mask: np.ndarray
    age: np.ndarray


def track_of(view: View, lens: Lens, columns: Sequence[Column | None]) -> Track:
    """The last ticks of contexts; of a derivative that nobody reads, None among the columns, there are no samples."""
    ticks = slice(-REACH, None)
    read = _read(columns)
    age = np.zeros((*view.mask[:, ticks].shape[:2], len(columns)))
    at = [column.at for _, column in read]
    age[..., [i for i, _ in read]] = np.where(view.mask[:, ticks, at], view.age[:, ticks, at], 0.0)
    found = {i: _samples(view, lens, column, age[..., i]) for i, column in read}
    samples = tuple(found.get(i) or _none_of(found[i - len(columns) // 2]) for i in range(len(columns)))
    seen, mask = (np.stack([_at_ticks(s, part) for s in samples], -1) for part in ("value", "mask"))
    acted = np.concatenate([view.past[:, -(seen.shape[1] - 1) :], view.ahead], 1) + lens.action_mean / lens.action_std
    return Track(samples, seen, mask, age, acted)


def came_of(examples: Examples, lens: Lens, columns: Sequence[Column | None], track: Track) -> Came:
    """What followed the track's contexts; of a derivative that nobody reads, nothing."""
    units, shape = lens.units(examples.came), (*examples.mask.shape[:2], len(columns))
    out = Came(np.zeros(shape), np.zeros(shape, bool), np.zeros(shape))
    for i, column in _read(columns):
        mask = examples.mask[..., column.at]
        value = _angle_of(units, column) if column.circular else units[..., column.at]
        series = np.concatenate([track.seen[:, -1:, i], value], 1)
        known = np.concatenate([np.ones_like(mask[:, :1]), mask], 1)
        out.value[..., i], out.mask[..., i] = _unwrapped(series, known, column)[:, 1:], mask
        out.age[..., i] = np.where(mask, examples.age[..., column.at], 0.0)
    return out


def features_of(
    ahead: Float[np.ndarray, "B H S"], lens: Lens, columns: Sequence[Column | None]
) -> Float[np.ndarray, "B H Y"]:
    """Normalised readings, NaN beside `columns`."""
    units = np.full((*ahead.shape[:2], len(lens.centre)), np.nan)
    for i, column in _read(columns):
        if column.circular:
            units[..., column.at], units[..., column.at + 1] = np.sin(ahead[..., i]), np.cos(ahead[..., i])
        else:
            units[..., column.at] = ahead[..., i]
    return lens.normal(units)


def noise_of(samples: Samples) -> float:
    """Standard deviation of a column's noise, from third differences of samples that follow each other."""
    order = np.argsort(samples.mask, axis=1, kind="stable")  # those that are there go to the end
    value, there = (np.take_along_axis(x, order, 1) for x in (samples.value, samples.mask))
    bend = np.diff(value, 3, axis=1)[there[:, :-3]] / np.sqrt(20)  # 20 = (6 over 3), of differences of white noise
    if not len(bend):
        return 0.0
    return float(1.4826 * np.median(abs(bend)) + 0.2 * bend.std())


def _read(columns: Sequence[Column | None]) -> list[tuple[int, Column]]:
    """Those that are read, with their place."""
    return [(i, column) for i, column in enumerate(columns) if column is not None]


def _none_of(samples: Samples) -> Samples:
    """No samples, at the times of others."""
    return samples._replace(value=np.zeros_like(samples.value), mask=np.zeros_like(samples.mask))


def _angle_of(units: Float[np.ndarray, "*b Y"], column: Column) -> Float[np.ndarray, "*b"]:
    """The angle whose sine and cosine are features."""
    return np.arctan2(units[..., column.at], units[..., column.at + 1])


def _samples(view: View, lens: Lens, column: Column, age: Float[np.ndarray, "B C"]) -> Samples:
    """All slots of a column; `age` of the newest sample of each tick tells when in their slots they were taken."""
    spec = lens.layout.spec(column.stream)
    slots = lens.layout.slot_columns(spec)
    at = slots[:, column.at - lens.layout.reading_columns[spec.name].start]
    ticks, count = age.shape[1], len(slots)
    value = _units(view, lens, at, ticks)
    if column.circular:
        value = np.arctan2(value, _units(view, lens, at + 1, ticks))
    mask = view.slots_mask[:, -ticks:, at].reshape(len(value), -1)
    late = age * count - np.floor(age * count + 1e-3)  # of a slot, the same in all of a tick
    time = np.arange(1 - ticks, 1)[:, None] + lens.layout.slot_ticks(spec) - late[..., None] / count
    return Samples(_unwrapped(value.reshape(mask.shape), mask, column), mask, time.reshape(mask.shape), count)


def _units(view: View, lens: Lens, at: Int[np.ndarray, " N"], ticks: int) -> Float[np.ndarray, "B T N"]:
    return view.slots[:, -ticks:, at] * lens.std[at] + lens.mean[at]


def _unwrapped(
    values: Float[np.ndarray, "B S"], mask: Bool[np.ndarray, "B S"], column: Column
) -> Float[np.ndarray, "B S"]:
    """Series, each held until the next; of an angle that wraps without jumps."""
    held = hold(values, mask)[0]
    return np.unwrap(held, axis=1) if column.circular else held


def _at_ticks(samples: Samples, part: str) -> np.ndarray:
    """At each tick the value that holds, or whether it has a sample [B, C]."""
    values = getattr(samples, part).reshape(len(samples.value), -1, samples.slots)
    return values.any(-1) if part == "mask" else values[..., -1]

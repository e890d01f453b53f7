"""What baselines see: the model's own view of a window, turned to the heading, relative, and normalised."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import hold, last_valid, namespace, newest
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Future, Windows
from worldmodel.models.objective import at_sample_times
from worldmodel.types import Array, Commands

LATE = 2  # ticks that a sensor at the clock's rate may be late
_SAME = 1e-9  # ticks, by which clocks that begin at different moments are rounded apart
_OVER_CONTEXT = ("slots", "slots_mask", "readings", "mask", "held", "age")


class View(NamedTuple):
    """Contexts and the actions ahead in the frame of the machine, normalised; 0, the mean, where nothing is known.

    Attributes:
        angle: [B, G] that everything was turned back by.
        slots, slots_mask: [B, C, D] every slot of every tick.
        readings, mask: [B, C, Y] the newest sample of each tick.
        held: [B, C, Y] readings, each held until the next.
        age: [B, C, Y] ticks since the stream's newest sample; infinite before the first.
        past, past_mask: [B, C - 1, A] actions that led from each tick to the next.
        ahead, ahead_mask: [B, H, A] those that follow.
    """

    angle: Array
    slots: Array
    slots_mask: Array
    readings: Array
    mask: Array
    held: Array
    age: Array
    past: Array
    past_mask: Array
    ahead: Array
    ahead_mask: Array

    @property
    def horizon(self) -> int:
        """H."""
        return self.ahead.shape[1]

    @property
    def context(self) -> int:
        """C."""
        return self.held.shape[1]

    def take(self, rows: Array | slice) -> "View":
        """Some of the windows."""
        return View(*(part[rows] for part in self))

    def newest(self, ticks: int) -> "View":
        """The same with the last ticks of the context alone."""
        before = {name: getattr(self, name)[:, -ticks:] for name in _OVER_CONTEXT}
        led = {name: getattr(self, name)[:, self.context - ticks :] for name in ("past", "past_mask")}
        return self._replace(**before, **led)


class Examples(NamedTuple):
    """Views with what came next.

    Attributes:
        view: of B windows.
        came: [B, H, Y] readings that came, turned and normalised as the view.
        mask: bool [B, H, Y] where one came.
        age: [B, H, Y] ticks from each sample to its tick.
        starts: int [B, 2] episode and tick of each window, where they are known.
        groups: int [B] the episode of each, then; copies of an episode have one number.
    """

    view: View
    came: Array
    mask: Array
    age: Array
    starts: Array | None = None
    groups: Array | None = None

    def squared_errors(self, ahead: Float[Array, "B H Y"]) -> Float[Array, "B H Y"]:
        """Of normalised predictions, at the samples' times; NaN where nothing came or was said."""
        return np.where(self.mask, at_sample_times(ahead, self.age) - self.came, np.nan) ** 2

    def near(self, ticks: int, horizon: int) -> "Examples":
        """The same with shorter contexts and horizons."""
        view = self.view.newest(ticks)
        ahead = {name: getattr(view, name)[:, :horizon] for name in ("ahead", "ahead_mask")}
        came, mask, age = (x[:, :horizon] for x in (self.came, self.mask, self.age))
        return self._replace(view=view._replace(**ahead), came=came, mask=mask, age=age)


def short_context(context: int) -> int:
    """Ticks of the contexts that predictors are asked with at earlier moments of one of `context` ticks: half of it."""
    return max(context // 2, 2)


@dataclasses.dataclass
class Lens:
    """Turns windows to their heading and normalises them, and turns predictions back.

    Attributes:
        layout: columns of the windows.
        mean, std: [D] of the readings in the frame of the machine.
        action_mean, action_std: [A] of the actions.
    """

    layout: TickLayout
    mean: Array
    std: Array
    action_mean: Array
    action_std: Array

    @property
    def centre(self) -> Float[Array, " Y"]:
        """Mean of the readings at the tick."""
        return self.mean[self.layout.newest]

    @property
    def scale(self) -> Float[Array, " Y"]:
        """Standard deviation of the readings at the tick."""
        return self.std[self.layout.newest]

    def look(self, context: Context, actions: Commands) -> View:
        """The view of contexts, of which actions [B, H, A] follow."""
        xp, angle = namespace(context.values), self.layout.frames.angle(context.values, context.mask)
        slots = self._slots(context.values, context.mask, angle)
        readings, mask = self._per_tick(slots, context.mask)
        held, known = hold(readings, mask)
        age = self.layout.age_ticks(context.age_s)[..., self.layout.newest]
        acted = [(self.acted(a, angle), a.mask) for a in (context.actions, actions)]
        return View(
            angle, slots, context.mask, readings, mask, xp.where(known, held, 0.0), age, *acted[0], *acted[1]
        )  # fmt: skip

    def examples(self, windows: Windows, starts: Array) -> Examples:
        """Views of the windows at `starts` [B, 2], and what came."""
        seen, starts = self.seen(*windows.without_video().cut(starts, windows.horizon)), np.asarray(starts)
        return seen._replace(starts=starts, groups=windows.copies[starts[:, 0]])

    def seen(self, context: Context, future: Future) -> Examples:
        """Views of contexts, and what came."""
        view, newest = self.look(context, future.actions), self.layout.newest
        truth = self._slots(future.values, future.mask, view.angle)[..., newest]
        return Examples(view, truth, future.mask[..., newest], self.layout.age_ticks(future.age_s)[..., newest])

    def back(self, ahead: Float[Array, "B H Y"], angle: Float[Array, "B G"]) -> Float[Array, "B H Y"]:
        """Normalised predictions to the units and the frame of the log."""
        columns = np.zeros((*ahead.shape[:2], self.layout.size))
        columns[..., self.layout.newest] = self.units(ahead)
        return self.layout.frames.readings.turn(columns, angle)[..., self.layout.newest]

    def back_in_slots(
        self, ahead: Float[Array, "B *m H Y"], now: Float[Array, "B Y"], angle: Float[Array, "B G"]
    ) -> Float[Array, "B *m H D"]:
        """As `back`, with every slot of the ticks ahead: on lines from tick to tick that begin at `now` [B, Y]."""
        xp = namespace(ahead)
        now = xp.broadcast_to(now.reshape(len(now), *(1,) * (ahead.ndim - 2), -1), ahead[..., :1, :].shape)
        before = xp.concatenate([now, ahead[..., :-1, :]], -2)
        reading, part = self._slot
        out = before[..., reading] + part * (ahead[..., reading] - before[..., reading])
        return self.layout.frames.readings.turn(out * self.std + self.mean, angle)

    def toward(self, values: Float[Array, "B *t D"], angle: Float[Array, "B G"]) -> Float[Array, "B *t Y"]:
        """Readings at ticks, normalised and turned, of features of the log."""
        return self.normal(self.layout.frames.readings.turn(values, -angle)[..., self.layout.newest])

    def acted(self, actions: Commands, angle: Float[Array, "B G"]) -> Float[Array, "B T A"]:
        """Actions of the log, normalised and turned; 0 where none is known."""
        turned = self.layout.frames.actions.turn(actions.values, -angle)
        return namespace(turned).where(actions.mask, (turned - self.action_mean) / self.action_std, 0.0)

    def commanded(self, acted: Float[Array, "B T A"], angle: Float[Array, "B G"]) -> Float[Array, "B T A"]:
        """The inverse of `acted`."""
        return self.layout.frames.actions.turn(acted * self.action_std + self.action_mean, angle)

    def units(self, readings: Float[Array, "*b Y"]) -> Float[Array, "*b Y"]:
        """Normalised readings in their units, still in the frame of the machine."""
        return readings * self.scale + self.centre

    def normal(self, readings: Float[Array, "*b Y"]) -> Float[Array, "*b Y"]:
        """The inverse of `units`."""
        return (readings - self.centre) / self.scale

    @property
    def _slot(self) -> tuple[Int[Array, " D"], Float[Array, " D"]]:
        """Which of the Y readings each slot is of, and how much of its tick is over then."""
        layout, reading, part = self.layout, np.zeros(self.layout.size, int), np.zeros(self.layout.size)
        for spec in layout.readings:
            slots, columns = layout.slot_columns(spec), layout.reading_columns[spec.name]
            reading[slots] = np.arange(columns.start, columns.stop)
            part[slots] = 1 + layout.slot_ticks(spec)[:, None]
        return reading, part

    def _slots(
        self, values: Float[Array, "B T D"], mask: Bool[Array, "B T D"], angle: Float[Array, "B G"]
    ) -> Float[Array, "B T D"]:
        turned = self.layout.frames.readings.turn(values, -angle)
        return namespace(values).where(mask, (turned - self.mean) / self.std, 0.0)

    def _per_tick(
        self, slots: Float[Array, "B C D"], mask: Bool[Array, "B C D"]
    ) -> tuple[Float[Array, "B C Y"], Bool[Array, "B C Y"]]:
        """The newest sample of each tick, whichever slot it is in."""
        xp = namespace(slots)
        parts = [slots[..., :0]], [mask[..., :0]]
        for spec in self.layout.readings:
            columns = self.layout.slot_columns(spec)
            for out, part in zip(parts, last_valid(slots[..., columns], mask[..., columns], axis=2), strict=True):
                out.append(part)
        values, known = (xp.concatenate(part, -1) for part in parts)
        return xp.where(known, values, 0.0), known


def phase(view: View) -> Float[Array, "B Y"]:
    """How many ticks before the end of the context each column was sampled last; 0 where it is two or more.

    It is more than one where a sensor at the clock's rate missed the last tick.
    """
    age = view.age[:, -1]
    return namespace(age).where(age < LATE, age, 0.0)


def in_phase(
    examples: Examples, ticks: Float[Array, "B Y"] | float, ahead: Int[Array, " N"] | None = None
) -> Float[Array, "B N Y"]:
    """What readings would have been so many ticks before their own, at some of the ticks ahead or at all.

    They lie on the line from each sample to the next; the last one goes on along the line from the one before. A sensor
    at the clock's rate keeps its phase, so that with `phase` its samples are taken as they are: what it moves between a
    sample and a tick is a product of speed and phase, which no linear model could say. `on_ticks` undoes that.
    """
    values, mask, age = examples.came, examples.mask, np.where(examples.mask, examples.age, 0.0)
    horizon, rows = values.shape[1], slice(None) if ahead is None else ahead - 1
    time = np.arange(horizon)[:, None] - age
    own, when, came = values[:, rows], time[:, rows], mask[:, rows]
    slope = np.zeros_like(own)
    before, after = _before(mask)[:, rows], horizon - 1 - _before(mask[:, ::-1])[:, ::-1][:, rows]
    for other in (before, after):  # from the one before; then, where there is one, to the next
        known, at = came & (other >= 0) & (other < horizon), np.clip(other, 0, horizon - 1)
        gap = np.where(known, when - np.take_along_axis(time, at, 1), np.inf)
        step = own - np.take_along_axis(values, at, 1)
        slope = np.where(known, step / np.where(gap == 0, np.inf, gap), slope)
    behind = np.broadcast_to(ticks, values[:, 0].shape)[:, None]
    return own + slope * np.where(came, np.clip(age[:, rows], 0, 1) - behind, 0.0)


def _before(mask: Bool[np.ndarray, "B H Y"]) -> Int[np.ndarray, "B H Y"]:
    """The index of the newest True before each tick, -1 where there is none."""
    return np.concatenate([np.full_like(mask[:, :1], -1, int), newest(mask[:, :-1])], 1)


def in_step(view: View, columns: Sequence[slice]) -> tuple[Float[Array, "B C N"], Bool[Array, "B C N"]]:
    """Readings of streams at whole ticks before each one's last sample, on the lines between samples, and where known.

    So a tick that no sample fell into, and one that two fell into, are like every other. The first line goes on for two
    ticks before it; earlier, the first value stands for what is not known.
    """
    xp = namespace(view.held)
    firsts, widths = (list(x) for x in zip(*((part.start, part.stop - part.start) for part in columns), strict=True))
    of = np.repeat(np.arange(len(columns)), widths)
    held = xp.concatenate([view.held[..., part] for part in columns], -1)
    time = np.arange(view.context)[:, None] - view.age[..., firsts]
    wanted = time[:, -1:] + np.arange(1 - view.context, 1)[:, None]
    wanted = xp.where(xp.isfinite(wanted), wanted, -np.inf)
    after = (time[:, None] < wanted[:, :, None]).sum(2)  # of the first that is not earlier
    before = xp.maximum(after - 1, 0)
    start, end = (xp.take_along_axis(time, i, 1) for i in (before, after))
    between = xp.isfinite(start) & (end > start)
    with np.errstate(invalid="ignore"):  # of what is before the first
        known = xp.isfinite(end) & (between | (xp.abs(wanted - end) < _SAME))
        share = xp.where(between, (wanted - start) / xp.where(between, end - start, 1), 1)
    low, high = (xp.take_along_axis(held, i[..., of], 1) for i in (before, after))
    return _led(low + share[..., of] * (high - low), known[..., of])


def _led(
    values: Float[Array, "B C N"], known: Bool[Array, "B C N"]
) -> tuple[Float[Array, "B C N"], Bool[Array, "B C N"]]:
    """Values whose first line goes on for two ticks before the first that is known."""
    xp = namespace(values)
    first, ticks = known.argmax(1)[:, None], np.arange(known.shape[1])[:, None]
    second = xp.minimum(first + 1, len(ticks) - 1)
    at, then = (xp.take_along_axis(values, i, 1) for i in (first, second))
    leads = known.any(1, keepdims=True) & (ticks < first) & (ticks >= first - LATE)
    return xp.where(leads, at + (ticks - first) * (then - at), values), known | leads


def on_ticks(ahead: Callable[[tuple[int, ...]], Sequence[Float[Array, "B T Y"]]], view: View) -> Float[Array, "B T Y"]:
    """Predictions in phase with the context's last samples, moved to the ticks on the lines between them.

    Args:
        ahead: what is predicted 1, 2, ... ticks after the last sample, for each of some numbers of ticks before it of
            which no command is known.
        view: what was seen.
    """
    xp, after = namespace(view.held), phase(view)[:, None]
    whole, part = xp.floor(after).astype(int), after - xp.floor(after)
    lates = tuple(range(LATE + 1)) if xp is not np else _lates(whole, part)
    lines = {late: _prolonged(view.held[:, -1:], said) for late, said in zip(lates, ahead(lates), strict=True)}
    moved: Any = 0.0
    for late in range(LATE):  # between samples so many, and one more, ticks after the wanted one
        if late in lines:
            count = lines[late].shape[1] - 1 - LATE
            start = lines[late][:, 1 + late : 1 + late + count]
            if late + 1 in lines:
                start = start + part * (lines[late + 1][:, 2 + late : 2 + late + count] - start)
            moved = xp.where(whole == late, start, moved)
    return moved


def _lates(whole: Array, part: Array) -> tuple[int, ...]:
    """Which of the numbers of ticks up to `LATE` are needed."""
    return tuple(np.union1d(whole, whole[part > 0] + 1).tolist()) or (0,)


def _prolonged(now: Float[Array, "B 1 Y"], ahead: Float[Array, "B T Y"]) -> Float[Array, "B L Y"]:
    """From the last sample on, and beyond what is predicted on the last line."""
    xp = namespace(now)
    line = xp.concatenate([now, ahead], 1)
    return xp.concatenate([line, line[:, -1:] + np.arange(1, LATE + 1)[:, None] * (line[:, -1:] - line[:, -2:-1])], 1)


def squared_errors(
    ahead: Float[Array, "B H Y"], examples: Examples, layout: TickLayout, apart: bool = False
) -> Float[Array, "H Y"]:
    """Mean squared errors of normalised predictions at the samples' times, of each column its stream's.

    Or of each column of a sensor its own, `apart` from the others, but for what turns together. Infinite where a
    prediction is no number; 0 where nothing came.
    """
    error = np.where(examples.mask, at_sample_times(ahead, examples.age) - examples.came, 0.0)
    total = np.nan_to_num((error**2).sum(0), nan=np.inf)
    out = np.zeros(total.shape)
    for columns in judged(layout, apart):
        count = np.maximum(examples.mask[..., columns].sum((0, 2)), 1)
        out[:, columns] = (total[:, columns].sum(1) / count)[:, None]
    return out


def judged(layout: TickLayout, apart: bool) -> Iterator[Int[np.ndarray, " F"]]:
    """The columns that are judged together."""
    for spec in layout.readings:
        columns, own = layout.reading_columns[spec.name], codec(spec)
        features = np.arange(columns.start, columns.stop)
        if apart and spec.kind == "sensor" and not own.turning.pairs:
            yield from np.split(features, own.physical_mask(np.arange(len(features)))[1:])
        else:
            yield features


def excess(errors: Float[Array, "R H *c"]) -> Float[Array, "R ..."]:
    """How many times the least error of all R candidates each has, on average over ticks ahead.

    So near ticks count as much as far ones, where all errors are larger.
    """
    least = np.maximum(errors.min(0), 1e-12)
    return (errors / least).mean(1)

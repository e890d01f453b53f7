"""Training batches: each a pure function of (seed, step), so that resuming needs no loader state."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Future, Starts, Windows
from worldmodel.models.encoders import differences
from worldmodel.models.world_model import Scaling
from worldmodel.types import StreamSpec

_STILL = 1e-6  # of how far a place goes in any direction, or of a deviation: what moves by less stands still
_STATISTICS_WINDOWS = 2048  # standard errors of deviations are 1 to 2 %


class Batches:
    """Random windows of the training episodes, cut one step ahead of their use.

    Args:
        windows: of those episodes.
        batch: windows at a time. frames: horizon ticks of each whose frames are cut.
        seed: decides which.
        sources: of each episode of `windows`, the number of the log that it comes from.
        weights: how often each log is drawn from, relative to the others; by default as often as it has windows.
    """

    def __init__(
        self,
        windows: Windows,
        batch: int,
        frames: int,
        seed: int,
        sources: Sequence[int] = (),
        weights: Sequence[float] | None = None,
    ) -> None:
        self.windows, self.batch, self.frames, self.seed = windows, batch, frames, seed
        self._sources, self._weights = np.asarray(sources, int), weights
        self._starts: dict[int, tuple[Starts, np.ndarray | None]] = {}

    def at(self, step: int, horizon: int) -> tuple[Context, Future]:
        """The batch of a step with a horizon in ticks."""
        if horizon not in self._starts:
            starts = self.windows.starts(horizon)
            self._starts[horizon] = starts, self._until(starts)
        starts, until = self._starts[horizon]
        rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        if until is None:
            chosen = starts[rng.integers(len(starts), size=self.batch)]
        else:
            drawn = np.interp(rng.uniform(size=self.batch), until, starts.ends).astype(int)
            chosen = starts[np.minimum(drawn, len(starts) - 1)]
        ticks = rng.integers(horizon, size=(self.batch, self.frames))
        return self.windows.cut(chosen, horizon, self.windows.frame_ticks(chosen, ticks, horizon))

    def _until(self, starts: Starts) -> np.ndarray | None:
        """Probabilities [E + 1], cumulated over episodes: a log has its weight, and its starts equal shares of it."""
        if self._weights is None:
            return None
        counts, source = np.diff(starts.ends), self._sources
        each = np.asarray(self._weights)[source] * counts / np.maximum(np.bincount(source, counts), 1)[source]
        return np.cumsum([0, *each]) / each.sum()

    def stream(self, step: int, horizon_at: Callable[[int], int]) -> Iterator[tuple[int, tuple[Context, Future]]]:
        """Batches with their horizons from `step` on; `horizon_at` says the horizon of a step."""
        with ThreadPoolExecutor(1) as pool:

            def submit(s: int):
                horizon = horizon_at(s)
                return horizon, pool.submit(self.at, s, horizon)

            ahead = submit(step)
            while True:
                horizon, batch = ahead
                step += 1
                ahead = submit(step)
                yield horizon, batch.result()


def measure_scaling(windows: Windows, seed: int) -> Scaling:
    """Means and standard deviations of readings and actions over random windows, relative and turned as the model sees
    them.

    A column has one of each in all slots of a tick: what does not move must be one number in all of them.
    """
    starts = windows.starts()
    rng = np.random.default_rng([seed, 0x5CA1E])
    chosen = starts[rng.integers(len(starts), size=min(_STATISTICS_WINDOWS, len(starts)))]
    layout = windows.layout
    context, future = windows.cut(chosen, windows.horizon)
    angle = layout.frames.angle(context.values, context.mask)
    past, ahead = (layout.frames.readings.turn(x, -angle) for x in (context.values, future.values))
    mean, std, little = np.zeros((3, layout.size), np.float32)
    for spec in layout.readings:
        columns = layout.slot_columns(spec)
        mean[columns], std[columns] = _moments(ahead[..., columns], future.mask[..., columns])
        _share_scale(layout, spec, mean, std)
        place = columns[:, np.asarray(codec(spec).relative)]
        little[place] = _STILL * std[place].max(initial=0)
    commanded = layout.frames.actions.turn(future.actions.values, -angle)
    std = _moving(std, mean, little)
    action_mean, action_std = _moments(commanded, future.actions.mask)
    step, bend = _changes(layout, np.where(context.mask, (past - mean) / std, 0), context.mask)
    return Scaling(mean, std, action_mean, _moving(action_std, action_mean, 0.0), step, bend)


def _share_scale(layout: TickLayout, spec: StreamSpec, mean: np.ndarray, std: np.ndarray) -> None:
    """Positions deviate from the last one, at one scale in all horizontal directions; in place."""
    columns, stream = layout.slot_columns(spec), codec(spec)
    mean[columns[:, np.asarray(stream.relative)]] = 0
    if stream.turning.place is not None:
        plane = columns[:, list(stream.turning.place)]
        std[plane] = np.sqrt((std[plane] ** 2).mean())


def _changes(layout: TickLayout, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squares [Y] of the first and second differences of each feature's samples, from its first one on."""
    steps, bends = [np.zeros(0, np.float32)], [np.zeros(0, np.float32)]
    for spec in layout.readings:
        columns = layout.columns[spec.name]
        *changes, known = differences(values[..., columns], mask[..., columns], layout.features(spec))
        count = np.maximum(known.sum((0, 1)), 1)
        for sizes, change in zip((steps, bends), changes, strict=True):
            sizes.append(np.sqrt((np.square(change) * known).sum((0, 1)) / count))
    first, second = (np.concatenate(each) for each in (steps, bends))
    return _moving(first, np.zeros(()), _STILL), _moving(second, np.zeros(()), _STILL)


def _moving(deviation: np.ndarray, mean: np.ndarray, little: np.ndarray | float) -> np.ndarray:
    """Deviations to divide by: of a column that never moves, but for the rounding of its mean, 1.

    A field in tesla moves by a millionth of its unit, so what is little is little beside the mean, where there is one;
    where there is none, as of places, `little` says what is.
    """
    least = np.where(mean == 0, little, 1e-7 * np.abs(mean))
    return np.where(deviation > least, deviation, 1).astype(np.float32)


def still(scaling: Scaling, layout: TickLayout) -> np.ndarray:
    """bool [Y] which readings never moved in the training data: `_moving` gave them, and their differences, 1.

    One of these alone may be 1 of a reading that moves, such as the deviation of a square wave between -1 and 1.
    """
    parts = (scaling.std[layout.newest], scaling.step, scaling.bend)
    return np.all([np.asarray(part) == 1 for part in parts], axis=0)


def _moments(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [D] of each column of [..., D] where `mask`."""
    axes = tuple(range(values.ndim - 1))
    count = np.maximum(mask.sum(axes), 1)
    mean = np.where(mask, values, 0).sum(axes, dtype=np.float64) / count
    std = np.sqrt((np.where(mask, values - mean, 0) ** 2).sum(axes, dtype=np.float64) / count)
    return mean.astype(np.float32), std.astype(np.float32)

"""Which column is the derivative of which, and which of those were computed from readings that come later."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import evenly, hold, integral, namespace, newest
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.models.experts.columns import Column, columns_of
from worldmodel.types import Array

_SPANS = (4, 8, 16)  # ticks of the increments that are compared
_LEAST_FIT = 0.9  # of an increment's variance that the integral explains, with a slope of 1
_MORE = 0.5  # of what a steady turn leaves unexplained, that a rate leaves at most
_SLOPE = 0.15  # that the best slope may be off from 1
_WINDOWS = 1000  # that are looked at, at most
_STILL = 1e-9  # an increment, in standard deviations, that is none
_PLACES = ("rad", "m")  # units of what an angle or a length is read in
_GOES_ON = 0.5  # of the squared way over a span, by which it may differ from that over the one before
_TAPS = 5  # ticks on either side of a centred derivative
_EVEN = 0.2  # of a tick, that the ages of samples may deviate by: held from tick to tick, they seem noisy otherwise


class Pair(NamedTuple):
    """A coordinate and its derivative (`stream.column`), None where nobody reads it, and how well they fit.

    That is R2, None where it was declared.
    """

    coordinate: str
    derivative: str | None
    fit: float | None = None


def find_pairs(examples: Examples, lens: Lens, columns: Sequence[Column]) -> list[Pair]:
    """The best fits first, each column in one pair at most; a derivative is no coordinate of another pair."""
    if len(columns) < 2:
        return []
    series = _series(examples, lens, columns)
    if series.shape[1] <= min(_SPANS):
        return []
    fit, slope = _fits(series, integral(series) * lens.layout.dt)
    good = (fit > _LEAST_FIT) & (abs(slope - 1) < _SLOPE)
    good[good.any(0)] = False  # the derivative of a derivative is left to the first
    pairs, free = [], np.ones(len(columns), bool)
    for i, j in sorted(zip(*np.nonzero(good), strict=True), key=lambda at: -fit[at]):
        if free[i] and free[j]:
            pairs.append((i, j))
            free[[i, j]] = False
    return [Pair(columns[i].name, columns[j].name, round(float(fit[i, j]), 4)) for i, j in sorted(pairs)]


class Rate(NamedTuple):
    """What turns something: a column, and by how much (rad) in a second at a reading of 1."""

    column: Column
    slope: float


def find_rates(
    examples: Examples,
    lens: Lens,
    turned: Float[np.ndarray, "N T P"],
    of: Int[np.ndarray, " P"],
    columns: Sequence[Column],
) -> list[Rate | None]:
    """Of each of P angles the column that is its rate, None where none is.

    Compasses count clockwise, gyroscopes counter-clockwise, in whatever unit: the slope is none of the question. So a
    rate has to tell more than that an angle turns steadily, which whatever is always the same would tell as well.
    Windows in which either is never read, as of an episode without its sensor, count for nothing.

    Args:
        examples: windows to look at.
        lens: theirs.
        turned: how far angles have turned (rad) over the windows of `held_over`.
        of: which of the Y readings told each.
        columns: that rates are looked for among.
    """
    found: list[Rate | None] = [None] * len(of)
    if not columns or turned.shape[1] <= min(_SPANS):
        return found
    series = _series(examples, lens, columns)
    series = np.concatenate([series, np.ones_like(series)], -1)  # a steady turn, in the windows of each column
    chosen = evenly(len(examples.came), _WINDOWS)
    read = examples.view.mask[chosen].any(1) | examples.mask[chosen].any(1)
    told = np.tile(read[:, [column.at for column in columns]], 2)
    for at in np.unique(of):
        mine, sampled = np.flatnonzero(of == at), (chosen, slice(None), at)
        mask, age = (
            np.concatenate([part[sampled], ahead[sampled]], 1)
            for part, ahead in ((examples.view.mask, examples.mask), (examples.view.age, examples.age))
        )
        gone = _until(series, mask, age) * lens.layout.dt
        fit, slope = _fits(turned[..., mine], gone, at_best=True, counts=told & read[:, at, None])
        for i, (left, steady), slopes in zip(mine.tolist(), (1 - fit).reshape(len(mine), 2, -1), slope, strict=True):
            best = int(left.argmin())
            if left[best] < min(1 - _LEAST_FIT, _MORE * steady[best]):
                found[i] = Rate(columns[best], float(slopes[best]))
    return found


def find_moved(examples: Examples, lens: Lens, columns: Sequence[Column]) -> list[Column]:
    """Columns that go on as they went, as what has a mass does: lengths and angles whose derivatives nobody reads."""
    columns = [column for column in columns if column.circular or column.unit in _PLACES]
    if not columns:
        return []
    series = _series(examples, lens, columns)
    if series.shape[1] <= 2 * min(_SPANS):
        return []
    way = series[:, min(_SPANS) :] - series[:, : -min(_SPANS)]
    before, after = way[:, : -min(_SPANS)], way[:, min(_SPANS) :]
    went, changed = (after**2).sum((0, 1)), ((after - before) ** 2).sum((0, 1))
    moves = np.sqrt(went / after[..., 0].size) > _STILL * series.std((0, 1))
    return [c for c, one, other, m in zip(columns, went, changed, moves, strict=True) if m and other < _GOES_ON * one]


def _series(examples: Examples, lens: Lens, columns: Sequence[Column]) -> Float[np.ndarray, "B T K"]:
    """Columns over contexts and what came, in units, each reading held until the next, angles unwrapped."""
    held = held_over(examples, lens)
    return np.stack([_physical(held, column) for column in columns], -1)


def held_over(examples: Examples, lens: Lens) -> Float[np.ndarray, "N T Y"]:
    """Readings of some windows over contexts and what came, in units, each held until the next."""
    chosen = evenly(len(examples.came), _WINDOWS)
    readings, mask = (
        np.concatenate([part[chosen], ahead[chosen]], 1)
        for part, ahead in ((examples.view.readings, examples.came), (examples.view.mask, examples.mask))
    )
    return lens.units(hold(readings, mask)[0])


def _physical(features: Float[np.ndarray, "B T Y"], column: Column) -> Float[np.ndarray, "B T"]:
    return unwrapped(features, column.at) if column.circular else features[..., column.at]


def unwrapped(readings: Float[Array, "B T Y"], sine: int) -> Float[Array, "B T"]:
    """An angle (rad) that does not jump where it wraps, of readings in units; its cosine follows its sine."""
    xp = namespace(readings)
    return xp.unwrap(xp.arctan2(readings[..., sine], readings[..., sine + 1]), axis=1)


def _until(
    rates: Float[np.ndarray, "B T K"], mask: Bool[np.ndarray, "B T"], age: Float[np.ndarray, "B T"]
) -> Float[np.ndarray, "B T K"]:
    """Integrals until the newest sample of something, so many ticks before a tick that has one; else until the first.

    Something held until its next sample has gone as far, so that however rare samples are, increments are alike.
    """
    at = np.where((last := newest(mask)) < 0, mask.argmax(1)[:, None], last)[..., None]
    until = integral(rates) - rates * np.where(mask, age, 0.0)[..., None]
    return np.take_along_axis(until, at, 1)


def _fits(
    series: Float[np.ndarray, "B T K"],
    integral: Float[np.ndarray, "B T L"],
    at_best: bool = False,
    counts: Bool[np.ndarray, "B L"] | None = None,
) -> tuple[Float[np.ndarray, "K L"], Float[np.ndarray, "K L"]]:
    """Of each column's increments, as those of an integral: R2 with a slope of 1 or at the best slope, and the latter.

    Both for the span that fits best; slopes are 0 where a column does not move. `counts` says which windows tell of an
    integral, by default all.
    """
    least = _STILL * series.std((0, 1))
    counts = np.ones(integral[:, 0].shape, bool) if counts is None else counts
    fits, slopes = [], []
    for span in (span for span in _SPANS if span < series.shape[1]):
        moved, passed = (x[:, span:] - x[:, :-span] for x in (series, integral * counts[:, None]))
        count, own, other = moved.shape[1] * counts.sum(0), (moved**2).sum(1).T @ counts, (passed**2).sum((0, 1))
        both = moved.reshape(-1, moved.shape[-1]).T @ passed.reshape(-1, passed.shape[-1])
        moves = (np.sqrt(own / np.maximum(count, 1)) > least[:, None]) & (other > 0)
        slope = np.where(moves, both / np.where(other > 0, other, 1), 0.0)
        taken = slope if at_best else 1.0
        off = own - 2 * taken * both + taken**2 * other
        fits.append(np.where(moves, 1 - off / np.where(own > 0, own, 1), -np.inf))
        slopes.append(slope)
    best = np.argmax(fits, 0)[None]
    return np.take_along_axis(np.array(fits), best, 0)[0], np.take_along_axis(np.array(slopes), best, 0)[0]


def looking_ahead(examples: Examples, lens: Lens, pairs: Sequence[Pair]) -> Iterator[str]:
    """Derivatives that are nearer to a sum of readings on both sides than the noise of those readings allows.

    A derivative that was measured has noise of its own. So a weighted sum of noisy readings misses it by at least
    that sum's noise; what misses by less was computed from them, and if the past alone misses by more, from the future.
    """
    columns = columns_of(lens.layout)
    for pair in pairs:
        if pair.derivative is None:
            continue
        at = [columns[pair.coordinate].at, columns[pair.derivative].at]
        if np.std(examples.age[..., at], where=examples.mask[..., at]) > _EVEN:
            continue
        q, v = np.moveaxis(_series(examples, lens, [columns[pair.coordinate], columns[pair.derivative]]), -1, 0)
        if q.shape[1] <= 2 * _TAPS or not (noise := _noise(q)):
            continue
        near = np.lib.stride_tricks.sliding_window_view(q, 2 * _TAPS + 1, axis=1)
        near, target = (near - near[..., _TAPS, None]).reshape(-1, 2 * _TAPS + 1), v[:, _TAPS:-_TAPS].ravel()
        both, past = (_missed(near[:, part], target) for part in (slice(None), slice(_TAPS + 1)))
        if both[0] < noise * both[1] / 2 and both[0] < past[0] / 2:
            yield pair.derivative


def _noise(series: Float[np.ndarray, "B T"]) -> float:
    """Standard deviation of white noise in smooth series; 0 where high differences show none."""
    lower, upper = (
        float(np.sqrt((np.diff(series, order, axis=1) ** 2).mean() / math.comb(2 * order, order)))
        for order in (2 * _TAPS - 2, 2 * _TAPS)
    )
    return upper if upper > 0.7 * lower else 0.0


def _missed(inputs: Float[np.ndarray, "M F"], target: Float[np.ndarray, " M"]) -> tuple[float, float]:
    """Root mean square that least squares leaves, and the norm of its weights."""
    weights, *_ = np.linalg.lstsq(inputs, target, rcond=1e-10)
    return float(np.sqrt(((target - inputs @ weights) ** 2).mean())), float(np.linalg.norm(weights))

"""A linear model for each tick ahead, straight from what was seen and what is commanded until then."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.ridge import ridge
from worldmodel.models.baselines.view import Examples, View, in_phase, in_step, on_ticks, phase

PENALTIES = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)  # of inputs at one scale
_TICKS = 32  # fitted at most; between them predictions lie on lines
_SHARES = 16  # of the time until a tick, over each of which its actions are averaged
_STILL = 1e-6  # an input that deviates less is constant


@dataclasses.dataclass
class Direct:
    """Ridge regressions of the change of every reading from the last one, at some of the ticks ahead.

    Attributes:
        ticks: int [N] the ticks ahead that are fitted, the first and the last among them.
        varies: bool [F] which inputs are not constant.
        weights: [N, F' + 1, Y] of those that vary, and a constant.
    """

    ticks: np.ndarray
    varies: np.ndarray
    weights: np.ndarray

    @classmethod
    def candidates(
        cls, examples: Examples, layout: TickLayout, penalties: Sequence[float] = PENALTIES
    ) -> list["Direct"]:
        """One for each penalty, fitted on the readings that came, in phase with the last ones that were seen."""
        view, change = examples.view, in_phase(examples, phase(examples.view)) - examples.view.held[:, -1:]
        ticks = _grid(view.horizon)
        seen = _seen(view, layout)
        acted = [_acted(view, tick) for tick in ticks]
        varies = np.concatenate([seen.std(0), np.max([a.std(0) for a in acted], 0)]) > _STILL
        weights = []
        for t, a in zip(ticks, acted, strict=True):
            inputs = np.concatenate([seen, a], 1)[:, varies]
            scale = np.maximum(inputs.std(0), _STILL)
            fitted = ridge(inputs / scale, change[:, t - 1], examples.mask[:, t - 1], penalties)
            weights.append(fitted / np.concatenate([scale, [1.0]])[:, None])
        return [cls(ticks, varies, each) for each in np.stack(weights, 1)]

    @classmethod
    def blend(cls, candidates: Sequence["Direct"], choice: Int[np.ndarray, "N Y"]) -> "Direct":
        """Takes each tick and column from the candidate that is chosen for it."""
        weights = np.stack([c.weights for c in candidates])
        chosen = np.take_along_axis(weights, choice[None, :, None], 0)[0]
        return dataclasses.replace(candidates[0], weights=chosen)

    def predict(self, view: View, layout: TickLayout) -> Float[np.ndarray, "B T Y"]:
        """Normalised readings at the ticks ahead, up to the last that is fitted; short actions end as they ended."""
        seen, parts = _seen(view, layout), []
        for tick, weights in zip(self.ticks, self.weights, strict=True):
            inputs = np.concatenate([seen, _acted(view, tick)], 1)[:, self.varies]
            parts.append(inputs @ weights[:-1] + weights[-1])
        ahead = view.held[:, -1:] + _between(np.stack(parts, 1), self.ticks)
        return on_ticks(ahead, view)[:, : view.horizon]


def _grid(horizon: int) -> np.ndarray:
    """int [N] ticks ahead from 1 to the horizon, all of them or denser near by."""
    if horizon <= _TICKS:
        return np.arange(1, horizon + 1)
    return np.unique(np.round(np.geomspace(1, horizon, _TICKS)).astype(int))


def _between(parts: Float[np.ndarray, "B N Y"], ticks: Int[np.ndarray, " N"]) -> Float[np.ndarray, "B T Y"]:
    """Lines between values at some ticks: values at each."""
    wanted = np.arange(1, ticks[-1] + 1)
    after = np.searchsorted(ticks, wanted)
    before = np.maximum(after - 1, 0)
    share = (wanted - ticks[before]) / np.maximum(ticks[after] - ticks[before], 1)
    return parts[:, before] + share[:, None] * (parts[:, after] - parts[:, before])


def _spans(ticks: int) -> list[tuple[int, int]]:
    """Shares (from, to) of the last ticks, the newest first, that grow with age: 1, 1, 1, 1, 2, 2, 4, 4, 8, 8, ..."""
    ends = [0, 1, 2, 3]
    while ends[-1] < ticks:
        ends.append(ends[-1] + 2 ** max((len(ends) - 3) // 2, 0))
    return [(max(ticks - b, 0), ticks - a) for a, b in itertools.pairwise(ends) if a < ticks]


def _seen(view: View, layout: TickLayout) -> Float[np.ndarray, "B F"]:
    """The last readings and their ages; of each share of the context the means of actions, and of how far samples are
    from the last, as are those of the last tick's other slots.

    Differences, since a penalty on levels that are nearly equal would take the differences away first. What is missing
    is 0, and a column says which is.
    """
    context, last = view.held.shape[1], view.held[:, -1]
    parts = [last, np.minimum(view.age[:, -1], context)]
    for spec in layout.readings:
        columns, now = layout.slot_columns(spec), last[:, None, layout.reading_columns[spec.name]]
        if len(columns) > 1:
            samples, there = view.slots[..., columns], view.slots_mask[..., columns]
            parts += [np.where(there[:, -1], samples[:, -1] - now, 0)[:, :-1].reshape(len(last), -1)]
        else:
            samples, there = _one_a_tick(view, layout.reading_columns[spec.name])
        for span in _spans(context):
            parts += _mean(samples[:, slice(*span)] - now[:, None], there[:, slice(*span)], (1, 2))
    for span in _spans(context - 1):
        parts += _mean(view.past[:, slice(*span)], view.past_mask[:, slice(*span)], (1,))
    return np.concatenate(parts, 1)


def _one_a_tick(view: View, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """A slow stream's samples [B, C, 1, S] at even times, and where they are known."""
    samples, known = in_step(view, columns)
    return samples[:, :, None], np.broadcast_to(known[..., None, None], (*samples.shape[:2], 1, samples.shape[2]))


def _acted(view: View, tick: int) -> Float[np.ndarray, "B S"]:
    """Means of the actions over equal shares of the time until a tick, and columns that say which are known."""
    until = np.minimum(np.arange(tick), view.horizon - 1)
    first = np.round(np.linspace(0, tick, min(tick, _SHARES) + 1)).astype(int)[:-1]
    values, mask = view.ahead[:, until], view.ahead_mask[:, until]
    count = np.add.reduceat(mask, first, axis=1, dtype=int)
    means = np.add.reduceat(np.where(mask, values, 0), first, axis=1) / np.maximum(count, 1)
    shares = np.concatenate([means, count > 0], 2).reshape(len(values), -1)
    return np.pad(shares, [(0, 0), (0, 2 * values.shape[2] * (_SHARES - len(first)))])


def _mean(values: np.ndarray, mask: np.ndarray, axes: tuple[int, ...]) -> list[np.ndarray]:
    """Means over `axes` where `mask`, else 0, and whether there is one, as numbers."""
    count = mask.sum(axes)
    return [np.where(mask, values, 0).sum(axes) / np.maximum(count, 1), (count > 0).astype(float)]

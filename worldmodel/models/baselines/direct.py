"""A linear model for each tick ahead, straight from what was seen and what is commanded until then."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.ridge import ridge
from worldmodel.models.baselines.view import Examples, View, in_phase, in_step, on_ticks, phase

PENALTIES = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)  # of inputs at one scale
_TICKS = 32  # fitted at most
_SHARES = 16  # of the time until a tick, over each of which its actions are averaged
_STILL = 1e-6  # an input that deviates less is constant


@dataclasses.dataclass
class Direct:
    """Ridge regressions of the change of every reading from the last one, at some of the ticks ahead.

    A tick between two of them lies between the earlier one's prediction and the later one's, of which that asks for no
    action after the tick.

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
        means = _Means.of(view)
        acted = [
            _padded(means.shares(tick, np.array([tick]))[:, 0], 2 * _SHARES * view.ahead.shape[2]) for tick in ticks
        ]
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
        seen, known = _seen(view, layout), self.varies
        asked = _Asked(_Means.of(view), seen[:, known[: seen.shape[1]]], np.flatnonzero(known[seen.shape[1] :]))
        now = view.held[:, -1:]
        return on_ticks(lambda late: now + self._ahead(asked, late), view)[:, : view.horizon]

    def _ahead(self, asked: "_Asked", late: int) -> Float[np.ndarray, "B T Y"]:
        """Changes at the ticks ahead, each as if the command in force so many ticks before it went on."""
        parts, at = [], 0
        for i, tick in enumerate(self.ticks):
            ticks = np.arange(at + 1, tick + 1)
            until = np.maximum(ticks - late, 0)
            ahead = asked.of(tick, self.weights[i], until)
            if len(ticks) > 1:  # the one before was told less, where that is later than it may know
                before = asked.of(at, self.weights[i - 1], np.minimum(until, at))
                ahead = before + ((ticks - at) / (tick - at))[:, None] * (ahead - before)
            parts.append(ahead)
            at = tick
        return np.concatenate(parts, 1)


class _Asked(NamedTuple):
    """What is asked of the models of all ticks.

    Attributes:
        means: of what is commanded.
        seen: [B, F] the inputs of what was seen that vary.
        acts: int [S'] which means of actions vary.
    """

    means: "_Means"
    seen: np.ndarray
    acts: np.ndarray

    def of(
        self, tick: int, weights: Float[np.ndarray, "F Y"], until: Int[np.ndarray, " K"]
    ) -> Float[np.ndarray, "B K Y"]:
        """The change at a tick, under the commands until each of some ticks."""
        acted, count = self.means.shares(tick, until), self.seen.shape[1]
        acts = self.acts[: np.searchsorted(self.acts, acted.shape[-1])]  # the others are of more shares: none
        by_seen = self.seen @ weights[:count] + weights[-1]
        return by_seen[:, None] + acted[..., acts] @ weights[count : count + len(acts)]


def _grid(horizon: int) -> np.ndarray:
    """int [N] ticks ahead from 1 to the horizon, all of them or denser near by."""
    if horizon <= _TICKS:
        return np.arange(1, horizon + 1)
    return np.unique(np.round(np.geomspace(1, horizon, _TICKS)).astype(int))


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


class _Means(NamedTuple):
    """Means of the actions ahead over parts of them, from running sums.

    Attributes:
        running: [B, H + 1, 2, A] sums of the actions until each tick, and of how many are known.
        held: [B, H + 1, 2, A] what is in force when each tick comes, and whether it is known.
    """

    running: np.ndarray
    held: np.ndarray

    @classmethod
    def of(cls, view: View) -> "_Means":
        each, last = (
            np.stack([np.where(mask, values, 0), mask], 2).astype(float)
            for values, mask in ((view.ahead, view.ahead_mask), (view.past[:, -1:], view.past_mask[:, -1:]))
        )
        return cls(np.concatenate([np.zeros_like(last), np.cumsum(each, 1)], 1), np.concatenate([last, each], 1))

    def shares(self, tick: int, until: Int[np.ndarray, " K"]) -> Float[np.ndarray, "B K S"]:
        """Means over equal shares of the time until a tick, and columns that say which are known.

        Of those that follow `until`, which is no later than the tick, nothing is asked: the last one before goes on.
        """
        until = np.minimum(until, self.held.shape[1] - 1)[:, None]
        edges = _edges(tick)
        inside, beyond = np.minimum(edges, until), np.diff(np.maximum(edges, until), axis=1)
        sums = np.diff(self.running[:, inside], axis=2) + beyond[..., None, None] * self.held[:, until]
        means = np.stack([sums[..., 0, :] / np.maximum(sums[..., 1, :], 1), sums[..., 1, :] > 0], -2)
        return means.reshape(*means.shape[:2], -1)


@functools.cache
def _edges(tick: int) -> Int[np.ndarray, " S"]:
    return np.round(np.linspace(0, tick, min(tick, _SHARES) + 1)).astype(int)


def _padded(columns: np.ndarray, count: int) -> np.ndarray:
    return np.pad(columns, ((0, 0), (0, count - columns.shape[1])))


def _mean(values: np.ndarray, mask: np.ndarray, axes: tuple[int, ...]) -> list[np.ndarray]:
    """Means over `axes` where `mask`, else 0, and whether there is one, as numbers."""
    count = mask.sum(axes)
    return [np.where(mask, values, 0).sum(axes) / np.maximum(count, 1), (count > 0).astype(float)]

"""A linear model for each tick ahead, straight from what was seen and what is commanded until then."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.ridge import ridge
from worldmodel.models.baselines.view import LATE, Examples, View, in_phase, in_step, on_ticks, phase

PENALTIES = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)  # of inputs at one scale
_TICKS = 32  # fitted at most
_SHARES = 16  # of the time until a tick, over each of which its actions are averaged
_TOGETHER = 1024  # questions that are answered together, of all windows
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
        acted = [means.shares(_edges(tick)[None], np.array([[tick]]))[:, 0] for tick in ticks.tolist()]
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
        seen, known, now = _seen(view, layout), self.varies, view.held[:, -1:]
        inputs = seen[:, known[: seen.shape[1]]]
        asked = _Asked(_Means.of(view), inputs, np.flatnonzero(known[seen.shape[1] :]))
        near = self._until(view.horizon + LATE + 1)
        return on_ticks(lambda late: now + near._ahead(asked, late), view)[:, : view.horizon]

    def _until(self, horizon: int) -> "Direct":
        """Without the models of ticks that a horizon does not need."""
        count = int(np.searchsorted(self.ticks, horizon)) + 1
        return dataclasses.replace(self, ticks=self.ticks[:count], weights=self.weights[:count])

    def _ahead(self, asked: "_Asked", late: int) -> Float[np.ndarray, "B T Y"]:
        """Changes at the ticks ahead, each as if the command in force so many ticks before it went on."""
        gaps = np.diff(self.ticks, prepend=0)
        answers, parts = asked.of(_Questions.of(tuple(self.ticks.tolist()), late), self.weights), []
        for i, gap in enumerate(gaps):
            ahead = answers[i][:, :gap]
            if gap > 1:  # the one before was told less, where that is later than it may know
                before = answers[i - 1][:, gaps[i - 1] :]
                ahead = before + (np.arange(1, gap + 1)[:, None] / gap) * (ahead - before)
            parts.append(ahead)
        return np.concatenate(parts, 1)


class _Questions(NamedTuple):
    """What each of N models is asked: its own change at the ticks up to it, then at those up to the next one's.

    Attributes:
        edges: int [Q, S + 1] of the shares of the time that each question's model averages commands over.
        until: int [Q, 1] how long it is told of commands.
        ends: int [N + 1] where each model's questions begin, and where the last one's end.
    """

    edges: np.ndarray
    until: np.ndarray
    ends: np.ndarray

    @classmethod
    @functools.lru_cache(64)
    def of(cls, ticks: tuple[int, ...], late: int) -> "_Questions":
        """Of models of `ticks`, each as if the command in force so many ticks before went on."""
        untils = [np.maximum(np.arange(a + 1, b + 1) - late, 0) for a, b in itertools.pairwise((0, *ticks))]
        nexts = [
            np.minimum(after, tick) if len(after) > 1 else after[:0]
            for after, tick in zip(untils[1:], ticks, strict=False)
        ]
        told = [np.concatenate(both) for both in itertools.zip_longest(untils, nexts, fillvalue=untils[0][:0])]
        edges = np.stack([_edges(tick) for tick in ticks])
        counts = [len(each) for each in told]
        return cls(np.repeat(edges, counts, 0), np.concatenate(told)[:, None], np.cumsum([0, *counts]))


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

    def of(self, asked: _Questions, weights: Float[np.ndarray, "N F Y"]) -> list[Float[np.ndarray, "B Q Y"]]:
        """The answers of each model."""
        count, models = self.seen.shape[1], len(asked.ends) - 1
        by_seen, answers = self.seen @ weights[:, :count] + weights[:, -1:], []
        together = max(_TOGETHER * models // (len(self.seen) * len(asked.until)), 1)
        for first in range(0, models, together):
            ends = asked.ends[first : first + together + 1]
            rows = slice(ends[0], ends[-1])
            acted = self.means.shares(asked.edges[rows], asked.until[rows])[..., self.acts]
            for i, (a, b) in enumerate(itertools.pairwise(ends - ends[0]), first):
                answers.append(by_seen[i][:, None] + acted[:, a:b] @ weights[i, count:-1])
        return answers


def _grid(horizon: int) -> np.ndarray:
    """int [N] ticks ahead from 1 to the horizon, all of them or denser near by."""
    if horizon <= _TICKS:
        return np.arange(1, horizon + 1)
    return np.unique(np.round(np.geomspace(1, horizon, _TICKS)).astype(int))


@functools.cache
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
        parts.append(_over_spans(samples - now[:, None], there))
    parts.append(_over_spans(view.past[:, :, None], view.past_mask[:, :, None]))
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

    def shares(self, edges: Int[np.ndarray, "K E"], until: Int[np.ndarray, "K 1"]) -> Float[np.ndarray, "B K S"]:
        """Means over shares of the time ahead, between `edges`, and columns that say which are known.

        Of commands that follow `until` nothing is asked: the last one before goes on.
        """
        until = np.minimum(until, self.held.shape[1] - 1)
        inside, beyond = np.minimum(edges, until), np.diff(np.maximum(edges, until), axis=1)
        sums = np.diff(self.running[:, inside], axis=2) + beyond[..., None, None] * self.held[:, until]
        means = np.stack([sums[..., 0, :] / np.maximum(sums[..., 1, :], 1), sums[..., 1, :] > 0], -2)
        return means.reshape(*means.shape[:2], -1)


@functools.cache
def _edges(tick: int) -> Int[np.ndarray, " E"]:
    """Of equal shares of the time until a tick; where it has fewer ticks than there are shares, the last are empty."""
    edges = np.round(np.linspace(0, tick, min(tick, _SHARES) + 1)).astype(int)
    return np.pad(edges, (0, _SHARES + 1 - len(edges)), "edge")


def _over_spans(values: Float[np.ndarray, "B C N S"], mask: Shaped[np.ndarray, "B C N S"]) -> Float[np.ndarray, "B F"]:
    """Of each span of ticks the means where `mask`, else 0, and whether there is one, as numbers."""
    spans = np.array(_spans(values.shape[1])).reshape(-1, 2).T
    sums, counts = (
        np.pad(np.cumsum(each.sum(2, dtype=float), 1), ((0, 0), (1, 0), (0, 0)))
        for each in (np.where(mask, values, 0), mask)
    )
    total, count = (x[:, spans[1]] - x[:, spans[0]] for x in (sums, counts))
    means = np.stack([np.where(count, total / np.maximum(count, 1), 0), count > 0], 2)
    return means.reshape(len(values), -1)

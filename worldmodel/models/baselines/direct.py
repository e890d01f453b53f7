"""A linear model for each tick ahead, straight from what was seen and what is commanded until then."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.ridge import ridge
from worldmodel.models.baselines.view import LATE, Examples, View, in_phase, in_step, on_ticks, phase
from worldmodel.types import Array

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

    ticks: Array
    varies: Array
    weights: Array

    @classmethod
    def candidates(
        cls, examples: Examples, layout: TickLayout, penalties: Sequence[float] = PENALTIES
    ) -> list["Direct"]:
        """One for each penalty, fitted on the readings that came, in phase with the last ones that were seen."""
        view, change = examples.view, in_phase(examples, phase(examples.view)) - examples.view.held[:, -1:]
        ticks = grid(view.horizon)
        seen, acted = _flat(_parts(view, layout)), _acted(view, ticks)
        varies = np.concatenate([seen.std(0), np.max([a.std(0) for a in acted], 0)]) > _STILL
        weights = []
        for t, a in zip(ticks, acted, strict=True):
            inputs = np.concatenate([seen, a], 1)[:, varies]
            scale = np.maximum(inputs.std(0), _STILL)
            fitted = ridge(inputs / scale, change[:, t - 1], examples.mask[:, t - 1], penalties)
            weights.append(fitted / np.concatenate([scale, [1.0]])[:, None])
        return [cls(ticks, varies, each) for each in np.stack(weights, 1)]

    @classmethod
    def blend(cls, candidates: Sequence["Direct"], choice: Int[Array, "N Y"]) -> "Direct":
        """Takes each tick and column from the candidate that is chosen for it."""
        weights = np.stack([c.weights for c in candidates])
        chosen = np.take_along_axis(weights, choice[None, :, None], 0)[0]
        return dataclasses.replace(candidates[0], weights=chosen)

    def predict(self, view: View, layout: TickLayout) -> Float[Array, "B T Y"]:
        """Normalised readings at the ticks ahead, up to the last that is fitted; short actions end as they ended."""
        return self.predictions([self], view, layout)[0]

    @staticmethod
    def predictions(candidates: Sequence["Direct"], view: View, layout: TickLayout) -> list[Float[Array, "B T Y"]]:
        """What each of several predicts that differ by their weights alone, which costs little more than one."""
        parts, known, now = _parts(view, layout), candidates[0].varies, view.held[:, -1:]
        seen = _flat(parts)
        inputs = seen[:, np.flatnonzero(known[: seen.shape[1]])]
        asked = _Asked(_Means.of(view), inputs, np.flatnonzero(known[seen.shape[1] :]), parts)
        weights = namespace(candidates[0].weights).concatenate([each.weights for each in candidates], -1)
        together = dataclasses.replace(candidates[0], weights=weights)._until(view.horizon + LATE + 1)
        ahead = functools.cache(functools.partial(together._ahead, asked))

        def of(columns: slice) -> Float[Array, "B T Y"]:
            return on_ticks(lambda lates: [now + x[..., columns] for x in ahead(lates)], view)[:, : view.horizon]

        width = now.shape[-1]
        return [of(slice(i * width, (i + 1) * width)) for i in range(len(candidates))]

    def _until(self, horizon: int) -> "Direct":
        """Without the models of ticks that a horizon does not need."""
        count = int(np.searchsorted(self.ticks, horizon)) + 1
        return dataclasses.replace(self, ticks=self.ticks[:count], weights=self.weights[:count])

    def _ahead(self, asked: "_Asked", lates: tuple[int, ...]) -> list[Float[Array, "B T Y"]]:
        """Changes at the ticks ahead, each as if the command in force so many ticks before it went on."""
        questions = _Questions.of(tuple(self.ticks.tolist()), lates)
        answers, share = self._answers(asked, questions), questions.share
        both = ((answers[:, own], answers[:, before]) for own, before in zip(*questions[2:4], strict=True))
        return [namespace(own).where(share < 1, before + share * (own - before), own) for own, before in both]

    def _answers(self, asked: "_Asked", questions: "_Questions") -> Float[Array, "B Q Y"]:
        return asked.of(questions, self.ticks, self.weights)


@dataclasses.dataclass
class Apart(Direct):
    """Of which each column is told by its own past, and of all else by no more than commands.

    Attributes:
        own: [N, K, Y] weights of the K inputs that each column has of its own.
    """

    own: Array

    @classmethod
    def fit(cls, examples: Examples, layout: TickLayout, penalty: float, commands: bool) -> "Apart":
        """On the readings that came; `commands` says whether those tell anything."""
        view, change = examples.view, in_phase(examples, phase(examples.view)) - examples.view.held[:, -1:]
        ticks, parts = grid(view.horizon), _parts(view, layout)
        past, acted = _flat(parts[-1:]), _acted(view, ticks)
        varies = commands & (np.concatenate([past.std(0), np.max([a.std(0) for a in acted], 0)]) > _STILL)
        own = _own(parts)
        weights = np.zeros((len(ticks), varies.sum() + 1, own.shape[-1]))
        owned = np.zeros((len(ticks), *own.shape[1:]))
        for n, y in np.ndindex(len(ticks), own.shape[-1]):
            t = ticks[n] - 1
            inputs = np.concatenate([own[..., y], np.concatenate([past, acted[n]], 1)[:, varies]], 1)
            deviation = inputs.std(0)
            scale = np.where(deviation > _STILL, deviation, np.inf)
            fitted = ridge(inputs / scale, change[:, t, y : y + 1], examples.mask[:, t, y : y + 1], (penalty,))[0, :, 0]
            told = fitted[:-1] / scale
            owned[n, :, y], weights[n, :, y] = told[: own.shape[1]], [*told[own.shape[1] :], fitted[-1]]
        before = np.zeros(_flat(parts[:-1]).shape[1], bool)
        return cls(ticks, np.concatenate([before, varies]), weights, owned)

    def _answers(self, asked: "_Asked", questions: "_Questions") -> Float[Array, "B Q Y"]:
        own = self.own[: len(self.ticks)]
        told = (_own(asked.parts)[:, None] * own).sum(2)
        return super()._answers(asked, questions) + told[:, questions.model]


class _Questions(NamedTuple):
    """What models are asked, each question once: the change at its own tick, told of commands for so long.

    Attributes:
        model: int [Q] who is asked, in their order.
        until: int [Q, 1] how many ticks of commands it is told.
        own, before: int [L, T] the question to the model of each tick ahead or the next one that is fitted, and that to
            the one before, for each of L ways of being told late.
        share: [T, 1] of the way from the latter's answer to the former's.
    """

    model: Array
    until: Array
    own: Array
    before: Array
    share: Array

    @classmethod
    @functools.lru_cache(64)
    def of(cls, ticks: tuple[int, ...], lates: tuple[int, ...]) -> "_Questions":
        """Of models of `ticks`, each as if the command in force so many ticks before it went on."""
        ahead = np.arange(1, ticks[-1] + 1)
        model = np.searchsorted(ticks, ahead)
        start, end = np.array([0, *ticks])[[model, model + 1]]
        told = np.maximum(ahead - np.array(lates)[:, None], 0)
        own = np.stack(np.broadcast_arrays(model, told), -1)
        before = np.stack(np.broadcast_arrays(model - 1, np.minimum(told, start)), -1)  # less, where it may not know
        pairs = np.stack([own, np.where((ahead < end)[:, None], before, own)])
        (model, until), asked = (x.T for x in np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True))
        asked_own, asked_before = asked.reshape(pairs.shape[:-1])
        return cls(model, until[:, None], asked_own, asked_before, ((ahead - start) / (end - start))[:, None])


class _Asked(NamedTuple):
    """What is asked of the models of all ticks.

    Attributes:
        means: of what is commanded.
        seen: [B, F] the inputs of what was seen that vary.
        acts: int [S'] which means of actions vary.
        parts: all inputs of what was seen.
    """

    means: "_Means"
    seen: Array
    acts: Array
    parts: "list[_Part]"

    def of(self, asked: _Questions, ticks: Int[Array, " N"], weights: Float[Array, "N F Y"]) -> Array:
        """The answers [B, Q, Y] of models of `ticks`."""
        count, models = self.seen.shape[1], len(ticks)
        seen = namespace(self.seen).broadcast_to(self.seen, (models, *self.seen.shape))
        by_seen, answers = seen @ weights[:, :count] + weights[:, -1:], []
        together = max(_TOGETHER * models // (len(self.seen) * len(asked.model)), 1)
        ends, edges = np.searchsorted(asked.model, np.arange(models + 1)), np.stack([_edges(t) for t in ticks.tolist()])
        for first in range(0, models, together):
            last = min(first + together, models)
            rows = slice(ends[first], ends[last])
            acted = self.means.shares(edges[asked.model[rows]], asked.until[rows])[..., self.acts]
            table, place = _by_model(tuple((ends[first : last + 1] - rows.start).tolist()))
            own = acted[:, table] @ weights[first:last, count:-1] + by_seen[first:last].swapaxes(0, 1)[:, :, None]
            answers.append(own.reshape(len(own), own.shape[1] * own.shape[2], own.shape[3])[:, place])
        return namespace(self.seen).concatenate(answers, 1)


@functools.lru_cache(64)
def _by_model(ends: tuple[int, ...]) -> tuple[Int[Array, "N M"], Int[Array, " Q"]]:
    """Questions in order of their model as a table, in which a model that has fewer than M repeats its last; and where
    each of them is in it, counted through. So one product of matrices answers all.
    """
    counts = np.diff(ends)
    table = np.minimum(np.array(ends[:-1])[:, None] + np.arange(counts.max()), np.array(ends[1:])[:, None] - 1)
    return table, np.flatnonzero(np.arange(counts.max()) < counts[:, None])


def grid(horizon: int) -> Array:
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


class _Part(NamedTuple):
    """Inputs [B, ..., S] of a window, and which columns of readings the S are; of actions none."""

    values: Array
    of: range


def _parts(view: View, layout: TickLayout) -> list[_Part]:
    """The last readings and their ages; of each share of the context the means of actions, and of how far samples are
    from the last, as are those of the last tick's other slots. Actions come last.

    Differences, since a penalty on levels that are nearly equal would take the differences away first. What is missing
    is 0, and a column says which is.
    """
    xp, context, last = namespace(view.held), view.held.shape[1], view.held[:, -1]
    every = range(last.shape[1])
    parts, slow = [_Part(last, every), _Part(xp.minimum(view.age[:, -1], context), every)], _slow(view, layout)
    for spec in layout.readings:
        columns, of = layout.slot_columns(spec), every[layout.reading_columns[spec.name]]
        now = last[:, None, of.start : of.stop]
        if len(columns) > 1:
            samples, there = view.slots[..., columns], view.slots_mask[..., columns]
            parts.append(_Part(xp.where(there[:, -1], samples[:, -1] - now, 0)[:, :-1], of))
            parts.append(_Part(_over_spans(samples - now[:, None], there), of))
        else:
            parts.append(_Part(slow.pop(0), of))
    return [*parts, _Part(_over_spans(view.past[:, :, None], view.past_mask[:, :, None]), range(0))]


def _flat(parts: Sequence[_Part]) -> Float[Array, "B F"]:
    """All inputs of a window in a row."""
    xp = namespace(parts[0].values)
    return xp.concatenate([part.values.reshape(len(part.values), -1) for part in parts], 1)


def _own(parts: Sequence[_Part]) -> Float[Array, "B K Y"]:
    """The inputs of each column that are its own, 0 where others have more of them."""
    (last, _), (age, _), *rest = parts[:-1]
    xp, streams = namespace(last), dict.fromkeys(part.of for part in rest)
    own = []
    for of in streams:
        values = [part.values.reshape(len(last), -1, len(of)) for part in rest if part.of == of]
        own.append(xp.concatenate([x[:, None, of.start : of.stop] for x in (last, age)] + values, 1))
    most = max(x.shape[1] for x in own)
    return xp.concatenate([xp.pad(x, ((0, 0), (0, most - x.shape[1]), (0, 0))) for x in own], -1)


def _acted(view: View, ticks: Int[Array, " N"]) -> list[Float[Array, "B S"]]:
    """Means of actions over shares of the time until each tick."""
    means = _Means.of(view)
    return [means.shares(_edges(tick)[None], np.array([[tick]]))[:, 0] for tick in ticks.tolist()]


def _slow(view: View, layout: TickLayout) -> list[Float[Array, "B K 2 S"]]:
    """`_over_spans` of each stream that has one slot a tick, its samples at even times."""
    columns = [part for name, part in layout.reading_columns.items() if layout.slots(layout.spec(name)) == 1]
    if not columns:
        return []
    samples, known = in_step(view, columns)
    now = namespace(samples).concatenate([view.held[:, -1:, part] for part in columns], -1)
    means = _over_spans((samples - now)[:, :, None], known[:, :, None])
    ends = np.cumsum([0, *(part.stop - part.start for part in columns)])
    return [means[..., a:b] for a, b in itertools.pairwise(ends)]


class _Means(NamedTuple):
    """Means of the actions ahead over parts of them, from running sums.

    Attributes:
        running: [B, H + 1, 2, A] sums of the actions until each tick, and of how many are known.
        held: [B, H + 1, 2, A] what is in force when each tick comes, and whether it is known.
    """

    running: Array
    held: Array

    @classmethod
    def of(cls, view: View) -> "_Means":
        xp = namespace(view.ahead)
        each, last = (
            xp.stack([xp.where(mask, values, 0), mask], 2).astype(float)
            for values, mask in ((view.ahead, view.ahead_mask), (view.past[:, -1:], view.past_mask[:, -1:]))
        )
        return cls(xp.concatenate([0 * last, xp.cumsum(each, 1)], 1), xp.concatenate([last, each], 1))

    def shares(self, edges: Int[Array, "K E"], until: Int[Array, "K 1"]) -> Float[Array, "B K S"]:
        """Means over shares of the time ahead, between `edges`, and columns that say which are known.

        Of commands that follow `until` nothing is asked: the last one before goes on.
        """
        xp, until = namespace(self.held), np.minimum(until, self.held.shape[1] - 1)
        inside, beyond = np.minimum(edges, until), np.diff(np.maximum(edges, until), axis=1)
        sums = xp.diff(self.running[:, inside], axis=2) + beyond[..., None, None] * self.held[:, until]
        means = xp.stack([sums[..., 0, :] / xp.maximum(sums[..., 1, :], 1), sums[..., 1, :] > 0], -2)
        return means.reshape(*means.shape[:2], -1)


@functools.cache
def _edges(tick: int) -> Int[Array, " E"]:
    """Of equal shares of the time until a tick; where it has fewer ticks than there are shares, the last are empty."""
    edges = np.round(np.linspace(0, tick, min(tick, _SHARES) + 1)).astype(int)
    return np.pad(edges, (0, _SHARES + 1 - len(edges)), "edge")


def _over_spans(values: Float[Array, "B C N S"], mask: Shaped[Array, "B C N S"]) -> Float[Array, "B K 2 S"]:
    """Of each span of ticks the means where `mask`, else 0, and whether there is one, as numbers."""
    xp, within = namespace(values), _within(values.shape[1])
    total, count = (within @ each.sum(2, dtype=float) for each in (xp.where(mask, values, 0), mask))
    return xp.stack([xp.where(count > 0, total / xp.maximum(count, 1), 0), count > 0], 2)


@functools.cache
def _within(ticks: int) -> Float[Array, "K C"]:
    """1 where one of the last ticks is in a span."""
    first, end = np.array(_spans(ticks)).reshape(-1, 2, 1).swapaxes(0, 1)
    return ((np.arange(ticks) >= first) & (np.arange(ticks) < end)).astype(float)

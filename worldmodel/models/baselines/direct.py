"""A linear model for each tick ahead, straight from what was seen and what is commanded until then."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.inputs import STILL, Means, Part, acts_until, edges_of, flat, parts_of
from worldmodel.models.baselines.ridge import affordable, ridge
from worldmodel.models.baselines.view import LATE, Examples, View, in_phase, on_ticks, phase
from worldmodel.types import Array

_TICKS = 32  # fitted at most
_TOGETHER = 1024  # questions that are answered together, of all windows


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
    def fitted(
        cls,
        examples: Examples,
        layout: TickLayout,
        penalties: Sequence[float],
        shares: Float[Array, "N R Y"] | None = None,
        allowance: Allowance = UNLIMITED,
    ) -> Self:
        """Fitted on the readings that came, in phase with the last ones that were seen.

        Args:
            examples: windows.
            layout: their streams.
            penalties: R of them.
            shares: what each counts at each tick of `grid` and in each column; by default all count alike.
            allowance: time for it.
        """
        design = Design.of(examples, layout, grid(examples.view.horizon)).affordable(len(penalties))

        def at(i: int) -> Array:
            fitted = design.ridge(i, penalties)
            return fitted.mean(0) if shares is None else np.einsum("rfy,ry->fy", fitted, shares[i])

        done, weights = each_tick(at, len(design.ticks), allowance)
        return cls(design.ticks[done], design.varies, np.array(weights))

    def predict(self, view: View, layout: TickLayout) -> Float[Array, "B T Y"]:
        """Normalised readings at the ticks ahead, up to the last that is fitted; short actions end as they ended."""
        parts, now = parts_of(view, layout), view.held[:, -1:]
        seen = flat(parts)
        inputs = seen[:, np.flatnonzero(self.varies[: seen.shape[1]])]
        spans = intervals(layout)
        asked = Asked(Means.of(view), inputs, np.flatnonzero(self.varies[seen.shape[1] :]), parts, spans)
        evened = 2 * max((span for span in spans if span > 1), default=0)  # by so many ticks that follow
        known = self._until(view.horizon + LATE + max(evened, 1))
        return on_ticks(lambda lates: [now + x for x in known._ahead(asked, lates)], view)[:, : view.horizon]

    def _until(self, horizon: int) -> "Direct":
        """Without the models of ticks that a horizon does not need."""
        count = int(np.searchsorted(self.ticks, horizon)) + 1
        return dataclasses.replace(self, ticks=self.ticks[:count], weights=self.weights[:count])

    def _ahead(self, asked: "Asked", lates: tuple[int, ...]) -> list[Float[Array, "B T Y"]]:
        """Changes at the ticks ahead, each as if the command in force so many ticks before it went on."""
        questions = Questions.of(tuple(self.ticks.tolist()), lates)
        answers, share = self._answers(asked, questions), questions.share
        both = ((answers[:, own], answers[:, before]) for own, before in zip(*questions[2:4], strict=True))
        return [namespace(own).where(share < 1, before + share * (own - before), own) for own, before in both]

    def _answers(self, asked: "Asked", questions: "Questions") -> Float[Array, "B Q Y"]:
        return asked.of(questions, self.ticks, self.weights)


class Questions(NamedTuple):
    """What models are asked, each question once: the change at its own tick, told of commands for so long.

    Attributes:
        model: int [Q] who is asked, in their order.
        until: int [Q, 1] how many ticks of commands it is told.
        own, before: int [L, T] the question to the model of each tick ahead or the next one that is fitted, and that to
            the one before, for each of L ways of being told late.
        share: [T, 1] of the way from the latter's answer to the former's.
        edges: int [N, E] of the shares of the time until each model's tick.
        late: int [N, L] the shares of each that some question to it is not told the whole of, and maybe some before.
    """

    model: Array
    until: Array
    own: Array
    before: Array
    share: Array
    edges: Array
    late: Array

    @classmethod
    @functools.lru_cache(64)
    def of(cls, ticks: tuple[int, ...], lates: tuple[int, ...]) -> "Questions":
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
        share = ((ahead - start) / (end - start))[:, None]
        edges = np.stack([edges_of(tick) for tick in ticks])
        whole, first = (edges[model, 1:] <= until[:, None]).sum(1), np.full(len(ticks), edges.shape[1] - 1)
        np.minimum.at(first, model, whole)
        shares = np.minimum(ticks, edges.shape[1] - 1)  # the others are empty
        most = max((shares - first).max(), 1)
        late = np.minimum(first, edges.shape[1] - 1 - most)[:, None] + np.arange(most)
        return cls(model, until[:, None], asked_own, asked_before, share, edges, late)


class Asked(NamedTuple):
    """What is asked of the models of all ticks.

    Attributes:
        means: of what is commanded.
        seen: [B, F] the inputs of what was seen that vary.
        acts: int [S'] which means of actions vary.
        parts: all inputs of what was seen.
        spans: int [Y] ticks from one sample of each column to the next.
    """

    means: "Means"
    seen: Array
    acts: Array
    parts: "list[Part]"
    spans: Array

    def of(self, asked: Questions, ticks: Int[Array, " N"], weights: Float[Array, "N F Y"]) -> Float[Array, "B Q Y"]:
        """The answers of models of `ticks`.

        Shares of the time ahead that all questions to a model are told the whole of are multiplied once.
        """
        count, models = self.seen.shape[1], len(ticks)
        seen = namespace(self.seen).broadcast_to(self.seen, (models, *self.seen.shape))
        by_seen, answers = self.evened(seen @ weights[:, :count] + weights[:, -1:], ticks), []
        if not len(self.acts):
            return by_seen[asked.model].swapaxes(0, 1)
        whole = self.means.shares(asked.edges, ticks[:, None])[..., self.acts]
        whole = whole * (self.acts // self.means.kinds < asked.late[:, :1])
        alike = by_seen + whole.swapaxes(0, 1) @ weights[:, count:-1]
        kinds, of_late = self._late(asked.late, weights)
        together = max(_TOGETHER * models // (len(self.seen) * len(asked.model)), 1)
        ends = np.searchsorted(asked.model, np.arange(models + 1))
        edges = np.take_along_axis(asked.edges, np.append(asked.late, asked.late[:, -1:] + 1, 1), 1)
        for first in range(0, models, together):
            last = min(first + together, models)
            table, place = _by_model(tuple(ends[first : last + 1].tolist()))
            acted = self.means.shares(edges[asked.model[table.ravel()]], asked.until[table.ravel()])
            acted = acted.reshape(len(acted), *table.shape, -1, self.means.kinds)[..., kinds]
            acted = acted.reshape(*acted.shape[:3], -1)
            own = acted @ of_late[first:last] + alike[first:last].swapaxes(0, 1)[:, :, None]
            answers.append(own.reshape(len(own), own.shape[1] * own.shape[2], own.shape[3])[:, place])
        return namespace(self.seen).concatenate(answers, 1)

    def _late(self, late: Int[Array, "N L"], weights: Float[Array, "N F Y"]) -> tuple[Int[Array, " C"], Array]:
        """Which of a share's means vary in any share, and the weights [N, L * C, Y] of these in some of the shares."""
        kinds, count = np.unique(self.acts % self.means.kinds), self.seen.shape[1]
        wanted = (late[:, :, None] * self.means.kinds + kinds).reshape(len(late), -1)
        row = np.minimum(np.searchsorted(self.acts, wanted), len(self.acts) - 1)
        found = weights[np.arange(len(late))[:, None], count + row]
        varies = self.acts[row] == wanted
        return kinds, found if varies.all() else found * varies[..., None]

    def evened(self, ahead: Float[Array, "N B Y"], ticks: Int[Array, " N"]) -> Float[Array, "N B Y"]:
        """What is told of ticks ahead; of sensors slower than the tick, without jags that repeat with their samples.

        Models of ticks at which samples come and of those between were fitted to other windows each, and err apart.
        """
        for span in sorted(set(self.spans[self.spans > 1].tolist())):
            even = namespace(ahead).tensordot(_even(tuple(ticks.tolist()), span), ahead, 1)
            ahead = namespace(ahead).where(self.spans == span, even, ahead)
        return ahead


@functools.lru_cache(64)
def _even(ticks: tuple[int, ...], span: int) -> Float[np.ndarray, "N N"]:
    """Means over two spans that weigh near ticks more; between ticks and beyond the ends a path lies on lines."""
    span = min(span, (ticks[-1] + 1) // 2)
    every = np.arange(1, ticks[-1] + 1)
    told = np.stack([np.interp(every, ticks, row) for row in np.eye(len(ticks))], 1)
    reach = np.arange(2 - span, ticks[-1] + span)
    near = np.clip(reach, 1, ticks[-1])
    inside, beyond = near - span * np.sign(reach - near), abs(reach - near)[:, None] / span
    path = (1 + beyond) * told[near - 1] - beyond * told[inside - 1]
    weights = np.convolve(np.ones(span), np.ones(span)) / span**2
    return np.stack([weights @ path[tick - 1 : tick - 1 + len(weights)] for tick in ticks])


@functools.lru_cache(64)
def _by_model(ends: tuple[int, ...]) -> tuple[Int[Array, "N M"], Int[Array, " Q"]]:
    """Questions in order of their model as a table, in which a model that has fewer than M repeats its last; and where
    each of them is in it, counted through. So one product of matrices answers all.
    """
    counts = np.diff(ends)
    table = np.minimum(np.array(ends[:-1])[:, None] + np.arange(counts.max()), np.array(ends[1:])[:, None] - 1)
    return table, np.flatnonzero(np.arange(counts.max()) < counts[:, None])


class Design(NamedTuple):
    """What models of some ticks ahead are fitted on.

    Attributes:
        ticks: int [N].
        seen: [B, F] inputs of what was seen. acted: N times [B, S] those of what is commanded until each tick.
        change: [B, N, Y] of each reading from the last one until then. there: bool [B, N, Y] where one came.
        varies: bool [F + S] which inputs are not constant; alike at all ticks.
    """

    ticks: Array
    seen: Array
    acted: list[Array]
    change: Array
    there: Array
    varies: Array

    @classmethod
    def of(cls, examples: Examples, layout: TickLayout, ticks: Int[Array, " N"]) -> "Design":
        """Of windows."""
        _, change, there = targets(examples, ticks)
        seen, acted = flat(parts_of(examples.view, layout)), acts_until(examples.view, ticks)
        varies = np.concatenate([seen.std(0), np.max([a.std(0) for a in acted], 0)]) > STILL
        return cls(ticks, seen, acted, change, there, varies)

    def affordable(self, penalties: int) -> "Design":
        """With as many of the windows as there is time for fits with so many penalties."""
        return self.take(affordable(self.there, int(self.varies.sum()), penalties))

    def take(self, rows: Array) -> "Design":
        """Some of the windows."""
        acted = [each[rows] for each in self.acted]
        return self._replace(seen=self.seen[rows], acted=acted, change=self.change[rows], there=self.there[rows])

    def ridge(self, i: int, penalties: Sequence[float]) -> Float[Array, "R V Y"]:
        """For each penalty the weights of inputs that vary, and a constant, until the i-th tick."""
        inputs = self.inputs(i)[:, self.varies]
        scale = np.maximum(inputs.std(0), STILL)
        fitted = ridge(inputs / scale, self.change[:, i], self.there[:, i], penalties)
        return fitted / np.concatenate([scale, [1.0]])[:, None]

    def inputs(self, i: int) -> Float[Array, "B F"]:
        """All of them until the i-th tick."""
        return np.concatenate([self.seen, self.acted[i]], 1)


def intervals(layout: TickLayout) -> Int[Array, " Y"]:
    """Ticks from one sample of each column to the next."""
    return np.array([layout.interval(layout.readings[i]) for i in layout.stream_of[layout.newest]], int)


def targets(
    examples: Examples, ticks: Int[Array, " N"] | None = None
) -> tuple[Int[Array, " N"], Float[Array, "B N Y"], Bool[Array, "B N Y"]]:
    """Ticks ahead, by default all that are fitted, the change of each reading from the last one until then, and where
    one came.
    """
    view, ticks = examples.view, grid(examples.view.horizon) if ticks is None else ticks
    return ticks, in_phase(examples, phase(view), ticks) - view.held[:, -1:], examples.mask[:, ticks - 1]


def each_tick(fit: Callable[[int], Array], count: int, allowance: Allowance) -> tuple[Int[Array, " N"], list[Array]]:
    """Which of so many ticks ahead were fitted, in order, and what `fit` made of each.

    The first and the last always, then the middle of each gap that is left, as long as there is time: between two ticks
    that are fitted there is a line.
    """
    done: dict[int, Array] = {}
    for i in halving(count):
        if len(done) > 1 and allowance.is_over:
            allowance.leave_out("linear models of every tick ahead")
            break
        done[i] = fit(i)
    return np.array(sorted(done)), [done[i] for i in sorted(done)]


@functools.cache
def halving(count: int) -> list[int]:
    """0 to count - 1: the first, the last, and then the middles of the widest gaps that are left."""
    order, gaps = list(dict.fromkeys([0, count - 1])), [(0, count - 1)]
    for first, last in gaps:
        middle = (first + last) // 2
        if first < middle:
            order.append(middle)
            gaps += [(first, middle), (middle, last)]
    return order


def grid(horizon: int) -> Array:
    """int [N] ticks ahead from 1 to the horizon, all of them or denser near by."""
    if horizon <= _TICKS:
        return np.arange(1, horizon + 1)
    return np.unique(np.round(np.geomspace(1, horizon, _TICKS)).astype(int))

"""What linear models are told of a window: readings and what is commanded, as means over parts of the time."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.view import View, in_step
from worldmodel.types import Array

STILL = 1e-6  # an input that deviates less is constant
_SHARES = 16  # of the time until a tick, over each of which its actions are averaged


class Part(NamedTuple):
    """Inputs [B, ..., S] of a window, and which columns of readings the S are; of actions none."""

    values: Array
    of: range


def parts_of(view: View, layout: TickLayout) -> list[Part]:
    """The last readings and their ages; of each share of the context the means of actions, and of how far samples are
    from the last, as are those of the last tick's other slots. Actions come last.

    Differences, since a penalty on levels that are nearly equal would take the differences away first. What is missing
    is 0, and a column says which is.
    """
    xp, context, last = namespace(view.held), view.held.shape[1], view.held[:, -1]
    every = range(last.shape[1])
    slow, others, shown = _slow(view, layout), [], []
    for spec in layout.readings:
        columns, of = layout.slot_columns(spec), every[layout.reading_columns[spec.name]]
        if len(columns) > 1:
            now = last[:, None, of.start : of.stop]
            samples, there = view.slots[..., columns], view.slots_mask[..., columns]
            others.append([Part(xp.where(there[:, -1], samples[:, -1] - now, 0)[:, :-1], of)])
            shown.append((samples - now[:, None], there))
        else:
            others.append([])
            shown.append(slow.pop(0))
    parts = [Part(last, every), Part(xp.minimum(view.age[:, -1], context), every)]
    for spec, other, mean in zip(layout.readings, others, _over_spans(shown), strict=True):
        parts += [*other, Part(mean, every[layout.reading_columns[spec.name]])]
    return [*parts, Part(_over_spans([(view.past[:, :, None], view.past_mask[:, :, None])])[0], range(0))]


def flat(parts: Sequence[Part]) -> Float[Array, "B F"]:
    """All inputs of a window in a row."""
    xp = namespace(parts[0].values)
    return xp.concatenate([part.values.reshape(len(part.values), -1) for part in parts], 1)


def own_of(parts: Sequence[Part]) -> Float[Array, "B K Y"]:
    """The inputs of each column that are its own, 0 where others have more of them."""
    (last, _), (age, _), *rest = parts[:-1]
    xp, streams = namespace(last), dict.fromkeys(part.of for part in rest)
    own = []
    for of in streams:
        values = [part.values.reshape(len(last), -1, len(of)) for part in rest if part.of == of]
        own.append(xp.concatenate([x[:, None, of.start : of.stop] for x in (last, age)] + values, 1))
    most = max(x.shape[1] for x in own)
    return xp.concatenate([xp.pad(x, ((0, 0), (0, most - x.shape[1]), (0, 0))) for x in own], -1)


def acts_until(view: View, ticks: Int[Array, " N"], late: int = 0) -> list[Float[Array, "B S"]]:
    """Means of actions over shares of the time until each tick, as if the one in force so late before it went on."""
    means = Means.of(view)
    return [means.shares(edges_of(tick)[None], np.array([[max(tick - late, 0)]]))[:, 0] for tick in ticks.tolist()]


def _slow(view: View, layout: TickLayout) -> list[tuple[Float[Array, "B C 1 _"], Bool[Array, "B C 1 _"]]]:
    """Of each stream that has one slot a tick its samples at even times, less the last, and which are known."""
    columns = [part for name, part in layout.reading_columns.items() if layout.slots(layout.spec(name)) == 1]
    if not columns:
        return []
    samples, known = in_step(view, columns)
    now = namespace(samples).concatenate([view.held[:, -1:, part] for part in columns], -1)
    both = (samples - now)[:, :, None], known[:, :, None]
    ends = np.cumsum([0, *(part.stop - part.start for part in columns)]).tolist()
    return [(both[0][..., a:b], both[1][..., a:b]) for a, b in itertools.pairwise(ends)]


class Means(NamedTuple):
    """Means of the actions ahead over parts of them, from running sums.

    Attributes:
        running: [B, H + 1, 2, A] sums of the actions until each tick, and of how many are known.
        held: [B, H + 1, 2, A] what is in force when each tick comes, and whether it is known.
    """

    running: Array
    held: Array

    @classmethod
    def of(cls, view: View) -> "Means":
        xp = namespace(view.ahead)
        each, last = (
            xp.stack([xp.where(mask, values, 0), mask], 2).astype(float)
            for values, mask in ((view.ahead, view.ahead_mask), (view.past[:, -1:], view.past_mask[:, -1:]))
        )
        return cls(xp.concatenate([0 * last, xp.cumsum(each, 1)], 1), xp.concatenate([last, each], 1))

    @property
    def kinds(self) -> int:
        """How many numbers are told of a share: of each action its mean, and whether one is known."""
        return self.held.shape[2] * self.held.shape[3]

    def shares(self, edges: Int[Array, "K E"], until: Int[Array, "K 1"]) -> Float[Array, "B K S"]:
        """Means over shares of the time ahead, between `edges`, and columns that say which are known.

        Of commands that follow `until` nothing is asked: the last one before goes on.
        """
        xp, until = namespace(self.held), np.minimum(until, self.held.shape[1] - 1)
        inside, beyond = np.minimum(edges, until), np.diff(np.maximum(edges, until), axis=1)
        sums = xp.diff(self.running[:, inside], axis=2)
        if beyond.any():
            sums = sums + beyond[..., None, None] * self.held[:, until]
        means = xp.stack([sums[..., 0, :] / xp.maximum(sums[..., 1, :], 1), sums[..., 1, :] > 0], -2)
        return means.reshape(*means.shape[:2], -1)


@functools.cache
def edges_of(tick: int) -> Int[Array, " E"]:
    """Of equal shares of the time until a tick; where it has fewer ticks than there are shares, the last are empty."""
    edges = np.round(np.linspace(0, tick, min(tick, _SHARES) + 1)).astype(int)
    return np.pad(edges, (0, _SHARES + 1 - len(edges)), "edge")


def _over_spans(
    shown: Sequence[tuple[Float[Array, "B C _ _"], Bool[Array, "B C _ _"]]],
) -> list[Float[Array, "B K 2 _"]]:
    """Of each span of ticks the means of values [B, C, N, S] where they are known, else 0, and whether there is one, as
    numbers; of several at once, which takes as long as of one where there is a single window.
    """
    if not shown:  # a log of films alone
        return []
    xp, within = namespace(shown[0][0]), _within(shown[0][0].shape[1])
    sums = xp.concatenate([xp.where(mask, values, 0).sum(2, dtype=float) for values, mask in shown], -1)
    total, count = within @ sums, within @ xp.concatenate([mask.sum(2, dtype=float) for _, mask in shown], -1)
    means = xp.stack([xp.where(count > 0, total / xp.maximum(count, 1), 0), count > 0], 2)
    ends = np.cumsum([0, *(mask.shape[-1] for _, mask in shown)]).tolist()
    return [means[..., a:b] for a, b in itertools.pairwise(ends)]


@functools.cache
def _within(ticks: int) -> Float[Array, "K C"]:
    """1 where one of the last ticks is in a span."""
    first, end = np.array(spans_of(ticks)).reshape(-1, 2, 1).swapaxes(0, 1)
    return ((np.arange(ticks) >= first) & (np.arange(ticks) < end)).astype(float)


@functools.cache
def spans_of(ticks: int) -> list[tuple[int, int]]:
    """Shares (from, to) of the last ticks, the newest first, that grow with age: 1, 1, 1, 1, 2, 2, 4, 4, 8, 8, ..."""
    ends = [0, 1, 2, 3]
    while ends[-1] < ticks:
        ends.append(ends[-1] + 2 ** max((len(ends) - 3) // 2, 0))
    return [(max(ticks - b, 0), ticks - a) for a, b in itertools.pairwise(ends) if a < ticks]

"""Which products of two signals tell what a linear model does not: by how much they take off its errors elsewhere."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import evenly, namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.direct import targets
from worldmodel.models.baselines.inputs import STILL
from worldmodel.models.baselines.view import Examples, View
from worldmodel.types import Array

_MOST = 3  # products that a column is told of
_GAIN = 0.03  # of the linear model's squared error, which a product must take off where its weight was not fitted
_LEAST, _ALONE = 30, 100  # windows side by side, and of one episode, whose parts are much alike
_FOLDS = 4  # of episodes, or of the only one's time
_TICKS = 6  # ahead at which they are looked for, from an eighth of the horizon on
_LAST = 4  # a product counts by its mean until the tick, and by that over the last quarter of the time
_WINDOWS, _VALUES = 1000, 1 << 23  # in which they are looked for at most, and numbers of all products in them
_SELDOM = 4  # times fewer readings in a part than elsewhere: too few
_PENALTY = 1e-3  # of a product's weights


def signals(
    view: View, foreseen: Float[Array, "B H Y"]
) -> tuple[tuple[Float[Array, "B T N"], Bool[Array, "B T N"]], ...]:
    """Readings and the actions that lead on from them at the ticks of the context but the last, and from that on; and
    which are known.
    """
    xp = namespace(view.held)
    before, after = view.held[:, :-1], xp.concatenate([view.held[:, -1:], foreseen[:, :-1]], 1)
    led = ((before, view.past, view.past_mask), (after, view.ahead, view.ahead_mask))
    return tuple(
        (xp.concatenate([read, acted], -1), xp.concatenate([xp.ones(read.shape, bool), known], -1))
        for read, acted, known in led
    )


def products_in(
    examples: Examples, foreseen: Float[np.ndarray, "B H Y"], layout: TickLayout
) -> tuple[Int[np.ndarray, "P 2"], Bool[np.ndarray, "Y P"]]:
    """Pairs of signals whose products tell of a column what a linear model does not, and of which column.

    One after the other, that which takes most off its squared error in windows of other episodes than its weights are
    fitted on, as long as that is so in all parts of them, and worth it: the more pairs there are, and the fewer windows
    that do not overlap, the more, since the best of many takes some off by chance.

    Args:
        examples: windows at known starts.
        foreseen: what the linear model says of them.
        layout: of their columns. Places, which are relative, are not signals.
    """
    among = np.flatnonzero(np.append(~layout.relative[layout.newest], np.ones(layout.action_count, bool)))
    pairs = np.array(list(itertools.combinations_with_replacement(among, 2)), int).reshape(-1, 2)
    rows = evenly(len(foreseen), max(min(_WINDOWS, _VALUES // max(len(pairs), 1)), 1))
    fold = _folds(examples, rows)
    told = np.zeros((foreseen.shape[-1], len(pairs)), bool)
    if len(pairs) and fold.max() > 0:
        (after, _), (ticks, change, there) = signals(examples.view, foreseen)[1], targets(examples)
        rows, fold = rows[fold >= 0], fold[fold >= 0]
        error = change - (foreseen[:, ticks - 1] - examples.view.held[:, -1:])
        far = np.flatnonzero(ticks * 8 >= ticks[-1])
        looked = far[evenly(len(far), _TICKS)]
        looks = [_Look.of(after[rows, : ticks[i]], pairs, error[rows, i], there[rows, i]) for i in looked]
        _choose(told, looks, fold, _GAIN + np.log(len(pairs)) / _side_by_side(examples))
    used = told.any(0)
    return pairs[used], told[:, used]


def _choose(told: Bool[np.ndarray, "Y P"], looks: Sequence["_Look"], fold: Int[np.ndarray, " B"], least: float) -> None:
    """Tells columns of products, one after the other, as long as one takes off at least such a share of its error."""
    columns = np.arange(len(told))
    for _ in range(_MOST):
        gain = np.mean([look.gain(fold) for look in looks], 0)
        mean = np.where(told.T, -np.inf, gain.mean(0))
        best = mean.argmax(0)[columns]
        columns, best = (
            x[(mean[best, columns] > least) & (gain[:, best, columns].min(0) > 0)] for x in (columns, best)
        )
        if not len(columns):
            return
        told[columns, best] = True
        for look in looks:
            look.take_off(told, columns)


@dataclasses.dataclass
class _Look:
    """At one tick ahead.

    Attributes:
        products: [B, P, 2] their means until the tick and over the last part, at one scale.
        error: [B, Y] of the linear model; 0 where nothing came.
        there: [B, Y] where something came.
        left: [B, Y] of the error, after the products that were chosen.
    """

    products: Array
    error: Array
    there: Array
    left: Array

    @classmethod
    def of(
        cls,
        path: Float[np.ndarray, "B T N"],
        pairs: Int[np.ndarray, "P 2"],
        error: Float[np.ndarray, "B Y"],
        there: Bool[np.ndarray, "B Y"],
    ) -> "_Look":
        late = path[:, -max(path.shape[1] // _LAST, 1) :]
        means = [(x.swapaxes(1, 2) @ x / x.shape[1])[:, pairs[:, 0], pairs[:, 1]] for x in (path, late)]
        products = np.stack(means, -1)
        products -= products.mean(0)
        products /= np.maximum(products.std(0), STILL)
        mean = np.where(there, error, 0).sum(0) / np.maximum(there.sum(0), 1)
        error = np.where(there, error - mean, 0.0)
        return cls(products, error, there, error)

    def gain(self, fold: Int[np.ndarray, " B"]) -> Float[np.ndarray, "folds P Y"]:
        """The share of the squared error in each fold that each product takes off, fitted on the others.

        Where fewer came, sums are as much smaller, so that one product of inputs serves all columns.
        """
        count = self.products.shape[1]
        parts = [(self.products[rows], self.left[rows]) for rows in (fold == n for n in range(fold.max() + 1))]
        grams = np.stack([x.transpose(1, 2, 0) @ x.swapaxes(0, 1) for x, _ in parts])
        moments = np.stack([(x.reshape(len(x), -1).T @ y).reshape(count, 2, -1) for x, y in parts])
        others, weighed = grams.sum(0) - grams, moments.sum(0) - moments
        slopes = np.linalg.solve(others + (_PENALTY * len(fold) + STILL) * np.eye(2), weighed)
        less = (slopes * (2 * moments - grams @ slopes)).sum(2)
        share = np.maximum(self.there.mean(0), 1 / len(fold))
        whole, came = (np.stack([x[fold == n].sum(0) for n in range(len(parts))]) for x in (self.error**2, self.there))
        gain = less / share / np.maximum(whole, STILL)[:, None]
        return np.where(came[:, None] * _SELDOM > share * np.bincount(fold)[:, None, None], gain, -np.inf)

    def take_off(self, told: Bool[np.ndarray, "Y P"], columns: Int[np.ndarray, " y"]) -> None:
        """What the products that were chosen for some columns tell of their errors."""
        for y in columns:
            rows = self.there[:, y]
            x = self.products[rows][:, told[y]].reshape(rows.sum(), -1)
            slopes = np.linalg.lstsq(x, self.error[rows, y], rcond=None)[0]
            self.left[rows, y] = self.error[rows, y] - x @ slopes


def _side_by_side(examples: Examples) -> float:
    """How many windows there would be that begin where another ends; those of copies are the same."""
    ticks, groups = np.asarray(examples.starts)[:, 1], np.asarray(examples.groups)
    each = (ticks[groups == group] for group in np.unique(groups))
    return sum(1 + np.ptp(ticks) / examples.view.horizon for ticks in each)


def _folds(examples: Examples, rows: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
    """Which part each window is of: several episodes, or a stretch of the only one; -1 of those that reach into the
    next. All are 0 where there is too little for parts that tell. Copies of an episode are one.
    """
    one = np.zeros(len(rows), int)
    if examples.starts is None:
        return one
    names, episode = np.unique(np.asarray(examples.groups)[rows], return_inverse=True)
    tick, apart = np.asarray(examples.starts)[rows, 1], _side_by_side(examples)
    if len(names) > 1:
        return episode * min(_FOLDS, len(names)) // len(names) if apart >= _LEAST else one
    edges = np.linspace(tick.min(), tick.max() + 1, _FOLDS + 1)
    fold = np.searchsorted(edges, tick, "right") - 1
    fold[(fold < _FOLDS - 1) & (tick + examples.view.context + examples.view.horizon > edges[fold + 1])] = -1
    return fold if apart >= _ALONE else one

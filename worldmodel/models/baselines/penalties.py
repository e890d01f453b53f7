"""How much each penalty of a ridge regression counts, by what it errs on episodes that are left out."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import evenly
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.direct import Design, grid
from worldmodel.models.baselines.view import Examples, judged
from worldmodel.types import Array

PENALTIES = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)  # of inputs at one scale
_TICKS = 8  # ahead that are tried, evenly among those that are fitted; each other does as the nearest of them
_FOLDS = 4  # of episodes
_SHARPNESS = 5.0  # a penalty with half the squared error of another counts 32 times as much
_QUIET = 0.03  # of the least mean squared error, added to that of each fold: one that stands still says little


def shares(
    whole: Examples,
    learn: Examples,
    select: Examples,
    layout: TickLayout,
    rng: np.random.Generator,
    allowance: Allowance = UNLIMITED,
) -> Float[Array, "N R Y"]:
    """What each of `PENALTIES` counts at each tick that is fitted, and in each column.

    One alone would be chosen by chance where few episodes tell; the mean of several errs less (docs/experiments.md).

    Args:
        whole: windows that are fitted on in the end. Its episodes are left out in turn, if there are two or more, and
            none else to choose on.
        learn: what is fitted on otherwise; `whole` where other episodes tell the errors.
        select: what tells them then.
        layout: their streams.
        rng: decides which episodes are together.
        allowance: time for it; one part is tried always.
    """
    ticks = grid(whole.view.horizon)
    tried = evenly(len(ticks), _TICKS)
    assert whole.groups is not None
    if whole is learn or len(np.unique(whole.groups)) == 1:
        pairs: Iterable[_Pair] = [(Design.of(learn, layout, ticks[tried]), Design.of(select, layout, ticks[tried]))]
    else:
        pairs = _in_turn(Design.of(whole, layout, ticks[tried]), whole.groups, rng)
    found: list[np.ndarray] = []
    for fit, test in pairs:
        if found and allowance.is_over:
            allowance.leave_out("choosing penalties on all episodes")
            break
        found.append(_squared_errors(fit.affordable(len(PENALTIES)), test, layout))
    errors = np.stack(found)
    least = np.maximum(errors.mean(0).min(1, keepdims=True), 1e-12)
    told = np.log(errors / least + _QUIET).mean(0)
    smooth = np.stack([told[max(i - 1, 0) : i + 2].mean(0) for i in range(len(tried))])
    counts = np.exp(-_SHARPNESS * (smooth - smooth.min(1, keepdims=True)))
    nearest = np.abs(np.arange(len(ticks))[:, None] - tried).argmin(1)
    return (counts / counts.sum(1, keepdims=True))[nearest]


_Pair = tuple[Design, Design]  # to fit on, and to judge by


def _in_turn(design: Design, groups: Int[Array, " B"], rng: np.random.Generator) -> Iterator[_Pair]:
    """Episodes are left out."""
    names = rng.permutation(np.unique(groups))
    for left in np.array_split(names, min(_FOLDS, len(names))):
        out = np.isin(groups, left)
        yield design.take(np.flatnonzero(~out)), design.take(np.flatnonzero(out))


def _squared_errors(fit: Design, test: Design, layout: TickLayout) -> Float[Array, "N R Y"]:
    """Mean squared errors with each penalty; of columns that are judged together theirs, 0 where none came."""
    out = np.zeros((len(fit.ticks), len(PENALTIES), len(layout.newest)))
    for i, each in enumerate(out):
        weights, inputs = fit.ridge(i, PENALTIES), test.inputs(i)[:, fit.varies]
        left = inputs @ weights[:, :-1] + weights[:, -1:] - test.change[:, i]
        error = np.where(test.there[:, i], left**2, 0.0).sum(1)
        for columns in judged(layout, apart=True):
            count = test.there[:, i, columns].sum()
            each[:, columns] = error[:, columns].sum(1, keepdims=True) / max(count, 1)
    return out

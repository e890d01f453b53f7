"""How much each penalty of a ridge regression counts, by what it errs on episodes that are left out."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import evenly
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.direct import Design, grid, intervals, targets
from worldmodel.models.baselines.inputs import acts_until
from worldmodel.models.baselines.view import Examples, judged, phase
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
        fitted, told_by = (Design.of(part, layout, ticks[tried]) for part in (learn, select))
        pairs: Iterable[_Pair] = [(fitted, _asked(told_by, select, layout))]
    else:
        every = Design.of(whole, layout, ticks[tried])
        pairs = _in_turn((every, _asked(every, whole, layout)), whole.groups, rng)
    found: list[np.ndarray] = []
    for fit, tests in pairs:
        if found and allowance.is_over:
            allowance.leave_out("choosing penalties on all episodes")
            break
        found.append(_squared_errors(fit.affordable(len(PENALTIES)), tests, layout))
    errors = np.stack(found)
    least = np.maximum(errors.mean(0).min(1, keepdims=True), 1e-12)
    told = np.log(errors / least + _QUIET).mean(0)
    smooth = np.stack([told[max(i - 1, 0) : i + 2].mean(0) for i in range(len(tried))])
    counts = np.exp(-_SHARPNESS * (smooth - smooth.min(1, keepdims=True)))
    nearest = np.abs(np.arange(len(ticks))[:, None] - tried).argmin(1)
    return (counts / counts.sum(1, keepdims=True))[nearest]


_Pair = tuple[Design, list[Design]]  # to fit on, and to judge by: each the columns that are asked as it is


def _asked(design: Design, examples: Examples, layout: TickLayout) -> list[Design]:
    """Windows as they are asked: of a column that was sampled before the last tick, fewer commands are known until a
    change in its phase. With a weak penalty that is where a model errs that was fitted with all of them.
    """
    late, (change, there) = np.ceil(phase(examples.view)), _on_lines(design, examples, layout)
    return [
        design._replace(
            acted=acts_until(examples.view, design.ticks, int(each)),
            change=change,
            there=there & (late == each)[:, None],
        )
        for each in np.unique(late)
    ]


def _on_lines(
    design: Design, examples: Examples, layout: TickLayout
) -> tuple[Float[Array, "B N Y"], Bool[Array, "B N Y"]]:
    """The changes of a design, and where they are known; of sensors slower than the tick on lines between samples.

    Else a model of ticks at which samples come in every other window were never judged in those between, in which it
    is asked as well, and was not fitted.
    """
    ticks, change, there = design.ticks, design.change.copy(), design.there.copy()
    slow = np.flatnonzero(intervals(layout) > 1)
    if len(slow):
        every, path, came = targets(examples, np.arange(1, examples.view.horizon + 1))
        for window, column in np.ndindex(len(came), len(slow)):
            known = every[came[window, :, slow[column]]]
            if len(known):
                inside = (ticks >= known[0]) & (ticks <= known[-1])
                line = np.interp(ticks[inside], known, path[window, known - 1, slow[column]])
                change[window, inside, slow[column]], there[window, inside, slow[column]] = line, True
    return change, there


def _in_turn(every: _Pair, groups: Int[Array, " B"], rng: np.random.Generator) -> Iterator[_Pair]:
    """Episodes are left out."""
    fit, tests = every
    names = rng.permutation(np.unique(groups))
    for left in np.array_split(names, min(_FOLDS, len(names))):
        out = np.isin(groups, left)
        yield fit.take(np.flatnonzero(~out)), [test.take(np.flatnonzero(out)) for test in tests]


def _squared_errors(fit: Design, tests: list[Design], layout: TickLayout) -> Float[Array, "N R Y"]:
    """Mean squared errors with each penalty; of columns that are judged together theirs, 0 where none came."""
    out = np.zeros((len(fit.ticks), len(PENALTIES), len(layout.newest)))
    for i, each in enumerate(out):
        weights = fit.ridge(i, PENALTIES)
        error, count = np.zeros(each.shape), np.zeros(each.shape[1], int)
        for test in tests:
            left = test.inputs(i)[:, fit.varies] @ weights[:, :-1] + weights[:, -1:] - test.change[:, i]
            error += np.where(test.there[:, i], left**2, 0.0).sum(1)
            count += test.there[:, i].sum(0)
        for columns in judged(layout, apart=True):
            each[:, columns] = error[:, columns].sum(1, keepdims=True) / max(count[columns].sum(), 1)
    return out

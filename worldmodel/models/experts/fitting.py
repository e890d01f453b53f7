"""Fits experts, and asks each for windows that it was not fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.logs.windows import Windows
from worldmodel.models.allowance import Allowance
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.left_out import LeftOut, folds, joined, measured
from worldmodel.models.experts.physics import Physics

_WINDOWS = 2000  # that rich experts are fitted on at most

_RULES = ("mean", "hold", "velocity", Physics.name)  # experts that hardly learn


def left_out_of(
    windows: Windows, baselines: Baselines, rich: Sequence[Any], select: Windows | None, scaling: Any,
    copies: Sequence[int], seed: int, allowance: Allowance, simulated: Sequence[int] = (),
) -> LeftOut:  # fmt: skip
    """What experts predict for windows that they were not fitted on.

    Args:
        windows: that the experts were fitted on.
        baselines: as experts.
        rich: the others.
        select: of other episodes, enough to tell; None to leave episodes out in turn, and fit on the others.
        scaling: statistics of the windows.
        copies: int [episodes of the windows] which of them are copies of one another.
        seed: of the division.
        allowance: time for it. At least one part is left out in turn; as many others as there is time for.
        simulated: which episodes of the windows teach only: nothing is measured on them.
    """
    lens = baselines.lens
    if select is not None:
        starts = select.starts().thinned()
        allowance.say("measuring experts on the select episodes")
        return measured([*closed(baselines), *rich], lens, select, starts, starts[:, 0])
    parts, divided = [], [fold for fold in folds(windows, copies, seed, simulated) if len(fold.measure)]
    longest = 0.0
    for number, fold in enumerate(divided):
        if number and allowance.left < longest:
            allowance.leave_out(f"{len(divided) - number} of {len(divided)} parts that experts are measured on")
            break
        allowance.say(f"measuring experts on what is left out, {number + 1} of {len(divided)}")
        turn = allowance.part(allowance.left if number else allowance.left / 2)  # the second may take as long
        apart = Baselines.fit(windows, scaling, seed, starts=fold.fit)
        again = [expert.refit(examples_at(lens, windows, fold.fit, seed), turn) for expert in rich]
        part = measured([*closed(apart, baselines.names), *again], lens, windows, fold.measure, fold.groups)
        parts.append(part if fold.apart else _of_rules(part, [*baselines.names, *(expert.name for expert in rich)]))
        longest = max(longest, turn.spent)
    return joined(parts)


def _of_rules(left_out: LeftOut, names: Sequence[str]) -> LeftOut:
    """Without what learned experts say: of windows that they were fitted on it tells nothing."""
    ahead = left_out.ahead.copy()
    ahead[[name not in _RULES for name in names]] = np.nan
    return left_out._replace(ahead=ahead)


def examples_at(lens: Lens, windows: Windows, starts: np.ndarray, seed: int) -> Examples:
    """Some of the windows at `starts`, for experts to be fitted on."""
    rows = np.random.default_rng([seed, 0x0E5]).permutation(len(starts))[:_WINDOWS]
    return lens.examples(windows, starts[np.sort(rows)])

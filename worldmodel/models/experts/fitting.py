"""Fits experts, and asks each for windows that it was not fitted on."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from worldmodel.logs.windows import Windows
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.fitted import enough
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.expert import Expert
from worldmodel.models.experts.left_out import Fold, LeftOut, alongside, folds, joined, measured
from worldmodel.models.experts.physics import Physics

_WINDOWS = 2000  # that rich experts are fitted on at most
_READINGS_S = 2_000_000  # of windows that linear ones are fitted on in a second

FITTED = 0.4  # of the time for experts that take long, in which they are fitted; the rest is for measuring them
_FIRST = 2 / 3  # of that rest for the first part, as long again: else what is measured is not what was fitted

_RULES = ("mean", "hold", "velocity", Physics.name)  # experts that hardly learn


@dataclasses.dataclass
class Trial:
    """Asks experts for windows that they were not fitted on, part after part; first those that take no time.

    Attributes:
        lens: what they see through.
        windows: that they were fitted on.
        select: of other episodes, enough to tell, which are one part; None to leave parts of `windows` out in turn.
        parts: starts to fit on again, none of select episodes, and those to measure on.
        seed: of what is drawn.
        allowance: time for it. At least one part is measured, and as many others as there is time for.
    """

    lens: Lens
    windows: Windows
    select: Windows | None
    parts: list[Fold]
    seed: int
    allowance: Allowance

    @classmethod
    def of(
        cls,
        lens: Lens,
        windows: Windows,
        select: Windows | None,
        seed: int,
        allowance: Allowance,
        simulated: Sequence[int] = (),
    ) -> "Trial":
        """Divides the windows.

        Args:
            lens: as above.
            windows: as above.
            select: as above.
            seed: as above.
            allowance: as above.
            simulated: which episodes of the windows teach only: nothing is measured on them.
        """
        if select is not None:
            starts = np.asarray(select.starts().thinned())
            return cls(lens, windows, select, [Fold(starts[:0], starts, starts[:, 0])], seed, allowance)
        return cls(lens, windows, None, folds(windows, seed, simulated), seed, allowance)

    def closed(self, baselines: Baselines, others: Sequence[Any]) -> list[LeftOut]:
        """By part what baselines, and others that are fitted in a moment, say."""

        def again(part: Fold, turn: Allowance) -> list[Expert]:
            if not len(part.fit):
                return [*closed(baselines), *others]
            apart = baselines.refit(self.windows, part.fit, self.seed, turn.part(turn.left * 2 / 3))
            return [*closed(apart, baselines.names), *self._again(others, part, turn)]

        return self._each("experts", again, [*baselines.names, *(expert.name for expert in others)])

    def beside(self, told: Sequence[LeftOut], rich: Sequence[Any]) -> LeftOut:
        """What was told, and beside it what experts say that take long, in the same parts; NaN where time ended."""
        if not rich:
            return joined(told)
        names = [expert.name for expert in rich]
        own = self._each(" and ".join(names), lambda part, turn: self._again(rich, part, turn), names, told)
        return joined([alongside(part, own[i] if i < len(own) else None, len(rich)) for i, part in enumerate(told)])

    def _again(self, experts: Sequence[Any], part: Fold, turn: Allowance) -> list[Any]:
        if not len(part.fit):
            return list(experts)
        examples = examples_at(self.lens, self.windows, part.fit, self.seed, turn)
        turns = turn.turns(len(experts))
        return [expert.refit(examples, own) for expert, own in zip(experts, turns, strict=True)]

    def _each(
        self,
        what: str,
        again: Callable[[Fold, Allowance], Sequence[Expert]],
        names: Sequence[str],
        told: Sequence[LeftOut] | None = None,
    ) -> list[LeftOut]:
        """By part what experts say; of the very windows that others were asked of, where those are given."""
        found, longest, parts = list[LeftOut](), 0.0, self.parts[: None if told is None else len(told)]
        for number, part in enumerate(parts):
            if number and self.allowance.left < longest:
                self.allowance.leave_out(f"measuring {what} on {len(parts) - number} of {len(parts)} parts")
                break
            self.allowance.say(f"measuring {what} on what they do not learn from, {number + 1} of {len(parts)}")
            turn = self.allowance.part(self.allowance.left * (1 if number else _FIRST if told else 1 / 2))
            windows = self.windows if self.select is None else self.select
            experts = again(part, turn)
            if told is None:
                soon = self.allowance.part(self.allowance.left / 2)
                said = measured(experts, self.lens, windows, part.measure, part.groups, soon)
            else:
                said = measured(experts, self.lens, windows, told[number].starts, told[number].groups)
            found.append(said if part.apart else _of_rules(said, names))
            longest = max(longest, turn.spent)
        return found


def _of_rules(left_out: LeftOut, names: Sequence[str]) -> LeftOut:
    """Without what learned experts say: of windows that they were fitted on it tells nothing."""
    ahead = left_out.ahead.copy()
    ahead[[name not in _RULES for name in names]] = np.nan
    return left_out._replace(ahead=ahead)


def examples_at(
    lens: Lens, windows: Windows, starts: np.ndarray, seed: int, allowance: Allowance = UNLIMITED
) -> Examples:
    """Some of the windows at `starts`, for experts to be fitted on."""
    count = enough(min(_WINDOWS, len(starts)), windows, _READINGS_S, allowance)
    rows = np.random.default_rng([seed, 0x0E5]).permutation(len(starts))[:count]
    return lens.examples(windows, starts[np.sort(rows)])

"""What a state space should be like, by its error on stretches of recordings that its fit did not see."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.experts.state_space.fitting import FORGETTING, TERMS, Member, Recipe, add_terms, fit_linear
from worldmodel.models.experts.state_space.traces import Traces

_FOLDS = 3
_RACERS, _FINISHED = 6, 2
_RESIDUALS = 8_000  # that a fit looks at
_MOST_HIDDEN = 3
_RIDGES = (1e-4, 1.0)
_GAIN = 0.06  # of the logarithm of a mean squared error, for which a richer one is taken
_MOST_TERMS = 2


def choose(traces: Traces, context: int, seed: int, allowance: Allowance = UNLIMITED) -> tuple[Recipe, float]:
    """A recipe, and how fast a context of so many ticks is forgotten.

    Hidden states come first, with a linear model; then the term that helps most, and hidden states that now help, as
    often as they do; the ridge last. Every third stretch of a recording is left out, since what happens at times only
    would be missed by larger parts. Where there are too few, one hidden state and no term is the choice.
    """
    if len(traces.mask) < 2 * _FOLDS or len(np.unique(traces.stretches(_stretch(traces)))) < 2 * _FOLDS:
        return Recipe(1), 0.0
    search = _Search(traces.thin(_RESIDUALS), context, seed, allowance)
    for hidden in range(_MOST_HIDDEN + 1):
        search.consider([Recipe(hidden)])
    search.consider([replace(search.best, anywhere=True)])
    for _ in range(_MOST_TERMS):
        if not search.consider([replace(search.best, terms=(*search.best.terms, term)) for term in TERMS]):
            break
        while search.best.hidden < _MOST_HIDDEN and search.consider(
            [replace(search.best, hidden=search.best.hidden + 1)]
        ):
            pass
    if search.best.terms:
        search.consider([replace(search.best, ridge=ridge) for ridge in _RIDGES])
    return search.best, search.forgetting


class _Search:
    """Remembers the best recipe so far, and the linear fits of every fold."""

    def __init__(self, traces: Traces, context: int, seed: int, allowance: Allowance) -> None:
        self.best, self.forgetting, self._error, self._allowance = Recipe(0), 0.0, np.inf, allowance
        self._traces, self._context = traces, context
        self._seeds = [_RACERS * seed + racer for racer in range(_RACERS)]
        self._fold = traces.stretches(_stretch(traces)) % _FOLDS
        self._linear: dict[tuple[Recipe, int], tuple[Member, np.ndarray]] = {}

    def consider(self, recipes: Sequence[Recipe]) -> bool:
        """Takes the best of these, as many as there is time for, if it is clearly better; whether it did."""
        self._allowance.say(f"state space: {' or '.join(map(str, recipes))}")
        errors: dict[Recipe, np.ndarray] = {}
        for recipe in recipes:
            if np.isfinite(self._error) and self._allowance.is_over:
                self._allowance.leave_out("a closer choice of the state space")
                break
            errors[recipe] = self._errors(recipe)
        if not errors:
            return False
        recipe = min(errors, key=lambda r: errors[r].min())
        better = errors[recipe].min() < self._error - _GAIN
        if better:
            self.best, self._error = recipe, errors[recipe].min()
            self.forgetting = FORGETTING[int(errors[recipe].argmin())]
        return better

    def _errors(self, recipe: Recipe) -> np.ndarray:
        """Logarithm of the left-out error, averaged over readings, for each way to forget."""
        total = np.zeros((len(FORGETTING), self._traces.mask.shape[-1]))
        for fold in range(_FOLDS):
            member = self._member(recipe, fold)
            total += [self._squares(member, forgetting, fold) for forgetting in FORGETTING]
        count = np.maximum(self._traces.mask[:, self._context :].sum((0, 1)), 1)
        return np.log(total / count + 1e-12).mean(1)

    def _member(self, recipe: Recipe, fold: int) -> Member:
        rest = self._traces.without(self._fold == fold)
        linear = Recipe(recipe.hidden, anywhere=recipe.anywhere)
        if (linear, fold) not in self._linear:
            self._linear[linear, fold] = fit_linear(linear, rest)
        return add_terms(recipe, *self._linear[linear, fold], rest, self._seeds, _FINISHED)[0]

    def _squares(self, member: Member, forgetting: float, fold: int) -> Float[np.ndarray, " Y"]:
        """Sums of squared errors ahead of contexts, of what was left out."""
        t, left_out = self._traces, (self._fold == fold)[:, self._context :, None]
        ahead = member.predict(t.until(self._context), t.actions[:, self._context - 1 :], forgetting)
        return (t.mask[:, self._context :] * left_out * (ahead - t.readings[:, self._context :]) ** 2).sum((0, 1))


def _stretch(traces: Traces) -> int:
    """Ticks of a stretch: half a window."""
    return max(traces.mask.shape[1] // 2, 1)

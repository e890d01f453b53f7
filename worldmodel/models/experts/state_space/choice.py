"""What a state space should be like, by its error on stretches of recordings that its fit did not see."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.experts.state_space.fitting import BELIEFS, TERMS, Belief, Member, Recipe, add_terms, fit_linear
from worldmodel.models.experts.state_space.members import ahead_of, log_errors, squares
from worldmodel.models.experts.state_space.traces import Traces

_FOLDS = 3  # each fit sees two thirds of what little there is
_RACERS, _FINISHED = 6, 2  # first units of which one in ten ends well (docs/experiments.md)
_RESIDUALS = 8_000  # that a fit looks at
_MOST_HIDDEN = 3  # beyond what is read: a minute of data tells of no more
_RIDGES = (1e-4, 1.0)
_GAIN = 0.06  # of the logarithm of a mean squared error, for which a richer one is taken
_STANDS = 2 * _GAIN  # what it counts as in that logarithm to depend on the readings themselves
_MOST_TERMS = 2  # more are not told apart by a minute of data


def choose(traces: Traces, context: int, seed: int, allowance: Allowance = UNLIMITED) -> tuple[Recipe, Belief]:
    """A recipe, and how far a context of so many ticks is believed.

    Hidden states come first, with a linear model; then the term that helps most, hidden states that now help, as often
    as they do, and whether it matters where it stands; the ridge last. Every third stretch of a recording is left out,
    since what happens at times only would be missed by larger parts. Where there are too few, one hidden state and no
    term is the choice.
    """
    if len(traces.mask) < 2 * _FOLDS or len(np.unique(traces.stretches(_stretch(traces)))) < 2 * _FOLDS:
        return Recipe(1), Belief()
    search = _Search(traces.thin(_RESIDUALS), context, seed, allowance)
    for hidden in range(_MOST_HIDDEN + 1):
        search.consider([Recipe(hidden)])
    search.elsewhere()
    for _ in range(_MOST_TERMS):
        more = [term for term in TERMS if term not in search.best.terms]
        if not search.consider([replace(search.best, terms=(*search.best.terms, term)) for term in more]):
            break
        while search.best.hidden < _MOST_HIDDEN and search.consider(
            [replace(search.best, hidden=search.best.hidden + 1)]
        ):
            pass
        search.elsewhere()
    if search.best.terms:
        search.consider([replace(search.best, ridge=ridge) for ridge in _RIDGES])
    return search.best, search.belief


class _Search:
    """Remembers the best recipe so far, and the linear fits of every fold."""

    def __init__(self, traces: Traces, context: int, seed: int, allowance: Allowance) -> None:
        self.best, self.belief, self._cost, self._allowance = Recipe(0), Belief(), np.inf, allowance
        self._traces, self._context = traces, context
        self._seeds = [_RACERS * seed + racer for racer in range(_RACERS)]
        self._fold = traces.stretches(_stretch(traces)) % _FOLDS
        self._linear: dict[tuple[Recipe, int], tuple[Member, np.ndarray]] = {}

    def elsewhere(self) -> None:
        """Considers the best where it matters not where it stands, or where it does.

        A path that is run again and again can be learned by its places as well as by its forces; only the latter hold
        on another one.
        """
        self.consider([replace(self.best, anywhere=not self.best.anywhere)])

    def consider(self, recipes: Sequence[Recipe]) -> bool:
        """Takes the best of these, as many as there is time for, if it is clearly better; whether it did."""
        self._allowance.say(f"state space: {' or '.join(map(str, recipes))}")
        found, least = None, self._cost - _GAIN
        for recipe in recipes:
            if np.isfinite(self._cost) and self._allowance.is_over:
                self._allowance.leave_out("a closer choice of the state space")
                break
            stands = _STANDS * (not recipe.anywhere)
            errors = self._errors(recipe, least - stands)
            if errors.min() + stands < least:
                found, least = (recipe, BELIEFS[int(errors.argmin())]), errors.min() + stands
        if found is not None:
            (self.best, self.belief), self._cost = found, least
        return found is not None

    def _errors(self, recipe: Recipe, limit: float) -> np.ndarray:
        """Logarithm of the left-out error, averaged over readings, for each belief; of one above the limit no less.

        Errors of folds add up, so that one that is above the limit before the last need not be fitted again.
        """
        total = np.zeros((len(BELIEFS), self._traces.mask.shape[-1]))
        for fold in range(_FOLDS):
            said = ahead_of(self._member(recipe, fold), self._traces, self._context)
            total += squares(said, self._traces, self._context, self._fold == fold)
            errors = log_errors(total, self._traces, self._context)
            if errors.min() >= limit:
                break
        return errors

    def _member(self, recipe: Recipe, fold: int) -> Member:
        rest = self._traces.without(self._fold == fold)
        linear = Recipe(recipe.hidden, anywhere=recipe.anywhere)
        if (linear, fold) not in self._linear:
            self._linear[linear, fold] = fit_linear(linear, rest)
        return add_terms(recipe, *self._linear[linear, fold], rest, self._seeds, _FINISHED)[0]


def _stretch(traces: Traces) -> int:
    """Ticks of a stretch: half a window."""
    return max(traces.mask.shape[1] // 2, 1)

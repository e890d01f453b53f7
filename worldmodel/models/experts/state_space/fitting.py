"""From traces to a state space that simulates them: the linear part first, then units that begin at zero."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.experts.state_space.cell import Cell, Shape, shoot
from worldmodel.models.experts.state_space.closed import linear
from worldmodel.models.experts.state_space.levenberg import Problem, minimise
from worldmodel.models.experts.state_space.traces import Traces

_WIDE = 20.0  # standard deviations that states may reach while they are fitted
_BEYOND = 3.0  # times the largest state that was met, where rollouts are kept
_LINEAR_STEPS, _RACE_STEPS, _STEPS = 15, 10, 25  # of Levenberg-Marquardt, after which little changes


class Belief(NamedTuple):
    """How far a context's readings are believed, where a start is found from them.

    Attributes:
        forgetting: a tick, how fast they lose weight.
        precision: how many times as precise they are as a simulation of them, whose error is mostly the model's.
    """

    forgetting: float | np.ndarray = 0.0
    precision: float | np.ndarray = 1.0


BELIEFS = [Belief(*both) for both in itertools.product((0.0, 0.03, 0.1, 0.3), (1.0, 10.0))]


@dataclasses.dataclass(frozen=True)
class _Term:
    """Units that may be added: their activation, number and first steepness; `sharp` ones see one state each."""

    activation: str
    count: int = 1
    slope: float = 0.7
    sharp: bool = False


TERMS = {  # as they are tried: there may be no time for the last, and a cube grows most where nothing was seen
    "friction": _Term("tanh", 1, 8.0, sharp=True),
    "overflow": _Term("ramp", 2),
    "spring": _Term("cube"),
    "smooth": _Term("tanh", 3),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is chosen.

    Attributes:
        hidden: states that are not read.
        terms: names of `TERMS`.
        ridge: of their units, in shares of the linear error.
        anywhere: what happens does not depend on the readings themselves, as it does not on where a slide stands.
    """

    hidden: int
    terms: tuple[str, ...] = ()
    ridge: float = 1e-2
    anywhere: bool = False

    def __str__(self) -> str:
        parts = (f"{self.hidden} hidden", *self.terms, *(["anywhere alike"] if self.anywhere else []))
        return f"{' + '.join(parts)} (ridge {self.ridge:g})"

    def depends(self, shape: Shape) -> Float[np.ndarray, " P"]:
        """1 for each parameter that may be other than 0, else 0."""
        rows = np.ones((shape.inputs, 1))
        rows[: shape.readings] = not self.anywhere
        return shape.join(linear=rows, constant=1, inner=rows if shape.units else 0, bias=1, outer=1)

    def shape(self, readings: int, actions: int) -> Shape:
        """Sizes for so many readings and actions."""
        states = readings + self.hidden
        kinds = [TERMS[t].activation for t in self.terms for _ in range(_count(TERMS[t], states))]
        return Shape(readings, self.hidden, actions, tuple(kinds))


@dataclasses.dataclass
class Member:
    """One fitted state space.

    Attributes:
        flat: parameters.
        limit: that no state's magnitude exceeds.
        error: root mean squared error of the simulation that it was fitted on.
        seed: that drew its first units.
    """

    shape: Shape
    flat: Float[np.ndarray, " P"]
    limit: Float[np.ndarray, " S"]
    error: Float[np.ndarray, " Y"]
    seed: int = 0

    @property
    def loss(self) -> float:
        """Mean squared error over all readings."""
        return float((self.error**2).mean())

    @property
    def cell(self) -> Cell:
        """The state space itself."""
        return Cell(self.shape, self.flat, self.limit)

    def start(self, seen: Traces, belief: Belief) -> Float[np.ndarray, "W S"]:
        """States at the first tick of contexts; a belief may be of each."""
        shape, age = self.shape, np.arange(seen.readings.shape[1])[::-1]
        guess = np.concatenate([seen.readings[:, 0], np.zeros((len(seen.mask), shape.hidden))], 1)
        forgetting, precision = (np.reshape(part, (-1, 1)) for part in belief)
        sure = precision * np.exp(-0.5 * forgetting * age)
        return shoot(
            self.cell, guess, seen.readings, np.where(seen.mask, sure[..., None] / self.error, 0.0), seen.actions
        )

    def predict(self, seen: Traces, ahead: Float[np.ndarray, "W H A"], belief: Belief) -> Float[np.ndarray, "W H Y"]:
        """Readings at the ticks ahead."""
        start, actions = self.start(seen, belief), np.concatenate([seen.actions, ahead], 1)
        states = self.cell.rollout(start, actions)
        return states[:, seen.readings.shape[1] :, : self.shape.readings]

    def in_steps_of(self, share: float) -> "Member":
        """The same system in steps that are shorter: each does that share."""
        parts = self.shape.split(self.flat)
        change = {name: share * parts[name] for name in ("linear", "constant", "outer")}
        return dataclasses.replace(self, flat=self.shape.join(**parts | change))


def fit_linear(recipe: Recipe, traces: Traces) -> tuple[Member, Float[np.ndarray, "W S"]]:
    """A member without terms, and the start of each window."""
    recipe = dataclasses.replace(recipe, terms=())
    shape = recipe.shape(*_columns(traces))
    start = np.concatenate([traces.readings[:, 0], np.zeros((len(traces.mask), shape.hidden))], 1)
    first = linear(shape, traces) * recipe.depends(shape)
    problem = _problem(recipe, first, np.full(shape.size, 1e-9), traces)
    return _finish(problem, *minimise(problem, first, start, _LINEAR_STEPS))


def add_terms(
    recipe: Recipe,
    base: Member,
    start: Float[np.ndarray, "W S"],
    traces: Traces,
    seeds: Sequence[int],
    count: int = 1,
    allowance: Allowance = UNLIMITED,
) -> list[Member]:
    """The `count` best members with the recipe's terms, from a linear one and its starts on, the best first.

    Each seed draws first units; after some steps, in half of the time that is allowed, the best go on. Of fits from
    different units the nearest to the data are nearest to what was left out, too.
    """
    if not recipe.terms:
        return [base]
    race = allowance.part(allowance.left / 2)
    racers: list[tuple[Problem, np.ndarray, np.ndarray, int]] = []
    for seed in seeds:
        if racers and race.is_over:
            race.leave_out(f"more than {len(racers)} fits of the state space")
            break
        problem, first = _with_units(recipe, base, traces, seed)
        racers.append((problem, *minimise(problem, first, start, _RACE_STEPS), seed))
    racers.sort(key=lambda racer: racer[0].cost(*racer[1:3]))
    finished: list[Member] = []
    for problem, flat, starts, seed in racers[:count]:
        steps = 0 if allowance.is_over else _STEPS
        finished.append(dataclasses.replace(_finish(problem, *minimise(problem, flat, starts, steps))[0], seed=seed))
    return sorted(finished, key=lambda member: member.loss)


def fit_again(
    recipe: Recipe,
    base: Member,
    traces: Traces,
    begin: Sequence[tuple[Member, Float[np.ndarray, "W S"]]],
    allowance: Allowance = UNLIMITED,
) -> list[Member]:
    """Members fitted to other windows, each from where it ended: where it lies is part of what was chosen.

    Of many first units hardly one ends well, and those that did on all windows need not on part of them.

    Args:
        recipe: theirs.
        base: a linear member of these windows, by whose error terms are held back.
        traces: the windows.
        begin: each member, and where it begins in these windows; a linear fit's starts may be of other hidden states.
        allowance: time for it; the first one is fitted.
    """
    if not recipe.terms:
        return [base]
    found: list[Member] = []
    for member, start in begin:
        if found and allowance.is_over:
            break
        problem = _problem(recipe, member.flat, _ridge(recipe, base), traces)
        again, _ = _finish(problem, *minimise(problem, member.flat, start, _STEPS))
        found.append(dataclasses.replace(again, seed=member.seed))
    return found


def _with_units(recipe: Recipe, base: Member, traces: Traces, seed: int) -> tuple[Problem, Float[np.ndarray, " P"]]:
    """What is to be minimised once the units of a seed are added to a linear member, and the parameters then."""
    shape, parts = recipe.shape(*_columns(traces)), base.shape.split(base.flat)
    inner, bias = _units(recipe, shape, seed)
    first = shape.join(linear=parts["linear"], constant=parts["constant"], inner=inner, bias=bias, outer=0)
    first = first * recipe.depends(shape)
    return _problem(recipe, first, _ridge(recipe, base), traces), first


def _ridge(recipe: Recipe, base: Member) -> Float[np.ndarray, " P"]:
    """Of each parameter, by the error of a linear member."""
    outer = recipe.ridge * base.loss
    shape = recipe.shape(base.shape.readings, base.shape.actions)
    return shape.join(linear=1e-9, constant=1e-9, inner=outer / 10, bias=outer / 10, outer=outer)


def _problem(recipe: Recipe, first: Float[np.ndarray, " P"], ridge: Float[np.ndarray, " P"], traces: Traces) -> Problem:
    shape, share = recipe.shape(*_columns(traces)), traces.mask / max(traces.mask.sum(), 1)
    limit = np.full(shape.states, _WIDE)
    return Problem(shape, limit, traces, share, first, ridge, recipe.depends(shape))


def _finish(
    problem: Problem, flat: Float[np.ndarray, " P"], start: Float[np.ndarray, "W S"]
) -> tuple[Member, Float[np.ndarray, "W S"]]:
    shape, traces = problem.shape, problem.traces
    states = Cell(shape, flat, problem.limit).rollout(start, traces.actions)
    counted = states[problem.weight.any((1, 2))]
    limit = np.minimum(_BEYOND * np.abs(counted).max((0, 1)), _WIDE)
    error = problem.weight * (states[..., : shape.readings] - traces.readings) ** 2
    mean = error.sum((0, 1)) / np.maximum(problem.weight.sum((0, 1)), 1e-12)
    return Member(shape, flat, limit, np.sqrt(np.maximum(mean, 1e-10))), start


def _columns(traces: Traces) -> tuple[int, int]:
    return traces.readings.shape[-1], traces.actions.shape[-1]


def _count(term: _Term, states: int) -> int:
    return states if term.sharp else term.count


def _units(recipe: Recipe, shape: Shape, seed: int) -> tuple[Float[np.ndarray, "Z U"], Float[np.ndarray, " U"]]:
    """Where units begin: weights of states and actions, and biases."""
    rng, inner = np.random.default_rng(seed), []
    for term in (TERMS[name] for name in recipe.terms):
        if term.sharp:
            inner.append(term.slope * np.eye(shape.inputs, shape.states))
        else:
            inner.append(term.slope * rng.normal(size=(shape.inputs, term.count)))
    return np.concatenate(inner, 1), rng.normal(scale=0.3, size=len(shape.units))

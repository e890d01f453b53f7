"""The training loop: it knows nothing of files, and tells what it does as events."""

import contextlib
import time
from collections.abc import Hashable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from worldmodel.errors import TrainingDivergedError
from worldmodel.training.data import Batches
from worldmodel.training.evaluate import Evaluation, Selection
from worldmodel.training.state import Learner, TrainState, learning_rate
from worldmodel.types import Array

LOOK = "look for outliers with `worldmodel inspect`, or train with another --seed"
_REPORT_EVERY = 20  # updates


class Budget(NamedTuple):
    """How long to train: so many updates in all, or minutes of wall clock in all."""

    steps: int | None
    minutes: float | None

    def share(self, state: TrainState) -> float:
        """The part of it that is spent; 1 at its end."""
        spent = state.step / self.steps if self.steps else state.seconds / (60 * (self.minutes or 1))
        return min(float(spent), 1.0)

    def share_at(self, step: int, state: TrainState) -> float:
        """The part that will be spent at an update, as far as `state` can tell."""
        return self.share(state._replace(step=np.int64(step)))


class Source(NamedTuple):
    """Where a training gets its windows: those that it learns from, and those that select."""

    batches: Batches
    selection: Selection


class Doing(NamedTuple):
    """What comes next: a program is compiled, which takes a while."""

    what: str


class Updated(NamedTuple):
    """The first update, every twentieth and the last: `values` are figures for the history."""

    state: TrainState
    values: dict[str, float]


class Evaluated(NamedTuple):
    """The select episodes were scored: a moment to keep the state, and the parameters if they are the best so far."""

    state: TrainState
    evaluation: Evaluation
    improved: bool


Event = Doing | Updated | Evaluated


def fit(learner: Learner, state: TrainState, source: Source, budget: Budget) -> Iterator[Event]:
    """Trains from `state` until the budget is spent, and yields what happens; the last event is an `Evaluated`.

    The learning rate, the horizon and the moments of evaluation follow the share of the budget that is spent. Time
    counts from the call on, with all compiling, and with what whoever iterates does meanwhile.

    Raises:
        TrainingDivergedError: if the loss or a parameter is no finite number.
    """
    if budget.share(state) == 1:
        return
    config, selection, clock = learner.config, source.selection, _Clock(state)
    first, evaluated = int(state.step), int(budget.share(state) * config.evaluations)

    def horizon_at(step: int) -> int:
        return config.horizon_at(budget.share_at(step, state), len(state.errors))

    for horizon, batch in source.batches.stream(first, horizon_at):
        if horizon not in clock.compiled:
            yield Doing(f"compiling rollouts of {horizon} ticks")
        rate = learning_rate(config, int(state.step), budget.share(state))
        with clock.first_of(horizon):
            state, loss, terms = learner.update(state, batch, rate)
        state = clock.read(state)
        share = budget.share(state)
        if state.step == first + 1 or state.step % _REPORT_EVERY == 0 or share == 1:
            _check_finite(loss, state)
            rates = {"learning_rate": rate, "steps_per_s": clock.per_second(int(state.step) - first)}
            values = {"loss": loss, "horizon": horizon, **rates, **terms}
            yield Updated(state, {name: float(value) for name, value in values.items()})
        if int(share * config.evaluations) > evaluated:
            evaluated = int(share * config.evaluations)
            if selection not in clock.compiled:
                yield Doing("compiling the evaluation")
            with clock.first_of(selection):
                evaluation = _evaluate(learner, state, selection)
            improved = bool(evaluation.score <= state.best)
            best = np.float64(min(evaluation.score, state.best))
            state = clock.read(state._replace(errors=evaluation.errors, best=best))
            yield Evaluated(state, evaluation, improved)
        if share == 1:
            return


def _evaluate(learner: Learner, state: TrainState, selection: Selection) -> Evaluation:
    for leaf in jax.tree.leaves(state.params):
        _check_finite(leaf, state)
    return selection.measure(learner.model(state.params))


def _check_finite(value: Array, state: TrainState) -> None:
    if not np.isfinite(jax.device_get(value)).all():  # in JAX, a program would be compiled for each shape
        raise TrainingDivergedError(
            f"The loss or a parameter is no finite number after step {int(state.step)}.",
            remedy=LOOK,
        )


class _Clock:
    """Wall clock since a training went on from `state`, and the part of it that the first calls of programs took."""

    def __init__(self, state: TrainState) -> None:
        self.compiled: set[Hashable] = set()
        self._state, self._began, self._compiling_s = state, time.monotonic(), 0.0

    @contextlib.contextmanager
    def first_of(self, program: Hashable) -> Iterator[None]:
        """Counts as compiling, if the program was not called before: calls return before their results are there."""
        began = time.monotonic()
        yield
        if program not in self.compiled:
            self.compiled.add(program)
            self._compiling_s += time.monotonic() - began

    def read(self, state: TrainState) -> TrainState:
        seconds = self._state.seconds + time.monotonic() - self._began
        compiling = self._state.compile_seconds + self._compiling_s
        return state._replace(seconds=np.float64(seconds), compile_seconds=np.float64(compiling))

    def per_second(self, updates: int) -> float:
        return updates / max(time.monotonic() - self._began - self._compiling_s, 1e-6)

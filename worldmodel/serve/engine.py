"""Answers questions of several clients at once, each as if it were alone."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import jax
import numpy as np
from flax import nnx

from worldmodel.codecs import codec
from worldmodel.compiled import keep_compiled
from worldmodel.foreteller import Foreteller
from worldmodel.imagine.engine import Imagined, Pictures, roll_out
from worldmodel.imagine.forecaster import Forecasted, Forecaster
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.serve.limits import Limits
from worldmodel.serve.question import Asked, Question, answer, question_of
from worldmodel.training.run import Run
from worldmodel.types import Samples

SIZES = (1, 4, 16)  # of batches, the last question repeated: few programs are compiled


class Engine(Protocol):
    """What computes answers.

    Attributes:
        together: questions that it gains by answering at once.
    """

    together: int

    def warm(self, limits: Limits) -> None:
        """Compiles what most questions ask for."""

    def answers(self, questions: Sequence[Question]) -> list[Trajectory]:
        """One for each of the questions, which are of one shape and not more than go together."""


def engine_of(who: Foreteller) -> Engine:
    """What answers for a run or a scene."""
    return RunEngine(who) if isinstance(who, Run) else Simulating(who)


class Simulating:
    """A scene. MuJoCo spreads each question over all cores, and one that becomes unstable concerns no other."""

    together = 1

    def __init__(self, who: Foreteller) -> None:
        self._foreseer = who.foreseer()

    def warm(self, limits: Limits) -> None:
        """Nothing is compiled."""

    def answers(self, questions: Sequence[Question]) -> list[Trajectory]:
        """One for each, which is that of `scene.imagine` on a log of the same samples."""
        return [answer(asked, self._foreseen(asked), self._foreseer.names) for asked in questions]

    def _foreseen(self, asked: Question) -> Forecasted:
        return self._foreseer.seeded(asked.seed).futures(asked.moment.context, asked.commands, (), asked.rolled)


class RunEngine:
    """A run's experts and network.

    A question's noise comes of its own seed and of nothing beside it, so that its answer is that of `run.imagine` on a
    log of the same samples, up to the rounding of larger matrix products.
    """

    together = max(SIZES)

    def __init__(self, run: Run) -> None:
        keep_compiled()
        self.run = run
        self._forecaster = Forecaster(run.team, None)
        self.names = self._forecaster.names
        if run.model is not None:
            graph, self._state = nnx.split(run.model)
            self._compiled = jax.jit(partial(_each, graph), static_argnums=5)

    def warm(self, limits: Limits) -> None:
        """Compiles what questions as far as was trained, without frames, ask for."""
        spec = (*self.run.layout.readings, *self.run.layout.videos)[0]
        first = Samples(np.zeros(1), np.zeros((1, *spec.sample_shape), codec(spec).dtype))
        asked = question_of(self.run, {spec.name: first}, Asked(), limits)
        for size in SIZES:
            self.answers([asked] * min(size, limits.batch))

    def answers(self, questions: Sequence[Question]) -> list[Trajectory]:
        """One for each of the questions, which are of one shape."""
        rolled = None if self.run.model is None else self._roll(questions)
        given = [(q.moment.context, q.commands) for q in questions]
        context, commands = jax.tree.map(lambda *x: np.concatenate(x), *given)
        seeds, members = [q.seed for q in questions], questions[0].rolled
        foreseen = self._forecaster.blended(context, commands, rolled, members, seeds)
        return [answer(asked, _of_window(foreseen, i), self.names) for i, asked in enumerate(questions)]

    def _roll(self, questions: Sequence[Question]) -> tuple[Imagined, list[Pictures]]:
        """What the network imagines of each window, as if it were alone."""
        size = next(s for s in SIZES if s >= len(questions))
        padded = [*questions, *[questions[-1]] * (size - len(questions))]
        given = [(q.moment.context, q.commands, tuple(q.ticks)) for q in padded]
        together = jax.tree.map(lambda *x: np.stack(x), *given)
        keys = np.array([[q.seed, 0] for q in padded], np.uint32)
        out = jax.device_get(self._compiled(self._state, *together, keys, questions[0].rolled))
        return jax.tree.map(lambda x: x[: len(questions), 0], out)


def _of_window(foreseen: Forecasted, row: int) -> Forecasted:
    """One window (B = 1) of several."""
    frames, weights = [x[row : row + 1] for x in foreseen.frames], foreseen.weights[:, row : row + 1]
    one = [x[row : row + 1] for x in (foreseen.clean, foreseen.read, foreseen.outside)]
    return Forecasted(one[0], one[1], frames, weights, one[2])


def _each(graph, state, contexts, commands, ticks, keys, members: int):
    """`roll_out` of each of several questions, with a key of its own."""

    def one(context, actions, ticks, key):
        return roll_out(graph, state, context, actions, ticks, key, members)

    return jax.vmap(one)(contexts, commands, ticks, keys)

"""Problems and predictors by hand, for tests of what scores them."""

import dataclasses

import numpy as np

from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context
from worldmodel.types import Commands, StreamSpec
from worldmodel.validate import Forecast
from worldmodel.validate.problem import Answers, Came, Problem

DT = 0.1


class Says:
    """Predicts what it was made with."""

    def __init__(self, name: str = "says", **parts) -> None:
        self.name, self.parts = name, parts

    def predict(self, problem: Problem) -> Forecast:
        return Forecast(**self.parts)


class Oracle:
    """Knows what came, `off` by so much at every tick; where nothing came, it says what came before."""

    name = "oracle"

    def __init__(self, problem: Problem, off: float = 0.0) -> None:
        self.came, self.off = problem.truth.truth, off

    def predict(self, problem: Problem) -> Forecast:
        return Forecast(mean={name: came.values + self.off for name, came in self.came.items()})


def problem_by_hand(
    spec: StreamSpec, values: np.ndarray, mask: np.ndarray | None = None, age_ticks: np.ndarray | None = None
) -> Problem:
    """One stream that read `values` [W, H, P], each start an episode of its own; nothing is known of before."""
    windows, horizon, _ = values.shape
    layout = TickLayout(DT, (spec,))
    mask = np.ones(values.shape, bool) if mask is None else mask
    ages = np.zeros(values.shape[:2]) if age_ticks is None else age_ticks
    came = {spec.name: Came(np.where(mask, values, 0), mask, ages)}
    past = np.zeros((windows, 3, layout.size), np.float32)
    nothing = [Commands(*(np.zeros((windows, ticks, 0)) for _ in range(3))) for ticks in (2, horizon)]
    context = Context(past, past > 0, np.zeros((windows, 3, 1)), nothing[0], (), ())
    starts = np.stack([np.arange(windows), np.full(windows, 2)], 1)
    answers = Answers(None, None, came, came, True)  # type: ignore[arg-type]
    return Problem(
        "by hand", "replay", layout, starts, starts[:, 0], context, nothing[1], {}, layout.readings, "", answers
    )


def with_truth(problem: Problem, name: str, came: Came) -> Problem:
    """The same problem with another truth than what was recorded."""
    return dataclasses.replace(problem, answers=problem.truth._replace(truth={name: came}))

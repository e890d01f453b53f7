"""Where a machine is whose positions were out, and where it is with them: beside dead reckoning, and beside fixes."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldmodel.benchmark.problem import OUT, PLACE, RAW, RECKONED
from worldmodel.logs.reader import Log
from worldmodel.training import Run
from worldmodel.types import StreamSpec
from worldmodel.validate import Forecast, Model, Problem
from worldmodel.validate.carried import carried
from worldmodel.validate.faults import positions
from worldmodel.validate.forecast import ask
from worldmodel.validate.outages import MOST_STARTS, raw_fix
from worldmodel.validate.problem import problem_of
from worldmodel.validate.reckoned import reckoned
from worldmodel.validate.scores import Yardstick, errors_of


def places(run: Run, path: Path, out_s: float, seed: int) -> Iterator[tuple[str, str, str, float, float, str]]:
    """Distances of places ahead from the truth, root mean squares: model, stream, figure, horizon (s), value, unit.

    Args:
        run: what says where it is: as it sees fixes, and without those of the last seconds before each start.
        path: a log with truth, of episodes that have room for an outage, a context and a horizon.
        out_s: how many seconds positions are out.
        seed: of members, which no figure here is of.
    """
    with Log(path, truth=True) as log:
        windows, ticks, model = run.windows(log), round(out_s / run.layout.dt), Model(run, seed)
        made = problem_of(windows, name=OUT, max_starts=MOST_STARTS, after=ticks, unmoved=run.unmoved)
        problem = dataclasses.replace(made, frame_ticks={})
        for spec in positions(problem):
            rule = reckoned(run.baselines, problem, spec, ticks)
            if rule is not None:
                problem = _where(problem, spec, rule.told)
            said = {
                (model.name, OUT): carried(model, problem, spec, ticks),
                (model.name, PLACE): ask(model, problem),
                (RECKONED, OUT): None if rule is None else rule.forecast,
            }
            found = {key: _off(each, problem, spec) for key, each in said.items() if each is not None}
            if (raw := raw_fix(problem, spec)) is not None:
                found[RAW, PLACE] = raw
            for (name, figure), curve in found.items():
                for horizon_s, tick in problem.horizons.items():
                    yield name, spec.name, figure, horizon_s, float(curve[tick]), "m"


def _where(problem: Problem, spec: StreamSpec, told: np.ndarray) -> Problem:
    """The problem, which scores a stream at some of its starts alone."""
    answers, came = problem.truth, problem.truth.recorded[spec.name]
    scored = came._replace(mask=came.mask & told[:, None, None])
    return dataclasses.replace(problem, answers=answers._replace(recorded={**answers.recorded, spec.name: scored}))


def _off(forecast: Forecast, problem: Problem, spec: StreamSpec) -> np.ndarray:
    """[H] root mean square of the distances from the truth."""
    measure = Yardstick.of(problem, spec)
    return measure.joined(measure.columns(errors_of(forecast, problem, spec).truth ** 2))

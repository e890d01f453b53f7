"""A small problem of recordings: a first-order lag that is driven at random, exactly recorded."""

import inspect
from pathlib import Path

import numpy as np

from worldmodel.benchmark import BenchmarkProblem, Goal, Published, Recorded
from worldmodel.benchmark.catalogue import FREE_RUN
from worldmodel.logs.reader import Log
from worldmodel.validate import Forecast, Problem, make_problem, score, validate

DT, DECAY, GAIN = 0.1, 0.9, 0.5
RECIPE = """
format = "worldmodel-recipe"
version = 1

[clock]
period_s = 0.1

[streams.level]
kind = "sensor"
columns = { height = "y" }
units = "m"
rate_hz = 10

[streams.valve]
kind = "action"
columns = { opening = "u" }
rate_hz = 10
"""


def write_recordings(folder: Path, rows: int = 80) -> Path:
    """Three files to train on and one to test on, in a folder `lag`; returns the folder to give as `--data`."""
    (folder / "lag").mkdir(parents=True)
    (folder / "lag.toml").write_text(RECIPE)
    for seed, name in enumerate(("train0", "train1", "train2", "test0")):
        rng = np.random.default_rng(seed)
        level, valve = np.zeros(rows), np.repeat(rng.normal(size=rows // 4 + 1), 4)[:rows]
        for k in range(rows - 1):
            level[k + 1] = DECAY * level[k] + GAIN * valve[k]
        lines = [f"{y!r},{u!r}" for y, u in zip(level.tolist(), valve.tolist(), strict=True)]
        (folder / "lag" / f"{name}.csv").write_text("\n".join(["y,u", *lines]) + "\n")
    return folder


def lag_problem(data: Path, free_run: bool = False) -> BenchmarkProblem:
    """The problem `lag` on what `write_recordings` wrote."""
    aims = (Goal("nrmse", "level", than=("hold",)),) if not free_run else (Goal(FREE_RUN, "level", limit=10.0),)
    return BenchmarkProblem(
        name="lag",
        title="A first-order lag",
        logs=Recorded("lag", "lag/*.csv", train=("train*",), recipe=str(data / "lag.toml")),
        dt=DT,
        context_s=16 * DT,
        horizon_s=5 * DT,
        free_run=free_run,
        unit=("mm", 1000.0) if free_run else None,
        shown=(FREE_RUN,) if free_run else ("nrmse",),
        goals=aims,
        published=(Published("theirs", FREE_RUN if free_run else "rmse", "level", 0.25, None if free_run else 0.5),),
        source="a made-up table",
        differs="nothing",
    )


class Holds:
    """Predicts the last reading."""

    def __init__(self, name: str) -> None:
        self.name = name

    def predict(self, problem: Problem) -> Forecast:
        return Forecast({name: np.repeat(past[:, -1:], problem.horizon, 1) for name, past in problem.past.items()})


class Exact:
    """Knows the lag."""

    name = "exact"

    def predict(self, problem: Problem) -> Forecast:
        level, ahead = problem.past["level"][:, -1], []
        for step in np.moveaxis(problem.actions["valve"][:, -problem.horizon :], 1, 0):
            level = DECAY * level + GAIN * step
            ahead.append(level)
        return Forecast({"level": np.stack(ahead, 1)})


def quick_validate(run, *, log, predictors, horizon_s, max_starts, **more):
    """In the place of `validate`, and asked as that may be: an exact `model`, a `hold`, and what is given."""
    asked = {"log": log, "predictors": predictors, "horizon_s": horizon_s, "max_starts": max_starts}
    inspect.signature(validate).bind(run, **asked, **more)
    model = Exact()
    model.name = "model"
    with Log(log, truth=True) as opened:
        problem = make_problem(
            opened, dt=DT, context_s=16 * DT, horizon_s=horizon_s or 5 * DT, max_starts=max_starts, name="lag"
        )
        return score(problem, [model, Holds("hold"), *predictors])

"""The rows of the benchmark's table: one figure of one predictor each, with what is aimed at and what is published."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from worldmodel.benchmark.catalogue import FREE_RUN
from worldmodel.benchmark.problem import ALL, RANK, BenchmarkProblem, Goal
from worldmodel.codecs import codec
from worldmodel.types import StreamSpec
from worldmodel.validate import Result
from worldmodel.validate.metrics import nanmean
from worldmodel.validate.scores import Score

Figure = tuple[str, str, str, float, float | None, str]  # model, stream, name, horizon in s, value, unit
_Values = dict[tuple[str, str, float], dict[str, float]]  # by figure, stream and horizon, those of each model
SUBJECT = "model"  # whom goals are for: what a run says as a whole
HIGHER = ("psnr", RANK)  # figures that are better the higher they are
_FIGURES = ("rmse", "nrmse", "gap_low", "gap_high", "coverage50", "coverage90", "spread_skill")


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure. It is a line of `rows` in `benchmark.json`.

    Attributes:
        problem, model, seed, stream: whose; the stream is `all` for all columns of all of them.
        figure: as in metrics.json (docs/metrics.md); `column_rmse`, the root mean square over a stream's columns;
            `free_run_rmse`, over a whole record, with the test's name where there are several; or `outage_rmse` and
            `place_rmse`, distances from the true place with positions out and with them.
        horizon_s: seconds ahead; of a free run its length.
        value: in `unit`; None where the model diverged.
        goal: at most this (of what is better the higher it is, at least), or within these two; None where there is
            none.
        published: the best that others have published.
    """

    problem: str
    model: str
    seed: int
    stream: str
    figure: str
    horizon_s: float
    value: float | None
    unit: str = ""
    goal: float | tuple[float, float] | None = None
    published: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        if isinstance(self.goal, tuple):
            least, most = self.goal
        else:
            least, most = (self.goal, math.inf) if self.figure in HIGHER else (-math.inf, self.goal)
        return self.value is not None and least <= self.value <= most

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Row":
        goal = raw["goal"]
        return cls(**{**raw, "goal": tuple(goal) if isinstance(goal, list) else goal})


def rows_of(problem: BenchmarkProblem, seed: int, results: dict[str, Result], more: Iterable[Figure] = ()) -> list[Row]:
    """All rows of a seed, from the results of each test, and of `more` figures."""
    rows: list[Row] = []
    tested = (figure for test, result in results.items() for figure in _figures_of(problem, test, result))
    for model, stream, name, horizon_s, value, unit in itertools.chain(tested, more):
        if value is None or math.isfinite(value):
            rows.append(Row(problem.name, model, seed, stream, name, round(horizon_s, 6), value, unit))
    values = _by_place(rows)
    return [_with_aims(row, problem, values) for row in rows]


def _figures_of(problem: BenchmarkProblem, test: str, result: Result) -> Iterator[Figure]:
    if problem.free_run:
        return _of_free_run(problem, test, result)
    return _of_branches(result) if result.setting.kind == "counterfactual" else _of_replay(result)


def _of_branches(result: Result) -> Iterator[Figure]:
    for horizon_s, tick in result.horizons.items():
        for stream, table in result.scores.items():
            for model, score in table.items():
                yield model, stream, RANK, horizon_s, float(score.rank_correlation[tick]), ""


def _of_free_run(problem: BenchmarkProblem, test: str, result: Result) -> Iterator[Figure]:
    """Of one start the error at each tick is a distance: its root mean square over all of them is the run's.

    Likewise the share of its readings that lie within intervals. It is of one path, whose errors last: no calibration.
    """
    named = f" {test}" if len(problem.logs.tests) > 1 else ""  # type: ignore[union-attr]
    (unit, times), length_s = problem.unit or ("", 1.0), float(result.times[-1])
    for stream, table in result.scores.items():
        for model in dict.fromkeys((result.subject, *table)):
            value = times * float(np.sqrt(np.nanmean(table[model].rmse ** 2))) if model in table else None
            yield model, stream, FREE_RUN + named, length_s, value, unit
        for model, score in table.items():
            for figure in ("coverage50", "coverage90"):
                yield model, stream, figure + named, length_s, float(nanmean(getattr(score, figure))), ""


def _of_replay(result: Result) -> Iterator[Figure]:
    for horizon_s, tick in result.horizons.items():
        for model, curve in result.overall.items():
            yield model, ALL, "nrmse", horizon_s, float(curve[tick]), ""
        for stream, table in result.scores.items():
            spec = result.streams[stream]
            for model, score in table.items():
                for figure, value, unit in _at(score, spec, tick):
                    yield model, stream, figure, horizon_s, value, unit
    for i, horizon_s in enumerate(result.horizons):
        for stream, films in result.video.items():
            for model, film in films.items():
                yield model, stream, "psnr", horizon_s, float(film.psnr[i]), "dB"


def _at(score: Score, spec: StreamSpec, tick: int) -> Iterator[tuple[str, float, str]]:
    """The figures of a stream at a tick, and their units."""
    what = codec(spec)
    units = set(what.error_units[what.figure])
    for figure in _FIGURES:
        unit = next(iter(units)) if figure == "rmse" and len(units) == 1 else ""
        yield figure, float(getattr(score, figure)[tick]), unit
    if len(units) == 1:
        yield "column_rmse", float(np.sqrt(nanmean(score.column_rmse[tick, what.figure] ** 2))), next(iter(units))


def _by_place(rows: Iterable[Row]) -> _Values:
    values: _Values = {}
    for row in rows:
        if row.value is not None:
            values.setdefault((row.figure, row.stream, row.horizon_s), {})[row.model] = row.value
    return values


def _with_aims(row: Row, problem: BenchmarkProblem, values: _Values) -> Row:
    """The row with its tightest goal, and the best published figure."""
    where = row.figure, row.stream, row.horizon_s
    goals = [_bound(goal, row, values) for goal in problem.goals if goal.of(*where)]
    most = [goal for goal in goals if isinstance(goal, float)]
    pair = next((goal for goal in goals if isinstance(goal, tuple)), None)
    published = [known.value for known in problem.published if known.of(*where)]
    best = max if row.figure in HIGHER else min
    return dataclasses.replace(row, goal=best(most, default=pair), published=best(published, default=None))


def _bound(goal: Goal, row: Row, values: _Values) -> float | tuple[float, float] | None:
    """What a goal asks of a row; None if it asks nothing of this one."""
    if not goal.than:
        return goal.within or goal.limit
    others = values.get((row.figure, row.stream, row.horizon_s), {})
    names = [name for name in goal.than if name in others]
    if not names or row.model in goal.than:
        return None
    best = (max if row.figure in HIGHER else min)(names, key=others.__getitem__)
    return goal.times * others[best] + (_margin(row, best, values) if goal.beyond_interval else 0.0)


def _margin(row: Row, rival: str, values: _Values) -> float:
    """How far behind the rival the measured model may be, before the interval of their difference lies on one side."""
    high = values.get(("gap_high", row.stream, row.horizon_s), {})
    if row.value is None or row.model != SUBJECT or rival not in high:
        return 0.0
    return max(high[rival] - (values[row.figure, row.stream, row.horizon_s][rival] - row.value), 0.0)

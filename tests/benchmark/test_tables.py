"""Rows with their goals, and the tables that people read: by hand."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from tests.benchmark.made_up import lag_problem
from tests.validate.problems import Oracle
from worldmodel.benchmark import PROBLEMS, Goal
from worldmodel.benchmark.rows import Row, _bound, _by_place, _with_aims, rows_of
from worldmodel.benchmark.tables import for_terminal, to_json, to_markdown, write_tables
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate import make_problem, score


def row(model, seed, value, **more):
    where = {"stream": "level", "figure": "nrmse", "horizon_s": 0.5}
    return Row(**{"problem": "lag", "model": model, "seed": seed, "value": value, **where, **more})


@pytest.fixture
def lag(tmp_path, monkeypatch):
    problem = lag_problem(tmp_path)
    monkeypatch.setitem(PROBLEMS, "lag", problem)
    return problem


def lines(rows) -> dict[str, list[str]]:
    cells = [line.strip("| ").split(" | ") for line in to_markdown(rows, {}).splitlines() if line.startswith("|")]
    return {first: rest for first, *rest in cells[2:]}


def test_medians_and_spread_are_over_seeds(lag):
    table = lines([row("model", seed, value, goal=0.25) for seed, value in enumerate((0.3, 0.2, 0.1))])
    assert table["world model"] == ["0.2 (0.1 to 0.3) ✓"]
    assert table["goal (of the first seed)"] == ["0.25"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_horizon_and_breaks_no_word(lag, tmp_path, width):
    horizons = [0.01 * 2**i for i in range(9)]
    rows = [
        row(model, seed, 0.1 * (seed + 1), horizon_s=s)
        for model in ("model", "floor_estimate")
        for seed in range(3)
        for s in horizons
    ]
    write_tables(tmp_path, rows, {"lag": ["Seed 0: a note of its own."]})
    console = Console(file=io.StringIO(), width=width)
    for part in for_terminal(tmp_path / "benchmark.json"):
        console.print(part)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    cells = [line for line in lines if line.strip().startswith("floor, estimated")]
    assert sum(line.count("0.2 (0.1 to 0.3)") for line in cells) == len(horizons)
    assert "Seed 0: a note of its own." in lines


def test_most_seeds_decide_whether_a_goal_is_reached(lag):
    values = (0.1, 0.3, 0.3)
    assert lines([row("model", s, v, goal=0.25) for s, v in enumerate(values)])["world model"][0].endswith("✗")


def test_a_seed_that_diverged_is_not_passed_over(lag):
    table = lines([row("model", seed, value, goal=0.5) for seed, value in enumerate((0.1, None, None))])
    assert table["world model"] == ["diverges (0.1 to diverges) ✗"]
    assert json.loads(to_json([row("model", 0, None)], {}))["rows"][0]["value"] is None


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [(0.2, None, None), (0.2, 0.2, True), (0.3, 0.2, False), (0.9, (0.85, 0.95), True), (0.96, (0.85, 0.95), False)],
)
def test_goals_are_at_most_or_within(value, goal, met):
    assert row("model", 0, value, goal=goal).met is met
    again = Row.from_json(json.loads(json.dumps(row("model", 0, value, goal=goal).to_json())))
    assert again == row("model", 0, value, goal=goal)


def test_of_what_is_better_the_higher_it_is_a_goal_is_the_least():
    assert row("model", 0, 24.1, figure="psnr", goal=23.5).met is True
    assert row("model", 0, 22.9, figure="psnr", goal=23.5).met is False
    goal = Goal("psnr", than=("mean", "hold"))
    rows = [row(name, 0, value, figure="psnr") for name, value in (("model", 24.1), ("mean", 23.5), ("hold", 20.0))]
    assert _bound(goal, rows[0], _by_place(rows)) == 23.5


def off_by(folder, spec, **by):
    """The result of predictors that are off by so much, on random readings of one stream."""
    time, columns = np.arange(30) / 10, len(spec.columns)
    with LogWriter(folder / "log.h5", [spec]) as log:
        log.append({spec.name: Samples(time, np.random.default_rng(0).normal(size=(30, columns)))})
    with Log(folder / "log.h5", truth=True) as log:
        problem = make_problem(log, dt=0.1, context_s=0.5, horizon_s=0.5)
        oracles = {name: Oracle(problem, np.array(off)) for name, off in by.items()}
        for name, oracle in oracles.items():
            oracle.name = name
        return score(problem, list(oracles.values()))


def test_the_tightest_goal_counts_and_bounds_no_rival(lag, tmp_path):
    result = off_by(tmp_path, StreamSpec("level", "sensor", ("height",), ("m",), 10.0), model=0.3, hold=0.8)
    goals = (Goal("rmse", "level", limit=9.0), Goal("rmse", "level", than=("hold",), times=0.5))
    rows = rows_of(dataclasses.replace(lag, goals=goals), 0, {"held_out": result})
    at = {r.model: r for r in rows if (r.figure, r.horizon_s) == ("rmse", 0.5)}
    assert at["model"].value == pytest.approx(0.3, rel=1e-4)
    assert at["model"].goal == pytest.approx(0.4, rel=1e-4)
    assert at["hold"].goal == 9.0
    assert (at["model"].published, at["model"].unit) == (0.25, "m")


def test_behind_a_rival_is_what_the_interval_of_the_difference_does_not_leave_open(lag, tmp_path):
    """Errors of equal size whose difference is noise are not told apart; a plain comparison does."""
    plain = (Goal("nrmse", "level", than=("hold",)),)
    fair = (Goal("nrmse", "level", than=("hold",), beyond_interval=True),)

    def met(goals, **rows):
        values = [("nrmse", "model", rows["ours"]), ("nrmse", "hold", 0.5), ("gap_high", "hold", rows["gap_high"])]
        made = [row(model, 0, value, figure=figure) for figure, model, value in values]
        return _with_aims(made[0], dataclasses.replace(lag, goals=goals), _by_place(made)).met

    assert met(plain, ours=0.52, gap_high=0.01) is False
    assert met(fair, ours=0.52, gap_high=0.01) is True
    assert met(fair, ours=0.52, gap_high=-0.01) is False
    assert met(fair, ours=0.4, gap_high=0.2) is True


def test_a_column_rmse_is_the_root_mean_square_over_columns(lag, tmp_path):
    spec = StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 10.0)
    rows = rows_of(lag, 0, {"held_out": off_by(tmp_path, spec, model=[0.3, 0.4, 0.0])})
    at = {r.figure: r.value for r in rows if (r.stream, r.horizon_s) == ("place", 0.5)}
    assert at["rmse"] == pytest.approx(0.5, rel=1e-4)  # the distance
    assert at["column_rmse"] == pytest.approx(0.5 / 3**0.5, rel=1e-4)

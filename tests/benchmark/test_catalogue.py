"""The entries of the benchmark fit their recipes and scenes, and say what is aimed at and what others have reached."""

import math
from fnmatch import fnmatch
from pathlib import Path

import pytest

from worldmodel.benchmark import PROBLEMS, Recorded
from worldmodel.benchmark.catalogue import FREE_RUN
from worldmodel.benchmark.problem import ALL, OUT, PLACE, Goal, Published
from worldmodel.logs.ingest import load_recipe
from worldmodel.logs.ingest.formats.tables.recipe import Recipe
from worldmodel.simulate import load_scene

ROOT = Path(__file__).parents[2]
FIGURES = {"nrmse", "rmse", "column_rmse", "coverage50", "coverage90", "spread_skill", "rank_correlation", OUT, PLACE}
# Of the quadrotor's table: centred derivatives of the poses, and what is interpolated between later samples.
LOOK_AHEAD = ("v[xyz]", "w[xyz]_vicon", "imu_*", "est_*", "att_*")


def known_ahead(problem) -> bool:
    """Whether a recipe or a scene says which streams there are."""
    return not isinstance(problem.logs, Recorded) or problem.logs.recipe is not None


def streams(problem) -> dict:
    source = load_recipe(problem.logs.recipe) if isinstance(problem.logs, Recorded) else load_scene(problem.logs.scene)
    return {stream.spec.name: stream.spec for stream in source.streams}


DESCRIBED = {name: problem for name, problem in PROBLEMS.items() if known_ahead(problem)}


def recorded() -> list[Recorded]:
    return [problem.logs for problem in PROBLEMS.values() if isinstance(problem.logs, Recorded)]


def columns(recipe: Recipe) -> set[str]:
    return {name for stream in recipe.streams for name in (*stream.sources, *stream.where)}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_aims_at_something_and_says_who_published(problem):
    assert problem.goals
    assert problem.source, "say where figures are published, or that none are"


@pytest.mark.parametrize("problem", DESCRIBED.values(), ids=DESCRIBED)
def test_goals_and_published_figures_are_of_what_is_measured(problem):
    there = streams(problem)
    readings = {name for name, spec in there.items() if spec.kind not in ("video", "action")}
    known = {f"{FREE_RUN} {test}".strip() for test in ("", *getattr(problem.logs, "tests", {}))} | FIGURES
    for aim in (*problem.goals, *problem.published):
        assert aim.figure in known
        assert aim.stream in ("", ALL) or aim.stream in readings
    for goal in problem.goals:
        assert sum((goal.limit is not None, goal.within is not None, bool(goal.than))) == 1
    assert all(known.value > 0 for known in problem.published)
    assert problem.differs or not problem.published, "say where the protocol differs from that of the published"
    assert any(spec.kind == "action" for spec in there.values())


@pytest.mark.parametrize("problem", DESCRIBED.values(), ids=DESCRIBED)
def test_a_tick_is_not_faster_than_what_is_commanded(problem):
    fastest = max(spec.rate_hz for spec in streams(problem).values() if spec.kind != "video")
    assert problem.dt >= 0.999 / fastest
    assert problem.context_s >= 2 * problem.dt
    if problem.free_run:
        assert problem.dt == pytest.approx(1 / fastest)  # each sample of the record is scored


@pytest.mark.parametrize("logs", recorded(), ids=lambda logs: logs.card)
def test_each_has_a_card_with_its_source_and_licence(logs):
    card = (ROOT / "datasets" / f"{logs.card}.md").read_text()
    command = f"--recipe {logs.recipe}" if logs.recipe else "worldmodel ingest"
    for word in ("**Source.**", "**Licence.**", command):
        assert word in card
    for index in ("datasets/README.md", "docs/benchmark.md"):
        assert f"{logs.card}.md)" in (ROOT / index).read_text()


def test_the_quadrotor_is_not_seen_through_columns_that_look_ahead():
    read = columns(load_recipe("nanobench"))
    assert {"px", "qw", "motor_motor_m1"} <= read
    assert not [name for name in read if any(fnmatch(name, pattern) for pattern in LOOK_AHEAD)]


def test_shapes_that_are_not_known_are_held_out():
    logs = PROBLEMS["nanobench"].logs
    train = [
        name for name in ("B2_circle_slow_rep1.csv", "B7_oval_slow_rep2.csv", "B9_star.csv") if matches(logs, name)
    ]
    assert train == ["B2_circle_slow_rep1.csv"]


def matches(logs: Recorded, name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in logs.train)


def test_goals_are_of_their_figure_stream_and_horizons():
    goal = Goal("nrmse", "", 0.1, 1.0, limit=1)
    assert goal.of("nrmse", "imu", 0.1)
    assert goal.of("nrmse", "imu", 1.0)
    assert not goal.of("nrmse", "imu", 1.5)
    assert not goal.of("rmse", "imu", 0.5)
    assert not goal.of("nrmse", ALL, 0.5)  # each stream, and not all of them together
    assert Goal("nrmse", ALL, limit=1).of("nrmse", ALL, math.pi)
    assert Published("GRU", "rmse", "imu", 1.0, 0.5).of("rmse", "imu", 0.5)
    assert not Published("GRU", "rmse", "imu", 1.0, 0.5).of("rmse", "imu", 1.0)


def test_the_documentation_names_every_problem():
    text = (ROOT / "docs" / "benchmark.md").read_text()
    assert not [name for name in PROBLEMS if f"`{name}`" not in text]

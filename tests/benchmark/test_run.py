"""The benchmark's command: what it measures, what it does not do twice, and what it refuses."""

import dataclasses
import inspect
import json
import sys
import types
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.benchmark.made_up import DT, Exact, Holds, lag_problem, quick_validate, write_recordings
from tests.untrained import untrained_run
from worldmodel import cli
from worldmodel.benchmark import PROBLEMS, Goal, Simulated, benchmark, run
from worldmodel.benchmark.problem import OUT, PLACE, RAW, RECKONED
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.validate import Forecast, make_problem, score

KEYS = {"problem", "model", "seed", "stream", "figure", "horizon_s", "value", "goal", "published"}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Recordings of the lag, which is a problem of the benchmark for the time of a test."""
    folder = write_recordings(tmp_path / "data")
    monkeypatch.setitem(PROBLEMS, "lag", lag_problem(folder))
    return folder


@pytest.fixture
def trained(monkeypatch):
    """The folders that were trained and how, by a `train` that does nothing, and validation by two known predictors."""
    calls, signature = [], inspect.signature(run.train)

    def train(logs, folder, **options):
        signature.bind(logs, folder, **options)
        calls.append((folder, options))
        notes = ("Its minutes left no time for the moon.",)
        return types.SimpleNamespace(notes=notes, layout=TickLayout(DT, ()), context=16, model=None)

    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr(run, "validate", quick_validate)
    return calls


def measure(tmp_path, recordings, **options):
    options = {"problems": ["lag"], "seeds": 2, "data": recordings, "progress": False} | options
    files = benchmark(tmp_path / "out", **options)
    return json.loads(files[0].read_text())


def value(table, **where):
    (row,) = [row for row in table["rows"] if all(row[key] == wanted for key, wanted in where.items())]
    return row["value"]


def test_every_seed_is_trained_by_the_problem_and_scored(tmp_path, data, trained):
    table = measure(tmp_path, data, minutes=7)
    assert [folder.parent.name for folder, _ in trained] == ["seed0", "seed1"]
    for seed, (_, options) in enumerate(trained):
        assert options["seed"] == seed
        assert (options["minutes"], options["dt"], options["context_s"]) == (7, DT, 16 * DT)
    assert (table["format"], table["version"]) == ("worldmodel-benchmark", 1)
    assert table["machine"]
    assert all(row.keys() >= KEYS for row in table["rows"])
    assert {row["model"] for row in table["rows"]} == {"model", "hold"}
    where = {"stream": "level", "figure": "nrmse", "horizon_s": 0.5, "seed": 1}
    assert value(table, model="model", **where) == pytest.approx(0, abs=1e-5)
    held = value(table, model="hold", **where)
    assert held > 0.1
    (goal,) = [r["goal"] for r in table["rows"] if r["model"] == "model" and where.items() <= r.items()]
    assert goal == held


def test_what_runs_had_no_time_for_is_said_beside_their_figures_and_kept(tmp_path, data, trained):
    for _ in range(2):  # the second call reads what the first has kept
        table = measure(tmp_path, data)
        assert table["problems"]["lag"]["notes"] == [
            f"Seed {i}: Its minutes left no time for the moon." for i in (0, 1)
        ]
    assert len(trained) == 2
    for name in ("benchmark.md", "benchmark.html"):
        assert "Seed 1: Its minutes left no time for the moon." in (tmp_path / "out" / name).read_text()


def test_the_rssm_has_all_the_time_for_itself_and_is_left_out_where_it_had_none(tmp_path, data, trained):
    table = measure(tmp_path, data, models=["model", "rssm"], minutes=3, seeds=1)
    found = {folder.name: (options["minutes"], options.get("dynamics")) for folder, options in trained}
    assert found == {"run": (3, None), "run_rssm": (6, "rssm")}  # of which its run's other experts have up to half
    assert {row["model"] for row in table["rows"]} == {"model"}
    assert table["problems"]["lag"]["notes"][-1].startswith("Seed 0: The rssm had no time for the whole horizon")


def test_only_what_is_held_out_is_scored(tmp_path, data, trained):
    measure(tmp_path, data)
    logs = tmp_path / "out" / "lag" / "logs"
    assert sorted(path.name for path in logs.iterdir()) == ["held_out.h5", "train.h5"]
    names = {path.name: [e.name for e in run.Log(path).episodes] for path in logs.iterdir()}
    assert names == {"held_out.h5": ["test0.csv"], "train.h5": ["train0.csv", "train1.csv", "train2.csv"]}


def test_what_is_finished_is_not_done_again(tmp_path, data, trained, monkeypatch):
    def stopped(*args, seed, **options):
        if seed == 1:
            raise KeyboardInterrupt
        return quick_validate(*args, **options)

    monkeypatch.setattr(run, "validate", stopped)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, data)
    early = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert {row["seed"] for row in early["rows"]} == {0}
    monkeypatch.setattr(run, "validate", quick_validate)
    whole = measure(tmp_path, data)
    assert {row["seed"] for row in whole["rows"]} == {0, 1}
    assert [folder.parent.name for folder, _ in trained] == ["seed0", "seed1", "seed1"]
    assert measure(tmp_path, data) == whole
    assert len(trained) == 3


def test_other_models_are_scored_anew(tmp_path, data, trained):
    measure(tmp_path, data, seeds=1)
    table = measure(tmp_path, data, seeds=1, models=["model", Exact()])
    assert {row["model"] for row in table["rows"]} == {"model", "exact"}
    assert value(table, model="exact", stream="level", figure="rmse", horizon_s=0.5) == pytest.approx(0, abs=1e-5)
    # the goal is still by those that are not shown
    assert {row["goal"] for row in table["rows"] if row["figure"] == "nrmse" and row["stream"] == "level"} != {None}


def test_a_predictor_that_learns_is_fitted_on_the_training_log(tmp_path, data, trained):
    class Learns(Holds):
        fitted = ()

        def fit(self, windows, *, minutes, seed):
            self.fitted = (*self.fitted, (minutes, seed, len(set(windows.arrays(range(len(windows))).episode))))

    learns = Learns("learns")
    measure(tmp_path, data, minutes=2, models=[learns])
    assert learns.fitted == ((2, 0, 3), (2, 1, 3))


def test_a_free_run_is_scored_over_the_whole_record(tmp_path, data, trained, monkeypatch):
    monkeypatch.setitem(PROBLEMS, "lag", lag_problem(data, free_run=True))
    table = measure(tmp_path, data, seeds=1)
    with run.Log(tmp_path / "out" / "lag" / "logs" / "held_out.h5") as log:
        level = log.episodes[0].streams["level"].data[:, 0]
    wanted = 1000 * ((level[16:] - level[15]) ** 2).mean() ** 0.5  # the context is 16 samples, the last is held
    assert value(table, model="hold", figure="free_run_rmse") == pytest.approx(wanted, rel=1e-5)
    assert value(table, model="model", figure="free_run_rmse") == pytest.approx(0, abs=0.01)
    (row,) = [row for row in table["rows"] if row["model"] == "model"]
    assert (row["unit"], row["horizon_s"], row["goal"], row["published"]) == ("mm", 6.4, 10.0, 0.25)


def test_of_a_free_run_it_is_told_how_much_of_it_intervals_hold(tmp_path, data, trained, monkeypatch):
    class Spread:
        name = "spread"

        def predict(self, problem):
            true = Exact().predict(problem).mean["level"]
            far = np.where(np.arange(problem.horizon) < problem.horizon // 4, 0.0, 9.0)[:, None]  # off from there on
            members = true[:, None] + far + np.linspace(-1, 1, 20)[:, None, None]
            return Forecast(members={"level": members})

    monkeypatch.setitem(PROBLEMS, "lag", lag_problem(data, free_run=True))
    table = measure(tmp_path, data, seeds=1, models=["model", Spread()])
    for figure in ("coverage50", "coverage90"):
        (row,) = [row for row in table["rows"] if row["figure"] == figure]
        assert (row["model"], row["horizon_s"], row["goal"]) == ("spread", 6.4, None)
        assert row["value"] == pytest.approx(0.25)


def test_places_without_fixes_are_measured_beside_dead_reckoning(tmp_path, monkeypatch):
    """Where positions are taken away; goals are by what reckons and by fixes themselves."""
    goals = (Goal(OUT, "cart", 0.1, 0.1, than=(RECKONED,), times=0.5), Goal(PLACE, "cart", than=(RAW,)))
    logs = Simulated("cartpole", episodes=1, held_out=1, seconds=0.5, out_s=0.5)
    small = dataclasses.replace(PROBLEMS["cartpole_5"], logs=logs, context_s=0.2, horizon_s=0.1, goals=goals)
    asked = []

    def places(run, path, out_s, seed):
        asked.append((path.name, out_s, seed))
        found = {("model", OUT): 1.0, (RECKONED, OUT): 3.0, ("model", PLACE): 0.5, (RAW, PLACE): 0.4}
        return [(name, "cart", figure, 0.1, value, "m") for (name, figure), value in found.items()]

    made = types.SimpleNamespace(notes=(), layout=TickLayout(0.02, ()), context=10, model=None)
    monkeypatch.setitem(PROBLEMS, small.name, small)
    monkeypatch.setattr(run, "train", lambda *args, **options: made)
    monkeypatch.setattr(run, "places", places)
    monkeypatch.setattr(run, "validate", lambda *args, log, **options: quick_score(log))
    table = measure(tmp_path, None, problems=[small.name], seeds=1)
    assert asked == [("outage.h5", 0.5, 0)]
    ours = {row["figure"]: row for row in table["rows"] if row["model"] == "model" and row["figure"] in (OUT, PLACE)}
    assert [(ours[name]["value"], ours[name]["goal"]) for name in (OUT, PLACE)] == [(1.0, 1.5), (0.5, 0.4)]


def quick_score(log):
    with Log(log, truth=True) as opened:
        return score(make_problem(opened, dt=0.02, context_s=0.2, horizon_s=0.1, max_starts=2), [Holds("model")])


def test_a_simulated_machine_is_also_asked_what_many_commands_bring_about(tmp_path, monkeypatch):
    small = dataclasses.replace(
        PROBLEMS["cartpole_5"],
        logs=Simulated("cartpole", episodes=2, held_out=1, seconds=2.0),
        context_s=0.2,
        horizon_s=0.2,
        max_starts=4,
        goals=(Goal("rank_correlation", limit=0.95),),
    )

    def held(log):
        with Log(log, truth=True) as opened:
            problem = make_problem(opened, dt=0.02, context_s=0.2, horizon_s=0.2, max_starts=4)
            return score(problem, [Holds("model")])

    monkeypatch.setitem(PROBLEMS, small.name, small)
    monkeypatch.setattr(run, "_STATES", 4)
    monkeypatch.setattr(run, "_COMMANDS", 3)
    monkeypatch.setattr(
        run, "train", lambda logs, folder, **options: untrained_run(Log(logs[0]), dt=0.02, context=10, horizon=10)
    )
    monkeypatch.setattr(run, "validate", lambda trained, *, log, **options: held(log))
    table = measure(tmp_path, None, problems=[small.name], seeds=1)
    rows = [row for row in table["rows"] if row["figure"] == "rank_correlation" and row["horizon_s"] == 0.1]
    assert {row["stream"] for row in rows} == {"cart", "pole"}
    assert {row["goal"] for row in rows} == {0.95}
    assert {row["value"] for row in rows if row["model"] == "hold"} == {0.0}
    assert all(-1 <= row["value"] <= 1 for row in rows)
    assert any(row["figure"] == "nrmse" for row in table["rows"])


def test_pages_hold_the_tables(tmp_path, data, trained):
    measure(tmp_path, data)
    text = (tmp_path / "out" / "benchmark.md").read_text()
    assert "## lag" in text
    assert "a made-up table" in text
    assert "| goal" in text
    page = (tmp_path / "out" / "benchmark.html").read_text()
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))
    parser.feed(page)
    assert sum(tag == "table" for tag, _ in tags) == text.count("\n|---|")
    assert not [attrs for _, attrs in tags if {"src", "href"} & attrs.keys()]  # it needs nothing else


def test_a_run_of_another_length_is_not_gone_on_with(tmp_path, data, monkeypatch):
    class Folder:
        has_run = True

        def __init__(self, path):
            self.path = path

        def read_settings(self):
            return type("Settings", (), {"steps": None, "minutes": 3.0})

    monkeypatch.setattr(run, "RunFolder", Folder)
    with pytest.raises(WorldModelError, match=r"another benchmark[\s\S]*5 minutes[\s\S]*3 minutes"):
        measure(tmp_path, data, minutes=5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"problems": ["lagg"]}, ["no problem 'lagg'", "tanks"]),
        ({"models": ["modle"]}, ["no model 'modle'", "hold", "package.module:Class"]),
        ({"models": ["nowhere:Thing"]}, ["nowhere"]),
        ({"minutes": 0}, ["minutes must be positive"]),
        ({"seeds": 0}, ["seeds"]),
        ({"data": None}, ["needs recordings", "--data", "lag/*.csv"]),
        ({"data": "nowhere"}, ["nowhere does not exist"]),
    ],
)
def test_mistakes_are_said_before_anything_is_trained(tmp_path, data, trained, options, said):
    with pytest.raises(WorldModelError) as error:
        measure(tmp_path, data, **options)
    assert all(part in str(error.value) for part in said), error.value
    assert trained == []
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_recordings_is_refused_at_the_command_line(tmp_path, data, monkeypatch, capsys):
    (tmp_path / "other").mkdir()
    words = ["benchmark", "--problems", "lag,tanks", "--data", tmp_path / "other", "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["worldmodel", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "lacks the recordings of lag" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, data, trained):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(WorldModelError, match=r"thesis\.txt"):
        measure(tmp_path, data)


def test_by_default_problems_are_those_whose_recordings_are_there(tmp_path, data, trained, monkeypatch):
    for name in [name for name in PROBLEMS if not hasattr(PROBLEMS[name].logs, "files")]:
        monkeypatch.delitem(PROBLEMS, name)
    table = measure(tmp_path, data, problems=None, seeds=1)
    assert set(table["problems"]) == {"lag"}

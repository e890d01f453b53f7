"""The command line from end to end: each command on what the one before it wrote (tests/command_line.py)."""

import itertools
import json
import math
import re
import shutil
import subprocess
import sys

import cv2
import h5py
import numpy as np
import pytest

from tests.command_line import done, run
from tests.predictors import FLOORS, OF_A_RUN
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.training import Run, load_run

COMMANDS = (
    "simulate",
    "ingest",
    "inspect",
    "train",
    "blend",
    "imagine",
    "validate",
    "demo",
    "export",
    "serve",
    "explore",
)
HEAVY = {"jax", "flax", "mujoco", "cv2", "matplotlib", "h5py", "numpy", "pyarrow", "orbax"}
HELP = f"""
import sys
from worldmodel.cli import main
try:
    main()
finally:
    print("LOADED", *sorted(name for name in sys.modules if name in {HEAVY}))
"""
PREDICTORS = {*OF_A_RUN, *FLOORS}


def wrote(ran):
    return [line.removeprefix("wrote ") for line in ran.out.splitlines() if line.startswith("wrote ")]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_answers_without_heavy_libraries(command):
    words = [sys.executable, "-c", HELP, *command.split(), "--help"]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    said, loaded = ran.stdout.rsplit("LOADED", 1)
    assert loaded.split() == []
    assert "Usage:" in said
    expected = {
        "": COMMANDS,
        "inspect": ["--plot"],
        "serve": ["--token"],
        "explore": ["--keep-in"],
        "blend": ["--prior"],
    }.get(command, ["--out"])
    assert all(word in said for word in expected)


def test_without_a_command_the_commands_are_listed():
    ran = run()
    assert all(command in ran.out + ran.err for command in COMMANDS)


def test_simulate_writes_the_episodes_that_were_asked_for(trained):
    log = Log(trained.other)
    assert [episode.duration_s for episode in log.episodes] == [4.0] * 2
    assert (log.about["scene"], log.about["seed"]) == ("cartpole", 2)
    assert wrote(trained.said["other"]) == [str(trained.other)]


def test_inspect_prints_and_plots(trained, tmp_path):
    ran = done("inspect", trained.other, "--plot", tmp_path / "log.png", "--episode", 1)
    for word in ("cart", "pole", "push", "position", "rad/s", "50", "2 episodes"):
        assert word in ran.out
    assert wrote(ran) == [str(tmp_path / "log.png")]
    assert cv2.imread(str(tmp_path / "log.png")).std() > 10


def test_inspect_counts_readings_that_are_no_numbers(trained):
    said = done("inspect", trained.log).out
    rows = [line.split() for line in said.splitlines()]
    cart = next(i for i, words in enumerate(rows) if words[:2] == ["cart", "position"])
    assert [words[-1] for words in rows[cart : cart + 4]] == ["10", "4", "0", "0"]
    assert "7 episodes" in said


def test_ingest_turns_a_table_into_a_log(tmp_path):
    (tmp_path / "a.csv").write_text("t,x,u\n" + "".join(f"{i / 50},{i},{-i}\n" for i in range(100)))
    (tmp_path / "r.toml").write_text(
        'format = "worldmodel-recipe"\nversion = 1\n[clock]\ncolumn = "t"\n'
        '[streams.s]\nkind = "sensor"\ncolumns = { x = "x" }\nrate_hz = 50\n'
        '[streams.a]\nkind = "action"\ncolumns = { u = "u" }\nrate_hz = 50\n'
    )
    ran = done("ingest", tmp_path / "a.csv", "--recipe", tmp_path / "r.toml", "--out", tmp_path / "log.h5")
    assert wrote(ran) == [str(tmp_path / "log.h5")]
    assert "1 episode with a, s" in ran.out
    assert f"next: worldmodel inspect {tmp_path / 'log.h5'} --health" in ran.out
    np.testing.assert_array_equal(Log(tmp_path / "log.h5").episodes[0].streams["s"].data[:, 0], np.arange(100))


def test_train_says_what_to_ask_of_the_run(trained):
    said = trained.said["train"].out
    assert f"next: worldmodel validate {trained.run} --log {trained.log} --out DIR" in said
    assert f"worldmodel imagine {trained.run} {trained.log} --episode 0 --at SECONDS --out DIR" in said


def test_train_keeps_a_run_that_opens(trained):
    """Though the log holds NaN, infinities and an empty episode."""
    assert wrote(trained.said["train"]) == [str(trained.run)]
    settings = load_run(trained.run).settings
    assert (settings.preset, settings.steps, settings.dt) == ("debug", 1, 0.02)
    assert (settings.context, settings.horizon) == (20, 20)
    assert (len(settings.select), len(settings.measure), len(settings.learn)) == (1, 1, 5)
    assert 6 in settings.learn  # the empty one, which is of no use to the others
    finished = json.loads((trained.run / "finished.json").read_text())
    assert finished["steps"] == 1
    assert math.isfinite(finished["best_nrmse"])
    rows = [json.loads(row) for row in (trained.run / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert list((trained.run / "tensorboard").iterdir())


def test_a_finished_run_that_is_resumed_stays_as_it_is(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    files = [path for path in run.rglob("*") if path.is_file() and "tensorboard" not in path.parts]
    before = {path: path.read_bytes() for path in files}
    assert wrote(done("train", trained.log, "--out", run, "--resume")) == [str(run)]
    assert {path: path.read_bytes() for path in files} == before


def test_a_scene_joins_a_run_whose_network_stays_as_it_is(trained, tmp_path):
    run = shutil.copytree(trained.run, tmp_path / "run")
    alone = load_run(run)
    assert wrote(done("blend", run, "--prior", "cartpole")) == [str(run)]
    joined = load_run(run)
    assert joined.team.names == (*alone.team.names[:-1], "physics", "network")
    assert joined.team.blend.usual[-1].shape == alone.team.blend.usual[-1].shape  # how it is weighed may change
    gone = {path.name for path in trained.run.iterdir()} - {path.name for path in run.iterdir()}
    assert gone == {"experts.npz", "left_out.npz", "blend.npz"}
    assert (run / "parameters.npz").read_bytes() == (trained.run / "parameters.npz").read_bytes()


@pytest.mark.parametrize(("by", "now"), [("logged", 2.0), ("csv", 2.0), ("spoilt", 0.4)])
def test_imagine_writes_a_trajectory_that_opens_as_a_log(trained, imagined, by, now):
    folder = imagined.folders[by]
    assert wrote(imagined.said[by]) == [str(folder / name) for name in ("trajectory.h5", "trajectory.png")]
    log, logged = Log(folder / "trajectory.h5"), Log(trained.other)
    described = [{n: (s.kind, s.columns, s.units) for n, s in each.streams.items()} for each in (log, logged)]
    assert described[0] == described[1]
    (episode,) = log.episodes
    for name, spec in log.streams.items():
        stream = episode.streams[name]
        assert stream.data.shape == (20, 5, len(spec.columns))
        assert np.isfinite(stream.data).all()
        first = now if spec.kind == "action" else now + 0.02
        np.testing.assert_allclose(stream.time, first + 0.02 * np.arange(20), atol=1e-9)
    assert len(np.unique(episode.streams["pole"].data[-1, :, 0])) == 5, "members differ"
    with h5py.File(folder / "trajectory.h5") as file:
        assert file.attrs["members"] == 5
    assert cv2.imread(str(folder / "trajectory.png")).std() > 10


def test_imagined_actions_are_those_that_were_asked_for(trained, imagined):
    given = {by: Log(folder / "trajectory.h5").episodes[0].streams for by, folder in imagined.folders.items()}
    logged = Log(trained.other).episodes[1].streams["push"]
    np.testing.assert_allclose(given["logged"]["push"].data[:, 0], logged[2.0 - 1e-6 : 2.4 - 1e-6].data, atol=1e-5)
    in_force = logged.data[logged.time <= 2.0 + 1e-6][-1, 0]  # until the first command of the file, a tenth later
    np.testing.assert_allclose(given["csv"]["push"].data[:, :, 0].mean(1), [in_force] * 5 + [8] * 15, atol=1e-5)
    assert (given["csv"]["cart"].data != given["logged"]["cart"].data).any()


def test_it_is_told_how_far_what_is_asked_lies_outside_what_was_trained_on(trained, tmp_path):
    (tmp_path / "far.csv").write_text("time,force\n0.1,5000\n")
    words = ("imagine", trained.run, trained.other, "--episode", 1, "--at", 2.0, "--actions", tmp_path / "far.csv")
    said = done(*words, "--out", tmp_path / "far").out
    assert re.search(r"note: outside what was trained on, in standard deviations: push.force by \d{3}", said)


def test_a_long_command_says_what_it_is_doing(trained, imagined, validated):
    said = imagined.said["logged"].err.splitlines()
    assert said[:2] == [
        f"opening {trained.run} ...",
        "imagining 5 futures (the first time, it is compiled) ...",
    ]
    assert validated.said["log"].err.startswith("loading ...")


def test_the_first_words_come_before_the_heavy_libraries(trained, tmp_path):
    code = "import sys; from worldmodel.cli import main; main()"
    words = ("imagine", trained.run, trained.other, "--episode", "0", "--at", "2", "--out", tmp_path / "x")
    ran = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", code, *map(str, words)], stderr=subprocess.PIPE, text=True
    )
    before = list(itertools.takewhile(lambda line: not line.startswith("opening "), ran.stderr))
    ran.kill()
    ran.communicate()
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in before}
    assert "rich" in loaded
    assert not loaded & (HEAVY - {"numpy"})


@pytest.mark.parametrize("flag", [(), ("--beyond-trained",)])
def test_beyond_trained_is_passed_on(trained, tmp_path, monkeypatch, flag):
    asked = []

    def refuse(self, horizon_s, beyond_trained=False):
        asked.append((horizon_s, beyond_trained))
        raise WorldModelError("too far")

    monkeypatch.setattr(Run, "horizon_ticks", refuse)
    horizon = ("--horizon", 9, "--out", tmp_path / "x", *flag)
    assert run("imagine", trained.run, trained.other, "--episode", 0, "--at", 2, *horizon).code == 2
    assert run("validate", trained.run, "--log", trained.other, *horizon).code == 2
    assert asked == [(9.0, bool(flag))] * 2


@pytest.mark.parametrize("by", ["log", "scene"])
def test_validate_writes_a_page_and_figures(validated, by):
    folder, said = validated.folders[by], validated.said[by]
    assert wrote(said) == [str(folder / name) for name in ("report.html", "metrics.json")]
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<img" in page
    assert all(name in said.out for name in ("cart", "pole")), "a table of figures is printed"


@pytest.mark.parametrize(
    ("by", "name", "kind", "episodes"), [("log", "other", "replay", 2), ("scene", "cartpole", "counterfactual", 24)]
)
def test_the_figures_have_their_schema(trained, validated, by, name, kind, episodes):
    metrics = json.loads((validated.folders[by] / "metrics.json").read_text())
    assert (metrics["format"], metrics["version"]) == ("worldmodel-metrics", 2)
    problem = metrics["problem"]
    assert (problem["name"], problem["kind"], problem["episodes"]) == (name, kind, episodes)
    assert [problem[key] for key in ("dt", "context_s", "horizon_s")] == pytest.approx([0.02, 0.4, 0.4])
    assert problem["starts"] >= 64
    horizons = metrics["horizons_s"]
    assert horizons == sorted(horizons)
    assert 0 < horizons[0] <= horizons[-1] <= 0.4
    assert set(metrics["streams"]) == {"cart", "pole"}
    for stream in metrics["streams"].values():
        assert isinstance(stream["unit"], str)
        assert set(stream) - {"unit", "products"} == PREDICTORS  # where products are found
        for predictor in PREDICTORS:
            for key in ("nrmse", "ncrps", *(("coverage90",) if predictor == "model" else ())):
                values = stream[predictor][key]
                assert len(values) == len(horizons)
                assert all(math.isfinite(value) for value in values)
    assert set(metrics["overall"]) == PREDICTORS
    assert all(len(metrics["overall"][predictor]["nrmse"]) == len(horizons) for predictor in PREDICTORS)
    assert math.isfinite(metrics["action_sensitivity"])
    assert metrics["code_version"]
    assert metrics["seed"] == 0
    assert len(metrics["data_sha256"]) == 64
    assert (metrics["data_sha256"] == Log(trained.other).sha256) == (by == "log")


def test_the_physical_floor_beats_the_last_reading_held(validated):
    """Of the figures, the ones that no training can spoil."""
    for folder in validated.folders.values():
        overall = json.loads((folder / "metrics.json").read_text())["overall"]
        assert overall["floor_reading"]["nrmse"][-1] < 0.5 * overall["hold"]["nrmse"][-1]


def test_a_run_is_validated_on_what_it_held_out_of_its_own_log(trained, validated, tmp_path):
    said = done("validate", trained.run, "--log", trained.log, "--out", tmp_path / "out").out
    assert "note: There is only one episode" in said  # what the page warns of
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["problem"]["episodes"] == 1


def test_force_replaces_an_output(tmp_path):
    words = ("simulate", "cartpole", "--episodes", 1, "--out", tmp_path / "a.h5")
    done(*words, "--seconds", 1)
    done(*words, "--seconds", 2, "--force")
    assert Log(tmp_path / "a.h5").episodes[0].duration_s == 2.0

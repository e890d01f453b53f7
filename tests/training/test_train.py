import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from flax import nnx

from tests.oscillator import SPECS, write_log
from worldmodel.errors import TrainingDivergedError, WorldModelError
from worldmodel.logs.writer import LogWriter
from worldmodel.training import load_run, train
from worldmodel.training.checkpoints import Checkpoints
from worldmodel.training.run import has_checkpoint

SCRIPT = """
import sys
from worldmodel.training import train
train([sys.argv[1]], sys.argv[2], preset="debug", steps=60, resume=sys.argv[3] == "resume", progress=False)
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "a.h5")


@pytest.fixture(scope="module")
def straight(log, tmp_path_factory):
    return train([log], tmp_path_factory.mktemp("run") / "straight", preset="debug", steps=60, progress=False)


@pytest.fixture(scope="module")
def recurrent(log, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "recurrent"
    return train([log], out, preset="debug", dynamics="rssm", steps=60, progress=False)


def rows_of(folder):
    return [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]


def parameters(run):
    return jax.tree.leaves(nnx.state(run.model, nnx.Param))


def test_killed_and_resumed_equals_straight_bit_for_bit(log, straight, tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(log), str(folder)]
    process = subprocess.Popen([*command, "new"])
    deadline = time.monotonic() + 240
    while not has_checkpoint(folder, "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert has_checkpoint(folder, "checkpoints")
    assert not (folder / "finished.json").exists()
    (first,) = (row for row in rows_of(folder) if row["step"] == 1)
    subprocess.run([*command, "resume"], check=True)
    after = rows_of(folder)
    assert first in after  # its steps a second are wall clock: a training anew would have others
    steps = [row["step"] for row in after if "loss" in row]
    assert steps == sorted(set(steps))
    assert [row["step"] for row in after if "heldout/nrmse" in row] == [15, 30, 45, 60]
    with Checkpoints(folder / "checkpoints", 2) as one, Checkpoints(straight.folder / "checkpoints", 2) as two:
        assert one.latest == two.latest == 60
    resumed = load_run(folder)
    for a, b in zip(parameters(straight), parameters(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_metrics_have_no_row_twice_and_held_out_error_in_units(straight):
    rows = rows_of(straight.folder)
    held = [row["step"] for row in rows if "heldout/nrmse" in row]
    assert held == [15, 30, 45, 60]
    assert all(np.isfinite(row.get("loss", 0)) for row in rows)
    assert any("heldout/rmse/position/0" in row for row in rows)


@pytest.mark.parametrize(("trained", "share"), [("straight", 0.8), ("recurrent", 0.95)])
def test_training_learns_what_only_actions_and_time_explain(trained, share, log, request):
    """The parameters that are kept are better than those that it began with, on windows that it never saw."""
    from worldmodel.logs.reader import Log
    from worldmodel.logs.windows import Windows
    from worldmodel.training.evaluate import HeldOut
    from worldmodel.training.run import build_model, load_scaling

    run = request.getfixturevalue(trained)
    settings = run.settings
    windows = Windows.of(Log(log), settings.layout, settings.context, settings.horizon, settings.holdout)
    before = build_model(settings, load_scaling(run.folder))
    first, last = (HeldOut(windows, 0).measure(model) for model in (before, run.model))
    assert last.score < share * first.score


def test_the_horizon_grows_as_the_curriculum_says_and_ends_at_the_runs_own(straight):
    from worldmodel.training.loop import _Trainer

    trainer = object.__new__(_Trainer)
    stages = ((0.0, 8), (0.25, 20), (0.75, 1000))
    settings = straight.settings
    train_config = dataclasses.replace(settings.train, curriculum=stages)
    trainer.settings = dataclasses.replace(settings, train=train_config, horizon=50, steps=100)
    assert [trainer._horizon(step) for step in (0, 24, 25, 74, 75, 99)] == [8, 8, 20, 20, 50, 50]


def test_the_best_parameters_are_kept_and_not_the_last(log, tmp_path, monkeypatch):
    from worldmodel.training.evaluate import Evaluation, HeldOut

    seen = []

    def measure(self, model):
        self.score = [3.0, 1.0, 2.0, 4.0][len(seen)]
        seen.append([np.asarray(p) for p in jax.tree.leaves(nnx.state(model, nnx.Param))])
        return Evaluation(self.score, np.ones(self.future.values.shape[1]), {"heldout/nrmse": self.score})

    monkeypatch.setattr(HeldOut, "measure", measure)
    run = train([log], tmp_path / "run", preset="debug", steps=8, progress=False)
    assert len(seen) == 4
    for kept, best, last in zip(parameters(run), seen[1], seen[3], strict=True):
        np.testing.assert_array_equal(kept, best)
        assert best.size < 50 or (best != last).any()


def test_a_loss_that_becomes_nan_has_a_name_and_keeps_the_last_checkpoint(log, tmp_path, monkeypatch):
    from worldmodel.training.loop import _Trainer

    plain = _Trainer._learning_rate
    monkeypatch.setattr(_Trainer, "_learning_rate", lambda self, step: plain(self, step) if step < 20 else np.nan)
    with pytest.raises(TrainingDivergedError, match="step"):
        train([log], tmp_path / "run", preset="debug", steps=60, progress=False)
    assert all(np.isfinite(p).all() for p in parameters(load_run(tmp_path / "run")))


@pytest.fixture
def diverging(monkeypatch):
    from worldmodel.training.loop import _Trainer

    monkeypatch.setattr(_Trainer, "_learning_rate", lambda self, step: np.nan)


def test_a_run_that_fails_before_its_first_checkpoint_leaves_the_one_that_it_was_to_replace(
    log, straight, tmp_path, diverging
):
    shutil.copytree(straight.folder, tmp_path / "run")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(TrainingDivergedError):
        train([log], tmp_path / "run", preset="debug", steps=60, force=True, progress=False)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_run_that_replaces_another_leaves_nothing_of_it(log, straight, tmp_path):
    shutil.copytree(straight.folder, tmp_path / "run")
    train([log], tmp_path / "run", preset="debug", steps=4, force=True, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert json.loads((tmp_path / "run" / "finished.json").read_text())["steps"] == 4


def test_going_on_takes_nothing_away_when_it_fails(log, straight, tmp_path, diverging):
    shutil.copytree(straight.folder, tmp_path / "run")
    for name in ("checkpoints", "best"):
        shutil.rmtree(tmp_path / "run" / name)
    (tmp_path / "run" / "finished.json").unlink()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingDivergedError):
        train([log], tmp_path / "run", resume=True, progress=False)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "run" / "run.json").exists()


def test_refusals(log, straight, tmp_path):
    with pytest.raises(WorldModelError, match="exists already"):
        train([log], straight.folder)
    with pytest.raises(WorldModelError, match="Both steps and minutes"):
        train([log], tmp_path / "x", steps=1, minutes=1)
    with pytest.raises(WorldModelError, match="no preset"):
        train([log], tmp_path / "x", preset="huge")
    with pytest.raises(WorldModelError, match="no dynamics 'lstm'"):
        train([log], tmp_path / "x", dynamics="lstm")
    with pytest.raises(WorldModelError, match="as long as the context"):
        train([log], tmp_path / "x", context_s=30)
    with pytest.raises(WorldModelError, match="other data"):
        train([write_log(tmp_path / "b.h5", seed=9)], straight.folder, resume=True)
    assert not (tmp_path / "x").exists()


def test_a_run_refuses_a_log_with_other_streams(straight, tmp_path):
    from worldmodel.logs.reader import Log
    from worldmodel.types import Samples

    with LogWriter(tmp_path / "c.h5", SPECS[:1]) as writer:
        writer.append({"position": Samples(np.arange(9) / 50, np.zeros((9, 1)))})
    with pytest.raises(WorldModelError, match="expects other streams"):
        straight.windows(Log(tmp_path / "c.h5"))

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx

from tests.command_line import rollouts_of_one_length
from tests.oscillator import SPECS, write_log
from worldmodel.errors import TrainingDivergedError, WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.training import fit as fitting
from worldmodel.training import load_run, session, train, trainer
from worldmodel.training.folder import RunFolder
from worldmodel.training.run import build_model, draw_model

SMALL = {"preset": "debug", "context_s": 0.4, "horizon_s": 0.32}
QUIET = {**SMALL, "progress": False}
SCRIPT = f"""
import sys
from worldmodel.training import train
train([sys.argv[1]], sys.argv[2], steps=60, resume=sys.argv[3] == "resume", **{QUIET})
"""


@pytest.fixture(scope="module")
def log(compiled_once, tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "a.h5", 6)


@pytest.fixture(scope="module")
def straight(log, tmp_path_factory):
    return train([log], tmp_path_factory.mktemp("run") / "straight", steps=60, **QUIET)


@pytest.fixture(scope="module")
def blind(compiled_once, tmp_path_factory):
    """The same without the camera."""
    specs = tuple(spec for spec in SPECS if spec.kind != "video")
    return write_log(tmp_path_factory.mktemp("blind") / "a.h5", 6, specs=specs)


@pytest.fixture(scope="module")
def little(compiled_once, tmp_path_factory):
    """One sensor and one action, for what has nothing to do with what is learned: little to trace and to compile."""
    specs = tuple(spec for spec in SPECS if spec.name in ("position", "force"))
    return write_log(tmp_path_factory.mktemp("little") / "a.h5", 6, specs=specs)


@pytest.fixture(scope="module")
def ended(little, tmp_path_factory):
    """A run on it that was trained to its end."""
    return train([little], tmp_path_factory.mktemp("run") / "ended", steps=60, **QUIET)


@pytest.fixture(scope="module")
def recurrent(blind, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "recurrent"
    with rollouts_of_one_length():
        return train([blind], out, dynamics="rssm", steps=120, **QUIET)


def rows_of(folder):
    return [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]


def parameters(run):
    return jax.tree.leaves(nnx.state(run.model, nnx.Param))


def test_killed_and_resumed_equals_straight_bit_for_bit(log, straight, tmp_path, compiled_once):
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(log), str(folder)]
    process = subprocess.Popen([*command, "new"], env=compiled_once)
    deadline = time.monotonic() + 240
    while not RunFolder(folder).latest_step and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert RunFolder(folder).latest_step
    assert not (folder / "finished.json").exists()
    assert "has not ended" in " ".join(load_run(folder).notes)
    (first,) = (row for row in rows_of(folder) if row["step"] == 1)
    subprocess.run([*command, "resume"], check=True, env=compiled_once)
    assert load_run(folder).notes == ()
    after = rows_of(folder)
    assert first in after  # its steps a second are wall clock: a training anew would have others
    steps = [row["step"] for row in after if "loss" in row]
    assert steps == sorted(set(steps))
    assert [row["step"] for row in after if "select/nrmse" in row] == [15, 30, 45, 60]
    assert RunFolder(folder).latest_step == RunFolder(straight.folder).latest_step == 60
    resumed = load_run(folder)
    for a, b in zip(parameters(straight), parameters(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_metrics_have_no_row_twice_and_held_out_error_in_units(straight):
    rows = rows_of(straight.folder)
    held = [row["step"] for row in rows if "select/nrmse" in row]
    assert held == [15, 30, 45, 60]
    assert all(np.isfinite(row.get("loss", 0)) for row in rows)
    assert any("select/rmse/position/0" in row for row in rows)


@pytest.mark.parametrize(("trained", "seen", "share"), [("straight", "log", 0.8), ("recurrent", "blind", 0.95)])
def test_training_learns_what_only_actions_and_time_explain(trained, seen, share, request):
    """The parameters that are kept are better than those that it began with, on windows that nothing has touched."""
    from worldmodel.training.evaluate import Selection

    run, log = request.getfixturevalue(trained), Log(request.getfixturevalue(seen))
    assert run.settings.measure == run.unseen(log)
    windows = run.windows(log, episodes=run.settings.measure)
    before = draw_model(run.settings, RunFolder(run.folder).read_scaling())
    first, last = (Selection(windows, 0).measure(model) for model in (before, run.model))
    assert last.score < share * first.score


def test_the_best_parameters_are_kept_and_not_the_last(little, tmp_path, monkeypatch):
    from worldmodel.training.evaluate import Evaluation, Selection

    seen = []

    def measure(self, model):
        score = [3.0, 1.0, 2.0, 4.0][len(seen)]
        seen.append([np.asarray(p) for p in jax.tree.leaves(nnx.state(model, nnx.Param))])
        return Evaluation(score, np.ones(self.future.values.shape[1]), {"select/nrmse": score})

    monkeypatch.setattr(Selection, "measure", measure)
    run = train([little], tmp_path / "run", steps=8, **QUIET)
    assert len(seen) == 4
    for kept, best, last in zip(parameters(run), seen[1], seen[3], strict=True):
        np.testing.assert_array_equal(kept, best)
        assert best.size < 50 or (best != last).any()


def test_a_loss_that_becomes_nan_has_a_name_and_keeps_the_last_checkpoint(little, tmp_path, monkeypatch):
    plain = fitting.learning_rate
    monkeypatch.setattr(fitting, "learning_rate", lambda c, step, share: plain(c, step, share) if step < 20 else np.nan)
    with pytest.raises(TrainingDivergedError, match="checkpoint is kept"):
        train([little], tmp_path / "run", steps=60, **QUIET)
    assert all(np.isfinite(p).all() for p in parameters(load_run(tmp_path / "run")))


@pytest.fixture
def diverging(monkeypatch):
    monkeypatch.setattr(fitting, "learning_rate", lambda *_: np.nan)


def test_a_run_that_fails_before_its_first_checkpoint_leaves_the_one_that_it_was_to_replace(
    little, ended, tmp_path, diverging
):
    shutil.copytree(ended.folder, tmp_path / "run")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(TrainingDivergedError):
        train([little], tmp_path / "run", steps=60, force=True, **QUIET)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_run_that_replaces_another_leaves_nothing_of_it(little, straight, tmp_path):
    shutil.copytree(straight.folder, tmp_path / "run")
    train([little], tmp_path / "run", steps=4, force=True, **QUIET)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert json.loads((tmp_path / "run" / "finished.json").read_text())["steps"] == 4


def test_going_on_takes_nothing_away_when_it_fails(little, ended, tmp_path, diverging):
    shutil.copytree(ended.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    for name in ("parameters.npz", "finished.json"):
        (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingDivergedError):
        train([little], tmp_path / "run", resume=True, progress=False)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "run" / "run.json").exists()


def test_going_on_with_a_run_that_has_ended_says_so(log, straight, capsys):
    before = {p: p.read_bytes() for p in straight.folder.rglob("*") if p.is_file()}
    train([log], straight.folder, resume=True)
    assert "has been trained to its end; --steps or --minutes train it longer" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in straight.folder.rglob("*") if p.is_file()} == before


def test_more_steps_train_on_from_where_it_ended(little, ended, tmp_path):
    """The first update after step 60 is made as in a training of 100 steps."""
    shutil.copytree(ended.folder, tmp_path / "run")
    before = rows_of(ended.folder)
    run = train([little], tmp_path / "run", resume=True, steps=100, progress=False)
    rows = rows_of(run.folder)
    assert rows[: len(before)] == before
    assert [row["step"] for row in rows[len(before) :] if "select/nrmse" in row] == [75, 100]
    first = next(row for row in rows[len(before) :] if "loss" in row)
    assert first["step"] == 61
    assert first["learning_rate"] == pytest.approx(2e-3 * 61 / 100 * 0.5 * (1 + np.cos(np.pi * 0.6)))
    assert (run.settings.steps, run.settings.lengthened_at) == (100, (60,))
    finished, earlier = RunFolder(run.folder).finished, RunFolder(ended.folder).finished
    assert finished["steps"] == 100
    assert finished["seconds"] > earlier["seconds"] > earlier["compile_seconds"] > 0
    assert finished["best_nrmse"] <= earlier["best_nrmse"]


def test_a_training_that_was_lengthened_and_killed_goes_on_to_its_new_length(little, ended, tmp_path, monkeypatch):
    shutil.copytree(ended.folder, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(session, "Learner", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train([little], tmp_path / "run", resume=True, steps=64, progress=False)
    train([little], tmp_path / "run", resume=True, progress=False)
    assert RunFolder(tmp_path / "run").finished["steps"] == 64


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seed": 3}, r"--seed is not what[\s\S]*expected: *0[\s\S]*found: *3"),
        ({"preset": "small"}, "--preset is not"),
        ({"dynamics": "rssm"}, "--dynamics is not"),
        ({"holdout": 0.2}, "--holdout is not"),
        ({"network": False}, "--network is not"),
        ({"weights": [2.0]}, "--weights is not"),
        ({"dt": 0.5}, "--dt is not"),
        ({"context_s": 0.1}, "--context is not"),
        ({"horizon_s": 0.1}, "--horizon is not"),
        ({"force": True}, "--force replaces a run"),
        ({"steps": 60, "minutes": 1}, "Both steps and minutes"),
        ({"steps": 59}, r"trained as long already[\s\S]*60 updates"),
        ({"minutes": 1e-4}, "trained as long already"),
    ],
)
def test_going_on_refuses_what_it_would_have_to_ignore(log, straight, options, says):
    before = (straight.folder / "run.json").read_bytes()
    with pytest.raises(WorldModelError, match=says):
        train([log], straight.folder, resume=True, progress=False, **options)
    assert (straight.folder / "run.json").read_bytes() == before
    assert RunFolder(straight.folder).finished["steps"] == 60


def test_going_on_takes_the_options_that_the_run_has(log, straight):
    settings = straight.settings
    train(
        [log], straight.folder, resume=True, progress=False, preset="debug", dynamics="residual", steps=60, seed=0,
        holdout=0.1, dt=settings.dt, context_s=settings.context * settings.dt, horizon_s=settings.horizon * settings.dt,
    )  # fmt: skip


def test_a_run_is_opened_without_drawing_or_compiling(straight):
    compiled, listening = [], True

    def hear(name, _, **__):
        if listening and "backend_compile" in name:
            compiled.append(name)

    jax.monitoring.register_event_duration_secs_listener(hear)
    again = load_run(straight.folder)
    listening = False
    assert compiled == []
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(nnx.state(again.model)))
    for one, two in zip(
        jax.tree.leaves(nnx.state(again.model)), jax.tree.leaves(nnx.state(straight.model)), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_parameters_of_another_model_are_refused(straight, recurrent, tmp_path):
    shutil.copytree(straight.folder, tmp_path / "run")
    shutil.copy(recurrent.folder / "parameters.npz", tmp_path / "run" / "parameters.npz")
    with pytest.raises(WorldModelError, match=r"parameters.npz is of another model[\s\S]*do:"):
        load_run(tmp_path / "run")


def test_what_goes_too_far_beyond_the_trained_horizon_is_asked_for_by_name(straight):
    dt, horizon = straight.settings.dt, straight.settings.horizon
    assert straight.horizon_ticks(None) == horizon
    assert straight.horizon_ticks(2 * horizon * dt) == 2 * horizon
    with pytest.raises(WorldModelError, match=rf"trained to imagine {horizon * dt:g} s[\s\S]*beyond_trained=True"):
        straight.horizon_ticks((2 * horizon + 1) * dt)
    assert straight.horizon_ticks((2 * horizon + 1) * dt, beyond_trained=True) == 2 * horizon + 1


def test_a_training_that_ended_early_is_trusted_as_far_as_its_rollouts_went(straight, tmp_path):
    shutil.copytree(straight.folder, tmp_path / "run")
    dt, planned = straight.settings.dt, straight.settings.horizon
    RunFolder(tmp_path / "run").finish(**{**RunFolder(tmp_path / "run").finished, "horizon": planned // 2})
    run = load_run(tmp_path / "run")
    assert run.horizon_ticks(None) == planned // 2
    assert run.horizon_ticks(2 * (planned // 2) * dt) == 2 * (planned // 2)
    with pytest.raises(
        WorldModelError, match=rf"trained to imagine {planned // 2 * dt:g} s[\s\S]*--resume --minutes MORE"
    ):
        run.horizon_ticks((2 * (planned // 2) + 1) * dt)
    with pytest.raises(WorldModelError, match="train with --horizon"):
        run.horizon_ticks((2 * planned + 1) * dt)


def test_a_network_that_had_no_time_for_the_horizon_does_not_shorten_that_of_the_others(little, tmp_path, capsys):
    """Without video; one that goes on to the end joins them."""
    run = train([little], tmp_path / "run", steps=1, **SMALL)
    said = " ".join(capsys.readouterr().out.split())
    assert "the network is none of the experts; --resume with more steps goes on" in said
    assert run.horizon_ticks(None) == run.settings.horizon
    assert run.model is None
    assert "network" not in run.team.names
    assert run.imagine(little, episode=0, at_s=1.0).horizon_s == pytest.approx(0.32)
    assert "Its network had no time for the whole horizon" in " ".join(run.notes)
    with pytest.raises(WorldModelError, match=r"no network[\s\S]*--resume --minutes MORE"):
        run.latents(little, episode=0)
    longer = train([little], tmp_path / "run", steps=4, resume=True, **QUIET)
    assert longer.team.has_network
    assert longer.horizon_ticks(None) == longer.settings.horizon


def test_of_a_training_that_went_on_and_was_stopped_it_is_said_who_answers(blind, straight, tmp_path):
    """By notes, and by how a network is to be had: its experts are those that were blended before."""
    shutil.copytree(straight.folder, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.unfinish()
    run = load_run(folder.path)
    for model, network, said in (
        (run.model, True, "its experts answer as they did before it went on;"),
        (None, True, "before it went on, without the network;"),
        (None, False, "its experts answer as they did before it went on;"),
    ):
        settings = dataclasses.replace(run.settings, network=network)
        stopped = dataclasses.replace(run, model=model, settings=settings)
        assert said in stopped.notes[0]
        assert "--resume` goes on" in stopped.notes[0]
        assert ("--resume" in stopped.network_remedy) == network
    alone = dataclasses.replace(run, team=None)
    assert "its network answers alone, as it was then" in alone.notes[0]
    folder.write_settings(dataclasses.replace(run.settings, network=False))
    (folder.path / "blend.npz").unlink()
    with pytest.raises(WorldModelError, match=r"nobody answers yet[\s\S]*--resume` goes on"):
        load_run(folder.path)


def test_parameters_are_drawn_by_the_seed_and_as_the_initialisers_say(straight):
    scaling = RunFolder(straight.folder).read_scaling()
    drawn, again, plain = (make(straight.settings, scaling) for make in (draw_model, draw_model, build_model))
    other = draw_model(dataclasses.replace(straight.settings, seed=straight.settings.seed + 1), scaling)
    states = [jax.tree.leaves(nnx.state(model, nnx.Param)) for model in (drawn, again, plain, other)]
    for one, two, three in zip(*states[:3], strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, three, atol=1e-6)
    assert any((one != two).any() for one, two in zip(states[0], states[3], strict=True))


def test_the_longest_rollouts_are_as_long_as_the_horizon(straight):
    assert RunFolder(straight.folder).finished["horizon"] == straight.settings.horizon
    horizons = [row["horizon"] for row in rows_of(straight.folder) if "loss" in row]
    assert horizons[-1] == straight.settings.horizon > horizons[0]


def test_it_says_what_it_is_doing(little, tmp_path, capsys):
    train([little], tmp_path / "run", steps=4, **SMALL)
    said = capsys.readouterr().out
    assert said.startswith("reading")
    steps = ["reading", "measuring statistics", "fitting baselines", "compiling rollouts of", "measuring the spread"]
    assert sorted(steps, key=said.index) == steps


def test_one_recording_alone_is_told_before_it_is_learned_from(tmp_path, monkeypatch, capsys):
    def begin(*_):
        raise RuntimeError("it begins to learn")

    monkeypatch.setattr(trainer, "_odometers", begin)
    with pytest.raises(RuntimeError, match="it begins to learn"):
        train(write_log(tmp_path / "one.h5", 1), tmp_path / "run")
    assert "`worldmodel validate` will need a recording that is not in these logs" in capsys.readouterr().out


def test_the_first_word_comes_before_the_libraries(monkeypatch, capsys):
    """Whatever they cost: the module that imports them has not been asked for anything yet."""
    import types

    from worldmodel.cli import runs

    class Slow(types.ModuleType):
        def __getattr__(self, name):
            if name == "train":
                said.append(capsys.readouterr().out)
                raise ImportError
            raise AttributeError(name)

    said = []
    monkeypatch.setitem(sys.modules, "worldmodel.training", Slow("worldmodel.training"))
    with pytest.raises(ImportError):
        runs.train([], "nowhere")
    assert said == ["loading libraries\n"]


def test_minutes_begin_with_reading_and_baselines_have_half_of_what_is_left(blind, tmp_path, monkeypatch):
    clock, asked = SimpleNamespace(now=0.0), {}
    monkeypatch.setattr("worldmodel.models.allowance.time", SimpleNamespace(monotonic=lambda: clock.now))

    def slow_log(*given):
        clock.now += 30
        return Log(*given)

    def fitted(*given, allowance, **options):
        asked["baselines"] = allowance.left
        clock.now += 3
        return fit(*given, allowance=allowance, **options)

    def quick(*given):
        asked["experts"] = given[2].left
        return fit_quick(*given)

    fit, fit_quick = trainer.Baselines.fit, trainer.fit_quick
    monkeypatch.setattr(trainer, "Log", slow_log)
    monkeypatch.setattr(trainer.Baselines, "fit", fitted)
    monkeypatch.setattr(trainer, "fit_quick", quick)
    run = train([blind], tmp_path / "run", minutes=1, network=False, context_s=0.4, horizon_s=0.32, progress=False)
    assert asked == {"baselines": 15, "experts": 9}
    assert run.settings.began_s == 33


def test_experts_learn_from_as_many_simulated_windows_as_recorded_ones(blind, tmp_path, monkeypatch):
    specs = tuple(spec for spec in SPECS if spec.kind != "video")
    taught = write_log(tmp_path / "taught.h5", 20, seed=100, about={"simulator": "MuJoCo"}, specs=specs)
    drawn, fit = [], trainer.Baselines.fit

    def fitted(*given, starts, **more):
        drawn.append(starts)
        return fit(*given, starts=starts, **more)

    def examples_at(lens, windows, starts, *_):
        drawn.append(starts)
        raise RuntimeError("what follows is not what is tested")

    monkeypatch.setattr(trainer.Baselines, "fit", fitted)
    monkeypatch.setattr(trainer, "examples_at", examples_at)
    with pytest.raises(RuntimeError, match="not what is tested"):
        train([taught, blind], tmp_path / "run", network=False, dt=0.1, context_s=0.4, horizon_s=0.3, progress=False)
    for starts in drawn:
        simulated = starts[:, 0] < 20
        assert len(np.unique(starts[~simulated, 0])) == 5  # all but the one that measures
        assert simulated.sum() == (~simulated).sum()
    assert len(drawn) == 2


def test_refusals(log, straight, tmp_path):
    with pytest.raises(WorldModelError, match="exists already"):
        train([log], straight.folder)
    with pytest.raises(WorldModelError, match="Both steps and minutes"):
        train([log], tmp_path / "x", steps=1, minutes=1)
    with pytest.raises(WorldModelError, match="no preset"):
        train([log], tmp_path / "x", preset="huge")
    with pytest.raises(WorldModelError, match="no dynamics 'lstm'"):
        train([log], tmp_path / "x", dynamics="lstm")
    with pytest.raises(WorldModelError, match=r"holdout is the share[\s\S]*< 0\.5"):
        train([log], tmp_path / "x", holdout=0.5)
    with pytest.raises(WorldModelError, match="as long as the context"):
        train([log], tmp_path / "x", context_s=30)
    with pytest.raises(WorldModelError, match="other data"):
        train([write_log(tmp_path / "b.h5", seed=9)], straight.folder, resume=True)
    assert not (tmp_path / "x").exists()


def test_a_run_refuses_a_log_with_other_streams(straight, tmp_path):
    from worldmodel.types import Samples

    with LogWriter(tmp_path / "c.h5", SPECS[:1]) as writer:
        writer.append({"position": Samples(np.arange(9) / 50, np.zeros((9, 1)))})
    with pytest.raises(WorldModelError, match="expects other streams"):
        straight.windows(Log(tmp_path / "c.h5"))

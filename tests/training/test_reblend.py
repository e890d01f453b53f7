"""A scene joins a finished run: as if it had been there from the beginning, and only as far as it earns trust."""

import json
import shutil

import numpy as np
import pytest

from worldmodel.codecs import codec
from worldmodel.content import content_dir
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.simulate import simulate
from worldmodel.training import blend, load_run, train, trainer
from worldmodel.training.folder import RunFolder
from worldmodel.validate import make_problem
from worldmodel.validate.leaks import future_leak
from worldmodel.validate.predictors import Model

SHORT = {"network": False, "dt": 0.02, "context_s": 0.5, "horizon_s": 0.3, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log of the cart-pole, and a run on it without physics."""
    folder = tmp_path_factory.mktemp("reblend")
    simulate("cartpole", folder / "a.h5", episodes=4, seconds=2.0, seed=0, progress=False)
    simulate("cartpole", folder / "b.h5", episodes=2, seconds=2.0, seed=9, progress=False)
    with pytest.MonkeyPatch.context() as patch:  # the costly experts are not what is tested
        patch.setattr(trainer, "fit_rich", lambda *_: [])
        train(str(folder / "a.h5"), folder / "run", **SHORT)
    return folder


def copied(folder, tmp_path):
    return shutil.copytree(folder / "run", tmp_path / "run")


@pytest.fixture(scope="module")
def problem(folder):
    return make_problem(Log(folder / "b.h5", truth=True), dt=0.02, context_s=0.5, horizon_s=0.3, max_starts=12)


def trusted(run, problem):
    """How much physics counts for the pole at the last tick that the run was trained to."""
    return Model(run).predict(problem.asked).trust["pole"]["physics"][-1]


def error(run, problem):
    """Root mean square error of a run's blend at the last tick, over both streams."""
    mean = Model(run).predict(problem.asked).mean
    apart = [codec(s).residual(mean[s.name], problem.truth.truth[s.name].values)[:, -1] for s in problem.readings]
    return float(np.sqrt(np.mean(np.concatenate(apart, -1) ** 2)))


def test_one_log_needs_no_list(folder):
    assert load_run(folder / "run").settings.logs == (str(folder / "a.h5"),)


def test_the_right_scene_is_taken_and_kept_with_the_run(folder, problem, tmp_path):
    alone, path = load_run(folder / "run"), copied(folder, tmp_path)
    moved = shutil.copy(folder / "a.h5", tmp_path / "moved.h5")
    joined = blend(path, prior="cartpole", logs=str(moved), progress=False)
    assert joined.team.names == (*alone.team.names, "physics")
    assert trusted(joined, problem) > 0.9
    assert error(joined, problem) < 0.5 * error(alone, problem)
    assert future_leak(Model(joined), problem)
    (path / "blended-1" / "prior" / "scene.toml").write_text("# another")
    with pytest.raises(WorldModelError, match="not the one that the run was blended with"):
        load_run(path)


def test_a_wrong_scene_harms_nothing_and_gives_way_to_a_better_one(folder, problem, tmp_path):
    wrong = shutil.copytree(content_dir("sim") / "cartpole", tmp_path / "wrong")
    text = (wrong / "cartpole.xml").read_text()
    (wrong / "cartpole.xml").write_text(text.replace("<option", '<option gravity="0 0 60"', 1))
    alone, path = load_run(folder / "run"), copied(folder, tmp_path)
    harmed = blend(path, prior=wrong, progress=False)
    assert trusted(harmed, problem) < 0.1
    assert error(harmed, problem) < 1.05 * error(alone, problem)
    better = blend(path, prior="cartpole", progress=False)
    assert better.team.names == harmed.team.names
    assert trusted(better, problem) > 0.9


def fitted_to(log, scene, optimism=None, but=()):
    """A copy of the cart-pole's scene that says that it was fitted to episodes of a log."""
    shutil.copytree(content_dir("sim") / "cartpole", scene)
    fitted = [sha256 for i, sha256 in enumerate(Log(log).episode_sha256) if i not in but]
    told = {"parameters": [], "covariance": [], "fitted": [], "fitted_sha256": fitted}
    more = {} if optimism is None else {"optimism": optimism}
    (scene / "identified.json").write_text(json.dumps(told | more))
    return scene


def cost(run, than):
    """How many times as large a squared error the scene counts with than in another run, as a geometric mean."""
    return np.exp(np.mean(np.log(run.team.blend.usual[-1]) - np.log(than.team.blend.usual[-1])))


def test_a_scene_that_was_fitted_to_what_the_run_was_measured_on_pays_for_it(folder, tmp_path, capsys):
    path = copied(folder, tmp_path)
    shipped = blend(path, prior="cartpole", progress=False)
    others = blend(path, prior=fitted_to(folder / "b.h5", tmp_path / "others", 9.0))
    np.testing.assert_array_equal(others.team.blend.usual, shipped.team.blend.usual)
    assert "fitted to" not in capsys.readouterr().out
    every = blend(path, prior=fitted_to(folder / "a.h5", tmp_path / "all", 9.0))
    assert cost(every, shipped) == pytest.approx(9, rel=0.3)
    said = " ".join(capsys.readouterr().out.split())
    assert "the scene was fitted to 3 of 3 recordings" in said
    assert "3.00 times as large; no other tells" in said
    older = blend(path, prior=fitted_to(folder / "a.h5", tmp_path / "older"), progress=False)
    assert cost(older, shipped) == pytest.approx(4, rel=0.3)


def test_a_recording_that_the_scene_was_not_fitted_to_tells_what_it_pays_on_the_others(folder, tmp_path, capsys):
    path = copied(folder, tmp_path)
    shipped = blend(path, prior="cartpole", progress=False)
    other = shipped.settings.left_out[0]
    two = blend(path, prior=fitted_to(folder / "a.h5", tmp_path / "two", 9.0, but=[other]))
    said = " ".join(capsys.readouterr().out.split())
    assert "the scene was fitted to 2 of 3 recordings" in said
    assert "no other tells" not in said
    assert 1 < cost(two, shipped) < 6  # of 9 that its fit tells of; it is as good on the third


def test_what_measures_and_the_scene_was_fitted_to_is_told(folder, tmp_path):
    alone = load_run(folder / "run")
    log = Log(folder / "a.h5")
    assert "flattered" not in alone.unseen_note(log)
    run = blend(copied(folder, tmp_path), prior=fitted_to(folder / "a.h5", tmp_path / "all"), progress=False)
    assert f"fitted to {len(run.unseen(log))} of these" in run.unseen_note(log)


def files_of(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_what_does_not_fit_is_refused_and_the_run_stays(folder, tmp_path):
    path = copied(folder, tmp_path)
    before = files_of(path)
    with pytest.raises(WorldModelError, match="does not fit the log"):
        blend(path, prior="double_pendulum", progress=False)
    with pytest.raises(WorldModelError, match="trained on other data"):
        blend(path, prior="cartpole", logs=[folder / "b.h5"], progress=False)
    damaged = fitted_to(folder / "a.h5", tmp_path / "damaged", 0.5)
    with pytest.raises(WorldModelError, match=r"identified.json cannot be read"):
        blend(path, prior=damaged, progress=False)
    with pytest.raises(WorldModelError, match=r"identified.json cannot be read"):
        train(str(folder / "a.h5"), tmp_path / "none", prior=damaged, **SHORT)
    assert not (tmp_path / "none").exists()
    (folder / "a.h5").rename(folder / "moved.h5")
    with pytest.raises(WorldModelError, match="not where it was"):
        blend(path, prior="cartpole", progress=False)
    (folder / "moved.h5").rename(folder / "a.h5")
    (path / "finished.json").rename(tmp_path / "aside.json")
    with pytest.raises(WorldModelError, match=r"(?s)training of .* has not ended.*--resume"):
        blend(path, prior="cartpole", progress=False)
    (tmp_path / "aside.json").rename(path / "finished.json")
    assert files_of(path) == before


def test_damaged_experts_are_told_of_a_run_that_has_not_ended(folder, tmp_path):
    path = copied(folder, tmp_path)
    for name in ("blend.npz", "finished.json"):
        (path / name).unlink()
    with pytest.raises(WorldModelError, match="has not ended, and nobody answers yet"):
        load_run(path)
    (path / "experts.npz").write_bytes((path / "experts.npz").read_bytes()[:100])
    with pytest.raises(WorldModelError, match=r"experts.npz cannot be read"):
        load_run(path)


class Killed(BaseException):
    """What ends a process; nobody tidies up then."""


def told(number):
    return LeftOut(*(np.full(1, number) for _ in LeftOut._fields))


def put(place, number, until=9):
    """Writes what a run with experts of a number would have, and is killed after so many files."""
    scene = content_dir("sim") / "cartpole"
    writes = [lambda: place.write_left_out(told(number)), lambda: place.write_prior(scene)]
    for step, write in enumerate(writes):
        if step == until:
            raise Killed
        write()


@pytest.mark.parametrize("until", [0, 1])
def test_what_is_killed_before_all_is_written_leaves_the_run_as_it_was(tmp_path, monkeypatch, until):
    folder = RunFolder(tmp_path)
    put(folder, 1)
    before = files_of(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed), folder.blended_again() as place:
        patch.setattr("worldmodel.files.shutil.rmtree", lambda *_, **__: None)
        put(place, 2, until)
    after = files_of(tmp_path)
    assert {name: after[name] for name in before} == before
    assert folder.read_left_out().starts == 1
    with folder.blended_again() as place:
        put(place, 3)
    assert folder.read_left_out().starts == 3
    assert [p.name for p in tmp_path.iterdir()] == ["blended-1"]


def test_what_is_killed_after_that_reads_the_new(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    put(folder, 1)
    with monkeypatch.context() as patch, pytest.raises(Killed), folder.blended_again() as place:
        patch.setattr("worldmodel.training.folder._remove", lambda _: put(folder, 0, until=0))
        put(place, 2)
    assert (tmp_path / "left_out.npz").exists()
    assert folder.read_left_out().starts == 2
    for number in (3, 4):
        with folder.blended_again() as place:
            put(place, number)
        assert folder.read_left_out().starts == number
        assert [p.name for p in tmp_path.glob("blended-*")] == [f"blended-{number - 1}"]

"""A scene is asked as a run is: right where it is right, as sure as it may be, and silent on what it does not know."""

import copy
import dataclasses
import json
import shutil

import numpy as np
import pytest

from tests.command_line import run
from tests.simulate.identification import machines
from worldmodel.errors import WorldModelError
from worldmodel.imagine.calibration import LEVEL, central_interval
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.physics import KnownScene, Spread, spread
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.simulate import simulate
from worldmodel.simulate.world import World
from worldmodel.training import load

QUIET = machines.TOML.replace("noise_std = 0.001", "noise_std = 0.0").replace("noise_std = 0.02", "noise_std = 0.0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The true machine's scene in `true`, and logs of it: `log3.h5` with noise."""
    folder = tmp_path_factory.mktemp("known")
    machines.log(folder, episodes=4, seed=3)
    return folder


@pytest.fixture(scope="module")
def log(folder):
    with Log(folder / "log3.h5", truth=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def known(folder, log):
    return KnownScene.of(folder / "true").on(log)


def windows_of(known, log, every=40):
    """Context and future of some windows."""
    windows = known.windows(log)
    return windows, *windows.cut(windows.starts()[::every], windows.horizon)


def test_without_noise_it_imagines_its_own_log_as_it_was(tmp_path):
    machines.log(tmp_path, episodes=1, seed=1, toml=QUIET)
    future = load(tmp_path / "true").imagine(tmp_path / "log1.h5", episode=0, at_s=1.0, members=2)
    came, told = future.logged["angle"], future["angle"]
    assert len(told.time) == 64
    true = np.interp(told.time, came.time, came.data[:, 0])
    np.testing.assert_allclose(told.data[:, :, 0], true[:, None] * [1, 1], atol=2e-3)
    assert np.ptp(true) > 0.3


def test_members_are_as_far_from_it_as_it_is_from_what_comes(known, log):
    """Of the right machine: the noise of readings, and what the state is not known of."""
    _, context, future = windows_of(known, log)
    foreseen = known.foreseer().futures(context, future.actions, (), 16)
    error = np.where(future.mask, future.values - foreseen.clean, np.nan)
    spread = (foreseen.read - foreseen.clean[:, None]).std((0, 1))
    assert (spread / np.sqrt(np.nanmean(error**2, 0))).min() > 0.5
    assert (spread / np.sqrt(np.nanmean(error**2, 0))).max() < 3


def test_a_window_is_answered_alone_as_among_others_and_so_are_members(known, log):
    windows, context, future = windows_of(known, log, every=100)
    foreseer = known.foreseer().seeded(5)
    some = foreseer.futures(context, future.actions, (), 3)
    first, then = windows.cut(windows.starts()[:1], windows.horizon)
    one = foreseer.futures(first, then.actions, (), 2)
    np.testing.assert_allclose(one.clean[0], some.clean[0], atol=1e-9)
    np.testing.assert_allclose(one.read[0], some.read[0, :2], atol=1e-9)


def fitted(folder, tmp_path, names, covariance, **told):
    """The true scene as `identify` would have left it."""
    kept = shutil.copytree(folder / "true", tmp_path / "fitted")
    found = {"parameters": [{"name": name} for name in names], "covariance": covariance}
    lists = {"logs_sha256": [], "fitted": []}
    (kept / "identified.json").write_text(json.dumps({**lists, **found, **told}))
    return kept


def test_machines_are_drawn_by_the_covariance(folder, tmp_path):
    names, covariance = ["pivot.damping", "arm.mass"], np.array([[1e-4, -3e-4], [-3e-4, 0.01]])
    kept = fitted(folder, tmp_path, names, covariance.tolist())
    world = World(KnownScene.of(kept).scene, general=True)
    drawn = Uncertainty.of(kept).machines(world, 0, 400)
    found = np.array([[m.model.dof_damping[0], np.log(m.model.body_mass[1])] for m in drawn])
    np.testing.assert_allclose(found.mean(0), [0.05, 0.0], atol=0.015)
    np.testing.assert_allclose(np.cov(found.T), covariance, rtol=0.25)
    assert found[7, 1] == np.log(Uncertainty.of(kept).machines(world, 0, 8)[7].model.body_mass[1])


def test_questions_of_other_threads_take_no_machines_away(known):
    """One that asks for two while another has got five."""
    foreseer = known.foreseer()
    drawn = [copy.copy(foreseer._physics.nominal) for _ in range(5)]

    class Asked:
        def machines(self, world, seed, count):
            foreseer._machines = drawn
            return drawn[:count]

    foreseer._uncertainty = Asked()
    assert foreseer._machines_of(2) == drawn[:2]
    assert foreseer._machines_of(5) == foreseer._machines == drawn


def test_what_is_less_sure_is_wider_ahead(folder, log, known, tmp_path):
    kept = fitted(folder, tmp_path, ["arm.inertia"], [[0.04]])
    _, context, future = windows_of(known, log, every=100)
    sure, unsure = (
        each.foreseer().futures(context, future.actions, (), 8).read.std(1).mean((0, 2))
        for each in (known, KnownScene.of(kept).on(log))
    )
    assert unsure[-1] > 2 * sure[-1]
    assert unsure[0] < 1.5 * sure[0]


def test_a_scene_that_changed_since_it_was_fitted_is_refused(folder, log, tmp_path):
    kept = fitted(folder, tmp_path, ["leg.mass"], [[0.1]])
    with pytest.raises(WorldModelError, match="not the scene that was fitted"):
        KnownScene.of(kept).imagine(log, episode=0, at_s=1.0)
    (kept / "identified.json").write_text("{")
    with pytest.raises(WorldModelError, match="cannot be read"):
        KnownScene.of(kept)


def test_a_wrong_scene_is_spread_until_its_intervals_hold(folder, tmp_path, monkeypatch):
    """Measured on one log and kept; on another they hold about what they say."""
    monkeypatch.setattr(spread, "_WINDOWS", 32)
    wrong = KnownScene.of(machines.scene(tmp_path / "wrong"))
    assert any("not calibrated" in note for note in wrong.notes)
    wrong.calibrate(folder / "log3.h5")
    machines.log(tmp_path, episodes=4, seed=9)
    with Log(tmp_path / "log9.h5") as other, Log(folder / "log3.h5") as calibrated:
        again = load(tmp_path / "wrong").on(other)
        assert not again.unseen_note(other)
        assert "was measured on 4 of these episodes" in again.unseen_note(calibrated)
        assert not any("calibrated" in note for note in again.notes)
        _, context, future = windows_of(again, other)
    shares = []
    for known in (again, dataclasses.replace(again, spread=None)):
        low, high = central_interval(known.foreseer().futures(context, future.actions, (), 20).read, LEVEL)
        shares.append(((low <= future.values) & (future.values <= high))[future.mask].mean())
    assert shares[1] < 0.5
    assert 0.75 < shares[0] < 0.98


def test_what_was_fitted_is_known_by_its_content_and_in_older_files_by_name(folder, log, tmp_path):
    """Other logs have episodes of the same names, and the same episodes come in other files."""
    with Log(machines.log(tmp_path, episodes=4, seed=9)) as other:
        assert other.episode_names == log.episode_names
        named = {"fitted": list(log.episode_names[:3]), "logs_sha256": list(log.file_sha256)}
        by_name = KnownScene.of(fitted(folder, tmp_path / "older", [], [], **named))
        assert (by_name.unseen(log), by_name.unseen(other)) == ([3], [0, 1, 2, 3])
        hashes = {"fitted_sha256": list(other.episode_sha256[:3])}
        by_content = KnownScene.of(fitted(folder, tmp_path / "newer", [], [], **named, **hashes))
        assert (by_content.unseen(log), by_content.unseen(other)) == ([0, 1, 2, 3], [3])


@pytest.mark.parametrize(("fitted_to", "measured"), [(3, [3]), (4, range(4))])
def test_it_is_calibrated_on_what_was_not_fitted_or_on_all(folder, log, tmp_path, monkeypatch, fitted_to, measured):
    kept = fitted(folder, tmp_path, [], [], fitted_sha256=list(log.episode_sha256[:fitted_to]))
    monkeypatch.setattr(Spread, "measured", lambda draw, windows: Spread({}, {}))
    asked, windows = [], KnownScene.windows
    monkeypatch.setattr(
        KnownScene, "windows", lambda self, log, episodes: asked.append(episodes) or windows(self, log, None, episodes)
    )
    spread = KnownScene.of(kept).calibrate(log).spread
    assert asked == [measured]
    assert spread.episodes_sha256 == tuple(log.episode_sha256[i] for i in measured)


def test_what_is_measured_of_a_shipped_scene_is_not_written_among_the_toolkits_files(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "_WINDOWS", 2)
    log = simulate("double_pendulum", tmp_path / "a.h5", episodes=1, seconds=0.3, progress=False)
    shipped = load("double_pendulum").calibrate(log)
    assert shipped.spread is not None
    assert load("double_pendulum").spread is None


def test_a_spread_is_read_as_it_was_written(tmp_path):
    given = Spread({"angle": np.array([0.1, 1.0])}, {"angle": np.array([1.0, 3.0])}, ("ab",))
    given.write(tmp_path)
    found = Spread.read(tmp_path)
    assert found.episodes_sha256 == ("ab",)
    np.testing.assert_array_equal(found.factors["angle"], [1, 3])
    assert Spread.read(tmp_path / "nowhere") is None
    text = (tmp_path / "spread.json").read_text()
    (tmp_path / "spread.json").write_text(text.replace('"version": 1', '"version": 2'))
    with pytest.raises(WorldModelError, match="another version"):
        Spread.read(tmp_path)


def test_streams_that_it_does_not_know_are_left_out_and_said(folder, log, tmp_path):
    toml = (
        machines.TOML[: machines.TOML.index("[streams.speed]")] + machines.TOML[machines.TOML.index("[streams.torq") :]
    )
    less = KnownScene.of(machines.scene(tmp_path / "less", machines.TRUE, toml=toml)).on(log)
    assert less.unknown == ("speed",)
    assert "says nothing of speed" in less.notes[0]
    assert set(less.imagine(log, episode=0, at_s=1.0).imagined) == {"angle", "torque"}


def test_it_shows_itself_in_a_few_lines(folder):
    shown = repr(KnownScene.of(folder / "true"))
    assert str(folder / "true") in shown
    assert "angle: sensor jointpos:pivot at 100 Hz" in shown
    assert (len(shown.splitlines()), "not calibrated" in shown) == (6, True)


def test_without_a_log_it_says_what_of_its_own_it_says_nothing_of():
    assert load("rover").unknown == ("camera", "gps")


def test_logs_alike_are_asked_of_one_and_what_calibrates_is_closed(folder, log, tmp_path, monkeypatch):
    known = KnownScene.of(folder / "true")
    less = without(log, tmp_path, "speed")
    asked = known.on(less)
    assert asked is known.on(less)
    assert known.on(log) is not asked
    assert "speed" in {spec.name for spec in known.on(log).streams}
    opened = []
    monkeypatch.setattr(Spread, "measured", lambda draw, windows: Spread({}, {}))
    monkeypatch.setattr(Log, "close", lambda self, close=Log.close: opened.append(self) or close(self))
    KnownScene.of(shutil.copytree(folder / "true", tmp_path / "kept")).calibrate(folder / "log3.h5")
    assert len(opened) == 1


def test_a_wrong_column_of_actions_is_named_before_anything_is_opened(folder, tmp_path):
    (tmp_path / "a.csv").write_text("time,moter\n0,1\n")
    words = ("--episode", 0, "--at", 1, "--actions", tmp_path / "a.csv", "--out", tmp_path / "out")
    ran = run("imagine", folder / "true", tmp_path / "no_such_log.h5", *words)
    assert (ran.code, "column 'moter' that no action has" in ran.err) == (2, True), ran.err
    assert "did you mean 'motor'?" in ran.err


def without(log, tmp_path, *names):
    """The log without some streams."""
    streams = [spec for spec in log.streams.values() if spec.name not in names]
    path = tmp_path / "less.h5"
    with LogWriter(path, streams) as writer:
        writer.append({spec.name: log.episodes[0].streams[spec.name][:] for spec in streams}, name="a")
    return path


BAD = {
    "no actions": (("torque",), "true", 1.0, "does not fit the scene"),
    "no common sensor": (("angle", "speed"), "true", 1.0, "does not fit the scene"),
    "neither run nor scene": ((), ".", 1.0, "holds no run, and no scene"),
    "a moment outside": ((), "true", 9.0, "no moment to imagine from"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_asked_is_said_and_writes_nothing(folder, log, tmp_path, case):
    gone, scene, at, said = BAD[case]
    if "angle" in gone:
        toml = machines.TOML.replace("[streams.angle]", "[streams.place]").replace("[streams.speed]", "[streams.rate]")
        machines.scene(tmp_path / "true", machines.TRUE, toml=toml)
        path, scene = folder / "log3.h5", tmp_path / "true"
    else:
        path, scene = without(log, tmp_path, *gone), folder / scene
    ran = run("imagine", scene, path, "--episode", 0, "--at", at, "--out", tmp_path / "out")
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert not (tmp_path / "out").exists()

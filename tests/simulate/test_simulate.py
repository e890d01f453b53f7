"""What a simulated log holds, against a plain loop of MuJoCo and against what its scene declares."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.simulate.scenes import by_hand, metres, puck, sensor, streams_of
from worldmodel.errors import SceneError, WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.simulate import Branch, simulate, world

START = np.array([0.25, 0, 0, -0.5, 0, 6, 0, 0, 0])  # of the puck: positions, velocities, activations
FEW_CORES = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from worldmodel.simulate import simulate
simulate(sys.argv[1], sys.argv[2], episodes=5, seconds=1.0, seed=3, progress=False)
"""


def record(scene, path, **options):
    simulate(scene, path, progress=False, **options)
    return Log(path, truth=True)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return puck(tmp_path_factory.mktemp("puck"))


@pytest.fixture(scope="module")
def log(scene, tmp_path_factory):
    return record(scene, tmp_path_factory.mktemp("log") / "a.h5", episodes=6, seconds=40.0, seed=1)


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_cores(tmp_path, monkeypatch):
    scene = puck(tmp_path / "puck", camera=True)
    monkeypatch.setattr(world, "free_cores", lambda: 3)
    three = record(scene, tmp_path / "three.h5", episodes=5, seconds=1.0, seed=3)
    monkeypatch.undo()
    command = [sys.executable, "-c", FEW_CORES, scene.name, str(tmp_path / "one.h5")]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    one = Log(tmp_path / "one.h5", truth=True)
    assert "camera" in three.streams
    for a, b in zip(three.episodes, one.episodes, strict=True):
        assert streams_of(a) == streams_of(b)


def test_another_seed_and_another_world_differ(scene, tmp_path):
    logs = [record(scene, tmp_path / f"{seed}.h5", episodes=2, seconds=2.0, seed=seed) for seed in (3, 4)]
    worlds = [streams_of(episode) for log in logs for episode in log.episodes]
    for name in ("imu", "heading", "push", "twist", "truth/state"):
        assert len({world[name][1] for world in worlds}) == 4, name


def test_an_episode_does_not_depend_on_how_many_there_are_or_how_long_they_last(scene, tmp_path):
    many = record(scene, tmp_path / "many.h5", episodes=11, seconds=1.0, seed=3)  # more than are simulated at once
    few = record(scene, tmp_path / "few.h5", episodes=3, seconds=1.0, seed=3)
    for a, b in zip(many.episodes[:3], few.episodes, strict=True):
        assert streams_of(a) == streams_of(b)


def test_readings_are_what_a_plain_loop_of_mujoco_reads(scene, log):
    episode = log.episodes[2]
    sensors, states = by_hand(scene, episode, START, 8000)
    expected = {
        "imu": np.concatenate([sensors[::2, sensor(scene, name)] for name in ("accelerometer", "gyro")], 1),
        "heading": np.angle(np.exp(1j * sensors[:, sensor(scene, "heading")])),
        "state": states[::4],  # the fastest action's rate is 50 Hz
    }
    assert np.ptp(sensors[:, sensor(scene, "heading")]) > 2 * np.pi, "the puck must turn, or nothing wraps"
    for name, values in expected.items():
        np.testing.assert_allclose(episode.truth[name].data, values, atol=2e-5, err_msg=name)
    position = sensors[::20, sensor(scene, "position")]
    np.testing.assert_allclose(metres(scene, episode.truth["gps"].data), position, atol=1e-6)
    for name, rate in {"imu": 100, "heading": 200, "gps": 10, "state": 50}.items():
        np.testing.assert_allclose(episode.truth[name].time, np.arange(40 * rate + 1) / rate, atol=1e-9)


def test_settling_runs_the_same_world_before_the_recording(scene, tmp_path):
    """Under constant actions, a world that settled for 0.5 s is the one that did not, 0.5 s later."""
    for stream in scene.actions:
        assert stream.excitation is not None
    constant = tuple(
        dataclasses.replace(s, excitation=dataclasses.replace(s.excitation, low=s.excitation.high))
        if s.excitation
        else s
        for s in scene.streams
    )
    still = dataclasses.replace(scene, streams=constant)
    settled = dataclasses.replace(still, settle_s=0.5)
    plain = record(still, tmp_path / "plain.h5", episodes=1, seconds=2.0).episodes[0].truth
    later = record(settled, tmp_path / "later.h5", episodes=1, seconds=1.5).episodes[0].truth
    for name, rate in {"imu": 100, "heading": 200, "state": 50}.items():
        np.testing.assert_array_equal(later[name].data, plain[name].data[rate // 2 :])
        assert later[name].time[0] == 0


def test_actions_are_stamped_from_the_start_to_before_the_end(log):
    for name, rate in {"push": 20, "twist": 50}.items():
        times = log.episodes[0].streams[name].time
        np.testing.assert_allclose(times, np.arange(40 * rate) / rate, atol=1e-9)
    assert log.episodes[0].duration_s == 40.0


def test_truth_is_invisible_unless_asked_for(log):
    plain = Log(log.files)
    assert set(plain.streams) == set(plain.episodes[0].streams) == {"imu", "heading", "gps", "push", "twist"}
    with pytest.raises(WorldModelError, match="truth=True"):
        _ = plain.episodes[0].truth
    assert set(log.episodes[0].truth) == {"imu", "heading", "gps", "state"}


def residuals(scene, log, name):
    """Reading minus truth [M, S] of every sample that there is; GPS in metres, angles the short way round."""
    parts = []
    for episode in log.episodes:
        noisy, clean = episode.streams[name], episode.truth[name]
        there = np.isin(clean.time, noisy.time)
        both = [noisy.data, clean.data[there]]
        if log.streams[name].kind == "gps":
            both = [metres(scene, fixes) for fixes in both]
        parts.append(both[0] - both[1])
    error = np.concatenate(parts)
    return np.angle(np.exp(1j * error)) if name == "heading" else error


@pytest.mark.parametrize("name", ["imu", "heading", "gps"])
def test_noise_has_the_declared_deviation_and_is_white(scene, log, name):
    error = residuals(scene, log, name)
    (declared,) = (stream.noise_std for stream in scene.streams if stream.spec.name == name)
    uncertain = 4 / np.sqrt(len(error))
    np.testing.assert_allclose(error.std(0), declared, rtol=uncertain)
    assert (np.abs(error.mean(0)) < uncertain * declared).all()
    together = np.corrcoef(np.concatenate([error[1:], error[:-1]], 1), rowvar=False)
    assert np.abs(together - np.eye(len(together))).max() < 1.5 * uncertain, "columns, and samples in turn, are alike"


def test_what_a_log_says_of_its_noise_is_what_was_added(scene, log):
    declared = {stream.spec.name: stream.noise_std for stream in scene.streams}
    np.testing.assert_allclose(log.streams["imu"].noise_std, declared["imu"])
    latitude, longitude, up = log.streams["gps"].noise_std
    north, east = latitude * 111_200, longitude * 111_320 * np.cos(np.radians(47.25))
    np.testing.assert_allclose([east, north, up], declared["gps"], rtol=2e-3)


@pytest.mark.parametrize(("name", "rate"), [("imu", 100), ("gps", 10)])
def test_outages_silence_spans_of_the_declared_length(scene, log, name, rate):
    (declared,) = (stream.outages for stream in scene.streams if stream.spec.name == name)
    shortest, longest = declared.seconds
    silent = []
    for episode in log.episodes:
        times = episode.streams[name].time
        assert len(episode.truth[name]) == 40 * rate + 1, "truth knows no outage"
        inside = np.diff(times)[np.diff(times) > 1.5 / rate]
        silent += (inside - 1 / rate).tolist()
    assert min(silent) > shortest - 1 / rate
    assert max(silent) < longest + 1 / rate
    count = len(log.episodes) * 40 / (declared.every_s + np.mean(declared.seconds))
    assert len(silent) == pytest.approx(count, abs=4 * np.sqrt(count))


def test_gps_is_geodetic_about_the_origin(scene, log):
    """A metre north is a degree over 111.2 km; east, more of a degree by the cosine of the latitude."""
    fix = log.episodes[0].truth["gps"].data[10] - scene.origin
    x, y, z = by_hand(scene, log.episodes[0], START, 200)[0][200, sensor(scene, "position")]
    assert min(abs(x), abs(y)) > 0.05
    assert fix[0] * 111_200 == pytest.approx(y, rel=2e-3)
    assert fix[1] * 111_320 * np.cos(np.radians(47.25)) == pytest.approx(x, rel=3e-3)
    assert fix[2] == pytest.approx(z, abs=1e-6)


@pytest.fixture(scope="module")
def branched(scene, tmp_path_factory):
    branch = Branch(at_s=1.5, count=3)
    path = tmp_path_factory.mktemp("branched") / "a.h5"
    return record(puck(path.parent / "puck", camera=True), path, episodes=2, seconds=3.0, seed=5, branch=branch)


def test_branches_are_alike_up_to_the_moment_they_part(branched):
    for world_ in (branched.episodes[:3], branched.episodes[3:]):
        for section in ("streams", "truth"):
            for name, first in getattr(world_[0], section).items():
                strict = name in ("push", "twist")  # the action of the moment itself is the first to differ
                end = np.searchsorted(first.time, 1.5 - 1e-9 if strict else 1.5 + 1e-9)
                assert end > 4
                for other in (getattr(episode, section)[name] for episode in world_[1:]):
                    np.testing.assert_array_equal(other.time[:end], first.time[:end])
                    np.testing.assert_array_equal(other.rows(0, end), first.rows(0, end), err_msg=name)


def test_branches_part_under_actions_of_their_own(branched):
    for world_ in (branched.episodes[:3], branched.episodes[3:]):
        for name in ("push", "twist"):
            first = [episode.streams[name][1.5 - 1e-9 :].data[0] for episode in world_]
            assert len({tuple(action) for action in first}) == 3
        for name in ("imu", "state"):
            assert len({episode.truth[name].data[-1].tobytes() for episode in world_}) == 3
    names = [episode.name for episode in branched.episodes]
    assert len(set(names)) == 6


def test_branches_of_one_world_come_one_after_another(branched):
    """Validation counts on it: consecutive episodes are futures of one world."""
    starts = [episode.streams["push"].data[0].tobytes() for episode in branched.episodes]
    assert len(set(starts[:3])) == len(set(starts[3:])) == 1
    assert starts[0] != starts[3]


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001, float("nan"), float("inf")])
def test_a_length_that_cannot_be_is_refused(scene, tmp_path, seconds):
    with pytest.raises(SceneError, match="seconds"):
        simulate(scene, tmp_path / "a.h5", episodes=1, seconds=seconds, progress=False)
    with pytest.raises(SceneError, match="episodes"):
        simulate(scene, tmp_path / "a.h5", episodes=0, seconds=1.0, progress=False)
    assert list(tmp_path.iterdir()) == []

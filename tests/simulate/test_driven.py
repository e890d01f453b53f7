"""A driven scene reads what a recording of the same commands holds."""

import contextlib
import dataclasses
import threading

import numpy as np
import pytest

from worldmodel.simulate import load_scene
from worldmodel.simulate.driven import Driven, Eye
from worldmodel.simulate.signals import controls_at, readings_at
from worldmodel.types import Samples


@pytest.fixture(scope="module")
def scene():
    """`cartpole`, whose commands act late and whose cart is read late."""
    late = {"push": 0.03, "cart": 0.02}
    found = load_scene("cartpole")
    streams = [dataclasses.replace(s, delay_s=late.get(s.spec.name, 0.0)) for s in found.streams]
    return dataclasses.replace(found, streams=tuple(streams))


def driven(scene, chunks):
    drive, read = Driven(scene, seed=3), []
    for seconds in chunks:
        read += drive.advance(seconds, {"push": np.array([4.0 * (drive.now_s >= 0.4)])})
    return drive, read


def test_in_one_rollout_the_same_is_read(scene):
    start, _ = driven(scene, [])
    drive, read = driven(scene, [0.1] * 8)
    given = [r for r in read if r.stream == "push"]
    commands = {"push": Samples(np.array([r.time_s for r in given]), np.array([r.value for r in given]))}
    np.testing.assert_allclose(commands["push"].time, np.arange(len(given)) / scene.actions[0].spec.rate_hz, atol=1e-9)
    world, times = drive.world, np.arange(round(0.8 / drive.world.step_s)) * drive.world.step_s
    rolled = world.rollout(start.state[None], controls_at(world, scene, commands, times)[None], start._begun)
    np.testing.assert_allclose(drive.state, rolled.states[0, -1], atol=1e-9)
    for stream in scene.sensed:
        mine = [r for r in read if r.stream == stream.spec.name and r.time_s > stream.delay_s]
        expected = readings_at(world, scene, stream, rolled.sensors[0], np.array([r.time_s for r in mine]))
        np.testing.assert_allclose([r.true for r in mine], expected, atol=1e-9)
        noise = np.array([r.value - r.true for r in mine])
        assert 0.3 < noise.std() / stream.noise_std.mean() < 3


def test_how_it_is_cut_into_steps_does_not_matter(scene):
    _, coarse = driven(scene, [0.4, 0.4])
    _, fine = driven(scene, [0.05] * 16)
    assert [(r.stream, r.time_s) for r in sorted(coarse)] == [(r.stream, r.time_s) for r in sorted(fine)]
    for one, other in zip(sorted(coarse), sorted(fine), strict=True):
        np.testing.assert_allclose(one.true, other.true, atol=1e-6)


def test_what_lies_ahead_comes_if_the_commands_hold(scene):
    drive, _ = driven(scene, [0.5])
    ahead = drive.ahead(0.2, {"push": np.array([4.0])})
    read = drive.advance(0.2, {"push": np.array([4.0])})
    np.testing.assert_allclose(drive._sensors[-1], ahead.data[-1], atol=1e-9)
    assert ahead.time[-1] == pytest.approx(drive.now_s)
    for stream in scene.sensed:  # `cart` late, from the first moment on
        mine = [r for r in read if r.stream == stream.spec.name]
        times = np.array([r.time_s for r in mine]) - ahead.time[0]
        expected = readings_at(drive.world, scene, stream, ahead.data, times)
        np.testing.assert_allclose([r.true for r in mine], expected, atol=1e-9)


def test_a_camera_is_closed_in_the_thread_that_opened_it(scene):
    threads = []

    class Seen:
        @contextlib.contextmanager
        def eye(self, camera, size):
            threads.append(threading.current_thread())
            yield lambda state: state
            threads.append(threading.current_thread())

    drive, stream = Driven(scene), scene.sensed[0]
    drive._eyes = {"seen": Eye(Seen(), stream), "never": Eye(Seen(), stream)}
    drive._eyes["seen"].frame(np.zeros(1))
    drive.close()
    opened, closed = threads
    assert opened is closed
    assert not opened.is_alive()

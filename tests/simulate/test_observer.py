"""The observer: exact where readings are, blind to what comes later, and near the best that a linear filter can do."""

import numpy as np
import pytest

from tests.simulate.scenes import write_scene
from worldmodel.simulate import load_scene
from worldmodel.simulate.model import mujoco
from worldmodel.simulate.observer import Observer, Readings
from worldmodel.simulate.world import World
from worldmodel.types import Samples

SPRING_XML = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body><joint name="x" type="slide" axis="1 0 0" stiffness="20" damping="0.3"/><geom size=".1" mass="1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="x"/></actuator>
</mujoco>
"""
SPRING_TOML = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[streams.place]
kind = "sensor"
sensors = ["jointpos:x"]
units = "m"
rate_hz = 100
[streams.push]
kind = "action"
actuators = ["push"]
rate_hz = 100
[streams.push.excitation]
low = -1.0
high = 1.0
hold_s = [0.1, 0.5]
"""
BODY_XML = """
<mujoco>
  <option timestep="0.01" gravity="0 0 0" integrator="RK4"/>
  <worldbody>
    <body name="body"><freejoint/><geom type="box" size=".1 .2 .3" mass="1"/><site name="imu" euler="20 30 40"/></body>
  </worldbody>
</mujoco>
"""
BODY_TOML = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[streams.turn]
kind = "sensor"
sensors = ["framequat:body"]
columns = ["w", "x", "y", "z"]
rate_hz = 100
[streams.gyro]
kind = "sensor"
sensors = ["gyro:imu"]
columns = ["x", "y", "z"]
rate_hz = 100
"""
STEPS = 400


def observer_of(folder, toml, xml):
    return Observer(World(load_scene(write_scene(folder, toml, xml))))


def linear(observer):
    """A [2, 2] and B [2] of one step, from the simulator itself."""
    starts, pushes = np.vstack([np.eye(2), np.zeros(2)]), np.array([0.0, 0.0, 1.0])
    after = observer.world.rollout(starts, pushes[:, None, None]).states[:, -1]
    return after[:2].T, after[2]


def steady_gain(a, b, process, noise):
    """The steady Kalman gain [2] of place and speed, by iterating Riccati's equation."""
    covariance = np.eye(2)
    for _ in range(200):
        gain = covariance[:, 0] / (covariance[0, 0] + noise**2)
        covariance = a @ (covariance - np.outer(gain, covariance[0])) @ a.T + process**2 * np.outer(b, b)
    return gain


def reads(times, values):
    """Readings of one world."""
    return Readings.of([Samples(times, values)])


def test_without_noise_it_is_exact(tmp_path):
    observer = observer_of(tmp_path, SPRING_TOML, SPRING_XML)
    controls = np.random.default_rng(0).normal(size=(1, STEPS, 1))
    true = observer.world.rollout(np.array([[0.3, -1.0]]), controls).states
    read = {"place": reads(np.arange(STEPS + 1) * 0.01, true[0, :, :1])}
    states, sound = observer.follow(read, true[:, 0], controls, keep=range(STEPS + 1))
    assert sound.all()
    np.testing.assert_allclose(states, true, atol=1e-9)
    wrong = observer.begin(read, np.array([[5.0, 0.0]]))
    np.testing.assert_allclose(wrong, [[0.3, 0.0]])
    np.testing.assert_allclose(observer.follow(read, wrong, controls)[0][:, 0], true[:, -1], atol=1e-6)


def test_it_knows_nothing_that_comes_later(tmp_path):
    observer = observer_of(tmp_path, SPRING_TOML, SPRING_XML)
    rng = np.random.default_rng(1)
    times, values, controls = np.arange(STEPS + 1) * 0.01, rng.normal(size=(STEPS + 1, 1)), np.zeros((1, STEPS, 1))
    later = np.where((np.arange(STEPS + 1) > 200)[:, None], 9.0, values)
    one, other = (
        observer.follow({"place": reads(times, v)}, np.zeros((1, 2)), controls, keep=range(STEPS + 1))[0]
        for v in (values, later)
    )
    np.testing.assert_array_equal(one[:, :201], other[:, :201])
    assert not np.allclose(one[:, 201], other[:, 201])


def test_it_errs_little_more_than_a_kalman_filter_of_the_best_gains(tmp_path):
    """The mass is pushed by unknown forces too, as strong as makes an alpha of 0.3 right."""
    observer = observer_of(tmp_path, SPRING_TOML, SPRING_XML)
    (a, b), noise = linear(observer), 0.01
    forces = np.geomspace(1, 1000, 60)
    process = min(forces, key=lambda force: abs(steady_gain(a, b, force, noise)[0] - 0.3))
    gain = steady_gain(a, b, process, noise)
    rng, true, filtered = np.random.default_rng(2), [np.zeros(2)], [np.zeros(2)]
    steps = 2000
    read = noise * rng.normal(size=(steps + 1, 1))
    for step in range(1, steps + 1):
        true.append(a @ true[-1] + b * process * rng.normal())
        read[step] += true[-1][0]
        ahead = a @ filtered[-1]
        filtered.append(ahead + gain * (read[step] - ahead[0]))
    times, controls = np.arange(steps + 1) * 0.01, np.zeros((1, steps, 1))
    states, _ = observer.follow({"place": reads(times, read)}, np.zeros((1, 2)), controls, keep=range(steps + 1))
    ours, best = (np.sqrt(np.mean((x - np.array(true))[100:] ** 2, 0)) for x in (states[0], np.array(filtered)))
    assert (ours < 1.05 * best).all()
    assert best[0] < 0.8 * noise


@pytest.mark.parametrize(("streams", "attitude"), [(["turn"], True), (["gyro"], False), (["turn", "gyro"], True)])
def test_a_turning_body_is_followed(streams, attitude, tmp_path):
    """From a wrong attitude and wrong rates; a gyro alone tells the rates. A quaternion's sign means nothing."""
    observer = observer_of(tmp_path, BODY_TOML, BODY_XML)
    world, start = observer.world, observer.world.default_state()
    start[-3:] = [1.0, -2.0, 0.5]
    controls = np.zeros((1, STEPS, 0))
    true = world.rollout(start[None], controls)
    times, sign = np.arange(STEPS + 1) * 0.01, np.random.default_rng(0).choice([-1, 1], (STEPS + 1, 1))
    read = {
        "turn": reads(times, sign * true.sensors[0, :, world.sensor_columns(["framequat:body"])].T),
        "gyro": reads(times, true.sensors[0, :, world.sensor_columns(["gyro:imu"])].T),
    }
    wrong = start.copy()
    wrong[3:7], wrong[-3:] = [0.5, 0.5, -0.5, 0.5], 0.0
    (found,), sound = observer.follow({name: read[name] for name in streams}, wrong[None], controls)
    assert sound.all()
    np.testing.assert_allclose(found[0, -3:], true.states[0, -1, -3:], atol=1e-3)
    missed = np.zeros(3)
    mujoco().mju_subQuat(missed, found[0, 3:7], true.states[0, -1, 3:7])
    assert (np.linalg.norm(missed) < 1e-3) == attitude


CART_XML = """
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <geom type="plane" size="5 5 1"/>
    <body pos="0 0 0.1">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="z" type="slide" axis="0 0 1"/>
      <geom type="box" size=".2 .1 .05" mass="10" contype="0" conaffinity="0"/>
      <body><joint name="spin" axis="0 1 0"/><geom type="sphere" size=".1" mass=".5"/></body>
    </body>
  </worldbody>
</mujoco>
"""
CART_TOML = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[streams.wheel]
kind = "sensor"
sensors = ["jointvel:spin"]
rate_hz = 50
"""


def test_a_wheel_that_is_read_tells_how_fast_the_cart_rolls(tmp_path):
    observer = observer_of(tmp_path, CART_TOML, CART_XML)
    times = np.arange(0, 0.5, 0.02)
    read = {"wheel": reads(times, np.full((len(times), 1), 10.0))}  # rad/s, on 0.1 m
    states, sound = observer.follow(read, observer.world.default_state()[None], np.zeros((1, 100, 0)))
    assert sound.all()
    assert states[0, 0, 3] == pytest.approx(1.0, rel=0.03)


def test_in_the_air_a_wheel_tells_of_itself_alone(tmp_path):
    observer = observer_of(tmp_path, CART_TOML, CART_XML)
    states = np.tile(observer.world.default_state(), (2, 1))
    states[0, 1] = 1.0  # the other stands on the ground, and its wheel is not read
    models, missed, gains = [observer.world.model] * 2, np.array([[10.0], [0.0]]), np.array([[0.4], [0.0]])
    found = observer._impulses.correct(models, states, np.array([2]), missed, gains)
    np.testing.assert_allclose(found[:, 3:], [[0.0, 0.0, 4.0], [0.0, 0.0, 0.0]], atol=1e-9)

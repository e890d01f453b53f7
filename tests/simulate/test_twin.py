"""The physical twin: exact from the truth, and started from what sensors read."""

import dataclasses

import numpy as np
import pytest

from tests.simulate.scenes import mujoco, puck, write_scene
from tests.simulate.test_observer import SPRING_TOML, SPRING_XML
from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.simulate import Start, Twin, check_streams, load_scene, simulate
from worldmodel.types import Samples

# A box that tumbles, with a gyro that is turned against it, and an arm whose joint is read.
TUMBLE_TOML = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[streams.imu]
kind = "sensor"
sensors = ["gyro", "accelerometer"]
columns = ["gx", "gy", "gz", "ax", "ay", "az"]
rate_hz = 50
[streams.arm]
kind = "sensor"
sensors = ["arm_velocity", "arm_position"]
rate_hz = 50
"""
TUMBLE_XML = """
<mujoco>
  <compiler angle="radian"/>
  <option gravity="0 0 0" timestep="0.005"/>
  <worldbody>
    <body name="box">
      <freejoint/>
      <geom type="box" size=".3 .2 .1"/>
      <site name="imu" pos=".1 .1 0" euler="0.4 -0.8 1.9"/>
      <body name="arm" pos=".3 0 0">
        <joint name="arm" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 .5 0 0" size=".03"/>
      </body>
    </body>
  </worldbody>
  <sensor>
    <accelerometer name="accelerometer" site="imu"/>
    <jointpos name="arm_position" joint="arm"/>
    <jointvel name="arm_velocity" joint="arm"/>
    <gyro name="gyro" site="imu"/>
  </sensor>
</mujoco>
"""


def known_start(name):
    """A shipped scene whose joints start at numbers that float32 holds exactly."""
    scene = load_scene(name)
    at = {joint: (0.5 - i, 1.25 + i) for i, joint in enumerate(scene.reset)}
    reset = {
        joint: dataclasses.replace(reset, position=(at[joint][0],) * 2, velocity=(at[joint][1],) * 2)
        for joint, reset in scene.reset.items()
    }
    return dataclasses.replace(scene, reset=reset)


def actions_of(episode, scene):
    names = [stream.spec.name for stream in scene.actions]
    return {name: Samples(episode.streams[name].time, episode.streams[name].data) for name in names}


def moved(found, expected, circular):
    """Readings apart, angles the short way round."""
    apart = found - expected
    return np.where(circular, np.angle(np.exp(1j * apart)), apart)


@pytest.mark.parametrize(("name", "rate"), [("cartpole", 50), ("double_pendulum", 500)])
def test_from_the_true_state_it_repeats_the_recording(tmp_path, name, rate):
    scene = known_start(name)
    simulate(scene, tmp_path / "a.h5", episodes=1, seconds=4.0, seed=7, progress=False)
    episode = Log(tmp_path / "a.h5", truth=True).episodes[0]
    ahead = np.arange(3 * rate + 1) / rate
    truth = {n: s for n, s in episode.truth.items() if n != "state"}
    # From the start, which is known exactly; and from within, known to float32.
    for row, tolerance in ((0, 2e-6), (rate // 2, 2e-3)):
        start = Start(row / rate, {}, episode.truth["state"].data[row], actions_of(episode, scene))
        rolled = Twin(scene).rollout([start, start], ahead)
        for stream, clean in truth.items():
            expected = clean.data[row : row + len(ahead)]
            apart = moved(rolled[stream], expected, clean.spec.circular)
            assert np.abs(apart).max() < tolerance * max(np.abs(expected).max(), 1), stream
            assert np.ptp(expected, 0).min() > 0.1, "the machine must move"


def test_gps_comes_as_recorded(tmp_path):
    scene = puck(tmp_path / "puck")
    simulate(scene, tmp_path / "a.h5", episodes=1, seconds=2.0, progress=False)
    episode = Log(tmp_path / "a.h5", truth=True).episodes[0]
    start = Start(0.0, {}, episode.truth["state"].data[0], actions_of(episode, scene))
    rolled = Twin(scene).rollout([start], np.arange(20) / 10)
    np.testing.assert_allclose(rolled["gps"][0], episode.truth["gps"].data[:20], atol=1e-8)
    assert set(rolled) == {"imu", "heading", "gps"}


def test_other_actions_lead_elsewhere(tmp_path):
    scene = known_start("cartpole")
    simulate(scene, tmp_path / "a.h5", episodes=1, seconds=2.0, progress=False)
    episode = Log(tmp_path / "a.h5", truth=True).episodes[0]
    state, given = episode.truth["state"].data[0], actions_of(episode, scene)
    other = {"push": Samples(given["push"].time, given["push"].data + (given["push"].time >= 1.0)[:, None])}
    starts = [Start(0.0, {}, state, given), Start(0.0, {}, state, other)]
    cart = Twin(scene).rollout(starts, np.arange(100) / 50)["cart"]
    np.testing.assert_array_equal(cart[0, :51], cart[1, :51])
    assert (cart[0, 51:] != cart[1, 51:]).any(1).all()


def test_readings_replace_the_coordinates_that_they_measure():
    twin = Twin(load_scene("cartpole"))
    readings = {"cart": np.array([0.3, -0.7]), "pole": np.array([2.5, 4.0])}
    state = np.array([9.0, 9.0, 9.0, 9.0])
    np.testing.assert_array_equal(twin.start_state(Start(0, readings, state, {})), [0.3, 2.5, -0.7, 4.0])
    pole_only = {"pole": readings["pole"]}
    np.testing.assert_array_equal(twin.start_state(Start(0, pole_only, state, {})), [9.0, 2.5, 9.0, 4.0])
    np.testing.assert_array_equal(twin.start_state(Start(0, pole_only, None, {})), [0.0, 2.5, 0.0, 4.0])
    np.testing.assert_array_equal(state, 9.0, "the state given is left alone")


def test_the_first_reading_of_a_rollout_is_the_one_it_started_from():
    twin, push = Twin(load_scene("cartpole")), {"push": Samples(np.zeros(1), np.zeros((1, 1)))}
    readings = {"cart": np.array([0.3, -0.7]), "pole": np.array([-2.5, 4.0])}
    rolled = twin.rollout([Start(0, readings, None, push)], np.arange(3) / 50)
    for name, reading in readings.items():
        np.testing.assert_allclose(rolled[name][0, 0], reading, atol=1e-12)


MILLIMETRES = {"cart": ("mm", "mm/s"), "push": ("mN",)}


def in_other_units():
    """The cart-pole's streams, some of them in units that convert."""
    specs = [stream.spec for stream in load_scene("cartpole").streams if stream.spec.kind != "video"]
    return [dataclasses.replace(spec, units=MILLIMETRES.get(spec.name, spec.units)) for spec in specs]


@pytest.mark.parametrize("dyntype", ["filter", "filterexact"])
def test_a_lagging_actuator_has_followed_what_was_commanded_before(dyntype, tmp_path):
    xml = SPRING_XML.replace("<motor", f'<general dyntype="{dyntype}" dynprm="0.2" ctrlrange="-1 1"')
    twin = Twin(load_scene(write_scene(tmp_path, SPRING_TOML.replace("low", "clip = true\nlow"), xml)))
    times, pushes = np.arange(400) * 0.01, np.random.default_rng(0).normal(0.5, 1, (400, 1))
    true = twin.world.rollout(np.zeros((1, 3)), pushes[None]).states[0]
    start = Start(3.5, {}, None, {"push": Samples(times, pushes)})
    assert twin.start_state(start)[2] == pytest.approx(true[350, 2], abs=1e-4)
    assert abs(true[350, 2]) > 0.05
    known = start._replace(state=np.array([0.0, 0.0, 0.7]))
    assert twin.start_state(known)[2] == 0.7


def test_it_hears_and_tells_in_the_units_that_it_is_asked_in():
    readings = {"cart": np.array([0.3, -0.7]), "pole": np.array([2.5, 4.0])}
    push = Samples(np.arange(20) / 50, np.linspace(-5, 5, 20)[:, None])
    plain, other = Twin(load_scene("cartpole")), Twin(load_scene("cartpole"), in_other_units())
    start = Start(0, readings, None, {"push": push})
    same = Start(0, readings | {"cart": 1000 * readings["cart"]}, None, {"push": push._replace(data=1000 * push.data)})
    np.testing.assert_allclose(other.start_state(same), plain.start_state(start), rtol=1e-6)
    expected, found = (twin.rollout([begin], np.arange(20) / 50) for twin, begin in ((plain, start), (other, same)))
    assert np.ptp(expected["cart"]) > 0.05
    np.testing.assert_allclose(found["cart"], 1000 * expected["cart"], rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found["pole"], expected["pole"], rtol=1e-4, atol=1e-4)
    read = {name: Samples(np.array([0.1]), data[None]) for name, data in readings.items()}
    read_in_mm = read | {"cart": Samples(np.array([0.1]), 1000 * readings["cart"][None])}
    (one, _), (two, _) = plain.estimate([start], [read], 0.2), other.estimate([same], [read_in_mm], 0.2)
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("units", "converted"), [(("K", "K"), True), (("mm", "mm/s"), False)])
def test_units_that_do_not_become_the_scenes_are_refused(units, converted):
    scene = load_scene("cartpole")
    cart = dataclasses.replace(scene.read[0].spec, units=units)
    with pytest.raises(SceneError, match=f"{cart.name!r} in other units"):
        check_streams(scene, [cart], converted=converted)
    check_streams(scene, in_other_units(), converted=True)
    check_streams(scene, [dataclasses.replace(scene.actions[0].spec, units=("newton",))])  # the same, spelt otherwise


def test_a_turned_gyro_sets_the_spin_that_it_would_read(tmp_path):
    """Whatever way the body is turned: MuJoCo's own gyro then reads what it was told, and so does the arm's joint."""
    twin = Twin(load_scene(write_scene(tmp_path / "tumble", TUMBLE_TOML, TUMBLE_XML)))
    model, data = twin.world.model, mujoco.MjData(twin.world.model)
    rng = np.random.default_rng(0)
    for _ in range(5):
        state = rng.normal(size=model.nq + model.nv)
        state[3:7] /= np.linalg.norm(state[3:7])
        readings = {"imu": rng.normal(size=6), "arm": rng.normal(size=2)}
        start = twin.start_state(Start(0, readings, state, {}))
        twin.world.packing.load(data, start)
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(data.sensor("gyro").data, readings["imu"][:3], atol=1e-12)
        assert data.sensor("arm_velocity").data == readings["arm"][0]
        assert data.sensor("arm_position").data == readings["arm"][1]
        kept = np.r_[0:7, 8:11]  # place, turn and speed, which no sensor here reads
        np.testing.assert_array_equal(start[kept], state[kept])

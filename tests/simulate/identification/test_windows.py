"""Where windows start: at the states that readings about them tell, though these are rare and lie beside them."""

import numpy as np
import pytest

from tests.simulate.scenes import write_scene
from tests.simulate.test_observer import BODY_TOML, BODY_XML, SPRING_TOML, SPRING_XML
from worldmodel.simulate import load_scene
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.recordings import Recording
from worldmodel.simulate.identification.starts import starts_of
from worldmodel.simulate.identification.windows import Windows
from worldmodel.simulate.model import mujoco
from worldmodel.simulate.observer import Observer
from worldmodel.simulate.world import World
from worldmodel.types import Samples


def turning(world, every):
    """A free body that turns: what its sensors read at every so many steps, and its states."""
    start = world.default_state()
    start[-3:] = [3.0, -5.0, 2.0]
    rolled = world.rollout(start[None], np.zeros((1, 200, 0)))
    rows = np.arange(0, 201, every)
    columns = {"turn": world.sensor_columns(["framequat:body"]), "gyro": world.sensor_columns(["gyro:imu"])}
    read = {name: Samples(rows * 0.01, rolled.sensors[0][np.ix_(rows, at)]) for name, at in columns.items()}
    return Recording("turning", {}, read, 2.0), rolled.states[0]


GYRO = BODY_TOML[BODY_TOML.index("[streams.gyro]") :]


@pytest.mark.parametrize("toml", [BODY_TOML, BODY_TOML.replace(GYRO, "")], ids=["gyro", "attitude alone"])
def test_a_start_between_rare_readings_is_where_the_body_was(toml, tmp_path):
    world = World(load_scene(write_scene(tmp_path, toml.replace("100", "25"), BODY_XML)), general=True)
    recording, true = turning(World(load_scene(write_scene(tmp_path / "full", BODY_TOML, BODY_XML))), 4)
    steps = np.arange(21, 160, 14)
    assert (steps % 4 != 0).any()
    begin = starts_of(Observer(world), [recording], np.stack([np.zeros(len(steps)), steps * 0.01], 1))
    np.testing.assert_allclose(begin.states[:, -3:], true[steps, -3:], atol=0.1)
    assert (np.abs((begin.states[:, 3:7] * true[steps, 3:7]).sum(1)) > np.cos(0.01)).all()
    assert {world.packing.names[i] for i in begin.free} >= {f"{world.packing.names[0][:-2]}.w{a}" for a in "xyz"}
    assert begin.turns == (3,)


def test_a_start_turns_about_the_bodys_own_axes(tmp_path):
    world = World(load_scene(write_scene(tmp_path, BODY_TOML, BODY_XML)), general=True)
    recording, _ = turning(world, 1)
    begin = starts_of(Observer(world), [recording], np.array([[0.0, 0.5]]))
    by = np.zeros((1, len(begin.std)))
    by[:, len(begin.free) :] = [0.3, -0.2, 0.4]
    expected = begin.states[0, 3:7].copy()
    mujoco().mju_quatIntegrate(expected, np.array([0.3, -0.2, 0.4]), 1.0)
    np.testing.assert_allclose(begin.moved(by)[0, 3:7], expected, atol=1e-12)


def test_the_sign_of_a_quaternion_is_no_error(tmp_path):
    toml = BODY_TOML.replace('kind = "sensor"\nsensors = ["framequat:body"]\ncolumns = ["w", "x", "y", "z"]',
                             'kind = "orientation"\nsensors = ["framequat:body"]')  # fmt: skip
    observer = Observer(World(load_scene(write_scene(tmp_path, toml, BODY_XML)), general=True))
    recording, _ = turning(observer.world, 1)
    turned = recording.readings["turn"]
    flipped = recording._replace(readings=recording.readings | {"turn": Samples(turned.time, -turned.data)})
    machine = Parameters.of(observer.world, ["mass"]).machine(np.zeros(1))
    for each in (recording, flipped):
        windows = Windows.cut(observer, [each], np.array([[0.0, 0.5], [0.0, 1.0]]), 0.2)
        errors = windows.errors(windows.predict(machine, np.zeros((2, len(windows.begin.std))))[0])
        assert errors.shape[1] == windows.columns * 20
        assert np.nanmax(np.abs(errors)) < 0.01


def test_holding_holds_the_newest_reading_at_the_start(tmp_path):
    world = World(load_scene(write_scene(tmp_path, BODY_TOML, BODY_XML)), general=True)
    recording, _ = turning(world, 4)
    windows = Windows.cut(Observer(world), [recording], np.array([[0.0, 0.41], [0.0, 0.8]]), 0.2)
    np.testing.assert_array_equal(windows.held("gyro"), recording.readings["gyro"].data[[10, 20]])


def test_what_is_simulated_from_there_is_what_was_read(tmp_path):
    world = World(load_scene(write_scene(tmp_path, BODY_TOML.replace("100", "25"), BODY_XML)), general=True)
    recording, _ = turning(world, 4)
    windows = Windows.cut(Observer(world), [recording], np.stack([np.zeros(8), np.linspace(0.2, 1.5, 8)], 1), 0.3)
    machine = Parameters.of(world, ["mass"]).machine(np.zeros(1))
    predicted, sound = windows.predict(machine, np.zeros((8, len(windows.begin.std))))
    assert sound.all()
    known = windows.compared["gyro"].known
    missed = (predicted["gyro"] - windows.compared["gyro"].values)[known]
    assert np.abs(missed).max() < 0.15


def test_what_no_sensor_reads_is_simulated_from_each_recordings_beginning(tmp_path):
    """An actuator that lags: what it remembers at a window's start depends on all that was commanded before."""
    xml = SPRING_XML.replace("<motor", '<general dyntype="filterexact" dynprm="0.2"')
    world = World(load_scene(write_scene(tmp_path, SPRING_TOML, xml)), general=True)
    recordings, true = [], []
    for seed, steps in enumerate((150, 90)):
        times, pushes = np.arange(steps) * 0.01, np.random.default_rng(seed).normal(size=(steps, 1))
        rolled = world.rollout(world.default_state()[None], pushes[None], np.array([world.settle_steps]))
        read = {"place": Samples(np.arange(steps + 1) * 0.01, rolled.states[0][:, :1])}
        recordings.append(Recording(str(seed), {"push": Samples(times, pushes)}, read, steps * 0.01))
        true.append(rolled.states[0])
    windows = Windows.cut(Observer(world), recordings, np.array([[0, 0.2], [0, 1.2], [1, 0.5], [1, 0.2]]), 0.2)
    windows.follow(Parameters.of(world, ["mass"]).machine(np.zeros(1)))
    expected = [true[0][20], true[0][120], true[1][50], true[1][20]]
    np.testing.assert_allclose(windows.begin.states[:, 2], np.array(expected)[:, 2], atol=1e-9)

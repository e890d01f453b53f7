"""Where windows start: at the states that readings about them tell, though these are rare and lie beside them."""

import numpy as np

from tests.simulate.scenes import write_scene
from tests.simulate.test_observer import BODY_TOML, BODY_XML
from worldmodel.simulate import load_scene
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.windows import Recording, Windows
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


def test_a_start_between_rare_readings_is_where_the_body_was(tmp_path):
    world = World(load_scene(write_scene(tmp_path, BODY_TOML.replace("100", "25"), BODY_XML)), general=True)
    recording, true = turning(world, 4)
    steps = np.arange(21, 160, 14)
    assert (steps % 4 != 0).any()
    starts = np.stack([np.zeros(len(steps)), steps * 0.01], 1)
    windows = Windows.cut(Observer(world), [recording], starts, 0.2)
    np.testing.assert_allclose(windows.states[:, -3:], true[steps, -3:], atol=0.1)
    assert (np.abs((windows.states[:, 3:7] * true[steps, 3:7]).sum(1)) > np.cos(0.02)).all()
    assert {world.packing.names[i] for i in windows.free} >= {f"{world.packing.names[0][:-2]}.w{a}" for a in "xyz"}


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
    predicted, sound = windows.predict(machine, np.zeros((8, len(windows.free))))
    assert sound.all()
    known = windows.compared["gyro"].known
    missed = (predicted["gyro"] - windows.compared["gyro"].values)[known]
    assert np.abs(missed).max() < 0.15

"""What real machines have: late commands and readings, biases, limits; and worlds that do not last."""

import dataclasses

import numpy as np
import pytest

from tests.simulate.scenes import PUCK_TOML, PUCK_XML, puck, write_scene
from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.simulate import Branch, Start, Twin, load_scene, simulate
from worldmodel.simulate.excitation import of_episode
from worldmodel.simulate.recorder import Recorder
from worldmodel.simulate.scene import Excitation
from worldmodel.simulate.signals import Held, controls_at, raw_readings
from worldmodel.simulate.world import World
from worldmodel.types import Samples

EXCITATION = Excitation(np.array([-1.0, 4.0]), np.array([3.0, 6.0]), (0.1, 0.5), 0.0)
SPIN = "[limits.spin]\nposition = [-4.0, 4.0]\n"


@pytest.fixture
def changed(tmp_path):
    """A puck whose streams are given other delays and biases, by stream."""

    def change(**streams):
        scene = puck(tmp_path / "puck")
        each = tuple(dataclasses.replace(s, **streams.get(s.spec.name, {})) for s in scene.streams)
        return dataclasses.replace(scene, streams=each)

    return change


def recorded(scene, path, **options):
    options = {"episodes": 1, "seconds": 1.0, "progress": False} | options
    simulate(scene, path, **options)
    return Log(path, truth=True)


def test_a_late_command_acts_later_and_is_recorded_when_it_was_given(changed, tmp_path):
    given = {"push": Samples(np.array([0.0, 0.1]), np.array([[1.0, 2.0], [3.0, 4.0]]))}
    times = np.array([0.0, 0.1, 0.105, 0.11, 0.115])
    late = changed(push={"delay_s": 0.0075})
    found = controls_at(World(late), late, given, times)
    np.testing.assert_allclose(found[:, 1], [0.0, 1.0, 2.0, 3.0, 3.0], atol=1e-9)  # push_y comes first in the stream
    plain = recorded(changed(), tmp_path / "a.h5").episodes[0]
    moved = recorded(late, tmp_path / "b.h5").episodes[0]
    np.testing.assert_allclose(moved.streams["push"].time, plain.streams["push"].time, atol=1e-9)
    assert not np.array_equal(moved.truth["state"].data, plain.truth["state"].data)


def test_each_world_may_be_read_at_times_of_its_own(changed):
    scene = changed(imu={"delay_s": 0.0025})
    world, stream = World(scene), next(s for s in scene.streams if s.spec.name == "imu")
    sensors = np.random.default_rng(0).normal(size=(2, 9, world.model.nsensordata))
    times = np.array([[0.01, 0.0234], [0.0, 0.031]])
    found = raw_readings(world, stream, sensors, times)
    for one, at, read in zip(sensors, times, found, strict=True):
        np.testing.assert_array_equal(raw_readings(world, stream, one, at), read)
    np.testing.assert_array_equal(raw_readings(world, stream, sensors, times[0])[0], found[0])


def test_a_mean_of_commands_is_their_integral_over_the_step():
    rng = np.random.default_rng(0)
    time, data = np.sort(rng.uniform(0, 1, 20)), rng.normal(size=(20, 1))
    held = Held(Samples(time, data), np.array([7.0]))
    fine = np.arange(-0.2, 1.4, 1e-5)
    values = np.concatenate([[7.0], data[:, 0]])[np.searchsorted(time, fine, side="right")]
    for at in (-0.15, 0.0, 0.31, 0.9, 1.2):
        within = (fine >= at) & (fine < at + 0.1)
        assert held.mean(np.array([at]), 0.1)[0, 0] == pytest.approx(values[within].mean(), abs=2e-3)


def test_a_late_reading_is_of_an_earlier_moment_and_carries_its_bias(changed, tmp_path):
    plain = recorded(changed(), tmp_path / "a.h5").episodes[0].truth["imu"]
    # 15 ms are one and a half samples at 100 Hz; the world settles for as long, under the same commands
    scene = changed(imu={"delay_s": 0.01, "bias": np.arange(6.0)})
    late = Twin(scene)
    start = late.world.default_state()
    actions = {"twist": Samples(np.zeros(1), np.ones((1, 1)))}
    ahead = np.arange(1, 9) * 0.01
    now = Twin(changed()).rollout([Start(0.0, {}, start, actions)], ahead)["imu"][0]
    then = late.rollout([Start(0.0, {}, start, actions)], ahead)["imu"][0]
    np.testing.assert_allclose(then[1:] - np.arange(6.0), now[:-1], atol=1e-12)
    biased = recorded(scene, tmp_path / "b.h5").episodes[0].truth["imu"]
    assert len(biased) == len(plain), "nothing is missing at the beginning"


def test_a_start_is_set_to_what_is_left_of_a_reading_without_its_bias(changed):
    twin = Twin(changed(heading={"bias": np.array([0.25])}))
    state = twin.start_state(Start(0.0, {"heading": np.array([1.0])}, None, {}))
    assert state[2] == 0.75


def test_the_amplitude_of_an_episode_is_log_uniform_about_the_middle():
    scene_like = dataclasses.replace(EXCITATION, amplitude=(0.1, 1.0))
    drawn = [of_episode(scene_like, np.random.default_rng(seed)) for seed in range(400)]
    halves = np.array([(e.high - e.low) / 2 for e in drawn])
    np.testing.assert_allclose([(e.high + e.low) / 2 for e in drawn], np.tile([1.0, 5.0], (400, 1)))
    assert np.median(halves[:, 0]) == pytest.approx(2 * np.sqrt(0.1), rel=0.2)
    assert 0.2 <= halves[:, 0].min() < 0.22
    assert of_episode(EXCITATION, np.random.default_rng(0)).low.tolist() == EXCITATION.low.tolist()


def test_an_episode_ends_where_a_joint_leaves_its_limits(tmp_path):
    scene = load_scene(write_scene(tmp_path / "puck", PUCK_TOML + SPIN))
    whole = recorded(puck(tmp_path / "free"), tmp_path / "a.h5").episodes[0]
    cut = recorded(scene, tmp_path / "b.h5").episodes[0]
    assert 0.5 < cut.duration_s < 1
    for name in ("heading", "push", "twist"):
        np.testing.assert_array_equal(cut.streams[name].data, whole.streams[name].data[: len(cut.streams[name])])
        assert cut.streams[name].time[-1] <= cut.duration_s
    turned = cut.truth["heading"].data[:, 0]
    assert abs(np.unwrap(turned)).max() <= 4.0
    assert abs(np.unwrap(turned)[-1]) > 3.9, "it ends there and not before"


def test_what_does_not_last_is_drawn_again_and_counted(tmp_path):
    toml = PUCK_TOML.replace("velocity = [6.0, 6.0]", "velocity = [0.0, 40.0]")
    scene = load_scene(write_scene(tmp_path / "puck", toml + SPIN))
    recorder = Recorder(scene, World(scene), 1.0, 0, None)
    episodes = recorder.record(range(6))
    assert len(episodes) == 6
    assert recorder.again > 0
    assert all(0.5 <= episode.seconds <= 1 for episode in episodes)
    assert f"{recorder.again} drawn again" in recorder.note
    branched = Recorder(scene, World(scene), 0.4, 0, Branch(0.2, 2)).record(range(2))
    assert [episode.seconds for episode in branched] == [0.4] * 4, "branches are whole"


def test_limits_that_nothing_keeps_are_an_error(tmp_path):
    toml = PUCK_TOML + "[limits.spin]\nvelocity = [-0.1, 0.1]\n"
    with pytest.raises(SceneError, match="leaves its limits"):
        recorded(load_scene(write_scene(tmp_path / "puck", toml)), tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()


def test_a_world_tells_which_of_several_models_became_unstable(tmp_path):
    world = World(puck(tmp_path / "puck"))
    stiff = World(
        load_scene(write_scene(tmp_path / "stiff", xml=PUCK_XML.replace('stiffness="2"', 'stiffness="1e12"')))
    )
    starts = np.tile(np.r_[0.25, np.zeros(8)], (3, 1))
    rolled = world.try_rollout(starts, np.zeros((3, 50, 3)), models=[world.model, stiff.model, world.model])
    assert rolled.sound[0] == rolled.sound[2] == 50
    assert rolled.sound[1] < 50
    np.testing.assert_array_equal(rolled.states[0], rolled.states[2])
    np.testing.assert_array_equal(rolled.states[0], world.rollout(starts[:1], np.zeros((1, 50, 3))).states[0])

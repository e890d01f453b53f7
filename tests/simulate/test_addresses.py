"""What has no name in a model: found, reset, sensed and driven, and what becomes of commands, against plain MuJoCo."""

import numpy as np
import pytest

from tests.simulate.models import ARM, DELAYED, DRONE, SERVO
from tests.simulate.scenes import mujoco, write_scene
from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.simulate import Start, Twin, load_scene, simulate
from worldmodel.simulate.world import World
from worldmodel.types import Samples

HEAD = 'format = "worldmodel-scene"\nversion = 1\nmodel = "model.xml"\n'
SENSED = '[streams.read]\nkind = "sensor"\nrate_hz = 50\n'
DRIVEN = """
[streams.drive]
kind = "action"
rate_hz = 50
actuators = {actuators}
columns = {columns}
[streams.drive.excitation]
low = {low}
high = {high}
hold_s = [0.1, 0.3]
{clip}
"""


def scene(folder, xml, body):
    return load_scene(write_scene(folder, HEAD + body, xml))


def driven(actuators, columns, low, high, clip=""):
    listed = [str(list(words)).replace("'", '"') for words in (actuators, columns)]
    return DRIVEN.format(actuators=listed[0], columns=listed[1], low=low, high=high, clip=clip)


def recorded(given, path, seconds=1.0):
    simulate(given, path, episodes=1, seconds=seconds, seed=4, progress=False)
    with Log(path, truth=True) as log:
        episode = log.episodes[0]
        both = [{name: (s.time, s.data) for name, s in part.items()} for part in (episode.streams, episode.truth)]
    return both


@pytest.mark.parametrize(
    ("kind", "address", "index"),
    [
        ("joint", "base", 0),
        ("joint", "1", 1),
        ("joint", "body:upper", 1),
        ("joint", "body:3", 2),
        ("actuator", "m", 1),
        ("actuator", "1", 1),
        ("key", "0", 0),
        ("body", "upper", 2),
        ("body", "world", 0),
    ],
)
def test_an_address_is_a_name_an_index_or_an_owner(tmp_path, kind, address, index):
    elements = World(scene(tmp_path, ARM, SENSED + 'sensors = ["jointpos:base"]')).elements
    assert elements.find(kind, address) == index
    assert elements.find(kind, elements.address(kind, index)) == index


@pytest.mark.parametrize("address", ["", "nobody", "7", "body:nobody", "body:", "elbow:upper", ":", "-1"])
def test_what_is_not_there_is_not_found(tmp_path, address):
    elements = World(scene(tmp_path, ARM, SENSED + 'sensors = ["jointpos:base"]')).elements
    assert elements.matches("joint", address) == []


def test_several_of_one_owner_are_named_by_their_indices(tmp_path):
    with pytest.raises(SceneError) as caught:
        World(scene(tmp_path, ARM, SENSED + "sensors = [0]" + driven(["joint:base"], ["m"], -1, 1)))
    assert "sensor" in str(caught.value)
    sensed = SENSED + 'sensors = ["jointpos:base"]\n'
    for actuator, words in {
        "joint:base": ["streams.drive", "actuator", "p[pos]", "p[vel]", "p[ff]", "m", "'joint:base'"],
        "p[voltage]": ["p[vel]", "'p[voltage]'"],
        "m[3]": ["'m[3]'"],
    }.items():
        with pytest.raises(SceneError) as caught:
            World(scene(tmp_path, ARM, sensed + driven([actuator], ["m"], -1, 1)))
        assert not [word for word in words if word not in str(caught.value)]


def test_joints_are_read_where_the_model_has_no_sensor(tmp_path):
    """Positions and velocities of joints without names, as the state has them."""
    sensors = ["jointpos:1", "jointvel:body:upper", "jointpos:body:3", "framepos:3"]
    text = f"{SENSED}sensors = {sensors}\ncolumns = {['q', 'v', 's', 'x', 'y', 'z']}\n"
    _, truth = recorded(scene(tmp_path / "arm", ARM, text + driven(["m"], ["m"], -2, 2)), tmp_path / "a.h5")
    state, read = truth["state"][1], truth["read"][1]
    np.testing.assert_allclose(read[:, :3], state[:, [1, 4, 2]], atol=1e-6)
    assert np.ptp(read, 0).min() > 1e-3, "the arm must move"


def test_controls_are_found_by_control(tmp_path):
    """An actuator of three inputs stands before the motor."""
    text = f"{SENSED}sensors = ['jointpos:base']\n" + driven(["m", "p[vel]"], ["torque", "speed"], [0.5, -1], [0.5, -1])
    world = World(scene(tmp_path, ARM, text))
    assert world.control_columns(["m", "p[vel]"]).tolist() == [3, 1]
    assert world.control_columns(["p", "1"]).tolist() == [0, 1, 2, 3]
    assert world.elements.control_addresses() == ["p[pos]", "p[vel]", "p[ff]", "m"]
    model = mujoco.MjModel.from_xml_string(ARM)
    data = mujoco.MjData(model)
    data.ctrl[:] = [0, -1, 0, 0.5]
    for _ in range(500):
        mujoco.mj_step(model, data)
    mujoco.mj_forward(model, data)
    _, truth = recorded(world.scene, tmp_path / "a.h5")
    assert truth["read"][1][-1, 0] == pytest.approx(data.qpos[0], abs=1e-5)


def test_one_control_has_one_master(tmp_path):
    sensed = SENSED + 'sensors = ["jointpos:base"]\n'
    with pytest.raises(SceneError, match=r"'m'.* twice"):
        World(scene(tmp_path, ARM, sensed + driven(["m", "1"], ["a", "b"], -1, 1)))
    with pytest.raises(SceneError, match="'base' twice"):
        World(scene(tmp_path, ARM, sensed + "[reset.base]\nposition = [0, 1]\n[reset.0]\nposition = [0, 1]"))


def test_commands_beyond_the_control_range_are_refused_or_recorded_as_applied(tmp_path):
    sensed = SENSED + 'sensors = ["jointpos:base"]\n'
    with pytest.raises(SceneError) as caught:
        World(scene(tmp_path / "arm", ARM, sensed + driven(["m"], ["m"], -10, 2)))
    for word in ("streams.drive.excitation", "'m'", "-2 and 2", "-10 to 2", "narrow low and high", "clip = true"):
        assert word in str(caught.value)
    clipped = scene(tmp_path / "arm", ARM, sensed + driven(["m", "p[ff]"], ["m", "ff"], -10, 10, "clip = true"))
    streams, _ = recorded(clipped, tmp_path / "a.h5", 4.0)
    torque, free = streams["drive"][1].T
    assert [torque.min(), torque.max()] == [-2, 2]
    assert np.abs(free).max() > 5, "what is not limited is not cut"
    unlimited = ARM.replace("<option", '<option><flag clampctrl="disable"/></option><option')
    World(scene(tmp_path / "arm", unlimited, sensed + driven(["m"], ["m"], -10, 2)))


@pytest.mark.parametrize(
    "option", ['<option actuatorgroupdisable="2"/>', '<option><flag actuation="disable"/></option>']
)
def test_a_command_that_does_nothing_is_refused(tmp_path, option):
    xml = ARM.replace('name="m"', 'name="m" group="2"').replace("<worldbody>", f"{option}<worldbody>", 1)
    sensed = SENSED + 'sensors = ["jointpos:base"]\n'
    with pytest.raises(SceneError, match=r"streams\.drive commands actuators that the model disables"):
        World(scene(tmp_path, xml, sensed + driven(["m"], ["m"], -1, 1)))
    if "group" in option:
        World(scene(tmp_path, xml, sensed + driven(["p[pos]"], ["p"], -1, 1)))


@pytest.mark.parametrize(("key", "start", "control"), [('"home"', -1.2, -1.2), ("1", -1.2, -1.2), ('"straight"', 0, 0)])
def test_a_scene_starts_from_a_keyframe_with_its_controls(tmp_path, key, start, control):
    text = f"{SENSED}sensors = ['jointpos:hinge']\n[reset]\nkey = {key}\n"
    given = scene(tmp_path / "arm", SERVO, text)
    assert World(given).rest_controls.tolist() == [control]
    _, truth = recorded(given, tmp_path / "a.h5")
    assert truth["read"][1][0, 0] == pytest.approx(start)
    assert np.abs(truth["read"][1] - start).max() < 0.2, "its controls hold it, but for gravity"


def test_joints_are_reset_after_the_keyframe_and_a_joint_may_be_called_key(tmp_path):
    xml = SERVO.replace("hinge", "key")
    world = World(
        scene(tmp_path, xml, SENSED + "sensors = ['jointvel:key']\n[reset]\nkey = 1\n[reset.0]\nvelocity = [2, 2]")
    )
    assert world.start(np.random.default_rng(0)).tolist() == [-1.2, 2.0]
    world = World(scene(tmp_path, xml, SENSED + "sensors = ['jointvel:key']\n[reset.key]\nposition = [0.5, 0.5]"))
    assert world.start(np.random.default_rng(0)).tolist() == [0.5, 0.0]


@pytest.mark.parametrize(("xml", "delay_s"), [(SERVO, 0.0), (DELAYED, 0.05)])
def test_a_delayed_command_acts_later_and_the_keyframes_before_it(tmp_path, xml, delay_s):
    """Against plain MuJoCo without a delay, whose commands are those of 25 steps before."""
    text = f"{SENSED}sensors = ['jointpos:hinge']\n[reset]\nkey = 'home'\n" + driven(["servo"], ["servo"], -1, 1)
    streams, truth = recorded(scene(tmp_path / "arm", xml, text), tmp_path / "a.h5")
    times, commands = streams["drive"]
    model = mujoco.MjModel.from_xml_string(SERVO)
    data = mujoco.MjData(model)
    data.qpos[:], read = -1.2, []
    for step in range(501):
        read.append(data.qpos[0])
        now = step * 0.002 - delay_s
        row = np.searchsorted(times, now + 1e-7, side="right") - 1
        data.ctrl[:] = commands[row] if row >= 0 else -1.2
        mujoco.mj_step(model, data)
    np.testing.assert_allclose(truth["read"][1][:, 0], read[::10], atol=1e-5)


def test_a_twin_goes_on_with_commands_that_are_under_way(tmp_path):
    """From the truth in the middle of a recording, with a delay that float32 has rounded in the log."""
    text = f"{SENSED}sensors = ['jointpos:hinge']\n[reset]\nkey = 'home'\n" + driven(["servo"], ["servo"], -1, 1)
    given = scene(tmp_path / "arm", DELAYED, text)
    streams, truth = recorded(given, tmp_path / "a.h5", 2.0)
    ahead = np.arange(20) / 50
    for row in (0, 37):
        start = Start(row / 50, {}, truth["state"][1][row], {"drive": Samples(*streams["drive"])})
        rolled = Twin(given).rollout([start], ahead)["read"][0]
        np.testing.assert_allclose(rolled, truth["read"][1][row : row + 20], atol=1e-5)
    with pytest.raises(SceneError, match="has changed since"):
        Twin(given).start_state(Start(0.0, {}, np.zeros(2), {}))


def test_a_delayed_sensor_wants_the_scene_to_settle_and_starts_no_twin(tmp_path):
    sensors = '<sensor><jointpos name="late" joint="base" delay="0.1" nsample="60"/></sensor><actuator>'
    xml, text = ARM.replace("<actuator>", sensors), SENSED + 'sensors = ["late"]\n[reset]\nkey = 0\n'
    with pytest.raises(SceneError, match=r"settle_s of 0\.1"):
        World(scene(tmp_path, xml, text))
    settled = load_scene(write_scene(tmp_path, HEAD + "settle_s = 0.1\n" + text, xml))
    _, truth = recorded(settled, tmp_path / "a.h5")
    assert truth["read"][1][0, 0] == pytest.approx(0.5), "the keyframe's, a tenth of a second late"
    start = Twin(settled).start_state(Start(0.0, {"read": np.array([9.0])}, None, {}))
    assert start[0] == 0.5


def test_a_free_joint_without_a_name_is_reset_in_all_axes(tmp_path):
    spans = "x = [-1, 1]\ny = [2, 3]\nz = [4, 5]\nroll = [-0.4, 0.4]\npitch = [0.2, 0.6]\nyaw = [-3, 3]\n"
    text = SENSED + "sensors = ['framepos:craft']\ncolumns = ['x', 'y', 'z']\n[reset.'body:craft']\n" + spans
    world = World(scene(tmp_path, DRONE, text + "[reset.1]\nroll = [0.3, 0.3]"))
    starts = np.array([world.start(np.random.default_rng(seed)) for seed in range(50)])
    assert (starts[:, :3] >= [-1, 2, 4]).all()
    assert (starts[:, :3] <= [1, 3, 5]).all()
    assert (np.ptp(starts[:, :3], 0) > [1.5, 0.7, 0.7]).all()
    down = np.array([mujoco_matrix(q)[2] for q in starts[:, 3:7]])  # the world's up, in the craft's axes
    np.testing.assert_allclose(np.square(starts[:, 3:7]).sum(1), 1)
    pitch, roll = np.arcsin(-down[:, 0]), np.arctan2(down[:, 1], down[:, 2])
    assert 0.2 <= pitch.min() < 0.3 < 0.5 < pitch.max() <= 0.6
    assert -0.4 <= roll.min() < -0.3 < 0.3 < roll.max() <= 0.4
    np.testing.assert_allclose(starts[:, 7:11], np.tile([np.cos(0.15), np.sin(0.15), 0, 0], (50, 1)), atol=1e-12)
    assert world.packing.names[:3] == ("craft.x", "craft.y", "craft.z")


def mujoco_matrix(quaternion):
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)


def test_a_turn_that_is_not_named_stays(tmp_path):
    """The yaw is drawn; the keyframe's pitch and roll are kept."""
    key = '<key name="tilted" qpos="0 0 1 0.8 0.2 0.4 0.4 1 0 0 0"/></keyframe>'
    text = SENSED + "sensors = ['framequat:craft']\ncolumns = ['w', 'x', 'y', 'z']\n[reset]\nkey = 'tilted'\n"
    kept = World(scene(tmp_path, DRONE.replace("</keyframe>", key), text)).start(np.random.default_rng(0))[3:7]
    turned = World(scene(tmp_path, DRONE.replace("</keyframe>", key), text + "[reset.0]\nyaw = [1, 1]\n"))
    quaternion = turned.start(np.random.default_rng(0))[3:7]
    np.testing.assert_allclose(mujoco_matrix(quaternion)[2], mujoco_matrix(kept / np.linalg.norm(kept))[2], atol=1e-9)
    matrix = mujoco_matrix(quaternion)
    assert np.arctan2(matrix[1, 0], matrix[0, 0]) == pytest.approx(1)


def test_readings_of_a_free_body_and_a_ball_start_a_twin(tmp_path):
    """Whatever the start: MuJoCo's own sensors then read what they were told."""
    sensors = ["framepos:craft", "framequat:craft", "framelinvel:craft", "ballquat:1", "ballangvel:1", "gyro:imu"]
    columns = [f"c{i}" for i in range(3 + 4 + 3 + 4 + 3 + 3)]
    given = scene(tmp_path, DRONE, f"{SENSED}sensors = {sensors}\ncolumns = {columns}\n")
    twin, rng = Twin(given), np.random.default_rng(0)
    told = rng.normal(size=20)
    for quaternion in (told[3:7], told[10:14]):
        quaternion /= np.linalg.norm(quaternion)
    read = twin.rollout([Start(0.0, {"read": told}, None, {})], np.arange(2) / 50)["read"][0, 0]
    np.testing.assert_allclose(read, told, atol=1e-9)


def test_mocap_bodies_are_where_the_keyframe_has_them(tmp_path):
    xml = DRONE.replace("</worldbody>", '<body name="hand" mocap="true" pos="5 5 5"/></worldbody>').replace(
        'ctrl="1.2', 'mpos="7 8 9" ctrl="1.2'
    )
    text = SENSED + "sensors = ['framepos:hand']\ncolumns = ['x', 'y', 'z']\n[reset]\nkey = 0\n"
    _, truth = recorded(scene(tmp_path / "drone", xml, text), tmp_path / "a.h5")
    np.testing.assert_allclose(truth["read"][1], np.tile([7, 8, 9], (51, 1)))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[reset]\nkey = 'nowhere'", ["reset.key", "keyframe", "'nowhere'", "home"]),
        ("[reset]\nkey = true", ["reset.key", "keyframe"]),
        ("[reset.base]\nz = [0, 1]", ["reset.base.z", "position", "hinge"]),
        ("[reset.base]\nroll = [0, 1]", ["reset.base.roll", "position", "hinge"]),
        ("[reset.9]\nposition = [0, 1]", ["reset", "joint", "'9'", "base", "body:upper", "do:"]),
        ("[reset.base]\nz = [0, 1]\nabove_ground = 1", ["reset.base.above_ground", "either z or above_ground"]),
    ],
)
def test_a_wrong_start_is_named(tmp_path, body, words):
    with pytest.raises(SceneError) as caught:
        World(scene(tmp_path, ARM, SENSED + "sensors = ['jointpos:base']\n" + body))
    assert not [word for word in words if word not in str(caught.value)]

"""Fitted numbers in the user's own files: what compiles from them is what was fitted, and all else stays."""

import dataclasses
import shutil

import numpy as np
import pytest

from tests.simulate.identification import machines
from tests.simulate.scenes import write_scene
from worldmodel.errors import SceneError
from worldmodel.simulate import load_scene
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.writing import _set, write_model
from worldmodel.simulate.world import World

TETRAHEDRON = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
GEOM = machines.ROUGH.splitlines()[7]
MESHED = machines.ROUGH.replace(
    "<worldbody>", '<asset><mesh name="part" file="part.obj"/></asset>\n  <worldbody>'
).replace(GEOM, GEOM + '\n      <geom type="mesh" mesh="part" mass="0.1"/>  <!-- the part -->')
FRAMED = machines.ROUGH.replace("<body name", '<frame pos="0 0 1"><body name').replace("</body>", "</body></frame>")
INCLUDING = machines.ROUGH.replace(GEOM, '<include file="rod.xml"/>')
SERVO = machines.ROUGH.replace("<motor ", '<position kp="20" kv="1" timeconst="0.05" ')
ANGLED = machines.ROUGH.replace("<joint ", '<joint range="-180 180" ')
SERVOS = {
    "position": ANGLED.replace("<motor ", '<position kp="20" dampratio="0.7" inheritrange="1" ').replace(
        'ctrlrange="-3 3"', ""
    ),
    "velocity": machines.ROUGH.replace("<motor ", '<velocity kv="0.5" gear="2" '),
    "damper": machines.ROUGH.replace("<motor ", '<damper kv="0.5" ').replace("-3 3", "0 3"),
    "class": machines.ROUGH.replace("<worldbody>", '<default><position kp="9" kv="0.3"/></default><worldbody>').replace(
        "<motor ", "<position "
    ),
}
GIVEN = machines.ROUGH.replace(
    GEOM, GEOM + '\n      <inertial pos="0 0 -.2" mass=".6" fullinertia=".02 .02 .001 0 0.001 0"/>'
)


def files_of(folder, xml):
    """A scene's folder with the files that a model may name."""
    machines.scene(folder, xml)
    (folder / "part.obj").write_text(TETRAHEDRON)
    (folder / "rod.xml").write_text(f"<mujoco>{GEOM}</mujoco>")
    return World(load_scene(folder), general=True)


def written(world, folder, seed=0):
    """A machine with all numbers moved, and the model that its written file compiles to."""
    parameters = Parameters.of(world, ["*"])
    machine = parameters.machine(np.random.default_rng(seed).uniform(0.2, 1, len(parameters)))
    path = folder / "fitted.xml"
    write_model(path, world.scene.model, machine, parameters.world)
    return parameters.world, machine, path


def test_an_actuator_that_got_no_lag_is_left_as_it_was(tmp_path):
    world = files_of(tmp_path, machines.ROUGH)
    parameters = Parameters.of(world, ["lag", "gain"])
    path = tmp_path / "fitted.xml"
    write_model(path, world.scene.model, parameters.machine(np.array([1.0, 0.0])), parameters.world)
    assert '<motor name="motor" joint="pivot" ctrlrange="-3 3" gear=' in path.read_text()


def test_keyframes_have_what_late_actuators_follow_in_their_order(tmp_path):
    """The second lags anyway, and keeps what it has followed; the first has followed its command."""
    late = '/><general name="late" joint="pivot" dyntype="filter" dynprm="0.1"/></actuator>'
    keys = '<keyframe><key name="home" ctrl="0.4 0.8" act="0.6"/></keyframe></mujoco>'
    for folder, change in (
        ("plain", str),
        ("frame", lambda x: x.replace("<body ", "<frame><body ").replace("</body>", "</body></frame>")),
    ):
        xml = change(machines.ROUGH).replace("/></actuator>", late).replace("</mujoco>", keys)
        toml = machines.TOML.replace("[reset.pivot]", '[reset]\nkey = "home"\n[reset.pivot]')
        world = World(load_scene(write_scene(tmp_path / folder, toml.replace("{delay}", ""), xml)), general=True)
        parameters = Parameters.of(world, ["lag"])
        assert parameters.world.model.key_act.tolist() == [[0.4, 0.6]]
        write_model(tmp_path / "a.xml", world.scene.model, parameters.machine(np.ones(2)), parameters.world)
        assert world.mj.MjModel.from_xml_path(str(tmp_path / "a.xml")).key_act.tolist() == [[0.4, 0.6]]


def assert_moves_alike(world, machine, path):
    """Whether the file moves as the machine does."""
    other = World(dataclasses.replace(world.scene, model=path))
    state = world.start(np.random.default_rng(1))[None]
    controls = np.full((1, 100, world.model.nu), 0.3)
    moved = world.try_rollout(state, controls, models=[machine.model]).states
    np.testing.assert_allclose(other.rollout(state, controls).states, moved, atol=1e-5)
    assert np.abs(moved - world.rollout(state, controls).states).max() > 1e-3


@pytest.mark.parametrize("xml", [machines.ROUGH, MESHED, GIVEN, SERVO], ids=["plain", "mesh", "inertial", "servo"])
def test_numbers_are_put_into_the_users_own_text(xml, tmp_path):
    world, machine, path = written(files_of(tmp_path, xml), tmp_path)
    assert_moves_alike(world, machine, path)
    text = path.read_text()
    for comment in ("<!-- a pendulum on a motor -->", "<!-- the arm hangs down -->"):
        assert comment in text
    assert ("<!-- the part -->" in text) == ("part.obj" in text) == (xml == MESHED)
    assert text.count("\n") >= xml.count("\n")


@pytest.mark.parametrize("kind", SERVOS)
def test_actuators_of_all_kinds_are_written_with_the_lag_that_they_got(kind, tmp_path):
    """In the user's own text, though the element becomes another."""
    toml = machines.TOML.replace("-2.5", "0.0").replace("{delay}", "")
    world = World(load_scene(write_scene(tmp_path, toml, SERVOS[kind])), general=True)
    world, machine, path = written(world, tmp_path)
    assert_moves_alike(world, machine, path)
    text = path.read_text()
    assert "<!-- the arm hangs down -->" in text
    assert 'dyntype="filterexact"' in text
    compiled = world.mj.MjModel.from_xml_path(str(path))
    np.testing.assert_allclose(compiled.actuator_ctrlrange, world.model.actuator_ctrlrange)


@pytest.mark.parametrize("xml", [FRAMED, INCLUDING], ids=["frame", "include"])
def test_what_is_generated_is_written_anew(xml, tmp_path):
    world, machine, path = written(files_of(tmp_path, xml), tmp_path)
    assert_moves_alike(world, machine, path)
    assert "<include" not in path.read_text()


@pytest.mark.parametrize("scene", ["cartpole", "double_pendulum", "pusher", "rover"])
def test_shipped_scenes_are_written_as_they_move(scene, tmp_path):
    world = World(load_scene(scene), general=True)
    shutil.copytree(world.scene.model.parent, tmp_path, dirs_exist_ok=True)
    world, machine, path = written(world, tmp_path)
    assert_moves_alike(world, machine, path)
    assert path.read_text().count("<!--") == world.scene.model.read_text().count("<!--")


def test_a_streams_keys_are_set_where_its_table_is():
    lines = machines.TOML.replace("{delay}", "delay_s = 0.1 # guessed").split("\n")
    _set(lines, "torque", "delay_s", "0.008")
    _set(lines, "angle", "bias", "[0.1]")
    text = "\n".join(lines)
    assert "delay_s = 0.008 # guessed" in text
    assert "[streams.angle] # of the encoder\nbias = [0.1]\n" in text
    assert text.count("delay_s") == 1
    assert text.startswith("# what is recorded")
    with pytest.raises(SceneError, match="not written as"):
        _set(["[streams]", "torque.rate_hz = 3"], "torque", "delay_s", "1")


def test_what_has_a_table_within_a_table_is_found(tmp_path):
    toml = machines.TOML.replace("{delay}", "").replace("[streams.angle]", '[ streams . "angle" ]')
    load_scene(write_scene(tmp_path, toml, machines.ROUGH))
    lines = toml.split("\n")
    _set(lines, "angle", "delay_s", "0.25")
    again = load_scene(write_scene(tmp_path, "\n".join(lines), machines.ROUGH))
    assert {s.spec.name: s.delay_s for s in again.streams} == {"angle": 0.25, "speed": 0.0, "torque": 0.0}

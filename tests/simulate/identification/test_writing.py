"""Fitted numbers in the user's own files: what compiles from them is what was fitted, and all else stays."""

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
    write_model(path, world.scene.model, machine, world)
    return machine, path


def assert_moves_alike(world, machine, path):
    """Whether the file moves as the machine does."""
    other = World(world.scene)
    other.model = world.mj.MjModel.from_xml_path(str(path))
    state = world.start(np.random.default_rng(1))[None]
    controls = np.full((1, 100, world.model.nu), 0.3)
    moved = world.try_rollout(state, controls, models=[machine.model]).states
    np.testing.assert_allclose(other.rollout(state, controls).states, moved, atol=1e-5)
    assert np.abs(moved - world.rollout(state, controls).states).max() > 1e-3


@pytest.mark.parametrize("xml", [machines.ROUGH, MESHED, GIVEN, SERVO], ids=["plain", "mesh", "inertial", "servo"])
def test_numbers_are_put_into_the_users_own_text(xml, tmp_path):
    world = files_of(tmp_path, xml)
    machine, path = written(world, tmp_path)
    assert_moves_alike(world, machine, path)
    text = path.read_text()
    for comment in ("<!-- a pendulum on a motor -->", "<!-- the arm hangs down -->"):
        assert comment in text
    assert ("<!-- the part -->" in text) == ("part.obj" in text) == (xml == MESHED)
    assert text.count("\n") >= xml.count("\n")


@pytest.mark.parametrize("xml", [FRAMED, INCLUDING], ids=["frame", "include"])
def test_what_is_generated_is_written_anew(xml, tmp_path):
    world = files_of(tmp_path, xml)
    machine, path = written(world, tmp_path)
    assert_moves_alike(world, machine, path)
    assert "<include" not in path.read_text()


@pytest.mark.parametrize("scene", ["cartpole", "double_pendulum", "pusher", "rover"])
def test_shipped_scenes_are_written_as_they_move(scene, tmp_path):
    world = World(load_scene(scene), general=True)
    shutil.copytree(world.scene.model.parent, tmp_path, dirs_exist_ok=True)
    machine, path = written(world, tmp_path)
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

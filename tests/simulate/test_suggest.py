"""First scenes for bare models: what is suggested simulates unchanged, and is what the model holds."""

import re
import tomllib

import numpy as np
import pytest

from tests.command_line import done, run
from tests.simulate.models import ARM, DELAYED, DRONE, SERVO
from worldmodel.content import content_dir
from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.simulate import load_scene, simulate, suggest
from worldmodel.simulate.world import World

LATE = '<sensor><jointpos name="late" joint="base" delay="0.1" nsample="60"/></sensor><actuator>'
MODELS = {"servo": SERVO, "delayed": DELAYED, "arm": ARM, "late": ARM.replace("<actuator>", LATE), "drone": DRONE}


def written(folder, xml):
    folder.mkdir(exist_ok=True)
    (folder / "model.xml").write_text(xml)
    return folder / "model.xml"


def drafted(folder, xml):
    """The suggested scene, as a person would save it."""
    (folder / "scene.toml").write_text(suggest(written(folder, xml)))
    return load_scene(folder)


def units_of(scene):
    """By source, of the streams of single values."""
    streams = [s for s in scene.streams if len(s.sources) == len(s.spec.units)]
    return {source: unit for s in streams for source, unit in zip(s.sources, s.spec.units, strict=True)}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_suggested_simulates_unchanged(tmp_path, name):
    scene = drafted(tmp_path / name, MODELS[name])
    model = World(scene).model
    seen = [s for s in scene.streams if s.spec.kind != "video"]
    assert [s.spec.name for s in scene.streams if s not in seen] == ["camera"] * (name == "drone")
    simulate(scene, tmp_path / "a.h5", episodes=2, seconds=1.0, progress=False)
    with Log(tmp_path / "a.h5", truth=True) as log:
        assert all(np.isfinite(e.streams[s.spec.name].data).all() for e in log.episodes for s in seen)
        assert len(log.streams["controls"].columns) == model.nu, "every control is commanded"
        assert np.ptp(log.episodes[0].truth["state"].data[:, : model.nq], 0).max() > 0.01


@pytest.mark.parametrize("name", ["cartpole", "double_pendulum", "pusher", "rover"])
def test_the_shipped_models_get_a_scene_too(tmp_path, name):
    folder = content_dir("sim") / name
    for file in folder.iterdir():
        if file.name != "scene.toml":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "scene.toml").write_text(suggest(tmp_path / f"{name}.xml"))
    scene, shipped = load_scene(tmp_path), load_scene(name)
    World(scene)
    sources = {source for stream in scene.streams for source in stream.sources}
    assert sources >= {source for stream in shipped.streams if stream.spec.kind != "video" for source in stream.sources}
    units = [units_of(one) for one in (scene, shipped)]
    alike = {source for source in units[0].keys() & units[1].keys() if units[0][source]}
    assert len(alike) >= 3
    assert {source: units[0][source] for source in alike} == {source: units[1][source] for source in alike}


def test_every_joint_is_read_in_the_unit_of_its_type(tmp_path):
    streams = {s.spec.name: s for s in drafted(tmp_path / "arm", ARM).streams}
    assert streams["jointpos"].sources == ("jointpos:base", "jointpos:body:upper", "jointpos:2")
    assert streams["jointpos"].spec.columns == ("base", "upper", "joint2")
    assert streams["jointpos"].spec.units == ("rad", "rad", "m")
    assert streams["jointvel"].spec.units == ("rad/s", "rad/s", "m/s")
    assert streams["jointpos"].spec.circular == (True, False, False), "only the first has no limits"
    assert streams["controls"].spec.units == ("rad", "rad/s", "N*m", "N*m")
    drone = {s.spec.name: s for s in drafted(tmp_path / "drone", DRONE).streams}
    assert drone["gyro"].sources == ("gyro:imu",)
    assert drone["framepos"].sources == ("framepos:craft",)
    assert drone["ballquat"].spec.columns == ("w", "x", "y", "z")
    assert "frameangvel" not in drone, "the gyro tells of it"
    assert drone["controls"].sources == ("site:a", "site:b", "site:c", "site:d")
    assert drone["controls"].spec.units == ("N",) * 4


def test_it_is_driven_within_the_control_range_about_the_keyframe(tmp_path):
    scene = drafted(tmp_path / "servo", SERVO)
    (drive,) = scene.actions
    assert scene.key == "home"
    assert drive.excitation.low.tolist() == [-1.5], "not beyond ctrlrange"
    assert drive.excitation.high.tolist() == [-0.45], "a quarter of it above the keyframe's"
    (drive,) = drafted(tmp_path / "bare", re.sub("<keyframe>.*</keyframe>", "", SERVO)).actions
    assert [*drive.excitation.low, *drive.excitation.high] == [-1.5, 1.5]


def test_actuators_that_are_switched_off_are_left_out(tmp_path):
    off = ARM.replace('name="p"', 'name="p" group="2"').replace(
        "<worldbody>", '<option actuatorgroupdisable="2"/><worldbody>', 1
    )
    (drive,) = drafted(tmp_path / "arm", off).actions
    assert drive.sources == ("m",)
    assert [*drive.excitation.low, *drive.excitation.high] == [0, 2], "the keyframe's 1, by a quarter of -2 to 2"


def test_doubts_are_comments_beside_what_they_are_of(tmp_path):
    text = suggest(written(tmp_path, ARM))
    assert "ctrlrange, of p[pos], p[vel], p[ff].\n[streams.controls]" in text
    assert "wrap (circular).\n[streams.jointpos]" in text
    text = suggest(written(tmp_path, DRONE.replace('"imu"/><accelerometer', '"imu"/><user dim="2"/><accelerometer')))
    assert "# ? Their unit is not known.\n[streams.user]" in text
    assert "# ? What feels forces" in text
    assert tomllib.loads(text)["reset"]["key"] == 0, "a keyframe without a name"


def test_a_model_that_strong_commands_shake_apart_is_driven_weakly(tmp_path):
    motor = '<motor joint="hinge" ctrlrange="-8e9 8e9"/>'
    shaky = re.sub("<position.*/>", motor, re.sub("<keyframe>.*</keyframe>", "", SERVO))
    text = suggest(written(tmp_path, shaky))
    assert "with more, the simulation became unstable" in text


def test_a_model_that_comes_to_rest_says_when(tmp_path):
    box = '<body pos="0 0 .5"><freejoint/><geom type="box" size=".1 .1 .1"/></body>'
    text = suggest(written(tmp_path, f'<mujoco><worldbody><geom type="plane" size="1 1 1"/>{box}</worldbody></mujoco>'))
    assert re.search(r"nothing moved any more after [01]\.\d s", text)


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ('<mujoco><include file="gone.xml"/></mujoco>', ["gone.xml", "do:", "includes"]),
        (
            ARM.replace("<worldbody>", '<asset><mesh name="m" file="gone.stl"/></asset><worldbody>'),
            ["gone.stl", "meshes"],
        ),
        ("<mujocoinclude/>", ["model.xml", "name the file that includes it"]),
        ("hello", ["model.xml is not a valid MJCF model", "do:"]),
        ("<mujoco/>", ["Nothing moves", "joints"]),
        (ARM.replace('timestep="0.002"', 'timestep="0"'), ["no physics step"]),
        (SERVO.replace("<joint ", '<joint stiffness="1e13" '), ["does not stay finite", "timestep"]),
    ],
)
def test_a_model_that_cannot_be_is_named(tmp_path, xml, words):
    with pytest.raises(SceneError) as caught:
        suggest(written(tmp_path, xml))
    assert not [word for word in words if word not in str(caught.value)]


@pytest.mark.parametrize("name", ["nowhere.xml", ""])
def test_a_model_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(SceneError, match="There is no model"):
        suggest(tmp_path / name)


def test_the_command_prints_the_scene_and_a_log_whose_scene_has_moved_says_so(tmp_path):
    model, log = written(tmp_path / "arm", SERVO), tmp_path / "a.h5"
    (tmp_path / "arm" / "scene.toml").write_text(done("simulate", "--suggest", model).out)
    done("simulate", tmp_path / "arm", "--episodes", 1, "--seconds", 1, "--out", log)
    assert "note:" not in done("inspect", log).out
    (tmp_path / "arm").rename(tmp_path / "moved")
    said = done("inspect", log).out
    assert f"There is no scene '{tmp_path / 'arm'}'" in said
    assert f"ln -s NEW_FOLDER {tmp_path / 'arm'}" in said
    (tmp_path / "arm").symlink_to(tmp_path / "moved")
    assert "note:" not in done("inspect", log).out


def test_the_command_writes_no_log_while_it_suggests(tmp_path):
    ran = run("simulate", "--suggest", written(tmp_path, SERVO), "--out", tmp_path / "a.h5")
    assert (ran.code, ran.out) == (2, "")
    assert "> scene.toml" in ran.err

"""Scenes that a person wrote wrongly: each mistake is named by its key, with what was expected and what was found."""

import pytest

from tests.simulate.scenes import CAMERA, PUCK_TOML, PUCK_XML, puck, write_scene
from worldmodel.errors import SceneError
from worldmodel.simulate import load_scene, shipped_scenes, simulate

WHOLE = PUCK_TOML + CAMERA
BALL = PUCK_XML.replace(
    '<joint name="spin" type="hinge" axis="0 0 1" damping="0.01"/>', '<joint name="spin" type="ball"/>'
)
TOML = {  # what is replaced, by what, and what the message says
    "syntax": ('format = "worldmodel-scene"', "format = [", ["scene.toml is not valid TOML", "do:"]),
    "format": ("worldmodel-scene", "worldmodel-recipe", ["format", "worldmodel-scene", "'worldmodel-recipe'"]),
    "no format": ('format = "worldmodel-scene"', "", ["format", "nothing"]),
    "version": ("version = 1", "version = 2", ["version", "expected: 1", "found:    2"]),
    "misspelt at the top": ('model = "model.xml"', 'model = "model.xml"\nsetle_s = 1', ["setle_s", "'settle_s'"]),
    "misspelt section": ("[reset.x]", "[resett.x]", ["resett", "'reset'"]),
    "misspelt in a stream": ("noise_std = 0.2", "noise_sd = 0.2", ["streams.heading.noise_sd", "'noise_std'"]),
    "misspelt in a reset": ("velocity = [6.0", "velocty = [6.0", ["reset.spin.velocty", "'velocity'"]),
    "misspelt in the excitation": ("smooth_s", "smoth_s", ["streams.push.excitation.smoth_s", "'smooth_s'"]),
    "misspelt in the origin": ("latitude", "latitud", ["origin.latitud", "'latitude'"]),
    "misspelt outage": ("every_s = 3.0", "evry_s = 3.0", ["streams.imu.outages.every_s"]),
    "wrong type": ("rate_hz = 100", 'rate_hz = "fast"', ["streams.imu.rate_hz", "'fast'"]),
    "true for a number": ("rate_hz = 100", "rate_hz = true", ["streams.imu.rate_hz"]),
    "text for a list": ('sensors = ["heading"]', 'sensors = "heading"', ["streams.heading.sensors", "list"]),
    "number for text": ('model = "model.xml"', "model = 7", ["the key model"]),
    "rate of zero": ("rate_hz = 100", "rate_hz = 0", ["streams.imu.rate_hz", "above 0"]),
    "infinite rate": ("rate_hz = 100", "rate_hz = inf", ["streams.imu.rate_hz"]),
    "negative settling": ('model = "model.xml"', 'model = "model.xml"\nsettle_s = -1', ["settle_s", "0 or more"]),
    "unknown kind": ('kind = "gps"', 'kind = "smell"', ["streams.gps.kind", "video or sensor or gps or position"]),
    "no streams": (PUCK_TOML[PUCK_TOML.index("[streams.imu]") :] + CAMERA, "[streams]", ["streams", "at least one"]),
    "no excitation": ("[streams.push.excitation]", "[origins]", ["streams.push.excitation"]),
    "span upside down": ("velocity = [6.0, 6.0]", "velocity = [6.0, 5.0]", ["reset.spin.velocity", "[low, high]"]),
    "infinite span": ("velocity = [6.0, 6.0]", "velocity = [6.0, inf]", ["reset.spin.velocity"]),
    "range upside down": ("low = [-1.0, -2.0]", "low = [9.0, -2.0]", ["streams.push.excitation.low"]),
    "infinite range": ("low = [-1.0, -2.0]", "low = [-inf, -2.0]", ["streams.push.excitation.low"]),
    "range of another width": ("low = [-1.0, -2.0]", "low = [-1.0]", ["streams.push.excitation.low", "list of 2"]),
    "hold of zero": ("hold_s = [0.1, 0.5]\nsmooth", "hold_s = [0.0, 0.5]\nsmooth", ["hold_s", "above 0"]),
    "infinite hold": ("hold_s = [0.1, 0.5]\nsmooth", "hold_s = [0.1, inf]\nsmooth", ["hold_s"]),
    "negative noise": ("noise_std = 0.2", "noise_std = -0.2", ["streams.heading.noise_std", "0 or more"]),
    "infinite noise": ("noise_std = 0.2", "noise_std = inf", ["streams.heading.noise_std"]),
    "noise of another width": ("[0.5, 0.5, 0.5, 0.1, 0.1, 0.1]", "[0.5, 0.1]", ["streams.imu.noise_std", "list of 6"]),
    "negative outage": ("seconds = [0.2, 0.6]", "seconds = [-0.6, -0.2]", ["streams.imu.outages.seconds"]),
    "outages without end": ("every_s = 3.0", "every_s = 0.0", ["streams.imu.outages.every_s", "0.1"]),
    "size of one": ("size = [16, 24]", "size = [16]", ["streams.camera.size", "[rows, columns]"]),
    "negative size": ("size = [16, 24]", "size = [16, -24]", ["streams.camera.size"]),
    "late before it began": ("rate_hz = 100", "rate_hz = 100\ndelay_s = -0.1", ["streams.imu.delay_s", "0 or more"]),
    "bias of another width": ("rate_hz = 100", "rate_hz = 100\nbias = [1.0]", ["streams.imu.bias", "list of 6"]),
    "infinite bias": ("rate_hz = 100", "rate_hz = 100\nbias = inf", ["streams.imu.bias", "finite"]),
    "bias of video": ("size = [16, 24]", "size = [16, 24]\nbias = 1.0", ["streams.camera.bias", "not known"]),
    "amplitude above 1": ("smooth_s = 0.05", "smooth_s = 0.05\namplitude = [0.1, 2.0]", ["excitation.amplitude"]),
    "amplitude of zero": ("smooth_s = 0.05", "smooth_s = 0.05\namplitude = [0.0, 1.0]", ["excitation.amplitude"]),
    "limits upside down": ("[reset.x]", "[limits.x]\nposition = [1.0, 0.0]\n[reset.x]", ["limits.x.position"]),
    "misspelt in what is fitted": ("[reset.x]", "[identify]\nfitt = ['mass']\n[reset.x]", ["identify.fitt", "'fit'"]),
    "fitting a text": ("[reset.x]", "[identify]\nfit = 'mass'\n[reset.x]", ["identify.fit", "a list of groups"]),
    "fixing a number": ("[reset.x]", "[identify]\nfix = [3]\n[reset.x]", ["identify.fix", "a list of groups", "[3]"]),
    "prior of zero": ("[reset.x]", "[identify.prior]\nmass = 0.0\n[reset.x]", ["identify.prior.mass", "above 0"]),
    "infinite prior": ("[reset.x]", "[identify.prior]\n'*.mass' = inf\n[reset.x]", ["identify.prior.*.mass", "inf"]),
    "prior in words": ("[reset.x]", "[identify.prior]\nmass = '5 %'\n[reset.x]", ["identify.prior.mass", "'5 %'"]),
    "slash in a name": ("[streams.twist]", '[streams."a/b"]', ["streams.a/b", "slashes"]),
    "no model": ('model = "model.xml"', 'model = "other.xml"', ["the key model", "other.xml"]),
}  # fmt: skip
MODEL = {  # the same, of what only the model can tell
    "no such sensor": ('sensors = ["heading"]', 'sensors = ["nose"]', ["streams.heading", "'nose'", "gyro"]),
    "no such actuator": ('["twist"]', '["turn"]', ["streams.twist", "actuator", "'turn'", "push_x"]),
    "no such camera": ('"above"', '"below"', ["streams.camera", "camera", "'below'", "above"]),
    "no such joint": ("[reset.spin]", "[reset.elbow]", ["reset", "joint", "'elbow'", "spin"]),
    "too few columns": ('"gy", "gz"]', '"gy"]', ["streams.imu", "columns"]),
    "GPS of another width": ('sensors = ["position"]', 'sensors = ["x"]', ["streams.gps", "columns", "1 from x"]),
    "a rate between": ("rate_hz = 10\nnoise", "rate_hz = 60\nnoise", ["streams.gps", "200 Hz", "60 Hz", "do:"]),
    "a rate above the physics": ("rate_hz = 100", "rate_hz = 400", ["streams.imu", "200 Hz", "400 Hz"]),
    "limits of no joint": ("[reset.x]", "[limits.knee]\n[reset.x]", ["limits", "joint", "'knee'", "spin"]),
    "z limit of a hinge": ("[reset.x]", "[limits.spin]\nz = [0.0, 1.0]\n[reset.x]", ["limits.spin.z", "hinge"]),
    "yaw of a slide": ("position = [0.25, 0.25]", "yaw = [0.0, 1.0]", ["reset.x.yaw", "slide", "position"]),
}  # fmt: skip


def refused(scene, tmp_path, words):
    with pytest.raises(SceneError) as caught:
        simulate(scene, tmp_path / "a.h5", episodes=1, seconds=0.1, progress=False)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize("case", TOML)
def test_a_malformed_toml_is_named_by_its_key(tmp_path, case):
    old, new, words = TOML[case]
    assert old in WHOLE
    refused(write_scene(tmp_path / "scene", WHOLE.replace(old, new, 1)), tmp_path, words)


@pytest.mark.parametrize("case", MODEL)
def test_what_the_model_lacks_is_named(tmp_path, case):
    old, new, words = MODEL[case]
    assert old in WHOLE
    changed = WHOLE.replace(old, new, 1)
    if case == "too few columns":
        changed = changed.replace("[0.5, 0.5, 0.5, 0.1, 0.1, 0.1]", "0.5")
    refused(write_scene(tmp_path / "scene", changed), tmp_path, words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("</mujoco>", "", ["model.xml is not a valid MJCF model", "do:"]),
        ('name="puck" pos', 'nme="puck" pos', ["model.xml", "'nme'", "line 8"]),
        ('joint="x" dyntype', 'joint="q" dyntype', ["model.xml", "'q'"]),
        ('type="box" size="0.3 0.15 0.1" mass="1"', 'type="mesh" mesh="m"', ["model.xml", "mesh"]),
    ],
)
def test_a_malformed_mjcf_is_named_with_the_place(tmp_path, old, new, words):
    assert old in PUCK_XML
    refused(write_scene(tmp_path / "scene", WHOLE, PUCK_XML.replace(old, new, 1)), tmp_path, words)


def test_a_ball_joint_has_no_reset(tmp_path):
    xml = BALL.replace('<jointpos name="heading" joint="spin"/>', '<clock name="heading"/>').replace(
        'name="twist" joint="spin"', 'name="twist" joint="x"'
    )
    refused(write_scene(tmp_path / "scene", WHOLE, xml), tmp_path, ["reset.spin.velocity", "ball"])


@pytest.mark.parametrize("scene", ["nowhere", "", "rover/scene.toml"])
def test_an_unknown_scene_is_named_beside_those_that_there_are(tmp_path, scene):
    refused(scene, tmp_path, [repr(scene), *shipped_scenes(), "do:"])


def test_a_folder_without_a_scene_and_a_file_are_none(tmp_path):
    refused(tmp_path, tmp_path, ["There is no scene", "scene.toml"])
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", tmp_path, ["There is no scene"])


def test_text_in_another_encoding_is_not_toml(tmp_path):
    folder = write_scene(tmp_path / "scene")
    (folder / "scene.toml").write_bytes(b'format = "\xff"')
    refused(folder, tmp_path, ["scene.toml is not valid TOML"])


def test_a_whole_scene_is_read_as_it_was_written(tmp_path):
    scene = puck(tmp_path / "scene", camera=True)
    streams = {stream.spec.name: stream for stream in scene.streams}
    assert list(streams) == ["imu", "heading", "gps", "push", "twist", "camera"]
    assert streams["imu"].spec.columns == ("ax", "ay", "az", "gx", "gy", "gz")
    assert streams["imu"].spec.units == ("",) * 6
    assert streams["push"].spec.columns == ("push_y", "push_x"), "columns are called as their sources"
    assert streams["push"].excitation.high.tolist() == [3.0, 2.0]
    assert streams["heading"].noise_std.tolist() == [0.2]
    assert streams["imu"].outages.seconds == (0.2, 0.6)
    assert streams["heading"].outages is None
    assert streams["camera"].spec.size == (16, 24)
    assert scene.origin.tolist() == [47.25, 8.5, 500.0]
    assert scene.tick_hz == 50
    assert load_scene(scene.name).streams[0].spec == scene.streams[0].spec, "its name finds it again"


def test_one_value_stands_for_every_column(tmp_path):
    """Also of true and false."""
    toml = PUCK_TOML.replace("circular = [true]", "circular = true")
    (heading,) = (s for s in load_scene(write_scene(tmp_path / "scene", toml)).streams if s.spec.name == "heading")
    assert heading.spec.circular == (True,)


def test_a_model_in_a_folder_below_belongs_to_the_scene(tmp_path):
    (tmp_path / "mjcf").mkdir()
    (tmp_path / "mjcf" / "model.xml").write_text(PUCK_XML)
    (tmp_path / "scene.toml").write_text(PUCK_TOML.replace('model = "model.xml"', 'model = "mjcf/model.xml"'))
    assert load_scene(tmp_path).folder == tmp_path
    assert load_scene("cartpole").folder.name == "cartpole"

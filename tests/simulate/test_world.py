"""The compiled model: where things start, what a camera sees, and physics that goes wrong."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from tests.simulate.scenes import CAMERA, PUCK_TOML, PUCK_XML, mujoco, puck, write_scene
from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.simulate import load_scene, simulate, world
from worldmodel.simulate.model import warnings_of
from worldmodel.simulate.world import World

DROP_TOML = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[reset.root]
x = [-8.0, 8.0]
y = [-8.0, 8.0]
yaw = [-3.0, 3.0]
above_ground = 0.75
[streams.gyro]
kind = "sensor"
sensors = ["gyro"]
columns = ["x", "y", "z"]
rate_hz = 50
"""
# A body with a limb of its own body, which is not ground though it hangs below and spreads above.
DROP_XML = """
<mujoco>
  <asset><hfield name="ramp" nrow="2" ncol="5" size="10 10 2 1" elevation="0 .25 .5 .75 1 0 .25 .5 .75 1"/></asset>
  <worldbody>
    {ground}
    <body name="other" pos="0 0 -50"><geom size="20 20 1" type="box" contype="0" conaffinity="0"/></body>
    <body name="trunk" pos="0 0 3">
      <freejoint name="root"/>
      <geom size=".2"/>
      <site name="here"/>
      <body name="limb"><joint name="swing"/><geom type="box" size="1 1 .3" pos="0 0 .5"/></body>
    </body>
  </worldbody>
  <sensor><gyro name="gyro" site="here"/></sensor>
</mujoco>
"""
GROUNDS = {
    "hfield": ('<geom type="hfield" hfield="ramp" pos="0 0 .5"/>', lambda x, y: 0.5 + (x + 10) / 10),
    "plane": ('<geom type="plane" size="0 0 1" pos="0 0 -1.5"/>', lambda x, y: -1.5),
    "tilted plane": ('<geom type="plane" size="0 0 1" euler="0 -10 0"/>', lambda x, y: np.tan(np.radians(10)) * x),
}


@pytest.mark.parametrize("kind", GROUNDS)
def test_a_free_body_starts_as_high_above_the_ground_as_asked(tmp_path, kind):
    ground, height = GROUNDS[kind]
    scene = load_scene(write_scene(tmp_path / "drop", DROP_TOML, DROP_XML.format(ground=ground)))
    compiled = World(scene)
    starts = np.array([compiled.start(np.random.default_rng(seed)) for seed in range(20)])
    x, y, z, *turn = starts[:, :7].T
    np.testing.assert_allclose(z, height(x, y) + 0.75, atol=1e-6)
    assert min(np.ptp(x), np.ptp(y)) > 8
    assert np.abs([x, y]).max() <= 8
    yaw = 2 * np.arctan2(turn[3], turn[0])
    assert np.ptp(yaw) > 3
    np.testing.assert_allclose([turn[1], turn[2]], 0)
    np.testing.assert_allclose(np.square(turn).sum(0), 1)


def test_without_ground_the_height_is_above_the_origin(tmp_path):
    xml = DROP_XML.format(ground="").replace('pos="0 0 -50"', 'pos="60 60 0"')
    scene = load_scene(write_scene(tmp_path / "drop", DROP_TOML, xml))
    assert World(scene).start(np.random.default_rng(0))[2] == 0.75


def test_joints_start_within_their_ranges_and_others_as_the_model_says(tmp_path):
    toml = PUCK_TOML.replace("position = [0.25, 0.25]", "position = [-0.5, 1.5]")
    compiled = World(load_scene(write_scene(tmp_path / "puck", toml)))
    starts = np.array([compiled.start(np.random.default_rng(seed)) for seed in range(200)])
    assert compiled.packing.names[:6] == (
        *("x.position", "y.position", "spin.position"),
        *("x.velocity", "y.velocity", "spin.velocity"),
    )
    assert -0.5 <= starts[:, 0].min() < -0.4
    assert 1.4 < starts[:, 0].max() <= 1.5
    np.testing.assert_array_equal(starts[:, 1:], np.tile([0, 0, -0.5, 0, 6, 0, 0, 0], (200, 1)))


@pytest.mark.parametrize(
    "xml",
    [
        PUCK_XML.replace('stiffness="2"', 'stiffness="1e9"').replace('integrator="implicitfast"', 'integrator="Euler"'),
        PUCK_XML.replace('gainprm="1"', 'gainprm="1e14"'),
    ],
    ids=["stiff", "strong"],
)
def test_unstable_physics_is_an_error_that_says_what_to_do(tmp_path, xml, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MuJoCo would leave a file of its warnings
    scene = load_scene(write_scene(tmp_path / "puck", PUCK_TOML, xml))
    heard = mujoco.get_mju_user_warning()
    with pytest.raises(SceneError) as caught:
        simulate(scene, tmp_path / "a.h5", episodes=2, seconds=2.0, progress=False)
    for word in ("unstable", "finite states", "Time = 0.0", "do:", "timestep"):
        assert word in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["puck"]
    assert mujoco.get_mju_user_warning() == heard


def test_threads_that_collect_warnings_leave_the_handler_as_it_was():
    before, filters = mujoco.get_mju_user_warning(), list(warnings.filters)
    first, second = warnings_of(mujoco), warnings_of(mujoco)
    heard = [first.__enter__(), second.__enter__()]
    mujoco.get_mju_user_warning()("of one")
    first.__exit__(None, None, None)  # who came first goes first, as threads do
    mujoco.get_mju_user_warning()("of the other")
    second.__exit__(None, None, None)
    assert heard == [["of one"], ["of one", "of the other"]]
    assert mujoco.get_mju_user_warning() == before
    assert warnings.filters == filters


@pytest.fixture(scope="module")
def rover(tmp_path_factory):
    path = tmp_path_factory.mktemp("rover") / "a.h5"
    simulate("rover", path, episodes=3, seconds=1.2, seed=2, progress=False)
    return Log(path, truth=True)


def test_frames_show_something_that_moves(rover):
    for episode in rover.episodes:
        frames = episode.streams["camera"].data
        assert frames.shape == (13, 64, 64, 3)
        assert (frames.std((1, 2)).max(1) > 15).all(), "each frame has contrast"
        assert len(np.unique(frames[0].reshape(-1, 3), axis=0)) > 50, "and many colours"
        assert (np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3)) > 0.2).all(), "and the next one differs"


def test_frames_do_not_depend_on_the_number_of_threads(rover, monkeypatch):
    compiled = World(load_scene("rover"))
    states = np.stack([episode.truth["state"].data[:3].astype(float) for episode in rover.episodes])
    frames = []
    for threads in (1, 3):
        monkeypatch.setattr(world, "free_cores", lambda threads=threads: threads)
        frames.append(compiled.render("front", (64, 64), states))
    np.testing.assert_array_equal(*frames)


def test_a_frame_is_of_the_moment_it_is_stamped_with(rover):
    """At 10 Hz, frame k is drawn from the state at k / 10 s, which is recorded at 20 Hz (here as float32)."""
    episode = rover.episodes[1]
    states = episode.truth["state"].data[::2].astype(float)
    drawn = World(load_scene("rover")).render("front", (64, 64), states[None])[0]
    film = episode.streams["camera"].data
    apart = np.abs(film[:, None].astype(int) - drawn).mean((2, 3, 4))
    np.testing.assert_array_equal(apart.argmin(1), np.arange(len(film)))
    assert np.diag(apart).max() < 0.1


def test_a_camera_is_drawn_as_the_model_places_it(tmp_path):
    """Seen from above, the puck's orange is right of the middle for x > 0 and in the upper half for y > 0."""
    compiled = World(puck(tmp_path / "puck", camera=True))
    states = np.zeros((1, 4, 9))
    states[0, :, :2] = [[0.6, 0], [-0.6, 0], [0, 0.5], [0, -0.5]]
    frames = compiled.render("above", (48, 48), states)[0].astype(int)
    orange = frames[..., 0] > frames[..., 1] + 40
    rows, columns = zip(*(np.argwhere(frame).mean(0) for frame in orange), strict=True)
    assert columns[0] > 28 > 20 > columns[1]
    assert rows[2] < 20 < 28 < rows[3]


WITHOUT_EGL = """
import ctypes, sys
loaded = ctypes.CDLL
class Missing(loaded):
    def __init__(self, name, *rest, **options):
        if "EGL" in str(name):
            raise OSError(f"{name}: cannot open shared object file")
        super().__init__(name, *rest, **options)
ctypes.CDLL = Missing
from worldmodel.errors import WorldModelError
from worldmodel.simulate import load_scene, simulate
simulate(load_scene("rover").without_video(), sys.argv[1], episodes=1, seconds=0.5, progress=False)
try:
    simulate("rover", sys.argv[2], episodes=1, seconds=0.5, progress=False)
except WorldModelError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere drawing comes with the system")
def test_where_there_is_no_egl_all_but_the_camera_is_simulated(tmp_path):
    env = {key: told for key, told in os.environ.items() if key != "MUJOCO_GL"}
    words = [sys.executable, "-c", WITHOUT_EGL, str(tmp_path / "blind.h5"), str(tmp_path / "seen.h5")]
    ran = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "no libEGL.so.1" in ran.stdout
    assert "apt-get install" in ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["blind.h5"]


def test_frames_may_be_larger_than_the_models_buffer(tmp_path):
    toml = PUCK_TOML + CAMERA.replace("[16, 24]", "[500, 700]")
    compiled = World(load_scene(write_scene(tmp_path / "puck", toml)))
    assert compiled.render("above", (500, 700), np.zeros((1, 1, 9))).shape == (1, 1, 500, 700, 3)


def test_a_rollout_holds_each_control_for_one_step(tmp_path):
    compiled = World(puck(tmp_path / "puck"))
    controls = np.random.default_rng(0).normal(size=(2, 30, 3))
    rolled = compiled.rollout(np.zeros((2, 9)), controls)
    data = mujoco.MjData(compiled.model)
    for step, control in enumerate(controls[1]):
        data.ctrl[:] = control
        mujoco.mj_step(compiled.model, data)
        np.testing.assert_allclose(rolled.states[1, step + 1], compiled.packing.state_of(data), atol=1e-12)

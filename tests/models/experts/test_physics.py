"""Physics as an expert: right where its scene is, silent where it has nothing to say, and kept whole."""

import dataclasses
import shutil

import numpy as np
import pytest

from tests.simulate.scenes import write_scene
from tests.simulate.test_observer import BODY_XML
from worldmodel.content import content_dir
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.physics import Physics, _means
from worldmodel.models.experts.rich import experts_from, experts_to
from worldmodel.simulate import load_scene, simulate

DT = 0.02


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = simulate("cartpole", tmp_path_factory.mktemp("log") / "a.h5", episodes=3, seconds=3.0, progress=False)
    with Log(path) as opened:
        yield opened


def lens_of(layout):
    ones = np.ones(layout.size)
    actions = np.ones(layout.action_count)
    return Lens(layout, 0.1 * ones, 2.0 * ones, 0.5 * actions, 3.0 * actions)


@pytest.fixture(scope="module")
def windows(log):
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), 20, 25)


def errors(physics, windows):
    """Root mean square error [Y] half a second ahead, in units."""
    examples = physics.lens.examples(windows, windows.starts()[::5])
    ahead = physics.predict(examples.view)
    return np.sqrt(np.mean((ahead - examples.came)[:, -1] ** 2, 0)) * physics.lens.scale


def test_the_right_scene_predicts_and_a_wrong_one_does_not(windows, tmp_path):
    lens = lens_of(windows.layout)
    right = errors(Physics.of(load_scene("cartpole"), lens), windows)
    heavy = shutil.copytree(content_dir("sim") / "cartpole", tmp_path / "heavy")
    model = (heavy / "cartpole.xml").read_text()
    (heavy / "cartpole.xml").write_text(model.replace("<option", '<option gravity="0 0 -4"', 1))
    wrong = errors(Physics.of(load_scene(heavy), lens), windows)
    assert right[0] < 0.1
    assert (right[2:4] < 0.25).all()
    assert wrong[2:4].sum() > 2 * right[2:4].sum()


THROWN = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[reset."body:body"]
x = [-3.0, 3.0]
z = [5.0, 6.0]
yaw = [-3.0, 3.0]
[streams.place]
kind = "position"
sensors = ["framepos:body"]
rate_hz = 50
[streams.attitude]
kind = "orientation"
sensors = ["framequat:body"]
rate_hz = 50
"""


def test_places_and_attitudes_are_read_and_predicted(tmp_path):
    """A box that falls: nothing but its pose is read."""
    xml = BODY_XML.replace('gravity="0 0 0"', 'gravity="0 0 -2"')
    scene = load_scene(write_scene(tmp_path / "thrown", THROWN, xml))
    with Log(simulate(scene, tmp_path / "a.h5", episodes=2, seconds=2.0, progress=False)) as thrown:
        assert [s.kind for s in thrown.streams.values()] == ["orientation", "position"]
        windows = Windows.of(thrown, TickLayout(DT, tuple(thrown.streams.values())), 25, 15)
        physics = Physics.of(scene, lens_of(windows.layout))
        assert errors(physics, windows).max() < 0.02


LATE = """
format = "worldmodel-scene"
version = 1
model = "model.xml"
[reset.slide]
velocity = [1.0, 1.0]
[streams.place]
kind = "sensor"
sensors = ["jointpos:slide"]
rate_hz = 50
delay_s = 0.1
"""
SLED = """<mujoco><option timestep="0.004" gravity="0 0 0"/><worldbody><body>
<joint name="slide" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body></worldbody></mujoco>"""


def test_a_late_sensor_goes_on_from_where_it_was_late(tmp_path):
    """A sled at 1 m/s, read a tenth of a second late: from its last reading it goes on at 1 m/s, without a jump."""
    scene = load_scene(write_scene(tmp_path / "late", LATE, SLED))
    with Log(simulate(scene, tmp_path / "a.h5", episodes=1, seconds=3.0, progress=False)) as late:
        windows = Windows.of(late, TickLayout(DT, tuple(late.streams.values())), 80, 15)
        physics = Physics.of(scene, lens_of(windows.layout))
        view = physics.lens.examples(windows, windows.starts()[:3]).view
        moved = (physics.predict(view) - view.held[:, -1:]) * physics.lens.scale
    np.testing.assert_allclose(moved[..., 0], np.tile(np.arange(1, 16) * DT, (3, 1)), atol=2e-3)


def test_what_is_commanded_later_changes_nothing_before(windows):
    physics = Physics.of(load_scene("cartpole"), lens_of(windows.layout))
    view = physics.lens.examples(windows, windows.starts()[:2]).view
    changed = view.ahead.copy()
    changed[:, 10:] += 1.0
    one, two = physics.predict(view), physics.predict(view._replace(ahead=changed))
    np.testing.assert_array_equal(one[:, :10], two[:, :10])
    assert not np.allclose(one[:, 11:], two[:, 11:])


def test_it_speaks_for_the_streams_that_it_knows(log):
    layout = TickLayout(DT, tuple(s for s in log.streams.values() if s.name != "pole"))
    physics = Physics.of(load_scene("cartpole"), lens_of(layout))
    assert [s.spec.name for s in physics.streams] == ["cart"]


def test_a_scene_of_another_machine_is_refused(windows):
    with pytest.raises(WorldModelError, match="does not fit the log"):
        Physics.of(load_scene("double_pendulum"), lens_of(windows.layout))


def test_a_scene_in_other_units_is_refused(log):
    cart = dataclasses.replace(log.streams["cart"], units=("mm", "mm/s"))
    streams = tuple((log.streams | {"cart": cart}).values())
    with pytest.raises(WorldModelError, match="'cart' in other units"):
        Physics.of(load_scene("cartpole"), lens_of(TickLayout(DT, streams)))


def test_it_is_kept_with_its_folder_and_knows_a_changed_one(windows, tmp_path):
    lens = lens_of(windows.layout)
    physics = Physics.of(load_scene("cartpole"), lens)
    kept = shutil.copytree(physics.folder, tmp_path / "prior")
    (again,) = experts_from(experts_to([physics]), lens, kept)
    np.testing.assert_array_equal(errors(again, windows), errors(physics, windows))
    (kept / "scene.toml").write_text((kept / "scene.toml").read_text() + "\n# changed\n")
    with pytest.raises(WorldModelError, match="not the one"):
        experts_from(experts_to([physics]), lens, kept)


def test_commands_of_ticks_as_means_over_physics_steps():
    """Against a plain mean over a fine grid."""
    values = np.array([[[1.0], [4.0], [-2.0]]])
    found = _means(values, 0.1, 0.034, 0.02, 15)[0, :, 0]
    fine = (np.arange(15)[:, None] * 0.02 + (np.arange(2000) + 0.5) / 2000 * 0.02 - 0.034) / 0.1
    plain = values[0, np.clip(np.floor(fine), 0, 2).astype(int), 0].mean(1)
    np.testing.assert_allclose(found, plain, atol=2e-3)

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.oscillator import SPECS
from worldmodel.codecs import QUATERNION, XYZ, codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.frame import track_velocity
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

GPS = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 20.0)
COMPASS = StreamSpec("compass", "sensor", ("heading", "rate"), ("rad", "rad/s"), 10.0, "ned", circular=(True, False))
WIND = StreamSpec("wind", "sensor", ("wind_east", "wind_north", "wind_up"), ("m/s",) * 3, 10.0, "enu")
POSE = StreamSpec("pose", "pose", (*XYZ, *QUATERNION), (*("m",) * 3, *("",) * 4), 10.0, "map")
GOAL = StreamSpec("goal", "action", ("goal_north", "goal_east"), ("m/s",) * 2, 10.0, "ned")
STEER = StreamSpec("steer", "action", ("left",), ("rad",), 10.0)


def layout_of(*specs: StreamSpec) -> TickLayout:
    return TickLayout(0.1, specs)


def drive(angle: float, count: int = 20) -> np.ndarray:
    """East, north, up of a straight drive [1, count, 3]."""
    along = np.arange(count)[None, :, None]
    return along * np.array([np.cos(angle), np.sin(angle), 0.0])


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0, -3.0])
def test_a_straight_drive_has_its_direction_whatever_is_missing(angle):
    rng, layout = np.random.default_rng(0), layout_of(GPS)
    along = np.arange(40.0).reshape(1, 20, 2)
    values = np.zeros((1, 20, layout.size), np.float32)
    values[..., [0, 3]], values[..., [1, 4]] = np.cos(angle) * along, np.sin(angle) * along
    mask = np.ones(values.shape, bool) & (rng.random((1, 20, 1)) < 0.5)
    found = layout.frames.angle(values * mask, mask)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(angle, abs=1e-4)
    compiled = layout.frames.angle(jnp.asarray(values * mask), jnp.asarray(mask))
    np.testing.assert_allclose(compiled, found, atol=1e-5)


def test_a_machine_that_stands_still_is_seen_with_north_up():
    noise = np.random.default_rng(0).normal(size=(200, 30, 2))
    _, clear = track_velocity(noise, np.ones((200, 30), bool))
    assert clear.mean() < 0.05
    moving = noise + 0.5 * np.arange(30)[None, :, None]
    assert track_velocity(moving, np.ones((200, 30), bool))[1].all()
    layout = layout_of(dataclasses.replace(GPS, rate_hz=10.0))
    assert layout.frames.angle(np.zeros((1, 30, 3)), np.ones((1, 30, 3), bool))[0, 0] == 0


def test_a_bend_is_no_noise():
    t = np.linspace(0, 1.5, 30)
    bend = 20 * np.stack([np.sin(t), 1 - np.cos(t)], -1)[None]
    velocity, clear = track_velocity(bend, np.ones((1, 30), bool))
    assert clear.all()
    assert 0 < np.arctan2(velocity[0, 1], velocity[0, 0]) < 1.5


def test_a_heading_tells_the_angle_before_a_track_does():
    layout = layout_of(dataclasses.replace(GPS, rate_hz=10.0), COMPASS)
    values = np.zeros((1, 20, layout.size))
    values[..., :3] = drive(0.3)
    clockwise = np.pi / 2 - 1.1  # a heading from north of a nose that points 1.1 rad north of east
    values[..., layout.columns["compass"]] = codec(COMPASS).encode(np.array([[clockwise, 0.0]]), np.zeros(3))
    mask = np.ones(values.shape, bool)
    assert layout.frames.angle(values, mask)[0, 0] == pytest.approx(1.1)
    mask[..., layout.columns["compass"]] = False
    assert layout.frames.angle(values, mask)[0, 0] == pytest.approx(0.3)


def test_everything_in_a_world_frame_turns_together():
    layout = layout_of(dataclasses.replace(GPS, rate_hz=10.0), COMPASS, WIND, GOAL, STEER)
    rng, by = np.random.default_rng(0), 0.7
    east, north, nose = rng.normal(size=3)
    values = np.zeros((1, 1, layout.size))
    turned = values.copy()
    c, s = np.cos(by), np.sin(by)
    rotated = [c * east - s * north, s * east + c * north]
    for out, (x, y), heading in ((values, (east, north), nose), (turned, rotated, nose - by)):  # clockwise from north
        out[0, 0, layout.columns["gps"]] = x, y, 5.0
        out[0, 0, layout.columns["compass"]] = np.sin(heading), np.cos(heading), 0.3
        out[0, 0, layout.columns["wind"]] = x, y, 0.2
    angle = np.array([[by]])
    np.testing.assert_allclose(layout.frames.readings.turn(values, angle), turned, atol=1e-12)
    np.testing.assert_allclose(layout.frames.readings.turn(turned, -angle), values, atol=1e-12)
    commanded = np.array([[[north, east, 0.1]]])
    expected = [[[rotated[1], rotated[0], 0.1]]]
    np.testing.assert_allclose(layout.frames.actions.turn(commanded, angle), expected, atol=1e-12)


def test_a_pose_turns_as_the_world_does():
    layout, stream = layout_of(POSE), codec(POSE)
    rng = np.random.default_rng(3)
    attitude, place, world = Rotation.random(random_state=rng), rng.normal(size=3), Rotation.from_euler("z", 0.9)
    before, after = (
        np.concatenate([p, r.as_quat(scalar_first=True)])[None]
        for p, r in ((place, attitude), (world.apply(place), world * attitude))
    )
    one, two = (stream.encode(x, np.zeros(3))[None] for x in (before, after))
    np.testing.assert_allclose(layout.frames.readings.turn(one, np.array([[0.9]])), two, atol=1e-12)
    mask = np.ones(one.shape, bool)
    first, second = layout.frames.angle(one, mask), layout.frames.angle(two, mask)
    assert np.cos(second - first - 0.9)[0, 0] == pytest.approx(1)


def test_frames_that_nobody_relates_turn_by_angles_of_their_own():
    layout = layout_of(dataclasses.replace(GPS, rate_hz=10.0), POSE)
    assert layout.frames.names == ("enu", "map")
    values = np.random.default_rng(0).normal(size=(2, 5, layout.size))
    turned = layout.frames.readings.turn(values, np.array([[0.0, 0.4], [0.0, -0.2]]))
    np.testing.assert_array_equal(turned[..., :3], values[..., :3])
    assert (turned[..., 3:5] != values[..., 3:5]).all()


def test_streams_without_a_world_frame_do_not_turn():
    layout = TickLayout(0.02, tuple(s for s in SPECS if s.name in ("velocity", "phase", "force")))
    assert layout.frames.names == ()
    values = np.random.default_rng(0).normal(size=(1, 3, layout.size))
    assert layout.frames.angle(values, values > 0).shape == (1, 0)
    assert layout.frames.readings.turn(values, np.zeros((1, 0))) is values

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from worldmodel.codecs import KINDS, QUATERNION, XYZ, codec
from worldmodel.errors import LogFormatError
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

ANGLES = StreamSpec("arm", "sensor", ("joint", "speed"), ("rad", "rad/s"), 10.0, circular=(True, False))
GPS = StreamSpec("gps", "gps", (*GPS_COLUMNS, "accuracy"), (*GPS_UNITS, "m"), 5.0)
POSITION = StreamSpec("odometry", "position", XYZ, ("m",) * 3, 20.0, "odom")
ORIENTATION = StreamSpec("attitude", "orientation", QUATERNION, ("",) * 4, 50.0, "enu")
POSE = StreamSpec("pose", "pose", (*XYZ, *QUATERNION), (*("m",) * 3, *("",) * 4), 50.0, "map")
SAMPLED = (ANGLES, GPS, POSITION, ORIENTATION, POSE)


def recorded(spec: StreamSpec, origin: np.ndarray, rng: np.random.Generator, count: int = 20) -> np.ndarray:
    """Samples that a log could hold, at `origin` where they are fixes."""
    turns = Rotation.random(count, random_state=rng).as_quat(scalar_first=True)
    metres = rng.normal(size=(count, 3)) * 50
    return {
        "sensor": np.stack([rng.uniform(-np.pi, np.pi, count), rng.normal(size=count)], 1),
        "gps": np.stack([*(origin + metres * [1e-5, 1e-5, 1]).T, np.ones(count)], 1),
        "position": metres,
        "orientation": turns,
        "pose": np.concatenate([metres, turns], 1),
    }[spec.kind]


@pytest.mark.parametrize("origin", [[48.1, 11.6, 520.0], [89.99, 10.0, 3.0], [-16.5, 179.9999, 0.0], [0.0, 0.0, 0.0]])
@pytest.mark.parametrize("spec", SAMPLED, ids=lambda s: s.kind)
def test_what_is_encoded_is_recorded_again(spec, origin):
    origin = np.array(origin)
    data, stream = recorded(spec, origin, np.random.default_rng(0)), codec(spec)
    features = stream.encode(data, origin)
    assert features.shape == (len(data), stream.features)
    fix = np.where(stream.relative, features[3], 0.0)
    again = stream.recorded(features - fix, fix, origin)
    if spec.kind == "gps":
        assert np.isnan(again[:, 3]).all()  # an accuracy is not imagined
        metres = 1e5 * np.cos(np.radians(origin[0]))
        around = (again[:, 1] - data[:, 1] + 180) % 360 - 180  # across the antimeridian
        np.testing.assert_allclose(around * metres, 0, atol=1e-3)
        np.testing.assert_allclose(again[:, [0, 2]], data[:, [0, 2]], rtol=0, atol=1e-6)
    elif spec.kind in ("orientation", "pose"):
        signs = np.sign(data[:, -4:-3])
        np.testing.assert_allclose(again[:, -4:], data[:, -4:] * signs, atol=1e-9)
        np.testing.assert_allclose(again[:, :-4], data[:, :-4], atol=1e-9)
    else:
        np.testing.assert_allclose(again, data, atol=1e-9)


@pytest.mark.parametrize("spec", SAMPLED, ids=lambda s: s.kind)
def test_numpy_and_jax_say_the_same(spec):
    rng, stream = np.random.default_rng(1), codec(spec)
    data = recorded(spec, np.array([48.1, 11.6, 520.0]), rng)
    features = stream.encode(data, np.array([48.1, 11.6, 520.0])).astype(np.float32)
    other = features[::-1].copy()
    plain = stream.residual(stream.physical(features), stream.physical(other))
    compiled = jax.jit(lambda a, b: stream.residual(stream.physical(a), stream.physical(b)))
    turns = spec.kind in ("orientation", "pose")
    found = compiled(jnp.asarray(features), jnp.asarray(other))
    assert found.shape == (len(data), len(stream.error_labels)) == (len(data), len(stream.error_units))
    if turns:  # at an angle of pi either way is the short one
        near = np.linalg.norm(plain[:, -3:], axis=1) < 3.1
        np.testing.assert_allclose(found[near], plain[near], atol=2e-3)
    else:
        np.testing.assert_allclose(found, plain, atol=1e-3)
    assert stream.physical_mask(np.ones(features.shape, bool)).shape == stream.physical(features).shape
    assert len(stream.labels) == len(stream.units) == stream.physical(features).shape[-1]
    mask = stream.physical_mask(np.ones(features.shape, bool))
    assert stream.error_mask(mask).shape == plain.shape


@settings(max_examples=50, deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(-np.pi, np.pi))
def test_an_angle_errs_the_short_way_round(one, other):
    stream = codec(ANGLES)
    error = stream.residual(np.array([[one, 0.0]]), np.array([[other, 0.0]]))[0, 0]
    assert abs(error) <= np.pi + 1e-9
    assert np.isclose(np.cos(error), np.cos(one - other), atol=1e-9)


def test_an_angle_across_pi_is_close():
    error = codec(ANGLES).residual(np.array([3.1, 0.0]), np.array([-3.1, 0.0]))
    np.testing.assert_allclose(error, [6.2 - 2 * np.pi, 0.0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31))
def test_an_attitude_errs_by_the_geodesic_angle_whatever_the_signs(seed):
    one, other = Rotation.random(2, random_state=seed)
    expected = (other.inv() * one).as_rotvec()
    for signs in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        a, b = (s * r.as_quat(scalar_first=True) for s, r in zip(signs, (one, other), strict=True))
        error = codec(ORIENTATION).residual(a, b)
        assert np.linalg.norm(error) == pytest.approx(np.linalg.norm(expected), abs=1e-6)
        if np.linalg.norm(expected) < 3.1:
            np.testing.assert_allclose(error, expected, atol=1e-6)


def test_a_quaternion_of_either_sign_and_any_length_has_one_encoding():
    q = Rotation.random(30, random_state=0).as_quat(scalar_first=True)
    stream = codec(ORIENTATION)
    np.testing.assert_allclose(stream.encode(-3 * q, np.zeros(3)), stream.encode(q, np.zeros(3)), atol=1e-12)
    assert np.isnan(stream.encode(np.zeros((1, 4)), np.zeros(3))).all()


def test_features_of_an_attitude_do_not_jump_where_its_sign_does():
    turning = Rotation.from_euler("x", np.linspace(0, 4 * np.pi, 400)[:, None]).as_quat(scalar_first=True)
    kept = turning * np.where(turning[:, :1] < 0, -1, 1)  # as loggers keep it, with jumps
    assert np.abs(np.diff(kept, axis=0)).max() > 1
    assert np.abs(np.diff(codec(ORIENTATION).encode(kept, np.zeros(3)), axis=0)).max() < 0.05


def test_means_are_of_what_wraps_the_circular_one():
    angles = np.array([[3.1, 1.0], [-3.1, 3.0]])
    np.testing.assert_allclose(codec(ANGLES).mean(angles, np.ones((2, 2), bool)), [np.pi, 2.0])
    turns = Rotation.from_euler("z", [[3.0], [-3.0]]).as_quat(scalar_first=True) * [[1], [-1]]
    mean = codec(ORIENTATION).mean(turns, np.ones((2, 4), bool))
    assert np.linalg.norm(codec(ORIENTATION).residual(mean, np.array([0, 0, 0, 1.0]))) < 1e-6


def test_a_fix_without_altitude_is_a_fix():
    origin = np.array([48.1, 11.6, 520.0])
    data = np.array([[48.1001, 11.6, np.nan, 1.0], [np.nan, 11.6, 520.0, 1.0]])
    features = codec(GPS).encode(data, origin)
    assert features[0, 1] == pytest.approx(11.12, abs=0.02)
    np.testing.assert_array_equal(np.isnan(features), [[False, False, True], [True, True, True]])
    again = codec(GPS).recorded(features[:1] - [0, 0, np.nan], np.array([0, 0, np.nan]), origin)
    np.testing.assert_allclose(again[0, :2], data[0, :2], atol=1e-9)
    assert np.isnan(again[0, 2])


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "lidar"},
        {"size": (4, 4)},
        {"circular": (True, True)},  # the second is in rad/s
    ],
)
def test_a_specification_that_fits_no_kind_is_refused(wrong):
    with pytest.raises(LogFormatError):
        dataclasses.replace(ANGLES, **wrong)


@pytest.mark.parametrize("spec", [POSITION, ORIENTATION, POSE, GPS], ids=lambda s: s.kind)
def test_kinds_with_fixed_columns_refuse_others(spec):
    columns = (spec.columns[1], spec.columns[0], *spec.columns[2:])
    with pytest.raises(LogFormatError, match="wrong columns"):
        dataclasses.replace(spec, columns=columns)


@pytest.mark.parametrize("spec", [POSITION, POSE], ids=lambda s: s.kind)
def test_what_lacks_its_units_says_which_to_give(spec):
    with pytest.raises(LogFormatError, match=r'wrong units[\s\S]*give units = \["m", "m", "m"'):
        dataclasses.replace(spec, units=("",) * len(spec.columns))


def test_every_kind_has_a_codec():
    assert set(KINDS) == {"video", "sensor", "gps", "position", "orientation", "pose", "action"}


def test_fixes_and_either_order_of_north_and_east_turn_with_one_frame():
    named = [dataclasses.replace(POSITION, frame=frame) for frame in ("enu", "ned", "wgs84")]
    assert {codec(spec).world_frame for spec in (GPS, *named)} == {"enu"}
    assert codec(dataclasses.replace(POSITION, frame="map")).world_frame == "map"
    assert [codec(spec).north_up for spec in named] == [True, False, True]


def test_angles_average_across_pi_and_attitudes_whatever_their_sign():
    near = np.array([[np.pi - 0.1, 1.0], [-np.pi + 0.3, 3.0]])
    np.testing.assert_allclose(codec(ANGLES).average(near, 0), [-np.pi + 0.1, 2.0], atol=1e-12)
    turned = np.array([Rotation.from_euler("z", a).as_quat(scalar_first=True) for a in (3.0, -3.0)])
    expected = Rotation.from_euler("z", np.pi).as_matrix()
    found = Rotation.from_quat(codec(ORIENTATION).average(turned, 0), scalar_first=True).as_matrix()
    np.testing.assert_allclose(found, expected, atol=1e-6)


YAW = StreamSpec("nose", "sensor", ("roll", "yaw"), ("rad", "rad"), 10.0, "enu", circular=(False, True))
WIND = StreamSpec("wind", "sensor", ("gust", "wind_east", "wind_north"), ("m/s",) * 3, 10.0, "enu")


def turned_recording(spec: StreamSpec, data: np.ndarray, angle: float) -> np.ndarray:
    """What a world turned by `angle` (rad, counter-clockwise from above) would have recorded."""
    down = spec.frame == "ned"  # x is north, y is east, z points down: the same turn is a negative one about z
    turn = Rotation.from_euler("z", -angle if down else angle)
    out = data.copy()
    if spec.kind in ("position", "pose"):
        out[:, :3] = turn.apply(data[:, :3])
    if spec.kind in ("orientation", "pose"):
        out[:, -4:] = (turn * Rotation.from_quat(data[:, -4:], scalar_first=True)).as_quat(scalar_first=True)
    if spec.name == "nose":
        out[:, 1] = data[:, 1] + (-angle if down else angle)
    if spec.name == "wind":
        out[:, 1:] = Rotation.from_euler("z", angle).apply(np.pad(data[:, 1:], ((0, 0), (0, 1))))[:, :2]
    return out


@pytest.mark.parametrize("frame", ["enu", "ned"])
@pytest.mark.parametrize("spec", [POSITION, ORIENTATION, POSE, YAW, WIND], ids=lambda s: s.name)
def test_the_features_that_turn_are_those_that_a_turned_world_turns(spec, frame):
    rng, angle = np.random.default_rng(3), 0.7
    spec = dataclasses.replace(spec, frame=frame)
    data = (
        recorded(spec, np.zeros(3), rng)
        if spec.name not in ("nose", "wind")
        else rng.normal(size=(9, len(spec.columns)))
    )
    features, turned = (codec(spec).encode(x, np.zeros(3)) for x in (data, turned_recording(spec, data, angle)))
    for east, north in codec(spec).turning.pairs:
        e, n = features[:, east].copy(), features[:, north].copy()
        features[:, east], features[:, north] = (
            e * np.cos(angle) - n * np.sin(angle),
            e * np.sin(angle) + n * np.cos(angle),
        )
    np.testing.assert_allclose(turned, features, atol=1e-9)


@pytest.mark.parametrize(("frame", "yaw"), [("enu", np.pi / 2 - 0.4), ("ned", 0.4)])
@pytest.mark.parametrize("spec", [ORIENTATION, POSE, YAW], ids=lambda s: s.name)
def test_the_nose_points_east_and_north_as_its_pair_says(spec, frame, yaw):
    """The nose is 0.4 rad clockwise from north."""
    spec = dataclasses.replace(spec, frame=frame)
    attitude = Rotation.from_euler("z", yaw).as_quat(scalar_first=True)
    data = {"pose": np.r_[1.0, 2.0, 3.0, attitude], "attitude": attitude, "nose": np.r_[0.3, yaw]}[spec.name]
    features = codec(spec).encode(data[None], np.zeros(3))[0]
    np.testing.assert_allclose(features[list(codec(spec).turning.heading)], [np.sin(0.4), np.cos(0.4)], atol=1e-12)


def test_a_place_is_told_by_those_that_tell_one():
    places = {spec.kind: codec(spec).turning.place for spec in (POSITION, GPS, POSE, ORIENTATION, YAW)}
    assert places == {"position": (0, 1), "gps": (0, 1), "pose": (0, 1), "orientation": None, "sensor": None}
    assert codec(dataclasses.replace(POSE, frame="ned")).turning.place == (1, 0)


def test_nothing_turns_in_a_frame_without_north_and_no_command_is_a_heading():
    assert not codec(dataclasses.replace(YAW, frame="body")).turning.pairs
    steered = codec(dataclasses.replace(YAW, kind="action")).turning
    assert steered.pairs
    assert steered.heading is None


def test_the_parts_of_a_pose_keep_their_own_noise():
    pose = dataclasses.replace(POSE, noise_std=tuple(range(7)))
    place, turned = codec(pose)._parts
    assert (place.spec.noise_std, turned.spec.noise_std) == ((0, 1, 2), (3, 4, 5, 6))
    assert (place.spec.columns, turned.spec.columns) == (XYZ, QUATERNION)


def test_only_angles_that_wrap_err_the_short_way():
    spec = dataclasses.replace(ANGLES, circular=(False, True), units=("m", "rad"))
    error = codec(spec).residual(np.array([3.2, 3.2]), np.array([-3.0, -3.0]))
    np.testing.assert_allclose(error, [6.2, 6.2 - 2 * np.pi], atol=1e-12)

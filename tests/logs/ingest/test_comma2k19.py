"""comma2k19 segments: a small one made here, and the physics of the real one."""

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pymap3d
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.logs.films import gradients, write_film
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import comma2k19
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data")) / "comma2k19/seg40"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real segment is not at {REAL}")
BOOT, UTC = 5000.0, 1_533_180_000.0  # the same moment by the device's clock and in 2018
PLACE, HEADING = (37.7, -122.4, 30.0), np.radians(30)  # where it drives, and which way from north
DBC = """VERSION ""
NS_ :
BS_:
BU_: CAR
BO_ 180 SPEED: 8 CAR
 SG_ SPEED : 47|16@0+ (0.01,0) [0|250] "kph" CAR
BO_ 740 STEERING_LKA: 5 CAR
 SG_ STEER_REQUEST : 0|1@0+ (1,0) [0|1] "" CAR
 SG_ STEER_TORQUE_CMD : 15|16@0- (1,0) [0|0] "" CAR
BO_ 800 MIXED: 8 CAR
 SG_ PAGE M : 7|8@0+ (1,0) [0|1] "" CAR
 SG_ FIRST m0 : 15|8@0+ (1,0) [0|255] "deg" CAR
 SG_ SECOND m1 : 15|8@0+ (1,0) [0|255] "" CAR
"""


def save(root, name, *arrays):
    """Arrays without a suffix: the times and the values of a folder, or one alone."""
    names = [name] if len(arrays) == 1 else [f"{name}/t", f"{name}/value"]
    for each, array in zip(names, arrays, strict=True):
        (root / each).parent.mkdir(parents=True, exist_ok=True)
        with open(root / each, "wb") as file:
            np.save(file, array)


def write_can(root, frames):
    """Frames are (time, address, bus, bytes)."""
    time, address, bus, content = zip(*frames, strict=True)
    folder = "processed_log/CAN/raw_can"
    for name, array in (("t", time), ("address", address), ("src", bus), ("data", np.array(content, "S8"))):
        save(root, f"{folder}/{name}", np.array(array))


def write_segment(root, film=True):
    """Two seconds north by east at 10 m/s; fixes come 0.2 s after they were."""
    time = BOOT + np.arange(200) / 100
    save(root, "processed_log/CAN/speed", time, np.full((200, 1), 10.0))
    save(root, "processed_log/CAN/steering_angle", time, np.full(200, 90.0))
    save(root, "processed_log/IMU/accelerometer", time, np.tile([0, 0, -9.8], (200, 1)))
    save(root, "processed_log/IMU/magnetometer", time[::10], np.tile([20.0, 0, 40], (20, 1)))
    save(root, "processed_log/IMU/gyro_bias", time, np.zeros((200, 3)))
    radar = np.tile([50.0, 1, 2, np.nan, np.nan, 528, 0], (20, 1))
    radar[1::2, 5] = 529
    radar[1::2, 0] = 60
    save(root, "processed_log/CAN/radar", np.repeat(time[:50:5], 2)[:-1] + np.arange(19) % 2 / 1000, radar[:-1])
    write_can(
        root,
        [
            (BOOT + 0.10, 740, 128, b"\x01\xff\x38\x00\x40"),
            (BOOT + 0.11, 740, 128, b"\x01\x00\xc8\x00\x40"),
            (BOOT + 0.10, 835, 128, b"\x03\xe8"),
            (BOOT + 0.10, 740, 0, b"\x00\x7f\xff"),
            (BOOT + 0.10, 740, 1, b"\x00\x7f\xff"),
            (BOOT + 0.20, 180, 0, b"\0\0\0\0\0\x0e\x10"),
            (BOOT + 0.20, 800, 0, b"\x00\xb4"),
            (BOOT + 0.30, 800, 0, b"\x01\x07"),
        ],
    )
    frames = BOOT + np.arange(40) / 20
    gps = UTC + 18 - 315_964_800 + (frames - BOOT)
    save(root, "global_pose/frame_times", frames)
    save(root, "global_pose/frame_gps_times", np.stack([gps // 604_800, gps % 604_800], 1))
    velocity = 10 * np.array([np.sin(HEADING), np.cos(HEADING), 0])
    enu = (frames - BOOT)[:, None] * velocity
    save(root, "global_pose/frame_positions", np.stack(pymap3d.enu2ecef(*enu.T, *PLACE), 1))
    save(root, "global_pose/frame_velocities", np.tile(pymap3d.enu2uvw(*velocity, *PLACE[:2]), (40, 1)))
    save(root, "global_pose/frame_orientations", np.tile(ecef_of_car().as_quat(scalar_first=True), (40, 1)))
    there = np.arange(10) / 5
    fixes = np.stack(pymap3d.enu2geodetic(*(there[:, None] * velocity).T, *PLACE), 1)
    rows = np.column_stack([fixes[:, :2], np.full(10, 10.0), (UTC + there) * 1000, fixes[:, 2], np.full(10, 30.0)])
    rows[0, :2] = 0
    save(root, "processed_log/GNSS/live_gnss_ublox", BOOT + there + 0.2, rows)
    if film:
        write_film(root / "film.mkv", gradients(40))
        (root / "film.mkv").rename(root / "video.hevc")
    return root


def ecef_of_car():
    forward = np.array(pymap3d.enu2uvw(np.sin(HEADING), np.cos(HEADING), 0, *PLACE[:2]))
    right = np.array(pymap3d.enu2uvw(np.cos(HEADING), -np.sin(HEADING), 0, *PLACE[:2]))
    return Rotation.from_matrix(np.stack([forward, right, np.cross(forward, right)], 1))


def make(source, tmp_path, **given):
    report = ingest(source, tmp_path / "log.h5", size=(12, 16), progress=False, force=True, **given)
    return report, Log(tmp_path / "log.h5").episodes[0]


@pytest.fixture
def segment(tmp_path):
    return write_segment(tmp_path / "seg")


def test_streams_and_units(segment, tmp_path):
    report, episode = make(segment, tmp_path)
    streams = episode.streams
    np.testing.assert_allclose(streams["speed"].time, np.arange(200) / 100, atol=1e-9)
    np.testing.assert_allclose(streams["steering"].data, np.pi / 2, rtol=1e-6)
    np.testing.assert_allclose(streams["magnetometer"].data[0], [20e-6, 0, 40e-6], rtol=1e-6)
    np.testing.assert_allclose(streams["camera"].time, np.arange(40) / 20, atol=1e-9)
    radar = streams["radar"]
    assert radar.spec.columns[::3] == ("forward_528", "forward_529")
    np.testing.assert_allclose(radar.time, np.arange(10) / 20 + 0.001 * (np.arange(10) < 9), atol=1e-6)
    np.testing.assert_allclose(radar.data[:9], np.tile([50, 1, 2, 60, 1, 2], (9, 1)))
    np.testing.assert_allclose(radar.data[9], [50, 1, 2, np.nan, np.nan, np.nan])
    assert episode.origin_utc == pytest.approx(UTC)
    for said in ("acceleration, lateral_speed", "IMU/gyro_bias", "holds some of the future", "1 of 10 rows are no fix"):
        assert any(said in note for note in report.notes), said


def test_commands_are_those_that_the_device_sent(segment, tmp_path):
    _, episode = make(segment, tmp_path)
    torque, acceleration = episode.streams["steering_command"], episode.streams["acceleration_command"]
    np.testing.assert_allclose(torque.data[:, 0], [-200, 200])
    np.testing.assert_allclose(torque.time, [0.1, 0.11], atol=1e-9)
    np.testing.assert_allclose(acceleration.data[:, 0], [1.0])
    assert torque.spec.kind == acceleration.spec.kind == "action"


def test_a_dbc_tells_what_messages_mean(segment, tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    report, episode = make(segment, tmp_path, dbc=tmp_path / "car.dbc")
    streams = episode.streams
    np.testing.assert_allclose(streams["SPEED"].data, [[10.0]], rtol=1e-6)
    assert streams["SPEED"].spec.units == ("m/s",)
    np.testing.assert_allclose(streams["STEERING_LKA_sent"].data, [[1, -200], [1, 200]])
    np.testing.assert_allclose(streams["STEERING_LKA"].data, [[0, 32767]])
    assert (streams["STEERING_LKA"].spec.kind, streams["STEERING_LKA_sent"].spec.kind) == ("sensor", "action")
    np.testing.assert_allclose(streams["MIXED_0"].data, [[0, np.pi]], rtol=1e-6)
    np.testing.assert_allclose(streams["MIXED_1"].time, [0.3], atol=1e-9)
    assert any("buses 1 are left out" in note for note in report.notes)


def test_fixes_are_stamped_by_the_receiver(segment, tmp_path):
    report, episode = make(segment, tmp_path)
    gps, pose = episode.streams["gps"], episode.streams["pose_position"]
    np.testing.assert_allclose(gps.time, np.arange(1, 10) / 5, atol=1e-6)
    assert any("0.20 to 0.20 s before it came" in note for note in report.notes)
    there = geodetic_to_enu(pose.data, np.array(PLACE))
    fixes = geodetic_to_enu(gps.data[:, :3], np.array(PLACE))
    np.testing.assert_allclose(fixes[:, 0], np.interp(gps.time, pose.time, there[:, 0]), atol=1e-3)
    (segment / "global_pose/frame_gps_times").unlink()
    report, episode = make(segment, tmp_path)
    np.testing.assert_allclose(episode.streams["gps"].time, np.arange(1, 10) / 5 + 0.2, atol=1e-6)
    assert any("stamped when it came" in note for note in report.notes)


def test_the_pose_is_turned_to_the_north(segment, tmp_path):
    _, episode = make(segment, tmp_path)
    velocity, attitude = episode.streams["pose_velocity"].data, episode.streams["attitude"].data
    expected = [10 * np.sin(HEADING), 10 * np.cos(HEADING), 0]
    np.testing.assert_allclose(velocity, np.tile(expected, (40, 1)), atol=1e-4)
    forward = Rotation.from_quat(attitude, scalar_first=True).apply([1, 0, 0])
    np.testing.assert_allclose(forward * 10, velocity, atol=1e-4)
    down = Rotation.from_quat(attitude, scalar_first=True).apply([0, 0, 1])
    np.testing.assert_allclose(down, np.tile([0, 0, -1], (40, 1)), atol=1e-5)


def test_what_is_not_there_is_said(tmp_path):
    report, episode = make(write_segment(tmp_path / "seg", film=False), tmp_path)
    assert "camera" not in episode.streams
    assert any("camera: its film is not there" in note for note in report.notes)
    assert not comma2k19.claims(tmp_path)


def test_a_pickle_is_refused(segment, tmp_path):
    """Nothing of it runs."""
    (segment / "processed_log/CAN/speed/value").write_bytes(pickle.dumps([1.0]))
    with pytest.raises(RecipeError, match="cannot be read as a numpy array"):
        make(segment, tmp_path)
    np.save(segment / "a.npy", np.array([{}], object), allow_pickle=True)
    (segment / "a.npy").rename(segment / "processed_log/CAN/speed/value")
    with pytest.raises(RecipeError, match="cannot be read as a numpy array"):
        make(segment, tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 99), at=st.integers(0, 600), value=st.integers(0, 255), cut=st.booleans())
def test_damage_ends_in_a_named_error(segment, which, at, value, cut):
    (segment / "video.hevc").unlink(missing_ok=True)
    files = sorted(path for path in segment.rglob("*") if path.is_file())
    path = files[which % len(files)]
    whole = path.read_bytes()
    content = bytearray(whole)
    content[at % len(content)] = value
    path.write_bytes(content[:at] if cut else content)
    with contextlib.suppress(WorldModelError):
        assert list(comma2k19.read(segment, Options((4, 4), scratch=segment)))
    path.write_bytes(whole)


@pytest.fixture(scope="module")
def real():
    (recording,) = comma2k19.read(REAL, Options((4, 4)))
    return recording.samples


@needs_real
def test_gravity_and_the_turn_of_the_real_car(real):
    """Forward, right, down: at rest the accelerometer reads up; a wheel to the left turns it to the left."""
    np.testing.assert_allclose(real["accelerometer"].data.mean(0), [0, 0, -9.8], atol=0.7)
    wheel = np.interp(real["gyro"].time, real["steering"].time, real["steering"].data[:, 0])
    assert np.corrcoef(wheel, real["gyro"].data[:, 2])[0, 1] < -0.6


@needs_real
def test_clocks_of_the_real_car_agree(real):
    """The receiver's speed lags the wheels' by less than two of its periods, where it lags 0.16 s as it comes."""
    gps, speed = real["gps"], real["speed"]
    lags = np.arange(-0.4, 0.41, 0.02)
    apart = [np.std(gps.data[:, 3] - np.interp(gps.time - lag, speed.time, speed.data[:, 0])) for lag in lags]
    assert abs(lags[np.argmin(apart)]) < 0.05
    place = geodetic_to_enu(gps.data[:, :3], gps.data[0, :3])
    length = np.hypot(*np.diff(place[:, :2], axis=0).T).sum()
    assert length == pytest.approx(np.trapezoid(speed.data[:, 0], speed.time), rel=0.02)


@needs_real
def test_the_attitude_of_the_real_car_turns_with_its_gyro(real):
    attitude = Rotation.from_quat(real["attitude"].data, scalar_first=True)
    turned = (attitude[:-1].inv() * attitude[1:]).as_rotvec() / np.diff(real["attitude"].time)[:, None]
    middle = (real["attitude"].time[1:] + real["attitude"].time[:-1]) / 2
    gyro = np.interp(middle, real["gyro"].time, real["gyro"].data[:, 2])
    smooth = [np.convolve(rate, np.ones(20) / 20, "valid") for rate in (turned[:, 2], gyro)]
    assert np.corrcoef(*smooth)[0, 1] > 0.95


@needs_real
def test_commands_of_the_real_car(real):
    assert len(real["acceleration_command"].time) == 2000
    assert len(real["steering_command"].time) > 5980
    assert np.abs(real["acceleration_command"].data).max() < 4

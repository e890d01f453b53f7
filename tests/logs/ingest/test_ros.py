"""ROS messages out of every kind of bag, each written by the library that people write it with."""

import base64
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mcap.writer import Writer as McapWriter
from mcap_ros2.writer import Writer as Ros2Writer
from rosbags import rosbag1, rosbag2
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tests.fuzz import fuzz
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.ros.images import picture
from worldmodel.logs.ingest.formats.ros.types import TYPES, short
from worldmodel.logs.ingest.importer import Options, importer
from worldmodel.logs.ingest.sources import claimant

START = 1_700_000_000  # seconds since 1970
LATE_NS = 5_000_000  # from a header to when its message comes
STORES = {1: get_typestore(Stores.ROS1_NOETIC), 2: get_typestore(Stores.ROS2_HUMBLE)}
DRIVE = "float32 steering_angle\nfloat32 steering_angle_velocity\nfloat32 speed\nfloat32 acceleration\nfloat32 jerk\n"
for store in STORES.values():
    store.register(get_types_from_msg(DRIVE, "ackermann_msgs/msg/AckermannDrive"))
KINDS = ["ros1", "sqlite", "mcap_folder", "mcap"]


class Maker:
    """Makes messages of a version of ROS, all zeros but what is said."""

    def __init__(self, version):
        self.store, self.version = STORES[version], version

    def __call__(self, of, /, **fields):
        kind = self.store.types[of.replace("/", "/msg/")]
        filled = {field: self.default(layout) for field, layout in self.store.fielddefs[kind.__msgtype__][1]}
        return kind(**(filled | fields))

    def default(self, layout):
        node, detail = layout
        if node.name == "NAME":
            return self(detail.replace("/msg/", "/"))
        if node.name == "BASE":
            return "" if detail[0] == "string" else False if detail[0] == "bool" else 0
        (base, of), count = detail
        if base.name == "BASE" and of[0] != "string":
            return np.zeros(count if node.name == "ARRAY" else 0, of[0].replace("byte", "uint8"))
        return []

    def vector(self, x, y, z, name="Vector3"):
        return self(f"geometry_msgs/{name}", x=x, y=y, z=z)

    def header(self, ns, frame="odom"):
        told = {"seq": 0} if self.version == 1 else {}
        stamp = self("builtin_interfaces/Time", sec=START + ns // 10**9, nanosec=ns % 10**9)
        return self("std_msgs/Header", stamp=stamp, frame_id=frame, **told)


def write(path, kind, messages):
    """A bag of (topic, type, nanoseconds since START when it came, message)."""
    if kind == "mcap":
        return write_mcap(path.with_suffix(".mcap"), messages)
    path = path.with_suffix(".bag") if kind == "ros1" else path
    plugin = {"sqlite": StoragePlugin.SQLITE3, "mcap_folder": StoragePlugin.MCAP}
    store = STORES[1 if kind == "ros1" else 2]
    opened = rosbag1.Writer(path) if kind == "ros1" else rosbag2.Writer(path, version=9, storage_plugin=plugin[kind])
    with opened as writer:
        there = {}
        for topic, name, at, message in messages:
            full = name.replace("/", "/msg/")
            if topic not in there:
                there[topic] = writer.add_connection(topic, full, typestore=store)
            content = store.serialize_ros1(message, full) if kind == "ros1" else store.serialize_cdr(message, full)
            writer.write(there[topic], START * 10**9 + at, content)
    return path


def plain(value):
    """A message as its writer for MCAP takes it: nested fields, and lists for arrays."""
    if hasattr(value, "__msgtype__"):
        return {name: plain(field) for name, field in vars(value).items() if name != "__msgtype__"}
    return bytes(value) if getattr(value, "dtype", None) == np.uint8 else list(value) if np.ndim(value) else value


def write_mcap(path, messages):
    with open(path, "wb") as file:
        writer, schemas = Ros2Writer(file, chunk_size=4096), {}
        for topic, name, at, message in messages:
            full = name.replace("/", "/msg/")
            if name not in schemas:
                schemas[name] = writer.register_msgdef(full, STORES[2].generate_msgdef(full, ros_version=2)[0])
            writer.write_message(topic, schemas[name], plain(message), START * 10**9 + at)
        writer.finish()
    return path


def read(path):
    (recording,) = importer(claimant(path)).read(path, Options((6, 8), scratch=path.parent))
    return recording


def noted(recording, *words):
    return any(all(word in note for word in words) for note in recording.notes)


def drive(make, count=5):
    """A drive of a robot with an IMU, a receiver without a fix at first, odometry, joints, two cameras, a command."""
    image = np.zeros((12, 16, 3), np.uint8)
    image[..., 0] = 200  # red, which is last in BGR
    _, jpeg = cv2.imencode(".png", image[..., ::-1])
    for i in range(count):
        at = i * 100_000_000
        header, come = make.header(at), at + LATE_NS
        no_covariance = np.array([-1.0, *[0.0] * 8])
        yield "/imu", "sensor_msgs/Imu", come, make(
            "sensor_msgs/Imu", header=header, orientation_covariance=no_covariance,
            angular_velocity=make.vector(0.0, 0.1, float(i)), linear_acceleration=make.vector(0.0, 0.0, 9.8),
        )  # fmt: skip
        status = make("sensor_msgs/NavSatStatus", status=-1 if i == 0 else 0)
        yield "/fix", "sensor_msgs/NavSatFix", come, make(
            "sensor_msgs/NavSatFix", header=header, status=status, latitude=47.5, longitude=8.5, altitude=500.0 + i,
            position_covariance=np.array([4.0, 0, 0, 0, 4.0, 0, 0, 0, 9.0]), position_covariance_type=2,
        )  # fmt: skip
        pose = make("geometry_msgs/Pose", position=make.vector(float(i), 2.0, 0.0, "Point"),
                    orientation=make("geometry_msgs/Quaternion", x=0.0, y=0.0, z=0.6, w=0.8))  # fmt: skip
        twist = make("geometry_msgs/Twist", linear=make.vector(1.0, 0.0, 0.0), angular=make.vector(0.0, 0.0, 0.2))
        yield "/odom", "nav_msgs/Odometry", come, make(
            "nav_msgs/Odometry", header=header, pose=make("geometry_msgs/PoseWithCovariance", pose=pose),
            twist=make("geometry_msgs/TwistWithCovariance", twist=twist),
        )  # fmt: skip
        yield "/cmd_vel", "geometry_msgs/Twist", come, twist
        yield "/joint_states", "sensor_msgs/JointState", come, make(
            "sensor_msgs/JointState", header=header, name=["hip", "knee"], position=np.array([0.5, float(i)]),
        )  # fmt: skip
        yield "/front/image_raw", "sensor_msgs/Image", come, make(
            "sensor_msgs/Image", header=header, height=12, width=16, step=48, encoding="bgr8",
            data=image[..., ::-1].reshape(-1),
        )  # fmt: skip
        yield (
            "/rear/image/compressed",
            "sensor_msgs/CompressedImage",
            come,
            make("sensor_msgs/CompressedImage", header=header, format="png", data=jpeg.reshape(-1)),
        )
        yield "/wheel", "std_msgs/Float64", come, make("std_msgs/Float64", data=float(i))
        yield (
            "/pwm/command",
            "std_msgs/Float64MultiArray",
            come,
            make("std_msgs/Float64MultiArray", data=np.array([1.0, float(i)])),
        )
        drive = make("ackermann_msgs/AckermannDrive", steering_angle=0.25, speed=float(i))
        yield "/ackermann", "ackermann_msgs/AckermannDrive", come, drive
        yield "/chatter", "std_msgs/String", come, make("std_msgs/String", data="hello")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_bag_gives_the_same_recording(tmp_path, kind):
    recording = read(write(tmp_path / "bag", kind, list(drive(Maker(1 if kind == "ros1" else 2)))))
    steps = np.arange(5)
    expected = {
        "gyro": ("sensor", np.array([[0, 0.1, i] for i in steps])),
        "accelerometer": ("sensor", [[0, 0, 9.8]] * 5),
        "odometry": ("pose", [[i, 2, 0, 0.8, 0, 0, 0.6] for i in steps]),
        "odometry_twist": ("sensor", [[1, 0, 0, 0, 0, 0.2]] * 5),
        "twist_command": ("action", [[1, 0, 0, 0, 0, 0.2]] * 5),
        "joint_position": ("sensor", [[0.5, i] for i in steps]),
        "wheel": ("sensor", steps[:, None]),
        "pwm_command": ("action", [[1, i] for i in steps]),
        "ackermann_command": ("action", [[0.25, 0, i, 0, 0] for i in steps]),
        "gps": ("gps", [[47.5, 8.5, 500 + i, 2, 3] for i in steps[1:]]),
    }
    assert set(recording.samples) == {*expected, "front", "rear"}
    for name, (kind_of, data) in expected.items():
        assert recording.specs[name].kind == kind_of
        np.testing.assert_allclose(recording.samples[name].data, data, err_msg=name)
    for name in ("front", "rear"):
        np.testing.assert_array_equal(recording.samples[name].data, np.full((5, 6, 8, 3), (200, 0, 0)))
    assert recording.specs["joint_position"].columns == ("hip", "knee")
    assert recording.specs["odometry"].frame == "odom"
    np.testing.assert_allclose(recording.samples["gyro"].time, 0.1 * steps, atol=1e-6)
    np.testing.assert_allclose(recording.samples["front"].time, 0.1 * steps, atol=1e-6)
    np.testing.assert_allclose(recording.samples["wheel"].time, 0.1 * steps + LATE_NS / 1e9, atol=1e-6)
    assert recording.origin_utc == pytest.approx(START)
    assert noted(recording, "/imu: by its headers, median 0.0050 s")
    assert noted(recording, "gps: 1 of 5")
    assert noted(recording, "attitude: 5 of 5")
    assert noted(recording, "no stream is made of", "/chatter (std_msgs/String)")


@pytest.mark.parametrize("kind", [*KINDS, "unfinished"])
def test_what_is_too_large_to_be_held_is_read_in_pieces(tmp_path, kind, monkeypatch):
    make, bag = Maker(1 if kind == "ros1" else 2), "mcap" if kind == "unfinished" else kind
    path = write(tmp_path / "bag", bag, list(drive(make, 12)))
    if kind == "unfinished":
        path.write_bytes(path.read_bytes()[:-2000])
    whole = read(path)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._AT_ONCE", 1)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._PIECE", 150)  # of 42 numbers at each time
    pieces = list(importer(claimant(path)).read(path, Options((6, 8), scratch=tmp_path)))
    assert [piece.name for piece in pieces] == [f"{path.name} piece {i}" for i in range(1, len(pieces) + 1)]
    assert len(pieces) in (3, 4)
    for name, samples in whole.samples.items():
        own = [piece.samples[name] for piece in pieces if name in piece.samples]
        starts = [piece.origin_utc - whole.origin_utc for piece in pieces if name in piece.samples]
        np.testing.assert_array_equal(np.concatenate([part.data for part in own]), samples.data, err_msg=name)
        times = np.concatenate([part.time + start for part, start in zip(own, starts, strict=True)])
        np.testing.assert_allclose(times, samples.time, atol=1e-5, err_msg=name)
    assert noted(pieces[0], "read in pieces")
    assert noted(pieces[-1], "no stream is made of", "/chatter (std_msgs/String)")
    assert not noted(pieces[0], "/chatter")


def test_a_last_piece_is_never_without_a_message(tmp_path, monkeypatch):
    path = write(tmp_path / "bag", "mcap", [message for message in drive(Maker(2), 12) if message[0] == "/wheel"])
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._AT_ONCE", 1)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._PIECE", 4)
    pieces = list(importer("mcap").read(path, Options((6, 8), scratch=tmp_path)))
    assert [piece.samples["wheel"].data[:, 0].tolist() for piece in pieces] == np.arange(12.0).reshape(3, 4).tolist()


def test_pieces_have_the_columns_of_a_topic_in_one_order(tmp_path, monkeypatch):
    make, messages = Maker(2), []
    for i in range(12):  # an arm and its gripper tell their joints by turns
        header, names = make.header(i * 100_000_000), ["grip"] if i % 2 else ["hip", "knee"]
        state = make("sensor_msgs/JointState", header=header, name=names, position=np.arange(len(names)) + float(i))
        messages.append(("/joint_states", "sensor_msgs/JointState", i * 100_000_000, state))
    path = write(tmp_path / "bag", "mcap", messages)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._AT_ONCE", 1)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._PIECE", 5)  # one begins with the gripper
    pieces = list(importer("mcap").read(path, Options((6, 8), scratch=tmp_path)))
    assert {piece.specs["joint_position"].columns for piece in pieces} == {("hip", "knee", "grip")}
    whole = np.concatenate([piece.samples["joint_position"].data for piece in pieces])
    np.testing.assert_array_equal(whole[1::2, 2], np.arange(1.0, 12, 2))
    np.testing.assert_array_equal(whole[::2, :2], np.arange(0.0, 12, 2)[:, None] + [0, 1])


def test_pieces_of_what_is_stored_in_another_order_have_each_picture_once(tmp_path, monkeypatch):
    messages = list(drive(Maker(2), 12))
    later, earlier = ([m for m in messages if (m[2] > 600_000_000) is late] for late in (True, False))
    path = write(tmp_path / "bag", "mcap", [*later, *earlier])
    whole = read(path)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._AT_ONCE", 1)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.ros._PIECE", 80)
    pieces = list(importer("mcap").read(path, Options((6, 8), scratch=tmp_path)))
    assert len(pieces) > 4
    for name in ("front", "gyro"):
        there = [piece for piece in pieces if name in piece.samples]
        times = np.concatenate([piece.samples[name].time + piece.origin_utc for piece in there])
        np.testing.assert_allclose(np.sort(times), np.sort(whole.samples[name].time + whole.origin_utc), atol=1e-5)


@pytest.mark.parametrize("without", [2, 4])
def test_headers_without_stamps_are_said(tmp_path, without):
    make = Maker(2)
    headers = [make("std_msgs/Header") if i < without else make.header(i * 10_000_000) for i in range(4)]
    messages = [
        ("/imu", "sensor_msgs/Imu", i * 10_000_000, make("sensor_msgs/Imu", header=headers[i])) for i in range(4)
    ]
    recording = read(write(tmp_path / "bag", "mcap", messages))
    np.testing.assert_allclose(recording.samples["gyro"].time, np.arange(4) / 100, atol=1e-6)
    assert noted(recording, f"/imu: {without} of 4 headers have no stamp")


def test_what_pictures_of_16_bits_lose_is_said(tmp_path):
    make = Maker(2)
    told = {"height": 2, "width": 2, "step": 4, "encoding": "16UC1", "data": np.array([0, 1] * 4, np.uint8)}
    message = make("sensor_msgs/Image", header=make.header(0), **told)
    recording = read(write(tmp_path / "bag", "mcap", [("/depth", "sensor_msgs/Image", 0, message)]))
    assert (np.asarray(recording.samples["camera"].data) == 1).all()
    assert noted(recording, "camera: of 16 bits (16UC1) the upper 8 are kept")


def test_several_topics_of_a_type_are_told_apart_and_another_clock_is_moved(tmp_path):
    """The rear IMU's clock began with its power: its headers count from there."""
    make = Maker(2)
    messages = []
    for i in range(4):
        at = i * 10_000_000
        for topic, header in (("/front/imu", make.header(at)), ("/rear/imu", make.header(at - (START - 7) * 10**9))):
            messages.append((topic, "sensor_msgs/Imu", at + LATE_NS, make("sensor_msgs/Imu", header=header)))
    recording = read(write(tmp_path / "bag", "mcap", messages))
    assert {"front_imu_gyro", "rear_imu_gyro"} <= set(recording.samples)
    np.testing.assert_allclose(recording.samples["front_imu_gyro"].time, 0.01 * np.arange(4), atol=1e-6)
    np.testing.assert_allclose(recording.samples["rear_imu_gyro"].time, 0.005 + 0.01 * np.arange(4), atol=1e-6)
    assert noted(recording, "/rear/imu: its headers have another clock")


def write_json(path, messages):
    with open(path, "wb") as file:
        writer = McapWriter(file)
        writer.start()
        channels = {}
        for topic, schema, at, message in messages:
            if topic not in channels:
                number = writer.register_schema(schema, "jsonschema", b"{}")
                channels[topic] = writer.register_channel(topic, "json", number)
            content = message if isinstance(message, bytes) else json.dumps(message).encode()
            writer.add_message(channels[topic], START * 10**9 + at, content, START * 10**9 + at)
        writer.finish()
    return path


def test_json(tmp_path):
    stamp = {"sec": START, "nsec": 0}
    _, png = cv2.imencode(".png", np.full((12, 16, 3), 50, np.uint8))
    fix = {"timestamp": stamp, "frame_id": "gps", "latitude": 47.5, "longitude": 8.5, "altitude": 5}
    fix |= {"position_covariance": [0] * 9, "position_covariance_type": 0}
    image = {"timestamp": stamp, "frame_id": "", "format": "png", "data": base64.b64encode(png.tobytes()).decode()}
    twist = {"linear": {"x": 1, "y": 0, "z": 0}, "angular": {"x": 0, "y": 0, "z": 2}}
    messages = [
        ("/fix", "foxglove.LocationFix", 0, fix), ("/image", "foxglove.CompressedImage", 0, image),
        ("/cmd_vel", "geometry_msgs/Twist", 0, twist), ("/cmd_vel", "geometry_msgs/Twist", 10**8, {"linear": 3}),
    ]  # fmt: skip
    vector = {"x": 1, "y": 2, "z": 3}  # and no covariances, which only say what is not there
    imu = {"angular_velocity": vector, "linear_acceleration": vector, "orientation": dict.fromkeys("wxyz", 0)}
    recording = read(write_json(tmp_path / "a.mcap", [*messages, ("/imu", "sensor_msgs/Imu", 0, imu)]))
    np.testing.assert_array_equal(recording.samples["gyro"].data, [[1, 2, 3]])
    np.testing.assert_allclose(recording.samples["gps"].data, [[47.5, 8.5, 5, np.nan, np.nan]])
    np.testing.assert_array_equal(recording.samples["camera"].data, np.full((1, 6, 8, 3), 50))
    np.testing.assert_allclose(recording.samples["twist_command"].data, [[1, 0, 0, 0, 0, 2]])
    assert noted(recording, "/cmd_vel: 1 messages are no geometry_msgs/Twist")


def test_protobuf(tmp_path):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from mcap_protobuf.writer import Writer

    file = descriptor_pb2.FileDescriptorProto(name="fix.proto", package="foxglove", syntax="proto3")
    kind = file.message_type.add(name="LocationFix")
    labels = [("latitude", 1, 1), ("longitude", 1, 1), ("altitude", 1, 1), ("position_covariance", 1, 3)]
    for number, (name, type_of, label) in enumerate([*labels, ("position_covariance_type", 5, 1)], 1):
        kind.field.add(name=name, number=number, type=type_of, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    fix = message_factory.GetMessageClass(pool.FindMessageTypeByName("foxglove.LocationFix"))
    with open(tmp_path / "a.mcap", "wb") as stream, Writer(stream) as writer:
        for i in range(3):
            place = {"latitude": 47.5 + i, "longitude": 8.5, "altitude": 5.0}
            writer.write_message("/gps", fix(**place), START * 10**9 + i, START * 10**9)
    recording = read(tmp_path / "a.mcap")
    np.testing.assert_allclose(recording.samples["gps"].data[:, 0], [47.5, 48.5, 49.5])


def test_vicon_force_and_pressure_are_known(tmp_path):
    make, header = Maker(2), Maker(2).header(0)
    turned = make("geometry_msgs/Quaternion", w=1.0)
    transform = make("geometry_msgs/Transform", translation=make.vector(1.0, 2.0, 3.0), rotation=turned)
    wrench = make("geometry_msgs/Wrench", force=make.vector(4.0, 5.0, 6.0), torque=make.vector(7.0, 8.0, 9.0))
    point = make.vector(1.0, 2.0, 3.0, "Point")
    told = {
        "/vicon": ("geometry_msgs/TransformStamped", {"header": header, "transform": transform}),
        "/leica": ("geometry_msgs/PointStamped", {"header": header, "point": point}),
        "/ft": ("geometry_msgs/WrenchStamped", {"header": header, "wrench": wrench}),
        "/baro": ("sensor_msgs/FluidPressure", {"header": header, "fluid_pressure": 1e5}),
        "/temp": ("sensor_msgs/Temperature", {"header": header, "temperature": 20.0}),
        "/joy": ("sensor_msgs/Joy", {"header": header, "axes": np.array([0.5], np.float32), "buttons": [1]}),
        "/gear": ("std_msgs/Int32", {"data": 3}),
        "/cloud": ("sensor_msgs/PointCloud2", {"header": header}),
    }
    messages = [(topic, kind, 0, make(kind, **fields)) for topic, (kind, fields) in told.items()]
    recording = read(write(tmp_path / "bag", "mcap", messages))
    expected = {
        "pose": ("pose", [1, 2, 3, 1, 0, 0, 0]), "position": ("position", [1, 2, 3]), "gear": ("sensor", [3]),
        "wrench": ("sensor", [4, 5, 6, 7, 8, 9]), "pressure": ("sensor", [1e5]), "temperature": ("sensor", [293.15]),
        "joy_command": ("action", [0.5, 1]),
    }  # fmt: skip
    assert set(recording.samples) == set(expected)
    for name, (kind, row) in expected.items():
        assert recording.specs[name].kind == kind
        np.testing.assert_allclose(recording.samples[name].data, [row], err_msg=name)
    assert noted(recording, "no stream is made of", "/cloud")


OWN = "std_msgs/Header header\nfloat32 speed\nbool on\nstring name\nuint16[4] channels\nfloat32[40] scan\nWheel wheel\n"


@pytest.mark.parametrize("kind", KINDS)
def test_messages_of_ones_own_are_read_as_they_are(tmp_path, kind):
    make = Maker(1 if kind == "ros1" else 2)
    if "my_robot/msg/Status" not in make.store.types:
        make.store.register(get_types_from_msg("float64 rate\n", "my_robot/msg/Wheel"))
        make.store.register(get_types_from_msg(OWN, "my_robot/msg/Status"))
    told = {"speed": 2.0, "on": True, "name": "a", "channels": np.array([1, 2, 3, 4], np.uint16)}
    told["wheel"] = make("my_robot/Wheel", rate=9.0)
    at = [(topic, i * 10**8) for i in range(3) for topic in ("/status", "/drive/cmd")]
    messages = [
        (topic, "my_robot/Status", ns, make("my_robot/Status", header=make.header(ns), **told)) for topic, ns in at
    ]
    recording = read(write(tmp_path / "bag", kind, messages))
    columns = ("speed", "on", "channels_0", "channels_1", "channels_2", "channels_3", "wheel.rate")
    assert recording.specs["status"].columns == columns
    assert (recording.specs["status"].kind, recording.specs["drive_cmd"].kind) == ("sensor", "action")
    np.testing.assert_array_equal(recording.samples["status"].data, [[2, 1, 1, 2, 3, 4, 9]] * 3)
    np.testing.assert_allclose(recording.samples["status"].time, [0, 0.1, 0.2], atol=1e-6)
    assert noted(recording, "as they are, without units", "/status (my_robot/Status)")


def test_px4_over_ros_is_by_its_own_stamps(tmp_path):
    """Microseconds since its boot, which messages reach late and unevenly."""
    make = Maker(2)
    if "px4_msgs/msg/Rates" not in make.store.types:
        make.store.register(
            get_types_from_msg("uint64 timestamp\nuint64 timestamp_sample\nfloat32[3] xyz\n", "px4_msgs/msg/Rates")
        )
    messages = [
        ("/fmu/out/rates", "px4_msgs/Rates", i * 10_000_000 + i % 3 * 4_000_000,
         make("px4_msgs/Rates", timestamp=5_000_000 + i * 10_000, xyz=np.array([1, 2, i], np.float32)))
        for i in range(9)
    ]  # fmt: skip
    recording = read(write(tmp_path / "bag", "sqlite", messages))
    ((name, samples),) = recording.samples.items()
    assert recording.specs[name].columns == ("xyz_0", "xyz_1", "xyz_2")
    np.testing.assert_allclose(samples.time, np.arange(9) / 100, atol=1e-6)
    assert noted(recording, "another clock")


def test_json_of_ones_own_is_read_as_it_is(tmp_path):
    message = {"timestamp": {"sec": START, "nsec": 5}, "pose": {"x": 1, "y": 2.5}, "label": "a", "on": True}
    recording = read(
        write_json(tmp_path / "a.mcap", [("/robot", "Robot", 0, message), ("/words", "Words", 0, {"a": "b"})])
    )
    assert recording.specs["robot"].columns == ("pose.x", "pose.y", "on")
    np.testing.assert_array_equal(recording.samples["robot"].data, [[1, 2.5, 1]])
    assert noted(recording, "no stream is made of", "/words (Words)")


def test_protobuf_of_ones_own_is_read_as_it_is(tmp_path):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
    from mcap_protobuf.writer import Writer

    file = descriptor_pb2.FileDescriptorProto(name="arm.proto", package="lab", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    kind = file.message_type.add(name="Arm")
    kind.field.add(name="timestamp", number=1, type=11, label=1, type_name=".google.protobuf.Timestamp")
    kind.field.add(name="grip", number=2, type=1, label=1)
    kind.field.add(name="joints", number=3, type=1, label=3)
    pool = descriptor_pool.DescriptorPool()
    timestamp_pb2.DESCRIPTOR.CopyToProto(depends := descriptor_pb2.FileDescriptorProto())
    pool.Add(depends)
    pool.Add(file)
    arm = message_factory.GetMessageClass(pool.FindMessageTypeByName("lab.Arm"))
    with open(tmp_path / "a.mcap", "wb") as stream, Writer(stream) as writer:
        for i in range(3):
            message = arm(grip=0.5, joints=[1.0, float(i)])
            message.timestamp.seconds, message.timestamp.nanos = START, i * 10**8
            writer.write_message("/arm", message, START * 10**9, START * 10**9)
    recording = read(tmp_path / "a.mcap")
    assert recording.specs["arm"].columns == ("grip", "joints_0", "joints_1")
    np.testing.assert_allclose(recording.samples["arm"].data, [[0.5, 1, i] for i in range(3)])
    np.testing.assert_allclose(recording.samples["arm"].time, [0, 0.1, 0.2], atol=1e-6)


@pytest.mark.parametrize("name", ["POWER_SUPPLY_STATUS_NOT_CHARGING_}", "POWER_SUPPLY_STATUS_NOT_CHARGING_", "x"])
def test_a_definition_that_is_damaged_costs_its_topic(tmp_path, name):
    """With a long name that is no constant's, the library's reader would not end."""
    with open(tmp_path / "a.mcap", "wb") as file:
        writer = McapWriter(file)
        writer.start()
        schema = writer.register_schema("my_robot/msg/State", "ros2msg", f"uint8 {name}=1\nfloat64 x\n".encode())
        good = writer.register_channel("/good", "json", writer.register_schema("Good", "jsonschema", b"{}"))
        bad = writer.register_channel("/bad", "cdr", schema)
        for channel, content in ((good, b'{"x": 1}'), (bad, bytes(12))):
            writer.add_message(channel, START * 10**9, content, START * 10**9)
        writer.finish()
    recording = read(tmp_path / "a.mcap")
    assert set(recording.samples) == {"good"}
    assert noted(recording, "of definitions, that are not read: /bad (cdr)")


def test_messages_that_cannot_be_decoded_are_counted(tmp_path):
    messages = [("/robot", "Robot", i, {"x": i} if i != 1 else b'{"x": }') for i in range(3)]
    recording = read(write_json(tmp_path / "a.mcap", messages))
    np.testing.assert_array_equal(recording.samples["robot"].data, [[0], [2]])
    assert noted(recording, "/robot: 1 messages cannot be decoded")


def test_what_is_left_out_of_messages_of_ones_own_is_told(tmp_path):
    large = {f"x{i}": i for i in range(100)} | {"scan": [1.0] * 40}
    messages = [("/large", "Large", 0, large), ("/whole", "Whole", 0, {f"x{i}": i for i in range(63)})]
    recording = read(write_json(tmp_path / "a.mcap", messages))
    assert len(recording.specs["large"].columns) == 64
    assert noted(recording, "/large: of a message the first 64 numbers are read")
    assert not noted(recording, "/whole: of a message")
    assert noted(recording, "without lists of more than 16", "/large (Large)")


def test_messages_that_go_wrong_each_in_a_way_of_its_own_are_told_once(tmp_path):
    torn = [("/torn", "Torn", i, {"x": i} if i % 2 else b'{"x": ' + b" " * i) for i in range(20)]
    odd = [("/odd", "std_msgs/Float64", i, {"data": 1.0 if i % 2 else f"word{i}"}) for i in range(20)]
    recording = read(write_json(tmp_path / "a.mcap", [*torn, *odd]))
    (note,) = (note for note in recording.notes if note.startswith("/torn: "))
    assert "10 messages cannot be decoded" in note
    assert [len(samples.time) for samples in recording.samples.values()] == [10, 10]


@pytest.mark.parametrize("content", [{"x": 10**400}, {"axes": ["a"], "buttons": []}], ids=["large", "words"])
def test_a_message_that_is_no_number_costs_itself(tmp_path, content):
    kind = "sensor_msgs/Joy" if "axes" in content else "Own"
    good = {"axes": [1], "buttons": []} if "axes" in content else {"x": 1}
    recording = read(write_json(tmp_path / "a.mcap", [("/a", kind, 0, good), ("/a", kind, 1, content)]))
    assert [len(samples.time) for samples in recording.samples.values()] == [1]
    assert noted(recording, f"/a: 1 messages are no {kind}")


def test_numbers_that_are_none_may_be_words_and_half_a_message_is_none(tmp_path):
    def vector(x):
        return {"x": x, "y": 2, "z": 3}

    def imu(gyro, force, attitude=0):
        return {
            "angular_velocity": vector(gyro), "linear_acceleration": vector(force),
            "orientation": {"w": attitude, "x": 0, "y": 0, "z": 0},
        }  # fmt: skip

    told = [imu(1, 4), imu("NaN", 5, attitude=1), imu(6, "word"), imu(7, 8, attitude=1)]
    messages = [("/imu", "sensor_msgs/Imu", i * 10**9, content) for i, content in enumerate(told)]
    recording = read(write_json(tmp_path / "a.mcap", messages))
    np.testing.assert_array_equal(recording.samples["gyro"].data, [[1, 2, 3], [np.nan, 2, 3], [7, 2, 3]])
    np.testing.assert_array_equal(recording.samples["accelerometer"].data[:, 0], [4, 5, 8])
    np.testing.assert_array_equal(recording.samples["attitude"].data, [[1, 0, 0, 0]] * 2)
    np.testing.assert_allclose(np.diff(recording.samples["attitude"].time), [2])
    assert noted(recording, "/imu: 1 messages are no sensor_msgs/Imu")
    assert noted(recording, "attitude: 1 of 3 messages say")


def test_a_buffer_of_bytes_is_no_stream(tmp_path):
    messages = [("/buffer", "std_msgs/UInt8MultiArray", 0, {"data": [0] * 5000}), ("/x", "Own", 0, {"x": 1})]
    recording = read(write_json(tmp_path / "a.mcap", messages))
    assert set(recording.samples) == {"x"}
    assert noted(recording, "/buffer: 1 messages", "more than 4096 numbers")


def test_an_unfinished_file_is_read_as_far_as_it_goes(tmp_path):
    path = write(tmp_path / "bag", "mcap", list(drive(Maker(2), 40)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording = read(path)
    assert 5 < len(recording.samples["gyro"].time) < 40
    assert noted(recording, "not finished")


def test_a_bag_without_a_known_topic_is_refused(tmp_path):
    make = Maker(2)
    path = write(tmp_path / "bag", "sqlite", [("/chatter", "std_msgs/String", 0, make("std_msgs/String", data="a"))])
    with pytest.raises(RecipeError, match=r"has no samples[\s\S]*/chatter"):
        read(path)


def test_types_are_known_however_they_are_written():
    assert {short(name) for name in ("sensor_msgs/msg/Imu", "sensor_msgs/Imu", "ros.sensor_msgs.Imu")} <= TYPES.keys()


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [("rgb8", [9, 120, 200]), ("bgr8", [200, 120, 9]), ("bgra8", [200, 120, 9, 255]), ("rgba8", [9, 120, 200, 1])],
)
def test_encodings_of_colour(encoding, pixel):
    image = SimpleNamespace(encoding=encoding, height=4, width=6, step=32, is_bigendian=0)
    rows = np.zeros((4, 32), np.uint8)  # rows are longer than their pixels
    rows[:, : 6 * len(pixel)] = np.tile(pixel, 6)
    image.data = rows.reshape(-1)
    np.testing.assert_array_equal(picture(image, (4, 6), "here"), np.full((4, 6, 3), [9, 120, 200]))


@pytest.mark.parametrize(
    ("encoding", "data", "value"),
    [
        ("mono8", np.full(32, 7, np.uint8), 7),
        ("mono16", np.full(32, 7 * 256 + 3, "<u2"), 7),
        ("bayer_rggb8", np.full(32, 7, np.uint8), 7),
        ("yuyv", np.full(64, 128, np.uint8), 130),
    ],
)
def test_encodings_of_one_value(encoding, data, value):
    image = SimpleNamespace(encoding=encoding, height=4, width=8, step=0, is_bigendian=0, data=data.tobytes())
    np.testing.assert_allclose(picture(image, (4, 8), "here"), np.full((4, 8, 3), value), atol=1)


@pytest.mark.parametrize(
    ("encoding", "red"),
    [("bayer_rggb8", (0, 0)), ("bayer_bggr8", (1, 1)), ("bayer_grbg8", (0, 1)), ("bayer_gbrg8", (1, 0))],
)
def test_bayer_patterns(encoding, red):
    """A red surface: only the pixels behind the red filters see it."""
    pixels = np.zeros((8, 8), np.uint8)
    pixels[red[0] :: 2, red[1] :: 2] = 200
    image = SimpleNamespace(encoding=encoding, height=8, width=8, step=8, data=pixels.tobytes())
    np.testing.assert_allclose(picture(image, (8, 8), "here")[2:-2, 2:-2].mean((0, 1)), [200, 0, 0], atol=1)


@pytest.mark.parametrize("told", [{"height": 5}, {"width": 10**9}, {"encoding": "odd"}, {"width": -1}])
def test_an_image_that_is_not_what_it_says_is_refused(told):
    fields = {"encoding": "mono8", "height": 4, "width": 8, "step": 0, "data": bytes(32)} | told
    with pytest.raises(ValueError, match="image"):
        picture(SimpleNamespace(**fields), (4, 8), "here")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_ends_in_a_named_error(tmp_path, kind):
    path = write(tmp_path / "bag", kind, list(drive(Maker(1 if kind == "ros1" else 2), 2)))
    found = fuzz(claimant(path), path, 20, 0, tmp_path / "kept", Options((4, 4), scratch=tmp_path))
    assert set(found) <= {"read", "refused"}

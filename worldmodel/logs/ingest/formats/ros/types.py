"""Which types of ROS messages make which streams. One table, whatever the bag and the coding.

Fields and units are those of https://github.com/ros2/common_interfaces, of ackermann_msgs and of Foxglove's schemas;
frames are those of REP 103 and REP 145.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from worldmodel.codecs import QUATERNION, XYZ
from worldmodel.types import GPS_COLUMNS, GPS_UNITS

Row = Sequence[float] | dict[str, float] | None
HEADER = "header"  # as a frame: the one that the messages name


class Part(NamedTuple):
    """A stream that messages of a type make.

    Attributes:
        stream: its name, where one topic makes it; an empty one stands for the topic's.
        kind: its kind; an action where the topic is a command (`COMMANDS`).
        columns: their names; without any, the row is a mapping from them.
        units: one a column, or one for all.
        frame: of reference, or `HEADER`.
        row: what is read off a message; None where it has no reading.
    """

    stream: str
    kind: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    frame: str
    row: Callable[[Any], Row]


def _vector(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _quaternion(rotation: Any) -> tuple[float, ...]:
    return rotation.w, rotation.x, rotation.y, rotation.z


def _pose(pose: Any) -> Row:
    rotation = _quaternion(pose.orientation)
    return (*_vector(pose.position), *rotation) if any(rotation) else None


def _twist(twist: Any) -> Row:
    return (*_vector(twist.linear), *_vector(twist.angular))


def _covariance(message: Any, name: str) -> Sequence[float]:
    """Empty where messages in JSON leave it out."""
    return getattr(message, name, ())


def _unless_absent(field: str) -> Callable[[Any], Row]:
    """A vector of sensor_msgs/Imu; -1 as the first covariance says that there is none."""
    told = f"{field}_covariance"

    def row(message: Any) -> Row:
        covariance = _covariance(message, told)
        return None if len(covariance) and covariance[0] == -1 else _vector(getattr(message, field))

    return row


def _attitude(message: Any) -> Row:
    rotation, covariance = _quaternion(message.orientation), _covariance(message, "orientation_covariance")
    return rotation if any(rotation) and not (len(covariance) and covariance[0] == -1) else None


def _fix(message: Any) -> Row:
    """A fix with its standard deviations; none where its status is below 0 or its place 0,0."""
    status = getattr(message, "status", None)
    if (status is not None and status.status < 0) or (message.latitude == 0 and message.longitude == 0):
        return None
    known, covariance = getattr(message, "position_covariance_type", 0), _covariance(message, "position_covariance")
    horizontal = vertical = math.nan
    if known and len(covariance) == 9 and min(covariance[0], covariance[4], covariance[8]) >= 0:
        horizontal, vertical = math.sqrt((covariance[0] + covariance[4]) / 2), math.sqrt(covariance[8])
    return message.latitude, message.longitude, message.altitude, horizontal, vertical


def _joints(field: str) -> Callable[[Any], Row]:
    def row(message: Any) -> Row:
        values = getattr(message, field)
        names = message.name if len(message.name) else [f"joint_{i}" for i in range(len(values))]
        return dict(zip(names, values, strict=True)) if len(values) else None

    return row


def _listed(message: Any) -> Row:
    if len(message.data) > _MOST_LISTED:
        raise ValueError(f"it holds more than {_MOST_LISTED} numbers")
    return {f"value_{i}": value for i, value in enumerate(message.data)}


def _transform(transform: Any) -> Row:
    rotation = _quaternion(transform.rotation)
    return (*_vector(transform.translation), *rotation) if any(rotation) else None


def _joy(message: Any) -> Row:
    return {f"axis_{i}": x for i, x in enumerate(message.axes)} | {
        f"button_{i}": x for i, x in enumerate(message.buttons)
    }


def _ackermann(drive: Any) -> Row:
    return drive.steering_angle, drive.steering_angle_velocity, drive.speed, drive.acceleration, drive.jerk


_POSE = (*XYZ, *QUATERNION), ("m",) * 3 + ("",) * 4
_TWIST = (
    ("linear_x", "linear_y", "linear_z", "angular_x", "angular_y", "angular_z"),
    ("m/s",) * 3 + ("rad/s",) * 3,
)
_GPS = (*GPS_COLUMNS, "horizontal_accuracy", "vertical_accuracy"), (*GPS_UNITS, "m", "m")
_ACKERMANN = (
    ("steering_angle", "steering_angle_velocity", "speed", "acceleration", "jerk"),
    ("rad", "rad/s", "m/s", "m/s^2", "m/s^3"),
)
_WRENCH = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z"), ("N",) * 3 + ("N*m",) * 3
_ZERO_CELSIUS_K = 273.15
_NUMBERS_OF = ("Float64", "Float32", *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)))
_NUMBER = (Part("", "sensor", ("value",), ("",), "", lambda m: (m.data,)),)
_NUMBERS = (Part("", "sensor", (), ("",), "", _listed),)

TYPES: dict[str, tuple[Part, ...]] = {
    "sensor_msgs/Imu": (
        Part("gyro", "sensor", XYZ, ("rad/s",), "body", _unless_absent("angular_velocity")),
        Part("accelerometer", "sensor", XYZ, ("m/s^2",), "body", _unless_absent("linear_acceleration")),
        Part("attitude", "orientation", QUATERNION, ("",), "enu", _attitude),
    ),
    "sensor_msgs/MagneticField": (
        Part("magnetometer", "sensor", XYZ, ("T",), "body", lambda m: _vector(m.magnetic_field)),
    ),
    "sensor_msgs/NavSatFix": (Part("gps", "gps", *_GPS, "wgs84", _fix),),
    "foxglove/LocationFix": (Part("gps", "gps", *_GPS, "wgs84", _fix),),
    "sensor_msgs/JointState": (
        Part("joint_position", "sensor", (), ("rad",), "joint", _joints("position")),
        Part("joint_velocity", "sensor", (), ("rad/s",), "joint", _joints("velocity")),
        Part("joint_effort", "sensor", (), ("N*m",), "joint", _joints("effort")),
    ),
    "geometry_msgs/Twist": (Part("twist", "sensor", *_TWIST, "body", _twist),),
    "geometry_msgs/TwistStamped": (Part("twist", "sensor", *_TWIST, "body", lambda m: _twist(m.twist)),),
    "geometry_msgs/TwistWithCovarianceStamped": (
        Part("twist", "sensor", *_TWIST, "body", lambda m: _twist(m.twist.twist)),
    ),
    "geometry_msgs/Pose": (Part("pose", "pose", *_POSE, "", _pose),),
    "geometry_msgs/PoseStamped": (Part("pose", "pose", *_POSE, HEADER, lambda m: _pose(m.pose)),),
    "geometry_msgs/PoseWithCovarianceStamped": (Part("pose", "pose", *_POSE, HEADER, lambda m: _pose(m.pose.pose)),),
    "geometry_msgs/TransformStamped": (Part("pose", "pose", *_POSE, HEADER, lambda m: _transform(m.transform)),),
    "geometry_msgs/PointStamped": (Part("position", "position", XYZ, ("m",), HEADER, lambda m: _vector(m.point)),),
    "geometry_msgs/Vector3Stamped": (Part("", "sensor", XYZ, ("",), HEADER, lambda m: _vector(m.vector)),),
    "geometry_msgs/WrenchStamped": (
        Part("wrench", "sensor", *_WRENCH, HEADER, lambda m: (*_vector(m.wrench.force), *_vector(m.wrench.torque))),
    ),
    "sensor_msgs/FluidPressure": (
        Part("pressure", "sensor", ("pressure",), ("Pa",), "", lambda m: (m.fluid_pressure,)),
    ),
    "sensor_msgs/Temperature": (
        Part("temperature", "sensor", ("temperature",), ("K",), "", lambda m: (m.temperature + _ZERO_CELSIUS_K,)),
    ),
    "sensor_msgs/Range": (Part("range", "sensor", ("range",), ("m",), "body", lambda m: (m.range,)),),
    "sensor_msgs/BatteryState": (
        Part("battery", "sensor", ("voltage", "current"), ("V", "A"), "", lambda m: (m.voltage, m.current)),
    ),
    "sensor_msgs/Joy": (Part("joy", "action", (), ("",), "", _joy),),
    "foxglove/PoseInFrame": (Part("pose", "pose", *_POSE, HEADER, lambda m: _pose(m.pose)),),
    "nav_msgs/Odometry": (
        Part("odometry", "pose", *_POSE, HEADER, lambda m: _pose(m.pose.pose)),
        Part("odometry_twist", "sensor", *_TWIST, "body", lambda m: _twist(m.twist.twist)),
    ),
    "ackermann_msgs/AckermannDrive": (Part("ackermann", "action", *_ACKERMANN, "body", _ackermann),),
    "ackermann_msgs/AckermannDriveStamped": (
        Part("ackermann", "action", *_ACKERMANN, "body", lambda m: _ackermann(m.drive)),
    ),
    **{f"std_msgs/{number}": _NUMBER for number in (*_NUMBERS_OF, "Bool")},
    **{f"std_msgs/{number}MultiArray": _NUMBERS for number in _NUMBERS_OF},
}
COMMANDS = {  # what is a command where its topic is called so
    *("geometry_msgs/Twist", "geometry_msgs/TwistStamped", "sensor_msgs/JointState"),
    *(kind for kind in TYPES if kind.startswith("std_msgs/")),
}
# Packages whose other messages are of clouds, maps, drawings, and of what goes on in ROS.
_KNOWN = {
    *("sensor_msgs", "geometry_msgs", "nav_msgs", "std_msgs", "stereo_msgs", "shape_msgs", "visualization_msgs", "tf"),
    *("tf2_msgs", "diagnostic_msgs", "rosgraph_msgs", "rcl_interfaces", "action_msgs", "actionlib_msgs", "foxglove"),
    *("foxglove_msgs", "dynamic_reconfigure", "bond", "lifecycle_msgs", "statistics_msgs", "trajectory_msgs"),
}
_CLOCKS = ("header", "stamp", "timestamp")  # what names of fields of a message's clock begin with
MOST_ELEMENTS, MOST_COLUMNS, _DEEPEST = 16, 64, 6
_MOST_LISTED = 4096  # numbers of an array that is no buffer of bytes
IMAGES = ("sensor_msgs/Image", "sensor_msgs/CompressedImage", "foxglove/RawImage", "foxglove/CompressedImage")


def short(name: str) -> str:
    """A type's package and name, however it is written: `sensor_msgs/msg/Imu`, `sensor_msgs.Imu`."""
    parts = [part for part in name.replace(".", "/").split("/") if part != "msg"]
    return "/".join(parts[-2:])


def parts(kind: str) -> tuple[Part, ...]:
    """The streams of a type: of one that is no package's of `TYPES` its numbers, as they are; none of other types."""
    return TYPES.get(kind, () if kind in IMAGES or kind.split("/")[0] in _KNOWN else _OWN)


def _own(message: Any) -> Row:
    """A message's first numbers by their paths, without those of its clock; None where there is none."""
    return dict(itertools.islice(_numbers(message, "", 0), MOST_COLUMNS)) or None


def _numbers(value: Any, path: str, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        yield path or "value", float(value)
        return
    if isinstance(value, str | bytes) or value is None or depth > _DEEPEST:
        return
    if hasattr(value, "__len__") and not hasattr(value, "DESCRIPTOR"):
        if len(value) <= MOST_ELEMENTS:  # more are a picture, a cloud, a scan
            for i, element in enumerate(value):
                yield from _numbers(element, f"{path or 'value'}_{i}", depth + 1)
        return
    for name, field in _fields(value):
        if not name.startswith(_CLOCKS):
            yield from _numbers(field, f"{path}.{name}" if path else name, depth + 1)


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a message, whoever decoded it."""
    if hasattr(message, "DESCRIPTOR"):
        names = [field.name for field in message.DESCRIPTOR.fields]
    else:
        names = list(
            getattr(message, "__dataclass_fields__", None) or getattr(message, "__slots__", None) or vars(message)
        )
    yield from ((name, getattr(message, name)) for name in names if not name.startswith("_"))


_OWN = (Part("", "sensor", (), ("",), "", _own),)

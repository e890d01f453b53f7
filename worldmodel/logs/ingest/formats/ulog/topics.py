"""Which of PX4's messages make which streams: https://github.com/PX4/PX4-Autopilot/tree/main/msg, old and new."""

from typing import NamedTuple

from worldmodel.codecs import QUATERNION, XYZ

_GAUSS = 1e-4  # T


class Topic(NamedTuple):
    """A message, and a stream that is made of it.

    Attributes:
        name: the message's.
        kind: the stream's.
        columns: the stream's; without any, as many as are used, such as `motor_1`
        fields: the message's, one a column.
        unit: of all columns.
        frame: of reference.
        scale: what turns the message's unit into the stream's.
        late: the field that tells how much later than the message's stamp these readings are, in microseconds.
        valid: the field that is 0 where there are no readings.
        description: one line for people.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    fields: tuple[str, ...]
    unit: str = ""
    frame: str = ""
    scale: float = 1.0
    late: str = ""
    valid: str = ""
    description: str = ""


def _array(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}[{i}]" for i in range(count))


def _sensor(name: str, fields: tuple[str, ...], unit: str, scale: float = 1.0, late: str = "") -> Topic:
    return Topic(name, "sensor", XYZ, fields, unit, "body", scale, late, description="forward, right, down")


def _action(name: str, field: str, count: int, description: str) -> Topic:
    return Topic(name, "action", (), _array(field, count), description=description)


_GA, _RELATIVE = _array("magnetometer_ga", 3), "_timestamp_relative"
_NED = ("velocity_north", "velocity_east", "velocity_down")
# Of several messages that may make a stream, the first is what PX4 itself flies by.
STREAMS: dict[str, tuple[Topic, ...]] = {
    "gyro": (
        _sensor("sensor_combined", _array("gyro_rad", 3), "rad/s"),
        _sensor("sensor_gyro", XYZ, "rad/s"),
    ),
    "accelerometer": (
        _sensor("sensor_combined", _array("accelerometer_m_s2", 3), "m/s^2", late=f"accelerometer{_RELATIVE}"),
        _sensor("sensor_accel", XYZ, "m/s^2"),
    ),
    "magnetometer": (
        _sensor("vehicle_magnetometer", _GA, "T", _GAUSS),
        _sensor("sensor_combined", _GA, "T", _GAUSS, f"magnetometer{_RELATIVE}"),
        _sensor("sensor_mag", XYZ, "T", _GAUSS),
    ),
    "barometer": (Topic("vehicle_air_data", "sensor", ("pressure",), ("baro_pressure_pa",), "Pa"),),
    "attitude": (
        Topic(
            "vehicle_attitude", "orientation", QUATERNION, _array("q", 4), frame="ned",
            description="estimated; of the body, forward, right, down",
        ),
    ),
    "position": (
        Topic(
            "vehicle_local_position", "position", XYZ, XYZ, "m", "ned", valid="xy_valid",
            description="estimated, from where the estimator began",
        ),
    ),
    "velocity": (
        Topic(
            "vehicle_local_position", "sensor", _NED, ("vx", "vy", "vz"), "m/s", "ned", valid="v_xy_valid",
            description="estimated",
        ),
    ),
    "motors": (_action("actuator_motors", "control", 12, "thrust, of which 1 is the most; NaN stops a motor"),),
    "servos": (_action("actuator_servos", "control", 8, "deflection, from -1 to 1; NaN where disarmed"),),
    "outputs": (_action("actuator_outputs", "output", 16, "as the protocol has it, mostly microseconds of PWM"),),
}  # fmt: skip
GPS = ("vehicle_gps_position", "sensor_gps")
NAMES = {topic.name for topics in STREAMS.values() for topic in topics} | set(GPS)

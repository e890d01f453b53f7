"""comma2k19 segments: a minute of a car each, its CAN bus, IMU, GNSS receiver, camera and computed pose.

The layout is that of https://github.com/commaai/comma2k19. Every array has seconds since the device's boot beside it;
the receiver also says when, by GPS time, each fix was, and the pose when each frame was: that joins the two clocks.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video
from worldmodel.logs.ingest.formats.comma2k19.arrays import Folder
from worldmodel.logs.ingest.formats.comma2k19.can import add_commands, add_messages
from worldmodel.logs.ingest.formats.comma2k19.pose import add_pose, boot_utc
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

XYZ = ("x", "y", "z")
_WHEELS = ("front_left", "front_right", "rear_left", "rear_right")


class _Sensor(NamedTuple):
    """A folder of times and values, and the stream that it becomes."""

    folder: str
    stream: str
    columns: tuple[str, ...]
    unit: str
    frame: str = ""
    description: str = ""
    scale: float = 1.0


_BODY = "forward, right, down"
_SENSORS = (
    _Sensor("CAN/steering_angle", "steering", ("angle",), "rad", "", "of the wheel, left is positive", math.pi / 180),
    _Sensor("CAN/speed", "speed", ("speed",), "m/s", "", "the car's own"),
    _Sensor("CAN/wheel_speed", "wheel_speeds", _WHEELS, "m/s", "", "the car's own"),
    _Sensor("IMU/accelerometer", "accelerometer", XYZ, "m/s^2", "body", _BODY),
    _Sensor("IMU/gyro", "gyro", XYZ, "rad/s", "body", f"{_BODY}; less a bias that the phone estimates"),
    _Sensor("IMU/magnetometer", "magnetometer", XYZ, "T", "body", f"{_BODY}; calibrated by the phone", 1e-6),
)
_RADAR = ("forward", "left", "relative_speed", "acceleration", "lateral_speed", "track", "is_new")
_SWEEP_S = 0.015  # rows that are further apart are of two sweeps, which come at 20 Hz
_RADAR_UNITS = ("m", "m", "m/s", "m/s^2", "m/s", "", "")
_LEFT_OUT = (
    *("IMU/gyro_uncalibrated", "IMU/gyro_bias", "IMU/magnetometer_uncalibrated"),
    *("GNSS/raw_gnss_ublox", "GNSS/raw_gnss_qcom"),
)
_RECEIVERS = {"live_gnss_ublox": "gps", "live_gnss_qcom": "gps_phone"}
_SINCE_1970 = 1e9  # seconds; stamps of a receiver without the time are less


def claims(path: Path) -> bool:
    """Folders with `processed_log` or `global_pose` as comma2k19 has them."""
    return any((path / name).exists() for name in ("processed_log/CAN/raw_can/t", "global_pose/frame_times"))


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a segment, whose time zero is its first sample."""
    with reading(path, "a comma2k19 segment"):
        folder = Folder(path, options.advance)
        recording = Recording(path.name, about={"description": "comma2k19 segment"})
        _add_film(folder, recording, options)
        for sensor in _SENSORS:
            _add_sensor(folder, recording, sensor)
        zero_utc = boot_utc(folder)
        for name, stream in _RECEIVERS.items():
            _add_fixes(folder, recording, name, stream, zero_utc)
        add_pose(folder, recording)
        _add_radar(folder, recording)
        add_commands(folder, recording)
        if options.dbc:
            add_messages(folder, recording, options.dbc)
        if left := [name for name in _LEFT_OUT if folder.has(f"processed_log/{name}")]:
            recording.notes.append(f"left out, as others are made of them: {', '.join(left)}")
        times = [samples.time[0] for samples in recording.samples.values() if len(samples.time)]
        if not times:
            raise RecipeError(f"{path} has no samples.", remedy="leave it out")
        recording.shift(min(times))
        yield recording


def _add_sensor(folder: Folder, recording: Recording, sensor: _Sensor) -> None:
    pair = folder.pair(f"processed_log/{sensor.folder}", len(sensor.columns))
    if pair is None:
        return
    time, values = pair
    spec = StreamSpec(
        sensor.stream, "sensor", sensor.columns, (sensor.unit,) * len(sensor.columns), nominal_rate(time), sensor.frame,
        description=sensor.description,
    )  # fmt: skip
    recording.add(spec, time, values * sensor.scale)


def _add_fixes(folder: Folder, recording: Recording, name: str, stream: str, zero_utc: float) -> None:
    """Fixes when they were, by the receiver; when they came, where nothing tells its clock from the device's."""
    pair = folder.pair(f"processed_log/GNSS/{name}", 6)
    if pair is None:
        return
    received, values = pair
    there = (values[:, :2] != 0).any(1) & np.isfinite(values[:, :2]).all(1) & (values[:, 3] > _SINCE_1970 * 1000)
    if not there.all():
        recording.notes.append(f"{stream}: {(~there).sum()} of {len(there)} rows are no fix and are left out")
    received, values = received[there], values[there]
    utc = values[:, 3] / 1000
    if math.isfinite(zero_utc) and len(utc):
        time = utc - zero_utc
        late = received - time
        recording.notes.append(
            f"{stream}: stamped when the receiver says; that is {late.min():.2f} to {late.max():.2f} s before it came"
        )
    else:
        time = received
        recording.notes.append(f"{stream}: stamped when it came: no pose tells the receiver's clock from the device's")
    if math.isnan(recording.origin_utc) and len(utc):
        recording.origin_utc = zero_utc if math.isfinite(zero_utc) else float(np.median(utc - received))
    columns, units = (*GPS_COLUMNS, "speed", "course"), (*GPS_UNITS, "m/s", "rad")
    spec = StreamSpec(stream, "gps", columns, units, nominal_rate(time), "wgs84", description="course from north")
    place = values[:, [0, 1, 4]]
    recording.add(spec, time, np.column_stack([place, values[:, 2], np.radians(values[:, 5])]))


def _add_radar(folder: Folder, recording: Recording) -> None:
    """A row a sweep, with the columns of every track; NaN where a track sees nothing. A sweep is whole at its end."""
    pair = folder.pair("processed_log/CAN/radar", len(_RADAR))
    if pair is None or not len(pair[0]):
        return
    time, values = pair
    empty = ~np.isfinite(values).any(0)
    if empty.any():
        recording.notes.append(f"radar: columns without any value are left out: {', '.join(_picked(_RADAR, empty))}")
    shown = ~empty & ~np.isin(_RADAR, ["track", "is_new"])
    begins = np.concatenate([[True], np.diff(time) > _SWEEP_S])
    sweep = np.cumsum(begins) - 1
    tracks, place = np.unique(values[:, 5], return_inverse=True)
    data = np.full((sweep[-1] + 1, len(tracks), int(shown.sum())), np.nan)
    data[sweep, place] = values[:, shown]
    ends = time[np.append(np.flatnonzero(begins)[1:] - 1, len(time) - 1)]
    columns = tuple(f"{name}_{track:.0f}" for track in tracks for name in _picked(_RADAR, shown))
    units = _picked(_RADAR_UNITS, shown) * len(tracks)
    spec = StreamSpec("radar", "sensor", columns, units, nominal_rate(ends), "body", description="by track")
    recording.add(spec, ends, data.reshape(len(data), -1))


def _picked(names: tuple[str, ...], which: np.ndarray) -> tuple[str, ...]:
    return tuple(name for name, one in zip(names, which, strict=True) if one)


def _add_film(folder: Folder, recording: Recording, options: Options) -> None:
    """The film, whose frames have the times of the pose; it has none itself."""
    path = folder.path / "video.hevc"
    times = folder.array("global_pose/frame_times")
    if not path.is_file() or times is None:
        recording.notes.append(
            "camera: its film is not there" if times is not None else "camera: nothing tells its times"
        )
        return
    count = 0

    def frames() -> Iterator[tuple[float, np.ndarray]]:
        nonlocal count
        for _, frame in video.read_frames(path, options.size, notes=recording.notes):
            if count < len(times):
                yield float(times[count]), frame
            count += 1
            options.advance(path.stat().st_size // max(len(times), 1))

    recording.add_film("camera", frames(), options.size, options.scratch)
    if count != len(times):
        recording.notes.append(f"camera: its film has {count} frames for {len(times)} times")

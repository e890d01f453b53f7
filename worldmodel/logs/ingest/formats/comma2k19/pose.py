"""The pose that comma2k19 computes from everything, and what it tells of the clocks."""

import math

import numpy as np
import pymap3d
from scipy.spatial.transform import Rotation

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.comma2k19.arrays import Folder
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

_GPS_EPOCH = 315_964_800  # 1980-01-06 in seconds since 1970
_WEEK_S = 604_800
_LEAP_S = ((1_483_228_800, 18), (1_435_708_800, 17), (-math.inf, 16))  # GPS time less UTC, since when
_AHEAD = "computed from the whole drive: a sample holds some of the future"


def boot_utc(folder: Folder) -> float:
    """UTC, in seconds since 1970, when the device booted: by frames that both clocks stamp; NaN where none are."""
    boot, gps = folder.array("global_pose/frame_times"), folder.array("global_pose/frame_gps_times")
    if boot is None or gps is None or gps.shape != (len(boot), 2) or not len(boot):
        return math.nan
    seconds = _GPS_EPOCH + gps[:, 0] * _WEEK_S + gps[:, 1]
    leap = next(leap for since, leap in _LEAP_S if not seconds[0] < since)
    return float(np.median(seconds - leap - boot))


def add_pose(folder: Folder, recording: Recording) -> None:
    """Adds position, velocity and attitude of the camera, from earth-centred axes to east, north and up."""
    names = ("times", "positions", "velocities", "orientations")
    time, place, velocity, rotation = (folder.array(f"global_pose/frame_{name}") for name in names)
    if time is None or place is None or velocity is None or rotation is None:
        return
    if not (place.shape == velocity.shape == (len(time), 3) and rotation.shape == (len(time), 4)):
        raise RecipeError(
            f"{folder.path / 'global_pose'} has arrays of other shapes.",
            expected=f"{len(time)} positions and velocities of 3, and orientations of 4",
            found=f"{list(place.shape)}, {list(velocity.shape)}, {list(rotation.shape)}",
        )
    geodetic = np.stack(pymap3d.ecef2geodetic(*place.T.astype(np.float64)), -1)
    to_enu = _enu_of_ecef(geodetic)
    rate = nominal_rate(time)
    spec = StreamSpec("pose_position", "gps", GPS_COLUMNS, GPS_UNITS, rate, "wgs84", description=_AHEAD)
    recording.add(spec, time, geodetic)
    axes = ("velocity_east", "velocity_north", "velocity_up")
    spec = StreamSpec("pose_velocity", "sensor", axes, ("m/s",) * 3, rate, "enu", description=_AHEAD)
    recording.add(spec, time, to_enu.apply(velocity))
    spec = StreamSpec(
        "attitude", "orientation", ("qw", "qx", "qy", "qz"), ("",) * 4, rate, "enu",
        description=f"of axes forward, right, down; {_AHEAD}",
    )  # fmt: skip
    turned = to_enu * Rotation.from_quat(rotation, scalar_first=True)
    recording.add(spec, time, turned.as_quat(scalar_first=True))
    recording.notes.append(f"pose_position, pose_velocity, attitude: {_AHEAD}")


def _enu_of_ecef(geodetic: np.ndarray) -> Rotation:
    """The rotations [M] of earth-centred axes into east, north and up at latitudes and longitudes (deg) [M, 2 or 3]."""
    latitude, longitude = np.radians(geodetic[:, :2]).T
    zero, sin, cos = np.zeros(len(latitude)), np.sin, np.cos
    east = np.stack([-sin(longitude), cos(longitude), zero], -1)
    north = np.stack([-sin(latitude) * cos(longitude), -sin(latitude) * sin(longitude), cos(latitude)], -1)
    return Rotation.from_matrix(np.stack([east, north, np.cross(east, north)], 1))

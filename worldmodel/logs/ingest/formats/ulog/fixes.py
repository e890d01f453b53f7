"""Positions from satellites: integers before PX4 1.14, degrees since."""

import numpy as np

from worldmodel.logs.ingest.formats.ulog.messages import Fields, Messages, rows
from worldmodel.logs.ingest.recording import Recording, nominal_rate
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec

_OLD = ("lat", "lon", "alt", "alt_ellipsoid")
_NEW = ("latitude_deg", "longitude_deg", "altitude_msl_m", "altitude_ellipsoid_m")
_OLD_SCALE = (1e-7, 1e-7, 1e-3, 1e-3)
_LEAST_FIX = 2  # in the plane
_MORE = {"horizontal_accuracy": ("eph", "m"), "vertical_accuracy": ("epv", "m"), "speed": ("vel_m_s", "m/s")}
_NED = ("velocity_north", "velocity_east", "velocity_down")
_VELOCITY = ("vel_n_m_s", "vel_e_m_s", "vel_d_m_s")
_UTC_FROM_US = 1_000_000_000_000_000  # 2001; receivers without the time say less


def add_fixes(messages: Messages, names: tuple[str, ...], recording: Recording) -> None:
    """Adds `gps` and `gps_velocity`, a stream an instance, of the message that has the most rows; and the UTC."""
    there = {
        name: instances
        for name in names
        if (instances := messages.instances(name, _NEW[:3]) or messages.instances(name, _OLD[:3]))
    }
    if not there:
        return
    best = max(there, key=lambda name: max(map(rows, there[name].values())))
    for name in there.keys() - {best}:
        recording.notes.append(f"gps: made of {best}, not of the fewer {name}")
    for instance, fields in there[best].items():
        _add_receiver(messages, f"_{instance}" if instance else "", fields, recording)


def _add_receiver(messages: Messages, suffix: str, fields: Fields, recording: Recording) -> None:
    name = f"gps{suffix}"
    time, delay = messages.stamps(fields, measured=True)
    place, height = _places(fields)
    fixed = (place[:, :2] != 0).any(1)
    if "fix_type" in fields:
        fixed &= fields["fix_type"] >= _LEAST_FIX
    if not fixed.all():
        recording.notes.append(f"{name}: {(~fixed).sum()} of {len(fixed)} messages are no fix and are left out")
    if not fixed.any():
        return
    if delay:
        recording.notes.append(f"{name}: stamped {delay:.3f} s (median) before the message, as it says itself")
    more = {column: unit for column, (field, unit) in _MORE.items() if field in fields}
    data = np.column_stack([place, *(fields[_MORE[column][0]] for column in more)])
    spec = StreamSpec(
        name, "gps", (*GPS_COLUMNS, *more), (*GPS_UNITS, *more.values()), nominal_rate(time[fixed]), "wgs84",
        description=f"altitude above {height}",
    )  # fmt: skip
    recording.add(spec, time[fixed], data[fixed])
    _add_velocity(f"gps_velocity{suffix}", fields, time, fixed, recording)
    _tell_utc(fields, time, fixed, recording)


def _places(fields: Fields) -> tuple[np.ndarray, str]:
    """Latitude, longitude, altitude [M, 3] in degrees and metres, and what the altitude is above."""
    known, scale = (_NEW, (1.0,) * 4) if _NEW[0] in fields else (_OLD, _OLD_SCALE)
    above = fields.get(known[3])
    ellipsoid = above is not None and bool(np.any(above))
    chosen = [0, 1, 3 if ellipsoid else 2]
    place = np.column_stack([fields[known[i]].astype(np.float64) * scale[i] for i in chosen])
    return place, "the ellipsoid" if ellipsoid else "mean sea level"


def _add_velocity(name: str, fields: Fields, time: np.ndarray, fixed: np.ndarray, recording: Recording) -> None:
    if not all(field in fields for field in _VELOCITY):
        return
    known = fixed & (fields["vel_ned_valid"] != 0) if "vel_ned_valid" in fields else fixed
    if known.any():
        spec = StreamSpec(name, "sensor", _NED, ("m/s",) * 3, nominal_rate(time[known]), "ned")
        recording.add(spec, time[known], np.column_stack([fields[field] for field in _VELOCITY])[known])


def _tell_utc(fields: Fields, time: np.ndarray, fixed: np.ndarray, recording: Recording) -> None:
    """The UTC of the log's start, by the median over the fixes of the first receiver that knows the time."""
    utc = fields.get("time_utc_usec", np.zeros(len(time), np.uint64))
    known = fixed & (utc > _UTC_FROM_US)
    if not known.any() or np.isfinite(recording.origin_utc):
        return
    start = utc[known].astype(np.float64) / 1e6 - time[known]
    recording.origin_utc = float(np.median(start))
    spread = float(np.ptp(start))
    recording.notes.append(f"origin by the UTC of {known.sum()} fixes, which are {1e3 * spread:.0f} ms apart")

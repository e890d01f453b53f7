"""Checks of fixes: positions that are none, other spellings of degrees, and jumps that no receiver makes."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, Severity, found, readings
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_EARTH_M = 6_371_000.0
_NOWHERE = ((0.0, 0.0), (-1.0, -1.0), (90.0, 180.0), (91.0, 181.0), (180.0, 180.0), (-180.0, -180.0), (99.0, 199.0))
_FASTEST_M_S = 350.0  # of what carries a receiver that tells no speed
_SLACK_M = 100.0  # that a fix may be off
_NO_DOP = 50.0  # receivers say 99.99 for none
_FEW = 10
_SEA_DEG = (1.6, 3.2)  # a quarter and a half of a turn in rad
_LEAVE_OUT = "leave them out of the source"
_FIX = {"fix": 1, "quality": 1, "fix_quality": 1, "gps_fix": 1, "fix_type": 2, "gps_fix_type": 2}  # the least of a fix


def _fixes(recording: "Recording") -> Iterator[tuple[StreamSpec, Samples, np.ndarray]]:
    """GPS streams with samples, and their latitudes and longitudes [M, 2]."""
    for spec, samples in readings(recording):
        if spec.kind == "gps":
            yield spec, samples, np.asarray(samples.data)[:, :2].astype(np.float64)


def check_nowhere(recording: "Recording") -> Iterator[Finding]:
    """0,0 and other values that receivers write when they know no position."""
    for spec, samples, place in _fixes(recording):
        left = np.ones(len(place), bool)
        for none in _NOWHERE:
            rows = np.flatnonzero((np.abs(place - none) < 1e-7).all(1))
            left[rows] = False
            if len(rows):
                text = f"{len(rows)} of {len(place)} fixes are {none[0]:g}, {none[1]:g}, no position; left out"
                yield found(recording, "gps: no position", spec.name, "mask", text, _LEAVE_OUT, rows)
        rows = np.flatnonzero(left & ~_has_fix(spec, np.asarray(samples.data)))
        if len(rows):
            text = f"{len(rows)} of {len(place)} fixes are none, as the receiver says itself; left out"
            yield found(recording, "gps: no fix", spec.name, "mask", text, _LEAVE_OUT, rows)


def _has_fix(spec: StreamSpec, data: np.ndarray) -> np.ndarray:
    """Bool [M]: what columns after the position say of a fix; a column that says so of none is no such column."""
    good = np.ones(len(data), bool)
    for index, name in enumerate(spec.columns[3:], 3):
        column, least = data[:, index], _FIX.get(name.lower())
        says = column >= least if least is not None else column < _NO_DOP if _is_dop(name) else good
        good &= np.where(says.any(), says | np.isnan(column), True)
    return good


def _is_dop(name: str) -> bool:
    return "dop" in name.lower() or "dilution" in name.lower()


def check_degrees(recording: "Recording") -> Iterator[Finding]:
    """Latitudes and longitudes that are none: few are left out, more are refused with the likely cause."""
    for spec, _, place in _fixes(recording):
        known = np.isfinite(place).all(1)
        rows = np.flatnonzero(known & (np.abs(place) > (90, 180)).any(1))
        if not len(rows):
            continue
        first = ", ".join(f"{value:.10g}" for value in place[rows[0]])
        text = f"{len(rows)} of {known.sum()} fixes are beyond 90, 180 degrees, such as {first}"
        if 2 * len(rows) < known.sum():
            yield found(recording, "gps: range", spec.name, "mask", f"{text}; left out", "mend these rows", rows)
        else:
            why, remedy = _spelling(place[known])
            yield found(recording, "gps: range", spec.name, "refuse", f"{text}; {why}", remedy, rows)


def check_units(recording: "Recording") -> Iterator[Finding]:
    """Latitudes and longitudes of a few degrees, which is open sea off Africa: radians, or minutes called degrees."""
    for spec, _, place in _fixes(recording):
        known = place[np.isfinite(place).all(1)]
        if len(known) >= _FEW and (np.abs(known) < _SEA_DEG).all() and (np.abs(known) > 0.01).any():
            first = ", ".join(f"{value:.6g}" for value in known[0])
            text = f"all fixes lie in the Gulf of Guinea, near 0, 0, such as {first}: are they radians?"
            remedy = (
                'from_units = ["rad", "rad", ""] in a recipe; a simulated place that is near 0, 0 is as it should be'
            )
            yield found(recording, "gps: units", spec.name, "warn", text, remedy)


def _spelling(place: np.ndarray) -> tuple[str, str]:
    """What fixes [M, 2] seem to be, and what to do."""
    latitude, longitude = np.abs(place).T
    if latitude.max() > 1e5 and latitude.max() <= 90e7 and longitude.max() <= 180e7:
        return (
            "they seem to be 1e-7 degrees",
            'from_units = ["1e-7 deg", ...] in a recipe; heights are then often in mm',
        )
    if longitude.max() <= 90 and latitude.max() <= 180:
        return "latitude and longitude seem to be swapped", "give each its own column"
    if latitude.max() <= 90 and longitude.max() <= 360 and place[:, 1].min() >= 0:
        return "longitudes seem to count from 0 to 360", "take 360 off those beyond 180"
    if latitude.max() < 9060 and longitude.max() < 18060 and (np.abs(place) % 100 < 60).all():
        remedy = 'from_units = ["ddmm.mmmm", ...] in a recipe, or convert them before'
        return "they seem to be degrees and minutes, ddmm.mmmm", remedy
    return "they are no degrees", "convert them to degrees of WGS 84"


def check_jumps(recording: "Recording") -> Iterator[Finding]:
    """Fixes that are further from the others than anything could have gone."""
    for spec, samples, place in _fixes(recording):
        known = np.flatnonzero(np.isfinite(place).all(1))
        if len(known) < 3:
            continue
        limit = _fastest(spec, np.asarray(samples.data))
        far = known[_far_off(samples.time[known], place[known], limit)]
        if len(far):
            off = _metres(place[far], np.median(np.delete(place[known], np.searchsorted(known, far), 0), 0)).max()
            text = f"{len(far)} of {len(known)} fixes are up to {off / 1000:.4g} km from the others, which cannot be"
            severity: Severity = "mask" if 2 * len(far) < len(known) else "refuse"
            yield found(
                recording, "gps: jumps", spec.name, severity, f"{text}; left out" if severity == "mask" else text,
                "leave out what comes before the receiver has locked", far,
            )  # fmt: skip


def _fastest(spec: StreamSpec, data: np.ndarray) -> float:
    """A speed in m/s that cannot have been passed: by the receiver's own where it tells one."""
    columns = [i for i, (c, u) in enumerate(zip(spec.columns, spec.units, strict=True)) if "speed" in c and u == "m/s"]
    speeds = [float(np.nanmax(data[:, i])) for i in columns if np.isfinite(data[:, i]).any()]
    return min(_FASTEST_M_S, 3 * max(speeds) + 20) if speeds else _FASTEST_M_S


def _far_off(time: np.ndarray, place: np.ndarray, limit: float) -> np.ndarray:
    """Which fixes [M] cannot belong to the longest stretch without a jump: indices."""
    jump = _metres(place[1:], place[:-1]) > limit * np.diff(time) + _SLACK_M
    edges = np.concatenate([[0], np.flatnonzero(jump) + 1, [len(time)]])
    if len(edges) == 2:
        return np.zeros(0, int)
    stretches = list(itertools.pairwise(edges))
    main = max(range(len(stretches)), key=lambda i: stretches[i][1] - stretches[i][0])
    off = np.zeros(len(time), bool)
    for order, near in ((range(main + 1, len(stretches)), 1), (range(main - 1, -1, -1), -1)):
        anchor = stretches[main][1] - 1 if near == 1 else stretches[main][0]
        for start, stop in (stretches[i] for i in order):
            first, last = (start, stop - 1) if near == 1 else (stop - 1, start)
            apart = _metres(place[first : first + 1], place[anchor])[0]
            if apart > limit * abs(time[first] - time[anchor]) + _SLACK_M:
                off[start:stop] = True
            else:
                anchor = last
    return np.flatnonzero(off)


def _metres(place: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distances [M] along the sphere between degrees [M, 2] and [M, 2] or [2]: the haversine."""
    a, b = np.radians(place), np.radians(other)
    half = np.sin((a - b) / 2) ** 2
    return (
        2
        * _EARTH_M
        * np.arcsin(np.sqrt(np.clip(half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1], 0, 1)))
    )


def check_speed(recording: "Recording") -> Iterator[Finding]:
    """The length of the track against the receiver's own speed: apart by a factor is another unit."""
    for spec, samples, place in _fixes(recording):
        known = np.isfinite(place).all(1)
        for index, (column, unit) in enumerate(zip(spec.columns, spec.units, strict=True)):
            if "speed" not in column or unit != "m/s" or known.sum() < 20:
                continue
            time, speed = samples.time[known], np.asarray(samples.data)[known, index]
            length = _metres(place[known][1:], place[known][:-1]).sum()
            told = float(np.nansum(speed[1:] * np.diff(time)))
            if min(length, told) > 50 and not 0.4 < told / length < 2.2:
                text = f"{column} makes {told:.0f} m of a track of {length:.0f} m: not m/s, or not degrees"
                remedy = "convert it: km/h by 1/3.6, knots by 0.5144; degrees from radians by 57.3"
                yield found(recording, "gps: speed", spec.name, "warn", text, remedy)

"""Checks of readings: sentinels, clipping, stuck sensors, outliers, quaternions, columns that never move."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, Severity, found, readings
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_FEW = 10  # of fewer samples nothing is said
_THIN = 50_000  # rows are enough for percentiles
_CONTINUOUS = 50  # distinct values make a column one that takes any value
_SENTINELS = (999, 9999, 99999, 999999, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 1e9, 1e10, 1e20, 1e30, 1e38)
_SMALL = (-1.0, 0.0)  # sentinels of what is never below
_CLIPPED, _SATURATED = 0.01, 0.2  # share of samples at an extreme, of a sensor and of a command
_IN_A_ROW = 3
_STUCK_S = 1.0
_STUCK_ROWS = 20
_STRAIGHT_ROWS = 50
_ROUNDING = float(np.finfo(np.float32).eps)
_FAR = 5.0  # times the range of nearly all readings
_SPIKES = 0.005  # share of samples; more are no outliers


def thin(data: np.ndarray, most: int = _THIN) -> np.ndarray:
    """Data [M, ...] itself, or about `most` rows of it in stretches that follow each other."""
    if len(data) <= most:
        return data
    pieces = 20
    starts = np.linspace(0, len(data) - most // pieces, pieces).astype(int)
    return np.concatenate([data[start : start + most // pieces] for start in starts])


def _ends(values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest of values [M] that are numbers; NaN where there is none."""
    return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))


def check_still(recording: "Recording") -> Iterator[Finding]:
    """Columns that never move."""
    for spec, samples in readings(recording):
        data = np.asarray(samples.data)
        if len(data) < _FEW:
            continue
        ends = [_ends(column) for column in data.T]
        still = [f"{c} ({low:.4g})" for c, (low, high) in zip(spec.columns, ends, strict=True) if low == high]
        if not still:
            continue
        every = len(still) == len(spec.columns)
        if spec.kind not in ("sensor", "action") and not every:  # what stays in a plane is none the worse
            continue
        what = (
            "no column moves" if every and len(still) > 1 else f"{_listed(still)} never move{'s' * (len(still) == 1)}"
        )
        if spec.kind == "action":
            remedy = "nothing, if other recordings move it; else leave it out: nothing can be learnt of what it does"
            yield found(recording, "commands: constant", spec.name, "warn", what, remedy)
        else:
            yield found(
                recording,
                "values: still",
                spec.name,
                "warn",
                what,
                "nothing, if other recordings move it; else leave it out",
            )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def check_circular(recording: "Recording") -> Iterator[Finding]:
    """Angles that are said to wrap at 2 pi and wrap at 360."""
    for spec, samples in readings(recording):
        for index in np.flatnonzero(spec.circular):
            angle = np.asarray(samples.data)[:, index]
            angle = angle[np.isfinite(angle)]
            wraps = np.flatnonzero(np.abs(np.abs(np.diff(angle)) - 360) < 60)
            if len(wraps) and np.ptp(angle) <= 361:
                text = f"{spec.columns[index]} wraps at 360, so it is in degrees, and is called a circular angle in rad"
                remedy = "convert it: scale = 0.017453292519943295"
                yield found(recording, "values: circular", spec.name, "refuse", text, remedy, wraps + 1)


def check_sentinels(recording: "Recording") -> Iterator[Finding]:
    """Numbers that stand for no reading: far from all others and one of those that drivers write."""
    for spec, samples in readings(recording):
        if spec.kind != "sensor" or len(samples.time) < _FEW:
            continue
        data = np.asarray(samples.data)
        for values, column in zip(data.T, spec.columns, strict=True):
            for end in set(_ends(values)):
                yield from _sentinel(recording, spec, values, column, end)


def _sentinel(
    recording: "Recording", spec: StreamSpec, values: np.ndarray, column: str, end: float
) -> Iterator[Finding]:
    known = any(abs(abs(end) - s) <= 1e-6 * s for s in _SENTINELS)
    if not (known or end in _SMALL):
        return
    others = values[(values != end) & np.isfinite(values)]
    if len(others) < _FEW or len(np.unique(thin(others, 1000))) < _FEW:
        return
    nearest = others.min() if end < others.min() else others.max()
    away, spread = abs(end - nearest), float(np.ptp(others))
    rows = np.flatnonzero(values == end)
    text = f"{column} is {end:g} in {len(rows)} of {len(values)} rows, and nowhere else beyond {nearest:.4g}"
    if known and away > 3 * spread:
        remedy = "leave these readings out of the source"
        yield found(
            recording, "values: sentinel", spec.name, "mask", f"{text}; taken for missing", remedy, rows, (column,)
        )
    elif (end == 0 and away > 2 * spread) or (end == -1 and nearest >= 0 and (others % 1).any()):
        remedy = f"if {end:g} stands for no reading, make it empty in the source"
        yield found(recording, "values: sentinel", spec.name, "warn", text, remedy, rows)


def check_clipping(recording: "Recording") -> Iterator[Finding]:
    """Readings that pile up at the least or greatest value; commands that are at their limit."""
    for spec, samples in readings(recording):
        if spec.kind not in ("sensor", "action") or len(samples.time) < 10 * _FEW:
            continue
        data = np.asarray(samples.data)
        least = _SATURATED if spec.kind == "action" else _CLIPPED
        for index, column in enumerate(spec.columns):
            values = data[:, index]
            for end, name in zip(_ends(values), ("least", "greatest"), strict=True):
                rows = np.flatnonzero(values == end) if np.isfinite(end) else np.zeros(0, int)
                if not spec.circular[index] and least * len(values) < len(rows) and _is_wall(values, rows, end):
                    yield _clipped(recording, spec, column, end, name, rows, len(values))


def _is_wall(values: np.ndarray, rows: np.ndarray, end: float) -> bool:
    """Whether readings run into a value: several in a row each time, and far more often than at the values beside it.

    What only rests there, such as an arm that is held, is as often a step of its sensor beside it.
    """
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    if end == 0 or sum(len(run) >= _IN_A_ROW for run in runs) < 3:
        return False
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    beside = counts[1:4] if end == distinct[0] else counts[-4:-1]
    return len(distinct) > _CONTINUOUS and len(rows) > 10 * beside.max()


def _clipped(
    recording: "Recording", spec: StreamSpec, column: str, end: float, name: str, rows: np.ndarray, count: int
) -> Finding:
    text = f"{column} is at its {name}, {end:.5g}, in {len(rows) / count:.1%} of its samples"
    if spec.kind == "action":
        remedy = "nothing, if that is the actuator's limit; else the commands were cut off when they were recorded"
        return found(recording, "commands: at the limit", spec.name, "warn", text, remedy, rows)
    remedy = "nothing, if what it measures ends there; else widen the sensor's range"
    return found(recording, "values: clipped", spec.name, "warn", f"{text}, so it may be clipped", remedy, rows)


def check_stuck(recording: "Recording") -> Iterator[Finding]:
    """A sensor whose readings all stop while others go on."""
    for spec, samples in readings(recording):
        if spec.kind == "action" or len(samples.time) < 10 * _STUCK_ROWS:
            continue
        data, time = np.asarray(samples.data), samples.time
        same = np.concatenate([[False], (data[1:] == data[:-1]).all(1)])
        edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
        starts, stops = edges[::2] - 1, edges[1::2]
        if not len(starts) or np.mean(same) > 0.9:
            continue
        long = (stops - starts > _STUCK_ROWS) & (time[stops - 1] - time[starts] > _STUCK_S)
        usual = (same.sum() - (stops - starts - 1)[long].sum()) / len(same)
        if usual > 0.05:
            continue
        for start, stop in zip(starts[long], stops[long], strict=True):
            if _others_move(recording, spec.name, time[start], time[stop - 1]):
                text = f"all of it stands still for {time[stop - 1] - time[start]:.3g} s while other sensors move"
                rows = np.arange(start, stop)
                yield found(recording, "values: stuck", spec.name, "warn", text, "leave these rows out", rows)


def _others_move(recording: "Recording", name: str, start: float, end: float) -> bool:
    for spec, samples in readings(recording):
        if spec.name != name and spec.kind != "action":
            first, last = np.searchsorted(samples.time, [start, end])
            inside = np.asarray(samples.data)[first:last]
            usual = _spread(thin(np.asarray(samples.data)))
            if len(inside) > _STUCK_ROWS and ((_spread(inside) > 0.2 * usual) & (usual > 0)).any():
                return True
    return False


def _spread(data: np.ndarray) -> np.ndarray:
    """Between the quarters of the readings of each column [S]; 0 where there is none."""
    known = data[np.isfinite(data).all(1)]
    return np.ptp(np.percentile(known, (25, 75), axis=0), axis=0) if len(known) else np.zeros(data.shape[1])


def check_straight(recording: "Recording") -> Iterator[Finding]:
    """A sensor whose readings go in a straight line as none does: they were extrapolated, or filled in."""
    for spec, samples in readings(recording):
        if spec.kind == "action" or any(spec.circular) or len(samples.time) < 10 * _STUCK_ROWS:
            continue
        data, time = np.asarray(samples.data), samples.time
        straight = np.zeros(len(data), bool)
        straight[1:-1] = _straight(time, data)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], straight, [False]])))
        starts, stops = edges[::2], edges[1::2]
        long = (stops - starts > _STRAIGHT_ROWS) & (time[stops - 1] - time[starts] > _STUCK_S / 2)
        filled = int((stops - starts)[long].sum())
        if 0 < filled < 0.5 * len(data) and straight.sum() - filled < 0.02 * len(data):
            rows = np.concatenate([np.arange(a, b) for a, b in zip(starts[long], stops[long], strict=True)])
            seconds = float((time[stops - 1] - time[starts])[long].max())
            text = f"all of it goes in a straight line for {seconds:.3g} s, so it was extrapolated or filled in"
            yield found(recording, "values: straight line", spec.name, "warn", text, "leave these rows out", rows)


def _straight(time: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Whether each row between two others [M - 2] lies on the line between them, and is not just still."""
    on, moves = np.ones(len(data) - 2, bool), np.zeros(len(data) - 2, bool)
    share = (time[1:-1] - time[:-2]) / (time[2:] - time[:-2])
    for column in data.T:
        between = column[:-2] + share * (column[2:] - column[:-2])
        step = np.abs(column[2:] - column[:-2])
        on &= np.abs(column[1:-1] - between) <= 4 * _ROUNDING * np.abs(column[1:-1]) + 1e-4 * step
        moves |= step > 0
    return on & moves


def check_outliers(recording: "Recording") -> Iterator[Finding]:
    """Single readings far beyond all others that come back at once."""
    for spec, samples in readings(recording):
        if spec.kind not in ("sensor", "position", "pose") or len(samples.time) < 10 * _FEW:
            continue
        data = np.asarray(samples.data, np.float64)
        low, middle, high = np.nanpercentile(thin(data), (0.5, 50, 99.5), axis=0)
        reach = _FAR * (high - low)
        off = np.abs(data - middle) > reach
        for index in np.flatnonzero(off.any(0) & (reach > 0)):
            rows = np.flatnonzero(off[:, index])
            if len(rows) <= max(1, _SPIKES * len(data)) and _come_back(rows):
                worst = data[rows[np.argmax(np.abs(data[rows, index] - middle[index]))], index]
                text = (
                    f"{spec.columns[index]} reaches {worst:.5g} for {len(rows)} single readings; 99 % of all lie from "
                    f"{low[index]:.4g} to {high[index]:.4g}"
                )
                remedy = "leave these readings out, if they are faults of the sensor"
                yield found(recording, "values: outliers", spec.name, "warn", text, remedy, rows)


def _come_back(rows: np.ndarray) -> bool:
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return max(map(len, runs)) < _IN_A_ROW


def check_quaternions(recording: "Recording") -> Iterator[Finding]:
    """Orientations that are none, and quaternions in streams that do not say that they are."""
    for spec, samples in readings(recording):
        names = [column.lower().rpartition("_")[2].rpartition(".")[2] for column in spec.columns]
        at = [names.index(axis) for axis in ("qw", "qx", "qy", "qz") if axis in names]
        if len(at) < 4:
            continue
        q = np.asarray(samples.data, np.float64)[:, at]
        length = np.sqrt((q**2).sum(1))
        yield from _lengths(recording, spec, length, at)
        flips = np.flatnonzero((q[1:] * q[:-1]).sum(1) < -0.5 * length[1:] * length[:-1]) + 1
        if spec.kind == "sensor" and np.nanmedian(np.abs(length - 1)) < 0.05:
            text = "it holds a quaternion as four numbers" + (
                f", whose sign flips {len(flips)} times" * bool(len(flips))
            )
            remedy = 'give it a stream of its own of the kind "orientation", for which q and -q are the same'
            yield found(recording, "values: quaternion", spec.name, "warn", text, remedy, flips)


def _lengths(recording: "Recording", spec: StreamSpec, length: np.ndarray, at: list[int]) -> Iterator[Finding]:
    if spec.kind == "sensor":
        return
    none, off = np.flatnonzero(length < 0.1), np.flatnonzero(np.abs(length - 1) > 0.02)
    if len(none):
        text = f"{len(none)} of {len(length)} quaternions are zero, which is no orientation; taken for missing"
        columns = tuple(spec.columns[i] for i in at)
        remedy = "leave these readings out of the source"
        yield found(recording, "values: no orientation", spec.name, "mask", text, remedy, none, columns)
    elif len(off):
        text = f"{len(off)} of {len(length)} quaternions have a length other than 1, such as {length[off[0]]:.4g}"
        severity: Severity = "refuse" if 2 * len(off) > len(length) else "warn"
        remedy = "check that these four columns are the quaternion, scalar first"
        yield found(recording, "values: length of quaternions", spec.name, severity, text, remedy, off)

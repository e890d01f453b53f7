"""Checks of how readings go: into walls, not at all, in straight lines, and off by far for a moment."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.measures import Readings, columns_of
from worldmodel.logs.health.stuck import STUCK_ROWS, STUCK_S
from worldmodel.logs.health.values import thin
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_FEW = 100  # of fewer samples nothing is said
_CONTINUOUS = 50  # distinct values make a column one that takes any value
_CLIPPED, _SATURATED = 0.01, 0.2  # share of samples at an extreme, of a sensor and of a command
_IN_A_ROW = 3
_STRAIGHT_ROWS = 50
_USUAL = 0.1  # share of samples on a line between their neighbours where a few were interpolated
_ROUNDING = float(np.finfo(np.float32).eps)
_FAR = 5.0  # times the range of nearly all readings,
_NEARLY_ALL = (0.5, 99.5)  # which is between these percentiles
_AGAIN = 3  # outliers of one number are what a driver writes for no reading: faults and shocks differ
_KINDS = 10  # of fewer values, a state is as likely
_SPIKES = 0.005  # share of samples; more are no outliers


def check_clipping(recording: "Recording") -> Iterator[Finding]:
    """Readings that pile up at the least or greatest value; commands that are at their limit."""
    for spec, samples in readings(recording):
        if spec.kind not in ("sensor", "action") or len(samples.time) < _FEW:
            continue
        least = (_SATURATED if spec.kind == "action" else _CLIPPED) * len(samples.time)
        for index, column in enumerate(columns_of(recording, spec.name)):
            for side, name in enumerate(("least", "greatest")):
                end = column.ends[side]
                rows = column.rows_at(side) if np.isfinite(end) and not spec.circular[index] else np.zeros(0, int)
                if least < len(rows) and _is_wall(column.values, rows, end):
                    yield _clipped(recording, spec, spec.columns[index], end, name, rows, len(samples.time))


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


def check_straight(recording: "Recording") -> Iterator[Finding]:
    """A sensor whose readings go in a straight line as none does: they were extrapolated, or filled in."""
    for spec, samples in readings(recording):
        if spec.kind == "action" or any(spec.circular) or len(samples.time) < 10 * STUCK_ROWS:
            continue
        data, time = np.asarray(samples.data), samples.time
        thinned = _straight(time, data, _STRAIGHT_ROWS // 2)
        if not (thinned[1:] & thinned[:-1]).any():  # at once, as nearly all sensors: a long line has two of them
            continue
        straight = np.zeros(len(data), bool)
        straight[1:-1] = _straight(time, data, 1)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], straight, [False]])))
        starts, stops = edges[::2], edges[1::2]
        long = (stops - starts > _STRAIGHT_ROWS) & (time[stops - 1] - time[starts] > STUCK_S / 2)
        filled = int((stops - starts)[long].sum())
        if 0 < filled < 0.5 * len(data) and straight.sum() - filled < _USUAL * len(data):
            rows = np.concatenate([np.arange(a, b) for a, b in zip(starts[long], stops[long], strict=True)])
            seconds = float((time[stops - 1] - time[starts])[long].max())
            text = f"all of it goes in a straight line for {seconds:.3g} s, so it was extrapolated or filled in"
            yield found(recording, "values: straight line", spec.name, "warn", text, "leave these rows out", rows)


def _straight(time: np.ndarray, data: np.ndarray, every: int) -> np.ndarray:
    """Whether one in so many rows from the second on [K] is on the line between its neighbours, and not just still."""
    before, at, after = (slice(first, len(time) - 2 + first, every) for first in range(3))
    share = (time[at] - time[before]) / (time[after] - time[before])
    on, moves = np.ones(len(share), bool), np.zeros(len(share), bool)
    for column in data.T:
        first, values, last = (np.ascontiguousarray(column[rows]) for rows in (before, at, after))
        step = last - first
        on &= np.abs(values - (first + share * step)) <= 4 * _ROUNDING * np.abs(values) + 1e-4 * np.abs(step)
        moves |= step != 0
        if not on.any():  # by the first two columns, as nearly all sensors
            break
    return on & moves


def check_outliers(recording: "Recording") -> Iterator[Finding]:
    """Single readings far beyond all others that come back at once; no readings, where all are one number."""
    for spec, samples in readings(recording):
        if spec.kind not in ("sensor", "position", "pose") or len(samples.time) < _FEW:
            continue
        columns = columns_of(recording, spec.name)
        if all(map(_is_spread, columns)):  # at once, as nearly all sensors
            continue
        data = np.asarray(samples.data, np.float64)
        which = (_NEARLY_ALL[0], 50, _NEARLY_ALL[1])
        low, middle, high = _percentiles(thin(data), which, all(column.finite for column in columns))
        reach = _FAR * (high - low)
        farthest = np.max(np.abs(np.transpose([column.ends for column in columns]) - middle), axis=0)
        for index in np.flatnonzero((farthest > reach) & (reach > 0)):
            rows = np.flatnonzero(np.abs(data[:, index] - middle[index]) > reach[index])
            if len(rows) <= max(1, _SPIKES * len(data)) and _come_back(rows):
                worst = data[rows[np.argmax(np.abs(data[rows, index] - middle[index]))], index]
                text = (
                    f"{spec.columns[index]} reaches {worst:.5g} for {len(rows)} single readings; 99 % of all lie from "
                    f"{low[index]:.4g} to {high[index]:.4g}"
                )
                if spec.kind == "sensor" and _is_one_number(data[:, index], rows):
                    text, remedy = f"{text}; taken for missing", "leave these readings out of the source"
                    where = (spec.columns[index],)
                    yield found(recording, "values: sentinel", spec.name, "mask", text, remedy, rows, where)
                    continue
                remedy = "leave these readings out, if they are faults of the sensor"
                yield found(recording, "values: outliers", spec.name, "warn", text, remedy, rows)


def _is_one_number(values: np.ndarray, rows: np.ndarray) -> bool:
    """Whether some of the values [M], often enough, are one number, far from others of many kinds."""
    same = len(rows) >= _AGAIN and len(np.unique(values[rows])) == 1
    return same and len(np.unique(thin(values, _KINDS * 100))) >= _KINDS


def _is_spread(column: Readings) -> bool:
    """Whether one in a hundred readings is in each of the outer two fifths of the range of all: none is far off then.

    Nearly all of them reach over a fifth of the range, and five times that is the whole.
    """
    if not column.finite:
        return False
    (low, high), values = column.ends, thin(column.values)
    outer = 0.4 * (high - low)
    fewer = min(np.count_nonzero(values < low + outer), np.count_nonzero(values > high - outer))
    return low == high or int(fewer) > len(values) / 100


def _percentiles(data: np.ndarray, which: tuple[float, ...], finite: bool) -> np.ndarray:
    """Of each column of data [M, S]: [which, S]; those that are finite take a third of the time."""
    return (np.percentile if finite else np.nanpercentile)(data, which, axis=0)


def _come_back(rows: np.ndarray) -> bool:
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return max(map(len, runs)) < _IN_A_ROW

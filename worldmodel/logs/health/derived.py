"""Checks of columns that were computed from others: rates in another unit, and rates that hold the future."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.measures import Intervals, intervals_of
from worldmodel.logs.health.motion import attitudes
from worldmodel.logs.health.signals import conjugate_product
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_ROWS = 3000  # compared, from the middle
_LEAST = 200
_ALIKE = 0.97  # correlation of a rate with the differences of what it may be the derivative of
_SPAN = 12  # samples before and after that a derivative may be taken over
_EXACT = 1e-4  # residual over standard deviation: no sensor agrees with another as well as that
_WORSE = 30.0  # times the residual is larger where the future is left out
_PER_SECOND = {"m": "m/s", "rad": "rad/s", "m/s": "m/s^2", "rad/s": "rad/s^2", "deg": "deg/s"}


class _Column(NamedTuple):
    stream: str
    name: str
    unit: str
    values: np.ndarray


def check_derivatives(recording: "Recording") -> Iterator[Finding]:
    """Rates beside what they are the rate of: their unit, and whether they hold samples of the future."""
    for time, columns in _on_one_clock(recording):
        dt = float(np.median(np.diff(time)))
        told: set[tuple[str, str]] = set()
        for place, rate, slope in _pairs(columns, dt):
            if (place.stream, rate.stream) not in told:
                for finding in _said(recording, place, rate, slope, dt):
                    told.add((place.stream, rate.stream))
                    yield finding
        yield from _rates_of_attitude(recording, time, columns, dt)


def _on_one_clock(recording: "Recording") -> Iterator[tuple[np.ndarray, list[_Column]]]:
    """Columns of readings that have the same times, in the middle of the recording, without their gaps."""
    groups: dict[tuple[int, float, float], list[tuple[StreamSpec, np.ndarray, np.ndarray]]] = {}
    for spec, samples in readings(recording):
        if spec.kind in ("sensor", "position", "pose") and len(samples.time) >= _LEAST:
            key = len(samples.time), float(samples.time[0]), float(samples.time[-1])
            groups.setdefault(key, []).append((spec, samples.time, np.asarray(samples.data)))
    for streams in groups.values():
        time = streams[0][1]
        part = _steady(time, intervals_of(recording, streams[0][0].name))
        columns = [
            _Column(spec.name, name, unit, data[part, i].astype(np.float64))
            for spec, _, data in streams
            for i, (name, unit) in enumerate(zip(spec.columns, spec.units, strict=True))
        ]
        if part.stop - part.start >= _LEAST:
            yield time[part], columns


def _steady(time: np.ndarray, intervals: Intervals) -> slice:
    """The middle of the longest stretch of samples that are evenly spaced."""
    steps, (least, most) = intervals.steps, intervals.ends
    even = 0 < most < 1.4 * least  # so that all are near their median, whatever it is
    gaps = np.flatnonzero(np.abs(steps / np.median(steps) - 1) > 0.5) + 1 if not even else np.zeros(0, int)
    edges = np.concatenate([[0], gaps, [len(time)]])
    longest = int(np.argmax(np.diff(edges)))
    start, stop = int(edges[longest]), int(edges[longest + 1])
    start += max(stop - start - _ROWS, 0) // 2
    return slice(start, min(start + _ROWS, stop))


def _pairs(columns: list[_Column], dt: float) -> Iterator[tuple[_Column, _Column, float]]:
    """Columns of which one goes as the differences of the other do, and how many times as large it is."""
    moving = [c for c in columns if np.isfinite(c.values).all() and np.ptp(c.values) > 0]
    if len(moving) < 2:
        return
    data = np.stack([c.values for c in moving], 1)
    steps, values = (data[2:] - data[:-2]) / (2 * dt), data[1:-1]
    alike = _correlations(steps, values)
    for i, j in zip(*np.nonzero(alike > _ALIKE), strict=True):
        slope = float(np.std(values[:, j]) / np.std(steps[:, i]))
        # a sine is the derivative of its own derivative, but for its scale
        if i != j and not (alike[j, i] > _ALIKE and j < i):
            yield moving[i], moving[j], slope


def _correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (x - x.mean(0) for x in (a, b))
    size = np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0)
    return a.T @ b / np.where(size > 0, size, np.inf)


def _said(recording: "Recording", place: _Column, rate: _Column, slope: float, dt: float) -> Iterator[Finding]:
    names = f"{rate.name} is the rate of {place.stream}.{place.name}"
    if _PER_SECOND.get(place.unit) == rate.unit and not 0.7 < slope < 1.4:
        why = " (degrees?)" if abs(np.log(slope * np.pi / 180)) < 0.2 or abs(np.log(slope / np.pi * 180)) < 0.2 else ""
        text = f"{names}, and {slope:.4g} times as large: one of their units is wrong{why}"
        yield found(
            recording, "values: units", rate.stream, "warn", text, f"divide it by {slope:.4g}, or mend the other"
        )
    offsets = np.arange(-_SPAN, _SPAN + 1)
    middle = np.arange(_SPAN, len(place.values) - _SPAN)
    steps = place.values[middle[:, None] + offsets] - place.values[middle][:, None]
    ahead = _future(steps, rate.values[middle], place.values)
    if ahead:
        yield _looks_ahead(recording, rate.stream, f"{place.stream}.{place.name}", ahead, dt)


def _looks_ahead(recording: "Recording", rate: str, place: str, ahead: int, dt: float) -> Finding:
    text = (
        f"it holds {ahead * dt:.3g} s of the future: it was computed from {place}, {ahead} samples ahead, so a model "
        "reads off a part of what it is asked"
    )
    remedy = f"leave it out, or take it from samples of the past only (or declare it {ahead * dt:.3g} s late)"
    return found(recording, "values: looks ahead", rate, "warn", text, remedy)


def _future(steps: np.ndarray, rate: np.ndarray, place: np.ndarray) -> int:
    """How many samples of the future a rate [N] needs to be an exact sum of differences [N, 2 span + 1]; 0 if none."""
    spread = float(np.std(rate))
    rounding = 10 * float(np.finfo(np.float32).eps) * np.abs(place).max() * _gain(steps, rate) / spread
    tolerance = max(_EXACT, min(rounding, 0.01))
    past = _residual(steps[:, : _SPAN + 1], rate) / spread
    if past < _WORSE * tolerance or _residual(steps, rate) / spread > tolerance:
        return 0
    return next(n for n in range(1, _SPAN + 1) if _residual(steps[:, : _SPAN + 1 + n], rate) / spread <= tolerance)


def _gain(steps: np.ndarray, rate: np.ndarray) -> float:
    """How much larger a rate is than the step from one sample to the next."""
    return float(np.std(rate) / max(np.std(steps[:, _SPAN + 1]), 1e-30))


def _residual(steps: np.ndarray, rate: np.ndarray) -> float:
    """Root mean square of what of a rate [N] no sum of the columns of steps [N, n] gives."""
    left = rate - steps @ np.linalg.lstsq(steps, rate, rcond=1e-12)[0]
    return float(np.sqrt(np.mean(left**2)))


def _rates_of_attitude(
    recording: "Recording", time: np.ndarray, columns: list[_Column], dt: float
) -> Iterator[Finding]:
    """Three angular rates beside a quaternion: they are 2 Im(conj(q) dq/dt) of it, dq/dt a sum over its samples."""
    streams: dict[str, list[np.ndarray]] = {}
    for column in columns:
        if column.unit == "rad/s":
            streams.setdefault(column.stream, []).append(column.values)
    for attitude, stamps, q in attitudes(recording):
        first = int(np.searchsorted(stamps, time[0]))
        if not np.array_equal(stamps[first : first + len(time)], time):
            continue
        steps = _quaternion_steps(q[first : first + len(time)])
        for stream, axes in streams.items():
            rate = np.concatenate([axis[_SPAN : len(axis) - _SPAN] for axis in axes])
            if len(axes) == 3 and np.isfinite(rate).all() and np.std(rate) > 0:
                ahead = _future(steps, rate, np.ones(1))
                if ahead:
                    yield _looks_ahead(recording, stream, attitude.name, ahead, dt)


def _quaternion_steps(q: np.ndarray) -> np.ndarray:
    """2 Im(conj(q_k) q_(k+j)) of each axis [3 N, 2 span + 1] around each sample k of [M, 4]."""
    turns = np.where((q[1:] * q[:-1]).sum(1) < 0, -1.0, 1.0)
    q = q * np.cumprod(np.concatenate([[1.0], turns]))[:, None]  # of one sign
    middle = np.arange(_SPAN, len(q) - _SPAN)
    parts = [2 * conjugate_product(q[middle], q[middle + j])[:, 1:] for j in range(-_SPAN, _SPAN + 1)]
    return np.stack([part.T.ravel() for part in parts], 1)

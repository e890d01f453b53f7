"""Measures by how much clocks differ that nothing ties together: by what streams on both of them tell of one motion."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.logs.health.commands import ANSWER_S
from worldmodel.logs.health.finding import Finding, readings
from worldmodel.logs.health.motion import (
    ATTITUDE_S,
    COURSE_S,
    attitudes,
    clock_offset,
    courses,
    gyros,
    usual_rate,
)
from worldmodel.logs.health.signals import at, best_anywhere, smooth, turning

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_FASTEST_HZ = 25.0
_MOST_SAMPLES = 1 << 16
_ACCELERATIONS_S = 0.5  # that are averaged, so that vibrations do not hide how a vehicle goes faster and slower
_HEADING = re.compile(r"yaw|heading|course")
_SPEED = re.compile(r"(?:^|_)(?:speed|velocity)$")
_ACCELEROMETER = re.compile(r"acc|imu")
_TOLD_S = {  # offsets that other checks tell, up to so many seconds
    frozenset({"gyro", "attitude"}): ATTITUDE_S,
    frozenset({"gyro", "course"}): COURSE_S,
    frozenset({"action", "sensor"}): ANSWER_S,
}
_LEAST_S = 0.1  # of an offset that is told
_CORRELATION = 0.8  # at least,
_SURENESS = 5.5  # and as many standard deviations: of 3,000 pairs of unlike motions of 10 to 180 s none is told so
_OTHER_PEAK = 0.8  # of the best: where another lag does as well, as of motions that repeat, nothing is measured


class Offset(NamedTuple):
    """By how much a stream's clock is behind another's.

    Attributes:
        stream, other: the streams that tell it.
        behind_s: what is to be added to the times of `stream`.
        correlation: of what they measure, then.
        next_best: the greatest at any other lag.
        is_told: whether another check tells it.
    """

    stream: str
    other: str
    behind_s: float
    correlation: float
    next_best: float
    is_told: bool

    @property
    def certainty(self) -> str:
        """What it rests on, in words."""
        return (
            f"{self.stream} and {self.other} tell the same motion then, with a correlation of {self.correlation:.2f}, "
            f"and of {self.next_best:.2f} at best at any other offset"
        )


class _Signal(NamedTuple):
    """What a stream tells of a quantity: signals of one quantity may be compared.

    Attributes:
        quantity: its name.
        stream: the stream's name.
        time: seconds [M].
        values: [M, K], of one motion each.
        signed: whether signs have to agree; axes may point anywhere.
        sort: of what it comes.
    """

    quantity: str
    stream: str
    time: np.ndarray
    values: np.ndarray
    signed: bool = False
    sort: str = ""


def check_clocks(recording: "Recording") -> Iterator[Finding]:
    """Offsets of any size between streams whose stamps are of different clocks, such as of files of their own."""
    groups: dict[str, list[str]] = {}
    for name, clock in recording.clocks.items():
        groups.setdefault(clock.name, []).append(name)
    signals = list(_signals(recording)) if len(groups) > 1 else []
    before: list[str] = []
    for streams in groups.values():
        offsets = list(_offsets(signals, streams, before))
        best = _surest(offsets)
        if best is not None and abs(best.behind_s) > _LEAST_S and not any(offset.is_told for offset in offsets):
            yield clock_offset(recording, best.stream, best.other, -best.behind_s, best.correlation)
        before += streams


def measured_offset(recording: "Recording", streams: Collection[str], others: Collection[str]) -> Offset | None:
    """The offset between the clock of some streams and that of others; None where nothing tells it for certain."""
    return _surest(_offsets(list(_signals(recording)), streams, others))


def _surest(offsets: Iterable[Offset]) -> Offset | None:
    return max(offsets, key=lambda offset: offset.correlation, default=None)


def _offsets(signals: Sequence[_Signal], streams: Collection[str], others: Collection[str]) -> Iterator[Offset]:
    for one in signals:
        for other in signals:
            if one.stream in streams and other.stream in others and one.quantity == other.quantity:
                offset = _between(one, other)
                if offset is not None:
                    yield offset


def _between(one: _Signal, other: _Signal) -> Offset | None:
    rate = min(_FASTEST_HZ, usual_rate(one.time), usual_rate(other.time))
    longest = max(one.time[-1] - one.time[0], other.time[-1] - other.time[0])
    rate = min(rate, _MOST_SAMPLES / longest) if longest > 0 else 0.0
    if not rate:
        return None
    grids = [
        signal.time[0] + np.arange(int((signal.time[-1] - signal.time[0]) * rate)) / rate for signal in (one, other)
    ]
    laid = [
        [at(grid, signal.time, smooth(column, round(usual_rate(signal.time) / rate))) for column in signal.values.T]
        for signal, grid in zip((one, other), grids, strict=True)
    ]
    matches = [
        match
        for a in laid[0]
        for b in laid[1]
        if (match := best_anywhere(a, b, rate)) is not None
        if match.correlation > 0 or not (one.signed or other.signed)
    ]
    best = max(matches, key=lambda match: abs(match.correlation), default=None)
    if best is None or abs(best.correlation) < _CORRELATION or best.sureness < _SURENESS:
        return None
    if best.next_best > _OTHER_PEAK * abs(best.correlation):
        return None
    behind_s = other.time[0] - one.time[0] + best.lag_s
    is_told = abs(behind_s) <= _TOLD_S.get(frozenset({one.sort, other.sort}), 0.0)
    return Offset(one.stream, other.stream, float(behind_s), abs(best.correlation), best.next_best, is_told)


def _signals(recording: "Recording") -> Iterator[_Signal]:
    """Whatever streams tell of how the machine turns, of how it goes faster and slower, and of what they both name."""
    for found in (_turns(recording), _speeds(recording), _named(recording)):
        for signal in found:
            good = np.isfinite(signal.time) & np.isfinite(signal.values).all(1)
            if good.sum() > 8:
                yield signal._replace(time=signal.time[good], values=signal.values[good])


def _turns(recording: "Recording") -> Iterator[_Signal]:
    for spec, samples, rates in gyros(recording):
        yield _Signal("turn", spec.name, samples.time, rates, sort="gyro")
    for spec, time, q in attitudes(recording):
        if len(time) > 1:
            yield _Signal("turn", spec.name, *_middles(time, turning(q)), sort="attitude")
    for spec, (time, turn) in courses(recording):
        yield _Signal("turn", spec.name, time, turn[:, None], sort="course")
    for spec, samples in readings(recording):
        for i, column in enumerate(spec.columns):
            if spec.kind == "sensor" and spec.circular[i] and _HEADING.search(column.lower()):
                heading = np.asarray(samples.data, np.float64)[:, i]
                there = np.isfinite(heading)
                steps = np.diff(np.unwrap(heading[there]))
                yield _Signal("turn", spec.name, *_middles(samples.time[there], steps[:, None]))


def _speeds(recording: "Recording") -> Iterator[_Signal]:
    for spec, samples in readings(recording):
        data = np.asarray(samples.data, np.float64)
        axes = [i for i, unit in enumerate(spec.units) if unit == "m/s^2"]
        if spec.kind == "sensor" and len(axes) == 3 and _ACCELEROMETER.search(spec.name.lower()):
            yield _Signal("acceleration", spec.name, samples.time, _averaged(samples.time, data[:, axes]))
        for i, (column, unit) in enumerate(zip(spec.columns, spec.units, strict=True)):
            if spec.kind in ("sensor", "gps") and unit in ("m/s", "") and _SPEED.search(column.lower()):
                yield _Signal("speed", spec.name, samples.time, data[:, i : i + 1], signed=True)
                there = np.isfinite(data[:, i])
                if there.sum() > 8:
                    speed, time = data[there, i : i + 1], samples.time[there]
                    yield _Signal("acceleration", spec.name, *_middles(time, np.diff(_averaged(time, speed), axis=0)))


def _named(recording: "Recording") -> Iterator[_Signal]:
    """Columns by their names and units: what was asked, and what came of it."""
    for spec, samples in readings(recording):
        for i, (column, unit) in enumerate(zip(spec.columns, spec.units, strict=True)):
            if spec.kind in ("sensor", "action") and not spec.circular[i]:
                values = np.asarray(samples.data, np.float64)[:, i : i + 1]
                yield _Signal(f"{column} {unit}", spec.name, samples.time, values, True, spec.kind)


def _middles(time: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times between samples [M - 1], and how fast what goes by these steps [M - 1, K] goes then."""
    return (time[1:] + time[:-1]) / 2, steps / np.diff(time)[:, None]


def _averaged(time: np.ndarray, data: np.ndarray) -> np.ndarray:
    return np.stack([smooth(column, round(_ACCELERATIONS_S * usual_rate(time))) for column in data.T], 1)

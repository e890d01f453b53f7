"""Checks of sensors against each other: gyros against attitudes and courses, in size and in time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.codecs import QUATERNION
from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.signals import at, best_match, even, smooth, turning
from worldmodel.logs.health.units import GYRO_WORDS
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

SURE = 0.9  # the least correlation by which an offset or a unit is told
ATTITUDE_S, COURSE_S = 1.0, 2.0  # offsets that are looked for
_FASTEST_HZ = 100.0
_DEGREES = 180 / np.pi
_SLOW_RAD_S = 0.05  # a machine that hardly turns tells nothing
_MOVING_M_S = 2.0
_EARTH_M = 6_371_000.0


def gyros(recording: "Recording") -> Iterator[tuple[StreamSpec, Samples, np.ndarray]]:
    """Streams with three angular rates of the body, and these [M, 3]."""
    for spec, samples in readings(recording):
        columns = [i for i, unit in enumerate(spec.units) if unit == "rad/s"]
        if spec.kind == "sensor" and len(columns) == 3 and any(word in spec.name.lower() for word in GYRO_WORDS):
            yield spec, samples, np.asarray(samples.data, np.float64)[:, columns]


def attitudes(recording: "Recording") -> Iterator[tuple[StreamSpec, np.ndarray, np.ndarray]]:
    """Streams with an orientation, their times [M] and quaternions [M, 4], without those that are missing."""
    for spec, samples in readings(recording):
        if spec.kind in ("orientation", "pose"):
            q = np.asarray(samples.data, np.float64)[:, [spec.columns.index(name) for name in QUATERNION]]
            good = np.isfinite(q).all(1)
            yield spec, samples.time[good], q[good]


def check_gyro(recording: "Recording") -> Iterator[Finding]:
    """How fast a gyro turns against how fast an attitude does: a factor is a unit, a lag an offset of clocks."""
    others = list(attitudes(recording))
    for gyro, samples, rates in gyros(recording) if others else ():
        for attitude, time, q in others:
            rate = min(_FASTEST_HZ, usual_rate(time), usual_rate(samples.time))
            grid = even(max(time[0], samples.time[0]), min(time[-1], samples.time[-1]), rate) if rate else time[:0]
            if len(grid) < 2 * rate or not len(grid):
                continue
            middles = (time[1:] + time[:-1]) / 2
            turned = at(grid, middles, np.linalg.norm(turning(q), axis=1) / np.diff(time))
            felt = at(grid, samples.time, np.linalg.norm(rates, axis=1))
            if np.median(turned) > _SLOW_RAD_S / _DEGREES and np.ptp(turned) > _SLOW_RAD_S:
                yield from _compared(recording, gyro.name, attitude.name, felt, turned, rate)


def usual_rate(time: np.ndarray) -> float:
    """The usual rate in Hz of times [M]; 0 where they are too few to tell."""
    return float(1 / np.median(np.diff(time))) if len(time) > 8 else 0.0


def _compared(
    recording: "Recording", gyro: str, attitude: str, felt: np.ndarray, turned: np.ndarray, rate: float
) -> Iterator[Finding]:
    match = best_match(turned, felt, rate, ATTITUDE_S)
    if match is None or match.correlation < SURE:
        return
    if not 0.5 < match.slope < 2:
        why = "degrees a second" if abs(np.log(match.slope / _DEGREES)) < 0.4 else "another unit"
        text = f"it turns {match.slope:.3g} times as fast as {attitude}: it seems to be in {why}, not in rad/s"
        if abs(np.log(match.slope * _DEGREES)) < 0.4:
            text = f"it turns {1 / match.slope:.3g} times as slowly as {attitude}: it was converted from degrees twice"
        yield found(recording, "values: units", gyro, "refuse", text, f"multiply it by {1 / match.slope:.6g}")
    if abs(match.lag_s) > max(1.5 / rate, 0.02):
        yield clock_offset(recording, gyro, attitude, match.lag_s, match.correlation)


def clock_offset(recording: "Recording", later: str, other: str, lag_s: float, correlation: float) -> Finding:
    """The finding that a stream's samples are `lag_s` later than those of another, with what that rests on."""
    text = (
        f"it is {abs(lag_s):.3f} s {'later' if lag_s > 0 else 'earlier'} than {other} (correlation {correlation:.2f})"
    )
    way = in_recipe(recording, later, lag_s)
    remedy = f"if both were measured at once, take {lag_s:.3f} s off its times"
    return found(recording, "clock: offset", later, "warn", f"{text}{'; ' if way else ''}{way}", remedy)


def in_recipe(recording: "Recording", stream: str, lag_s: float) -> str:
    """What takes a lag off the clock of a table's stream in its recipe; empty for what is no table."""
    clock = recording.clocks.get(stream)
    if clock is None:
        return ""
    keys: dict[float, list[str]] = {}
    for name, other in recording.clocks.items():
        if other.name == clock.name:
            keys.setdefault(other.lag_s, []).append(name)
    told = " and ".join(f"lag_s = {known + lag_s:.3f} of {', '.join(names)}" for known, names in keys.items())
    return f"{told} in the recipe takes it off"


def check_course(recording: "Recording") -> Iterator[Finding]:
    """When a gyro turns against when the course of the fixes does."""
    for spec, turn in courses(recording):
        for gyro, felt, rates in gyros(recording):
            yield from _course_offset(recording, spec.name, turn, gyro.name, felt.time, rates)


def courses(recording: "Recording") -> Iterator[tuple[StreamSpec, tuple[np.ndarray, np.ndarray]]]:
    """Streams of fixes that move all the time, with times [M] and the rate in rad/s [M] at which their course turns."""
    for spec, samples in readings(recording):
        if spec.kind == "gps" and len(samples.time) > 50:
            data = np.asarray(samples.data, np.float64)
            good = np.isfinite(data[:, :2]).all(1)
            turn = _course_rate(samples.time[good], data[good, :2]) if good.sum() > 50 else None
            if turn is not None:
                yield spec, turn


def _course_rate(time: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Times and rad/s of the course, where it moves all the time."""
    north, east = np.radians(place).T * _EARTH_M
    east = east * np.cos(np.radians(place[0, 0]))
    step = np.stack([east[2:] - east[:-2], north[2:] - north[:-2]], 1) / (time[2:] - time[:-2])[:, None]
    if np.percentile(np.linalg.norm(step, axis=1), 10) < _MOVING_M_S:
        return None
    course = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    between = time[1:-1]
    turn = np.diff(course) / np.diff(between)
    most = 2 * float(np.percentile(np.abs(turn), 98))  # a fix that is off turns the course by much at once
    return (between[1:] + between[:-1]) / 2, np.clip(turn, -most, most)


def _course_offset(
    recording: "Recording",
    gps: str,
    turn: tuple[np.ndarray, np.ndarray],
    gyro: str,
    time: np.ndarray,
    rates: np.ndarray,
) -> Iterator[Finding]:
    rate = usual_rate(turn[0])
    grid = even(max(time[0], turn[0][0]), min(time[-1], turn[0][-1]), rate)
    if len(grid) < 50:
        return
    course = at(grid, *turn)
    felt = [smooth(axis, round(usual_rate(time) / rate)) for axis in rates.T]
    matches = [best_match(at(grid, time, axis), course, rate, COURSE_S) for axis in felt]
    best = max((m for m in matches if m is not None), key=lambda m: abs(m.correlation), default=None)
    sure = best is not None and abs(best.correlation) > SURE and np.std(course) > _SLOW_RAD_S
    if best is not None and sure and abs(best.lag_s) > max(1.0 / rate, 0.1):
        yield clock_offset(recording, gps, gyro, best.lag_s, abs(best.correlation))

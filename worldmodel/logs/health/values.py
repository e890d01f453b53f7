"""Checks of what readings are: columns that never move, angles that wrap at 360, quaternions."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs import format as fmt
from worldmodel.logs.health.finding import Finding, Severity, found, readings
from worldmodel.logs.health.measures import columns_of
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_FEW = 10  # of fewer samples nothing is said
_COUNTERS = (16, 24, 32)  # bits
_SINGLE_TURN = (*range(10, 16), *range(17, 21))  # bits of encoders that begin anew with each turn
_ENCODER = re.compile(r"enc|count|cnt|tick|pos|angle|theta")
_SECTORS, _IN_EACH = 8, 0.02  # parts of a turn, and the share of readings at least that lie in each
_LEAPS = 0.2  # of a counter's steps are over its end at most
_CODES = 8  # numbers on one side of the end may stand for no reading: 65535 is also what drivers write for that
_THIN = 50_000  # rows are enough for percentiles
# What is of another quantity is no angle, though its values leap as one: a torque that changes its sign does.
_NO_ANGLE = re.compile(
    r"(?:^|_)(?:tau|torques?|trq|moment|force|effort|thrust|current|curr|volt(?:age)?s?|power|pressure|temp(?:erature)?|vel"
    r"|velocity|speed|rate|omega|gyro|acc(?:el)?|acceleration|distance|height|alt(?:itude)?|pwm|rpm|throttle|brake)"
    r"(?:_|\d|$)"
)


def thin(data: np.ndarray, most: int = _THIN) -> np.ndarray:
    """Data [M, ...] itself, or about `most` rows of it in stretches that follow each other."""
    if len(data) <= most:
        return data
    pieces = 20
    starts = np.linspace(0, len(data) - most // pieces, pieces).astype(int)
    return np.concatenate([data[start : start + most // pieces] for start in starts])


def ends(values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest of values [M] that are numbers; NaN where there is none."""
    return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))


def check_still(recording: "Recording") -> Iterator[Finding]:
    """Columns that never move."""
    for spec, samples in readings(recording):
        if len(samples.time) < _FEW:
            continue
        both = [column.ends for column in columns_of(recording, spec.name)]
        still = [f"{c} ({low:.4g})" for c, (low, high) in zip(spec.columns, both, strict=True) if low == high]
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


def check_digits(recording: "Recording") -> Iterator[Finding]:
    """Readings whose steps are lost in the seven digits of what the log keeps, as of a counter or a grid's northing."""
    for spec, _ in readings(recording):
        columns = columns_of(recording, spec.name) if fmt.data_type(spec) == np.float32 else []
        for name, column in zip(spec.columns, columns, strict=False):
            low, high = column.ends
            with np.errstate(over="ignore"):  # what is too large for the log is infinite there
                kept = float(np.spacing(np.float32(max(abs(low), abs(high)))))
            if column.values.dtype == np.float32 or not 1e-4 * (high - low) < kept < np.inf or high == low:
                continue
            steps = np.abs(np.diff(thin(column.values)))
            usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else np.inf
            if usual < kept:
                text = f"{name} goes by steps of {usual:.3g} at {high:.6g}, where the log tells {kept:.3g} apart"
                remedy = f"take off what it begins with: offset = {-low:.6g} in a recipe"
                yield found(recording, "values: digits", spec.name, "warn", text, remedy)


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


def wraps_at(values: np.ndarray) -> float:
    """360 or a turn in rad, where values [M] are an angle that wraps there; 0 where they are none."""
    known = values[np.isfinite(values)]
    if len(known) < _FEW:
        return 0.0
    span = np.ptp(known)
    for turn in (360.0, 2 * np.pi):
        if 0.9 * turn < span < 1.01 * turn:
            steps, kinds = np.abs(np.diff(known)), len(np.unique(thin(known, 1000)))
            if kinds > _FEW and (np.abs(steps - turn) < 0.1 * turn).any() and np.median(steps) < 0.1 * turn:
                return turn
    return 0.0


def turn_of(name: str, values: np.ndarray) -> float:
    """What a turn is where a column's values [M] wrap as an angle: 360, in rad, or an encoder's counts; 0 for none."""
    return wraps_at(values) or counts_a_turn(name, values)


def counts_a_turn(name: str, values: np.ndarray) -> float:
    """The counts of a turn, where whole values [M] are those of an encoder that goes round; 0 where they are none.

    They come everywhere in the turn, and carried on over its end they go evenly: what is switched, or read from a
    converter of as many bits, does not.
    """
    high = np.fmax.reduce(values, initial=0.0)
    if not 0.98 * 2 ** _SINGLE_TURN[0] < high < 2 ** _SINGLE_TURN[-1] or not _ENCODER.search(name.lower()):
        return 0.0  # at once, as nearly all columns
    bits, known = int(high).bit_length(), values[np.isfinite(values)]
    turn = 2.0**bits
    if bits not in _SINGLE_TURN or known.min() < 0 or np.ptp(known) < 0.98 * turn or (known % 1).any():
        return 0.0
    steps = np.diff(known)
    moving = known[1:][steps != 0]
    if np.bincount((moving * _SECTORS / turn).astype(int), minlength=_SECTORS).min() < _IN_EACH * len(moving):
        return 0.0
    evenly = np.median(np.abs(_on(np.diff(steps[steps != 0]), turn))) < turn / _SECTORS**2
    return turn if evenly and (np.abs(steps) > turn / 2).any() else 0.0


def counter_bits(values: np.ndarray) -> int:
    """The bits of a counter that begins anew at its end, either way, where values [M] are one's; 0 where they are none.

    Taken on from there its steps are small beside its range, and most are so before: what is switched only leaps. It
    has several values on either side of its end: a sentinel is one.
    """
    if not len(values) or values.max() < 0.4 * 2 ** _COUNTERS[0]:  # at once, as nearly all columns
        return 0
    low, high = ends(values)
    for bits in _COUNTERS:
        period = 2.0**bits
        if high - low > 0.9 * period and (0 <= low <= high < period or -period <= 2 * low <= 2 * high < period):
            known = values[np.isfinite(values)]
            steps = np.diff(known)
            leaps, moves = (np.abs(steps) > period / 2).sum(), (steps != 0).sum()
            counts = np.abs(_on(steps, period)).max() < period / 8 and not (known % 1).any()
            above = known > (low + high) / 2
            counts = counts and min(len(np.unique(known[side])) for side in (above, ~above)) > _CODES
            return bits if counts and 0 < leaps < _LEAPS * moves else 0
    return 0


def counted_on(values: np.ndarray, bits: int) -> np.ndarray:
    """Values [M] of a counter of so many bits, on from where it began anew."""
    out, known = values.copy(), np.isfinite(values)
    out[known] = values[known][0] + np.cumsum(_on(np.diff(values[known], prepend=values[known][0]), 2.0**bits))
    return out


def _on(steps: np.ndarray, period: float) -> np.ndarray:
    return (steps + period / 2) % period - period / 2


def may_be_angle(name: str, unit: str) -> bool:
    """Whether a column of a name and a unit may be an angle, as far as these tell."""
    words = re.sub(r"(?<=[a-z]{2})(?=[A-Z])", "_", name)
    return unit in ("", "rad", "deg") and not _NO_ANGLE.search(re.sub(r"[^a-z0-9]+", "_", words.lower()))


def _called(spec: StreamSpec, column: str) -> str:
    """A column's name; with the stream's before it where it is an axis or a number alone."""
    return column if re.search("[A-Za-z]{2}", column) else f"{spec.name} {column}"


def check_wraps(recording: "Recording") -> Iterator[Finding]:
    """Angles that wrap and are not said to be circular, and counters that begin anew: a model sees them leap."""
    for spec, samples in readings(recording):
        for index in np.flatnonzero(np.logical_not(spec.circular)) if spec.kind == "sensor" else ():
            named = may_be_angle(_called(spec, spec.columns[index]), spec.units[index])
            turn = turn_of(spec.columns[index], np.asarray(samples.data)[:, index]) if named else 0.0
            if bits := counter_bits(np.asarray(samples.data)[:, index]):
                text = f"{spec.columns[index]} leaps as a counter of {bits} bits that begins anew"
                yield found(recording, "values: wraps", spec.name, "warn", text, "count on from there in the source")
            elif turn:
                text = f"{spec.columns[index]} leaps by {turn:g} as an angle that wraps, and is not said to be circular"
                remedy = "circular = true in a recipe, in rad"
                yield found(recording, "values: wraps", spec.name, "warn", text, remedy)


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

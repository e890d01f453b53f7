"""Columns that are angles by their names or their values: their unit, and whether they wrap."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from worldmodel.logs.health.values import may_be_angle, turn_of
from worldmodel.logs.ingest.formats.tables.suggest.evidence import Evidence
from worldmodel.logs.ingest.formats.tables.suggest.kinds import TURNED, WRAPS
from worldmodel.logs.ingest.formats.tables.suggest.stream import Column, plain
from worldmodel.logs.ingest.formats.tables.suggest.values import largest_of

_TURN_DEG = 360.0
_AXIS = re.compile(r"^[xyz012]$")  # of Euler angles
_PITCH = re.compile(r"(?:^|_)pitch$")  # which is less than half a turn either way
_PARTS = ((1080.0, "deg"), (3600.0, "0.1 deg"), (36000.0, "0.01 deg"))  # up to three turns, or one in parts of a degree
_PULSE_US = 800.0, 2200.0  # of a stick that is called as the angle that it commands
_CALLED = {"deg": "degrees", "0.1 deg": "tenths of a degree", "0.01 deg": "hundredths of a degree"}
_ABOUT = 1.01  # of a turn
_ROUNDED = 0.02  # radians beyond a turn


def of_angles(columns: Sequence[Column], evidence: Evidence) -> Iterator[str]:
    """Angles without a unit: roll, pitch and yaw, or Euler angles, are in one, which the largest of them tells."""
    largest = {column.source: largest_of(*evidence.floats(column.source)) for column in columns}
    for column in columns:
        half = _PITCH.search(column.name) and not _goes_round(*evidence.floats(column.source))
        largest[column.source] *= 2 if half else 1
    turned = [column.source for column in columns if TURNED.search(column.name) or _AXIS.match(column.name)]
    for column in columns:
        told = max(turned if column.source in turned else [column.source], key=lambda name: largest[name])
        degrees = largest[told] > 2 * np.pi + _ROUNDED
        parts = _parts(largest[told], *evidence.floats(column.source)) if degrees else ""
        if parts is None:
            yield f"{column.source}: called as an angle, and too large for one: left as it is"
            continue
        column.unit, column.from_unit = "rad", parts
        column.circular = bool(WRAPS.search(column.name))
        by = f", as {told} is" if degrees and largest[column.source] < 2 * np.pi else ""
        yield f"{column.source}: an angle without a unit, taken for {_CALLED.get(parts, 'radians')}{by}"


def _goes_round(values: np.ndarray) -> bool:
    """Whether values [M] are radians from 0 to a turn, which they pass from end to end."""
    values = values[np.isfinite(values)]
    within = len(values) and values.min() >= 0 and values.max() <= 2 * np.pi + _ROUNDED
    return bool(within and np.abs(np.diff(values)).max(initial=0) > 1.5 * np.pi)


def _parts(largest: float, values: np.ndarray) -> str | None:
    """Which parts of a turn are counted, up to the largest, where values [M] are no radians; None for no angle.

    What is no whole number is in degrees, of however many turns; whole ones may be parts of them, or pulse widths.
    """
    values = values[np.isfinite(values)]
    if (values % 1).any():
        return "deg"
    if _PULSE_US[0] <= values.min(initial=np.inf) and values.max(initial=0) <= _PULSE_US[1]:
        return None
    return next((unit for most, unit in _PARTS if largest <= most), None)


def wraps(column: Column, evidence: Evidence) -> str:
    """Makes an angle of a column that wraps as one; returns the doubt that there is."""
    asked = not column.circular and may_be_angle(plain(column.source), column.unit)
    turn = _turn(evidence, column.source) if asked else 0.0
    if not turn:
        return ""
    counts = turn not in (_TURN_DEG, 2 * np.pi)
    unit = f"{_TURN_DEG / turn!r} deg" if counts else "deg" if turn == _TURN_DEG else "rad"
    unit = column.from_unit or column.unit or unit
    column.circular, column.unit, column.from_unit = True, "rad", "" if unit == "rad" else unit
    what = f"an encoder of {turn:g} counts a turn" if counts else f"an angle in {unit}"
    return f"{column.source}: it wraps as {what} does"


def _turn(evidence: Evidence, name: str) -> float:
    """Where an angle wraps, in any table and beyond it in none; 0 for what is none."""
    (pooled,) = evidence.floats(name)
    turn = max(turn_of(name, run) for (run,) in evidence.runs(name))
    return turn if turn and np.ptp(pooled[np.isfinite(pooled)]) < _ABOUT * turn else 0.0

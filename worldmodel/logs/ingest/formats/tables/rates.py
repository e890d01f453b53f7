"""A stream's measured rate against the one that its recipe declares: another unit of time is the commonest mistake."""

import math
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.health.finding import present
from worldmodel.logs.ingest.formats.tables.recipe import TableStream
from worldmodel.logs.ingest.formats.tables.stamps import UNITS
from worldmodel.logs.ingest.recording import increasing

_FEW = 20  # of fewer stamps nothing is said
_SHARE = 0.005  # of the rows may repeat a stamp
_UNITS = ("ms", "us", "ns", "s", "minutes", "hours", "excel_days")


def measured(time: np.ndarray, data: np.ndarray) -> float | None:
    """The usual rate in Hz, to four figures, of the rows [M] that hold a reading; None where it cannot be told.

    Of rows that come when something happens it is that of the median step: the mean of the shorter ones is of none.
    Of rows more than a second apart the period has the four figures: one a minute is that, and not one in 59.99 s.
    """
    steps = np.diff(_kept(time, data, _is_increasing(time)))
    even = len(steps) and steps.max() < 1.5 * steps.min()
    median = float(np.median(steps)) if len(steps) else 0.0
    usual = steps if even else steps[steps < 1.5 * median]  # the mean knows no rounding
    if not len(usual):
        return None
    mean = float(usual.mean())
    period = mean if 0.5 < mean / median < 2 else median  # steps of two kinds have a mean that none of them is near
    return 1 / float(f"{period:.4g}") if period > 1 else float(f"{1 / period:.4g}")


def checked(path: Path, stream: TableStream, time: np.ndarray, data: np.ndarray) -> float:
    """The rate of a stream: what its recipe declares, or what was measured where that is asked for or is faster.

    Raises:
        RecipeError: if stamps are in another unit, or too many samples share one, saying what would fit.
    """
    declared, ordered = stream.spec.rate_hz, _is_increasing(time)
    if stream.clock.columns and len(time) >= _FEW and not ordered:
        _check_repeats(path, stream, time, data)
    if stream.measured:
        return measured(time, data) or declared
    if not stream.clock.columns:
        return declared
    times = _kept(time, data, ordered)
    if len(times) < _FEW:
        return declared
    mean = (len(times) - 1) / (times[-1] - times[0])
    if 0.5 < stream.spec.rate_hz / mean < 2:
        return declared
    usual = 1 / float(np.median(np.diff(times)))
    apart = min((stream.spec.rate_hz / usual, stream.spec.rate_hz / mean), key=lambda factor: abs(math.log(factor)))
    unit = _fitting(stream.clock.unit, apart)
    if 0.5 < apart < 2 or (stream.spec.kind == "action" and unit is None):
        return declared
    if apart < 1 and unit is None:
        return measured(time, data) or declared
    raise RecipeError(
        f"{path}: the stream {stream.spec.name!r} does not come at its rate.",
        expected=f"rate_hz = {stream.spec.rate_hz:g}, as the recipe says",
        found=f"{usual:.4g} Hz, with {' and '.join(stream.clock.columns)} in {stream.clock.unit}",
        remedy=f'unit = "{unit}" in [clock] would fit' if unit else f"mend the clock, or say rate_hz = {usual:.4g}",
    )


def _fitting(unit: str, apart: float) -> str | None:
    """The unit of time in which the rate would be right."""
    true_ns = UNITS[unit] / apart
    return next((u for u in _UNITS if u != unit and abs(math.log(UNITS[u] / true_ns)) < math.log(1.5)), None)


def _kept(time: np.ndarray, data: np.ndarray, ordered: bool) -> np.ndarray:
    there = present(data)
    time = time if there.all() else time[there]
    return time if ordered else time[increasing(time)]


def _is_increasing(time: np.ndarray) -> bool:
    return bool((time[1:] > time[:-1]).all() and (time[:1] > -np.inf).all())


def _check_repeats(path: Path, stream: TableStream, time: np.ndarray, data: np.ndarray) -> None:
    same = np.flatnonzero(np.diff(time) == 0)
    if len(same) <= max(3, _SHARE * len(time)):
        return
    changed = ~((data[same] == data[same + 1]) | np.isnan(data[same + 1])).all(1)
    if changed.sum() <= max(3, _SHARE * len(time)):
        return
    steps = np.diff(time)
    every = len(same) == len(time) - 1
    why = "all are one stamp, as if a spreadsheet had cut its digits off" if every else ""
    whole = not every and np.allclose(steps[steps > 0], np.rint(steps[steps > 0]), atol=1e-6)
    raise RecipeError(
        f"{path}: many rows of stream {stream.spec.name!r} have the time of the row before.",
        expected="a time of its own for each row",
        found=f"{len(same)} of {len(time)} rows that repeat one{'; ' + why if why else ''}"
        f"{', whole seconds' if whole else ''}",
        remedy="export the times with all their digits"
        + ("" if every else '; or duplicates = "spread" in [clock], which places the rows evenly up to the next stamp'),
    )

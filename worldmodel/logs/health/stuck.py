"""Checks of sensors, and of single columns of them, whose readings stop while others go on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.measures import columns_of
from worldmodel.logs.health.values import ends, thin

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

STUCK_S = 1.0
STUCK_ROWS = 20
_USUAL = 0.05  # share of readings that are the one before where a sensor is not stuck
_MOVES = 0.2  # of its usual spread, by what goes on
_ABRUPT = 10.0  # usual steps from the reading that it was stuck at
_NOISY = 0.25  # share of steps the other way than the step before


def check_stuck(recording: "Recording") -> Iterator[Finding]:
    """A sensor whose readings all stop while others go on; a wheel that stands is at an end of its range."""
    for spec, samples in readings(recording):
        told = [index for index, column in enumerate(columns_of(recording, spec.name)) if np.isfinite(column.ends[0])]
        repeats = [columns_of(recording, spec.name)[index].repeats for index in told]
        if spec.kind == "action" or min(repeats, default=0) < STUCK_ROWS:
            continue
        data, time = np.asarray(samples.data)[:, told], samples.time  # without what is never told, as some heights
        for start, stop in _still(time, (data[1:] == data[:-1]).all(1)):
            rests = all(value in ends(column) for value, column in zip(data[start], data.T, strict=True))
            if not rests and _others_move(recording, spec.name, time[start], time[stop - 1]):
                text = f"all of it stands still for {time[stop - 1] - time[start]:.3g} s while other sensors move"
                rows = np.arange(start, stop)
                yield found(recording, "values: stuck", spec.name, "warn", text, "leave these rows out", rows)


def check_stuck_columns(recording: "Recording") -> Iterator[Finding]:
    """A column of a sensor that stops at once, away from its ends, while others of it go on.

    What comes to rest, as a joint does, slows down before.
    """
    for spec, samples in readings(recording):
        if spec.kind == "action" or len(spec.columns) < 2:
            continue
        data, time = np.asarray(samples.data), samples.time
        for index, column in enumerate(spec.columns):
            if columns_of(recording, spec.name)[index].repeats < STUCK_ROWS:
                continue
            values, others = data[:, index], np.arange(len(spec.columns)) != index
            for start, stop in _still(time, values[1:] == values[:-1]):
                stops = values[start] not in ends(values) and _stops(values, start, stop)
                if stops and _moves(data[:, others], start, stop):
                    seconds = time[stop - 1] - time[start]
                    text = (
                        f"{column} stands still at {values[start]:.5g} for {seconds:.3g} s while the others of it move"
                    )
                    rows = np.arange(start, stop)
                    yield found(recording, "values: stuck", spec.name, "warn", text, "leave these rows out", rows)


def _still(time: np.ndarray, same: np.ndarray) -> list[tuple[int, int]]:
    """Long stretches (first row, row after the last) of readings that are the one before, where such are not usual.

    Args:
        time: [M].
        same: whether each reading but the first is the one before: [M - 1].
    """
    count = int(same.sum())
    if len(time) < 10 * STUCK_ROWS or not STUCK_ROWS <= count <= 0.9 * len(time):
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False, False], same, [False]])))
    starts, stops = edges[::2] - 1, edges[1::2]
    long = (stops - starts > STUCK_ROWS) & (time[stops - 1] - time[starts] > STUCK_S)
    usual = count - (stops - starts - 1)[long].sum()
    if usual > _USUAL * len(time):
        return []
    return list(zip(starts[long].tolist(), stops[long].tolist(), strict=True))


def _stops(values: np.ndarray, start: int, stop: int) -> bool:
    """Whether a column [M] that is still in these rows is one of noise, or leaps when it goes on."""
    steps = np.diff(values)
    steps = np.delete(steps, np.arange(start, stop - 1))
    steps = steps[np.isfinite(steps) & (steps != 0)]
    if len(steps) < STUCK_ROWS:
        return False
    leap = abs(values[stop] - values[stop - 1]) if stop < len(values) else 0.0
    return bool(leap > _ABRUPT * np.median(np.abs(steps)) or (steps[1:] * steps[:-1] < 0).mean() > _NOISY)


def _others_move(recording: "Recording", name: str, start: float, end: float) -> bool:
    for spec, samples in readings(recording):
        if spec.name != name and spec.kind != "action":
            first, last = np.searchsorted(samples.time, [start, end])
            if _moves(np.asarray(samples.data), first, last):
                return True
    return False


def _moves(data: np.ndarray, start: int, stop: int) -> bool:
    """Whether a column of data [M, S] moves in some rows as it usually does."""
    inside, usual = data[start:stop], _spread(thin(data))
    return len(inside) > STUCK_ROWS and bool(((_spread(inside) > _MOVES * usual) & (usual > 0)).any())


def _spread(data: np.ndarray) -> np.ndarray:
    """Between the quarters of the readings of each column [S]; 0 where there is none."""
    known = data[np.isfinite(data).all(1)]
    return np.ptp(np.percentile(known, (25, 75), axis=0), axis=0) if len(known) else np.zeros(data.shape[1])

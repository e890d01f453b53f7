"""Readings that are written again until the next one comes, as in tables of one rate; others only when they change."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.measures import columns_of

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_LEAST = 3  # rows that a reading is held for
_CHANGES = 10
_STATES, _AGAIN = 8, 3  # samples that tell that each is another state, and how often each state comes at least
_UNEVEN = 0.3  # of the mean interval, that intervals deviate by where nothing samples
_REGULAR = 0.9  # share of the changes that come after as many rows, or a multiple of them
_QUANTUM = 0.9  # share of steps that are the smallest: what moves by single counts changes when it does


def changed(data: np.ndarray) -> np.ndarray:
    """Which rows of data [M, S] are not the row before once more: bool [M]."""
    same = ((data[1:] == data[:-1]) | (np.isnan(data[1:]) & np.isnan(data[:-1]))).all(1)
    return np.concatenate([np.ones(min(1, len(data)), bool), ~same])


def held_for(data: np.ndarray) -> int:
    """For how many rows each reading of data [M, S] is held, 1 where it is not, or not evenly."""
    if len(data) > 1 and np.mean(data[1:, 0] == data[:-1, 0]) < 0.5 and not np.isnan(data[:, 0]).any():
        return 1  # at once, as nearly all sensors
    rows = np.flatnonzero(changed(data))
    if len(rows) < _CHANGES or len(data) < _LEAST * len(rows):
        return 1
    gaps = np.diff(rows)
    usual = int(np.median(gaps))
    beside = np.abs(gaps - usual * np.maximum(1, np.round(gaps / usual)))
    regular = (beside <= max(1, usual // 10)).mean() >= _REGULAR
    return usual if usual >= _LEAST and regular and not _by_counts(data[rows]) else 1


def on_change(time: np.ndarray, data: np.ndarray) -> bool:
    """Whether samples [M, S] at times [M] are a few states, each written when it begins, at any time, as a door's."""
    steps = np.diff(time)
    if len(time) < _STATES or not steps.std() > _UNEVEN * steps.mean() or changed(data).mean() < _REGULAR:
        return False
    return len(np.unique(data, axis=0)) <= len(data) / _AGAIN


def _by_counts(data: np.ndarray) -> bool:
    """Whether every column of data [M, S] moves by one step of its resolution at a time, as a slow ramp does."""
    steps = np.abs(np.diff(data, axis=0))
    smallest = np.min(steps, axis=0, initial=np.inf, where=steps > 0)
    return bool(((steps <= 1.01 * smallest).mean(0) > _QUANTUM).all())


def check_held(recording: "Recording") -> Iterator[Finding]:
    """Sensors whose readings come at a fraction of the rate of their rows, or only when they change."""
    for spec, samples in readings(recording):
        if spec.kind == "action":  # which is in force until the next
            continue
        if spec.kind == "sensor" and on_change(samples.time, np.asarray(samples.data)):
            text = "it is written when it changes: that it stays as it is between its samples is what no model is told"
            remedy = 'kind = "action" in a recipe, whose readings hold until the next; or write it at a rate'
            yield found(recording, "values: on change", spec.name, "warn", text, remedy)
            continue
        first = columns_of(recording, spec.name)[0]
        never = first.repeats < 0.5 * (len(samples.time) - 1) and first.finite  # as nearly all sensors
        rows = 1 if never else held_for(np.asarray(samples.data))
        if rows > 1:
            comes, told = f"{spec.rate_hz / rows:.3g} Hz", f"{spec.rate_hz:.4g}"
            text = f"each reading is held for {rows} rows: it comes at {comes}, not at {told}"
            remedy = "keep the first row of each: held = true in the stream of a table's recipe"
            yield found(recording, "values: held", spec.name, "warn", text, remedy)

"""Checks of commands against what answered them: how late, and beyond what was applied."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.signals import Match, at, best_match, even
from worldmodel.logs.health.values import thin
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

ANSWER_S = 1.0  # delays of a machine that are looked for
_SURE = 0.6  # of the changes of both
_BEYOND = 0.01  # share of the commands
_FLAT = 0.02  # of what was applied, its spread where it meets a wall


def _answers(recording: "Recording") -> Iterator[tuple[StreamSpec, Samples, StreamSpec, Samples]]:
    """Actions beside sensors that have the same columns in the same units: what was asked, and what came of it."""
    streams = list(readings(recording))
    for action, asked in streams:
        for sensor, came in streams:
            same = (action.columns, action.units) == (sensor.columns, sensor.units)
            if action.kind == "action" and sensor.kind == "sensor" and same:
                yield action, asked, sensor, came


def check_lag(recording: "Recording") -> Iterator[Finding]:
    """How much later than a command what it commands moves."""
    for action, asked, sensor, came in _answers(recording):
        if min(len(asked.time), len(came.time)) < 64:
            continue
        rate = float(1 / max(np.median(np.diff(asked.time)), np.median(np.diff(came.time))))
        matches = [m for m in map(_follows, *_columns(asked, came, rate), [rate] * len(action.columns)) if m]
        if not matches:
            continue
        lag = float(np.median([match.lag_s for match in matches]))
        text = (
            f"{sensor.name} moves {abs(lag):.3f} s ({abs(lag) * rate:.1f} samples) "
            f"{'after' if lag > 0 else 'before'} it, by {len(matches)} of {len(action.columns)} columns"
        )
        if lag < -0.5 / rate:
            remedy = (
                "check the clocks, and that the commands are not the readings once more: no machine moves before it"
            )
            yield found(recording, "commands: late", action.name, "warn", text, remedy)
        elif lag > 1.5 / rate:
            remedy = "nothing, if that is how fast the machine answers; if the clocks differ, take it off"
            yield found(recording, "commands: lead", action.name, "warn", text, remedy)


def _columns(asked: Samples, came: Samples, rate: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    grid = even(max(asked.time[0], came.time[0]), min(asked.time[-1], came.time[-1]), rate)
    return tuple(  # type: ignore[return-value]
        [at(grid, samples.time, column) for column in np.asarray(samples.data, np.float64).T]
        for samples in (asked, came)
    )


def _follows(asked: np.ndarray, came: np.ndarray, rate: float) -> Match | None:
    """How the changes of what came follow those of what was asked; None where it is not certain."""
    match = best_match(np.diff(asked), np.diff(came), rate, ANSWER_S)
    return match if match is not None and match.correlation > _SURE else None


def check_applied(recording: "Recording") -> Iterator[Finding]:
    """Commands beyond a wall that what was applied never passes."""
    for action, asked, sensor, came in _answers(recording):
        for index, column in enumerate(action.columns):
            given = np.asarray(asked.data, np.float64)[:, index]
            applied = at(asked.time, came.time, np.asarray(came.data, np.float64)[:, index])
            wall = float(np.nanpercentile(np.abs(thin(applied)), 99.5))
            rows = np.flatnonzero(np.abs(given) > 1.25 * wall)
            if len(rows) > max(_BEYOND * len(given), 20) and np.std(np.abs(applied[rows])) < _FLAT * wall:
                text = (
                    f"{column} is beyond {wall:.4g} in {len(rows)} of {len(given)} samples, up to "
                    f"{np.nanmax(np.abs(given)):.4g}, and {sensor.name} never is: so much was not applied"
                )
                remedy = f"take {sensor.name} as the action, or cut the commands off where the machine does"
                yield found(recording, "commands: beyond what was applied", action.name, "warn", text, remedy, rows)

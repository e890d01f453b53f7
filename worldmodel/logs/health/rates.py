"""Checks of rates, of streams that never meet, and of dates."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.clock import JUMP_S, duration, times
from worldmodel.logs.health.finding import Finding, Severity, found, present
from worldmodel.logs.health.held import on_change
from worldmodel.logs.health.measures import Intervals, columns_of
from worldmodel.logs.health.motion import in_recipe
from worldmodel.logs.health.offsets import measured_offset
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
_FEW_ROWS = 8  # of fewer nothing is said about rates
_NEAR_S = 5.0  # unrelated clocks hardly ever differ so little; commands come before the first reading
_EARLIEST_UTC = 315532800.0  # 1980: the earliest date that clocks without a battery start from


def check_rates(recording: "Recording") -> Iterator[Finding]:
    """The measured rate against the one that was declared: apart by two or more is another unit, or a mistake.

    What is written when it changes, as commands are, has none: neither its median step nor the mean is more right.
    """
    for name, spec in recording.specs.items():
        time = _sampled(recording, name)
        if len(time) < _FEW_ROWS or not time[-1] > time[0]:
            continue
        mean = (len(time) - 1) / (time[-1] - time[0])
        if 0.5 < spec.rate_hz / mean < 2:
            continue
        usual = 1 / Intervals(time).typical
        apart = min((spec.rate_hz / usual, spec.rate_hz / mean), key=lambda factor: abs(math.log(factor)))
        finding = None if 0.5 < apart < 2 else _wrong_rate(recording, spec, usual, apart)
        if finding and (finding.severity == "refuse" or 0.5 < usual / mean < 2):
            yield finding


def _sampled(recording: "Recording", name: str) -> np.ndarray:
    """The times of a stream's own samples: rows in which all of its readings are missing are none."""
    samples = recording.samples[name]
    if recording.specs[name].kind == "video" or not len(samples.time):
        return samples.time
    every = any(column.finite for column in columns_of(recording, name))
    return samples.time if every else samples.time[present(np.asarray(samples.data))]


def _wrong_rate(recording: "Recording", spec: StreamSpec, measured: float, apart: float) -> Finding | None:
    unit = next((unit for unit, s in _UNITS.items() if abs(math.log(apart * s)) < math.log(1.5)), None)
    text = f"its samples come at {measured:.4g} Hz, not at the {spec.rate_hz:.4g} Hz that were declared"
    if unit:
        remedy = f'the stamps seem to be {unit}, not seconds: unit = "{unit}" would fit'
        return found(recording, "clock: rate", spec.name, "refuse", text, remedy)
    samples = recording.samples[spec.name]
    if spec.kind == "sensor" and on_change(samples.time, np.asarray(samples.data)):
        return None
    remedy = f"declare rate_hz = {measured:.4g}, or mend the clock"
    return found(recording, "clock: rate", spec.name, "warn" if spec.kind == "action" else "refuse", text, remedy)


def check_overlap(recording: "Recording") -> Iterator[Finding]:
    """Streams that never were at the same time as any of the others: clocks that differ, as none could have met."""
    spans = {name: (float(time[0]), float(time[-1])) for name, time in times(recording) if len(time) > 1}
    groups = meeting(spans)
    if len(groups) < 2:
        return
    dated = max(groups, key=lambda group: (_is_dated(recording, spans[group[0]][0]), len(group)))
    for group in groups:
        if group is dated:
            continue
        start, end = min(spans[name][0] for name in group), max(spans[name][1] for name in group)
        others = [name for name in spans if name not in group]
        apart = min(max(spans[name][0] - end, start - spans[name][1]) for name in others)
        unknown = apart > _NEAR_S and _on_others(recording, group, others)
        refused: Severity = "refuse" if apart > JUMP_S or unknown else "warn"
        text = (
            f"{'it has' if len(group) == 1 else 'they have'} samples from {start:.3f} s to {end:.3f} s, and no other "
            f"stream has any within {duration(apart)}"
        )
        together_s = min(spans[name][0] for name in others) - start
        remedy = _one_clock(recording, group, others, together_s)
        yield found(recording, "clock: apart", ", ".join(group), refused, text, remedy)


def meeting(spans: Mapping[str, tuple[float, float]]) -> list[list[str]]:
    """Names in groups, in the order of time, so that spans (first, last) of no two groups overlap."""
    groups: list[list[str]] = []
    latest = -math.inf
    for name in sorted(spans, key=lambda name: spans[name][0]):
        if not groups or spans[name][0] > latest:
            groups.append([])
        groups[-1].append(name)
        latest = max(latest, spans[name][1])
    return groups


def _on_others(recording: "Recording", group: list[str], others: list[str]) -> bool:
    """Whether the clocks of some streams are not those of others, and one of them tells no date."""
    own, their = ([recording.clocks[name] for name in names if name in recording.clocks] for names in (group, others))
    apart = not {clock.name for clock in own} & {clock.name for clock in their}
    return bool(own and their and apart) and not all(clock.dated for clock in (*own, *their))


def _is_dated(recording: "Recording", seconds: float) -> bool:
    return recording.origin_utc + seconds >= _EARLIEST_UTC


def _one_clock(recording: "Recording", group: list[str], others: list[str], together_s: float) -> str:
    """What can be done about streams that never meet others, with the offset of their clock where it is measured.

    Args:
        recording: the recording.
        group: the streams.
        others: all others.
        together_s: what makes the streams begin when the others do.
    """
    measured = measured_offset(recording, group, others)
    if measured is None:
        ways = (
            ' (in the clock of these in the recipe: origin = "recording" if they began together with the others, or '
            "since when it counts)"
        )
        return f"give all streams one clock{ways if recording.clocks else ''}, or leave {', '.join(group)} out"
    key = in_recipe(recording, measured.stream, -measured.behind_s)
    keys = f' ({key}; origin = "recording" in their clock would add {together_s:.3f} s)' if key else ""
    return f"add {measured.behind_s:.3f} s to the times of {', '.join(group)}{keys}: {measured.certainty}"


def check_origin(recording: "Recording") -> Iterator[Finding]:
    """A date before there were such recordings."""
    if recording.origin_utc < _EARLIEST_UTC:
        name = next(iter(recording.samples))
        text = "it begins in 1970, before its clock was set; its date is unknown"
        yield found(recording, "clock: date", name, "mask", text, "set the clock before recording")

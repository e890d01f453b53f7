"""Runs the checks on a recording, and does to it what they ask for."""

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.health import (
    clock,
    commands,
    derived,
    flow,
    frames,
    gps,
    held,
    motion,
    offsets,
    rates,
    sentinels,
    shapes,
    stuck,
    units,
    values,
)
from worldmodel.logs.health.cutting import Picked, cut_at
from worldmodel.logs.health.finding import Finding
from worldmodel.types import Samples

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

Check = Callable[["Recording"], Iterator[Finding]]
# In this order: each stage sees a recording to which has been done what the stages before asked for.
STAGES: tuple[tuple[Check, ...], ...] = (
    (clock.check_stamps,),
    (clock.check_written_again,),
    (clock.check_strays,),
    (clock.check_order,),
    (clock.check_repeats,),
    (clock.check_back,),
    (rates.check_overlap,),
    (clock.check_jumps,),
    (rates.check_origin, rates.check_rates, clock.check_silence, gps.check_nowhere),
    (gps.check_degrees,),
    (gps.check_jumps,),
    (gps.check_speed, gps.check_units, sentinels.check_sentinels, values.check_circular, values.check_quaternions),
    (
        values.check_still,
        values.check_digits,
        values.check_wraps,
        units.check_units,
        shapes.check_clipping,
        stuck.check_stuck,
        stuck.check_stuck_columns,
        held.check_held,
        shapes.check_straight,
        shapes.check_outliers,
        motion.check_gyro,
        motion.check_course,
        offsets.check_clocks,
        derived.check_derivatives,
        commands.check_lag,
        commands.check_applied,
        frames.check_frames,
        flow.check_flow,
    ),
)
_TOLD = 5  # findings that an error lists


def findings(recording: "Recording") -> list[Finding]:
    """What all checks say of a recording as it is; nothing is done to it. That of a log has been examined before."""
    return [finding for stage in STAGES for finding in _said(recording, stage)]


def _said(recording: "Recording", stage: Iterable[Check]) -> list[Finding]:
    with np.errstate(all="ignore"), warnings.catch_warnings():  # readings may be anything; what is NaN says nothing
        warnings.simplefilter("ignore", RuntimeWarning)
        return [dataclasses.replace(finding, episode=recording.name) for check in stage for finding in check(recording)]


def examined(recording: "Recording", strict: bool = False) -> list["Recording"]:
    """A recording with what its checks ask for: cut into episodes, rows sorted or left out, what was found noted.

    Args:
        recording: as its importer read it.
        strict: whether every finding is an error.

    Raises:
        RecipeError: for a finding that keeps a recording out of a log, with the remedy.
    """
    parts = [recording]
    for stage in STAGES:
        parts = [done for part in parts for done in _after(part, stage, strict)]
    return [_named(part, f"{part.name} part {i}") for i, part in enumerate(parts, 1)] if len(parts) > 1 else parts


def _named(recording: "Recording", name: str) -> "Recording":
    recording.name, recording.findings = name, [dataclasses.replace(f, episode=name) for f in recording.findings]
    return recording


def _after(recording: "Recording", stage: Iterable[Check], strict: bool) -> list["Recording"]:
    said = _said(recording, stage)
    refused = [finding for finding in said if strict or finding.severity == "refuse"]
    if refused:
        raise refuse(refused, strict)
    recording.findings += said
    return _treated(recording, said)


def refuse(said: Sequence[Finding], strict: bool = False) -> RecipeError:
    """The error that tells the first of some findings, and some of the others."""
    first, *others = said
    more = [f"also {finding.line}" for finding in others[:_TOLD]]
    ends = "--strict makes every finding an error" if strict and first.severity != "refuse" else ""
    return RecipeError(
        f"{first.episode} is refused by a check of its {first.check.partition(':')[0]}.",
        found="; ".join(filter(None, [first.line, *more, ends])),
        remedy=first.remedy,
    )


def _treated(recording: "Recording", said: Sequence[Finding]) -> list["Recording"]:
    for finding in said:
        if finding.check == "clock: date":
            recording.origin_utc = float("nan")
        elif finding.severity == "sort":
            _sort(recording, finding.stream)
        elif finding.columns:
            _blank(recording, finding)
    for name in recording.specs:
        masked = [f.rows for f in said if f.severity == "mask" and f.stream == name and not f.columns]
        if masked:
            _leave_out(recording, name, np.concatenate(masked))
    if any(finding.severity != "warn" for finding in said):
        recording.measured = {}  # of arrays that have been replaced
    cuts = [finding for finding in said if finding.severity == "cut"]
    return cut_at(recording, cuts[0].cuts) if cuts else [recording]


def _sort(recording: "Recording", name: str) -> None:
    samples = recording.samples[name]
    order = np.argsort(samples.time, kind="stable")
    recording.samples[name] = Samples(samples.time[order], np.asarray(samples.data)[order])


def _blank(recording: "Recording", finding: Finding) -> None:
    samples, spec = recording.samples[finding.stream], recording.specs[finding.stream]
    data = np.array(samples.data, np.float64)
    for column in finding.columns:
        data[finding.rows, spec.columns.index(column)] = np.nan
    recording.samples[finding.stream] = Samples(samples.time, data)


def _leave_out(recording: "Recording", name: str, rows: np.ndarray) -> None:
    samples = recording.samples[name]
    keep = np.delete(np.arange(len(samples.time)), rows)
    film = recording.specs[name].kind == "video"
    data = Picked(samples.data, keep) if film else np.asarray(samples.data)[keep]
    recording.samples[name] = Samples(samples.time[keep], data)  # type: ignore[arg-type]

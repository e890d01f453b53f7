"""Checks of stamps: those that are none, repeat, overtake each other, go back or jump."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, Severity, found
from worldmodel.logs.health.measures import Intervals, intervals_of

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_SHARE = 0.005  # of a stream's rows may repeat a stamp
_BURST = 3  # rows that overtook each other, or lost their stamp, one after the other
_LATE_S = 1.0  # later than that, rows did not just overtake each other
JUMP_S = 3600.0
_SILENCE_S = 60.0


def few(count: int) -> int:
    """How many of a stream's rows may be dropped, and counted, before the recording is refused."""
    return max(3, int(_SHARE * count))


def times(recording: "Recording") -> Iterator[tuple[str, np.ndarray]]:
    """The streams that have samples, and their times [M]."""
    return ((name, samples.time) for name, samples in recording.samples.items() if len(samples.time))


def _disordered(recording: "Recording") -> Iterator[tuple[str, np.ndarray]]:
    """The streams whose stamps do not increase from row to row, and these [M]."""
    return ((name, time) for name, time in times(recording) if not intervals_of(recording, name).ordered)


def check_stamps(recording: "Recording") -> Iterator[Finding]:
    """Rows without a stamp."""
    for name, time in _disordered(recording):
        rows = np.flatnonzero(~np.isfinite(time))
        if len(rows):
            text, remedy = f"{len(rows)} of {len(time)} rows have no time", "mend the clock's column"
            severity: Severity = "refuse" if len(rows) == len(time) else "mask"
            yield found(recording, "clock: no time", name, severity, text, remedy, rows)


def check_written_again(recording: "Recording") -> Iterator[Finding]:
    """Rows that are the row before once more, stamp and readings: one sample that was written several times."""
    for name, time in _disordered(recording):
        again = np.flatnonzero(intervals_of(recording, name).steps == 0) + 1
        if len(again) and recording.specs[name].kind != "video":
            data = np.asarray(recording.samples[name].data)
            again = again[_same(data[again], data[again - 1])]
            if len(again) == len(time) - 1:
                continue  # one stamp in all of them is no clock
            if len(again):
                text = f"{len(again)} of {len(time)} rows are the row before once more, with its stamp; left out"
                yield found(recording, "clock: written again", name, "mask", text, "nothing is lost", again)


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((one == other) | (np.isnan(one) & np.isnan(other))).all(1)


def check_strays(recording: "Recording") -> Iterator[Finding]:
    """Up to three rows at a time whose stamps lie ahead of all that follow."""
    for name, time in _disordered(recording):
        rows = _strays(time)
        if len(rows):
            text = f"{len(rows)} of {len(time)} rows have stamps ahead of those that follow; left out"
            severity: Severity = "mask" if len(rows) <= few(len(time)) else "refuse"
            yield found(recording, "clock: stray stamps", name, severity, text, "mend the stamps of these rows", rows)


def _strays(time: np.ndarray) -> np.ndarray:
    back = np.flatnonzero(np.diff(time) < 0)
    if not len(back):
        return back
    far = 10 * Intervals(time).typical
    rows: list[int] = []
    for last in back:
        ahead = next((n for n in range(_BURST + 1) if last - n < 0 or time[last - n] < time[last + 1]), 0)
        if ahead and last - ahead >= 0 and time[last] - time[last + 1] > far:
            rows += range(last - ahead + 1, last + 1)
    return np.unique(np.array(rows, int))


def check_order(recording: "Recording") -> Iterator[Finding]:
    """Rows that overtook each other on their way into the file: sorted, as nothing is lost by it."""
    for name, time in _disordered(recording):
        back = intervals_of(recording, name).steps < 0
        if back.any() and recording.specs[name].kind != "video":
            newest = np.maximum.accumulate(time)
            late = time < newest
            if (newest - time).max() <= _LATE_S and _longest_run(late) <= _BURST:
                rows = np.flatnonzero(late)
                text = (
                    f"{len(rows)} of {len(time)} rows came out of order, by up to {(newest - time).max():.3g} s; sorted"
                )
                yield found(recording, "clock: order", name, "sort", text, "nothing is lost", rows)


def _longest_run(which: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], which, [False]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def check_repeats(recording: "Recording") -> Iterator[Finding]:
    """Stamps that repeat: a few are dropped, more are refused with what the likely cause is."""
    for name, time in _disordered(recording):
        rows = np.flatnonzero(intervals_of(recording, name).steps == 0) + 1
        if not len(rows):
            continue
        if len(rows) <= few(len(time)):
            text = f"{len(rows)} of {len(time)} rows repeat the stamp before them; left out"
            yield found(recording, "clock: repeats", name, "mask", text, "mend the stamps", rows)
        else:
            text = f"{len(rows)} of {len(time)} rows repeat the stamp before them: {_why_repeated(time)}"
            remedy = (
                "export the stamps with all their digits; a table's rows can be placed evenly up to the next stamp "
                '(duplicates = "spread" in the [clock] of its recipe)'
            )
            yield found(recording, "clock: repeats", name, "refuse", text, remedy, rows)


def _why_repeated(time: np.ndarray) -> str:
    step = Intervals(time).typical
    if not step:
        return "every row has the same, as if a spreadsheet had cut the digits off"
    smallest = np.diff(time)[np.diff(time) > 0].min()
    if abs(np.round(np.diff(time)) - np.diff(time)).max() < 1e-6 and smallest >= 1 - 1e-6:
        return "they are whole seconds"
    return f"they are {smallest:.3g} s apart at least, and samples come faster"


def check_back(recording: "Recording") -> Iterator[Finding]:
    """A clock that goes back begins another episode."""
    starts = {name: np.zeros(0, int) for name, _ in times(recording)}
    starts |= {name: np.flatnonzero(intervals_of(recording, name).steps < 0) + 1 for name, _ in _disordered(recording)}
    counts = {name: len(rows) for name, rows in starts.items()}
    if not any(counts.values()):
        return
    first = max(counts, key=lambda name: counts[name])
    rows, time = starts[first], recording.samples[first].time
    by = f"the clock goes back, at first by {time[rows[0] - 1] - time[rows[0]]:.4g} s"
    if counts[first] > few(len(time)):
        text = f"{by}, and does so {len(rows)} times in {len(time)} rows"
        remedy = "choose the column that is the clock, or sort the rows"
        yield found(recording, "clock: back", first, "refuse", text, remedy, rows)
    elif len(set(counts.values())) > 1:
        text = f"{by}; as often as {', '.join(f'{n} in {name}' for name, n in counts.items())}"
        remedy = "cut the recording there, so that it is known which parts of its streams belong together"
        yield found(recording, "clock: back", first, "refuse", text, remedy, rows)
    else:
        yield _cut(recording, "clock: back", starts, f"{by}; cut there, into {len(rows) + 1} episodes")


def _cut(recording: "Recording", check: str, starts: dict[str, np.ndarray], text: str) -> Finding:
    inside = {name: rows[rows < len(recording.samples[name].time)] for name, rows in starts.items()}
    first = max(inside, key=lambda name: len(inside[name]))
    remedy = "nothing is lost; a clock that was set is better cut before"
    return dataclasses.replace(found(recording, check, first, "cut", text, remedy, inside[first]), cuts=starts)


def check_jumps(recording: "Recording") -> Iterator[Finding]:
    """Hours in which no stream has a sample part two episodes: ticks for days of nothing are no data."""
    gaps = _silences(recording, JUMP_S)
    if gaps:
        starts = {name: np.searchsorted(time, [end for _, end in gaps]) for name, time in times(recording)}
        longest = max(end - start for start, end in gaps)
        text = f"no stream has a sample for {duration(longest)}; cut there, into {len(gaps) + 1} episodes"
        yield _cut(recording, "clock: jump", starts, text)


def check_silence(recording: "Recording") -> Iterator[Finding]:
    """Minutes of nothing."""
    gaps = _silences(recording, _SILENCE_S)
    if gaps:
        name, time = max(times(recording), key=lambda pair: len(pair[1]))
        rows = np.unique(np.searchsorted(time, [end for _, end in gaps]).clip(max=len(time) - 1))
        total = sum(end - start for start, end in gaps)
        text = f"no stream has a sample for {duration(max(end - start for start, end in gaps))}, {total:.0f} s in all"
        remedy = "cut the recording there: gap_s in [cut] of a table's recipe does, and makes an episode of each part"
        yield found(recording, "clock: silence", name, "warn", text, remedy, rows)


def _silences(recording: "Recording", seconds: float) -> list[tuple[float, float]]:
    """Intervals longer than that, and than a hundred of the usual ones, in which no stream has a sample."""
    gaps: list[tuple[float, float]] | None = None
    for name, time in times(recording):
        intervals = intervals_of(recording, name)
        wide = np.flatnonzero(intervals.steps > seconds) if not intervals.ends[1] <= seconds else np.zeros(0, int)
        wide = wide[intervals.steps[wide] > 100 * intervals.typical] if len(wide) else wide
        own = [(-math.inf, time[0]), *((time[row], time[row + 1]) for row in wide), (time[-1], math.inf)]
        gaps = own if gaps is None else _common(gaps, own)
    return [(start, end) for start, end in gaps or () if seconds < end - start < math.inf]


def _common(some: list[tuple[float, float]], others: list[tuple[float, float]]) -> list[tuple[float, float]]:
    both = ((max(a, c), min(b, d)) for (a, b), (c, d) in itertools.product(some, others))
    return [(start, end) for start, end in both if start < end]


def duration(seconds: float) -> str:
    """A length of time in words."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"

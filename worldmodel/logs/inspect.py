"""What is in a log: a summary as data and as tables."""

import contextlib
import dataclasses
import datetime
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.logs.health.finding import FINDINGS
from worldmodel.logs.reader import Log, Stream
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2.5  # an interval longer than this many medians is a gap
_BLOCK = 1 << 24  # bytes of readings in memory at once
_LISTED = 20  # episodes printed
_NAMED = 5  # of a list that a log says of itself
_WORDS = ("stream", "kind", "column", "unit", "name", "begins (UTC)", "without")  # columns that hold no numbers


@dataclasses.dataclass(frozen=True)
class StreamSummary:
    """One stream over all episodes.

    Rows in which all of its readings are missing, as in a wide table of several rates, are no samples of it.

    Attributes:
        spec: what it is.
        samples: how many there are.
        measured_rate_hz: samples a second, from the median interval; NaN for fewer than two samples.
        gaps: how many intervals are longer than 2.5 medians.
        longest_gap_s: the longest of these; 0 for none.
        low: the least finite reading of each column, NaN where there is none; for video of each colour.
        high: the greatest.
        not_finite: how many readings of each column are NaN or infinite, in its samples.
    """

    spec: StreamSpec
    samples: int
    measured_rate_hz: float
    gaps: int
    longest_gap_s: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    not_finite: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class EpisodeSummary:
    """One episode: its label, length, origin (seconds since 1970 UTC, or NaN) and its number of samples by stream."""

    name: str
    duration_s: float
    origin_utc: float
    samples: dict[str, int]


@dataclasses.dataclass(frozen=True)
class LogSummary:
    """A log: the files, what they say of themselves, and what is in them."""

    files: tuple[Path, ...]
    about: dict[str, object]
    episodes: tuple[EpisodeSummary, ...]
    streams: tuple[StreamSummary, ...]

    @property
    def duration_s(self) -> float:
        return sum(episode.duration_s for episode in self.episodes)


def summarise(log: Log) -> LogSummary:
    """Reads a whole log and says what is in it."""
    episodes = list(log.episodes)
    reads = {name: [_read(e.streams[name]) for e in episodes] for name in log.streams}
    return LogSummary(
        tuple(log.files),
        dict(log.about),
        tuple(
            EpisodeSummary(
                e.name, e.duration_s, e.origin_utc, {name: len(read[i].time) for name, read in reads.items()}
            )
            for i, e in enumerate(episodes)
        ),
        tuple(_summarise_stream(spec, reads[name]) for name, spec in log.streams.items()),
    )


class _Read(NamedTuple):
    """What a stream's samples are in one episode: their times, ranges by column, and readings that are no numbers."""

    time: np.ndarray
    low: np.ndarray
    high: np.ndarray
    not_finite: np.ndarray


def _read(stream: Stream) -> _Read:
    axes = len(stream.spec.columns)
    low, high, bad = np.full(axes, np.inf), np.full(axes, -np.inf), np.zeros(axes, np.int64)
    there = np.ones(len(stream), bool)
    rows = max(1, _BLOCK // (8 * math.prod(stream.spec.sample_shape)))
    for start, block in stream.blocks(rows):
        finite = np.isfinite(block)
        if stream.spec.kind != "video":
            there[start : start + len(block)] = finite.any(1)
            block, finite = block[finite.any(1)], finite[finite.any(1)]
        values, finite = block.reshape(-1, axes), finite.reshape(-1, axes)
        low = np.minimum(low, np.where(finite, values, np.inf).min(axis=0, initial=np.inf))
        high = np.maximum(high, np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf))
        bad += (~finite).sum(axis=0)
    return _Read(stream.time[there], low, high, bad)


def _summarise_stream(spec: StreamSpec, reads: list[_Read]) -> StreamSummary:
    intervals = np.concatenate([np.diff(read.time) for read in reads])
    median = float(np.median(intervals)) if len(intervals) else math.nan
    gaps = intervals[intervals > GAP * median]
    low, high = np.min([read.low for read in reads], 0), np.max([read.high for read in reads], 0)
    return StreamSummary(
        spec,
        sum(len(read.time) for read in reads),
        1 / median if median else math.nan,
        len(gaps),
        float(gaps.max()) if len(gaps) else 0.0,
        tuple(float(v) if math.isfinite(v) else math.nan for v in low),
        tuple(float(v) if math.isfinite(v) else math.nan for v in high),
        tuple(int(n) for n in np.sum([read.not_finite for read in reads], 0)),
    )


def print_summary(log: Log, console: "Console | None" = None) -> LogSummary:
    """Prints the summary of a log as tables, and returns it."""
    from rich.console import Console
    from rich.text import Text

    from worldmodel.terminal import Grid, counted, say

    console = console or Console()
    summary = summarise(log)
    say(console, Text(", ".join(str(path) for path in summary.files), "bold"))
    for key, value in summary.about.items():
        say(console, f"{key}: {_told(key, value)}", 2)
    streams: list[tuple[str, ...]] = []
    columns: list[tuple[str, ...]] = []
    for stream in summary.streams:
        spec = stream.spec
        shape = "x".join(map(str, spec.sample_shape))
        rates = (f"{spec.rate_hz:.4g}", f"{stream.measured_rate_hz:.4g}")
        gaps = (str(stream.gaps), f"{stream.longest_gap_s:.3f}" if stream.gaps else "")
        streams.append((spec.name, spec.kind, shape, str(stream.samples), *rates, *gaps))
        columns += [("" if i else spec.name, *row) for i, row in enumerate(_column_rows(stream))]
    episodes = [
        (str(i), each.name, f"{each.duration_s:.2f}", utc(each.origin_utc), ", ".join(_without(each)))
        for i, each in enumerate(summary.episodes[:_LISTED])
    ]
    console.print(Grid(("stream", "kind", "shape", "samples", "Hz", "measured", "gaps", "up to (s)"), streams, _WORDS))
    console.print(Grid(("stream", "column", "unit", "least", "greatest", "NaN, inf"), columns, _WORDS))
    console.print(f"{counted(len(summary.episodes), 'episode')}, {summary.duration_s:.1f} s in all", highlight=False)
    console.print(Grid(("episode", "name", "seconds", "begins (UTC)", "without"), episodes, _WORDS))
    if len(summary.episodes) > _LISTED:
        console.print(f"... and {len(summary.episodes) - _LISTED} more")
    return summary


def _told(key: str, value: object) -> str:
    """What a log says of itself, long lists in short."""
    from worldmodel.terminal import listing

    if key == FINDINGS:
        return f"{len(value)}, which --health tells"  # type: ignore[arg-type]
    if isinstance(value, list):
        return listing(value, _NAMED)
    return str(value)


def _without(episode: EpisodeSummary) -> list[str]:
    return [name for name, count in episode.samples.items() if not count]


def _column_rows(stream: StreamSummary) -> list[tuple[str, ...]]:
    spec = stream.spec
    rows: list[tuple[str, ...]] = []
    columns = zip(spec.columns, spec.units, stream.low, stream.high, stream.not_finite, strict=True)
    for column, unit, low, high, bad in columns:
        digits = 9 if unit == "deg" else 4  # a microdegree is a decimetre on the ground
        rows.append((column, unit, f"{low:.{digits}g}", f"{high:.{digits}g}", str(bad)))
    return rows


def utc(origin: float) -> str:
    """An episode's origin, seconds since 1970, as a date and a time."""
    if not math.isfinite(origin):
        return "unknown"
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return datetime.datetime.fromtimestamp(origin, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return "beyond the calendar"

"""What is in a log: a summary as data, as tables, and as a picture."""

import contextlib
import dataclasses
import datetime
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.files import check_output, whole_file
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Episode, Log, Stream, check_episode
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from rich.console import Console
    from rich.table import Table

GAP = 2.5  # an interval longer than this many medians is a gap
_FILM = 8  # frames shown in a row
_BLOCK = 1 << 24  # bytes of readings in memory at once
_LISTED = 20  # episodes printed


@dataclasses.dataclass(frozen=True)
class StreamSummary:
    """One stream over all episodes.

    Attributes:
        spec: what it is.
        samples: how many there are.
        measured_rate_hz: samples a second, from the median interval; NaN for fewer than two samples.
        gaps: how many intervals are longer than 2.5 medians.
        longest_gap_s: the longest of these; 0 for none.
        low: the least finite reading of each column, NaN where there is none; for video of each colour.
        high: the greatest.
        not_finite: how many readings of each column are NaN or infinite.
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
    return LogSummary(
        tuple(log.files),
        dict(log.about),
        tuple(
            EpisodeSummary(e.name, e.duration_s, e.origin_utc, {name: len(s) for name, s in e.streams.items()})
            for e in episodes
        ),
        tuple(_summarise_stream(spec, [e.streams[name] for e in episodes]) for name, spec in log.streams.items()),
    )


def _summarise_stream(spec: StreamSpec, parts: list[Stream]) -> StreamSummary:
    intervals = np.concatenate([np.diff(part.time) for part in parts])
    median = float(np.median(intervals)) if len(intervals) else math.nan
    gaps = intervals[intervals > GAP * median]
    axes = len(spec.columns)
    low, high, bad = np.full(axes, np.inf), np.full(axes, -np.inf), np.zeros(axes, np.int64)
    for block in (block for part in parts for block in _blocks(part)):
        values = block.reshape(-1, axes)
        finite = np.isfinite(values)
        low = np.minimum(low, np.where(finite, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(finite, values, -np.inf).max(axis=0))
        bad += (~finite).sum(axis=0)
    return StreamSummary(
        spec,
        sum(len(part) for part in parts),
        1 / median if median else math.nan,
        len(gaps),
        float(gaps.max()) if len(gaps) else 0.0,
        tuple(float(v) if math.isfinite(v) else math.nan for v in low),
        tuple(float(v) if math.isfinite(v) else math.nan for v in high),
        tuple(int(n) for n in bad),
    )


def _blocks(stream: Stream) -> Iterable[np.ndarray]:
    rows = max(1, _BLOCK // (8 * math.prod(stream.spec.sample_shape)))
    return (stream.rows(start, min(start + rows, len(stream))) for start in range(0, len(stream), rows))


def print_summary(log: Log, console: "Console | None" = None) -> LogSummary:
    """Prints the summary of a log as tables, and returns it."""
    from rich.console import Console
    from rich.markup import escape as markup

    console = console or Console()
    summary = summarise(log)
    console.print(f"[bold]{markup(', '.join(str(path) for path in summary.files))}[/bold]")
    for key, value in summary.about.items():
        console.print(f"  {key}: {value}", soft_wrap=True, highlight=False, markup=False)
    streams = _table("stream", "kind", "shape", "samples", "Hz", "measured", "gaps", "up to (s)")
    columns = _table("stream", "column", "unit", "least", "greatest", "NaN, inf")
    for stream in summary.streams:
        spec = stream.spec
        shape = "x".join(map(str, spec.sample_shape))
        rates = (f"{spec.rate_hz:.4g}", f"{stream.measured_rate_hz:.4g}")
        gaps = (str(stream.gaps), f"{stream.longest_gap_s:.3f}" if stream.gaps else "")
        streams.add_row(markup(spec.name), spec.kind, shape, str(stream.samples), *rates, *gaps)
        for index, row in enumerate(_column_rows(stream)):
            columns.add_row("" if index else markup(spec.name), *map(markup, row))
    episodes = _table("episode", "name", "seconds", "begins (UTC)", "without")
    for index, episode in enumerate(summary.episodes[:_LISTED]):
        empty = ", ".join(name for name, count in episode.samples.items() if not count)
        episodes.add_row(
            str(index), markup(episode.name), f"{episode.duration_s:.2f}", _utc(episode.origin_utc), markup(empty)
        )
    console.print(streams, columns)
    console.print(f"{len(summary.episodes)} episodes, {summary.duration_s:.1f} s in all")
    console.print(episodes)
    if len(summary.episodes) > _LISTED:
        console.print(f"... and {len(summary.episodes) - _LISTED} more")
    return summary


def _table(*headers: str) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    words = ("stream", "kind", "column", "unit", "name", "begins (UTC)", "without")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for header in headers:
        table.add_column(header, justify="left" if header in words else "right", overflow="fold")
    return table


def _column_rows(stream: StreamSummary) -> list[tuple[str, ...]]:
    spec = stream.spec
    rows: list[tuple[str, ...]] = []
    columns = zip(spec.columns, spec.units, stream.low, stream.high, stream.not_finite, strict=True)
    for column, unit, low, high, bad in columns:
        digits = 9 if unit == "deg" else 4  # a microdegree is a decimetre on the ground
        rows.append((column, unit, f"{low:.{digits}g}", f"{high:.{digits}g}", str(bad)))
    return rows


def _utc(origin: float) -> str:
    if not math.isfinite(origin):
        return "unknown"
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return datetime.datetime.fromtimestamp(origin, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return "beyond the calendar"


def plot_log(log: Log, out_png: Path | str, episode: int = 0, *, force: bool = False) -> Path:
    """Draws one episode: a film strip of each video, a row for each other stream with its gaps shaded, GPS as a track.

    Args:
        log: the log.
        out_png: the picture to write.
        episode: which episode.
        force: replace a picture that exists.

    Returns:
        The picture's path.

    Raises:
        WorldModelError: if there is no such episode, or the picture exists or cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot, which would change a notebook's back end

    check_output(Path(out_png), force, inputs=log.files)
    if Path(out_png).suffix.lower() != ".png":
        raise WorldModelError(f"{out_png} is no name for the picture.", expected="a path that ends in .png")
    check_episode(log, episode)
    shown = log.episodes[episode]
    streams = [stream for stream in shown.streams.values() if len(stream)]
    streams.sort(key=lambda s: ("video", "gps", "sensor", "action").index(s.spec.kind))
    tall = {"video": 1.75, "gps": 3.2}
    heights = [0.4, *(tall.get(stream.spec.kind, 1.9) for stream in streams)]
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=(11, sum(heights)))
        rows = figure.subfigures(len(streams) + 1, 1, height_ratios=[0.4, *heights[1:]], squeeze=False)[:, 0]
        begins = f", {_utc(shown.origin_utc)} UTC" if math.isfinite(shown.origin_utc) else ""
        rows[0].text(_LEFT, 0.4, shown.name or f"episode {episode}", fontsize=13, fontweight="bold")
        rows[0].text(_RIGHT, 0.4, f"{shown.duration_s:.1f} s{begins}", ha="right")
        for stream, row, height in zip(streams, rows[1:], heights[1:], strict=True):
            draw = {"video": _draw_film, "gps": _draw_gps}.get(stream.spec.kind, _draw_values)
            draw(stream, row, {"left": _LEFT, "right": _RIGHT, "bottom": 0.4 / height, "top": 1 - 0.3 / height}, shown)
        with whole_file(out_png, force) as path:
            figure.savefig(path, dpi=110)
    return Path(out_png)


_LEFT, _RIGHT = 0.07, 0.88  # margins; legends stand to the right
_LOOK: dict[Any, Any] = {
    "text.parse_math": False,  # a dollar in a unit is a dollar
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.formatter.limits": (-3, 5),
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9'])",
}


def _readings(stream: Stream) -> np.ndarray:
    """Readings [M, S], NaN where masked; of an imagined trajectory [M, K, S] the mean over its members."""
    data = stream.data
    values = np.where(np.isfinite(data), data, np.nan)
    return values if values.ndim == 2 else values.mean(axis=1)


def _title(stream: Stream) -> str:
    return f"{stream.spec.name} ({stream.spec.kind}, {stream.measured_rate_hz:.4g} Hz)"


def _draw_film(stream: Stream, row: "SubFigure", place: dict[str, float], episode: Episode) -> None:
    picks = np.unique(np.linspace(0, len(stream) - 1, _FILM).astype(int))
    place = {**place, "right": 0.98, "bottom": 0.02, "top": place["top"] - 0.06, "wspace": 0.04}
    axes = row.subplots(1, _FILM, gridspec_kw=place)
    row.text(_LEFT, 0.88, _title(stream), fontsize=9, fontweight="bold")
    for axis in axes:
        axis.set_axis_off()
    for axis, pick in zip(axes, picks, strict=False):
        axis.imshow(stream.rows(pick, pick + 1).reshape(-1, *stream.spec.sample_shape)[0])
        axis.set_title(f"{stream.time[pick]:.1f} s", fontsize=8)


def _draw_values(stream: Stream, row: "SubFigure", place: dict[str, float], episode: Episode) -> None:
    spec, data = stream.spec, _readings(stream)
    units = list(dict.fromkeys(spec.units))
    axes = row.subplots(1, len(units), squeeze=False, gridspec_kw={**place, "wspace": 0.4})[0]
    for index, (unit, axis) in enumerate(zip(units, axes, strict=True)):
        columns = [i for i, u in enumerate(spec.units) if u == unit]
        _draw_lines(axis, stream, data[:, columns], [spec.columns[i] for i in columns], episode)
        axis.set_ylabel(unit or "1")
        if index == 0:
            axis.set_title(_title(stream), loc="left", fontsize=9, fontweight="bold")


def _draw_lines(axis: "Axes", stream: Stream, data: np.ndarray, labels: list[str], episode: Episode) -> None:
    time = stream.time
    intervals = np.diff(time)
    gaps = np.flatnonzero(intervals > GAP * np.median(intervals)) if len(intervals) else np.zeros(0, int)
    broken_time = np.insert(time, gaps + 1, np.nan)  # a line across a gap would show readings that nobody took
    broken = np.insert(data, gaps + 1, np.nan, axis=0)
    sparse = len(time) < 150
    style = "steps-post" if stream.spec.kind == "action" else "default"
    for label, values in zip(labels, broken.T, strict=True):
        axis.plot(broken_time, values, lw=0.9, marker="." if sparse else "", ms=4, label=label, drawstyle=style)
    for gap in gaps:
        axis.axvspan(time[gap], time[gap + 1], color="#D55E00", alpha=0.15, lw=0)
    axis.set_xlim(min(0.0, float(time[0])), episode.duration_s)
    axis.set_xlabel("s")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def _draw_gps(stream: Stream, row: "SubFigure", place: dict[str, float], episode: Episode) -> None:
    """East-north track from the first fix, and the three coordinates against time."""
    data = _readings(stream)[:, :3]
    fixes = np.isfinite(data).all(axis=1)
    if not fixes.any():
        return
    metres = np.full_like(data, np.nan)
    metres[fixes] = geodetic_to_enu(data[fixes], data[fixes][0])
    track, lines = row.subplots(1, 2, width_ratios=(1, 1.6), gridspec_kw={**place, "bottom": 0.16})
    track.plot(metres[:, 0], metres[:, 1], lw=0.8, color="#999999")
    points = track.scatter(metres[:, 0], metres[:, 1], c=stream.time, s=9, cmap="viridis", zorder=2)
    row.colorbar(points, ax=track, label="s", pad=0.02)
    track.set_aspect("equal", adjustable="datalim")
    track.set_xlabel("east (m)")
    track.set_ylabel("north (m)")
    track.set_title(_title(stream), loc="left", fontsize=9, fontweight="bold")
    _draw_lines(lines, stream, metres, ["east", "north", "up"], episode)
    origin = data[fixes][0]
    lines.set_title(f"from {origin[0]:.6f}°, {origin[1]:.6f}°, {origin[2]:.1f} m", loc="right", fontsize=8)
    lines.set_ylabel("m")

"""A recording as a picture."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.arrays import evenly
from worldmodel.codecs import codec
from worldmodel.draw import Picture, new_figure, style
from worldmodel.errors import WorldModelError
from worldmodel.files import check_output, whole_file
from worldmodel.logs.inspect import GAP, utc
from worldmodel.logs.physical import first_fix, physical_columns, physical_values
from worldmodel.logs.reader import Episode, Log, Stream, check_episode
from worldmodel.terminal import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

_FILM = 8  # frames shown in a row
_SPARSE = 150  # readings up to here get dots
_ORDER = {"film": 1.75, "track": 3.2, "lines": 1.9, "commands": 1.9}  # what comes first, and inches of its row
_LEFT, _RIGHT = 0.07, 0.84  # margins; legends stand to the right
_TOGETHER = 6  # lines in a panel: as many as there are colours
_ACROSS = 2  # panels beside each other, where a stream has several
_PANELS = 16  # of a stream, or the picture has no end
_NAME = 20  # characters of a legend's name for which there is room
_TITLE: dict[str, Any] = {"fontsize": 9, "fontweight": "bold"}


def plot_log(log: Log, out_png: Path | str, episode: int = 0, *, force: bool = False) -> Path:
    """Draws one episode (see `draw_episode`) into a PNG file.

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
    check_output(Path(out_png), force, inputs=log.files)
    if Path(out_png).suffix.lower() != ".png":
        raise WorldModelError(f"{out_png} is no name for the picture.", expected="a path that ends in .png")
    check_episode(log, episode)
    picture = draw_episode(log.episodes[episode], log.episodes[episode].name or f"episode {episode}")
    with whole_file(out_png, force) as path:
        picture.save(path)
    return Path(out_png)


def draw_episode(episode: Episode, title: str = "") -> Picture:
    """A film strip of each video, a row for each other stream with its gaps shaded, GPS as a track."""
    streams = [stream for stream in episode.streams.values() if len(stream)]
    streams.sort(key=lambda s: list(_ORDER).index(_shown_as(s)))
    heights = [0.4, *map(_height, streams)]
    with style():
        figure = new_figure(11, sum(heights))
        figure.set_layout_engine("none")  # rows have margins of their own, so that their clocks stand below each other
        rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        begins = f", {utc(episode.origin_utc)} UTC" if math.isfinite(episode.origin_utc) else ""
        rows[0].text(_LEFT, 0.4, title or episode.name, fontsize=13, fontweight="bold")
        rows[0].text(_RIGHT, 0.4, f"{episode.duration_s:.1f} s{begins}", ha="right")
        for stream, row, height in zip(streams, rows[1:], heights[1:], strict=True):
            draw = {"film": _draw_film, "track": _draw_track}.get(_shown_as(stream), _draw_values)
            draw(
                stream, row, {"left": _LEFT, "right": _RIGHT, "bottom": 0.4 / height, "top": 1 - 0.3 / height}, episode
            )
    return Picture(figure, title or f"episode {episode.name!r}")


def _shown_as(stream: Stream) -> str:
    """Which way a stream is drawn, of `_ORDER`."""
    if codec(stream.spec).track is not None:
        return "track"
    return {"video": "film", "action": "commands"}.get(stream.spec.kind, "lines")


def _height(stream: Stream) -> float:
    """Inches of a stream's row."""
    rows = -(-len(_panels(stream)) // _ACROSS) if _shown_as(stream) in ("lines", "commands") else 1
    return rows * _ORDER[_shown_as(stream)]


def _panels(stream: Stream) -> list[np.ndarray]:
    """Columns that are drawn together: of one unit, and no more than can be told apart."""
    of = np.array(physical_columns(stream.spec).units)
    alike = [np.flatnonzero(of == unit) for unit in dict.fromkeys(of)]
    return [part for same in alike for part in np.array_split(same, -(-len(same) // _TOGETHER))][:_PANELS]


def _readings(stream: Stream, origin: np.ndarray) -> np.ndarray:
    """Physical readings [M, P], NaN where masked; of an imagined trajectory [M, K, S] the mean over its members."""
    values = physical_values(stream.spec, stream.data, origin)
    return values if values.ndim == 2 else codec(stream.spec).average(values, 1)


def _title(stream: Stream) -> str:
    return f"{stream.spec.name} ({stream.spec.kind}, {stream.measured_rate_hz:.4g} Hz)"


def _draw_film(stream: Stream, row: "SubFigure", place: dict[str, float], episode: Episode) -> None:
    picks = evenly(len(stream), _FILM)
    place = {**place, "right": 0.98, "bottom": 0.02, "top": place["top"] - 0.06, "wspace": 0.04}
    axes = row.subplots(1, _FILM, gridspec_kw=place)
    row.text(_LEFT, 0.88, _title(stream), **_TITLE)
    for axis in axes:
        axis.set_axis_off()
    for axis, pick in zip(axes, picks, strict=False):
        axis.imshow(stream.rows(pick, pick + 1).reshape(-1, *stream.spec.sample_shape)[0])
        axis.set_title(f"{stream.time[pick]:.1f} s", fontsize=8, loc="center")


def _draw_values(stream: Stream, row: "SubFigure", place: dict[str, float], episode: Episode) -> None:
    """Lines over time, in panels of columns of one unit."""
    labels, of, _ = physical_columns(stream.spec)
    data, panels = _readings(stream, np.zeros(3)), _panels(stream)
    across = min(len(panels), _ACROSS)
    grid = row.add_gridspec(-(-len(panels) // across), across, **place, wspace=0.75, hspace=0.6)
    for index, columns in enumerate(panels):
        axis = row.add_subplot(grid[divmod(index, across)])
        _draw_lines(axis, stream, data[:, columns], [labels[i] for i in columns], episode)
        axis.set_ylabel(of[columns[0]] or "1")
        if index == 0:
            shown = sum(map(len, panels))
            cut = f", the first {shown} of {len(of)} columns" if shown < len(of) else ""
            axis.set_title(_title(stream) + cut, **_TITLE)


def _draw_lines(axis: "Axes", stream: Stream, data: np.ndarray, labels: list[str], episode: Episode) -> None:
    time = stream.time
    intervals = np.diff(time)
    gaps = np.flatnonzero(intervals > GAP * np.median(intervals)) if len(intervals) else np.zeros(0, int)
    broken_time = np.insert(time, gaps + 1, np.nan)  # a line across a gap would show readings that nobody took
    broken = np.insert(data, gaps + 1, np.nan, axis=0)
    look: dict[str, Any] = {"marker": "." if len(time) < _SPARSE else "", "markersize": 4, "linewidth": 0.9}
    look["drawstyle"] = "steps-post" if stream.spec.kind == "action" else "default"
    for label, values in zip(labels, broken.T, strict=True):
        axis.plot(broken_time, values, label=shortened(label, _NAME), **look)
    for gap in gaps:
        axis.axvspan(time[gap], time[gap + 1], color="#D55E00", alpha=0.15, lw=0)
    axis.set_xlim(min(0.0, float(time[0])), episode.duration_s)
    axis.set_xlabel("s")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)


def _draw_track(stream: Stream, row: "SubFigure", place: dict[str, float], episode: Episode) -> None:
    """The way on the ground, of fixes from the first, and each metre of it against time."""
    (labels, units, _), plane = physical_columns(stream.spec), codec(stream.spec).track
    origin = first_fix(stream.spec, stream.data)
    places = _readings(stream, origin)
    east, north = plane or (0, 1)
    track, lines = row.subplots(1, 2, width_ratios=(1, 1.6), gridspec_kw={**place, "bottom": 0.16})
    track.plot(places[:, east], places[:, north], lw=0.8, color="#999999")
    points = track.scatter(places[:, east], places[:, north], c=stream.time, s=9, cmap="viridis", zorder=2)
    row.colorbar(points, ax=track, label="s", pad=0.02)
    track.set_aspect("equal", adjustable="datalim")
    track.set_xlabel(f"{labels[east]} (m)")
    track.set_ylabel(f"{labels[north]} (m)")
    track.set_title(_title(stream), **_TITLE)
    metres = [i for i, unit in enumerate(units) if unit == "m"]
    _draw_lines(lines, stream, places[:, metres], [labels[i] for i in metres], episode)
    if stream.spec.kind == "gps":
        lines.set_title(f"from {origin[0]:.6f}°, {origin[1]:.6f}°, {origin[2]:.1f} m", loc="right", fontsize=8)
    lines.set_ylabel("m")

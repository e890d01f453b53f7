"""Member futures: one column over time as a fan of lines, and the ways on the ground."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from worldmodel.draw.style import IMAGINED, INK, MUTED
from worldmodel.terminal import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_TITLE = 38  # characters above one of three panels
_POINTS = 150  # of one line: more cannot be told apart in a panel
_SPARSE = 60  # readings up to here get dots
_MARGIN = 0.06  # of a map's width, around the ways on it
_LEAST_M = 0.1  # that a map shows of a machine that stands still


class Fan(NamedTuple):
    """One column around a start. Times are on any one clock; readings that are missing are NaN.

    Attributes:
        start: the moment that the futures begin.
        seen_time, seen: [C] before it. came_time, came: [N] after it.
        time, members, mean: [H], [K, H] and [H], the futures.
        wraps: whether values are angles in radians, +pi beside -pi.
        held: whether a value holds until the next (actions), and is not joined to it by a slope.
        as_recorded: whether what came came under the commands of the futures, and is the truth for them.
    """

    start: float
    seen_time: np.ndarray
    seen: np.ndarray
    came_time: np.ndarray
    came: np.ndarray
    time: np.ndarray
    members: np.ndarray
    mean: np.ndarray
    wraps: bool = False
    held: bool = False
    as_recorded: bool = True


def draw_fan(axes: "Axes", fan: Fan, colour: str = IMAGINED) -> None:
    """Grey what was seen, black what came, in `colour` each member and, thicker, their mean."""
    axes.axvspan(fan.seen_time[0] if len(fan.seen_time) else fan.start, fan.start, color="#f3f5f7", zorder=0, lw=0)
    axes.axvline(fan.start, color="#c3ccd4", linewidth=0.8, zorder=1)
    for member in np.unique(fan.members, axis=0):  # commands are the same for all
        _line(axes, fan, fan.time, member, color=colour, linewidth=0.7, alpha=0.35, zorder=2)
    _line(axes, fan, fan.seen_time, fan.seen, color=MUTED, linewidth=1.3, zorder=3)
    _line(axes, fan, fan.came_time, fan.came, **_came(fan.as_recorded), linewidth=1.3)
    _line(axes, fan, fan.time, fan.mean, color=colour, linewidth=2.2, zorder=4)
    axes.margins(x=0, y=0.08)
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", style="plain", useOffset=False)  # a moment in a long recording is no power of ten


def panel_title(stream: str, column: str, unit: str) -> str:
    """What one of three panels beside each other shows; names for which there is no room lose their middles."""
    tail = f" ({unit})" if unit else ""
    room = _TITLE - len(tail)
    column = shortened(column, max(room // 2, room - len(stream)))
    stream = shortened(stream, room - len(column))
    return f"{stream} · {column}{tail}"


def name_lines(figure: "Figure | SubFigure", members: int, came: bool, as_recorded: bool = True) -> None:
    """Says above the panels of a figure what the lines of fans and tracks are; of what came only where some did."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=MUTED, linewidth=1.3, label="seen"),
        Line2D([], [], color=IMAGINED, linewidth=0.7, alpha=0.5, label=f"{members} imagined futures"),
        Line2D([], [], color=IMAGINED, linewidth=2.2, label="their mean"),
    ]
    if came:
        words = "what came" if as_recorded else "recorded, under the recorded commands"
        lines.insert(1, Line2D([], [], **_came(as_recorded), linewidth=1.3, label=words))
    figure.legend(handles=lines, loc="outside upper left", ncols=len(lines), frameon=False)


def _came(as_recorded: bool) -> dict[str, Any]:
    """How what came is drawn: what came under other commands is no truth, and stays behind."""
    return {"color": INK, "zorder": 5} if as_recorded else {"color": MUTED, "zorder": 3, "linestyle": (0, (4, 2))}


def _line(axes: "Axes", fan: Fan, time: np.ndarray, values: np.ndarray, **look: object) -> None:
    """A line through the readings that there are, cut where an angle wraps; a sparse stream's readings get dots."""
    known = np.isfinite(values)
    step = max(int(known.sum()) // _POINTS, 1)
    x, y = time[known][::step], values[known][::step]
    if len(known) and known.mean() < 0.5 and len(x) <= _SPARSE:
        look |= {"marker": "o", "markersize": 2.5}
    if fan.wraps:
        cuts = np.flatnonzero(np.abs(np.diff(y)) > np.pi) + 1
        x, y = np.insert(x, cuts, np.nan), np.insert(y, cuts, np.nan)
    axes.plot(x, y, drawstyle="steps-post" if fan.held else "default", **look)  # type: ignore[arg-type]


def draw_track(
    axes: "Axes",
    seen: np.ndarray,
    came: np.ndarray,
    members: np.ndarray,
    colour: str = IMAGINED,
    north: bool = True,
    as_recorded: bool = True,
) -> None:
    """The way on the ground in metres, first column to the right and second up, in the colours of a fan.

    Args:
        axes: gets a square map that holds these ways; what is drawn on it later does not widen it.
        seen: [C, 2 or more] before the start.
        came: [N, 2 or more] after it; NaN where there was no fix.
        members: [K, H, 2 or more].
        colour: of the futures.
        north: whether up is north.
        as_recorded: as in `Fan`.
    """
    for member in members:
        _way(axes, member, color=colour, linewidth=0.7, alpha=0.35, zorder=2)
    _way(axes, seen, color=MUTED, linewidth=1, marker="o", markersize=3, zorder=4)
    _way(axes, came, **_came(as_recorded), linewidth=1.8, marker="o", markersize=2.5)
    mean = _known(members.mean(0))
    _way(axes, mean, color=colour, linewidth=2.4, zorder=6)
    axes.plot(*mean[-1:].T, "o", markersize=6, color=colour, markeredgecolor="white", zorder=7)
    axes.plot(*_known(seen)[-1:].T, "o", markersize=8, color="white", markeredgecolor=INK, zorder=8)
    axes.set_facecolor("#f6f8f5")
    _frame(axes, [_known(way) for way in (seen, came, *members)])
    if north:
        _north(axes)


def draw_way(axes: "Axes", way: np.ndarray, colour: str, dashes: str) -> None:
    """Another predictor's way [H, 2 or more] on the map of `draw_track`, with a dot at its end."""
    _way(axes, way, color=colour, linestyle=dashes, linewidth=1.5, zorder=3)
    axes.plot(*_known(way)[-1:].T, "o", markersize=4, color=colour, zorder=3)


def _known(track: np.ndarray) -> np.ndarray:
    """The horizontal positions [N, 2] of a track [M, 2 or more] that are known."""
    return track[np.isfinite(track[:, :2]).all(1), :2]


def _way(axes: "Axes", track: np.ndarray, **look: object) -> None:
    known = _known(track)
    step = max(len(known) // _POINTS, 1)
    shown = np.concatenate([known[::step], known[-1:]])
    axes.plot(shown[:, 0], shown[:, 1], **look)  # type: ignore[arg-type]


def _frame(axes: "Axes", ways: Sequence[np.ndarray]) -> None:
    """A square with equal axes around the ways, with a grid of squares."""
    from matplotlib.ticker import MultipleLocator

    points = np.concatenate(ways)
    if not len(points):
        return
    low, high = points.min(0), points.max(0)
    half = (0.5 + _MARGIN) * max(float((high - low).max()), _LEAST_M)
    middle = (low + high) / 2
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")
    step = _grid_step(2 * half)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.yaxis.set_major_locator(MultipleLocator(step))


def _grid_step(width: float) -> float:
    """A round distance of which `width` holds two to five: more numbers would run into each other."""
    power = 10.0 ** np.floor(np.log10(width / 5))
    return next(float(step * power) for step in (1, 2, 5, 10) if step * power >= width / 5)


def _north(axes: "Axes") -> None:
    axes.annotate(
        "N", (0.94, 0.96), (0.94, 0.84), xycoords="axes fraction", ha="center", va="center", fontsize=9, color=MUTED,
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.2}, zorder=9,
    )  # fmt: skip

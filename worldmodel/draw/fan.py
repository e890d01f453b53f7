"""Member futures: one column over time as a fan of lines, and the ways on the ground."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.draw.style import IMAGINED, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 150  # of one line: more cannot be told apart in a panel
_SPARSE = 60  # readings up to here get dots


class Fan(NamedTuple):
    """One column around a start. Times are on any one clock; readings that are missing are NaN.

    Attributes:
        start: the moment that the futures begin.
        seen_time, seen: [C] before it. came_time, came: [N] after it.
        time, members: [H] and [K, H], the futures.
        wraps: whether values are angles in radians, +pi beside -pi.
        held: whether a value holds until the next (actions), and is not joined to it by a slope.
    """

    start: float
    seen_time: np.ndarray
    seen: np.ndarray
    came_time: np.ndarray
    came: np.ndarray
    time: np.ndarray
    members: np.ndarray
    wraps: bool = False
    held: bool = False


def draw_fan(axes: "Axes", fan: Fan) -> None:
    """Grey what was seen, black what came, blue each member and, thicker, their mean."""
    axes.axvspan(fan.seen_time[0] if len(fan.seen_time) else fan.start, fan.start, color="#f3f5f7", zorder=0, lw=0)
    axes.axvline(fan.start, color="#c3ccd4", linewidth=0.8, zorder=1)
    for member in np.unique(fan.members, axis=0):  # commands are the same for all
        _line(axes, fan, fan.time, member, color=IMAGINED, linewidth=0.7, alpha=0.35, zorder=2)
    _line(axes, fan, fan.seen_time, fan.seen, color=MUTED, linewidth=1.3, zorder=3)
    _line(axes, fan, fan.came_time, fan.came, color=INK, linewidth=1.3, zorder=5)
    _line(axes, fan, fan.time, mean_of(fan.members, fan.wraps), color=IMAGINED, linewidth=2.2, zorder=4)
    axes.margins(x=0, y=0.08)


def mean_of(members: np.ndarray, wraps: bool) -> np.ndarray:
    """The mean [H] of members [K, H], of angles the circular one."""
    return np.arctan2(np.sin(members).mean(0), np.cos(members).mean(0)) if wraps else members.mean(0)


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


def draw_track(axes: "Axes", seen: np.ndarray, came: np.ndarray, members: np.ndarray) -> None:
    """The way on the ground: east [..., 0] to the right and north [..., 1] up, in metres, in the colours of a fan.

    Args:
        axes: equal metres either way.
        seen: [C, 2 or more] before the start.
        came: [N, 2 or more] after it; NaN where there was no fix.
        members: [K, H, 2 or more].
    """
    for member in members:
        _way(axes, member, color=IMAGINED, linewidth=0.7, alpha=0.35, zorder=2)
    _way(axes, seen, color=MUTED, linewidth=1, marker="o", markersize=3, zorder=4)
    _way(axes, came, color=INK, linewidth=1.8, marker="o", markersize=2.5, zorder=5)
    mean = known_ways(members.mean(0))
    _way(axes, mean, color=IMAGINED, linewidth=2.4, zorder=6)
    axes.plot(*mean[-1:].T, "o", markersize=6, color=IMAGINED, markeredgecolor="white", zorder=7)
    axes.plot(*known_ways(seen)[-1:].T, "o", markersize=8, color="white", markeredgecolor=INK, zorder=8)
    axes.set(aspect="equal", facecolor="#f6f8f5", xlabel="east (m)", ylabel="north (m)")
    axes.set_adjustable("datalim")


def known_ways(track: np.ndarray) -> np.ndarray:
    """The horizontal positions [N, 2] of a track [M, 2 or more] that are known."""
    return track[np.isfinite(track[:, :2]).all(1), :2]


def _way(axes: "Axes", track: np.ndarray, **look: object) -> None:
    known = known_ways(track)
    step = max(len(known) // _POINTS, 1)
    shown = np.concatenate([known[::step], known[-1:]])
    axes.plot(shown[:, 0], shown[:, 1], **look)  # type: ignore[arg-type]

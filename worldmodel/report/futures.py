"""Plots of one start: sampled futures over the truth, and GPS tracks on a map in metres."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.types import StreamSpec
from worldmodel.validate.drawing import WIDTH, encode, style
from worldmodel.validate.labels import INK, MUTED, look
from worldmodel.validate.result import Example, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = 90  # on the whole page: it stays below a few megabytes
_POINTS = 150  # of one line


class _Signal(NamedTuple):
    """One column: context [C], truth [H], members [K, H] and their mean [H]; whether it is an angle that wraps."""

    title: str
    context: np.ndarray
    truth: np.ndarray
    members: np.ndarray
    mean: np.ndarray
    wraps: bool


def columns_drawn(result: Result) -> int:
    """How many columns of each stream are drawn of each example."""
    return int(np.clip(_PANELS // max(len(result.examples) * len(result.scores), 1), 1, 6))


def futures_plot(result: Result, example: Example) -> str:
    """Context, truth, members and their mean over time, one pair of axes a column. A data address."""
    from matplotlib.figure import Figure

    drawn = columns_drawn(result)
    signals = [s for name in example.members for s in _signals(example, result.streams[name])[:drawn]]
    columns = min(len(signals), 3)
    rows = -(-len(signals) // columns)
    with style():
        figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.35))
        for i, signal in enumerate(signals):
            axes = figure.add_subplot(rows, columns, i + 1)
            _draw(axes, example, signal, look(result.subject).colour)
            if i >= len(signals) - columns:
                axes.set_xlabel("seconds from the start")
        return encode(figure)


def _signals(example: Example, spec: StreamSpec) -> list[_Signal]:
    """Every column of a stream."""
    what, members = codec(spec), example.members[spec.name]
    mean = what.physical(what.features_of(members).mean(0))
    return [
        _Signal(
            f"{spec.name} · {label}{f' ({unit})' if unit else ''}", example.context[spec.name][:, i],
            example.truth[spec.name][:, i], members[:, :, i], mean[:, i], wraps,
        )
        for i, (label, unit, wraps) in enumerate(zip(what.labels, what.units, spec.circular, strict=False))
    ]  # fmt: skip


def _draw(axes: "Axes", example: Example, signal: _Signal, colour: str) -> None:
    axes.axvspan(example.context_time[0], 0, color="#f3f5f7", zorder=0, linewidth=0)
    axes.axvline(0, color="#c3ccd4", linewidth=0.8, zorder=1)
    for member in signal.members:
        _line(axes, example.time, member, signal.wraps, color=colour, linewidth=0.7, alpha=0.35, zorder=2)
    _line(axes, example.context_time, signal.context, signal.wraps, color=MUTED, linewidth=1.3, zorder=3)
    _line(axes, example.time, signal.truth, signal.wraps, color=INK, linewidth=1.3, zorder=5)
    _line(axes, example.time, signal.mean, signal.wraps, color=colour, linewidth=2.2, zorder=4)
    axes.set_title(signal.title)
    axes.set_xlim(example.context_time[0], example.time[-1])
    axes.margins(y=0.08)


def _line(axes: "Axes", time: np.ndarray, values: np.ndarray, wraps: bool, **look: object) -> None:
    """A line through the readings that there are, cut where an angle wraps; a sparse stream's readings get dots."""
    known = np.isfinite(values)
    step = max(int(known.sum()) // _POINTS, 1)
    x, y = time[known][::step], values[known][::step]
    if known.mean() < 0.5 and len(x) <= 60:
        look |= {"marker": "o", "markersize": 2.5}
    if wraps:
        cuts = np.flatnonzero(np.abs(np.diff(y)) > 0.9 * np.pi) + 1
        x, y = np.insert(x, cuts, np.nan), np.insert(y, cuts, np.nan)
    axes.plot(x, y, **look)  # type: ignore[arg-type]


def track_plot(result: Result, examples: list[Example], stream: str) -> str:
    """The ways on the ground of a position, its first column to the right, in metres. A data address."""
    from matplotlib.figure import Figure

    spec = result.streams[stream]
    of = " of the first fix" if spec.kind == "gps" else ""
    across, up = (f"{label}{of} (m)" for label in codec(spec).labels[:2])
    with style():
        figure = Figure(figsize=(WIDTH, WIDTH / max(len(examples), 2) + 0.35))
        for i, example in enumerate(examples):
            axes = figure.add_subplot(1, max(len(examples), 2), i + 1)
            _track(axes, example, spec, look(result.subject).colour)
            axes.set_xlabel(across)
            if i == 0:
                axes.set_ylabel(up)
            axes.set_title(f"{example.episode}, from {example.at_s:.4g} s")
        return encode(figure)


def _track(axes: "Axes", example: Example, spec: StreamSpec, colour: str) -> None:
    stream, members = spec.name, example.members[spec.name]
    mean = members.mean(0)
    for name, ahead in example.baselines.items():
        if stream not in ahead:
            continue
        _way(axes, ahead[stream], color=look(name).colour, linestyle=look(name).dashes, linewidth=1.5, zorder=3)
        axes.plot(*ahead[stream][-1, :2], "o", markersize=4, color=look(name).colour, zorder=3)
    for member in members:
        _way(axes, member, color=colour, linewidth=0.7, alpha=0.35, zorder=2)
    _way(axes, example.context[stream], color=MUTED, linewidth=1, marker="o", markersize=3, zorder=4)
    _way(axes, example.truth[stream], color=INK, linewidth=1.8, marker="o", markersize=2.5, zorder=5)
    _way(axes, mean, color=colour, linewidth=2.4, zorder=6)
    axes.plot(*mean[-1, :2], "o", markersize=6, color=colour, markeredgecolor="white", zorder=7)
    last = _known(example.context[stream])[-1:]
    axes.plot(last[:, 0], last[:, 1], "o", markersize=8, color="white", markeredgecolor=INK, zorder=8)
    axes.set_facecolor("#f6f8f5")
    _frame(axes, [_known(part) for part in (example.context[stream], example.truth[stream], *members)])
    if spec.kind == "gps" or spec.frame == "enu":
        _north(axes)


def _way(axes: "Axes", track: np.ndarray, **look: object) -> None:
    known = _known(track)
    step = max(len(known) // _POINTS, 1)
    shown = np.concatenate([known[::step], known[-1:]])
    axes.plot(shown[:, 0], shown[:, 1], **look)  # type: ignore[arg-type]


def _known(track: np.ndarray) -> np.ndarray:
    """The horizontal positions [N, 2] that are known."""
    return track[np.isfinite(track[:, :2]).all(1), :2]


def _frame(axes: "Axes", tracks: list[np.ndarray]) -> None:
    """A square with equal axes around the tracks; baselines that leave it are cut off."""
    from matplotlib.ticker import MultipleLocator

    points = np.concatenate(tracks)
    if not len(points):
        return
    low, high = points.min(0), points.max(0)
    half = 0.56 * max(float((high - low).max()), 0.1)
    middle = (low + high) / 2
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")
    step = _step(2 * half)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.yaxis.set_major_locator(MultipleLocator(step))


def _north(axes: "Axes") -> None:
    axes.annotate(
        "N", (0.94, 0.96), (0.94, 0.84), xycoords="axes fraction", ha="center", va="center", fontsize=9, color=MUTED,
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.2}, zorder=9,
    )  # fmt: skip


def _step(width: float) -> float:
    """A round distance of which `width` holds four to ten, so that the grid is of squares."""
    power = 10.0 ** np.floor(np.log10(width / 4))
    return next(float(step * power) for step in (5, 2, 1) if step * power <= width / 4)

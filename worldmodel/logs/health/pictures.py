"""Pictures of a log's health: where samples are, what was commanded, and the rows that a finding is about."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.draw import INK, MUTED, WIDTH, Picture, new_figure, style
from worldmodel.logs.health.finding import Finding
from worldmodel.logs.health.survey import Coverage, Health
from worldmodel.logs.physical import first_fix, physical_columns, physical_values
from worldmodel.logs.reader import Stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_EPISODES = 200  # columns of the map
_MOST_COLUMNS = 12  # histograms
_LINES = 6
_POINTS = 4000
_MARK = "#D55E00"
# Of these a trace shows nothing: they are about two streams, or about none.
_UNSEEN = (
    "copies",
    "commands: lead",
    "commands: late",
    "clock: offset",
    "values: looks ahead",
    "frames",
    "clock: rate",
)


def draw_filled(health: Health) -> Picture:
    """A map of streams and episodes: the share of the ticks with a sample, of as many as the stream's rate fills."""
    from matplotlib.ticker import MaxNLocator

    names = list(health.log.streams)
    fills = [
        1.0 if spec.kind == "action" else min(spec.rate_hz * health.dt, 1.0) for spec in health.log.streams.values()
    ]
    shares = (health.filled / np.maximum(health.ticks, 1)[:, None] / fills).T
    if shares.shape[1] > _MOST_EPISODES:
        parts = np.array_split(np.arange(shares.shape[1]), _MOST_EPISODES)
        shares = np.stack([shares[:, part].mean(1) for part in parts], 1)
    with style():
        figure = new_figure(WIDTH, 0.9 + 0.28 * len(names))
        axes = figure.subplots()
        image = axes.imshow(
            shares, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest",
            extent=(-0.5, len(health.log.episodes) - 0.5, len(names) - 0.5, -0.5),
        )  # fmt: skip
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("episode")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(False)
        figure.colorbar(image, ax=axes, label="of what its rate fills", fraction=0.03, pad=0.01)
        return Picture(figure, "ticks that have a sample, by stream and episode")


def draw_commands(health: Health) -> Picture | None:
    """How often each command had which value; None where nothing moves."""
    moving = [part for part in health.coverage if part.high > part.low][:_MOST_COLUMNS]
    if not moving:
        return None
    wide = min(len(moving), 4)
    high = -(-len(moving) // wide)
    with style():
        figure = new_figure(WIDTH, 0.2 + 1.5 * high)
        grid = figure.subplots(high, wide, squeeze=False)
        for axes in grid.flat[len(moving) :]:
            axes.set_axis_off()
        for axes, part in zip(grid.flat, moving, strict=False):
            _draw_histogram(axes, part)
        return Picture(figure, "what was commanded, and how often")


def _draw_histogram(axes: "Axes", part: Coverage) -> None:
    width = (part.high - part.low) / len(part.histogram)
    places = part.low + width * (np.arange(len(part.histogram)) + 0.5)
    axes.bar(places, part.histogram / part.histogram.sum(), width * 0.92)
    axes.set_title(f"{part.stream}.{part.column}{f' ({part.unit})' if part.unit else ''}", fontsize=8.5)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def draw_finding(health: Health, finding: Finding) -> Picture | None:
    """The stream over the episode that a finding is about, its rows marked; None where that shows nothing."""
    stream = _stream(health, finding)
    if stream is None or finding.check.startswith(_UNSEEN) or stream.spec.kind == "video" or len(stream) < 2:
        return None
    (labels, units, data), time = _shown(stream), stream.time
    columns = _columns(finding, labels)
    step = max(len(time) // _POINTS, 1)
    with style():
        figure = new_figure(WIDTH, 1.9)
        axes = figure.subplots()
        for index in columns:
            axes.plot(time[::step], data[::step, index], label=labels[index], linewidth=0.9)
        rows = finding.rows[finding.rows < len(time)]
        for row in rows[:: max(len(rows) // _POINTS, 1)] if len(columns) == 1 else ():
            axes.plot(time[row], data[row, columns[0]], ".", color=_MARK, markersize=4)
        if len(columns) > 1 and len(rows):
            _shade(axes, time, rows)
        axes.set_xlabel("s")
        axes.set_ylabel(units[columns[0]] or "1", color=MUTED)
        axes.set_title(f"{finding.stream} in {finding.episode}", color=INK)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
        return Picture(figure, f"{finding.stream}: {finding.text}")


def _shade(axes: "Axes", time: np.ndarray, rows: np.ndarray) -> None:
    half = float(np.median(np.diff(time))) / 2
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)[:_MOST_EPISODES]:
        axes.axvspan(time[run[0]] - half, time[run[-1]] + half, color=_MARK, alpha=0.2, lw=0)


def _stream(health: Health, finding: Finding) -> Stream | None:
    for episode in health.log.episodes:
        if episode.name == finding.episode:
            return episode.streams.get(finding.stream)
    return None


def _shown(stream: Stream) -> tuple[Sequence[str], Sequence[str], np.ndarray]:
    """Columns, their units, and readings [M, P]: of fixes metres from the first."""
    if stream.spec.kind != "gps":
        return stream.spec.columns, stream.spec.units, stream.data
    labels, units, _ = physical_columns(stream.spec)
    return labels, units, physical_values(stream.spec, stream.data, first_fix(stream.spec, stream.data))


def _columns(finding: Finding, labels: Sequence[str]) -> list[int]:
    """The columns that a finding names, or the first."""
    words = set(re.findall(r"[\w.\-]+", finding.text))
    named = [i for i, column in enumerate(labels) if column in words]
    return (named or list(range(len(labels))))[:_LINES]

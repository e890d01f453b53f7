"""Plots of error against horizon, and of calibration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.draw import MUTED, WIDTH, Picture, new_figure, style
from worldmodel.validate.labels import Scores, coverage90, look, number, predictors, scores, standing
from worldmodel.validate.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6  # of one stream that are drawn
_NAMES = 6  # of predictors in a row of a legend
_SEEN = 0.01  # least share of the blend that a legend names
_ROOM = 3.0  # how many times the subject's error an axis shows; a rival that is worse is cut off, and said so


class _Panel(NamedTuple):
    """One pair of axes: by predictor [H] over `x` [H] seconds, the subject's with a band of its interval."""

    title: str
    x: np.ndarray
    lines: dict[str, np.ndarray]
    subject: str
    band: np.ndarray | None = None
    dots: bool = False
    more_is_better: bool = False


def draw_errors(result: Result, stream: Scores) -> Picture:
    """Error of every predictor against the horizon: the stream's NRMSE, and each column in its unit."""
    panels = [_main_panel(stream), *_column_panels(result, stream)]
    small = len(panels) - 1
    rows = 1 if small <= 3 else 2
    columns = -(-small // rows)
    with style():
        figure = new_figure(WIDTH, 2.9 if rows == 1 else 3.9)
        grid = figure.add_gridspec(rows, columns + 1, width_ratios=[1 if small == 1 else 1.45, *[1] * columns])
        places = [grid[:, 0], *(grid[i // columns, 1 + i % columns] for i in range(small))]
        for i, (panel, place) in enumerate(zip(panels, places, strict=True)):
            axes = figure.add_subplot(place)
            _draw(axes, panel)
            _plain(axes, panel.x, few=small > 1 and i > 0)
            if i == 0 or i > small - columns:
                axes.set_xlabel("seconds ahead")
    return Picture(figure, f"errors of {stream.name}")


def draw_overview(result: Result) -> Picture:
    """One panel a stream, with a legend of the predictors."""
    streams = scores(result)
    columns = min(max(len(streams), 1), 3)
    rows = -(-len(streams) // columns) or 1
    with style():
        figure = new_figure(WIDTH, 2.7 * rows + 0.4)
        for i, stream in enumerate(streams):
            axes, panel = figure.add_subplot(rows, columns, i + 1), _main_panel(stream)
            _draw(axes, panel._replace(title=f"{stream.name}, {'PSNR (dB)' if stream.is_video else 'NRMSE'}"))
            _plain(axes, panel.x, few=True)
            if i >= len(streams) - columns:
                axes.set_xlabel("seconds ahead")
        _legend(figure, predictors(result))
    return Picture(figure, f"errors of {result.setting.name!r} against the horizon")


def _legend(figure: "Figure", names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    looks = [look(name) for name in names]
    lines = [Line2D([], [], color=shown.colour, ls=shown.dashes, label=shown.label) for shown in looks]
    figure.legend(handles=lines, loc="outside upper left", ncols=min(len(lines), _NAMES), frameon=False)


def _main_panel(stream: Scores) -> _Panel:
    """The stream's NRMSE, or of video its PSNR."""
    horizons = np.asarray(stream.horizons, float)
    if stream.is_video:
        lines = _tabulated(stream, "psnr")
        return _Panel("PSNR (dB), more is better", horizons, lines, stream.subject, dots=True, more_is_better=True)
    ends = [_tabulated(stream, key) for key in ("nrmse_low", "nrmse_high")]
    band = np.stack([end[stream.subject] for end in ends]) if stream.subject in stream.entry else None
    title = "NRMSE (1 = no better than the average)"
    return _Panel(title, horizons, _tabulated(stream, "nrmse"), stream.subject, band, True)


def _column_panels(result: Result, stream: Scores) -> list[_Panel]:
    """Each component's error in its unit; of what is one distance, that distance and then the others."""
    if stream.is_video:
        title = "RMSE of pixels (0 to 1)"
        return [_Panel(title, np.asarray(stream.horizons), _tabulated(stream, "rmse"), stream.subject, dots=True)]
    what, table = codec(stream.spec), result.scores[stream.name]
    names = [
        f"{label}, RMSE{f' ({unit})' if unit else ''}"
        for label, unit in zip(what.error_labels, what.error_units, strict=True)
    ]
    curves = [(name, {p: score.column_rmse[:, i] for p, score in table.items()}) for i, name in enumerate(names)]
    if what.distance:
        together = {p: score.rmse for p, score in table.items()}
        curves = [(f"{what.measure.title}, RMSE ({what.measure.unit})", together), *curves[what.figure.stop :]]
    return [_Panel(title, result.times, lines, stream.subject) for title, lines in curves[:COLUMNS]]


def _tabulated(stream: Scores, key: str) -> dict[str, np.ndarray]:
    """By predictor [T], NaN where undefined."""
    span = range(len(stream.horizons))
    return {p: np.array([stream.get(p, key, i) for i in span], float) for p in stream.predictors}


def _draw(axes: "Axes", panel: _Panel) -> None:
    axes.set_title(panel.title)
    if panel.band is not None and np.isfinite(panel.band).any():
        axes.fill_between(panel.x, *panel.band, color=look(panel.subject).colour, alpha=0.16, linewidth=0)
    for predictor in reversed(panel.lines):
        ours, values = predictor == panel.subject, panel.lines[predictor]
        known = np.isfinite(values)
        marker = "o" if panel.dots or known.sum() == 1 else ""
        axes.plot(
            panel.x[known], values[known], look(predictor).dashes, marker=marker, markersize=4.5 if ours else 3,
            color=look(predictor).colour, linewidth=2.4 if ours else 1.4, zorder=4 if ours else 3,
        )  # fmt: skip
    if panel.band is not None:
        axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (1, 3)), zorder=2)
    if not panel.more_is_better:
        _limit(axes, panel)


def _limit(axes: "Axes", panel: _Panel) -> None:
    """Starts the axis at zero and keeps the subject's curve readable where a rival explodes."""
    highest = {p: float(np.nanmax(v)) for p, v in panel.lines.items() if np.isfinite(v).any()}
    band = panel.band if panel.band is not None and np.isfinite(panel.band).any() else np.zeros(1)
    top = max([*highest.values(), float(np.nanmax(band))], default=1.0)
    room = _ROOM * max(highest.get(panel.subject, top), float(np.nanmax(band)))
    axes.set_ylim(0, 1.06 * min(top, room) or 1)
    cut = [p for p in panel.lines if highest.get(p, 0) > 1.06 * room > 0]
    for row, predictor in enumerate(cut):
        axes.text(
            0.03, 0.97 - 0.08 * row, f"{look(predictor).label} reaches {number(highest[predictor])}", fontsize=7.5,
            color=look(predictor).colour, ha="left", va="top", transform=axes.transAxes, zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip


def _plain(axes: "Axes", horizons: np.ndarray, few: bool) -> None:
    """A logarithmic axis of horizons [H] in seconds with plain numbers."""
    low, high = float(np.min(horizons)), float(np.max(horizons))
    axes.set_xscale("log")
    axes.set_xlim(low / 1.08, high * 1.08)
    steps = (1,) if few and high / low > 30 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(-6, 6) for step in steps]
    shown = [tick for tick in ticks if low / 1.01 <= tick <= high * 1.01] or [low]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)


def draw_trust(result: Result) -> Picture:
    """Which expert is trusted where: shares of the blend against the horizon, small axes for each stream."""
    names = list(result.trust)
    columns = min(max(len(names), 3), 4)
    rows = -(-len(names) // columns)
    with style():
        figure = new_figure(WIDTH, 1.9 * rows + 0.5)
        for i, name in enumerate(names):
            axes, shares = figure.add_subplot(rows, columns, i + 1), result.trust[name]
            x = np.asarray(result.times) if len(result.times) > 1 else np.array([0.9, 1.1]) * result.times[0]
            heights = np.stack([np.broadcast_to(100 * share, x.shape) for share in shares.values()])
            axes.stackplot(x, heights, colors=[look(expert).colour for expert in shares], alpha=0.85, linewidth=0)
            _plain(axes, x, few=True)
            axes.set(title=name, ylim=(0, 100), yticks=[0, 50, 100])
            if i % columns == 0:
                axes.set_ylabel("share of the blend (%)")
            if i >= len(names) - columns:
                axes.set_xlabel("seconds ahead")
        counting = [e for e in dict.fromkeys(e for t in result.trust.values() for e in t) if _counts(result, e)]
        _legend(figure, counting)
    return Picture(figure, "which expert is trusted where")


def _counts(result: Result, expert: str) -> bool:
    return any(table[expert].max() > _SEEN for table in result.trust.values() if expert in table)


def draw_calibration(result: Result) -> Picture:
    """Nominal against observed coverage, small axes for each stream."""
    names = [n for n, seen in result.calibration.items() if np.isfinite(seen).any() and n not in standing(result)]
    columns = min(max(len(names), 4), 6)
    rows = -(-len(names) // columns)
    covered = coverage90(result)
    with style():
        figure = new_figure(WIDTH, rows * WIDTH / columns * 1.02 + 0.3)
        for i, name in enumerate(names):
            axes = figure.add_subplot(rows, columns, i + 1)
            seen = result.calibration[name]
            axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.fill_between(
                100 * result.levels, 100 * result.levels, 100 * seen, color=look(result.subject).colour, alpha=0.14
            )
            axes.plot(
                100 * result.levels, 100 * seen, "-o", color=look(result.subject).colour, markersize=4, linewidth=2.2
            )
            axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal", xticks=[0, 50, 100], yticks=[0, 50, 100])
            axes.set_title(name)
            if name in covered:
                axes.text(96, 6, f"90 % holds {100 * covered[name]:.0f} %", ha="right", fontsize=8, color=MUTED)
            if i % columns == 0:
                axes.set_ylabel("observed, %")
            if i >= len(names) - columns:
                axes.set_xlabel("nominal, %")
    return Picture(figure, f"calibration of {result.setting.name!r}")

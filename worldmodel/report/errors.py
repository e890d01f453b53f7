"""Plots of error against horizon, and of calibration."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.report.drawing import WIDTH, encode, plain, style
from worldmodel.report.labels import MUTED, Scores, look, number
from worldmodel.report.notes import coverage90
from worldmodel.validate.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 6  # of one stream that are drawn
_ROOM = 3.0  # how many times the model's error an axis shows; a baseline that is worse is cut off, and said so


class _Panel(NamedTuple):
    """One pair of axes: by predictor [H] over `x` [H] seconds."""

    title: str
    x: np.ndarray
    lines: dict[str, np.ndarray]
    band: np.ndarray | None = None
    dots: bool = False


def error_plot(result: Result, stream: Scores) -> str:
    """Error of every predictor against the horizon: the stream's NRMSE, and each column in its unit. A data address."""
    from matplotlib.figure import Figure

    panels = _panels(result, stream)
    small = len(panels) - 1
    rows = 1 if small <= 3 else 2
    columns = -(-small // rows)
    with style():
        figure = Figure(figsize=(WIDTH, 2.9 if rows == 1 else 3.9))
        grid = figure.add_gridspec(rows, columns + 1, width_ratios=[1 if small == 1 else 1.45, *[1] * columns])
        places = [grid[:, 0], *(grid[i // columns, 1 + i % columns] for i in range(small))]
        for i, (panel, place) in enumerate(zip(panels, places, strict=True)):
            axes = figure.add_subplot(place)
            _draw(axes, panel, stream.kind == "video" and i == 0)
            plain(axes, panel.x, few=small > 1 and i > 0)
            if i == 0 or i > small - columns:
                axes.set_xlabel("seconds ahead")
        return encode(figure)


def _panels(result: Result, stream: Scores) -> list[_Panel]:
    horizons = np.asarray(stream.horizons, float)
    if stream.kind == "video":
        titles = {"psnr": "PSNR (dB), more is better", "rmse": "RMSE of pixels (0 to 1)"}
        return [_Panel(title, horizons, _tabulated(stream, key), dots=True) for key, title in titles.items()]
    band = np.stack([_row(stream, "model", "nrmse_low"), _row(stream, "model", "nrmse_high")])
    first = _Panel("NRMSE (1 = no better than the average)", horizons, _tabulated(stream, "nrmse"), band, True)
    curves = result.curves.get(stream.name, {})
    names = result.columns.get(stream.name, [])
    if stream.kind == "gps":
        across = {p: np.hypot(curve[:, 0], curve[:, 1]) for p, curve in curves.items()}
        up = {p: curve[:, 2] for p, curve in curves.items()}
        parts = [("horizontal position, RMSE (m)", across), ("altitude, RMSE (m)", up)]
    else:
        parts = [
            (f"{name}, RMSE{f' ({unit})' if unit else ''}", {p: curve[:, i] for p, curve in curves.items()})
            for i, (name, unit) in enumerate(names[:COLUMNS])
        ]
    return [first, *(_Panel(title, result.curve_s, lines) for title, lines in parts)]


def _row(stream: Scores, predictor: str, key: str) -> np.ndarray:
    """[H] figures, NaN where undefined."""
    return np.array([stream.get(predictor, key, i) for i in range(len(stream.horizons))], float)


def _tabulated(stream: Scores, key: str) -> dict[str, np.ndarray]:
    return {predictor: _row(stream, predictor, key) for predictor in stream.predictors}


def _draw(axes: "Axes", panel: _Panel, more_is_better: bool) -> None:
    axes.set_title(panel.title)
    if panel.band is not None and np.isfinite(panel.band).any():
        axes.fill_between(panel.x, *panel.band, color=look("model").colour, alpha=0.16, linewidth=0)
    for predictor in reversed(panel.lines):
        ours, values = predictor == "model", panel.lines[predictor]
        known = np.isfinite(values)
        marker = "o" if panel.dots or known.sum() == 1 else ""
        axes.plot(
            panel.x[known], values[known], look(predictor).dashes, marker=marker, markersize=4.5 if ours else 3,
            color=look(predictor).colour, linewidth=2.4 if ours else 1.4, zorder=4 if ours else 3,
        )  # fmt: skip
    if panel.band is not None:
        axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (1, 3)), zorder=2)
    if not more_is_better:
        _limit(axes, panel)


def _limit(axes: "Axes", panel: _Panel) -> None:
    """Starts the axis at zero and keeps the model's curve readable where a baseline explodes."""
    highest = {p: float(np.nanmax(v)) for p, v in panel.lines.items() if np.isfinite(v).any()}
    band = panel.band if panel.band is not None and np.isfinite(panel.band).any() else np.zeros(1)
    top = max([*highest.values(), float(np.nanmax(band))], default=1.0)
    room = _ROOM * max(highest.get("model", top), float(np.nanmax(band)))
    axes.set_ylim(0, 1.06 * min(top, room) or 1)
    cut = [p for p in panel.lines if highest.get(p, 0) > 1.06 * room > 0]
    for row, predictor in enumerate(cut):
        axes.text(
            0.03, 0.97 - 0.08 * row, f"{look(predictor).label} reaches {number(highest[predictor])}", fontsize=7.5,
            color=look(predictor).colour, ha="left", va="top", transform=axes.transAxes, zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip


def calibration_plot(result: Result) -> str:
    """Nominal against observed coverage, small axes for each stream. A data address."""
    from matplotlib.figure import Figure

    names = [name for name, seen in result.calibration.items() if np.isfinite(seen).any()]
    columns = min(max(len(names), 4), 6)
    rows = -(-len(names) // columns)
    covered = coverage90(result)
    with style():
        figure = Figure(figsize=(WIDTH, rows * WIDTH / columns * 1.02 + 0.3))
        for i, name in enumerate(names):
            axes = figure.add_subplot(rows, columns, i + 1)
            seen = result.calibration[name]
            axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            axes.fill_between(
                100 * result.levels, 100 * result.levels, 100 * seen, color=look("model").colour, alpha=0.14
            )
            axes.plot(100 * result.levels, 100 * seen, "-o", color=look("model").colour, markersize=4, linewidth=2.2)
            axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal", xticks=[0, 50, 100], yticks=[0, 50, 100])
            axes.set_title(name)
            if name in covered:
                axes.text(96, 6, f"90 % holds {100 * covered[name]:.0f} %", ha="right", fontsize=8, color=MUTED)
            if i % columns == 0:
                axes.set_ylabel("observed, %")
            if i >= len(names) - columns:
                axes.set_xlabel("nominal, %")
        return encode(figure)

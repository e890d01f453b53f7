"""Tables of figures as the README shows them: the mean over seeds (least to most)."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

PREDICTORS = {
    "model": "world model",
    "mean": "mean",
    "hold": "hold-last",
    "velocity": "constant velocity",
    "linear": "linear",
    "dead_reckoning": "dead reckoning",
    "floor_reading": "MuJoCo from the last reading",
    "floor_estimate": "MuJoCo from the best estimate",
}
STREAMS = {"gps": "GPS position", "wheels": "wheel speeds"}

Rows = Iterable[tuple[str, list[list[float | None]]]]


def by_stream(title: str, ahead_s: Sequence[float], metrics: list[dict[str, Any]]) -> str:
    """Each stream's error in its unit, of video the PSNR; `metrics` are those of each seed."""
    rows = []
    for stream, entry in metrics[0]["streams"].items():
        figure = "psnr" if "psnr" in entry["model"] else "rmse"
        named = STREAMS.get(stream, stream)
        unit = "PSNR, dB" if figure == "psnr" else entry["unit"].replace("^2", "²")
        for predictor in (name for name in entry if name in PREDICTORS and name != "velocity"):
            spoken = "mean frame" if (figure, predictor) == ("psnr", "mean") else PREDICTORS[predictor]
            spoken = f"**{spoken}**" if predictor == "model" else spoken
            rows.append((f"{named} ({unit}): {spoken}", [m["streams"][stream][predictor][figure] for m in metrics]))
    return table(title, ahead_s, metrics[0]["horizons_s"], rows)


def overall(title: str, ahead_s: Sequence[float], metrics: list[dict[str, Any]]) -> str:
    """The NRMSE of all readings."""
    rows = ((spoken, nrmse(metrics, name)) for name, spoken in PREDICTORS.items() if name in metrics[0]["overall"])
    return table(title, ahead_s, metrics[0]["horizons_s"], rows)


def nrmse(metrics: list[dict[str, Any]], predictor: str = "model") -> list[list[float | None]]:
    """Of all readings, by seed and horizon."""
    return [m["overall"][predictor]["nrmse"] for m in metrics]


def besides(metrics: list[dict[str, Any]]) -> str:
    """A line on what the tables leave out: coverage over streams, horizons and seeds, and sensitivity to actions."""
    covered = [
        100 * value
        for m in metrics
        for entry in m["streams"].values()
        for value in entry["model"].get("coverage90", [])
        if value is not None
    ]
    sensitivity = [m["action_sensitivity"] for m in metrics if m["action_sensitivity"] is not None]
    parts = [f"intervals of 90 % hold {min(covered):.0f} to {max(covered):.0f} %"] if covered else []
    parts += [f"action sensitivity {', '.join(f'{value:.2f}' for value in sensitivity)}"] if sensitivity else []
    return "; ".join(parts)


def table(title: str, ahead_s: Sequence[float], horizons_s: list[float], rows: Rows) -> str:
    """Markdown, a column for each of `ahead_s`, of rows whose figures are aligned with `horizons_s`."""
    at = [int(np.argmin(np.abs(np.subtract(horizons_s, s)))) for s in ahead_s]
    milliseconds = max(ahead_s) < 1
    ahead = [f"{1000 * s:g} ms" if milliseconds else f"{s:g} s" for s in ahead_s]
    lines = [_line(title, ahead), "|" + "---|" * (1 + len(at))]
    lines += [_line(name, [cell([seed[i] for seed in seeds]) for i in at]) for name, seeds in rows]
    return "\n".join(lines)


def cell(seeds: Sequence[float | None]) -> str:
    """One figure of several seeds: their mean (least to most)."""
    known = np.array([np.nan if value is None else value for value in seeds], float)
    if np.isnan(known).any():
        return "-"
    span = f" ({known.min():.3g} to {known.max():.3g})" if len(known) > 1 else ""
    return f"{known.mean():.3g}{span}"


def _line(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"

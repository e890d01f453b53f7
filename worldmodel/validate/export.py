"""A result's figures for machines: the JSON of `metrics.json` (docs/metrics.md), and a pandas frame."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.types import StreamSpec
from worldmodel.validate.result import Result
from worldmodel.validate.scores import Score
from worldmodel.validate.video import VideoScore

if TYPE_CHECKING:
    import pandas as pd

    from worldmodel.validate.outages import Cost, Outage

FORMAT, VERSION = "worldmodel-metrics", 2
_CURVES = tuple(name for name in Score._fields if not name.startswith("column_"))


def to_json(result: Result) -> dict[str, Any]:
    """The content of `metrics.json`; a figure that is undefined is None."""
    ticks = list(result.horizons.values())
    streams: dict[str, Any] = {}
    for name, table in result.scores.items():
        spec = result.streams[name]
        units = dict.fromkeys(codec(spec).error_units[codec(spec).figure])
        entries = {predictor: _stream_json(score, spec, ticks) for predictor, score in table.items()}
        streams[name] = {"unit": ", ".join(units), **entries}
    for name, films in result.video.items():
        streams[name] = {"unit": "", **{predictor: _video_json(score) for predictor, score in films.items()}}
    return {
        "format": FORMAT,
        "version": VERSION,
        "problem": result.setting._asdict(),
        "subject": result.subject,
        "horizons_s": list(result.horizons),
        "streams": streams,
        "overall": {predictor: {"nrmse": _plain(curve[ticks])} for predictor, curve in result.overall.items()},
        "trust": {
            stream: {expert: _plain(share[ticks]) for expert, share in shares.items()}
            for stream, shares in result.trust.items()
        },
        "still": {
            name: {"trained": list(still.trained), "measured": list(still.measured), "judged": not still.whole}
            for name, still in result.still.items()
        },
        "outages": [_outage_json(outage, result.streams, ticks) for outage in result.outages],
        "action_sensitivity": result.action_sensitivity,
        "shared_roles": result.shared_roles,
        "notes": result.notes,
        **result.provenance._asdict(),
    }


def to_frame(result: Result) -> "pd.DataFrame":
    """Every defined figure at every tick, a row each; `rmse` and `crps` of a column are called `rmse x`, `crps x`."""
    import pandas as pd

    parts = [
        pd.DataFrame({"stream": stream, "predictor": predictor, "horizon_s": times, "figure": figure, "value": values})
        for stream, predictor, times, figure, values in _curves(result)
    ]
    if not parts:
        return pd.DataFrame({"stream": [], "predictor": [], "horizon_s": [], "figure": [], "value": []})
    return pd.concat(parts, ignore_index=True).dropna(ignore_index=True)


def _curves(result: Result) -> Iterator[tuple[str, str, np.ndarray, str, np.ndarray]]:
    for stream, table in result.scores.items():
        labels = codec(result.streams[stream]).error_labels
        for predictor, score in table.items():
            for figure in _CURVES:
                yield stream, predictor, result.times, figure, getattr(score, figure)
            for i, label in enumerate(labels):
                yield stream, predictor, result.times, f"rmse {label}", score.column_rmse[:, i]
                yield stream, predictor, result.times, f"crps {label}", score.column_crps[:, i]
    for stream, films in result.video.items():
        for predictor, seen in films.items():
            for figure in VideoScore._fields:
                yield stream, predictor, np.array(list(result.horizons)), figure, getattr(seen, figure)


def _stream_json(score: Score, spec: StreamSpec, ticks: list[int]) -> dict[str, Any]:
    labels = codec(spec).error_labels
    columns = {
        key: {label: _plain(values[ticks, i]) for i, label in enumerate(labels)}
        for key, values in (("columns", score.column_rmse), ("columns_crps", score.column_crps))
    }
    return {name: _plain(getattr(score, name)[ticks]) for name in _CURVES} | columns


def _video_json(score: VideoScore) -> dict[str, Any]:
    return {name: _plain(values) for name, values in score._asdict().items()}


def _outage_json(outage: "Outage", specs: dict[str, StreamSpec], ticks: list[int]) -> dict[str, Any]:
    return {
        "name": outage.name,
        "text": outage.text,
        "hit": list(outage.hit),
        "episodes": outage.episodes,
        "starts": outage.starts,
        "streams": {s: {p: _cost_json(cost, ticks) for p, cost in table.items()} for s, table in outage.costs.items()},
        "video": {
            name: {p: _pair("psnr", *(seen.psnr for seen in both)) for p, both in table.items()}
            for name, table in outage.video.items()
        },
        "trust": {
            stream: {expert: _pair("share", *(share[ticks] for share in both)) for expert, both in shares.items()}
            for stream, shares in outage.trust.items()
        },
        "raw_fix": None if outage.raw_fix is None else _plain(outage.raw_fix[ticks]),
    }


def _cost_json(cost: "Cost", ticks: list[int]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for key in ("rmse", "nrmse"):
        figures |= _pair(key, *(getattr(score, key)[ticks] for score in (cost.without, cost.faulty)))
    ratios = (cost.ratio, cost.low, cost.high)
    return figures | {k: _plain(v[ticks]) for k, v in zip(("ratio", "ratio_low", "ratio_high"), ratios, strict=True)}


def _pair(key: str, without: np.ndarray, faulty: np.ndarray) -> dict[str, Any]:
    return {key: _plain(without), f"{key}_faulty": _plain(faulty)}


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]

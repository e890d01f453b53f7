"""Results that no model made: plausible ones to draw, and figures by hand to describe."""

from typing import Any

import numpy as np

from worldmodel.validate.result import Example, Result

HORIZONS = [0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0]
DT, TICKS, CONTEXT = 0.01, 300, 50
PREDICTORS = ("model", "hold", "velocity", "linear", "floor_reading")
# error(h) = start + (end - start) * (h / 3)^power, relative to the standard deviation
SHAPES = {
    "model": (0.05, 0.75, 0.8),
    "hold": (0.03, 1.4, 0.5),
    "velocity": (0.02, 6.0, 1.3),
    "linear": (0.04, 1.1, 0.6),
    "floor_reading": (0.02, 0.85, 0.9),
}
COLUMNS = {
    "accelerometer": [("x", "m/s²"), ("y", "m/s²"), ("z", "m/s²")],
    "gyro": [("x", "rad/s"), ("y", "rad/s"), ("z", "rad/s")],
    "wheel speed": [("left", "rad/s"), ("right", "rad/s")],
    "heading": [("angle", "rad")],
    "gps": [("east", "m"), ("north", "m"), ("up", "m")],
}


def figures(model: list, others: dict[str, list], *, width: float = 0.1, key: str = "nrmse") -> dict[str, Any]:
    """One stream's metrics from figures by horizon, with intervals of `width` to both sides."""

    def entry(values: list) -> dict[str, list]:
        sides = (("low", -1), ("high", 1))
        edges = {f"nrmse_{side}": [None if v is None else v * (1 + s * width) for v in values] for side, s in sides}
        gaps = {f"gap_{side}": [_gap(v, m, s * width) for v, m in zip(values, model, strict=True)] for side, s in sides}
        return {"rmse": values, key: values, **(edges | gaps if key == "nrmse" else {})}

    return {"unit": "m", "model": entry(model), **{name: entry(values) for name, values in others.items()}}


def _gap(value: float | None, model: float | None, width: float) -> float | None:
    """An end of the interval of `value - model`, whose own intervals reach `width` of them to both sides."""
    return None if value is None or model is None else value - model + width * (value + model)


def by_hand(streams: dict[str, Any], horizons: list[float], **changes: Any) -> Result:
    """A result that holds figures only: no curves, no examples."""
    problem = {
        "name": "by hand", "kind": "replay", "dt": DT, "context_s": 0.5, "horizon_s": horizons[-1], "episodes": 12,
        "starts": 100, "truth": "as recorded",
    }  # fmt: skip
    metrics = {
        "format": "worldmodel-metrics", "version": 1, "problem": problem, "horizons_s": horizons, "streams": streams,
        "overall": {}, "action_sensitivity": None, "data_sha256": "0" * 64, "code_version": "0.1.0", "seed": 0,
        "validation_seed": 0,
    }  # fmt: skip
    metrics |= changes
    return Result(metrics, {}, np.array(horizons), {}, {}, np.linspace(0.1, 0.9, 9), [], "")


def plausible(seed: int = 0, *, video: bool = True, streams: tuple[str, ...] = tuple(COLUMNS)) -> Result:
    """A result such as a validation on a rover yields, with three examples."""
    rng = np.random.default_rng(seed)
    time = (np.arange(TICKS) + 1) * DT
    result = by_hand({}, HORIZONS, action_sensitivity=1.83, data_sha256="5e1f" * 16)
    result.metrics["problem"] |= {"name": "rover-held-out", "truth": "noise-free", "episodes": 16, "starts": 320}
    result.curve_s, result.columns = time, {name: COLUMNS[name] for name in streams}
    for name in streams:
        _score(result, name, rng)
    if video:
        result.metrics["streams"]["camera"] = _video()
    result.metrics["overall"] = {p: {"nrmse": _together(result, streams, p)} for p in PREDICTORS if streams}
    result.examples = [_example(name, streams, video, rng) for name in ("run 12", "run 14", "run 15")]
    result.baseline_note = "The floor is MuJoCo started from the last reading of each sensor."
    return result


def _together(result: Result, streams: tuple[str, ...], predictor: str) -> list[float | None]:
    table = np.array([result.metrics["streams"][name][predictor]["nrmse"] for name in streams], float)
    return [float(np.nanmean(row)) if np.isfinite(row).any() else None for row in table.T]


def _score(result: Result, name: str, rng: np.random.Generator) -> None:
    columns, time = COLUMNS[name], result.curve_s
    deviation = rng.uniform(0.5, 5, len(columns)) if name != "gps" else np.array([6.0, 6.0, 0.4])
    ticks = [round(h / DT) - 1 for h in HORIZONS]
    entry: dict[str, Any] = {"unit": ", ".join(dict.fromkeys(unit for _, unit in columns))}
    curves, own = {}, time
    for predictor, (start, end, power) in SHAPES.items():
        scale = rng.uniform(0.8, 1.2)
        relative = scale * (start + (end - start) * (time / time[-1]) ** power)
        curves[predictor] = relative[:, None] * deviation * rng.uniform(0.9, 1.1, len(columns))
        joined = np.hypot(*curves[predictor][:, :2].T) if name == "gps" else np.sqrt((curves[predictor] ** 2).mean(1))
        own = relative if predictor == "model" else own
        gaps = {f"gap_{side}": (relative - own + s * (relative + own)) for side, s in (("low", -0.15), ("high", 0.15))}
        entry[predictor] = {
            "rmse": joined[ticks].tolist(), "nrmse": relative[ticks].tolist(), "crps": (0.6 * joined)[ticks].tolist(),
            "nrmse_low": (0.85 * relative)[ticks].tolist(), "nrmse_high": (1.15 * relative)[ticks].tolist(),
            **{side: gap[ticks].tolist() for side, gap in gaps.items()},
            "coverage50": [0.5] * 9 if predictor == "model" else [None] * 9,
            "coverage90": [0.88] * 9 if predictor == "model" else [None] * 9,
        }  # fmt: skip
    if name == "gps":  # no fix falls on the first tick
        for values in entry.values():
            for row in values.values() if isinstance(values, dict) else ():
                row[0] = None
    result.metrics["streams"][name], result.curves[name] = entry, curves
    result.calibration[name] = np.clip(result.levels + rng.uniform(-0.18, 0.06) * np.sin(np.pi * result.levels), 0, 1)


def _video() -> dict[str, Any]:
    none: list[None] = [None] * 9
    quality = {"model": [27 - 4 * h**0.5 for h in HORIZONS], "hold": [31 - 9 * h**0.4 for h in HORIZONS]}
    return {"unit": ""} | {
        name: {
            "rmse": [10 ** (-v / 20) for v in values], "nrmse": [10 ** (-v / 20) * 4 for v in values], "crps": none,
            "coverage90": none, "psnr": values,
        }
        for name, values in quality.items()
    }  # fmt: skip


def _example(episode: str, streams: tuple[str, ...], video: bool, rng: np.random.Generator) -> Example:
    past, ahead = np.arange(1 - CONTEXT, 1) * DT, (np.arange(TICKS) + 1) * DT
    context, truth, members = {}, {}, {}
    baselines: dict[str, dict[str, np.ndarray]] = {p: {} for p in PREDICTORS[1:]}
    for name in streams:
        way = _way(name, len(COLUMNS[name]), rng)
        noise = 0.03 if name != "gps" else 0.4
        context[name] = way(past) + noise * rng.normal(size=(CONTEXT, len(COLUMNS[name])))
        truth[name] = way(ahead)
        size = 0.3 if name != "gps" else 1.0
        drift = rng.normal(size=(12, 1, truth[name].shape[1])) * (ahead[None, :, None] ** 1.3) * size
        members[name] = truth[name] + drift + size / 2 * np.sin(2 * ahead)[:, None]
        last, slope = context[name][-1], (way(np.zeros(1)) - way(np.array([-0.1])))[0] / 0.1
        baselines["hold"][name] = np.repeat(last[None], TICKS, 0)
        baselines["velocity"][name] = last + ahead[:, None] * slope
        baselines["linear"][name] = last + (1 - np.exp(-ahead))[:, None] * slope
        baselines["floor_reading"][name] = truth[name] + 0.2 * size * ahead[:, None]
        if name == "gps":
            context[name][np.arange(CONTEXT) % 20 != 9] = np.nan
            truth[name][np.arange(TICKS) % 20 != 19] = np.nan
        if name == "heading":
            for part in (context, truth, members, *baselines.values()):
                part[name] = (part[name] + np.pi) % (2 * np.pi) - np.pi
    shown = np.arange(1, 13) * 0.25
    real, dreamt = _frames(shown, 0.0, rng), _frames(shown, 0.25, rng)
    films = {"camera"} if video else set()
    return Example(
        episode, 4.31, past, context, ahead, truth, members, baselines, shown if video else np.zeros(0),
        {n: _frames(np.array([-0.1, 0.0]), 0, rng) for n in films}, dict.fromkeys(films, real),
        dict.fromkeys(films, dreamt),
    )  # fmt: skip


def _way(name: str, columns: int, rng: np.random.Generator):
    phase, rate = rng.uniform(0, 6, columns), rng.uniform(1, 4, columns)
    if name == "gps":
        turn, speed = rng.uniform(-0.7, 0.7), rng.uniform(2, 5)
        return lambda t: np.stack([speed * t, speed * turn * t**2 / 2 + 0.3 * np.sin(2 * t), 0.1 * np.sin(t)], -1) + 20
    if name == "heading":
        return lambda t: 2.0 + 1.5 * t[:, None] + 0.2 * np.sin(t)[:, None]
    return lambda t: np.sin(rate * t[:, None] + phase) + 0.3 * np.sin(3.1 * rate * t[:, None])


def _frames(times: np.ndarray, blur: float, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64] / 64
    out = []
    for t in times:
        ground = np.where(rows[..., None] > 0.45 + 0.03 * np.sin(t), [110, 140, 70], [150, 190, 235]).astype(float)
        across = np.abs(columns - 0.5 - 0.2 * np.sin(t + blur)) < 0.05 + 0.02 * t
        ground[across & (np.abs(rows - 0.5) < 0.1 + 0.03 * t)] = [200, 60, 40]
        if blur:
            ground = (ground + np.roll(ground, 2, 1) + np.roll(ground, -2, 1) + np.roll(ground, 1, 0)) / 4
        out.append(np.clip(ground + rng.normal(0, 4, ground.shape), 0, 255))
    return np.stack(out).astype(np.uint8)

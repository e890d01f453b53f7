"""Results that no model made: plausible ones to draw, and figures by hand to describe."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec
from worldmodel.validate.result import Example, Film, Provenance, Result, Setting
from worldmodel.validate.scores import Score
from worldmodel.validate.video import VideoScore

HORIZONS = [0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0]
DT, TICKS, CONTEXT = 0.01, 300, 50
PREDICTORS = ("model", "mean", "hold", "velocity", "linear", "dead_reckoning", "floor_reading")
# error(h) = start + (end - start) * (h / 3)^power, relative to the standard deviation
SHAPES = {
    "model": (0.05, 0.75, 0.8),
    "mean": (1.0, 1.0, 1.0),
    "hold": (0.03, 1.4, 0.5),
    "velocity": (0.02, 6.0, 1.3),
    "linear": (0.04, 1.1, 0.6),
    "floor_reading": (0.02, 0.85, 0.9),
}


def _sensor(name: str, columns: str, unit: str, wraps: bool = False) -> StreamSpec:
    names = tuple(columns.split())
    return StreamSpec(name, "sensor", names, (unit,) * len(names), 100.0, circular=(wraps,) * len(names))


SPECS = {
    "accelerometer": _sensor("accelerometer", "x y z", "m/s²"),
    "gyro": _sensor("gyro", "x y z", "rad/s"),
    "wheel speed": _sensor("wheel speed", "left right", "rad/s"),
    "heading": _sensor("heading", "angle", "rad", wraps=True),
    "gps": StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 5.0),
}
COLUMNS = {
    "accelerometer": [("x", "m/s²"), ("y", "m/s²"), ("z", "m/s²")],
    "gyro": [("x", "rad/s"), ("y", "rad/s"), ("z", "rad/s")],
    "wheel speed": [("left", "rad/s"), ("right", "rad/s")],
    "heading": [("angle", "rad")],
    "gps": [("east", "m"), ("north", "m"), ("up", "m")],
}
CAMERA = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(64, 64))


def score(count: int, columns: int = 1, **figures: Sequence[float | None] | np.ndarray) -> Score:
    """A score of so many ticks; what is not given is undefined."""
    nothing = {f: np.full((count, columns) if f.startswith("column_") else count, np.nan) for f in Score._fields}
    return Score(**(nothing | {name: np.array(values, float) for name, values in figures.items()}))


def figures(model: list, others: dict[str, list], *, width: float = 0.1, key: str = "nrmse") -> dict[str, Any]:
    """One stream's scores from figures by horizon, with intervals of `width` to both sides."""

    def entry(values: list) -> Score | VideoScore:
        if key == "psnr":
            return VideoScore(*(np.array(values, float) for _ in VideoScore._fields))
        sides = (("low", -1), ("high", 1))
        edges = {f"nrmse_{side}": [None if v is None else v * (1 + s * width) for v in values] for side, s in sides}
        gaps = {f"gap_{side}": [_gap(v, m, s * width) for v, m in zip(values, model, strict=True)] for side, s in sides}
        return score(len(values), rmse=values, nrmse=values, **edges, **gaps)

    return {"model": entry(model), **{name: entry(values) for name, values in others.items()}}


def _gap(value: float | None, model: float | None, width: float) -> float | None:
    """An end of the interval of `value - model`, whose own intervals reach `width` of them to both sides."""
    return None if value is None or model is None else value - model + width * (value + model)


def by_hand(tables: dict[str, Any], horizons: list[float], /, **changes: Any) -> Result:
    """A result that holds figures only, without examples. A stream is a sensor, unless its scores are a video's."""
    video = {n for n, table in tables.items() if any(isinstance(s, VideoScore) for s in table.values())}
    specs = {n: SPECS.get(n) or _sensor(n, "x", "m") for n in tables if n not in video}
    specs |= {name: CAMERA for name in video}
    given = {
        "setting": Setting("by hand", "replay", DT, 0.5, horizons[-1], 12, 100, "as recorded"),
        "subject": "model",
        "streams": specs,
        "times": np.array(horizons),
        "horizons": {horizon: i for i, horizon in enumerate(horizons)},
        "scores": {n: table for n, table in tables.items() if n not in video},
        "video": {n: table for n, table in tables.items() if n in video},
        "overall": {},
        "action_sensitivity": None,
        "calibration": {},
        "examples": [],
        "notes": [],
        "provenance": Provenance("0" * 64, "0.1.0", 0, 0),
    }
    return Result(**(given | changes))


def plausible(seed: int = 0, *, video: bool = True, streams: tuple[str, ...] = tuple(COLUMNS)) -> Result:
    """A result such as a validation on a rover yields, with three examples."""
    rng = np.random.default_rng(seed)
    time = (np.arange(TICKS) + 1) * DT
    tables = {name: _scores(name, time, rng) for name in streams}
    nrmse = {p: [table[p].nrmse for table in tables.values() if p in table] for p in SHAPES}
    return by_hand(
        {},
        HORIZONS,
        setting=Setting("rover-held-out", "replay", DT, 0.5, HORIZONS[-1], 16, 320, "noise-free"),
        streams={**{name: SPECS[name] for name in streams}, **({"camera": CAMERA} if video else {})},
        times=time,
        horizons={horizon: round(horizon / DT) - 1 for horizon in HORIZONS},
        scores=tables,
        video={"camera": _video()} if video else {},
        overall={p: np.sqrt(np.mean(np.square(curves), 0)) for p, curves in nrmse.items() if curves},
        action_sensitivity=1.83,
        calibration={name: _calibration(rng) for name in streams},
        examples=[_example(name, streams, video, rng) for name in ("run 12", "run 14", "run 15")],
        notes=["The floor is MuJoCo started from the last reading of each sensor."],
        provenance=Provenance("5e1f" * 16, "0.1.0", 0, 0),
    )


def _calibration(rng: np.random.Generator) -> np.ndarray:
    levels = np.linspace(0.1, 0.9, 9)
    return np.clip(levels + rng.uniform(-0.18, 0.06) * np.sin(np.pi * levels), 0, 1)


def _scores(name: str, time: np.ndarray, rng: np.random.Generator) -> dict[str, Score]:
    columns = COLUMNS[name]
    deviation = rng.uniform(0.5, 5, len(columns)) if name != "gps" else np.array([6.0, 6.0, 0.4])
    shapes = SHAPES | ({"dead_reckoning": (0.04, 0.9, 0.9)} if name == "gps" else {})
    table: dict[str, Score] = {}
    for predictor, (start, end, power) in shapes.items():
        relative = rng.uniform(0.8, 1.2) * (start + (end - start) * (time / time[-1]) ** power)
        each = relative[:, None] * deviation * rng.uniform(0.9, 1.1, len(columns))
        joined = np.hypot(*each[:, :2].T) if name == "gps" else np.sqrt((each**2).mean(1))
        own = table["model"].nrmse if table else relative
        gaps = {f"gap_{side}": relative - own + s * (relative + own) for side, s in (("low", -0.15), ("high", 0.15))}
        coverage = {"coverage50": np.full(TICKS, 0.5), "coverage90": np.full(TICKS, 0.88)} if not table else {}
        table[predictor] = score(
            TICKS, len(columns), rmse=joined, nrmse=relative, crps=0.6 * joined, ncrps=0.6 * relative,
            nrmse_low=0.85 * relative, nrmse_high=1.15 * relative, column_rmse=each, column_crps=0.6 * each,
            column_nrmse=each / deviation, **gaps, **coverage,
        )  # fmt: skip
    if name == "gps":  # no fix falls on the first ticks
        table = {p: Score(*(np.concatenate([part[:3] * np.nan, part[3:]]) for part in s)) for p, s in table.items()}
    return table


def _video() -> dict[str, VideoScore]:
    quality = {
        "model": [27 - 4 * h**0.5 for h in HORIZONS],
        "mean": [18.0] * len(HORIZONS),
        "hold": [31 - 9 * h**0.4 for h in HORIZONS],
    }
    table = {}
    for name, values in quality.items():
        psnr = np.array(values)
        rmse = 10 ** (-psnr / 20)
        table[name] = VideoScore(rmse, 4 * rmse, psnr, psnr, psnr / 40, psnr / 40, 1 - psnr / 40, rmse)
    return table


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
        baselines["mean"][name] = np.repeat(last[None] if name == "gps" else 0 * last[None], TICKS, 0)
        baselines["hold"][name] = np.repeat(last[None], TICKS, 0)
        baselines["velocity"][name] = last + ahead[:, None] * slope
        baselines["linear"][name] = last + (1 - np.exp(-ahead))[:, None] * slope
        baselines["floor_reading"][name] = truth[name] + 0.2 * size * ahead[:, None]
        if name == "gps":
            baselines["dead_reckoning"][name] = truth[name] + 0.4 * ahead[:, None] ** 1.5
            context[name][np.arange(CONTEXT) % 20 != 9] = np.nan
            truth[name][np.arange(TICKS) % 20 != 19] = np.nan
        if name == "heading":
            for part in (context, truth, members, *baselines.values()):
                if name in part:
                    part[name] = (part[name] + np.pi) % (2 * np.pi) - np.pi
    shown = np.arange(1, 13) * 0.25
    seen, real, dreamt = (_frames(t, blur, rng) for t, blur in ((np.array([-0.1, 0]), 0), (shown, 0), (shown, 0.25)))
    films = {"camera": Film(shown, seen, real, dreamt)} if video else {}
    return Example(episode, 4.31, past, context, ahead, truth, members, baselines, films)


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

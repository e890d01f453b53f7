"""What streams, predictors and numbers are called and look like, on the page and in the terminal."""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from worldmodel.codecs import Measure, codec
from worldmodel.types import StreamSpec
from worldmodel.validate.result import Result


class Look(NamedTuple):
    """How a predictor is shown: its name in tables, in sentences, its colour (Okabe-Ito) and line style."""

    label: str
    spoken: str
    colour: str
    dashes: str = "-"


LOOKS = {
    "model": Look("world model", "the world model", "#0072B2"),
    "scene": Look("scene (MuJoCo)", "the scene", "#0072B2"),
    "mean": Look("mean", "the mean", "#7d8894", ":"),
    "hold": Look("hold last", "hold-last", "#E69F00"),
    "velocity": Look("constant velocity", "constant velocity", "#CC79A7"),
    "linear": Look("linear model", "the linear model", "#009E73"),
    "dead_reckoning": Look("dead reckoning", "dead reckoning", "#8a5a2b"),
    "ridge": Look("short ridge", "the short ridge", "#56B4E9", ":"),
    "ar": Look("each by itself", "each column by itself", "#88CCEE", ":"),
    "arx": Look("each with commands", "each column with commands", "#44AA99", ":"),
    "products": Look("products of signals", "the model of products", "#117733", ":"),
    "angles": Look("angles by rates", "the model of angles", "#999933", ":"),
    "isotropic": Look("isotropic", "the isotropic model", "#882255", ":"),
    "turning": Look("isotropic, turning", "the isotropic model of turns", "#AA4499", ":"),
    "mechanics": Look("mechanics", "mechanics", "#6a3d9a", ":"),
    "state_space": Look("state space", "the state space", "#b2182b", ":"),
    "physics": Look("physics", "physics", "#d95f02", ":"),
    "network": Look("network", "the network", "#1b7837", ":"),
    "floor_reading": Look("floor (MuJoCo)", "the floor", "#D55E00", "--"),
    "floor_estimate": Look("floor, estimated", "the floor from an estimate", "#8b0000", "--"),
}
_PARTS = (
    "network",
    "ridge",
    "ar",
    "arx",
    "products",
    "integral",
    "isotropic",
    "turning",
    "mechanics",
    "state_space",
    "physics",
)
_UNKNOWN = ("#b15928", "#e7298a", "#666600", "#00868B")  # of predictors that users bring
_OVERALL = StreamSpec("all readings", "sensor", ("all",), ("",), 1.0)


class Scores(NamedTuple):
    """One stream's scores at the tabulated horizons.

    Attributes:
        name: the stream's. spec: what it is.
        subject: the predictor that is compared with the others.
        entry: by predictor and figure, values [T] that are NaN where undefined.
        horizons: [T] seconds ahead.
        intervals: whether bootstrap intervals say anything: of a single episode they have no width.
    """

    name: str
    spec: StreamSpec
    subject: str
    entry: Mapping[str, Mapping[str, np.ndarray]]
    horizons: list[float]
    intervals: bool = True

    @property
    def measure(self) -> Measure:
        return codec(self.spec).measure

    @property
    def is_video(self) -> bool:
        return self.spec.kind == "video"

    @property
    def unit(self) -> str:
        """Of figures in the stream's unit; empty where its columns have several."""
        units = set(codec(self.spec).error_units[codec(self.spec).figure]) if not self.is_video else {""}
        return units.pop() if len(units) == 1 else ""

    @property
    def predictors(self) -> list[str]:
        return _ordered(self.entry, self.subject)

    @property
    def others(self) -> list[str]:
        """The predictors that the subject is compared with."""
        return [name for name in self.predictors if name != self.subject]

    def get(self, predictor: str, key: str, index: int) -> float | None:
        """A figure, or None where it is undefined."""
        values = self.entry.get(predictor, {}).get(key)
        return float(values[index]) if values is not None and np.isfinite(values[index]) else None

    def shown(self, predictor: str, index: int) -> float | None:
        """The stream's one figure."""
        return self.get(predictor, self.measure.key, index)

    def best(self, index: int, among: list[str] | None = None) -> str | None:
        """The predictor with the best of the stream's one figure."""
        known = {p: v for p in among or self.predictors if (v := self.shown(p, index)) is not None}
        if not known:
            return None
        return max(known, key=known.__getitem__) if self.measure.more_is_better else min(known, key=known.__getitem__)


def scores(result: Result) -> list[Scores]:
    """Every stream's scores, readings first."""
    ticks = list(result.horizons.values())
    tables: dict[str, Any] = {
        name: {p: {k: v[ticks] for k, v in score._asdict().items()} for p, score in table.items()}
        for name, table in result.scores.items()
    }
    tables |= {name: {p: score._asdict() for p, score in table.items()} for name, table in result.video.items()}
    several = result.setting.episodes > 1
    return [
        Scores(name, result.streams[name], result.subject, entry, list(result.horizons), several)
        for name, entry in tables.items()
    ]


def judged(result: Result) -> list[Scores]:
    """The streams that there is a verdict on: not those of which no column moves."""
    return [stream for stream in scores(result) if stream.name not in standing(result)]


def standing(result: Result) -> set[str]:
    """The streams of which no column moves."""
    return {name for name, still in result.still.items() if still.whole}


def overall(result: Result) -> Scores | None:
    """All streams of readings together, as if they were one; None where there are none."""
    ticks = list(result.horizons.values())
    entry = {predictor: {"nrmse": curve[ticks]} for predictor, curve in result.overall.items()}
    return Scores(_OVERALL.name, _OVERALL, result.subject, entry, list(result.horizons), False) if entry else None


def predictors(result: Result) -> list[str]:
    """Every predictor that scores anywhere, the subject first."""
    return _ordered({name: None for stream in scores(result) for name in stream.entry}, result.subject)


def coverage90(result: Result) -> dict[str, float]:
    """By stream that is judged, the share of readings inside the 90 % interval over all horizons."""
    row = int(np.argmin(np.abs(result.levels - 0.9)))
    told = {name: seen for name, seen in result.calibration.items() if name not in standing(result)}
    return {name: float(seen[row]) for name, seen in told.items() if np.isfinite(seen[row])}


def look(predictor: str) -> Look:
    """How a predictor is shown; those that are not known by name get a colour by it."""
    mark = zlib.crc32(predictor.encode())
    return LOOKS.get(predictor, Look(predictor, predictor, _UNKNOWN[mark % len(_UNKNOWN)], "-."))


def is_floor(predictor: str) -> bool:
    """Whether a predictor is a physical limit and not a baseline."""
    return predictor.startswith("floor")


def is_part(predictor: str) -> bool:
    """Whether a predictor is one of the experts that a run blends, which are no rivals of the blend."""
    return predictor in _PARTS


def is_rival(predictor: str) -> bool:
    """Whether a predictor is one that the subject should beat."""
    return not is_floor(predictor) and not is_part(predictor)


def nearest(horizons: list[float], seconds: float) -> int:
    """The index of the horizon nearest to `seconds`; of the middle one where all are farther, as of slow logs."""
    if horizons[0] > seconds:
        return len(horizons) // 2
    return min(range(len(horizons)), key=lambda i: abs(horizons[i] - seconds))


def number(value: float | None) -> str:
    """Two or three digits that matter; a dash for none."""
    if value is None:
        return "–"  # noqa: RUF001
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 0.0995:
        return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.0095 else f"{value:.2g}"


def seconds(value: float) -> str:
    """A time with its unit."""
    return f"{value:.4g} s" if value < 9999.5 else f"{value:,.0f} s"


def listed(words: list[str]) -> str:
    """'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _ordered(names: Mapping[str, Any], subject: str) -> list[str]:
    """The subject, those that come with the toolkit, and the others as they were given."""
    order = [subject, *(name for name in LOOKS if name != subject)]
    return [name for name in order if name in names] + [name for name in names if name not in order]

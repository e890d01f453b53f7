"""What streams, predictors and numbers are called and look like, on the page and in the terminal."""

from typing import Any, NamedTuple

from worldmodel.validate.result import Result

INK, MUTED = "#1b2733", "#6b7785"


class Look(NamedTuple):
    """How a predictor is shown: its name in tables, in sentences, its colour (Okabe-Ito) and line style."""

    label: str
    spoken: str
    colour: str
    dashes: str = "-"


LOOKS = {
    "model": Look("world model", "the world model", "#0072B2"),
    "hold": Look("hold last", "hold-last", "#E69F00"),
    "velocity": Look("constant velocity", "constant velocity", "#CC79A7"),
    "linear": Look("linear model", "the linear model", "#009E73"),
    "floor_reading": Look("floor (MuJoCo)", "the floor", "#D55E00", "--"),
}


class Measure(NamedTuple):
    """The one figure by which a stream is shown in a table."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False


MEASURES = {
    "sensor": Measure("nrmse", "NRMSE", ""),
    "gps": Measure("rmse", "position error", "m"),
    "video": Measure("psnr", "PSNR", "dB", True),
}


class Scores(NamedTuple):
    """One stream's part of the metrics.

    Attributes:
        name: the stream's. kind: `sensor`, `gps` or `video`.
        entry: by predictor, lists of figures aligned with `horizons`; and the unit.
        horizons: seconds ahead.
        intervals: whether bootstrap intervals say anything: of a single episode they have no width.
    """

    name: str
    kind: str
    entry: dict[str, Any]
    horizons: list[float]
    intervals: bool = True

    @property
    def measure(self) -> Measure:
        return MEASURES[self.kind]

    @property
    def predictors(self) -> list[str]:
        return _ordered({key for key, value in self.entry.items() if isinstance(value, dict)})

    @property
    def others(self) -> list[str]:
        """The predictors that the model is compared with."""
        return [name for name in self.predictors if name != "model"]

    def get(self, predictor: str, key: str, index: int) -> float | None:
        """A figure, or None where it is undefined."""
        values = self.entry.get(predictor, {}).get(key) or []
        return values[index] if index < len(values) else None

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
    """Every stream's scores, in the metrics' order."""
    metrics = result.metrics
    return [
        Scores(name, _kind(result, name, entry), entry, metrics["horizons_s"], metrics["problem"]["episodes"] > 1)
        for name, entry in metrics["streams"].items()
    ]


def overall(result: Result) -> Scores | None:
    """All sensor and GPS streams together, as if they were one; None where there are none."""
    entry = result.metrics.get("overall") or {}
    return Scores("all readings", "sensor", entry, result.metrics["horizons_s"], False) if entry else None


def predictors(result: Result) -> list[str]:
    """Every predictor that scores anywhere, the model first."""
    return _ordered({name for stream in scores(result) for name in stream.predictors})


def look(predictor: str) -> Look:
    """How a predictor is shown; those that are not known by name share a colour."""
    return LOOKS.get(predictor, Look(predictor, predictor, "#56B4E9", ":"))


def is_floor(predictor: str) -> bool:
    """Whether a predictor is a physical limit and not a baseline."""
    return predictor.startswith("floor")


def nearest(horizons: list[float], seconds: float) -> int:
    """The index of the horizon nearest to `seconds`."""
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
    return f"{value:.3f}" if size >= 0.00095 else f"{value:.1g}"


def seconds(value: float) -> str:
    """A time with its unit."""
    return f"{value:.4g} s"


def listed(words: list[str]) -> str:
    """'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _ordered(names: set[str]) -> list[str]:
    return [name for name in LOOKS if name in names] + sorted(names - LOOKS.keys())


def _kind(result: Result, name: str, entry: dict[str, Any]) -> str:
    if "psnr" in entry.get("model", {}):
        return "video"
    columns = tuple(column for column, _ in result.columns.get(name, []))
    return "gps" if columns == ("east", "north", "up") else "sensor"

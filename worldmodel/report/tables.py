"""The key figures as tables: a short one for the terminal, and the whole for the page."""

from collections.abc import Collection
from html import escape

from rich.text import Text

from worldmodel.report.summary import Verdict, verdicts
from worldmodel.terminal import Grid
from worldmodel.validate.labels import (
    LOOKS,
    Scores,
    is_floor,
    is_part,
    judged,
    look,
    nearest,
    number,
    overall,
    predictors,
    scores,
    seconds,
)
from worldmodel.validate.result import Result

_SHORT = {
    "state_space": "states",
    "dead_reckoning": "reckoning",
    "floor_reading": "floor",
    "floor_estimate": "estimated",
}
_DETAILS = {
    "rmse": "RMSE",
    "rmse_reading": "RMSE to the readings",
    "nrmse": "NRMSE",
    "crps": "CRPS",
    "ncrps": "CRPS, normalised",
    "coverage50": "50 % interval covers",
    "coverage90": "90 % interval covers",
    "spread_skill": "spread / skill",
    "rank_correlation": "Rank correlation of what commands bring about",
    "percent_of_distance": "Position error in % of the distance travelled",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "sharpness": "Sharpness of members (a real frame has 1)",
    "texture_distance": "Texture distance of members",
    "energy_score": "Energy score of members on a coarse grid",
}
_WORDS = {2: "clearly better", 1: "better", 0: "within the noise", -1: "worse", -2: "clearly worse"}
_CLASSES = {2: "v2", 1: "v1", 0: "v0", -1: "w1", -2: "w2"}


def summary_table(result: Result) -> Grid:
    """The model beside each baseline and floor at about 0.5 s, 1 s and the last horizon, for the terminal.

    NRMSE of sensors, metres of GPS, dB of video; the best of a row is bold. Where there is no room for all predictors,
    those that a reader misses least leave first, and are named.
    """
    shown, streams = predictors(result), _all(result)
    called = {predictor: _SHORT.get(predictor, predictor) for predictor in shown}
    measures = {stream.measure.unit or stream.measure.title for stream in streams}
    one = f", {next(iter(measures))}" if len(measures) == 1 else ""  # said once, and no column of its own
    rows: list[list[str | Text]] = []
    for stream in streams:
        for place, index in enumerate(_few(stream.horizons)):
            figures = [_bold(stream, predictor, index) for predictor in shown]
            measure = [] if one else [stream.measure.unit or stream.measure.title]
            rows.append(["" if place else stream.name, seconds(stream.horizons[index]), *measure, *figures])
        rows.append([])
    return Grid(
        ("stream", "ahead", *([] if one else [""]), *called.values()),
        rows[:-1],
        words=("stream", ""),
        leave=[called[predictor] for predictor in _missed_least(streams, shown)],
        where="report.html has all",
        below=_explained(measures, shown),
        title=f"{result.setting.name} ({result.setting.kind}{one})",
    )


def _explained(measures: Collection[str], shown: Collection[str]) -> str:
    """What the words of the terminal's table mean."""
    words = {
        "NRMSE": ("NRMSE" in measures, "error over the standard deviation of what came"),
        "floor": ("floor_reading" in shown, "MuJoCo from the last reading"),
        "estimated": ("floor_estimate" in shown, "MuJoCo from the best estimate of the state"),
    }
    return "; ".join(f"{word}: {meaning}" for word, (there, meaning) in words.items() if there)


def _missed_least(streams: list[Scores], shown: list[str]) -> list[str]:
    """Who may leave a table, the first one first: parts of the blend, then baselines, each the worse the sooner.

    The subject, floors and predictors of the user's stay.
    """

    def rank(predictor: str) -> float:
        """Its place among the others, on average."""
        places = []
        for stream in streams:
            sign = -1 if stream.measure.more_is_better else 1
            for index in _few(stream.horizons):
                there = [sign * value for p in shown if (value := stream.shown(p, index)) is not None]
                own = stream.shown(predictor, index)
                places.append(len(shown) if own is None else sum(value < sign * own for value in there))
        return sum(places) / max(len(places), 1)

    may = [p for p in shown if p in LOOKS and not is_floor(p) and streams and p != streams[0].subject]
    return sorted(may, key=lambda p: (not is_part(p), -rank(p)))


def _few(horizons: list[float]) -> list[int]:
    """The horizons that the terminal shows: about 0.5 s, 1 s, and the last."""
    return sorted({nearest(horizons, 0.5), nearest(horizons, 1.0), len(horizons) - 1})


def _bold(stream: Scores, predictor: str, index: int) -> Text:
    return Text(number(stream.shown(predictor, index)), "bold" if predictor == stream.best(index) else "")


def _all(result: Result) -> list[Scores]:
    """Every stream that is judged, and all readings together where that says more."""
    streams, together = judged(result), overall(result)
    several = sum(not stream.is_video for stream in streams) > 1
    return [*([together] if together and several else []), *streams]


def key_figures(result: Result) -> str:
    """The page's table: a group of rows for each stream, a row for each predictor, a column for each horizon."""
    horizons = list(result.horizons)
    head = "".join(f"<th>{seconds(h)}</th>" for h in horizons)
    body = "".join(_group(stream) for stream in _all(result))
    return f'<div class="scroll"><table class="figures"><thead><tr><th></th>{head}</tr></thead>{body}</table></div>'


def _group(stream: Scores) -> str:
    measure, width = stream.measure, len(stream.horizons) + 1
    unit = f", {measure.unit}" if measure.unit else ""
    title = (
        f'<tr class="group"><th colspan="{width}">{escape(stream.name)} <span>{measure.title}{unit}</span></th></tr>'
    )
    best = [stream.best(index) for index in range(len(stream.horizons))]
    rows = [
        f'<tr class="{"model" if predictor == stream.subject else ""}"><th>{swatch(predictor)}</th>'
        + "".join(_cell(stream, predictor, index, best[index] == predictor) for index in range(len(best)))
        + "</tr>"
        for predictor in stream.predictors
    ]
    return f"<tbody>{title}{''.join(rows)}</tbody>"


def _cell(stream: Scores, predictor: str, index: int, best: bool) -> str:
    low, high = stream.get(predictor, "nrmse_low", index), stream.get(predictor, "nrmse_high", index)
    interval = ""
    if predictor == stream.subject and stream.measure.key == "nrmse" and low is not None and high is not None:
        interval = f"<small>{number(low)}–{number(high)}</small>"  # noqa: RUF001
    value = number(stream.shown(predictor, index))
    return f"<td{' class=best' if best else ''}>{value}{interval}</td>"


def swatch(predictor: str) -> str:
    """A predictor's colour and name."""
    shown = look(predictor)
    style = "solid" if shown.dashes == "-" else "dashed" if shown.dashes == "--" else "dotted"
    return f'<i class="swatch" style="border-top:3px {style} {shown.colour}"></i>{escape(shown.label)}'


def scoreboard(result: Result) -> str:
    """A small square for each stream, other predictor and horizon: whether the subject is better there."""
    streams = judged(result)
    others = [predictor for predictor in predictors(result) if predictor != result.subject]
    head = "".join(f"<th>{escape(look(other).label)}</th>" for other in others)
    rows = "".join(
        f"<tr><th>{escape(stream.name)}</th>{''.join(f'<td>{_squares(stream, other)}</td>' for other in others)}</tr>"
        for stream in streams
    )
    return f'<div class="scroll"><table class="board"><thead><tr><th>beside</th>{head}</tr></thead>{rows}</table></div>'


def _squares(stream: Scores, other: str) -> str:
    if other not in stream.entry:
        return '<span class="none">–</span>'  # noqa: RUF001
    return "".join(
        _square(
            found, f"{seconds(horizon)}: {number(stream.shown(stream.subject, i))}, {number(stream.shown(other, i))}"
        )
        for i, (horizon, found) in enumerate(zip(stream.horizons, verdicts(stream, other), strict=True))
    )


def _square(found: Verdict | None, title: str) -> str:
    if found is None:
        return f'<b class="sq vn" title="{title}: unknown"></b>'
    sign = "+" if found > 0 else "=" if found == 0 else "−"  # noqa: RUF001
    return f'<b class="sq {_CLASSES[found]}" title="{title}: {_WORDS[found]}">{sign}</b>'


def details(result: Result) -> str:
    """Every figure of the model and of the others, for those who want them all; folded away."""
    return "".join(
        f"<details><summary>{escape(stream.name)}</summary>{_detail(stream)}</details>" for stream in scores(result)
    )


def _detail(stream: Scores) -> str:
    head = "".join(f"<th>{seconds(h)}</th>" for h in stream.horizons)
    groups = [(_with_unit(stream, key, label), _detail_rows(stream, key)) for key, label in _DETAILS.items()]
    body = "".join(
        f'<tbody><tr class="group"><th colspan="{len(stream.horizons) + 1}">{escape(title)}</th></tr>{rows}</tbody>'
        for title, rows in groups
        if rows
    )
    return f'<div class="scroll"><table class="figures"><thead><tr><th></th>{head}</tr></thead>{body}</table></div>'


def _with_unit(stream: Scores, key: str, label: str) -> str:
    return f"{label} ({stream.unit})" if stream.unit and key in ("rmse", "rmse_reading", "crps") else label


def _detail_rows(stream: Scores, key: str) -> str:
    span = range(len(stream.horizons))
    table = {predictor: [stream.get(predictor, key, i) for i in span] for predictor in stream.predictors}
    return "".join(
        f"<tr><th>{swatch(predictor)}</th>{''.join(f'<td>{number(value)}</td>' for value in row)}</tr>"
        for predictor, row in table.items()
        if any(value is not None for value in row)
    )

"""Assembles the page and writes the report's folder."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from worldmodel.codecs import codec
from worldmodel.draw import INK, MUTED, page_of
from worldmodel.draw.film import CONTRAST
from worldmodel.files import whole_folder
from worldmodel.report.futures import columns_drawn, draw_film, draw_futures, draw_tracks
from worldmodel.report.measured import how_measured
from worldmodel.report.opening import header, in_words
from worldmodel.report.outages import outage_costs
from worldmodel.report.svg import data_address
from worldmodel.report.tables import details, key_figures, swatch
from worldmodel.validate.curves import COLUMNS, draw_calibration, draw_errors, draw_trust
from worldmodel.validate.labels import Scores, coverage90, judged, predictors, scores, seconds
from worldmodel.validate.result import Example, Result

REPORT_FILES = ("report.html", "metrics.json")
_FRAMES = "Recorded and imagined frames, and their difference"
_DRAWN = {"truth": INK, "what was seen before": MUTED}


def write_report(result: Result, out: Path | str, *, force: bool = False) -> list[Path]:
    """Writes `report.html`, one page that needs nothing else, and `metrics.json` into the folder `out`.

    Returns:
        The files that were written.

    Raises:
        WorldModelError: if `out` exists and not `force`, or cannot be written. Nothing is left behind then.
    """
    with whole_folder(out, force, replaces=REPORT_FILES) as folder:
        (folder / "report.html").write_text(page(result), encoding="utf-8")
        (folder / "metrics.json").write_text(json.dumps(result.metrics, indent=1, allow_nan=False), encoding="utf-8")
    return [Path(out) / "report.html", Path(out) / "metrics.json"]


def page(result: Result) -> str:
    """The whole page as HTML."""
    parts = [
        ("summary", "Summary", in_words(result)),
        ("trust", "Which expert is trusted where", _trust(result)),
        ("figures", "Key figures", _figures(result)),
        ("errors", "Error against horizon", _errors(result)),
        ("futures", "Sampled futures", _futures(result)),
        ("tracks", "Tracks", _tracks(result)),
        ("film", "Imagined video", _films(result)),
        ("calibration", "Calibration", _calibration(result)),
        ("outages", "What outages cost", outage_costs(result)),
        ("measured", "How this was measured", how_measured(result)),
    ]
    return page_of(f"{result.setting.name} · world model report", header(result), parts)


def _figures(result: Result) -> str:
    if not scores(result):
        return "<p>The log has no stream that could be scored.</p>"
    return (
        "<p>Smaller is better, except for PSNR. The best of each column is highlighted. Small print: 95&nbsp;% "
        f"interval over episodes.</p>{key_figures(result)}<h3>Every figure</h3><div class=card>{details(result)}</div>"
    )


def _trust(result: Result) -> str:
    if not result.trust:
        return ""
    picture = _picture(
        data_address(draw_trust(result)), "Shares of experts in the blend, against the horizon, by stream"
    )
    return (
        "<p>The world model's readings are a blend. An expert counts by its error on episodes that it had not seen "
        f"and by how it does inside the very context; on average over these starts.</p><div class=card>{picture}</div>"
    )


def _errors(result: Result) -> str:
    return "".join(_error(result, stream) for stream in judged(result))


def _error(result: Result, stream: Scores) -> str:
    count = len(codec(stream.spec).error_labels)
    cut = f"<p>The first {COLUMNS} of {count} columns.</p>" if count > COLUMNS else ""
    picture = _picture(
        data_address(draw_errors(result, stream)), f"Error of {stream.name} against the horizon, for each predictor"
    )
    return (
        f'<article class="card"><h3>{escape(stream.name)}</h3>{_legend({}, stream.predictors)}{picture}{cut}</article>'
    )


def _picture(address: str, words: str) -> str:
    return f'<div class="scroll"><img class="plot" src="{address}" alt="{escape(words)}"></div>'


def _legend(names: dict[str, str], others: Sequence[str] = ()) -> str:
    plain = [
        f'<span><i class="swatch" style="border-top:3px solid {colour}"></i>{text}</span>'
        for text, colour in names.items()
    ]
    return f'<p class="legend">{"".join(plain)}{"".join(f"<span>{swatch(p)}</span>" for p in others)}</p>'


def _title(example: Example) -> str:
    return f"{escape(example.episode)}, from {seconds(example.at_s)}"


def _futures(result: Result) -> str:
    examples = [example for example in result.examples if example.members]
    if not examples:
        return ""
    cards = "".join(
        f'<details class="card"{" open" if i == 0 else ""}><summary>{_title(example)}</summary>'
        f"{_picture(data_address(draw_futures(result, example)), 'Sampled futures over the truth')}</details>"
        for i, example in enumerate(examples)
    )
    most = max(len(codec(result.streams[name]).labels) for name in result.scores)
    cut = f" At most {columns_drawn(result)} columns of each stream." if most > columns_drawn(result) else ""
    return (
        "<p>Starts chosen evenly, without a look at how well they went. Thin lines are sampled futures, the thick one "
        f"is their mean; the shaded part is what the model saw.{cut}</p>{_legend(_DRAWN, [result.subject])}{cards}"
    )


def _tracks(result: Result) -> str:
    streams = [stream.name for stream in scores(result) if codec(stream.spec).track is not None]
    cards = []
    for name in streams:
        examples = [example for example in result.examples if name in example.members]
        if examples:
            others = [p for p in predictors(result) if p == result.subject or name in examples[0].baselines.get(p, {})]
            picture = _picture(data_address(draw_tracks(result, examples, name)), f"Tracks of {name} in metres")
            title = f"<h3>{escape(name)}</h3>" if len(streams) > 1 else ""
            cards.append(f'<article class="card">{title}{_legend(_DRAWN, others)}{picture}</article>')
    if not cards:
        return ""
    return (
        "<p>Seen from above, with equal axes in metres. The white dot is the last position that was seen, the others "
        f"are where each track ends. A baseline that leaves the map is cut off.</p>{''.join(cards)}"
    )


def _films(result: Result) -> str:
    cards = [
        f'<article class="card"><h3>{escape(stream.name)} <span>{_title(example)}</span></h3>'
        f"{_picture(draw_film(example.films[stream.name], f'film of {stream.name}').address(), _FRAMES)}</article>"
        for stream in scores(result)
        for example in result.examples
        if stream.name in example.films
    ]
    if not cards:
        return ""
    return (
        "<p>One sampled future each, not the best of many; what was seen before it is dimmed. The difference is "
        f"absolute, averaged over colours, and {CONTRAST} times as strong as it is: black is no difference.</p>"
        f"{''.join(cards)}"
    )


def _calibration(result: Result) -> str:
    if not coverage90(result):
        return ""
    picture = _picture(data_address(draw_calibration(result)), "Nominal and observed coverage")
    return (
        "<p>How many of the readings, noise included, fall inside the central intervals of the sampled futures, over "
        "all horizons. On the dashed line the intervals hold what they promise; below it they are too narrow, above it "
        f'too wide.</p><article class="card">{picture}</article>'
    )

"""The top of the page: what was validated, the four figures to remember, and the summary in words."""

import re
from html import escape

from worldmodel.draw import header_of
from worldmodel.report.summary import Summary, beats_all, summarise
from worldmodel.report.tables import scoreboard
from worldmodel.validate.labels import coverage90, is_rival, judged, look, nearest, number, overall, seconds
from worldmodel.validate.result import Result

_KINDS = {
    "replay": "Replay: recorded episodes, under the actions that were recorded",
    "counterfactual": "Counterfactual: futures of a simulated world under actions that were never logged",
}


def header(result: Result) -> str:
    """The title with the problem, and the four figures to remember."""
    problem, made = result.setting, result.provenance
    facts = {
        "time step": seconds(problem.dt),
        "context": seconds(problem.context_s),
        "horizon": seconds(problem.horizon_s),
        "episodes": str(problem.episodes),
        "starts": str(problem.starts),
        "truth": problem.truth,
        "data": made.data_sha256[:12],
        "code": made.code_version,
        **({"seed": str(made.seed)} if made.seed is not None else {}),
    }
    kind = _KINDS.get(problem.kind, problem.kind)
    return header_of("World model validation", problem.name, kind, facts)


def _tiles(result: Result) -> str:
    made = (_error_tile(result), _won_tile(result), _covered_tile(result), _action_tile(result))
    tiles = [tile for tile in made if tile]
    cells = "".join(
        f'<div class="tile"><p>{title}</p><strong>{figure}</strong><small>{escape(below)}</small></div>'
        for title, figure, below in tiles
    )
    return f'<div class="tiles">{cells}</div>' if tiles else ""


def _error_tile(result: Result) -> tuple[str, str, str] | None:
    together = overall(result)
    if together is None:
        return None
    index = nearest(together.horizons, 1.0)
    best = together.best(index, [other for other in together.others if is_rival(other)] or ["none"])
    beside = f"best baseline {number(together.shown(best, index))} ({look(best).label})" if best else "no baseline"
    return f"NRMSE at {seconds(together.horizons[index])}", number(together.shown(result.subject, index)), beside


def _won_tile(result: Result) -> tuple[str, str, str] | None:
    streams = judged(result)
    if not streams:
        return None
    index = nearest(streams[0].horizons, 1.0)
    won = sum(beats_all(stream, index) for stream in streams)
    return "Beats every baseline", f"{won} of {len(streams)}", f"streams, {seconds(streams[0].horizons[index])} ahead"


def _covered_tile(result: Result) -> tuple[str, str, str] | None:
    covered = sorted(coverage90(result).values())
    if not covered:
        return None
    shares = [f"{100 * share:.0f}" for share in covered]
    below = f"of the readings; {shares[0]} to {shares[-1]} % by stream"
    return "90 % interval holds", f"{shares[len(shares) // 2]} %", below


def _action_tile(result: Result) -> tuple[str, str, str] | None:
    ratio = result.action_sensitivity
    return ("Action sensitivity", f"{ratio:.2f}×", "error with shuffled actions") if ratio is not None else None  # noqa: RUF001


def in_words(result: Result) -> str:
    """The summary as HTML."""
    summary = summarise(result)
    lead = "".join(f"<p class=lead>{_text(text)}</p>" for text in summary.headline)
    notes = "".join(f'<li class="{tone}">{_text(text)}</li>' for tone, text in summary.notes)
    board = scoreboard(result) + _key(result) if summary.streams else ""
    return f'{lead}{_tiles(result)}<ul class="notes">{notes}</ul>{board}{_streams(summary)}'


def _text(text: str) -> str:
    """Escaped, with numbers kept beside their units."""
    return re.sub(r"(?<=\d) (?=%|(?:s|m|dB)\b)", "&nbsp;", escape(text))


def _streams(summary: Summary) -> str:
    rows = "".join(
        f'<li><span class="badge {stream.tone}">{stream.badge}</span>'
        f"<p><b>{escape(stream.name)}</b>: {_text(stream.text)}</p></li>"
        for stream in summary.streams
    )
    return f'<ul class="streams">{rows}</ul>'


def _key(result: Result) -> str:
    horizons = list(result.horizons)
    return (
        f'<p class="legend"><span><b class="sq v2">+</b>{escape(look(result.subject).label)} is clearly better</span>'
        '<span><b class="sq v1">+</b>better</span><span><b class="sq v0">=</b>within the noise</span>'
        '<span><b class="sq w1">−</b>worse</span><span><b class="sq w2">−</b>clearly worse</span>'  # noqa: RUF001
        f"<span>a square for each horizon, {seconds(horizons[0])} to {seconds(horizons[-1])}</span></p>"
    )

"""The page's section on what faults of sensors cost."""

from collections.abc import Iterator
from html import escape

import numpy as np

from worldmodel.codecs import codec
from worldmodel.report.tables import swatch
from worldmodel.validate.labels import look, nearest, number, seconds
from worldmodel.validate.outages import Cost, Outage
from worldmodel.validate.result import Result

_RECKONER = "dead_reckoning"
_TINY = 0.015  # change of an error that nobody minds, however certain
_FOLLOWS = 0.02  # change of a share of the blend that is shown in bold
_ABOUT_S = 0.5  # horizon at which shares are shown
_INTRODUCTION = (
    "The same starts, asked with all that was seen and with a fault in it. What came stays what it was: a stuck sensor "
    "is scored against what it should have read. A cell is how many times its own error without the fault the world "
    "model makes; small print, the 95 % interval over episodes. Orange is clearly worse, blue clearly better."
)
_TRUST = (
    "How the blend's shares change. The context tells of an expert only by readings that came in it: a sensor that "
    "sticks looks like one at rest in its own stream, and gives itself away in others; a camera is in none. Of each "
    "fault, the streams that it hits and those whose shares change."
)


def outage_costs(result: Result) -> str:
    """What each fault costs, where positions end up without fixes, and whether the blend follows, as HTML."""
    if not result.outages:
        return ""
    carried = "".join(_carried(result, outage) for outage in result.outages if _place(result, outage))
    others = "".join(f"<details><summary>{escape(o.name)}</summary>{_all(result, o)}</details>" for o in result.outages)
    return (
        f"<p>{_INTRODUCTION}</p>{_table(_heads(result), [_fault(result, o) for o in result.outages])}{carried}"
        f"{_films(result)}{_trust(result)}<h3>Every predictor</h3><div class=card>{others}</div>"
    )


def _heads(result: Result) -> list[str]:
    return ["", *(seconds(horizon) for horizon in result.horizons)]


def _table(heads: list[str], bodies: list[str]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return f'<div class="scroll"><table class="figures"><thead><tr>{head}</tr></thead>{"".join(bodies)}</table></div>'


def _group(title: str, small: str, width: int, rows: str) -> str:
    head = f'<tr class="group"><th colspan="{width}">{escape(title)} <span>{escape(small)}</span></th></tr>'
    return f"<tbody>{head}{rows}</tbody>"


def _fault(result: Result, outage: Outage) -> str:
    rows = "".join(
        f"<tr><th>{escape(stream)}</th>{_ratios(result, table[result.subject])}</tr>"
        for stream, table in outage.costs.items()
        if result.subject in table
    )
    small = f"{outage.text} {outage.starts} starts in {outage.episodes} episodes."
    return _group(outage.name, small, len(result.horizons) + 1, rows)


def _ratios(result: Result, cost: Cost) -> str:
    return "".join(_ratio(*(float(x[tick]) for x in cost[2:])) for tick in result.horizons.values())


def _ratio(ratio: float, low: float, high: float) -> str:
    if not np.isfinite(ratio):
        return f"<td>{number(None)}</td>"
    tone = "" if abs(ratio - 1) < _TINY else "dear" if low > 1 else "best" if high < 1 else ""
    return f'<td class="{tone}">{ratio:.2f}<small>{number(low)}–{number(high)}</small></td>'  # noqa: RUF001


def _place(result: Result, outage: Outage) -> bool:
    return outage.name.endswith(" out") and codec(result.streams[outage.hit[0]]).track is not None


def _carried(result: Result, outage: Outage) -> str:
    """Positions at the outage's end, without it and after it, beside dead reckoning and the raw fix."""
    (stream,), width = outage.hit, len(result.horizons) + 1
    table = outage.costs[stream]
    bodies = [
        _group(title, "m", width, _metres(result, table, key) + fix)
        for title, key, fix in (("with fixes", "without", _raw(result, outage)), ("after the outage", "faulty", ""))
    ]
    return f"<h3>{escape(outage.name)}: how far off</h3><p>{_said(result, outage)}</p>{_table(_heads(result), bodies)}"


def _metres(result: Result, table: dict[str, Cost], key: str) -> str:
    return "".join(
        f'<tr class="{"model" if name == result.subject else ""}"><th>{swatch(name)}</th>'
        + "".join(f"<td>{_figure(getattr(cost, key).rmse[tick])}</td>" for tick in result.horizons.values())
        + "</tr>"
        for name, cost in table.items()
    )


def _raw(result: Result, outage: Outage) -> str:
    if outage.raw_fix is None:
        return ""
    cells = "".join(f"<td>{_figure(outage.raw_fix[tick])}</td>" for tick in result.horizons.values())
    return f"<tr><th>a raw fix at that moment</th>{cells}</tr>"


def _figure(value: float) -> str:
    return number(float(value) if np.isfinite(value) else None)


def _said(result: Result, outage: Outage) -> str:
    """The outage's cost in metres in a sentence, at the first horizon by which each start has had a fix."""
    table, spec = outage.costs[outage.hit[0]], result.streams[outage.hit[0]]
    every = [tick for tick in result.horizons.values() if (tick + 1) * result.setting.dt >= 0.999 / spec.rate_hz]
    tick = every[0] if every else max(result.horizons.values())
    ours = table[result.subject].faulty.rmse[tick]
    when, who = seconds((tick + 1) * result.setting.dt), look(result.subject).spoken
    text = f"{when} after the outage {who} is {number(ours)} m off"
    if _RECKONER in table:
        theirs = table[_RECKONER].faulty.rmse[tick]
        text += f", dead reckoning {number(theirs)} m: {ours / theirs:.2f} of it"
    text += f". With fixes it would be {number(table[result.subject].without.rmse[tick])} m off"
    if outage.raw_fix is not None:
        text += f", where a raw fix at that very moment is {number(outage.raw_fix[tick])} m off"
    return escape(f"{text}.")


def _films(result: Result) -> str:
    """PSNR of predicted frames without and with a fault of a camera."""
    bodies = [
        _group(f"{video}, {outage.name}", "PSNR in dB without the fault, and with it", len(result.horizons) + 1, rows)
        for outage in result.outages
        for video, table in outage.video.items()
        if (rows := "".join(_decibels(name, *(seen.psnr for seen in both)) for name, both in table.items()))
    ]
    return f"<h3>Frames</h3>{_table(_heads(result), bodies)}" if bodies else ""


def _decibels(name: str, without: np.ndarray, faulty: np.ndarray) -> str:
    cells = (f"<td>{_figure(a)} → {_figure(b)}</td>" for a, b in zip(without, faulty, strict=True))
    return f"<tr><th>{swatch(name)}</th>{''.join(cells)}</tr>"


def _trust(result: Result) -> str:
    horizons = list(result.horizons)
    at = nearest(horizons, _ABOUT_S)
    experts = list(dict.fromkeys(e for o in result.outages for shares in o.trust.values() for e in shares))
    if not experts:
        return ""
    tick = result.horizons[horizons[at]]
    bodies = [
        _group(outage.name, "" if rows else "no share changes", len(experts) + 1, rows)
        for outage in result.outages
        for rows in ["".join(_shares(outage, experts, tick))]
    ]
    heads = [f"share of the blend at {seconds(horizons[at])}, %", *(look(expert).label for expert in experts)]
    return f"<h3>Does the blend follow?</h3><p>{_TRUST}</p>{_table(heads, bodies)}"


def _shares(outage: Outage, experts: list[str], tick: int) -> Iterator[str]:
    for stream, shares in outage.trust.items():
        moved = max(abs(faulty[tick] - without[tick]) for without, faulty in shares.values())
        if stream not in outage.hit and moved < _FOLLOWS:
            continue
        cells = [_share(*(float(share[tick]) for share in shares[e])) if e in shares else "<td></td>" for e in experts]
        yield f"<tr><th>{escape(stream)}</th>{''.join(cells)}</tr>"


def _share(without: float, faulty: float) -> str:
    text = f"{100 * without:.0f} → {100 * faulty:.0f}"
    return f"<td><b>{text}</b></td>" if abs(faulty - without) > _FOLLOWS else f"<td>{text}</td>"


def _all(result: Result, outage: Outage) -> str:
    bodies = []
    for stream, table in outage.costs.items():
        rows = "".join(f"<tr><th>{swatch(name)}</th>{_ratios(result, cost)}</tr>" for name, cost in table.items())
        bodies.append(_group(stream, "error with the fault over error without it", len(result.horizons) + 1, rows))
    return _table(_heads(result), bodies)

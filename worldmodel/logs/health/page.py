"""A log's health as one HTML page that needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from worldmodel.draw import PAGE_STYLE, Picture
from worldmodel.files import whole_file
from worldmodel.logs.health.copies import compared
from worldmodel.logs.health.examination import STAGES
from worldmodel.logs.health.finding import Finding, grouped, in_a_line
from worldmodel.logs.health.pictures import draw_commands, draw_filled, draw_finding
from worldmodel.logs.health.survey import Health
from worldmodel.logs.health.terminal import WORDS, coverage_rows, coverage_title, usable_rows, usable_title

_MOST_PICTURES = 12
_TONES = {"refuse": "warning", "warn": "", "cut": "good", "sort": "good", "mask": "good"}


def write_page(health: Health, path: Path | str, *, force: bool = False) -> Path:
    """Writes the page.

    Args:
        health: of a log.
        path: the file.
        force: replace one that exists.

    Returns:
        The file.
    """
    with whole_file(Path(path), force) as partial:
        partial.write_text(page(health), encoding="utf-8")
    return Path(path)


def page(health: Health) -> str:
    """The whole page as HTML."""
    parts = [
        ("found", "What was found", "".join(_found(health))),
        ("done", "What was done when it was ingested", "".join(_done(health))),
        ("usable", "What is usable at a tick", _usable(health)),
        ("commands", "What was commanded", _commands(health)),
        ("checks", "What was checked", _checks()),
    ]
    there = [part for part in parts if part[2]]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in there)
    sections = "".join(f'<section id="{anchor}"><h2>{title}</h2>{body}</section>' for anchor, title, body in there)
    name = ", ".join(file.name for file in health.log.files[:3])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)} · health</title><style>{PAGE_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"{_header(health, name)}<nav>{links}</nav><main>{sections}</main></body></html>\n"
    )


def _header(health: Health, name: str) -> str:
    facts = {
        "episodes": f"{len(health.ticks):,}",
        "in all": f"{health.log.durations_s.sum():,.1f} s",
        "streams": str(len(health.log.streams)),
        "tick": f"{health.dt:.4g} s",
        "ticks": f"{health.ticks.sum():,}",
    }
    listing = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in facts.items())
    return (
        f'<header><div class="inner"><p class="eyebrow">Health of a log</p><h1>{escape(name)}</h1>'
        f'<p class="kind">{escape(health.verdict)}</p><dl>{listing}</dl></div></header>'
    )


def _found(health: Health) -> Iterator[str]:
    yield f'<p class="lead">{escape(health.verdict)}</p>'
    for number, group in enumerate(health.groups):
        picture = draw_finding(health, group[0]) if number < _MOST_PICTURES else None
        yield f'<article class="card">{_words(group, health)}{_image(picture)}</article>'


def _done(health: Health) -> Iterator[str]:
    return (f'<article class="card">{_words(group, health)}</article>' for group in grouped(health.done))


def _words(group: Sequence[Finding], health: Health) -> str:
    first, word = group[0], WORDS[group[0].severity].capitalize()
    return (
        f"<h3>{escape(first.stream)}<span>{escape(first.check)}</span></h3>"
        f'<ul class="notes"><li class="{_TONES[first.severity]}"><strong>{word}.</strong> '
        f"{escape(in_a_line(group, len(health.ticks)))}<br>To do: {escape(first.remedy)}.</li></ul>"
    )


def _usable(health: Health) -> str:
    picture = draw_filled(health) if len(health.ticks) > 1 else None
    return (
        f"<p>{escape(usable_title(health))}. A stream counts in a tick if it has a sample in it, a command if one is "
        f"in force.</p><div class=card>{_table(usable_rows(health))}</div>{_card(picture)}"
    )


def _commands(health: Health) -> str:
    rows = coverage_rows(health)
    if len(rows) == 1:
        return "<p>The log has no commands: what a model imagines cannot depend on any.</p>"
    return (
        f"<p>{escape(coverage_title(health))}. A twentieth of a command's range is tried if a thousandth of the "
        f"samples lie in it.</p><div class=card>{_table(rows)}</div>{_card(draw_commands(health))}"
    )


def _checks() -> str:
    """What each check looks for, as it says itself."""
    checks = [*(check for stage in STAGES for check in stage), compared]
    lines = [((check.__doc__ or "").strip().splitlines() or [""])[0] for check in checks]
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f'<div class="scroll"><table class="board"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _card(picture: Picture | None) -> str:
    return f'<div class="card">{_image(picture)}</div>' if picture else ""


def _image(picture: Picture | None) -> str:
    if picture is None:
        return ""
    return f'<div class="scroll"><img class="plot" src="{picture.address()}" alt="{escape(picture.title)}"></div>'

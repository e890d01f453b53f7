"""A log's health as one HTML page that needs nothing else."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from worldmodel.draw import Picture, header_of, image_of, page_of, table_of
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
    name = ", ".join(file.name for file in health.log.files[:3])
    return page_of(f"{name} · health", _header(health, name), parts)


def _header(health: Health, name: str) -> str:
    facts = {
        "episodes": f"{len(health.ticks):,}",
        "in all": f"{health.log.durations_s.sum():,.1f} s",
        "streams": str(len(health.log.streams)),
        "tick": f"{health.dt:.4g} s",
        "ticks": f"{health.ticks.sum():,}",
    }
    return header_of("Health of a log", name, health.verdict, facts)


def _found(health: Health) -> Iterator[str]:
    yield f'<p class="lead">{escape(health.verdict)}</p>'
    for number, group in enumerate(health.groups):
        picture = draw_finding(health, group[0]) if number < _MOST_PICTURES else None
        yield f'<article class="card">{_words(group, health)}{image_of(picture)}</article>'


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
        f"in force.</p><div class=card>{table_of(usable_rows(health))}</div>{_card(picture)}"
    )


def _commands(health: Health) -> str:
    rows = coverage_rows(health)
    if len(rows) == 1:
        return f"<p>{escape(coverage_title(health))}.</p>"
    return (
        f"<p>{escape(coverage_title(health))}. A twentieth of a command's range is tried if a thousandth of the "
        f"samples lie in it.</p><div class=card>{table_of(rows)}</div>{_card(draw_commands(health))}"
    )


def _checks() -> str:
    """What each check looks for, as it says itself."""
    checks = [*(check for stage in STAGES for check in stage), compared]
    lines = [((check.__doc__ or "").strip().splitlines() or [""])[0] for check in checks]
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _card(picture: Picture | None) -> str:
    return f'<div class="card">{image_of(picture)}</div>' if picture else ""

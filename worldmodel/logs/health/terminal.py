"""A log's health in a terminal: verdict first, then what to do, what was done, what is usable."""

from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, grouped, in_a_line
from worldmodel.logs.health.survey import Health, survey
from worldmodel.logs.reader import Log

if TYPE_CHECKING:
    from rich.console import Console

_WORDS = ("stream", "kind", "least in", "action", "column", "unit")  # columns of the tables that hold no numbers
WORDS = {"refuse": "mend", "cut": "cut", "sort": "sorted", "mask": "left out", "warn": "note"}
_COLOURS = {"refuse": "bold red", "mask": "yellow", "warn": "yellow", "cut": "cyan", "sort": "cyan"}


def print_health(log: Log, dt: float | None = None, console: "Console | None" = None) -> Health:
    """Prints what a person can act on, and returns it."""
    from rich.console import Console
    from rich.text import Text

    from worldmodel.terminal import Grid, say

    console, health = console or Console(), survey(log, dt)
    say(console, Text(health.verdict, "bold"))
    for group in health.groups:
        _print_group(console, group, len(health.looked))
    if health.done:
        console.print("\n[bold]When it was ingested[/bold]")
        for group in grouped(health.done):
            _print_group(console, group, len(log.episodes))
    for title, table in ((usable_title(health), usable_rows(health)), (coverage_title(health), coverage_rows(health))):
        console.print()
        say(console, Text(title, "bold"))
        if len(table) > 1:
            console.print(Grid(table[0], table[1:], _WORDS))
    return health


def _print_group(console: "Console", group: list[Finding], episodes: int) -> None:
    from rich.text import Text

    from worldmodel.terminal import say

    severity = group[0].severity
    say(console, Text.assemble((WORDS[severity], _COLOURS[severity]), " ", in_a_line(group, episodes)))
    say(console, f"do: {group[0].remedy}", 5)


def usable_title(health: Health) -> str:
    """What the table of usable ticks is called."""
    episodes = f"{len(health.ticks)} episodes" if len(health.ticks) > 1 else "one episode"
    return f"Usable at a tick of {health.dt:.4g} s: {health.ticks.sum():,} ticks in {episodes}"


def usable_rows(health: Health) -> list[tuple[str, ...]]:
    """A header, and for each stream what models get of it."""
    rows: list[tuple[str, ...]] = [
        ("stream", "kind", "samples a tick", "ticks with it", "episodes with it", "least in")
    ]
    for index, spec in enumerate(health.log.streams.values()):
        filled = health.filled[:, index]
        every = f"{(filled > 0).sum()} of {len(filled)}"
        share = filled.sum() / max(health.ticks.sum(), 1)
        rows.append(
            (spec.name, spec.kind, f"{spec.rate_hz * health.dt:.3g}", f"{share:.1%}", every, _least(health, filled))
        )
    return rows


def _least(health: Health, filled: np.ndarray) -> str:
    """The episode with the least of a stream, of those that have it; empty where all have about as much."""
    there = np.flatnonzero(filled)
    shares = filled[there] / health.ticks[there]
    if not len(there) or shares.min() > 0.8 * shares.mean():
        return ""
    return f"{shares.min():.1%} in {health.log.episode_names[health.looked[there[np.argmin(shares)]]]}"


def coverage_title(health: Health) -> str:
    """What the table of commands is called."""
    if not health.coverage:
        return "The log has no commands: what a model imagines cannot depend on any"
    ratio, columns = health.independent
    if columns == 1:
        return "What was commanded: one column that moves"
    return f"What was commanded: {columns} columns that move, in about {ratio:.1f} independent directions"


def coverage_rows(health: Health) -> list[tuple[str, ...]]:
    """A header, and for each column of the actions how much of its range was tried."""
    rows: list[tuple[str, ...]] = [("action", "column", "unit", "least", "greatest", "range tried")]
    for part in health.coverage:
        tried = f"{part.filled:.0%}" if part.high > part.low else "never moves"
        rows.append((part.stream, part.column, part.unit, f"{part.low:.4g}", f"{part.high:.4g}", tried))
    return rows

"""The benchmark's results as one table, for machines (JSON) and people (Markdown, HTML)."""

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.benchmark.catalogue import FREE_RUN, PROBLEMS
from worldmodel.benchmark.problem import BenchmarkProblem
from worldmodel.benchmark.rows import SUBJECT, Row
from worldmodel.draw import PAGE_STYLE
from worldmodel.files import whole_file
from worldmodel.training.settings import plain_json
from worldmodel.validate.labels import look
from worldmodel.version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

FORMAT, VERSION = "worldmodel-benchmark", 1
FILES = ("benchmark.json", "benchmark.md", "benchmark.html")
_HOW = "Median over seeds (least to most). ✓ reaches the goal, ✗ does not. Smaller is better, but of PSNR."


class Table(NamedTuple):
    """One figure of one stream: a line a predictor, a column a horizon."""

    title: str
    head: list[str]
    lines: list[list[str]]


Notes = Mapping[str, Sequence[str]]


def write_tables(out: Path, rows: Sequence[Row], notes: Notes) -> list[Path]:
    """Writes all rows as `benchmark.json`, and the figures that problems show as Markdown and HTML.

    Args:
        out: the folder.
        rows: of all problems and seeds.
        notes: by problem, what is to be known of its runs.
    """
    texts = (to_json(rows, notes), to_markdown(rows, notes), to_html(rows, notes))
    for name, text in zip(FILES, texts, strict=True):
        with whole_file(out / name, force=True) as path:
            path.write_text(text, encoding="utf-8")
    return [out / name for name in FILES]


def to_json(rows: Sequence[Row], notes: Notes) -> str:
    """The content of `benchmark.json`."""
    about = {
        name: {
            "title": p.title,
            "source": p.source,
            "differs": p.differs,
            "published": [k._asdict() for k in p.published],
            "notes": list(notes.get(name, ())),
        }
        for name, p in _problems(rows).items()
    }
    return plain_json(
        {
            "format": FORMAT,
            "version": VERSION,
            "machine": machine(),
            "code_version": __version__,
            "problems": about,
            "rows": [row.to_json() for row in rows],
        },
        indent=1,
    )


def to_markdown(rows: Sequence[Row], notes: Notes) -> str:
    """The tables as Markdown."""
    parts = ["# Benchmark", f"{machine()}, version {__version__}. {_HOW}"]
    for name, problem in _problems(rows).items():
        own = [row for row in rows if row.problem == name]
        parts += [f"## {name}", "\n".join(f"* {line}" for line in _words(problem, own, notes))]
        for table in _tables(problem, own):
            lines = ["| " + " | ".join(cells) + " |" for cells in (table.head, *table.lines)]
            lines.insert(1, "|" + "---|" * len(table.head))
            parts += [f"**{table.title}**", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def to_html(rows: Sequence[Row], notes: Notes) -> str:
    """The tables as one page that needs nothing else."""
    sections = []
    for name, problem in _problems(rows).items():
        own = [row for row in rows if row.problem == name]
        words = "".join(f"<p>{escape(line)}</p>" for line in _words(problem, own, notes))
        tables = "".join(map(_html_table, _tables(problem, own)))
        sections.append(f'<section id="{name}"><h2>{escape(name)}</h2>{words}{tables}</section>')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>world model benchmark</title><style>{PAGE_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f'<header><div class="inner"><p class="eyebrow">World model</p><h1>Benchmark</h1>'
        f'<p class="kind">{escape(f"{machine()}, version {__version__}. {_HOW}")}</p></div></header>'
        f"<main>{''.join(sections)}</main></body></html>\n"
    )


def for_terminal(table: Path) -> "Iterator[RenderableType]":
    """What a terminal is to show of a `benchmark.json`: for each problem what is to be known, and its tables."""
    from rich.text import Text

    from worldmodel.terminal import Grid

    kept = json.loads(table.read_text(encoding="utf-8"))
    rows = [Row.from_json(row) for row in kept["rows"]]
    notes = {name: about["notes"] for name, about in kept["problems"].items()}
    yield Text(f"{machine()}, version {__version__}. {_HOW}")
    for name, problem in _problems(rows).items():
        own = [row for row in rows if row.problem == name]
        yield Text(f"\n{name}", "bold")
        yield from map(Text, _words(problem, own, notes))
        for shown in _tables(problem, own):
            yield Grid(shown.head, shown.lines, words=("",), title=shown.title)


def machine() -> str:
    """What this is measured on, in words."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{os.cpu_count()} cores of {model or platform.machine()}"


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    body = "".join(
        f"<tr><th>{escape(first)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for first, *cells in table.lines
    )
    return (
        f'<div class="card"><h3>{escape(table.title)}</h3><div class="scroll"><table class="figures">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


def _problems(rows: Iterable[Row]) -> dict[str, BenchmarkProblem]:
    return {name: PROBLEMS[name] for name in dict.fromkeys(row.problem for row in rows)}


def _words(problem: BenchmarkProblem, rows: Sequence[Row], notes: Notes) -> list[str]:
    """What is to be known beside the tables of a problem."""
    ours = [row for row in rows if row.model == SUBJECT and row.met is not None]
    words = [
        f"{problem.title}. Context {problem.context_s:.4g} s, tick {problem.dt:.4g} s, "
        + ("free run to the record's end." if problem.free_run else f"horizon {problem.horizon_s:.4g} s.")
    ]
    if ours:
        words.append(f"{sum(bool(row.met) for row in ours)} of {len(ours)} goals are reached, counting every seed.")
    words.append(f"Published: {problem.source}." + (f" Ours differs: {problem.differs}." if problem.differs else ""))
    return [*words, *notes.get(problem.name, ())]


def _tables(problem: BenchmarkProblem, rows: Sequence[Row]) -> list[Table]:
    """The figures that are shown, and those of others that miss a goal of ours; free runs of a stream are one table."""
    missed = {_group(row) for row in rows if row.model == SUBJECT and row.met is False}
    groups = dict.fromkeys(_group(row) for row in rows if row.figure in problem.shown)
    groups |= dict.fromkeys(group for group in map(_group, rows) if group in missed)
    return [_table(problem, [row for row in rows if _group(row) == group]) for group in groups]


def _group(row: Row) -> tuple[str, str]:
    return row.stream, FREE_RUN if row.figure.startswith(FREE_RUN) else row.figure


def _table(problem: BenchmarkProblem, rows: Sequence[Row]) -> Table:
    stream, figure = _group(rows[0])
    places = sorted({(row.horizon_s, row.figure) for row in rows}) if figure != FREE_RUN else _tests(rows)
    at = {place: [row for row in rows if (row.horizon_s, row.figure) == place] for place in places}
    lines = []
    for model in dict.fromkeys(row.model for row in rows):
        own = [[row for row in there if row.model == model] for there in at.values()]
        lines.append([look(model).label, *map(_cell, own)])
    goals = [next((r.goal for r in there if r.model == SUBJECT), None) for there in at.values()]
    if any(goal is not None for goal in goals):
        lines.append(["goal (of the first seed)", *map(_goal, goals)])
    for model in dict.fromkeys(known.model for known in problem.published):
        known = [k for k in problem.published if k.model == model]
        values = [next((k.value for k in known if k.of(name, stream, s)), None) for s, name in places]
        if any(value is not None for value in values):
            lines.append([f"published: {model}", *map(_number, values)])
    unit = f" ({rows[0].unit})" if rows[0].unit else ""
    return Table(f"{stream}: {figure}{unit}", ["", *(_heading(*place) for place in places)], lines)


def _tests(rows: Sequence[Row]) -> list[tuple[float, str]]:
    return list(dict.fromkeys((row.horizon_s, row.figure) for row in rows))


def _heading(horizon_s: float, figure: str) -> str:
    test = figure.removeprefix(FREE_RUN).strip() if figure.startswith(FREE_RUN) else ""
    return f"{test}, {horizon_s:.4g} s" if test else f"{horizon_s:.4g} s"


def _cell(rows: Sequence[Row]) -> str:
    """Median and spread over seeds, and whether the median reaches the goal."""
    if not rows:
        return _number(None)
    values = np.array([np.inf if row.value is None else row.value for row in rows])
    spread = f" ({_number(values.min())} to {_number(values.max())})" if len(values) > 1 else ""
    mark = ""
    if rows[0].model == SUBJECT and rows[0].goal is not None:
        mark = " ✓" if np.median([bool(row.met) for row in rows]) == 1 else " ✗"
    return _number(float(np.median(values))) + spread + mark


def _goal(goal: float | tuple[float, float] | None) -> str:
    return f"{_number(goal[0])} to {_number(goal[1])}" if isinstance(goal, tuple) else _number(goal)


def _number(value: float | None) -> str:
    """Three digits, as figures are published; a dash for none."""
    if value is None:
        return "-"
    if np.isinf(value):
        return "diverges"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"

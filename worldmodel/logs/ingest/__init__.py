"""Turns recordings of every common format into logs: `formats` has the importers, `importer` says what one is."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from worldmodel.errors import WorldModelError
from worldmodel.files import check_output, disk_errors
from worldmodel.logs.health.copies import Gathered
from worldmodel.logs.health.finding import Finding, grouped, in_a_line
from worldmodel.logs.ingest.conversion import Parts, convert_all
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.formats.tables.known import has_files
from worldmodel.logs.ingest.formats.tables.recipe import shipped_recipes
from worldmodel.logs.ingest.formats.tables.recipe_file import load_recipe
from worldmodel.logs.ingest.formats.tables.suggest import suggest
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.joining import join
from worldmodel.logs.ingest.notes import in_lines
from worldmodel.logs.ingest.remote import fetched
from worldmodel.logs.ingest.sources import Found, Source, find_sources
from worldmodel.logs.ingest.together import joins, sensors_apart
from worldmodel.terminal import progress_bar

__all__ = ["IngestReport", "ingest", "load_recipe", "shipped_recipes", "suggest"]

_COLUMNS = (TextColumn("ingest"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


@dataclasses.dataclass(frozen=True)
class IngestReport:
    """What `ingest` did.

    Attributes:
        path: the log.
        episodes: their names, in order: those of the sources, and of parts of them.
        streams: the names of the log's streams.
        notes: what was dropped, assumed, or kept though it is not finite; a line for people each.
        findings: what the checks of every recording said (`worldmodel.logs.health`), as the log keeps it.
    """

    path: Path
    episodes: tuple[str, ...]
    streams: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The notes, and what was found, each said once, however many episodes it is about."""
        return [
            *in_lines(self.notes, self.episodes),
            *(in_a_line(group, len(self.episodes)) for group in grouped(self.findings)),
        ]


def ingest(
    sources: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    recipe: str | Path | None = None,
    dbc: str | Path | Sequence[str | Path] = (),
    size: tuple[int, int] | None = None,
    force: bool = False,
    strict: bool = False,
    skip: bool = False,
    cut_every_s: float | None = None,
    workers: int | None = None,
    ray: str | None = None,
    progress: bool = True,
) -> IngestReport:
    """Reads recordings and writes them as one log, whose streams are the union of theirs.

    Killed and started again, it goes on after the last source that it had finished.

    Args:
        sources: files, folders, patterns or URLs (`s3://`, `gs://`, `https://`); a folder stands for all that is in it.
        out: the log to write: a file, or beyond 16 GiB a folder of them, which `Log` opens as one.
        format: of all sources (`docs/formats.md`); by default each is detected.
        recipe: how a table's columns become streams: a shipped recipe's name or a TOML file; by default that of a known
            program, or one that is suggested.
        dbc: DBC files, which say what the messages of a CAN bus mean; the first that knows an address counts.
        size: (rows, columns) of video; (64, 64) by default. Frames are scaled to it whatever their shape.
        force: replace `out` if it exists.
        strict: whether everything that the checks find is an error.
        skip: whether sources that are refused are left out and told, where others are left.
        cut_every_s: cut every recording into episodes of so many seconds, so that some of a long one can be kept back
            to measure on; by default as the recipe says.
        workers: how many processes read; by default all cores, where that pays.
        ray: the address of a Ray cluster that reads, whose nodes see the same files.
        progress: show a progress bar.

    Raises:
        RecipeError: if a source or the recipe cannot be read, they do not fit, or a check refuses a recording.
        LogFormatError: if a later source has a stream that is another one than an earlier source's, or an episode
            breaks an invariant of the format.
        WorldModelError: if `out` exists or cannot be written.
    """
    out = Path(out)
    check_output(out, force)
    if cut_every_s is not None and not 0 < cut_every_s < math.inf:
        raise WorldModelError(
            "--cut-every is no length of an episode.", expected="seconds above 0", found=str(cut_every_s)
        )
    loaded = load_recipe(recipe) if recipe is not None else None
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    parts = Parts(out)
    meanings = tuple(map(Path, [dbc] if isinstance(dbc, str | Path) else dbc))
    options = Options(size or Options.size, recipe, meanings, parts.folder, strict, cut_every_s)
    with disk_errors(out), parts, progress_bar(*_COLUMNS, show=progress) as bar:
        local = fetched(given, parts.folder / "fetched", lambda url: bar.console.print(f"fetching {url}"))
        whole = None
        if loaded:
            by_files = functools.partial(has_files, recipe=loaded)
            whole = by_files if loaded.files else functools.partial(tables.claims, joined=False)
        found = find_sources(local, format or ("tables" if loaded else None), whole)
        inputs = [part for source in found.sources for part in source.parts]
        check_output(out, force, inputs=[*inputs, *([Path(recipe)] if recipe is not None else [])])
        jobs = [(source, parts.of(source, options)) for source in found.sources]
        task = bar.add_task("ingest", total=sum(source.bytes for source in found.sources))
        refused = _Refused(len(jobs), skip)
        advance, gathered = functools.partial(bar.advance, task), dict[Path, dict[str, Gathered]]()
        logs = list(convert_all(jobs, options, workers, ray, advance, refused, gathered))
        about = {**(loaded.about if loaded else {}), "sources": [source.path.name for source in found.sources]}
        how = joins(found.sources, out) if local == given else ""  # what was fetched goes
        joined = join(logs, out, about, force, strict, joins=how, gathered=gathered)
        sources_of = {part: source for source, part in jobs}
        apart = [] if joined.apart else sensors_apart({part: sources_of[part] for part in logs}, how)
    notes = (*_left_out(found), *refused.lines, *joined.notes, *joined.missing(), *apart)
    return IngestReport(out, tuple(joined.episodes), tuple(joined.specs), notes, tuple(joined.findings))


class _Refused:
    """What is done with a source that is refused: an error, or a line where it is to be skipped and others are left."""

    def __init__(self, sources: int, skip: bool) -> None:
        self._sources, self._skip = sources, skip
        self.lines: list[str] = []

    def __call__(self, source: Source, error: WorldModelError) -> None:
        if not self._skip or len(self.lines) == self._sources - 1:
            if self._sources > 1 and not self._skip:
                error.add_note("--skip (skip=True) leaves out what is refused, and tells it")
            raise error
        self.lines.append(f"left out: {error.problem}" + (f" ({error.found})" if error.found else ""))


def _left_out(found: Found) -> list[str]:
    if not found.unclaimed:
        return []
    names = ", ".join(path.name for path in found.unclaimed[:5])
    more = f" and {len(found.unclaimed) - 5} more" if len(found.unclaimed) > 5 else ""
    return [f"left out, as no format claims them: {names}{more}"]

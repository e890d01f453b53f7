"""Turns recordings into logs: GoPro MP4 files with telemetry, and tables (CSV, Parquet, MATLAB) by a recipe."""

import dataclasses
import glob
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress, TextColumn

from worldmodel.errors import RecipeError
from worldmodel.files import check_output
from worldmodel.logs.ingest.gopro import DEFAULT_SIZE, read_gopro
from worldmodel.logs.ingest.recipe import Recipe, load_recipe, shipped_recipes
from worldmodel.logs.ingest.recording import Recording
from worldmodel.logs.ingest.tables import SUFFIXES as TABLES
from worldmodel.logs.ingest.tables import read_table
from worldmodel.logs.same import conform_all
from worldmodel.logs.video import count_frames
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples

__all__ = ["IngestReport", "ingest", "load_recipe", "shipped_recipes"]

_VIDEOS = (".mp4", ".360")


@dataclasses.dataclass(frozen=True)
class IngestReport:
    """What `ingest` did.

    Attributes:
        path: the log.
        episodes: their names, in order: those of the sources, and of parts of tables.
        streams: the names of the log's streams.
        notes: what was dropped, assumed, or kept though it is not finite; a line for people each.
    """

    path: Path
    episodes: tuple[str, ...]
    streams: tuple[str, ...]
    notes: tuple[str, ...]


def ingest(
    sources: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    recipe: str | Path | None = None,
    size: tuple[int, int] | None = None,
    force: bool = False,
    progress: bool = True,
) -> IngestReport:
    """Reads recordings and writes them as one log, an episode a file, or as many as the recipe says.

    Args:
        sources: files, folders or glob patterns: GoPro MP4 files with telemetry, or tables (CSV, Parquet, MATLAB).
        out: the log to write.
        recipe: how a table's columns become streams: a shipped recipe's name or a TOML file. Tables need one.
        size: (rows, columns) of video; (64, 64) by default. Frames are scaled to it whatever their shape.
        force: replace `out` if it exists.
        progress: show a progress bar.

    Raises:
        RecipeError: if a source or the recipe cannot be read, or they do not fit.
        LogFormatError: if a later source has a stream that is another one than the first source's, or an episode
            breaks an invariant of the format.
        WorldModelError: if `out` exists or cannot be written.
    """
    out = Path(out)
    check_output(out, force)
    loaded = load_recipe(recipe) if recipe is not None else None
    files = find_sources(sources, TABLES if loaded else _VIDEOS)
    check_output(out, force, inputs=[*files, *([Path(recipe)] if recipe is not None else [])])
    _check_kinds(files, loaded)
    recordings = _read_all(files, loaded, size or DEFAULT_SIZE, progress)
    first = next(recordings)
    about = loaded.about if loaded else {"description": "GoPro video and telemetry"}
    about = {**about, "sources": [file.name for file in files]}
    notes: list[str] = []
    episodes: list[str] = []
    with LogWriter(out, first.specs.values(), about=about, force=force) as log:
        for recording in itertools.chain([first], recordings):
            log.append(_as_first(first, recording), name=recording.name, origin_utc=recording.origin_utc)
            episodes.append(recording.name)
            notes += [f"{recording.name}: {note}" for note in (*recording.notes, *_not_finite(recording))]
    return IngestReport(out, tuple(episodes), tuple(first.specs), tuple(notes))


def find_sources(sources: Sequence[str | Path] | str | Path, suffixes: Sequence[str]) -> list[Path]:
    """The files that sources name, in order; a folder stands for its files with these suffixes, sorted.

    Raises:
        RecipeError: if one names nothing.
    """
    files: list[Path] = []
    for source in [sources] if isinstance(sources, str | Path) else sources:
        path = Path(source)
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes)
        else:
            found = [path] if path.is_file() else sorted(Path(name) for name in glob.glob(str(source), recursive=True))
        if not found:
            raise RecipeError(
                f"{source} {'holds no file to ingest' if path.is_dir() else 'does not exist'}.",
                expected=f"a file, folder or pattern of files that end in {' or '.join(suffixes)}",
                remedy="" if set(suffixes) & set(TABLES) else "tables need a recipe: pass --recipe",
            )
        files += found
    if not files:
        raise RecipeError("No source was given.", expected="one file, folder or pattern at least")
    return files


def _check_kinds(files: list[Path], recipe: Recipe | None) -> None:
    wanted = TABLES if recipe else _VIDEOS
    wrong = next((file for file in files if file.suffix.lower() not in wanted), None)
    if wrong is None:
        return
    if wrong.suffix.lower() in TABLES:
        remedy = f"pass --recipe: {', '.join(shipped_recipes())} or a TOML file (see datasets/README.md)"
        raise RecipeError(f"{wrong} is a table, and a table needs a recipe.", remedy=remedy)
    raise RecipeError(
        f"{wrong} cannot be ingested{' with a recipe' if recipe else ''}.",
        expected="GoPro MP4 files (.mp4) without a recipe, or tables (.csv, .parquet, .mat) with one",
        found=f"a file that ends in {wrong.suffix!r}",
        remedy="export it to CSV or Parquet and describe its columns in a recipe",
    )


def _read_all(files: list[Path], recipe: Recipe | None, size: tuple[int, int], show: bool) -> Iterator[Recording]:
    with Progress(*Progress.get_default_columns(), TextColumn("{task.fields[file]}"), disable=not show) as bar:
        steps = [1 if recipe else max(count_frames(file), 1) for file in files]
        task = bar.add_task("ingest", total=sum(steps), file="")
        for index, file in enumerate(files):
            bar.update(task, file=file.name, completed=sum(steps[:index]))
            if recipe:
                yield from read_table(file, recipe)
            else:
                yield read_gopro(file, size, lambda: bar.advance(task))
        bar.update(task, completed=sum(steps))


def _as_first(first: Recording, other: Recording) -> dict[str, Samples]:
    """A later file's samples in the units of the first.

    It may lack streams of the first, and then has none of their samples, but brings no others.
    """
    problem, remedy = f"{other.name} has other streams than {first.name}", "make a log of each kind of machine"
    if other.specs.keys() - first.specs.keys():
        names = {"expected": ", ".join(first.specs), "found": ", ".join(other.specs)}
        raise RecipeError(f"{problem}.", **names, remedy=remedy)
    read = conform_all([first.specs[name] for name in other.specs], other.specs, problem, remedy)
    return {name: Samples(time, read[name](data)) for name, (time, data) in other.samples.items()}


def _not_finite(recording: Recording) -> Iterator[str]:
    for name, spec in recording.specs.items():
        if spec.kind != "video":
            count = int((~np.isfinite(recording.samples[name].data)).sum())
            if count:
                size = recording.samples[name].data.size
                yield f"{name}: {count} of {size} readings are NaN or infinite (kept as they are; readers mask them)"

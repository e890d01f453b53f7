"""A first recipe for a table that nobody has described: from its columns, their units, values and rates."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.loading import load
from worldmodel.logs.ingest.formats.tables.members import JSON, VECTORS, files_of, suffix
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, shipped
from worldmodel.logs.ingest.formats.tables.recipe_file import read_recipe
from worldmodel.logs.ingest.formats.tables.suggest.clocks import find_clock
from worldmodel.logs.ingest.formats.tables.suggest.evidence import beside
from worldmodel.logs.ingest.formats.tables.suggest.stream import plain
from worldmodel.logs.ingest.formats.tables.suggest.streams import REST, find_streams, tell_apart
from worldmodel.logs.ingest.formats.tables.suggest.vectors import parts_of
from worldmodel.logs.ingest.formats.tables.suggest.writing import DOUBT, Part, doubts_of, written
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.toml import TomlTable

_MOST_FILES = 100


def suggest(paths: Sequence[str | Path] | str | Path) -> str:
    """A recipe for tables of one kind, as TOML, with a comment for each doubt.

    That of a program whose tables are known is the shipped one. Else it is that of the first of the tables, and says
    which of the others would get another one.

    Args:
        paths: the tables, or folders or archives that are one recording each.

    Raises:
        RecipeError: if no clock can be told, or there is no table.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)] or [Path()]
    first, *others = map(_suggested, given)
    if not others:
        return first
    unlike = [path.name for path, text in zip(given[1:], others, strict=True) if _plain(text) != _plain(first)]
    said = f"made of {given[0].name}, and fits all {len(given)} sources by their columns and units"
    if unlike:
        said = f"made of {given[0].name}; these have other columns, units or clocks: {', '.join(unlike)}"
    return f"{DOUBT}{said}\n{first}"


def _suggested(path: Path) -> str:
    name = known.recognised(path)
    if name is not None:
        return shipped(name).read_text(encoding="utf-8")
    return _described(path)


def _plain(recipe: str) -> list[str]:
    """What a recipe says, but for rates and remarks."""
    return [line for line in recipe.splitlines() if not line.startswith(("#", "rate_hz"))]


def suggestion(path: Path) -> tuple[Recipe, list[str]]:
    """The recipe that is suggested for a table, and its doubts."""
    text = _described(path)
    recipe = read_recipe(TomlTable(Path("suggested.toml"), "", tomllib.loads(text), RecipeError))
    said = "read by a suggested recipe; ingest --suggest prints it, to be mended and given as --recipe"
    return recipe, [said, *doubts_of(text)]


def _described(path: Path) -> str:
    """The recipe that is suggested for a table, or for a folder or an archive of several.

    Files of the same columns are an episode each, and what one of them has are the streams of all; others are sensors
    of one recording. Units that values tell are told by all files of a folder together, and by folders that are alike.
    """
    there = files_of(path)
    if not 0 < len(there) <= _MOST_FILES:
        raise RecipeError(f"{path} is no recording of tables.", expected=f"1 to {_MOST_FILES}", found=str(len(there)))
    tables, doubts = dict[str, Table](), list[str]()
    for name, opened in there.items():
        try:
            tables[name] = load(path, name, opened, None)
        except RecipeError:
            if len(there) == 1:
                raise
            doubts.append(f"{name} cannot be read as a table, and is left out")
    if not tables:
        raise RecipeError(f"{path} has no file that is a table.", found=", ".join(there))
    if len({tuple(table.names) for table in tables.values()}) == 1:
        name, table = next(iter(tables.items()))
        alike = tuple(tables.values()) if len(tables) > 1 else beside(path)
        parts, more = parts_of(path, table, suffix(name) in (*VECTORS, *JSON), alike)
        return written(path, parts, [*doubts, *more])
    doubts.append("the files are taken for one recording, whose clocks agree")
    parts = []
    for name, table in tables.items():
        try:
            clock = find_clock(table.path, table)
        except RecipeError:
            doubts.append(f"no clock can be told in {name}, which is left out")
        else:
            found = find_streams(table, clock.columns, clock.stamps_s, beside(table.path))
            for stream in found.streams:
                stream.name = plain(Path(name).stem) if stream.name == REST else stream.name
            parts.append(Part(name, clock, found))
    if not parts:
        raise RecipeError(f"No clock can be told in any file of {path}.", found=", ".join(tables))
    tell_apart([stream for part in parts for stream in part.found.streams])
    return written(path, parts, doubts)

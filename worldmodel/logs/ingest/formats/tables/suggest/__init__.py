"""A first recipe for a table that nobody has described: from its columns, their units, values and rates."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from worldmodel.content import content_dir
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.loading import load
from worldmodel.logs.ingest.formats.tables.members import files_of
from worldmodel.logs.ingest.formats.tables.recipe import Recipe
from worldmodel.logs.ingest.formats.tables.recipe_file import read_recipe
from worldmodel.logs.ingest.formats.tables.suggest.clocks import find_clock
from worldmodel.logs.ingest.formats.tables.suggest.streams import find_streams
from worldmodel.logs.ingest.formats.tables.suggest.writing import doubts_of, written
from worldmodel.toml import TomlTable


def suggest(paths: Sequence[str | Path] | str | Path) -> str:
    """A recipe for tables of one kind, as TOML, with a comment for each doubt.

    That of a program whose tables are known is the shipped one. Else the first of the tables is looked at.

    Args:
        paths: the tables, or folders or archives that are one recording each.

    Raises:
        RecipeError: if no clock can be told, or there is no table.
    """
    path = Path(paths if isinstance(paths, str | Path) else next(iter(paths), ""))
    name = known.recognised(path)
    if name is not None:
        return (content_dir("datasets") / f"{name}.toml").read_text(encoding="utf-8")
    return _described(path)


def suggestion(path: Path) -> tuple[Recipe, list[str]]:
    """The recipe that is suggested for a table, and its doubts."""
    text = _described(path)
    recipe = read_recipe(TomlTable(Path("suggested.toml"), "", tomllib.loads(text), RecipeError))
    said = "read by a suggested recipe; ingest --suggest prints it, to be mended and given as --recipe"
    return recipe, [said, *doubts_of(text)]


def _described(path: Path) -> str:
    there = files_of(path)
    if len(there) != 1:
        raise RecipeError(
            f"{path} is no single table.",
            expected="one table, or files of a program that is known",
            found=", ".join(list(there)[:10]) or "none",
            remedy="give one of its files, or write a recipe with a `file` for each stream",
        )
    (name, opened) = next(iter(there.items()))
    table = load(path, name, opened, None, (), True)
    clock = find_clock(path, table)
    return written(path, clock, find_streams(table, clock.columns, clock.stamps_s))

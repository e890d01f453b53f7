"""Streams of the columns that a recipe names no stream for, where it says that they become some."""

import dataclasses
import tomllib
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, TableStream
from worldmodel.logs.ingest.formats.tables.recipe_file import read_recipe
from worldmodel.logs.ingest.formats.tables.stamps import nanoseconds
from worldmodel.logs.ingest.formats.tables.suggest.clocks import FoundClock, is_temporal, named
from worldmodel.logs.ingest.formats.tables.suggest.streams import find_streams
from worldmodel.logs.ingest.formats.tables.suggest.writing import Part, doubts_of, written
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.toml import TomlTable


def other_streams(table: Table, recipe: Recipe) -> tuple[list[TableStream], list[str]]:
    """The streams that are suggested for columns which no stream of a recipe is read from, and their doubts.

    Raises:
        RecipeError: if the recipe's clock cannot be read.
    """
    if not table.data.num_rows:
        return [], []
    taken = {table.find(name) for name in (*recipe.readable(), *recipe.clock.columns)} - {None}
    ns, valid = nanoseconds(table.path, table, recipe.clock)
    stamps_s = np.where(valid, (ns - ns[valid].min(initial=ns.max(initial=0))) * 1e-9, np.nan)
    again = [name for name in named(table) if name not in taken and _goes_on(table, name)]
    found = find_streams(table, [*map(str, taken), *again], stamps_s)
    told = [f"columns that tell the time again are left out: {', '.join(again)}"] if again else []
    if not found.streams:
        return [], [*told, *found.left_out]
    names = {stream.spec.name for stream in recipe.streams}
    for stream in found.streams:
        stream.name = f"other_{stream.name}" if stream.name in names else stream.name
    text = written(table.path, [Part("", FoundClock(recipe.clock, (), stamps_s, ()), found)])
    given = tomllib.loads(text)
    given["clock"] = {"period_s": 1.0}  # in place of the recipe's own, which its streams then have
    read = read_recipe(TomlTable(Path(recipe.path), "", given, RecipeError))
    return [dataclasses.replace(stream, clock=recipe.clock) for stream in read.streams], [*told, *doubts_of(text)]


def _goes_on(table: Table, name: str) -> bool:
    """Whether a column's numbers grow from row to row, as those of another clock do."""
    if table.is_words(name) or is_temporal(table, name):
        return False
    numbers = table.floats(name)
    steps = np.diff(numbers[np.isfinite(numbers)])
    return bool(len(steps) and (steps >= 0).all() and (steps > 0).any())

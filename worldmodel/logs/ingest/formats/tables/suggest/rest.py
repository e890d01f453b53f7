"""Streams of the columns that a recipe names no stream for, where it says that they become some."""

import dataclasses
import tomllib
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, TableStream
from worldmodel.logs.ingest.formats.tables.recipe_file import read_recipe
from worldmodel.logs.ingest.formats.tables.stamps import nanoseconds
from worldmodel.logs.ingest.formats.tables.suggest.clocks import FoundClock
from worldmodel.logs.ingest.formats.tables.suggest.streams import find_streams
from worldmodel.logs.ingest.formats.tables.suggest.writing import Part, doubts_of, written
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.toml import TomlTable


def other_streams(table: Table, recipe: Recipe) -> tuple[list[TableStream], list[str]]:
    """The streams that are suggested for columns which no stream of a recipe is read from, and their doubts.

    Raises:
        RecipeError: if the recipe's clock cannot be read.
    """
    taken = {table.find(name) for name in (*recipe.readable(), *recipe.clock.columns)} - {None}
    ns, valid = nanoseconds(table.path, table, recipe.clock)
    stamps_s = np.where(valid, (ns - ns[valid].min(initial=ns.max(initial=0))) * 1e-9, np.nan)
    found = find_streams(table, [str(name) for name in taken], stamps_s)
    if not found.streams:
        return [], found.left_out
    names = {stream.spec.name for stream in recipe.streams}
    for stream in found.streams:
        stream.name = f"other_{stream.name}" if stream.name in names else stream.name
    text = written(table.path, [Part("", FoundClock(recipe.clock, (), stamps_s, ()), found)])
    given = tomllib.loads(text)
    given["clock"] = {"period_s": 1.0}  # in place of the recipe's own, which its streams then have
    read = read_recipe(TomlTable(Path(recipe.path), "", given, RecipeError))
    return [dataclasses.replace(stream, clock=recipe.clock) for stream in read.streams], doubts_of(text)

"""Tables (CSV, Parquet, MATLAB), by a recipe."""

from collections.abc import Iterator
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.reading import SUFFIXES, read_table
from worldmodel.logs.ingest.formats.tables.recipe import load_recipe, shipped_recipes
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording


def claims(path: Path) -> bool:
    """By its suffix."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode a table, or as many as the recipe says."""
    if options.recipe is None:
        remedy = f"pass --recipe: {', '.join(shipped_recipes())} or a TOML file (see datasets/README.md)"
        raise RecipeError(f"{path} is a table, and a table needs a recipe.", remedy=remedy)
    if not claims(path):
        raise RecipeError(
            f"{path} is no table, and only tables are read with a recipe.",
            expected=f"a file that ends in {', '.join(SUFFIXES)}",
            found=f"one that ends in {path.suffix!r}",
            remedy="leave out --recipe",
        )
    yield from read_table(path, load_recipe(options.recipe))

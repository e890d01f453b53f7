"""Tables (text, JSON, Parquet, Feather, Excel, MATLAB), by a recipe: given, a known program's, or suggested."""

from collections.abc import Iterator
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.matlab import is_plain_hdf5
from worldmodel.logs.ingest.formats.tables.members import BINARY, JSON, LINES, files_of, is_table, suffix
from worldmodel.logs.ingest.formats.tables.reading import read_table
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, shipped
from worldmodel.logs.ingest.formats.tables.recipe_file import load_recipe
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording


def claims(path: Path, joined: bool = True) -> bool:
    """By its suffix; text of any kind if it has a header with numbers below, folders and archives by their files.

    Args:
        path: a file or a folder.
        joined: whether a folder may be a recording that no program is known by.
    """
    try:
        if path.is_dir():
            return known.recognised_files(path) is not None or (joined and _is_one_recording(path))
        if not path.is_file():
            return False
    except OSError:
        return False
    if path.suffix.lower() == ".zip":
        return known.holds_tables(path)
    if path.suffix.lower() in (".h5", ".hdf5"):
        return is_plain_hdf5(path)
    if suffix(path.name) in JSON:
        return is_table(path.name) and known.holds_json_table(path)
    if suffix(path.name) in LINES:
        return is_table(path.name) and known.holds_objects(path)
    return is_table(path.name) and (suffix(path.name) in (".csv", ".tsv", *BINARY) or known.looks_like_table(path))


def _is_one_recording(folder: Path) -> bool:
    from worldmodel.logs.ingest.formats.tables.suggest.sensors import is_one_recording

    return is_one_recording(folder)


def parts(path: Path) -> list[Path]:
    """The files of a folder that is one recording."""
    return [path / name for name in files_of(path)] if path.is_dir() else [path]


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode a table, or as many as the recipe says.

    Raises:
        RecipeError: if it cannot be read, or does not fit the recipe.
    """
    if not (path.is_dir() or path.suffix.lower() == ".zip" or is_table(path.name)):
        raise RecipeError(
            f"{path} is no table, and only tables are read with a recipe.",
            expected="CSV or other text, JSON, Parquet, Feather, Excel or MATLAB",
            found=f"one that ends in {path.suffix!r}",
            remedy="leave out --recipe",
        )
    if options.recipe is not None:
        yield from read_table(path, load_recipe(options.recipe))
        return
    recipe, notes = _recipe_for(path)
    for recording in read_table(path, recipe, unread=True):
        recording.notes[:] = dict.fromkeys([*notes, *recording.notes])
        recording.about = {**recipe.about, **recording.about}
        notes = []
        yield recording
        del recording  # before the next is read


def _recipe_for(path: Path) -> tuple[Recipe, list[str]]:
    """The recipe of a table that none was given for, and what is said of it."""
    name = known.recognised(path)
    if name is not None:
        return load_recipe(shipped(name)), [f"read by the shipped recipe {name}, which it was recognised by"]
    from worldmodel.logs.ingest.formats.tables.suggest import suggestion

    return suggestion(path)

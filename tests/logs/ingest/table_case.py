"""A table and its recipe, read without a log being written."""

from pathlib import Path

from worldmodel.logs.ingest.formats.tables.reading import read_table
from worldmodel.logs.ingest.formats.tables.recipe_file import load_recipe
from worldmodel.logs.ingest.recording import Recording

HEAD = 'format = "worldmodel-recipe"\nversion = 1\n'
BODY = '[clock]\ncolumn = "t"\n[streams.s]\nkind = "sensor"\ncolumns = { x = "x" }\nrate_hz = "measured"\n'


def read(
    folder: Path, content: str | bytes, recipe: str = BODY, keys: str = "", name: str = "run.csv"
) -> list[Recording]:
    """The recordings of a file with that content, by a recipe's keys and its tables."""
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    return read_file(folder / name, recipe, keys)


def read_file(path: Path, recipe: str = BODY, keys: str = "") -> list[Recording]:
    """The recordings of a source, by a recipe's keys and its tables."""
    file = path.parent / "recipe.toml"
    file.write_text(HEAD + keys + "\n" + recipe)
    return list(read_table(path, load_recipe(file)))

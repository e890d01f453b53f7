"""A table, with its recipe or without, read without a log being written."""

from collections.abc import Sequence
from pathlib import Path

from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.formats.tables.reading import read_table
from worldmodel.logs.ingest.formats.tables.recipe_file import load_recipe
from worldmodel.logs.ingest.importer import Options
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


def recordings(path: Path) -> list[Recording]:
    """Those of a source without a recipe."""
    return list(tables.read(path, Options()))


def suggested(folder: Path, head: str, rows: Sequence[str], name: str = "run.csv") -> Recording:
    """The recording of a table without a recipe, with no other table beside it or its folder."""
    path = folder / "table" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{head}\n" + "".join(f"{row}\n" for row in rows))
    (recording,) = recordings(path)
    return recording

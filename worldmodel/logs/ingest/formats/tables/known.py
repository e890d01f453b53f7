"""Tables of programs that are known: a shipped recipe that says what it is recognised by."""

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables import json_file
from worldmodel.logs.ingest.formats.tables.fields import DELIMITERS, HEAD, encoding_of, fields_of
from worldmodel.logs.ingest.formats.tables.headers import in_brackets
from worldmodel.logs.ingest.formats.tables.json_lines import is_object
from worldmodel.logs.ingest.formats.tables.layout import calls, find_layout, has_columns
from worldmodel.logs.ingest.formats.tables.members import (
    BINARY,
    archived,
    files_of,
    is_table,
    matching,
    recordings_by,
    suffix,
)
from worldmodel.logs.ingest.formats.tables.plain import is_other
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, Signs, Text, shipped, shipped_recipes
from worldmodel.logs.ingest.formats.tables.recipe_file import load_recipe

_LINES = 200
_LETTERS = re.compile(r"[^\W\d_]")  # which every column of a known program has
_MOST = 1000  # files of a folder that are looked at


@functools.cache
def exporters() -> dict[str, Recipe]:
    """The shipped recipes that say what their tables are recognised by, the most particular first."""
    recipes = {name: load_recipe(shipped(name)) for name in shipped_recipes()}
    there = {name: recipe for name, recipe in recipes.items() if recipe.signs}
    return dict(sorted(there.items(), key=lambda item: -_detail(item[1].signs or Signs())))


def _detail(signs: Signs) -> int:
    return 100 * bool(signs.begins) + 10 * len(signs.files) + len(signs.columns)


def recognised(path: Path) -> str | None:
    """The name of the recipe of the program that a table, or a folder or an archive of them, comes from."""
    if path.is_dir() or path.suffix.lower() == ".zip":
        return recognised_files(path)
    if suffix(path.name) in BINARY or not path.is_file():
        return None
    try:
        lines = first_lines(path)
    except (OSError, ValueError, RecipeError):
        return None
    return _recognised_text(lines)


def recognised_files(path: Path) -> str | None:
    """The name of the recipe that fits the files of a folder or an archive, of one recording or of several."""
    try:
        there = dict.fromkeys(_within(path) if path.is_dir() else archived(path))
    except (OSError, RecipeError):
        return None
    for name, recipe in exporters().items():
        files = recipe.signs.files if recipe.signs else ()
        whole = files and all(len(matching(there, pattern)) == 1 for pattern in files)
        several = recordings_by(there, recipe.files) if files and not (whole or recipe.rest) else {}
        whole = whole or any(set(files) <= own.keys() for own in several.values())
        if whole and (recipe.rest or any(matching(there, pattern) for pattern in recipe.files)):
            return name
    return None


def has_files(path: Path, recipe: Recipe) -> bool:
    """Whether a folder or an archive has the files of a recording that a recipe is for, or of several."""
    try:
        there = dict.fromkeys(files_of(path)) if path.is_dir() or path.suffix.lower() == ".zip" else {}
    except (OSError, RecipeError):
        return False
    needed = {stream.file for stream in recipe.streams if not stream.optional} or set(recipe.files)
    count = {pattern: len(matching(there, pattern)) for pattern in recipe.files}
    if any(count.values()) and all(n == 1 or (n == 0 and p not in needed) for p, n in count.items()):
        return True
    several = {} if recipe.rest else recordings_by(there, recipe.files)
    return any(needed <= files.keys() for files in several.values())


def _within(folder: Path) -> Iterator[str]:
    """The names of files in a folder and in the folders in it, as many as one recording may have."""
    for path in itertools.islice(sorted(folder.iterdir()), _MOST):
        if path.is_dir():
            yield from (f"{path.name}/{file.name}" for file in itertools.islice(path.iterdir(), _MOST))
        else:
            yield path.name


def first_lines(path: Path) -> list[str]:
    """The first lines of a text file, without surrounding blanks.

    Raises:
        OSError, ValueError: if it cannot be read.
    """
    import pyarrow as pa

    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(HEAD)
    encoding, mark = encoding_of(head, None)
    return [line.strip() for line in head[mark:].decode(encoding, "replace").splitlines()[:_LINES]]


def _recognised_text(lines: Sequence[str]) -> str | None:
    """The name of the recipe whose signs a text's first lines have."""
    first = re.sub(r"[;\t]", ",", next((line for line in lines if line), "").replace('"', "").lower())
    worded = (line for line in lines if _LETTERS.search(line))
    headers = [calls(in_brackets(fields_of(line, d))) for line in worded for d in DELIMITERS if d in line]
    for name, recipe in exporters().items():
        signs = recipe.signs or Signs()
        begins = not signs.begins or any(first.startswith(text.lower()) for text in signs.begins)
        if (signs.begins or signs.columns) and begins and _any_has(headers, (*signs.columns, *recipe.needed())):
            return name
    return None


def _any_has(headers: Sequence[set[str]], columns: Sequence[str]) -> bool:
    return any(has_columns(called, columns) for called in headers)


def looks_like_table(path: Path) -> bool:
    """Whether a text file has a header with lines of numbers below, or is one of a known program."""
    try:
        lines = first_lines(path)
        if not is_other(lines) and _recognised_text(lines) is None:
            find_layout(lines, Text(), ())
    except (OSError, ValueError, RecipeError):
        return False
    return True


def holds_objects(path: Path) -> bool:
    """Whether the first line of a file that has something in it is a JSON object with numbers."""
    try:
        return is_object(next((line for line in first_lines(path) if line), ""))
    except (OSError, ValueError):
        return False


def holds_json_table(path: Path) -> bool:
    """Whether a JSON file holds a table as a whole, by its beginning."""
    try:
        return json_file.holds_table("\n".join(first_lines(path)))
    except (OSError, ValueError):
        return False


def holds_tables(path: Path) -> bool:
    """Whether an archive has a table in it, or is damaged: reading it says so."""
    try:
        return any(map(is_table, archived(path)))
    except RecipeError:
        return True

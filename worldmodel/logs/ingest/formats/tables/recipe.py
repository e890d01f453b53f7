"""Recipes: TOML files that say how the columns of a table become streams. `datasets/README.md` describes them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.codecs import KINDS
from worldmodel.content import content_dir
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.toml import REQUIRED, TomlTable
from worldmodel.types import StreamSpec

FORMAT, VERSION = "worldmodel-recipe", 1
UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DUPLICATES = ("drop", "error")
_ORIGINS = ("first", "unix")


@dataclasses.dataclass(frozen=True)
class Clock:
    """Which column is the time.

    Attributes:
        column: its name; None where rows follow each other evenly.
        period_s: seconds from one row to the next; None where a column tells the time.
        unit: `s`, `ms`, `us` or `ns`.
        duplicates: whether samples whose time does not increase are dropped and counted, or refused.
        origin: `unix` if it counts from 1970-01-01 UTC, else `first`.
    """

    column: str | None
    period_s: float | None = None
    unit: str = "s"
    duplicates: str = "drop"
    origin: str = "first"


@dataclasses.dataclass(frozen=True)
class TableStream:
    """How one stream is read from a table.

    Attributes:
        spec: what the stream is.
        sources: the table's column for each column of the stream.
        scale, offset: a reading is `offset + scale * stored`, for each column.
        where: rows that belong to the stream have these values in these columns, or lie between these two; empty for
            all rows.
        clock: its clock.
    """

    spec: StreamSpec
    sources: tuple[str, ...]
    scale: np.ndarray
    offset: np.ndarray
    where: Mapping[str, Any]
    clock: Clock


@dataclasses.dataclass(frozen=True)
class TablePart:
    """One episode of a table that holds several.

    Attributes:
        name: added to the file's; empty where the whole table is one episode.
        rows: the first, and the one after the last; None for the table's end.
        columns: what the streams call a column, and what the table calls it.
    """

    name: str = ""
    rows: tuple[int, int | None] = (0, None)
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe: its streams, the episodes of a table, and what the log then says of itself.

    `structure` is what is declared of the machine and else found in training (`worldmodel.models.experts.structure`).
    """

    path: Path
    description: str
    delimiter: str
    twin: str
    streams: tuple[TableStream, ...]
    parts: tuple[TablePart, ...]
    structure: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def about(self) -> dict[str, object]:
        about: dict[str, object] = {"recipe": self.path.stem, "description": self.description}
        given = {"scene": self.twin, "structure": dict(self.structure)}
        return about | {key: value for key, value in given.items() if value}


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with the toolkit."""
    return sorted(path.stem for path in content_dir("datasets").glob("*.toml"))


def load_recipe(recipe: str | Path) -> Recipe:
    """Reads a recipe.

    Args:
        recipe: the name of a shipped one, or a path to a TOML file.

    Raises:
        RecipeError: if it cannot be found or read, naming the key, what was expected and what was found.
    """
    path = Path(recipe)
    if not path.suffix and not path.exists():
        path = content_dir("datasets") / f"{recipe}.toml"
    if not path.is_file():
        raise RecipeError(
            f"There is no recipe {str(recipe)!r}.",
            expected=f"a shipped recipe ({', '.join(shipped_recipes())}) or a path to a TOML file",
            remedy="datasets/README.md says how to write one",
        )
    return _read_recipe(TomlTable.read(path, RecipeError))


def _read_recipe(table: TomlTable) -> Recipe:
    table.check_format(FORMAT, VERSION)
    description = table.take("description", str, "a line of text", "")
    delimiter = table.take("delimiter", str, "one character", ",")
    if len(delimiter) != 1:
        raise table.error("delimiter", "one character", delimiter)
    twin = table.take("twin", str, "the name of a scene", "")
    clock = _read_clock(table.table("clock"), None)
    section = table.table("streams")
    if not section.names:
        raise table.error("streams", "at least one table [streams.NAME]", {})
    streams = tuple(_read_stream(section.table(name), name, clock) for name in section.names)
    episodes = table.table("episodes", {})
    parts = tuple(_read_part(episodes.table(name), name) for name in episodes.names)
    structure = table.take("structure", dict, "a table [structure]", {})
    table.finish()
    return Recipe(table.path, description, delimiter, twin, streams, parts or (TablePart(),), structure)


def _is_range(value: list[Any]) -> bool:
    return len(value) == 2 and all(isinstance(v, int | float) for v in value) and value[0] <= value[1]


def _read_part(table: TomlTable, name: str) -> TablePart:
    wanted = "the first row, counted from 0, and the one after the last, such as [0, 100]"
    rows = table.take("rows", list, wanted, None)
    if rows is not None and not (len(rows) == 2 and all(type(r) is int for r in rows) and 0 <= rows[0] < rows[1]):
        raise table.error("rows", wanted, rows)
    columns = table.take("columns", dict, "a table { COLUMN = 'column of the source', ... }", {})
    if not all(isinstance(source, str) for source in columns.values()):
        raise table.error("columns", "a table { COLUMN = 'column of the source', ... }", columns)
    table.finish()
    return TablePart(name, tuple(rows) if rows else (0, None), columns)


def _read_clock(table: TomlTable, base: Clock | None) -> Clock:
    column = table.take("column", str, "the name of the time column", None)
    period = table.number("period_s", "seconds above zero", None)
    if column is None and period is None and base:
        column, period = base.column, base.period_s
    if (column is None) == (period is None):
        raise table.error("column", "the name of the time column, or period_s in its place", column or REQUIRED)
    if period is not None and not period > 0:
        raise table.error("period_s", "seconds above zero", period)
    clock = Clock(
        column,
        period,
        table.choose("unit", tuple(UNIT_NS), base.unit if base else "s"),
        table.choose("duplicates", _DUPLICATES, base.duplicates if base else "drop"),
        table.choose("origin", _ORIGINS, base.origin if base else "first"),
    )
    table.finish()
    return clock


def _read_stream(table: TomlTable, name: str, clock: Clock) -> TableStream:
    if "/" in name or not name:
        raise table.error("", "a name without slashes", name)
    kind = table.choose("kind", tuple(k for k in KINDS if k != "video"))
    columns = table.take("columns", dict, "a table { COLUMN = 'column of the source', ... }")
    if not columns or not all(isinstance(source, str) for source in columns.values()):
        raise table.error("columns", "a table { COLUMN = 'column of the source', ... }", columns)
    count = len(columns)
    number = (int, float)
    where = table.take("where", dict, "a table { COLUMN = value, ... }", {})
    if not all(_is_range(value) for value in where.values() if isinstance(value, list)):
        raise table.error("where", "a table { COLUMN = value, ... } of values or pairs [low, high]", where)
    rate = table.take("rate_hz", number, "the nominal rate in samples a second")
    if not rate > 0:
        raise table.error("rate_hz", "a rate above zero", rate)
    units = table.per_column("units", str, "a unit", count, "")
    noise = table.per_column("noise_std", number, "a standard deviation", count, float("nan"))
    circular = table.per_column("circular", bool, "true or false", count, False)
    scale = table.per_column("scale", number, "a number", count, 1.0)
    offset = table.per_column("offset", number, "a number", count, 0.0)
    frame = table.take("frame", str, "the frame of the values", "")
    description = table.take("description", str, "a line of text", "")
    own = _read_clock(table.table("clock", {}), clock)
    table.finish()
    try:
        spec = StreamSpec(
            name, kind, tuple(columns), tuple(units), float(rate), frame, tuple(map(float, noise)), tuple(circular),
            description=description,
        )  # fmt: skip
    except WorldModelError as error:
        raise RecipeError(f"{table.path}: the table [streams.{name}] is wrong.\n  {error}") from error
    return TableStream(spec, tuple(columns.values()), np.array(scale, float), np.array(offset, float), where, own)

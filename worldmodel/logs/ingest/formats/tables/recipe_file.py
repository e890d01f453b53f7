"""Reads a recipe from its TOML file, key by key."""

import datetime
import math
import zoneinfo
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.codecs import KINDS
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest.formats.tables.conversions import HEADER, change
from worldmodel.logs.ingest.formats.tables.recipe import (
    MEASURED,
    Clock,
    Cut,
    Recipe,
    Signs,
    TablePart,
    TableStream,
    Text,
    shipped,
    shipped_recipes,
)
from worldmodel.logs.ingest.formats.tables.rows import COMPARISONS, is_condition
from worldmodel.logs.ingest.formats.tables.stamps import ORDERS, UNITS
from worldmodel.toml import REQUIRED, TomlTable
from worldmodel.types import StreamSpec

FORMAT, VERSION = "worldmodel-recipe", 1
_DUPLICATES = ("drop", "error", "spread")
_PARTS = ("ns", "us", "ms")
_ORIGINS = ("first", "unix", "recording")
_EPOCHS_S = 4102444800.0  # since 1970, to 2100 and as long before: within int64 nanoseconds
_COLUMNS = "a table { COLUMN = 'column of the source', ... }"


def load_recipe(recipe: str | Path) -> Recipe:
    """Reads a recipe.

    Args:
        recipe: the name of a shipped one, or a path to a TOML file.

    Raises:
        RecipeError: if it cannot be found or read, naming the key, what was expected and what was found.
    """
    path = Path(recipe)
    if not path.suffix and not path.is_file():  # a folder may have the name of the program that its logs are of
        path = shipped(str(recipe))
    if not path.is_file():
        raise RecipeError(
            f"There is no recipe {str(recipe)!r}.",
            expected=f"a shipped recipe ({', '.join(shipped_recipes())}) or a path to a TOML file",
            remedy="datasets/README.md says how to write one",
        )
    return read_recipe(TomlTable.read(path, RecipeError))


def read_recipe(table: TomlTable) -> Recipe:
    """Reads a recipe from a whole file's keys."""
    table.check_format(FORMAT, VERSION)
    description = table.take("description", str, "a line of text", "")
    text = _read_text(table)
    twin = table.take("twin", str, "the name of a scene", "")
    clock = _read_clock(table.table("clock"), None)
    rest = table.take("rest", bool, "true if other columns become streams too", False)
    section = table.table("streams", {} if rest else REQUIRED)
    if not (section.names or rest):
        raise table.error("streams", "at least one table [streams.NAME]", {})
    streams = tuple(_read_stream(section.table(name), name, clock) for name in section.names)
    episodes = table.table("episodes", {})
    parts = tuple(_read_part(episodes.table(name), name) for name in episodes.names) or (TablePart(),)
    cut = _read_cut(table.table("cut", {}))
    if cut.key and any(stream.file for stream in streams):
        raise table.error("cut.key", "none where a recording has several files", cut.key)
    signs = table.table("recognised", {})
    known = _read_signs(signs) if signs.names else None
    sheet = table.take("sheet", str, "the name of a sheet", "")
    structure = table.take("structure", dict, "a table [structure]", {})
    table.finish()
    return Recipe(
        table.path, description, text, twin, clock, streams, parts, cut, known, rest, sheet, structure
    )  # fmt: skip


def _read_text(table: TomlTable) -> Text:
    def character(key: str) -> str | None:
        value = table.take(key, str, "one character", None)
        if value is not None and len(value) != 1:
            raise table.error(key, "one character", value)
        return value

    text = Text(
        character("delimiter"),
        character("decimal"),
        table.take("encoding", str, "the name of an encoding, such as latin-1", None),
        table.take("comment", str, "what lines of comment begin with", None),
        table.take("header", bool, "false where no line has the columns' names", True),
        _count(table, "skip", "how many lines come before the header"),
        _count(table, "units_rows", "how many lines lie between the header and the data"),
        _words(table, "missing"),
        table.choose("unreadable", ("error", "drop"), "error"),
        character("thousands"),
        _count(table, "header_rows", "over how many lines the columns' names are", least=1),
    )
    if text.encoding is not None:
        try:
            b"a".decode(text.encoding, "replace")
        except LookupError as error:
            raise table.error("encoding", "the name of an encoding, such as latin-1", text.encoding) from error
    if text.decimal not in (None, ".", ","):
        raise table.error("decimal", "'.' or ','", text.decimal)
    return text


def _count(table: TomlTable, key: str, wanted: str, least: int = 0) -> int | None:
    value = table.take(key, int, wanted, None)
    if value is not None and value < least:
        raise table.error(key, wanted, value)
    return value


def _words(table: TomlTable, key: str) -> tuple[str, ...]:
    value = table.take(key, list, "a list of words", [])
    if not all(isinstance(word, str) for word in value):
        raise table.error(key, "a list of words", value)
    return tuple(value)


def _read_part(table: TomlTable, name: str) -> TablePart:
    wanted = "the first row, counted from 0, and the one after the last, such as [0, 100]"
    rows = table.take("rows", list, wanted, None)
    if rows is not None and not (len(rows) == 2 and all(type(r) is int for r in rows) and 0 <= rows[0] < rows[1]):
        raise table.error("rows", wanted, rows)
    columns = table.take("columns", dict, _COLUMNS, {})
    if not all(isinstance(source, str) for source in columns.values()):
        raise table.error("columns", _COLUMNS, columns)
    table.finish()
    return TablePart(name, tuple(rows) if rows else (0, None), columns)


def _read_cut(table: TomlTable) -> Cut:
    key = table.take("key", str, "the name of the column whose values tell episodes apart", "")
    gap = table.number("gap_s", "seconds above zero", None, least=1e-9)
    back = table.number("back_s", "seconds above zero", Cut.back_s, least=1e-9)
    every = table.number("every_s", "seconds above zero", None, least=1e-9)
    table.finish()
    return Cut(key, math.inf if gap is None else gap, back, math.inf if every is None else every)


def _read_signs(table: TomlTable) -> Signs:
    begins = table.take("begins", (str, list), "text, or several", [])
    begins = (begins,) if isinstance(begins, str) else tuple(map(str, begins))
    signs = Signs(begins, _words(table, "columns"), _words(table, "files"))
    table.finish()
    return signs


def _read_clock(table: TomlTable, base: Clock | None) -> Clock:
    wanted = "the name of the time column, or [date, time of day]"
    column = table.take("column", (str, list), wanted, None)
    columns = () if column is None else (column,) if isinstance(column, str) else tuple(column)
    if column is not None and not (len(columns) in (1, 2) and all(isinstance(name, str) for name in columns)):
        raise table.error("column", wanted, column)
    period = table.number("period_s", "seconds above zero", None)
    if not columns and period is None and base:
        columns, period = base.columns, base.period_s
    if bool(columns) == (period is not None):
        raise table.error("column", "the name of the time column, or period_s in its place", column or REQUIRED)
    if period is not None and not period > 0:
        raise table.error("period_s", "seconds above zero", period)
    base = base or Clock(())
    week = table.take("week", (int, str), "the number of a GPS week, or its column", base.week)
    clock = Clock(
        columns,
        period,
        table.choose("unit", tuple(UNITS), base.unit),
        table.take("dates", str, " or ".join(ORDERS), base.dates),
        table.take("time_zone", str, "a name such as Europe/Berlin", base.time_zone),
        None if week == "" else week,  # which may leave out an inherited one
        table.take("fraction", str, "the column of parts of a second", base.fraction),
        table.choose("fraction_unit", _PARTS, base.fraction_unit),
        table.choose("duplicates", _DUPLICATES, base.duplicates),
        _read_origin(table, base.origin),
    )
    if clock.dates not in ORDERS and "%" not in clock.dates:
        raise table.error("dates", f"{' or '.join(ORDERS)}, or a format such as %d.%m.%Y %H:%M:%S", clock.dates)
    _check_zone(table, clock.time_zone)
    table.finish()
    return clock


def _read_origin(table: TomlTable, default: str | float) -> str | float:
    """Since when a clock counts."""
    wanted = f"{', '.join(_ORIGINS)}, or since when: seconds since 1970, or a date and time with its zone"
    value: Any = table.take("origin", (str, int, float, datetime.datetime), wanted, default)
    if isinstance(value, str):
        if value not in _ORIGINS:
            raise table.error("origin", wanted, value)
        return value
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise table.error("origin", wanted, str(value))
        value = value.timestamp()
    if not abs(value) < _EPOCHS_S:
        raise table.error("origin", wanted, value)
    return float(value)


def _check_zone(table: TomlTable, name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise table.error("time_zone", "a name such as Europe/Berlin", name) from error


def _read_stream(table: TomlTable, name: str, clock: Clock) -> TableStream:
    if {"/", "\0"} & set(name) or not name:
        raise table.error("", "a name without slashes", name)
    kind = table.choose("kind", tuple(k for k in KINDS if k != "video"))
    columns = table.take("columns", dict, _COLUMNS)
    if not columns or not all(isinstance(source, str) for source in columns.values()):
        raise table.error("columns", _COLUMNS, columns)
    count, number = len(columns), (int, float)
    where = table.take("where", dict, "a table { COLUMN = value, ... }", {})
    if not all(map(is_condition, where.values())):
        wanted = f"a table of values, pairs [low, high], or tables of {', '.join(COMPARISONS)}"
        raise table.error("where", wanted, where)
    rate = _read_rate(table)
    units = table.per_column("units", str, "a unit", count, "")
    from_units = table.per_column("from_units", str, "a unit, or header", count, "")
    _check_units(table, from_units, units)
    noise = table.per_column("noise_std", number, "a standard deviation", count, float("nan"))
    circular = table.per_column("circular", bool, "true or false", count, False)
    scale = table.per_column("scale", number, "a number", count, 1.0)
    offset = table.per_column("offset", number, "a number", count, 0.0)
    frame = table.take("frame", str, "the frame of the values", "")
    description = table.take("description", str, "a line of text", "")
    own = _read_clock(table.table("clock", {}), clock)
    file = table.take("file", str, "the file that it is in", "")
    optional = table.take("optional", bool, "true or false", False)
    lag = table.number("lag_s", "seconds", 0.0)
    held = table.take("held", bool, "true or false", False)
    hemispheres = _read_hemispheres(table, kind)
    table.finish()
    try:
        spec = StreamSpec(
            name, kind, tuple(columns), tuple(units), float(rate or MEASURED), frame, tuple(map(float, noise)),
            tuple(circular), description=description,
        )  # fmt: skip
    except WorldModelError as error:
        raise RecipeError(f"{table.path}: the table [streams.{name}] is wrong.\n  {error}") from error
    return TableStream(
        spec, tuple(columns.values()), np.array(scale, float), np.array(offset, float), tuple(from_units), where, own,
        file, optional, rate is None, lag, held, hemispheres,
    )  # fmt: skip


def _read_hemispheres(table: TomlTable, kind: str) -> tuple[str, ...]:
    columns, wanted = _words(table, "hemispheres"), "the columns of N or S and of E or W, of a stream of kind gps"
    if columns and (kind != "gps" or len(columns) != 2):
        raise table.error("hemispheres", wanted, list(columns))
    return columns


def _read_rate(table: TomlTable) -> float | None:
    """The nominal rate; None where it is to be measured."""
    wanted = "the nominal rate in samples a second, or 'measured'"
    rate: Any = table.take("rate_hz", (int, float, str), wanted)
    if rate == "measured":
        return None
    if isinstance(rate, str) or not rate > 0:
        raise table.error("rate_hz", f"{wanted}, a rate above zero", rate)
    return float(rate)


def _check_units(table: TomlTable, old: list[str], new: list[str]) -> None:
    for from_unit, unit in zip(old, new, strict=True):
        if from_unit not in ("", HEADER) and change(from_unit, unit) is None:
            raise table.error("from_units", f"a unit that becomes {unit!r} exactly", from_unit)

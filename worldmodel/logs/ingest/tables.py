"""Reads a table (CSV or Parquet) by a recipe, as one episode."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.recipe import UNIT_NS, Clock, Recipe, TableStream
from worldmodel.logs.ingest.recording import Recording, increasing

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet")


def read_table(path: Path, recipe: Recipe) -> Recording:
    """Reads one table. Time zero is the earliest time of any stream.

    Readings that are NaN, infinite or empty are kept (empty as NaN): readers mask them. Rows without a time, and rows
    whose time does not increase, are dropped and counted, or refused if the recipe says so.

    Raises:
        RecipeError: if the table cannot be read or does not fit the recipe.
    """
    table = _load(path, recipe)
    _check_columns(path, table, recipe)
    recording = Recording(path.name)
    parts = {stream.spec.name: _select(path, table, stream) for stream in recipe.streams}
    clocks = {stream.spec.name: _nanoseconds(path, parts[stream.spec.name], stream.clock) for stream in recipe.streams}
    firsts = [int(ns[valid].min()) for ns, valid in clocks.values() if valid.any()]
    if not firsts:
        raise RecipeError(
            f"{path} has no rows for any stream of {recipe.path.name}.", remedy="check `where` and the clock"
        )
    origin = min(firsts)
    for stream in recipe.streams:
        ns, valid = clocks[stream.spec.name]
        time = np.where(valid, (ns - origin) * 1e-9, np.nan)
        _refuse_duplicates(path, stream, time)
        columns = [_floats(path, parts[stream.spec.name], source) for source in stream.sources]
        recording.add(stream.spec, time, stream.offset + stream.scale * np.stack(columns, axis=1))
    if any(stream.clock.origin == "unix" for stream in recipe.streams):
        recording.origin_utc = origin * 1e-9
    return recording


def _load(path: Path, recipe: Recipe) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if path.suffix.lower() == ".parquet":
            return parquet.read_table(path)
        return csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=recipe.delimiter))
    except (pa.ArrowException, OSError) as error:
        raise RecipeError(
            f"{path} cannot be read as a table.",
            expected="Parquet, or CSV with a header line and as many fields in every line",
            found=str(error).splitlines()[0],
        ) from error


def _check_columns(path: Path, table: "pa.Table", recipe: Recipe) -> None:
    needed = {name for s in recipe.streams for name in (*s.sources, *s.where, s.clock.column)}
    missing = sorted(needed - set(table.column_names))
    if missing:
        raise RecipeError(
            f"{path} lacks columns that the recipe {recipe.path.name} names: {', '.join(missing)}.",
            expected=", ".join(sorted(needed)),
            found=", ".join(table.column_names),
            remedy="mend the names in the recipe, or choose the recipe that fits this source",
        )
    twice = sorted(name for name in needed if table.column_names.count(name) > 1)
    if twice:
        raise RecipeError(
            f"{path} has more than one column of a name that the recipe {recipe.path.name} names.",
            expected="one of each",
            found=", ".join(twice),
            remedy="give the columns names of their own",
        )


def _select(path: Path, table: "pa.Table", stream: TableStream) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import compute

    for column, value in stream.where.items():
        try:
            table = table.filter(compute.equal(table[column], value))
        except pa.ArrowException as error:
            raise RecipeError(
                f"{path}: streams.{stream.spec.name}.where compares column {column!r} with {value!r}.",
                expected=f"a value of type {table[column].type}",
            ) from error
    return table


def _nanoseconds(path: Path, table: "pa.Table", clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """The clock as int64 nanoseconds [M], so that large stamps keep their last digits, and which rows have one [M]."""
    import pyarrow as pa

    column = table[clock.column]
    if pa.types.is_timestamp(column.type):
        column, unit = column.cast(pa.timestamp("ns")).cast(pa.int64()), 1
    else:
        unit = UNIT_NS[clock.unit]
    if pa.types.is_integer(column.type):
        stamps, most = np.asarray(column.fill_null(0)), (2**63 - 1) // unit
        if ((stamps > most) | (stamps < -most)).any():
            raise RecipeError(
                f"{path}: the clock {clock.column!r} cannot be in {clock.unit}.",
                expected=f"stamps up to {most}, which is the year 2262",
                found=str(stamps[(stamps > most) | (stamps < -most)][0]),
                remedy="give the unit that the stamps are in",
            )
        return stamps.astype(np.int64) * unit, ~np.asarray(column.is_null())
    seconds = _floats(path, table, clock.column)
    valid = np.isfinite(seconds) & (np.abs(seconds) * unit < 2**63)
    return np.rint(np.where(valid, seconds, 0) * unit).astype(np.int64), valid


def _floats(path: Path, table: "pa.Table", name: str) -> np.ndarray:
    """A column as float64 [M], NaN where it is empty."""
    import pyarrow as pa

    try:
        return np.asarray(table[name].cast(pa.float64()).fill_null(np.nan), np.float64)
    except pa.ArrowException as error:
        raise RecipeError(
            f"{path}: the column {name!r} does not hold numbers.",
            expected="numbers, nan, inf or nothing in every row",
            found=str(error).splitlines()[0],
        ) from error


def _refuse_duplicates(path: Path, stream: TableStream, time: np.ndarray) -> None:
    keep = increasing(time)
    if stream.clock.duplicates == "error" and not keep.all():
        row = int(np.argmin(keep))
        raise RecipeError(
            f"{path}: the times of stream {stream.spec.name!r} do not increase.",
            expected=f"each {stream.clock.column} later than the one before",
            found=f"{time[row]!r} s at row {row} of the stream",
            remedy='mend the file, or set duplicates = "drop" in the recipe\'s [clock]',
        )

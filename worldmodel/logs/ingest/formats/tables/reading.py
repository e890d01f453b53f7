"""Reads a table (CSV, Parquet or MATLAB) by a recipe, as one episode or as several."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.matlab import load_mat
from worldmodel.logs.ingest.formats.tables.recipe import UNIT_NS, Clock, Recipe, TablePart, TableStream
from worldmodel.logs.ingest.recording import Recording, increasing

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet", ".mat")
_ROW = "\0row"  # the name of a column that is added: which row of the table it is


def read_table(path: Path, recipe: Recipe) -> Iterator[Recording]:
    """Reads one table, an episode after the other. Time zero is the earliest time of any stream of the episode.

    Readings that are NaN, infinite or empty are kept (empty as NaN): readers mask them. Rows without a time, and rows
    whose time does not increase, are dropped and counted, or refused if the recipe says so.

    Raises:
        RecipeError: if the table cannot be read or does not fit the recipe.
    """
    table = _load(path, recipe)
    for part in recipe.parts:
        name = " ".join(filter(None, (path.name, part.name)))
        yield _read_episode(path, name, _part_of(path, table, part), recipe)


def _read_episode(path: Path, name: str, table: "pa.Table", recipe: Recipe) -> Recording:
    _check_columns(path, table, recipe)
    recording = Recording(name)
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
        if path.suffix.lower() == ".mat":
            table = load_mat(path)
        elif path.suffix.lower() == ".parquet":
            table = _flat(parquet.read_table(path))
        else:
            table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=recipe.delimiter))
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        raise RecipeError(
            f"{path} cannot be read as a table.",
            expected="Parquet, MATLAB, or CSV with a header line and as many fields in every line",
            found=str(error).splitlines()[0],
        ) from error
    return table.append_column(_ROW, pa.array(np.arange(table.num_rows)))


def _flat(table: "pa.Table") -> "pa.Table":
    """A table whose columns of lists of one length are a column an element: `state[0]`, `state[1]` and so on."""
    import pyarrow as pa

    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_fixed_size_list(field.type):
            elements = column.combine_chunks().flatten()
            size = field.type.list_size
            columns |= {
                f"{field.name}[{i}]": elements.take(pa.array(range(i, len(elements), size))) for i in range(size)
            }
        else:
            columns[field.name] = column
    return pa.table(columns)


def _part_of(path: Path, table: "pa.Table", part: TablePart) -> "pa.Table":
    """The rows of an episode, with the names that the streams use."""
    first, stop = part.rows
    if stop is not None and stop > table.num_rows:
        raise RecipeError(
            f"{path} has fewer rows than the episode {part.name!r} needs.",
            expected=str(stop),
            found=str(table.num_rows),
        )
    if missing := sorted(set(part.columns.values()) - set(table.column_names)):
        raise RecipeError(
            f"{path} lacks columns of the episode {part.name!r}: {', '.join(missing)}.",
            found=", ".join(n for n in table.column_names if n != _ROW),
        )
    for name, source in part.columns.items():
        table = table.append_column(name, table[source])
    return table.slice(first, None if stop is None else stop - first)


def _check_columns(path: Path, table: "pa.Table", recipe: Recipe) -> None:
    needed = {name for s in recipe.streams for name in (*s.sources, *s.where, s.clock.column or _ROW)} - {_ROW}
    there = [name for name in table.column_names if name != _ROW]
    missing = sorted(needed - set(there))
    if missing:
        raise RecipeError(
            f"{path} lacks columns that the recipe {recipe.path.name} names: {', '.join(missing)}.",
            expected=", ".join(sorted(needed)),
            found=", ".join(there),
            remedy="mend the names in the recipe, or choose the recipe that fits this source",
        )
    twice = sorted(name for name in needed if there.count(name) > 1)
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
            if isinstance(value, list):
                low, high = compute.greater_equal(table[column], value[0]), compute.less_equal(table[column], value[1])
                table = table.filter(compute.and_(low, high))
            else:
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

    if clock.column is None:
        rows = np.asarray(table[_ROW])
        return np.rint(rows * (clock.period_s or 0) * 1e9).astype(np.int64), np.ones(len(rows), bool)
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

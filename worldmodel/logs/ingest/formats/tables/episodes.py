"""Parts a table into episodes: by a column, by gaps, and where the clock goes back."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.recipe import Cut, Recipe, TablePart
from worldmodel.logs.ingest.formats.tables.rows import missing_where_nan
from worldmodel.logs.ingest.formats.tables.stamps import nanoseconds, with_stamp
from worldmodel.logs.ingest.formats.tables.table import Table

_OVERTAKEN = 3  # rows: a stamp that lies ahead of so few is a stray, and begins no episode


def episodes_of(path: Path, table: Table, recipe: Recipe) -> Iterator[tuple[str, Table]]:
    """Each episode's name within the file, empty where there is one, and its rows."""
    for part in recipe.parts:
        rows = _part_of(path, table, part)
        check_columns(rows, recipe)
        for value, group in _by_key(rows, recipe.cut.key):
            stretches = _stretches(path, group, recipe)
            for number, stretch in enumerate(stretches, 1):
                told = f"part {number}" if len(stretches) > 1 else ""
                yield " ".join(filter(None, (part.name, value, told))), stretch


def check_columns(table: Table, recipe: Recipe) -> None:
    """Refuses a table that lacks columns of a recipe's streams, or has several of one name.

    Raises:
        RecipeError: naming them.
    """
    needed = sorted({name for stream in recipe.streams for name in stream.needed if name} | {*recipe.needed()})
    twice = [name for name in needed if table.twice(name)]
    if twice:
        raise RecipeError(
            f"{table.path} has more than one column of a name that the recipe {recipe.path.name} names.",
            expected="one of each",
            found=", ".join(twice),
            remedy=f'name one by its place: "{twice[0]}#1" is the first of them, "#1" the first of all columns',
        )
    if missing := sorted(table.lacking(needed)):
        raise RecipeError(
            f"{table.path} lacks columns that the recipe {recipe.path.name} names: {', '.join(missing)}.",
            expected=", ".join(needed),
            found=", ".join(table.names),
            remedy="mend the names in the recipe, or choose the recipe that fits this source",
        )


def _part_of(path: Path, table: Table, part: TablePart) -> Table:
    """The rows that a recipe calls an episode, with the names that the streams use."""
    first, stop = part.rows
    if stop is not None and stop > table.data.num_rows:
        raise RecipeError(
            f"{path} has fewer rows than the episode {part.name!r} needs.",
            expected=str(stop),
            found=str(table.data.num_rows),
        )
    if missing := table.lacking(sorted(part.columns.values())):
        raise RecipeError(
            f"{path} lacks columns of the episode {part.name!r}: {', '.join(missing)}.", found=", ".join(table.names)
        )
    data = table.data
    for name, source in part.columns.items():
        data = data.append_column(name, table.column(source))
    return table.part(data.slice(first, None if stop is None else stop - first))


def _by_key(table: Table, key: str) -> Iterator[tuple[str, Table]]:
    """The rows of each value of a column, in the order in which these first come; rows without one are left out."""
    if not key:
        yield "", table
        return
    import pyarrow as pa
    from pyarrow import compute

    column = table.column(key)
    if pa.types.is_string(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.string())
        column = compute.utf8_trim_whitespace(column)
        column = compute.if_else(compute.equal(column, ""), None, column)
    codes = compute.dictionary_encode(missing_where_nan(column)).combine_chunks()
    index = np.asarray(codes.indices.fill_null(-1))
    if (index < 0).any():
        table.notes.append(f"{(index < 0).sum()} of {len(index)} rows have no {key}; left out")
    for code, value in enumerate(codes.dictionary.to_pylist()):
        yield f"{key} {value}", table.part(table.data.take(np.flatnonzero(index == code)))


def _stretches(path: Path, table: Table, recipe: Recipe) -> list[Table]:
    clock = recipe.streams[0].clock if recipe.streams else recipe.clock
    if not clock.columns or not table.data.num_rows:
        return [table]
    ns, valid = nanoseconds(path, table, clock)
    cut = recipe.cut
    if clock.duplicates == "error":
        cut = dataclasses.replace(cut, back_s=float("inf"))
    starts = _starts(with_stamp(ns, valid), cut)
    if len(starts) and (ordered := _in_turns(table, _key_of_names(recipe), ns, valid, cut)):
        table = ordered
        ns, valid = nanoseconds(path, table, clock)
        starts = _starts(with_stamp(ns, valid), cut)
    if not len(starts):
        return [table]
    there = np.flatnonzero(valid)
    starts = there[starts]
    table.notes.append(f"cut into {len(starts) + 1} episodes, {_why(ns, there, starts[0])}")
    edges = [0, *map(int, starts), table.data.num_rows]
    return [table.part(table.data.slice(a, b - a)) for a, b in itertools.pairwise(edges)]


def _key_of_names(recipe: Recipe) -> str:
    """The column by which each stream of a recipe has rows of its own; empty where there is none."""
    first, *others = recipe.streams or (None,)
    if first is None or any(stream.clock != first.clock for stream in others):
        return ""
    told = (c for c in first.where if all(isinstance(stream.where.get(c), str | int) for stream in recipe.streams))
    return next((c for c in told if len({stream.where[c] for stream in recipe.streams}) > 1), "")


def _in_turns(table: Table, key: str, ns: np.ndarray, valid: np.ndarray, cut: Cut) -> Table | None:
    """Readings by their names in the order of their times; None where it is another table, or a name's clock goes back.

    Of such a table it tells nothing that all readings of a name stand behind those of another, or come late.

    Args:
        table: the table.
        key: the column of names; empty for none.
        ns: the stamps [M].
        valid: which rows have one [M].
        cut: how far back begins an episode.
    """
    if not key:
        return None
    latest, codes = np.where(valid, ns, ns.max()), table.codes(key)
    for code in range(int(codes.max(initial=-1)) + 1):
        rows = np.flatnonzero(valid & (codes == code))
        if np.diff(ns[rows]).min(initial=0) < -cut.back_s * 1e9:
            return None
        latest[rows] = np.maximum.accumulate(ns[rows])  # what overtook others of its name is left to the checks
    table.notes.append(f"not in the order of its times, as readings by their {key} may be; put into it")
    return table.part(table.data.take(np.argsort(latest, kind="stable")))


def _starts(ns: np.ndarray, cut: Cut) -> np.ndarray:
    """Which of the stamps [M] begin an episode: indices."""
    steps = np.diff(ns)
    if not len(steps) or (steps.min() >= -cut.back_s * 1e9 and steps.max() <= cut.gap_s * 1e9):
        return np.zeros(0, int)
    back = np.flatnonzero(steps < -cut.back_s * 1e9) + 1
    back = back[ns[back] < ns[np.maximum(back - 1 - _OVERTAKEN, 0)]]
    return np.union1d(back, np.flatnonzero(steps > cut.gap_s * 1e9) + 1)


def _why(ns: np.ndarray, there: np.ndarray, row: int) -> str:
    before = there[np.searchsorted(there, row) - 1]
    step = float(ns[row] - ns[before]) * 1e-9
    return f"first at row {row}, where the clock goes {'back' if step < 0 else 'on'} by {abs(step):.6g} s"

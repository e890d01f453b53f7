"""Clocks of their own for columns of a table that are shorter than others, or lie in other structs."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.suggest.clocks import find_clock, is_temporal, named
from worldmodel.logs.ingest.formats.tables.suggest.streams import find_streams, tell_apart
from worldmodel.logs.ingest.formats.tables.suggest.writing import Part
from worldmodel.logs.ingest.formats.tables.table import ROW, Table

_ONE_OF_SEVERAL = re.compile(r"#\d+$|Time Series", re.IGNORECASE)


def parts_of(path: Path, table: Table, apart: bool, alike: Sequence[Table] = ()) -> tuple[list[Part], list[str]]:
    """The columns of each clock, as parts of a recipe, and the doubts.

    Args:
        path: the source, for messages.
        table: the table.
        apart: whether columns of different lengths, or structs, belong to different sensors, as in a MATLAB file; else
            only those with a clock of that length.
        alike: all tables that are to have the same units; none for this one alone.

    Raises:
        RecipeError: if no clock can be told.
    """
    groups = _groups(table, apart)
    found: list[Part] = []
    doubts: list[str] = []
    for names in groups:
        own = table.part(table.data.select([*names, ROW]).slice(0, _length(table, names[0])))
        try:
            clock = find_clock(path, own)
        except RecipeError:
            if len(groups) == 1:
                raise
            doubts.append(f"no clock of its length can be told for {', '.join(names[:8])}: left out")
        else:
            found.append(Part("", clock, find_streams(own, clock.columns, clock.stamps_s, alike)))
    if not found:
        raise RecipeError(f"No clock can be told in {path}.", found=", ".join(table.names[:40]))
    tell_apart([stream for part in found for stream in part.found.streams])
    return found, doubts


def _groups(table: Table, apart: bool) -> list[list[str]]:
    """The names of columns that share a clock, those of the longest first."""
    clocks = set(named(table))
    if beside := _by_place(table, clocks):
        return beside
    by_length: dict[int, list[str]] = defaultdict(list)
    for name in table.names:
        by_length[_length(table, name)].append(name)
    lengths = sorted(by_length, reverse=True)
    if not apart:
        joined = [n for length in lengths if not clocks & set(by_length[length]) for n in by_length[length]]
        groups = [by_length[length] for length in lengths if clocks & set(by_length[length])]
        return [[*groups[0], *joined], *groups[1:]] if groups else [table.names]
    return [group for length in lengths for group in _by_struct(by_length[length], clocks)]


def _by_place(table: Table, clocks: set[str]) -> list[list[str]]:
    """The columns to the right of each of several clocks of one name, those of clocks that agree together.

    Empty where the table is no such one: `X[s],EMG 1,X[s],Acc 1` or `EMG 1 Time Series (s),EMG 1,...`.
    """
    several = [name for name in table.names if name in clocks and _ONE_OF_SEVERAL.search(name)]
    dated = any(table.is_words(name) or is_temporal(table, name) for name in several)
    if len(several) < 2 or table.names[0] != several[0] or dated:
        return []
    groups: dict[tuple[int, bytes], list[str]] = {}
    for name in table.names:
        if name in several:
            stamps = table.floats(name)[: _length(table, name)]
            group = groups.setdefault((len(stamps), stamps.tobytes()), [name])
        else:
            group.append(name)
    return sorted((group for group in groups.values() if len(group) > 1), key=lambda group: -_length(table, group[0]))


def _by_struct(names: list[str], clocks: set[str]) -> list[list[str]]:
    """Names of one length by the structs that have clocks; those of other structs go with the first."""
    structs = list(dict.fromkeys(name.rpartition(".")[0] for name in names if name in clocks))
    if len(structs) < 2:
        return [names]
    groups: dict[str, list[str]] = {struct: [] for struct in structs}
    for name in names:
        inside = [struct for struct in structs if not struct or name.startswith(f"{struct}.")]  # the file has no name
        groups[max(inside, key=len, default=structs[0])].append(name)
    return list(groups.values())


def _length(table: Table, name: str) -> int:
    """How many rows a column has before there is nothing any more."""
    column = table.column(name)
    if not column.null_count:
        return len(column)
    there = np.flatnonzero(np.asarray(column.is_valid()))
    return int(there[-1]) + 1 if len(there) else len(column)

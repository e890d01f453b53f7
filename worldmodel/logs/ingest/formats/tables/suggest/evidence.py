"""What columns hold in every table of a folder: a unit that values tell is told by all, and is that of each."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.health.values import thin
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.loading import load
from worldmodel.logs.ingest.formats.tables.members import BINARY, files_of, is_table, suffix
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.logs.ingest.sources import claimant

_MOST_FILES = 32
_MOST_BYTES = 256 << 20
_TEXT_BYTES = 8 << 20  # are read at most of a text
_ROWS = 10_000  # of each file


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The values of a table's columns, in it or in all tables of its kind.

    Attributes:
        table: the table.
        all: those of its folder, itself among them if it is to tell; none if it is alone. Of them only those tell that
            have all of its columns, or no others: another program may call other things so.
    """

    table: Table
    all: Sequence[Table] = ()

    @functools.cached_property
    def _alike(self) -> list[Table]:
        own = set(self.table.names)
        return [table for table in self.all if own <= set(table.names) or own >= set(table.names)]

    def runs(self, *names: str) -> list[list[np.ndarray]]:
        """The numbers [M] of each column in each table that has them all, in the units of this one."""
        units = [self.table.unit(name) for name in names]
        there = [_numbers(table, names) for table in self._alike if _units(table, names) == units]
        return list(filter(None, there)) or [[self.table.floats(name) for name in names]]

    def floats(self, *names: str) -> list[np.ndarray]:
        """The numbers [M] of each column, those of all tables one after the other."""
        return [np.concatenate(column) for column in zip(*self.runs(*names), strict=True)]


def _units(table: Table, names: Sequence[str]) -> list[str]:
    return [table.unit(name) for name in names if name in table.names]


def _numbers(table: Table, names: Sequence[str]) -> list[np.ndarray]:
    """The numbers [M] of columns; none where one holds no numbers."""
    if any(map(table.is_words, names)):
        return []
    try:
        columns = [table.floats(name) for name in names]
    except RecipeError:
        return []
    return columns if all(np.isfinite(column).any() for column in columns) else []


def beside(path: Path) -> tuple[Table, ...]:
    """The tables of a file's folder that end as it does, it among them, some rows of each; none if it is alone.

    Of many they are some, which are the same for every file of the folder.
    """
    if not path.is_file():
        return ()
    ending = path.suffix.lower()
    names = sorted(name for name in os.listdir(path.parent or ".") if name.lower().endswith(ending) and is_table(name))
    if len(names) < 2:
        return ()
    places = np.linspace(0, len(names) - 1, min(len(names), _MOST_FILES)).astype(int)
    return _loaded(tuple(_within_bounds(path.parent / names[place] for place in places)))


def _within_bounds(files: Iterable[Path]) -> Iterator[tuple[Path, int, int]]:
    """Files until they are too many bytes together, each with its size and the time of its last change."""
    read = 0
    for file in files:
        stat = file.stat()
        read += stat.st_size if suffix(file.name) in BINARY else min(stat.st_size, _TEXT_BYTES)
        yield file, stat.st_size, stat.st_mtime_ns
        if read > _MOST_BYTES:
            return


@functools.lru_cache(maxsize=1)
def _loaded(files: Sequence[tuple[Path, int, int]]) -> tuple[Table, ...]:
    return tuple(filter(None, (_some_rows(file) for file, _, _ in files)))


def _some_rows(path: Path) -> Table | None:
    """A table with some rows of its file; None if it is none, or one of a known program."""
    try:
        if claimant(path) != "tables" or known.recognised(path) is not None:
            return None
        table = load(path, path.name, files_of(path)[path.name], None)
    except RecipeError:
        return None
    return table.part(table.data.take(thin(np.arange(table.data.num_rows), _ROWS)))

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
from worldmodel.logs.ingest.formats.tables.suggest.kinds import called
from worldmodel.logs.ingest.formats.tables.suggest.stream import plain, stem
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.logs.ingest.sources import claimant

_MOST_FILES = 32
_MOST_FOLDERS = 256
_MOST_BYTES = 256 << 20
_TEXT_BYTES = 8 << 20  # are read at most of a text
_ROWS = 10_000  # of each file
_AXES = {"x", "y", "z"}  # columns that are of what a file is called


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The values of a table's columns, in it or in all tables of its kind.

    Attributes:
        table: the table.
        all: those beside it, itself among them if it is to tell; none if it is alone. Of its folder only those tell
            that have all of its columns, or no others, and of other folders those that have the same: another program
            may call other things so.
    """

    table: Table
    all: Sequence[Table] = ()

    @functools.cached_property
    def _alike(self) -> list[Table]:
        return [table for table in self.all if self._is_like(table)]

    def _is_like(self, table: Table) -> bool:
        own, others = set(self.table.names), set(table.names)
        if {plain(name) for name in own} >= _AXES and called(stem(table.path)) != called(stem(self.table.path)):
            return False
        within = table.path.absolute().parent == self.table.path.absolute().parent
        return own == others or (within and (own <= others or own >= others))

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
    """The tables beside a file that end as it does, it among them, some rows of each; none if it is alone.

    Beside it are those of its folder, and of the folders beside that which hold files of the same names, or one each:
    recordings in a folder each. Of many they are some, which are the same for every file of the folder.
    """
    if not path.is_file():
        return ()
    files = [folder / name for folder, names in _folders(path.absolute().parent, path.suffix.lower()) for name in names]
    if len(files) < 2:
        return ()
    places = np.linspace(0, len(files) - 1, min(len(files), _MOST_FILES)).astype(int)
    return _loaded(tuple(_within_bounds(files[place] for place in places)))


def _folders(own: Path, ending: str) -> list[tuple[Path, list[str]]]:
    """A folder and those beside it that are like it, each with the names of its tables."""
    names = _tables(own, ending)
    try:
        near = sorted(entry.path for entry in os.scandir(own.parent) if entry.is_dir())
    except OSError:
        near = []
    there = [(Path(folder), _tables(Path(folder), ending)) for folder in near[:_MOST_FOLDERS]]
    alike = [
        (folder, found)
        for folder, found in there
        if folder != own and (set(found) & set(names) or len(found) == len(names) == 1)
    ]
    return sorted([(own, names), *alike])


def _tables(folder: Path, ending: str) -> list[str]:
    """The names of a folder's tables that end so; none where it may not be read."""
    try:
        return _tables_then(folder, ending, folder.stat().st_mtime_ns)
    except OSError:
        return []


@functools.lru_cache(maxsize=4096)
def _tables_then(folder: Path, ending: str, _: int) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.lower().endswith(ending) and is_table(name))


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

"""NumPy archives that are an episode: arrays of as many rows as its actions, as recorders and Dreamer's replays do.

Archives without actions are tables, if they have a vector of times. Nothing is unpickled.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.hdf5 import steps
from worldmodel.logs.ingest.formats.hdf5.arrays import Piece
from worldmodel.logs.ingest.formats.hdf5.layouts import Episode
from worldmodel.logs.ingest.formats.hdf5.told import rate_in
from worldmodel.logs.ingest.formats.npy import arrays, names
from worldmodel.logs.ingest.formats.tables.suggest.clocks import FoundClock, find_clock
from worldmodel.logs.ingest.formats.tables.table import ROW, Table
from worldmodel.logs.ingest.importer import Options, begins_with
from worldmodel.logs.ingest.recording import Recording, nominal_rate

_ZIP = b"PK\x03\x04"
_ACTIONS = ("action", "actions")
_GROUPS = re.compile(r"^(?:obs|observations?)[/.]")
_NO_NAME = re.compile(r"[^\w-]+")


def claims(path: Path) -> bool:
    """NumPy archives with an array called `action` or `actions` beside another."""
    try:
        return path.suffix.lower() == ".npz" and begins_with(path, _ZIP) and _action(names(path)) is not None
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):  # by what is damaged
        return False


def _action(there: list[str]) -> str | None:
    return next((name for name in _ACTIONS if name in there and len(there) > 1), None)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """The one episode of an archive.

    Raises:
        RecipeError: if it is damaged, or has no actions.
    """
    with reading(path, "a NumPy archive"):
        found, left = arrays(path)
        key = _action(list(found))
        if key is None or not found[key].size:
            raise RecipeError(f"{path} holds no actions.", expected=" or ".join(_ACTIONS), found=", ".join(found))
        count = len(found[key])
        clock = _clock(path, found, count + 1) or _clock(path, found, count)
        rate, _ = rate_in((name, array.item()) for name, array in found.items() if array.ndim == 0)
        if clock is not None:
            rate = nominal_rate(clock.stamps_s)
        taken = {key} if clock is None else {key, *clock.columns}
        pieces = [
            _piece(path, name, array, name == key)
            for name, array in found.items()
            if array.ndim and (name == key or name not in taken)
        ]
        recording = steps.recorded(
            Episode(path.name, count, pieces, left), rate or steps.ASSUMED_HZ, None, options,
            None if clock is None else clock.stamps_s,
        )  # fmt: skip
        recording.about = {"description": "episode in a NumPy archive"}
        recording.notes[:0] = clock.doubts if clock else [] if rate else [steps.ASSUMED]
        options.advance(path.stat().st_size)
        yield recording


def _piece(path: Path, name: str, array: np.ndarray, is_action: bool) -> Piece:
    """An array as the reader of HDF5's takes it."""
    called = "action" if is_action else _NO_NAME.sub("_", _GROUPS.sub("", name)).strip("_") or "array"
    return Piece(called, _Array(path, name, array), 0, len(array), is_action)


class _Array(SimpleNamespace):
    """An array with what one of HDF5 has beside its rows: its name and its file."""

    def __init__(self, path: Path, name: str, data: np.ndarray) -> None:
        super().__init__(name=name, shape=data.shape, dtype=data.dtype, ndim=data.ndim)
        self.file, self._data = SimpleNamespace(filename=path), data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        return np.asarray(self._data[rows])


def _clock(path: Path, found: Mapping[str, np.ndarray], count: int) -> FoundClock | None:
    """What the vector of times tells, where there is one of so many; numbers of steps are no times."""
    import pyarrow as pa

    vectors = {
        name: array.reshape(count)
        for name, array in found.items()
        if array.dtype.kind in "iuf" and array.ndim and array.size == len(array) == count and not _counts(array)
    }
    table = Table(path, pa.table({**vectors, ROW: np.arange(count)}))
    try:
        clock = find_clock(path, table)
    except RecipeError:
        return None
    return clock if np.isfinite(clock.stamps_s).all() and (np.diff(clock.stamps_s) > 0).all() else None


def _counts(array: np.ndarray) -> bool:
    """Whether whole numbers count by one."""
    return array.dtype.kind in "iu" and bool((np.diff(array.ravel()) == 1).all())

"""Numpy arrays in files without a suffix, read without trust in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import reading


class Folder:
    """A folder of arrays.

    Args:
        path: the folder.
        advance: called with the bytes of each array that is read.
    """

    def __init__(self, path: Path, advance: Callable[[int], object]) -> None:
        self.path = path
        self._advance = advance

    def has(self, name: str) -> bool:
        """Whether an array, or a folder of some, is there."""
        return (self.path / name).exists()

    def array(self, name: str) -> np.ndarray | None:
        """An array; None where it is not there.

        Raises:
            RecipeError: if it is damaged, or holds objects, which nothing reads that comes from strangers.
        """
        path = self.path / name
        if not path.is_file():
            return None
        with reading(path, "a numpy array"):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # which refuses sizes beyond the file's
            self._advance(path.stat().st_size)
            return np.array(mapped)

    def pair(self, name: str, columns: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The times [M] and values [M, columns] of a folder; None where it is not there.

        Raises:
            RecipeError: if they are damaged or of another shape.
        """
        time, values = self.array(f"{name}/t"), self.array(f"{name}/value")
        if time is None or values is None:
            return None
        values = values.reshape(len(values), -1) if values.ndim else values
        if time.shape != (len(time),) or values.shape != (len(time), columns) or values.dtype.kind not in "fiu":
            raise RecipeError(
                f"{self.path / name} has arrays of another shape.",
                expected=f"times [M] and numbers [M, {columns}]",
                found=f"{list(time.shape)} and {values.dtype} {list(values.shape)}",
            )
        return time.astype(np.float64), values.astype(np.float64)

"""Arrays of an HDF5 file that make streams, read within bounds and never from another file."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video

_MOST_BYTES = 1 << 30  # of one read
_DEEPEST = 8
_CHANNELS = (1, 3, 4)


class Piece(NamedTuple):
    """An episode's part of an array.

    Attributes:
        name: what its stream is called.
        array: the HDF5 dataset.
        start, stop: its rows.
        is_action: whether it is a command.
    """

    name: str
    array: Any
    start: int
    stop: int
    is_action: bool = False

    @property
    def rows(self) -> int:
        """How many it has."""
        return self.stop - self.start

    @property
    def bytes(self) -> int:
        """Its share of the file."""
        return int(self.array.id.get_storage_size() * self.rows / max(len(self.array), 1))

    def numbers(self) -> np.ndarray:
        """Its rows as float64 [M, S].

        Raises:
            RecipeError: if they are more than fits into memory.
        """
        check_size(self.array, self.rows)
        rows = np.asarray(self.array[self.start : self.stop], np.float64)
        return rows.reshape(len(rows), -1)


def check_size(array: Any, rows: int) -> None:
    """Refuses to read so many rows that a header alone may have made up.

    Raises:
        RecipeError: saying how many bytes they are.
    """
    size = int(np.prod(array.shape[1:], dtype=object)) * rows * max(array.dtype.itemsize, 8)
    if size > _MOST_BYTES:
        raise RecipeError(f"{array.file.filename}: {array.name} is too large.", found=f"{size} bytes in one episode")


def leaves(group: Any, name: str, called: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every array in an item of a group, and its name; nothing that lies in another file is followed.

    Args:
        group: the group.
        name: of the item.
        called: what its name begins with; underscores join what lies in groups.
        depth: how many groups it lies in.
    """
    import h5py

    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        return
    item = group.get(name)
    if isinstance(item, h5py.Group) and depth < _DEEPEST:
        for below in item:
            yield from leaves(item, below, f"{called}_{below}" if called else below, depth + 1)
    elif isinstance(item, h5py.Dataset) and item.ndim and not item.is_virtual and not item.external:
        yield called or name, item


def is_number(piece: Piece) -> bool:
    """Whether it holds numbers that are no images."""
    return piece.array.dtype.kind in "fiu" and piece.array.ndim <= 3


def is_image(piece: Piece) -> bool:
    """Whether it holds frames of bytes [M, rows, columns, channels], or image files [M, bytes]."""
    array = piece.array
    if array.dtype != np.uint8:
        return False
    return (array.ndim == 4 and bool(_axis(array.shape))) or (array.ndim == 2 and "image" in array.name)


def _axis(shape: tuple[int, ...]) -> int | None:
    """Where the channels are, last or first; None where neither has as many as images have."""
    return next((axis for axis in (3, 1) if shape[axis] in _CHANNELS), None)


def pictures(piece: Piece, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Its frames, one after the other: [rows, columns, 3] uint8 RGB of `size` (rows, columns)."""
    array = piece.array
    check_size(array, 1)
    for row in range(piece.start, piece.stop):
        frame = np.asarray(array[row])
        if frame.ndim == 1:
            yield video.read_image(frame.tobytes(), size, f"{array.name}, row {row}")
            continue
        frame = frame if _axis(array.shape) == 3 else np.moveaxis(frame, 0, -1)
        yield video.resize(np.repeat(frame, 3, -1) if frame.shape[-1] == 1 else frame[..., :3], size)

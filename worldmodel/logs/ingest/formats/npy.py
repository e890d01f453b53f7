"""The arrays in NumPy's archives, read within bounds. Nothing is unpickled."""

import zipfile
from pathlib import Path

import numpy as np

_NPY = ".npy"
_MOST_BYTES = 1 << 32  # of all arrays together, which headers tell and zeros are packed into few


def names(path: Path) -> list[str]:
    """The names of an archive's arrays.

    Raises:
        OSError, zipfile.BadZipFile: if it is none.
    """
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(_NPY) for name in archive.namelist() if name.endswith(_NPY)]


def arrays(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of numbers, truths and words in an archive by name, and the names of what else is in it.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: if it is damaged.
    """
    found, left, room = dict[str, np.ndarray](), list[str](), _MOST_BYTES
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(_NPY)
            shape, kind = _told(archive, info)
            size = int(np.prod(shape, dtype=object)) * kind.itemsize
            if kind.kind not in "biufcSU" or not info.filename.endswith(_NPY):
                left.append(name)
            elif size > info.file_size:  # before anything is allocated
                raise ValueError(f"{name} tells {size} bytes, and has {info.file_size}")
            elif size > room:
                raise ValueError(f"its arrays are larger than {_MOST_BYTES >> 30} GiB together")
            else:
                room -= size
                with archive.open(info) as stream:
                    found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return found, left


def _told(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type that an array's header tells."""
    if not info.filename.endswith(_NPY):
        return (), np.dtype(object)
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise ValueError(f"{info.filename} is of version {version}")
        shape, _, kind = read[version](stream)
        return shape, kind

"""Memory maps that do not fill the process: what has been read stays in the system's cache, not in our pages."""

import mmap

import numpy as np

_BLOCK_BYTES = 1 << 16  # Linux maps whole blocks of so much around a page that is touched


class Maps:
    """Read-only maps of files, of which about `keep` bytes stay in the process.

    Pages that were read count as the process's until they are let go, though they hold nothing but what the system has
    in its cache anyway. Mapping them again costs a fifth of what copying them does.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self._maps: list[mmap.mmap] = []
        self._read = 0  # since pages were last let go

    def open(self, fileno: int) -> np.ndarray:
        """The bytes of a whole file: uint8, read-only, there even when the file is closed or has lost its name.

        Raises:
            OSError: where the file cannot be mapped.
        """
        try:
            mapped = mmap.mmap(fileno, 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file
            raise OSError(str(error)) from error
        self._maps.append(mapped)
        return np.frombuffer(mapped, np.uint8)

    def count(self, pieces: int, size: int) -> None:
        """Says that `size` bytes have been read in so many pieces; lets go of all pages when it is enough."""
        self._read += size + pieces * _BLOCK_BYTES
        if min(self._read, sum(map(len, self._maps))) > self.keep and hasattr(mmap, "MADV_DONTNEED"):
            self._read = 0
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)

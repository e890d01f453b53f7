"""Memory maps that do not fill the process: what has been read stays in the system's cache, not in our pages."""

import mmap

import numpy as np

RESIDENT_BYTES = 32 << 20  # enough that letting go costs little beside copying, small beside a training process
_LEAST_BYTES = 1 << 16  # Linux maps so much around each page that is touched


class Maps:
    """Read-only maps of files.

    Pages that were read count as the process's memory until they are let go, though the system could take them at any
    time. So after every `RESIDENT_BYTES` of reading they are let go; reading them again finds them in the cache.
    """

    def __init__(self) -> None:
        self._maps: list[mmap.mmap] = []
        self._read = 0

    def open(self, fileno: int) -> np.ndarray:
        """The bytes of a whole file that is not empty: uint8, read-only, usable after the file is closed.

        Raises:
            OSError: where files cannot be mapped.
        """
        try:
            mapped = mmap.mmap(fileno, 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise OSError(str(error)) from error
        self._maps.append(mapped)
        return np.frombuffer(mapped, np.uint8)

    def count(self, pieces: int, size: int) -> None:
        """Says that `pieces` places of `size` bytes each have been read."""
        self._read += pieces * max(size, _LEAST_BYTES)
        if self._read > RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._read = 0
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)

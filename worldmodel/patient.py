"""A file for HDF5 to write to, whose errors wait until they can be handled."""

import io
from pathlib import Path


class PatientFile(io.FileIO):
    """A file that keeps the first error of a write for later.

    HDF5 cannot close a file after a write of it has failed: it leaks the rest and may crash the process. So it never
    hears of a failure: what could not be written stays in memory, from where it is read back, until the writer asks
    for the error after the episode and throws the file away.
    """

    error: OSError | None = None

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._unwritten: list[tuple[int, bytes]] = []

    def write(self, data) -> int:
        left = memoryview(data).cast("B")
        while len(left) and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        if len(left):
            self._unwritten.append((self.tell(), bytes(left)))
            super().seek(len(left), io.SEEK_CUR)
        return len(data)

    def readinto(self, buffer) -> int:
        if self.error is None:
            return super().readinto(buffer)
        view, start = memoryview(buffer).cast("B"), self.tell()
        view[:] = bytes(len(view))
        super().readinto(view)
        for at, lost in self._unwritten:  # later writes last
            first, last = max(at, start), min(at + len(lost), start + len(view))
            if first < last:
                view[first - start : last - start] = lost[first - at : last - at]
        return super().seek(start + len(view)) - start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        end = super().seek(offset, whence)
        if whence == io.SEEK_END and self._unwritten:
            end = super().seek(max(end, *(at + len(lost) + offset for at, lost in self._unwritten)))
        return end

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raises the first error, if there was one."""
        if self.error is not None:
            raise self.error

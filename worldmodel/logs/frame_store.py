"""Recorded frames by number, many at once: from a map of the file where they lie there bare, else chunk by chunk."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import h5py
import numpy as np

from worldmodel.logs.mapped import Maps
from worldmodel.logs.reader import Log

MAPPED_BYTES = 128 << 20  # of the log's pages that stay in the process, the system's cache and no memory of ours
DECODED_BYTES = 64 << 20  # of frames that cannot be mapped, what is kept of the chunks that were read last


class FrameStore:
    """The frames of one video stream of chosen episodes.

    Frames that are neither compressed nor spread over several chunks are copied out of a map of the file, without
    HDF5, as fast as memory is. Others are read by h5py, a whole chunk at a time, and the last few chunks are kept.
    """

    def __init__(self, log: Log, name: str, episodes: Sequence[int]) -> None:
        self.shape = log.streams[name].sample_shape
        self._streams, places = log.by_file(name)
        self._file, self._first = places[list(episodes)].T
        self.maps = Maps(MAPPED_BYTES)
        self._bare: dict[int, _Bare | None] = {}
        self._chunk_rows = [(stream.dataset.chunks or (1,))[0] for stream in self._streams]
        kept = DECODED_BYTES // (max(self._chunk_rows) * int(np.prod(self.shape)))
        self._chunk = functools.lru_cache(max(kept, 1))(self._read_chunk)

    def gather(self, episodes: np.ndarray, index: np.ndarray) -> np.ndarray:
        """uint8 [..., rows, columns, 3] frames `index` [...] of `episodes` [...]; black where the index is negative.

        Raises:
            LogFormatError: if the file is damaged there.
        """
        out = np.empty((*index.shape, *self.shape), np.uint8)  # not zeros, which would write everything twice
        frames, places = out.reshape(-1, *self.shape), np.flatnonzero(index >= 0)
        frames[index.ravel() < 0] = 0
        episodes = np.broadcast_to(episodes, index.shape).ravel()[places]
        files, rows = self._file[episodes], self._first[episodes] + index.ravel()[places]
        for file in set(files.tolist()):
            here = files == file
            self._copy(file, rows[here], frames, places[here])
        return out

    def _copy(self, file: int, rows: np.ndarray, out: np.ndarray, places: np.ndarray) -> None:
        """Puts rows [K] of a file at `places` [K] of `out`."""
        if file not in self._bare:
            self._bare[file] = _Bare.of(self._streams[file].dataset, self.maps)
        bare = self._bare[file]
        if bare is not None:
            self.maps.count(bare.copy(rows, out, places), len(rows) * out[0].size)
            return
        chunks, within = np.divmod(rows, self._chunk_rows[file])
        for chunk in np.unique(chunks):
            here = chunks == chunk
            out[places[here]] = self._chunk(file, int(chunk))[within[here]]

    def _read_chunk(self, file: int, chunk: int) -> np.ndarray:
        stream, size = self._streams[file], self._chunk_rows[file]
        return stream.rows(chunk * size, min((chunk + 1) * size, len(stream)))


@dataclasses.dataclass(frozen=True)
class _Bare:
    """A dataset whose frames lie in its file as they are.

    Attributes:
        data: uint8, the mapped file.
        begins: int [chunks], the byte where each chunk begins.
        rows: frames a chunk.
    """

    data: np.ndarray
    begins: np.ndarray
    rows: int

    @classmethod
    def of(cls, dataset: h5py.Dataset, maps: Maps) -> "_Bare | None":
        """None where the frames cannot be mapped."""
        chunks = _bare_chunks(dataset)
        if chunks is None:
            return None
        try:
            data = maps.open(dataset.file.id.get_vfd_handle())
        except OSError:  # a file system that maps nothing, or too many files are open
            return None
        begins, rows = chunks
        ends = begins + rows * int(np.prod(dataset.shape[1:]))
        return cls(data, begins, rows) if begins.min() >= 0 and ends.max() <= len(data) else None

    def copy(self, rows: np.ndarray, out: np.ndarray, places: np.ndarray) -> int:
        """Puts rows [K] at `places` [K] of `out`, neighbours in one go; says how many goes that took."""
        size, to = out[0].size, out.reshape(-1)
        chunk, within = np.divmod(rows, self.rows)
        begins = self.begins[chunk] + within * size
        cuts = np.flatnonzero((np.diff(begins) != size) | (np.diff(places) != 1)) + 1
        for a, b in itertools.pairwise([0, *cuts.tolist(), len(rows)]):
            place, at, count = int(places[a]) * size, int(begins[a]), (b - a) * size
            to[place : place + count] = self.data[at : at + count]
        return len(cuts) + 1


def _bare_chunks(dataset: h5py.Dataset) -> tuple[np.ndarray, int] | None:
    """Where each chunk begins in the file (-1 where it is not there) and how many frames it holds.

    None if frames are not of bytes, or not plainly in this file.
    """
    made, file = dataset.id.get_create_plist(), dataset.file
    plain = dataset.dtype == np.uint8 and not made.get_nfilters() and not made.get_external_count()
    if not plain or file.driver != "sec2" or file.userblock_size or not len(dataset):
        return None
    if made.get_layout() == h5py.h5d.CONTIGUOUS:
        at = dataset.id.get_offset()
        return (np.array([-1 if at is None else at]), len(dataset))
    if made.get_layout() != h5py.h5d.CHUNKED or dataset.chunks[1:] != dataset.shape[1:]:
        return None
    rows = dataset.chunks[0]
    begins = np.full(-(-len(dataset) // rows), -1)

    def note(chunk) -> None:
        begins[chunk.chunk_offset[0] // rows] = chunk.byte_offset

    dataset.id.chunk_iter(note)
    return begins, rows

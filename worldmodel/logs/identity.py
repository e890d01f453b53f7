"""When two episodes are the same recording: a hash of what was sampled, and of nothing around it."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from worldmodel.logs import format as fmt
from worldmodel.types import StreamSpec

_BLOCK_BYTES = 1 << 20  # stay in the processor's cache between being converted, hashed and written,
_MOST_BYTES = 1 << 24  # and no more are held in memory, however large a film's frames are


class Sampled(Protocol):
    """A stream's samples, in a file or in memory."""

    @property
    def spec(self) -> StreamSpec: ...
    @property
    def time(self) -> np.ndarray: ...
    def stored(self, start: int, stop: int) -> np.ndarray: ...


class Held(NamedTuple):
    """A stream's samples in memory, or in what is sliced as an array is."""

    spec: StreamSpec
    time: np.ndarray
    data: np.ndarray

    def stored(self, start: int, stop: int) -> np.ndarray:
        with np.errstate(over="ignore"):  # what is too large is infinite
            return _in_rows(np.asarray(self.data[start:stop]), fmt.data_type(self.spec))

    @property
    def bytes(self) -> int:
        """How large it is as stored."""
        return _row_bytes(self) * len(self.time)

    def copied(self) -> "Held":
        """As it is now, whatever becomes of the array that it was given."""
        return self._replace(time=np.array(self.time), data=np.array(self.stored(0, len(self.time))))


def _in_rows(data: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Data with the readings of a row beside each other; column by column where columns are, which is twice as fast."""
    if data.ndim != 2 or data.strides[0] >= data.strides[1]:
        return data.astype(kind, order="C", copy=False)
    rows = np.empty(data.shape, kind)
    for index, column in enumerate(data.T):
        rows[:, index] = column
    return rows


def blocks(*streams: Sampled) -> Iterator[tuple[int, np.ndarray]]:
    """The data of a stream in one episode, or in several, as stored: large blocks, each with its first row's number."""
    row, waiting, rows = 0, [], 0
    for stream in streams:
        step = _block_rows(stream)
        for start in range(0, len(stream.time), step):
            waiting.append(stream.stored(start, min(start + step, len(stream.time))))
            rows += len(waiting[-1])
            if rows >= step:
                yield row, _joined(waiting)
                row, waiting, rows = row + rows, [], 0
    if waiting:
        yield row, _joined(waiting)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _block_rows(stream: Sampled) -> int:
    """Those of as many whole chunks as make a block."""
    size, chunk = _row_bytes(stream), fmt.rows_per_chunk(stream.spec, len(stream.time))
    whole = max(_BLOCK_BYTES // (size * chunk), 1) * chunk
    return max(min(whole, _MOST_BYTES // size), 1)


def _row_bytes(stream: Sampled) -> int:
    return max(int(np.prod(stream.spec.sample_shape)) * fmt.data_type(stream.spec).itemsize, 1)


def episode_sha256(streams: Iterable[Sampled], seen: Callable[[str, int, np.ndarray], object] | None = None) -> str:
    """Hash of an episode's content: names, times and data of its streams that have samples, in order of their names.

    The episode's name and origin, its file and other streams of the log do not enter. Video enters only where there
    is nothing else, because its size is chosen when it is ingested. `datasets/README.md` says which bytes are hashed.

    Args:
        streams: of the episode.
        seen: called with the name of a stream and each block of its data that is hashed, and its first row's number.
    """
    there = sorted((s for s in streams if len(s.time)), key=lambda s: s.spec.name)
    digest = hashlib.sha256()
    for stream in [s for s in there if s.spec.kind != "video"] or there:
        count = len(stream.time)
        digest.update(stream.spec.name.encode() + b"\0" + count.to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(stream.time, "<f8").data)
        kind = fmt.data_type(stream.spec).newbyteorder("<")
        for first, block in blocks(stream):
            digest.update(np.ascontiguousarray(block, kind).data)
            if seen is not None:
                seen(stream.spec.name, first, block)
    return digest.hexdigest()

"""The newest samples of one stream, in order of time, in memory of a fixed size."""

import numpy as np

from worldmodel.arrays import last_valid
from worldmodel.types import Samples, StreamSpec


class Buffer:
    """Samples are appended, or put between others; the oldest are forgotten.

    The newest of those that are too old stays: it tells an age, and which command is in force.

    Args:
        spec: the stream.
        most: samples that are kept.
    """

    def __init__(self, spec: StreamSpec, most: int) -> None:
        self.spec, self._most = spec, most
        self._time = np.empty(2 * most)
        self._data = np.empty((2 * most, *spec.sample_shape), np.uint8 if spec.kind == "video" else np.float64)
        self._begin = self._end = 0

    def __len__(self) -> int:
        return self._end - self._begin

    @property
    def samples(self) -> Samples:
        """Views of what is kept."""
        return Samples(self._time[self._begin : self._end], self._data[self._begin : self._end])

    def put(self, time_s: float, value: np.ndarray) -> None:
        """Takes a sample, which may be older than others but no copy of one."""
        if self._end == len(self._time):
            self._to_front()
        at = self._place(time_s)
        for array, new in ((self._time, time_s), (self._data, value)):
            if at < self._end:
                array[at + 1 : self._end + 1] = array[at : self._end]
            array[at] = new
        self._end += 1
        self._drop(len(self) - self._most)

    def holds(self, time_s: float) -> bool:
        """Whether there is a sample of that very time."""
        at = self._place(time_s)
        return at < self._end and self._time[at] == time_s

    def forget(self, before_s: float) -> None:
        """Drops what is older, but for the newest of it."""
        if len(self) > 1 and self._time[self._begin + 1] < before_s:
            self._drop(int(np.searchsorted(self.samples.time, before_s)) - 1)

    def _place(self, time_s: float) -> int:
        """Of a moment among those that are kept: before the first that is not earlier."""
        if not len(self) or self._time[self._end - 1] < time_s:
            return self._end  # as nearly always
        return self._begin + int(np.searchsorted(self.samples.time, time_s))

    def _drop(self, count: int) -> None:
        """Drops the oldest. What commands and sensors told holds column by column: the first left takes over what it is
        silent on.
        """
        if count <= 0:
            return
        first = self._begin + count
        if self.spec.kind in ("action", "sensor") and not np.isfinite(self._data[first]).all():
            old = self._data[self._begin : first + 1]
            held, known = last_valid(old, np.isfinite(old), axis=0)
            self._data[first] = np.where(known, held, np.nan)
        self._begin = first

    def _to_front(self) -> None:
        count = len(self)
        for array in (self._time, self._data):
            array[:count] = array[self._begin : self._end]
        self._begin, self._end = 0, count

"""The newest ticks of a recording that goes on, each laid once, unless a sample that belongs to it comes later."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from worldmodel.logs.align import ROUNDING_S, TickLayout, Ticks
from worldmodel.logs.aligned import as_ticks, record_of, records
from worldmodel.logs.followed import Follower, follow_newest, followed_count, looks_back


class Laid:
    """Ticks in memory of a fixed size, with what is followed in them.

    Args:
        layout: their columns; no video.
        followers: of places.
        keep: ticks from the oldest that may be asked for to the newest.
    """

    def __init__(self, layout: TickLayout, followers: Sequence[Follower], keep: int) -> None:
        self._layout, self._followers = layout, followers
        self._followed = followed_count(layout, followers)
        self._reach = looks_back(layout, followers)
        self._keep = keep + self._reach
        self._records = np.empty(2 * self._keep, record_of(layout, self._followed))
        self._first = self._count = 0  # tick `first` is the first record, and so many are laid
        self._origin = np.zeros(3)

    def touch(self, time_s: float) -> None:
        """A sample has come: its tick changes, with those after it, and what is commanded from the one before."""
        row = math.ceil(self._layout.row(time_s - ROUNDING_S)) - 1
        self._count = min(self._count, max(row - self._first, 0))

    def upto(self, row: int, count: int, origin: np.ndarray, lay: Callable[[np.ndarray], Ticks]) -> Ticks:
        """The `count` ticks that end with tick `row`, copied.

        Args:
            row: the last; the recording's first is 0.
            count: how many.
            origin: what fixes are measured from.
            lay: the ticks at some times (s), without what is followed.
        """
        if not np.array_equal(origin, self._origin):
            self._origin, self._count = origin, 0
        oldest = min(row + 1 - count, max(row + 1 - count - self._reach, 0))
        if not self._first <= oldest <= self._first + self._count:
            self._first, self._count = oldest, 0
        end = row + 1 - self._first
        if end > self._count:
            self._extend(end - self._count, lay)
            end = self._count
        return as_ticks(self._records[end - count : end].copy(), origin)

    def _extend(self, new: int, lay: Callable[[np.ndarray], Ticks]) -> None:
        """Lays so many more."""
        if self._count + new > len(self._records):
            self._forget(self._count + new - self._keep)
        first, end = self._first + self._count, self._count + new
        ticks = lay(self._layout.time_s(np.arange(first, first + new)))
        nowhere = np.full((new, self._followed), np.nan, np.float32)
        self._records[self._count : end] = records(ticks._replace(followed=nowhere), self._records.dtype)
        known = max(first, self._first + self._reach) if self._first > 0 else first  # of earlier ones too little is
        if self._followers and known < self._first + end:
            found = follow_newest(
                self._layout, self._followers, known, self._first + end - known,
                lambda _, begin: as_ticks(self._records[begin - self._first : end], self._origin),
            )  # fmt: skip
            self._records["followed"][known - self._first : end] = found
        self._count = end

    def _forget(self, count: int) -> None:
        """Drops the oldest."""
        self._first, self._count = self._first + count, self._count - count
        self._records[: self._count] = self._records[count : count + self._count].copy()

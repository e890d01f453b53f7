"""A log on the model's clock: every tick of its episodes, in memory while that is little, else in a file."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from worldmodel.files import disk_errors
from worldmodel.logs.align import TickLayout, Ticks, align
from worldmodel.logs.followed import Follower, follow, followed_count
from worldmodel.logs.mapped import Maps
from worldmodel.logs.reader import Log
from worldmodel.types import Commands

MEMORY_BUDGET_BYTES = 16 << 20  # a few percent of what a training process holds anyway


class AlignedLog(Sequence[Ticks]):
    """Chosen episodes of a log, aligned one by one and laid end to end; `aligned[2]` is the third one's `Ticks`.

    Beyond `MEMORY_BUDGET_BYTES` they lie in a file without a name in the system's folder for temporary files (which
    TMPDIR chooses). It vanishes with this object, however the process ends.

    Attributes:
        layout: what the columns are.
        followers: of places.
        episodes: which of the log's.
        ends: int [E + 1], the tick, counted over all episodes, that each begins at, and where the last one ends.
        origins: float64 [E, 3], as of `Ticks`.

    Raises:
        WorldModelError: if an episode's times do not increase, or the disk is full.
    """

    def __init__(
        self, log: Log, layout: TickLayout, episodes: Sequence[int] | None = None, followers: Sequence[Follower] = ()
    ) -> None:
        self.layout, self.followers = layout, tuple(followers)
        self.episodes = list(range(len(log.episodes)) if episodes is None else episodes)
        self.ends = np.concatenate([[0], np.cumsum(layout.count(log.durations_s[self.episodes]))])
        self.origins = np.zeros((len(self.episodes), 3))
        self._kind = record_of(layout, followed_count(layout, self.followers))
        self._maps = Maps(MEMORY_BUDGET_BYTES)
        self._ticks = self._hold(self._blocks(log))

    def _blocks(self, log: Log) -> Iterable[np.ndarray]:
        """Each episode's ticks as records [T]."""
        for i, episode in enumerate(self.episodes):
            ticks = follow(align(log.episodes[episode], self.layout), self.layout, self.followers)
            self.origins[i] = ticks.origin
            yield records(ticks, self._kind)

    def _hold(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """All records end to end, never held twice."""
        kind, count = self._kind, int(self.ends[-1])
        self._on_disk = count * kind.itemsize > MEMORY_BUDGET_BYTES
        if self._on_disk:
            return self._store(blocks).view(kind)
        held = np.empty(count, kind)
        for block, start in zip(blocks, self.ends[:-1], strict=True):
            held[start : start + len(block)] = block
        held.flags.writeable = False
        return held

    def _store(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        folder = Path(tempfile.gettempdir())
        with disk_errors(folder, left="TMPDIR names the folder of temporary files"), tempfile.TemporaryFile() as file:
            for block in blocks:
                file.write(block.data)
            file.flush()
            return self._maps.open(file.fileno())

    def __len__(self) -> int:
        return len(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Ticks: ...
    @overload
    def __getitem__(self, index: slice) -> list[Ticks]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        return as_ticks(self._ticks[self.ends[index] : self.ends[index + 1]], self.origins[index])

    @property
    def lengths(self) -> np.ndarray:
        """int [E] ticks of each episode."""
        return np.diff(self.ends)

    def spans(self, places: np.ndarray, first: int, length: int) -> Ticks:
        """Ticks `t + first` ... `t + first + length - 1` at (episode, t) `places` int [B, 2]: arrays [B, length, ...].

        They are copies, and must lie within their episode.
        """
        starts, size = self.ends[places[:, 0]] + places[:, 1] + first, length * self._ticks.itemsize
        if not size:  # a layout without streams, or spans without ticks
            return as_ticks(np.zeros((len(places), length), self._ticks.dtype), self.origins[places[:, 0]])
        # All spans there are, as if each were one value of many bytes, so that NumPy copies each in one go.
        every = np.ndarray(
            len(self._ticks) - length + 1, np.dtype((np.void, size)), self._ticks, strides=self._ticks.strides
        )
        spans = every[starts].view(self._ticks.dtype).reshape(len(places), length)
        if self._on_disk:
            self._maps.count(len(places), len(places) * size)
        return as_ticks(spans, self.origins[places[:, 0]])


def record_of(layout: TickLayout, followed: int) -> np.dtype:
    """One tick of everything as one record: what is read together lies together on disk."""
    size, readings, videos = layout.size, len(layout.readings), len(layout.videos)
    fields = [
        ("frames", np.int64, (videos,)),
        ("values", np.float32, (size,)),
        ("held", np.float32, (len(layout.slow),)),
        ("followed", np.float32, (followed,)),
        ("age_s", np.float32, (readings,)),
        ("action_values", np.float32, (layout.action_count,)),
        ("action_age_s", np.float32, (len(layout.actions),)),
        ("mask", bool, (size,)),
        ("action_mask", bool, (layout.action_count,)),
    ]
    return np.dtype(fields, align=True)


def records(ticks: Ticks, kind: np.dtype) -> np.ndarray:
    """Ticks as records of a kind that `record_of` made."""
    block = np.zeros(len(ticks.values), kind)
    for name in ("frames", "values", "held", "followed", "age_s", "mask"):
        block[name] = getattr(ticks, name)
    for name, part in ticks.actions._asdict().items():
        block[f"action_{name}"] = part
    return block


def as_ticks(block: np.ndarray, origin: np.ndarray) -> Ticks:
    """Records as `Ticks`, whose arrays are views of them."""
    actions = Commands(*(block[f"action_{name}"] for name in Commands._fields))
    values, mask, age_s, frames = (block[x] for x in ("values", "mask", "age_s", "frames"))
    return Ticks(values, mask, age_s, actions, frames, origin, block["held"], block["followed"])

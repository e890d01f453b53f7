"""Windows of aligned episodes: what the model sees, what it is asked, and what really came."""

import copy
import dataclasses
import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from worldmodel.arrays import last_valid
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout, Ticks, align
from worldmodel.logs.reader import Log
from worldmodel.types import Array, Commands

VIDEO_BUDGET_BYTES = 2 << 30  # up to here frames are held in memory, beyond it they are read by index
CONTEXT_FRAMES = 2


class Context(NamedTuple):
    """What the model is allowed to see, up to and including tick t.

    Attributes:
        values: float32 [B, C, D] features, positions relative to the context's last ones; 0 where masked.
        mask: bool [B, C, D].
        age_s: float32 [B, C, streams].
        actions: [B, C - 1, A], those that led from each context tick to the next.
        frames: one uint8 [B, 2, rows, columns, 3] per video: the newest two frames, oldest first.
        frames_mask: one bool [B, 2] per video.
    """

    values: Array
    mask: Array
    age_s: Array
    actions: Commands
    frames: tuple[Array, ...]
    frames_mask: tuple[Array, ...]


class Future(NamedTuple):
    """What came after tick t.

    Attributes:
        actions: [B, H, A]; the first one leaves tick t.
        values: float32 [B, H, D] features of ticks t + 1 ... t + H, positions relative as in the context.
        mask: bool [B, H, D].
        age_s: float32 [B, H, streams] how long before each tick its sample was taken.
        frame_ticks: int32 [B, P], which horizon ticks (0 is t + 1) `frames` belong to.
        frames: one uint8 [B, P, rows, columns, 3] per video.
        frames_mask: one bool [B, P] per video.
    """

    actions: Commands
    values: Array
    mask: Array
    age_s: Array
    frame_ticks: Array
    frames: tuple[Array, ...]
    frames_mask: tuple[Array, ...]


@dataclasses.dataclass
class Windows:
    """All episodes of a log on the model's clock, from which windows are cut.

    Attributes:
        layout: columns of the aligned arrays.
        context, horizon: ticks.
        ticks: one `Ticks` an episode.
    """

    log: Log
    layout: TickLayout
    context: int
    horizon: int
    ticks: list[Ticks]
    episodes: list[int]

    @classmethod
    def of(cls, log: Log, layout: TickLayout, context: int, horizon: int, episodes: Sequence[int] | None = None):
        """Aligns the chosen episodes (default all)."""
        chosen = list(range(len(log.episodes)) if episodes is None else episodes)
        windows = cls(log, layout, context, horizon, [align(log.episodes[i], layout) for i in chosen], chosen)
        windows._join()
        windows._load_video()
        return windows

    def _join(self) -> None:
        """Lays the episodes end to end, so that a batch is one look-up; `ticks` become views."""
        names = ("values", "mask", "age_s")
        joined = {name: np.concatenate([getattr(t, name) for t in self.ticks]) for name in names}
        actions = Commands(*(np.concatenate(part) for part in zip(*(t.actions for t in self.ticks), strict=True)))
        ends = np.cumsum([0, *(len(t.values) for t in self.ticks)])
        self._joined, self._actions, self._first = joined, actions, ends[:-1]
        self.ticks = [
            t._replace(**{name: joined[name][a:b] for name in names}, actions=Commands(*(x[a:b] for x in actions)))
            for t, (a, b) in zip(self.ticks, itertools.pairwise(ends), strict=True)
        ]

    def _load_video(self) -> None:
        specs = self.layout.videos
        frames = [[self.log.episodes[i].streams[s.name] for i in self.episodes] for s in specs]
        size = sum(len(stream) * int(np.prod(stream.spec.sample_shape)) for per in frames for stream in per)
        hold = size <= VIDEO_BUDGET_BYTES
        self._frames = [[stream.data if hold else stream for stream in per] for per in frames]

    def without_video(self) -> "Windows":
        """The same windows without frames, which cost far more to cut than all else."""
        plain = copy.copy(self)
        streams = tuple(s for s in self.layout.streams if s.kind != "video")
        plain.layout, plain._frames = dataclasses.replace(self.layout, streams=streams), []
        return plain

    def starts(self, horizon: int | None = None) -> np.ndarray:
        """int [M, 2] every (episode, tick t) whose context and horizon lie within the recording.

        Raises:
            WorldModelError: if no episode is long enough.
        """
        horizon = self.horizon if horizon is None else horizon
        spans = [np.arange(self.context - 1, len(t.values) - horizon) for t in self.ticks]
        starts = np.concatenate([np.stack([np.full(len(s), i), s], 1) for i, s in enumerate(spans)])
        if not len(starts):
            dt = self.layout.dt
            longest = max((len(t.values) - 1) * dt for t in self.ticks)
            raise WorldModelError(
                "No episode is as long as the context plus the horizon.",
                expected=f"at least {self.context * dt:.2f} s of context and {horizon * dt:.2f} s of horizon",
                found=f"the longest of {len(self.ticks)} episodes lasts {longest:.2f} s",
                remedy="record longer episodes, or ask for a shorter context or horizon",
            )
        return starts

    def frame_ticks(self, starts: np.ndarray, ticks: np.ndarray, horizon: int) -> np.ndarray:
        """Horizon ticks [B, P], each moved on to the next that has a frame of the first video, from the front at last.

        They stay where no tick of the horizon has one, or where there is no video.
        """
        moved = ticks.copy()
        if self.layout.videos:
            for row, (episode, tick) in enumerate(starts):
                there = np.flatnonzero(self.ticks[episode].frames[tick + 1 : tick + 1 + horizon, 0] >= 0)
                if len(there):
                    moved[row] = there[np.searchsorted(there, ticks[row]) % len(there)]
        return moved

    def cut(self, starts: np.ndarray, horizon: int, frame_ticks: np.ndarray | None = None) -> tuple[Context, Future]:
        """Cuts the windows at (episode, tick) `starts` [B, 2], with frames at horizon ticks `frame_ticks` [B, P]."""
        context = np.arange(1 - self.context, 1)
        future = np.arange(1, horizon + 1)
        now = self._first[starts[:, 0]] + starts[:, 1]
        asked = np.zeros((len(starts), 0), np.int32) if frame_ticks is None else frame_ticks.astype(np.int32)

        def rows(name: str, offsets: np.ndarray) -> np.ndarray:
            return self._joined[name][now[:, None] + offsets]

        def commanded(offsets: np.ndarray) -> Commands:
            return Commands(*(x[now[:, None] + offsets] for x in self._actions))

        past, past_mask = rows("values", context), rows("mask", context)
        next_, next_mask = rows("values", future), rows("mask", future)
        self._make_relative(past, past_mask, next_, next_mask)
        seen = [self._seen_frames(v, starts) for v in range(len(self._frames))]
        came = [self._asked_frames(v, starts, asked) for v in range(len(self._frames))]
        return (
            Context(past, past_mask, rows("age_s", context), commanded(context[:-1]), *_pair(seen)),
            Future(commanded(future - 1), next_, next_mask, rows("age_s", future), asked, *_pair(came)),
        )

    def _make_relative(self, past, past_mask, next_, next_mask) -> None:
        """Subtracts the context's last positions from both parts, in place; without one, they are masked."""
        columns = np.flatnonzero(self.layout.relative)
        fix, known = self._last_positions(past[..., columns], past_mask[..., columns])
        for values, mask in ((past, past_mask), (next_, next_mask)):
            valid = mask[..., columns] & known[:, None]
            values[..., columns] = np.where(valid, values[..., columns] - fix[:, None], 0)
            mask[..., columns] = valid

    def _last_positions(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The newest value of each relative feature in contexts [B, C, R], whichever slot it is in: [B, R] each."""
        fix, known = np.zeros(values.shape[::2], values.dtype), np.zeros(values.shape[::2], bool)
        for group in self._relative_groups:
            series, there = (x[..., group].reshape(len(x), -1) for x in (values, mask))
            newest, any_ = last_valid(series, there)
            fix[:, group], known[:, group] = newest[:, None], any_[:, None]
        return fix, known

    @cached_property
    def _relative_groups(self) -> list[np.ndarray]:
        """Of each relative feature, where its slots are among the relative columns."""
        place = np.cumsum(self.layout.relative) - 1
        columns = [self.layout.slot_columns(s).T for s in self.layout.readings]
        return [place[slots] for feature in columns for slots in feature if self.layout.relative[slots[0]]]

    def last_fix(self, episode: int, tick: int, name: str) -> np.ndarray:
        """float64 [F] of a stream's features, of the relative ones what a window's are relative to, else 0.

        NaN where the context shows none: then the feature is masked, and where the machine is cannot be said.
        """
        span, columns = slice(tick - self.context + 1, tick + 1), np.flatnonzero(self.layout.relative)
        ticks = self.ticks[episode]
        fix, known = self._last_positions(ticks.values[None, span][..., columns], ticks.mask[None, span][..., columns])
        out = np.zeros(self.layout.size)
        out[columns] = np.where(known[0], fix[0].astype(np.float64), np.nan)
        return out[self.layout.columns[name]][-self.layout.features(self.layout.spec(name)) :]

    def _seen_frames(self, video: int, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = np.full((len(starts), CONTEXT_FRAMES), -1)
        for row, (episode, tick) in enumerate(starts):
            seen = self.ticks[episode].frames[max(tick - self.context + 1, 0) : tick + 1, video]
            seen = seen[seen >= 0][-CONTEXT_FRAMES:]
            index[row, CONTEXT_FRAMES - len(seen) :] = seen
        return self._read(video, starts[:, 0], index)

    def _asked_frames(self, video: int, starts: np.ndarray, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = zip(starts, ticks, strict=True)
        index = np.stack([self.ticks[e].frames[t + 1 + wanted, video] for (e, t), wanted in pairs])
        return self._read(video, starts[:, 0], index)

    def _read(self, video: int, episodes: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = np.zeros((*index.shape, *self.layout.videos[video].sample_shape), np.uint8)
        for where in np.argwhere(index >= 0):
            source, i = self._frames[video][episodes[where[0]]], int(index[tuple(where)])
            out[tuple(where)] = source[i] if isinstance(source, np.ndarray) else source.rows(i, i + 1)[0]
        return out, index >= 0


def _pair(frames):
    return tuple(f for f, _ in frames), tuple(m for _, m in frames)

"""Windows of aligned episodes: what the model sees, what it is asked, and what really came."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from worldmodel.arrays import last_valid, namespace, newest, scattered
from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout, Ticks
from worldmodel.logs.aligned import AlignedLog
from worldmodel.logs.followed import Beginning, Follower, beginning_of, followed_of, stand_in
from worldmodel.logs.frame_store import FrameStore
from worldmodel.logs.reader import Log
from worldmodel.types import Array, Commands

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


class Starts(Sequence):
    """Every (episode, tick t) whose context and horizon lie within the recording, like an array int [M, 2].

    Only what is asked for is made, so that a long log needs no table of its moments.

    Attributes:
        ends: int [E + 1], the start, counted over all episodes, that each one's begin at, and where the last one's end.
    """

    def __init__(self, counts: np.ndarray, first: int) -> None:
        self.ends, self._first = np.cumsum([0, *counts]), first

    def __len__(self) -> int:
        return int(self.ends[-1])

    def thinned(self, most: int = 1 << 16) -> np.ndarray:
        """At most so many of them, spread over all, and in step with nothing that repeats: int [K, 2]."""
        return self[scattered(len(self), most)]

    def end_to_end(self, ticks: int) -> np.ndarray:
        """Of each episode every so many-th and the last, so that windows of so many ticks cover it: int [K, 2]."""
        each = [np.append(np.arange(a, b - 1, ticks), b - 1) for a, b in itertools.pairwise(self.ends) if b > a]
        return self[np.concatenate(each)]

    def __getitem__(self, key):
        if isinstance(key, tuple):  # as in starts[:, 0]
            return self[key[0]][..., *key[1:]]
        index = np.asarray(range(len(self))[key] if isinstance(key, slice) else key)
        index = np.flatnonzero(index) if index.dtype == bool else index
        index = np.where(index < 0, index + len(self), index)
        if ((index < 0) | (index >= len(self))).any():
            raise IndexError(f"start {key} of {len(self)}")
        episode = np.searchsorted(self.ends, index, side="right") - 1
        return np.stack([episode, self._first + index - self.ends[episode]], -1)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or int, copy=False)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self[:])


@dataclasses.dataclass(frozen=True)
class Windows:
    """Cuts windows out of aligned episodes. In their contexts, places that are followed stand for fixes.

    Attributes:
        log: where the episodes are from.
        ticks: the episodes; `ticks[i]` are those of episode `episodes[i]` of the log.
        context, horizon: ticks.
        layout: columns of what is cut.
    """

    log: Log
    ticks: AlignedLog
    context: int
    horizon: int
    layout: TickLayout

    @classmethod
    def of(
        cls,
        log: Log,
        layout: TickLayout,
        context: int,
        horizon: int,
        episodes: Sequence[int] | None = None,
        followers: Sequence[Follower] = (),
    ) -> "Windows":
        """Aligns the chosen episodes (default all)."""
        return cls(log, AlignedLog(log, layout, episodes, followers), context, horizon, layout)

    @property
    def episodes(self) -> list[int]:
        """Which of the log's."""
        return self.ticks.episodes

    @property
    def followers(self) -> tuple[Follower, ...]:
        """Of places, among the streams of the layout."""
        return self.ticks.followers

    @cached_property
    def copies(self) -> Int[np.ndarray, " E"]:
        """A number for each of the episodes, the same for copies of one recording."""
        known, hashes = dict[str, int](), self.log.episode_sha256
        return np.array([known.setdefault(hashes[i], number) for number, i in enumerate(self.episodes)], int)

    @cached_property
    def _stores(self) -> list[FrameStore]:
        return [FrameStore(self.log, video.name, self.episodes) for video in self.layout.videos]

    def without_video(self) -> "Windows":
        """The same windows without frames, which cost far more to cut than all else."""
        return dataclasses.replace(self, layout=self.layout.without_video())

    def starts(self, horizon: int | None = None) -> Starts:
        """Every (episode, tick t) whose context and horizon lie within the recording.

        Raises:
            WorldModelError: if no episode is long enough.
        """
        horizon = self.horizon if horizon is None else horizon
        starts = Starts(np.maximum(self.ticks.lengths - horizon - self.context + 1, 0), self.context - 1)
        if not len(starts):
            dt = self.layout.dt
            raise WorldModelError(
                "No episode is as long as the context plus the horizon.",
                expected=f"at least {self.context * dt:.2f} s of context and {horizon * dt:.2f} s of horizon",
                found=f"the longest of {len(self.ticks)} episodes lasts {(max(self.ticks.lengths) - 1) * dt:.2f} s",
                remedy="record longer episodes, or ask for a shorter context or horizon",
            )
        return starts

    def frame_ticks(
        self, starts: Starts | Int[np.ndarray, "B 2"], ticks: Int[np.ndarray, "B P"], horizon: int
    ) -> Int[np.ndarray, "B P"]:
        """Horizon ticks [B, P], each moved on to the next that has a frame of the first video, from the front at last.

        They stay where no tick of the horizon has one, or where there is no video.
        """
        if not self.layout.videos:
            return ticks.copy()
        there = self.ticks.spans(starts[:], 1, horizon).frames[..., 0] >= 0
        following = horizon - 1 - newest(there[:, ::-1])[:, ::-1]  # the next tick with a frame; `horizon` if none
        moved = np.take_along_axis(following, ticks, 1)
        moved = np.where(moved < horizon, moved, following[:, :1])
        return np.where(moved < horizon, moved, ticks)

    def cut(
        self,
        starts: Starts | Int[np.ndarray, "B 2"],
        horizon: int,
        frame_ticks: Int[np.ndarray, "B P"] | None = None,
    ) -> tuple[Context, Future]:
        """Cuts the windows at (episode, tick) `starts` [B, 2], with frames at horizon ticks `frame_ticks` [B, P]."""
        asked = np.zeros((len(starts), 0), np.int32) if frame_ticks is None else frame_ticks.astype(np.int32)
        span = self.ticks.spans(starts[:], 1 - self.context, self.context + horizon)
        complete_context(self.layout, self.followers, span, self.context)
        make_relative(self.layout, span.values, span.mask, self.context)
        ahead = slice(self.context, None)
        shown = [span.frames[..., video] for video in range(len(self.layout.videos))]
        shots, there = _unzip(
            self.frames(i, starts, np.take_along_axis(x[:, ahead], asked, 1)) for i, x in enumerate(shown)
        )
        return (
            seen(self.layout, span, self.context, lambda video, index: self.frames(video, starts, index)),
            came_after(span, self.context)._replace(frame_ticks=asked, frames=shots, frames_mask=there),
        )

    def frames(
        self, video: int, starts: Starts | Int[np.ndarray, "B 2"], index: Int[np.ndarray, "B P"]
    ) -> tuple[UInt8[np.ndarray, "B P rows columns 3"], Bool[np.ndarray, "B P"]]:
        """Frames `index` [B, P] (as in `Ticks.frames`) of a video, of the episodes that the starts [B, 2] are in.

        Returns:
            uint8 [B, P, rows, columns, 3], black where the index is -1, and bool [B, P], whether there is one.

        Raises:
            LogFormatError: if the file is damaged there.
        """
        return self._stores[video].gather(starts[:, :1], index), index >= 0

    def last_fixes(self, starts: Starts | Int[np.ndarray, "B 2"]) -> dict[str, Float[np.ndarray, "B F"]]:
        """`last_fixes` of the contexts that end at (episode, tick) `starts` [B, 2]."""
        span = self.ticks.spans(starts[:], 1 - self.context, self.context)
        complete_context(self.layout, self.followers, span, self.context)
        return last_fixes(self.layout, span.values, span.mask)

    def beginnings(self, starts: Starts | Int[np.ndarray, "B 2"]) -> tuple[Beginning, ...]:
        """How surely it is known where, and which way, machines begin at (episode, tick) `starts` [B, 2]."""
        followed = self.ticks.spans(starts[:], 0, 1).followed[:, 0]
        return tuple(beginning_of(self.layout, self.followers, each) for each in followed)

    def follows(self, starts: Starts | Int[np.ndarray, "B 2"], name: str) -> Bool[np.ndarray, " B"]:
        """Whether what is followed stands for a stream's place at the ticks `starts` [B, 2] themselves."""
        span = self.ticks.spans(starts[:], 0, 1)
        return np.isfinite(followed_of(self.layout, self.followers, span.followed[:, 0], name)).any(-1)


def seen(
    layout: TickLayout, span: Ticks, context: int, frames: Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> Context:
    """The context that the first ticks of spans [B, ...] are, whose positions are relative already.

    Args:
        layout: what is wanted of them.
        span: ticks, with an axis of windows in front.
        context: C.
        frames: the pixels [B, P, rows, columns, 3] of a video's frames int [B, P], and bool [B, P] which are there.
    """
    past = slice(context)
    shown = [frames(i, _newest_frames(span.frames[:, past, i])) for i in range(len(layout.videos))]
    return Context(*_readings(span, past), _commands(span, slice(context - 1)), *_unzip(shown))


def came_after(span: Ticks, context: int) -> Future:
    """What followed the first ticks of spans [B, ...], whose positions are relative already; without frames."""
    horizon = span.values.shape[1] - context
    led = _commands(span, slice(context - 1, context - 1 + horizon))
    asked = np.zeros((len(span.values), 0), np.int32)
    return Future(led, *_readings(span, slice(context, None)), asked, (), ())


def complete_context(layout: TickLayout, followers: Sequence[Follower], span: Ticks, context: int) -> None:
    """In spans [B, ...], puts what is followed in the place of what was read over the first `context` ticks, and what
    was read before them in the place of what they do not show (`carry_in`).
    """
    values, mask, age_s, followed = (x[:, :context] for x in (span.values, span.mask, span.age_s, span.followed))
    stand_in(layout, followers, followed, values, mask, age_s)
    carry_in(layout, span.held[:, 0], values, mask)


def carry_in(
    layout: TickLayout,
    held: Float[np.ndarray, "B L"],
    values: Float[np.ndarray, "B C D"],
    mask: Bool[np.ndarray, "B C D"],
) -> None:
    """Gives contexts that show nothing of a sensor, as it reads so rarely, its last reading before; in place.

    It stands at the first tick, whose age tells how old it is.

    Args:
        layout: the columns.
        held: the newest readings at the first ticks, as of `Ticks`.
        values: what contexts show.
        mask: of what.
    """
    slow = layout.slow
    if not len(slow):
        return
    unseen = np.isfinite(held) & ~mask[..., slow].any(1) & layout.rarer_than(mask.shape[1])
    values[:, 0, slow] = np.where(unseen, held, values[:, 0, slow])
    mask[:, 0, slow] |= unseen


def last_fixes(
    layout: TickLayout, values: Float[np.ndarray, "B C D"], mask: Bool[np.ndarray, "B C D"]
) -> dict[str, np.ndarray]:
    """By reading stream float64 [B, F]: of its relative features what a window's are relative to, of others 0.

    NaN where the context shows none: then the feature is masked, and where the machine is cannot be said.
    """
    columns = np.flatnonzero(layout.relative)
    fix, known = _last_positions(layout, values[..., columns], mask[..., columns])
    out = np.zeros((len(values), layout.size))
    out[:, columns] = np.where(known, fix.astype(np.float64), np.nan)
    return {spec.name: out[:, layout.slot_columns(spec)[-1]] for spec in layout.readings}


def make_relative(
    layout: TickLayout, values: Float[np.ndarray, "B T D"], mask: Bool[np.ndarray, "B T D"], context: int
) -> None:
    """Subtracts the last positions of `context` ticks from windows [B, C + H, D], in place; without one, masks them."""
    columns = np.flatnonzero(layout.relative)
    if columns.size:
        values[..., columns], mask[..., columns] = _less_last(layout, values[..., columns], mask[..., columns], context)


def relative_to_last(
    layout: TickLayout, values: Float[Array, "B T D"], mask: Bool[Array, "B T D"], context: int
) -> tuple[Float[Array, "B T D"], Bool[Array, "B T D"]]:
    """What `make_relative` makes of windows, beside them; for numpy and JAX."""
    xp, columns, rest = namespace(values), np.flatnonzero(layout.relative), np.flatnonzero(~layout.relative)
    if not columns.size:
        return values, mask
    moved = _less_last(layout, values[..., columns], mask[..., columns], context)
    back = np.argsort(np.concatenate([rest, columns]))
    both = zip((values, mask), moved, strict=True)
    whole, there = (xp.concatenate([x[..., rest], part], -1)[..., back] for x, part in both)
    return whole, there


def _less_last(
    layout: TickLayout, values: Float[Array, "B T R"], mask: Bool[Array, "B T R"], context: int
) -> tuple[Float[Array, "B T R"], Bool[Array, "B T R"]]:
    """The relative columns of windows, less the last of `context` ticks; without one they are masked."""
    fix, known = _last_positions(layout, values[:, :context], mask[:, :context])
    there = mask & known[:, None]
    return namespace(values).where(there, values - fix[:, None], 0), there


def _last_positions(
    layout: TickLayout, values: Float[Array, "B C R"], mask: Bool[Array, "B C R"]
) -> tuple[Float[Array, "B R"], Bool[Array, "B R"]]:
    """The newest value of each relative feature in contexts [B, C, R], whichever slot it is in: [B, R] each."""
    xp, begin = namespace(values), 0
    fix, known = [values[:, 0, :0]], [mask[:, 0, :0]]
    for spec in layout.readings:  # the relative columns are in the order of streams, of a stream in that of slots
        slots, features = layout.slots(spec), sum(codec(spec).relative)
        part = slice(begin, begin := begin + slots * features)
        if features:
            series = (x[..., part].reshape(len(x), -1, features) for x in (values, mask))
            for out, last in zip((fix, known), last_valid(*series), strict=True):
                out.append(xp.tile(last, (1, slots)))
    return xp.concatenate(fix, 1), xp.concatenate(known, 1)


def _newest_frames(index: Int[np.ndarray, "B C"]) -> Int[np.ndarray, "B P"]:
    """The newest `CONTEXT_FRAMES` of indices [B, C] that are not -1, oldest first; in front -1 where there are few."""
    index = np.pad(index, ((0, 0), (CONTEXT_FRAMES, 0)), constant_values=-1)
    return np.take_along_axis(index, np.argsort(index >= 0, axis=1, kind="stable")[:, -CONTEXT_FRAMES:], 1)


def _readings(span: Ticks, ticks: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, mask and ages of some of a span's ticks, each in one piece of memory."""
    values, mask, age_s = (np.ascontiguousarray(x[:, ticks]) for x in (span.values, span.mask, span.age_s))
    return values, mask, age_s


def _commands(span: Ticks, ticks: slice) -> Commands:
    return Commands(*(np.ascontiguousarray(x[:, ticks]) for x in span.actions))


def _unzip(frames):
    """Frames and masks, one each a video."""
    both = list(frames)
    return tuple(f for f, _ in both), tuple(m for _, m in both)

"""Places that a filter follows: in what is seen of a window they stand for the fixes that were read."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.logs.align import TickLayout, Ticks

_TOLD = 3  # numbers behind the features of a stream
_AIMLESS = 1.0  # rad, from which on a direction is none


@runtime_checkable
class Follower(Protocol):
    """Tells where a machine is, at each tick from that tick and those before it."""

    @property
    def stream(self) -> str:
        """The stream that it follows."""

    @property
    def block(self) -> int:
        """Parts of a recording that it is given begin at a multiple of so many ticks."""

    def needs(self, layout: TickLayout) -> frozenset[str]:
        """The streams that it goes by."""

    def reach(self, layout: TickLayout) -> int:
        """How many ticks before one that one depends on."""

    def follow(
        self, ticks: Ticks, layout: TickLayout, first: int = 0, last: int | None = None
    ) -> Float[np.ndarray, "L G"]:
        """The stream's features at the `last` of ticks that begin with tick `first`; NaN where what was read stands.

        Behind them the deviation (m, along each axis) by which a place is less sure than usual; and, where a machine
        stands, so that no track tells it, which way it points, counter-clockwise from east, and the deviation of that
        (rad).
        """


def follow(ticks: Ticks, layout: TickLayout, followers: Sequence[Follower], first: int = 0) -> Ticks:
    """The ticks with what is followed, stream by stream."""
    parts = [np.zeros((len(ticks.values), 0), np.float32), *(f.follow(ticks, layout, first) for f in followers)]
    return ticks._replace(followed=np.concatenate(parts, 1))


def follow_newest(
    layout: TickLayout,
    followers: Sequence[Follower],
    first: int,
    count: int,
    ticks_from: Callable[[frozenset[str], int], Ticks],
) -> Float[np.ndarray, "T P"]:
    """What is followed at ticks `first` ... of a recording that goes on, as `follow` finds it in the whole one.

    Args:
        layout: their columns.
        followers: of places.
        first: the first of them. Ticks before the recording's first, 0, have none.
        count: how many.
        ticks_from: the readings of some streams from a tick on, up to the last of those wanted.
    """
    parts = [np.zeros((count, 0), np.float32)]
    for follower in followers:
        begin = max(first - follower.reach(layout), 0) // follower.block * follower.block
        before = min(max(begin - first, 0), count)
        found = follower.follow(ticks_from(follower.needs(layout), begin), layout, begin, count - before)
        parts.append(np.pad(found, ((before, 0), (0, 0)), constant_values=np.nan))
    return np.concatenate(parts, 1)


def looks_back(layout: TickLayout, followers: Sequence[Follower]) -> int:
    """How many ticks before one are kept for it: parts of a recording begin with a block."""
    return max((f.reach(layout) + f.block for f in followers), default=0)


def followed_count(layout: TickLayout, followers: Sequence[Follower]) -> int:
    """How many numbers followers tell of a tick."""
    return sum(layout.features(layout.spec(f.stream)) + _TOLD for f in followers)


def followed_of(
    layout: TickLayout, followers: Sequence[Follower], followed: Float[np.ndarray, "*b P"], name: str
) -> Float[np.ndarray, "*b F"]:
    """The features of one stream among those that are followed; none of one that is not."""
    return _parts(layout, followers, followed).get(name, followed[..., :_TOLD])[..., :-_TOLD]


class Beginning(NamedTuple):
    """How surely it is known where a machine is, and which way it points, whose place is followed at a tick.

    Attributes:
        unsure: by stream, the deviation (m, along each axis) by which its place is less sure than usual.
        noses: by stream, where the machine stands, which way it points (rad, counter-clockwise from east), and the
            deviation of that.
    """

    unsure: Mapping[str, float] = MappingProxyType({})
    noses: Mapping[str, tuple[float, float]] = MappingProxyType({})

    @property
    def aimless(self) -> tuple[str, ...]:
        """Streams of a machine that stands, where nothing tells which way it points."""
        return tuple(stream for stream, (_, off) in self.noses.items() if off > _AIMLESS)


def beginning_of(layout: TickLayout, followers: Sequence[Follower], followed: Float[np.ndarray, " P"]) -> Beginning:
    """What followers tell of a tick beside the features."""
    parts = _parts(layout, followers, followed)
    told = {stream: tuple(map(float, part[-_TOLD:])) for stream, part in parts.items()}
    unsure = {stream: deviation for stream, (deviation, _, _) in told.items() if np.isfinite(deviation)}
    return Beginning(unsure, {stream: (nose, off) for stream, (_, nose, off) in told.items() if np.isfinite(nose)})


def stand_in(
    layout: TickLayout,
    followers: Sequence[Follower],
    followed: Float[np.ndarray, "*b P"],
    values: Float[np.ndarray, "*b D"],
    mask: Bool[np.ndarray, "*b D"],
    age_s: Float[np.ndarray, "*b S"] | None = None,
) -> None:
    """Puts what is followed in the place of what was read, as if it had been read at the tick itself; in place."""
    for follower in followers:
        spec = layout.spec(follower.stream)
        columns, place = layout.slot_columns(spec)[-1], followed_of(layout, followers, followed, spec.name)
        known = np.isfinite(place)
        there = known.any(-1)
        values[..., columns] = np.where(known, place, np.where(there[..., None], 0, values[..., columns]))
        mask[..., columns] = np.where(there[..., None], known, mask[..., columns])
        if age_s is not None:
            row = layout.readings.index(spec)
            age_s[..., row] = np.where(there, 0, age_s[..., row])


def _parts(layout: TickLayout, followers: Sequence[Follower], followed: np.ndarray) -> dict[str, np.ndarray]:
    """What is told of each stream that is followed, [..., F + 3]."""
    sizes = [layout.features(layout.spec(f.stream)) + _TOLD for f in followers]
    ends = np.cumsum([0, *sizes])
    return {f.stream: followed[..., a:b] for f, a, b in zip(followers, ends[:-1], ends[1:], strict=True)}

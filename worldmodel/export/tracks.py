"""Recordings and trajectories as tracks: what viewers of other makers show."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from worldmodel.imagine.trajectory import Trajectory
from worldmodel.logs.reader import Episode, Log
from worldmodel.types import Samples, StreamSpec

_ONE_BY_ONE = ("gps", "video")  # kinds that viewers show one of at a place


class Track(NamedTuple):
    """A stream at a path.

    Attributes:
        path: such as `episode_3/gyro` or `imagined/gps/member_0`.
        spec: what it is.
        samples: times [M] and data [M, S], of several members [M, K, S]; of video [M, rows, columns, 3].
        origin_utc: seconds of the epoch that times are counted from; NaN where unknown.
    """

    path: str
    spec: StreamSpec
    samples: Samples
    origin_utc: float

    @property
    def members(self) -> int | None:
        """K; None without that axis."""
        return self.samples.data.shape[1] if self.samples.data.ndim == 3 and self.spec.kind != "video" else None

    @property
    def utc_s(self) -> np.ndarray:
        """Times of the epoch; seconds of the episode where its origin is unknown."""
        return self.samples.time + (self.origin_utc if math.isfinite(self.origin_utc) else 0.0)


def tracks_of_log(log: Log) -> Iterator[Track]:
    """Every stream of every episode; of a written trajectory every member."""
    several = len(log.episodes) > 1
    for i, episode in enumerate(log.episodes):
        yield from _of_episode(episode, f"episode_{i}/" if several else "")


def tracks_of_trajectory(trajectory: Trajectory) -> Iterator[Track]:
    """What was logged and what is imagined."""
    for name, samples in trajectory.logged.items():
        yield Track(f"logged/{name}", trajectory.streams[name], samples, trajectory.origin_utc)
    for name, samples in trajectory.imagined.items():
        yield from _members(f"imagined/{name}", trajectory.streams[name], samples, trajectory.origin_utc)


def _of_episode(episode: Episode, above: str) -> Iterator[Track]:
    for name, stream in episode.streams.items():
        yield from _members(above + name, stream.spec, Samples(stream.time, stream.data), episode.origin_utc)


def _members(path: str, spec: StreamSpec, samples: Samples, origin_utc: float) -> Iterable[Track]:
    several = samples.data.ndim > 1 + len(spec.sample_shape)
    if not several or spec.kind not in _ONE_BY_ONE:
        return [Track(path, spec, samples, origin_utc)]
    parts = (Samples(samples.time, samples.data[:, k]) for k in range(samples.data.shape[1]))
    return [Track(f"{path}/member_{k}", spec, part, origin_utc) for k, part in enumerate(parts)]

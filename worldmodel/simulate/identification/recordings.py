"""What is used of recordings: the commands and readings of a scene's streams."""

from typing import NamedTuple

import numpy as np

from worldmodel.logs.reader import Episode
from worldmodel.simulate.scene import Scene, SceneStream
from worldmodel.types import Samples


class Recording(NamedTuple):
    """What is used of an episode: actions and readings by stream, and how long it is in seconds."""

    name: str
    actions: dict[str, Samples]
    readings: dict[str, Samples]
    seconds: float

    @classmethod
    def of(cls, scene: Scene, episode: Episode) -> "Recording":
        """Of an episode; readings of which a column is missing are none."""
        acted = {s.spec.name: _samples(episode, s) for s in scene.actions}
        read = {s.spec.name: _samples(episode, s) for s in scene.read}
        return cls(episode.name, acted, read, episode.duration_s)


def _samples(episode: Episode, stream: SceneStream) -> Samples:
    found = episode.streams[stream.spec.name]
    data = np.asarray(found.data, np.float64)
    there = np.isfinite(data).all(1)
    return Samples(found.time[there], data[there])


def stream_of(scene: Scene, name: str) -> SceneStream:
    """A scene's stream of that name."""
    return next(s for s in scene.streams if s.spec.name == name)


def noise_of(steps: np.ndarray) -> np.ndarray:
    """[E] the standard deviation of noise, from differences [M - 1, E] of readings that follow one another.

    Third differences have 20 times its variance. By their median, for steps and collisions are none.
    """
    if len(steps) < 7:
        return np.full(steps.shape[1], np.nan)
    return np.median(np.abs(np.diff(steps, 2, axis=0)), 0) / 0.6745 / np.sqrt(20)

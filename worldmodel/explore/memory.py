"""What was read of late, as a page shows it."""

from collections import deque
from typing import Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.explore import fans
from worldmodel.logs.physical import physical_values
from worldmodel.types import Samples, StreamSpec


class Memory:
    """The newest readings, in physical columns, and the newest frames.

    Args:
        specs: the streams; of others nothing is kept.
        seconds: how long.
        origin: what fixes are metres from: latitude, longitude (deg), altitude (m).
    """

    def __init__(self, specs: tuple[StreamSpec, ...], seconds: float, origin: np.ndarray) -> None:
        self._specs, self._seconds, self._origin = {spec.name: spec for spec in specs}, seconds, origin
        self._read: dict[str, deque[tuple[float, np.ndarray]]] = {spec.name: deque() for spec in specs}

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def take(self, name: str, time_s: float, value: np.ndarray) -> None:
        """Takes one sample [S] of a stream, newer than those before it."""
        spec, read = self._specs[name], self._read[name]
        shown = value if spec.kind == "video" else physical_values(spec, value[None], self._origin)[0]
        read.append((time_s, shown))
        while read[0][0] < time_s - self._seconds:
            read.popleft()

    def samples(self, name: str, since_s: float = -np.inf) -> Samples:
        """Times [N] and values [N, P] of a stream that reads numbers."""
        kept = [each for each in self._read[name] if each[0] >= since_s]
        values = np.array([value for _, value in kept]).reshape(len(kept), len(codec(self._specs[name]).labels))
        return Samples(np.array([time for time, _ in kept]), values)

    def past(self, begin_s: float, start_s: float, frames: int) -> dict[str, Any]:
        """What was read from a moment on, with times from `start_s`; and so many of the newest frames."""
        streams, shown = {}, {}
        for name, spec in self._specs.items():
            if spec.kind == "video":
                newest = list(self._read[name])[max(len(self._read[name]) - frames, 0) :]
                shown[name] = [{"after_s": time - start_s, "seen": frame} for time, frame in newest]
            else:
                streams[name] = fans.read(self.samples(name, begin_s), start_s)
        return {"streams": streams, "frames": shown}

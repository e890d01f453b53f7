"""What fixes are measured from: the first of all that were pushed, as a log's are from its first."""

import numpy as np

from worldmodel.types import StreamSpec


class Origin:
    """The first known place and height of each GPS stream, also where an earlier one comes late."""

    def __init__(self, streams: tuple[StreamSpec, ...]) -> None:
        self._place: dict[str, tuple[float, np.ndarray]] = {}
        self._height: dict[str, tuple[float, float]] = {}
        self._names = [spec.name for spec in streams if spec.kind == "gps"]

    def see(self, name: str, time_s: float, fix: np.ndarray) -> None:
        """Takes a sample [S] of any stream."""
        if name not in self._names or not np.isfinite(fix[:2]).all():
            return
        if name not in self._place or time_s < self._place[name][0]:
            self._place[name] = time_s, fix[:2].copy()
        if np.isfinite(fix[2]) and (name not in self._height or time_s < self._height[name][0]):
            self._height[name] = time_s, float(fix[2])

    @property
    def fix(self) -> np.ndarray:
        """float64 [3] latitude, longitude (deg), altitude (m); 0 where nothing is known."""
        for name in self._names:
            if name in self._place:
                return np.array([*self._place[name][1], self._height.get(name, (0.0, 0.0))[1]])
        return np.zeros(3)

"""What a recording knows of a moment: where its twin starts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Episode
from worldmodel.simulate.twin import Start
from worldmodel.types import Samples, StreamSpec

_OLDEST_INTERVALS = 10  # a coordinate has moved on since: then the simulator's own state is nearer


class _Valid(NamedTuple):
    """The valid samples of one stream: times [M], data [M, S], and the usual time between them in seconds."""

    time: np.ndarray
    data: np.ndarray
    interval_s: float


class Recorded:
    """What one episode's sensors read, and what the simulator knew.

    Args:
        episode: of a log.
        has_truth: whether that log holds the simulator's own state.
        readings: streams that are asked about.
    """

    def __init__(self, episode: Episode, has_truth: bool, readings: Sequence[StreamSpec]) -> None:
        self._truth, self._readings = episode.truth if has_truth else {}, readings
        self._valid = {spec.name: _valid(episode, spec) for spec in readings}

    def start(self, now: float, actions: dict[str, Samples]) -> Start:
        """The moment `now`, with what is commanded about it."""
        return Start(now, self.readings(now), self.state(now), actions)

    def readings(self, now: float) -> dict[str, np.ndarray]:
        """By sensor, its last valid reading [S] up to `now`, whichever row it is in.

        One that is older than ten of the stream's intervals is left out where the simulator's state is known.
        """
        out = {}
        for spec in self._readings:
            valid, row = self._valid[spec.name], self._last(spec.name, now)
            if spec.kind == "gps" or row < 0:
                continue
            old = now - valid.time[row] > _OLDEST_INTERVALS * valid.interval_s
            if not (old and "state" in self._truth):
                out[spec.name] = valid.data[row]
        return out

    def between(self, begin: float, now: float) -> dict[str, Samples]:
        """By sensor, its valid samples after `begin` and up to `now`."""
        out = {}
        for spec in self._readings:
            if spec.kind != "gps":
                valid = self._valid[spec.name]
                rows = slice(*np.searchsorted(valid.time, [begin - 1e-7, now + 1e-7], side="right"))
                out[spec.name] = Samples(valid.time[rows], valid.data[rows])
        return out

    def state(self, now: float) -> np.ndarray | None:
        """The simulator's state [Q] at `now`; None for real logs."""
        stream = self._truth.get("state")
        if stream is None or not len(stream):
            return None
        row = max(int(np.searchsorted(stream.time, now + 1e-7, side="right")) - 1, 0)
        return stream.rows(row, row + 1)[0]

    def last_fix(self, name: str, now: float) -> np.ndarray | None:
        """The last valid fix [S] of a receiver up to `now`."""
        row = self._last(name, now)
        return self._valid[name].data[row] if row >= 0 else None

    def true_fix(self, name: str, now: float) -> np.ndarray | None:
        """Where the receiver truly was when it took its last fix up to `now`; None where that is not known."""
        row, true = self._last(name, now), self._truth.get(name)
        if row < 0 or true is None or not len(true):
            return None
        nearest = int(np.argmin(np.abs(true.time - self._valid[name].time[row])))
        return true.rows(nearest, nearest + 1)[0]

    def _last(self, name: str, now: float) -> int:
        """The row of a stream's last valid sample up to `now`; negative where there is none."""
        return int(np.searchsorted(self._valid[name].time, now + 1e-7, side="right")) - 1


def metres_since(values: np.ndarray, origin: np.ndarray, taken: Sequence[np.ndarray | None]) -> np.ndarray:
    """Simulated fixes [W, H, S] as metres [W, H, 3] from where each receiver was when it took its last one.

    Args:
        values: the first of each is at the start.
        origin: of the scene, latitude, longitude (deg), altitude (m).
        taken: of each, that true fix [S]; where it is None, the way counts from the start.
    """
    metres = geodetic_to_enu(values[..., :3].reshape(-1, 3), origin).reshape(*values.shape[:2], 3)
    begun = [None if fix is None else geodetic_to_enu(fix[None, :3], origin) for fix in taken]
    return metres - np.stack([way[:1] if fix is None else fix for way, fix in zip(metres, begun, strict=True)])


def _valid(episode: Episode, spec: StreamSpec) -> _Valid:
    """A stream's samples without those of which a column is missing; of fixes, where the place is known."""
    stream = episode.streams[spec.name]
    data = stream.data
    there = np.isfinite(data[:, :2] if spec.kind == "gps" else data).all(1)
    time = stream.time[there]
    return _Valid(time, data[there], float(np.median(np.diff(time))) if len(time) > 1 else 1 / spec.rate_hz)

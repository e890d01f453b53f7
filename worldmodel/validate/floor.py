"""The physical floor: the error of MuJoCo itself, started from the readings that the model was allowed to see."""

from typing import NamedTuple

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Episode, Stream
from worldmodel.simulate import Start, Twin, load_scene
from worldmodel.types import Samples
from worldmodel.validate.problem import Problem

_NO_TWIN = "The log names no simulated twin, so there is no physical floor."
_HOW = (
    "The floor is MuJoCo started from the last reading of each sensor at the end of the context. "
    "Coordinates that no sensor reads are taken from the simulator's own state where it is known, which only helps it."
)


def floor_predictions(problem: Problem) -> tuple[dict[str, np.ndarray] | None, str]:
    """MuJoCo from the last noisy readings of each context, under the logged actions.

    Returns:
        By stream [W, H, S] readings at the tick in physical units, GPS in metres relative to the context's last fix;
        None where the log names no twin, or one that cannot follow it. And how it was obtained, in words.
    """
    scene = problem.log.about.get("scene")
    if not scene:
        return None, _NO_TWIN
    try:
        return _roll_out(problem, Twin(load_scene(str(scene)))), _HOW
    except SceneError as error:
        return None, f"There is no physical floor, for MuJoCo cannot follow this log: {error.problem}"


def _roll_out(problem: Problem, twin: Twin) -> dict[str, np.ndarray]:
    """The twin's readings by stream [W, H, S], from the last noisy readings of each context.

    Raises:
        SceneError: if the twin lacks a stream of the log, or becomes unstable.
    """
    has = {stream.spec.name: stream.spec.columns for stream in twin.scene.streams}
    for spec in (*problem.readings, *problem.windows.layout.of_kind("action")):
        if has.get(spec.name) != spec.columns:
            raise SceneError(f"The scene {twin.scene.name!r} has no stream {spec.name!r} of {', '.join(spec.columns)}.")
    used = {int(e): problem.log.episodes[problem.windows.episodes[int(e)]] for e in np.unique(problem.starts[:, 0])}
    commanded = {e: _actions(problem, episode) for e, episode in used.items()}
    dt = problem.windows.layout.dt
    starts = [_start(problem, used[int(e)], commanded[int(e)], int(t) * dt) for e, t in problem.starts]
    rolled = twin.rollout(starts, np.arange(problem.horizon + 1) * dt)
    out = {}
    for spec in problem.readings:
        values = np.asarray(rolled[spec.name], np.float64)
        if spec.kind == "gps":  # the reading, moved by the displacement since it was taken
            moved = geodetic_to_enu(values[..., :3].reshape(-1, 3), twin.scene.origin).reshape(*values.shape[:2], 3)
            fixes = {e: _Fixes.of(episode, spec.name) for e, episode in used.items()}
            since = [fixes[int(e)].true_at(s.time_s) for (e, _), s in zip(problem.starts, starts, strict=True)]
            known = [geodetic_to_enu(x[None, :3], twin.scene.origin) if x is not None else None for x in since]
            values = moved - np.stack([m[:1] if x is None else x for m, x in zip(moved, known, strict=True)])
        out[spec.name] = values[:, 1:]
    return out


def _actions(problem: Problem, episode: Episode) -> dict[str, Samples]:
    streams = {s.name: episode.streams[s.name] for s in problem.windows.layout.of_kind("action")}
    return {name: Samples(stream.time, stream.data) for name, stream in streams.items()}


def _start(problem: Problem, episode: Episode, actions: dict[str, Samples], now: float) -> Start:
    last = {s.name: _last_reading(episode.streams[s.name], now) for s in problem.readings if s.kind == "sensor"}
    readings = {name: reading for name, reading in last.items() if reading is not None}
    return Start(now, readings, _state(episode, now), actions)


def _last_reading(stream: Stream, now: float) -> np.ndarray | None:
    """The last valid reading [S] up to `now`; None where there is none."""
    row = int(np.searchsorted(stream.time, now + 1e-7, side="right"))
    data = stream.rows(max(row - 16, 0), row)
    valid = data[np.isfinite(data).all(1)]
    return valid[-1] if len(valid) else None


class _Fixes(NamedTuple):
    """When a receiver took its valid fixes [N], and where it truly was: times [M] and positions [M, 3]."""

    taken: np.ndarray
    time: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, episode: Episode, name: str) -> "_Fixes":
        taken, true = episode.streams[name], episode.truth.get(name)
        valid = taken.time[np.isfinite(taken.data[:, :3]).all(1)]
        return cls(valid, *((true.time, true.data) if true is not None else (np.zeros(0), np.zeros((0, 3)))))

    def true_at(self, now: float) -> np.ndarray | None:
        """Where the receiver truly was when it took its last fix up to `now`; None where that is not known."""
        before = self.taken[self.taken <= now + 1e-7]
        if not len(before) or not len(self.time):
            return None
        return self.true[np.argmin(np.abs(self.time - before[-1]))]


def _state(episode: Episode, now: float) -> np.ndarray | None:
    """The simulator's state [Q] at `now`; None for real logs."""
    stream = episode.truth.get("state")
    if stream is None or not len(stream):
        return None
    row = max(int(np.searchsorted(stream.time, now + 1e-7, side="right")) - 1, 0)
    return stream.rows(row, row + 1)[0]

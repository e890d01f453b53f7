"""The physical floor: the error of MuJoCo itself, started from the readings that the model was allowed to see."""

import numpy as np

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
        None where the log names no twin. And how it was obtained, in words.
    """
    scene = problem.log.about.get("scene")
    if not scene:
        return None, _NO_TWIN
    twin = Twin(load_scene(str(scene)))
    episodes = [problem.log.episodes[problem.windows.episodes[int(e)]] for e, _ in problem.starts]
    dt = problem.windows.layout.dt
    starts = [_start(problem, episode, int(t) * dt) for episode, (_, t) in zip(episodes, problem.starts, strict=True)]
    rolled = twin.rollout(starts, np.arange(problem.horizon + 1) * dt)
    out = {}
    for spec in problem.readings:
        values = np.asarray(rolled[spec.name], np.float64)
        if spec.kind == "gps":  # the reading, moved by the displacement since it was taken
            moved = geodetic_to_enu(values[..., :3].reshape(-1, 3), twin.scene.origin).reshape(*values.shape[:2], 3)
            since = [_where_fixed(e, spec.name, s.time_s) for e, s in zip(episodes, starts, strict=True)]
            known = [geodetic_to_enu(x[None, :3], twin.scene.origin) if x is not None else None for x in since]
            values = moved - np.stack([m[:1] if x is None else x for m, x in zip(moved, known, strict=True)])
        out[spec.name] = values[:, 1:]
    return out, _HOW


def _start(problem: Problem, episode: Episode, now: float) -> Start:
    last = {s.name: _last_reading(episode.streams[s.name], now) for s in problem.readings if s.kind == "sensor"}
    readings = {name: reading for name, reading in last.items() if reading is not None}
    actions = {name: episode.streams[name] for name in (s.name for s in problem.windows.layout.of_kind("action"))}
    samples = {name: Samples(stream.time, stream.data) for name, stream in actions.items()}
    return Start(now, readings, _state(episode, now), samples)


def _last_reading(stream: Stream, now: float) -> np.ndarray | None:
    """The last valid reading [S] up to `now`; None where there is none."""
    row = int(np.searchsorted(stream.time, now + 1e-7, side="right"))
    data = stream.rows(max(row - 16, 0), row)
    valid = data[np.isfinite(data).all(1)]
    return valid[-1] if len(valid) else None


def _where_fixed(episode: Episode, name: str, now: float) -> np.ndarray | None:
    """Where the receiver truly was when it took its last valid fix up to `now`; None where that is not known."""
    taken, true = episode.streams[name], episode.truth.get(name)
    valid = np.flatnonzero(np.isfinite(taken.data[:, :3]).all(1) & (taken.time <= now + 1e-7))
    if true is None or not len(true) or not len(valid):
        return None
    return true.data[np.argmin(np.abs(true.time - taken.time[valid[-1]]))]


def _state(episode: Episode, now: float) -> np.ndarray | None:
    """The simulator's state [Q] at `now`; None for real logs."""
    stream = episode.truth.get("state")
    if stream is None or not len(stream):
        return None
    row = max(int(np.searchsorted(stream.time, now + 1e-7, side="right")) - 1, 0)
    return stream.rows(row, row + 1)[0]

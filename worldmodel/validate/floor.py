"""The physical floor: the error of MuJoCo itself, started from the readings that the model was allowed to see."""

import numpy as np

from worldmodel.logs.align import geodetic_to_enu
from worldmodel.simulate import Twin, load_scene
from worldmodel.types import Samples
from worldmodel.validate.problem import Problem

_NONE = "The log names no simulated twin, so there is no physical floor."


def floor_predictions(problem: Problem) -> tuple[dict[str, np.ndarray] | None, str]:
    """MuJoCo from the last noisy readings of each context, under the logged actions.

    Returns:
        By stream [W, H, S] readings at the tick in physical units, GPS in metres relative to the context's last fix;
        None where the log names no twin. And how it was obtained, in words.
    """
    scene = problem.log.about.get("scene")
    if not scene:
        return None, _NONE
    twin = Twin(load_scene(str(scene)))
    parts = [_from_start(problem, twin, int(e), int(t)) for e, t in problem.starts]
    note = (
        "The floor is MuJoCo started from the last reading of each sensor at the end of the context. "
        "Coordinates that no sensor reads are taken from the simulator's own state, which only helps it."
    )
    return {s.name: np.stack([part[s.name] for part in parts]) for s in problem.readings}, note


def _from_start(problem: Problem, twin: Twin, index: int, tick: int) -> dict[str, np.ndarray]:
    windows = problem.windows
    dt = windows.layout.dt
    episode = problem.log.episodes[windows.episodes[index]]
    now = tick * dt
    ahead = now + (np.arange(problem.horizon) + 1) * dt
    readings = {s.name: _last_reading(episode.streams[s.name], now) for s in problem.readings if s.kind == "sensor"}
    truth = _state(episode, now)
    state = twin.start_state(readings, truth)
    actions = {s.name: Samples(episode.streams[s.name].time, episode.streams[s.name].data) for s in windows.layout.of_kind("action")}
    times = {s.name: np.concatenate([[now], ahead]) if s.kind == "gps" else ahead for s in problem.readings}
    rolled = twin.rollout(now, state, actions, times)
    out = {}
    for spec in problem.readings:
        values = np.asarray(rolled[spec.name], np.float64)
        if spec.kind == "gps":  # the reading, moved by the simulated displacement
            moved = geodetic_to_enu(values[:, :3], windows.ticks[index].origin)
            values = moved[1:] - moved[:1]
        out[spec.name] = values
    return out


def _last_reading(stream, now: float) -> np.ndarray | None:
    """The last valid reading [S] up to `now`; None where there is none."""
    row = int(np.searchsorted(stream.time, now + 1e-7, side="right"))
    data = stream.rows(max(row - 16, 0), row)
    valid = data[np.isfinite(data).all(1)] if len(data) else data
    return valid[-1] if len(valid) else None


def _state(episode, now: float) -> np.ndarray | None:
    """The simulator's state [Q] at `now`; None for real logs."""
    stream = episode.truth.get("state")
    if stream is None or not len(stream):
        return None
    row = int(np.searchsorted(stream.time, now + 1e-7, side="right")) - 1
    return stream.rows(max(row, 0), max(row, 0) + 1)[0]

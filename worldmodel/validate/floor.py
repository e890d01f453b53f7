"""The physical floors: the error of MuJoCo itself, started from the readings that the model was allowed to see."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Episode
from worldmodel.simulate import Scene, Start, Twin, load_scene
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate.forecast import Forecast
from worldmodel.validate.problem import Answers, Problem

_OLDEST_INTERVALS = 10  # a coordinate has moved on since: then the simulator's own state is nearer
_NO_TWIN = "The log names no simulated twin, so there is no physical floor."
_HOW = (
    "The floor is MuJoCo started from the last reading of each sensor at the end of the context, under the same "
    "actions that the others get, means over each time step. Coordinates that no sensor reads, or has not read for ten "
    "of its intervals, are taken from the simulator's own state where it is known, which only helps it."
)
_HOW_ESTIMATED = (
    " The estimate starts it from the whole context instead: simulated under the same actions, and pulled to every "
    "reading on the way."
)
_BEFORE = " Where no command was given yet, the scene's own control holds."


class Floor:
    """MuJoCo from the last noisy readings of each context. It knows the log: what no sensor reads, and its true fixes.

    Args:
        answers: of the problem that it will be asked.
        scene: the machine's; by default the one that the log names.
    """

    name = "floor_reading"
    _how = _HOW

    def __init__(self, answers: Answers, scene: Scene | None = None) -> None:
        self._log, self._windows, self._scene = answers.log, answers.windows, scene

    def predict(self, problem: Problem) -> Forecast:
        """Nothing, with a note that says why, where the log names no twin or one that cannot follow it."""
        named = self._log.about.get("scene")
        if self._scene is None and not named:
            return Forecast(note=_NO_TWIN)
        try:
            mean = self._roll_out(problem, Twin(self._scene or load_scene(str(named))))
        except SceneError as error:
            found = f" ({error.found})" if error.found else ""
            return Forecast(
                note=f"There is no physical floor, for MuJoCo cannot follow this log: {error.problem}{found}"
            )
        unknown = not all(mask.all() for mask in problem.actions_mask.values())
        return Forecast(mean, note=self._how + _BEFORE * unknown)

    def _roll_out(self, problem: Problem, twin: Twin) -> dict[str, np.ndarray]:
        """The twin's readings by stream [W, H, P].

        Raises:
            SceneError: if the twin lacks a stream of the log, or becomes unstable.
        """
        has = {stream.spec.name: stream.spec.columns for stream in twin.scene.streams}
        for spec in (*problem.readings, *problem.layout.actions):
            if has.get(spec.name) != spec.columns:
                listed = ", ".join(spec.columns)
                raise SceneError(f"The scene {twin.scene.name!r} has no stream {spec.name!r} of {listed}.")
        recorded = {int(e): self._recorded(int(e), problem.readings) for e in np.unique(problem.starts[:, 0])}
        starts = [
            recorded[int(e)].start(t * problem.dt, given)
            for (e, t), given in zip(problem.starts, commands(problem), strict=True)
        ]
        states = self._states(problem, twin, starts, [recorded[int(e)] for e in problem.starts[:, 0]])
        rolled = twin.rollout(starts, np.concatenate([[0.0], problem.times]), states)
        out = {}
        for spec in problem.readings:
            values = np.asarray(rolled[spec.name], np.float64)
            if spec.kind == "gps":  # the reading, moved by the displacement since it was taken
                moved = geodetic_to_enu(values[..., :3].reshape(-1, 3), twin.scene.origin).reshape(*values.shape[:2], 3)
                since = [recorded[int(e)].true_fix(spec.name, int(t) * problem.dt) for e, t in problem.starts]
                known = [None if fix is None else geodetic_to_enu(fix[None, :3], twin.scene.origin) for fix in since]
                values = moved - np.stack([m[:1] if x is None else x for m, x in zip(moved, known, strict=True)])
            out[spec.name] = values[:, 1:]
        return out

    def _states(
        self, problem: Problem, twin: Twin, starts: Sequence[Start], recorded: Sequence["_Recorded"]
    ) -> np.ndarray:
        """Where MuJoCo starts: states [W, Q]."""
        return np.stack([twin.start_state(start) for start in starts])

    def _recorded(self, row: int, readings: tuple[StreamSpec, ...]) -> "_Recorded":
        return _Recorded(self._log.episodes[self._windows.episodes[row]], self._log.has_truth, readings)


class FloorEstimate(Floor):
    """MuJoCo from the best estimate of the state given the context; what no sensor reads is known as in `Floor`.

    Args:
        answers: of the problem that it will be asked.
    """

    name = "floor_estimate"
    _how = _HOW_ESTIMATED

    def _states(
        self, problem: Problem, twin: Twin, starts: Sequence[Start], recorded: Sequence["_Recorded"]
    ) -> np.ndarray:
        span = -float(problem.past_times[0])
        begins = [
            episode.start(start.time_s - span, start.actions) for episode, start in zip(recorded, starts, strict=True)
        ]
        read = [
            episode.between(begin.time_s, start.time_s)
            for episode, begin, start in zip(recorded, begins, starts, strict=True)
        ]
        followed, sound = twin.estimate(begins, read, span)
        states = super()._states(problem, twin, starts, recorded)
        for row, start in enumerate(starts):
            if sound[row] and start.state is None:
                states[row] = followed[row]
            elif sound[row]:
                seen = twin.read_coordinates([name for name, samples in read[row].items() if len(samples.time)])
                states[row, seen] = followed[row, seen]
        return states


def commands(problem: Problem) -> list[dict[str, Samples]]:
    """Of each start, by stream, what is commanded at each tick of its context and ahead; NaN where unknown.

    Times are those of the episode. What was commanded before the start may act after it, where the scene has a delay.
    """
    times = np.concatenate([problem.past_times[:-1], problem.times - problem.dt])
    given = {name: np.where(problem.actions_mask[name], x, np.nan) for name, x in problem.actions.items()}
    return [
        {name: Samples(tick * problem.dt + times, values[row]) for name, values in given.items()}
        for row, tick in enumerate(problem.starts[:, 1])
    ]


class _Valid(NamedTuple):
    """The valid samples of one stream: times [M], data [M, S], and the usual time between them in seconds."""

    time: np.ndarray
    data: np.ndarray
    interval_s: float


class _Recorded:
    """What one episode's sensors read, and what the simulator knew."""

    def __init__(self, episode: Episode, has_truth: bool, readings: tuple[StreamSpec, ...]) -> None:
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
            valid = self._valid[spec.name]
            row = int(np.searchsorted(valid.time, now + 1e-7, side="right")) - 1
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

    def true_fix(self, name: str, now: float) -> np.ndarray | None:
        """Where the receiver truly was when it took its last fix up to `now`; None where that is not known."""
        taken, true = self._valid[name].time, self._truth.get(name)
        before = taken[taken <= now + 1e-7]
        if not len(before) or true is None or not len(true):
            return None
        row = int(np.argmin(np.abs(true.time - before[-1])))
        return true.rows(row, row + 1)[0]


def _valid(episode: Episode, spec: StreamSpec) -> _Valid:
    """A stream's samples without those of which a column is missing; of fixes, where the place is known."""
    stream = episode.streams[spec.name]
    data = stream.data
    there = np.isfinite(data[:, :2] if spec.kind == "gps" else data).all(1)
    time = stream.time[there]
    return _Valid(time, data[there], float(np.median(np.diff(time))) if len(time) > 1 else 1 / spec.rate_hz)

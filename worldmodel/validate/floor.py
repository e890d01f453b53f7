"""The physical floors: the error of MuJoCo itself, started from the readings that the model was allowed to see."""

from collections.abc import Sequence

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate import Recorded, Scene, Start, Twin, load_scene
from worldmodel.simulate.recorded import metres_since
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate.forecast import Forecast
from worldmodel.validate.problem import Answers, Problem

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
            scene = self._scene or load_scene(str(named))
            mean = self._roll_out(problem, Twin(scene, (*problem.readings, *problem.layout.actions)))
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
            SceneError: if the twin becomes unstable.
        """
        recorded = {int(e): self._recorded(int(e), problem.readings) for e in np.unique(problem.starts[:, 0])}
        starts = [
            recorded[int(e)].start(problem.layout.time_s(t), given)
            for (e, t), given in zip(problem.starts, commands(problem), strict=True)
        ]
        states = self._states(problem, twin, starts, [recorded[int(e)] for e in problem.starts[:, 0]])
        rolled = twin.rollout(starts, np.concatenate([[0.0], problem.times]), states)
        out = {}
        for spec in problem.readings:
            values = np.asarray(rolled[spec.name], np.float64)
            if spec.kind == "gps":  # the place that is read or followed, moved by the displacement since then
                told = zip(problem.starts, self._windows.follows(problem.starts, spec.name), strict=True)
                now = problem.layout.time_s
                since = [None if f else recorded[int(e)].true_fix(spec.name, now(t)) for (e, t), f in told]
                values = metres_since(values, twin.scene.origin, since)
            out[spec.name] = values[:, 1:]
        return out

    def _states(
        self, problem: Problem, twin: Twin, starts: Sequence[Start], recorded: Sequence[Recorded]
    ) -> np.ndarray:
        """Where MuJoCo starts: states [W, Q]."""
        return np.stack([twin.start_state(start) for start in starts])

    def _recorded(self, row: int, readings: tuple[StreamSpec, ...]) -> Recorded:
        return Recorded(self._log.episodes[self._windows.episodes[row]], self._log.has_truth, readings)


class FloorEstimate(Floor):
    """MuJoCo from the best estimate of the state given the context; what no sensor reads is known as in `Floor`.

    Args:
        answers: of the problem that it will be asked.
    """

    name = "floor_estimate"
    _how = _HOW_ESTIMATED

    def _states(
        self, problem: Problem, twin: Twin, starts: Sequence[Start], recorded: Sequence[Recorded]
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
        {name: Samples(problem.layout.time_s(tick) + times, values[row]) for name, values in given.items()}
        for row, tick in enumerate(problem.starts[:, 1])
    ]

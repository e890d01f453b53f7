"""Does a predictor know what it must not, and does it use what it may? Probes for any predictor on any problem."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from worldmodel.types import Commands
from worldmodel.validate.forecast import Forecast, Predictor, ask, name_of
from worldmodel.validate.labels import listed, number
from worldmodel.validate.problem import Answers, Problem

_SALT = 0x1EA4
_ROUNDING = 1e-6  # of the size of what is predicted: arithmetic of other shapes rounds otherwise
_FAR = 3.0  # standard deviations that commands are moved by


class Probe(NamedTuple):
    """What came of a probe.

    Attributes:
        passed: whether it is as it should be.
        sentence: the verdict in words.
        moved: by stream, the largest change of a prediction over the root mean square of what is predicted there; 0 for
            none. Members and frames count as well as means.
    """

    passed: bool
    sentence: str
    moved: dict[str, float]

    def __bool__(self) -> bool:
        return self.passed


def future_leak(predictor: Predictor, problem: Problem) -> Probe:
    """Whether predictions depend on what came after their starts.

    While the predictor is asked again, all that came is overwritten wherever it is held, and no start is called by the
    episode and the tick that it is of: who looks its answer up finds another one. Contexts and commands stay as they
    are. One that reads the recording itself in some other way is beyond this probe.

    Raises:
        WorldModelError: if `problem` is without its answers, or the predictor's forecast does not fit it.
    """
    before = _copied(ask(predictor, problem))
    renamed = dataclasses.replace(problem, starts=problem.starts[::-1].copy())
    with _overwritten(problem.truth):
        moved = _moved(before, ask(predictor, renamed))
    return _forbidden(predictor, moved, "what came after the start")


def estimate_leak(predictor: Predictor, problem: Problem) -> Probe:
    """Whether the estimate at a tick t depends on what is commanded from t on.

    The command that leaves t cannot have moved the machine by t, yet a model that pairs actions with the wrong readings
    knows from it what the driver was about to do. Looked at for the first tick ahead and for one in the middle.

    Args:
        predictor: any.
        problem: of a horizon of two ticks or more.
    """
    before = ask(predictor, problem)
    moved: dict[str, float] = {}
    for tick in sorted({0, max(problem.horizon // 2, 0)}):
        after = ask(predictor, _commanded(problem, _moved_from(problem.commands, tick + 1)))
        found = _moved(_until(before, problem, tick), _until(after, problem, tick))
        moved = {name: max(size, moved.get(name, 0.0)) for name, size in found.items()}
    return _forbidden(predictor, moved, "what is commanded only afterwards")


def action_use(predictor: Predictor, problem: Problem, seed: int = 0) -> Probe:
    """Whether predictions depend on the commands ahead at all, which are shuffled among the starts.

    One that passes uses them; whether to its good, `Result.action_sensitivity` says.
    """
    order = np.random.default_rng([seed, _SALT]).permutation(len(problem.starts))
    shuffled = Commands(*(x[order] for x in problem.commands))
    moved = _moved(ask(predictor, problem), ask(predictor, _commanded(problem, shuffled)))
    used = _named(moved)
    said = f"uses the commands ahead: other ones change {used}" if used else "ignores the commands ahead"
    return Probe(bool(used), f"{name_of(predictor)} {said}.", moved)


def _forbidden(predictor: Predictor, moved: dict[str, float], what: str) -> Probe:
    leaks = _named(moved)
    said = f"depends on {what}: it changes {leaks}" if leaks else f"does not depend on {what}"
    return Probe(not leaks, f"{name_of(predictor)} {said}.", moved)


def _named(moved: Mapping[str, float]) -> str:
    return listed([f"{name} by {number(100 * size)} %" for name, size in moved.items() if size > 0])


def _moved(before: Forecast, after: Forecast) -> dict[str, float]:
    """By stream, the largest change of a mean, member or frame; what only one of both predicts changed altogether."""
    moved: dict[str, float] = {}
    for ours, theirs in zip(before[:3], after[:3], strict=True):
        for name in {**ours, **theirs}:
            size = _change(ours[name], theirs[name]) if name in ours and name in theirs else np.inf
            moved[name] = max(size, moved.get(name, 0.0))
    return moved


def _change(one: np.ndarray, other: np.ndarray) -> float:
    one, other = (np.asarray(x, np.float64) for x in (one, other))
    size = max(float(np.sqrt(np.mean(one**2))) if one.size else 0.0, 1e-12)
    change = float(np.abs(one - other).max(initial=0.0)) / size
    return change if change > _ROUNDING else 0.0


def _copied(forecast: Forecast) -> Forecast:
    """A forecast that does not change with what it was made of."""
    mean, members, frames = ({name: x.copy() for name, x in part.items()} for part in forecast[:3])
    return forecast._replace(mean=mean, members=members, frames=frames)


@contextlib.contextmanager
def _overwritten(answers: Answers) -> Iterator[None]:
    """Everything that came is something else in the very arrays, and comes back."""
    arrays = {id(c.values): c.values for part in (answers.recorded, answers.truth) for c in part.values()}
    kept = {key: array.copy() for key, array in arrays.items()}
    try:
        for array in arrays.values():
            array[:] = 0.3 - 2 * array
        yield
    finally:
        for key, array in arrays.items():
            array[:] = kept[key]


def _commanded(problem: Problem, commands: Commands) -> Problem:
    return dataclasses.replace(problem, commands=commands)


def _moved_from(commands: Commands, tick: int) -> Commands:
    """Other commands from a tick ahead on: each column moved by some standard deviations."""
    values = np.array(commands.values)
    deviation = values.std((0, 1)) if values.size else np.zeros(values.shape[2])
    values[:, tick:] += _FAR * np.where(deviation > 0, deviation, 1.0)
    return commands._replace(values=values)


def _until(forecast: Forecast, problem: Problem, tick: int) -> Forecast:
    """What is predicted of ticks ahead up to this one (0 is the first)."""
    frames = {
        name: shown[np.broadcast_to((problem.frame_ticks[name] <= tick)[:, None], shown.shape[:3])]
        for name, shown in forecast.frames.items()
    }
    mean = {name: values[:, : tick + 1] for name, values in forecast.mean.items()}
    members = {name: values[:, :, : tick + 1] for name, values in forecast.members.items()}
    return forecast._replace(mean=mean, members=members, frames=frames)

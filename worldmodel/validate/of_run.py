"""Validates a run, or a scene, beside baselines, the physical limit and predictors of the user's."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.logs.reader import Log
from worldmodel.simulate import Scene, check_streams, load_scene
from worldmodel.training.loading import load
from worldmodel.training.run import Run
from worldmodel.validate.counterfactual import counterfactual
from worldmodel.validate.floor import Floor, FloorEstimate
from worldmodel.validate.forecast import load_predictor
from worldmodel.validate.outages import MOST_STARTS
from worldmodel.validate.outages import outages as cost_of_outages
from worldmodel.validate.predictors import rivals
from worldmodel.validate.problem import MAX_STARTS, Problem, problem_of
from worldmodel.validate.result import Result
from worldmodel.validate.scoring import score


def validate(
    run: Foreteller | Path | str,
    *,
    log: Path | str | None = None,
    scene: Path | str | None = None,
    twin: Path | str | None = None,
    learn: Path | str | Sequence[Path | str] = (),
    predictors: Sequence[Any] = (),
    horizon_s: float | None = None,
    beyond_trained: bool = False,
    max_starts: int | None = MAX_STARTS,
    outages: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Result:
    """Validates a run or a scene on a log that it did not learn from, or under actions that were never logged.

    Args:
        run: a run, a scene (`wm.load`), its folder, or the name of a shipped scene.
        log: replay: contexts and actions as recorded.
        scene: counterfactual: from common contexts in simulated worlds, several futures under different actions.
        twin: the machine's scene, for the physical limit on a log; by default the one that the log names.
        learn: of a scene, logs that baselines learn from, apart from what is measured; without one they are left out,
            but for the last reading.
        predictors: what else to score on the same starts: objects with `predict(problem) -> Forecast`, their classes,
            or `package.module:Class`.
        horizon_s: how far ahead; by default as far as the run was trained, or a scene 64 ticks.
        beyond_trained: allow more than twice that.
        max_starts: how many moments of a log to start from at most, evenly over it; None for every one. Outages
            are measured from 128 at most.
        outages: also measure what faults of sensors cost on the log: positions out for ten seconds, a frozen camera,
            lost samples, a sensor that sticks.
        seed: of the members' noise, the scene and the bootstrap.
        progress: show a bar.

    Raises:
        WorldModelError: unless exactly one of log and scene is given and fits the run, if a predictor does not fit,
            or if `learn` has nothing but what is measured.
    """
    if (log is None) == (scene is None):
        raise WorldModelError("Give one of a log and a scene to validate on.")
    if outages and log is None:
        raise WorldModelError("What outages cost is measured on a log.", remedy="give --log instead of --scene")
    if twin is not None and log is None:
        raise WorldModelError("A twin is the physical limit on a log.", remedy="give --log instead of --scene")
    if learn and log is None:
        raise WorldModelError("What baselines learn is measured on a log.", remedy="give --log instead of --scene")
    physics = None if twin is None else load_scene(twin)
    given = [load_predictor(predictor) for predictor in predictors]  # a name that leads nowhere is said at once
    loaded = run if isinstance(run, Foreteller) else load(run)
    if learn and isinstance(loaded, Run):
        raise WorldModelError("A run's baselines learned from what it was trained on.", remedy="leave --learn out")
    if log is None:
        horizon = loaded.horizon_ticks(horizon_s, beyond_trained)
        with counterfactual(loaded, str(scene), horizon, seed, progress) as problem:
            return _scored(loaded, problem, [*rivals(loaded), *_floors(problem), *given], seed, progress)
    with Log(log, truth=True) as opened, _opened(learn) as taught:
        asked = loaded.on(opened)
        if physics is not None:
            check_streams(physics, asked.layout.streams, converted=True)
        unseen = asked.unseen(opened)
        windows = asked.windows(opened, asked.horizon_ticks(horizon_s, beyond_trained), unseen)
        problem = problem_of(windows, name=Path(log).stem, max_starts=max_starts, unmoved=asked.unmoved)
        measured = {opened.episode_sha256[i] for i in unseen}
        beside = [*rivals(asked, taught, measured), *_floors(problem, physics), *given]
        result = _scored(asked, problem, beside, seed, progress)
        result.shared_roles = " ".join(filter(None, [*asked.notes, asked.unseen_note(opened)]))
        if outages:
            most = min(max_starts or MOST_STARTS, MOST_STARTS)
            result.outages = cost_of_outages(asked, windows, seed, most, progress)
        return result


def _opened(logs: Path | str | Sequence[Path | str]) -> contextlib.AbstractContextManager[Log | None]:
    return Log(logs) if logs else contextlib.nullcontext()


def _floors(problem: Problem, twin: Scene | None = None) -> list[Floor]:
    return [floor(problem.truth, twin) for floor in (Floor, FloorEstimate)]


def _scored(run: Foreteller, problem: Problem, beside: Sequence[Any], seed: int, progress: bool) -> Result:
    result = score(problem, [run, *beside], seed=seed, progress=progress)
    if isinstance(run, Run):
        result.provenance = result.provenance._replace(seed=run.settings.seed)
    return result

"""Validates a run beside baselines, the physical limit and predictors of the user's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.training.run import Run, load_run
from worldmodel.validate.counterfactual import counterfactual
from worldmodel.validate.floor import Floor
from worldmodel.validate.forecast import load_predictor
from worldmodel.validate.predictors import rivals
from worldmodel.validate.problem import Problem, problem_of
from worldmodel.validate.result import Result
from worldmodel.validate.scoring import score


def validate(
    run: Run | Path | str,
    *,
    log: Path | str | None = None,
    scene: Path | str | None = None,
    predictors: Sequence[Any] = (),
    horizon_s: float | None = None,
    beyond_trained: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Result:
    """Validates a run on a log that it did not train on, or on a scene under actions that were never logged.

    Args:
        run: a run or its folder.
        log: replay: contexts and actions as recorded.
        scene: counterfactual: from common contexts in simulated worlds, several futures under different actions.
        predictors: what else to score on the same starts: objects with `predict(problem) -> Forecast`, their classes,
            or `package.module:Class`.
        horizon_s: how far ahead; by default as far as the run was trained.
        beyond_trained: allow more than twice that.
        seed: of the members' noise, the scene and the bootstrap.
        progress: show a bar.

    Raises:
        WorldModelError: unless exactly one of log and scene is given and fits the run, or if a predictor does not fit.
    """
    if (log is None) == (scene is None):
        raise WorldModelError("Give one of a log and a scene to validate on.")
    given = [load_predictor(predictor) for predictor in predictors]  # a name that leads nowhere is said at once
    loaded = run if isinstance(run, Run) else load_run(run)
    horizon = loaded.horizon_ticks(horizon_s, beyond_trained)
    if log is None:
        with counterfactual(loaded, str(scene), horizon, seed, progress) as problem:
            return _scored(loaded, problem, given, seed, progress)
    with Log(log, truth=True) as opened:
        windows = loaded.windows(opened, horizon, _unseen(loaded, opened))
        result = _scored(loaded, problem_of(windows, name=Path(log).stem), given, seed, progress)
        result.shared_roles = getattr(loaded.settings, "shared_roles", "")
        return result


def _scored(run: Run, problem: Problem, given: Sequence[Any], seed: int, progress: bool) -> Result:
    result = score(problem, [run, *rivals(run), Floor(problem.truth), *given], seed=seed, progress=progress)
    result.provenance = result.provenance._replace(seed=run.settings.seed)
    return result


def _unseen(run: Run, log: Log) -> tuple[int, ...] | None:
    """Of the log that the run was trained on, the episodes that it did not train on; None for all of another log."""
    settings = run.settings
    if log.sha256 != settings.data_sha256:
        _refuse_part(run, log)
        return None
    if not settings.holdout:
        raise WorldModelError(
            f"The run was trained on every episode of {log.files[0]}.",
            expected="a log, or episodes of it, that the run has not seen",
            remedy="validate on another log, or train with --holdout above 0",
        )
    return settings.holdout


def _refuse_part(run: Run, log: Log) -> None:
    """Refuses a log that holds some of the files that the run was trained on beside others, or not all of them."""
    seen = run.settings.file_sha256
    known = [str(path) for path, found in zip(log.files, log.file_sha256, strict=True) if found in seen]
    if known:
        raise WorldModelError(
            f"The run was trained on {', '.join(known)}.",
            expected="logs that the run has not seen, or all of its training logs",
            remedy=f"validate on another log, or on {', '.join(run.settings.logs)} together",
        )

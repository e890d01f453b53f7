"""Asks predictors one problem and scores them; a run or a scene is one among others."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.progress import Progress, TaskID

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.terminal import progress_bar
from worldmodel.types import Commands, StreamSpec
from worldmodel.validate.examples import draw_examples
from worldmodel.validate.forecast import Forecast, Predictor, ask, load_predictor, name_of
from worldmodel.validate.metrics import Bootstrap, nanmean, rms
from worldmodel.validate.predictors import Model
from worldmodel.validate.problem import Problem
from worldmodel.validate.result import Provenance, Result, Setting
from worldmodel.validate.scores import Errors, Score, Yardstick, calibration_of, errors_of, score_stream
from worldmodel.validate.video import score_video
from worldmodel.version import __version__

_SENSITIVITY_SALT = 0x5AFE


def score(problem: Problem, predictors: Sequence[Any], *, seed: int = 0, progress: bool = False) -> Result:
    """Scores predictors on a problem.

    Args:
        problem: from `make_problem`.
        predictors: the first is the subject, which the result compares with the others. Each is a run, a scene, an
            object with a method `predict(problem) -> Forecast`, its class, or `package.module:Class`.
        seed: of a run's members and of the resampling of episodes.
        progress: show a bar.

    Raises:
        WorldModelError: if one is no predictor, or its forecast does not fit the problem.
    """
    asked = _named(predictors, seed)
    subject = next(iter(asked))
    with progress_bar(show=progress) as bar:
        task = bar.add_task("validating", total=len(asked) + 2)
        forecasts: dict[str, Forecast] = {}
        for name, predictor in asked.items():
            _show(bar, task, f"asking {name}")
            forecasts[name] = ask(predictor, problem)
            bar.advance(task)
        _show(bar, task, "scoring")
        result = _result(problem, forecasts, seed)
        bar.advance(task)
        result.action_sensitivity = _action_sensitivity(problem, asked[subject], forecasts[subject], seed)
        result.examples = draw_examples(problem, asked[subject], forecasts)
        bar.advance(task)
    return result


def _show(bar: Progress, task: TaskID, what: str) -> None:
    """What is being done; a file, which shows no bar until its end, gets a line."""
    bar.update(task, description=what)
    if not bar.console.is_terminal and not bar.disable:
        bar.console.print(what)


def _named(predictors: Sequence[Any], seed: int) -> dict[str, Predictor]:
    made: list[Predictor] = [Model(p, seed) if isinstance(p, Foreteller) else load_predictor(p) for p in predictors]
    names = [name_of(predictor) for predictor in made]
    if not names:
        raise WorldModelError("There is no predictor to score.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WorldModelError(
            f"Two predictors are called {', '.join(twice)}.",
            expected="a name for each",
            remedy="give one the attribute `name`",
        )
    return dict(zip(names, made, strict=True))


def _result(problem: Problem, forecasts: dict[str, Forecast], seed: int) -> Result:
    """All figures, without examples."""
    subject, bootstrap = next(iter(forecasts)), Bootstrap.of(problem.groups, seed)
    scores, calibration, still = {}, {}, {}
    for spec in problem.readings:
        stick = Yardstick.of(problem, spec)
        if stick.still.trained or stick.still.measured:
            still[spec.name] = stick.still
        errors = {p: errors_of(f, problem, spec) for p, f in forecasts.items() if spec.name in f.mean}
        ours = errors.get(subject)
        scores[spec.name] = {p: score_stream(e, problem, stick, bootstrap, ours) for p, e in errors.items()}
        calibration[spec.name] = calibration_of(ours, stick)
    judged = {name: table for name, table in scores.items() if name not in still or not still[name].whole}
    return Result(
        setting=_setting(problem),
        subject=subject,
        streams=problem.streams,
        times=problem.times,
        horizons=problem.horizons,
        scores=scores,
        video=score_video(problem, forecasts),
        overall={p: _overall(judged, p) for p in forecasts if judged and all(p in table for table in judged.values())},
        action_sensitivity=None,
        calibration=calibration,
        examples=[],
        notes=list(dict.fromkeys(forecast.note for forecast in forecasts.values() if forecast.note)),
        provenance=Provenance(problem.truth.log.sha256, __version__, None, seed),
        trust={stream: dict(each) for stream, each in forecasts[subject].trust.items()},
        still=still,
    )


def _setting(problem: Problem) -> Setting:
    return Setting(
        name=problem.name,
        kind=problem.kind,
        dt=problem.dt,
        context_s=len(problem.past_times) * problem.dt,
        horizon_s=problem.horizon * problem.dt,
        episodes=len(np.unique(problem.groups)),
        starts=len(problem.starts),
        truth="noise-free" if problem.truth.noise_free else "as recorded",
        actions=problem.acted,
    )


def _overall(scores: Mapping[str, Mapping[str, Score]], predictor: str) -> np.ndarray:
    """NRMSE [H] over all columns of all streams; of a predictor that leaves one out, it could not be compared."""
    columns = np.concatenate([table[predictor].column_nrmse for table in scores.values()], -1)
    return np.sqrt(nanmean(columns**2))


def _action_sensitivity(problem: Problem, predictor: Predictor, forecast: Forecast, seed: int) -> float | None:
    """Overall error with the starts' actions shuffled over error with their own."""
    if not problem.layout.actions or not forecast.mean:
        return None
    order = np.random.default_rng([seed, _SENSITIVITY_SALT]).permutation(len(problem.starts))
    commands = Commands(*(x[order] for x in problem.commands))
    shuffled = ask(predictor, dataclasses.replace(problem, commands=commands, frame_ticks={}))

    def overall(given: Forecast) -> float:
        parts = [_relative(errors_of(given, problem, s), problem, s) for s in problem.readings if s.name in given.mean]
        return float(np.sqrt(nanmean(np.concatenate(parts) ** 2)))

    ratio = overall(shuffled) / overall(forecast)
    return ratio if np.isfinite(ratio) else None


def _relative(errors: Errors, problem: Problem, spec: StreamSpec) -> np.ndarray:
    """Root mean square error [N] over all horizons, in standard deviations of what came; NaN of what is not judged."""
    stick = Yardstick.of(problem, spec)
    error = (rms(errors.truth, stick.known, (0, 1)) / stick.deviation)[stick.counted]
    return np.full_like(error, np.nan) if stick.still.whole else error

"""Scores a run beside the baselines and the physical limit."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from worldmodel.errors import WorldModelError
from worldmodel.imagine.engine import Imagined, Imaginer
from worldmodel.logs.reader import Log
from worldmodel.simulate import Branch, load_scene, simulate
from worldmodel.training.run import Run, load_run
from worldmodel.types import Commands, StreamSpec
from worldmodel.validate import metrics as score
from worldmodel.validate.examples import draw_examples
from worldmodel.validate.floor import floor_predictions
from worldmodel.validate.problem import Problem, at_tick, make_problem
from worldmodel.validate.result import Result
from worldmodel.validate.video import score_video
from worldmodel.version import __version__

MEMBERS = 32
HORIZONS_S = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
LEVELS = np.linspace(0.1, 0.9, 9)
_BRANCHED, _BRANCHES = 16, 4


def validate(
    run: Path | str,
    *,
    log: Path | str | None = None,
    scene: Path | str | None = None,
    horizon_s: float | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Result:
    """Validates a run on a log that it did not train on, or on a scene under actions that were never logged.

    Args:
        run: the run's folder.
        log: replay: contexts and actions as recorded.
        scene: counterfactual: from common contexts in the simulated world, several futures under different actions.
        horizon_s: how far ahead; by default as far as the run was trained.
        seed: of the members' noise, the scene and the bootstrap.
        progress: show a bar.

    Raises:
        WorldModelError: unless exactly one of log and scene is given and fits the run.
    """
    if (log is None) == (scene is None):
        raise WorldModelError("Give one of a log and a scene to validate on.")
    loaded = load_run(run)
    if log is not None:
        with Log(log, truth=True) as opened:
            episodes = _held_out(loaded, opened)
            problem = make_problem(loaded, opened, name=Path(log).stem, horizon_s=horizon_s, episodes=episodes)
            return _score(loaded, problem, seed, progress)
    with _branched(loaded, str(scene), horizon_s, seed, progress) as (opened, at_s):
        problem = make_problem(loaded, opened, name=str(scene), horizon_s=horizon_s, at_s=at_s, branches=_BRANCHES)
        return _score(loaded, problem, seed, progress)


def _held_out(run: Run, log: Log) -> tuple[int, ...] | None:
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


@contextmanager
def _branched(run: Run, scene: str, horizon_s: float | None, seed: int, progress: bool) -> Iterator[tuple[Log, float]]:
    settings = run.settings
    at_s = (settings.context + 2) * settings.dt
    seconds = at_s + (horizon_s or settings.horizon * settings.dt) + 2 * settings.dt
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "branches.h5"
        branch = Branch(at_s=at_s, count=_BRANCHES)
        simulate(
            load_scene(scene), path, episodes=_BRANCHED, seconds=seconds, seed=0xC0DE + seed, branch=branch,
            progress=progress,
        )  # fmt: skip
        with Log(path, truth=True) as log:
            yield log, at_s


def _score(run: Run, problem: Problem, seed: int, progress: bool) -> Result:
    with Progress(disable=not progress) as bar:
        task = bar.add_task("validating", total=4)
        imaginer = Imaginer(run.model, seed)
        imagined = imaginer.readings(problem.context, problem.future.actions, MEMBERS)
        members = at_tick(problem.windows, imagined.read)
        bar.advance(task)
        predictions = {"model": _mean(imagined, problem)}
        for name in ("hold", "velocity", "linear"):
            ahead = run.baselines.predict(name, problem.context, problem.future.actions)
            predictions[name] = _from_newest(run, problem, ahead)
        floor, note = floor_predictions(problem)
        if floor is not None:
            predictions["floor_reading"] = floor
        bar.advance(task)
        video = score_video(imaginer, problem, horizon_ticks(problem))
        sensitivity = _action_sensitivity(imaginer, problem, predictions["model"], seed)
        bar.advance(task)
        result = _result(run, problem, predictions, members, video, sensitivity, seed, note)
        result.examples = draw_examples(imaginer, problem, members, predictions)
        bar.advance(task)
    return result


def horizon_ticks(problem: Problem) -> dict[float, int]:
    """The horizons in seconds that are tabulated, and the tick index of each (0 is the first ahead)."""
    dt = problem.windows.layout.dt
    chosen = [s for s in HORIZONS_S if s >= 0.999 * dt and abs(s / dt - round(s / dt)) < 0.01]
    ticks = {s: round(s / dt) - 1 for s in chosen if round(s / dt) <= problem.horizon}
    return ticks or {problem.horizon * dt: problem.horizon - 1}


def _mean(imagined: Imagined, problem: Problem) -> dict[str, np.ndarray]:
    """The members' mean, taken of features (so that angles that wrap average rightly), in physical units."""
    return at_tick(problem.windows, imagined.clean.mean(1))


def _from_newest(run: Run, problem: Problem, ahead: np.ndarray) -> dict[str, np.ndarray]:
    full = np.zeros((*ahead.shape[:2], run.layout.size))
    full[..., run.layout.newest] = ahead
    return at_tick(problem.windows, full)


def _used(spec: StreamSpec) -> slice:
    """Columns that a stream's one figure is made of: of GPS the horizontal position."""
    return slice(0, 2) if spec.kind == "gps" else slice(None)


def _deviation(problem: Problem, spec: StreamSpec) -> np.ndarray:
    """Standard deviation [S] of what came, over all windows and ticks; what NRMSE is relative to.

    Angles that wrap deviate from their circular mean.
    """
    truth, mask, circular = problem.truth[spec.name], problem.truth_mask[spec.name], _circular(spec)

    def mean_of(values: np.ndarray) -> np.ndarray:
        return np.where(mask, values, 0).sum((0, 1), dtype=np.float64) / np.maximum(mask.sum((0, 1)), 1)

    mean = np.where(circular, np.arctan2(mean_of(np.sin(truth)), mean_of(np.cos(truth))), mean_of(truth))
    std = score.rms(score.residual(truth, mean, circular), mask, (0, 1))
    return np.where(std > np.maximum(1e-9, 1e-6 * np.abs(mean)), std, np.nan)  # float32 rounds what never moves


def _circular(spec: StreamSpec) -> tuple[bool, ...]:
    return (False,) * 3 if spec.kind == "gps" else spec.circular


def _pooled(values: np.ndarray, mask: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the `width` ticks up to each tick: of a sample interval, in which a slow stream has one reading."""
    total, count = np.where(mask, values, 0), mask.astype(float)

    def window(x: np.ndarray) -> np.ndarray:
        padded = np.concatenate([np.zeros((len(x), width, *x.shape[2:])), np.cumsum(x, 1)], 1)
        return padded[:, width:] - padded[:, :-width]

    return window(total), window(count)


def _result(run, problem, predictions, members, video, sensitivity, seed, note) -> Result:
    dt = run.settings.dt
    ticks = list(horizon_ticks(problem).values())
    bootstrap = score.Bootstrap.of(problem.episodes, seed)
    streams: dict[str, dict[str, Any]] = {}
    curves: dict[str, dict[str, np.ndarray]] = {}
    calibration, columns = {}, {}
    overall: dict[str, list] = {name: [] for name in predictions}
    for spec in problem.readings:
        circular, used, width = _circular(spec), _used(spec), problem.windows.layout.interval(spec)
        deviation = _deviation(problem, spec)[used]
        names = ("east", "north", "up") if spec.kind == "gps" else spec.columns
        units = ("m",) * 3 if spec.kind == "gps" else spec.units
        columns[spec.name] = list(zip(names, units, strict=True))
        streams[spec.name] = {"unit": ", ".join(dict.fromkeys(units[used]))}
        curves[spec.name], own = {}, np.zeros(0)
        for name, ahead in predictions.items():  # the model first
            error = score.residual(ahead[spec.name], problem.truth[spec.name], circular)
            total, count = _pooled(error**2, problem.truth_mask[spec.name], width)
            column_rmse = np.sqrt(_divide(total.sum(0), count.sum(0)))
            curves[spec.name][name] = column_rmse
            rmse = column_rmse[:, used]
            relative = rmse / deviation
            overall[name].append(relative**2)
            joined = _join(rmse, spec)
            share = np.nansum(total[..., used] / np.square(deviation), -1)
            counted = np.where(np.isfinite(deviation), count[..., used], 0).sum(-1)
            low, high = bootstrap.interval(share, counted)
            own = share if name == "model" else own
            gap_low, gap_high = bootstrap.interval_of_gap(share, own, counted)
            recorded = score.residual(ahead[spec.name], problem.recorded[spec.name], circular)
            noisy, seen = _pooled(recorded**2, problem.mask[spec.name], width)
            errors = recorded[:, None]
            if name == "model":
                errors = score.residual(members[spec.name], problem.recorded[spec.name][:, None], circular)
            streams[spec.name][name] = {
                "rmse": _at(joined, ticks),
                "nrmse": _at(np.sqrt(_nanmean(relative**2)), ticks),
                "nrmse_low": _at(low, ticks),
                "nrmse_high": _at(high, ticks),
                "gap_low": _at(gap_low, ticks),
                "gap_high": _at(gap_high, ticks),
                "crps": _at(_mean_where(score.crps(errors), problem.mask[spec.name], width, used), ticks),
                "rmse_reading": _at(_join(np.sqrt(_divide(noisy.sum(0), seen.sum(0)))[:, used], spec), ticks),
                **_coverage(name, errors, problem, spec, used, ticks),
                **(_percent(joined, problem, spec, ticks) if spec.kind == "gps" else {}),
                **({"columns": {c: _at(column_rmse[:, i], ticks) for i, c in enumerate(names)}}),
            }
        errors = score.residual(members[spec.name], problem.recorded[spec.name][:, None], circular)
        mask = problem.mask[spec.name]
        calibration[spec.name] = np.array(
            [_divide(float((score.covered(errors, level) & mask).sum()), float(mask.sum())) for level in LEVELS]
        )
    streams |= video
    flat = {n: np.sqrt(_nanmean(np.concatenate(parts, -1))) for n, parts in overall.items() if parts}
    settings = run.settings
    return Result(
        metrics={
            "format": "worldmodel-metrics",
            "version": 1,
            "problem": {
                "name": problem.name,
                "kind": problem.kind,
                "dt": dt,
                "context_s": settings.context * dt,
                "horizon_s": problem.horizon * dt,
                "episodes": len(np.unique(problem.episodes)),
                "starts": len(problem.starts),
                "truth": "noise-free" if problem.has_truth else "as recorded",
            },
            "horizons_s": list(horizon_ticks(problem)),
            "streams": streams,
            "overall": {name: {"nrmse": _at(curve, ticks)} for name, curve in flat.items()},
            "action_sensitivity": sensitivity,
            "data_sha256": problem.log.sha256,
            "code_version": __version__,
            "seed": settings.seed,
            "validation_seed": seed,
        },
        columns=columns,
        curve_s=(np.arange(problem.horizon) + 1) * dt,
        curves=curves,
        calibration=calibration,
        levels=LEVELS,
        examples=[],
        baseline_note=note,
    )


def _percent(joined: np.ndarray, problem: Problem, spec: StreamSpec, ticks: list[int]) -> dict[str, list]:
    """Position error [H] in percent of the distance that the machine travelled, both as root mean squares."""
    positions, mask = problem.truth[spec.name][..., :2], np.all(problem.truth_mask[spec.name][..., :2], -1)
    travelled = score.distance_travelled(positions, mask, problem.windows.layout.dt)
    moved = score.rms(travelled, np.isfinite(travelled), 0)
    return {"percent_of_distance": _at(100 * _divide(joined, moved), ticks)}


def _coverage(name, errors, problem, spec, used, ticks) -> dict[str, list]:
    """Coverage of the readings by the model's central intervals; other predictors give none."""
    if name != "model":
        return {"coverage50": [None] * len(ticks), "coverage90": [None] * len(ticks)}
    mask, width = problem.mask[spec.name], problem.windows.layout.interval(spec)
    out = {}
    for level in (0.5, 0.9):
        inside = score.covered(errors, level).astype(float)
        out[f"coverage{level * 100:.0f}"] = _at(_mean_where(inside, mask, width, used), ticks)
    spread = errors.var(1, ddof=1)
    skill = errors.mean(1) ** 2
    ratio = _divide(_mean_where(spread, mask, width, used), _mean_where(skill, mask, width, used))
    return out | {"spread_skill": _at(np.sqrt(ratio), ticks)}


def _action_sensitivity(imaginer: Imaginer, problem: Problem, model, seed: int) -> float | None:
    """Overall error with the windows' actions shuffled over error with their own."""
    order = np.random.default_rng([seed, 0x5AFE]).permutation(len(problem.starts))
    shuffled = _mean(
        imaginer.readings(problem.context, Commands(*(x[order] for x in problem.future.actions)), MEMBERS), problem
    )

    def overall(prediction) -> float:
        parts = []
        for spec in problem.readings:
            error = score.residual(prediction[spec.name], problem.truth[spec.name], _circular(spec))
            parts.append(score.rms(error, problem.truth_mask[spec.name], (0, 1)) / _deviation(problem, spec))
        return float(np.sqrt(_nanmean(np.concatenate(parts) ** 2))) if parts else float("nan")

    ratio = overall(shuffled) / overall(model) if problem.readings else float("nan")
    return ratio if np.isfinite(ratio) else None


def _mean_where(values, mask, width, used) -> np.ndarray:
    total, count = _pooled(values, mask, width)
    return _divide(total[..., used].sum((0, 2)), count[..., used].sum((0, 2)))


def _join(rmse: np.ndarray, spec: StreamSpec) -> np.ndarray:
    """One figure of columns [H, S]: of GPS the distance, of sensors the root mean square over columns."""
    return np.sqrt((rmse**2).sum(-1)) if spec.kind == "gps" else np.sqrt(_nanmean(rmse**2))


def _nanmean(x: np.ndarray) -> np.ndarray:
    known = np.isfinite(x)
    return _divide(np.where(known, x, 0).sum(-1), known.sum(-1))


def _divide(total, count):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(count) > 0, total / np.maximum(count, 1e-12), np.nan)


def _at(curve: np.ndarray, ticks: list[int]) -> list[float | None]:
    return [float(curve[t]) if np.isfinite(curve[t]) else None for t in ticks]

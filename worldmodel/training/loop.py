"""Trains a world model on logs: `train(["drive.h5"], "runs/rover")`."""

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from worldmodel.errors import TrainingDivergedError, WorldModelError
from worldmodel.files import RUN_AGAIN, check_output, whole_file, whole_folder
from worldmodel.logs.align import TickLayout, default_dt
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.config import preset as presets
from worldmodel.models.encoders import PATCH
from worldmodel.models.objective import horizon_weights
from worldmodel.training.calibration import measure_spread
from worldmodel.training.checkpoints import Checkpoints
from worldmodel.training.data import Batches, measure_scaling
from worldmodel.training.evaluate import HeldOut
from worldmodel.training.history import History
from worldmodel.training.run import (
    BASELINES,
    BEST,
    CHECKPOINTS,
    FINISHED,
    MODELS,
    RUN_FILES,
    SPREAD,
    Run,
    RunSettings,
    build_model,
    check_streams,
    has_checkpoint,
    load_run,
    load_scaling,
    save_scaling,
    split_parameters,
)
from worldmodel.version import __version__

DEFAULT_TICKS = 64
_CHECK_EVERY = 20


def train(
    logs: Sequence[Path | str],
    run: Path | str,
    *,
    preset: str = "small",
    dynamics: str = "residual",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    resume: bool = False,
    holdout: float = 0.1,
    dt: float | None = None,
    context_s: float | None = None,
    horizon_s: float | None = None,
    force: bool = False,
    progress: bool = True,
) -> Run:
    """Trains a model and keeps it, with all that imagining needs, in the folder `run`.

    Args:
        logs: files or folders of one recipe or scene.
        run: the folder to write.
        preset: `debug`, `small` or `base`.
        dynamics: `residual`, or `rssm`, the recurrent state-space model to compare with.
        steps: how many updates; by default the preset's.
        minutes: how long, instead of steps; compiling does not count.
        seed: decides initial parameters, data order and noise.
        resume: go on from the last checkpoint of `run` (other arguments but `logs` are the run's own).
        holdout: share of the episodes that only measure; whole episodes, at least one where there are two.
        dt: tick in seconds; by default the interval of the fastest action.
        context_s: what the model sees; by default 64 ticks.
        horizon_s: how far it learns to imagine; by default 64 ticks.
        force: replace a run that exists.
        progress: show a bar.

    Raises:
        WorldModelError: for arguments or logs that do not fit.
        TrainingDivergedError: if the loss stops being finite; the last good checkpoint stays.
    """
    folder, log = Path(run), Log(logs)
    if resume:
        settings = _settings_to_resume(folder, log)
    else:
        check_output(folder, force, inputs=log.files, replaces=RUN_FILES)
        settings = _new_settings(log, preset, dynamics, steps, minutes, seed, holdout, dt, context_s, horizon_s)
    training = [i for i in range(len(log.episodes)) if i not in settings.holdout]
    windows = Windows.of(log, settings.layout, settings.context, settings.horizon, training)
    windows.starts()  # refuses episodes that are too short before anything is written
    measured = settings.holdout or training[-1:]
    if progress and not settings.holdout:
        print("note: no episode is held out, so the held-out error is of one that is learned from")
    held = HeldOut(Windows.of(log, settings.layout, settings.context, settings.horizon, measured), settings.seed)
    if resume:
        _go_on(folder, settings, windows, held, progress)
    else:
        with _instead_of(folder):
            _begin(folder, settings, windows)
            _go_on(folder, settings, windows, held, progress)
    return load_run(folder)


def _go_on(folder: Path, settings: RunSettings, windows: Windows, held: HeldOut, progress: bool) -> None:
    if not ((folder / FINISHED).exists() and has_checkpoint(folder)):
        _Trainer(folder, settings, windows, held).run(progress)


@contextlib.contextmanager
def _instead_of(folder: Path) -> Iterator[None]:
    """Keeps an earlier run beside a new one of its name, and puts it back if that fails before its first checkpoint."""
    earlier = folder.with_name(f".{folder.name}.replaced")
    if folder.exists():
        shutil.rmtree(earlier, ignore_errors=True)
        os.replace(folder, earlier)
    try:
        yield
    except BaseException:
        if not has_checkpoint(folder):  # nothing to go on from
            shutil.rmtree(folder, ignore_errors=True)
            if earlier.exists():
                os.replace(earlier, folder)
        raise
    finally:
        if folder.exists():
            shutil.rmtree(earlier, ignore_errors=True)


def _begin(folder: Path, settings: RunSettings, windows: Windows) -> None:
    """Writes what a run needs before its first update: all of it, or nothing."""
    with whole_folder(folder) as start:
        scaling = measure_scaling(windows, settings.seed)
        save_scaling(start, scaling)
        Baselines.fit(windows, scaling, settings.seed).save(start / BASELINES)
        settings.save(start)


class _Trainer:
    """The state of a training run and its one loop."""

    def __init__(self, folder: Path, settings: RunSettings, windows: Windows, held: HeldOut) -> None:
        self.folder, self.settings, self.held = folder, settings, held
        config = settings.train
        self.batches = Batches(windows, config.batch, config.frames, settings.seed)
        self.graph, params, self.rest = split_parameters(build_model(settings, load_scaling(folder)))
        decay = optax.add_decayed_weights(config.weight_decay)
        self.optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99), decay)
        self.state: dict[str, Any] = {
            "params": params,
            "optimizer": self.optimizer.init(params),
            "step": np.int64(0),
            "seconds": np.float64(0),
            "errors": np.ones(settings.horizon),
            "best": np.float64(np.inf),
            "evaluations": np.int64(0),
        }
        self.update = jax.jit(self._update, donate_argnums=(0, 1))

    def run(self, show: bool) -> None:
        with (
            Checkpoints(self.folder / CHECKPOINTS, keep=2) as last,
            Checkpoints(self.folder / BEST, keep=1) as best,
            _bar(show) as bar,
        ):
            self.state = last.restore(self.state) or self.state
            task = bar.add_task("training", total=1.0, text="compiling")
            bar.update(task, completed=self.progress())
            with History(self.folder, int(self.state["step"])) as history:
                if self.progress() < 1:  # else it was killed after its last update
                    self._loop(last, best, history, lambda text: bar.update(task, completed=self.progress(), text=text))
            self._calibrate(best)
        with whole_file(self.folder / FINISHED, force=True) as path:
            done = {"steps": int(self.state["step"]), "seconds": float(self.state["seconds"])}
            path.write_text(json.dumps({**done, "best_nrmse": float(self.state["best"])}))

    def _calibrate(self, best: Checkpoints) -> None:
        """Measures the spread of the best parameters' members, on episodes that no update has seen."""
        held, key = self.held, jax.random.fold_in(self.held.key, 1)
        kept = best.restore({"params": self.state["params"]})
        if kept is None:  # the loop ends with an evaluation, so someone has removed it
            raise WorldModelError(f"The best checkpoint of {self.folder} is gone.", remedy=RUN_AGAIN)
        model = nnx.merge(self.graph, kept["params"], self.rest)
        spread = measure_spread(model, held.context, held.future, key)
        with whole_file(self.folder / SPREAD, force=True) as path:
            np.save(path, spread)

    def progress(self, step: int | None = None) -> float:
        """The share of the training that is done: of its steps, or of its minutes."""
        step = int(self.state["step"]) if step is None else step
        if self.settings.minutes is not None:
            return min(float(self.state["seconds"]) / (60 * self.settings.minutes), 1.0)
        return step / (self.settings.steps or self.settings.train.steps)

    def _horizon(self, step: int) -> int:
        stages = [ticks for share, ticks in self.settings.train.curriculum if self.progress(step) >= share]
        return min(stages[-1], self.settings.horizon)

    def _loop(self, last: Checkpoints, best: Checkpoints, history: History, report) -> None:
        began, before = time.monotonic(), float(self.state["seconds"])
        first = int(self.state["step"])
        for horizon, (context, future) in self.batches.stream(first, self._horizon):
            step = int(self.state["step"])
            rate = self._learning_rate(step)
            self.state["params"], self.state["optimizer"], loss, terms = self.update(
                self.state["params"], self.state["optimizer"], context, future,
                horizon_weights(jnp.asarray(self.state["errors"][:horizon], jnp.float32)), jnp.float32(rate), step,
            )  # fmt: skip
            done = step + 1
            self.state["step"] = np.int64(done)
            if done == first + 1 or done % _CHECK_EVERY == 0 or self.progress() >= 1:
                self._check(float(loss), step)
                per_s = (done - first) / (time.monotonic() - began)
                if done == first + 1:
                    began = time.monotonic()  # compiling does not count
                history.add(done, loss=loss, horizon=horizon, learning_rate=rate, steps_per_s=per_s, **terms)
                score = f", held-out NRMSE {self.held.score:.3f}" if self.held.score is not None else ""
                report(f"loss {float(loss):.4f}{score}, {per_s:.1f} steps/s, horizon {horizon} ticks")
            self.state["seconds"] = np.float64(before + time.monotonic() - began)
            if self._evaluation_due():
                self._evaluate(last, best, history)
                self.state["seconds"] = np.float64(before + time.monotonic() - began)
            if self.progress() >= 1:
                return

    def _evaluation_due(self) -> bool:
        return self.progress() * self.settings.train.evaluations >= int(self.state["evaluations"]) + 1

    def _evaluate(self, last: Checkpoints, best: Checkpoints, history: History) -> None:
        step = int(self.state["step"])
        if not all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(self.state["params"])):
            self._check(float("nan"), step)
        result = self.held.measure(nnx.merge(self.graph, self.state["params"], self.rest))
        history.add(step, **result.named)
        self.state["evaluations"] = np.int64(self.progress() * self.settings.train.evaluations)
        self.state["errors"] = np.asarray(result.errors, np.float64)
        if result.score <= float(self.state["best"]) or best.latest is None:
            self.state["best"] = np.float64(result.score)
            if best.latest != step:
                best.save(step, {"params": self.state["params"]})
        last.save(step, self.state)

    def _check(self, loss: float, step: int) -> None:
        if not np.isfinite(loss):
            raise TrainingDivergedError(
                f"The loss became {loss} at step {step}.",
                expected="a finite number",
                remedy=(f"the last good checkpoint is kept in {self.folder}; " if has_checkpoint(self.folder) else "")
                + "look for outliers with `worldmodel inspect`, or train with another --seed",
            )

    def _learning_rate(self, step: int) -> float:
        """A short warm-up, then half a cosine down to nothing."""
        peak = self.settings.train.learning_rate
        return peak * min((step + 1) / 100, 1) * 0.5 * (1 + np.cos(np.pi * min(self.progress(step), 1)))

    def _update(self, params, optimizer, context, future, weights, rate, step):
        key = jax.random.fold_in(jax.random.key(self.settings.seed + 1), step)
        config = self.settings.train

        def loss_of(params):
            model = nnx.merge(self.graph, params, self.rest)
            return model.loss(context, future, members=config.members, weights=weights, dropout=config.dropout, key=key)

        (loss, terms), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, optimizer = self.optimizer.update(grads, optimizer, params)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        return params, optimizer, loss, terms


def _settings_to_resume(folder: Path, log: Log) -> RunSettings:
    settings = RunSettings.load(folder)
    check_streams(settings.streams, log)
    if log.sha256 != settings.data_sha256:
        raise WorldModelError(
            f"{folder} was trained on other data.",
            expected=f"logs with sha256 {settings.data_sha256[:12]} ({', '.join(settings.logs)})",
            found=log.sha256[:12],
            remedy="resume with the same logs in the same order, or start a new run",
        )
    return settings


def _new_settings(log, preset, dynamics, steps, minutes, seed, holdout, dt, context_s, horizon_s) -> RunSettings:
    model, config = presets(preset)
    if dynamics not in MODELS:
        raise WorldModelError(f"There are no dynamics {dynamics!r}.", expected=", ".join(MODELS))
    if steps is not None and minutes is not None:
        raise WorldModelError("Both steps and minutes are given.", expected="one of them, or neither")
    positive = {"steps": steps, "minutes": minutes, "dt": dt, "context": context_s, "horizon": horizon_s}
    for name, value in positive.items():
        if value is not None and not 0 < value < float("inf"):
            raise WorldModelError(f"{name} must be positive and finite.", found=str(value))
    if not 0 <= holdout < 1:
        raise WorldModelError("holdout is a share of the episodes.", expected="0 <= holdout < 1", found=str(holdout))
    streams = tuple(log.streams.values())
    dt = default_dt(streams) if dt is None else dt
    longest = max(episode.duration_s for episode in log.episodes)
    ticks = max(min(DEFAULT_TICKS, int(longest / dt / 3)), 1)
    episodes = len(log.episodes)
    held = 0 if episodes < 2 or holdout == 0 else min(max(1, round(holdout * episodes)), episodes - 1)
    chosen = np.random.default_rng([seed, 0x0E1D]).permutation(episodes)[:held]
    layout = TickLayout(dt, streams)
    if not layout.readings and not layout.videos:
        raise WorldModelError(f"{log.files[0]} has nothing to predict.", expected="a sensor, gps or video stream")
    for video in layout.videos:
        if any(side % PATCH for side in video.sample_shape[:2]):
            raise WorldModelError(
                f"Video stream {video.name!r} has a size that the model cannot cut into patches.",
                expected=f"rows and columns that are multiples of {PATCH}",
                found="x".join(map(str, video.sample_shape[:2])),
                remedy="ingest the recording again with --size, such as 64x64",
            )
    return RunSettings(
        streams=streams,
        dt=dt,
        context=max(round(context_s / dt), 2) if context_s else max(ticks, 2),
        horizon=max(round(horizon_s / dt), 1) if horizon_s else ticks,
        preset=preset,
        seed=seed,
        steps=steps if steps or minutes else config.steps,
        minutes=minutes,
        holdout=tuple(sorted(int(i) for i in chosen)),
        data_sha256=log.sha256,
        file_sha256=log.file_sha256,
        logs=tuple(str(file) for file in log.files),
        about=log.about,
        code_version=__version__,
        model=dataclasses.replace(model, dynamics=dynamics),
        train=config,
    )


def _bar(show: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.percentage:.0f} %"))
    return Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[text]}"), disable=not show)

"""The predictors that come with the toolkit: a trained run, and the baselines that it has to beat."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.files import readable
from worldmodel.imagine.engine import Imaginer
from worldmodel.models.world_model import WorldModel
from worldmodel.training.run import Run
from worldmodel.validate.forecast import Forecast, Predictor
from worldmodel.validate.problem import Problem, by_stream

MEMBERS, FILM_MEMBERS = 32, 4
MEAN_FRAMES = "mean_frames.npz"  # in a run's folder: by video, the mean of its training frames [rows, columns, 3]


class Model:
    """A trained run: the mean of its members' readings free of noise, members as sensors would read them, and frames."""

    name = "model"

    def __init__(self, run: Run, seed: int = 0) -> None:
        self.run, self._imaginer = run, Imaginer(run.model, seed)

    def predict(self, problem: Problem) -> Forecast:
        """Futures under the problem's actions.

        Raises:
            WorldModelError: if the problem has other streams, another tick or another context than the run.
        """
        self._check(problem)
        frames = {}
        for i, spec in enumerate(problem.layout.videos):
            if spec.name in problem.frame_ticks:
                ticks = np.maximum(problem.frame_ticks[spec.name], 0)
                frames[spec.name] = self._imaginer.frames(problem.context, problem.commands, ticks, FILM_MEMBERS)[i]
        if not problem.readings:
            return Forecast(frames=frames)
        imagined = self._imaginer.readings(problem.context, problem.commands, MEMBERS)
        # of features, not of physical values: so angles that wrap average rightly
        mean, members = (by_stream(problem.layout, x) for x in (imagined.clean.mean(1), imagined.read))
        return Forecast(mean, members, frames)

    def _check(self, problem: Problem) -> None:
        def shape(layout, context: int) -> str:
            streams = ", ".join(f"{s.name} ({' '.join(s.columns)})" for s in layout.streams)
            return f"{context} ticks of {layout.dt:g} s of {streams}"

        ours = shape(self.run.layout, self.run.settings.context)
        if (given := shape(problem.layout, len(problem.past_times))) != ours:
            raise WorldModelError("The problem is not of the run's shape.", expected=ours, found=given)


class Baseline:
    """One of the baselines that are kept with a run. What it cannot predict it leaves out."""

    def __init__(self, baselines: Any, name: str) -> None:
        self.name, self._baselines = name, baselines

    def predict(self, problem: Problem) -> Forecast:
        with np.errstate(all="ignore"):  # a linear model may diverge, which is said below
            ahead = self._baselines.predict(self.name, problem.context, problem.commands)
        mean, diverged = {}, []
        for spec in problem.readings:
            features = ahead[..., problem.layout.reading_columns[spec.name]]
            if np.isfinite(features).all():
                mean[spec.name] = codec(spec).physical(features)
            elif np.isfinite(features).any():
                diverged.append(spec.name)
        note = f"{self.name} diverges on {', '.join(diverged)} and is not scored there." if diverged else ""
        return Forecast(mean, frames=_last_frames(problem) if self.name == "hold" else {}, note=note)


class Mean:
    """The average of the training data, whatever was seen: of angles the circular one, of positions the last fix.

    What is given in a world frame is averaged in the frame of the machine, as the model sees it.
    """

    name = "mean"

    def __init__(self, model: WorldModel, frames: Mapping[str, np.ndarray]) -> None:
        self._model, self._frames = model, frames

    @classmethod
    def of_run(cls, run: Run) -> "Mean":
        """With the mean frames that are kept with a run, if they are."""
        file = Path(run.folder) / MEAN_FRAMES
        if not file.is_file():
            return cls(run.model, {})
        with readable(file), np.load(file) as kept:
            return cls(run.model, {name: kept[name] for name in kept.files})

    def predict(self, problem: Problem) -> Forecast:
        angle = problem.layout.frames.angle(problem.context.values, problem.context.mask)
        normal = np.zeros((len(problem.starts), 1, problem.layout.size), np.float32)
        flat = by_stream(problem.layout, self._model.denormalise(normal, angle)) if problem.readings else {}
        mean = {name: np.repeat(values, problem.horizon, 1) for name, values in flat.items()}
        frames, noted = {}, []
        for name, ticks in problem.frame_ticks.items():
            frame = self._frames.get(name)
            if frame is None:
                frame, _ = _mean_seen(problem, name), noted.append(name)
            shown = np.rint(frame).astype(np.uint8)
            frames[name] = np.broadcast_to(shown, (len(ticks), 1, ticks.shape[1], *shown.shape))
        note = f"The mean frame of {', '.join(noted)} is that of all contexts here, which favours it." if noted else ""
        return Forecast(mean, frames=frames, note=note)


def rivals(run: Run) -> list[Predictor]:
    """The baselines that are kept with a run."""
    names = getattr(run.baselines, "names", ("hold", "velocity", "linear"))
    return [Mean.of_run(run), *(Baseline(run.baselines, name) for name in names if name != "mean")]


def _last_frames(problem: Problem) -> dict[str, np.ndarray]:
    """The last frame seen, at every tick asked for."""
    out = {}
    for spec, seen in zip(problem.layout.videos, problem.context.frames, strict=True):
        if (ticks := problem.frame_ticks.get(spec.name)) is not None:
            out[spec.name] = np.broadcast_to(seen[:, -1:, None], (len(seen), 1, ticks.shape[1], *seen.shape[2:]))
    return out


def _mean_seen(problem: Problem, name: str) -> np.ndarray:
    """The mean [rows, columns, 3] of the last frames that the starts show."""
    video = [spec.name for spec in problem.layout.videos].index(name)
    seen = problem.context.frames[video][:, -1][problem.context.frames_mask[video][:, -1]]
    return seen.mean(0, dtype=np.float64) if len(seen) else np.full(problem.streams[name].sample_shape, 127.5)

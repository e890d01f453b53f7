"""Error on the select episodes during training, in physical units."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from worldmodel.arrays import mean_known
from worldmodel.logs.windows import Windows
from worldmodel.models.objective import at_sample_times
from worldmodel.models.world_model import WorldModel

_WINDOWS, _MEMBERS = 128, 8  # enough to tell checkpoints apart, in a second or two
_LEAST, _MOST = 1e-3, 1e3  # of the standard deviation: no horizon counts more than the least allows
_STILL = 1e-3  # least variance of pixels to be relative to: the camera of a machine that hardly moves


class Evaluation(NamedTuple):
    """How well a model predicts.

    Attributes:
        score: NRMSE, the mean over streams of each one's mean over the horizon; infinite where nothing is known.
        errors: float64 [H] NRMSE of readings at each horizon, the mean over streams; NaN where nothing is known.
        named: figures for the history.
    """

    score: float
    errors: np.ndarray
    named: dict[str, float]


class _Curve(NamedTuple):
    """A stream's relative error [H] at each horizon, NaN where nothing is known, and its figures for the history."""

    relative: np.ndarray
    named: dict[str, float]


class Selection:
    """A fixed set of windows of the episodes that select."""

    def __init__(self, windows: Windows, seed: int) -> None:
        chosen = windows.starts().thinned(_WINDOWS)
        middle = windows.frame_ticks(chosen, np.full((len(chosen), 1), windows.horizon // 2), windows.horizon)
        self.windows, self.layout = windows, windows.layout
        self.context, self.future = windows.cut(chosen, windows.horizon, middle)
        self.key = jax.random.key(seed)
        self._predict = nnx.jit(_predict, static_argnums=2)

    def measure(self, model: WorldModel) -> Evaluation:
        """RMSE of the members' mean, by stream and horizon."""
        mean, frame_errors = jax.device_get(self._predict(model, (self.context, self.future), _MEMBERS, self.key))
        readings = list(self._readings(mean, np.asarray(model.scaling.std[...])))
        videos = list(self._videos(frame_errors))
        figures = {name: value for curve in (*readings, *videos) for name, value in curve.named.items()}
        scores = np.array([mean_known(curve.relative, 0) for curve in (*readings, *videos)])
        score = float(np.nan_to_num(mean_known(scores, 0), nan=np.inf, posinf=np.inf))
        unknown = np.full((1, self.future.mask.shape[1]), np.nan)
        errors = mean_known(np.concatenate([unknown, *(curve.relative[None] for curve in readings)]), 0)
        return Evaluation(score, np.clip(errors, _LEAST, _MOST), {"select/nrmse": score, **figures})

    def _readings(self, mean: np.ndarray, std: np.ndarray) -> Iterator[_Curve]:
        """Of predictions [B, H, D] in physical units."""
        mask, age_ticks = self.future.mask, self.layout.age_ticks(self.future.age_s)
        error = np.where(mask, at_sample_times(mean, age_ticks) - self.future.values, 0)
        rmse = np.sqrt((error**2).sum(0) / np.maximum(mask.sum(0), 1))
        rmse = np.where(np.isfinite(rmse), rmse, np.inf)  # from here on, NaN is what nothing is known of
        rmse = np.where(mask.any(0), rmse, np.nan)
        for spec in self.layout.readings:
            columns = self.layout.columns[spec.name]
            relative = np.sqrt(mean_known((rmse[:, columns] / std[columns]) ** 2, 1))
            named = {f"select/nrmse/{spec.name}": float(mean_known(relative, 0))}
            for i, column in enumerate(range(columns.stop - self.layout.features(spec), columns.stop)):
                named[f"select/rmse/{spec.name}/{i}"] = float(np.sqrt(mean_known(rmse[:, column] ** 2, 0)))
            yield _Curve(relative, named)

    def _videos(self, errors: list[np.ndarray]) -> Iterator[_Curve]:
        """Of squared errors [B] of a frame in each window, relative to the mean frame's, at those frames' horizons."""
        future = self.future
        shown = zip(self.layout.videos, errors, future.frames, future.frames_mask, strict=True)
        for spec, error, frames, mask in shown:
            there = mask[:, 0]
            if not there.any():
                continue
            real, at = frames[there, 0] / np.float32(255), future.frame_ticks[there, 0]
            error = np.where(np.isfinite(error), error, np.inf)[there]
            plain = max(float(((real - real.mean(0)) ** 2).mean()), _STILL)
            mse = [error[at == tick].mean() if (at == tick).any() else np.nan for tick in range(future.mask.shape[1])]
            named = {f"select/psnr_db/{spec.name}": float(-10 * np.log10(error.mean()))}
            yield _Curve(np.sqrt(np.array(mse) / plain), named)


def _predict(model: WorldModel, window, members: int, key: jax.Array):
    context, future = window
    belief, latents = model.predict(context, future.actions, members, key)
    mean = model.denormalise(model.decode(latents).mean(1), belief.angle)
    errors = []
    for i in range(len(model.layout.videos)):
        latent = jax.numpy.take_along_axis(latents[:, 0], future.frame_ticks[:, :, None], 1)[:, 0]
        real = future.frames[i][:, 0].astype("float32") / 255
        errors.append(((model.decode_video(belief, latent, i) - real) ** 2).mean((1, 2, 3)))
    return mean, errors

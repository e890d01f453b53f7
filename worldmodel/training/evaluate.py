"""Held-out error during training, in physical units."""

from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from worldmodel.logs.windows import Windows
from worldmodel.models.objective import at_sample_times
from worldmodel.models.world_model import WorldModel

_WINDOWS, _MEMBERS = 128, 8
_LEAST, _MOST = 1e-3, 1e3  # of the standard deviation: no horizon counts more than the least allows


class Evaluation(NamedTuple):
    """`score`: NRMSE over streams and horizon; `errors`: [H] at each horizon; `named`: figures to log."""

    score: float
    errors: np.ndarray
    named: dict[str, float]


class HeldOut:
    """A fixed set of windows of the episodes that training never sees."""

    def __init__(self, windows: Windows, seed: int) -> None:
        starts = windows.starts()
        chosen = starts[np.unique(np.linspace(0, len(starts) - 1, _WINDOWS).astype(int))]
        middle = windows.frame_ticks(chosen, np.full((len(chosen), 1), windows.horizon // 2), windows.horizon)
        self.layout = windows.layout
        self.context, self.future = windows.cut(chosen, windows.horizon, middle)
        self.key = jax.random.key(seed)
        self.score: float | None = None
        self._predict = nnx.jit(_predict, static_argnums=2)

    def measure(self, model: WorldModel) -> Evaluation:
        """RMSE of the members' mean, by stream and horizon."""
        mean, frame_errors = jax.device_get(self._predict(model, (self.context, self.future), _MEMBERS, self.key))
        mask, age_ticks = self.future.mask, (self.future.age_s / self.layout.dt)[..., self.layout.stream_of]
        error = np.where(mask, at_sample_times(mean, age_ticks) - self.future.values, 0)
        count = np.maximum(mask.sum(0), 1)
        rmse = np.sqrt((error**2).sum(0) / count)
        rmse = np.where(np.isfinite(rmse), rmse, np.inf)  # from here on, NaN is what nothing is known of
        std = np.asarray(model.scaling.std[...])
        named: dict[str, float] = {}
        curves = []
        for spec in self.layout.readings:
            columns = self.layout.columns[spec.name]
            seen = mask[..., columns].any(0)
            relative = np.where(seen, rmse[:, columns] / std[columns], np.nan)
            curves.append(np.sqrt(_nanmean(relative**2, 1)))
            named[f"heldout/nrmse/{spec.name}"] = float(_nanmean(curves[-1], 0))
            last = columns.stop - self.layout.features(spec)
            for column in range(last, columns.stop):
                named[f"heldout/rmse/{spec.name}/{column - last}"] = float(np.sqrt((rmse[:, column] ** 2).mean()))
        for spec, errors, there in zip(self.layout.videos, frame_errors, self.future.frames_mask, strict=True):
            if not there.any():
                continue
            mse = float(errors[there[:, 0]].mean())
            mse = mse if np.isfinite(mse) else np.inf
            named[f"heldout/psnr_db/{spec.name}"] = float(-10 * np.log10(mse))
            curves.append(np.full(mask.shape[1], np.sqrt(mse) / 0.2))
        curve = _nanmean(np.stack(curves), 0)
        curve = np.where(np.isnan(curve), 0, curve)
        self.score = float(curve.mean())
        return Evaluation(self.score, np.clip(curve, _LEAST, _MOST), {"heldout/nrmse": self.score, **named})


def _predict(model: WorldModel, window, members: int, key: jax.Array):
    context, future = window
    belief = model.observe(context)
    latents = model.imagine(belief, future.actions, members, key)
    mean = model.denormalise(model.decode(latents).mean(1), belief.angle)
    errors = []
    for i in range(len(model.layout.videos)):
        latent = jax.numpy.take_along_axis(latents[:, 0], future.frame_ticks[:, :, None], 1)[:, 0]
        real = future.frames[i][:, 0].astype("float32") / 255
        errors.append(((model.decode_video(belief, latent, i) - real) ** 2).mean((1, 2, 3)))
    return mean, errors


def _nanmean(x: np.ndarray, axis: int) -> np.ndarray:
    count = (~np.isnan(x)).sum(axis)
    return np.where(count, np.nansum(x, axis) / np.maximum(count, 1), np.nan)

"""How wide members must be spread for their intervals to hold what they say, measured on the select episodes."""

import jax
import numpy as np
from flax import nnx

from worldmodel.imagine.calibration import LEVEL, central_interval, conformal_level, doubling
from worldmodel.logs.windows import Context, Future
from worldmodel.models.world_model import WorldModel

_MEMBERS = 32
_LIMITS = (0.2, 5.0)  # of factors: beyond, the select episodes are too few or unlike


def measure_spread(model: WorldModel, context: Context, future: Future, key: jax.Array) -> np.ndarray:
    """Factors [H, D] by which members' distances from their mean must be multiplied.

    A recalibration: with them, central 90 % intervals of the members hold 90 % of what sensors read in these windows,
    for each stream and for horizons that double, between which the factors are interpolated. Their quantile is that of
    split conformal prediction with a scale (Lei et al. 2018, doi 10.1080/01621459.2017.1307116), over windows; its
    guarantee is not claimed. Windows overlap, come from few episodes, and chose the checkpoint; the ticks and columns
    that are pooled within one are neither independent nor exchangeable. What intervals hold is measured by `validate`.
    """
    members, truth = jax.device_get(nnx.jit(_members)(model, context, future, key))
    needed = _scale_needed(members, truth)
    ticks = np.arange(needed.shape[1])
    factors = np.ones(needed.shape[1:], np.float32)
    for columns in model.layout.columns.values():
        centres, scales = _by_horizon(needed[..., columns], future.mask[..., columns])
        if len(centres):
            factors[:, columns] = np.interp(np.log1p(ticks), np.log1p(centres), scales)[:, None]
    return np.clip(factors, *_LIMITS)


def _members(model: WorldModel, context: Context, future: Future, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    draw, sense = jax.random.split(key)
    belief, latents = model.predict(context, future.actions, _MEMBERS, draw)
    return model.read_at(latents, future, sense), model.normalise(future.values, belief.angle)


def _scale_needed(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The least factor on the members' [B, K, ...] distances from their mean with which their interval holds truth."""
    mean = members.mean(1)
    low, high = central_interval(members, LEVEL)
    error = truth - mean
    reach = np.where(error > 0, high - mean, mean - low)
    return np.abs(error) / np.maximum(reach, 1e-9)


def _by_horizon(needed: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle ticks of horizons that double, where there are readings, and the quantile of the scale needed there."""
    centres, scales = [], []
    for first, last in doubling(needed.shape[1]):
        there = needed[:, first:last][mask[:, first:last]]
        if len(there):
            centres.append((first + last - 1) / 2)
            windows = int(mask[:, first:last].any((1, 2)).sum())
            scales.append(np.quantile(there, conformal_level(windows), method="inverted_cdf"))
    return np.array(centres), np.array(scales)

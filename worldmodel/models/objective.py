"""Proper scores of sampled futures."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num, Shaped

from worldmodel.arrays import namespace
from worldmodel.models.dynamics import Gaussian
from worldmodel.types import Array

_GRID = 8  # cells along each side of a frame


def fair_crps(members: Float[Array, "B K ..."], truth: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Continuous ranked probability score of members [B, K, ...] against truth [B, ...], elementwise: [B, ...].

    Its expectation over members does not depend on K >= 2 (Ferro 2014, doi 10.1002/qj.2270); one member gives
    the absolute error.
    """
    count = members.shape[1]
    skill = jnp.abs(members - truth[:, None]).mean(1)
    if count == 1:
        return skill
    spread = sum(jnp.abs(members[:, i] - members[:, j]) for i in range(count) for j in range(i))
    return skill - spread / (count * (count - 1))


def energy_score(
    members: Num[np.ndarray, "*b K rows columns 3"], real: Num[np.ndarray, "*b rows columns 3"]
) -> Float[np.ndarray, "*b"]:
    """Fair energy score [...] of members on a coarse grid of colours in 0..1 (Gneiting & Raftery 2007,
    doi 10.1198/016214506000001437): a root mean square over the grid; of a single member its distance.

    Members must be where the real frame may be, and as far from each other as from it.
    """
    drawn, came = coarse(members), coarse(real)
    count = drawn.shape[-2]
    skill = _apart(drawn, came[..., None, :]).mean(-1)
    if count == 1:
        return skill
    pairs = [_apart(drawn[..., i, :], drawn[..., j, :]) for i in range(count) for j in range(i)]
    return skill - np.sum(pairs, axis=0) / (count * (count - 1))


def coarse(frames: Num[np.ndarray, "*b rows columns 3"]) -> Float[np.ndarray, "*b cells"]:
    """Colours [..., cells] in 0..1 of a grid of 8 by 8 cells over 0..255 frames; of one as fine as a smaller frame."""
    for axis in (-3, -2):
        size = frames.shape[axis]
        starts = np.arange(min(_GRID, size)) * size // min(_GRID, size)
        lengths = np.diff(np.append(starts, size)).reshape(-1, *[1] * (-axis - 1))
        frames = np.add.reduceat(frames, starts, axis, dtype=np.float32) / lengths
    return frames.reshape(*frames.shape[:-3], -1) / np.float32(255)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(one - other).mean(-1))


def horizon_weights(errors: Float[Array, " H"]) -> Float[Array, " H"]:
    """Weights [H] with mean 1, inverse to the error measured at each horizon [H]; 1 where none is known (NaN).

    So a tenth less error counts the same at every horizon: near ones are not drowned by far ones, nor do those that
    chaos puts out of reach teach only noise.
    """
    weights = 1 / errors
    return jnp.nan_to_num(weights / jnp.nanmean(weights), nan=1.0)


def gaussian_kl(of: Gaussian, to: Gaussian) -> jax.Array:
    """Kullback-Leibler divergence [...] of independent Gaussians [..., S], in nats, summed over S."""
    ratio = (of.std / to.std) ** 2
    return 0.5 * (ratio + ((of.mean - to.mean) / to.std) ** 2 - 1 - jnp.log(ratio)).sum(-1)


def gaussian_score(
    mean: Float[Array, "*#b"], std: Float[Array, "*#b"], truth: Float[Array, "*#b"]
) -> Float[Array, "..."]:
    """Negative logarithm of a Gaussian's density at `truth`, elementwise."""
    return 0.5 * (((truth - mean) / std) ** 2 + jnp.log(2 * jnp.pi)) + jnp.log(std)


def at_sample_times(readings: Float[Array, "*b H D"], age_ticks: Float[Array, "*#b H #D"]) -> Float[Array, "*b H D"]:
    """Readings predicted at ticks [..., H, D] at the times of samples that are `age_ticks` [..., H, D] older.

    Between ticks they lie on a line, before the first on the line through the first two. A slow or unsynchronised
    sensor is then asked for what was there when it looked, not for what it could not yet see.
    """
    xp = namespace(readings)
    if readings.shape[-2] < 2:
        return readings
    before = xp.concat([2 * readings[..., :1, :] - readings[..., 1:2, :], readings[..., :-1, :]], axis=-2)
    return readings + xp.clip(age_ticks, 0, 1) * (before - readings)


def masked_mean(values: Float[Array, "*b"], mask: Shaped[Array, "*b"]) -> Float[Array, ""]:
    """Mean of `values` where `mask`; 0 where nothing is."""
    return (values * mask).sum() / jnp.maximum(mask.sum(), 1)

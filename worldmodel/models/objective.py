"""Proper scores of sampled futures."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from worldmodel.arrays import namespace
from worldmodel.models.dynamics import Gaussian
from worldmodel.types import Array


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

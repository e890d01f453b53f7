"""GPS in the frame of the track: which way is north is no physics, so the model never sees it.

Every window is turned about its last fix, so that the context's track points along the first axis. A few drives hold
few headings; a model that saw them would learn them by heart instead of how the machine moves.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np


def track_angle(values: jax.Array, mask: jax.Array, columns: Iterable[np.ndarray]) -> jax.Array:
    """Angle [B] from east to the track, counter-clockwise: of the least-squares velocity of the fixes in a context.

    Args:
        values: [B, C, D], east and north at the same scale.
        mask: bool [B, C, D].
        columns: int [N, 3] for each GPS stream, its slots among the D.
    """
    velocity = jnp.zeros((len(values), 2))
    for slots in columns:
        fixes, there = (x[..., slots[:, :2]].reshape(len(values), -1, 2) for x in (values, mask))
        time = jnp.arange(fixes.shape[1], dtype=jnp.float32)[None, :, None]
        count = jnp.maximum(there.sum(1, keepdims=True), 1)
        offset = (time - (there * time).sum(1, keepdims=True) / count) * there
        velocity += (offset * fixes).sum(1) / jnp.maximum((offset**2).sum(1), 1.0)
    return jnp.arctan2(velocity[:, 1], velocity[:, 0])


def turn(values: jax.Array, angle: jax.Array, columns: Iterable[np.ndarray]) -> jax.Array:
    """Values [B, ..., D] with the GPS slots `columns` turned counter-clockwise by `angle` [B]."""
    angle = angle.reshape(-1, *(1,) * (values.ndim - 1))
    for slots in columns:
        east, north = values[..., slots[:, 0]], values[..., slots[:, 1]]
        values = values.at[..., slots[:, 0]].set(jnp.cos(angle) * east - jnp.sin(angle) * north)
        values = values.at[..., slots[:, 1]].set(jnp.sin(angle) * east + jnp.cos(angle) * north)
    return values

"""The latent transition."""

import jax
import jax.numpy as jnp
from flax import nnx


class ResidualDynamics(nnx.Module):
    """`z <- z + f(z, a, noise)`: that nothing changes costs nothing to learn. Latent z is [..., Z], action [..., A]."""

    def __init__(self, latent: int, actions: int, noise: int, width: int, *, dtype, rngs: nnx.Rngs) -> None:
        self.of_latent = nnx.Linear(latent, width, dtype=dtype, rngs=rngs)
        self.of_inputs = nnx.Linear(actions + noise, width, use_bias=False, dtype=dtype, rngs=rngs)
        self.second = nnx.Linear(width, width, dtype=dtype, rngs=rngs)
        small = nnx.initializers.variance_scaling(0.01, "fan_in", "normal")
        self.change = nnx.Linear(width, latent, kernel_init=small, dtype=dtype, rngs=rngs)

    def project(self, inputs: jax.Array) -> jax.Array:
        """Actions and noise [..., A + noise] to their share of the first layer, for all ticks at once."""
        return self.of_inputs(inputs)

    def step(self, latent: jax.Array, projected: jax.Array) -> jax.Array:
        """One tick on, from a latent [M, Z] and a projected input [M, W]."""
        x = nnx.silu(self.of_latent(latent) + projected)
        return latent + self.change(nnx.silu(self.second(x))).astype(jnp.float32)

    def rollout(self, latent: jax.Array, inputs: jax.Array) -> jax.Array:
        """Latents [M, H, Z] after each of the inputs [M, H, A + noise], starting at `latent` [M, Z]."""

        def body(carry: jax.Array, projected: jax.Array) -> tuple[jax.Array, jax.Array]:
            carry = self.step(carry, projected)
            return carry, carry

        _, latents = jax.lax.scan(body, latent, self.project(inputs).swapaxes(0, 1))
        return latents.swapaxes(0, 1)

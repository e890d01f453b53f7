"""The latent transition."""

import jax
import jax.numpy as jnp
from flax import nnx


class ResidualDynamics(nnx.Module):
    """`z <- z + A z + B a + f(z, a, noise)`: that nothing changes costs nothing to learn, and what is linear little.

    Latent z is [..., Z], action a [..., A], noise [..., N].
    """

    def __init__(self, latent: int, actions: int, noise: int, width: int, *, dtype, rngs: nnx.Rngs) -> None:
        self.of_latent = nnx.Linear(latent, width, dtype=dtype, rngs=rngs)
        self.of_inputs = nnx.Linear(actions + noise, width, use_bias=False, dtype=dtype, rngs=rngs)
        self.second = nnx.Linear(width, width, dtype=dtype, rngs=rngs)
        small = nnx.initializers.variance_scaling(0.01, "fan_in", "normal")
        self.change = nnx.Linear(width, latent, kernel_init=small, dtype=dtype, rngs=rngs)
        zeros = nnx.initializers.zeros_init()
        self.linear = nnx.Linear(latent, latent, kernel_init=zeros, use_bias=False, dtype=dtype, rngs=rngs)
        self.drive = nnx.Linear(actions + noise, latent, kernel_init=zeros, use_bias=False, dtype=dtype, rngs=rngs)

    def project(self, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Shares [..., W] of the first layer and [..., Z] of the change that actions and noise [..., A + N] have.

        They depend on no latent, so they are computed for all ticks at once.
        """
        return self.of_inputs(inputs), self.drive(inputs)

    def step(self, latent: jax.Array, projected: tuple[jax.Array, jax.Array]) -> jax.Array:
        """One tick on, from a latent [M, Z] and what `project` made of the inputs [M, ...]."""
        hidden, driven = projected
        x = nnx.silu(self.of_latent(latent) + hidden)
        change = self.change(nnx.silu(self.second(x))) + self.linear(latent) + driven
        return latent + change.astype(jnp.float32)

    def rollout(self, latent: jax.Array, inputs: jax.Array) -> jax.Array:
        """Latents [M, H, Z] after each of the inputs [M, H, A + noise], starting at `latent` [M, Z]."""

        def body(carry: jax.Array, projected: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            carry = self.step(carry, projected)
            return carry, carry

        _, latents = jax.lax.scan(body, latent, self.project(inputs.swapaxes(0, 1)))
        return latents.swapaxes(0, 1)

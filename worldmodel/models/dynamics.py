"""Latent transitions: the residual step, and the recurrent state-space model's."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float


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

    def rollout(self, latent: Float[jax.Array, "M Z"], inputs: Float[jax.Array, "M H I"]) -> Float[jax.Array, "M H Z"]:
        """Latents [M, H, Z] after each of the inputs [M, H, A + noise], starting at `latent` [M, Z]."""

        def body(carry: jax.Array, projected: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            carry = self.step(carry, projected)
            return carry, carry

        return _over_ticks(body, latent, self.project(inputs))


class Gaussian(NamedTuple):
    """Independent normal distributions with mean and std [..., S]."""

    mean: jax.Array
    std: jax.Array

    def sample(self, noise: jax.Array) -> jax.Array:
        """The value [..., S] that standard normal `noise` [..., S] stands for."""
        return self.mean + self.std * noise


class RecurrentState(NamedTuple):
    """What a recurrent state-space model remembers: h [..., H] of its GRU, and the stochastic s [..., S]."""

    deterministic: jax.Array
    stochastic: jax.Array


class RecurrentDynamics(nnx.Module):
    """`h <- GRU(h, s, a)`; s is drawn from a prior that sees h, or from a posterior that also sees the tick's readings.

    Recurrent state-space model (Hafner et al. 2019, arXiv 1811.04551). Action a is [..., A], what is seen [..., E],
    standard normal noise [..., S].
    """

    def __init__(self, stochastic: int, actions: int, seen: int, width: int, *, dtype, rngs: nnx.Rngs) -> None:
        kwargs = {"dtype": dtype, "rngs": rngs}
        self.deterministic, self.stochastic = 2 * width, stochastic
        self.inputs = nnx.Linear(stochastic + actions, width, **kwargs)
        self.cell = nnx.GRUCell(width, self.deterministic, **kwargs)
        self.of_prior = nnx.Linear(self.deterministic, width, **kwargs)
        self.prior_out = nnx.Linear(width, 2 * stochastic, **kwargs)
        self.of_posterior = nnx.Linear(self.deterministic + seen, width, **kwargs)
        self.posterior_out = nnx.Linear(width, 2 * stochastic, **kwargs)

    def start(self, count: int) -> RecurrentState:
        """States before anything was seen: zeros."""
        return RecurrentState(jnp.zeros((count, self.deterministic)), jnp.zeros((count, self.stochastic)))

    def prior(self, deterministic: jax.Array) -> Gaussian:
        """What s may be, from h [..., H] alone."""
        return _gaussian(self.prior_out(nnx.silu(self.of_prior(deterministic))))

    def posterior(self, deterministic: jax.Array, seen: jax.Array) -> Gaussian:
        """What s may be, from h [..., H] and what is seen [..., E]."""
        joined = jnp.concatenate([deterministic, seen], -1)
        return _gaussian(self.posterior_out(nnx.silu(self.of_posterior(joined))))

    def step(self, state: RecurrentState, action: jax.Array) -> jax.Array:
        """h [M, H] one tick on, under action [M, A]."""
        x = nnx.silu(self.inputs(jnp.concatenate([state.stochastic, action], -1)))
        return self.cell(state.deterministic, x)[0].astype(jnp.float32)

    def filter(
        self, state: RecurrentState, actions: jax.Array, seen: jax.Array, noise: jax.Array
    ) -> tuple[RecurrentState, Gaussian]:
        """States [M, T, ...] and posteriors of ticks at which [M, T, E] is seen, each reached by its action."""

        def body(carry: RecurrentState, inputs):
            action, seen, noise = inputs
            deterministic = self.step(carry, action)
            posterior = self.posterior(deterministic, seen)
            carry = RecurrentState(deterministic, posterior.sample(noise))
            return carry, (carry, posterior)

        return _over_ticks(body, state, (actions, seen, noise))

    def rollout(self, state: RecurrentState, actions: jax.Array, noise: jax.Array) -> RecurrentState:
        """States [M, T, ...] after each of the actions, with s from the prior: nothing is seen."""

        def body(carry: RecurrentState, inputs):
            action, noise = inputs
            deterministic = self.step(carry, action)
            carry = RecurrentState(deterministic, self.prior(deterministic).sample(noise))
            return carry, carry

        return _over_ticks(body, state, (actions, noise))


_LEAST_STD = 0.1  # as in PlaNet (Hafner et al. 2019, arXiv 1811.04551)


def _gaussian(raw: jax.Array) -> Gaussian:
    mean, std = jnp.split(raw.astype(jnp.float32), 2, -1)
    return Gaussian(mean, nnx.softplus(std) + _LEAST_STD)


def _over_ticks(body: Callable, carry: Any, inputs: Any) -> Any:
    """What `body` puts out at each tick of inputs [M, T, ...], as [M, T, ...]."""
    _, out = jax.lax.scan(body, carry, jax.tree.map(lambda x: x.swapaxes(0, 1), inputs))
    return jax.tree.map(lambda x: x.swapaxes(0, 1), out)

"""Rollouts of many windows as compiled programs, and how they change with parameters and starts.

The windows are the last axis, so that a processor adds many at once; in single precision.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Float

from worldmodel.compiled import jit_on_processor
from worldmodel.models.experts.state_space.cell import Shape, advance
from worldmodel.types import Array


@functools.partial(jit_on_processor, static_argnums=0)
def simulated(
    shape: Shape, flat: Float[Array, " P"], limit: Float[Array, " S"],
    start: Float[Array, "S W"], actions: Float[Array, "N A W"],
) -> Float[Array, "T Y W"]:  # fmt: skip
    """Readings from the start on, T = N + 1."""

    def step(x: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        after = jax.vmap(functools.partial(_next, shape, flat, limit), 1, 1)(x, action)
        return after, after[: shape.readings]

    return _after(start[: shape.readings], jax.lax.scan(step, start, actions)[1])


@functools.partial(jit_on_processor, static_argnums=0)
def derived(
    shape: Shape, flat: Float[Array, " P"], limit: Float[Array, " S"],
    start: Float[Array, "S W"], actions: Float[Array, "N A W"],
) -> tuple[Float[Array, "T Y W"], Float[Array, "T Y K W"]]:  # fmt: skip
    """The same, and derivatives by the parameters and by the start: K = P + S."""
    size, windows = shape.size, start.shape[1]

    def step(carry: tuple[jax.Array, jax.Array], action: jax.Array):
        x, by = carry
        after, by_flat, by_state = jax.vmap(one, 1, -1)(x, action)
        by = (by_state[:, :, None] * by[None]).sum(1).at[:, :size].add(by_flat)
        return (after, by), (after[: shape.readings], by[: shape.readings])

    def one(x: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        by_flat, by_state = jax.jacfwd(functools.partial(_next, shape), (0, 2))(flat, limit, x, action)
        return _next(shape, flat, limit, x, action), by_flat, by_state

    own = jnp.repeat(jnp.eye(shape.states, size + shape.states, size)[..., None], windows, -1)
    seen, by = jax.lax.scan(step, (start, own), actions)[1]
    return _after(start[: shape.readings], seen), _after(own[: shape.readings], by)


def _next(
    shape: Shape, flat: Float[Array, " P"], limit: Float[Array, " S"], x: Float[Array, " S"], action: Float[Array, " A"]
) -> Float[Array, " S"]:
    """The next states of one window."""
    return jnp.clip(advance(shape, shape.split(flat), x, action), -limit, limit)


def _after(first: Float[Array, "Y *k W"], others: Float[Array, "N Y *k W"]) -> Float[Array, "T Y *k W"]:
    return jnp.concatenate([first[None], others])

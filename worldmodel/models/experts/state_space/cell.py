"""One step of the state space, its rollouts, and how they change with parameters and starts."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

ACTIVATIONS = {"tanh": jnp.tanh, "cube": lambda q: q**3, "ramp": lambda q: jax.nn.softplus(8 * q) / 8}


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes: Y readings, which are the first states, hidden states, A actions, and the activation of each of U units.

    z = [x, u] and x' = x + z L + c + act(z W + b) V, kept within the limits of each state.
    """

    readings: int
    hidden: int
    actions: int
    units: tuple[str, ...] = ()

    @property
    def states(self) -> int:
        """S."""
        return self.readings + self.hidden

    @property
    def inputs(self) -> int:
        """Z = S + A."""
        return self.states + self.actions

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Shape of each part of the parameters."""
        s, z, u = self.states, self.inputs, len(self.units)
        return {"linear": (z, s), "constant": (s,), "inner": (z, u), "bias": (u,), "outer": (u, s)}

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.parts.values())

    def split(self, flat: Float[Array, " P"]) -> dict[str, Array]:
        """The parts of the parameters."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.parts.values()])
        pieces = (np if isinstance(flat, np.ndarray) else jnp).split(flat, ends[:-1])
        return {name: p.reshape(shape) for (name, shape), p in zip(self.parts.items(), pieces, strict=True)}

    def join(self, **parts: np.ndarray | float) -> Float[np.ndarray, " P"]:
        """The inverse of `split`; numbers fill their part."""
        return np.concatenate([np.broadcast_to(parts[name], shape).ravel() for name, shape in self.parts.items()])


def _step(shape: Shape, parts: dict[str, Array], limit: Array, x: Float[Array, " S"], u: Float[Array, " A"]) -> Array:
    z = jnp.concatenate([x, u])
    x = x + z @ parts["linear"] + parts["constant"]
    if shape.units:
        before = z @ parts["inner"] + parts["bias"]
        after = [ACTIVATIONS[kind](before[i]) for i, kind in enumerate(shape.units)]
        x = x + jnp.stack(after) @ parts["outer"]
    return jnp.clip(x, -limit, limit)


def _rollout(shape: Shape, flat: Array, limit: Array, start: Float[Array, " S"], actions: Float[Array, "N A"]) -> Array:
    parts = shape.split(flat)

    def step(x, u):
        x = _step(shape, parts, limit, x, u)
        return x, x

    return jnp.concatenate([start[None], jax.lax.scan(step, start, actions)[1]])


@partial(jax.jit, static_argnums=0)
def rollout(
    shape: Shape, flat: Float[Array, " P"], limit: Float[Array, " S"], start: Float[Array, "W S"], actions: Array
) -> Float[Array, "W T S"]:
    """States from the start on, under actions [W, T - 1, A]."""
    return jax.vmap(partial(_rollout, shape, flat, limit))(start, actions)


@partial(jax.jit, static_argnums=0)
def sensitivity(
    shape: Shape, flat: Float[Array, " P"], limit: Float[Array, " S"], start: Float[Array, "W S"], actions: Array
) -> tuple[Array, Array, Array]:
    """Readings [W, T, Y] of a rollout, and their derivatives by parameters [W, T, Y, P] and by its start [W, T, Y, S]."""

    def readings(flat, start, actions):
        seen = _rollout(shape, flat, limit, start, actions)[:, : shape.readings]
        return seen, seen

    both = jax.vmap(jax.jacfwd(readings, (0, 1), has_aux=True), (None, 0, 0))
    (by_flat, by_start), seen = both(flat, start, actions)
    return seen, by_flat, by_start


@partial(jax.jit, static_argnums=(0, 8))
def shoot(
    shape: Shape,
    flat: Float[Array, " P"],
    limit: Float[Array, " S"],
    guess: Float[Array, "W S"],
    spread: Float[Array, " S"],
    readings: Float[Array, "W T Y"],
    weight: Float[Array, "W T Y"],
    actions: Float[Array, "W N A"],
    steps: int = 12,
) -> Float[Array, "W S"]:
    """States at the first tick whose rollouts meet the readings best, by damped Gauss-Newton steps from a guess.

    `weight` is the inverse of a reading's standard error, 0 where there is none; the start lies about the guess by
    `spread`.
    """

    def one(guess, readings, weight, actions):
        def residual(x):
            error = (_rollout(shape, flat, limit, x, actions)[:, : shape.readings] - readings) * weight
            return jnp.concatenate([error.ravel(), (x - guess) / spread])

        def improve(carry, _):
            x, damping = carry
            r, jacobian = residual(x), jax.jacfwd(residual)(x)
            gram = jacobian.T @ jacobian
            step = jnp.linalg.solve(gram + damping * jnp.diag(jnp.diag(gram)), jacobian.T @ r)
            better = jnp.sum(residual(x - step) ** 2) < jnp.sum(r**2)
            return (jnp.where(better, x - step, x), jnp.where(better, damping / 5, damping * 10)), None

        return jax.lax.scan(improve, (guess, jnp.float32(1e-3)), None, steps)[0][0]

    return jax.vmap(one)(guess, readings, weight, actions)

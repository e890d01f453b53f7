"""Where a machine is and how it moves, from the readings up to a tick."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from worldmodel.compiled import jit_on_processor
from worldmodel.models.experts.mechanics.model import TAPS, Form, Scales, parameters, rollout
from worldmodel.models.experts.mechanics.track import SAMPLES, Track
from worldmodel.types import Array

_JOLT = 5.0  # times the usual acceleration, that one is thought to be below before anything is seen
_ROUNDS = 2  # of Gauss-Newton
_DAMPING = 1e-3  # of Gauss-Newton, as a share of the mean curvature


def polynomial(track: Track, tick: int, scales: Scales) -> Float[np.ndarray, "B S"]:
    """Coordinates and velocities at a tick of the context, by parabolas through the last samples of both until then.

    Least squares weighted by the noise, about the last readings where there are few.
    """
    n = len(scales.velocity)
    since = tick + 1 - track.ticks  # the tick, from the last
    found = [_parabola(track, i, n, since, scales) for i in range(n)]
    return np.concatenate([np.stack([f[:, k] for f in found], 1) for k in range(2)], 1)


def _parabola(track: Track, i: int, n: int, since: int, scales: Scales) -> Float[np.ndarray, "B 3"]:
    """Value, slope and bend of coordinate i."""
    held = track.seen[:, track.ticks - 1 + since][:, [i, n + i]]
    usual = np.array([scales.spread[i], scales.velocity[i], _JOLT * scales.velocity[i] / scales.time])
    middle = np.concatenate([held, np.zeros((len(held), 1))], 1)
    normal = np.broadcast_to(np.diag(usual**-2.0), (len(held), 3, 3)).copy()
    right = np.zeros_like(middle)
    span = SAMPLES / max(track.samples[i].slots, track.samples[n + i].slots)
    for column, basis in ((i, _values), (n + i, _slopes)):
        samples = track.samples[column]
        near = slice(max(samples.slots * (track.ticks - 1 + since - int(np.ceil(span))), 0), None)
        time, value, mask = samples.time[:, near] - since, samples.value[:, near], samples.mask[:, near]
        weight = (mask & (time <= 1e-6) & (time > -span + 1e-6)) / scales.noise[column] ** 2
        rows = basis(time * float(scales.dt))
        normal += np.einsum("bsi,bs,bsj->bij", rows, weight, rows)
        right += np.einsum("bsi,bs->bi", rows, weight * (value - np.einsum("bsi,bi->bs", rows, middle)))
    return middle + np.linalg.solve(normal, right[..., None])[..., 0]


def _values(time: Float[np.ndarray, "B N"]) -> Float[np.ndarray, "B N 3"]:
    return np.stack([np.ones_like(time), time, time**2 / 2], -1)


def _slopes(time: Float[np.ndarray, "B N"]) -> Float[np.ndarray, "B N 3"]:
    return np.stack([np.zeros_like(time), np.ones_like(time), time], -1)


def shot(
    form: Form, scales: Scales, flat: Float[np.ndarray, " P"], track: Track, length: int
) -> Float[np.ndarray, "B S"]:
    """Where the model is at the last tick on the path of its own that fits the last `length` ticks of readings best.

    In a context that is too short the path is shorter.
    """
    length = max(min(length, track.ticks - TAPS), 0)
    start = polynomial(track, track.ticks - 1 - length, scales)
    if not length:
        return start
    last = slice(-length - 1, None)
    first = track.ticks - length - TAPS
    acted = track.acted[:, first : track.ticks - 1]
    weight = track.mask[:, last] / scales.noise
    parts = [last_axis(x) for x in (start, acted, track.seen[:, last], weight, track.age[:, last])]
    return np.asarray(_shoot(form, scales, single(flat), *parts), float).T


def last_axis(windows: Shaped[np.ndarray, "B S *more"]) -> Float[np.ndarray, "S *more B"]:
    """Windows as the last axis, as the model has them, in single precision."""
    return single(np.moveaxis(windows, 0, -1))


def single(x: Shaped[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """In single precision."""
    return np.asarray(x, np.float32)


def _at_ages(
    path: Float[Array, "T S B"], before: Float[Array, "S B"], age: Float[Array, "T S B"]
) -> Float[Array, "T S B"]:
    """A path at the times of samples that are so many ticks older than its ticks; `before` is a tick before it."""
    earlier = jnp.concatenate([before[None], path[:-1]])
    return path + jnp.clip(age, 0, 1) * (earlier - path)


@functools.partial(jit_on_processor, static_argnums=0)
def _shoot(
    form: Form,
    scales: Scales,
    flat: Float[Array, " P"],
    start: Float[Array, "S B"],
    acted: Float[Array, "T A B"],
    seen: Float[Array, "L S B"],
    weight: Float[Array, "L S B"],
    age: Float[Array, "L S B"],
) -> Float[Array, "S B"]:
    """Damped Gauss-Newton on the start of a path; where the path ends."""
    n, p = len(form.angles), parameters(form, flat)
    unit = jnp.concatenate([scales.velocity * scales.time, scales.velocity])[:, None]

    def path(x: jax.Array) -> jax.Array:
        return jnp.concatenate([x[None], rollout(form, scales, p, x, acted)])

    def missed(x: jax.Array) -> jax.Array:
        before = jnp.concatenate([x[:n] - scales.dt * x[n:], x[n:]])
        return (_at_ages(path(x), before, age) - seen) * weight

    def closer(_: jax.Array, x: jax.Array) -> jax.Array:
        slopes = jax.vmap(lambda tangent: jax.jvp(missed, (x,), (tangent,))[1])(tangents)
        normal = jnp.einsum("ilcb,jlcb->ijb", slopes, slopes)
        right = -jnp.einsum("ilcb,lcb->ib", slopes, missed(x))
        damping = _DAMPING * jnp.einsum("iib->ib", normal) + 1e-6
        return x + unit * _solve(normal + damping[None] * jnp.eye(2 * n)[:, :, None], right)

    tangents = jnp.eye(2 * n)[:, :, None] * unit * jnp.ones_like(start)
    return path(jax.lax.fori_loop(0, _ROUNDS, closer, start))[-1]


def _solve(normal: Float[Array, "S S B"], right: Float[Array, "S B"]) -> Float[Array, "S B"]:
    return jnp.linalg.solve(normal.transpose(2, 0, 1), right.T[..., None])[..., 0].T

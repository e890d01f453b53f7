"""Lagrange's equations on a small basis, in steps that friction does not make unstable.

    M(q) dv/dt = B u(t - delay) + bias - dV/dq - c(q, v) - friction(v)

with c of Coriolis and centrifugal forces out of M. M and V are sums of sines and cosines of the angles and of sums and
differences of two of them; V has springs for coordinates that are no angles. Everything is scaled so that all
parameters are of order one, and at 0 M is the identity and no force is but the actions'. The windows are the last axis
of every array, so that a processor adds many at once.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import namespace
from worldmodel.types import Array

TAPS = 3  # actions that a delay of up to 2 ticks reaches back over, the present one with them
DELAY = 0.3  # ticks, at a parameter of 0
_LEAST_PIVOT = 0.05  # of the mass matrix, which is about the identity
_FASTEST = 30.0  # times the usual velocity; beyond it a rollout is lost and only has to stay finite
_SLIDE = 0.03  # times the usual velocity, at which Coulomb friction is three quarters of its full size


class Form(NamedTuple):
    """What is fixed when a model is compiled.

    Attributes:
        angles: of each of the n coordinates, whether it is an angle.
        actions: A.
        named: whether each action drives one coordinate, and only its gain is unknown.
        substeps: in a tick.
    """

    angles: tuple[bool, ...]
    actions: int
    named: bool
    substeps: int


class Scales(NamedTuple):
    """Sizes of things, from the data.

    Attributes:
        dt: seconds in a tick.
        velocity: [n] usual velocities, units of the coordinates a second.
        time: seconds in which a velocity changes by its usual size.
        push: [n, A] forces of a unit of each action at parameters of 0, scaled.
        middle: [n] where the springs of the coordinates that are no angles rest.
        noise: [2n] of readings of coordinates and of derivatives.
        spread: [2n] standard deviations of readings.
    """

    dt: Array
    velocity: Array
    time: Array
    push: Array
    middle: Array
    noise: Array
    spread: Array


class Parameters(NamedTuple):
    """All 0 for a machine without inertial coupling and without forces but the actions'.

    Attributes:
        inertia: [n (n + 1) / 2, 1 + 2K] of each element of the upper triangle of M, beyond the identity: a constant,
            K sines, K cosines.
        potential: [2K] sines, cosines.
        spring: [n] of coordinates that are no angles.
        viscous, coulomb, bias: [n].
        push: [A], logarithms of gains, of named actions; else [n, A], what is added to `Scales.push`.
        delay: ticks beyond `DELAY`.
    """

    inertia: Array
    potential: Array
    spring: Array
    viscous: Array
    coulomb: Array
    bias: Array
    push: Array
    delay: Array


def harmonics(angles: tuple[bool, ...]) -> Float[np.ndarray, "K n"]:
    """What sines and cosines are of: each angle, and the sum and the difference of each two."""
    rows = []
    for row in itertools.product((0, 1, -1), repeat=len(angles)):
        used = np.flatnonzero(row)
        if 0 < len(used) <= 2 and row[used[0]] > 0 and all(angles[i] for i in used):
            rows.append(row)
    return np.array(rows, float).reshape(-1, len(angles))


def shapes(form: Form) -> Parameters:
    """Of each array of the parameters."""
    n, terms = len(form.angles), 2 * len(harmonics(form.angles))
    push = (form.actions,) if form.named else (n, form.actions)
    return Parameters((n * (n + 1) // 2, 1 + terms), (terms,), (n,), (n,), (n,), (n,), push, ())


def size(form: Form) -> int:
    """P, the number of all parameters."""
    return sum(int(np.prod(shape)) for shape in shapes(form))


def parameters(form: Form, flat: Float[Array, " P"]) -> Parameters:
    """One vector's parts; of numpy or JAX."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes(form)])[:-1]
    parts = namespace(flat).split(flat, ends)
    return Parameters(*(part.reshape(shape) for part, shape in zip(parts, shapes(form), strict=True)))


def triangle(n: int) -> Int[np.ndarray, "n n"]:
    """Which element of the upper triangle, row by row, stands where in a symmetric matrix."""
    place = np.zeros((n, n), int)
    upper = np.triu_indices(n)
    place[upper] = np.arange(len(upper[0]))
    return np.maximum(place, place.T)


def rollout(
    form: Form, scales: Scales, p: Parameters, start: Float[Array, "S B"], acted: Float[Array, "T A B"]
) -> Float[Array, "H S B"]:
    """Coordinates and velocities after each of H ticks from `start`, under T = TAPS - 1 + H actions."""

    def tick(state: jax.Array, force: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(state: jax.Array, _: None) -> tuple[jax.Array, None]:
            return _step(form, scales, p, state, force), None

        state = jax.lax.scan(step, state, None, length=form.substeps)[0]
        return state, state

    return jax.lax.scan(tick, start, _forces(form, scales, p, acted))[1]


def _forces(form: Form, scales: Scales, p: Parameters, acted: Float[Array, "T A B"]) -> Float[Array, "H n B"]:
    """Scaled forces of delayed actions and of the bias."""
    delay = jnp.clip(DELAY + p.delay, 0, TAPS - 1)
    ticks = len(acted) - TAPS + 1
    felt = sum(
        jnp.maximum(0, 1 - jnp.abs(delay - age)) * acted[TAPS - 1 - age : TAPS - 1 - age + ticks] for age in range(TAPS)
    )
    push = scales.push * jnp.exp(p.push) if form.named else scales.push + p.push
    return jnp.einsum("na,hab->hnb", push, felt) + p.bias[None, :, None]


def _step(
    form: Form, scales: Scales, p: Parameters, state: Float[Array, "S B"], force: Float[Array, "n B"]
) -> Float[Array, "S B"]:
    """Half a step of the coordinates, one of the velocities, half a step again; friction implicit, linearised."""
    n, dt = len(form.angles), scales.dt / form.substeps
    velocity, time = scales.velocity[:, None], scales.time
    q, v = state[:n] + dt / 2 * state[n:], state[n:]
    w, slip = v / velocity, jnp.tanh(v / (_SLIDE * velocity))
    inertia, turning = _inertia(form, scales, p, q, v, w)
    viscous, coulomb = p.viscous[:, None], p.coulomb[:, None]
    pull = (force - _slope(form, scales, p, q) - viscous * w - coulomb * slip) / time + turning
    stiffness = (viscous + coulomb * (1 - slip**2) / _SLIDE) / time
    change = solve(inertia + dt * jnp.eye(n)[:, :, None] * stiffness, pull)
    after = jnp.clip(v + dt * change * velocity, -_FASTEST * velocity, _FASTEST * velocity)
    return jnp.concatenate([q + dt / 2 * after, after])


def _inertia(
    form: Form,
    scales: Scales,
    p: Parameters,
    q: Float[Array, "n B"],
    v: Float[Array, "n B"],
    w: Float[Array, "n B"],
) -> tuple[Float[Array, "n n B"], Float[Array, "n B"]]:
    """M at q, and what its change with q does to velocities v, which are w when scaled."""
    n, waves = len(form.angles), harmonics(form.angles).astype(np.float32)
    place, (row, column) = triangle(n), np.triu_indices(n)
    sin, cos, rate = jnp.sin(waves @ q), jnp.cos(waves @ q), waves @ v
    matrix = (p.inertia @ jnp.concatenate([jnp.ones_like(q[:1]), sin, cos]))[place] + jnp.eye(n)[:, :, None]
    change = (p.inertia[:, 1:] @ jnp.concatenate([cos * rate, -sin * rate]))[place]  # dM/dt
    product = w[row] * w[column] * np.where(row == column, 0.5, 1.0).astype(np.float32)[:, None]
    sines, cosines = jnp.split(p.inertia[:, 1:].T @ product, 2)
    bent = waves.T @ (sines * cos - cosines * sin) * scales.velocity[:, None]
    return matrix, bent - (change * w[None]).sum(1)


def _slope(form: Form, scales: Scales, p: Parameters, q: Float[Array, "n B"]) -> Float[Array, "n B"]:
    """dV/dq, scaled."""
    waves = harmonics(form.angles).astype(np.float32)
    phase, count = waves @ q, len(waves)
    sines, cosines = p.potential[:count, None], p.potential[count:, None]
    wave = waves.T @ (sines * jnp.cos(phase) - cosines * jnp.sin(phase))
    straight = ~np.array(form.angles)[:, None]
    spring = p.spring[:, None] * (q - scales.middle[:, None]) * straight / (scales.velocity * scales.time)[:, None]
    return wave * (scales.velocity / scales.velocity.mean())[:, None] + spring


def solve(matrix: Float[Array, "n n B"], right: Float[Array, "n B"]) -> Float[Array, "n B"]:
    """Gauss's elimination of symmetric matrices, pivots kept from falling below what an inertia may be."""
    n = len(right)
    rows, out = [list(row) for row in matrix], list(right)
    for i in range(n):
        rows[i][i] = jnp.maximum(rows[i][i], _LEAST_PIVOT)
        for j in range(i + 1, n):
            share = rows[j][i] / rows[i][i]
            out[j] -= share * out[i]
            rows[j][i:] = [a - share * b for a, b in zip(rows[j][i:], rows[i][i:], strict=True)]
    for i in reversed(range(n)):
        out[i] = (out[i] - sum(rows[i][j] * out[j] for j in range(i + 1, n))) / rows[i][i]
    return jnp.stack(out)

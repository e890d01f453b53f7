"""One step of the state space, its rollouts, and the starts from which they meet readings best."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import namespace
from worldmodel.types import Array

_BEND = 0.01  # how softly a ramp begins
_SHOTS = 15
_MOVE = 1e-6  # of a state, for differences


def _tanh(q: Array) -> Array:
    return namespace(q).tanh(q)


def _cube(q: Array) -> Array:
    return q * q * q


def _ramp(q: Array) -> Array:
    return (q + namespace(q).sqrt(q * q + _BEND)) / 2


ACTIVATIONS = {"tanh": _tanh, "cube": _cube, "ramp": _ramp}


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

    def split(self, by: Float[Array, "*b K"]) -> dict[str, Array]:
        """The parts of parameters, or of derivatives by them: views of the last axis, K >= P."""
        out, end = {}, 0
        for name, shape in self.parts.items():
            begin, end = end, end + int(np.prod(shape))
            out[name] = by[..., begin:end].reshape(*by.shape[:-1], *shape)
        return out

    def join(self, **parts: np.ndarray | float | Sequence) -> Float[np.ndarray, " P"]:
        """The inverse of `split`; numbers fill their part."""
        return np.concatenate([np.broadcast_to(parts[name], shape).ravel() for name, shape in self.parts.items()])


def advance(
    shape: Shape, parts: Mapping[str, Array], x: Float[Array, "*b S"], action: Float[Array, "*b A"]
) -> Float[Array, "*b S"]:
    """The next states, of numpy or JAX; what holds them within limits comes after it."""
    z = namespace(x).concatenate([x, action], -1)
    after = x + z @ parts["linear"] + parts["constant"]
    if not shape.units:
        return after
    return after + _active(shape, z @ parts["inner"] + parts["bias"]) @ parts["outer"]


def _active(shape: Shape, q: Float[Array, "*b U"]) -> Float[Array, "*b U"]:
    out, begin = [], 0
    for kind, same in itertools.groupby(shape.units):
        end = begin + len(list(same))
        out.append(ACTIVATIONS[kind](q[..., begin:end]))
        begin = end
    return namespace(q).concatenate(out, -1)


class Cell:
    """A state space with its parameters [P] and the limits [S] of its states."""

    def __init__(self, shape: Shape, flat: Float[np.ndarray, " P"], limit: Float[np.ndarray, " S"]) -> None:
        self.shape, self.limit = shape, limit
        self._parts = shape.split(flat)

    def rollout(
        self, start: Float[np.ndarray, "W S"], actions: Float[np.ndarray, "W N A"]
    ) -> Float[np.ndarray, "W T S"]:
        """States from the start on, T = N + 1."""
        states = [start]
        with np.errstate(over="ignore", invalid="ignore"):
            for action in np.swapaxes(actions, 0, 1):
                after = advance(self.shape, self._parts, states[-1], action)
                states.append(np.minimum(np.maximum(after, -self.limit), self.limit))
        return np.stack(states, 1)

    def by_start(
        self, start: Float[np.ndarray, "W S"], actions: Float[np.ndarray, "W N A"]
    ) -> tuple[Float[np.ndarray, "W T Y"], Float[np.ndarray, "W T Y S"]]:
        """Readings of a rollout, and by differences their derivatives by its start."""
        windows, states = start.shape
        moved = start + _MOVE * np.eye(states + 1, states, -1)[:, None]  # the first one is not
        paths = self.rollout(moved.reshape(-1, states), np.tile(actions, (states + 1, 1, 1)))
        paths = paths[..., : self.shape.readings].reshape(states + 1, windows, -1, self.shape.readings)
        return paths[0], np.moveaxis((paths[1:] - paths[0]) / _MOVE, 0, -1)


def shoot(
    cell: Cell,
    guess: Float[np.ndarray, "W S"],
    readings: Float[np.ndarray, "W T Y"],
    weight: Float[np.ndarray, "W T Y"],
    actions: Float[np.ndarray, "W N A"],
) -> Float[np.ndarray, "W S"]:
    """States at the first tick whose rollouts meet the readings best, by damped Gauss-Newton steps from a guess.

    `weight` is the inverse of a reading's standard error, 0 where there is none; the start lies about the guess by 1.
    """
    x, damping = guess, np.full(len(guess), 1e-3)
    cost = _cost(cell, x, guess, readings, weight, actions)
    for _ in range(_SHOTS):
        seen, by = cell.by_start(x, actions)
        by = (by * weight[..., None]).reshape(len(x), -1, x.shape[1])
        error = ((seen - readings) * weight).reshape(len(x), -1, 1)
        turned = np.swapaxes(by, 1, 2)
        gram = turned @ by + np.eye(x.shape[1])
        gradient = turned @ error + (x - guess)[..., None]
        damped = gram + damping[:, None, None] * gram * np.eye(x.shape[1])
        tried = x - np.linalg.solve(damped, gradient)[..., 0]
        new = _cost(cell, tried, guess, readings, weight, actions)
        better = new < cost
        done = np.where(better, new > 0.999 * cost, damping > 1e3).all()
        x, cost = np.where(better[:, None], tried, x), np.where(better, new, cost)
        damping = np.where(better, damping / 5, damping * 10)
        if done:
            break
    return x


def _cost(
    cell: Cell,
    x: Float[np.ndarray, "W S"],
    guess: Float[np.ndarray, "W S"],
    readings: Float[np.ndarray, "W T Y"],
    weight: Float[np.ndarray, "W T Y"],
    actions: Float[np.ndarray, "W N A"],
) -> Float[np.ndarray, " W"]:
    error = (cell.rollout(x, actions)[..., : cell.shape.readings] - readings) * weight
    cost = (error**2).sum((1, 2)) + ((x - guess) ** 2).sum(1)
    return np.where(np.isfinite(cost), cost, np.inf)

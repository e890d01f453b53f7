"""One step of the state space, its rollouts, and how they change with parameters and starts."""

import dataclasses
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_BEND = 0.01  # how softly a ramp begins
_SHOTS = 15


def _tanh(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    active = np.tanh(q)
    return active, 1 - active**2


def _ramp(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    root = np.sqrt(q**2 + _BEND)
    return (q + root) / 2, (1 + q / root) / 2


# Values and derivatives.
ACTIVATIONS = {"tanh": _tanh, "cube": lambda q: (q**3, 3 * q**2), "ramp": _ramp}


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

    @cached_property
    def groups(self) -> dict[str, np.ndarray]:
        """Which units have each activation."""
        return {kind: np.flatnonzero([kind == k for k in self.units]) for kind in dict.fromkeys(self.units)}

    def split(self, by: Float[np.ndarray, "*b K"]) -> dict[str, np.ndarray]:
        """The parts of parameters, or of derivatives by them: views of the last axis, K >= P."""
        out, end = {}, 0
        for name, shape in self.parts.items():
            begin, end = end, end + int(np.prod(shape))
            out[name] = by[..., begin:end].reshape(*by.shape[:-1], *shape)
        return out

    def join(self, **parts: np.ndarray | float) -> Float[np.ndarray, " P"]:
        """The inverse of `split`; numbers fill their part."""
        return np.concatenate([np.broadcast_to(parts[name], shape).ravel() for name, shape in self.parts.items()])


class _Steps(NamedTuple):
    """One step of W windows, and what its derivatives are made of.

    Attributes:
        z: [W, Z] states and actions.
        active, slope: [W, U] the units, and their derivatives by what goes into them.
        free: bool [W, S] states that the limits did not hold back.
        after: [W, S] the next states.
    """

    z: np.ndarray
    active: np.ndarray
    slope: np.ndarray
    free: np.ndarray
    after: np.ndarray


class Cell:
    """A state space with its parameters [P] and the limits [S] of its states."""

    def __init__(self, shape: Shape, flat: Float[np.ndarray, " P"], limit: Float[np.ndarray, " S"]) -> None:
        self.shape, self.limit = shape, limit
        self._linear, self._constant, self._inner, self._bias, self._outer = shape.split(flat).values()

    def rollout(self, start: Float[np.ndarray, "W S"], actions: Float[np.ndarray, "W N A"]) -> np.ndarray:
        """States [W, N + 1, S] from the start on."""
        states = [start]
        with np.errstate(over="ignore", invalid="ignore"):
            for action in np.swapaxes(actions, 0, 1):
                states.append(self._step(states[-1], action).after)
        return np.stack(states, 1)

    def sensitivity(
        self, start: Float[np.ndarray, "W S"], actions: Float[np.ndarray, "W N A"], parameters: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Readings [W, N + 1, Y] of a rollout, and their derivatives [W, N + 1, Y, K].

        These are by the parameters, where asked, and by the start: K = P + S or S.
        """
        size, readings = self.shape.size if parameters else 0, self.shape.readings
        by = np.zeros((len(start), self.shape.states, size + self.shape.states))
        by[..., size:] = np.eye(self.shape.states)
        states, derivatives = [start], [by[:, :readings]]
        for action in np.swapaxes(actions, 0, 1):
            step = self._step(states[-1], action)
            by = self._by_state(step) @ by
            if parameters:
                self._add_by_parameters(by, step)
            by *= step.free[..., None]
            states.append(step.after)
            derivatives.append(by[:, :readings])
        return np.stack(states, 1)[..., :readings], np.stack(derivatives, 1)

    def _step(self, x: Float[np.ndarray, "W S"], action: Float[np.ndarray, "W A"]) -> _Steps:
        z = np.concatenate([x, action], 1)
        active, slope = self._units(z @ self._inner + self._bias)
        after = x + z @ self._linear + self._constant + active @ self._outer
        return _Steps(z, active, slope, np.abs(after) < self.limit, np.clip(after, -self.limit, self.limit))

    def _units(self, q: Float[np.ndarray, "W U"]) -> tuple[np.ndarray, np.ndarray]:
        active, slope = np.empty_like(q), np.empty_like(q)
        for kind, units in self.shape.groups.items():
            active[:, units], slope[:, units] = ACTIVATIONS[kind](q[:, units])
        return active, slope

    def _by_state(self, step: _Steps) -> Float[np.ndarray, "W S S"]:
        s = self.shape.states
        through_units = (self._outer.T * step.slope[:, None]) @ self._inner[:s].T
        return np.eye(s) + self._linear[:s].T + through_units

    def _add_by_parameters(self, by: Float[np.ndarray, "W S K"], step: _Steps) -> None:
        """Adds, in place, how the step itself depends on each parameter."""
        parts = self.shape.split(by)
        to_bias = self._outer.T * step.slope[:, None]  # [W, S, U]
        own = np.einsum("wszs->wsz", parts["linear"])  # views of the diagonals: a column moves its own state alone
        own += step.z[:, None]
        own = np.einsum("wss->ws", parts["constant"])
        own += 1
        own = np.einsum("wsus->wsu", parts["outer"])
        own += step.active[:, None]
        parts["bias"] += to_bias
        parts["inner"] += step.z[:, None, :, None] * to_bias[:, :, None]


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
        seen, by = cell.sensitivity(x, actions, parameters=False)
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


def _cost(cell: Cell, x, guess, readings, weight, actions) -> Float[np.ndarray, " W"]:
    error = (cell.rollout(x, actions)[..., : cell.shape.readings] - readings) * weight
    cost = (error**2).sum((1, 2)) + ((x - guess) ** 2).sum(1)
    return np.where(np.isfinite(cost), cost, np.inf)

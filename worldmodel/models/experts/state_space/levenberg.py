"""Least squares on the simulation error of whole windows, by Levenberg and Marquardt (Marquardt 1963)."""

import dataclasses
import functools
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from worldmodel.models.experts.state_space.cell import Shape
from worldmodel.models.experts.state_space.rollouts import derived, simulated
from worldmodel.models.experts.state_space.traces import Traces

_START = 1e-6  # ridge of the steps of starts, of a mean squared error
_DONE, _IDLE = 1e-3, 4  # so many steps that gain less, relatively, are the last


@dataclasses.dataclass
class Problem:
    """What is minimised: the mean squared error of rollouts, and `ridge` times squared departures from `prior`.

    The weight of every reading sums to 1. Only parameters that are `free`, 1 and not 0, move.
    """

    shape: Shape
    limit: Float[np.ndarray, " S"]
    traces: Traces
    weight: Float[np.ndarray, "W T Y"]
    prior: Float[np.ndarray, " P"]
    ridge: Float[np.ndarray, " P"]
    free: Num[np.ndarray, " P"]

    def cost(self, flat: Float[np.ndarray, " P"], start: Float[np.ndarray, "W S"]) -> float:
        """Infinite where a rollout is no number."""
        seen = np.moveaxis(np.asarray(simulated(*self._asked(flat, start)), float), -1, 0)
        cost = float((self.weight * (seen - self.traces.readings) ** 2).sum() + self.ridge @ (flat - self.prior) ** 2)
        return cost if np.isfinite(cost) else np.inf

    def normal(self, flat: Float[np.ndarray, " P"], start: Float[np.ndarray, "W S"]) -> "Normal":
        """The normal equations at parameters and starts."""
        seen, by = (np.asarray(x, float) for x in derived(*self._asked(flat, start)))
        seen, by = np.moveaxis(seen, -1, 0), np.moveaxis(by, -1, 0)
        root = np.sqrt(self.weight).reshape(len(start), -1, 1)
        error = root[..., 0] * (seen - self.traces.readings).reshape(len(start), -1)
        by = root * by.reshape(*root.shape[:2], -1)
        by_flat, by_start = by[..., : self.shape.size] * self.free, by[..., self.shape.size :]
        rows = by_flat.reshape(-1, self.shape.size)
        turned = np.swapaxes(by_start, 1, 2)
        return Normal(
            rows.T @ rows + np.diag(self.ridge),
            turned @ by_flat,
            turned @ by_start,
            rows.T @ error.ravel() + self.ridge * (flat - self.prior),
            (turned @ error[..., None])[..., 0],
        )

    def _asked(self, flat: np.ndarray, start: np.ndarray) -> tuple[Any, ...]:
        return self.shape, *(np.asarray(x, np.float32) for x in (flat, self.limit, start.T, self._actions))

    @functools.cached_property
    def _actions(self) -> Float[np.ndarray, "N A W"]:
        return np.asarray(np.moveaxis(self.traces.actions, 0, -1), np.float32)


@dataclasses.dataclass
class Normal:
    """Normal equations in blocks: parameters, starts by parameters, starts; gradients."""

    flat: Float[np.ndarray, "P P"]
    cross: Float[np.ndarray, "W S P"]
    start: Float[np.ndarray, "W S S"]
    flat_gradient: Float[np.ndarray, " P"]
    start_gradient: Float[np.ndarray, "W S"]

    def solve(self, damping: float) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, "W S"]]:
        """What to subtract; the starts are eliminated window by window (Schur complement)."""
        states = np.arange(self.start.shape[-1])
        start = self.start.copy()
        start[:, states, states] += damping * start[:, states, states] + _START / len(start)
        inverse = np.linalg.inv(start)
        flat = self.flat + np.diag(damping * np.diag(self.flat) + 1e-12)
        pulled = np.swapaxes(inverse @ self.cross, 1, 2)  # [W, P, S]
        reduced = flat - np.einsum("wps,wsq->pq", pulled, self.cross, optimize=True)
        gradient = self.flat_gradient - np.einsum("wps,ws->p", pulled, self.start_gradient)
        move = np.linalg.lstsq(reduced, gradient, rcond=1e-13)[0]
        return move, np.einsum("wst,wt->ws", inverse, self.start_gradient - self.cross @ move)


def minimise(
    problem: Problem, flat: Float[np.ndarray, " P"], start: Float[np.ndarray, "W S"], steps: int
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, "W S"]]:
    """Parameters, and starts of each window, from given ones on."""
    damping, idle = 1e-3, 0
    cost = problem.cost(flat, start)
    for _ in range(steps):
        normal = problem.normal(flat, start)
        for _ in range(8):
            move, moves = normal.solve(damping)
            new = problem.cost(flat - move, start - moves)
            if new < cost:
                break
            damping *= 6
        else:
            break
        flat, start, damping = flat - move, start - moves, max(damping / 6, 1e-9)
        idle = 0 if new < (1 - _DONE) * cost else idle + 1
        cost = new
        if idle == _IDLE:
            break
    return flat, start

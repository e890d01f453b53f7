"""Fits numbers of a scene by shooting through windows: Gauss-Newton on simulated readings, each window's start free.

The windows' starts have an arrow structure and are eliminated. Readings weigh by the inverse of the error that is now
made at their moment and column, so that neither the first instant nor the far end drowns the other.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate.identification.parameters import Machine, Parameters
from worldmodel.simulate.identification.windows import Windows

_EPS, _EPS_START = 1e-4, 0.3  # steps of finite differences: in plausible errors of a number, in those of a start
_WORTH = 2.0  # independent numbers that one column of a whole window is worth: neighbours err alike
_LARGEST = 3.0  # a step in plausible errors; also the error, in usual ones, beyond which a window counts less
_TELLS = 1e-4  # what a number must tell, beside the prior's 1, to be tried on in this stage
_STANDS_OUT = 5.0  # a window's derivative over that of most windows, beyond which it may be a jump
_LEAST = 1e-12  # against division by nothing
_TRIES, _ENOUGH = 6, 1e-3  # steps that are tried before it ends, and the share of the cost that is worth going on for


class Fit(NamedTuple):
    """What was found.

    Attributes:
        z: [P] coordinates of the parameters.
        covariance: [P, P] of them.
        share: [P] how much of each the data decided: 1 less the posterior's variance over the prior's.
        unstable: how many windows were left out in the last step because a simulation of theirs became unstable.
        optimism: how many times as large the squared error of a recording is that is left out of the fit.
    """

    z: np.ndarray
    covariance: np.ndarray
    share: np.ndarray
    unstable: int
    optimism: float = 1.0


class _Linear(NamedTuple):
    """The problem about a point: gradient and curvature once starts are eliminated."""

    gradient: np.ndarray
    curvature: np.ndarray
    start_step: Callable[[np.ndarray], np.ndarray]  # of the starts [W, F], for a step of the parameters
    by_window: np.ndarray  # [W, P] each one's part of the gradient
    curvatures: np.ndarray  # [W, P, P] and of the curvature
    squared: np.ndarray  # [W] and of the squared error that is left
    used: np.ndarray  # bool [W]
    weights: np.ndarray  # [W, R]


def fit(
    parameters: Parameters, windows: Windows, z: np.ndarray, *, share: float, iterations: int, go_on: Callable[[], bool]
) -> Fit:
    """Fits parameters on windows, from z [P].

    Args:
        parameters: of the scene.
        windows: to shoot through.
        z: where to begin.
        share: of the longest windows that these are.
        iterations: at most.
        go_on: is called after each, and ends it where it says no.

    Raises:
        SceneError: if most of the windows are unstable where it begins.
    """
    shooting = _Shooting(parameters, windows, share)
    moved, damping = np.zeros((len(windows), len(windows.begin.std))), 1e-3
    active = np.ones(len(parameters), bool)
    for _ in range(iterations):
        linear = shooting.linear(z, moved, active)
        if active.all():
            told = np.diag(linear.curvature)
            active = told > _TELLS
        before, done = shooting.cost(z, moved, linear), False
        for _ in range(_TRIES):
            step = _step(linear, z, active, parameters.least, damping)
            trial = np.maximum(z + step, parameters.least)
            starts = moved + linear.start_step(trial - z)
            after = shooting.cost(trial, starts, linear)
            if after < before:
                done = True
                break
            damping *= 8
        if done:
            z, moved, damping = trial, starts, max(damping / 5, 1e-6)
        if not go_on() or not done or before - after < _ENOUGH * before:
            break
    linear = shooting.linear(z, moved, np.ones(len(parameters), bool))
    return _fit_of(linear, z, windows)


def _step(linear: _Linear, z: np.ndarray, active: np.ndarray, least: np.ndarray, damping: float) -> np.ndarray:
    """A damped Gauss-Newton step [P] of what is active and not held by its bound."""
    curvature = linear.curvature + np.eye(len(z))
    gradient = linear.gradient + z
    free = active & ~((z <= least + 1e-12) & (gradient > 0))
    damped = curvature + damping * np.diag(np.diag(curvature))
    step = np.zeros(len(z))
    step[free] = -np.linalg.solve(damped[np.ix_(free, free)], gradient[free])
    return np.clip(step, -_LARGEST, _LARGEST)


def _fit_of(linear: _Linear, z: np.ndarray, windows: Windows) -> Fit:
    """With a covariance by leaving out one recording after the other (a jackknife, of one step each).

    Errors of neighbouring readings and windows are alike, and no weight knows how much; recordings are independent.
    Beside it stands what the prior is unsure of, so that what cannot be told apart stays so. The same steps tell how
    much larger the error of each recording is without it, of which the geometric mean is told.
    """
    own = np.eye(len(z))
    inverse = np.linalg.inv(linear.curvature + own)
    left_out, grown = [], []
    for group in _groups(windows):
        slope, curvature, squared = (x[group].sum(0) for x in (linear.by_window, linear.curvatures, linear.squared))
        without = np.linalg.solve(linear.curvature - curvature + own, slope)
        left_out.append(without)
        more = 2 * slope @ without + without @ curvature @ without
        grown.append(np.log1p(max(more, 0.0) / max(squared, _LEAST)))
    off = np.stack(left_out) - np.mean(left_out, 0)
    covariance = (len(off) - 1) / len(off) * off.T @ off + inverse @ inverse
    share, optimism = np.clip(1 - np.diag(inverse), 0, 1), float(np.exp(np.mean(grown)))
    return Fit(z, covariance, share, int((~linear.used).sum()), optimism)


def _groups(windows: Windows) -> list[np.ndarray]:
    """Windows of each recording, or of a quarter of each where there are fewer than four."""
    indices = [np.flatnonzero(windows.starts[:, 0] == i) for i in np.unique(windows.starts[:, 0])]
    if len(indices) >= 4:
        return indices
    return [part for rows in indices for part in np.array_split(rows, 4) if len(part)]


def _norm(slope: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[W] the size of a derivative [W, R] as the fit sees it."""
    return np.sqrt((np.where(weights > 0, slope * weights, 0.0) ** 2).sum(1))


class _Shooting:
    """Windows, and what simulations of them cost."""

    def __init__(self, parameters: Parameters, windows: Windows, share: float) -> None:
        self.parameters, self.windows = parameters, windows
        self._worth = _WORTH * windows.columns * min(share, 1.0)
        self._eps = _EPS_START * windows.begin.std

    def errors(self, machine: Machine, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[W, R], and which windows stayed finite."""
        predicted, sound = self.windows.predict(machine, moved)
        return self.windows.errors(predicted), sound

    def linear(self, z: np.ndarray, moved: np.ndarray, active: np.ndarray) -> _Linear:
        """Finite differences about z [P] and starts [W, F], of what is active."""
        here = self.parameters.machine(z)
        error, used = self.errors(here, moved)
        self._check(used)
        weights = self._weights(error, used)
        by_number = np.zeros((len(z), *error.shape))
        for i in np.flatnonzero(active):
            by_number[i], sound = self._slope(z, int(i), moved, error, weights)
            used = used & sound
        by_start = np.zeros((moved.shape[1], *error.shape))
        for i in np.arange(moved.shape[1]):
            other, sound = self.errors(here, moved + self._eps * (np.arange(moved.shape[1]) == i))
            by_start[i], used = (other - error) / self._eps[i], used & sound
        return self._eliminated(error, by_number, by_start, moved, np.where(used[:, None], weights, 0.0), used)

    def _slope(
        self, z: np.ndarray, i: int, moved: np.ndarray, error: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The derivative [W, R] by number i, and which windows stayed finite.

        Where a contact comes or goes within the step, errors jump, which looks like a derivative of any size. So
        windows that stand out are tried the other way, too, and the smaller derivative counts.
        """
        unit = (np.arange(len(z)) == i) * 1.0
        other, sound = self.errors(self.parameters.machine(z + _EPS * unit), moved)
        slope = (other - error) / _EPS
        size = _norm(slope, weights)
        rows = np.flatnonzero((size > _STANDS_OUT * np.quantile(size, 0.75)) & sound & (size > 0))
        if len(rows):
            step = -_EPS if z[i] - _EPS >= self.parameters.least[i] else _EPS / 8
            part = self.windows.take(rows)
            again, fine = part.predict(self.parameters.machine(z + step * unit), moved[rows])
            second = (part.errors(again) - error[rows]) / step
            better = fine & (_norm(second, weights[rows]) < size[rows])
            slope[rows[better]] = second[better]
        return slope, sound

    def _weights(self, error: np.ndarray, used: np.ndarray) -> np.ndarray:
        """[W, R] of each number: 0 where unknown."""
        there = used[:, None] & np.isfinite(error)
        squared = np.where(there, error**2, 0.0)
        count = np.maximum(there.sum(0), 1)
        usual = np.sqrt(np.maximum(squared.sum(0) / count, np.maximum(self.windows.noise, 1e-9) ** 2))
        size = np.sqrt((squared / usual**2).sum(1) / np.maximum(there.sum(1), 1))
        robust = np.minimum(1, _LARGEST / np.maximum(size, 1e-9))
        scale = robust * self._worth / np.maximum(there.sum(1), 1)
        return np.where(there, np.sqrt(scale)[:, None] / usual, 0.0)

    def _eliminated(
        self,
        error: np.ndarray,
        by_number: np.ndarray,
        by_start: np.ndarray,
        moved: np.ndarray,
        weights: np.ndarray,
        used: np.ndarray,
    ) -> _Linear:
        zero = np.where(weights > 0, error, 0.0) * weights
        jacobian = np.where(weights > 0, by_number, 0.0) * weights
        starts = np.where(weights > 0, by_start, 0.0) * weights
        prior = self._start_prior()
        each = np.einsum("awr,bwr->wab", starts, starts) + np.diag(prior)
        pull = np.einsum("awr,wr->wa", starts, zero) + moved * prior
        cross = np.einsum("awr,pwr->wap", starts, jacobian)
        inverse = np.linalg.inv(each)
        by_window = np.einsum("pwr,wr->wp", jacobian, zero) - np.einsum("wap,wab,wb->wp", cross, inverse, pull)
        squared = (zero**2).sum(1) + (moved**2 * prior).sum(1) - np.einsum("wa,wab,wb->w", pull, inverse, pull)
        beside = jacobian.transpose(1, 0, 2)
        curvatures = beside @ beside.transpose(0, 2, 1) - cross.transpose(0, 2, 1) @ inverse @ cross

        def start_step(step: np.ndarray) -> np.ndarray:
            return -np.einsum("wab,wb->wa", inverse, pull + np.einsum("wap,p->wa", cross, step))

        return _Linear(by_window.sum(0), curvatures.sum(0), start_step, by_window, curvatures, squared, used, weights)

    def _start_prior(self) -> np.ndarray:
        """[F] the precision of starts, which is worth as much less as readings of a whole window are."""
        return self._worth / len(self.windows.noise) / np.maximum(self.windows.begin.std, 1e-12) ** 2

    def cost(self, z: np.ndarray, moved: np.ndarray, linear: _Linear) -> float:
        """By the weights of the linear problem; infinite where a window that it used becomes unstable."""
        error, sound = self.errors(self.parameters.machine(z), moved)
        if (linear.used & ~sound).any():
            return np.inf
        left = np.where(linear.weights > 0, error, 0.0) * linear.weights
        starts = (moved[linear.used] ** 2 * self._start_prior()).sum()
        return float(0.5 * (left**2).sum() + 0.5 * starts + 0.5 * (z**2).sum())

    def _check(self, used: np.ndarray) -> None:
        if used.mean() < 0.5:
            first = self.windows.starts[int(np.argmin(used))]
            raise SceneError(
                f"The simulation of {self.windows.world.scene.name} became unstable.",
                expected="finite states in most of the windows",
                found=f"{(~used).sum()} of {len(used)} unstable, the first at {first[1]:.2f} s of "
                f"{self.windows.recordings[int(first[0])].name}",
                remedy="use a smaller timestep in the MJCF model, or less wrong masses",
            )

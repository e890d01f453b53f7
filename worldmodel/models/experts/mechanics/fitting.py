"""Levenberg-Marquardt on rollouts, and automatic relevance: what the data do not ask for goes to zero."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from worldmodel.compiled import jit_on_processor
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.experts.mechanics.model import TAPS, Form, Scales, parameters, rollout, size
from worldmodel.models.experts.mechanics.start import single
from worldmodel.types import Array

_RIDGE, _INERTIA = 1e-3, 1e-2
_GAIN = 0.1  # on the gains of named actions, which are torques or forces already
_FREE = 1e-6  # on the constants of the inertia, which are the unit of everything: never pruned
_INFORMATION = 100  # independent windows that the rollouts are taken to be worth, for they overlap
_LEAST, _MOST = 1e-4, 1e2  # ridge that relevance may choose
_COMPARED = 12  # ticks of a rollout
_OUTLIER = 3.0  # times the usual error of the first model


class Rollouts(NamedTuple):
    """Windows with what is compared, the last axis theirs, in single precision.

    Attributes:
        start: [2n, B].
        acted: [T, A, B].
        came, age: [h, 2n, B] at the ticks that are compared.
        weight: [h, 2n, B], 0 where nothing came.
    """

    start: np.ndarray
    acted: np.ndarray
    came: np.ndarray
    age: np.ndarray
    weight: np.ndarray


def compared(horizon: int) -> tuple[int, ...]:
    """Indices of the ticks of a rollout that are compared, denser near by."""
    return tuple(int(i) for i in np.unique(np.round(np.geomspace(1, horizon, _COMPARED)).astype(int)) - 1)


def first_ridge(form: Form) -> Float[np.ndarray, " P"]:
    """Ridge of each parameter before relevance is looked at."""
    flat = np.full(size(form), _RIDGE)
    parts = parameters(form, flat)  # which look into it
    parts.inertia[:], parts.inertia[:, 0] = _INERTIA, _FREE
    parts.spring[np.array(form.angles)] = _MOST
    if form.named:
        parts.push[:] = _GAIN
    return flat


def errors(form: Form, scales: Scales, flat: Float[np.ndarray, " P"], data: Rollouts) -> Float[np.ndarray, "h S B"]:
    """Rollouts less what came, in standard deviations; 0 where nothing came."""
    even = data._replace(weight=single((data.weight > 0) / scales.spread[None, :, None]))
    return np.asarray(_residuals(form, _ticks(data), single(flat), scales, even), float).reshape(data.came.shape)


def weigh(form: Form, scales: Scales, flat: Float[np.ndarray, " P"], data: Rollouts) -> Rollouts:
    """Weights by which every tick counts the same, at the error that `flat` has, and outliers less."""
    mask = data.weight > 0
    missed = errors(form, scales, flat, data)
    usual = np.sqrt((missed**2).sum(-1) / np.maximum(mask.sum(-1), 1)) + 1e-12
    read = mask.any((0, 2))
    by_tick = np.maximum(np.sqrt((usual[:, read] ** 2).sum(1) / max(read.sum(), 1)), 1e-3)[:, None, None]
    outlier = np.minimum(1, _OUTLIER * usual[..., None] / np.maximum(abs(missed), 1e-12)) ** 0.5
    return data._replace(weight=single(mask * outlier / by_tick / scales.spread[None, :, None]))


def settle(
    form: Form, scales: Scales, flat: Float[np.ndarray, " P"], ridge: Float[np.ndarray, " P"],
    data: Rollouts, rounds: int, allowance: Allowance = UNLIMITED,
) -> Float[np.ndarray, " P"]:  # fmt: skip
    """The least mean square of weighted errors and ridge, from `flat` (Levenberg 1944, Marquardt 1963)."""
    damping, least = 1e-2, _cost(form, scales, flat, ridge, data)
    for _ in range(rounds):
        if allowance.is_over:
            break
        curvature, slope, _ = _normal(form, scales, flat, data)
        hessian, gradient = curvature + np.diag(ridge), slope + ridge * flat
        scale = np.diag(np.diag(hessian) + 1e-8)
        for harder in damping * 5.0 ** np.arange(6):
            step = flat - np.linalg.solve(hessian + harder * scale, gradient)
            cost = _cost(form, scales, step, ridge, data)
            if cost < least:  # never for one that is not finite
                break
        else:
            return flat
        gain, flat, least, damping = 1 - cost / least, step, cost, max(harder / 4, 1e-6)
        if gain < 1e-4:
            break
    return flat


def relevance(
    form: Form, scales: Scales, flat: Float[np.ndarray, " P"], ridge: Float[np.ndarray, " P"], data: Rollouts
) -> Float[np.ndarray, " P"]:
    """Ridge by which each parameter is as large as it is (MacKay 1992, doi 10.1162/neco.1992.4.3.415).

    A parameter that the data say little of, or say is small, gets a large one, and goes.
    """
    curvature, _, square = _normal(form, scales, flat, data)
    precision = ridge * _INFORMATION / square
    covariance = np.linalg.inv(_INFORMATION / square * curvature + np.diag(precision))
    known = np.clip(1 - precision * np.diag(covariance), 1e-3, 1)
    found = np.clip(known / np.maximum(flat**2, 1e-12) * square / _INFORMATION, _LEAST, _MOST)
    return np.where((ridge <= _FREE) | (ridge >= _MOST), ridge, found)


def _normal(
    form: Form, scales: Scales, flat: Float[np.ndarray, " P"], data: Rollouts
) -> tuple[Float[np.ndarray, "P P"], Float[np.ndarray, " P"], float]:
    """Curvature and slope of half the mean squared residual, and that mean."""
    ticks = _ticks(data)
    jacobian = np.asarray(_jacobian(form, ticks, single(flat), scales, data), float)
    residuals = np.asarray(_residuals(form, ticks, single(flat), scales, data), float)
    count = len(residuals)
    return jacobian.T @ jacobian / count, jacobian.T @ residuals / count, float((residuals**2).mean())


def _cost(
    form: Form, scales: Scales, flat: Float[np.ndarray, " P"], ridge: Float[np.ndarray, " P"], data: Rollouts
) -> float:
    residuals = np.asarray(_residuals(form, _ticks(data), single(flat), scales, data), float)
    return float((residuals**2).mean() + (ridge * flat**2).sum())


def _ticks(data: Rollouts) -> tuple[int, ...]:
    return compared(len(data.acted) - TAPS + 1)


def _missed(
    form: Form, ticks: tuple[int, ...], flat: Float[Array, " P"], scales: Scales, data: Rollouts
) -> Float[Array, " N"]:
    """Weighted errors of rollouts at the times of the samples that came."""
    path = rollout(form, scales, parameters(form, flat), data.start, data.acted)
    path = jnp.concatenate([jnp.asarray(data.start)[None], path])
    at = np.array(ticks)
    there = path[at + 1] + jnp.clip(data.age, 0, 1) * (path[at] - path[at + 1])
    return ((there - data.came) * data.weight).ravel()


_residuals = jit_on_processor(_missed, static_argnums=(0, 1))
_jacobian = jit_on_processor(jax.jacfwd(_missed, argnums=2), static_argnums=(0, 1))

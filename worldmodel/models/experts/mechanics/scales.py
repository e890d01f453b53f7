"""Sizes of things, so that parameters are of order one whatever the units."""

import numpy as np
from jaxtyping import Float

from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.mechanics.model import Scales
from worldmodel.models.experts.mechanics.start import polynomial
from worldmodel.models.experts.mechanics.track import Came, Track, noise_of

_APART = 5  # ticks between the velocities whose difference is an acceleration
_RIDGE = 1e-3  # of normalised inputs
_STILL = 1e-9  # of a velocity, by which one that stands still changes in a tick: it tells no time
_LEAST_NOISE = 1e-5  # of a column's standard deviation
_LEAST_PUSH = 0.05  # of the usual size of what actions do, where their mean is next to nothing


def measure(track: Track, came: Came, drives: Float[np.ndarray, "n A"] | None, lens: Lens) -> Scales:
    """Scales of windows; `drives` says which action drives which coordinate, None that any may drive any."""
    n, dt = len(track.samples) // 2, np.float64(lens.layout.dt)
    read, values = np.asarray(came.mask.any((0, 1))), np.where(came.mask, came.value, np.nan)
    spread, middle = np.zeros(2 * n), np.zeros(2 * n)
    spread[read], middle[read] = (of(values[..., read], axis=(0, 1)) for of in (np.nanstd, np.nanmean))
    spread[n:] = np.where(read[n:], spread[n:], _speeds(track, dt).std(0))
    spread = np.where(spread > 0, spread, 1.0)
    noise = np.maximum([noise_of(samples) for samples in track.samples], _LEAST_NOISE * spread)
    velocity, blank = spread[n:], np.zeros((n, track.acted.shape[-1]))
    scales = Scales(dt, velocity, dt, blank, middle[:n], noise, spread)
    states, acted, change = _accelerations(track, scales)
    changes = change.std(0)
    moves = changes > _STILL * velocity / dt
    time = np.mean(velocity[moves] / changes[moves]) if moves.any() else dt
    push = _pushes(states, acted, change) * (time / velocity)[:, None]
    if drives is not None:
        push = _named(push, drives * velocity[:, None] * lens.action_std)
    return scales._replace(time=np.float64(time), push=push)


def _speeds(track: Track, dt: np.float64) -> Float[np.ndarray, "B n"]:
    """Mean derivatives of the coordinates over the last ticks."""
    apart = min(_APART, track.ticks - 1)
    way = track.seen[:, -1] - track.seen[:, -1 - apart]
    return way[:, : way.shape[1] // 2] / (apart * dt)


def _accelerations(
    track: Track, scales: Scales
) -> tuple[Float[np.ndarray, "B S"], Float[np.ndarray, "B A"], Float[np.ndarray, "B n"]]:
    """States some ticks before the last, mean actions from there to it, and accelerations."""
    n, last = len(scales.velocity), track.ticks - 1
    apart = min(_APART, last)
    before, after = (polynomial(track, tick, scales) for tick in (last - apart, last))
    acted = track.acted[:, last - apart : last].mean(1)
    return before, acted, (after - before)[:, n:] / (apart * scales.dt)


def _pushes(
    states: Float[np.ndarray, "B S"], acted: Float[np.ndarray, "B A"], change: Float[np.ndarray, "B n"]
) -> Float[np.ndarray, "n A"]:
    """Accelerations that a unit of each action makes, by a ridge on the state and the actions."""
    inputs = np.concatenate([states, acted], 1)
    middle, deviation = inputs.mean(0), inputs.std(0)
    inputs = (inputs - middle) / np.where(deviation > 1e-12, deviation, 1)
    gram = inputs.T @ inputs / len(inputs) + _RIDGE * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (change - change.mean(0)) / len(inputs))
    return (weights / np.where(deviation > 1e-12, deviation, 1)[:, None])[states.shape[1] :].T


def _named(push: Float[np.ndarray, "n A"], unit: Float[np.ndarray, "n A"]) -> Float[np.ndarray, "n A"]:
    """One size for all actions: each is the force on its coordinate, in one unit."""
    sizes = push[unit != 0] / unit[unit != 0]
    mean, usual = sizes.mean(), abs(sizes).mean()
    return unit * np.where(abs(mean) > _LEAST_PUSH * usual, mean, _LEAST_PUSH * usual)

"""Random actions that visit the whole range of what can be commanded."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from worldmodel.simulate.scene import Excitation


def random_actions(excitation: Excitation, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Actions [M, A] at uniform times [M] in seconds: each column approaches targets of its own."""
    span = times[-1] - times[0]
    columns = []
    for low, high in zip(excitation.low, excitation.high, strict=True):
        count = int(span / excitation.hold_s[0]) + 2
        changes = times[0] + np.cumsum(rng.uniform(*excitation.hold_s, size=count))
        targets = rng.uniform(low, high, size=count + 1)
        columns.append(_approach(targets[np.searchsorted(changes, times, side="right")], times, excitation.smooth_s))
    return np.stack(columns, -1)


def of_episode(excitation: Excitation, rng: np.random.Generator) -> Excitation:
    """The excitation of one episode: its range narrowed by an amplitude of the episode's own."""
    factor = np.exp(rng.uniform(*np.log(excitation.amplitude)))
    middle, half = (excitation.high + excitation.low) / 2, (excitation.high - excitation.low) / 2
    return dataclasses.replace(excitation, low=middle - factor * half, high=middle + factor * half)


def _held_longer(excitation: Excitation, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Targets of the same kind that hold four times as long."""
    low, high = excitation.hold_s
    return random_actions(dataclasses.replace(excitation, hold_s=(4 * low, 4 * high)), times, rng)


def _sinusoids(excitation: Excitation, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each column swings over its whole range, with a period of two to eight mean holds."""
    hold, count = float(np.mean(excitation.hold_s)), len(excitation.low)
    period, phase = hold * rng.uniform(2, 8, count), rng.uniform(0, 2 * np.pi, count)
    middle, half = (excitation.high + excitation.low) / 2, (excitation.high - excitation.low) / 2
    return middle + half * np.sin(2 * np.pi * times[:, None] / period + phase)


def _bang_bang(excitation: Excitation, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each column jumps between its ends, at times as far apart as the holds."""
    steps = random_actions(dataclasses.replace(excitation, smooth_s=0.0), times, rng)
    return np.where(steps > (excitation.low + excitation.high) / 2, excitation.high, excitation.low)


BEHAVIOURS: Mapping[str, Callable[[Excitation, np.ndarray, np.random.Generator], np.ndarray]] = MappingProxyType(
    {
        "as in training": random_actions,
        "held four times as long": _held_longer,
        "sinusoids": _sinusoids,
        "bang-bang over the full range": _bang_bang,
    }
)


def _approach(targets: np.ndarray, times: np.ndarray, smooth_s: float) -> np.ndarray:
    """First-order lag towards targets [M]."""
    if smooth_s == 0 or len(times) < 2:
        return targets
    share = 1 - np.exp(-(times[1] - times[0]) / smooth_s)
    values = np.empty_like(targets)
    value = targets[0]
    for i, target in enumerate(targets):
        value += share * (target - value)
        values[i] = value
    return values

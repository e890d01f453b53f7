"""Random actions that visit the whole range of what can be commanded."""

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

"""How much wider members must be spread for their intervals to hold what they say, measured where truth is known."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

LEVEL = 0.9


def central_interval(members: np.ndarray, level: float) -> np.ndarray:
    """The ends [2, B, ...] of the central interval of members [B, K, ...].

    Weibull's quantiles: members drawn as the truth is hold it as often as `level` says, whatever their number. NumPy's
    usual ones would hold 85 % of it at 90 % with 32 members.
    """
    return np.quantile(members, [(1 - level) / 2, (1 + level) / 2], axis=1, method="weibull")


def conformal_level(count: int) -> float:
    """The level at which the quantile of `count` scores is that of the next one at `LEVEL`, if they are exchangeable.

    It is ceil((count + 1) LEVEL) / count; of fewer than nine scores no quantile is wide enough, and the widest is it.
    """
    return min(math.ceil((count + 1) * LEVEL) / count, 1.0)


def doubling(horizon: int) -> Iterator[tuple[int, int]]:
    """The first tick, and the one after the last, of horizons that double."""
    return itertools.pairwise([0, *(2**i for i in range(20) if 2**i < horizon), horizon])

"""How wrong earlier futures were, now that what came of them is known."""

import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from worldmodel.explore.fans import at_times, by_unit
from worldmodel.types import Samples, StreamSpec

_COUNTED = 60  # futures, the newest, that are averaged over


class Outcomes:
    """Compares the means of futures with what was read later, each up to where its commands were given up.

    Args:
        specs: the streams that are read, by name.
    """

    def __init__(self, specs: Mapping[str, StreamSpec]) -> None:
        self._specs = specs
        self._open: deque[tuple[Mapping[str, Samples], list[float]]] = deque()
        self._found: dict[str, deque[list[dict[str, Any]]]] = {name: deque(maxlen=_COUNTED) for name in specs}

    def foretell(self, means: Mapping[str, Samples]) -> None:
        """Takes a future: by stream times [M] on the machine's clock and means [M, P] in physical columns."""
        self._open.append((means, [np.inf]))

    def turn(self, now_s: float) -> None:
        """From now on other commands are given."""
        for _, until in self._open:
            until[0] = min(until[0], now_s)

    def came(self, read: Callable[[str], Samples], now_s: float) -> None:
        """Compares the futures that are over with what was read: of a stream's name, values [N, P]."""
        while self._open and max(time[-1] for time, _ in self._open[0][0].values()) <= now_s:
            means, (until,) = self._open.popleft()
            for name, (time, mean) in means.items():
                true = at_times(time, *read(name), 0.75 / self._specs[name].rate_hz)
                true[time > until + 1e-9] = np.nan
                self._found[name].append(by_unit(self._specs[name], mean, true))

    def errors(self, name: str) -> list[dict[str, Any]]:
        """As `by_unit`, over the newest futures; nothing before the first is over."""
        with warnings.catch_warnings(category=RuntimeWarning, action="ignore"):  # where nothing is known
            return [
                {"unit": same[0]["unit"], "rmse": np.sqrt(np.nanmean([part["rmse"] ** 2 for part in same], 0))}
                for same in zip(*self._found[name], strict=True)
            ]

"""The seconds of stamps, which streams of one clock share."""

import numpy as np

from worldmodel.logs.ingest.formats.tables.recipe import Clock
from worldmodel.logs.ingest.formats.tables.stamps import last_digit
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.logs.ingest.recording import unrounded


class Shared:
    """The times of stamps, worked out once for all streams that have the same."""

    def __init__(self) -> None:
        self._seconds: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._exact: dict[tuple[int, float, Clock], tuple[np.ndarray, tuple[np.ndarray, float]]] = {}

    def seconds(self, ns: np.ndarray, valid: np.ndarray, origin: int) -> np.ndarray:
        """Seconds [M] from an origin; NaN for rows without."""
        if id(ns) not in self._seconds:
            time = (ns - origin) * 1e-9
            self._seconds[id(ns)] = ns, time if valid.all() else np.where(valid, time, np.nan)
        return self._seconds[id(ns)][1]

    def exact(
        self, table: Table, clock: Clock, ns: np.ndarray, time: np.ndarray, rate_hz: float
    ) -> tuple[np.ndarray, float]:
        """Times [M] in seconds without the rounding of their stamps in nanoseconds, and the most that it was."""
        key = id(ns), rate_hz, clock
        if key not in self._exact:
            self._exact[key] = ns, _exact(table, clock, ns, time, rate_hz)
        return self._exact[key][1]


def _exact(table: Table, clock: Clock, ns: np.ndarray, time: np.ndarray, rate_hz: float) -> tuple[np.ndarray, float]:
    if len(time) < 2 or not np.isfinite(time).all():
        return time, 0.0
    first = time[0]
    mended, most = unrounded(time - first if first else time, rate_hz, last_digit(table, clock, ns))
    return (mended + first if first else mended), most

"""Windows as the state space sees them: readings and actions from the context's first tick to the horizon's last."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.models.baselines.view import Examples, View, in_phase


class Traces(NamedTuple):
    """Readings at W windows' T ticks, and actions from each tick to the next.

    Attributes:
        readings: [W, T, Y] held where there is none.
        mask: bool [W, T, Y].
        actions: [W, T - 1, A].
    """

    readings: Float[np.ndarray, "W T Y"]
    mask: Bool[np.ndarray, "W T Y"]
    actions: Float[np.ndarray, "W N A"]

    @classmethod
    def of(cls, examples: Examples) -> "Traces":
        """Context and horizon of examples, readings moved from their samples' times to the ticks."""
        view = examples.view
        mask = np.concatenate([view.mask, examples.mask], 1)
        came = np.where(examples.mask, in_phase(examples, 0.0), 0.0)
        readings = _filled(np.concatenate([view.readings, came], 1), mask)
        return cls(readings, mask, np.concatenate([view.past, view.ahead], 1))

    @classmethod
    def seen(cls, view: View) -> "Traces":
        """Contexts alone."""
        return cls(_filled(view.readings, view.mask), view.mask, view.past)

    def take(self, windows: np.ndarray) -> "Traces":
        """Some of the windows."""
        return Traces(*(part[windows] for part in self))

    def thin(self, residuals: int) -> "Traces":
        """At most so many readings, of windows evenly spread; at least 8 windows where there are as many."""
        count = min(max(residuals // self.mask[0].size, 8), len(self.mask))
        return self.take(np.linspace(0, len(self.mask) - 1, count).astype(int))

    def until(self, tick: int) -> "Traces":
        """The first ticks."""
        return Traces(self.readings[:, :tick], self.mask[:, :tick], self.actions[:, : tick - 1])


def _filled(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """On lines between readings; before the first and after the last as these; 0 where a window has none."""
    ticks = np.arange(values.shape[1])
    out = np.where(mask, values, 0.0)
    for window, column in np.argwhere(~mask.all(1)):
        known = mask[window, :, column]
        if known.any():
            out[window, :, column] = np.interp(ticks, ticks[known], values[window, known, column])
    return out

"""Windows as the state space sees them: readings and actions from the context's first tick to the horizon's last."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.models.baselines.view import Examples, View, in_phase

_SEEN, _AHEAD = 2, 100  # steps of a context, and after it, at the least
_STRAIGHT = 1e-3  # of a standard deviation, that a line between readings may miss those between by


class Traces(NamedTuple):
    """Readings at W windows' T ticks, and actions from each tick to the next.

    Attributes:
        readings: filled on lines where there is none.
        mask: where there is one.
        actions: N = T - 1.
        starts: episode and a tick, by which windows that overlap know of it.
    """

    readings: Float[np.ndarray, "W T Y"]
    mask: Bool[np.ndarray, "W T Y"]
    actions: Float[np.ndarray, "W N A"]
    starts: Int[np.ndarray, "W 2"]

    @classmethod
    def of(cls, examples: Examples) -> "Traces":
        """Context and horizon of examples, readings moved from their samples' times to the ticks."""
        view = examples.view
        mask = np.concatenate([view.mask, examples.mask], 1)
        came = np.where(examples.mask, in_phase(examples, 0.0), 0.0)
        readings = _filled(np.concatenate([view.readings, came], 1), mask)
        starts = _apart(len(mask)) if examples.starts is None else examples.starts
        return cls(readings, mask, np.concatenate([view.past, view.ahead], 1), starts)

    @classmethod
    def seen(cls, view: View) -> "Traces":
        """Contexts alone."""
        return cls(_filled(view.readings, view.mask), view.mask, view.past, _apart(len(view.mask)))

    def take(self, windows: Int[np.ndarray, " N"]) -> "Traces":
        """Some of the windows."""
        return Traces(*(part[windows] for part in self))

    def thin(self, residuals: int) -> "Traces":
        """At most so many readings, of windows evenly spread; at least 8 windows where there are as many."""
        count = min(max(residuals // self.mask[0].size, 8), len(self.mask))
        return self.take(np.linspace(0, len(self.mask) - 1, count).astype(int))

    def until(self, tick: int) -> "Traces":
        """The first ticks."""
        return Traces(self.readings[:, :tick], self.mask[:, :tick], self.actions[:, : tick - 1], self.starts)

    def paced(self, pace: int, context: int) -> tuple["Traces", int]:
        """Every so many ticks one, that of a context's last among them, and actions' means between; the new context."""
        first = (context - 1) % pace
        steps = (self.mask.shape[1] - 1 - first) // pace
        at = first + pace * np.arange(steps + 1)
        acted = self.actions[:, first : at[-1]].reshape(len(self.mask), steps, pace, -1).mean(2)
        starts = np.stack([self.starts[:, 0], (self.starts[:, 1] + first) // pace], 1)
        return Traces(self.readings[:, at], self.mask[:, at], acted, starts), (context - 1) // pace + 1

    def stretches(self, ticks: int) -> Int[np.ndarray, "W T"]:
        """Which stretch of so many ticks of its recording, numbered over all recordings, each tick belongs to."""
        episode, tick = (self.starts[:, i, None] + np.arange(self.mask.shape[1]) * i for i in range(2))
        names = np.stack(np.broadcast_arrays(episode, tick // ticks), -1).reshape(-1, 2)
        return np.unique(names, axis=0, return_inverse=True)[1].reshape(self.mask.shape[:2])

    def without(self, left_out: Bool[np.ndarray, "W T"]) -> "Traces":
        """As if nothing had been read at some ticks."""
        return self._replace(mask=self.mask & ~left_out[..., None])


def pace_of(traces: Traces, context: int) -> int:
    """Ticks that a step may take, so that long and smooth records are looked at as a whole: 1 for most.

    As many as leave so short a line between readings that it misses none of those between, a few steps of a context
    and a hundred of what comes after it.
    """
    readings, horizon = traces.readings, traces.mask.shape[1] - context
    for pace in range(min(context // _SEEN, horizon // _AHEAD), 1, -1):
        middle = pace // 2
        line = readings[:, :-pace] + (readings[:, pace:] - readings[:, :-pace]) * middle / pace
        if np.sqrt(((readings[:, middle : middle - pace] - line) ** 2).mean()) < _STRAIGHT:
            return pace
    return 1


def _apart(count: int) -> Int[np.ndarray, "W 2"]:
    """Starts of windows each of which is a recording of its own."""
    return np.stack([np.arange(count), np.zeros(count, int)], 1)


def _filled(values: Float[np.ndarray, "W T Y"], mask: Bool[np.ndarray, "W T Y"]) -> Float[np.ndarray, "W T Y"]:
    """On lines between readings; before the first and after the last as these; 0 where a window has none."""
    ticks = np.arange(values.shape[1])
    out = np.where(mask, values, 0.0)
    for window, column in np.argwhere(~mask.all(1)):
        known = mask[window, :, column]
        if known.any():
            out[window, :, column] = np.interp(ticks, ticks[known], values[window, known, column])
    return out

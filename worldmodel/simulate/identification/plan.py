"""The search: three horizons in turn, through windows whose number depends on the recordings and the model alone."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import Progress, TaskID

from worldmodel.errors import SceneError
from worldmodel.simulate.identification.fitting import Fit, fit
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.identification.recordings import Recording
from worldmodel.simulate.identification.windows import Windows, spread
from worldmodel.simulate.observer import Observer

_STAGES = ((0.2, 4), (0.5, 4), (1.0, 8))  # shares of the horizon, and iterations at most
_TOTAL = sum(share * iterations for share, iterations in _STAGES)
_FEWEST = 8  # windows without which nothing is fitted
_PLENTY = 128  # windows that are used however much their simulation costs
_STEPS = 4_000_000  # physics steps of an iteration at most, beyond which there are fewer windows


class Done(NamedTuple):
    """What the search gave: the fit, its last windows of so many possible ones, and whether time cut it short."""

    fit: Fit
    windows: Windows
    possible: int
    cut: bool


class Plan:
    """The search for the numbers of a scene.

    Args:
        observer: of the scene's world.
        parameters: of it, to be fitted.
        recordings: to shoot through.
        horizon_s: the longest horizon.
        minutes: after which it ends, each horizon after its share of them, but never before a first iteration.
    """

    def __init__(
        self,
        observer: Observer,
        parameters: Parameters,
        recordings: Sequence[Recording],
        horizon_s: float,
        minutes: float | None,
    ) -> None:
        self.observer, self.parameters, self.recordings = observer, parameters, recordings
        self.horizon_s, self._seconds = horizon_s, np.inf if minutes is None else minutes * 60
        self._began, self._cut = time.monotonic(), False

    def run(self, bar: Progress) -> Done:
        """Fits, and shows how far it is."""
        task, z = bar.add_task("", total=_TOTAL), np.zeros(len(self.parameters))
        starts, possible, due = *self._starts(), 0.0
        for share, iterations in _STAGES:
            bar.update(task, description=f"over {share * self.horizon_s:.2g} s")
            windows = Windows.cut(self.observer, self.recordings, starts, share * self.horizon_s)
            windows.follow(self.parameters.machine(z))
            due += share * iterations / _TOTAL * self._seconds
            go_on = lambda share=share, due=due: self._go_on(bar, task, share, due)  # noqa: E731
            result = fit(self.parameters, windows, z, share=share, iterations=iterations, go_on=go_on)
            z = result.z
        bar.update(task, completed=_TOTAL)
        return Done(result, windows, possible, self._cut)

    def _go_on(self, bar: Progress, task: TaskID, share: float, due: float) -> bool:
        """Counts an iteration, and says whether there is time for another."""
        bar.advance(task, share)
        late = time.monotonic() - self._began > due
        self._cut |= late
        return not late

    def _starts(self) -> tuple[np.ndarray, int]:
        """Starts [W, 2] of windows, of so many possible ones."""
        starts = spread(self.recordings, self.horizon_s)
        if len(starts) < _FEWEST:
            raise SceneError(
                "The recordings are too short.",
                expected=f"at least {_FEWEST} windows of {self.horizon_s:g} s",
                found=f"{len(starts)}",
                remedy="record longer, or ask for a shorter --horizon",
            )
        world = self.observer.world
        simulations = len(self.parameters) + len(world.packing.names) + 1
        most = max(_STEPS / (simulations * self.horizon_s / world.step_s), _PLENTY)
        return starts[:: int(np.ceil(len(starts) / most))], len(starts)

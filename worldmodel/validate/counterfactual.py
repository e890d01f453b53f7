"""A problem that no recording holds: futures of simulated worlds under behaviour that training did not have."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from worldmodel.foreteller import Foreteller
from worldmodel.logs.reader import Log
from worldmodel.simulate import BEHAVIOURS, Branch, check_streams, load_scene, simulate
from worldmodel.validate.problem import Problem, problem_of

_MOMENTS = (1.0, 1.5, 2.0)  # contexts after the worlds' start: not only what follows a reset
_STATES = 24
_SEED = 0xC0DE


@contextlib.contextmanager
def counterfactual(
    run: Foreteller,
    scene: str,
    horizon: int,
    seed: int,
    progress: bool,
    *,
    states: int = _STATES,
    behaviours: Sequence[str] = tuple(BEHAVIOURS),
) -> Iterator[Problem]:
    """Worlds that part at several moments into one branch for each behaviour.

    Args:
        run: a run, or a scene, that is to imagine them.
        scene: a shipped scene's name, or a folder.
        horizon: in ticks.
        seed: of the worlds and the actions.
        progress: show bars.
        states: how many worlds part.
        behaviours: what the branches do, names of `BEHAVIOURS`; by default one of each, the first as in training.

    Raises:
        WorldModelError: before anything is simulated, if the scene lacks a stream of the run.
    """
    loaded = load_scene(scene)
    check_streams(loaded, run.layout.streams, converted=True)
    layout, count = run.layout, len(behaviours)
    ticks = [round(share * run.context) + 2 for share in _MOMENTS]
    worlds = [len(part) for part in np.array_split(np.arange(states), len(ticks))]
    with tempfile.TemporaryDirectory() as folder:
        for i, (tick, episodes) in enumerate(zip(ticks, worlds, strict=True)):
            branch = Branch(layout.time_s(tick), count, tuple(behaviours))
            simulate(
                loaded, Path(folder) / f"{i}.h5", episodes=episodes, seconds=layout.time_s(tick + horizon + 2),
                seed=_SEED + len(ticks) * seed + i, branch=branch, progress=progress,
            )  # fmt: skip
        with Log(folder, truth=True) as log:
            moments = layout.time_s(np.repeat(ticks, np.array(worlds) * count))
            acted = f"In each world, branches that do: {', '.join(dict.fromkeys(behaviours))}."
            windows = run.windows(log, horizon)
            yield problem_of(
                windows, name=scene, at_s=moments, branches=count, acted=acted, max_starts=None, unmoved=run.unmoved
            )

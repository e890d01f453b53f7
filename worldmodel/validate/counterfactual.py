"""A problem that no recording holds: futures of simulated worlds under behaviour that training did not have."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.simulate import BEHAVIOURS, Branch, Scene, load_scene, simulate
from worldmodel.training.run import Run
from worldmodel.validate.problem import Problem, problem_of

_MOMENTS = (1.0, 1.5, 2.0)  # contexts after the worlds' start: not only what follows a reset
_WORLDS = 8  # for each of them
_SEED = 0xC0DE


@contextlib.contextmanager
def counterfactual(run: Run, scene: str, horizon: int, seed: int, progress: bool) -> Iterator[Problem]:
    """Worlds that part at several moments into one branch for each kind of behaviour, the first as in training.

    Args:
        run: that is to imagine them.
        scene: a shipped scene's name, or a folder.
        horizon: in ticks.
        seed: of the worlds and the actions.
        progress: show bars.

    Raises:
        WorldModelError: before anything is simulated, if the scene lacks a stream of the run.
    """
    loaded = load_scene(scene)
    check_fits(run, loaded)
    dt, ticks = run.settings.dt, [round(share * run.settings.context) + 2 for share in _MOMENTS]
    with tempfile.TemporaryDirectory() as folder:
        for i, tick in enumerate(ticks):
            branch = Branch(tick * dt, len(BEHAVIOURS), tuple(BEHAVIOURS))
            simulate(
                loaded, Path(folder) / f"{i}.h5", episodes=_WORLDS, seconds=(tick + horizon + 2) * dt,
                seed=_SEED + len(ticks) * seed + i, branch=branch, progress=progress,
            )  # fmt: skip
        with Log(folder, truth=True) as log:
            moments = np.repeat(ticks, _WORLDS * len(BEHAVIOURS)) * dt
            acted = f"In each world, one branch each: {', '.join(BEHAVIOURS)}."
            windows = run.windows(log, horizon)
            yield problem_of(windows, name=scene, at_s=moments, branches=len(BEHAVIOURS), acted=acted)


def check_fits(run: Run, scene: Scene) -> None:
    """Refuses a scene that lacks a stream of the run.

    Raises:
        WorldModelError: saying which, and what both have.
    """
    has = {stream.spec.name: stream.spec.columns for stream in scene.streams}
    lacking = [s for s in run.settings.streams if has.get(s.name) != s.columns]
    if lacking:
        raise WorldModelError(
            f"The scene {scene.name} has no stream {lacking[0].name!r} of {', '.join(lacking[0].columns)}.",
            expected="the run's streams: "
            + "; ".join(f"{s.name} ({', '.join(s.columns)})" for s in run.settings.streams),
            found="; ".join(f"{name} ({', '.join(columns)})" for name, columns in has.items()),
            remedy="name streams and columns alike in scene.toml, or choose the scene of this machine",
        )

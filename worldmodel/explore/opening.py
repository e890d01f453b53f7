"""A run or a scene made ready to be asked: over a log, or beside a scene that is driven."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.explore.alarms import Watching
from worldmodel.explore.beside import find_twin
from worldmodel.explore.drive import Drive
from worldmodel.explore.explorer import Explorer
from worldmodel.live import Watch
from worldmodel.logs.reader import Log
from worldmodel.simulate import load_scene


def explorer_of(run: Any, log: Log, keep_in: Path | str = "kept", scene: str | None = None) -> Explorer:
    """What answers about moments of a log.

    Args:
        run: a run or a scene (`worldmodel.foreteller`, which this package knows nothing of).
        log: stays open.
        keep_in: the folder that kept moments are written to.
        scene: the machine's, by name or folder, that MuJoCo shows beside the futures; by default the one that the log
            names, or the run's prior.

    Raises:
        WorldModelError: if a scene that was asked for is missing, or does not fit.
    """
    named = scene or str(log.about.get("scene") or run.scene_name)
    beside = find_twin(log, named, run.layout.streams, asked=scene is not None)
    run.session.forecaster.compile(meanwhile=True)
    return Explorer(run.session, log, keep_in, beside, Watching(lambda: _usual(run, log, progress=False)))


def drive_of(run: Any, scene: str | None = None, keep_in: Path | str = "kept", usual: Log | None = None) -> Drive:
    """What answers while a scene is driven live.

    Args:
        run: as above.
        scene: by name or folder; by default the one whose log the run was trained on, or the run's prior.
        keep_in: as above.
        usual: a log that the run has not seen, which alarms learn from; without one there are none.

    Raises:
        WorldModelError: if there is no scene, or it lacks a stream of the run.
    """
    named = scene or run.scene_name
    if not named:
        problem = "There is nothing to drive: the log that the run was trained on names no scene."
        raise WorldModelError(problem, remedy="give --scene, or a log to choose moments in")
    return Drive(run.session, run.live, load_scene(named), keep_in, None if usual is None else _usual(run, usual))


def _usual(run: Any, log: Log, progress: bool = True) -> Watch:
    return run.watch(log, episodes=some_of(log, run.unseen(log), run.usual_s), progress=progress)


def some_of(log: Log, episodes: Sequence[int], seconds: float) -> list[int]:
    """About so many seconds of these episodes, from all over them."""
    whole = sum(log.episodes[i].duration_s for i in episodes)
    return list(episodes[:: max(round(whole / seconds), 1)])

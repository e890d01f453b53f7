"""A scene joins the experts of a run that has been trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worldmodel.compiled import keep_compiled
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.left_out import LeftOut, Question, ask
from worldmodel.models.experts.physics import Physics
from worldmodel.simulate import Scene, load_scene
from worldmodel.training.blending import blended
from worldmodel.training.folder import RunFolder
from worldmodel.training.plan import Options
from worldmodel.training.progress import TrainingProgress
from worldmodel.training.resume import settings_to_resume
from worldmodel.training.run import Run, load_run
from worldmodel.training.settings import RunSettings


def blend(
    run: Path | str,
    *,
    prior: Scene | Path | str,
    logs: Path | str | Sequence[Path | str] | None = None,
    progress: bool = True,
) -> Run:
    """A scene joins the experts of a finished run, weighted by what it does on the windows that were left out.

    One that joined before gives way to it. Nothing is trained again, and until all is measured nothing is written.

    Args:
        run: its folder.
        prior: the scene, whose folder is copied into the run.
        logs: what the run was trained on; by default from where it was.
        progress: show what is being done.

    Raises:
        WorldModelError: if the run is not finished, its logs are others or not to be found, or the scene does not fit.
    """
    keep_compiled()
    scene = prior if isinstance(prior, Scene) else load_scene(prior)
    loaded, folder = _finished(run), RunFolder(run)
    assert loaded.team is not None
    physics = Physics.of(scene, loaded.baselines.lens)
    log = Log(_found(loaded.settings, logs))
    settings = settings_to_resume(folder, log, Options())
    with TrainingProgress(progress) as show:
        rich = [expert for name, expert in loaded.team.rich.items() if name != Physics.name]
        kept = len(closed(loaded.baselines)) + len(rich)
        show.say(f"measuring {scene.name} on what is left out")
        measured = loaded.windows(log, episodes=settings.left_out)
        left_out, rich = _joined(folder.read_left_out(), kept, physics, measured), [*rich, physics]
        select = loaded.windows(log, episodes=settings.select)
        reach = loaded.team.reach
        team = blended(settings, loaded.baselines, rich, left_out, reach, select, loaded.model, show)
        with folder.blended_again() as place:
            place.write_prior(scene.folder)
            place.write_experts(rich)
            place.write_left_out(left_out)
            place.write_blend(team)
    return load_run(folder.path)


def _finished(run: Path | str) -> Run:
    """A run whose experts may be joined.

    Raises:
        WorldModelError: if there is none, its training has not ended, or it has no experts.
    """
    folder = RunFolder(run)
    settings = folder.read_settings()
    if folder.finished is None:
        raise WorldModelError(
            f"The training of {folder.path} has not ended, so nothing can join its experts yet.",
            expected="a finished run",
            found=f"{folder.latest_step} updates so far" if settings.network else "",
            remedy=f"`worldmodel train ... --out {folder.path} --resume` goes on to its end",
        )
    loaded = load_run(run)
    if loaded.team is None:
        raise WorldModelError(f"The run {folder.path} has no experts to join: its log has no readings.")
    return loaded


def _found(settings: RunSettings, logs: Path | str | Sequence[Path | str] | None) -> Path | str | Sequence[Path | str]:
    """The logs that are given, or those that the run was trained on.

    Raises:
        WorldModelError: if none are given, and one of these is not where it was.
    """
    if not logs and (gone := [log for log in settings.logs if not Path(log).exists()]):
        raise WorldModelError(
            "What the run was trained on is not where it was.",
            expected=", ".join(settings.logs),
            found=f"nothing at {', '.join(gone)}",
            remedy="name it with --log (logs=), each in its order",
        )
    return logs or settings.logs


def _joined(left_out: LeftOut, kept: int, physics: Physics, windows: Windows) -> LeftOut:
    """What the first `kept` experts predicted for left-out windows, and what physics does for the same."""
    context, future = windows.without_video().cut(left_out.starts, windows.horizon)
    told = ask([physics], physics.lens, Question.of(physics.lens, context, future.actions, windows.horizon))
    both = zip((left_out.ahead, left_out.within), told, strict=True)
    ahead, within = (np.concatenate([others[:kept], own]) for others, own in both)
    return left_out._replace(ahead=ahead, within=within)

"""Going on with a run: what must be as it was, and what may become longer."""

import dataclasses
import math

from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.training.folder import RunFolder
from worldmodel.training.plan import Options, check_numbers, ticks_of
from worldmodel.training.settings import RunSettings


def settings_to_resume(folder: RunFolder, log: Log, asked: Options) -> RunSettings:
    """A run's settings, if it can go on with `log` and what is asked.

    Raises:
        WorldModelError: for another log, or an option that the run was not started with.
    """
    settings = folder.read_settings()
    log.conform(settings.streams)
    if [e.sha256 for e in settings.episodes] != [e.sha256 for e in log.episodes]:
        raise WorldModelError(
            f"{folder.path} was trained on other data.",
            expected=f"the {len(settings.episodes)} episodes of {', '.join(settings.logs)}",
            found=f"{len(log.episodes)} episodes that are not these",
            remedy="resume with the same logs in the same order, or start a new run",
        )
    for name, given, own in _options(settings, asked):
        if given is not None and given != own:
            raise WorldModelError(
                f"--{name} is not what {folder.path} was started with.",
                expected=f"{own}, or no --{name}",
                found=str(given),
                remedy="resume without it, or start a new run",
            )
    return settings


def lengthened(
    folder: RunFolder, settings: RunSettings, steps: int | None = None, minutes: float | None = None
) -> RunSettings:
    """The settings with a new length, in all, where one is given.

    Raises:
        WorldModelError: if the run has been trained as long already.
    """
    check_numbers(steps=steps, minutes=minutes)
    if steps is not None and not settings.network:
        raise WorldModelError(f"{folder.path} has no network to train.", remedy="train a new run with --network")
    if (steps is None and minutes is None) or (steps, minutes) == (settings.steps, settings.minutes):
        return settings
    done, finished = folder.latest_step, folder.finished or {}
    if done >= (steps or math.inf) or finished.get("seconds", 0) >= 60 * (minutes or math.inf):
        spent = f"{done} updates" + (f" in {finished['seconds'] / 60:.1f} minutes" if finished else "")
        raise WorldModelError(
            f"{folder.path} has been trained as long already.",
            expected="more steps or minutes, counted from the beginning of the run",
            found=spent,
        )
    return dataclasses.replace(settings, steps=steps, minutes=minutes, lengthened_at=(*settings.lengthened_at, done))


def _options(settings: RunSettings, asked: Options) -> list[tuple[str, object, object]]:
    """Each option's name, what is asked, and what the run has; lengths in ticks, which they were rounded to."""
    context, horizon = ticks_of(asked, settings.dt)
    near = asked.dt is not None and math.isclose(asked.dt, settings.dt)
    return [
        ("network", asked.network, settings.network),
        ("preset", asked.preset, settings.preset),
        ("dynamics", asked.dynamics, settings.model.family),
        ("seed", asked.seed, settings.seed),
        ("holdout", asked.holdout, settings.holdout),
        ("weights", asked.weights and tuple(asked.weights), settings.weights),
        ("dt", settings.dt if near else asked.dt, settings.dt),
        ("context", context and f"{context} ticks", f"{settings.context} ticks"),
        ("horizon", horizon and f"{horizon} ticks", f"{settings.horizon} ticks"),
    ]

"""Trains a world model on logs: `train(["drive.h5"], "runs/rover")`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worldmodel.codecs import codec
from worldmodel.compiled import keep_compiled
from worldmodel.errors import WorldModelError
from worldmodel.files import check_output
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.allowance import Allowance
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.odometry import Odometer, find_odometers
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.fitting import FITTED, Trial, examples_at
from worldmodel.models.experts.left_out import evened
from worldmodel.models.experts.physics import Physics
from worldmodel.models.experts.rich import fit_quick, fit_rich, go_on_fitting, tell_all
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.simulate import Scene, load_scene
from worldmodel.training.data import Batches, measure_scaling
from worldmodel.training.evaluate import Selection
from worldmodel.training.fit import Source
from worldmodel.training.folder import RunFolder
from worldmodel.training.plan import Options, may_go_without, new_settings
from worldmodel.training.progress import TrainingProgress
from worldmodel.training.resume import lengthened, settings_to_resume
from worldmodel.training.roles import copies_note, pieces_note, simulated_note, unmeasured_note
from worldmodel.training.run import Run, load_run
from worldmodel.training.session import go_on
from worldmodel.training.settings import RunSettings
from worldmodel.training.telling import choices


def train(
    logs: Path | str | Sequence[Path | str],
    run: Path | str,
    *,
    preset: str | None = None,
    dynamics: str | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    resume: bool = False,
    holdout: float | None = None,
    weights: Sequence[float] | None = None,
    dt: float | None = None,
    context_s: float | None = None,
    horizon_s: float | None = None,
    network: bool | None = None,
    prior: Scene | Path | str | None = None,
    force: bool = False,
    progress: bool = True,
) -> Run:
    """Trains a model and keeps it, with all that imagining needs, in the folder `run`.

    Episodes have one of three roles: they learn, select (the checkpoint, how much each horizon counts, the members'
    spread), or measure, which `validate` alone does. Recordings that are copies of one another share theirs.

    Args:
        logs: a file or folder, or several of one recipe or scene.
        run: the folder to write.
        preset: `debug`, `small` (the default) or `base`.
        dynamics: `residual` (the default), or `rssm`, the recurrent state-space model to compare with.
        steps: how many updates in all; by default the preset's.
        minutes: how long in all, with reading and all compiling, instead of steps. Beside a network the other experts
            have half of them; what there is no time for is left out, and said. Least is left out of what is needed
            most: simple rules whole, then linear models, of which there are fewer ticks ahead and windows, then parts
            to measure them on, then experts that take long.
        seed: decides initial parameters, roles, data order and noise; by default 0.
        resume: go on from the last checkpoint of `run`, and with `steps` or `minutes` to that length: learning rate
            and rollouts are from there on what they are at that point of a training of the new length. Other arguments
            must be left out, or be the run's own.
        holdout: share of the episodes that select, and of those that measure, by default 0.1: whole episodes, at least
            one each where there are three.
        weights: how often each of `logs` is drawn from, relative to the others; by default as often as it has windows.
        dt: tick in seconds; by default the interval of the fastest action.
        context_s: what the model sees; by default 64 ticks.
        horizon_s: how far it learns to imagine; by default 64 ticks.
        network: whether to train one beside the cheaper experts. By default where a preset, dynamics or steps are
            asked for, or the log has video, or 20,000 ticks of which equations of motion do not tell all readings.
        prior: a scene that joins the experts, weighted by what it does on left-out episodes and inside contexts; its
            folder is copied into the run.
        force: replace a run that exists.
        progress: show what is being done, and a bar.

    Raises:
        WorldModelError: for arguments or logs that do not fit.
        TrainingDivergedError: if the loss stops being finite; the last good checkpoint stays.
    """
    folder = RunFolder(run)
    keep_compiled()
    logs = [logs] if isinstance(logs, str | Path) else logs
    with TrainingProgress(progress) as show:
        whole = Allowance(say=show.say)  # what reading takes counts, too
        show.say(f"reading {', '.join(map(str, logs))}")
        log = Log(logs)
        asked = Options(preset, dynamics, seed, holdout, weights, dt, context_s, horizon_s, network)
        scene = _prior(prior, resume)
        settings = _settings(folder, log, logs, asked, steps, minutes, resume, force)
        for line in choices(settings, log):
            show.say(line)
        roles = (settings.shared_roles, unmeasured_note(settings.episodes), simulated_note(settings.episodes))
        durations, span = [e.duration_s for e in log.episodes], (settings.context + settings.horizon) * settings.dt
        for note in filter(None, (copies_note(log), *roles, pieces_note(settings.episodes, durations, span))):
            show.say(f"note: {note}")
        if resume:
            odometers = folder.read_odometers()
        else:
            show.say("looking for a vehicle's odometry")
            odometers = _odometers(log, settings)
            if not odometers and any(spec.kind == "gps" for spec in settings.layout.readings):
                show.say(
                    "no columns of speed (or wheels) and of turning (a yaw rate in rad/s, a heading) explain its way"
                )
        source = _source(log, settings, odometers)
        if resume:
            go_on(folder, settings, source, show)
        else:
            with folder.replaced():
                spare = may_go_without(settings, asked, steps)
                settings = _begin(folder, log, settings, odometers, source, scene, show, whole, spare)
                go_on(folder, settings, source, show)
    return load_run(folder.path)


def _settings(
    folder: RunFolder, log: Log, logs: Sequence[Path | str], asked: Options, steps, minutes, resume: bool, force: bool
) -> RunSettings:
    if not resume:
        check_output(folder.path, force, inputs=log.files, replaces=RunFolder.NAMES)
        return new_settings(log, logs, asked, steps, minutes)
    if force:
        raise WorldModelError("--force replaces a run, and --resume goes on with it.", expected="one of them")
    return lengthened(folder, settings_to_resume(folder, log, asked), steps, minutes)


def _odometers(log: Log, settings: RunSettings) -> tuple[Odometer, ...]:
    """What follows the places of a vehicle, found on the episodes that learn; nothing where no sensors tell its way."""
    layout = settings.layout
    if not any(codec(s).turning.place is not None for s in layout.readings):
        return ()
    windows = _windows(log, settings, settings.learn).without_video()
    return find_odometers(windows, Lens(layout, *(np.asarray(x) for x in measure_scaling(windows, settings.seed)[:4])))


def _source(log: Log, settings: RunSettings, odometers: Sequence[Odometer]) -> Source:
    """Windows of the episodes that learn and of those that select.

    Raises:
        WorldModelError: if no episode is long enough for one.
    """
    learn = _windows(log, settings, settings.learn, odometers)
    learn.starts()
    sources = [settings.episodes[i].log for i in settings.learn]
    config, seed = settings.train, settings.seed
    batches = Batches(learn, config.batch, config.frames, seed, sources, settings.weights)
    return Source(batches, Selection(_windows(log, settings, settings.select, odometers), seed))


def _prior(prior: Scene | Path | str | None, resume: bool) -> Scene | None:
    """The scene that joins the experts.

    Raises:
        WorldModelError: if it or what it was fitted to cannot be read, or the run has its experts already.
    """
    if prior is None:
        return None
    if resume:
        raise WorldModelError(
            "A run that goes on has its experts already.", remedy="worldmodel blend RUN --prior SCENE"
        )
    scene = prior if isinstance(prior, Scene) else load_scene(prior)
    Uncertainty.of(scene.folder)
    return scene


def _begin(
    folder: RunFolder,
    log: Log,
    settings: RunSettings,
    odometers: Sequence[Odometer],
    source: Source,
    scene: Scene | None,
    show: TrainingProgress,
    whole: Allowance,
    spare: bool,
) -> RunSettings:
    """Writes what a run needs before its first update; the settings with what that took, of a whole that has begun.

    Where equations of motion tell all readings, and it is to `spare` a network that has nothing to add, they have its
    time, too.
    """
    learn, select = source.batches.windows, source.selection.windows if settings.by_select else None
    allowance = whole.part(settings.experts_s - whole.spent)
    with folder.begin() as start:
        start.write_odometers(odometers)
        for odometer in odometers:
            show.say(odometer.describe(settings.layout))
        show.say("measuring statistics")
        scaling = measure_scaling(learn, settings.seed)
        start.write_scaling(scaling)
        show.say("fitting baselines")
        windows = learn if settings.fitted == settings.learn else _windows(log, settings, settings.fitted, odometers)
        starts = evened(windows.starts().thinned(), settings.teachers)
        turn = allowance.part(allowance.left / 2)
        baselines = Baselines.fit(windows, scaling, settings.seed, starts=starts, select=select, allowance=turn)
        start.write_baselines(baselines)
        if told := baselines.describe():
            show.say(told)
        if settings.layout.readings:
            show.say("fitting experts")
            lens, seed = baselines.lens, settings.seed
            soon = allowance.part(allowance.left / 3)
            examples = examples_at(lens, windows, starts, seed, soon)
            trial = Trial.of(lens, windows, select, seed, allowance, settings.teachers)
            quick = fit_quick(examples, lens, soon, baselines.reckoners)
            cheap = trial.closed(baselines, quick)
            turn = allowance.part(allowance.left * FITTED)
            known = settings.about.get("structure")
            rich = fit_rich(examples, lens, seed, turn, known, quick[0]) if settings.train.rich else []
            if spare and tell_all(rich, examples):
                show.say("no network is trained: equations of motion tell all readings; --network trains one beside")
                settings = dataclasses.replace(settings, network=False)
                trial.allowance = allowance = whole.part(settings.experts_s - whole.spent)
                rich = go_on_fitting(rich, examples, allowance.part(allowance.left * FITTED))
            if scene is not None:
                rich.append(Physics.of(scene, lens))
                start.write_prior(scene.folder)
            start.write_experts([*quick, *rich])
            start.write_left_out(trial.beside(cheap, rich))
        settings = dataclasses.replace(settings, began_s=whole.spent, cut=tuple(allowance.cut))
        start.write_settings(settings)
    return settings


def _windows(log: Log, settings: RunSettings, episodes: Sequence[int], odometers: Sequence[Odometer] = ()) -> Windows:
    log = log.conform(settings.streams)
    return Windows.of(log, settings.layout, settings.context, settings.horizon, episodes, odometers)

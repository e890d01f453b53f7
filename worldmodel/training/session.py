"""One stretch of a run's training: from its folder's last checkpoint to the end of its budget."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np

from worldmodel.errors import TrainingDivergedError
from worldmodel.models.experts.reach import Reach
from worldmodel.models.world_model import Film, WorldModel
from worldmodel.training.blending import blended
from worldmodel.training.calibration import measure_spread
from worldmodel.training.evaluate import Selection
from worldmodel.training.films import measure_film, remembered
from worldmodel.training.fit import LOOK, Budget, Doing, Evaluated, Source, Updated, fit
from worldmodel.training.folder import RunFolder
from worldmodel.training.progress import TrainingProgress
from worldmodel.training.run import draw_model
from worldmodel.training.settings import RunSettings
from worldmodel.training.state import Learner, TrainState


def go_on(folder: RunFolder, settings: RunSettings, source: Source, show: TrainingProgress) -> None:
    """Trains to the end of the run's budget, and measures the spread of what it ends with."""
    if settings.lengthened_at != folder.read_settings().lengthened_at:
        folder.unfinish()
        folder.write_settings(settings)
    if folder.finished is not None and (folder.has_parameters or not settings.network):
        show.say(f"{folder.path} has been trained to its end; --steps or --minutes train it longer")
        return
    if not settings.network:
        _blend(folder, settings, source, None, show)
        folder.finish(steps=0, seconds=settings.began_s, compile_seconds=0.0, best_nrmse=None, horizon=settings.horizon)
        return
    show.say("drawing parameters")
    learner = Learner(draw_model(settings, folder.read_scaling()), settings.train, settings.seed)
    state = _fit(folder, learner, source, Budget(settings.steps, settings.network_minutes), settings.horizon, show)
    show.say("measuring the spread of members")
    folder.write_spread(_spread(learner, folder.read_parameters(state.params), source.selection))
    network = learner.model(folder.read_parameters(state.params))
    if settings.layout.videos:
        show.say("measuring of what frames are mixed, and choosing what is remembered")
        folder.write_film(_film(folder, settings, source, network))
    short = state.horizon < settings.horizon  # other experts tell the whole horizon, but no frames
    alone = short and settings.layout.readings and not settings.layout.videos
    _blend(folder, settings, source, None if alone else network, show)
    if short:
        seconds = f"{state.horizon * settings.dt:g} of the {settings.horizon * settings.dt:g} s of the horizon"
        so = "the network is none of the experts" if alone else "so far the run is asked and measured"
        longer = f"--resume with more {'minutes' if settings.steps is None else 'steps'} goes on"
        show.say(f"note: there was time for rollouts of {seconds}, and {so}; {longer}")
    folder.finish(
        steps=int(state.step),
        seconds=settings.began_s + float(state.seconds),
        compile_seconds=float(state.compile_seconds),
        best_nrmse=float(state.best),
        horizon=settings.horizon if alone else int(state.horizon),
    )


def _fit(
    folder: RunFolder, learner: Learner, source: Source, budget: Budget, horizon: int, show: TrainingProgress
) -> TrainState:
    """Fits, and keeps in the folder what comes of it."""
    with folder.checkpoints() as checkpoints:
        state = learner.start(horizon)
        state = checkpoints.restore(state) or state
        if not folder.has_parameters:  # someone has removed them: the next ones are the best
            state = state._replace(best=np.float64(np.inf))
        with folder.history(int(state.step)) as history, _saying_what_is_kept(folder):
            for event in fit(learner, state, source, budget):
                match event:
                    case Doing(what):
                        show.doing(what)
                    case Updated(state, values):
                        history.add(int(state.step), **values)
                        show.trained(budget.share(state), _line(values, state))
                    case Evaluated(state, evaluation, improved):
                        history.add(int(state.step), **evaluation.named)
                        if improved:
                            folder.write_parameters(state.params)
                        checkpoints.save(int(state.step), state)
    return state


def _blend(
    folder: RunFolder, settings: RunSettings, source: Source, network: WorldModel | None, show: TrainingProgress
) -> None:
    """Weighs a run's experts, the network among them."""
    if settings.layout.readings:
        baselines = folder.read_baselines(settings.layout)
        experts, left_out = folder.read_experts(baselines.lens), folder.read_left_out()
        select = source.selection.windows
        reach = Reach.over(baselines.lens, [source.batches.windows, select])
        folder.write_blend(blended(settings, baselines, experts, left_out, reach, select, network, show))


def _film(folder: RunFolder, settings: RunSettings, source: Source, network: WorldModel) -> Film:
    means, videos = folder.read_baselines(settings.layout).mean_frames, settings.layout.videos
    memories = [remembered(source.batches.windows, video) for video in range(len(videos))]
    return measure_film(network, source.selection.windows, [means[spec.name] for spec in videos], memories)


def _spread(learner: Learner, params, selection: Selection) -> np.ndarray:
    key = jax.random.fold_in(selection.key, 1)
    return measure_spread(learner.model(params), selection.context, selection.future, key)


@contextlib.contextmanager
def _saying_what_is_kept(folder: RunFolder) -> Iterator[None]:
    try:
        yield
    except TrainingDivergedError as error:
        if not folder.has_parameters:
            raise
        remedy = f"the last good checkpoint is kept in {folder.path}; {LOOK}"
        raise TrainingDivergedError(error.problem, remedy=remedy) from error


def _line(values: dict[str, float], state: TrainState) -> str:
    best = f", best select NRMSE {state.best:.3f}" if np.isfinite(state.best) else ""
    rate, horizon = values["steps_per_s"], values["horizon"]
    return f"{rate:.1f} steps/s, horizon {horizon:.0f} ticks, loss {values['loss']:.4f}{best}"

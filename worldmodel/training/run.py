"""A trained run: the model with all that imagining needs, and nothing of the training data."""

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.codecs import codec
from worldmodel.compiled import keep_compiled
from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller, ticks_of
from worldmodel.imagine.forecaster import Forecaster
from worldmodel.logs.align import TickLayout
from worldmodel.logs.followed import Follower
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.models.config import ModelConfig
from worldmodel.models.experts.team import Team
from worldmodel.models.world_model import Film, Scaling, WorldModel
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.training.data import still as still_in
from worldmodel.training.folder import RunFolder
from worldmodel.training.roles import LEARN, SELECT, simulated_note
from worldmodel.training.settings import RunSettings
from worldmodel.training.state import split_parameters
from worldmodel.types import Samples

_UNTUNED: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
_FARTHEST = 2  # times the trained horizon, unless asked for by name


@dataclasses.dataclass(repr=False)
class Run(Foreteller):
    """A trained model with all that it needs to imagine.

    Attributes:
        folder: where it is kept. settings: what it was started with.
        model: the network; None where none was trained.
        baselines: what it has to beat, each of them an expert as well.
        team: all experts and their blend; None before the training's end, and of a log without readings.
        reached: ticks of the longest rollouts that it was trained on; None before the training's end.
        odometers: what follows places in what it sees.
        still: bool [Y] which readings never moved in what it learned from; None where that is not known.
    """

    folder: Path
    settings: RunSettings
    model: WorldModel | None
    baselines: Baselines
    team: Team | None = None
    reached: int | None = None
    odometers: tuple[Odometer, ...] = ()
    still: np.ndarray | None = None

    name, told_by, usual_s, compiled = "model", 32, 200.0, True

    @property
    def layout(self) -> TickLayout:
        return self.settings.layout

    @property
    def where(self) -> str:
        return str(self.folder)

    @property
    def trained_horizon(self) -> int:
        """How far it was trained to imagine, in ticks: a training by minutes may end before its longest rollouts."""
        return self.reached or self.settings.horizon

    @property
    def context(self) -> int:
        return self.settings.context

    @property
    def notes(self) -> tuple[str, ...]:
        """Who answers where the training has not ended; what had no time."""
        if self.reached is None:
            return (f"The training of {self.folder} has not ended: {self._answering}; `{self._command}` goes on.",)
        notes = []
        if self.settings.cut:
            notes.append(f"Training for {self.settings.minutes:g} min left no time for {', '.join(self.settings.cut)}.")
        if self.settings.network and self.model is None:
            notes.append(
                f"Its network had no time for the whole horizon and is none of the experts; {self.network_remedy}."
            )
        return tuple(notes)

    @property
    def _answering(self) -> str:
        """Who does before the training's end."""
        if self.team is None:
            return "its network answers alone, as it was then"
        without = ", without the network" if self.settings.network and self.model is None else ""
        return f"its experts answer as they did before it went on{without}"

    @property
    def _command(self) -> str:
        """What goes on with it."""
        return f"worldmodel train ... --out {self.folder} --resume"

    @property
    def network_remedy(self) -> str:
        if not self.settings.network:
            return super().network_remedy
        return f"`{self._command}{'' if self.reached is None else ' --minutes MORE'}` trains it on"

    @property
    def unmoved(self) -> dict[str, np.ndarray]:
        if self.still is None:
            return {}
        parts = {spec: self.still[self.layout.reading_columns[spec.name]] for spec in self.layout.readings}
        return {spec.name: codec(spec).error_mask(codec(spec).physical_mask(part)) for spec, part in parts.items()}

    @property
    def followers(self) -> tuple[Follower, ...]:
        return self.odometers

    def foreseer(self) -> Forecaster:
        return Forecaster(self.team, self.model)

    def deviation(self, windows: Windows) -> np.ndarray:
        return self.baselines.lens.std

    @property
    def scene_name(self) -> str:
        """Of the scene whose log it was trained on, or the folder of the one among its experts; else empty."""
        return str(self.settings.about.get("scene") or RunFolder(self.folder).prior or "")

    def latents(self, log: Log | Path | str, *, episode: int, without: Sequence[str] = ()) -> Samples:
        """What the network believes at each tick of an episode, without some streams; see `Session.latents`."""
        return self.session.latents(log, episode=episode, without=without)

    def horizon_ticks(self, horizon_s: float | None, beyond_trained: bool = False) -> int:
        """A horizon in ticks; by default the one that the run was trained to.

        Raises:
            WorldModelError: unless it is positive and finite, and at most twice the trained one or `beyond_trained`.
        """
        dt = self.settings.dt
        if horizon_s is None:
            return self.trained_horizon
        ticks = ticks_of(horizon_s, dt)
        if ticks > _FARTHEST * self.trained_horizon and not beyond_trained:
            trained = self.trained_horizon * dt
            meant = self.settings.horizon * dt
            longer = f"`{self._command} --minutes MORE` goes on to {meant:g} s"
            short = self.trained_horizon < self.settings.horizon  # its time was over before
            remedy = longer if short and horizon_s <= _FARTHEST * meant else f"train with --horizon {horizon_s:g}"
            raise WorldModelError(
                f"The run was trained to imagine {trained:g} s, and {horizon_s:g} s is far beyond.",
                expected=f"a horizon of at most {_FARTHEST * trained:g} s",
                found=f"{horizon_s:g} s",
                remedy=f"{remedy}, or pass --beyond-trained (beyond_trained=True)",
            )
        return ticks

    def windows(self, log: Log, horizon: int | None = None, episodes: Sequence[int] | None = None) -> Windows:
        """The log's episodes (by default all) aligned as this run's model wants them.

        Raises:
            WorldModelError: if the log lacks a stream of the run, or has another in its place; units that become the
                run's exactly are turned into them.
        """
        horizon, log = horizon or self.settings.horizon, log.conform(self.settings.streams)
        return Windows.of(log, self.layout, self.settings.context, horizon, episodes, self.followers)

    def unseen(self, log: Log) -> list[int]:
        """Episodes of a log that may be measured: those whose content no update and no choice of the training saw.

        Of the training's own logs these are the ones with the role `measure`. Where too few episodes made roles share
        (`settings.shared_roles`), those that measure are given though they also selected.

        Raises:
            WorldModelError: if there are none.
        """
        seen = {e.sha256 for e in self.settings.episodes if {LEARN, SELECT}.issuperset(e.roles)}
        unseen = [i for i, episode in enumerate(log.episodes) if episode.sha256 not in seen]
        if not unseen:
            raise WorldModelError(
                f"The run has seen every episode of {log.files[0]}.",
                expected="a log with episodes that it neither learned from nor selected on",
                found=f"{len(log.episodes)} episodes, all of them among those of {', '.join(self.settings.logs)}",
                remedy="validate on another log, or train on three episodes or more with --holdout above 0",
            )
        return unseen

    def unseen_note(self, log: Log) -> str:
        """What is to be said beside measurements on a log's unseen episodes; empty if nothing is.

        That some were left out because the run has seen them, that roles share episodes, where some are of those, that
        the scene among its experts was fitted to some, and that it learned from simulated ones, too.
        """
        rows = self.unseen(log)
        unseen = [log.episodes[i].sha256 for i in rows]
        left_out = len(log.episodes) - len(unseen)
        notes = [f"{left_out} of {len(log.episodes)} episodes are left out: the run has seen them."] if left_out else []
        if {e.sha256 for e in self.settings.episodes if SELECT in e.roles} & set(unseen):
            notes.append(self.settings.shared_roles)
        if prior := RunFolder(self.folder).prior:
            scene = Uncertainty.of(prior)
            if fitted := sum(scene.has_fitted(log.episodes[i].name, log.episodes[i].sha256) for i in rows):
                notes.append(
                    f"The scene among its experts was fitted to {fitted} of these {len(rows)} episodes, so what they "
                    "measure is flattered."
                )
        return " ".join(filter(None, [*notes, simulated_note(self.settings.episodes)]))


def build_model(settings: RunSettings, scaling: Scaling) -> WorldModel:
    """The model with its initial parameters, which the settings' seed decides."""
    rngs = nnx.Rngs(params=jax.random.key(settings.seed))
    return settings.model.create(settings.layout, settings.context, scaling, rngs=rngs)


def draw_model(settings: RunSettings, scaling: Scaling) -> WorldModel:
    """`build_model` as one program that the compiler leaves as it is: it runs once, and initialisers are slow to tune.

    Parameters differ from those of `build_model` by rounding.
    """
    graphs = []

    def draw():
        graph, state = nnx.split(build_model(settings, scaling))
        graphs.append(graph)
        return state

    state = jax.jit(draw).lower().compile(compiler_options=_UNTUNED)()
    return nnx.merge(graphs[0], state)


@lru_cache(16)
def _structure(config: ModelConfig, layout: TickLayout, context: int) -> tuple[Any, Any, Any]:
    """`split_parameters` of such a model, with shapes for arrays: nothing is drawn."""
    sizes = (layout.size, layout.size, layout.action_count, layout.action_count, *[len(layout.newest)] * 2)
    scaling = Scaling(*(np.zeros(size, np.float32) for size in sizes))
    model = nnx.eval_shape(lambda: config.create(layout, context, scaling, rngs=_OneKey()))
    return split_parameters(model)


class _OneKey(nnx.Rngs):
    """For where nothing is drawn: to count keys while shapes are traced costs more than all the rest."""

    def params(self) -> jax.Array:
        return jax.random.key(0)


def load_run(folder: Path | str) -> Run:
    """Opens a run with its best parameters; needs no training data.

    Raises:
        WorldModelError: if there is no run, or it has no checkpoint yet.
    """
    keep_compiled()
    files = RunFolder(folder)
    settings = files.read_settings()
    scaling = files.read_scaling()
    baselines = files.read_baselines(settings.layout)
    team, odometers = files.read_team(baselines, settings), files.read_odometers()
    reached, still = (files.finished or {}).get("horizon"), still_in(scaling, settings.layout)
    if team is None and not settings.network:
        remedy = f"`worldmodel train ... --out {files.path} --resume` goes on"
        raise WorldModelError(f"The training of {files.path} has not ended, and nobody answers yet.", remedy=remedy)
    if team is not None and not team.has_network:  # for which there may have been no time
        return Run(files.path, settings, None, baselines, team, reached, odometers, still)
    graph, params, rest = _structure(settings.model, settings.layout, settings.context)
    model = nnx.merge(graph, files.read_parameters(params), rest, copy=True)  # `rest` is that of all such runs
    model.scaling = nnx.data(Scaling(*(nnx.Variable(jnp.asarray(x, jnp.float32)) for x in scaling)))
    spread = files.read_spread()
    model.spread = nnx.Variable(jnp.ones((1, model.layout.size)) if spread is None else jnp.asarray(spread))
    model.film = files.read_film() or Film.plain([spec.sample_shape for spec in model.layout.videos])
    return Run(files.path, settings, model, baselines, team, reached, odometers, still)

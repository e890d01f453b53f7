"""What a run predicts: the blend of its experts, of which the network is one, and frames, which it alone can draw."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float

from worldmodel.imagine.engine import Imagined, Imaginer, Pictures
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.blend import keys_of
from worldmodel.models.experts.compiled import Compiled, Meanwhile, foresee_in_numpy
from worldmodel.models.experts.team import Team
from worldmodel.models.world_model import WorldModel
from worldmodel.types import Commands

_NETWORK_MEMBERS = 16  # that the network's mean is taken of at least
_DOUBT = 0.5  # deviation of the share that comes true of what commands beyond all that was seen are said to do


class Forecasted(NamedTuple):
    """Features in physical units, positions relative to the context's last.

    Attributes:
        clean: [B, H, D] the mean, of what is there to be read.
        read: [B, K, H, D] members as sensors would read them.
        frames: for each video uint8 [B, K, P, rows, columns, 3].
        weights: [E, B, H, Y] how much each expert is trusted; none where the network is alone.
        outside: [B, H, Y + A] how far each reading and action has been outside what was trained on until each tick
            (`reach.labels` names them); of none where nothing is known of that.
        unstable: how many of the windows could not be simulated, and hold their last readings.
        mean_frames: for each video uint8 [B, P, rows, columns, 3], the average of all that may come.
    """

    clean: np.ndarray
    read: np.ndarray
    frames: list[np.ndarray]
    weights: np.ndarray
    outside: np.ndarray
    unstable: int = 0
    mean_frames: Sequence[np.ndarray] = ()


@runtime_checkable
class Foreseer(Protocol):
    """Whoever draws futures: the `Forecaster` of a run, or that of a scene."""

    @property
    def names(self) -> tuple[str, ...]:
        """The experts that are weighed, in the order of weights."""

    def compile(self, meanwhile: bool = False) -> None:
        """Gets ready to be asked of single windows, again and again; see `Forecaster.compile`."""

    def seeded(self, seed: int) -> "Foreseer":
        """The same with other noise."""

    def futures(self, context: Context, actions: Commands, ticks: Sequence[np.ndarray], members: int) -> Forecasted:
        """See `Forecaster.futures`."""

    def alone(self, name: str, context: Context, actions: Commands) -> Float[np.ndarray, "B H D"]:
        """See `Forecaster.alone`; `name` is one of `names`."""


class Forecaster:
    """Experts and network of a run, ready to be asked. Results depend on `seed` and on nothing after the contexts.

    Args:
        team: its experts; None for the network alone.
        model: its network; None where it has none.
        seed: of members.
    """

    def __init__(self, team: Team | None, model: WorldModel | None, seed: int = 0) -> None:
        self.team, self.seed = team, seed
        self._compiled: Compiled | Meanwhile | None = None
        self._imaginer = None if model is None else Imaginer(model, seed)

    @property
    def names(self) -> tuple[str, ...]:
        """The experts, in the order of weights."""
        return self.team.names if self.team else ()

    def compile(self, meanwhile: bool = False) -> None:
        """From now on experts are asked of single windows by a compiled program.

        To make one for a new shape of question takes seconds. Where it is made `meanwhile`, nobody waits, and answers
        are as before until it is there: the same but for rounding.
        """
        if self.team is None:
            return
        if meanwhile:
            self._compiled = self._compiled or Meanwhile(self.team)
        elif not isinstance(self._compiled, Compiled):
            self._compiled = self._compiled.compiled if self._compiled else Compiled(self.team)

    def seeded(self, seed: int) -> "Forecaster":
        """The same with other noise."""
        other = copy.copy(self)
        other.seed = seed
        other._imaginer = None if self._imaginer is None else self._imaginer.seeded(seed)
        return other

    def futures(self, context: Context, actions: Commands, ticks: Sequence[np.ndarray], members: int) -> Forecasted:
        """K futures of every sensor under actions [B, H, A], and their frames.

        Args:
            context: what was seen in each of B windows.
            actions: what is commanded from there on.
            ticks: for each video int [B, P], the horizon ticks (0 is the first ahead) wanted of it; none for no frames.
            members: K.
        """
        if self._imaginer is None:
            return self.blended(context, actions, None, members, self.seed)
        count, noisy = (max(members, _NETWORK_MEMBERS), False) if self.team else (members, True)
        roll = self._imaginer.begun if self._compiled and len(context.values) == 1 else self._imaginer.futures
        return self.blended(context, actions, roll(context, actions, ticks, count, noisy=noisy), members, self.seed)

    def alone(self, name: str, context: Context, actions: Commands) -> Float[np.ndarray, "B H D"]:
        """What one of the experts but the network predicts by itself; NaN of what it says nothing of."""
        assert self.team is not None
        view, lens = self.team.lens.look(context, actions), self.team.lens
        return lens.back_in_slots(self.team.alone(name, view), view.held[:, -1], view.angle)

    def blended(
        self,
        context: Context,
        actions: Commands,
        rolled: tuple[Imagined, list[Pictures]] | None,
        members: int,
        seed: int | Sequence[int],
    ) -> Forecasted:
        """`futures` of what the network imagined already, None where it did not; one seed, or one for each window.

        What commands do that lie beyond all that was ever commanded is unknown: an actuator may have come to its end.
        So each member takes a share of its own of what the other experts say the part beyond does.
        """
        imagined, shown = rolled or (None, [])
        if self.team is None:
            assert imagined is not None
            assert imagined.read is not None
            none = np.zeros((0, *imagined.clean.shape[::2], 0))
            read = imagined.read[:, :members]
            frames, mean = _drawn(shown, members)
            return Forecasted(imagined.clean.mean(1), read, frames, none, read[:, 0, :, :0], mean_frames=mean)
        network = imagined.clean if imagined is not None and self.team.has_network else None
        chosen = self.team.blend.drawn(len(context.values), members, seed)
        swift = self._compiled if len(chosen) == 1 else None
        foresee = swift.foresee if swift else partial(foresee_in_numpy, self.team)
        foreseen = foresee(context, actions, network, chosen)
        within = self.team.within(context, actions)  # while that is under way
        clean, read, weights, outside = jax.device_get(foreseen)
        if within is not None:
            led, nobody = clean, None
            if network is not None:
                nobody = np.full_like(network, np.nan)
                led = np.asarray(foresee(context, actions, nobody, chosen).mean)
            held = np.asarray(foresee(context, within, nobody, chosen).mean)
            share = _shares(len(chosen), members, seed)
            read = read + share[..., None, None] * (led - held)[:, None]
        frames, mean = _drawn(shown, members)
        return Forecasted(clean, read, frames, weights, outside, mean_frames=mean)


def _shares(windows: int, count: int, seed: int | Sequence[int]) -> Float[np.ndarray, "B K"]:
    """For each member of each window what it takes of what is doubted, less 1, and 0 on average over members."""
    drawn = np.stack([np.random.default_rng((*key, 1)).normal(0, _DOUBT, count) for key in keys_of(windows, seed)])
    return drawn - drawn.mean(1, keepdims=True)


def _drawn(shown: Sequence[Pictures], members: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each video the frames of so many members, and the mean frame."""
    shown = jax.device_get(shown)
    return [video.members[:, :members] for video in shown], [video.mean for video in shown]


def trust(
    names: Sequence[str], weights: Float[np.ndarray, "E H Y"], layout: TickLayout, context: Context
) -> dict[str, dict[str, np.ndarray]]:
    """How much each expert is trusted, by stream and expert: [H], the mean over its columns.

    Over those that are read in the context, if any is: whom a height that no receiver tells would trust says nothing.
    """
    if not names:  # a network alone: no means of nothing
        return {stream: {} for stream in layout.reading_columns}
    read, means = np.any(np.asarray(context.mask), axis=(0, 1))[layout.newest], {}
    for stream, columns in layout.reading_columns.items():
        counts = read[columns] if read[columns].any() else np.ones(len(read[columns]), bool)
        means[stream] = weights[..., columns][..., counts].mean(-1)
    return {stream: dict(zip(names, of, strict=True)) for stream, of in means.items()}


def network_ahead(model: WorldModel, lens: Lens, context: Context, actions: Commands) -> Float[np.ndarray, "B H Y"]:
    """What the network alone predicts, normalised and in the frame of the machine."""
    mean = Imaginer(model).futures(context, actions, (), _NETWORK_MEMBERS, noisy=False)[0].clean.mean(1)
    return lens.toward(mean, np.asarray(lens.layout.frames.angle(context.values, context.mask)))

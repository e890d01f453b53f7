"""What a scene foresees: the best estimate of the state simulated on, and members about it.

Members are machines drawn by how surely the numbers are known. Each has an observer of its own that reads the end of
the context with other noise, as in an ensemble Kalman filter with perturbed observations (Burgers et al. 1998, doi
10.1175/1520-0493(1998)126<1719:ASITEK>2.0.CO;2), so that states are drawn by how surely they are.
"""

import copy
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from worldmodel.codecs import codec
from worldmodel.errors import SceneError
from worldmodel.imagine.forecaster import Forecasted
from worldmodel.logs.windows import Context
from worldmodel.models.baselines.view import View
from worldmodel.models.experts.physics import Physics
from worldmodel.physics.spread import Drawn, Spread
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.simulate.identification.parameters import Machine
from worldmodel.simulate.identification.recordings import noise_of, stream_of
from worldmodel.types import Commands

_RECALLED = 24  # ticks that members' observers read: what is older than some readings hardly counts
_SENSED = 1000  # noise ahead is drawn apart from that of the context


class SceneForeseer:
    """Draws futures of a scene; results depend on `seed` and on nothing after the contexts.

    Args:
        physics: the scene, in units.
        uncertainty: of its numbers.
        spread: how much wider members are to be spread; None for as they are.
        seed: of members.
    """

    names: tuple[str, ...] = ()

    def __init__(self, physics: Physics, uncertainty: Uncertainty, spread: Spread | None, seed: int = 0) -> None:
        self._physics, self._uncertainty, self._spread, self.seed = physics, uncertainty, spread, seed
        self._machines: list[Machine] = []

    def compile(self, meanwhile: bool = False) -> None:
        """Nothing: MuJoCo has no programs to compile."""

    def seeded(self, seed: int) -> "SceneForeseer":
        """The same with other noise."""
        if seed == self.seed:
            return self
        other = copy.copy(self)
        other.seed, other._machines = seed, []
        return other

    def alone(self, name: str, context: Context, actions: Commands) -> np.ndarray:
        """A scene has no experts to ask."""
        raise KeyError(name)

    def futures(self, context: Context, actions: Commands, ticks: Sequence[np.ndarray], members: int) -> Forecasted:
        """K futures of every sensor under actions [B, H, A], without frames; see `Forecaster.futures`.

        Raises:
            SceneError: if the simulation becomes unstable in every window.
        """
        drawn = self.draw(context, actions, members)
        if drawn.unstable.all():
            raise SceneError(
                f"The simulation of {self._physics.world.scene.name} became unstable.",
                expected="finite states over the context and the horizon",
                remedy="use a smaller timestep in the MJCF model, a shorter horizon, or weaker actions",
            )
        windows, horizon = drawn.clean.shape[:2]
        factors = 1.0 if self._spread is None else self._spread.of(self._physics.lens.layout, horizon)
        read = drawn.clean[:, None] + factors * drawn.apart + drawn.noise
        trust, outside = np.zeros((0, windows, horizon, 0)), np.zeros((windows, horizon, 0))
        return Forecasted(drawn.clean, read, [], trust, outside, int(drawn.unstable.sum()))

    def draw(self, context: Context, actions: Commands, members: int) -> Drawn:
        """The prediction, how far members are from it, and their noise, as they come."""
        physics, lens = self._physics, self._physics.lens
        view = lens.look(context, actions)
        recalled = min(_RECALLED, view.context - 1)
        best = physics.simulate(view, [physics.nominal], back=recalled)
        unstable = np.isnan(best.ahead).any((1, 2, 3))
        short, states = view.newest(recalled + 1), best.states[:, 0]
        drawn = physics.simulate(short, self._machines_of(members), states, self._jitter(short, members)).ahead
        mean = np.where(unstable[:, None, None], view.held[:, -1:], best.ahead[:, 0])
        drawn = np.where(np.isnan(drawn).any((2, 3), keepdims=True), mean[:, None], drawn)
        clean, drawn = (lens.back_in_slots(x, view.held[:, -1], view.angle) for x in (mean, drawn))
        return Drawn(clean, drawn - clean[:, None], self._read(view, drawn) - drawn, unstable)

    def _machines_of(self, members: int) -> list[Machine]:
        """Machines of the seed, kept for the next question; other threads may ask at once."""
        machines = self._machines
        if len(machines) < members:
            machines = self._uncertainty.machines(self._physics.world, self.seed, members)
            self._machines = max(self._machines, machines, key=len)
        return machines[:members]

    def _jitter(self, view: View, members: int) -> dict[str, np.ndarray]:
        """By stream [B, K, M, S]: noise of the readings, drawn anew."""
        read = self._physics.read(view, self._physics.nominal)
        return {
            name: self._noise(view, name)[:, None, None] * self._normal(number, members, each.values.shape)
            for number, (name, each) in enumerate(read.items())
        }

    def _normal(self, salt: int, members: int, shape: tuple[int, ...]) -> np.ndarray:
        """[B, K, ...] of a shape [B, ...]: other numbers in each row, the same whatever rows and members come after."""
        keys = ([self.seed, salt, k] for k in range(members))
        return np.stack([np.random.default_rng(key).normal(size=shape) for key in keys], 1)

    def _noise(self, view: View, name: str) -> Float[np.ndarray, "B S"]:
        """Standard deviation of a stream's noise: the scene's, or else what its readings in the context say."""
        stream = stream_of(self._physics.world.scene, name)
        if (stream.noise_std > 0).all():
            return np.tile(stream.noise_std, (len(view.held), 1))
        read = self._physics.read(view, self._physics.nominal)[name].values
        return np.where(stream.noise_std > 0, stream.noise_std, np.stack([_rough(values) for values in read]))

    def _read(self, view: View, drawn: Float[np.ndarray, "B K H D"]) -> Float[np.ndarray, "B K H D"]:
        """Members as sensors would read them."""
        layout, out = self._physics.lens.layout, drawn.copy()
        for number, spec in enumerate(layout.readings):
            columns = layout.slot_columns(spec)
            values = codec(spec).physical(drawn[..., columns])
            noise = self._noise(view, spec.name)[:, None, None, None]
            noisy = values + noise * self._normal(_SENSED + number, len(drawn[0]), values[:, 0].shape)
            out[..., columns] = codec(spec).features_of(noisy)
        return out


def _rough(values: Float[np.ndarray, "M S"]) -> Float[np.ndarray, " S"]:
    """The standard deviation of noise in readings of which some are NaN; 0 of few."""
    read = values[np.isfinite(values).all(1)]
    return np.nan_to_num(noise_of(np.diff(read, axis=0)))

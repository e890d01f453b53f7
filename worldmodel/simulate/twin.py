"""The physical twin of a recording: MuJoCo, started from what the machine's sensors read."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.logs.same import Conformed
from worldmodel.simulate.matching import check_streams
from worldmodel.simulate.observer import Observer, Readings
from worldmodel.simulate.reading import set_reading
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.signals import controls_at, readings_at
from worldmodel.simulate.world import World
from worldmodel.types import Samples, StreamSpec

_REMEMBERS, _STEPS_BACK = 10.0, 5000  # time constants and physics steps that a lag is followed back


class Start(NamedTuple):
    """A moment to simulate from.

    Attributes:
        time_s: seconds from the episode's origin.
        readings: by stream, the last reading [S] of each sensor; a stream without one is left out.
        state: the simulator's own state [Q] at that moment, for coordinates that no sensor reads; None if unknown.
        actions: by stream, what was commanded, with times from the episode's origin.
    """

    time_s: float
    readings: Mapping[str, np.ndarray]
    state: np.ndarray | None
    actions: dict[str, Samples]


class Twin:
    """Simulates a scene from given moments under given actions.

    Args:
        scene: what is simulated.
        streams: whose units readings and commands are given and told in; of others those of the scene.

    Raises:
        SceneError: if the scene lacks one of the streams, or has it in units that do not convert.
    """

    def __init__(self, scene: Scene, streams: Sequence[StreamSpec] = ()) -> None:
        check_streams(scene, streams, converted=True)
        self.scene, self.world = scene, World(scene)
        own = {stream.spec.name: stream.spec for stream in scene.streams}
        self._given = {spec.name: Conformed.in_units(spec, own[spec.name].units) for spec in streams}
        self._told = {spec.name: Conformed.in_units(own[spec.name], spec.units) for spec in streams}
        self.observer = Observer(self.world)

    def start_state(self, start: Start) -> np.ndarray:
        """The state [Q]: what sensors of coordinates read, and for the rest the simulator's state or the scene's.

        Where the simulator's is not known, actuators that lag have followed what was commanded before.

        Raises:
            SceneError: if the simulator's state is that of another model.
        """
        state = self.world.default_state() if start.state is None else np.array(start.state, np.float64)
        if len(state) != len(self.world.packing.names):
            raise SceneError(
                f"The model of {self.scene.name} has changed since the log was recorded.",
                expected=f"a state of {len(self.world.packing.names)} coordinates",
                found=f"one of {len(state)} in the log",
                remedy="simulate the log again",
            )
        if start.state is None:
            self._lag(state, start)
        for stream in self.scene.read:
            if stream.spec.name not in start.readings:
                continue
            read = _read(self._given, stream.spec.name, start.readings[stream.spec.name])
            unbiased, at = read - stream.bias, 0
            for sensor in stream.sources:
                width = len(self.world.sensor_columns([sensor]))
                set_reading(self.world, state, sensor, unbiased[at : at + width])
                at += width
        return state

    def estimate(
        self, begins: Sequence[Start], read: Sequence[Mapping[str, Samples]], span_s: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """States [W, Q] `span_s` after each beginning, simulated and pulled to what was read since, and bool [W].

        Args:
            begins: where the simulation begins, and what was commanded from there on.
            read: for each, by stream what was read up to the end, at times from the episode's origin.
            span_s: seconds, which are rounded to physics steps.

        Returns:
            The states, and whether each simulation stayed finite.
        """
        given = {}
        for stream in self.scene.sensed:
            if all(stream.spec.name in each for each in read):
                since = [
                    Samples(samples.time - begin.time_s, _read(self._given, stream.spec.name, samples.data))
                    for samples, begin in ((each[stream.spec.name], b) for each, b in zip(read, begins, strict=True))
                ]
                given[stream.spec.name] = Readings.of(since).unspoilt(stream)
        states = self.observer.begin(given, np.stack([self.start_state(begin) for begin in begins]))
        controls = self._controls(begins, round(span_s / self.world.step_s))
        followed, sound = self.observer.follow(given, states, controls, begun=self._begun(begins))
        return followed[:, 0], sound

    def read_coordinates(self, streams: Sequence[str]) -> np.ndarray:
        """int [R] which coordinates of a state the sensors of some streams read."""
        found = [np.r_[pull.coordinates, pull.speeds] for pull in self.observer.pulls if pull.stream in streams]
        return np.unique(np.concatenate([np.zeros(0, int), *found]))

    def rollout(
        self, starts: Sequence[Start], ahead_s: np.ndarray, states: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Noise-free readings [W, H, S] of every sensor and GPS stream, `ahead_s` [H] seconds after each of W starts.

        Args:
            starts: W of them.
            ahead_s: [H].
            states: [W, Q] where they are; by default `start_state` of each.

        Raises:
            SceneError: if the simulation becomes unstable.
        """
        if states is None:
            states = np.stack([self.start_state(start) for start in starts])
        controls = self._controls(starts, int(np.rint(ahead_s.max() / self.world.step_s)))
        sensors = self.world.rollout(states, controls, self._begun(starts)).sensors
        read = {s.spec.name: readings_at(self.world, self.scene, s, sensors, ahead_s) for s in self.scene.sensed}
        return {name: _read(self._told, name, values) for name, values in read.items()}

    def _lag(self, state: np.ndarray, start: Start) -> None:
        """Puts into a state what actuators with first-order lags have made of the commands before it; in place."""
        model, dynamics, step_s = self.world.model, self.world.mj.mjtDyn, self.world.step_s
        exact = model.actuator_dyntype == int(dynamics.mjDYN_FILTEREXACT)
        lags = exact | (model.actuator_dyntype == int(dynamics.mjDYN_FILTER))
        rows = np.flatnonzero(lags & (model.actuator_ctrlnum == 1) & (model.actuator_actnum == 1))
        if not len(rows):
            return
        shares = step_s / np.maximum(model.actuator_dynprm[rows, 0], 1e-9)
        keeps = np.where(exact[rows], np.exp(-shares), 1 - shares)
        back = np.arange(int(np.clip(_REMEMBERS / shares.min(), 1, _STEPS_BACK)), 0, -1)
        controls = controls_at(self.world, self.scene, self._commanded(start), start.time_s - back * step_s)
        told = np.clip(controls, *self.world.control_ranges.T)[:, model.actuator_ctrladr[rows]]
        followed = (1 - keeps) * (keeps ** (back[:, None] - 1) * told).sum(0) + keeps ** len(back) * told[0]
        state[model.nq + model.nv + model.actuator_actadr[rows]] = followed

    def _controls(self, starts: Sequence[Start], steps: int) -> np.ndarray:
        times, given = np.arange(steps) * self.world.step_s, [self._commanded(start) for start in starts]
        each = zip(given, starts, strict=True)
        return np.stack([controls_at(self.world, self.scene, acts, start.time_s + times) for acts, start in each])

    def _commanded(self, start: Start) -> dict[str, Samples]:
        """The commands in the units of the scene."""
        return {n: Samples(acts.time, _read(self._given, n, acts.data)) for n, acts in start.actions.items()}

    def _begun(self, starts: Sequence[Start]) -> np.ndarray:
        """int [W] physics steps that each world has run since it settled."""
        return np.array([self.world.settle_steps + round(start.time_s / self.world.step_s) for start in starts])


def _read(units: Mapping[str, Conformed | None], name: str, values: np.ndarray) -> np.ndarray:
    """Values [..., S] of a stream in other units, where they differ."""
    read = units.get(name)
    return values if read is None else read(values)

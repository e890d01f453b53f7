"""The physical twin of a recording: MuJoCo, started from what the machine's sensors read."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate.reading import set_reading
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.signals import controls_at, readings_at
from worldmodel.simulate.world import World
from worldmodel.types import Samples


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
    """Simulates a scene from given moments under given actions."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.world = scene, World(scene)

    def start_state(self, start: Start) -> np.ndarray:
        """The state [Q]: what sensors of coordinates read, and for the rest the simulator's state or the scene's.

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
        for stream in self.scene.streams:
            if stream.spec.kind != "sensor" or stream.spec.name not in start.readings:
                continue
            unbiased, at = start.readings[stream.spec.name] - stream.bias, 0
            for sensor in stream.sources:
                width = len(self.world.sensor_columns([sensor]))
                set_reading(self.world, state, sensor, unbiased[at : at + width])
                at += width
        return state

    def rollout(self, starts: Sequence[Start], ahead_s: np.ndarray) -> dict[str, np.ndarray]:
        """Noise-free readings [W, H, S] of every sensor and GPS stream, `ahead_s` [H] seconds after each of W starts.

        Raises:
            SceneError: if the simulation becomes unstable.
        """
        count = int(np.rint(ahead_s.max() / self.world.step_s))
        steps = np.arange(count) * self.world.step_s
        states = np.stack([self.start_state(start) for start in starts])
        controls = [controls_at(self.world, self.scene, start.actions, start.time_s + steps) for start in starts]
        begun = np.array([self.world.settle_steps + round(start.time_s / self.world.step_s) for start in starts])
        sensors = self.world.rollout(states, np.stack(controls), begun).sensors
        return {
            stream.spec.name: readings_at(self.world, self.scene, stream, sensors, ahead_s)
            for stream in self.scene.sensed
        }

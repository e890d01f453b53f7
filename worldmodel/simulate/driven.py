"""A scene that runs while somebody drives it: commands go in, readings come out as their moments pass."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from worldmodel.simulate.scene import Scene, SceneStream
from worldmodel.simulate.signals import controls_at, raw_readings, sense
from worldmodel.simulate.world import World
from worldmodel.types import Samples


class Reading(NamedTuple):
    """One sample of a stream: a reading, a frame, or a command that was given.

    Attributes:
        stream: its name.
        time_s: seconds after the drive began.
        value: [S] in the stream's units; a frame is uint8 [rows, columns, 3].
        true: [S] the same without noise.
    """

    stream: str
    time_s: float
    value: np.ndarray
    true: np.ndarray


class Driven:
    """A drive through a scene. Streams have their rates, delays, biases and noise, but no outages.

    Args:
        scene: the world.
        seed: decides where it starts, and the noise.

    Attributes:
        state: [Q] of the world now.
    """

    def __init__(self, scene: Scene, seed: int = 0) -> None:
        self.scene, self.world = scene, World(scene)
        self._rng = np.random.default_rng(seed)
        self._given = {s.spec.name: Samples(np.zeros(0), np.zeros((0, len(s.sources)))) for s in scene.actions}
        self._steps = 0  # of physics, since the drive began
        self._kept = int(np.ceil(scene.longest_delay_s / self.world.step_s)) + 1  # of the newest steps, for delays
        self._eyes = {s.spec.name: Eye(self.world, s) for s in scene.streams if s.spec.kind == "video"}
        self._start()

    @property
    def now_s(self) -> float:
        return self._steps * self.world.step_s

    @property
    def within_limits(self) -> bool:
        """Whether every joint is where the scene allows it."""
        return bool(self.world.within_limits(self.state))

    def advance(self, seconds: float, commands: Mapping[str, np.ndarray]) -> list[Reading]:
        """Goes on for whole physics steps, and returns what was read in them, in order of time.

        Args:
            seconds: at least one step is made.
            commands: by action stream what is commanded [S]; what lies outside the actuator's range is cut off.

        Raises:
            SceneError: if the physics becomes unstable.
        """
        steps = max(round(seconds / self.world.step_s), 1)
        begin, end = self._steps, self._steps + steps
        found = [reading for stream in self.scene.actions for reading in self._command(stream, commands, begin, end)]
        times = np.arange(begin, end) * self.world.step_s
        controls = controls_at(self.world, self.scene, self._given, times)
        self._roll(controls)
        self._steps = end
        for stream in self.scene.streams:
            if stream.spec.kind != "action":
                found += self._read(stream, begin, end)
        return sorted(found, key=lambda reading: reading.time_s)

    def ahead(self, seconds: float, commands: Mapping[str, np.ndarray]) -> Samples:
        """All sensor values [K + N + 1, all] of K steps that were and N to come if these commands hold; nothing moves.

        Their times are as a reading's. K reaches back at least as far as the longest delay.

        Raises:
            SceneError: if the physics becomes unstable.
        """
        times = (self._steps + np.arange(round(seconds / self.world.step_s))) * self.world.step_s
        held = {
            stream.spec.name: _added(self._given[stream.spec.name], times[:1], self._cut(stream, commands)[None])
            for stream in self.scene.actions
        }
        controls = controls_at(self.world, self.scene, held, times)
        rolled = self.world.rollout(self.state[None], controls[None], self._begun)
        sensors = np.concatenate([self._sensors[:-1], rolled.sensors[0]])
        first = self._steps - len(self._sensors) + 1
        return Samples((first + np.arange(len(sensors))) * self.world.step_s, sensors)

    def close(self) -> None:
        """Gives back what its cameras hold; nothing more can be seen."""
        for eye in self._eyes.values():
            eye.close()

    @property
    def _begun(self) -> np.ndarray:
        return np.array([max(self.world.settle_steps, 1) + self._steps])

    def _start(self) -> None:
        self.state, settle = self.world.start(self._rng), max(self.world.settle_steps, 1)
        rolled = self.world.rollout(self.state[None], np.tile(self.world.rest_controls, (1, settle, 1)))
        self.state = rolled.states[0, -1]
        self._states, self._sensors = rolled.states[0, -self._kept :], rolled.sensors[0, -self._kept :]

    def _roll(self, controls: np.ndarray) -> None:
        rolled, before = self.world.rollout(self.state[None], controls[None], self._begun), slice(-self._kept, -1)
        self._states = np.concatenate([self._states[before], rolled.states[0]])
        self._sensors = np.concatenate([self._sensors[before], rolled.sensors[0]])
        self.state = rolled.states[0, -1]

    def _cut(self, stream: SceneStream, commands: Mapping[str, np.ndarray]) -> np.ndarray:
        low, high = self.world.control_ranges[self.world.control_columns(stream.sources)].T
        return np.clip(np.asarray(commands[stream.spec.name], np.float64), low, high)

    def _command(self, stream: SceneStream, commands: Mapping[str, np.ndarray], begin: int, end: int) -> list[Reading]:
        name, value = stream.spec.name, self._cut(stream, commands)
        times = self._stamps(stream, begin, end - 1)
        longest = self.scene.longest_delay_s + 1 / stream.spec.rate_hz
        given = _added(self._given[name], times, np.tile(value, (len(times), 1)))
        kept = max(int(np.searchsorted(given.time, self.now_s - longest)) - 1, 0)
        self._given[name] = Samples(given.time[kept:], given.data[kept:])
        return [Reading(name, float(time), value, value) for time in times]

    def _stamps(self, stream: SceneStream, first: int, last: int) -> np.ndarray:
        """Times of a stream's samples from one step to another, both included."""
        interval = self.world.steps_between(stream.spec.rate_hz)
        return np.arange(-(-first // interval), last // interval + 1) * interval * self.world.step_s

    def _read(self, stream: SceneStream, begin: int, end: int) -> list[Reading]:
        times = self._stamps(stream, begin + (begin > 0), end)  # the first moment is read with what follows it
        oldest_s = (end - len(self._sensors) + 1) * self.world.step_s
        if stream.spec.kind == "video":
            rows = np.rint((times - stream.delay_s - oldest_s) / self.world.step_s).astype(int)
            frames = [self._eyes[stream.spec.name].frame(self._states[row]) for row in rows]
            return [Reading(stream.spec.name, float(t), x, x) for t, x in zip(times, frames, strict=True)]
        clean = raw_readings(self.world, stream, self._sensors, times - oldest_s)
        noisy = clean + stream.noise_std * self._rng.normal(size=clean.shape)
        true, read = (sense(self.scene, stream, values) for values in (clean, noisy))
        return [Reading(stream.spec.name, float(t), x, y) for t, x, y in zip(times, read, true, strict=True)]


class Eye:
    """A camera of a world, with an OpenGL context that is kept, in the one thread that it belongs to."""

    def __init__(self, world: World, stream: SceneStream) -> None:
        self._context, self._thread = world.eye(stream.sources[0], stream.spec.size or (0, 0)), ThreadPoolExecutor(1)
        self._look: Callable[[np.ndarray], np.ndarray] | None = None

    def frame(self, state: np.ndarray) -> np.ndarray:
        """What it sees of a state [Q]: uint8 [rows, columns, 3].

        Raises:
            WorldModelError: if nothing can be rendered here.
        """
        return self._thread.submit(self._frame, state).result()

    def close(self) -> None:
        """Closes the context in its thread, and ends that."""
        self._thread.submit(self._closed).result()
        self._thread.shutdown()

    def _closed(self) -> None:
        if self._look is not None:
            self._context.__exit__(None, None, None)

    def _frame(self, state: np.ndarray) -> np.ndarray:
        if self._look is None:
            self._look = self._context.__enter__()
        return self._look(state)


def _added(held: Samples, times: np.ndarray, values: np.ndarray) -> Samples:
    """Commands, and newer ones that take the place of those of the same time."""
    before = held.time < (times[0] if len(times) else np.inf)
    return Samples(np.concatenate([held.time[before], times]), np.concatenate([held.data[before], values]))

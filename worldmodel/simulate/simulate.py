"""Simulates a scene and records it as a log, with what really happened beside it as truth."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np
from rich.progress import Progress

from worldmodel.arrays import hold
from worldmodel.errors import SceneError
from worldmodel.files import check_output
from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate.excitation import BEHAVIOURS, random_actions
from worldmodel.simulate.scene import Outages, Scene, SceneStream
from worldmodel.simulate.scene_file import load_scene
from worldmodel.simulate.world import Rolled, World, free_cores
from worldmodel.types import Samples, StreamSpec

_AT_ONCE = 8  # worlds in memory, or one for each core


@dataclasses.dataclass(frozen=True)
class Branch:
    """Futures that part: each world is recorded `count` times, alike up to `at_s`, then under actions of its own.

    Attributes:
        behaviours: what the branches do then, in turn: names of `BEHAVIOURS`; by default all go on as before.
    """

    at_s: float
    count: int
    behaviours: tuple[str, ...] = ("as in training",)


def simulate(
    scene: Scene | Path | str,
    out: Path | str,
    *,
    episodes: int = 20,
    seconds: float = 20.0,
    seed: int = 0,
    branch: Branch | None = None,
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Records simulated episodes of a scene as a log. The same seed gives the same log, whatever the number of cores.

    Args:
        scene: a scene, a shipped one's name, or a folder.
        out: the log to write.
        episodes: how many worlds.
        seconds: how long each.
        seed: decides starts, actions, noise and outages.
        branch: record each world several times, with actions that part from one another.
        force: replace a log that exists.
        progress: show a bar.

    Raises:
        SceneError: if the scene does not fit its model, or its physics becomes unstable.
        WorldModelError: if `out` exists or cannot be written.
    """
    scene = scene if isinstance(scene, Scene) else load_scene(scene)
    check_output(Path(out), force, inputs=scene.model.parent.rglob("*"))
    world = World(scene)
    for name, value, least in (("episodes", episodes, 1), ("seconds", seconds, world.step_s)):
        if not least <= value < float("inf"):
            raise SceneError(
                f"There is no simulating {value:g} {name}.", expected=f"{least:g} or more", found=str(value)
            )
    recorder = _Recorder(scene, world, seconds, seed, branch)
    takes = [(w, b) for w in range(episodes) for b in range(branch.count if branch else 1)]
    about = {"scene": scene.name, "description": scene.description, "seed": seed, "simulator": "MuJoCo"}
    specs = [stream.spec for stream in scene.streams]
    with (
        LogWriter(out, specs, truth=recorder.truth_specs, about=about, force=force) as writer,
        Progress(disable=not progress) as bar,
    ):
        task = bar.add_task(f"simulating {scene.name}", total=len(takes))
        at_once = max(_AT_ONCE, free_cores())
        for first in range(0, len(takes), at_once):
            for episode in recorder.record(takes[first : first + at_once]):
                writer.append(episode.streams, truth=episode.truth, name=episode.name, duration_s=seconds)
                bar.advance(task)
    return Path(out)


@dataclasses.dataclass
class _Episode:
    name: str
    streams: dict[str, Samples]
    truth: dict[str, Samples]


class _Recorder:
    """Turns rolled-out worlds into episodes."""

    def __init__(self, scene: Scene, world: World, seconds: float, seed: int, branch: Branch | None) -> None:
        self.scene, self.world, self.seconds, self.seed, self.branch = scene, world, seconds, seed, branch
        self.settle = round(scene.settle_s / world.step_s)
        self.steps = round(seconds / world.step_s)
        state = StreamSpec(
            "state", "sensor", world.packing.names, ("",) * len(world.packing.names), scene.tick_hz,
            description="MuJoCo's positions, velocities, activations and what delays remember",
        )  # fmt: skip
        readings = [
            dataclasses.replace(s.spec, noise_std=()) for s in scene.streams if s.spec.kind in ("sensor", "gps")
        ]
        self.truth_specs = [*readings, state]

    def record(self, takes: list[tuple[int, int]]) -> list[_Episode]:
        actions = [self._actions(world, branch) for world, branch in takes]
        starts = np.stack([self.world.start(self._rng("reset", world)) for world, _ in takes])
        rolled = self.world.rollout(starts, np.stack([self._controls(taken) for taken in actions]))
        rolled = Rolled(rolled.states[:, self.settle :], rolled.sensors[:, self.settle :])
        films = {s.spec.name: self._film(s, rolled) for s in self.scene.streams if s.spec.kind == "video"}
        return [
            self._episode(take, actions[i], rolled.states[i], rolled.sensors[i], {n: f[i] for n, f in films.items()})
            for i, take in enumerate(takes)
        ]

    def _rng(self, purpose: str, *numbers: int) -> np.random.Generator:
        """A stream of random numbers of its own for each purpose, so that none disturbs another."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode()), *numbers])

    def _rows(self, rate_hz: float) -> np.ndarray:
        """Physics steps at which a stream of a rate is sampled."""
        return np.arange(0, self.steps + 1, self.world.steps_between(rate_hz))

    def _actions(self, world: int, branch: int) -> dict[str, Samples]:
        """Commands by stream, from the moment that settling begins."""
        actions = {}
        for stream in self.scene.actions:
            assert stream.excitation is not None
            interval = self.world.steps_between(stream.spec.rate_hz)
            times = (np.arange(0, self.settle + self.steps + 1, interval) - self.settle) * self.world.step_s
            values = random_actions(stream.excitation, times, self._rng(stream.spec.name, world))
            if self.branch is not None:
                behave = BEHAVIOURS[self.branch.behaviours[branch % len(self.branch.behaviours)]]
                other = behave(stream.excitation, times, self._rng(stream.spec.name, world, 1 + branch))
                values = np.where((times >= self.branch.at_s - 1e-9)[:, None], other, values)
            low, high = self.world.control_ranges[self.world.control_columns(stream.sources)].T
            actions[stream.spec.name] = Samples(times, np.clip(values, low, high).astype(np.float32))
        return actions

    def _controls(self, actions: dict[str, Samples]) -> np.ndarray:
        steps = (np.arange(self.settle + self.steps) - self.settle) * self.world.step_s
        return controls_at(self.world, self.scene, actions, steps)

    def _film(self, stream: SceneStream, rolled: Rolled) -> np.ndarray:
        assert stream.spec.size is not None
        return self.world.render(stream.sources[0], stream.spec.size, rolled.states[:, self._rows(stream.spec.rate_hz)])

    def _episode(self, take: tuple[int, int], actions, states, sensors, films) -> _Episode:
        world, branch = take
        streams, truth = {}, {}
        for stream in self.scene.streams:
            spec, rows = stream.spec, self._rows(stream.spec.rate_hz)
            time = rows * self.world.step_s
            if spec.kind == "action":
                given = actions[spec.name]
                during = (given.time >= -1e-9) & (given.time < self.seconds - 1e-9)
                streams[spec.name] = Samples(np.maximum(given.time[during], 0.0), given.data[during])
                continue
            rng = self._rng(spec.name, world)
            if spec.kind == "video":
                clean = noisy = films[spec.name]
            else:
                clean = sensors[rows][:, self.world.sensor_columns(stream.sources)]
                noisy = clean + stream.noise_std * rng.normal(size=clean.shape)
                clean, noisy = (sense(self.scene, stream, values) for values in (clean, noisy))
                truth[spec.name] = Samples(time, clean)
            there = _outside_outages(stream.outages, time, self.seconds, rng)
            streams[spec.name] = Samples(time[there], noisy[there])
        rows = self._rows(self.scene.tick_hz)
        truth["state"] = Samples(rows * self.world.step_s, states[rows])
        name = f"{Path(self.scene.name).name} {world}" + (f" branch {branch}" if self.branch else "")
        return _Episode(name, streams, truth)


def sense(scene: Scene, stream: SceneStream, values: np.ndarray) -> np.ndarray:
    """Sensor values [..., S] of the model as the stream records them: GPS as latitude, longitude, altitude."""
    if stream.spec.kind == "gps":
        return enu_to_geodetic(values.reshape(-1, 3), scene.origin).reshape(values.shape)
    wraps = np.asarray(stream.spec.circular)
    return np.where(wraps, (values + np.pi) % (2 * np.pi) - np.pi, values)


def controls_at(world: World, scene: Scene, actions: dict[str, Samples], times: np.ndarray) -> np.ndarray:
    """Controls [N, U] at times [N]: each command holds until the next that is a number.

    Before the first, or where there is none, stands the scene's own: that of its keyframe, or 0.
    """
    controls = np.tile(world.rest_controls, (len(times), 1))
    for stream in scene.actions:
        given = actions.get(stream.spec.name)
        if given is None or not len(given.time):
            continue
        data = np.asarray(given.data, np.float64)
        held, begun = hold(np.nan_to_num(data), np.isfinite(data), axis=0)
        row = np.searchsorted(given.time, times + 1e-7, side="right") - 1
        known = begun[np.maximum(row, 0)] & (row >= 0)[:, None]
        columns = world.control_columns(stream.sources)
        controls[:, columns] = np.where(known, held[np.maximum(row, 0)], world.rest_controls[columns])
    return controls


def _outside_outages(outages: Outages | None, time: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Which of the times [M] no outage covers: bool [M]."""
    there = np.ones(len(time), bool)
    at = rng.exponential(outages.every_s) if outages else seconds
    while outages and at < seconds:
        until = at + rng.uniform(*outages.seconds)
        there &= (time < at) | (time >= until)
        at = until + rng.exponential(outages.every_s)
    return there

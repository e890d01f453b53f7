"""Turns rolled-out worlds into episodes: commands, readings with their noise, delays and outages, and the truth."""

import dataclasses
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate.excitation import BEHAVIOURS, of_episode, random_actions
from worldmodel.simulate.scene import Outages, Scene, SceneStream
from worldmodel.simulate.signals import controls_at, raw_readings, sense
from worldmodel.simulate.world import Rolled, World
from worldmodel.types import Samples, StreamSpec

_DRAWS = 10  # of a world that does not last


@dataclasses.dataclass(frozen=True)
class Branch:
    """Futures that part: each world is recorded `count` times, alike up to `at_s`, then under actions of its own.

    Attributes:
        behaviours: what the branches do then, in turn: names of `BEHAVIOURS`; by default all go on as before.
    """

    at_s: float
    count: int
    behaviours: tuple[str, ...] = ("as in training",)


class _Take(NamedTuple):
    """One recording: of which world, which of its branches, and how often the world was drawn before."""

    world: int
    branch: int
    drawn: int = 0


@dataclasses.dataclass
class Episode:
    """An episode to write: its streams, and the truth beside them."""

    name: str
    seconds: float
    streams: dict[str, Samples]
    truth: dict[str, Samples]


class Recorder:
    """Turns rolled-out worlds into episodes.

    A world that becomes unstable, or leaves the scene's limits, is recorded up to there if that is half of what was
    asked for, without branches; else it is drawn again.

    Attributes:
        cut, again, dropped: how many episodes were cut short, worlds drawn again, and worlds given up.
    """

    def __init__(self, scene: Scene, world: World, seconds: float, seed: int, branch: Branch | None) -> None:
        self.scene, self.world, self.seconds, self.seed, self.branch = scene, world, seconds, seed, branch
        self.settle, self.steps = world.settle_steps, round(seconds / world.step_s)
        self._least = self.steps if branch else (self.steps + 1) // 2
        self.cut = self.again = self.dropped = 0
        state = StreamSpec(
            "state", "sensor", world.packing.names, ("",) * len(world.packing.names), scene.tick_hz,
            description="MuJoCo's positions, velocities, activations and what delays remember",
        )  # fmt: skip
        readings = [dataclasses.replace(s.spec, noise_std=()) for s in scene.sensed]
        self.truth_specs = [*readings, state]

    def record(self, worlds: Sequence[int]) -> list[Episode]:
        """The episodes of some worlds, branches of a world one after another.

        Raises:
            SceneError: if all of these worlds were given up, however often they were drawn.
        """
        takes = [_Take(world, branch) for world in worlds for branch in range(self.branch.count if self.branch else 1)]
        kept: dict[int, list[Episode]] = {world: [] for world in worlds}
        for _ in range(_DRAWS):
            actions = [self._actions(take) for take in takes]
            rolled = self._rolled(takes, actions)
            ends = self._ends(rolled)
            short = {take.world for take, end in zip(takes, ends, strict=True) if end < self._least}
            lasting = [i for i, take in enumerate(takes) if take.world not in short]
            for i, episode in zip(lasting, self._episodes(takes, actions, rolled, ends, lasting), strict=True):
                kept[takes[i].world].append(episode)
            takes = [take._replace(drawn=take.drawn + 1) for take in takes if take.world in short]
            if not takes:
                break
            self.again += len(short)
        self.again -= len(short)  # which were not drawn any more
        self.dropped += len(short)
        if len(short) == len(kept):
            raise self._given_up(rolled)
        return [episode for world in worlds for episode in kept[world]]

    @property
    def note(self) -> str:
        """What to say of worlds that did not last; empty where all did."""
        counts = {"cut short": self.cut, "drawn again": self.again, "given up": self.dropped}
        found = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
        return f"worlds that became unstable or left their limits: {found}" if found else ""

    def _given_up(self, rolled: Rolled) -> SceneError:
        if (rolled.sound < self.settle + self.steps).any():
            return self.world.unstable(rolled)
        return SceneError(
            f"{self.scene.name} leaves its limits too soon.",
            expected=f"{self._least * self.world.step_s:g} s within them",
            found=f"{_DRAWS} draws of each world that did not last",
            remedy="widen [limits] in scene.toml, or narrow [reset] or the excitation",
        )

    def _rolled(self, takes: Sequence[_Take], actions: Sequence[dict[str, Samples]]) -> Rolled:
        starts = np.stack([self.world.start(self._rng("reset", take.drawn, take.world)) for take in takes])
        times = (np.arange(self.settle + self.steps) - self.settle) * self.world.step_s
        controls = [controls_at(self.world, self.scene, taken, times) for taken in actions]
        return self.world.try_rollout(starts, np.stack(controls))

    def _ends(self, rolled: Rolled) -> np.ndarray:
        """int [W] the last physics step of each recording that is sound and within the limits; below 0 for none."""
        good = np.arange(self.settle + self.steps + 1) <= rolled.sound[:, None]
        good &= self.world.within_limits(rolled.states)
        first_bad = np.where(good.all(1), self.settle + self.steps + 1, good.argmin(1))
        return first_bad - 1 - self.settle

    def _rng(self, purpose: str, drawn: int, *numbers: int) -> np.random.Generator:
        """A stream of random numbers of its own for each purpose, so that none disturbs another."""
        words = f"{purpose}, drawn again {drawn}" if drawn else purpose
        return np.random.default_rng([self.seed, zlib.crc32(words.encode()), *numbers])

    def _rows(self, rate_hz: float, end: int) -> np.ndarray:
        """Physics steps at which a stream of a rate is sampled."""
        return np.arange(0, end + 1, self.world.steps_between(rate_hz))

    def _actions(self, take: _Take) -> dict[str, Samples]:
        """Commands by stream, from the moment that settling begins."""
        actions = {}
        for stream in self.scene.actions:
            assert stream.excitation is not None
            name = stream.spec.name
            excitation = of_episode(stream.excitation, self._rng(f"amplitude of {name}", take.drawn, take.world))
            interval = self.world.steps_between(stream.spec.rate_hz)
            before = -(-self.settle // interval) * interval
            times = (np.arange(0, before + self.steps + 1, interval) - before) * self.world.step_s
            values = random_actions(excitation, times, self._rng(name, take.drawn, take.world))
            if self.branch is not None:
                behave = BEHAVIOURS[self.branch.behaviours[take.branch % len(self.branch.behaviours)]]
                other = behave(excitation, times, self._rng(name, take.drawn, take.world, 1 + take.branch))
                values = np.where((times >= self.branch.at_s - 1e-9)[:, None], other, values)
            low, high = self.world.control_ranges[self.world.control_columns(stream.sources)].T
            actions[name] = Samples(times, np.clip(values, low, high).astype(np.float32))
        return actions

    def _episodes(
        self,
        takes: Sequence[_Take],
        actions: Sequence[dict[str, Samples]],
        rolled: Rolled,
        ends: np.ndarray,
        which: Sequence[int],
    ) -> list[Episode]:
        """The episodes of some of the takes."""
        films = {
            s.spec.name: self._film(s, rolled.states[which], ends[which])
            for s in self.scene.streams
            if s.spec.kind == "video" and which
        }
        self.cut += int((ends[which] < self.steps).sum())
        return [
            self._episode(
                takes[i],
                actions[i],
                rolled.states[i],
                rolled.sensors[i],
                int(ends[i]),
                {n: f[k] for n, f in films.items()},
            )
            for k, i in enumerate(which)
        ]

    def _film(self, stream: SceneStream, states: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Frames of the recordings, the last of each that ends early again and again."""
        assert stream.spec.size is not None
        taken = self._rows(stream.spec.rate_hz, self.steps) - round(stream.delay_s / self.world.step_s)
        rows = self.settle + np.minimum(taken, ends[:, None])
        return self.world.render(stream.sources[0], stream.spec.size, states[np.arange(len(states))[:, None], rows])

    def _episode(self, take: _Take, actions, states, sensors, end: int, films) -> Episode:
        streams, truth = {}, {}
        seconds = self.seconds if end == self.steps else end * self.world.step_s
        for stream in self.scene.streams:
            spec, rows = stream.spec, self._rows(stream.spec.rate_hz, end)
            time = rows * self.world.step_s
            if spec.kind == "action":
                given = actions[spec.name]
                during = (given.time >= -1e-9) & (given.time < seconds - 1e-9)
                streams[spec.name] = Samples(np.maximum(given.time[during], 0.0), given.data[during])
                continue
            rng = self._rng(spec.name, take.drawn, take.world)
            if spec.kind == "video":
                noisy = films[spec.name][: len(rows)]
            else:
                clean = raw_readings(self.world, stream, sensors, self.settle * self.world.step_s + time)
                noisy = clean + stream.noise_std * rng.normal(size=clean.shape)
                clean, noisy = (sense(self.scene, stream, values) for values in (clean, noisy))
                truth[spec.name] = Samples(time, clean)
            there = _outside_outages(stream.outages, time, seconds, rng)
            streams[spec.name] = Samples(time[there], noisy[there])
        rows = self._rows(self.scene.tick_hz, end)
        truth["state"] = Samples(rows * self.world.step_s, states[self.settle + rows])
        name = f"{Path(self.scene.name).name} {take.world}" + (f" branch {take.branch}" if self.branch else "")
        return Episode(name, seconds, streams, truth)


def _outside_outages(outages: Outages | None, time: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Which of the times [M] no outage covers: bool [M]."""
    there = np.ones(len(time), bool)
    at = rng.exponential(outages.every_s) if outages else seconds
    while outages and at < seconds:
        until = at + rng.uniform(*outages.seconds)
        there &= (time < at) | (time >= until)
        at = until + rng.exponential(outages.every_s)
    return there

"""Physics: a scene as one more expert, started from an observer of the context, trusted where it has earned it."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.simulate import Scene, check_streams, load_scene
from worldmodel.simulate.identification.parameters import Machine
from worldmodel.simulate.observer import Observer, Readings
from worldmodel.simulate.scene import SceneStream
from worldmodel.simulate.signals import readings_at
from worldmodel.simulate.world import World

_WORLDS = 1024  # that are simulated together


@dataclasses.dataclass
class Physics:
    """MuJoCo on the context's readings and commands. Of streams that the scene does not have it says nothing.

    Attributes:
        lens: what it sees through.
        folder: the scene's. sha256: of what is in it.
        general: compile the model so that machines with other numbers may be made of it.
    """

    lens: Lens
    folder: Path
    sha256: str
    general: bool = False

    name = "physics"

    @classmethod
    def of(cls, scene: Scene, lens: Lens, general: bool = False) -> "Physics":
        """A scene as an expert of these streams.

        Raises:
            WorldModelError: if it has none of them, lacks a command, or has one of them in other units.
        """
        found = cls(lens, scene.folder, folder_sha256(scene.folder), general)
        has = {s.spec.name: s.spec.columns for s in scene.streams}
        lacking = [s for s in lens.layout.actions if has.get(s.name) != s.columns]
        if lacking or not found.streams:
            raise WorldModelError(
                f"The scene {scene.name} does not fit the log.",
                expected="the log's commands, and one of its sensors: "
                + "; ".join(f"{s.name} ({', '.join(s.columns)})" for s in lens.layout.streams),
                found="; ".join(f"{name} ({', '.join(columns)})" for name, columns in has.items()),
                remedy="name streams and columns alike in scene.toml",
            )
        check_streams(scene, [s for s in lens.layout.streams if has.get(s.name) == s.columns])
        return found

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED) -> "Physics":
        """Itself: it learns nothing here."""
        return self

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What tells the scene; its folder is kept beside."""
        return {"sha256": np.array(self.sha256)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], lens: Lens, folder: Path) -> "Physics":
        """What `to_arrays` gave, with the scene's folder.

        Raises:
            WorldModelError: if the folder is not what it was.
        """
        kept = str(arrays["sha256"])
        if not folder.is_dir() or folder_sha256(folder) != kept:
            raise WorldModelError(
                f"The scene {folder} is not the one that the run was blended with.",
                expected=f"files with the hash {kept[:12]}",
                found="others" if folder.is_dir() else "no folder",
                remedy="put it back as it was, or train the run again",
            )
        return cls(lens, folder, kept)

    def predict(self, view: View) -> Float[np.ndarray, "B H Y"]:
        """Normalised readings at the ticks ahead; NaN where the scene has none, or a simulation became unstable."""
        return self.simulate(view, [self.nominal]).ahead[:, 0]

    def simulate(
        self,
        view: View,
        machines: Sequence[Machine],
        states: Float[np.ndarray, "B Q"] | None = None,
        jitter: Mapping[str, np.ndarray] | None = None,
        back: int = 0,
    ) -> "Simulated":
        """What K machines' sensors read next, each started from an observer of its own.

        Args:
            view: B windows.
            machines: K of them, which are this world's with other numbers.
            states: of each window where the first tick of the context finds it; by default the scene's start, with
                what is read first.
            jitter: by stream [B, K, M, S], what each machine takes readings to be more than they were.
            back: ticks before the end of the context, of which states are wanted.
        """
        each = max(_WORLDS // len(machines), 1)
        parts = []
        for begin in range(0, len(view.held), each):
            rows = slice(begin, begin + each)
            some = None if jitter is None else {name: more[rows] for name, more in jitter.items()}
            begun = None if states is None else states[rows]
            parts.append(self._rolled(view.take(rows), machines, begun, some, back))
        return Simulated(*(np.concatenate(x) for x in zip(*parts, strict=True)))

    @cached_property
    def world(self) -> World:
        """The compiled scene."""
        return World(load_scene(self.folder), self.general)

    @cached_property
    def nominal(self) -> Machine:
        """The machine as the scene has it."""
        return Machine.of(self.world)

    @property
    def streams(self) -> tuple[SceneStream, ...]:
        """What the scene reads that the log has, too; places are from the context's last one, as models see them."""
        return self.streams_of(self.nominal)

    def streams_of(self, machine: Machine) -> tuple[SceneStream, ...]:
        """`streams` with the delays and biases of a machine."""
        logged = {s.name: s.columns for s in self.lens.layout.readings if s.kind != "gps"}
        return tuple(s for s in machine.scene(self.world.scene).read if logged.get(s.spec.name) == s.spec.columns)

    def read(self, view: View, machine: Machine) -> dict[str, Readings]:
        """What a machine's sensors read in the contexts, when it was so: at times from their first tick."""
        layout, out = self.lens.layout, {}
        features = layout.frames.readings.turn(view.slots * self.lens.std + self.lens.mean, view.angle)
        for stream in self.streams_of(machine):
            name = stream.spec.name
            columns = layout.slot_columns(layout.spec(name))
            slots = len(columns)
            values = codec(stream.spec).physical(features[..., columns])
            known = np.asarray(view.slots_mask[..., columns].all(-1))
            age = view.age[..., layout.reading_columns[name].start]
            behind = np.minimum(np.where(known[..., -1], age, 0.0), 1 / slots)  # all slots, if samples are regular
            time = np.arange(view.context)[:, None] + layout.slot_ticks(layout.spec(name)) - behind[..., None]
            count = view.context * slots
            read = np.where(known[..., None], values, np.nan).reshape(len(values), count, -1)
            out[name] = Readings(time.reshape(-1, count) * layout.dt, read).unspoilt(stream)
        return out

    def _rolled(
        self,
        view: View,
        machines: Sequence[Machine],
        states: np.ndarray | None,
        jitter: Mapping[str, np.ndarray] | None,
        back: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        world, windows, dt = self.world, len(view.held), self.lens.layout.dt
        controls = _by_window([self._controls(view, machine) for machine in machines])
        wanted, now = (round((view.context - 1 - ticks) * dt / world.step_s) for ticks in (back, 0))
        read = _jittered([self.read(view, machine) for machine in machines], jitter)
        observer = Observer(world)
        if states is None:
            states = observer.begin(read, np.tile(world.default_state(), (len(controls), 1)))
        else:
            states = np.repeat(states, len(machines), 0)
        begun = np.full(len(states), world.settle_steps)
        models = [machine.model for machine in machines] * windows
        late = range(max(now - self._late_steps(machines), 0), now)
        before, keep = controls[:, :now], sorted({wanted, *late, now})
        followed, sound = observer.follow(read, states, before, begun=begun, models=models, keep=keep)
        rolled = world.try_rollout(followed[:, -1], controls[:, now:], begun + now, models)
        sound &= rolled.sound >= controls.shape[1] - now
        sensed = (self._sensed(followed[:, keep.index(i)], controls[:, i], begun + i, models) for i in late)
        sensors = np.concatenate([*sensed, rolled.sensors], 1)
        sensors = sensors.reshape(windows, len(machines), *sensors.shape[1:])
        begins_s = -len(late) * world.step_s
        each = [self._features(sensors[:, k], begins_s, view, machine) for k, machine in enumerate(machines)]
        ahead = np.stack(each, 1)
        ahead = np.where(sound.reshape(windows, -1)[..., None, None], ahead, np.nan)
        return ahead, followed[:, keep.index(wanted)].reshape(windows, len(machines), -1)

    def _late_steps(self, machines: Sequence[Machine]) -> int:
        """Physics steps before now that the slowest sensor has yet to tell of."""
        longest_s = max(stream.delay_s for machine in machines for stream in self.streams_of(machine))
        return int(np.ceil(longest_s / self.world.step_s))

    def _sensed(
        self,
        states: Float[np.ndarray, "W Q"],
        controls: Float[np.ndarray, "W U"],
        begun: Int[np.ndarray, " W"],
        models: Sequence[Any],
    ) -> Float[np.ndarray, "W 1 all"]:
        """The model's sensors in states under controls."""
        return self.world.try_rollout(states, controls[:, None], begun, models).sensors[:, :1]

    def _controls(self, view: View, machine: Machine) -> Float[np.ndarray, "B N U"]:
        """What actuators get at the physics steps from the first tick of the context to the last one ahead."""
        layout, world = self.lens.layout, self.world
        steps = round((view.context - 1 + view.horizon) * layout.dt / world.step_s)
        out = np.tile(world.rest_controls, (len(view.held), steps, 1))
        acted, known = (
            np.concatenate([getattr(view, past), getattr(view, ahead)], 1)
            for past, ahead in (("past", "ahead"), ("past_mask", "ahead_mask"))
        )
        acted = self.lens.commanded(acted, view.angle)
        for stream in world.scene.actions:
            name = stream.spec.name
            if name not in layout.action_columns:
                continue
            columns, at = layout.action_columns[name], world.control_columns(stream.sources)
            rest = world.rest_controls[at] - machine.bias[name]
            there = codec(stream.spec).physical_mask(known[..., columns])
            values = np.where(there, codec(stream.spec).physical(acted[..., columns]), rest) + machine.bias[name]
            out[..., at] = _means(values, layout.dt, machine.delay_s[name], world.step_s, steps)
        return out

    def _features(
        self, sensors: Float[np.ndarray, "B T all"], begins_s: float, view: View, machine: Machine
    ) -> Float[np.ndarray, "B H Y"]:
        """Normalised readings of the model's sensors at T = N + 1 physics steps, which begin so long after the context.

        It is negative where some sensor is late: what it tells next has been already.
        """
        layout, scene = self.lens.layout, machine.scene(self.world.scene)
        times = np.arange(1, view.horizon + 1) * layout.dt - begins_s
        out = np.full((len(sensors), view.horizon, layout.size), np.nan)
        for stream in self.streams_of(machine):
            read = readings_at(self.world, scene, stream, sensors, times)
            out[..., layout.slot_columns(layout.spec(stream.spec.name))[-1]] = codec(stream.spec).features_of(read)
        return self.lens.toward(out, view.angle)


class Simulated(NamedTuple):
    """What K machines do after B windows.

    Attributes:
        ahead: [B, K, H, Y] normalised readings; NaN where the scene has none, or a simulation became unstable.
        states: [B, K, Q] so far back in the context as was asked for, at its last tick by default.
    """

    ahead: np.ndarray
    states: np.ndarray


def _by_window(machines: Sequence[np.ndarray]) -> np.ndarray:
    """[B * K, ...] of [B, ...] of each of K machines."""
    stacked = np.stack(machines, 1)
    return stacked.reshape(len(machines) * len(stacked), *stacked.shape[2:])


def _jittered(
    machines: Sequence[Mapping[str, Readings]], jitter: Mapping[str, np.ndarray] | None
) -> dict[str, Readings]:
    """What B * K worlds read, of what each machine does in B."""
    out = {}
    for name in machines[0]:
        time, values = (_by_window(parts) for parts in zip(*(machine[name] for machine in machines), strict=True))
        out[name] = Readings(time, values if jitter is None else values + jitter[name].reshape(values.shape))
    return out


def _means(
    values: Float[np.ndarray, "B T A"], dt: float, delay_s: float, step_s: float, steps: int
) -> Float[np.ndarray, "B N A"]:
    """Means over N physics steps of commands that hold for a tick each, and act later."""
    total = np.concatenate([np.zeros_like(values[:, :1]), np.cumsum(values, 1)], 1)

    def until(time: np.ndarray) -> np.ndarray:
        at = np.round(time / dt, 9)  # so that a step that ends with a tick knows nothing of the next
        row = np.clip(np.floor(at).astype(int), 0, values.shape[1] - 1)
        return total[:, row] + (at - row)[:, None] * values[:, row]

    begins = np.arange(steps) * step_s - delay_s
    return (until(begins + step_s) - until(begins)) * dt / step_s


def folder_sha256(folder: Path) -> str:
    """A hash of the files of a folder, by name and content."""
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()

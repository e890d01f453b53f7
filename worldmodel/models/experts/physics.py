"""Physics: a scene as one more expert, started from an observer of the context, trusted where it has earned it."""

import dataclasses
import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.simulate import Scene, load_scene
from worldmodel.simulate.observer import Observer, Readings
from worldmodel.simulate.scene import SceneStream
from worldmodel.simulate.signals import readings_at
from worldmodel.simulate.world import World

_CHUNK = 1024  # windows that are simulated together


@dataclasses.dataclass
class Physics:
    """MuJoCo on the context's readings and commands. Of streams that the scene does not have it says nothing.

    Attributes:
        lens: what it sees through.
        folder: the scene's. sha256: of what is in it.
    """

    lens: Lens
    folder: Path
    sha256: str

    name = "physics"

    @classmethod
    def of(cls, scene: Scene, lens: Lens) -> "Physics":
        """A scene as an expert of these streams.

        Raises:
            WorldModelError: if it has none of them, or lacks a command.
        """
        found = cls(lens, scene.folder, folder_sha256(scene.folder))
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
        return found

    def refit(self, examples: Examples) -> "Physics":
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
        rows = range(0, len(view.held), _CHUNK)
        return np.concatenate([self._chunk(View(*(x[i : i + _CHUNK] for x in view))) for i in rows])

    @cached_property
    def world(self) -> World:
        """The compiled scene."""
        return World(load_scene(self.folder))

    @property
    def streams(self) -> tuple[SceneStream, ...]:
        """What the scene reads that the log has, too; places are from the context's last one, as models see them."""
        logged = {s.name: s.columns for s in self.lens.layout.readings if s.kind != "gps"}
        return tuple(s for s in self.world.scene.read if logged.get(s.spec.name) == s.spec.columns)

    def _chunk(self, view: View) -> np.ndarray:
        world, dt = self.world, self.lens.layout.dt
        controls = self._controls(view)
        now = round((view.context - 1) * dt / world.step_s)
        observer, read = Observer(world), self._read(view)
        states = observer.begin(read, np.tile(world.default_state(), (len(view.held), 1)))
        begun = np.full(len(states), world.settle_steps)
        followed, sound = observer.follow(read, states, controls[:, :now], begun=begun)
        rolled = world.try_rollout(followed[:, 0], controls[:, now:], begun + now)
        sound &= rolled.sound >= controls.shape[1] - now
        ahead = self._features(rolled.sensors, view)
        return np.where(sound[:, None, None], ahead, np.nan)

    def _read(self, view: View) -> dict[str, Readings]:
        """What was read in the contexts, at times from their first tick."""
        layout, out = self.lens.layout, {}
        features = layout.frames.readings.turn(view.slots * self.lens.std + self.lens.mean, view.angle)
        for stream in self.streams:
            columns = layout.slot_columns(layout.spec(stream.spec.name))
            slots = len(columns)
            values = codec(stream.spec).physical(features[..., columns])
            known = np.asarray(view.slots_mask[..., columns].all(-1))
            age = view.age[..., layout.reading_columns[stream.spec.name].start]
            behind = np.minimum(np.where(known[..., -1], age, 0.0), 1 / slots)  # all slots, if samples are regular
            time = np.arange(view.context)[:, None] + (np.arange(slots) + 1 - slots) / slots - behind[..., None]
            count = view.context * slots
            read = np.where(known[..., None], values, np.nan).reshape(len(values), count, -1)
            out[stream.spec.name] = Readings(time.reshape(-1, count) * layout.dt, read).unspoilt(stream)
        return out

    def _controls(self, view: View) -> np.ndarray:
        """[B, N, U] of the physics steps from the first tick of the context to the last one ahead."""
        layout, world = self.lens.layout, self.world
        steps = round((view.context - 1 + view.horizon) * layout.dt / world.step_s)
        out = np.tile(world.rest_controls, (len(view.held), steps, 1))
        acted, known = (
            np.concatenate([getattr(view, past), getattr(view, ahead)], 1)
            for past, ahead in (("past", "ahead"), ("past_mask", "ahead_mask"))
        )
        acted = layout.frames.actions.turn(acted * self.lens.action_std + self.lens.action_mean, view.angle)
        for stream in world.scene.actions:
            if stream.spec.name not in layout.action_columns:
                continue
            columns, at = layout.action_columns[stream.spec.name], world.control_columns(stream.sources)
            rest = world.rest_controls[at] - stream.bias
            there = codec(stream.spec).physical_mask(known[..., columns])
            values = np.where(there, codec(stream.spec).physical(acted[..., columns]), rest) + stream.bias
            out[..., at] = _means(values, layout.dt, stream.delay_s, world.step_s, steps)
        return out

    def _features(self, sensors: np.ndarray, view: View) -> np.ndarray:
        """Normalised readings [B, H, Y] of the model's sensors [B, N + 1, all] from the last tick of the context on."""
        layout = self.lens.layout
        times = np.arange(1, view.horizon + 1) * layout.dt
        out = np.full((len(sensors), view.horizon, layout.size), np.nan)
        for stream in self.streams:
            read = readings_at(self.world, self.world.scene, stream, sensors, times)
            out[..., layout.slot_columns(layout.spec(stream.spec.name))[-1]] = codec(stream.spec).features_of(read)
        return self.lens.toward(out, view.angle)


def _means(values: np.ndarray, dt: float, delay_s: float, step_s: float, steps: int) -> np.ndarray:
    """Means over physics steps [B, N, A] of commands [B, T, A] that hold for a tick each, and act later."""
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

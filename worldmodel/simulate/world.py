"""A compiled MuJoCo model: rolled out on all cores, sensed, and rendered. The only module that imports MuJoCo."""

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import SceneError, WorldModelError
from worldmodel.simulate.fit import check_fits
from worldmodel.simulate.scene import JointReset, Scene

_CONTEXTS = threading.Lock()


def _mujoco() -> Any:
    if sys.platform.startswith("linux"):
        os.environ.setdefault("MUJOCO_GL", "egl")  # off-screen, with or without a GPU
        os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa draws in our thread: each core has a world of its own
    try:
        import mujoco
        import mujoco.rollout
    except (ImportError, OSError) as error:
        raise WorldModelError(
            "MuJoCo cannot be loaded.",
            found=str(error),
            remedy="pip install mujoco, and apt-get install -y libgl1 libegl1",
        ) from error
    return mujoco


def free_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Rolled(NamedTuple):
    """Simulated worlds at physics steps 0 ... N, the first of them the start.

    Attributes:
        states: float64 [W, N + 1, Q], as `World.state_names` lists them.
        sensors: float64 [W, N + 1, all sensor values of the model].
    """

    states: np.ndarray
    sensors: np.ndarray


class World:
    """The compiled model of a scene.

    Attributes:
        mj: the module `mujoco`.
        model: what it compiled.
        step_s: the physics step in seconds.
        state_names: a name for each of the Q coordinates of a state: positions, velocities, actuator activations.

    Raises:
        SceneError: if the MJCF is not valid, or lacks what the scene names.
    """

    def __init__(self, scene: Scene) -> None:
        self.mj = mj = _mujoco()
        self.scene = scene
        try:
            self.model = mj.MjModel.from_xml_path(str(scene.model))
        except ValueError as error:
            found = " ".join(str(error).split())  # the line number comes last
            raise SceneError(
                f"{scene.model} is not a valid MJCF model.", found=found, remedy="mend the model"
            ) from error
        if not 0 < self.model.opt.timestep < float("inf"):
            raise SceneError(
                f"{scene.model} has no physics step.",
                expected="a timestep in seconds",
                found=str(self.model.opt.timestep),
            )
        self.model.vis.quality.offsamples = 0
        for stream in scene.streams:
            rows, columns = stream.spec.size or (0, 0)
            buffer = self.model.vis.global_
            buffer.offheight, buffer.offwidth = max(buffer.offheight, rows), max(buffer.offwidth, columns)
        self.step_s = float(self.model.opt.timestep)
        self.state_names = self._state_names()
        check_fits(self)

    def steps_between(self, rate_hz: float) -> int:
        """Physics steps from one sample of a stream to the next; `check_fits` made sure that they are whole."""
        return round(1 / (rate_hz * self.step_s))

    def sensor_columns(self, sensors: Sequence[str]) -> np.ndarray:
        """int [S] where the values of the named sensors are among all sensor values."""
        parts = [self.model.sensor(name) for name in sensors]
        return np.concatenate([np.arange(s.adr[0], s.adr[0] + s.dim[0]) for s in parts])

    def actuator_columns(self, actuators: Sequence[str]) -> np.ndarray:
        """int [A] indices of the named actuators."""
        return np.array([self.model.actuator(name).id for name in actuators])

    def start(self, rng: np.random.Generator) -> np.ndarray:
        """A state [Q] to start from, as the scene's reset draws it."""
        data = self.mj.MjData(self.model)
        for name, reset in self.scene.reset.items():
            self._reset_joint(data, name, reset, rng)
        return self.state_of(data)

    def state_of(self, data: Any) -> np.ndarray:
        return np.concatenate([data.qpos, data.qvel, data.act])

    def default_state(self) -> np.ndarray:
        """The model's own start [Q]."""
        return self.state_of(self.mj.MjData(self.model))

    def rollout(self, states: np.ndarray, controls: np.ndarray) -> Rolled:
        """Simulates W worlds on all cores; the result does not depend on their number.

        Args:
            states: [W, Q] where they start.
            controls: [W, N, actuators], held for one physics step each.

        Raises:
            SceneError: if a world becomes unstable.
        """
        worlds, steps, _ = controls.shape
        # One step more than asked for: MuJoCo evaluates the sensors of a state in the step that leaves it.
        padded = np.concatenate([controls, controls[:, -1:]], 1)
        first = np.concatenate([np.zeros((worlds, 1)), states], 1)
        datas = [self.mj.MjData(self.model) for _ in range(min(free_cores(), worlds))]
        with self._warnings() as warnings:
            after, sensors = self.mj.rollout.rollout(self.model, datas, first, padded)
        lasted = after[:, -1, 0] / self.step_s
        if not np.isfinite(after).all() or (lasted < steps + 0.5).any():
            raise SceneError(
                f"The simulation of {self.scene.name} became unstable.",
                expected="finite states throughout",
                found=warnings[0] if warnings else f"the end of a world after {lasted.min() * self.step_s:.3f} s",
                remedy="use a smaller timestep in the MJCF model, or weaker actions",
            )
        return Rolled(np.concatenate([states[:, None], after[:, :-1, 1:]], 1), sensors)

    @contextlib.contextmanager
    def _warnings(self) -> Iterator[list[str]]:
        """Collects MuJoCo's warnings, which it would write to a file where the program runs."""
        warnings: list[str] = []
        before = self.mj.get_mju_user_warning()
        self.mj.set_mju_user_warning(warnings.append)
        try:
            yield warnings
        finally:
            self.mj.set_mju_user_warning(before)

    def render(self, camera: str, size: tuple[int, int], states: np.ndarray) -> np.ndarray:
        """Frames uint8 [W, N, rows, columns, 3] RGB of a camera at states [W, N, Q], worlds spread over threads."""
        frames = np.empty((*states.shape[:2], *size, 3), np.uint8)
        shares = np.array_split(np.arange(len(states)), min(free_cores(), len(states)))
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(lambda share: self._render(camera, states, frames, share), shares))
        return frames

    def _render(self, camera: str, states: np.ndarray, frames: np.ndarray, worlds: np.ndarray) -> None:
        """Draws some of the worlds into `frames`, all with one OpenGL context, which belongs to one thread."""
        mj, data = self.mj, self.mj.MjData(self.model)
        with self._renderer(*frames.shape[2:4]) as renderer:
            for world, step in itertools.product(worlds, range(states.shape[1])):
                self.load(data, states[world, step])
                mj.mj_forward(self.model, data)
                renderer.update_scene(data, camera)
                for flag in (mj.mjtRndFlag.mjRND_SHADOW, mj.mjtRndFlag.mjRND_REFLECTION):
                    renderer.scene.flags[flag] = 0  # tens of times slower without a GPU
                renderer.render(out=frames[world, step])

    @contextlib.contextmanager
    def _renderer(self, rows: int, columns: int) -> Iterator[Any]:
        """An OpenGL context of its own. One is made or closed at a time: Mesa's drivers have crashed on two at once."""
        try:
            with _CONTEXTS:
                renderer = self.mj.Renderer(self.model, rows, columns)
        except Exception as error:  # MuJoCo's GL back ends raise types of their own
            raise WorldModelError(
                "Off-screen rendering does not work here.",
                found=str(error).splitlines()[0] if str(error) else type(error).__name__,
                remedy="apt-get install -y libegl1 libgl1 libgl1-mesa-dri (as root), or set MUJOCO_GL=osmesa",
            ) from error
        try:
            yield renderer
        finally:
            with _CONTEXTS:
                renderer.close()

    def load(self, data: Any, state: np.ndarray) -> None:
        """Puts a state [Q] into MuJoCo's data."""
        nq, nv = self.model.nq, self.model.nv
        data.qpos, data.qvel, data.act = np.split(np.asarray(state, np.float64), [nq, nq + nv])

    def set_reading(self, state: np.ndarray, sensor: str, values: np.ndarray) -> None:
        """Makes a state [Q] agree with a sensor that reads a coordinate of it: of a joint, or a free body's gyro."""
        sensors = self.mj.mjtSensor
        found = self.model.sensor(sensor)
        kind = sensors(int(found.type[0]))
        if kind in (sensors.mjSENS_JOINTPOS, sensors.mjSENS_JOINTVEL):
            joint, velocity = self.model.joint(found.objid[0]), kind == sensors.mjSENS_JOINTVEL
            state[self.model.nq + joint.dofadr[0] if velocity else joint.qposadr[0]] = values[0]
        elif kind == sensors.mjSENS_GYRO:
            site = self.model.site(found.objid[0])
            body = self.model.body(site.bodyid[0])
            joint = self.model.joint(body.jntadr[0]) if body.jntnum[0] else None
            if joint is not None and self._is_free(joint):
                turned = np.zeros(3)
                self.mj.mju_rotVecQuat(turned, np.asarray(values, np.float64), site.quat)
                at = self.model.nq + joint.dofadr[0] + 3
                state[at : at + 3] = turned

    def _reset_joint(self, data: Any, name: str, reset: JointReset, rng: np.random.Generator) -> None:
        joint = self.model.joint(name)
        at, dof = joint.qposadr[0], joint.dofadr[0]
        if not self._is_free(joint):
            data.qpos[at] = rng.uniform(*reset.position) if reset.position else data.qpos[at]
            data.qvel[dof] = rng.uniform(*reset.velocity) if reset.velocity else 0.0
            return
        for axis, span in enumerate((reset.x, reset.y)):
            data.qpos[at + axis] = rng.uniform(*span) if span else data.qpos[at + axis]
        if reset.yaw:
            half = rng.uniform(*reset.yaw) / 2
            data.qpos[at + 3 : at + 7] = [np.cos(half), 0, 0, np.sin(half)]
        if reset.above_ground is not None:
            data.qpos[at + 2] = self._ground(data, joint) + reset.above_ground

    def _is_free(self, joint: Any) -> bool:
        return int(joint.type[0]) == int(self.mj.mjtJoint.mjJNT_FREE)

    def _ground(self, data: Any, joint: Any) -> float:
        """Height of what lies below a free body, seen from far above; the body itself is not in the way."""
        at = joint.qposadr[0]
        above = data.qpos[at : at + 3] + np.array([0, 0, 1000.0])
        root = self.model.body(joint.bodyid[0]).id
        data.qpos[at + 2] += 2000.0  # its limbs are its own bodies: move them all away
        self.mj.mj_forward(self.model, data)
        distance = self.mj.mj_ray(
            self.model, data, above, np.array([0, 0, -1.0]), None, 1, root, np.zeros(1, np.int32), None
        )
        return float(above[2] - distance) if distance >= 0 else 0.0

    def _state_names(self) -> tuple[str, ...]:
        positions, velocities = [], []
        for i in range(self.model.njnt):
            joint = self.model.joint(i)
            name = joint.name or f"joint{i}"
            kind = self.mj.mjtJoint
            axes = {
                int(kind.mjJNT_FREE): ("x y z qw qx qy qz", "vx vy vz wx wy wz"),
                int(kind.mjJNT_BALL): ("qw qx qy qz", "wx wy wz"),
            }.get(int(joint.type[0]))
            positions += [f"{name}.{a}" for a in axes[0].split()] if axes else [f"{name}.position"]
            velocities += [f"{name}.{a}" for a in axes[1].split()] if axes else [f"{name}.velocity"]
        return (*positions, *velocities, *(f"activation{i}" for i in range(self.model.na)))

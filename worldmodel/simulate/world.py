"""A compiled scene: rolled out on all cores, sensed, and rendered."""

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import SceneError, WorldModelError
from worldmodel.simulate.elements import Elements
from worldmodel.simulate.fit import check_fits
from worldmodel.simulate.model import EGL, compile_model, control_ranges, enabled_controls, mujoco, warnings_of
from worldmodel.simulate.packing import Packing
from worldmodel.simulate.reset import at_rest, draw
from worldmodel.simulate.scene import Scene

_CONTEXTS = threading.Lock()
_WORTH_A_THREAD = 500  # physics steps, below which starting one takes longer


def free_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Rolled(NamedTuple):
    """Simulated worlds at physics steps 0 ... N, the first of them the start.

    Attributes:
        states: float64 [W, N + 1, Q], as `Packing.names` lists them.
        sensors: float64 [W, N + 1, all sensor values of the model].
        sound: int [W] how many steps went well; what comes after them in a world that became unstable means nothing.
        warning: what MuJoCo said first; empty where it said nothing.
    """

    states: np.ndarray
    sensors: np.ndarray
    sound: np.ndarray
    warning: str


class World:
    """The compiled model of a scene.

    Args:
        scene: the scene.
        general: compile so that centres of mass may be moved afterwards.
        lagging: actuators that follow their command at once, by their numbers, to compile so that they may lag
            afterwards.

    Attributes:
        mj: the module `mujoco`.
        model: what it compiled.
        step_s: the physics step in seconds.
        elements: finds what has a name in it, and what has none.
        packing: what a state [Q] is, and what its coordinates are called.
        control_ranges: [U, 2] least and greatest value that each control applies.
        enabled: bool [U] which controls act at all.
        lagging: the actuators that may lag, though by the scene's file they do not.
        rest_controls: [U] what controls are where nothing is commanded: those of the scene's keyframe, or 0.

    Raises:
        SceneError: if the MJCF is not valid, or lacks what the scene names.
    """

    def __init__(self, scene: Scene, general: bool = False, lagging: Sequence[int] = ()) -> None:
        self.mj = mj = mujoco()
        self.scene, self.lagging = scene, tuple(lagging)
        self._spare: list[Any] = []
        sensors = [source for stream in scene.sensed for source in stream.sources]
        self.model = compile_model(mj, scene.model, sensors, general, lagging)
        self.elements = Elements(mj, self.model)
        self.model.vis.quality.offsamples = 0
        for stream in scene.streams:
            rows, columns = stream.spec.size or (0, 0)
            buffer = self.model.vis.global_
            buffer.offheight, buffer.offwidth = max(buffer.offheight, rows), max(buffer.offwidth, columns)
        self.step_s = float(self.model.opt.timestep)
        self.control_ranges = control_ranges(mj, self.model)
        self.enabled = enabled_controls(mj, self.model)
        self.packing = Packing(mj, self.model, self.elements)
        check_fits(self)
        start = at_rest(self)
        self.rest_controls = np.array(start.ctrl)
        self._place_mocap(start)

    def steps_between(self, rate_hz: float) -> int:
        """Physics steps from one sample of a stream to the next; `check_fits` made sure that they are whole."""
        return round(1 / (rate_hz * self.step_s))

    def sensor_columns(self, sensors: Sequence[str]) -> np.ndarray:
        """int [S] where the values of sensors, by their addresses, are among all sensor values."""
        found = [self.elements.find("sensor", address) for address in sensors]
        first, width = self.model.sensor_adr, self.model.sensor_dim
        return np.concatenate([np.arange(first[i], first[i] + width[i]) for i in found])

    def control_columns(self, actuators: Sequence[str]) -> np.ndarray:
        """int [A] where the controls of actuators, by their addresses, are among all controls."""
        return np.concatenate([self.elements.controls(address) for address in actuators])

    def start(self, rng: np.random.Generator) -> np.ndarray:
        """A state [Q] to start from, as the scene's reset draws it."""
        return self.packing.state_of(draw(self, rng))

    def default_state(self) -> np.ndarray:
        """The state [Q] of the scene's keyframe, or the model's own start."""
        return self.packing.state_of(at_rest(self))

    def rollout(self, states: np.ndarray, controls: np.ndarray, begun: np.ndarray | None = None) -> Rolled:
        """Simulates W worlds on all cores; the result does not depend on their number.

        Args:
            states: [W, Q] where they start.
            controls: [W, N, U], held for one physics step each.
            begun: int [W] for how many physics steps each has run before; by default 0.

        Raises:
            SceneError: if a world becomes unstable.
        """
        rolled = self.try_rollout(states, controls, begun)
        if (rolled.sound < controls.shape[1]).any():
            raise self.unstable(rolled)
        return rolled

    def unstable(self, rolled: Rolled) -> SceneError:
        """What to say of worlds of which one became unstable."""
        return SceneError(
            f"The simulation of {self.scene.name} became unstable.",
            expected="finite states throughout",
            found=rolled.warning or f"the end of a world after {rolled.sound.min() * self.step_s:.3f} s",
            remedy="use a smaller timestep in the MJCF model, or weaker actions",
        )

    def try_rollout(
        self,
        states: np.ndarray,
        controls: np.ndarray,
        begun: np.ndarray | None = None,
        models: Sequence[Any] | None = None,
    ) -> Rolled:
        """As `rollout`, but worlds may become unstable, as `Rolled.sound` tells.

        Args:
            states: [W, Q].
            controls: [W, N, U].
            begun: int [W].
            models: one for each world, all copies of this world's with other numbers; by default its own.
        """
        worlds = len(controls)
        # One step more than asked for: MuJoCo evaluates the sensors of a state in the step that leaves it.
        padded = np.concatenate([controls, controls[:, -1:]], 1)
        first = self.packing.started(states, np.zeros(worlds, int) if begun is None else begun)
        threads = min(free_cores(), worlds, 1 + padded.shape[1] * worlds // _WORTH_A_THREAD)
        with warnings_of(self.mj) as warnings, self._borrowed(threads) as datas:
            after, sensors = self.mj.rollout.rollout(self.model if models is None else models, datas, first, padded)
        states = np.concatenate([states[:, None], self.packing.unclocked(after[:, :-1])], 1)
        return Rolled(states, sensors, self._sound(first, after), warnings[0] if warnings else "")

    @contextlib.contextmanager
    def _borrowed(self, count: int) -> Iterator[list[Any]]:
        """MuJoCo's working memory for so many threads, which a rollout overwrites, and which is kept for the next."""
        datas = [self._data() for _ in range(count)]
        yield datas
        self._spare += datas

    def _data(self) -> Any:
        try:
            return self._spare.pop()  # of threads at once, one gets it
        except IndexError:
            return self.mj.MjData(self.model)

    def _sound(self, first: np.ndarray, after: np.ndarray) -> np.ndarray:
        """int [W] steps before a world was not finite, or before MuJoCo set it back: then its clock begins again."""
        steps = after.shape[1]
        clock = (after[..., 0] - first[:, :1]) / self.step_s
        wrong = (np.abs(clock - np.arange(1, steps + 1)) > 0.5) | ~np.isfinite(after).all(-1)
        # A world set back in its first step shows it in the second; the last step is the one for the sensors.
        return np.where(wrong.any(1), np.maximum(wrong.argmax(1) - 1, 0), steps - 1)

    def within_limits(self, states: np.ndarray) -> np.ndarray:
        """bool [...] of states [..., Q]: whether every joint is where the scene's limits allow it."""
        inside = np.ones(states.shape[:-1], bool)
        for address, limits in self.scene.limits.items():
            joint = self.elements.find("joint", address)
            place, speed = int(self.model.jnt_qposadr[joint]), int(self.model.nq + self.model.jnt_dofadr[joint])
            at = {"position": place, "velocity": speed, "x": place, "y": place + 1, "z": place + 2}
            for key, span in vars(limits).items():
                if span is not None:
                    inside &= (states[..., at[key]] >= span[0]) & (states[..., at[key]] <= span[1])
        return inside

    @property
    def settle_steps(self) -> int:
        """Physics steps before a recording begins: as the scene settles, and at least as long as its longest delay."""
        return max(round(self.scene.settle_s / self.step_s), int(np.ceil(self.scene.longest_delay_s / self.step_s)))

    def render(self, camera: str, size: tuple[int, int], states: np.ndarray) -> np.ndarray:
        """Frames uint8 [W, N, rows, columns, 3] RGB of a camera at states [W, N, Q], worlds spread over threads."""
        frames = np.empty((*states.shape[:2], *size, 3), np.uint8)
        shares = np.array_split(np.arange(len(states)), min(free_cores(), len(states)))
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(lambda share: self._render(camera, states, frames, share), shares))
        return frames

    def _render(self, camera: str, states: np.ndarray, frames: np.ndarray, worlds: np.ndarray) -> None:
        """Draws some of the worlds into `frames`, all with one OpenGL context, which belongs to one thread."""
        with self.eye(camera, frames.shape[2:4]) as look:
            for world, step in itertools.product(worlds, range(states.shape[1])):
                look(states[world, step], frames[world, step])

    @contextlib.contextmanager
    def eye(self, camera: str, size: tuple[int, ...]) -> Iterator[Callable[..., np.ndarray]]:
        """A camera: a function of a state [Q], and of what takes it, to a frame uint8 [rows, columns, 3] RGB.

        It is used in the thread that opened it.
        """
        mj, data = self.mj, self.mj.MjData(self.model)
        with self._renderer(*size) as renderer:

            def look(state: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
                self.packing.load(data, state)
                mj.mj_forward(self.model, data)
                renderer.update_scene(data, self.elements.find("camera", camera))
                for flag in (mj.mjtRndFlag.mjRND_SHADOW, mj.mjtRndFlag.mjRND_REFLECTION):
                    renderer.scene.flags[flag] = 0  # tens of times slower without a GPU
                return renderer.render(out=out)

            yield look

    @contextlib.contextmanager
    def _renderer(self, rows: int, columns: int) -> Iterator[Any]:
        """An OpenGL context of its own. One is made or closed at a time: Mesa's drivers have crashed on two at once."""
        try:
            with _CONTEXTS:
                renderer = self.mj.Renderer(self.model, rows, columns)
        except Exception as error:  # MuJoCo's GL back ends raise types of their own
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WorldModelError(
                "Off-screen rendering does not work here.",
                found=f"MUJOCO_GL=off, as where there is no {EGL}" if os.environ.get("MUJOCO_GL") == "off" else said,
                remedy="apt-get install -y libegl1 libgl1 libgl1-mesa-dri (as root), or set MUJOCO_GL=osmesa",
            ) from error
        try:
            yield renderer
        finally:
            with _CONTEXTS:
                renderer.close()

    def _place_mocap(self, start: Any) -> None:
        """Bodies that are moved by hand stay where the start has them: rollouts put them where the model has them."""
        bodies = np.flatnonzero(self.model.body_mocapid >= 0)
        self.model.body_pos[bodies] = start.mocap_pos[self.model.body_mocapid[bodies]]
        self.model.body_quat[bodies] = start.mocap_quat[self.model.body_mocapid[bodies]]

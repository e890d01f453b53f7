"""A simulator's state as one vector that does not know what time it is."""

from typing import Any

import numpy as np

from worldmodel.simulate.elements import Elements

_SNAP_S = 1e-6  # what float32 may have lost of a whole number of steps


class Packing:
    """Packs MuJoCo's positions, velocities, activations and what its delays remember into a state [Q].

    A delay remembers values and when they came; a state keeps how long before now that was, so that it can start a
    world at any time.

    Attributes:
        names: a name for each coordinate.
    """

    def __init__(self, mj: Any, model: Any, elements: Elements) -> None:
        self._mj, self._model = mj, model
        self._with_time = mj.mjtState.mjSTATE_FULLPHYSICS
        self.names = _names(mj, model, elements)
        self._clocks = model.nq + model.nv + model.na + _clocks(model)

    def state_of(self, data: Any) -> np.ndarray:
        """The state [Q] of MuJoCo's data."""
        full = np.zeros(self._mj.mj_stateSize(self._model, self._with_time))
        self._mj.mj_getState(self._model, data, full, self._with_time)
        return self.unclocked(full)

    def unclocked(self, full: np.ndarray) -> np.ndarray:
        """States [..., Q] of MuJoCo's full states [..., 1 + Q], of which the time comes first."""
        states = full[..., 1:].copy()
        states[..., self._clocks] -= full[..., :1]
        return states

    def load(self, data: Any, state: np.ndarray) -> None:
        """Puts a state [Q] into MuJoCo's data, at time 0."""
        full = self.started(np.asarray(state, np.float64)[None], np.zeros(1, int))[0]
        self._mj.mj_setState(self._model, data, full, self._with_time)

    def started(self, states: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """MuJoCo's full states [W, 1 + Q] of states [W, Q] after some physics steps, int [W].

        Whether a delay of whole steps is met depends on how MuJoCo's clock has rounded, which is therefore repeated.
        """
        step = self._model.opt.timestep
        clock = np.concatenate([[0.0], np.cumsum(np.full(begun.max(), step))])
        ages = -states[:, self._clocks]
        back = np.rint(ages / step).astype(int)
        kept = (np.abs(back * step - ages) < _SNAP_S) & (back <= begun[:, None])
        stamps = np.where(kept, clock[np.maximum(begun[:, None] - back, 0)], clock[begun][:, None] - ages)
        full = np.concatenate([clock[begun][:, None], states], 1)
        full[:, 1 + self._clocks] = stamps
        return full


def _clocks(model: Any) -> np.ndarray:
    """int [C] which numbers of MuJoCo's histories are times: those of the samples, and when a sensor last read.

    A history is a number of its owner's, a cursor, the times of its samples, and their values.
    """
    actuators = zip(model.actuator_historyadr, model.actuator_history[:, 0], strict=True)
    sensors = zip(model.sensor_historyadr, model.sensor_history[:, 0], strict=True)
    parts = [np.arange(at + 2, at + 2 + count) for at, count in actuators if at >= 0]
    parts += [np.r_[at, at + 2 : at + 2 + count] for at, count in sensors if at >= 0]
    return np.concatenate([np.zeros(0, int), *parts])


def _names(mj: Any, model: Any, elements: Elements) -> tuple[str, ...]:
    kinds, positions, velocities = mj.mjtJoint, [], []
    for joint in range(model.njnt):
        name = elements.label("joint", joint)
        axes = {
            int(kinds.mjJNT_FREE): ("x y z qw qx qy qz", "vx vy vz wx wy wz"),
            int(kinds.mjJNT_BALL): ("qw qx qy qz", "wx wy wz"),
        }.get(int(model.jnt_type[joint]), ("position", "velocity"))
        positions += [f"{name}.{axis}" for axis in axes[0].split()]
        velocities += [f"{name}.{axis}" for axis in axes[1].split()]
    rest = {"activation": model.na, "history": model.nhistory, "plugin": model.npluginstate}
    return (*positions, *velocities, *(f"{word}{i}" for word, count in rest.items() for i in range(count)))

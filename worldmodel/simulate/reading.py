"""States that agree with what sensors read."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from worldmodel.simulate.world import World

TURNS = ("framequat", "ballquat")


def set_reading(world: "World", state: np.ndarray, sensor: str, values: np.ndarray) -> None:
    """Makes a state [Q] agree with a sensor [S] that reads coordinates of it: of a joint, or of a free body's frame.

    Other sensors change nothing, nor does one with a delay, which reads what was.
    """
    index = world.elements.find("sensor", sensor)
    if world.model.sensor_delay[index] > 0:
        return
    read = np.asarray(values, np.float64)
    kind = world.elements.sensor_type(index)
    if kind == "gyro":
        read = of_body(world, int(world.model.sensor_objid[index]), read)
    if kind in TURNS:
        read = read / max(float(np.linalg.norm(read)), 1e-9)
    at = coordinates(world, index, kind)
    if at is not None:
        state[at : at + len(read)] = read


def of_body(world: "World", site: int, turning: np.ndarray) -> np.ndarray:
    """A gyro's readings [..., 3] in the axes of the body that its site is fixed to."""
    matrix = np.zeros(9)
    world.mj.mju_quat2Mat(matrix, world.model.site_quat[site])
    return turning @ matrix.reshape(3, 3).T


def coordinates(world: "World", sensor: int, kind: str) -> int | None:
    """Where in a state the coordinates begin that a sensor reads; None where it reads something else."""
    model = world.model
    thing = int(model.sensor_objid[sensor])
    if kind in ("jointpos", "ballquat"):
        return int(model.jnt_qposadr[thing])
    if kind in ("jointvel", "ballangvel"):
        return int(model.nq + model.jnt_dofadr[thing])
    within = {"framepos": 0, "framequat": 3, "framelinvel": model.nq, "gyro": model.nq + 3}.get(kind)
    if within is None or model.sensor_refid[sensor] >= 0:
        return None
    if kind != "gyro" and int(model.sensor_objtype[sensor]) != int(world.mj.mjtObj.mjOBJ_XBODY):
        return None  # a frame beside the joint's own
    body = int(model.site_bodyid[thing]) if kind == "gyro" else thing
    joint = int(model.body_jntadr[body])
    if joint < 0 or int(model.jnt_type[joint]) != int(world.mj.mjtJoint.mjJNT_FREE):
        return None
    return int((model.jnt_qposadr if within < model.nq else model.jnt_dofadr)[joint]) + within


def turned(quaternion: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Unit quaternions [..., 4] turned by rotation vectors [..., 3] (rad) about the axes that they turn."""
    half = np.linalg.norm(by, axis=-1, keepdims=True) / 2
    w1, v1 = np.cos(half), np.sinc(half / np.pi) / 2 * by
    w0, v0 = quaternion[..., :1], quaternion[..., 1:]
    scalar = w0 * w1 - (v0 * v1).sum(-1, keepdims=True)
    return np.concatenate([scalar, w0 * v1 + w1 * v0 + np.cross(v0, v1)], -1)

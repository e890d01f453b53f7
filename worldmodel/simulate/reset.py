"""Where a world starts: the model's own start or a keyframe, and joints drawn from spans."""

from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.simulate.scene import JointReset

if TYPE_CHECKING:
    from worldmodel.simulate.world import World

_FAR = 1000.0  # metres above everything


def at_rest(world: "World") -> Any:
    """MuJoCo's data at the scene's keyframe or the model's own start, at time 0.

    Delayed actuators have been given its controls for as long as they remember: MuJoCo itself would begin with zeros.
    """
    mj, model = world.mj, world.model
    data = mj.MjData(model)
    if world.scene.key is not None:
        mj.mj_resetDataKeyframe(model, data, world.elements.find("key", world.scene.key))
        data.time = 0.0
    for actuator in np.flatnonzero(model.actuator_historyadr >= 0):
        first, count = model.actuator_ctrladr[actuator], model.actuator_ctrlnum[actuator]
        told = np.tile(data.ctrl[first : first + count], (model.actuator_history[actuator, 0], 1))
        mj.mj_initCtrlHistory(model, data, actuator, None, told)
    return data


def draw(world: "World", rng: np.random.Generator) -> Any:
    """MuJoCo's data where the scene's reset puts its joints."""
    data = at_rest(world)
    for address, reset in world.scene.reset.items():
        _reset_joint(world, data, world.elements.find("joint", address), reset, rng)
    return data


def _reset_joint(world: "World", data: Any, joint: int, reset: JointReset, rng: np.random.Generator) -> None:
    model, kinds = world.model, world.mj.mjtJoint
    at, dof, kind = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint]), int(model.jnt_type[joint])
    if kind in (int(kinds.mjJNT_HINGE), int(kinds.mjJNT_SLIDE)):
        data.qpos[at] = rng.uniform(*reset.position) if reset.position else data.qpos[at]
        data.qvel[dof] = rng.uniform(*reset.velocity) if reset.velocity else data.qvel[dof]
        return
    free = kind == int(kinds.mjJNT_FREE)
    for axis, span in enumerate((reset.x, reset.y, reset.z) if free else ()):
        data.qpos[at + axis] = rng.uniform(*span) if span else data.qpos[at + axis]
    turn = data.qpos[at + 3 * free : at + 3 * free + 4]
    spans = (reset.yaw, reset.pitch, reset.roll)
    if any(spans):
        angles = [rng.uniform(*span) if span else now for span, now in zip(spans, _angles(turn), strict=True)]
        world.mj.mju_euler2Quat(turn, np.array(angles), "zyx")
    if reset.above_ground is not None:
        data.qpos[at + 2] = _ground(world, data, joint) + reset.above_ground


def _angles(quaternion: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in radians of a unit quaternion [4] w, x, y, z."""
    w, x, y, z = quaternion
    yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    pitch = np.arcsin(np.clip(2 * (w * y - z * x), -1, 1))
    return yaw, pitch, np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))


def _ground(world: "World", data: Any, joint: int) -> float:
    """Height of what lies below a free body, seen from far above; the body itself is not in the way."""
    at, root = int(world.model.jnt_qposadr[joint]), int(world.model.jnt_bodyid[joint])
    above, height = data.qpos[at : at + 3] + np.array([0, 0, _FAR]), data.qpos[at + 2]
    data.qpos[at + 2] += 2 * _FAR  # its limbs are its own bodies: move them all away
    world.mj.mj_forward(world.model, data)
    data.qpos[at + 2] = height
    distance = world.mj.mj_ray(
        world.model, data, above, np.array([0, 0, -1.0]), None, 1, root, np.zeros(1, np.int32), None
    )
    return float(above[2] - distance) if distance >= 0 else 0.0

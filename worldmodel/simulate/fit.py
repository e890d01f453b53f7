"""Whether a scene fits the model that it names."""

from typing import TYPE_CHECKING

from worldmodel.errors import SceneError
from worldmodel.simulate.scene import JointReset

if TYPE_CHECKING:
    from worldmodel.simulate.world import World


def check_fits(world: "World") -> None:
    """Refuses a scene that names what its model lacks, or rates that the physics step does not divide.

    Raises:
        SceneError: naming the key, what was expected and what was found.
    """
    for joint, reset in world.scene.reset.items():
        _need(world, "joint", joint, "reset")
        _check_reset(world, joint, reset)
    for stream in world.scene.streams:
        where = f"streams.{stream.spec.name}"
        kind = {"video": "camera", "action": "actuator"}.get(stream.spec.kind, "sensor")
        for source in stream.sources:
            _need(world, kind, source, where)
        if stream.spec.kind != "video":
            columns = world.actuator_columns if kind == "actuator" else world.sensor_columns
            found = len(columns(stream.sources))
            if found != len(stream.spec.columns):
                raise SceneError(
                    f"{world.scene.name}: {where} names another number of columns than its {kind}s have.",
                    expected=f"{len(stream.spec.columns)} ({', '.join(stream.spec.columns)})",
                    found=f"{found} from {', '.join(stream.sources)}",
                )
        steps = 1 / (stream.spec.rate_hz * world.step_s)
        if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
            raise SceneError(
                f"{world.scene.name}: {where} has a rate that physics steps of {world.step_s:g} s do not meet.",
                expected=f"{1 / world.step_s:g} Hz divided by a whole number",
                found=f"{stream.spec.rate_hz:g} Hz",
                remedy="change rate_hz, or the timestep of the MJCF model",
            )


def _check_reset(world: "World", name: str, reset: JointReset) -> None:
    kinds, kind = world.mj.mjtJoint, int(world.model.joint(name).type[0])
    free, turned = ("x", "y", "yaw", "above_ground"), ("position", "velocity")
    known = {int(kinds.mjJNT_FREE): free, int(kinds.mjJNT_BALL): ()}.get(kind, turned)
    for key in (*free, *turned):
        if getattr(reset, key) is not None and key not in known:
            raise SceneError(
                f"{world.scene.name}: reset.{name}.{key} does not suit this joint.",
                expected=", ".join(known) or "no reset of a ball joint",
                found=f"a {kinds(kind).name.removeprefix('mjJNT_').lower()} joint",
                remedy="remove the key, or name another joint",
            )


def _need(world: "World", kind: str, name: str, where: str) -> None:
    try:
        getattr(world.model, kind)(name)
    except KeyError as error:
        count = getattr(world.model, {"camera": "ncam", "actuator": "nu", "sensor": "nsensor", "joint": "njnt"}[kind])
        names = [getattr(world.model, kind)(i).name for i in range(count)]
        raise SceneError(
            f"{world.scene.name}: {where} names a {kind} that {world.scene.model.name} lacks.",
            expected=", ".join(names) or f"a model with a {kind}",
            found=repr(name),
        ) from error

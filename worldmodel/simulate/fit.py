"""Whether a scene fits the model that it names."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate.scene import JointLimits, JointReset, SceneStream

if TYPE_CHECKING:
    from worldmodel.simulate.world import World

_LISTED = 40
_PLACE, _TURN, _ONE = ("x", "y", "z"), ("roll", "pitch", "yaw"), ("position", "velocity")
_POSE = (*_PLACE, *_TURN, "above_ground")


def check_fits(world: "World") -> None:
    """Refuses a scene that names what its model lacks, or rates or commands that the model does not take as they are.

    Raises:
        SceneError: naming the key, what was expected and what was found.
    """
    scene = world.scene
    if scene.key is not None:
        _need(world, "key", scene.key, "reset.key", "keyframe")
    for address, reset in scene.reset.items():
        _check_reset(world, _need(world, "joint", address, "reset"), address, reset)
    for address, limits in scene.limits.items():
        _check_limits(world, _need(world, "joint", address, "limits"), address, limits)
    _once(world, "joint", (world.elements.find("joint", address) for address in scene.reset), "reset")
    _once(world, "joint", (world.elements.find("joint", address) for address in scene.limits), "limits")
    for stream in scene.streams:
        _check_sources(world, stream)
        _check_columns(world, stream)
        _check_rate(world, stream)
        _check_excitation(world, stream)
        _check_settled(world, stream)
    commanded = (int(c) for stream in scene.actions for c in world.control_columns(stream.sources))
    _once(world, "control", commanded, "streams")


def _check_sources(world: "World", stream: SceneStream) -> None:
    where = f"streams.{stream.spec.name}"
    if stream.spec.kind == "action":
        for source in stream.sources:
            if not len(world.elements.controls(source)):
                raise _lacks(world, "actuator", source, where, world.elements.control_addresses())
        _check_enabled(world, stream)
        return
    for source in stream.sources:
        _need(world, "camera" if stream.spec.kind == "video" else "sensor", source, where)


def _check_enabled(world: "World", stream: SceneStream) -> None:
    """A command to an actuator that the model has switched off does nothing."""
    if not world.enabled[world.control_columns(stream.sources)].all():
        raise SceneError(
            f"{world.scene.name}: streams.{stream.spec.name} commands actuators that the model disables.",
            expected="actuators that act",
            found=", ".join(stream.sources),
            remedy="leave them out, or enable them in the model's <option>: actuatorgroupdisable, flag actuation",
        )


def _check_columns(world: "World", stream: SceneStream) -> None:
    if stream.spec.kind == "video":
        return
    action = stream.spec.kind == "action"
    found = len((world.control_columns if action else world.sensor_columns)(stream.sources))
    if found != len(stream.spec.columns):
        kind = "actuators" if action else "sensors"
        raise SceneError(
            f"{world.scene.name}: streams.{stream.spec.name} names another number of columns than its {kind} have.",
            expected=f"{len(stream.spec.columns)} ({', '.join(stream.spec.columns)})",
            found=f"{found} from {', '.join(stream.sources)}",
            remedy="give `columns` a name for each value",
        )


def _check_rate(world: "World", stream: SceneStream) -> None:
    steps = 1 / (stream.spec.rate_hz * world.step_s)
    if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
        raise SceneError(
            f"{world.scene.name}: streams.{stream.spec.name} has a rate that physics steps of {world.step_s:g} s do "
            "not meet.",
            expected=f"{1 / world.step_s:g} Hz divided by a whole number",
            found=f"{stream.spec.rate_hz:g} Hz",
            remedy="change rate_hz, or the timestep of the MJCF model",
        )


def _check_excitation(world: "World", stream: SceneStream) -> None:
    """Commands that MuJoCo would cut down to the control range are not what the log would say was done."""
    if stream.excitation is None or stream.excitation.clip:
        return
    low, high = world.control_ranges[world.control_columns(stream.sources)].T
    beyond = (stream.excitation.low < low) | (stream.excitation.high > high)
    if beyond.any():
        at = int(np.argmax(beyond))
        raise SceneError(
            f"{world.scene.name}: streams.{stream.spec.name}.excitation goes beyond the control range (ctrlrange) of "
            f"{_commanded(world, stream)[at]!r}.",
            expected=f"low and high within {low[at]:g} and {high[at]:g}",
            found=f"{stream.excitation.low[at]:g} to {stream.excitation.high[at]:g}",
            remedy="narrow low and high, or set clip = true there: then the limit is applied, and recorded",
        )


def _commanded(world: "World", stream: SceneStream) -> list[str]:
    """The address of each control of an action."""
    addresses = world.elements.control_addresses()
    return [addresses[control] for control in world.control_columns(stream.sources)]


def _check_settled(world: "World", stream: SceneStream) -> None:
    """A delayed sensor reads 0 until its first value has come through."""
    if stream not in world.scene.sensed:
        return
    for source in stream.sources:
        delay = float(world.model.sensor_delay[world.elements.find("sensor", source)])
        if world.scene.settle_s < delay:
            raise SceneError(
                f"{world.scene.name}: the sensor {source!r} of streams.{stream.spec.name} reads nothing yet when the "
                "recording begins, for it has a delay.",
                expected=f"settle_s of {delay:g} or more",
                found=f"{world.scene.settle_s:g}",
                remedy=f"set settle_s = {delay:g} in scene.toml",
            )


def _check_reset(world: "World", joint: int, address: str, reset: JointReset) -> None:
    kinds = world.mj.mjtJoint
    known = {int(kinds.mjJNT_FREE): _POSE, int(kinds.mjJNT_BALL): _TURN}
    _check_keys(world, joint, f"reset.{address}", reset, known)


def _check_limits(world: "World", joint: int, address: str, limits: JointLimits) -> None:
    kinds = world.mj.mjtJoint
    known = {int(kinds.mjJNT_FREE): _PLACE, int(kinds.mjJNT_BALL): ()}
    _check_keys(world, joint, f"limits.{address}", limits, known)


def _check_keys(
    world: "World", joint: int, where: str, given: JointReset | JointLimits, known: dict[int, tuple[str, ...]]
) -> None:
    """Refuses a key that a joint of its type does not have."""
    kind = int(world.model.jnt_type[joint])
    fitting = known.get(kind, _ONE)
    for key, value in vars(given).items():
        if value is not None and key not in fitting:
            raise SceneError(
                f"{world.scene.name}: {where}.{key} does not suit this joint.",
                expected=", ".join(fitting) or "no key",
                found=f"a {world.mj.mjtJoint(kind).name.removeprefix('mjJNT_').lower()} joint",
                remedy="remove the key, or name another joint",
            )


def _need(world: "World", kind: str, address: str, where: str, word: str = "") -> int:
    """The index of the one element that an address means."""
    found = world.elements.matches(kind, address)
    if len(found) > 1:
        raise SceneError(
            f"{world.scene.name}: {where} names {len(found)} {kind}s of {world.scene.model.name} at once.",
            expected=f"one of the indices {', '.join(map(str, found))}",
            found=repr(address),
            remedy="name it by its index",
        )
    if not found:
        raise _lacks(world, word or kind, address, where, world.elements.listed(kind))
    return found[0]


def _lacks(world: "World", word: str, address: str, where: str, known: list[str]) -> SceneError:
    shown = ", ".join(known[:_LISTED]) + (f" and {len(known) - _LISTED} more" if len(known) > _LISTED else "")
    article = "an" if word[0] in "aeiou" else "a"
    return SceneError(
        f"{world.scene.name}: {where} names {article} {word} that {world.scene.model.name} lacks.",
        expected=shown or f"a model with a {word}",
        found=repr(address),
        remedy="sim/README.md says how to name what has no name",
    )


def _once(world: "World", kind: str, indices: Iterable[int], where: str) -> None:
    """Refuses two keys for one thing, of which only the last would hold."""
    twice = [index for index, count in Counter(indices).items() if count > 1]
    if twice:
        known = world.elements.control_addresses() if kind == "control" else world.elements.listed(kind)
        raise SceneError(
            f"{world.scene.name}: {where} names the {kind} {known[twice[0]]!r} twice.",
            expected=f"each {kind} once",
            remedy="remove one of them",
        )

"""What of a scene can be fitted: numbers of its model, delays and biases of its streams, each with a plausible error.

Inertias move by factors of the second moments that make them (Wensing et al. 2018, doi 10.1109/LRA.2017.2729659), so
that whatever is tried is physically possible.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from worldmodel.simulate.identification.parameter import Machine, Parameter
from worldmodel.simulate.pulls import pulls
from worldmodel.simulate.scene import SceneStream
from worldmodel.simulate.world import World

SERVO = ".servo_gain"
_DELAY_S, _SENSOR_DELAY_S = 0.005, 0.003  # plausible errors: a few periods of a control loop
_BIAS = {"rad": 0.02, "m": 0.005, "rad/s": 0.01, "m/s^2": 0.1}  # by unit, of sensors whose bias is a common fault
_OFFSET = 0.01  # of a command's range
_SPRING, _LAG_S = 0.3, 0.02  # of a typical force over half a range, a spring where there is none; a lag, likewise
_POSES = 16  # configurations in which a joint's typical torque is looked for


def every(world: World) -> Iterator[Parameter]:
    """All numbers of a scene that can be fitted."""
    yield from _of_bodies(world)
    yield from _of_joints(world)
    yield from _of_actuators(world)
    yield from _of_contacts(world)
    yield from _of_streams(world)


def _at(array: str, index: Any) -> Callable[[Machine, float], None]:
    """Puts a value at a place of one of the model's arrays."""

    def put(machine: Machine, value: float) -> None:
        getattr(machine.model, array)[index] = value

    return put


def _of_bodies(world: World) -> Iterator[Parameter]:
    model = world.model
    for body in range(1, model.nbody):
        mass = float(model.body_mass[body])
        if mass <= 0 or int(model.body_weldid[body]) == 0:
            continue
        name, size = world.elements.label("body", body), _size(model, body)
        yield Parameter(f"{name}.mass", "mass", "kg", mass, 0.5, True, _mass(body, mass))
        for axis, letter in enumerate("xyz"):
            centre = float(model.body_ipos[body, axis])
            scale = 0.5 * abs(centre) + 0.2 * size
            yield Parameter(f"{name}.com_{letter}", "com", "m", centre, scale, False, _at("body_ipos", (body, axis)))
        turns = [""] if _turns(model, body) < 3 else ["_x", "_y", "_z"]
        for axis, word in enumerate(turns):
            put = _moment(body, axis if len(turns) > 1 else None, mass, model.body_inertia[body].copy())
            yield Parameter(f"{name}.inertia{word}", "inertia", "", 1.0, 0.7, True, put)


def _size(model: Any, body: int) -> float:
    """The radius of gyration, m."""
    return float(np.sqrt(model.body_inertia[body].sum() / 2 / model.body_mass[body]))


def _turns(model: Any, body: int) -> int:
    """How many ways a body can turn, itself and with those that carry it."""
    count = 0
    while body:
        joints = range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body])
        count += sum({0: 3, 1: 3, 2: 0, 3: 1}[int(model.jnt_type[j])] for j in joints)
        body = int(model.body_parentid[body])
    return count


def _mass(body: int, before: float) -> Callable[[Machine, float], None]:
    def put(machine: Machine, value: float) -> None:
        machine.model.body_mass[body] = value
        machine.model.body_inertia[body] *= value / before

    return put


def _moment(body: int, axis: int | None, mass: float, inertia: np.ndarray) -> Callable[[Machine, float], None]:
    """Scales the second moment along one principal axis, or along all, of a body of so much before."""
    moment = inertia.sum() / 2 - inertia  # each inertia is the sum of the other two axes' moments

    def put(machine: Machine, factor: float) -> None:
        now = machine.model.body_inertia[body]
        if axis is None:
            now *= factor
            return
        gained = moment[axis] * machine.model.body_mass[body] / mass * (factor - 1)
        now[[other for other in range(3) if other != axis]] += gained

    return put


def _of_joints(world: World) -> Iterator[Parameter]:
    model, mj = world.model, world.mj
    torque, inertia = _typical(world)
    for joint in range(model.njnt):
        if int(model.jnt_type[joint]) not in (int(mj.mjtJoint.mjJNT_HINGE), int(mj.mjtJoint.mjJNT_SLIDE)):
            continue
        dof, name = int(model.jnt_dofadr[joint]), world.elements.label("joint", joint)
        slides = int(model.jnt_type[joint]) == int(mj.mjtJoint.mjJNT_SLIDE)
        force, per = ("N", "m") if slides else ("N m", "rad")
        damping, friction, armature, spring = (
            float(x) for x in (
                model.dof_damping[dof], model.dof_frictionloss[dof], model.dof_armature[dof],
                model.jnt_stiffness[joint],
            )
        )  # fmt: skip
        yield Parameter(
            f"{name}.damping", "damping", f"{force} s/{per}", damping, max(0.01 * torque[dof], 0.5 * damping), False,
            _at("dof_damping", dof),
        )  # fmt: skip
        yield Parameter(
            f"{name}.friction", "friction", force, friction, max(0.1 * torque[dof], 0.5 * friction), False,
            _at("dof_frictionloss", dof),
        )  # fmt: skip
        yield Parameter(
            f"{name}.armature", "armature", "kg" if slides else "kg m^2", armature,
            max(0.1 * inertia[dof], 0.5 * armature), False, _at("dof_armature", dof),
        )  # fmt: skip
        if spring >= 0:
            put, span = _at("jnt_stiffness", joint), model.jnt_range[joint]
            half = float(span[1] - span[0]) / 2 if model.jnt_limited[joint] else 1.0
            scale = 0.5 if spring else float(_SPRING * torque[dof] / half)
            yield Parameter(f"{name}.stiffness", "stiffness", f"{force}/{per}", spring, scale, spring > 0, put)


def _typical(world: World) -> tuple[np.ndarray, np.ndarray]:
    """Of each degree of freedom a typical force, N or N m, and its inertia, from some poses and full commands.

    What slides is pushed at least as hard as it weighs: the slides of something that flies are not actuated.
    """
    mj, model = world.mj, world.model
    data, rng = mj.MjData(model), np.random.default_rng(0)
    force, full = np.zeros(model.nv), np.zeros((model.nv, model.nv))
    inertia, slides = np.zeros(model.nv), np.zeros(model.nv, bool)
    slides[model.jnt_dofadr[model.jnt_type == int(mj.mjtJoint.mjJNT_SLIDE)]] = True
    ranges = np.where(np.isfinite(world.control_ranges), world.control_ranges, 0.0)
    for _ in range(_POSES):
        data.qpos[:] = model.qpos0
        for joint in np.flatnonzero(model.jnt_type >= 2):  # slides and hinges
            span = model.jnt_range[joint] if model.jnt_limited[joint] else (-1.5, 1.5)
            data.qpos[model.jnt_qposadr[joint]] = rng.uniform(*span)
        data.ctrl[:] = ranges[:, 1]
        mj.mj_forward(model, data)
        mj.mj_fullM(model, data, full)
        gravity = np.abs(data.qfrc_bias)
        force = np.maximum(force, np.maximum(gravity, np.abs(data.qfrc_actuator)))
        inertia = np.maximum(inertia, np.diag(full))
    weight = np.where(slides, inertia * np.linalg.norm(model.opt.gravity), 0.0)
    return np.maximum(force, np.maximum(1e-2 * inertia, weight)), inertia


def _of_actuators(world: World) -> Iterator[Parameter]:
    model, mj = world.model, world.mj
    for actuator in range(world.elements.count("actuator")):
        name = world.elements.label("actuator", actuator)
        servo = int(model.actuator_biastype[actuator]) != int(mj.mjtBias.mjBIAS_NONE)
        yield Parameter(f"{name}{SERVO if servo else '.gain'}", "gain", "", 1.0, 0.2, True, _gain(actuator, servo))
        lag, put = float(model.actuator_dynprm[actuator, 0]), _lag(world, actuator)
        if int(model.actuator_dyntype[actuator]) in _filters(world) and lag > 0:
            yield Parameter(f"{name}.lag", "lag", "s", lag, 0.5, True, put)
        elif actuator in world.lagging or _can_lag(world, actuator):
            yield Parameter(f"{name}.lag", "lag", "s", 0.0, _LAG_S, False, put, _lag_of(world.step_s))


def unlagged(world: World, names: Collection[str]) -> list[int]:
    """The actuators whose lag has one of these names, and which the world does not let lag."""
    count, label = world.elements.count("actuator"), world.elements.label
    named = [i for i in range(count) if f"{label('actuator', i)}.lag" in names]
    return [i for i in named if int(world.model.actuator_dyntype[i]) not in _filters(world)]


def _filters(world: World) -> tuple[int, int]:
    return int(world.mj.mjtDyn.mjDYN_FILTER), int(world.mj.mjtDyn.mjDYN_FILTEREXACT)


def _can_lag(world: World, actuator: int) -> bool:
    """Whether it follows its one command at once; with the Runge-Kutta integrator short lags would be unstable."""
    mj, model = world.mj, world.model
    known = {
        "dyntype": (mj.mjtDyn.mjDYN_NONE,),
        "gaintype": (mj.mjtGain.mjGAIN_FIXED, mj.mjtGain.mjGAIN_AFFINE),
        "biastype": (mj.mjtBias.mjBIAS_NONE, mj.mjtBias.mjBIAS_AFFINE),
        "ctrlnum": (1,),
    }
    plain = all(int(getattr(model, f"actuator_{name}")[actuator]) in map(int, kinds) for name, kinds in known.items())
    return plain and int(model.opt.integrator) != int(mj.mjtIntegrator.mjINT_RK4)


def _lag(world: World, actuator: int) -> Callable[[Machine, float], None]:
    """Of a machine that is compiled without it, a lag is no number."""
    filters = _filters(world)

    def put(machine: Machine, value: float) -> None:
        if int(machine.model.actuator_dyntype[actuator]) in filters:
            machine.model.actuator_dynprm[actuator, 0] = value

    return put


def _lag_of(step_s: float) -> Callable[[float], float]:
    """The time constant, s, by how late commands act in the mean: far below a physics step, nothing depends on it."""
    return lambda late_s: float(step_s / np.log1p(step_s / late_s)) if late_s > 0 else 0.0


def _gain(actuator: int, servo: bool) -> Callable[[Machine, float], None]:
    def put(machine: Machine, factor: float) -> None:
        if servo:
            machine.model.actuator_gainprm[actuator, :3] *= factor
            machine.model.actuator_biasprm[actuator, :3] *= factor
        else:
            machine.model.actuator_gear[actuator] *= factor

    return put


def _of_contacts(world: World) -> Iterator[Parameter]:
    """One number for all geoms, and one for all pairs, that have the same sliding friction and can touch."""
    model = world.model
    yield from _alike(world, "geom", _meets(model) & (model.geom_condim > 1), 1)
    yield from _alike(world, "pair", model.pair_dim > 1, 2)


def _alike(world: World, kind: str, counted: np.ndarray, slides: int) -> Iterator[Parameter]:
    """Elements of the same friction, called after the first: what is fitted changes their number, not their name."""
    frictions = getattr(world.model, f"{kind}_friction")[:, 0]
    for value in np.unique(frictions[counted]):
        rows = np.flatnonzero(counted & (frictions == value))
        named = [world.elements.name(kind, int(row)) for row in rows]
        name = next(filter(None, named), f"{kind}{rows[0]}")
        put = _rubs(f"{kind}_friction", rows, float(value), slides)
        yield Parameter(f"{name}.contact", "contact", "", float(value), 0.3, True, put)


def _meets(model: Any) -> np.ndarray:
    """bool [G] whether a geom can touch one of a body that moves against its own."""
    type_, affinity = model.geom_contype, model.geom_conaffinity
    collide = (type_[:, None] & affinity) | (affinity[:, None] & type_)
    body = model.body_weldid[model.geom_bodyid]
    return ((collide > 0) & (body[:, None] != body)).any(1)


def _rubs(array: str, rows: np.ndarray, before: float, slides: int) -> Callable[[Machine, float], None]:
    def put(machine: Machine, value: float) -> None:
        getattr(machine.model, array)[rows, :slides] *= value / before

    return put


def _of_streams(world: World) -> Iterator[Parameter]:
    scene = world.scene
    for stream in scene.actions:
        name = stream.spec.name
        yield Parameter(f"{name}.delay", "delay", "s", stream.delay_s, _DELAY_S, False, _delay(name))
        yield from _offsets(stream)
    places = {pull.stream for pull in pulls(world) if pull.kind != "speed"}
    for stream in scene.sensed:
        name = stream.spec.name
        if places and name not in places:  # of all together, no delay could be told from the commands'
            yield Parameter(f"{name}.delay", "delay", "s", stream.delay_s, _SENSOR_DELAY_S, False, _delay(name))
        yield from _biases(world, stream)


def _delay(name: str) -> Callable[[Machine, float], None]:
    def put(machine: Machine, value: float) -> None:
        machine.delay_s[name] = value

    return put


def _offsets(stream: SceneStream) -> Iterator[Parameter]:
    """What is added to commands: a motor that pushes at rest, a crooked steering, friction not alike both ways."""
    assert stream.excitation is not None
    for column, label in enumerate(stream.spec.columns):
        scale = _OFFSET * float(stream.excitation.high[column] - stream.excitation.low[column])
        if scale > 0:
            name, before, unit = stream.spec.name, float(stream.bias[column]), stream.spec.units[column]
            yield Parameter(f"{name}.{label}.offset", "offset", unit, before, scale, False, _bias(name, column))


def _biases(world: World, stream: SceneStream) -> Iterator[Parameter]:
    """Of sensors that say where a joint is, and of IMUs."""
    column = 0
    for address in stream.sources:
        kind = world.elements.sensor_type(world.elements.find("sensor", address))
        for _ in world.sensor_columns([address]):
            spec = stream.spec
            if kind in ("jointpos", "gyro", "accelerometer") and spec.units[column] in _BIAS:
                name = f"{spec.name}.{spec.columns[column]}.bias"
                before, unit = float(stream.bias[column]), spec.units[column]
                yield Parameter(name, "bias", unit, before, _BIAS[unit], False, _bias(spec.name, column))
            column += 1


def _bias(name: str, column: int) -> Callable[[Machine, float], None]:
    def put(machine: Machine, value: float) -> None:
        machine.bias[name][column] = value

    return put

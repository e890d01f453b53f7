"""What sensors and controls of a model are: columns, units, and ranges where the model gives none."""

from typing import Any, NamedTuple

import numpy as np

from worldmodel.simulate.elements import Elements

_XYZ, _QUATERNION = ("x", "y", "z"), ("w", "x", "y", "z")
_UNITS = {
    "accelerometer": "m/s^2", "velocimeter": "m/s", "gyro": "rad/s", "force": "N", "torque": "N*m", "touch": "N",
    "magnetometer": "T", "rangefinder": "m", "ballangvel": "rad/s", "framepos": "m", "framelinvel": "m/s",
    "frameangvel": "rad/s", "framelinacc": "m/s^2", "frameangacc": "rad/s^2", "subtreecom": "m", "distance": "m",
    "subtreelinvel": "m/s", "subtreeangmom": "kg*m^2/s", "fromto": "m", "clock": "s", "e_potential": "J",
    "e_kinetic": "J", "camprojection": "pixel",
}  # fmt: skip
_UNITLESS = ("framequat", "ballquat", "framexaxis", "frameyaxis", "framezaxis", "normal", "insidesite")
_FORCES = ("accelerometer", "force", "torque", "touch", "framelinacc", "frameangacc", "actuatorfrc", "contact")
_INPUT_UNITS = {"voltage": "V", "pressure": "Pa", "muscle": ""}


class Control(NamedTuple):
    """One control of an actuator.

    Attributes:
        address: for a scene; `label` for people.
        unit: empty where it has none, or where it is `unknown`.
        low, high: its control range, or where it has none, a guess: then `guessed`.
    """

    address: str
    label: str
    unit: str
    low: float
    high: float
    unknown: bool
    guessed: bool


class Quantities:
    """Says what a model's sensors read and its controls command.

    Args:
        mj: the module `mujoco`.
        model: a compiled model.
        elements: of the model.
        ranges: [U, 2] what each control applies, infinite where it is not limited.
    """

    def __init__(self, mj: Any, model: Any, elements: Elements, ranges: np.ndarray) -> None:
        self._mj, self._model, self._elements, self._ranges = mj, model, elements, ranges

    def axes(self, sensor: int) -> tuple[str, ...]:
        """A word for each value of a sensor; one empty word for a single value."""
        width = int(self._model.sensor_dim[sensor])
        known = {1: ("",), 3: _XYZ}.get(width)
        if width == 4 and self._elements.sensor_type(sensor).endswith("quat"):
            known = _QUATERNION
        return known or tuple(map(str, range(width)))

    def sensor_unit(self, sensor: int) -> str | None:
        """The unit of a sensor's values; None where it is not known."""
        word, thing = self._elements.sensor_type(sensor), int(self._model.sensor_objid[sensor])
        if word in _UNITLESS:
            return ""
        if word.startswith(("joint", "tendon", "actuator")):
            slide = self._actuator_slides(thing) if word.startswith("actuator") else self._slides(word, thing)
            ends = {"pos": ("rad", "m"), "vel": ("rad/s", "m/s"), "frc": ("N*m", "N")}.get(word[-3:])
            return ends[slide] if ends else None
        return _UNITS.get(word)

    def wraps(self, sensor: int) -> bool:
        """Whether a sensor reads the angle of a hinge that turns without end."""
        joint = int(self._model.sensor_objid[sensor])
        hinge = self._elements.sensor_type(sensor) == "jointpos" and not self._slides("joint", joint)
        return hinge and not self._model.jnt_limited[joint]

    def feels_commands(self) -> bool:
        """Whether a sensor feels forces that an actuator without a lag changes at once."""
        felt = any(self._elements.sensor_type(i) in _FORCES for i in range(self._elements.count("sensor")))
        return felt and bool((self._model.actuator_dyntype == int(self._mj.mjtDyn.mjDYN_NONE)).any())

    def controls(self) -> list[Control]:
        """All controls of the model, in its order."""
        out: list[Control] = []
        addresses = self._elements.control_addresses()
        for actuator in range(self._elements.count("actuator")):
            inputs, label = self._elements.inputs(actuator), self._elements.label("actuator", actuator)
            for word in inputs:
                name = f"{label}_{word}" if len(inputs) > 1 else label
                out.append(self._control(actuator, word, addresses[len(out)], name, len(out)))
        return out

    def _control(self, actuator: int, word: str, address: str, label: str, column: int) -> Control:
        unit = self._control_unit(actuator, word)
        low, high = self._ranges[column]
        low, high = self._ranges[column]
        guessed = not np.isfinite([low, high]).all()
        low, high = self._guess(actuator, word) if guessed else (float(low), float(high))
        return Control(address, label, unit or "", low, high, unit is None, guessed)

    def _control_unit(self, actuator: int, word: str) -> str | None:
        slides, geared = self._actuator_slides(actuator), not np.isclose(self._gear(actuator), 1)
        meaning = self._meaning(actuator, word)
        if meaning in _INPUT_UNITS:
            return _INPUT_UNITS[meaning]
        turned = {"pos": ("rad", "m"), "vel": ("rad/s", "m/s"), "ff": ("N*m", "N")}.get(meaning)
        return turned[slides] if turned and not geared else None

    def _meaning(self, actuator: int, word: str) -> str:
        """What a control is: the name of its input, or what the gains of one without say of it."""
        model = self._model
        fixed = int(model.actuator_gaintype[actuator]) == int(self._mj.mjtGain.mjGAIN_FIXED)
        if self._muscle(actuator):
            return "muscle"
        if not (fixed and word.isdecimal()):
            return word
        gain, (_, stiffness, damping) = float(model.actuator_gainprm[actuator, 0]), model.actuator_biasprm[actuator, :3]
        if int(model.actuator_biastype[actuator]) == int(self._mj.mjtBias.mjBIAS_NONE):
            return "ff" if gain == 1 else ""
        return "pos" if np.isclose(stiffness, -gain) else "vel" if np.isclose(damping, -gain) and not stiffness else ""

    def _gear(self, actuator: int) -> float:
        """How much of a control's length or force comes out; that of a site has a direction."""
        gear = self._model.actuator_gear[actuator]
        owner = self._elements.owner("actuator", actuator)
        return float(np.linalg.norm(gear[:3]) if owner and owner.kind == "site" else gear[0])

    def _guess(self, actuator: int, word: str) -> tuple[float, float]:
        """A range where the model gives none: the joint's for positions, and else from -1 to 1."""
        joint = int(self._model.actuator_trnid[actuator, 0])
        on_joint = self._elements.owner("actuator", actuator)
        if (
            self._meaning(actuator, word) == "pos"
            and on_joint
            and on_joint.kind == "joint"
            and self._model.jnt_limited[joint]
        ):
            low, high = self._model.jnt_range[joint]
            return float(low), float(high)
        return (0.0, 1.0) if self._muscle(actuator) else (-1.0, 1.0)

    def _muscle(self, actuator: int) -> bool:
        return int(self._model.actuator_dyntype[actuator]) == int(self._mj.mjtDyn.mjDYN_MUSCLE)

    def _actuator_slides(self, actuator: int) -> bool:
        """Whether an actuator pushes along a line; else it turns something."""
        owner = self._elements.owner("actuator", actuator)
        return owner is None or owner.kind not in ("joint", "tendon") or self._slides(owner.kind, owner.id)

    def _slides(self, word: str, thing: int) -> bool:
        """Whether a joint or tendon has a length; else an angle, as a tendon that adds angles of hinges has."""
        model = self._model
        joints = [thing]
        if word.startswith("tendon"):
            wraps = slice(model.tendon_adr[thing], model.tendon_adr[thing] + model.tendon_num[thing])
            if (model.wrap_type[wraps] != int(self._mj.mjtWrap.mjWRAP_JOINT)).any():
                return True
            joints = model.wrap_objid[wraps]
        return bool((model.jnt_type[joints] == int(self._mj.mjtJoint.mjJNT_SLIDE)).any())

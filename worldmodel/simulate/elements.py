"""The elements of a compiled model, found by name, by index, or by what they belong to (sim/README.md)."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_COUNTS = {
    "joint": "njnt", "sensor": "nsensor", "actuator": "nactuator", "camera": "ncam", "body": "nbody", "site": "nsite",
    "tendon": "ntendon", "geom": "ngeom", "key": "nkey",
}  # fmt: skip
_TRANSMISSIONS = {
    "JOINT": "joint", "JOINTINPARENT": "joint", "TENDON": "tendon", "SITE": "site", "SLIDERCRANK": "site",
    "BODY": "body", "SO3": "joint",
}  # fmt: skip
_MJCF = {  # sensor types that the file writes otherwise than the library
    "jointactfrc": "jointactuatorfrc", "tendonactfrc": "tendonactuatorfrc", "geomdist": "distance",
    "geomnormal": "normal", "geomfromto": "fromto",
}  # fmt: skip


class Owner(NamedTuple):
    """What an element belongs to: the word for it in an address, then the owner's kind and its `id` among them."""

    what: str
    kind: str
    id: int


class Elements:
    """Finds elements of a model.

    An address is a name, an index such as `"3"`, or `"WHAT:OWNER"` with the owner's address: `"body:trunk"` for joints
    and cameras, `"joint:elbow"`, `"tendon:..."`, `"site:..."`, `"body:..."` for actuators, `"gyro:imu"` (the sensor's
    type, and what it reads) for sensors. A name goes first.

    Args:
        mj: the module `mujoco`.
        model: a compiled model.
    """

    def __init__(self, mj: Any, model: Any) -> None:
        self._mj, self._model = mj, model

    def count(self, kind: str) -> int:
        return int(getattr(self._model, _COUNTS[kind]))

    def name(self, kind: str, index: int) -> str:
        """Its own name; empty where it has none."""
        return self._mj.mj_id2name(self._model, self._mj.mju_str2Type(kind), index) or ""

    def matches(self, kind: str, address: str) -> list[int]:
        """Indices of the elements that an address means."""
        named = self._mj.mj_name2id(self._model, self._mj.mju_str2Type(kind), address) if address else -1
        if named >= 0:
            return [named]
        if address.isdecimal():
            return [int(address)] if int(address) < self.count(kind) else []
        what, colon, thing = address.partition(":")
        if not colon:
            return []
        owners = {i: self.owner(kind, i) for i in range(self.count(kind))}
        meant = {k: self.matches(k, thing) for k in {owner.kind for owner in owners.values() if owner}}
        return [i for i, owner in owners.items() if owner and owner.what == what and meant[owner.kind] == [owner.id]]

    def find(self, kind: str, address: str) -> int:
        """The one element that an address means; `check_fits` made sure that there is one."""
        (index,) = self.matches(kind, address)
        return index

    def owner(self, kind: str, index: int) -> Owner | None:
        """What an element belongs to; None for bodies, keyframes and the like."""
        model = self._model
        if kind == "sensor":
            read = self._mj.mju_type2Str(int(model.sensor_objtype[index])) or ""
            of = "body" if read == "xbody" else read
            return Owner(self.sensor_type(index), of, int(model.sensor_objid[index])) if of in _COUNTS else None
        if kind == "actuator":
            word = self._mj.mjtTrn(int(model.actuator_trntype[index])).name.removeprefix("mjTRN_")
            of = _TRANSMISSIONS.get(word, "")
            return Owner(of, of, int(model.actuator_trnid[index][0])) if of else None
        bodies = {"joint": "jnt_bodyid", "camera": "cam_bodyid", "site": "site_bodyid"}
        return Owner("body", "body", int(getattr(model, bodies[kind])[index])) if kind in bodies else None

    def sensor_type(self, index: int) -> str:
        """As MJCF writes it: `jointpos`, `gyro` ..."""
        word = self._mj.mjtSensor(int(self._model.sensor_type[index])).name.removeprefix("mjSENS_").lower()
        return _MJCF.get(word, word)

    def address(self, kind: str, index: int) -> str:
        """The most telling address of an element: its name, what it belongs to, or its index."""
        tries, owner = [self.name(kind, index)], self.owner(kind, index)
        if owner is not None:
            belongs = self.address(owner.kind, owner.id)
            tries += [f"{owner.what}:{belongs}"] * (owner.what != "body" or not belongs.isdecimal())
        return next((a for a in tries if a and self.matches(kind, a) == [index]), str(index))

    def label(self, kind: str, index: int) -> str:
        """A word for people that no other element of the kind has: its name, that of its owner, or kind and index."""
        owner, name = self.owner(kind, index), self.name(kind, index)
        taken = {self.name(kind, i) for i in range(self.count(kind))}
        borrowed = self.name(owner.kind, owner.id) if owner else ""
        if not name and owner and borrowed and borrowed not in taken:
            name = borrowed if self.address(kind, index).startswith(f"{owner.what}:") else ""
        return name or (f"{kind}{index}" if f"{kind}{index}" not in taken else f"{kind} {index}")

    def listed(self, kind: str) -> list[str]:
        """An address for every element of a kind."""
        return [self.address(kind, i) for i in range(self.count(kind))]

    def inputs(self, actuator: int) -> list[str]:
        """The words for an actuator's controls: MuJoCo's names of its inputs, such as `pos`, or their indices."""
        names = (self._mj.mj_actuatorInputName(self._model, actuator, i) for i in range(self._controls(actuator)))
        return [name or str(i) for i, name in enumerate(names)]

    def controls(self, address: str) -> np.ndarray:
        """int [A] where an actuator's controls are among all: of `"servo"` all, of `"servo[vel]"` or `"servo[1]"` one.

        Empty where the model has no one such actuator or input.
        """
        actuators, word = self.matches("actuator", address), ""
        if not actuators and address.endswith("]"):
            name, _, word = address[:-1].rpartition("[")
            actuators = self.matches("actuator", name)
        if len(actuators) != 1:
            return np.zeros(0, int)
        first, inputs = int(self._model.actuator_ctrladr[actuators[0]]), self.inputs(actuators[0])
        return np.array([first + i for i, name in enumerate(inputs) if word in ("", name, str(i))], int)

    def control_addresses(self) -> list[str]:
        """An address for each of the model's controls."""
        out = []
        for actuator in range(self.count("actuator")):
            address, inputs = self.address("actuator", actuator), self.inputs(actuator)
            out += [f"{address}[{word}]" for word in inputs] if len(inputs) > 1 else [address] * len(inputs)
        return out

    def _controls(self, actuator: int) -> int:
        return int(self._model.actuator_ctrlnum[actuator])


def distinct(labels: Sequence[str]) -> list[str]:
    """Labels of which those that come again get a number."""
    out: list[str] = []
    for label in labels:
        tries = itertools.chain([label], (f"{label}_{i}" for i in itertools.count(2)))
        out.append(next(word for word in tries if word not in out))
    return out

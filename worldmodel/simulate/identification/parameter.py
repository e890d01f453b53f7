"""A machine with numbers of its own, and one number that can be fitted.

Every number has a coordinate z that is 0 at the user's value and 1 at a plausible error, so that a prior of unit width
stands for what the user knows. Masses, inertias and gains move by factors.
"""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from worldmodel.simulate.scene import Scene
from worldmodel.simulate.world import World

GROUPS = (
    "mass", "com", "inertia", "damping", "friction", "armature", "stiffness", "gain", "lag", "contact", "delay", "bias",
    "offset",
)  # fmt: skip


@dataclasses.dataclass
class Machine:
    """A model with its own numbers, and the scene with its own delays and biases.

    Attributes:
        model: a copy of the world's.
        delay_s: of each stream, by name.
        bias: [S] of each stream, by name.
    """

    model: Any
    delay_s: dict[str, float]
    bias: dict[str, np.ndarray]

    @classmethod
    def of(cls, world: World) -> "Machine":
        """The world's own, with a copy of its model."""
        streams = world.scene.streams
        delays = {s.spec.name: s.delay_s for s in streams}
        return cls(copy.copy(world.model), delays, {s.spec.name: s.bias.copy() for s in streams})

    def scene(self, scene: Scene) -> Scene:
        """A scene with these delays and biases."""
        streams = [
            dataclasses.replace(s, delay_s=self.delay_s[s.spec.name], bias=self.bias[s.spec.name])
            for s in scene.streams
        ]
        return dataclasses.replace(scene, streams=tuple(streams))


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number that can be fitted.

    Attributes:
        name: `shoulder.friction`. group: one of `GROUPS`. unit: of its value.
        before: the user's value.
        scale: a plausible error: in its unit, or of a factor's logarithm.
        factor: whether it moves by factors.
        put: puts a value into a machine.
        curve: turns what z moves evenly, from 0 upwards, into the value; None where they are the same.
    """

    name: str
    group: str
    unit: str
    before: float
    scale: float
    factor: bool
    put: Callable[[Machine, float], None]
    curve: Callable[[float], float] | None = None

    @property
    def least(self) -> float:
        """The least z: these values are never negative, but for biases, offsets and centres."""
        signed = self.group in ("bias", "com", "offset")
        return -np.inf if self.factor or signed else -self.before / self.scale

    def value(self, z: float) -> float:
        """The value at a coordinate."""
        if self.factor:
            return float(self.before * np.exp(self.scale * z))
        even = float(self.before + self.scale * max(z, self.least))
        return self.curve(even) if self.curve else even

    def deviation(self, z: float, std: float) -> float:
        """The standard deviation of the value, of that of its coordinate."""
        if self.curve:
            return (self.value(z + std) - self.value(z - std)) / 2
        return float(self.scale * std * (self.value(z) if self.factor else 1.0))

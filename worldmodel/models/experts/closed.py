"""Experts that need no more than a moment to fit, and are hard to beat near by."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import namespace
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.apart import Apart
from worldmodel.models.baselines.direct import Direct
from worldmodel.models.baselines.isotropic import Isotropic
from worldmodel.models.baselines.reckoning import reckoned
from worldmodel.models.baselines.view import Examples, Lens, View, short_context
from worldmodel.models.experts.expert import Expert
from worldmodel.types import Array

RECKONED = "dead_reckoning"
_PENALTY = 0.1  # docs/experiments.md
_FEW_WEIGHTS = 1e-3  # penalty of who has so few that all data tell each of them


class Closed(NamedTuple):
    """One of the baselines: all of them, and its name."""

    baselines: Baselines
    name: str

    def predict(self, view: View, readings: Float[Array, "B H Y"] | None = None) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead; NaN of what it says nothing of, or only holds as another does.

        `readings` are foretold ones that dead reckoning goes by; else it asks the linear model.
        """
        if self.name not in self.baselines.names:  # there was nothing to reckon with in these episodes
            return np.full((*view.ahead.shape[:2], view.held.shape[-1]), np.nan)
        if self.name != RECKONED:
            return self.baselines.ahead(self.name, view)
        readings = self.baselines.ahead("linear", view) if readings is None else readings
        return reckoned(self.baselines.reckoners, view, readings, self.baselines.lens)


def closed(baselines: Baselines, names: Sequence[str] | None = None) -> list[Expert]:
    """The baselines as experts: all of them, or those that are asked for, also where these lack one."""
    return [Closed(baselines, name) for name in names or baselines.names]


@dataclasses.dataclass
class Ridge:
    """A stiff linear model of the last few ticks: where a machine leaves what it was trained on, it is the last to err.

    Attributes:
        direct: the model. lens: what it sees through.
        memory: ticks that it sees: no more than there are when it is asked inside a context.
    """

    name: ClassVar[str] = "ridge"
    kind: ClassVar[type[Direct]] = Direct
    longest: ClassVar[int | None] = 8  # ticks; None for as many as contexts are sure to have
    direct: Direct
    lens: Lens
    memory: int

    @classmethod
    def fit(cls, examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED) -> Self:
        """Fits the whole horizon."""
        short = short_context(examples.view.context)
        memory = min(cls.longest or short, short)
        near = examples.near(memory, examples.view.horizon)
        return cls(cls.model(near, lens, allowance), lens, memory)

    @classmethod
    def model(cls, examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED) -> Direct:
        """What it predicts with."""
        return Direct.fitted(examples, lens.layout, (_PENALTY,), allowance=allowance)

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED) -> Self:
        """The same on other windows, which takes a moment."""
        return self.fit(examples, self.lens, allowance)

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead; beyond those fitted the last is held."""
        ahead = self.direct.predict(view.newest(self.memory), self.lens.layout)
        xp = namespace(ahead)
        return xp.concatenate([ahead, xp.repeat(ahead[:, -1:], view.horizon - ahead.shape[1], 1)], 1)

    def to_arrays(self) -> dict[str, Any]:
        """What `from_arrays` makes it of."""
        return {**vars(self.direct), "memory": self.memory}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], lens: Lens) -> Self:
        """What `to_arrays` gave."""
        return cls(cls.kind(**{k: v for k, v in arrays.items() if k != "memory"}), lens, int(arrays["memory"]))


class AR(Ridge):
    """Each column from its own past alone: few numbers, which little data tell, and nothing that others do harms it."""

    name: ClassVar[str] = "ar"
    kind: ClassVar[type[Direct]] = Apart
    longest: ClassVar[int | None] = None
    commands: ClassVar[bool] = False

    @classmethod
    def model(cls, examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED) -> Direct:
        """What it predicts with."""
        told = np.full((len(lens.centre), lens.layout.action_count), cls.commands)
        return Apart.fit(examples, lens.layout, _PENALTY, told, allowance)


class ARX(AR):
    """Each column from its own past and what is commanded."""

    name: ClassVar[str] = "arx"
    commands: ClassVar[bool] = True


class Alike(AR):
    """Places and leans of what moves alike in all directions: what it learned on one path serves it on another."""

    name: ClassVar[str] = "isotropic"
    kind: ClassVar[type[Direct]] = Isotropic
    turns: ClassVar[bool] = False

    @classmethod
    def model(cls, examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED) -> Direct:
        """What it predicts with: of so few weights that it takes no time."""
        return Isotropic.of(examples, lens, _FEW_WEIGHTS, cls.turns)


class RoundBends(Alike):
    """The same, told of speed and turns: it knows more of paths that it learned from, and so less of others."""

    name: ClassVar[str] = "turning"
    turns: ClassVar[bool] = True

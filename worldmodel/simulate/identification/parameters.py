"""The numbers of a scene that are to be fitted, chosen by groups and names."""

import dataclasses
import fnmatch
from collections.abc import Sequence

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate.identification.catalogue import SERVO, every
from worldmodel.simulate.identification.parameter import GROUPS, Machine, Parameter
from worldmodel.simulate.model import keep_frames_apart
from worldmodel.simulate.world import World

__all__ = ["GROUPS", "Machine", "Parameter", "Parameters"]


@dataclasses.dataclass(frozen=True)
class Parameters:
    """All numbers of a scene that are to be fitted."""

    world: World
    free: tuple[Parameter, ...]

    @classmethod
    def of(cls, world: World, fit: Sequence[str] | str = (), fix: Sequence[str] | str = ()) -> "Parameters":
        """Those of a scene, chosen by groups or names, in which `*` stands for anything.

        Args:
            world: the scene's, compiled in general.
            fit: what to fit, one or several; by default all but gains of motors, which cannot be told from masses, and
                offsets of commands, which few machines have, and which friction and biases of sensors resemble.
            fix: what not to fit, likewise.

        Raises:
            SceneError: if nothing is left.
        """
        fit, fix = ([words] if isinstance(words, str) else words for words in (fit, fix))
        known = list(every(world))
        chosen = [p for p in known if (_meant(p, fit) if fit else _suits(p))]
        chosen = [p for p in chosen if not _meant(p, fix)]
        if unknown := [w for w in (*fit, *fix) if not any(_meant(p, [w]) for p in known)]:
            raise SceneError(
                f"{world.scene.name} has nothing called {unknown[0]!r} that could be fitted.",
                expected=", ".join([*sorted({p.group for p in known}), *(p.name for p in known)]),
                found=unknown[0],
            )
        if not chosen:
            raise SceneError(
                f"There is nothing to fit in {world.scene.name}.",
                expected=f"free parameters: {', '.join(sorted({p.group for p in known})) or 'none in this scene'}",
                found="all of them fixed" if known else "a scene without joints, actuators or contacts",
            )
        return cls(world, tuple(chosen))

    def __len__(self) -> int:
        return len(self.free)

    @property
    def least(self) -> np.ndarray:
        """[P] the least coordinates."""
        return np.array([p.least for p in self.free])

    def machine(self, z: np.ndarray) -> Machine:
        """The machine at coordinates z [P]."""
        made = Machine.of(self.world)
        for parameter, at in zip(self.free, z, strict=True):
            parameter.put(made, parameter.value(float(at)))
        self.world.mj.mj_setConst(made.model, self.world.mj.MjData(made.model))
        keep_frames_apart(self.world.mj, made.model)
        return made


def _meant(parameter: Parameter, words: Sequence[str]) -> bool:
    return any(word == parameter.group or fnmatch.fnmatchcase(parameter.name, word) for word in words)


def _suits(parameter: Parameter) -> bool:
    """Whether a number is fitted where nothing is said."""
    return parameter.group not in ("gain", "offset") or parameter.name.endswith(SERVO)

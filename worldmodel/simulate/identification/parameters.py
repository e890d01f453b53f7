"""The numbers of a scene that are to be fitted, chosen by groups and names."""

import dataclasses
import difflib
import fnmatch
from collections.abc import Iterable, Sequence

import numpy as np

from worldmodel.errors import SceneError
from worldmodel.simulate.identification.catalogue import SERVO, every, unlagged
from worldmodel.simulate.identification.parameter import GROUPS, Machine, Parameter
from worldmodel.simulate.model import keep_frames_apart
from worldmodel.simulate.scene import Scene
from worldmodel.simulate.world import World

__all__ = ["GROUPS", "Machine", "Parameter", "Parameters"]

DEFAULT = "default"  # the word for what is fitted where nothing is said
_CANNOT_LAG = (
    "an actuator can lag that has one command, fixed or affine gain and bias and no dynamics of its own, where the "
    "model's integrator is not RK4"
)
_WIDEST = 2.0  # the share of a number that moves by factors, beyond which a percentage is meant


@dataclasses.dataclass(frozen=True)
class Parameters:
    """All numbers of a scene that are to be fitted.

    Attributes:
        world: the scene's; with a lag of 0 in those of its actuators that have none, where that is to be fitted.
        free: the numbers.
    """

    world: World
    free: tuple[Parameter, ...]

    @classmethod
    def of(cls, world: World, fit: Sequence[str] | str = (), fix: Sequence[str] | str = ()) -> "Parameters":
        """Those of a scene, chosen by groups or names, in which `*` stands for anything.

        Args:
            world: the scene's, compiled in general.
            fit: what to fit, one or several; by default what the scene's file says, or else all but gains of motors,
                which cannot be told from masses, and offsets of commands, which few machines have, and which friction
                and biases of sensors resemble, and springs and lags where there are none. The word `default` stands for
                all that remains.
            fix: what not to fit, likewise; by default what the scene's file says, unless `fit` is given.

        Raises:
            SceneError: if nothing is left, or something is named that the scene does not have, or a prior makes no
                sense.
        """
        wanted = world.scene.wanted
        fit, fix = ([words] if isinstance(words, str) else words for words in (fit, fix))
        fit, fix = fit or wanted.fit or [DEFAULT], fix or (() if fit else wanted.fix)
        known = _held(world.scene, list(every(world)))
        for word in (*fit, *fix):
            _check_known(known, word, f"{world.scene.name} has nothing called {word!r} that could be fitted.")
        chosen = [p for p in known if _meant(p, fit) and not _meant(p, fix)]
        if not chosen:
            raise SceneError(
                f"There is nothing to fit in {world.scene.name}.",
                expected=f"free parameters: {', '.join(sorted({p.group for p in known})) or 'none in this scene'}",
                found="all of them fixed" if known else "a scene without joints, actuators or contacts",
            )
        if lacking := unlagged(world, {p.name for p in chosen}):
            world = World(world.scene, general=True, lagging=lacking)
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


def _held(scene: Scene, known: list[Parameter]) -> list[Parameter]:
    """The same numbers, each as surely known as the scene's file says."""
    for word, width in scene.wanted.prior:
        _check_known(known, word, f"{scene.name} has a prior of {word!r}, as nothing is called that could be fitted.")
        meant = {p.name for p in known if _meant(p, [word])}
        if width > _WIDEST and (factors := [p.name for p in known if p.name in meant and p.factor]):
            raise SceneError(
                f"{scene.name}: the prior of {word!r} makes no sense.",
                expected=f"a share of at most {_WIDEST:g}, as {factors[0]} moves by factors",
                found=f"{width:g}",
                remedy=f"0.05 stands for 5 %, so write {width / 100:g} if per cent are meant",
            )
        known = [dataclasses.replace(p, scale=width) if p.name in meant else p for p in known]
    return known


def _check_known(known: Sequence[Parameter], word: str, problem: str) -> None:
    """Refuses a word that means none of the numbers."""
    if any(_meant(p, [word]) for p in known) or word == DEFAULT:
        return
    words = [*sorted({p.group for p in known}), *(p.name for p in known)]
    close = difflib.get_close_matches(word, words, 1)
    raise SceneError(
        problem,
        expected=", ".join([DEFAULT, *words]),
        found=word,
        remedy=_CANNOT_LAG
        if word == "lag" or word.endswith(".lag")
        else f"did you mean {close[0]!r}?"
        if close
        else "name a group or a number; * stands for anything",
    )


def _meant(parameter: Parameter, words: Iterable[str]) -> bool:
    def means(word: str) -> bool:
        if word == DEFAULT:
            return _suits(parameter)
        return word == parameter.group or fnmatch.fnmatchcase(parameter.name, word)

    return any(map(means, words))


def _suits(parameter: Parameter) -> bool:
    """Whether a number is fitted where nothing is said."""
    if parameter.group in ("stiffness", "lag"):
        return parameter.factor
    return parameter.group not in ("gain", "offset") or parameter.name.endswith(SERVO)

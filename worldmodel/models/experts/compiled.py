"""A team that is asked of one window after another: what of it can be is compiled.

To ask experts of one window takes thousands of operations on small arrays, of which each costs microseconds in Python.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from worldmodel.compiled import Staged
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context
from worldmodel.models.baselines.view import View
from worldmodel.models.experts.closed import Closed, Ridge
from worldmodel.models.experts.left_out import Answer, Question, ask
from worldmodel.models.experts.team import Foreseen, Team
from worldmodel.types import Array, Commands

_WRITTEN_FOR_BOTH = (Closed, Ridge)  # numpy and JAX


class Compiled:
    """Foresees as its team does, up to rounding, in double precision. A program is made for each shape of question."""

    def __init__(self, team: Team) -> None:
        inside = [isinstance(expert, _WRITTEN_FOR_BOTH) for expert in team.experts]
        chosen, rest = np.flatnonzero(inside), np.flatnonzero(np.logical_not(inside))
        self._every, self._rest, self._lens = team.experts, [team.experts[i] for i in rest], team.lens
        self._order = np.argsort(np.concatenate([chosen, rest]))  # of answers, the compiled ones first
        self._team = dataclasses.replace(team, experts=tuple(team.experts[i] for i in chosen))
        with jax.enable_x64(True):
            arrays = jax.device_put(_arrays_of(self._team))
        self._answered, self._blended = (Staged(f, arrays, one_by_one=True) for f in (self._answer, self._blend))
        self._beside = ThreadPoolExecutor(1)  # of what one thread asks JAX runs one after the other

    def foresee(
        self, context: Context, actions: Commands, network: Float[Array, "B K H D"] | None, chosen: Int[Array, "B M"]
    ) -> Foreseen:
        """As `foresee_in_numpy`, in JAX's arrays: they may be on their way still, as may be what the network says.

        Experts are asked beside a network that is under way.
        """
        context = context._replace(frames=(), frames_mask=())
        asked = None if network is None else self._beside.submit(self._ask, context, actions)
        said = ask(self._rest, self._lens, self._team.asked(context, actions)) if self._rest else None
        view, answer = self._ask(context, actions) if asked is None else asked.result()
        with jax.enable_x64(True):
            return self._blended(view, answer, said, network, chosen)

    def _ask(self, context: Context, actions: Commands) -> tuple[View, Answer]:
        with jax.enable_x64(True):  # which is of a thread
            return self._answered(context, actions)

    def _answer(self, arrays, context: Context, actions: Commands) -> tuple[View, Answer]:
        team = _with_arrays(self._team, arrays)
        view, before, horizons = team.asked(context, actions)
        asked = Question(_doubled(view), _doubled(before), horizons)
        return asked.view, team.answer(asked)

    def _blend(self, arrays, view: View, answer: Answer, said: Answer | None, network, chosen) -> Foreseen:
        if said is not None:
            ahead, within = (jax.numpy.concatenate(x)[self._order] for x in zip(answer, said, strict=True))
            answer = Answer(ahead, within)  # type: ignore[arg-type]
        team = dataclasses.replace(_with_arrays(self._team, arrays), experts=self._every)
        return team.blended(view, answer, None if network is None else network.mean(1), chosen)


def foresee_in_numpy(
    team: Team, context: Context, actions: Commands, network: Float[Array, "B K H D"] | None, chosen: Int[Array, "B M"]
) -> Foreseen:
    """`Team.foresee` of the mean of K futures that the network imagines."""
    mean = None if network is None else np.asarray(network).mean(1)
    return team.foresee(context, actions, mean, chosen)


class Meanwhile:
    """Foresees as a team does, and compiled as soon as the program for such a question is made, in another thread.

    Programs are of a few horizons, so that most that are asked for find one: of what is foreseen the first ticks count.
    """

    def __init__(self, team: Team) -> None:
        self.compiled, self._team = Compiled(team), team
        self._made: dict[tuple, Future] = {}  # by the shapes of a question, which threads may ask; one at a time
        self._maker = ThreadPoolExecutor(1)

    def foresee(
        self, context: Context, actions: Commands, network: Float[Array, "B K H D"] | None, chosen: Int[Array, "B M"]
    ) -> Foreseen:
        """As `foresee_in_numpy`."""
        network = None if network is None else np.asarray(network)
        asked = context, *_longer(actions, network), chosen
        shapes = tuple(x.shape for x in jax.tree.leaves(asked))
        made = self._made.get(shapes)
        if made is None and all(each.done() for each in list(self._made.values())):
            self._made[shapes] = self._maker.submit(self._make, asked)
        if made is None or not made.done() or not made.result():
            return foresee_in_numpy(self._team, context, actions, network, chosen)
        found, wanted = jax.device_get(self.compiled.foresee(*asked)), slice(actions.values.shape[1])
        mean, outside = found.mean[:, wanted], found.outside[:, wanted]
        return Foreseen(mean, found.members[:, :, wanted], found.weights[:, :, wanted], outside)

    def _make(self, asked: tuple) -> bool:
        """Whether there is a program for such a question from now on; where none can be made, it is told once."""
        try:
            self.compiled.foresee(*asked)
        except Exception as error:  # whatever it is, the team answers without a program
            warnings.warn(f"Experts are asked one by one, which is slower: {error}", RuntimeWarning, stacklevel=2)
            return False
        return True


def _longer(
    actions: Commands, network: Float[np.ndarray, "B K H D"] | None
) -> tuple[Commands, Float[np.ndarray, "B K L D"] | None]:
    """Commands, and what the network says, over a horizon of the next power of two, where the last ticks go on."""
    horizon = actions.values.shape[1]
    more = (0, (1 << (horizon - 1).bit_length()) - horizon)
    led = Commands(*(np.pad(part, ((0, 0), more, (0, 0)), mode="edge") for part in actions))
    return led, None if network is None else np.pad(network, ((0, 0), (0, 0), more, (0, 0)), mode="edge")


def _doubled(x: Any) -> Any:
    """Every number in double precision, as numpy has it where a single meets a double."""
    return jax.tree.map(lambda a: a.astype(float) if a.dtype == np.float32 else a, x)


def _arrays_of(x: Any) -> list[np.ndarray]:
    """Arrays of numbers in dataclasses and tuples of them, in order: as constants, they would take long to compile."""
    found: list[np.ndarray] = []

    def keep(array: np.ndarray) -> np.ndarray:
        found.append(array)
        return array

    _each_array(x, keep)
    return found


def _with_arrays(x: Any, arrays: Sequence[Any]) -> Any:
    """The same with others in their place."""
    left = iter(arrays)
    return _each_array(x, lambda _: next(left))


def _each_array(x: Any, change: Callable[[np.ndarray], Any]) -> Any:
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return change(x)
    if isinstance(x, tuple):
        parts = [_each_array(part, change) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if dataclasses.is_dataclass(x) and not isinstance(x, type | TickLayout):
        fields = {field.name: _each_array(getattr(x, field.name), change) for field in dataclasses.fields(x)}
        return dataclasses.replace(x, **fields)
    return x

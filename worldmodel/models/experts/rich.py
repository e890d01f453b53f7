"""Experts beyond the baselines: which there are, and which a log has what it takes for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from worldmodel.models.baselines.view import Examples, Lens, short_context
from worldmodel.models.experts.closed import Ridge
from worldmodel.models.experts.mechanics import Mechanics
from worldmodel.models.experts.physics import Physics
from worldmodel.models.experts.state_space import StateSpace
from worldmodel.models.experts.state_space.expert import suits
from worldmodel.models.experts.structure import find_structure

_STARTS = 12  # ticks that mechanics needs to tell where it starts
RICH: dict[str, Any] = {cls.name: cls for cls in (Ridge, Mechanics, StateSpace, Physics)}


def fit_rich(
    examples: Examples,
    lens: Lens,
    seed: int,
    say: Callable[[str], None],
    declared: Mapping[str, Any] | None = None,
    all_of_them: bool = True,
) -> list[Any]:
    """Fits those that suit the streams.

    Args:
        examples: windows to fit on.
        lens: what they see through.
        seed: decides what they draw.
        say: what is found.
        declared: what is known of the machine's structure; the rest is found.
        all_of_them: also those that take long.
    """
    experts: list[Any] = [Ridge.fit(examples, lens)]
    if not all_of_them:
        return experts
    structure = find_structure(examples, lens, declared)
    for line in structure.describe().splitlines():
        say(line)
    if Mechanics.suits(structure) and short_context(examples.view.context) >= _STARTS:
        experts.append(Mechanics.fit(examples, lens, structure, seed))
        for line in experts[-1].describe().splitlines():
            say(line)
    elif suits(lens):
        experts.append(StateSpace.fit(examples, lens, seed))
    return experts


def experts_to(experts: Sequence[Any]) -> dict[str, Any]:
    """Arrays of experts, each under its name."""
    return {f"{expert.name}.{key}": value for expert in experts for key, value in expert.to_arrays().items()}


def experts_from(arrays: Mapping[str, Any], lens: Lens, prior: Path) -> list[Any]:
    """What `experts_to` gave; `prior` is the folder of the scene, where one is among them."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in arrays.items():
        name, _, field = key.partition(".")
        parts.setdefault(name, {})[field] = value
    beside = {Physics.name: (prior,)}
    return [RICH[name].from_arrays(part, lens, *beside.get(name, ())) for name, part in parts.items()]

"""Experts beyond the baselines: which there are, and which a log has what it takes for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worldmodel.models.allowance import Allowance
from worldmodel.models.baselines.view import Examples, Lens, short_context
from worldmodel.models.experts.closed import AR, ARX, Alike, Ridge, RoundBends
from worldmodel.models.experts.mechanics import Mechanics
from worldmodel.models.experts.physics import Physics
from worldmodel.models.experts.state_space import StateSpace
from worldmodel.models.experts.state_space.expert import suits
from worldmodel.models.experts.structure import Structure, find_structure

_STARTS = 12  # ticks that mechanics needs to tell where it starts
_LEAST_S = 5.0  # that those are worth beginning for which take long
RICH: dict[str, Any] = {cls.name: cls for cls in (Ridge, AR, ARX, Alike, RoundBends, Mechanics, StateSpace, Physics)}


def fit_rich(
    examples: Examples,
    lens: Lens,
    seed: int,
    allowance: Allowance,
    declared: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Fits those that take long and suit the streams.

    Args:
        examples: windows to fit on.
        lens: what they see through.
        seed: decides what they draw.
        allowance: time for it; is told what is found.
        declared: what is known of the machine's structure; the rest is found.
    """
    allowance.say("looking for equations of motion: what is the derivative of what")
    structure = find_structure(examples, lens, declared)
    mechanical = Mechanics.suits(structure) and short_context(examples.view.context) >= _STARTS
    _say_lines(allowance, structure)
    if not (mechanical or suits(lens)):
        return []
    kind = Mechanics if mechanical else StateSpace
    if allowance.left < _LEAST_S:
        allowance.leave_out(f"the expert {kind.name}")
        return []
    allowance.say(f"fitting {kind.name}")
    if mechanical:
        mechanics = Mechanics.fit(examples, lens, structure, seed, allowance)
        _say_lines(allowance, mechanics)
        return [mechanics]
    return [StateSpace.fit(examples, lens, seed, allowance)]


def _say_lines(allowance: Allowance, found: Structure | Mechanics) -> None:
    for line in found.describe().splitlines():
        allowance.say(line)


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

"""Experts beyond the baselines: which there are, and which a log has what it takes for."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.arrays import evenly, mean_known
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.isotropic import pairs_of
from worldmodel.models.baselines.reckoning import Reckoner
from worldmodel.models.baselines.view import Examples, Lens, short_context
from worldmodel.models.experts.angles import Angles, Carried
from worldmodel.models.experts.closed import AR, ARX, Alike, Ridge, RoundBends
from worldmodel.models.experts.mechanics import LAST_STEPS, Mechanics
from worldmodel.models.experts.physics import Physics
from worldmodel.models.experts.products import Products
from worldmodel.models.experts.state_space import StateSpace
from worldmodel.models.experts.state_space.expert import suits
from worldmodel.models.experts.structure import Structure, find_structure

_FEW_ACTIONS = 8  # docs/experiments.md: a humanoid's 26 are too many
_STARTS = 12  # ticks that mechanics needs to tell where it starts
_COMPARED, _LEAST = 500, 1e-12  # windows that fits are compared on, and a squared error that is none
_LITTLE = 0.2  # of a reading's deviation
_LEAST_S = 5.0  # that those are worth beginning for which take long
_AGAIN = 10  # times the time that mechanics took which is left, for another expert to be fitted and measured beside it
RICH: dict[str, Any] = {
    cls.name: cls for cls in (Ridge, AR, ARX, Products, Angles, Alike, RoundBends, Mechanics, StateSpace, Physics)
}


def fit_quick(
    examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED, reckoners: Sequence[Reckoner] = ()
) -> list[Ridge]:
    """Fits the linear experts that suit the streams, those of products and of angles by their rates among them.

    Those of one column at a time only where there are others, and no more than a few commands: of a machine that many
    move, a column by itself tells little, and with all of them it has too many weights.

    Args:
        examples: windows to fit on.
        lens: what they see through.
        allowance: time for it; is told what is found.
        reckoners: of places, where some were found.
    """
    kinds: list[Callable[..., Ridge]] = [Ridge.fit]
    carried = Carried.find(examples, lens)
    if len(lens.centre) > 1 and lens.layout.action_count <= _FEW_ACTIONS:
        products = functools.partial(Products.fit, reckoners=reckoners, carried=carried)
        kinds += [AR.fit, ARX.fit, products] if lens.layout.actions else [AR.fit]
    if carried.are_some:
        kinds += [functools.partial(Angles.fit, carried=carried)]
    if pairs_of(lens.layout).columns.size:
        kinds += [Alike.fit, RoundBends.fit]
    fitted = [fit(examples, lens, turn) for fit, turn in zip(kinds, allowance.turns(len(kinds)), strict=True)]
    for found in (expert for expert in fitted if isinstance(expert, Products | Angles)):
        _say_lines(allowance, found)
    return [expert for expert in fitted if not isinstance(expert, Products) or expert.speaks.any()]


def fit_rich(
    examples: Examples,
    lens: Lens,
    seed: int,
    allowance: Allowance,
    declared: Mapping[str, Any] | None = None,
    linear: Ridge | None = None,
) -> list[Any]:
    """Fits those that take long and suit the streams.

    Where velocities are read, mechanics needs no state space beside it. Where they are not, what coordinates do may be
    another thing than mechanics: it has to fit better than linear models do, and a state space has its place if it does
    not, or beside it if there is time.

    Args:
        examples: windows to fit on.
        lens: what they see through.
        seed: decides what they draw.
        allowance: time for it; is told what is found.
        declared: what is known of the machine's structure; the rest is found.
        linear: what mechanics has to fit better than; None for nothing.
    """
    allowance.say("looking for equations of motion: what is the derivative of what")
    structure = find_structure(examples, lens, declared)
    mechanical = Mechanics.suits(structure) and short_context(examples.view.context) >= _STARTS
    _say_lines(allowance, structure)
    fitted: list[Any] = []
    if mechanical and _has_time(allowance, Mechanics.name):
        mechanics = Mechanics.fit(examples, lens, structure, seed, allowance)
        if structure.hidden and linear is not None and not _fits_better(mechanics, linear, examples):
            allowance.say("these are no equations of motion: linear models fit better")
            mechanical = False
        else:
            fitted.append(mechanics)
            _say_lines(allowance, mechanics)
    rival = mechanical and structure.hidden and allowance.left > _AGAIN * allowance.spent
    if suits(lens) and (rival or not mechanical) and _has_time(allowance, StateSpace.name):
        fitted.append(StateSpace.fit(examples, lens, seed, allowance))
    return fitted


def tell_all(rich: Sequence[Any], examples: Examples) -> bool:
    """Whether mechanics among these foretells every reading, at all ticks: what is left is little, or noise."""
    found = [expert for expert in rich if isinstance(expert, Mechanics)]
    if not found:
        return False
    some = _some_of(examples)
    left = np.sqrt(mean_known(some.squared_errors(found[0].predict(some.view)), 0))
    came = some.mask.any(0)
    return bool(came.any() and (left[came] < _LITTLE).all())  # NaN, which says nothing, is not


def go_on_fitting(rich: Sequence[Any], examples: Examples, allowance: Allowance) -> list[Any]:
    """The same, mechanics with the last steps that there was no time for before."""
    if LAST_STEPS not in allowance.cut:
        return list(rich)
    allowance.cut.remove(LAST_STEPS)
    return [expert.go_on(examples, allowance) if isinstance(expert, Mechanics) else expert for expert in rich]


def _some_of(examples: Examples) -> Examples:
    few = evenly(len(examples.came), _COMPARED)
    return Examples(examples.view.take(few), examples.came[few], examples.mask[few], examples.age[few])


def _fits_better(mechanics: Mechanics, linear: Ridge, examples: Examples) -> bool:
    """Whether it errs less where both were fitted, on average over the logarithms of its columns' errors."""
    some = _some_of(examples)
    own, other = (mean_known(some.squared_errors(expert.predict(some.view)), 0) for expert in (mechanics, linear))
    return bool(np.nanmean(np.log(own + _LEAST) - np.log(other + _LEAST)) < 0)


def _has_time(allowance: Allowance, name: str) -> bool:
    """Whether there is time for an expert; tells either."""
    if allowance.left < _LEAST_S:
        allowance.leave_out(f"the expert {name}")
        return False
    allowance.say(f"fitting {name}")
    return True


def _say_lines(allowance: Allowance, found: Structure | Mechanics | Products | Angles) -> None:
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

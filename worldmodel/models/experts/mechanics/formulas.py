"""What a fitted mechanics says, as a mechanic writes it."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.columns import actions_of, columns_of
from worldmodel.models.experts.mechanics.model import (
    DELAY,
    TAPS,
    Form,
    Parameters,
    Scales,
    harmonics,
    parameters,
    triangle,
)
from worldmodel.models.experts.structure import Structure

_SHOWN = 0.02  # of the largest of its kind


def formulas(structure: Structure, form: Form, scales: Scales, flat: np.ndarray, lens: Lens) -> str:
    """Mass matrix, potential, friction, forces and delay, in units.

    A machine's motion tells its forces up to a factor. The unit here is that of the actions, on average where each
    drives a coordinate of its own, else of the action with the strongest push.
    """
    columns = columns_of(lens.layout)
    coordinates = [columns[name] for name in structure.coordinates]
    labels = [c.label for c in coordinates]
    names = labels if len(set(labels)) == len(labels) else [c.name for c in coordinates]
    units = [spec.units[0] for spec in lens.layout.actions] + [c.unit for c in coordinates] + ["s"]
    lines = _equations(names, form, scales, parameters(form, flat), lens)
    return "\n".join([f"equations of motion, in {', '.join(dict.fromkeys(filter(None, units)))}:", *lines])


def _equations(names: Sequence[str], form: Form, scales: Scales, p: Parameters, lens: Lens) -> Iterator[str]:
    velocity, n = scales.velocity, len(names)
    push = (scales.push * np.exp(p.push) if form.named else scales.push + p.push) / lens.action_std
    force = _unit_of_force(form, push / velocity[:, None])
    waves = [_wave(row, names) for row in harmonics(form.angles)]
    terms = [*(f"sin({wave})" for wave in waves), *(f"cos({wave})" for wave in waves)]
    place = triangle(n)
    for i, j in zip(*(indices.tolist() for indices in np.triu_indices(n)), strict=True):
        scaled = p.inertia[place[i, j]] + np.eye(1, len(terms) + 1)[0] * (i == j)
        least = _SHOWN * (1 + abs(p.inertia).max())
        unit = scales.time / (force * velocity[i] * velocity[j])
        yield f"M[{names[i]}, {names[j]}] = {_sum(scaled * unit, ['', *terms], abs(scaled) > least)}"
    if len(terms):
        shown = abs(p.potential) > _SHOWN * abs(p.potential).max()
        yield f"V = {_sum(p.potential / (force * velocity.mean()), terms, shown)}"
    actions = list(actions_of(lens.layout))
    for i, name in enumerate(names):
        unit, bias = 1 / (force * velocity[i]), p.bias[i]
        if p.spring[i]:
            stiffness = p.spring[i] / (velocity[i] * scales.time)
            yield f"spring of {name} = {stiffness * unit:.3g} about {scales.middle[i] + bias / stiffness:.3g}"
            bias = 0.0
        yield f"friction of {name} = {p.viscous[i] * unit / velocity[i]:.3g} viscous, {p.coulomb[i] * unit:.3g} Coulomb"
        pushes = np.append(push[i], bias) * unit
        yield f"force on {name} = {_sum(pushes, [*actions, ''], abs(pushes) > _SHOWN * abs(pushes).max())}"
    yield f"delay = {np.clip(DELAY + p.delay, 0, TAPS - 1) * scales.dt * 1000:.3g} ms"


def _unit_of_force(form: Form, push: np.ndarray) -> float:
    """What a unit of force is in scaled ones, which are arbitrary: the mean action's, or the strongest's."""
    if form.named:
        return float(np.exp(np.log(abs(push[push != 0])).mean()))
    return float(abs(push).max(initial=0)) or 1.0


def _wave(row: Iterable[float], names: Sequence[str]) -> str:
    """Such as `shoulder + elbow`."""
    text = "".join(f" {'-' if k < 0 else '+'} {name}" for k, name in zip(row, names, strict=True) if k)
    return text.removeprefix(" + ")


def _sum(sizes: np.ndarray, terms: Sequence[str], shown: np.ndarray) -> str:
    """Such as `0.2 - 0.1 cos(elbow)`."""
    parts = [
        f" {'-' if size < 0 else '+'} {abs(size):.3g} {term}".rstrip()
        for size, term, there in zip(sizes, terms, shown, strict=True)
        if there
    ]
    text = "".join(parts) or "0"
    return text.removeprefix(" + ").replace(" - ", "-", 1) if text.startswith(" - ") else text.removeprefix(" + ")

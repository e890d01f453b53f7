"""Experts beyond the baselines: which there are, and which a log has what it takes for."""

from collections.abc import Mapping, Sequence
from typing import Any

from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.models.experts.closed import Ridge

RICH: dict[str, Any] = {cls.name: cls for cls in (Ridge,)}


def fit_rich(examples: Examples, lens: Lens, seed: int) -> list[Any]:
    """Fits those that suit the streams; `seed` decides what they draw."""
    return [Ridge.fit(examples, lens)]


def experts_to(experts: Sequence[Any]) -> dict[str, Any]:
    """Arrays of experts, each under its name."""
    return {f"{expert.name}.{key}": value for expert in experts for key, value in expert.to_arrays().items()}


def experts_from(arrays: Mapping[str, Any], lens: Lens) -> list[Any]:
    """What `experts_to` gave."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in arrays.items():
        name, _, field = key.partition(".")
        parts.setdefault(name, {})[field] = value
    return [RICH[name].from_arrays(part, lens) for name, part in parts.items()]

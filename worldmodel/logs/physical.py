"""Recorded samples as people read them: in the physical columns of their codec, such as metres of a fix."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.types import Array, Commands, StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.align import TickLayout


class Columns(NamedTuple):
    """What the physical columns of a stream are called, in which units, and which are angles that wrap."""

    labels: tuple[str, ...]
    units: tuple[str, ...]
    wraps: tuple[bool, ...]


def physical_columns(spec: StreamSpec) -> Columns:
    """Of a fix east, north, up in metres; else mostly the stream's own."""
    labels = codec(spec).labels
    return Columns(labels, codec(spec).units, spec.circular[: len(labels)])


def physical_values(spec: StreamSpec, data: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Recorded samples [..., S] as `physical_columns` [..., P], NaN where one is missing; fixes from `origin` [3]."""
    flat = np.asarray(data, np.float64).reshape(-1, data.shape[-1])
    values = codec(spec).physical(codec(spec).encode(np.where(np.isfinite(flat), flat, np.nan), origin))
    return values.reshape(*data.shape[:-1], values.shape[-1])  # of no sample, too


def first_fix(spec: StreamSpec, *parts: np.ndarray) -> np.ndarray:
    """Latitude, longitude (deg) of a GPS stream's first known fix, and the height (m) of the first that has one.

    Args:
        spec: the stream; of another kind the answer is zeros, as for what is nowhere known.
        parts: samples [..., S], first to last.
    """
    if spec.kind != "gps":
        return np.zeros(3)
    fixes = np.concatenate([np.asarray(part[..., :3], np.float64).reshape(-1, 3) for part in parts])
    known = fixes[np.isfinite(fixes[:, :2]).all(1)]
    heights = known[np.isfinite(known[:, 2]), 2]
    return np.array([*(known[0, :2] if len(known) else (0.0, 0.0)), heights[0] if len(heights) else 0.0])


def by_stream(
    layout: "TickLayout", features: Array, mask: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Each stream's reading at the tick [..., P] in physical units from features [..., D]; 0 where masked."""
    return _physical(layout.readings, _at_tick(layout), features, mask)


def mask_by_stream(layout: "TickLayout", mask: Array) -> dict[str, np.ndarray]:
    """Which physical values [..., P] of readings at the tick are there, from which features [..., D] are."""
    return _physical_mask(layout.readings, _at_tick(layout), mask)


def actions_by_stream(layout: "TickLayout", actions: Commands) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Each action stream's physical values [..., S] from features [..., A], 0 where unknown, and which are known."""
    mask = _physical_mask(layout.actions, layout.action_columns, actions.mask)
    return _physical(layout.actions, layout.action_columns, actions.values, mask), mask


def _at_tick(layout: "TickLayout") -> dict[str, np.ndarray]:
    return {spec.name: layout.slot_columns(spec)[-1] for spec in layout.readings}


def _physical(specs: Sequence[StreamSpec], columns: Mapping[str, Any], features: Array, mask) -> dict[str, np.ndarray]:
    values = {s.name: codec(s).physical(np.asarray(features)[..., columns[s.name]]) for s in specs}
    return values if mask is None else {name: np.where(mask[name], value, 0) for name, value in values.items()}


def _physical_mask(specs: Sequence[StreamSpec], columns: Mapping[str, Any], mask: Array) -> dict[str, np.ndarray]:
    return {s.name: codec(s).physical_mask(np.asarray(mask)[..., columns[s.name]]) for s in specs}

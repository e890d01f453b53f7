"""The columns that structure is found among: of sensors that neither turn with a heading nor are relative."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.types import StreamSpec


class Column(NamedTuple):
    """A column of a sensor that neither turns with a heading nor is relative.

    Attributes:
        name: `stream.column`.
        stream, label, unit: its parts.
        at: its first feature among the Y readings; of an angle that wraps the sine, which its cosine follows.
        circular: whether it wraps.
    """

    name: str
    stream: str
    label: str
    unit: str
    at: int
    circular: bool


def columns_of(layout: TickLayout) -> dict[str, Column]:
    """The columns, by name, that coordinates and derivatives may be."""
    found = {}
    for spec in layout.of_kind("sensor"):
        turning = codec(spec).turning
        turned = {feature for pair in turning.pairs for feature in pair}
        start = layout.reading_columns[spec.name].start
        for label, unit, wraps, at in _columns(spec):
            if at not in turned:
                name = f"{spec.name}.{label}"
                found[name] = Column(name, spec.name, label, unit, start + at, wraps)
    return found


def actions_of(layout: TickLayout) -> dict[str, int]:
    """By name (`stream.column`), where each action's first feature is among the A actions."""
    return {
        f"{spec.name}.{label}": layout.action_columns[spec.name].start + at
        for spec in layout.actions
        for label, _, _, at in _columns(spec)
    }


def _columns(spec: StreamSpec) -> Iterator[tuple[str, str, bool, int]]:
    """Label, unit, whether it wraps, and first feature of each column of a stream."""
    features = codec(spec).physical_mask(np.arange(codec(spec).features))
    for label, unit, wraps, at in zip(spec.columns, spec.units, spec.circular, features, strict=True):
        yield label, unit, wraps, int(at)

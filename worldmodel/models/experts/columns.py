"""The columns of sensors, and those that structure is found among."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.types import StreamSpec


class Column(NamedTuple):
    """A column of a sensor, of which none is relative.

    Attributes:
        name: `stream.column`.
        stream, label, unit: its parts.
        at: its first feature among the Y readings; of an angle that wraps the sine, which its cosine follows.
        circular: whether it wraps.
        turns: whether it turns with a heading.
    """

    name: str
    stream: str
    label: str
    unit: str
    at: int
    circular: bool
    turns: bool


def columns_of(layout: TickLayout) -> dict[str, Column]:
    """The columns, by name, that coordinates and derivatives may be: of sensors, and none that turns with a heading."""
    return {column.name: column for column in every_column(layout) if not column.turns}


def every_column(layout: TickLayout) -> Iterator[Column]:
    """All columns of sensors."""
    for spec in layout.of_kind("sensor"):
        turned = {feature for pair in codec(spec).turning.pairs for feature in pair}
        start = layout.reading_columns[spec.name].start
        for label, unit, wraps, at in _columns(spec):
            yield Column(f"{spec.name}.{label}", spec.name, label, unit, start + at, wraps, at in turned)


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

"""Streams of which some recordings have more columns than others: the log's have all, NaN where one is lacking."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.logs.reader import opened
from worldmodel.types import StreamSpec

_KINDS = ("sensor", "action", "gps")
_BY_COLUMN = ("columns", "units", "noise_std", "circular")


def widened(parts: Sequence[Path]) -> dict[str, StreamSpec]:
    """The streams that some logs have with fewer columns than others, with all of their columns."""
    first: dict[str, StreamSpec] = {}
    wide: dict[str, StreamSpec] = {}
    for log in opened(parts if len(parts) > 1 else ()):
        for name, spec in log.streams.items():
            widest = wide.get(name, first.setdefault(name, spec))
            if spec.columns != widest.columns and (joined := _joined(widest, spec)):
                wide[name] = joined
    return wide


def _joined(one: StreamSpec, other: StreamSpec) -> StreamSpec | None:
    """A stream with the columns of two; None where they are not of one machine as far as their names tell.

    One has to have all columns of the other, but for fixes, which every receiver tells more of in its own way. Columns
    that are called by their numbers are not the same for it.
    """
    if (one.kind, one.frame) != (other.kind, other.frame) or one.kind not in _KINDS:
        return None
    wide, narrow = (one, other) if len(one.columns) >= len(other.columns) else (other, one)
    more = [i for i, column in enumerate(narrow.columns) if column not in wide.columns]
    if (more and one.kind != "gps") or any(column.isdigit() for column in narrow.columns):
        return None
    return _with(wide, {field: getattr(wide, field) + _picked(narrow, field, more) for field in _BY_COLUMN})


def narrowed(spec: StreamSpec, columns: Sequence[str]) -> StreamSpec:
    """A stream with some of its columns only; as it is where it lacks one of them."""
    if not set(columns) <= set(spec.columns):
        return spec
    places = [spec.columns.index(column) for column in columns]
    return _with(spec, {field: _picked(spec, field, places) for field in _BY_COLUMN})


def _picked(spec: StreamSpec, field: str, places: Sequence[int]) -> tuple[Any, ...]:
    return tuple(getattr(spec, field)[i] for i in places)


def _with(spec: StreamSpec, fields: dict[str, Any]) -> StreamSpec:
    return dataclasses.replace(spec, **fields)


def filled(data: np.ndarray, columns: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Samples [M, S] of some columns as those of all that are wanted, NaN in the others."""
    out = np.full((len(data), len(wanted)), np.nan)
    out[:, [wanted.index(column) for column in columns]] = data
    return out

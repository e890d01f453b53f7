"""What a page is told of a run's streams before it asks: columns, units, and what is usually commanded."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.logs.physical import physical_columns
from worldmodel.logs.reader import Log
from worldmodel.types import StreamSpec

Range = tuple[float, float]
_RANGED = 8  # episodes that the ranges of actions are read from


def described(spec: StreamSpec, ranges: Mapping[str, Sequence[Range]]) -> dict[str, Any]:
    """A stream; `ranges` are the least and the most of each column of what is commanded."""
    if spec.kind == "video":
        return {"name": spec.name, "kind": spec.kind, "columns": []}
    columns = [
        {"label": label, "unit": unit, "wraps": wraps}
        for label, unit, wraps in zip(*physical_columns(spec), strict=True)
    ]
    for column, (low, high) in zip(columns, ranges.get(spec.name, ()), strict=False):
        column |= {"low": low, "high": high}
    track = codec(spec).track
    return {"name": spec.name, "kind": spec.kind, "columns": columns, "track": list(track) if track else None}


def ranges_of(log: Log) -> dict[str, list[Range]]:
    """By stream of commands, from the least to the most of each column that some episodes of a log command."""
    return {spec.name: _ranges(log, spec) for spec in log.streams.values() if spec.kind == "action"}


def _ranges(log: Log, spec: StreamSpec) -> list[Range]:
    parts = [log.episodes[i].streams[spec.name].data for i in range(min(len(log.episodes), _RANGED))]
    values = np.concatenate([np.nan_to_num(part) for part in parts] or [np.zeros((1, len(spec.columns)))])
    low, high = values.min(0), values.max(0)
    size = np.where(low, abs(low), 1.0)
    level = np.where(high == low, size, 0.0)  # what never changes can still be tried
    return [(float(a), float(b)) for a, b in zip(low - level, high + level, strict=True)]

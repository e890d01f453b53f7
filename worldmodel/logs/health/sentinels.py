"""Numbers that stand for no reading: 9999, 65535 and the like."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found, readings
from worldmodel.logs.health.measures import columns_of
from worldmodel.logs.health.values import ends, thin
from worldmodel.types import GPS_COLUMNS, StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_FEW = 10  # of fewer samples, or values, nothing is done
_FAR = 3.0  # times the range of all other values,
_LONE, _AMONG = 3, 1000  # but for so many at most, one of so many: glitches of another number
_SENTINELS = np.sort((
    99.9, 99.99, 127, 255, 999, 999.9, 999.99, 9999, 9999.9, 99999, 999999, 32767, 32768, 65535,
    2**31 - 1, 2**31, 2**32 - 1, (2**32 - 1) / 1000,
    1e9, 1e10, 1e20, 1e30, 1e38,
    *(end / part for end in (32767, 32768, 65535) for part in (10, 100, 1000)),  # of 16 bits, as a decimal fraction
))  # fmt: skip
_SMALL = (-1.0, 0.0)  # sentinels of what is never below


def stand_ins(values: np.ndarray) -> np.ndarray:
    """Which of the values [M] are numbers that drivers write for no reading, and are far from all others: bool [M]."""
    if not any(_is_known(np.array(ends(values)))):  # at once, as nearly all columns
        return np.zeros(len(values), bool)
    known = _is_known(values)
    others = values[~known & np.isfinite(values)]
    if not len(others):
        return np.zeros(len(values), bool)
    lone = min(_LONE, len(others) // _AMONG)
    low, high = ends(others[np.argsort(np.abs(others - np.median(others)))[: len(others) - lone]])
    away = np.maximum(low - values, values - high)
    return known & (away > _FAR * (high - low)) & (away > 0)


def _is_known(values: np.ndarray) -> np.ndarray:
    size = np.abs(values)
    above = np.searchsorted(_SENTINELS, size)
    nearest = _SENTINELS[np.clip([above - 1, above], 0, len(_SENTINELS) - 1)]  # below and above
    return (np.abs(size - nearest) <= 1e-6 * nearest).any(0)


def check_sentinels(recording: "Recording") -> Iterator[Finding]:
    """Numbers that stand for no reading, as the source stored them before units were converted."""
    for spec, samples in readings(recording):
        if spec.kind == "orientation" or len(samples.time) < _FEW:
            continue
        scale, offset = recording.stored.get(spec.name, (np.ones(len(spec.columns)), np.zeros(len(spec.columns))))
        columns = columns_of(recording, spec.name)
        for index in range(len(GPS_COLUMNS) - 1 if spec.kind == "gps" else 0, len(spec.columns)):
            both = (np.array(columns[index].ends) - offset[index]) / scale[index]
            if _is_known(both).any() or not set(_SMALL).isdisjoint(both):  # as in hardly any column
                values = (columns[index].values - offset[index]) / scale[index]
                yield from _sentinels(recording, spec, values, spec.columns[index])


def _sentinels(recording: "Recording", spec: StreamSpec, values: np.ndarray, column: str) -> Iterator[Finding]:
    which = stand_ins(values)
    if which.any():
        yield _far_off(recording, spec, values, column, which)
    elif spec.kind == "sensor":
        for end in set(ends(values)) & set(_SMALL):
            yield from _small(recording, spec, values, column, end)


def _far_off(recording: "Recording", spec: StreamSpec, values: np.ndarray, column: str, which: np.ndarray) -> Finding:
    others = values[~which & np.isfinite(values)]
    told = " and ".join(f"{number:.10g}" for number in np.unique(values[which])[:3])
    low, high = ends(others)
    text = f"{column} is {told} in {which.sum()} of {len(values)} rows, and from {low:.4g} to {high:.4g} in all others"
    rows = np.flatnonzero(which)
    if spec.kind == "action" or len(np.unique(thin(others, 1000))) < _FEW:
        remedy = f"if {told} stands for no reading, make it empty in the source"
        return found(recording, "values: sentinel", spec.name, "warn", text, remedy, rows)
    remedy = "leave these readings out of the source"
    return found(
        recording, "values: sentinel", spec.name, "mask", f"{text}; taken for missing", remedy, rows, (column,)
    )


def _small(recording: "Recording", spec: StreamSpec, values: np.ndarray, column: str, end: float) -> Iterator[Finding]:
    others = values[(values != end) & np.isfinite(values)]
    if len(others) < _FEW or len(np.unique(thin(others, 1000))) < _FEW:
        return
    nearest = others.min() if end < others.min() else others.max()
    away = abs(end - nearest)
    if (end == 0 and away > 2 * np.ptp(others)) or (end == -1 and nearest >= 0 and (others % 1).any()):
        rows = np.flatnonzero(values == end)
        text = f"{column} is {end:g} in {len(rows)} of {len(values)} rows, and nowhere else beyond {nearest:.4g}"
        remedy = f"if {end:g} stands for no reading, make it empty in the source"
        yield found(recording, "values: sentinel", spec.name, "warn", text, remedy, rows)

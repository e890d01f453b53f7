"""Dates and times of day that stand in a column each: year, month, day, hour, minute, second and parts of it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

COMBINED = "date and time"  # the column that is made of them
_NAMES = {
    "year": r"years?|yr|yyyy|yy",
    "month": r"months?|mon",
    "day": r"days?|dd|day_of_month",
    "doy": r"doy|day_of_year|julian_day",
    "hour": r"hours?|hr|hh",
    "minute": r"minutes?|min",
    "second": r"seconds?|sec|ss",
    "ms": r"milli_?seconds?|millis|msec|ms",
    "us": r"micro_?seconds?|micros|usec|us",
}
_FROM_ONE = ("month", "day", "doy")  # 0 is what receivers write before they know a date
_PARTS_NS = {"hour": 3600 * 10**9, "minute": 60 * 10**9, "second": 10**9, "ms": 10**6, "us": 10**3}
_CENTURY = 70  # two digits from there on are of the last


def components(names: Sequence[str]) -> dict[str, str]:
    """The columns of a table that are parts of one time, by what they are; empty where hour, minute or second lacks."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"[(\[].*", "", name).lower()).strip("_")
        kind = next((kind for kind, pattern in _NAMES.items() if re.fullmatch(pattern, plain)), None)
        if kind is not None:
            found.setdefault(kind, name)
    return found if {"hour", "minute", "second"} <= found.keys() else {}


def combined(table: "pa.Table", parts: dict[str, str]) -> "pa.Table":
    """A table with one column of times in place of its parts; as it is where these are no such numbers."""
    import pyarrow as pa

    kinds = [table[name].type for name in parts.values()]
    if not all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return table
    values = {kind: np.asarray(table[name].cast(pa.float64()).fill_null(np.nan)) for kind, name in parts.items()}
    known = [np.isfinite(numbers) & ((numbers != 0) | (kind not in _FROM_ONE)) for kind, numbers in values.items()]
    there: np.ndarray = np.all(known, axis=0)
    if not there.any() or not _are_parts({kind: numbers[there] for kind, numbers in values.items()}):
        return table
    of_day = sum(np.rint(np.where(there, values[kind], 0) * ns) for kind, ns in _PARTS_NS.items() if kind in values)
    ns = np.asarray(of_day, np.int64)
    kind = pa.time64("ns")
    if "year" in values and ("doy" in values or {"month", "day"} <= values.keys()):
        ns, kind = ns + _days(values, there) * (24 * _PARTS_NS["hour"]), pa.timestamp("ns")
    column = pa.array(ns, pa.int64(), mask=~there).cast(kind)
    return table.drop_columns(list(parts.values())).append_column(COMBINED, column)


def _are_parts(values: dict[str, np.ndarray]) -> bool:
    within = {"year": 2262, "month": 13, "day": 32, "doy": 367}  # nanoseconds tell no later year
    within |= {"hour": 24, "minute": 60, "second": 61, "ms": 1000, "us": 10**6}
    return all((numbers >= 0).all() and (numbers < within[kind]).all() for kind, numbers in values.items())


def _days(values: dict[str, np.ndarray], there: np.ndarray) -> np.ndarray:
    """The days since 1970-01-01 [M]."""
    part = {kind: np.where(there, numbers, 1).astype(int) for kind, numbers in values.items()}
    year = part["year"] + np.where(part["year"] < 100, np.where(part["year"] < _CENTURY, 2000, 1900), 0)
    months = (year - 1970) * 12 + (part["month"] - 1 if "doy" not in part else 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(int)
    return first + part.get("doy", part.get("day", 1)) - 1

"""Finds the streams of a table: what its columns are called, the units that their names tell, and their values."""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from worldmodel.logs.ingest.formats.tables.conversions import DDMM, change, is_unit, si, split
from worldmodel.logs.ingest.formats.tables.suggest.kinds import (
    ACTION,
    ANGLE,
    AXES,
    COUNTER,
    EPISODE,
    KINDS,
    NOT_ACTION,
    WRAPS,
    Kind,
)  # fmt: skip
from worldmodel.logs.ingest.formats.tables.table import Table

_G = 9.80665


@dataclasses.dataclass
class Column:
    """A column of a suggested stream: what the log calls it, the table's name, and its units."""

    name: str
    source: str
    unit: str = ""
    from_unit: str = ""
    circular: bool = False


@dataclasses.dataclass
class Suggested:
    """A suggested stream."""

    name: str
    kind: str
    columns: list[Column]
    rate_hz: float | None = None
    frame: str = ""
    doubts: list[str] = dataclasses.field(default_factory=list)


class Found(NamedTuple):
    """The streams of a table, what was left out of them, and the column that tells its episodes apart."""

    streams: list[Suggested]
    left_out: list[str]
    key: str = ""


def find_streams(table: Table, taken: Sequence[str], stamps_s: np.ndarray) -> Found:
    """The streams of a table's columns but those that are taken."""
    names, left_out = _numeric([name for name in table.names if name not in taken], table)
    key = next((name for name in table.names if EPISODE.search(plain(name))), "")
    names = [name for name in names if name != key]
    streams: list[Suggested] = []
    for kind in KINDS:
        for prefix, columns in _of_kind(kind, names).items():
            stream = _known(kind, prefix, columns, table)
            if stream:
                streams.append(stream)
                names = [name for name in names if name not in columns.values()]
    streams += _others(names, table)
    for stream in streams:
        stream.rate_hz = _rate(stream, table, stamps_s)
    tell_apart(streams)
    return Found(streams, left_out, key)


def plain(name: str) -> str:
    """A column's name without its unit, in lower case with underscores."""
    return re.sub(r"[^a-z0-9]+", "_", split(name)[0].lower()).strip("_") or "column"


def _numeric(names: Sequence[str], table: Table) -> tuple[list[str], list[str]]:
    words, empty, counters, there = [], [], [], []
    for name in names:
        column = table.column(name)
        if table.data.num_rows and column.null_count == table.data.num_rows:
            empty.append(name)
        elif table.is_words(name) or not any(test(column.type) for test in _tests()):
            words.append(name)
        elif COUNTER.search(plain(name)):
            counters.append(name)
        else:
            there.append(name)
    told = [("hold words", words), ("hold nothing", empty), ("count rows", counters)]
    return there, [f"columns that {what} are left out: {', '.join(names)}" for what, names in told if names]


def _tests() -> tuple[Callable[[Any], bool], ...]:
    from pyarrow import types

    return types.is_integer, types.is_floating, types.is_boolean, types.is_string


def _of_kind(kind: Kind, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The columns of a kind, by what comes before, each by its axis."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        match = kind.pattern.search(plain(name))
        if match:
            axis = next(filter(None, match.groupdict().values()))
            groups[plain(name)[: match.start()].strip("_")].setdefault(_axis(kind, axis), name)
    return groups


def _axis(kind: Kind, axis: str) -> str:
    if kind.kind == "gps":
        return {"lat": "latitude", "alt": "altitude", "hei": "altitude", "ele": "altitude"}.get(axis[:3], "longitude")
    return f"q{axis}" if kind.kind == "orientation" else AXES.get(axis, axis)


def _known(kind: Kind, prefix: str, columns: dict[str, str], table: Table) -> Suggested | None:
    """A stream of a kind; None where columns of it are missing."""
    needed = kind.columns[:2] if kind.kind == "gps" else kind.columns
    if any(name not in columns for name in needed):
        return None
    own = "" if prefix in ("", "imu", "raw", "sensor", "gps", "device") else f"{prefix}_"
    stream = Suggested(f"{own}{kind.stream}", kind.kind, [], frame="body" if kind.kind == "sensor" else "")
    for name in kind.columns:
        source = columns.get(name, "")
        unit = table.unit(source) if source else ""
        convertible = kind.kind == "gps" or change(unit, kind.unit) is not None
        stream.columns.append(Column(name, source, kind.unit, unit if convertible else ""))
    _mend(stream, table)
    return stream


def _mend(stream: Suggested, table: Table) -> None:
    """Adds the units that values tell, where names do not."""
    values = [table.floats(column.source) for column in stream.columns if column.source]
    largest = [float(np.nanmax(np.abs(v), initial=0.0, where=np.isfinite(v))) for v in values]
    if stream.kind == "gps":
        return _mend_gps(stream, largest)
    for column in stream.columns:
        if column.from_unit:
            continue
        if column.unit == "m/s^2":
            size = float(np.nanmedian(np.sqrt(np.sum(np.square(values[:3]), axis=0))))
            column.from_unit = "g" if 0.7 < size < 1.4 else ""
            seems = "g" if column.from_unit else "m/s^2" if 0.7 < size / _G < 1.4 else "m/s^2 (not told by gravity)"
        elif column.unit == "rad/s":
            column.from_unit = "deg/s" if max(largest) > 35 else ""
            seems = column.from_unit or "rad/s"
        elif column.unit == "T":
            size = max(largest)
            column.from_unit = "" if size < 1e-3 else "gauss" if size < 5 else "uT"
            seems = column.from_unit or "T"
        else:
            continue
        doubt = f"no unit is told; by its values it seems to be {seems}"
        stream.doubts += [doubt] if doubt not in stream.doubts else []
    return None


def _mend_gps(stream: Suggested, largest: Sequence[float]) -> None:
    units = ("deg", "deg", "m")
    for column, unit in zip(stream.columns, units, strict=True):
        column.unit = unit
    degrees = stream.columns[:2]
    if max(largest[:2]) > 1e5:
        for column in degrees:
            column.from_unit = "1e-7 deg"
        stream.columns[2].from_unit = stream.columns[2].from_unit or "mm"
        stream.doubts.append("positions are taken for 1e-7 degrees, heights for mm")
    elif largest[0] > 180 and max(largest[:2]) < 18060:
        for column in degrees:
            column.from_unit = DDMM
        stream.doubts.append("positions are taken for degrees and minutes, ddmm.mmmm; without hemispheres")
    else:
        for column in degrees:
            column.from_unit = ""
        stream.doubts += ["latitudes are beyond 90: are they longitudes?"] if largest[0] > 90 else []
    stream.frame = "wgs84"


def _others(names: Sequence[str], table: Table) -> list[Suggested]:
    """Streams of all other columns: commands, and the rest by the beginning of their names and by their rows."""
    groups: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    stems = Counter(_stem(name) for name in names)
    for name in names:
        base = plain(name)
        action = bool(ACTION.search(base)) and not NOT_ACTION.search(base)
        prefix = _prefix(name) or (_stem(name) if stems[_stem(name)] > 1 else "")
        groups["action" if action else "sensor", prefix, _missing(table, name)].append(name)
    streams = []
    for (kind, prefix, _), columns in groups.items():
        stream = Suggested(prefix or ("commands" if kind == "action" else "signals"), kind, [])
        stream.columns = [_column(name, table, prefix) for name in columns]
        if kind == "action":
            stream.doubts.append('taken for commands by their names; kind = "sensor" if they are measured')
        stream.doubts += [
            f"{column.source}: an angle without a unit, {_angle(column, table)}" for column in stream.columns
            if ANGLE.search(column.name) and not column.from_unit
        ]  # fmt: skip
        _distinct(stream.columns)
        streams.append(stream)
    return streams


def _prefix(name: str) -> str:
    """What a name has before the first dot, slash or bracket, in small letters; empty where it has none."""
    first, *rest = re.split(r"[./\[:]", split(name)[0].strip("/"), maxsplit=1)
    return re.sub(r"\W+", "_", first.lower()) if rest else ""


def _stem(name: str) -> str:
    """A name without the number or the axis at its end."""
    return re.sub(r"_?(?:\d+|[xyz])$", "", plain(name)) or plain(name)


def _missing(table: Table, name: str) -> int:
    """How many rows of a column hold nothing, where most do: such columns are of another rate."""
    count = table.column(name).null_count
    return count if 2 * count > table.data.num_rows else 0


def _column(name: str, table: Table, prefix: str) -> Column:
    base = plain(name)
    own = base.removeprefix(prefix).strip("_") if prefix else base
    old = table.unit(name) if is_unit(table.unit(name)) else ""
    new = si(old) if old else ""
    wraps = new == "rad" and bool(WRAPS.search(base))
    return Column(own or base, name, new, old if old != new else "", wraps)


def _angle(column: Column, table: Table) -> str:
    values = table.floats(column.source)
    degrees = bool(np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values)) > 6.3)
    column.unit, column.from_unit = "rad", "deg" if degrees else ""
    column.circular = bool(WRAPS.search(column.name))
    return "taken for degrees" if degrees else "taken for radians"


def _distinct(columns: Sequence[Column]) -> None:
    seen: dict[str, int] = defaultdict(int)
    for column in columns:
        seen[column.name] += 1
        column.name += f"_{seen[column.name]}" if seen[column.name] > 1 else ""


def tell_apart(streams: Sequence[Suggested]) -> None:
    """Gives streams of one name a number each."""
    seen: dict[str, int] = defaultdict(int)
    for stream in streams:
        seen[stream.name] += 1
        stream.name += f"_{seen[stream.name]}" if seen[stream.name] > 1 else ""


def _rate(stream: Suggested, table: Table, stamps_s: np.ndarray) -> float | None:
    from worldmodel.logs.ingest.formats.tables.rates import measured

    data = np.stack([table.floats(column.source) for column in stream.columns if column.source], axis=1)
    return measured(stamps_s, data)

"""Finds the streams of a table: what its columns are called, the units that their names tell, and their values."""

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from worldmodel.logs.health.held import changed, held_for
from worldmodel.logs.ingest.formats.tables.conversions import change, is_unit, si, split
from worldmodel.logs.ingest.formats.tables.suggest.angles import of_angles, wraps
from worldmodel.logs.ingest.formats.tables.suggest.compass import of_fixes
from worldmodel.logs.ingest.formats.tables.suggest.evidence import Evidence
from worldmodel.logs.ingest.formats.tables.suggest.fixes import only_fixes
from worldmodel.logs.ingest.formats.tables.suggest.kinds import (
    ACTION,
    ANGLE,
    AXES,
    COMMANDS,
    COUNTER,
    DRIVES,
    EPISODE,
    EULER,
    KINDS,
    NOT_ACTION,
    NOT_WANTED,
    READ_OF_DRIVES,
    SIZES,
    SWITCHED,
    VALID,
    WANTED,
    WRAPS,
    Kind,
    called,
    unnumbered,
)  # fmt: skip
from worldmodel.logs.ingest.formats.tables.suggest.long import by_name
from worldmodel.logs.ingest.formats.tables.suggest.states import column_name, states_of, told_of
from worldmodel.logs.ingest.formats.tables.suggest.stream import Column, Found, Suggested, plain, stem
from worldmodel.logs.ingest.formats.tables.suggest.values import add_units, largest_of
from worldmodel.logs.ingest.formats.tables.switches import described, switched
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.logs.ingest.recording import free_name

REST = "signals"  # what a stream is called whose columns share no name
_GPS_UNITS = {"latitude": "deg", "longitude": "deg", "altitude": "m"}
_PLACES = {
    "lat": "latitude",
    "bre": "latitude",
    "0": "latitude",
    "alt": "altitude",
    "hei": "altitude",
    "hms": "altitude",
    "hoe": "altitude",
    "hoo": "altitude",
    "ele": "altitude",
}
_HEIGHT = re.compile("height|hoehe|hoogte")
_FINE_DEG = 1e-3  # a hundred metres, which places are written finer than
_FAST = 10.0  # rad/s, which few machines turn with
_OF_APPLE = re.compile(r"rotation_?rate")  # in rad/s, beside accelerations in g
_HALF = 0.45  # and a little less, as the first and the last rows may have them
_TOGETHER = 0.9  # of the rows of columns that are filled together
_COMMANDED = 'taken for commands by their names; kind = "sensor" if they are measured'
_LOST = 3  # rows at least that tell what a flag of validity is of
_METER = {"u": "V", "i": "A", "p": "W"}  # side by side: a voltage that is measured, and no command


def find_streams(table: Table, taken: Sequence[str], stamps_s: np.ndarray, alike: Sequence[Table] = ()) -> Found:
    """The streams of a table's columns but those that are taken.

    Args:
        table: the table.
        taken: columns that no stream is made of.
        stamps_s: the seconds of each row [M].
        alike: all tables that are to have the same units, whose values tell them together; none for this one alone.
    """
    evidence = Evidence(table, alike)
    names = [name for name in table.names if name not in taken]
    states = states_of(list(filter(table.is_words, names)), evidence)
    names, left_out = _numeric([name for name in names if name not in states.values()], table)
    several, told = by_name(table, names, taken)
    if several:
        _as_commands([stream for stream, _ in several])
        own = {column.source for stream, _ in several for column in stream.columns}
        fixes = _fixes(names, own, evidence)
        only_fixes(fixes, evidence)
        return Found([*(_by_its_name(stream, rows) for stream, rows in several), *fixes], told)
    key = next((name for name in table.names if EPISODE.search(plain(name))), "")
    names = [name for name in names if name != key]
    streams: list[Suggested] = []
    for kind in KINDS:
        for prefix, columns in _of_kind(kind, names).items():
            stream = _known(kind, prefix, columns, evidence)
            if stream:
                streams.append(stream)
                names = [name for name in names if name not in columns.values()]
    _as_counts(streams, evidence)
    _beside_g(streams, evidence)
    if place := _beside_orientation(names, streams, evidence):
        streams.append(place)
        names = [name for name in names if name not in {column.source for column in place.columns}]
    others = _others(names, states, evidence)
    streams += [_by_its_file(stream, evidence) if stream.name == REST else stream for stream in others]
    of_fixes(streams, evidence)
    only_fixes(streams, evidence)
    streams = _only_valid(streams, table)
    for stream in streams:
        _pace(stream, table, stamps_s)
    tell_apart(streams)
    return Found(streams, [*left_out, *told_of(states)], key)


def _as_commands(streams: Sequence[Suggested]) -> None:
    """Takes streams of a value each for commands where they are called so."""
    names = [stream.name for stream in streams]
    for stream in (stream for stream in streams if len(stream.columns) == 1):
        unit = stream.columns[0].from_unit or stream.columns[0].unit
        if _is_command(stream.name, unit) or _is_wanted(stream.name, names):
            stream.kind, stream.doubts = "action", [*stream.doubts, _COMMANDED]


def _fixes(names: Sequence[str], taken: Collection[str], evidence: Evidence) -> list[Suggested]:
    """The fixes beside readings that are told by their names: each is written until the next one comes."""
    kind = next(kind for kind in KINDS if kind.kind == "gps")
    groups = _of_kind(kind, [name for name in names if name not in taken])
    streams = [stream for prefix, columns in groups.items() if (stream := _known(kind, prefix, columns, evidence))]
    for stream in streams:
        stream.held = True
    return streams


def _by_its_name(stream: Suggested, rows: Table) -> Suggested:
    """A stream, of the kind that it is called by: `accelerometer` with x, y and z. The units of one are its rows'."""
    if stream.kind == "action" or any(column.unit for column in stream.columns):
        return stream
    found = _of_name(stream.name, stream.columns, Evidence(rows))
    return dataclasses.replace(found, name=stream.name, where=stream.where) if found else stream


def _by_its_file(stream: Suggested, evidence: Evidence) -> Suggested:
    """A stream whose columns are the axes of what its file is called: `Gyroscope.csv` with x, y and z."""
    name = unnumbered(stem(evidence.table.path))
    sensor = called(name)
    found = _of_name(name, stream.columns, evidence) if sensor else None
    if found is None:
        return stream
    found.doubts.append(f"taken for what its file is called, {evidence.table.path.name}")
    return dataclasses.replace(found, name=sensor)


def _of_name(name: str, columns: Sequence[Column], evidence: Evidence) -> Suggested | None:
    """The stream of the kind that its name tells; None where that tells nothing, or its columns are no axes of it."""
    for kind in KINDS:
        axes: dict[str, str] = {}
        for column in columns:
            match = kind.pattern.search(f"{name}_{column.name}")
            if match and match.start() < len(name):
                axes[_axis(kind, next(filter(None, match.groupdict().values())))] = column.source
        if len(axes) == len(columns) and (found := _known(kind, "", axes, evidence)):
            return found
    return None


def _numeric(names: Sequence[str], table: Table) -> tuple[list[str], list[str]]:
    words, empty, counters, there = [], [], [], []
    places = {table.hemispheres("NS"), table.hemispheres("EW")}
    for name in names:
        column = table.column(name)
        if table.data.num_rows and column.null_count == table.data.num_rows:
            empty.append(name)
        elif name in places:
            continue
        elif table.is_words(name) or not any(test(column.type) for test in _tests()):
            words.append(name)
        elif COUNTER.search(plain(name)) and not (table.floats(name) % 1 > 0).any():
            counters.append(name)
        else:
            there.append(name)
    told = [("hold words", words), ("hold nothing", empty), ("count rows", counters)]
    left_out = [f"columns that {what} are left out: {', '.join(names)}" for what, names in told if names]
    states = {name: switched(table.column(name)) for name in there}
    return there, [*left_out, *(f"{name}: {described(found)}" for name, found in states.items() if found)]


def _tests() -> tuple[Callable[[Any], bool], ...]:
    from pyarrow import types

    return types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_decimal


def _of_kind(kind: Kind, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The columns of a kind, by what comes before, each by its axis."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    images = any(plain(name) == "width" for name in names)  # of which `height` is no altitude
    for name in sorted(names, key=lambda name: bool(_HEIGHT.search(plain(name)))):  # an altitude comes before a height
        match = kind.pattern.search(plain(name))
        if match and not (images and plain(name) == "height"):
            axis = next(filter(None, match.groupdict().values()))
            groups[plain(name)[: match.start()].strip("_")].setdefault(_axis(kind, axis), name)
    return groups


def _axis(kind: Kind, axis: str) -> str:
    if kind.kind == "gps":
        return _PLACES.get(axis[:3], "longitude")
    return f"q{axis}" if kind.kind == "orientation" else AXES.get(axis, axis)


def _known(kind: Kind, prefix: str, columns: dict[str, str], evidence: Evidence) -> Suggested | None:
    """A stream of a kind; None where columns of it are missing."""
    table = evidence.table
    needed = kind.columns[:2] if kind.kind == "gps" else kind.columns
    if any(name not in columns for name in needed):
        return None
    sizes = kind.kind == "gps" and any(SIZES.search(plain(columns[name])) for name in needed)
    if sizes and not _are_degrees(evidence, *(columns[name] for name in needed)):
        return None
    own = "" if prefix in ("", "imu", "raw", "sensor", "gps", "device") else f"{prefix}_"
    stream = Suggested(f"{own}{kind.stream}", kind.kind, [], frame="body" if kind.kind == "sensor" else "")
    for name in kind.columns:
        source = columns.get(name, "")
        told, unit = table.unit(source) if source else "", _GPS_UNITS.get(name, kind.unit)
        convertible = change(told, unit) is not None
        stream.columns.append(Column(name, source, unit, told if convertible else ""))
        if told and not convertible and kind.kind != "orientation":
            stream.doubts.append(f"{source} tells {told}, which is no unit that becomes {unit}: taken for {unit}")
    add_units(stream, evidence)
    if kind.kind == "gps" and (there := (table.hemispheres("NS"), table.hemispheres("EW"))) and all(there):
        stream.hemispheres = there
    return stream


def _are_degrees(evidence: Evidence, latitude: str, longitude: str) -> bool:
    """Whether columns that may be a breadth and a length are a latitude and a longitude, by their unit or values."""
    units = {evidence.table.unit(name) for name in (latitude, longitude)}
    places = [values[np.isfinite(values)] for values in evidence.floats(latitude, longitude)]
    within = all(len(place) and np.abs(place).max() <= most for place, most in zip(places, (90, 180), strict=True))
    steps = [np.abs(place / _FINE_DEG - np.rint(place / _FINE_DEG)) for place in places]
    fine = all(np.median(step) > 1e-6 for step in steps if len(step))
    return within and (units == {"deg"} or (units == {""} and fine))


def _as_counts(streams: Sequence[Suggested], evidence: Evidence) -> None:
    """Takes whole numbers of a gyro for counts too where the accelerometer beside it tells counts."""
    if not any(stream.name.endswith("accelerometer") and not stream.columns[0].unit for stream in streams):
        return
    for stream in streams:
        sources = [column.source for column in stream.columns if not evidence.table.unit(column.source)]
        if not stream.name.endswith("gyro") or len(sources) < len(stream.columns):
            continue
        if not any((values[np.isfinite(values)] % 1).any() for values in evidence.floats(*sources)):
            stream.doubts[:] = ["no unit is told; by the accelerometer's it seems to be the sensor's own counts"]
            for column in stream.columns:
                column.unit = column.from_unit = ""


def _beside_g(streams: Sequence[Suggested], evidence: Evidence) -> None:
    """Takes a gyro that turns fast for one in degrees where the accelerometer beside it is in g."""
    if not any(column.from_unit == "g" for stream in streams for column in stream.columns):
        return
    for stream in (stream for stream in streams if stream.name.endswith("gyro")):
        sources = [column.source for column in stream.columns if not evidence.table.unit(column.source)]
        guessed = [column for column in stream.columns if column.unit == "rad/s" and not column.from_unit]
        if not len(sources) == len(guessed) == len(stream.columns):
            continue
        if any(_OF_APPLE.search(plain(source)) for source in sources):
            continue
        if max(map(largest_of, evidence.floats(*sources))) > _FAST:
            stream.doubts[:] = ["no unit is told; beside an accelerometer in g it seems to be deg/s"]
            for column in stream.columns:
                column.from_unit = "deg/s"


def _beside_orientation(names: Sequence[str], streams: Sequence[Suggested], evidence: Evidence) -> Suggested | None:
    """The position that `x`, `y` and `z` are beside a quaternion, as motion capture writes a pose."""
    axes = {plain(name): name for name in names if plain(name) in AXES.values()}
    if not any(stream.kind == "orientation" for stream in streams) or any(s.kind == "position" for s in streams):
        return None
    if any(unit and change(unit, "m") is None for unit in map(evidence.table.unit, axes.values())):
        return None
    stream = _known(next(kind for kind in KINDS if kind.kind == "position"), "", axes, evidence)
    if stream:
        stream.doubts.append(
            'x, y and z beside an orientation are taken for its place; kind = "sensor" if they are not'
        )
    return stream


def _others(names: Sequence[str], states: Mapping[str, str], evidence: Evidence) -> list[Suggested]:
    """Streams of all other columns: commands, and the rest by the beginning of their names and by their rows.

    `states` are columns of words, by what reads each of their words.
    """
    table = evidence.table
    groups: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    stems = Counter(_stem(name) for name in names)
    turns = _turns(table, [*names, *dict.fromkeys(states.values())])
    file = stem(table.path)
    of_commands = bool(ACTION.search(file)) and not NOT_ACTION.search(file)  # `motors.csv` with m1 to m4
    meters = _METER.items() <= {plain(name): table.unit(name) for name in names}.items()
    for source in (*names, *states):
        name = states.get(source, source)
        metered = meters and plain(name) in _METER
        action = _is_command(name, table.unit(name), of_commands, metered) or _is_wanted(name, names)
        prefix = _prefix(name) or (_stem(name) if stems[_stem(name)] > 1 else "")
        pace = turns.get(name) or -_held(table, source, action or source in states)
        groups["action" if action else "sensor", prefix, pace].append(source)
    streams = []
    for (kind, prefix, _), columns in groups.items():
        stream = Suggested(prefix or ("commands" if kind == "action" else REST), kind, [])
        read = [_column(name, table, prefix) for name in columns if name not in states]
        words = [Column(column_name(name, prefix), name) for name in columns if name in states]
        stream.columns = [*read, *words]
        if kind == "action":
            stream.doubts.append(_COMMANDED)
        angles = [c for c in read if (ANGLE.search(c.name) or EULER.search(prefix)) and not c.unit]
        stream.doubts += of_angles(angles, evidence)
        stream.doubts += [doubt for column in read if (doubt := wraps(column, evidence))]
        _distinct(stream.columns)
        streams.append(stream)
    return streams


def _is_command(name: str, unit: str, among_commands: bool = False, metered: bool = False) -> bool:
    """Whether a column is one by its name and unit: more are where all others beside it are, and none of a meter."""
    base = plain(name)
    read = unit in READ_OF_DRIVES and bool(DRIVES.search(base))
    called = among_commands or (bool(ACTION.search(base)) and not metered)
    return (
        (called and not (NOT_ACTION.search(base) or read))
        or any(COMMANDS.search(words) for words in (base, _prefix(name)))
        or (unit in ("", "%") and bool(SWITCHED.search(base)))
    )


def _is_wanted(name: str, names: Sequence[str]) -> bool:
    """Whether a name says of what another column is of what was wanted of it: `rpm_order` beside `shaft_rpm`."""
    words = plain(name).split("_")
    of = {word for word in words if not WANTED.fullmatch(word)}
    if len(of) == len(words) or not any(word.isalpha() for word in of) or NOT_WANTED.search(plain(name)):
        return False
    others = [{*plain(other).split("_"), *re.split(r"[\W_]+", other.lower())} for other in names]
    return any(of <= other and not any(map(WANTED.fullmatch, other)) for other in others)


def _only_valid(streams: Sequence[Suggested], table: Table) -> list[Suggested]:
    """The streams, without rows that a flag beside them calls not valid, and without the flag.

    It is a flag of columns that stand still wherever it is 0, and nowhere else: they hold what stands for no reading.
    """
    for flag in [name for name in table.names if VALID.search(plain(name)) and not table.is_words(name)]:
        valid, said = table.floats(flag), _saying_yes(table, flag)
        if set(np.unique(valid[np.isfinite(valid)])) != {0.0, 1.0} or (valid == 0).sum() < _LOST or said is None:
            continue
        parted = [parts for stream in streams if any(parts := _parted(stream, table, flag))]
        if any(told for _, told in parted):
            doubt = f"rows whose {flag} is 0 are taken for no readings"
            streams = []
            for rest, told in parted:
                streams += [rest] if rest else []
                if told:
                    where = {**told.where, flag: said}
                    streams += [dataclasses.replace(told, where=where, doubts=[*told.doubts, doubt])]
    return list(streams)


def _saying_yes(table: Table, flag: str) -> str | int | None:
    """What a flag of two states holds where it is 1; None where that is spelt in several ways."""
    if states := switched(table.column(flag)):
        words = [word for word, value in states.items() if value == 1]
        return words[0] if len(words) == 1 else None
    return str(table.kind(flag)) == "bool" or 1


def _parted(stream: Suggested, table: Table, flag: str) -> tuple[Suggested | None, Suggested | None]:
    """A stream's columns but the flag: those that it tells nothing of, and those that it is of; None for none."""
    valid = table.floats(flag)
    changes = np.count_nonzero(np.diff(valid == 0, prepend=False, append=False))
    lost_again = int(changes) > 2  # what is lost once may be what a machine reads that stands

    def is_of(column: Column) -> bool:
        if stream.kind != "sensor" or not column.source:
            return False
        values = table.floats(column.source)
        held, read = (np.unique(values[valid == said]) for said in (0, 1))
        return len(held) == 1 < len(read) and (lost_again or held[0] not in read.tolist())

    rest, told = (
        [column for column in stream.columns if column.source != flag and is_of(column) is wanted]
        for wanted in (False, True)
    )
    parts = (dataclasses.replace(stream, columns=columns) if columns else None for columns in (rest, told))
    return next(parts), next(parts)


def _prefix(name: str) -> str:
    """What a name has before the first dot, slash or bracket, in small letters; empty where it has none."""
    first, *rest = re.split(r"[./\[:]", split(name)[0].strip("/"), maxsplit=1)
    return re.sub(r"\W+", "_", first.lower()) if rest else ""


def _stem(name: str) -> str:
    """A name without the number or the axis at its end."""
    return re.sub(r"_?(?:\d+|[xyz])$", "", plain(name)) or plain(name)


def _turns(table: Table, names: Sequence[str]) -> dict[str, int]:
    """A number, from 1, for columns that are empty in half of the rows or more, the same for those filled together.

    They are of another rate, or take turns with others of their own rate.
    """
    together: list[np.ndarray] = []
    found = {}
    for name in names:
        column = table.column(name)
        if column.null_count <= _HALF * table.data.num_rows:
            continue
        there = np.asarray(column.is_valid())
        number = next((i for i, rows in enumerate(together) if _overlap(rows, there) > _TOGETHER), len(together))
        together += [there] if number == len(together) else []
        found[name] = number + 1
    return found


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Of the rows that either of two has, the share that both have."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def _column(name: str, table: Table, prefix: str) -> Column:
    base = plain(name)
    own = base.removeprefix(prefix).strip("_") if prefix else base
    own = base if own.isdigit() and not _prefix(name) else own  # `m1` is no 1 to who commands it
    told = table.unit(name)
    old = told if is_unit(told) else ""
    new = si(old) if old else told
    wraps = new == "rad" and bool(WRAPS.search(base))
    return Column(own or base, name, new, old if old != new else "", wraps)


def _distinct(columns: Sequence[Column]) -> None:
    taken = set[str]()
    for column in columns:
        column.name = free_name(taken, column.name)
        taken.add(column.name)


def tell_apart(streams: Sequence[Suggested]) -> None:
    """Gives streams of one name a number each."""
    taken = set[str]()
    for stream in streams:
        stream.name = free_name(taken, stream.name)
        taken.add(stream.name)


def _held(table: Table, name: str, in_force: bool) -> int:
    """For how many rows a column holds its readings; 1 for commands and states, which are in force until the next."""
    return 1 if in_force else held_for(table.floats(name)[:, None])


def _pace(stream: Suggested, table: Table, stamps_s: np.ndarray) -> None:
    """Sets a stream's rate, and whether it holds its readings."""
    from worldmodel.logs.ingest.formats.tables.rates import measured

    data = np.stack([table.floats(column.source) for column in stream.columns if column.source], axis=1)
    rows = 1 if stream.kind == "action" else held_for(data)
    if rows > 1:
        stream.held = True
        stream.doubts.append(f"each reading is held for {rows} rows, of which the first is taken for a sample")
        stamps_s, data = stamps_s[changed(data)], data[changed(data)]
    stream.rate_hz = measured(stamps_s, data)

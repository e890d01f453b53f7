"""Several files: whether they are sensors of one recording, and how their clocks go together."""

import functools
import itertools
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.health.rates import meeting
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.loading import load
from worldmodel.logs.ingest.formats.tables.members import (
    BINARY,
    Opener,
    are_alike,
    files_of,
    is_table,
    recordings_by,
    suffix,
)
from worldmodel.logs.ingest.formats.tables.stamps import NO_ZONE
from worldmodel.logs.ingest.formats.tables.suggest.clocks import FoundClock, find_clock
from worldmodel.logs.ingest.formats.tables.suggest.kinds import called
from worldmodel.logs.ingest.formats.tables.suggest.stream import Found, stem
from worldmodel.logs.ingest.formats.tables.suggest.streams import REST, find_streams
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.logs.ingest.sources import claimant

_TOGETHER = 0.5  # of the shorter of two stretches of time
_MOST_SENSORS = 32
_MOST_BYTES = 256 << 20  # of a file that is read as a whole to be looked at
_LOOKED_AT = 2  # files of two folders
_WAYS = tuple(  # in which a name may have that of its recording, before its sensor's or after it
    re.compile(pattern)
    for pattern in (
        r"(?P<begins>)[^_\- ]+(?P<ends>[_\- ].+)", r"(?P<begins>)[^.]+(?P<ends>[_\- ][^_\- ]+)",
        r"(?P<begins>[^.]+[_\- ])[^_\- .]+(?P<ends>\..+)", r"(?P<begins>[^_\- .]+[_\- ])[^.]+(?P<ends>\..+)",
    )
)  # fmt: skip
_ALIKE = 0.5  # of the columns of a file: another that has these is of a like machine


def are_sensors(tables: Collection[Table]) -> bool:
    """Whether files are of different sensors: they have other columns, or are called what other sensors are."""
    sensors = {table.path: called(stem(table.path)) for table in tables}
    several = all(sensors.values()) and len(set(sensors.values())) > 1
    return several or len({tuple(table.names) for table in tables}) > 1


def how_they_meet(clocks: Mapping[str, FoundClock]) -> str:
    """What is said of the clocks of files that are taken for one recording."""
    groups = meeting({file: clock.span_s for file, clock in clocks.items()})
    if len(groups) > 1:
        return (
            f"the files are taken for one recording, but the clocks of {' and of '.join(map(', '.join, groups))} never "
            'meet: in the clock of those that tell no date say origin = "recording", if they began together with the '
            "others, or since when it counts"
        )
    if len(clocks) > 1 and all(_at_once(*pair) for pair in itertools.combinations(clocks.values(), 2)):
        return "the files are taken for one recording, as their dates say"
    return "the files are taken for one recording, whose clocks agree"


def _at_once(one: FoundClock, other: FoundClock) -> bool:
    """Whether two clocks tell dates, of the same time."""
    (first, last), (start, stop) = one.span_s, other.span_s
    both = min(last, stop) - max(first, start)
    return one.clock.dated and other.clock.dated and both > _TOGETHER * min(last - first, stop - start)


def clock_of(path: Path, name: str, opened: Opener) -> FoundClock | None:
    """The clock of a file of a source; None where none can be told."""
    try:
        table = load(path, name, opened, None)
        return find_clock(table.path, table)
    except RecipeError:
        return None


def are_of_one_time(path: Path, there: Mapping[str, Opener], folders: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether folders that hold files of the same names are devices of one recording, and not a recording each.

    By their dates, where these tell: all devices record at the same time.
    """
    first, *others = sorted(folders.values(), key=len, reverse=True)

    @functools.cache
    def clock(name: str) -> FoundClock | None:
        return clock_of(path, name, there[name])

    def with_first(files: Mapping[str, str]) -> bool:
        both = sorted(first.keys() & files.keys())[:_LOOKED_AT]
        pairs = ((clock(first[file]), clock(files[file])) for file in both)
        return any(one is not None and other is not None and _at_once(one, other) for one, other in pairs)

    return all(map(with_first, others))


def called_alike(path: Path, there: Mapping[str, Opener], tables: Mapping[str, Table]) -> dict[str, dict[str, str]]:
    """The recordings that files of one folder are by their names: `run1_imu.csv` and `run1_gps.csv`, `run2_imu.csv`...

    Files of one name but for the recording's have the same columns, and others are of other sensors; what their dates
    tell are different times. A table without a clock, such as of results, may lie beside them.

    Returns:
        For each recording, the file that each pattern means; empty where names do not tell them.
    """
    if not are_sensors(tables.values()):
        return {}
    tables = {name: table for name, table in tables.items() if clock_of(path, name, there[name]) is not None}
    for way in _WAYS:
        parted = [way.fullmatch(name) for name in tables]
        patterns = {f"{own['begins']}*{own['ends']}" for own in parted if own}
        recordings = recordings_by(tables, patterns)
        if None in parted or not are_alike([set(files) for files in recordings.values()]):
            continue
        alike: dict[str, list[Table]] = {}
        for pattern, name in itertools.chain.from_iterable(files.items() for files in recordings.values()):
            alike.setdefault(pattern, []).append(tables[name])
        same = not any(map(are_sensors, alike.values()))
        others = all(are_sensors([one[0], other[0]]) for one, other in itertools.combinations(alike.values(), 2))
        if same and others and not are_of_one_time(path, there, recordings):
            return recordings
    return {}


def is_one_recording(folder: Path) -> bool:
    """Whether all tables of a folder are certainly sensors of one recording: their dates tell one time.

    Each is of a sensor of its own and has a clock; nothing beside them is another source, or a folder.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    files = sorted(entry for entry in entries if is_table(entry.name) and entry.is_file())
    if not 2 <= len(files) <= _MOST_SENSORS or any(entry.is_dir() for entry in entries):
        return False
    found: list[tuple[Table, FoundClock]] = []
    for file in files:
        table = _to_look_at(file)
        if table is None or not all(are_sensors([table, other]) for other, _ in found):
            return False
        if known.recognised(file) is not None:
            return False
        try:
            clock = find_clock(file, table)
        except RecipeError:
            return False
        if not clock.clock.dated or not all(_at_once(clock, other) for _, other in found):
            return False
        found.append((table, clock))
    if len({NO_ZONE in clock.doubts for _, clock in found}) > 1:  # they may be hours apart
        return False
    streams = [find_streams(table, clock.columns, clock.stamps_s) for table, clock in found]
    if any(one.key for one in streams) or any(itertools.starmap(_are_alike, itertools.combinations(streams, 2))):
        return False
    return all(entry in files or claimant(entry) is None for entry in entries)


def _are_alike(one: Found, other: Found) -> bool:
    """Whether two files tell the same, as those of two machines: streams of one name, or most columns of one."""
    own, their = ({stream.name: {c.source for c in stream.columns} for stream in f.streams} for f in (one, other))
    shared = own.get(REST, set()) & their.get(REST, set())
    least = min(len(set().union(*columns.values())) for columns in (own, their))
    return bool(own.keys() & their.keys() - {REST}) or len(shared) >= _ALIKE * max(least, 1)


def _to_look_at(file: Path) -> Table | None:
    """A table as far as a suggestion looks at it; None where it is none, or too large to be read only for that."""
    if suffix(file.name) in BINARY and file.stat().st_size > _MOST_BYTES:
        return None
    try:
        return load(file, file.name, files_of(file)[file.name], None)
    except RecipeError:
        return None

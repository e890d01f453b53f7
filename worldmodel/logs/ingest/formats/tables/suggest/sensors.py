"""Several files: whether they are sensors of one recording, and how their clocks go together."""

import functools
import itertools
from collections.abc import Collection, Mapping
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.health.rates import meeting
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.loading import load
from worldmodel.logs.ingest.formats.tables.members import BINARY, Opener, files_of, is_table, suffix
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
_ALIKE = 0.5  # of the columns of a file: another that has these is of a like machine


def are_sensors(tables: Collection[Table]) -> bool:
    """Whether files are of different sensors: they have other columns, or are called what other sensors are."""
    sensors = {table.path: called(stem(table.path)) for table in tables}
    several = len(sensors) > 1 and all(sensors.values()) and len(set(sensors.values())) == len(sensors)
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


def are_of_one_time(path: Path, there: Mapping[str, Opener], folders: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether folders that hold files of the same names are devices of one recording, and not a recording each.

    By their dates, where these tell: all devices record at the same time.
    """
    first, *others = sorted(folders.values(), key=len, reverse=True)

    @functools.cache
    def clock(name: str) -> FoundClock | None:
        try:
            table = load(path, name, there[name], None)
            return find_clock(table.path, table)
        except RecipeError:
            return None

    def with_first(files: Mapping[str, str]) -> bool:
        both = sorted(first.keys() & files.keys())[:_LOOKED_AT]
        pairs = ((clock(first[file]), clock(files[file])) for file in both)
        return any(one is not None and other is not None and _at_once(one, other) for one, other in pairs)

    return all(map(with_first, others))


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
        if table is None or known.recognised(file) is not None:
            return False
        try:
            clock = find_clock(file, table)
        except RecipeError:
            return False
        apart = all(are_sensors([table, other]) and _at_once(clock, before) for other, before in found)
        if not apart or not clock.clock.dated:
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

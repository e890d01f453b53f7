"""Reads a table by a recipe, as one episode or as several."""

import contextlib
import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from worldmodel.errors import NoMemoryError, RecipeError
from worldmodel.logs.health.finding import present
from worldmodel.logs.health.held import changed
from worldmodel.logs.health.rates import meeting
from worldmodel.logs.health.values import counted_on, counter_bits
from worldmodel.logs.ingest.formats.tables import rates
from worldmodel.logs.ingest.formats.tables.conversions import HEADER, change, is_unit, si
from worldmodel.logs.ingest.formats.tables.episodes import check_columns, episodes_of
from worldmodel.logs.ingest.formats.tables.loading import load, load_pieces
from worldmodel.logs.ingest.formats.tables.members import (
    Opener,
    escaped,
    files_of,
    matching,
    recordings_by,
    recordings_of,
)
from worldmodel.logs.ingest.formats.tables.recipe import Clock, Recipe, TableStream
from worldmodel.logs.ingest.formats.tables.rows import select
from worldmodel.logs.ingest.formats.tables.stamps import nanoseconds, with_stamp
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.logs.ingest.formats.tables.times import Shared
from worldmodel.logs.ingest.recording import Recording, StampedBy, free_name, increasing, piece_name

Conversion = Callable[[np.ndarray], np.ndarray]
_COUNTED = ("s", "ms", "us", "ns", "minutes", "hours", "days")  # units of clocks that a header may tell
_NOTED_S = 1e-5  # of rounding is worth a note
_TOLD = 3  # streams of which an error says why they have no rows


def read_table(path: Path, recipe: Recipe, unread: bool = False) -> Iterator[Recording]:
    """Reads one source, an episode after the other. Time zero is the earliest time of any stream of the episode.

    Readings that are NaN, infinite or empty are kept (empty as NaN): readers mask them. Rows without a time, and rows
    whose time does not increase, are dropped and counted, or refused if the recipe says so.

    Args:
        path: a file, or a folder or an archive of several.
        recipe: how it is read.
        unread: whether nobody has given the recipe for this very source: columns and files that no stream is read
            from are noted, and what the table itself says of its units counts.

    Raises:
        RecipeError: if the table cannot be read or does not fit the recipe.
    """
    there = files_of(path)
    if recipe.files:
        for joined in _recordings(path, there, recipe):
            yield _read_joined(*joined, unread)
        return
    if not there:
        raise RecipeError(f"{path} holds no table.", expected="one file at least that is one")
    most = None if all(part.rows == (0, None) for part in recipe.parts) else math.inf  # rows are those of the file
    loaded = 0
    for name, opened in there.items():
        pieces = load_pieces(path, name, opened, recipe, most)
        try:
            table: Table | None = next(pieces)
        except RecipeError:
            last = loaded == 0 and name == list(there)[-1]
            if not unread or recipe.signs is not None or len(there) == 1 or last or _loads(path, name, opened):
                raise
            continue  # what lies beside the tables, as the suggestion says
        loaded += 1
        own = path.name if len(there) == 1 else f"{path.name} {name}"
        going_on, none, count = recipe, list[_NoRowsError](), 0
        while table is not None:
            try:
                fitted = fit(path, table, going_on, unread)
                if going_on is recipe:
                    table.notes += _unread("columns", table.not_loaded) if unread else []
                    going_on = _with_rest(recipe, fitted)
                for read in _recorded(own, table, fitted, none):
                    count += 1
                    yield read
                    del read  # before the next is made
            except _NoRowsError as error:
                if not table.piece:
                    raise
                none.append(error)
            left = table.notes  # of what no recording was made of
            table = None  # one at a time is held
            table = next(pieces, None)
            if table is not None:
                table.notes[:0] = left
        if none and not count:
            raise none[0]


class _NoRowsError(RecipeError):
    """A table, or a piece of one, has nothing of any stream."""


def _with_rest(recipe: Recipe, fitted: Recipe) -> Recipe:
    """A recipe for the other pieces of a table: its streams, and those that were found for the rest of the first."""
    named = {stream.spec.name for stream in recipe.streams}
    found = (dataclasses.replace(s, optional=True) for s in fitted.streams if s.spec.name not in named)
    return dataclasses.replace(recipe, streams=(*recipe.streams, *found), rest=False)


def _recorded(own: str, table: Table, recipe: Recipe, none: list[_NoRowsError]) -> Iterator[Recording]:
    """The recordings of a table; of a piece without those that have no rows, which are added to `none`."""
    name = piece_name(own, table.piece)
    for told, rows in episodes_of(table.path, table, recipe):
        try:
            recording = _record(" ".join(filter(None, (name, told))), {"": rows}, recipe)
        except _NoRowsError as error:
            if not table.piece:
                raise
            none.append(error)
            continue
        yield recording
        del recording


def _recordings(
    path: Path, there: Mapping[str, Opener], recipe: Recipe
) -> Iterator[tuple[str, Path, Mapping[str, Opener], Recipe]]:
    """Of each recording of a source its name, its folder, what opens its files, and the recipe for these."""
    several = any(len(matching(there, pattern)) > 1 for pattern in recipe.files)
    inside = [name for name in there if "/" in name or recipe.rest or any(matching([name], p) for p in recipe.files)]
    folders = recordings_of(inside) if several else {}
    for folder, files in folders.items():
        yield f"{path.name} {folder}", path / folder, {file: there[name] for file, name in files.items()}, recipe
    told = recordings_by(there, recipe.files) if several and not (folders or recipe.rest) else {}
    for own, files in told.items():
        streams = (dataclasses.replace(s, file=s.file.replace("*", escaped(own))) for s in recipe.streams)
        fitted = dataclasses.replace(recipe, streams=tuple(streams))
        beside = [name for name in there if _whose(name, told) == own]
        yield (
            f"{path.name} {own}",
            path,
            {name: there[name] for name in dict.fromkeys([*files.values(), *beside])},
            fitted,
        )
    if not folders and not told:
        yield path.name, path, there, recipe


def _whose(name: str, recordings: Iterable[str]) -> str | None:
    """The recording whose name a file's begins with: `run_2` of `run_2_log.csv`, though there is a `run` beside it."""
    begun = (own for own in recordings if re.match(rf"{re.escape(own)}(?![a-zA-Z0-9])", name))
    return max(begun, key=len, default=None)


def _loads(path: Path, name: str, opened: Opener) -> bool:
    """Whether a file is a table as far as a suggestion looks at it."""
    with contextlib.suppress(RecipeError):
        load(path, name, opened, None)
        return True
    return False


def _unread(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return [f"{what} that no stream is read from: {', '.join(names[:20])}{more}"] if names else []


def fit(path: Path, table: Table, recipe: Recipe, unread: bool) -> Recipe:
    """A recipe without the optional streams that a table lacks, and with those of its other columns if it says so.

    Where a table tells other units than it, they are taken if `unread`, and else noted.

    Raises:
        RecipeError: if no stream is left.
    """
    there = [s for s in recipe.streams if not s.optional or not table.lacking(_columns(s))]
    empty = [s for s in there if s.optional and _holds_nothing(table, s)]
    streams = tuple(s for s in there if s not in empty)
    clocks = {clock: _in_its_unit(table, clock, unread) for clock in {recipe.clock, *(s.clock for s in streams)}}
    streams = tuple(
        dataclasses.replace(_in_its_units(table, stream, unread), clock=clocks[stream.clock]) for stream in streams
    )
    fitted = dataclasses.replace(recipe, streams=streams, clock=clocks[recipe.clock])
    table.notes += [text for stream in recipe.streams if (text := _lacking(table, stream))]
    table.notes += [f"{stream.spec.name}: left out, as its columns hold nothing" for stream in empty]
    if recipe.rest:
        from worldmodel.logs.ingest.formats.tables.suggest.rest import other_streams

        more, doubts = other_streams(table, fitted)
        fitted = dataclasses.replace(fitted, streams=(*streams, *more))
        table.notes.extend(doubts)
    if not fitted.streams:
        raise _NoRowsError(
            f"{path} has no column of any stream of {recipe.path.name}.", found=", ".join(table.names[:40])
        )
    return fitted


def _in_its_unit(table: Table, clock: Clock, take: bool) -> Clock:
    """A clock of numbers in the unit that the table tells, where that is another than its recipe's."""
    name = clock.columns[0] if len(clock.columns) == 1 else ""
    told = table.unit(name) if name and table.find(name) else ""
    if not told or told == clock.unit or not {told, clock.unit} <= set(_COUNTED) or table.is_words(name):
        return clock
    counts = f"the recipe's {clock.unit} is not" if take else f"{clock.unit} is taken, as the recipe says"
    table.notes.append(f"clock: the table says that {name} is in {told}; {counts}")
    return dataclasses.replace(clock, unit=told) if take else clock


def _in_its_units(table: Table, stream: TableStream, take: bool) -> TableStream:
    """A stream whose columns are in the units that the table tells, where its recipe tells others, or none."""
    old, new = list(stream.from_units), list(stream.spec.units)
    for i, source in enumerate(stream.sources):
        unit, exact = stream.spec.units[i], stream.scale[i] == 1 and stream.offset[i] == 0
        given = old[i] or unit
        told = table.unit(source) if source and exact and given != HEADER and table.find(source) else ""
        if take and told and not given and is_unit(told):
            old[i], new[i] = told, si(told)
        if not told or not unit or told == given or change(told, unit) is None:
            continue
        old[i] = told if take else old[i]
        counts = f"the recipe's {given} is not" if take else f"{given} is taken, as the recipe says"
        table.notes.append(f"{stream.spec.name}: the table says that {source} is in {told}; {counts}")
    return dataclasses.replace(stream, from_units=tuple(old), spec=dataclasses.replace(stream.spec, units=tuple(new)))


def _lacking(table: Table, stream: TableStream) -> str:
    """What is said of an optional stream of which a table has some columns; empty where it has all or none."""
    missing = table.lacking([name for name in stream.sources if name])
    there = [name for name in stream.sources if name and name not in missing]
    if not missing or not there:
        return ""
    return f"{stream.spec.name}: left out, though there is {', '.join(there)}: no {', '.join(missing)}"


def _holds_nothing(table: Table, stream: TableStream) -> bool:
    """Whether all columns of a stream are empty in every row, as of a receiver without a fix."""
    columns = [table.column(name) for name in stream.sources if name]
    return bool(columns) and table.data.num_rows > 0 and all(c.null_count == table.data.num_rows for c in columns)


def _columns(stream: TableStream) -> list[str]:
    return [name for name in stream.needed if name]


def _read_joined(name: str, path: Path, there: Mapping[str, Opener], recipe: Recipe, unread: bool) -> Recording:
    """One recording from several files, on the clock that they share."""
    tables: dict[str, Table] = {}
    streams: list[TableStream] = []
    left = [name for name in there if not any(matching([name], pattern) for pattern in recipe.files)]
    for pattern in recipe.files:
        own = [stream for stream in recipe.streams if stream.file == pattern]
        found = matching(there, pattern)
        if not found and all(stream.optional for stream in own):
            continue
        if len(found) != 1:
            raise RecipeError(
                f"{path} does not have one file {pattern!r}.", expected="one", found=", ".join(found or there) or "none"
            )
        alone = dataclasses.replace(recipe, streams=tuple(dataclasses.replace(s, file="") for s in own), rest=False)
        table = load(path, found[0], there[found[0]], alone)
        if all(stream.optional and table.lacking(_columns(stream)) for stream in own):
            left.append(found[0])  # of another version of the program
            continue
        fitted = fit(path, table, alone, unread)
        check_columns(table, fitted)
        tables[pattern] = table
        streams += [dataclasses.replace(stream, file=pattern) for stream in fitted.streams]
    others = [name for name in left if recipe.rest and not any(matching([name], pattern) for pattern in recipe.files)]
    for other in others:
        taken = {stream.spec.name for stream in streams}
        try:
            tables[other], more = _other_file(path, other, there[other], recipe, taken)
        except NoMemoryError:
            raise
        except RecipeError:  # of what is no sensor's
            continue
        streams += more
        left.remove(other)
    if not tables:
        raise RecipeError(
            f"{path} has no file of any stream of {recipe.path.name}.",
            expected=", ".join(recipe.files),
            found=", ".join(there) or "no tables",
        )
    recording = _record(name, tables, dataclasses.replace(recipe, streams=tuple(streams)))
    recording.notes += _unread("files", left) if unread else []
    return recording


def _other_file(
    path: Path, name: str, opened: Opener, recipe: Recipe, taken: Set[str]
) -> tuple[Table, list[TableStream]]:
    """A file that a recipe has no stream of, and those of its columns.

    Raises:
        RecipeError: if it has none.
    """
    alone = dataclasses.replace(recipe, streams=())
    table = load(path, name, opened, alone)
    found = fit(path, table, alone, True).streams
    specs = [stream.spec for stream in found]
    own = Path(name).stem
    specs = [dataclasses.replace(spec, name=free_name(taken, spec.name, f"{own}_{spec.name}")) for spec in specs]
    return table, [dataclasses.replace(s, spec=spec, file=name) for s, spec in zip(found, specs, strict=True)]


def _record(name: str, tables: Mapping[str, Table], recipe: Recipe) -> Recording:
    recording = Recording(name, cut_every_s=recipe.cut.every_s)
    rows = {stream.spec.name: _select(tables[stream.file], stream) for stream in recipe.streams}
    clocks, notes = _clocks(rows, recipe.streams)
    recording.notes += notes
    path = next(iter(tables.values())).path
    origin, shared = _first(clocks.values()), Shared()
    if origin is None:
        raise _NoRowsError(
            f"{path} has no rows for any stream of {recipe.path.name}.",
            found="; ".join(_why_none(tables[s.file], rows[s.spec.name], s) for s in recipe.streams[:_TOLD]),
            remedy="leave it out, or check `where` and the clock",
        )
    others: list[str] = []
    for stream in recipe.streams:
        ns, valid = clocks[stream.spec.name]
        time = shared.seconds(ns, valid, origin)
        _refuse_duplicates(path, stream, time)
        data = _readings(rows[stream.spec.name], stream)
        there = present(data)
        of_others = _of_others(time, there)
        if of_others.any():
            others.append(f"{of_others.sum()} of {len(time)} in {stream.spec.name}")
        own = (valid | there) & ~of_others  # where a shorter column has ended there is nothing
        if stream.held:
            own = own & changed(data)
        if not own.all():
            ns, time, data = ns[own], time[own], data[own]
        rate = rates.checked(path, stream, time, data)
        if rate != stream.spec.rate_hz and not stream.measured:
            recording.notes.append(f"{stream.spec.name}: it comes at {rate:g} Hz, not at {stream.spec.rate_hz:g}")
        spec = dataclasses.replace(stream.spec, rate_hz=rate)
        exact_time, most = shared.exact(rows[spec.name], stream.clock, ns, time, rate)
        if most > _NOTED_S:
            recording.notes.append(
                f"{spec.name}: its stamps are whole periods of {rate:g} Hz, rounded by up to {most:.2g} s; mended"
            )
        recording.add(spec, exact_time, data)
        recording.clocks[spec.name] = StampedBy(_called(stream), stream.lag_s, stream.clock.dated)
        recording.stored[spec.name] = _stored(rows[stream.spec.name], stream)
    if others:
        recording.notes.append(f"rows that hold nothing of a stream are no samples of it: {', '.join(others)}")
    if any(stream.clock.dated for stream in recipe.streams):
        recording.origin_utc = origin * 1e-9
    for table in tables.values():
        recording.notes += dict.fromkeys(table.notes)
        table.notes.clear()
    return recording


def _of_others(time: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Which rows [M], at times [M], are another sensor's, as in a table whose sensors take turns.

    They hold nothing of a stream, of which `there` [M] tells, and most rows do so, or they have the stamp of another.
    """
    if there.all() or not there.any():
        return np.zeros(len(there), bool)
    if 2 * there.sum() < len(there):
        return ~there
    same = np.diff(time) == 0
    return ~there & (np.append(same, False) | np.append(False, same))


def _why_none(table: Table, own: Table, stream: TableStream) -> str:
    """Why a stream has no rows with a stamp."""
    count, every = own.data.num_rows, table.data.num_rows
    if stream.where and not count:
        return f"{stream.spec.name}: none of {every} rows fulfils where = {json.dumps(dict(stream.where))}"
    return f"{stream.spec.name}: none of {count} rows has a time"


def _select(table: Table, stream: TableStream) -> Table:
    """The rows of a stream; how many readings a comparison leaves out, a note says."""
    if not stream.where:
        return table
    where = {table.place(column): condition for column, condition in stream.where.items()}
    part = table.part(select(table.path, stream.spec.name, table.data, where))
    if compared := [column for column, condition in stream.where.items() if isinstance(condition, dict)]:
        every, kept = (_filled(rows, stream) for rows in (table, part))
        if kept < every:
            told = f"{every - kept} of {every} rows are left out by {', '.join(compared)}"
            table.notes.append(f"{stream.spec.name}: {told}, as where says")
    return part


def _filled(table: Table, stream: TableStream) -> int:
    """How many rows have something in the first column of a stream."""
    first = table.column(next(filter(None, stream.sources)))
    return len(first) - first.null_count


def _clocks(
    rows: Mapping[str, Table], streams: Sequence[TableStream]
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[str]]:
    """Of each stream its stamps in nanoseconds [M] and which rows have one [M], all on one clock; and what was assumed.

    A clock that begins with the recording has its first stamp where the streams on other clocks have theirs. Several
    whose times meet are one, as of files that count since one machine was switched on: they keep what lies between
    them.
    """
    stamps = {
        stream.spec.name: nanoseconds(rows[stream.spec.name].path, rows[stream.spec.name], stream.clock)
        for stream in streams
    }
    beginning: dict[str, list[str]] = {}
    for stream in streams:
        if stream.clock.origin == "recording":
            beginning.setdefault(_called(stream), []).append(stream.spec.name)
    aligned = {name for names in beginning.values() for name in names}
    start = _first(stamps[name] for name in stamps if name not in aligned) or 0
    spans = {clock: span for clock, names in beginning.items() if (span := _span(stamps[name] for name in names))}
    notes = []
    for clocks in meeting(spans):
        ahead, names = start - spans[clocks[0]][0], [name for clock in clocks for name in beginning[clock]]
        stamps |= {name: (stamps[name][0] + ahead, stamps[name][1]) for name in names}
        one = "" if len(clocks) == 1 else "one, since their times meet: "
        notes.append(
            f"{', '.join(names)}: the clock ({one}{', '.join(clocks)}) begins with the recording, as the recipe says: "
            f"{ahead * 1e-9:.3f} s are added"
        )
    for stream in streams:
        ns, valid = stamps[stream.spec.name]
        if stream.lag_s:
            stamps[stream.spec.name] = ns - round(stream.lag_s * 1e9), valid
    return stamps, notes


def _called(stream: TableStream) -> str:
    """What stamps a stream, in words: streams of one file and one clock have the same."""
    column = " and ".join(stream.clock.columns) or f"a row every {stream.clock.period_s:g} s"
    return f"{column} of {stream.file}" if stream.file else column


def _first(stamps: Iterable[tuple[np.ndarray, np.ndarray]]) -> int | None:
    span = _span(stamps)
    return span and span[0]


def _span(stamps: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[int, int] | None:
    ends = [(int(there.min()), int(there.max())) for pair in stamps if len(there := with_stamp(*pair))]
    return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


def _readings(table: Table, stream: TableStream) -> np.ndarray:
    """A stream's samples: float64 [M, S]; of counters that begin anew on from there."""
    data = np.empty((table.data.num_rows, len(stream.sources)), order="F")  # as it is filled, and checked
    for i, source in enumerate(stream.sources):
        if not source:
            data[:, i] = np.nan
            continue
        convert = _conversion(table, stream, i)
        table.fill(source, data[:, i])
        if stream.spec.kind == "sensor" and (bits := counter_bits(data[:, i])):
            data[:, i] = counted_on(data[:, i], bits)
            table.notes.append(f"{source} began anew after {bits} bits; on from there")
        if convert is not None:
            data[:, i] = convert(data[:, i])
    for i, source in enumerate(stream.hemispheres):
        data[:, i] *= table.signs(source)
    return data


def _stored(table: Table, stream: TableStream) -> tuple[np.ndarray, np.ndarray]:
    """The scale and the offset [S] that make a stream's readings of what the table holds."""
    made = [_conversion(table, stream, i) if source else None for i, source in enumerate(stream.sources)]
    ends = np.array([[0.0, 1.0] if convert is None else convert(np.array([0.0, 1.0])) for convert in made])
    return ends[:, 1] - ends[:, 0], ends[:, 0]


def _conversion(table: Table, stream: TableStream, i: int) -> Conversion | None:
    """What makes readings of a column's numbers; None where they are readings."""
    by_unit, scale, offset = _by_unit(table, stream, i), stream.scale[i], stream.offset[i]
    if scale == 1 and offset == 0:
        return by_unit
    return lambda values: offset + scale * (values if by_unit is None else by_unit(values))


def _by_unit(table: Table, stream: TableStream, i: int) -> Conversion | None:
    """What turns a column into its unit from the one that it is stored in; None where they are the same."""
    old, new = stream.from_units[i], stream.spec.units[i]
    if old == HEADER:
        old = table.unit(stream.sources[i])
    if not old or old == new:
        return None
    convert = change(old, new)
    if convert is None:
        raise RecipeError(
            f"{table.path}: the column {stream.sources[i]!r} is in a unit that does not become {new!r} exactly.",
            found=repr(old),
            remedy=f"say from_units or scale of streams.{stream.spec.name} in the recipe",
        )
    return convert


def _refuse_duplicates(path: Path, stream: TableStream, time: np.ndarray) -> None:
    if stream.clock.duplicates != "error":
        return
    keep = increasing(time)
    if not keep.all():
        row = int(np.argmin(keep))
        raise RecipeError(
            f"{path}: the times of stream {stream.spec.name!r} do not increase.",
            expected=f"each {' '.join(stream.clock.columns)} later than the one before",
            found=f"{float(time[row])!r} s at row {row} of the stream",
            remedy='mend the file, or set duplicates = "drop" in the recipe\'s [clock]',
        )

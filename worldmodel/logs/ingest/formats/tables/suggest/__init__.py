"""A first recipe for a table that nobody has described: from its columns, their units, values and rates."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.formats.tables.loading import load
from worldmodel.logs.ingest.formats.tables.members import (
    JSON,
    VECTORS,
    Opener,
    escaped,
    files_of,
    no_tables,
    recordings_of,
    suffix,
)
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, shipped
from worldmodel.logs.ingest.formats.tables.recipe_file import read_recipe
from worldmodel.logs.ingest.formats.tables.suggest.clocks import find_clock
from worldmodel.logs.ingest.formats.tables.suggest.evidence import beside
from worldmodel.logs.ingest.formats.tables.suggest.kinds import tells_nothing
from worldmodel.logs.ingest.formats.tables.suggest.sensors import (
    are_of_one_time,
    are_sensors,
    called_alike,
    clock_of,
    how_they_meet,
)
from worldmodel.logs.ingest.formats.tables.suggest.stream import stem
from worldmodel.logs.ingest.formats.tables.suggest.streams import REST, find_streams, tell_apart
from worldmodel.logs.ingest.formats.tables.suggest.vectors import parts_of
from worldmodel.logs.ingest.formats.tables.suggest.writing import DOUBT, Part, doubts_of, written
from worldmodel.logs.ingest.formats.tables.table import Table
from worldmodel.toml import TomlTable

_MOST_FILES = 100
_NAMED = 5
_NO_CLOCK = "no clock can be told in {}, which is left out"


def suggest(paths: Sequence[str | Path] | str | Path) -> str:
    """A recipe for tables of one kind, as TOML, with a comment for each doubt.

    That of a program whose tables are known is the shipped one. Else it is that of the first of the tables, and says
    which of the others would get another one.

    Args:
        paths: the tables, or folders or archives that are one recording each.

    Raises:
        RecipeError: if no clock can be told, or there is no table.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)] or [Path()]
    first, *others = map(_suggested, given)
    if not others:
        return first
    unlike = [path.name for path, text in zip(given[1:], others, strict=True) if _plain(text) != _plain(first)]
    said = f"made of {given[0].name}, and fits all {len(given)} sources by their columns and units"
    if unlike:
        said = f"made of {given[0].name}; these have other columns, units or clocks: {', '.join(unlike)}"
    return f"{DOUBT}{said}\n{first}"


def _suggested(path: Path) -> str:
    name = known.recognised(path) or _recognised_folders(path)
    if name is not None:
        return shipped(name).read_text(encoding="utf-8")
    return _described(path)


def _recognised_folders(path: Path) -> str | None:
    """The recipe of the program that each folder in a folder is a recording of."""
    inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith(".")) if path.is_dir() else []
    names = {known.recognised(entry) if entry.is_dir() else None for entry in inside}
    return names.pop() if len(names) == 1 else None


def _plain(recipe: str) -> list[str]:
    """What a recipe says, but for rates and remarks."""
    return [line for line in recipe.splitlines() if not line.startswith(("#", "rate_hz"))]


def suggestion(path: Path) -> tuple[Recipe, list[str]]:
    """The recipe that is suggested for a table, and its doubts."""
    text = _described(path)
    recipe = read_recipe(TomlTable(Path("suggested.toml"), "", tomllib.loads(text), RecipeError))
    said = "read by a suggested recipe; ingest --suggest prints it, to be mended and given as --recipe"
    return recipe, [said, *doubts_of(text)]


def _described(path: Path) -> str:
    """The recipe that is suggested for a table, or for a folder or an archive of several.

    Files of the same columns are an episode each, and what one of them has are the streams of all; others are sensors
    of one recording; folders that hold files of the same names are recordings of the same sensors, and so are files
    of one folder that are called so (`run1_imu.csv`, `run1_gps.csv`, `run2_imu.csv`, `run2_gps.csv`). Units that values
    tell are told by all files of a folder together, and by folders that are alike.
    """
    there = files_of(path)
    folders = recordings_of([name for name in there if "/" in name])
    above = [name for name in there if "/" not in name] if folders else []
    alone = not any(clock_of(path, name, there[name]) for name in above)
    if not folders or not alone or are_of_one_time(path, there, folders):
        return _of_files(path, there)
    patterns = {folder: {escaped(file): name for file, name in files.items()} for folder, files in folders.items()}
    told = f"each of {len(folders)} folders is taken for a recording: {_named(folders)}"
    return _of_recordings(path, there, patterns, [told, *map(_NO_CLOCK.format, above)])


def _named(recordings: Collection[str]) -> str:
    first = list(recordings)[:_NAMED]
    return ", ".join(first) + (" and others" if len(recordings) > _NAMED else "")


def _of_recordings(
    path: Path, there: Mapping[str, Opener], recordings: Mapping[str, Mapping[str, str]], said: Sequence[str]
) -> str:
    """The recipe for several recordings of the same sensors.

    Args:
        path: the source.
        there: what opens each file.
        recordings: of each the name of the file that a pattern means.
        said: doubts that there are already.
    """
    first = {file: name for files in reversed(list(recordings.values())) for file, name in files.items()}
    tables, doubts = _loaded(path, {file: there[name] for file, name in sorted(first.items())}, first)
    parts, more = _parts(path, tables)
    for i, part in enumerate(parts):
        lacking = [folder for folder, files in recordings.items() if part.file not in files]
        if lacking:
            parts[i] = part._replace(optional=True)
            doubts.append(f"{part.file} is not in {', '.join(lacking[:_NAMED])}: its streams are optional")
    return written(path, parts, [*said, *doubts, *more], _drops(tables))


def _of_files(path: Path, there: Mapping[str, Opener]) -> str:
    tables, doubts = _loaded(path, there)
    others = no_tables(path)
    doubts += [f"left out, as they are no tables: {', '.join(others[:_NAMED])}"] if others else []
    together = called_alike(path, there, tables)
    if together:
        told = f"files are taken for {len(together)} recordings, by what they are called: {_named(together)}"
        left = tables.keys() - {name for files in together.values() for name in files.values()}
        return _of_recordings(path, there, together, [told, *doubts, *map(_NO_CLOCK.format, sorted(left))])
    if not are_sensors(tables.values()):
        name, table = next(iter(tables.items()))
        alike = tuple(tables.values()) if len(tables) > 1 else beside(path)
        parts, more = parts_of(path, table, suffix(name) in (*VECTORS, *JSON), alike)
    else:
        parts, more = _parts(path, {escaped(name): table for name, table in tables.items()})
    return written(path, parts, [*doubts, *more], _drops(tables))


def _loaded(
    path: Path, there: Mapping[str, Opener], names: Mapping[str, str] | None = None
) -> tuple[dict[str, Table], list[str]]:
    """The tables among files, by their names, and doubts about the others.

    Args:
        path: the source.
        there: what opens each file.
        names: within the source, where they are other ones.

    Raises:
        RecipeError: if none is a table.
    """
    if not 0 < len(there) <= _MOST_FILES:
        raise RecipeError(f"{path} is no recording of tables.", expected=f"1 to {_MOST_FILES}", found=str(len(there)))
    tables, doubts = dict[str, Table](), list[str]()
    for name, opened in there.items():
        try:
            tables[name] = load(path, names[name] if names else name, opened, None)
        except RecipeError:
            if len(there) == 1:
                raise
            doubts.append(f"{name} cannot be read as a table, and is left out")
            continue
        if odd := list(filter(None, map(tables[name].odd, tables[name].names))):
            tables[name].unreadable = "drop"
            doubts.append(f"fields that are no numbers are left out: {'; '.join(odd[:_NAMED])}")
    if not tables:
        raise RecipeError(f"{path} has no file that is a table.", found=", ".join(there))
    return tables, doubts


def _drops(tables: Mapping[str, Table]) -> bool:
    return any(table.unreadable == "drop" for table in tables.values())


def _parts(path: Path, tables: Mapping[str, Table]) -> tuple[list[Part], list[str]]:
    """The parts of a recipe for sensors of one recording in a file each, and the doubts."""
    parts, doubts = list[Part](), list[str]()
    for name, table in tables.items():
        try:
            clock = find_clock(table.path, table)
        except RecipeError:
            doubts.append(_NO_CLOCK.format(name))
        else:
            found = find_streams(table, clock.columns, clock.stamps_s, beside(table.path))
            for stream in found.streams:
                if tells_nothing(stream.name):  # it is a part of what its columns are called
                    stream.prefix_columns()
                if stream.name == REST or tells_nothing(stream.name):
                    stream.name = stem(Path(name))
            if found.key:
                doubts.append(f"{found.key} of {name} seems to tell episodes apart, and is not read")
            parts.append(Part(name, clock, found))
    if not parts:
        raise RecipeError(f"No clock can be told in any file of {path}.", found=", ".join(tables))
    tell_apart([stream for part in parts for stream in part.found.streams])
    return parts, [*doubts, how_they_meet({part.file: part.clock for part in parts})]

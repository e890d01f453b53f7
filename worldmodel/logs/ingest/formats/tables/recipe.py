"""Recipes: TOML files that say how the columns of a table become streams. `datasets/README.md` describes them."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.content import content_dir
from worldmodel.types import StreamSpec

MEASURED = 1.0  # the rate of a specification whose own is measured in each file


@dataclasses.dataclass(frozen=True)
class Text:
    """How a text file is laid out. What is None is found out from the file.

    Attributes:
        delimiter: one character between fields; a space is any run of blanks.
        decimal: `.` or `,`.
        encoding: as Python names it.
        comment: what lines to be left out begin with.
        header: whether a line has the columns' names; without one they go by position, `#1` being the first.
        skip: how many lines come before that line.
        header_rows: over how many lines the names are: names of groups, and names within them; found out where it is
            None and no recipe names the columns.
        units_rows: how many lines lie between it and the data; the first of them has the units.
        missing: further words for a reading that is missing.
        thousands: the mark between thousands, such as `,` in `1,234.5`.
        unreadable: whether fields and rows that cannot be read are an `error`, or `drop` leaves them out, counted.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    comment: str | None = None
    header: bool = True
    skip: int | None = None
    units_rows: int | None = None
    missing: tuple[str, ...] = ()
    unreadable: str = "error"
    thousands: str | None = None
    header_rows: int | None = None


@dataclasses.dataclass(frozen=True)
class Clock:
    """Which column is the time.

    Attributes:
        columns: its name; two where date and time of day have one each; none where rows follow each other evenly.
        period_s: seconds from one row to the next; None where a column tells the time.
        unit: of a number (`stamps.UNITS`).
        dates: `year_first`, `day_first`, `month_first`, or a format as `strptime` takes it.
        time_zone: of dates that tell none, an IANA name; empty where nobody says, which makes it UTC with a note.
        week: of seconds of a GPS week: its number, or the column that has it.
        fraction: the column of what is to be added to stamps of whole seconds, and its unit; none where it is empty.
        duplicates: whether samples whose time does not increase are dropped and counted, refused, or `spread` evenly
            up to the next stamp.
        origin: since when it counts: `unix` for 1970-01-01 UTC, or another time in seconds since then; `recording`
            where its first stamp is to be that of the streams on other clocks; else `first`, which tells nothing.
    """

    columns: tuple[str, ...]
    period_s: float | None = None
    unit: str = "s"
    dates: str = "year_first"
    time_zone: str = ""
    week: int | str | None = None
    fraction: str = ""
    fraction_unit: str = "ns"
    duplicates: str = "drop"
    origin: str | float = "first"

    @property
    def dated(self) -> bool:
        """Whether it tells a date."""
        return self.origin == "unix" or isinstance(self.origin, float)


@dataclasses.dataclass(frozen=True)
class TableStream:
    """How one stream is read from a table.

    Attributes:
        spec: what the stream is.
        sources: the table's column for each column of the stream.
        scale, offset: a reading is `offset + scale * stored`, for each column.
        from_units: the unit that each column is stored in; `header` where the table says it, empty for none.
        where: rows that belong to the stream have these values in these columns; empty for all rows.
        clock: its clock.
        file: the file of a recording of several that it is in, a name or a pattern; empty where there is one.
        optional: whether it is left out where the table lacks one of its columns.
        measured: whether its rate is measured in each file.
        lag_s: how much later than what they tell of its stamps are, in seconds.
        held: whether a row whose readings are those of the row before is no sample.
        hemispheres: the columns whose S and W make a latitude and a longitude negative; empty for none.
    """

    spec: StreamSpec
    sources: tuple[str, ...]
    scale: np.ndarray
    offset: np.ndarray
    from_units: tuple[str, ...]
    where: Mapping[str, Any]
    clock: Clock
    file: str = ""
    optional: bool = False
    measured: bool = False
    lag_s: float = 0.0
    held: bool = False
    hemispheres: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """Every column that it is read from."""
        week = (self.clock.week,) if isinstance(self.clock.week, str) else ()
        fraction = (self.clock.fraction,) if self.clock.fraction else ()
        return (*self.clock.columns, *week, *fraction, *self.where, *self.hemispheres, *self.sources)


@dataclasses.dataclass(frozen=True)
class TablePart:
    """One episode of a table that holds several.

    Attributes:
        name: added to the file's; empty where the whole table is one episode.
        rows: the first, and the one after the last; None for the table's end.
        columns: what the streams call a column, and what the table calls it.
    """

    name: str = ""
    rows: tuple[int, int | None] = (0, None)
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where a table is parted into episodes.

    Attributes:
        key: the column whose values tell them apart; empty for none.
        gap_s: a step ahead of the clock that parts two; infinite for none.
        back_s: a step back that does.
        every_s: how long the episodes are that what is left whole is cut into; infinite for none.
    """

    key: str = ""
    gap_s: float = float("inf")
    back_s: float = 1.0
    every_s: float = float("inf")


@dataclasses.dataclass(frozen=True)
class Signs:
    """What tells that a table is one of some program's.

    Attributes:
        begins: what its first line may begin with; none for anything.
        columns: columns that it has.
        files: files that a folder of it has, names or patterns.
    """

    begins: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe: its streams, the episodes of a table, and what the log then says of itself.

    `rest` says whether columns that no stream names become streams as `--suggest` finds them, and `sheet` which of an
    Excel file is read. `structure` is what is declared of the machine and else found in training
    (`worldmodel.models.experts.structure`).
    """

    path: Path
    description: str
    text: Text
    twin: str
    clock: Clock
    streams: tuple[TableStream, ...]
    parts: tuple[TablePart, ...]
    cut: Cut = Cut()
    signs: Signs | None = None
    rest: bool = False
    sheet: str = ""
    structure: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def about(self) -> dict[str, object]:
        about: dict[str, object] = {"recipe": self.path.stem, "description": self.description}
        given = {"scene": self.twin, "structure": dict(self.structure)}
        return about | {key: value for key, value in given.items() if value}

    @property
    def files(self) -> list[str]:
        """The files that one recording consists of, names or patterns; empty where it is one."""
        return list(dict.fromkeys(stream.file for stream in self.streams if stream.file))

    def needed(self) -> list[str]:
        """Columns that a table has to have, but those that its episodes call otherwise."""
        renamed = {name for part in self.parts for name in part.columns}
        names = {name for stream in self.streams if not stream.optional for name in stream.needed if name}
        if not names:
            names = {*self.clock.columns}
        return sorted((names | ({self.cut.key} if self.cut.key else set())) - renamed)

    def readable(self) -> Iterator[str]:
        """Columns that are read from a table, where it has them."""
        yield from (name for stream in self.streams for name in stream.needed)
        yield from (source for part in self.parts for source in part.columns.values())
        yield from (self.cut.key,) if self.cut.key else ()


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with the toolkit."""
    return sorted(path.stem for path in content_dir("datasets").glob("*.toml"))


def shipped(name: str) -> Path:
    """The file of a recipe that comes with the toolkit."""
    return content_dir("datasets") / f"{name}.toml"

"""A stream that is suggested."""

import dataclasses
import re
from pathlib import Path
from typing import Any, NamedTuple

from worldmodel.logs.ingest.formats.tables.conversions import split
from worldmodel.logs.ingest.formats.tables.latin import words_of
from worldmodel.logs.ingest.formats.tables.members import PACKED

_OF_FOLDER = re.compile(r"(?:raw_?)?(?:data|log|samples|values|measurements)$")


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
    where: dict[str, Any] = dataclasses.field(default_factory=dict)
    held: bool = False
    hemispheres: tuple[str, ...] = ()
    doubts: list[str] = dataclasses.field(default_factory=list)

    def prefix_columns(self) -> None:
        """Puts the stream's name before those of its columns that do not begin with it: `ph_pv` of pH.PV."""
        for column in self.columns:
            if not column.name.startswith(self.name):
                column.name = f"{self.name}_{column.name}"


class Found(NamedTuple):
    """The streams of a table, what was left out of them, and the column that tells its episodes apart."""

    streams: list[Suggested]
    left_out: list[str]
    key: str = ""


def plain(name: str) -> str:
    """A column's name without its unit, in lower case with underscores, also in place of capitals within."""
    return words_of(re.sub(r"(?<=[a-z]{2})(?=[A-Z])", "_", split(name)[0])) or "column"


def stem(path: Path) -> str:
    """What a file is called, as a column's name: `gyro` of `Gyro.csv.gz`, and of `gyro/data.csv`, as of its folder."""
    own = plain((Path(path.stem) if path.suffix.lower() in PACKED else path).stem)
    return plain(path.parent.name) if _OF_FOLDER.match(own) and path.parent.name else own

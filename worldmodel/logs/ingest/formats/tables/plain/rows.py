"""What a text holds, as a plain table of fields."""

import dataclasses
from collections.abc import Sequence

FILE = "{file}"


@dataclasses.dataclass
class Rows:
    """A plain table.

    Attributes:
        names: of the columns, units in brackets behind them; `FILE` stands for what the file is called.
        rows: the fields of each row, as many as there are names.
        decimal: `.` or `,`.
        notes: what was left out or assumed.
    """

    names: list[str]
    rows: list[list[str]]
    decimal: str = "."
    notes: list[str] = dataclasses.field(default_factory=list)

    def as_text(self) -> bytes:
        """Lines of fields between tabs."""
        return "\n".join("\t".join(row) for row in (self.names, *self.rows)).encode() + b"\n"


def with_unit(name: str, unit: str) -> str:
    """A column's name with its unit in brackets, where it has one."""
    return f"{name} [{unit}]" if unit else name


def left_out(count: int, what: str, first: Sequence[str] | str) -> list[str]:
    """A note of rows that were left out; none where there are none."""
    told = first if isinstance(first, str) else " ".join(first)
    return [f"{count} {what} were left out, first {told[:40]!r}"] if count else []

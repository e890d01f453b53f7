"""Texts that are no plain tables, as some programs write them, made into plain ones: names, and rows of as many fields.

`lvm` is LabVIEW's, `fit` FitCSVTool's, `serial` that of terminals which put a time before each line, `e4` Empatica's,
`unnamed` rows without names.
"""

from collections.abc import Sequence

from worldmodel.logs.ingest.formats.tables.plain import e4, fit, lvm, serial, unnamed
from worldmodel.logs.ingest.formats.tables.plain.rows import Rows

_KINDS = (lvm, fit, serial, e4, unnamed)
_HEAD = 40  # lines that tell


def is_other(lines: Sequence[str]) -> bool:
    """Whether a text is of one of these kinds, by its first lines."""
    return any(kind.claims(lines[:_HEAD]) for kind in _KINDS)


def plain(lines: Sequence[str]) -> Rows:
    """The table in such a text.

    Raises:
        ValueError: if it is damaged, or holds no samples.
    """
    kind = next((kind for kind in _KINDS if kind.claims(lines[:_HEAD])), None)
    if kind is None:
        raise ValueError("its first lines are damaged")
    table = kind.plain(lines)
    if len(table.names) < 2 or not table.rows:
        raise ValueError("it holds no samples")
    return table

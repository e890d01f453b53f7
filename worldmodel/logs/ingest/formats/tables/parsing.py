"""Parses the text of a table, whose layout is known, into columns."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.conversions import split
from worldmodel.logs.ingest.formats.tables.fields import HEAD
from worldmodel.logs.ingest.formats.tables.layout import Layout
from worldmodel.logs.ingest.formats.tables.members import head_of
from worldmodel.logs.ingest.formats.tables.recipe import Text
from worldmodel.logs.ingest.formats.tables.text import Body

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = (
    "", "#N/A", "N/A", "n/a", "NA", "nan", "NaN", "-nan", "-NaN", "NAN", "<NA>", "#DIV/0!", "?",
    "#NUM!", "#VALUE!", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND", "null", "NULL", "None", "none", "-", "--", "---",
)  # fmt: skip
_QUICK = tuple(word for word in MISSING if not word.startswith(("-", "1")))  # which numbers do not begin as
_REMARKS = ("#", "%", "//")  # which no row of numbers begins with
_BLOCK = 2 << 20  # bytes that are parsed at a time: fewer pages are touched for the first time than with half of that
_LONG = 1 << 20  # bytes of a text from which on it pays to look twice


def cannot_be_read(path: Path, found: str, remedy: str = "") -> RecipeError:
    """The error that says so."""
    return RecipeError(
        f"{path} cannot be read as a table.",
        expected="Parquet, Feather, Excel, MATLAB, HDF5, JSON, or text with a header line and as many fields in "
        "every line",
        found=found,
        remedy=remedy,
    )


def parse(
    path: Path, body: Body, layout: Layout, text: Text, readable: set[str] | None
) -> tuple["pa.Table", list[str]]:
    """The columns, and what was left out."""
    import pyarrow as pa
    from pyarrow import csv

    if layout.delimiter == " ":
        body = body.with_single(",")
    names = [name or f"\0{i}" for i, name in enumerate(layout.names)]
    options = (
        csv.ReadOptions(column_names=names, block_size=_BLOCK),
        csv.ParseOptions(delimiter="," if layout.delimiter == " " else layout.delimiter),
        csv.ConvertOptions(
            null_values=[*MISSING, *text.missing],
            strings_can_be_null=True,
            decimal_point=layout.decimal,
            include_columns=[name for name in names if _is_read(name, readable)] or [names[0]],
        ),
    )
    if not len(body):
        return pa.table({name: pa.array([], pa.float64()) for name in names if name[0] != "\0"}), []
    quick = _numbers(body, options) if not text.missing else None
    if quick is not None:
        return quick, []
    whole = body.without_zeros()  # which no number has in it
    notes = list(whole.notes[len(body.notes) :])
    try:
        return csv.read_csv(pa.BufferReader(whole.buffer), *options), notes
    except pa.ArrowInvalid as error:
        if "Expected" not in str(error):
            raise
        data, more = _parse_ragged(path, whole.in_utf8(), layout, text, options)
        return data, [*notes, *more]


def _numbers(body: Body, options: tuple[Any, ...]) -> "pa.Table | None":
    """The columns of a long text of numbers; None where there are others, by its first lines or in the end.

    Words for nothing that begin as numbers do are not looked for then (`-nan` is a number that is none), and quotation
    marks neither where all columns are read, as a number has none: that saves a fifth of the time.
    """
    import pyarrow as pa
    from pyarrow import csv

    if len(body) < _LONG:
        return None
    read, parse, convert = options
    bare = len(convert.include_columns) == len(read.column_names)
    if bare:
        parse = csv.ParseOptions(delimiter=parse.delimiter, quote_char=False)
    plain = csv.ConvertOptions(
        null_values=_QUICK, decimal_point=convert.decimal_point, include_columns=convert.include_columns
    )
    first = head_of(body.buffer, HEAD)
    try:
        for part in (pa.py_buffer(first[: first.rfind(b"\n") + 1]), body.buffer):
            table = csv.read_csv(pa.BufferReader(part), read, parse, plain) if part.size else None
            if table is None or not all(map(_is_numbers, table.columns)):
                return None
    except pa.ArrowInvalid:  # a delimiter may have been between quotation marks, or a line is torn
        return None
    return table


def _is_numbers(column: "pa.ChunkedArray") -> bool:
    """Whether a column was read as numbers, or times."""
    import pyarrow as pa

    return not (pa.types.is_string(column.type) or pa.types.is_binary(column.type))


def _parse_ragged(
    path: Path, body: Body, layout: Layout, text: Text, options: tuple[Any, ...]
) -> tuple["pa.Table", list[str]]:
    """What has lines with another number of fields: without these, if the recipe says so.

    Raises:
        RecipeError: naming the first of them, if it does not.
    """
    import pyarrow as pa
    from pyarrow import csv

    wrong: list[tuple[int, str]] = []

    def skip(row: "csv.InvalidRow") -> str:
        wrong.append((row.actual_columns, row.text[:200]))
        return "skip"

    read, parse, convert = options
    parse.invalid_row_handler = skip
    table = csv.read_csv(pa.BufferReader(body.buffer), read, parse, convert)
    notes = []
    if remarks := [line for _, line in wrong if line.lstrip().startswith(_REMARKS)]:
        notes.append(f"{len(remarks)} lines of remarks were left out, first {remarks[0][:40]!r}")
    wrong = [(count, line) for count, line in wrong if not line.lstrip().startswith(_REMARKS)]
    if not wrong:
        return table, notes
    count, first = wrong[0]
    if text.unreadable == "error":
        found = f"line {body.line_of(first)} has {count} fields, not {len(layout.names)}: {first[:60]!r}"
        raise cannot_be_read(path, found, 'mend it, or leave such lines out by unreadable = "drop" in the recipe')
    return table, [*notes, f"{len(wrong)} lines without {len(layout.names)} fields were left out, first {first[:40]!r}"]


def _is_read(name: str, readable: set[str] | None) -> bool:
    """Whether a recipe may read a column: by its name, by that without its unit or place, or a part of its text."""
    if name.startswith("\0"):
        return False
    called = {name, f"{name}#1", split(name)[0], re.sub(r"#\d+$", "", name)}
    return (
        readable is None or bool(called & readable) or any(one.startswith((f"{name}[", f"{name}=")) for one in readable)
    )

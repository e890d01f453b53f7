"""Loads a table from a file of any kind: whole, or piece after piece where it is too large to be held."""

import csv
import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.allocator import available_bytes
from worldmodel.errors import NoMemoryError
from worldmodel.logs.ingest.formats.tables import excel, json_file, json_lines
from worldmodel.logs.ingest.formats.tables.components import COMBINED, combined, components
from worldmodel.logs.ingest.formats.tables.fields import HEAD, encoding_of, rate_told
from worldmodel.logs.ingest.formats.tables.layout import LINES, Layout, find_layout, unique
from worldmodel.logs.ingest.formats.tables.letters import without_commas, without_letters
from worldmodel.logs.ingest.formats.tables.matlab import load_vectors
from worldmodel.logs.ingest.formats.tables.members import JSON, VECTORS, Opener, head_of, suffix
from worldmodel.logs.ingest.formats.tables.members import LINES as JSON_LINES
from worldmodel.logs.ingest.formats.tables.nested import flat, sound
from worldmodel.logs.ingest.formats.tables.parsing import MISSING, cannot_be_read, parse
from worldmodel.logs.ingest.formats.tables.plain import is_other, plain
from worldmodel.logs.ingest.formats.tables.plain.rows import FILE
from worldmodel.logs.ingest.formats.tables.recipe import Recipe, Text
from worldmodel.logs.ingest.formats.tables.table import ROW, Table
from worldmodel.logs.ingest.formats.tables.text import Body, body_of, in_pieces, lines_in
from worldmodel.logs.ingest.recording import IN_PIECES

if TYPE_CHECKING:
    import pyarrow as pa

_TIMES = 4  # of a text's bytes: what it takes to make a log of it
_ENOUGH = 8 << 20  # bytes of a text; of a longer one a recipe is suggested from its beginning, middle and end
_WRAPPED = re.compile(r"^[(\[{](.*)[)\]}]$")  # a unit in brackets
_MOST_OTHER = 512 << 20  # bytes of a text that is made a plain table in memory
_PIECE = 512 << 20  # bytes of a text, or of the numbers of a Parquet file, that are a table at most
_PART = 2 << 20  # of each at most,
_ROWS = 8192  # and about as many lines


def load(path: Path, name: str, opened: Opener, recipe: Recipe | None) -> Table:
    """Loads a table as a whole.

    Args:
        path: the source, for messages.
        name: of the file within it, whose suffix says of what kind it is.
        opened: what opens it.
        recipe: what says how it is laid out, and which columns are read from it; None for all columns of a text's
            beginning.

    Raises:
        RecipeError: if it cannot be read as a table.
    """
    (table,) = load_pieces(path, name, opened, recipe, math.inf)
    return table


def load_pieces(
    path: Path, name: str, opened: Opener, recipe: Recipe | None, most: float | None = None
) -> Iterator[Table]:
    """Loads a table, or one after the other the pieces of a text or a Parquet file that has more bytes than `most`.

    So the memory that it takes does not grow with its size. By default that is 512 MiB, else all is as in `load`.
    """
    import pyarrow as pa

    where = path if path.name == Path(name).name else path / name
    first = 0
    try:
        for table in _load(where, name, opened, recipe, _PIECE if most is None else most):
            count = table.data.num_rows
            rows = np.arange(first, first + count, dtype=np.min_scalar_type(first + count))  # as little as they need
            yield table.part(table.data.append_column(ROW, pa.array(rows)))
            del table, rows  # before the next is read
            first += count
    except (pa.ArrowException, csv.Error, OSError, ValueError, NotImplementedError, MemoryError) as error:
        raise cannot_be_read(where, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _load(path: Path, name: str, opened: Opener, recipe: Recipe | None, most: float) -> Iterator[Table]:
    kind = suffix(name)
    if kind in VECTORS:
        data, notes = load_vectors(path)
        yield Table(path, data, notes=notes)
        return
    buffer = opened()
    if kind == ".parquet":
        yield from _load_parquet(path, buffer, recipe, most)
    elif kind in (".feather", ".arrow"):
        yield _load_feather(path, buffer)
    elif kind in (".xlsx", ".xls", ".xlsb", ".ods"):
        yield _load_sheet(path, buffer, recipe)
    elif kind in JSON:
        data, notes = json_file.parse(buffer.to_pybytes())
        yield Table(path, flat(data), notes=notes)
    else:
        if recipe is not None:  # else it is read in part
            _check_room(path, min(buffer.size, most))
        yield from (_load_lines if kind in JSON_LINES else _load_text)(path, buffer, recipe, most)


def _load_feather(path: Path, buffer: "pa.Buffer") -> Table:
    import pyarrow as pa
    from pyarrow import feather

    return Table(path, flat(sound(feather.read_table(pa.BufferReader(buffer)))))


def _load_parquet(path: Path, buffer: "pa.Buffer", recipe: Recipe | None, most: float) -> Iterator[Table]:
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(pa.BufferReader(buffer))
    count, groups = file.metadata.num_rows, file.metadata.num_row_groups
    size = sum(file.metadata.row_group(i).total_byte_size for i in range(groups))
    size = max(size, 8 * count * file.metadata.num_columns)  # what repeats is less in the file
    if recipe is None and size > _PIECE:
        few = (itertools.islice(file.iter_batches(_ROWS, [i]), 1) for i in sorted({0, groups // 2, groups - 1}))
        yield Table(path, flat(sound(pa.Table.from_batches(itertools.chain.from_iterable(few)))))
        return
    if size <= most:
        yield Table(path, flat(sound(file.read())))
        return
    rows = math.ceil(count / math.ceil(size / most))
    for number, batch in enumerate(file.iter_batches(rows), 1):
        yield _piece(Table(path, flat(sound(pa.Table.from_batches([batch])))), number)


def _piece(table: Table, number: int) -> Table:
    """A piece by its number, counted from 1; 0 where it is the whole."""
    if number == 1:
        table.notes.append(IN_PIECES)
    return dataclasses.replace(table, piece=number)


def _check_room(path: Path, size: float) -> None:
    """Refuses a text that does not fit into memory, before the system stops the process without a word.

    Raises:
        NoMemoryError: which says by how much.
    """
    needed, there = _TIMES * size, available_bytes()
    if needed > there:
        raise NoMemoryError(
            f"{path} does not fit into memory.",
            expected=f"some {needed / 1e9:.1f} GB",
            found=f"{there / 1e9:.1f} GB that are free",
            remedy="cut it into files of a shorter time each, with the header line in all of them",
        )


def _load_lines(path: Path, buffer: "pa.Buffer", recipe: Recipe | None, most: float) -> Iterator[Table]:
    lacking = set(recipe.needed()) if recipe is not None else set()
    for body, text, number in _bodies(buffer, recipe, most):
        body = body.without_zeros()
        data, notes = json_lines.parse(body, text, MISSING)
        table = _piece(Table(path, flat(data), {}, text.unreadable, [*body.notes, *notes]), number)
        if number and recipe is not None:
            lacking &= {*table.lacking(sorted(lacking))}
            table = _with_columns(table, table.lacking(list(recipe.readable())))
        yield table
        del data, table
    if number and lacking:
        raise ValueError(f"no line has {', '.join(sorted(lacking))}")


def _with_columns(table: Table, names: Sequence[str]) -> Table:
    """With columns that hold nothing, as of objects that lack what others have."""
    import pyarrow as pa

    for name in names:
        table = table.part(table.data.append_column(name, pa.nulls(table.data.num_rows)))
    return table


def _layout(lines: Sequence[str], recipe: Recipe | None, delimiter: str | None = None) -> Layout:
    if recipe is None:
        return find_layout(lines, Text(delimiter), ())
    text = dataclasses.replace(recipe.text, delimiter=delimiter) if delimiter else recipe.text
    return find_layout(lines, text, recipe.needed(), next(iter(recipe.clock.columns), ""))


def _load_sheet(path: Path, buffer: "pa.Buffer", recipe: Recipe | None) -> Table:
    import pyarrow as pa

    sheets = dict(excel.sheets_of(buffer, recipe.sheet if recipe else ""))
    name, rows, layout = _first_table(sheets, recipe)
    others = [other for other in sheets if other != name]
    notes = [f"of its sheets {name!r} is read, and not {', '.join(others)}"] if others else []
    missing = {*MISSING, *(recipe.text.missing if recipe else ())}
    body = rows[layout.start :]
    columns = {
        name: excel.column([row[i] if i < len(row) else "" for row in body], missing)
        for i, name in enumerate(layout.names)
        if name
    }
    data, told = without_letters(pa.table(columns), ".", recipe.text.thousands if recipe else None)
    return Table(path, data, told | _units(layout), recipe.text.unreadable if recipe else "error", notes)


def _first_table(sheets: dict[str, list[list[Any]]], recipe: Recipe | None) -> tuple[str, list[list[Any]], Layout]:
    """The first sheet that has a header with data below.

    Raises:
        ValueError: if none has; what is wrong with the first.
    """
    wrong: list[ValueError] = []
    for name, rows in sheets.items():
        try:
            return name, rows, _layout([excel.as_line(row) for row in rows[:LINES]], recipe, "\t")
        except ValueError as error:
            wrong.append(error)
    raise wrong[0]


def _load_text(path: Path, buffer: "pa.Buffer", recipe: Recipe | None, most: float) -> Iterator[Table]:
    if (recipe is None or recipe.text.header) and is_other(_first_lines(buffer)):
        yield _load_other(path, buffer, recipe)
        return
    layout: Layout | None = None
    for body, text, number in _bodies(buffer, recipe, most):
        body = body.without_zeros() if body.shows_zeros else body  # those within are for the parser to meet
        if layout is None:
            layout = _layout(body.lines(), recipe)
            rate_hz = rate_told(body.lines()[: layout.start])
            body = body.from_line(layout.start)
        yield _piece(_laid_out(path, body, layout, text, _readable(recipe), rate_hz), number)


def _laid_out(
    path: Path, body: Body, layout: Layout, text: Text, readable: set[str] | None, rate_hz: float | None
) -> Table:
    """The table of a text without what is above its data."""
    body = body.without_torn_line(layout)
    parts = components(layout.names)
    parts = parts if readable is None or COMBINED in readable else {}
    data, notes = parse(path, body, layout, text, readable and readable | set(parts.values()))
    if layout.decimal == "," and text.decimal is None:
        notes = ["its numbers are read with decimal commas", *notes]
    if layout.delimiter == "," and text.thousands is None:
        data, marked = without_commas(data)
        notes += [f"commas between thousands are left out: {', '.join(marked[:20])}"] if marked else []
    data, told = without_letters(data, layout.decimal, text.thousands)
    there = set(data.column_names)
    left = tuple(name for name in layout.names if name and name not in there)
    data = combined(data, parts) if parts else data
    return Table(path, data, told | _units(layout), text.unreadable, [*body.notes, *notes], left, rate_hz)


def _first_lines(buffer: "pa.Buffer") -> list[str]:
    head = head_of(buffer, HEAD)
    encoding, mark = encoding_of(head, None)
    return head[mark:].decode(encoding, "replace").splitlines()


def _load_other(path: Path, buffer: "pa.Buffer", recipe: Recipe | None) -> Table:
    """Loads what is no plain table, but becomes one."""
    import pyarrow as pa

    if buffer.size > _MOST_OTHER:
        raise ValueError(f"it is larger than {_MOST_OTHER >> 20} MB: export it in parts, or as CSV")
    body = body_of(buffer, *encoding_of(head_of(buffer, HEAD), None), None).without_zeros()
    made = plain(body.buffer.to_pybytes().decode("utf-8", "replace").splitlines())
    names = [name.replace(FILE, path.stem) for name in made.names]
    layout = Layout("\t", made.decimal, unique(names), (), 1)
    text = recipe.text if recipe else Text()
    data, notes = parse(path, Body(pa.py_buffer(made.as_text())).from_line(1), layout, text, _readable(recipe))
    data, told = without_letters(data, made.decimal, None)
    left = tuple(name for name in layout.names if name not in set(data.column_names))
    return Table(path, data, told, text.unreadable, [*body.notes, *made.notes, *notes], left)


def _bodies(buffer: "pa.Buffer", recipe: Recipe | None, most: float) -> Iterator[tuple[Body, Text, int]]:
    """A text, or as much of it as is enough without a recipe; how it is laid out; and which piece it is, 0 for all."""
    text = recipe.text if recipe else Text()
    encoding, mark = encoding_of(head_of(buffer, HEAD), text.encoding)
    if recipe is None and buffer.size > _ENOUGH:
        buffer = _sampled(buffer, encoding)
    pieces, line = in_pieces(buffer, encoding, most), 0
    for number, piece in enumerate(pieces, 1):
        body = body_of(piece, encoding, mark if number == 1 else 0, text.comment)
        yield dataclasses.replace(body, line=line), text, number if len(pieces) > 1 else 0
        line += lines_in(piece) if number < len(pieces) else 0


def _sampled(buffer: "pa.Buffer", encoding: str) -> "pa.Buffer":
    """Whole lines from the beginning, the middle and the end; where a byte may be a part of a letter, the beginning."""
    import pyarrow as pa

    if encoding not in ("utf-8", "cp1252"):
        return buffer.slice(0, 4 * _PART)
    first = head_of(buffer, HEAD)
    size = min(_PART, max(HEAD, _ROWS * len(first) // max(1, first.count(b"\n"))))
    head = buffer.slice(0, size).to_pybytes()
    parts = [head[: head.rfind(b"\n") + 1]]
    for start in (buffer.size // 2, buffer.size - size):
        part = buffer.slice(start, size).to_pybytes()
        parts.append(part[part.find(b"\n") + 1 : part.rfind(b"\n") + 1])
    return pa.py_buffer(b"".join(parts))


def _readable(recipe: Recipe | None) -> set[str] | None:
    """The columns that a recipe reads; None for all, as where it names some by their places."""
    names = set(recipe.readable()) if recipe and not recipe.rest else None
    return None if names is None or any(name.startswith("#") for name in names) else names


def _units(layout: Layout) -> dict[str, str]:
    told = (_WRAPPED.sub(r"\1", unit.strip()) for unit in layout.units)
    return {name: unit for name, unit in zip(layout.names, told, strict=False) if name and unit}

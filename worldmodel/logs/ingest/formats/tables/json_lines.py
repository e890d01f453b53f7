"""Tables of JSON lines (https://jsonlines.org): an object a row, whose nested objects are columns with dotted names."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from worldmodel.logs.ingest.formats.tables.recipe import Text
from worldmodel.logs.ingest.formats.tables.text import Body

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 1 << 24  # bytes that pyarrow parses at a time; an object has to fit into one
_DEEPEST = 8  # objects within each other


def is_object(line: str) -> bool:
    """Whether a line is an object that has a number in it."""
    try:
        return any(_is_number(value) for _, value in flat_fields(_object(line)))
    except ValueError:
        return False


def parse(body: Body, text: Text, missing: Sequence[str]) -> tuple["pa.Table", list[str]]:
    """The columns of a text, and what was left out of it.

    Raises:
        ValueError: for a line that is no object, unless the recipe leaves such lines out.
    """
    import pyarrow as pa
    from pyarrow import json as arrow

    options = arrow.ReadOptions(block_size=_BLOCK)
    try:
        table, notes = arrow.read_json(pa.BufferReader(body.buffer), options), list[str]()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # it does not say which line, or mixes kinds
        table, notes = _line_by_line(body, text)
    if not table.num_columns:
        raise ValueError("none of its lines is a JSON object that has fields")
    return _without_words(table, {*missing, *text.missing}), notes


def _line_by_line(body: Body, text: Text) -> tuple["pa.Table", list[str]]:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    wrong: list[tuple[int, str]] = []
    count = 0
    for number, line in enumerate(io.TextIOWrapper(pa.BufferReader(body.buffer), "utf-8", "replace"), body.line + 1):
        if not line.strip():
            continue
        try:
            fields = dict(flat_fields(_object(line)))
        except ValueError as error:
            wrong.append((number, f"line {number} is no JSON object, {str(error)[:80]}: {line.strip()[:60]!r}"))
            torn = not line.endswith("\n")
            continue
        put(columns, fields, count)
        count += 1
    notes = []
    if wrong and torn:
        notes = [f"the last line is torn, and was left out: {wrong.pop()[1]}"]
    if wrong and (text.unreadable == "error" or not count):
        raise ValueError(f'{wrong[0][1]} (unreadable = "drop" in a recipe leaves such lines out)')
    notes += [f"{len(wrong)} lines were left out, the first of which: {wrong[0][1]}"] if wrong else []
    return table_of(columns), notes


def put(columns: dict[str, list[Any]], fields: Mapping[str, Any], count: int) -> None:
    """Puts the fields of a row below `count` others; None where it lacks one, or they did."""
    for name, value in fields.items():
        columns.setdefault(name, [None] * count).append(value)
    for values in columns.values():
        values += [None] * (count + 1 - len(values))


def table_of(columns: Mapping[str, list[Any]]) -> "pa.Table":
    """Columns of one length; each that holds lists is parted into one an element."""
    import pyarrow as pa

    parted = [part for name, values in columns.items() for part in _elements(name, values)]
    return pa.table({name: _column(values) for name, values in parted})


def _elements(name: str, values: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """A column itself; where it holds lists of one length, as an array does, one an element."""
    there = [value for value in values if value is not None]
    if not there or not all(isinstance(value, list) for value in there) or len({len(v) for v in there}) > 1:
        yield name, values
        return
    for i in range(len(there[0])):
        yield from _elements(f"{name}[{i}]", [None if value is None else value[i] for value in values])


def _object(line: str) -> dict[str, Any]:
    """What a line says.

    Raises:
        ValueError: if it is no JSON, or no object.
    """
    try:
        found = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"but a {type(found).__name__}")
    return found


def flat_fields(found: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The fields of an object and of those in it, with dotted names.

    Raises:
        ValueError: if they are nested too deeply.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    for name, value in found.items():
        if isinstance(value, dict):
            yield from flat_fields(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, list) and any(map(_is_number, value)))


def _column(values: list[Any]) -> "pa.Array":
    """Values as numbers or booleans; else as text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError):
        numbers = all(value is None or isinstance(value, int | float) for value in values)
        if numbers:
            return pa.array([None if value is None else float(value) for value in values])
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values])


def _without_words(table: "pa.Table", missing: set[str]) -> "pa.Table":
    """A table in which words for nothing are nothing."""
    import pyarrow as pa
    from pyarrow import compute

    for index, name in enumerate(table.column_names):
        column = table[name]
        if pa.types.is_string(column.type):
            nothing = compute.is_in(compute.utf8_trim_whitespace(column), pa.array(sorted(missing)))
            table = table.set_column(index, name, compute.if_else(nothing, None, column))
    return table

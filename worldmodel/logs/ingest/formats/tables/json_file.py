"""JSON files that hold a table as a whole.

They are records `[{"time": 0.0, "ax": 0.1}, ...]`, columns `{"time": [0.0, ...], "ax": [...]}`, columns as pandas
writes them `{"time": {"0": 0.0, ...}}`, or several of these in an object, each of a length and a clock of its own.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from worldmodel.logs.ingest.formats.tables.json_lines import flat_fields, put, table_of

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_BYTES = 256 << 20
_DEEPEST = 8
_FEW = 7  # stamps make no table
_WORDS = "time|stamp|seconds|elapsed|millis|micros|epoch|utc|clock"
_CLOCK = rf'(?:"[^"\\]{{0,40}}(?:{_WORDS})[^"\\]{{0,40}}"|"(?:ts?|date|ms|sec)")'
_COLUMNS = re.compile(  # the clock's name
    rf'"columns"\s*:\s*\[[^\]]*{_CLOCK}'  # among those of columns,
    rf'|{_CLOCK}\s*:\s*\[\s*["\d-](?:[^\],]*,){{{_FEW}}}'  # before a list of some numbers,
    rf'|{_CLOCK}\s*:\s*\{{\s*"0"\s*:',  # or before the object that pandas writes
    re.IGNORECASE,
)
_RECORD = re.compile(rf'{_CLOCK}\s*:\s*["\d-]', re.IGNORECASE)  # in an object of a list


def holds_table(head: str) -> bool:
    """Whether the beginning of a file is that of a table with a clock; descriptions of all kinds are JSON too."""
    records = re.search(r"\[\s*\{", head) is not None and len(_RECORD.findall(head)) > _FEW
    return head.lstrip()[:1] in ("[", "{") and (records or bool(_COLUMNS.search(head)))


def parse(data: bytes) -> tuple["pa.Table", list[str]]:
    """The columns of a file, and what was left out. Shorter ones, as of other sensors, are followed by nothing.

    Raises:
        ValueError: if it is no JSON, too large, or holds no columns.
    """
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MB: export it as JSON lines, or as CSV")
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no whole JSON: {error}") from error
    columns = {name or "value": values for name, values in _columns("", _of_pandas(found)) if len(values) > 1}
    if len({name.partition(".")[0] for name in columns}) == 1:  # that of what all of it lies in
        columns = {name.partition(".")[2] or name: values for name, values in columns.items()}
    rows = max(map(len, columns.values()), default=0)
    if not columns:
        raise ValueError("it holds no array of objects, and no arrays of numbers")
    alone = [_scalar(name, value) for name, value in found.items()] if isinstance(found, dict) else []
    notes = [f"single values are left out: {', '.join(filter(None, alone))[:200]}"] if any(alone) else []
    return table_of({name: values + [None] * (rows - len(values)) for name, values in columns.items()}), notes


def _of_pandas(found: Any) -> Any:
    """What `to_json(orient="split")` and `orient="table"` hold."""
    if not (isinstance(found, dict) and isinstance(found.get("columns"), list) and isinstance(found.get("data"), list)):
        return found
    if not all(isinstance(row, list) for row in found["data"]):
        return found
    return [dict(zip(map(str, found["columns"]), row, strict=False)) for row in found["data"]]


def _columns(prefix: str, found: Any, depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """Arrays by their dotted names, those of an array of objects by their fields."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(found, dict) and found and all(key.isdigit() for key in found):
        found = list(found.values())  # by its rows, as pandas writes it
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _columns(f"{prefix}.{name}" if prefix else name, value, depth + 1)
    elif isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        for name, values in _fields(found).items():
            yield f"{prefix}.{name}" if prefix else name, values
    elif isinstance(found, list):
        yield prefix, found


def _fields(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The fields of objects, None where one lacks it."""
    columns: dict[str, list[Any]] = {}
    for count, row in enumerate(rows):
        put(columns, dict(flat_fields(row)), count)
    return columns


def _scalar(name: str, value: Any) -> str:
    return f"{name} = {value}" if isinstance(value, str | int | float) else ""

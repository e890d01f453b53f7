"""Tables that have a row a reading, whose name stands in one column and whose value in another."""

import re
from collections.abc import Sequence

from worldmodel.logs.ingest.formats.tables.conversions import is_unit, si, spelt
from worldmodel.logs.ingest.formats.tables.suggest.stream import Column, Suggested, plain
from worldmodel.logs.ingest.formats.tables.table import Table

_VALUE = re.compile(r"(?:^|_)(?:value|val|reading|measurement|wert|state)$")
_NAME = re.compile(
    r"(?:^|_)(?:pid|name|signal|channel|sensor|topic|key|parameter|param|variable|var|metric|quantity|field|tag|item|label)"
    r"(?:_?(?:id|name|no|num))?$|^entity_id$"
)
_UNIT = re.compile(r"(?:^|_)units?(?:_of_measurement)?$")
_MOST = 500  # names


def by_name(table: Table, numeric: Sequence[str], taken: Sequence[str]) -> list[Suggested]:
    """A stream for each name of a table of readings by their names; none where it is another table."""
    from pyarrow import compute

    values = [name for name in numeric if _VALUE.search(plain(name))]
    keys = [name for name in table.names if name not in taken and _NAME.search(plain(name))]
    if len(values) != 1 or len(keys) != 1 or set(numeric) - {*values, *keys}:
        return []
    names = compute.unique(table.column(keys[0]).drop_null()).to_pylist()
    if not 0 < len(names) <= _MOST or not all(isinstance(name, str | int) for name in names):
        return []
    units = next((name for name in table.names if _UNIT.search(plain(name))), "")
    return [_stream(table, keys[0], name, values[0], units) for name in names]


def _stream(table: Table, key: str, name: str | int, value: str, units: str) -> Suggested:
    from pyarrow import compute

    told = ""
    if units:
        rows = compute.equal(table.column(key), name)
        words = compute.unique(table.column(units).filter(rows).drop_null()).to_pylist()
        told = spelt(str(words[0])) if len(words) == 1 else ""
    known = told if is_unit(told) else ""
    column = Column("value", value, si(known), known if si(known) != known else "")
    where = name.strip() if isinstance(name, str) else name
    return Suggested(plain(str(name)), "sensor", [column], where={key: where})

"""Tables that have a row a reading, whose name stands in one column and whose value in another."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.logs.ingest.formats.tables.conversions import is_unit, si, spelt, split
from worldmodel.logs.ingest.formats.tables.suggest.kinds import PLACE
from worldmodel.logs.ingest.formats.tables.suggest.stream import Column, Suggested, plain
from worldmodel.logs.ingest.formats.tables.table import Table

_VALUE = re.compile(r"(?:^|_)(?:value|val|reading|measurement|wert|state)$")
_NAME = re.compile(
    r"(?:^|_)(?:pid|name|signal|channel|sensor|topic|key|parameter|param|variable|var|metric|quantity|field|tag|item|label"
    r"|device|node|robot|agent|vehicle|joint|mac|address)"
    r"(?:_?(?:id|name|no|num))?$|^entity_id$"
)
_EVENT = re.compile(  # words that name readings where nothing else does, and a value stands beside them
    r"(?:^|_)(?:event|type|kind|point|register|attribute|property|object)(?:_?(?:id|name|type))?$"
)
_UNIT = re.compile(r"(?:^|_)units?(?:_of_measurement)?$")
_QUALITY = re.compile(r"(?:^|_)(?:quality|qual|status)(?:_?(?:code|flag))?$")
_GOOD = re.compile(r"(?:good|ok|valid)\b", re.IGNORECASE)
_OF_OPC = (192, 255)  # its codes of quality that are good, of a byte
_MOST = 500  # names
_TURNS = 10


def by_name(
    table: Table, numeric: Sequence[str], taken: Sequence[str]
) -> tuple[list[tuple[Suggested, Table]], list[str]]:
    """A stream, and its rows, for each name of a table of readings by their names, and doubts; else none."""
    from pyarrow import compute

    key = name_column(table, taken)
    good = _only_good(table, taken)
    values = [name for name in numeric if name != key and name not in good]
    if not key or not values:
        return [], []
    names = compute.unique(table.column(key).drop_null()).to_pylist()
    if not 0 < len(names) <= _MOST or not all(isinstance(name, str | int) for name in names):
        return [], []
    readings = [name for name in values if _VALUE.search(plain(name))]
    alone = len(readings) == 1 and all(PLACE.search(plain(name)) for name in values if name not in readings)
    values = readings if alone else values
    if not alone and not (len(names) > 1 and _take_turns(table, key, names)):
        return [], []
    units = next((name for name in table.names if _UNIT.search(plain(name))), "")
    found = [_stream(table, key, name, values, units) for name in names]
    for stream, _ in found:
        stream.where |= good
    told = [f"rows whose {name} is not good are taken for no readings" for name in good]
    return [(stream, rows) for stream, rows in found if stream.columns], told


def name_column(table: Table, taken: Sequence[str]) -> str:
    """The column that is called as names of readings are; empty where none is, or several are."""
    from pyarrow import types

    own = [name for name in table.names if name not in taken]
    keys = [name for name in own if _NAME.search(plain(name))]
    if not keys and sum(bool(_VALUE.search(plain(name))) for name in own) == 1:
        keys = [name for name in own if _EVENT.search(plain(name)) and table.is_words(name)]
    return keys[0] if len(keys) == 1 and not types.is_nested(table.kind(keys[0])) else ""


def _only_good(table: Table, taken: Sequence[str]) -> dict[str, Any]:
    """What a column of quality holds where a reading is one, as a recipe's `where` has it; empty where none tells."""
    from pyarrow import compute, types

    for name in table.names:
        if name in taken or not _QUALITY.search(plain(name)) or types.is_nested(table.kind(name)):
            continue
        told = compute.unique(table.column(name).drop_null()).to_pylist()
        good, most = _OF_OPC
        if types.is_integer(table.kind(name)) and good in told and min(told) >= 0 and max(told) <= most:
            return {name: {"at_least": good}}
        words = sorted({word.strip() for word in told if isinstance(word, str) and _GOOD.match(word.strip())})
        if words:
            return {name: words[0] if len(words) == 1 else {"among": words}}
    return {}


def _take_turns(table: Table, key: str, names: Sequence[str | int]) -> bool:
    """Whether the rows of several names alternate, as sensors do and labels do not.

    Names that are numbers each come back after about as many rows, or are readings themselves, as `wall_signal` is.
    """
    codes = table.codes(key)
    if not int((np.diff(codes) != 0).sum()) > max(_TURNS * len(names), len(codes) // _TURNS):
        return False
    return isinstance(names[0], str) or all(_comes_evenly(codes == code) for code in range(len(names)))


def _comes_evenly(there: np.ndarray) -> bool:
    """Whether rows [M] that are there lie about equally far apart, where those by chance have many times the median."""
    apart = np.diff(np.flatnonzero(there))
    return len(apart) > 1 and bool(np.quantile(apart, 0.9) <= 2 * np.median(apart) + 1)


def _stream(table: Table, key: str, name: str | int, values: Sequence[str], units: str) -> tuple[Suggested, Table]:
    from pyarrow import compute

    told, rows = "", compute.equal(table.column(key), name)
    values = [value for value in values if len(table.column(value).filter(rows).drop_null())]
    if units:
        words = compute.unique(table.column(units).filter(rows).drop_null()).to_pylist()
        told = spelt(str(words[0])) if len(words) == 1 else ""
    told = told or split(str(name))[1]
    known = told if is_unit(told) else ""
    columns = [Column(plain(value), value, si(known), known if si(known) != known else "") for value in values]
    where = name.strip() if isinstance(name, str) else name
    own = table.part(table.data.filter(rows))
    return Suggested(plain(str(name)), "sensor", columns, where={key: where}), own

"""Fixes that the receiver itself calls none, in a column beside them: by their type, their quality or their status."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.logs.ingest.formats.tables.rows import fulfilled
from worldmodel.logs.ingest.formats.tables.suggest.evidence import Evidence
from worldmodel.logs.ingest.formats.tables.suggest.kinds import PLACE
from worldmodel.logs.ingest.formats.tables.suggest.stream import Suggested, plain
from worldmodel.logs.ingest.formats.tables.table import Table

_FLAG = re.compile(
    r"(?P<of>.*?)_?(?:(?P<type>fix_?(?:type|mode)|mode|lock)"
    r"|(?P<quality>(?:fix_?)?qual(?:ity)?|(?:has_?)?fix(?:_?(?:ok|valid))?|valid|ok)"
    r"|(?P<status>(?:fix_?)?(?:status_)?status))"
)
_OF_ANYTHING = re.compile(r"mode|lock|valid|ok|(?:status_)?status")  # unless it is told of what
_RECEIVERS = ("", "gps", "gnss", "nav", "rtk", "location", "position", "pos")
_NO_FIX = {
    "no fix", "nofix", "none", "no gps", "no lock", "no position", "invalid", "not valid", "not available",
    "fix not available", "void", "no", "false",
}  # fmt: skip
_RMC = {"a": True, "v": False}  # active and void
_LEAST, _MOST = -1, 9  # numbers that stand for a kind of fix
_PLANE = 2  # the type of a fix in the plane: 0 and 1 are none
_KNOWN = 0.9  # of the fixes, of which a column tells what they are


def only_fixes(streams: Sequence[Suggested], evidence: Evidence) -> None:
    """Gives positions the condition that their receiver calls them a fix.

    One that calls none a fix, though they move, does not tell it there.
    """
    table = evidence.table
    for stream in (stream for stream in streams if stream.kind == "gps" and not stream.where):
        place = np.stack([table.floats(column.source) for column in stream.columns[:2]], 1)
        there = np.isfinite(place).all(1)
        for flag, condition in _conditions(stream, evidence).items():
            column = table.column(flag)
            if np.asarray(column.is_valid())[there].mean() < _KNOWN:
                continue
            if fulfilled(column, condition)[there].any() or not np.ptp(place[there], axis=0).any():
                stream.where[flag] = condition
                stream.doubts.append(f"rows of which {flag} tells that they are no fix are left out")
            else:
                stream.doubts.append(f"{flag} tells of no row that it is a fix, which is not believed, as they move")


def _conditions(stream: Suggested, evidence: Evidence) -> dict[str, Any]:
    """What a row has to fulfil to be a fix, by the column that tells, where some do not."""
    name = plain(stream.columns[0].source)
    place = PLACE.search(name)
    of = name[: place.start()].strip("_") if place else ""
    found = {}
    for flag in evidence.table.names:
        match = _FLAG.fullmatch(plain(flag))
        if not match or _receiver(match["of"]) != _receiver(of):
            continue
        if not match["of"] and _OF_ANYTHING.fullmatch(plain(flag)) and not _is_rmc(evidence.table, flag):
            continue
        if condition := _of_words(evidence.table, flag) or _of_numbers(evidence, flag, str(match.lastgroup)):
            found[flag] = condition
    return found


def _receiver(of: str) -> str:
    return "" if of in _RECEIVERS else of


def _words(table: Table, flag: str) -> dict[str, str]:
    """The words of a column as they are spelt, and in small letters with blanks between them."""
    import pyarrow as pa

    column = table.column(flag)
    if not pa.types.is_string(column.type):
        return {}
    words = [str(word) for word in column.unique().drop_null()]
    return {word.strip(): re.sub(r"[\s_-]+", " ", word.strip().lower()) for word in words if word.strip()}


def _is_rmc(table: Table, flag: str) -> bool:
    words = _words(table, flag)
    return bool(words) and set(words.values()) <= _RMC.keys()


def _of_words(table: Table, flag: str) -> dict[str, Any]:
    words = _words(table, flag)
    rmc = _is_rmc(table, flag)
    fixes = [word for word, told in words.items() if not (told in _NO_FIX or (rmc and not _RMC[told]))]
    none = [word for word in words if word not in fixes]
    if len(none) == 1:
        return {"not": none[0]}
    return {"among": fixes} if none else {}


def _of_numbers(evidence: Evidence, flag: str, tells: str) -> dict[str, Any]:
    from pyarrow import types

    kind = evidence.table.kind(flag)
    if not any(test(kind) for test in (types.is_integer, types.is_floating, types.is_boolean)):
        return {}
    told = evidence.floats(flag)[0]
    told = told[np.isfinite(told)]
    if not len(told) or (told % 1).any() or told.min() < _LEAST or told.max() > _MOST:
        return {}
    if types.is_boolean(kind):
        return {"not": False} if not told.all() else {}
    if told.min() < 0:
        least = 0  # as ROS numbers them
    elif tells == "quality":
        least = 1
    elif told.max() >= _PLANE + (tells == "status"):  # as ArduPilot does; 0 to 2 are fixes to ROS
        least = _PLANE
    else:
        least = 0 if tells == "status" else 1
    return {"at_least": least} if told.min() < least else {}

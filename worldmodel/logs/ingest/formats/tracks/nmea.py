"""NMEA 0183 (GGA, GNS, RMC, VTG, GSA, ZDA of any talker): the sentences of one time are a fix.

VTG and GSA tell no time and belong to the sentences before them; what GGA and RMC tell themselves goes before theirs.
"""

import datetime
import functools
import itertools
import math
import operator
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from worldmodel.logs.ingest.formats.tracks.fixes import Fixes
from worldmodel.logs.ingest.importer import needed

# After a log's stamp, and before that of Android's GnssLogger.
SENTENCE = re.compile(rb"^[^$]{0,64}\$(([A-Z]{2})([A-Z]{3}),[^$*]{0,250})(\*[0-9A-Fa-f]{2}(?:,\d{1,20})?)?\s*$")
COLUMNS = ("speed", "course", "fix_quality", "satellites", "hdop")
_TYPES = {b"GGA": 14, b"GNS": 12, b"RMC": 11, b"VTG": 8, b"GSA": 17, b"ZDA": 6}  # and their commas at least
_FIRST = 20  # sentences that tell whether a log has checksums: the very first may be torn
_KNOT = 1852 / 3600
_DAY_S = 86_400
_1970 = datetime.date(1970, 1, 1).toordinal()
_VALID = 1.0  # the quality of a fix of which only RMC tells


def fixes(lines: Iterable[bytes], left: Counter[str], notes: list[str]) -> Fixes:
    """Every fix of a log; `left` counts the lines and sentences that are left out."""
    found = Fixes()
    for epoch in _epochs(_messages(lines, needed("pynmeagps", "tracks"), left, notes), left):
        found.add(epoch)
    clock, date = found.column("clock"), found.column("date")
    passed = _midnights(clock)
    days = _days(date, passed)
    found.dated = bool(len(days)) and bool(np.isfinite(days[0]))
    found.columns["time"] = array("d", (days if found.dated else passed) * _DAY_S + clock)
    for name in ("clock", "date"):
        found.columns.pop(name, None)
    return found


def _messages(lines: Iterable[bytes], read: Any, left: Counter[str], notes: list[str]) -> Iterator[Any]:
    sentences = _sentences(lines, left)
    first = list(itertools.islice(sentences, _FIRST))
    checked = any(match[4] for match in first)
    if first and not checked:
        notes.append("its sentences have no checksums: nobody can tell which of them are whole")
    for match in itertools.chain(first, sentences):
        message = _parsed(read, match, checked)
        if message is None:
            left["damaged sentences"] += 1
        else:
            yield message


def _sentences(lines: Iterable[bytes], left: Counter[str]) -> Iterator[re.Match[bytes]]:
    for line in lines:
        match = SENTENCE.match(line) or SENTENCE.match(line[line.rfind(b"$") :])  # after what a receiver says in binary
        if match is None:
            left["lines that are no sentence"] += bool(line.strip())
        elif match[3] not in _TYPES:
            left[match[3].decode()] += 1
        else:
            yield match


def _parsed(read: Any, match: re.Match[bytes], checked: bool) -> Any:
    """A sentence's message; None of one that is damaged, or lacks its checksum where others have theirs."""
    content, check = match[1].strip(), match[4]
    if check is None and (checked or content.count(b",") < _TYPES[match[3]]):
        return None
    check = check[:3] if check else b"*%02X" % functools.reduce(operator.xor, content)
    try:
        return read.NMEAReader.parse(b"$" + content + check)
    except Exception:  # of several types, by what is wrong with it
        return None


def _epochs(messages: Iterable[Any], left: Counter[str]) -> Iterator[dict[str, float]]:
    """What the sentences of one time tell together; what comes before the first time is nobody's.

    Of two receivers that tell the same at one time, the first counts.
    """
    epoch: dict[str, float] = {}
    talkers: dict[str, str] = {}
    for message in messages:
        clock = getattr(message, "time", None)
        if isinstance(clock, datetime.time):
            seconds = clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6
            if epoch.get("clock") != seconds:
                if epoch:
                    yield epoch
                epoch, talkers = {"clock": seconds}, {}
        elif hasattr(message, "time"):
            left["sentences without a time"] += 1  # of a receiver that knows none yet
            continue
        if message.msgID != "GSA" and talkers.setdefault(message.msgID, message.talker) != message.talker:
            left["sentences of another receiver"] += 1
        elif epoch:
            _TELL[message.msgID](epoch, message)
    if epoch:
        yield epoch


def _value(message: Any, name: str) -> float:
    value = getattr(message, name, None)
    return float(value) if isinstance(value, int | float) else math.nan


def _tell(epoch: dict[str, float], **told: float) -> None:
    """Adds what is told and not known yet."""
    epoch.update({name: value for name, value in told.items() if not (math.isnan(value) or name in epoch)})


def _gga(epoch: dict[str, float], message: Any) -> None:
    epoch |= {"latitude": _value(message, "lat"), "longitude": _value(message, "lon")}
    epoch |= {"altitude": _value(message, "alt"), "satellites": _value(message, "numSV")}
    if hasattr(message, "quality"):
        epoch["fix_quality"] = _value(message, "quality")
    elif set(str(message.posMode)) <= {"N"}:  # of each constellation
        epoch["fix_quality"] = 0.0
    else:
        _tell(epoch, fix_quality=_VALID)
    _tell(epoch, hdop=_value(message, "HDOP"))


def _rmc(epoch: dict[str, float], message: Any) -> None:
    valid = message.status == "A"
    _tell(epoch, latitude=_value(message, "lat"), longitude=_value(message, "lon"))
    _tell(epoch, fix_quality=_VALID if valid else 0.0)
    epoch["speed"] = _value(message, "spd") * _KNOT
    epoch["course"] = math.radians(_value(message, "cog"))
    if valid and isinstance(message.date, datetime.date):
        epoch["date"] = float(message.date.toordinal() - _1970)


def _vtg(epoch: dict[str, float], message: Any) -> None:
    for name in ("speed", "course"):
        if math.isnan(epoch.get(name, math.nan)):
            epoch.pop(name, None)
    _tell(epoch, speed=_value(message, "sogn") * _KNOT, course=math.radians(_value(message, "cogt")))


def _gsa(epoch: dict[str, float], message: Any) -> None:
    _tell(epoch, hdop=_value(message, "HDOP"))


def _zda(epoch: dict[str, float], message: Any) -> None:
    day, month, year = (_value(message, name) for name in ("day", "month", "year"))
    if not any(map(math.isnan, (day, month, year))):
        try:
            _tell(epoch, date=float(datetime.date(int(year), int(month), int(day)).toordinal() - _1970))
        except ValueError:
            return


_TELL = {"GGA": _gga, "GNS": _gga, "RMC": _rmc, "VTG": _vtg, "GSA": _gsa, "ZDA": _zda}


def _midnights(clock: np.ndarray) -> np.ndarray:
    """How many midnights have passed before each time of day [M] in seconds."""
    return np.concatenate([[0.0], np.cumsum(np.diff(clock) < -_DAY_S / 2)])[: len(clock)]


def _days(dates: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """The days since 1970 [M]: as told, and by the midnights since or until then where not; NaN where none is told."""
    told = np.flatnonzero(np.isfinite(dates))
    if not len(told):
        return np.full(len(dates), np.nan)
    nearest = told[np.maximum(np.searchsorted(told, np.arange(len(dates)), "right") - 1, 0)]
    return dates[nearest] + passed - passed[nearest]

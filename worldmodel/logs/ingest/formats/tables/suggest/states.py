"""Columns of words for states, such as a gear: each word that comes often is a column, 1 where it holds and else 0."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from worldmodel.logs.ingest.formats.tables.latin import words_of
from worldmodel.logs.ingest.formats.tables.suggest.evidence import Evidence
from worldmodel.logs.ingest.formats.tables.suggest.kinds import COMMANDS
from worldmodel.logs.ingest.formats.tables.suggest.stream import plain

_CALLED = re.compile(  # and not what people say of a recording, such as its activity or its driver
    r"(?:^|_)(?:gear|gang|gangwahl|mode|modus|modo|betriebsart|state|status|zustand|estado|etat|phase|stage|stufe|selector"
    r"|switch|schalter|direction|richtung)(?:_?\d+)?$"
)
_MOST, _LONGEST = 8, 24  # words of a column, and letters of a word
_OFTEN = 0.001  # of the rows


def states_of(names: Sequence[str], evidence: Evidence) -> dict[str, str]:
    """What reads each word of the columns of states among those of words, `gear=P`, and its column."""
    return {f"{name}={word}": name for name in names for word in _words(name, evidence)}


def column_name(source: str, prefix: str) -> str:
    """What the column of a word is called: `gear_p`."""
    name = words_of(source)
    return name.removeprefix(prefix).strip("_") or name


def told_of(states: Mapping[str, str]) -> Iterator[str]:
    """What is said of each column of words."""
    for name in dict.fromkeys(states.values()):
        words = [source.removeprefix(f"{name}=") for source, of in states.items() if of == name]
        yield f"{name}: {', '.join(words)} are a column each, 1 where it holds and else 0"


def _words(name: str, evidence: Evidence) -> list[str]:
    """Those of a column that come often, in all tables of its kind; none where it is no column of states."""
    if not (_CALLED.search(plain(name)) or COMMANDS.search(plain(name))):
        return []
    counts = Counter[str]()
    for table in (evidence.table, *evidence.all):
        if name in table.names and table.is_words(name):
            for row in table.column(name).value_counts().to_pylist():
                counts[(row["values"] or "").strip()] += row["counts"]
    counts.pop("", None)
    often = [word for word, count in counts.items() if count > _OFTEN * counts.total()]
    few = 1 < len(often) <= _MOST and max(map(len, often)) <= _LONGEST
    return sorted(often) if few and len({words_of(word) for word in often} - {""}) == len(often) else []

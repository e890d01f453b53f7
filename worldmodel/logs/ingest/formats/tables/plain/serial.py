"""What terminals write of a serial line with a time before each: Arduino's monitor, PlatformIO, CoolTerm and others.

`12:34:56.789 -> 1.2,3.4` or `12:34:56.799 -> ax:0.1 ay:9.8`.
"""

import re
from collections import Counter
from collections.abc import Sequence

from worldmodel.logs.ingest.formats.tables.plain.rows import Rows, left_out

_STAMP = re.compile(
    r"\s*(?P<open>\[)?(?P<time>(?:\d{4}-\d\d-\d\d[ T])?\d{1,2}:\d\d:\d\d[.,:]\d{1,6})"
    r"(?(open)\](?:\s*-?>)?|\s*-?>)\s?(?P<rest>.*)$"
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf)", re.IGNORECASE)
_LABELLED = re.compile(r"(?P<name>[^\s:=,;]+)\s*[:=]\s*(?P<value>[^\s:=,;]+)")
_PARTS = re.compile(r"\s*[,;\t]\s*|\s+")
_MARK = re.compile(r"[,;\t]")
_Parted = tuple[str, tuple[str, ...], list[str]]  # the time, the labels and the values of a line
_SHARE = 0.5  # of the first lines have a time


def claims(lines: Sequence[str]) -> bool:
    """Whether most lines begin so."""
    there = [line for line in lines if line.strip()]
    return bool(there) and sum(bool(_STAMP.match(line)) for line in there) > _SHARE * len(there)


def plain(lines: Sequence[str]) -> Rows:
    """The lines of numbers, those of as many as most have; names are those of labels, or of a line of words.

    Raises:
        ValueError: if no line holds numbers.
    """
    found = [match for match in map(_STAMP.match, lines) if match]
    parted = [(_time(match["time"]), *_fields(match["rest"])) for match in found]
    kinds = Counter((labels, len(values)) for _, labels, values in parted if _numbers(values))
    if not kinds:
        raise ValueError("none of its lines holds numbers behind the time")
    (labels, width), _ = kinds.most_common(1)[0]
    fits = [names == labels and len(values) == width and _numbers(values) for _, names, values in parted]
    rows = [[time, *values] for (time, _, values), fit in zip(parted, fits, strict=True) if fit]
    names = labels or _names(found, parted, width) or tuple(f"value_{i}" for i in range(1, width + 1))
    told = zip(found, parted, fits, strict=True)
    others = [match["rest"] for match, (_, _, values), fit in told if not fit and tuple(values) != names]
    count = sum(bool(line.strip()) for line in lines) - len(found) + len(others)
    note = left_out(count, "lines that are no rows of numbers", others[0] if others else "")
    return Rows(["time", *names], rows, ".", [*note, "its times are those of the terminal, not of the device"])


def _names(found: Sequence[re.Match[str]], parted: Sequence[_Parted], width: int) -> tuple[str, ...]:
    """The first line of as many words with marks between them, as a header is; a message has blanks."""
    for match, (_, _, values) in zip(found, parted, strict=True):
        if len(values) == width and _MARK.search(match["rest"]) and not any(map(_NUMBER.fullmatch, values)):
            return tuple(values)
    return ()


def _time(told: str) -> str:
    """Parts of a second stand behind a point."""
    return re.sub(r"[,:](\d{1,6})$", r".\1", told)


def _numbers(values: Sequence[str]) -> bool:
    return bool(values) and all(map(_NUMBER.fullmatch, values))


def _fields(rest: str) -> tuple[tuple[str, ...], list[str]]:
    """The labels of a line's values, none where it has none, and the values."""
    labelled = _LABELLED.findall(rest)
    if labelled and not _LABELLED.sub("", rest).strip(" \t,;"):
        return tuple(name for name, _ in labelled), [value for _, value in labelled]
    return (), [part for part in _PARTS.split(rest.strip()) if part]

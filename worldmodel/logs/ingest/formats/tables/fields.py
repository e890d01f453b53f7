"""A line of text and its fields: what they are parted by, and which are values."""

import codecs
import csv
import itertools
import re
from collections.abc import Sequence

HEAD = 1 << 16  # bytes that are looked at
DELIMITERS = (",", ";", "\t", "|", " ")
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf)", re.IGNORECASE)
_RATE = re.compile(  # `Sample rate: 100.0Hz`, `Sampling frequency,250`, `at 30 Hz`
    r"(?:sampl\w*[\s_-]*(?:rate|freq\w*)\W{0,6}(?:\(?hz\)?\W{0,4})?|\b(?:at|rate|frequency)\W{1,4}(?=[\d.]+\s*k?hz))"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>(?:k?hz)?)"
    r"(?!\.?\d|\s?(?:[munµμ]?s|sec\w*|min\w*|milli\w*|micro\w*)\b)",  # a time between samples is no rate
    re.IGNORECASE,
)
SINCE_1970 = {"s": (1e9, 4.1e9), "ms": (1e12, 4.1e12), "us": (1e15, 4.1e15), "ns": (1e18, 4.1e18)}  # 2001 to 2100
_VICON = ("Trajectories", "Devices", "Segments", "Joints", "Model Outputs")  # below which its exports tell a rate alone
_TIME = re.compile(r"\d{1,4}([-/.:]\w{1,9}){1,5}.*|\d{1,2} \d{1,2} \d{4} \d{1,2}:\d\d.*")


def rate_told(lines: Sequence[str]) -> float | None:
    """The rate in Hz that lines above a header tell; None where they tell none, or several."""
    found = {
        float(match["number"]) * (1000 if match["unit"].lower() == "khz" else 1)
        for line in lines
        for match in _RATE.finditer(line)
    }
    pairs = itertools.pairwise(line.strip().rstrip(",") for line in lines)
    found |= {float(rate) for above, rate in pairs if above in _VICON and _NUMBER.fullmatch(rate)}
    return found.pop() if len(found) == 1 and 0 not in found else None


def encoding_of(head: bytes, given: str | None) -> tuple[str, int]:
    """A text's encoding, and how many bytes of a mark come before it."""
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return name, len(mark)
    if given:
        return given, 0
    zeros = head[:512]
    if len(zeros) >= 8 and zeros[1::2].count(0) > 0.4 * len(zeros) / 2 and 0 not in zeros[::2]:
        return "utf-16-le", 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252", 0
    return "utf-8", 0


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of a line, without surrounding blanks."""
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return [field.strip() for field in line.split(delimiter)]


def is_value(field: str) -> bool:
    """Whether a field is a number, or a time."""
    return bool(_NUMBER.fullmatch(field) or _TIME.fullmatch(field))


def fields_at(lines: Sequence[str], row: int, delimiter: str) -> list[str]:
    """Those of a line by its number; none beyond the last."""
    return fields_of(lines[row], delimiter) if row < len(lines) else []


def stripped(names: Sequence[str]) -> list[str]:
    """Names without a mark of comment before the first of them."""
    if not names:
        return []
    first = names[0].lstrip("#%").strip()
    return [first, *names[1:]] if first or not names[0] else list(names[1:])

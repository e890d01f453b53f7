"""Dates and times of day as people write them, as nanoseconds since 1970-01-01 UTC."""

import datetime
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError

if TYPE_CHECKING:
    import pyarrow as pa

# A date in any order, a time of day, half of the day, a zone; a zone may also be followed by the year, as Java does.
_STAMP = (
    r"^\s*(?P<date>.*?)[T\s,_]*(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<part>\d+)|:(?P<ms>\d{3}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>[A-Za-z]{1,5}|(?:UTC|GMT)?[+-]\d{2}:?\d{2}|[+-]\d{2})?"
    r"(?:\s+(?P<year>\d{4}))?\s*$"
)
# How names of months begin, in English, German, French, Spanish, Italian, Portuguese and Dutch, without accents.
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan ene gen", "feb fev", "mar mrz maa mrt", "apr avr abr", "may mai mag mei", "jun juin giu", "jul juil lug",
         "aug aou ago", "sep set", "oct okt ott out", "nov", "dec dez dic"), 1)
    for name in names.split()
}  # fmt: skip
_TUESDAY_OR_MARCH = 3
_DAYS = re.compile(r"\b(?:mardi|martes|martedi|maandag)\b")  # which begin as March does
# Names of zones that mean one thing; IST, CST and others mean several.
_ZONES = {"": None, "t": None} | {
    name: round(3600 * hours)
    for hours, names in {
        0: "z utc gmt wet", 1: "cet mez bst west", 2: "cest mesz eet sast", 3: "eest msk", 8: "awst", 9: "jst kst",
        9.5: "acst", 10: "aest", 11: "aedt", -4: "edt", -5: "est", -6: "mdt", -7: "mst pdt", -8: "pst akdt",
        -9: "akst", -10: "hst",
    }.items()
    for name in names.split()
}  # fmt: skip
_DAY_NS = 86400 * 10**9


def instants(
    path: Path, names: Sequence[str], columns: "Sequence[pa.ChunkedArray]", dates: str, time_zone: str, drop: bool
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Stamps as int64 nanoseconds [M], which rows have one [M], and whether any are dates that tell no zone.

    Times of day alone count from their midnight.

    Args:
        path: the table, for messages.
        names: of the columns.
        columns: text, or what a table itself calls a time; a date and a time of day where there are two.
        dates: the order of days and months, or a format as `strptime` takes it.
        time_zone: of those that tell none.
        drop: whether those that cannot be read are none, in place of an error.

    Raises:
        RecipeError: for the first that cannot be read, naming its row.
    """
    import pyarrow as pa
    from pyarrow import compute

    if len(columns) == 1 and pa.types.is_timestamp(columns[0].type):
        return *_timestamps(path, names[0], columns[0], time_zone), columns[0].type.tz is None
    if len(columns) == 1 and pa.types.is_duration(columns[0].type):
        ns = columns[0].cast(pa.duration("ns")).cast(pa.int64())
        return np.asarray(ns.fill_null(0)), ~np.asarray(ns.is_null()), False
    if len(columns) == 1 and pa.types.is_time(columns[0].type):
        return *_times_of_day(columns[0]), False
    text = _joined(columns)
    empty = np.asarray(compute.equal(compute.utf8_trim_whitespace(text.fill_null("")), ""))
    zoned = "%z" in dates
    ns, local = (_by_format(text, dates, time_zone), not zoned) if "%" in dates else _by_order(text, dates, time_zone)
    wrong = np.flatnonzero(~empty & (ns == np.iinfo(np.int64).min))
    if len(wrong) and (not drop or len(wrong) == np.count_nonzero(~empty)):
        raise _unreadable(path, names, str(text[wrong[0]]), int(wrong[0]), dates)
    empty[wrong] = True
    return np.where(empty, 0, ns), ~empty, local


def _unreadable(path: Path, names: Sequence[str], found: str, row: int, dates: str) -> RecipeError:
    remedy = (
        'say what it is in the recipe\'s [clock]: dates = "day_first", "month_first" or a format; or a number\'s unit'
    )
    expected = (
        "numbers, or dates and times such as 2025-10-26 10:59:30.5" if dates == "year_first" else f"dates {dates}"
    )
    return RecipeError(
        f"{path}: the time at row {row} (column {' and '.join(map(repr, names))}) cannot be read.",
        expected=expected,
        found=repr(found),
        remedy=remedy,
    )


def _joined(columns: "Sequence[pa.ChunkedArray]") -> "pa.ChunkedArray":
    import pyarrow as pa
    from pyarrow import compute

    words = [column.cast(pa.string()) for column in columns]
    return words[0] if len(words) == 1 else compute.binary_join_element_wise(*words, " ")


def _timestamps(path: Path, name: str, column: "pa.ChunkedArray", time_zone: str) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow as pa
    from pyarrow import compute

    try:
        if column.type.tz is None and time_zone != "UTC":
            column = compute.assume_timezone(column, time_zone, ambiguous="earliest", nonexistent="latest")
        ns = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    except pa.ArrowException as error:
        raise RecipeError(
            f"{path}: the times of the column {name!r} cannot be read.",
            expected="dates from 1678 to 2262",
            found=str(error).splitlines()[0],
        ) from error
    return np.asarray(ns.fill_null(0)), ~np.asarray(column.is_null())


def _times_of_day(column: "pa.ChunkedArray") -> tuple[np.ndarray, np.ndarray]:
    import pyarrow as pa

    ns, valid = np.asarray(column.cast(pa.time64("ns")).cast(pa.int64()).fill_null(0)), ~np.asarray(column.is_null())
    return _on_after_midnight(ns, valid), valid


def _on_after_midnight(ns: np.ndarray, valid: np.ndarray) -> np.ndarray:
    ns = ns.copy()
    ns[valid] += _DAY_NS * np.cumsum(np.diff(ns[valid], prepend=ns[valid][:1]) < -_DAY_NS // 2)
    return ns


def _by_format(text: "pa.ChunkedArray", form: str, time_zone: str) -> np.ndarray:
    import pandas as pd

    stamps = pd.to_datetime(text.to_pandas().str.strip(), format=form, errors="coerce", utc="%z" in form)
    if "%z" not in form:
        stamps = stamps.dt.tz_localize(time_zone, ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC")
    return stamps.dt.as_unit("ns").astype("int64").to_numpy()


def _by_order(text: "pa.ChunkedArray", order: str, time_zone: str) -> tuple[np.ndarray, bool]:
    from pyarrow import compute

    found = compute.extract_regex(text.combine_chunks(), _STAMP)
    field = {name: compute.struct_field(found, name).fill_null("") for name in found.type.names}
    wrong = np.asarray(found.is_null())
    hour, minute, second = (_integers(field[name]) for name in ("hour", "minute", "second"))
    half = np.asarray(compute.utf8_lower(compute.utf8_slice_codeunits(field["half"], 0, 1)))
    hour = np.where(half == "p", hour % 12 + 12, np.where(half == "a", hour % 12, hour))
    digits = compute.binary_join_element_wise(field["part"], field["ms"], "")  # behind a point, or three behind a colon
    part = _integers(compute.utf8_slice_codeunits(compute.utf8_rpad(digits, 9, "0"), 0, 9))
    of_day = ((hour * 60 + minute) * 60 + second) * 10**9 + part
    wrong |= (minute > 59) | (second > 60)
    day_text = compute.binary_join_element_wise(field["date"], field["year"], " ")
    days, has_date = _looked_up(day_text, lambda words: _day(words, order))
    wrong |= (hour > 24) & has_date  # without, it may be what has passed
    wrong |= ~has_date & np.asarray(compute.not_equal(compute.utf8_trim_whitespace(day_text), ""))
    offsets, has_zone = _looked_up(field["zone"], zone_s)
    if not has_date[~wrong].any():
        return np.where(wrong, np.iinfo(np.int64).min, _on_after_midnight(of_day, ~wrong)), False
    ns = days * _DAY_NS + of_day - offsets * 10**9
    local = ~has_zone & ~wrong
    if local.any() and time_zone != "UTC":
        ns[local] = _to_utc(ns[local], time_zone)
    return np.where(wrong | ~has_date, np.iinfo(np.int64).min, ns), bool(local.any())


def _integers(words: "pa.Array") -> np.ndarray:
    import pyarrow as pa
    from pyarrow import compute

    return np.asarray(compute.if_else(compute.equal(words, ""), "0", words).cast(pa.int64()))


def _looked_up(words, meaning) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """What each word means [M], worked out once for each that is different, and which mean something [M]."""
    coded = words.dictionary_encode()
    meant = [meaning(str(word)) for word in coded.dictionary]
    values = np.array([0 if value is None else value for value in meant] or [0], np.int64)
    there = np.array([value is not None for value in meant] or [False])
    codes = np.asarray(coded.indices)
    return values[codes], there[codes]


def _to_utc(ns: np.ndarray, time_zone: str) -> np.ndarray:
    import pyarrow as pa
    from pyarrow import compute

    local = pa.array(ns, pa.int64()).cast(pa.timestamp("ns"))
    known = compute.assume_timezone(local, time_zone, ambiguous="earliest", nonexistent="latest")
    return np.asarray(known.cast(pa.int64()))


def zone_s(zone: str) -> int | None:
    """How far a zone is ahead of UTC in seconds; None where the stamp tells none that is known."""
    if zone.lower() in _ZONES:
        return _ZONES[zone.lower()]
    match = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})?", zone)
    if match is None:
        return None
    return (1 if match[1] == "+" else -1) * (3600 * int(match[2]) + 60 * int(match[3] or 0))


def _day(words: str, order: str) -> int | None:
    """The day since 1970-01-01 that a date tells; None for one that is none."""
    month = _month(words)
    digits = re.findall(r"\d+", words)
    if month is None and len(digits) == 1 and len(digits[0]) == 8:  # 20251026
        digits = [digits[0][:4], digits[0][4:6], digits[0][6:]]
    if month is not None and len(digits) == 2:
        year, day = digits if len(digits[0]) == 4 else digits[::-1]
        return _since_1970(int(year), month, int(day))
    if month is not None or len(digits) != 3:
        return None
    if len(digits[0]) == 4:
        return _since_1970(*map(int, digits))
    first, second, year = map(int, digits)
    if order == "year_first":
        return None
    return _since_1970(year, *((second, first) if order == "day_first" else (first, second)))


def _month(words: str) -> int | None:
    """The month that is named among words; None where none is. `mar` beside another is a Tuesday."""
    letters = unicodedata.normalize("NFD", words.lower())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    names = (word[:size] for word in re.findall(r"[a-z]{3,}", _DAYS.sub("", bare)) for size in (4, 3))
    months = [_MONTHS[name] for name in names if name in _MONTHS]
    return next((month for month in months if month != _TUESDAY_OR_MARCH), months[0] if months else None)


def _since_1970(year: int, month: int, day: int) -> int | None:
    try:
        return (datetime.date(year + 2000 if year < 100 else year, month, day) - datetime.date(1970, 1, 1)).days
    except (ValueError, OverflowError):
        return None

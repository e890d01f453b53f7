"""Numbers that are written with letters: `12.3 V`, `45 %`, `45.5123S`, `1,234.5`."""

from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.ingest.formats.tables.conversions import is_unit, spelt

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = r"(?P<number>[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?)"
_LETTERED = rf"^\s*(?P<before>[NSEWnsew]?)\s*{_NUMBER}\s*(?P<after>[^\d\s.,:;/+-][^\d:;]{{0,11}})?$"
_GROUPED = r"^[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$"
_UNDER_1000, _SURE = r"^[-+]?\d{1,3}(\.\d+)?$", r",\d{3}[,.]"
_DIGITS = r"^[-+]?[\d,.]+$"
_LOOKED_AT = 100
_PARTED = (  # with the marks of minutes and seconds as keyboards have them, and as they are printed
    r"^\s*(?P<degrees>[-+]?\d{1,3})\s*[°º]\s*(?P<minutes>[0-5]?\d(?:\.\d+)?)\s*['\x{2032}\x{2019}]?"
    r"\s*(?:(?P<seconds>[0-5]?\d(?:\.\d+)?)\s*(?:\"|\x{2033}|\x{201d}|''))?\s*(?P<letter>[NSEWnsew]?)\s*$"
)
_HEMISPHERES = ("ns", "ew")


def without_letters(table: "pa.Table", decimal: str, thousands: str | None) -> tuple["pa.Table", dict[str, str]]:
    """A table whose columns of numbers with letters are numbers, south and west negative; and the units they told."""
    import pyarrow as pa

    units: dict[str, str] = {}
    for index, name in enumerate(table.column_names):
        if not pa.types.is_string(table[name].type):
            continue
        column = _without_thousands(table[name], thousands)
        found = _read(column.slice(0, _LOOKED_AT), decimal) and _read(column, decimal)
        found = found or (_degrees(column.slice(0, _LOOKED_AT)) and _degrees(column))
        if found:
            table, units[name] = table.set_column(index, name, found[0]), found[1]
    return table, {name: unit for name, unit in units.items() if unit}


def without_commas(table: "pa.Table") -> tuple["pa.Table", list[str]]:
    """A table between commas without those that part thousands in quotes, and which columns had some.

    None of their numbers begins with 0, and some in the table tell that they are no decimals.
    """
    import pyarrow as pa

    columns, sure = list[str](), False
    for name in table.column_names:
        column = table[name]
        if not pa.types.is_string(column.type) or not _may_be_grouped(column.slice(0, _LOOKED_AT)):
            continue
        if found := _grouped(column):
            columns.append(name)
            sure |= "sure" in found
    for name in columns if sure else []:
        table = table.set_column(table.column_names.index(name), name, _without_thousands(table[name], ","))
    return table, columns if sure else []


def _may_be_grouped(column: "pa.ChunkedArray") -> bool:
    """Whether the first fields of a column are numbers with or without commas, as of most words they are not."""
    from pyarrow import compute

    text = compute.utf8_trim_whitespace(column.drop_null())
    return not len(text) or bool(compute.all(compute.match_substring_regex(text, _DIGITS)).as_py())


def _grouped(column: "pa.ChunkedArray") -> str:
    """Whether numbers may have commas between thousands, or are `sure` to; empty where they have none."""
    from pyarrow import compute

    text = compute.utf8_trim_whitespace(column.drop_null())
    grouped, plain, sure = (np.asarray(compute.match_substring_regex(text, p)) for p in (_GROUPED, _UNDER_1000, _SURE))
    if not len(text) or not (grouped | plain).all() or not grouped.any():
        return ""
    return "sure" if (plain | sure).any() else "may be"


def _without_thousands(column: "pa.ChunkedArray", mark: str | None) -> "pa.ChunkedArray":
    from pyarrow import compute

    return compute.replace_substring(column, mark, "") if mark else column


def _read(column: "pa.ChunkedArray", decimal: str) -> tuple["pa.Array", str] | None:
    """The numbers of a column of text and their unit; None where it holds other text, or several units."""
    import pyarrow as pa
    from pyarrow import compute

    there = column.combine_chunks()
    found = compute.extract_regex(there, _LETTERED)
    if not len(there) or found.null_count > there.null_count:
        return None
    number, before, after = (compute.struct_field(found, name) for name in ("number", "before", "after"))
    if decimal == ",":
        number = compute.replace_substring(number, ",", ".")
    try:
        values = np.array(number.cast(pa.float64()).fill_null(np.nan))
    except pa.ArrowInvalid:
        return None
    letters = compute.utf8_lower(compute.binary_join_element_wise(before, compute.utf8_trim_whitespace(after), ""))
    told = {str(letter) for letter in compute.unique(letters.drop_null())}
    if any(told <= set(pair) for pair in _HEMISPHERES):
        return pa.array(np.where(np.isin(np.asarray(letters.fill_null("")), ("s", "w")), -values, values)), ""
    units = {str(unit).strip() for unit in compute.unique(after.drop_null())}
    if told == {""} or (len(units) == 1 and not any(map(str, compute.unique(before.drop_null()))) and _is_unit(*units)):
        return pa.array(values), "".join(units)
    return None


def _degrees(column: "pa.ChunkedArray") -> tuple["pa.Array", str] | None:
    """Degrees of a column of them with minutes, and maybe seconds: `47°30'12.5"N`, `47° 30.208 N`; None for others."""
    import pyarrow as pa
    from pyarrow import compute

    there = column.combine_chunks()
    found = compute.extract_regex(there, _PARTED)
    if not len(there) or found.null_count > there.null_count or found.null_count == len(there):
        return None
    parts = []
    for name in ("degrees", "minutes", "seconds"):
        text = compute.struct_field(found, name)
        parts.append(np.array(compute.if_else(compute.equal(text, ""), "0", text).cast(pa.float64()).fill_null(np.nan)))
    letters = np.asarray(compute.utf8_lower(compute.struct_field(found, "letter")).fill_null(""))
    size = np.abs(parts[0]) + parts[1] / 60 + parts[2] / 3600
    return pa.array(np.where(np.isin(letters, ("s", "w")) | np.signbit(parts[0]), -size, size)), "deg"


def _is_unit(word: str) -> bool:
    return is_unit(spelt(word))

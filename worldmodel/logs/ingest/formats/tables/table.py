"""A table in memory: columns found by the names that recipes give them, readings as numbers."""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables.conversions import spelt, split
from worldmodel.logs.ingest.formats.tables.recipe import Clock
from worldmodel.logs.ingest.formats.tables.switches import described, switched

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 3  # words of a column that are no numbers
ROW = "\0row"  # the name of a column that is added: which row of the file it is


@dataclasses.dataclass
class Table:
    """A table, or some of its rows.

    Attributes:
        path: of its file, for messages.
        data: its columns and `ROW`.
        units: what a row of units says of columns.
        unreadable: whether fields that are no numbers are an `error`, or `drop` makes them missing.
        notes: what was left out.
        not_loaded: columns that its file has, and no stream is read from.
        rate_hz: what the text above its header says of its rate; None where it says nothing.
        piece: which piece of its file it is, counted from 1; 0 where it is all of it.
        stamps: the nanoseconds of its rows, and which have some, by the clock that told them.
    """

    path: Path
    data: "pa.Table"
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unreadable: str = "error"
    notes: list[str] = dataclasses.field(default_factory=list)
    not_loaded: tuple[str, ...] = ()
    rate_hz: float | None = None
    piece: int = 0
    stamps: dict[Clock, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def names(self) -> list[str]:
        return [name for name in self.data.column_names if name != ROW]

    @functools.cached_property
    def _there(self) -> frozenset[str]:
        return frozenset(self.names)

    @property
    def rows(self) -> np.ndarray:
        """Which rows of the file its rows are: int [M], unsigned."""
        return np.asarray(self.data[ROW])

    def find(self, name: str) -> str | None:
        """The column that a recipe's name means.

        That is itself, the one at a place (`#3`), the one with a unit behind it, a part of a text (`GPS[1]`), or
        whether a word holds (`gear=P`).
        """
        if name in self._there:
            return name
        names = self.names
        if name.endswith("#1") and name[:-2] in self._there:
            return name[:-2]
        if name.startswith("#") and name[1:].isdigit() and 0 < int(name[1:]) <= len(names):
            return names[int(name[1:]) - 1]
        based = [column for column in names if split(column)[0] == name and split(column)[1]]
        if len(based) == 1:
            return based[0]
        match = _ELEMENT.fullmatch(name) or _STATE.fullmatch(name)
        return name if match and match["name"] in names else None

    def twice(self, name: str) -> bool:
        """Whether several columns have a name."""
        return f"{name}#1" in self._there or self.names.count(name) > 1

    def place(self, name: str) -> str:
        """The column that a recipe's name means.

        Raises:
            RecipeError: if there is none.
        """
        found = self.find(name)
        if found is None:
            raise RecipeError(f"{self.path} lacks the column {name!r}.", found=", ".join(self.names))
        return found

    def column(self, name: str) -> "pa.ChunkedArray":
        found = self.place(name)
        if found in self._there:
            return self.data[found]
        if (match := _ELEMENT.fullmatch(found)) and match["name"] in self._there:
            return _element(self.data[match["name"]], int(match["index"]))
        if (match := _STATE.fullmatch(found)) and match["name"] in self._there:
            return _holds(self.data[match["name"]], match["word"])
        return self.data[found]

    def kind(self, name: str) -> "pa.DataType":
        return self.column(name).type

    def unit(self, name: str) -> str:
        """The unit that the table gives a column, as logs spell it; empty where it gives none."""
        found = self.place(name)
        if found not in self._there and _STATE.fullmatch(found):
            return ""
        return spelt(self.units.get(found, "")) or split(found)[1]

    def is_words(self, name: str) -> bool:
        """Whether a column holds text, most of which is neither a number nor one of two states."""
        import pyarrow as pa
        from pyarrow import compute

        column = self.column(name)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return False
        text = compute.utf8_trim_whitespace(column.drop_null().slice(0, 100))
        numbers = np.asarray(compute.match_substring_regex(text, _NUMBER))
        words = int((~numbers & np.asarray(compute.not_equal(text, ""))).sum()) > int(numbers.sum())
        return words and not switched(column)

    def floats(self, name: str) -> np.ndarray:
        """A column as float64 [M], NaN where it is empty; of words for two states 0 and 1, which a note says.

        Raises:
            RecipeError: for the first field that holds no number.
        """
        import pyarrow as pa

        column = self.column(name)
        try:
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            if not pa.types.is_float64(column.type):
                column = column.cast(pa.float64(), safe=False)  # nanoseconds since 1970 lose their last digits
            return np.asarray(column.fill_null(np.nan) if column.null_count else column, np.float64)
        except pa.ArrowException as error:
            return self._mended(name, column, error)

    def fill(self, name: str, out: np.ndarray) -> None:
        """Writes a column, as `floats` has it, to an array [M]."""
        import pyarrow as pa

        column = self.column(name)
        if column.null_count or not pa.types.is_float64(column.type) or not isinstance(column, pa.ChunkedArray):
            out[:] = self.floats(name)
            return
        start = 0
        for chunk in column.chunks:  # where they lie, not joined first
            out[start : start + len(chunk)] = chunk
            start += len(chunk)

    def signs(self, name: str) -> np.ndarray:
        """1 for N and E, -1 for S and W, NaN for what is neither [M]."""
        from pyarrow import compute

        first = compute.utf8_lower(compute.utf8_slice_codeunits(compute.utf8_trim_whitespace(self.column(name)), 0, 1))
        letters = np.asarray(first.fill_null(""))
        return np.select([np.isin(letters, ("n", "e")), np.isin(letters, ("s", "w"))], [1.0, -1.0], np.nan)

    def hemispheres(self, letters: str) -> str:
        """The column that holds nothing but two letters, such as N and S, in any row; empty where there is none."""
        import pyarrow as pa
        from pyarrow import compute

        for name in self.names:
            if pa.types.is_string(self.kind(name)):
                words = {str(word).strip().upper() for word in compute.unique(self.column(name).drop_null())}
                if words and words <= {*letters, ""} and words != {""}:
                    return name
        return ""

    def _mended(self, name: str, column: "pa.ChunkedArray", error: Exception) -> np.ndarray:
        """A column of text with its numbers [M], NaN for fields that are missing, or are to be dropped."""
        import pyarrow as pa
        from pyarrow import compute

        if not pa.types.is_string(column.type):
            raise self._no_numbers(name, str(error).splitlines()[0]) from error
        if states := switched(column):
            self.notes.append(f"{name}: {described(states)}")
            words, values = list(states), np.array([*states.values(), np.nan])
            return values[np.asarray(compute.index_in(column, pa.array(words)).fill_null(len(words)))]
        text = compute.utf8_trim_whitespace(column)
        number, wrong = _parted(text)
        again = wrong & np.asarray(compute.equal(text, re.sub(r"#\d+$", "", self.place(name))).fill_null(False))
        if again.any():
            self.notes.append(f"{again.sum()} rows are the header once more")
            wrong &= ~again
        if wrong.any() and self.unreadable == "error":
            row = int(np.argmax(wrong))
            found = f"{str(text[row])[:60]!r} at row {int(self.rows[row])}, counted from 0"
            raise self._no_numbers(name, found) from error
        if wrong.any():
            self.notes.append(f"{name}: {wrong.sum()} of {len(wrong)} fields are no numbers; left out")
        return np.asarray(compute.if_else(pa.array(number), text, None).cast(pa.float64()).fill_null(np.nan))

    def odd(self, name: str) -> str:
        """What fields of a column of numbers hold in place of some, for people; empty where all are numbers."""
        import pyarrow as pa
        from pyarrow import compute

        column = self.column(name)
        if not pa.types.is_string(column.type) or self.is_words(name) or switched(column):
            return ""
        text = compute.utf8_trim_whitespace(column)
        _, wrong = _parted(text)
        found = [repr(str(word)[:20]) for word in text.filter(pa.array(wrong)).unique()[: _SHOWN + 1]]
        more = " and others" if len(found) > _SHOWN else ""
        return f"{', '.join(found[:_SHOWN])}{more} in {wrong.sum()} rows of {name}" if found else ""

    def _no_numbers(self, name: str, found: str) -> RecipeError:
        return RecipeError(
            f"{self.path}: the column {name!r} does not hold numbers.",
            expected="numbers, nan, inf or nothing in every row",
            found=found,
            remedy='name words for nothing in missing = [...], or leave such fields out by unreadable = "drop"; '
            'thousands = "," is for 1,234.5',
        )

    def part(self, data: "pa.Table") -> "Table":
        """The same with other rows or columns."""
        return dataclasses.replace(self, data=data, stamps={})

    def codes(self, name: str) -> np.ndarray:
        """A number for each value of a column, from 0 as they first come: int [M], -1 where it is empty."""
        return np.asarray(self.column(name).combine_chunks().dictionary_encode().indices.fill_null(-1))

    def lacking(self, wanted: Sequence[str]) -> list[str]:
        return [name for name in dict.fromkeys(wanted) if self.find(name) is None]


def _parted(text: "pa.ChunkedArray") -> tuple[np.ndarray, np.ndarray]:
    """Which fields of a column of text are numbers, and which are something else; neither where they are empty."""
    from pyarrow import compute

    number = np.asarray(compute.match_substring_regex(text, _NUMBER).fill_null(False))
    return number, ~number & np.asarray(compute.not_equal(text, "").fill_null(False))


def _element(column: "pa.ChunkedArray", index: int) -> "pa.ChunkedArray":
    """One of several numbers in each field of a column of text, between blanks, commas or brackets."""
    from pyarrow import compute

    pattern = rf'^[\s\[({{"]*(?:[^\s,;|]+[\s,;|]+){{{index}}}(?P<value>[^\s,;|\])}}"]+)'
    return compute.struct_field(compute.extract_regex(column, pattern), "value")


def _holds(column: "pa.ChunkedArray", word: str) -> "pa.ChunkedArray":
    """1.0 where a column holds a word, 0.0 where it holds another."""
    import pyarrow as pa
    from pyarrow import compute

    words = compute.utf8_trim_whitespace(column.cast(pa.string()))
    words = compute.if_else(compute.equal(words, ""), None, words)
    return compute.equal(words, word).cast(pa.float64())


_STATE = re.compile(r"(?P<name>.+?)=(?P<word>.+)")
_ELEMENT = re.compile(r"(?P<name>.+)\[(?P<index>\d{1,3})\]")
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$|^[-+]?(?i:nan|inf|infinity)$"

"""Text as programs and people write it: the same numbers from every dialect, and what is torn or wrong is told."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.logs.ingest.table_case import BODY, read
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.tables import loading, parsing
from worldmodel.logs.ingest.formats.tables.layout import Layout
from worldmodel.logs.ingest.formats.tables.recipe import Text
from worldmodel.logs.ingest.formats.tables.text import Body

PLAIN = "t,x\n0.0,1.5\n0.1,2.5\n0.2,3.5\n"
DIALECTS = {
    "plain": (PLAIN, ""),
    "semicolons and decimal commas": ("t;x\n0,0;1,5\n0,1;2,5\n0,2;3,5\n", ""),
    "the same, declared": ("t;x\n0,0;1,5\n0,1;2,5\n0,2;3,5\n", 'delimiter = ";"\ndecimal = ","'),
    "tabs": (PLAIN.replace(",", "\t"), ""),
    "blanks": ("t   x\n 0.0  1.5\n0.1    2.5 \n0.2 3.5\n", 'delimiter = " "'),
    "blanks around names": (PLAIN.replace("t,x", " t , x "), ""),
    "quotes": ('"t","x"\n"0.0","1.5"\n"0.1","2.5"\n"0.2","3.5"\n', ""),
    "a trailing comma": (PLAIN.replace("5\n", "5,\n"), ""),
    "a preamble": ("made by,my logger\nat,2026\n\n" + PLAIN, ""),
    "a preamble to skip": ("t,x\n9,9\n" + PLAIN, "skip = 2"),
    "comments above": ("# t,x of a car\n# m\n" + PLAIN, ""),
    "comments within": (PLAIN.replace("0.1", "# a stop,\n0.1"), 'comment = "#"'),
    "names in a comment": ("# " + PLAIN, ""),
    "names in a comment, blanks": ("# " + PLAIN.replace(",", " "), ""),
    "a row of units": (PLAIN.replace("t,x\n", "t,x\ns,m/s\n"), ""),
    "rows of units, declared": (PLAIN.replace("t,x\n", "t,x\ns,m/s\n1,2\n"), "units_rows = 2"),
    "returns": (PLAIN.replace("\n", "\r\n"), ""),
    "a mark of UTF-8": (b"\xef\xbb\xbf" + PLAIN.encode(), ""),
    "UTF-16": (PLAIN.encode("utf-16"), ""),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), ""),
    "zeros at the end": (PLAIN.encode() + bytes(700), ""),
    "a torn last line": (PLAIN + "0.3", ""),
    "no end of the last line": (PLAIN.rstrip("\n"), ""),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_reads_as_the_same(tmp_path, dialect):
    content, keys = DIALECTS[dialect]
    (recording,) = read(tmp_path, content, keys=keys)
    np.testing.assert_allclose(recording.samples["s"].time, [0, 0.1, 0.2], atol=1e-9)
    np.testing.assert_allclose(recording.samples["s"].data[:, 0], [1.5, 2.5, 3.5])
    told = ("zeros at the end", "a torn last line", "semicolons and decimal commas")
    assert bool(recording.notes) == (dialect in told)


def test_a_header_in_another_encoding(tmp_path):
    body = BODY.replace('x = "x"', 'x = "temp (°C)"')
    content = PLAIN.replace("t,x", "t,temp (°C)").encode("latin-1")
    for keys in ("", 'encoding = "latin-1"'):
        (recording,) = read(tmp_path, content, body, keys)
        assert recording.samples["s"].data[0, 0] == 1.5


@pytest.mark.parametrize("word", ["", "None", "-", "nan", "NaN", "N/A"])
def test_words_for_nothing(tmp_path, word):
    (recording,) = read(tmp_path, PLAIN.replace("2.5", word))
    assert np.isnan(recording.samples["s"].data[1, 0])


def test_a_word_for_nothing_that_the_recipe_names(tmp_path):
    (recording,) = read(tmp_path, PLAIN.replace("2.5", "lost"), keys='missing = ["lost"]')
    assert np.isnan(recording.samples["s"].data[1, 0])


def test_a_table_without_a_header_goes_by_places(tmp_path):
    body = BODY.replace('"t"', '"#1"').replace('"x"', '"#2"')
    (recording,) = read(tmp_path, PLAIN.partition("\n")[2], body, "header = false")
    assert recording.samples["s"].data[:, 0].tolist() == [1.5, 2.5, 3.5]
    with pytest.raises(RecipeError, match="no line is a header"):
        read(tmp_path, PLAIN.partition("\n")[2])


def test_columns_of_one_name_go_by_their_places(tmp_path):
    content = "t,x,x\n0.0,1,4\n0.1,2,5\n"
    with pytest.raises(RecipeError, match=r'more than one column[\s\S]*"x#1"'):
        read(tmp_path, content)
    for place, values in (("x#1", [1, 2]), ("x#2", [4, 5]), ("#3", [4, 5])):
        (recording,) = read(tmp_path, content, BODY.replace('"x"', f'"{place}"'))
        assert recording.samples["s"].data[:, 0].tolist() == values


def test_numbers_within_one_field(tmp_path):
    content = 't,GPS,list\n0.0,45.5 7.25,"[1, 2]"\n0.1,,"[3, 4]"\n'
    body = BODY.replace('{ x = "x" }', '{ lat = "GPS[0]", lon = "GPS[1]", second = "list[1]" }')
    (recording,) = read(tmp_path, content, body)
    np.testing.assert_array_equal(recording.samples["s"].data, [[45.5, 7.25, 2], [np.nan, np.nan, 4]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PLAIN.replace("2.5", "fast"), ["'x' does not hold numbers", "'fast'", "row 1"]),
        (PLAIN.replace("0.1,2.5", "0.1"), ["line 3 has 1 fields, not 2", "'0.1'"]),
        (PLAIN.replace("0.1,2.5", "0.1,2.5,7"), ["line 3 has 3 fields, not 2"]),
        (PLAIN.replace("0.1,", "noon,"), ["row 1", "'t'", "noon"]),
    ],
)
def test_what_cannot_be_read_is_told_by_file_row_and_column(tmp_path, content, words):
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, content)
    assert all(word in str(caught.value) for word in ["run.csv", *words]), caught.value


def test_what_cannot_be_read_is_left_out_if_the_recipe_says_so(tmp_path):
    content = "t,x\n0.0,1\n0.1,fast\n0.2\nt,x\n0.4,5\n"
    (recording,) = read(tmp_path, content, keys='unreadable = "drop"')
    kept = np.isfinite(recording.samples["s"].data[:, 0])
    np.testing.assert_allclose(recording.samples["s"].time[kept], [0, 0.4])
    assert any("fields are no numbers" in note for note in recording.notes)
    assert any("1 lines without 2 fields" in note for note in recording.notes)


def test_a_file_that_was_appended_to_with_its_header_is_two_episodes(tmp_path):
    content = "t,x\n5.0,1\n5.1,2\nt,x\n0.0,3\n0.1,4\n"
    first, second = read(tmp_path, content)
    for recording, values in ((first, [1, 2]), (second, [3, 4])):
        kept = np.isfinite(recording.samples["s"].time)
        assert recording.samples["s"].data[kept, 0].tolist() == values
    assert "1 rows are the header once more" in first.notes


@pytest.mark.parametrize(
    ("fields", "unit", "numbers"),
    [
        ("12.5 V|11 V", "V", [12.5, 11]),
        ("45%|7 %", "%", [45, 7]),
        ("45.5N|7.25S", "", [45.5, -7.25]),
        ("E 7|w 8.5", "", [7, -8.5]),
    ],
)
def test_numbers_with_letters(tmp_path, fields, unit, numbers):
    one, two = fields.split("|")
    body = BODY + (f'units = "{unit}"\nfrom_units = "header"\n' if unit else "")
    (recording,) = read(tmp_path, f"t,x\n0,{one}\n1,{two}\n2,\n", body)
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], [*numbers, np.nan])


def test_numbers_with_several_units_are_words(tmp_path):
    with pytest.raises(RecipeError, match="does not hold numbers"):
        read(tmp_path, "t,x\n0,1 V\n1,2 mV\n")


def test_marks_between_thousands(tmp_path):
    content = 't,x\n0,"1,234"\n1,"2,345"\n'  # which may be decimals
    with pytest.raises(RecipeError, match="thousands ="):
        read(tmp_path, content)
    (recording,) = read(tmp_path, content, BODY, 'thousands = ","')
    assert recording.samples["s"].data[:, 0].tolist() == [1234, 2345]


def test_a_line_that_zero_bytes_tear_costs_that_line(tmp_path):
    """As a logger leaves one that lost its supply and went on in the same file."""
    (recording,) = read(tmp_path, b"t,x\n0,1\n1,\0\0\0\0" + b"\0" * 99 + b"2,3\n3,4\n4,5\n")
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], [1, 4, 5])
    assert "1 lines with zero bytes in them, as of a lost supply, were left out" in recording.notes


@pytest.mark.parametrize("torn", [b"\0" * 99, b"7000,1\0", b"7000,\0001", b"\0,\0"])
def test_in_the_middle_of_a_long_text_too(tmp_path, torn):
    rows = [f"{i},{i / 8}".encode() for i in range(100_000)]
    (recording,) = read(tmp_path, b"\n".join([b"t,x", *rows[:50_000], torn, *rows[50_000:], b""]))
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], np.arange(100_000) / 8)
    assert "1 lines with zero bytes in them, as of a lost supply, were left out" in recording.notes


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"t,x\n", b"\n\n", b"\xff\xfe", b"t,x"])
def test_a_table_with_nothing_in_it_is_refused(tmp_path, content):
    with pytest.raises(RecipeError):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "late",
    ["3,4.5,1", "NaN,2.5,1", "3,N/A,1", "3,inf,1", ",,", "3,4,on", "9007199254740993,1,1", '"3",4.5,1', '"3,5",4,1'],
)
@pytest.mark.parametrize("first", ["1,2.5,1", "1,2,true", "1,2,2024-05-01 10:00:00", "1,-,1"])
def test_a_long_text_is_parsed_as_a_short_one(monkeypatch, first, late):
    """It is first parsed without a look for words that stand for nothing, and for quotation marks."""
    lines = [*[first] * 9000, late, first, ""]
    body, layout = Body(pa.py_buffer("\n".join(lines).encode())), Layout(",", ".", ("a", "b", "c"), (), 0)
    monkeypatch.setattr(parsing, "_LONG", 0)
    quick, notes = parsing.parse(Path("run.csv"), body, layout, Text(), None)
    monkeypatch.setattr(parsing, "_LONG", len(body) + 1)
    usual, told = parsing.parse(Path("run.csv"), body, layout, Text(), None)
    assert quick.schema == usual.schema
    assert quick.equals(usual)
    assert notes == told


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('0,"1,000.5",7\n1,"2,000.0",8\n', [1000.5, 2000]),
        ('0,"1,234,567",7\n1,"2,000,000",8\n', [1234567, 2000000]),
        ('0,"1,000",7\n1,999,8\n', [1000, 999]),
        ('0,"1,250",7\n1,"3,141",8\n', None),  # may be decimals
        ('0,"0,125",7\n1,"1,250",8\n', None),
    ],
)
def test_commas_between_thousands_are_left_out_where_they_are_sure_to_be_some(tmp_path, rows, expected):
    content = f"t,x,y\n{rows}"
    if expected is None:
        with pytest.raises(RecipeError, match="does not hold numbers"):
            read(tmp_path, content)
        return
    (recording,) = read(tmp_path, content)
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], expected)
    assert any("commas between thousands are left out: x" in note for note in recording.notes)


def test_a_text_that_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "available_bytes", lambda: 4.0 * len(PLAIN))
    read(tmp_path, PLAIN)
    monkeypatch.setattr(loading, "available_bytes", lambda: 4.0 * len(PLAIN) - 1)
    with pytest.raises(RecipeError, match=r"(?s)GB that are free.*files of a shorter time each"):
        read(tmp_path, PLAIN)


def test_whole_numbers_in_the_first_lines_do_not_tell_the_decimal_mark(tmp_path):
    text = "t;v;T\n0;0;20\n1;1;20\n2;0,5;20\n3;1,25;21,5\n"
    recipe = '[clock]\ncolumn = "t"\n[streams.s]\nkind = "sensor"\ncolumns = { v = "v", T = "T" }\nrate_hz = 1\n'
    (recording,) = read(tmp_path, text, recipe)
    np.testing.assert_array_equal(recording.samples["s"].data, [[0, 20], [1, 20], [0.5, 20], [1.25, 21.5]])

"""Damaged tables of every kind: read, or refused by name; nothing else is ever raised."""

import contextlib
import gzip
import io
import zipfile

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options

TEXT = "time (s);ax [g];lat;lon;note\n0,0;1,5;45;7;a\n0,1;2,5;45;7;\n0,2;3,5;45;7;b\n"
WORDS = [b",", b";", b"\n", b'"', b"\0", b"#", b"nan", b"1e999", b"9" * 30, b"\xff", b"2025-01-01", b":", b"[0]", b"\t"]
DAMAGE = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(0, 7)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
        st.tuples(st.just("insert"), st.floats(0, 1), st.sampled_from(WORDS)),
    ),
    min_size=1,
    max_size=4,
)


def contents():
    table = pa.table({"time": [0.0, 0.1, 0.2], "x": [1.5, 2.5, 3.5], "note": ["a", "", "b"], "l": [[1, 2]] * 3})
    files = {kind: io.BytesIO() for kind in (".parquet", ".feather", ".xlsx", ".zip")}
    parquet.write_table(table, files[".parquet"])
    feather.write_feather(table, files[".feather"], compression="uncompressed")
    book = openpyxl.Workbook()
    for row in [["time", "x"], [0, 1.5], [0.1, 2.5]]:
        book.active.append(row)
    book.save(files[".xlsx"])
    with zipfile.ZipFile(files[".zip"], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.csv", TEXT + "".join(f"{i},5;{i % 7};45;7;a\n" for i in range(1, 60)))
    packed = {".csv": TEXT.encode(), ".txt": TEXT.encode("utf-16"), ".csv.gz": gzip.compress(TEXT.encode())}
    return packed | {kind: file.getvalue() for kind, file in files.items()}


CONTENTS = contents()


def damaged(data, damage):
    data = bytearray(data)
    for what, where, how in damage:
        place = int(where * len(data))
        if what == "cut":
            del data[place:]
        elif what == "insert":
            data[place:place] = how
        elif data:
            data[min(place, len(data) - 1)] ^= 1 << how
    return bytes(data)


@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_whole_is_read(tmp_path, kind):
    (tmp_path / f"run{kind}").write_bytes(CONTENTS[kind])
    assert len(list(tables.read(tmp_path / f"run{kind}", Options()))) == 1


@pytest.mark.parametrize("kind", CONTENTS)
@given(damage=DAMAGE)
@settings(max_examples=30, deadline=None)
def test_what_is_damaged_is_read_or_refused(tmp_path_factory, kind, damage):
    path = tmp_path_factory.mktemp("damaged") / f"run{kind}"
    path.write_bytes(damaged(CONTENTS[kind], damage))
    tables.claims(path)
    with contextlib.suppress(WorldModelError):
        list(tables.read(path, Options()))

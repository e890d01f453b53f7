"""What is too large to be held is read piece after piece: the same rows as at once, told by the same places."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.logs.ingest.table_case import BODY, read_file, recordings
from worldmodel.errors import NoMemoryError, RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats.tables import loading
from worldmodel.logs.ingest.formats.tables.members import files_of
from worldmodel.logs.ingest.formats.tables.text import in_pieces, lines_in
from worldmodel.logs.reader import Log

ROWS = 400
TIME = 0.01 * np.arange(ROWS)
VALUES = np.sin(np.arange(ROWS)).round(4)
LINES = [f"{t:.2f},{x:.4f}" for t, x in zip(TIME, VALUES, strict=True)]
ABOVE = "made by my logger\n\nt,x [m]\n"


def plain(path: Path) -> None:
    path.write_text(ABOVE + "\n".join(LINES) + "\n")


def torn(path: Path) -> None:
    path.write_text(ABOVE + "\r\n".join(LINES) + "\r\n4.0")


def commas(path: Path) -> None:
    path.write_text(ABOVE.replace(",", ";") + "\n".join(LINES).replace(",", ";").replace(".", ","))


def latin(path: Path) -> None:
    path.write_bytes((ABOVE.replace("made", "für").replace("[m]", "[°C]") + "\n".join(LINES)).encode("cp1252"))


def packed(path: Path) -> None:
    path.write_bytes(gzip.compress((ABOVE + "\n".join(LINES)).encode()))


def objects(path: Path) -> None:
    path.write_text("".join(json.dumps({"t": t, "x": x}) + "\n" for t, x in zip(TIME, VALUES, strict=True)))


def columns(path: Path) -> None:
    parquet.write_table(pa.table({"t": TIME, "x": VALUES}), path, row_group_size=170)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (plain, "a.csv"),
        (torn, "a.csv"),
        (commas, "a.csv"),
        (latin, "a.csv"),
        (packed, "a.csv.gz"),
        (objects, "a.jsonl"),
        (columns, "a.parquet"),
    ],
)
def test_pieces_hold_what_the_whole_does(tmp_path, monkeypatch, write, name):
    write(tmp_path / name)
    (whole,) = read_file(tmp_path / name)
    monkeypatch.setattr(loading, "_PIECE", 1500)
    pieces = read_file(tmp_path / name)
    assert [piece.name for piece in pieces] == [f"{name} piece {i}" for i in range(1, len(pieces) + 1)]
    assert len(pieces) > 2
    assert max(len(piece.samples["s"].time) for piece in pieces) < ROWS / 2
    np.testing.assert_array_equal(np.concatenate([piece.samples["s"].data for piece in pieces])[:, 0], VALUES)
    started = np.cumsum([0, *(len(piece.samples["s"].time) for piece in pieces)])
    for piece, start in zip(pieces, started, strict=False):
        there = piece.samples["s"].time
        np.testing.assert_allclose(there, TIME[start : start + len(there)] - TIME[start], atol=1e-9)
        assert piece.specs == whole.specs
    assert [note for note in pieces[0].notes if "pieces" in note] == [
        "it is too large to be held in memory, and read in pieces, each an episode"
    ]


def test_without_a_recipe_it_is_the_same(tmp_path, monkeypatch):
    plain(tmp_path / "a.csv")
    (whole,) = recordings(tmp_path / "a.csv")
    monkeypatch.setattr(loading, "_PIECE", 1500)
    report = ingest(tmp_path / "a.csv", tmp_path / "log.h5", progress=False)
    log = Log(tmp_path / "log.h5")
    assert len(report.episodes) == len(log.episodes) > 2
    (stream,) = whole.samples
    got = np.concatenate([np.asarray(episode.streams[stream].data) for episode in log.episodes])
    np.testing.assert_array_equal(got, np.asarray(whole.samples[stream].data, got.dtype))


def test_of_a_long_parquet_file_a_recipe_is_suggested_from_a_part(tmp_path, monkeypatch):
    parquet.write_table(pa.table({"t": TIME, "x": VALUES}), tmp_path / "a.parquet", row_group_size=80)
    monkeypatch.setattr(loading, "_ROWS", 20)
    opened = files_of(tmp_path / "a.parquet")["a.parquet"]
    for most, rows in ((1 << 30, range(ROWS)), (1500, [*range(20), *range(160, 180), *range(320, 340)])):
        monkeypatch.setattr(loading, "_PIECE", most)
        table = loading.load(tmp_path / "a.parquet", "a.parquet", opened, None)
        np.testing.assert_array_equal(table.floats("x"), VALUES[rows])
    pieces = recordings(tmp_path / "a.parquet")
    np.testing.assert_array_equal(np.concatenate([next(iter(p.samples.values())).data[:, 0] for p in pieces]), VALUES)


def test_numbers_that_repeat_are_counted_as_they_lie_in_memory(tmp_path, monkeypatch):
    parquet.write_table(pa.table({"t": TIME, "x": np.ones(ROWS), "z": np.ones(ROWS)}), tmp_path / "a.parquet")
    monkeypatch.setattr(loading, "_PIECE", 8 * 3 * ROWS // 2)
    assert [len(piece.samples["s"].time) for piece in read_file(tmp_path / "a.parquet")] == [ROWS / 2, ROWS / 2]


def test_what_is_wrong_is_told_by_its_place_in_the_file(tmp_path, monkeypatch):
    lines = [*LINES]
    lines[350] = "3.50,many"
    (tmp_path / "a.csv").write_text(ABOVE + "\n".join(lines) + "\n")
    for most in (1 << 30, 1500):
        monkeypatch.setattr(loading, "_PIECE", most)
        with pytest.raises(RecipeError, match="'many' at row 350, counted from 0"):
            read_file(tmp_path / "a.csv")
    lines[350] = "3.50,1,2"
    (tmp_path / "a.csv").write_text(ABOVE + "\n".join(lines) + "\n")
    for most in (1 << 30, 1500):
        monkeypatch.setattr(loading, "_PIECE", most)
        with pytest.raises(RecipeError, match=r"line 354 has 3\s+fields"):
            read_file(tmp_path / "a.csv")


def test_rows_that_a_recipe_counts_are_those_of_the_file(tmp_path, monkeypatch):
    plain(tmp_path / "a.csv")
    monkeypatch.setattr(loading, "_PIECE", 1500)
    (recording,) = read_file(tmp_path / "a.csv", BODY + "[episodes.late]\nrows = [300, 400]\n")
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], VALUES[300:])


@pytest.mark.parametrize("most", [1, 7, 10, 1000, float("inf")])
@pytest.mark.parametrize("text", ["a\nbb\n\nccc\r\n" * 5, "no end of a line", "one\n", "é\n" * 9])
def test_pieces_of_a_text_are_whole_lines_and_all_of_it(text, most):
    buffer = pa.py_buffer(text.encode())
    pieces = [piece.to_pybytes() for piece in in_pieces(buffer, "utf-8", most)]
    assert b"".join(pieces) == text.encode()
    assert all(pieces)
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])
    assert max(map(len, pieces)) <= most + max(map(len, re.findall(rb".*\n?", text.encode())))
    assert sum(lines_in(pa.py_buffer(piece)) for piece in pieces) == text.count("\n")


def test_letters_of_several_bytes_are_not_parted():
    buffer = pa.py_buffer("a\nb\n".encode("utf-16-le"))
    assert [piece.size for piece in in_pieces(buffer, "utf-16-le", 2)] == [8]


MORE = BODY + '[streams.late]\noptional = true\nkind = "sensor"\ncolumns = { y = "y" }\nrate_hz = "measured"\n'
NEEDED = MORE.replace("optional = true\n", "")


def late_text(path: Path) -> None:
    rows = (f"{line},{i if i > ROWS / 2 else ''}" for i, line in enumerate(LINES))
    path.write_text("t,x,y\n" + "\n".join(rows) + "\n")


def late_objects(path: Path) -> None:
    rows = (
        {"t": t, "x": x} | ({"y": i} if i > ROWS / 2 else {}) for i, (t, x) in enumerate(zip(TIME, VALUES, strict=True))
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("write", "name", "recipe"),
    [(late_text, "a.csv", MORE), (late_objects, "a.jsonl", MORE), (late_objects, "a.jsonl", NEEDED)],
)
def test_what_the_first_piece_lacks_is_in_the_others(tmp_path, monkeypatch, write, name, recipe):
    write(tmp_path / name)
    monkeypatch.setattr(loading, "_PIECE", 1500)
    pieces = read_file(tmp_path / name, recipe)
    late = np.concatenate([piece.samples["late"].data[:, 0] for piece in pieces if "late" in piece.samples])
    np.testing.assert_array_equal(late[np.isfinite(late)], np.arange(ROWS // 2 + 1, ROWS))
    assert sum(len(piece.samples["s"].time) for piece in pieces) == ROWS


def test_what_no_piece_has_is_missed(tmp_path, monkeypatch):
    objects(tmp_path / "a.jsonl")
    monkeypatch.setattr(loading, "_PIECE", 1500)
    with pytest.raises(RecipeError, match="no line has y"):
        read_file(tmp_path / "a.jsonl", NEEDED)


@pytest.mark.parametrize("rows", [range(150, 250), range(30), range(350, 400)])
def test_pieces_of_which_nothing_is_read_are_left_out(tmp_path, monkeypatch, rows):
    lines = (f"{line},{'run' if i in rows else 'idle'}" for i, line in enumerate(LINES))
    (tmp_path / "a.csv").write_text("t,x,mode\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(loading, "_PIECE", 1500)
    pieces = read_file(tmp_path / "a.csv", BODY + 'where = { mode = "run" }\n')
    np.testing.assert_array_equal(np.concatenate([p.samples["s"].data[:, 0] for p in pieces]), VALUES[rows])
    assert any("read in pieces" in note for note in pieces[0].notes)
    with pytest.raises(RecipeError, match="fulfils where"):
        read_file(tmp_path / "a.csv", BODY + 'where = { mode = "none" }\n')


def test_nothing_but_comments_is_no_piece(tmp_path, monkeypatch):
    comments = ["# a remark"] * 400
    (tmp_path / "a.csv").write_text("t,x\n" + "\n".join([*LINES[:200], *comments, *LINES[200:]]) + "\n")
    monkeypatch.setattr(loading, "_PIECE", 1500)
    pieces = read_file(tmp_path / "a.csv", BODY, 'comment = "#"')
    np.testing.assert_array_equal(np.concatenate([piece.samples["s"].data[:, 0] for piece in pieces]), VALUES)


def test_a_file_that_finds_no_room_is_not_taken_for_no_sensors(tmp_path, monkeypatch):
    (tmp_path / "log").mkdir()
    for name, column in (("a.csv", "x"), ("b.csv", "y")):
        (tmp_path / "log" / name).write_text(f"t,{column}\n" + "\n".join(LINES * (1 + (name == "b.csv"))) + "\n")
    monkeypatch.setattr(loading, "available_bytes", lambda: 4.0 * 1.5 * len("\n".join(LINES)))
    recipe = BODY.replace("[streams.s]", '[streams.s]\nfile = "a.csv"')
    with pytest.raises(NoMemoryError, match=r"b\.csv does not fit into memory"):
        read_file(tmp_path / "log", recipe, "rest = true")

"""What recipes say beside the clock: episodes, rows, units, other columns, several files of one recording."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from tests.logs.ingest.table_case import BODY, HEAD, read, read_file
from worldmodel.errors import RecipeError
from worldmodel.logs.health.examination import examined
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.formats.tables import members
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

PLAIN = "t,x\n0.0,1.5\n0.1,2.5\n0.2,3.5\n"
FILES = BODY.replace('kind = "sensor"', 'kind = "sensor"\nfile = "acc.csv"') + (
    '[streams.gyro]\nfile = "sub/gyro*.csv"\nkind = "sensor"\ncolumns = { z = "w" }\nrate_hz = "measured"\n'
    '[streams.gps]\nfile = "gps.csv"\noptional = true\nkind = "gps"\n'
    'columns = { latitude = "lat", longitude = "lon", altitude = "" }\nunits = ["deg", "deg", "m"]\nrate_hz = 1\n'
)


def values(recordings, stream="s"):
    return [recording.samples[stream].data[:, 0].tolist() for recording in recordings]


def test_a_column_parts_episodes_though_their_rows_mix(tmp_path):
    content = "t,x,car\n0.0,1,a\n0.0,4,b\n0.1,2,a\n0.1,5,b\n0.2,6,\n"
    recordings = read(tmp_path, content, BODY + '[cut]\nkey = "car"\n')
    assert [r.name for r in recordings] == ["run.csv car a", "run.csv car b"]
    assert values(recordings) == [[1, 2], [4, 5]]
    assert recordings[0].notes == ["1 of 5 rows have no car; left out"]


def test_gaps_and_steps_back_part_episodes(tmp_path):
    stamps = [100, 100.1, 100.2, 100.3, 10, 10.1, 10.2, 10.3, 60, 60.1]
    content = "t,x\n" + "".join(f"{t},{i}\n" for i, t in enumerate(stamps))
    assert values(read(tmp_path, content)) == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]
    recordings = read(tmp_path, content, BODY + "[cut]\ngap_s = 30\n")
    assert values(recordings) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert "first at row 4, where the clock goes back by 90.3 s" in recordings[0].notes[0]
    assert [r.samples["s"].time[0] for r in recordings] == [0, 0, 0]


def test_a_step_back_is_refused_where_times_have_to_increase(tmp_path):
    body = BODY.replace('"t"', '"t"\nduplicates = "error"')
    with pytest.raises(RecipeError, match=r"do not increase[\s\S]*row 2"):
        read(tmp_path, "t,x\n0,1\n50,2\n3,3\n", body)


def test_a_single_stamp_ahead_parts_nothing(tmp_path):
    stamps = [0, 0.1, 0.2, 50, 0.4, 0.5]
    assert len(read(tmp_path, "t,x\n" + "".join(f"{t},0\n" for t in stamps))) == 1


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("{ x = { above = 2 } }", [3, 4]),
        ("{ x = { at_least = 2, below = 4 } }", [2, 3]),
        ("{ x = { at_most = 2 } }", [1, 2]),
        ("{ x = { not = 2 } }", [1, 3, 4]),
        ("{ x = { among = [1, 4] } }", [1, 4]),
        ('{ m = { among = ["AUTO", "LOITER"] } }', [1, 3]),
        ('{ m = { not = "AUTO" } }', [2, 3, 4]),
        ('{ m = "AUTO", x = { above = 0 } }', [1]),
        ("{ x = [2, 3] }", [2, 3]),
    ],
)
def test_rows_are_chosen_by_comparisons_and_sets(tmp_path, where, kept):
    content = "t,x,m\n0,1, AUTO\n1,2,MANUAL\n2,3,LOITER \n3,4,x\n"
    assert values(read(tmp_path, content, BODY + f"where = {where}\n")) == [kept]


def test_a_number_that_is_none_fulfils_no_condition_and_is_no_episodes_key(tmp_path):
    table = pa.table({"t": np.arange(4.0), "x": [1.0, 2, 3, 4], "mode": [1.0, 1, np.nan, 2]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert values(read_file(tmp_path / "a.parquet", BODY + "where = { mode = { not = 2 } }\n")) == [[1, 2]]
    recordings = read_file(tmp_path / "a.parquet", BODY + '[cut]\nkey = "mode"\n')
    assert values(recordings) == [[1, 2], [4]]
    assert "1 of 4 rows have no mode; left out" in recordings[0].notes


@pytest.mark.parametrize(
    "where", ["{ x = { about = 2 } }", "{ x = {} }", '{ x = { among = "a" } }', '{ x = ["a", "b"] }']
)
def test_conditions_that_are_none_are_refused(tmp_path, where):
    with pytest.raises(RecipeError, match=r"streams\.s\.where"):
        read(tmp_path, PLAIN, BODY + f"where = {where}\n")


@pytest.mark.parametrize(
    ("header", "old", "new", "stored", "reading"),
    [
        ("x", "km/h", "m/s", "36", 10),
        ("x", "deg", "rad", "180", np.pi),
        ("x", "degC", "K", "20", 293.15),
        ("x", "1e-7 deg", "deg", "450000000", 45),
        ("x", "0.01 m/s", "m/s", "250", 2.5),
        ("x", "ddmm.mmmm", "deg", "-4530.0", -45.5),
        ("x [m/s²]", "header", "m/s^2", "3", 3),
        ("x(kmh)", "header", "m/s", "36", 10),
        ("x_dps", "header", "rad/s", "180", np.pi),
        ("x / mV", "header", "V", "1500", 1.5),
        ("x (feet)", "header", "m", "10", 3.048),
        ("x", "header", "m", "10", 10),
    ],
)
def test_units_are_converted_by_their_names(tmp_path, header, old, new, stored, reading):
    body = BODY + f'units = "{new}"\nfrom_units = "{old}"\n'
    (recording,) = read(tmp_path, f"t,{header}\n0,{stored}\n", body)
    assert recording.samples["s"].data[0, 0] == pytest.approx(reading)


def test_a_unit_that_the_table_tells_and_the_recipe_does_not_is_noted(tmp_path):
    (recording,) = read(tmp_path, "t,x [km/h]\n0,36\n1,36\n", BODY.replace("rate_hz", 'units = "m/s"\nrate_hz'))
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], 36)
    assert any("x is in km/h; m/s is taken" in note for note in recording.notes)


def test_hemispheres_stand_in_columns(tmp_path):
    gps = 'columns = { latitude = "lat", longitude = "lon", altitude = "" }\nunits = ["deg", "deg", "m"]\n'
    body = BODY.replace('columns = { x = "x" }\n', gps).replace('"sensor"', '"gps"') + 'hemispheres = ["ns", "ew"]\n'
    (recording,) = read(tmp_path, "t,lat,ns,lon,ew\n0,45.5,S,7,E\n1,45.5,n,7,W\n2,45.5,,7,W\n", body)
    np.testing.assert_array_equal(recording.samples["s"].data[:, :2], [[-45.5, 7], [45.5, -7], [np.nan, -7]])
    with pytest.raises(RecipeError, match="hemispheres"):
        read(tmp_path, "t,x\n0,1\n", BODY + 'hemispheres = ["ns", "ew"]\n')


@pytest.mark.parametrize(
    ("where", "told"),
    [("x = [5, inf]", r'none of 3 rows fulfils where = \{"x": \[5, Inf'), ("", "none of 3 rows has a time")],
)
def test_where_no_row_is_left_it_is_said_why(tmp_path, where, told):
    stamp = "0" if where else ""
    body = BODY + (f"where = {{ {where} }}\n" if where else "")
    with pytest.raises(RecipeError, match=rf"no rows for any stream[\s\S]*s: {told}[\s\S]*leave it out"):
        read(tmp_path, f"t,x\n{stamp},1\n{stamp},2\n{stamp},3\n", body)


def test_an_optional_stream_of_which_a_column_is_missing_is_told(tmp_path):
    body = BODY + '[streams.b]\nkind = "sensor"\ncolumns = { y = "y", z = "z" }\nrate_hz = 1\noptional = true\n'
    (recording,) = read(tmp_path, "t,x,y\n0,1,2\n1,1,2\n", body)
    assert recording.notes == ["b: left out, though there is y: no z"]


def test_numbers_for_nothing_are_found_before_units_are_converted(tmp_path):
    body = BODY + 'units = "rad"\nfrom_units = "deg"\nscale = 2\n'
    rows = [9999 if i % 10 == 7 else i for i in range(100)]
    (recording,) = read(tmp_path, "t,x\n" + "".join(f"{i / 10},{x}\n" for i, x in enumerate(rows)), body)
    (done,) = examined(recording)
    np.testing.assert_array_equal(np.isnan(done.samples["s"].data[:, 0]), np.array(rows) == 9999)


def test_units_stand_in_a_row(tmp_path):
    body = BODY + 'units = "m/s"\nfrom_units = "header"\n'
    assert values(read(tmp_path, "t,x\ns,km/h\n0,36\n1,72\n", body)) == [[10, 20]]
    with pytest.raises(RecipeError, match=r"'x' is in a unit[\s\S]*'kg'"):
        read(tmp_path, "t,x\ns,kg\n0,36\n", body)
    with pytest.raises(RecipeError, match=r"from_units[\s\S]*'kg'"):
        read(tmp_path, "t,x\n0,36\n", BODY + 'units = "m/s"\nfrom_units = "kg"\n')


def test_other_columns_become_streams_if_the_recipe_says_so(tmp_path):
    body = BODY + '[streams.gone]\noptional = true\nkind = "sensor"\ncolumns = { y = "y" }\nrate_hz = 1\n'
    (recording,) = read(tmp_path, "t,x,speed [km/h]\n0,1,36\n1,2,72\n", body, "rest = true")
    assert sorted(recording.specs) == ["s", "signals"]
    assert recording.samples["signals"].data[:, 0].tolist() == [10, 20]
    (recording,) = read(tmp_path, "t,x,y\n0,1,36\n1,2,72\n", body)
    assert sorted(recording.specs) == ["gone", "s"]


def write(path, kind):
    table = pa.table({"t": [0.0, 0.1, 0.2], "x": [1.5, 2.5, 3.5]})
    if kind == ".xlsx":
        book = openpyxl.Workbook()
        for row in [["made by me"], ["t", "x"], [0, 1.5], [0.1, 2.5], [0.2, 3.5]]:
            book.active.append(row)
        book.save(path)
    elif kind == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("in/run.csv", PLAIN)
            archive.writestr("readme.md", "no table")
    else:
        writers = {
            ".csv.gz": lambda: path.write_bytes(gzip.compress(PLAIN.encode())),
            ".csv.zst": lambda: path.write_bytes(pa.Codec("zstd").compress(PLAIN.encode()).to_pybytes()),
            ".tsv": lambda: path.write_text(PLAIN.replace(",", "\t")),
            ".feather": lambda: feather.write_feather(table, path),
            ".parquet": lambda: parquet.write_table(table, path),
        }
        writers[kind]()


@pytest.mark.parametrize("kind", [".csv.gz", ".csv.zst", ".zip", ".tsv", ".txt", ".feather", ".parquet", ".xlsx"])
def test_every_kind_of_file_gives_the_same(tmp_path, kind):
    path = tmp_path / f"run{kind}"
    write(path, kind) if kind != ".txt" else path.write_text(PLAIN)
    (tmp_path / "r.toml").write_text(HEAD + BODY)
    assert tables.claims(path)
    for recipe in (None, tmp_path / "r.toml"):
        (recording,) = tables.read(path, Options(recipe=recipe))
        (samples,) = recording.samples.values()
        assert samples.data[:, 0].tolist() == [1.5, 2.5, 3.5]
        np.testing.assert_allclose(samples.time, [0, 0.1, 0.2], atol=1e-9)


def test_numbers_with_units_in_a_sheet(tmp_path):
    book = openpyxl.Workbook()
    for row in [["t", "x"], [0, "36 km/h"], [0.1, "72 km/h"]]:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    body = BODY + 'units = "m/s"\nfrom_units = "header"\n'
    assert values(read_file(tmp_path / "a.xlsx", body)) == [[10, 20]]


def test_lists_of_one_length_are_columns(tmp_path):
    state = pa.array([[1.0, 10.0], [2.0, 20.0]], pa.list_(pa.float32()))
    parquet.write_table(pa.table({"t": [0.0, 1.0], "state": state}), tmp_path / "run.parquet")
    assert values(read_file(tmp_path / "run.parquet", BODY.replace('"x"', '"state[1]"'))) == [[10, 20]]


@pytest.mark.parametrize("kind", [".csv.gz", ".csv.zst", ".zip"])
def test_what_is_looked_at_and_then_read_is_unpacked_once(tmp_path, monkeypatch, kind):
    unpacked: list[Path] = []
    bounded = members._bounded
    monkeypatch.setattr(members, "_KEPT", {})
    monkeypatch.setattr(members, "_bounded", lambda path, stream: unpacked.append(path) or bounded(path, stream))
    paths = [tmp_path / f"run{i}{kind}" for i in range(2)]
    for path in paths:
        write(path, kind)
    assert all(tables.claims(path) and list(tables.read(path, Options())) for path in paths)
    assert sorted(path.name for path in unpacked if path.parent == tmp_path) == [path.name for path in paths]
    for most in (1.5 * len(PLAIN), len(PLAIN) - 1):  # room for one, and for none
        monkeypatch.setattr(members, "_KEPT_BYTES", most)
        assert all(list(tables.read(path, Options())) for path in paths)
        assert sum(each.size for each in members._KEPT.values()) <= most


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.logs.ingest.formats.tables.members.LARGEST", 1000)
    for kind, pack in ((".csv.gz", gzip.compress), (".zip", None)):
        path = tmp_path / f"bomb{kind}"
        if pack:
            path.write_bytes(pack(b"t,x\n" + b"0,0\n" * 1000))
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("run.csv", "t,x\n" + "0,0\n" * 1000)
        with pytest.raises(RecipeError, match="unpacks to more than"):
            read_file(path)


def session(folder):
    (folder / "sub").mkdir(parents=True)
    (folder / "acc.csv").write_text("t,x\n10.0,1\n10.1,2\n")
    (folder / "sub" / "gyro_1.csv").write_text("t,w\n9.95,7\n10.05,8\n")
    (folder / "readme.txt").write_text("a drive")


def test_files_of_one_recording_are_joined_by_their_times(tmp_path):
    session(tmp_path / "drives" / "one")
    session(tmp_path / "drives" / "two")
    (tmp_path / "drives" / "two" / "gps.csv").write_text("t,lat,lon\n10.0,45,7\n")
    (tmp_path / "r.toml").write_text(HEAD + FILES)
    report = ingest(tmp_path / "drives", tmp_path / "log.h5", recipe=tmp_path / "r.toml", progress=False)
    assert report.episodes == ("one", "two")
    first, second = Log(tmp_path / "log.h5").episodes
    np.testing.assert_allclose(first.streams["s"].time, [0.05, 0.15])
    np.testing.assert_allclose(first.streams["gyro"].time, [0, 0.1])
    assert len(first.streams["gps"]) == 0
    assert second.streams["gps"].data[0, :2].tolist() == [45, 7]


def test_a_folder_without_any_file_of_a_recipe_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "other.csv").write_text("t,x\n0,1\n1,2\n")
    keys = BODY.replace("rate_hz", 'file = "imu.csv"\noptional = true\nrate_hz')
    with pytest.raises(RecipeError, match=r"no file of any stream[\s\S]*imu.csv[\s\S]*other.csv"):
        read_file(tmp_path / "run", keys)


def test_a_file_of_another_version_than_its_optional_streams_is_left_out(tmp_path):
    (tmp_path / "run").mkdir()
    for name, column in (("imu.csv", "x"), ("motors.csv", "old")):
        (tmp_path / "run" / name).write_text(f"t,{column}\n0,1\n1,2\n")
    more = BODY[BODY.index("[streams") :].replace("streams.s", "streams.motors")
    keys = BODY.replace("rate_hz", 'file = "imu.csv"\nrate_hz')
    (recording,) = read_file(
        tmp_path / "run", keys + more.replace("rate_hz", 'file = "motors.csv"\noptional = true\nrate_hz')
    )
    assert set(recording.samples) == {"s"}


def test_columns_by_place_tell_nothing_of_the_delimiter(tmp_path):
    content = "Zeit;a;b\n" + "".join(f"{i},5;1,{i};2\n" for i in range(9))
    keys = BODY.replace('"t"', '"#1"').replace('"x" }', '"#2" }')
    for recipe in ("", "skip = 0"):
        (recording,) = read(tmp_path, content, keys, recipe)
        np.testing.assert_allclose(recording.samples["s"].data[:, 0], 1 + np.arange(9) / 10)


def test_files_of_one_recording_may_be_in_an_archive(tmp_path):
    session(tmp_path / "one")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        for file in (tmp_path / "one").rglob("*.*"):
            archive.write(file, file.relative_to(tmp_path))
    (recording,) = read_file(tmp_path / "one.zip", FILES)
    assert sorted(recording.specs) == ["gyro", "s"]
    (tmp_path / "one" / "acc.csv").unlink()
    with pytest.raises(RecipeError, match=r"one file 'acc\.csv'"):
        read_file(tmp_path / "one", FILES)

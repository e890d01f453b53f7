"""Tables by a recipe: what a column becomes, what is counted, and what is refused with a reason."""

import datetime
import math
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy.io import savemat

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest, load_recipe, shipped_recipes
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

RECIPE = """
format = "worldmodel-recipe"
version = 1
description = "a cart"
twin = "cartpole"

[clock]
column = "t"
unit = "ms"

[streams.wheel]
kind = "sensor"
columns = { speed = "v", angle = "a" }
units = ["m/s", "rad"]
rate_hz = 100
scale = [1.0, 0.001]
offset = [0.5, 0.0]
circular = [false, true]
noise_std = 0.1
frame = "body"

[streams.motor]
kind = "action"
columns = { voltage = "u" }
units = "V"
rate_hz = 100
"""
TABLE = "t,v,a,u\n1000,1,1000,0\n1010,2,2000,1\n1020,3,3000,2\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cart.toml").write_text(RECIPE)
    (tmp_path / "run.csv").write_text(TABLE)
    return tmp_path


def make(folder, source="run.csv", recipe="cart.toml", **options):
    report = ingest(folder / source, folder / "log.h5", recipe=folder / recipe, progress=False, **options)
    return report, Log(folder / "log.h5")


def test_what_is_declared_of_the_machine_goes_with_the_log(folder):
    (folder / "cart.toml").write_text(RECIPE + '\n[structure]\nderivative = { "wheel.speed" = "wheel.angle" }\n')
    _, log = make(folder)
    assert log.about["structure"] == {"derivative": {"wheel.speed": "wheel.angle"}}


def test_columns_become_streams(folder):
    report, log = make(folder)
    assert report.streams == ("motor", "wheel")
    assert report.episodes == ("run.csv",)
    assert report.notes == ()
    assert log.about == {"description": "a cart", "recipe": "cart", "scene": "cartpole", "sources": ["run.csv"]}
    wheel = log.episodes[0].streams["wheel"]
    np.testing.assert_allclose(wheel.time, [0.0, 0.01, 0.02])
    np.testing.assert_allclose(wheel.data, [[1.5, 1.0], [2.5, 2.0], [3.5, 3.0]])
    spec = wheel.spec
    assert (spec.kind, spec.columns, spec.units) == ("sensor", ("speed", "angle"), ("m/s", "rad"))
    assert (spec.circular, spec.noise_std, spec.frame, spec.rate_hz) == ((False, True), (0.1, 0.1), "body", 100.0)
    assert log.streams["motor"].kind == "action"
    assert math.isnan(log.episodes[0].origin_utc)


def test_parquet_gives_the_same_as_csv(folder):
    rows = np.array([[float(v) for v in line.split(",")] for line in TABLE.split()[1:]])
    columns = {name: rows[:, i] for i, name in enumerate("tvau")}
    parquet.write_table(pa.table(columns), folder / "run.parquet")
    _, log = make(folder)
    expected = {name: (s.time, s.data) for name, s in log.episodes[0].streams.items()}
    log.close()
    _, log = make(folder, "run.parquet", force=True)
    for name, (time, data) in expected.items():
        np.testing.assert_array_equal(log.episodes[0].streams[name].time, time)
        np.testing.assert_array_equal(log.episodes[0].streams[name].data, data)


def test_a_folder_and_a_pattern_give_an_episode_a_file(folder):
    (folder / "another.csv").write_text(TABLE)
    _, log = make(folder, ".")
    assert [episode.name for episode in log.episodes] == ["another.csv", "run.csv"]
    log.close()
    _, log = make(folder, "r*.csv", force=True)
    assert [episode.name for episode in log.episodes] == ["run.csv"]


def test_nan_infinity_and_empty_fields_are_kept_and_counted(folder):
    (folder / "run.csv").write_text("t,v,a,u\n0,nan,1,0\n10,,1,inf\n20,1,1,0\n")
    report, log = make(folder)
    assert report.notes == (
        "run.csv: wheel: 2 of 6 readings are NaN or infinite (kept as they are; readers mask them)",
        "run.csv: motor: 1 of 3 readings are NaN or infinite (kept as they are; readers mask them)",
    )
    np.testing.assert_array_equal(log.episodes[0].streams["wheel"].mask[:, 0], [False, False, True])
    assert log.episodes[0].streams["motor"].data[1, 0] == math.inf


def test_rows_of_a_slower_sensor_and_columns_without_readings_are_no_missing_readings(tmp_path):
    rows = "".join(
        f"2026-09-12T08:30:{i / 4:06.3f},{'' if i % 4 else 48 + i / 1e6},{'' if i % 4 else 11}\n" for i in range(80)
    )
    (tmp_path / "run.csv").write_text(f"stamp,lat,lon\n{rows}")
    notes = ingest([tmp_path / "run.csv"], tmp_path / "run.h5").notes
    told = [note for note in notes if "gps" in note]
    assert any("rows that hold nothing of a stream are no samples of it: 60 of 80 in gps" in note for note in told)
    assert any("gps: altitude: never told" in note for note in told)
    assert not any("NaN or infinite" in note for note in notes)


def test_rows_without_a_time_or_of_a_time_that_was_there_are_left_out_and_counted_and_late_ones_sorted(folder):
    (folder / "run.csv").write_text("t,v,a,u\n0,1,1,0\n20,2,1,0\n10,3,1,0\n20,4,1,0\n,5,1,0\n30,6,1,0\n")
    report, log = make(folder)
    assert [f.text for f in report.findings if f.stream == "wheel"] == [
        "1 of 6 rows have no time",
        "1 of 5 rows came out of order, by up to 0.01 s; sorted",
        "1 of 5 rows repeat the stamp before them; left out",
    ]
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].time, [0, 0.01, 0.02, 0.03])
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].data[:, 0], [1.5, 3.5, 2.5, 6.5])


def test_duplicates_are_refused_if_the_recipe_says_so(folder):
    (folder / "cart.toml").write_text(RECIPE.replace('unit = "ms"', 'unit = "ms"\nduplicates = "error"'))
    (folder / "run.csv").write_text("t,v,a,u\n0,1,1,0\n0,2,1,0\n")
    with pytest.raises(RecipeError, match=r"do not increase[\s\S]*row 1"):
        make(folder)


def test_large_integer_stamps_keep_their_nanoseconds(folder):
    start = 1_700_000_000_123_456_789
    recipe = RECIPE.replace('unit = "ms"', 'unit = "ns"\norigin = "unix"')
    (folder / "cart.toml").write_text(recipe)
    (folder / "run.csv").write_text(f"t,v,a,u\n{start},1,1,0\n{start + 7},2,1,0\n")
    _, log = make(folder)
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].time, [0, 7e-9], atol=1e-12)
    assert log.episodes[0].origin_utc == pytest.approx(1_700_000_000.123457)


def test_timestamps_of_parquet_need_no_unit(folder):
    stamps = [datetime.datetime(2024, 1, 1, 0, 0, 0, 500_000 * i, tzinfo=datetime.UTC) for i in range(2)]
    parquet.write_table(pa.table({"t": stamps, "v": [1, 2], "a": [0, 0], "u": [0, 0]}), folder / "run.parquet")
    _, log = make(folder, "run.parquet")
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].time, [0, 0.5])


def test_rows_are_chosen_and_streams_have_their_own_clock(folder):
    recipe = RECIPE.replace('columns = { voltage = "u" }', 'columns = { voltage = "u" }\nwhere = { id = "m" }')
    (folder / "cart.toml").write_text(recipe + '\n[streams.motor.clock]\ncolumn = "s"\nunit = "s"\n')
    (folder / "run.csv").write_text("t,s,id,v,a,u\n100,0.2,w,1,1,7\n200,0.3,m,2,1,8\n")
    _, log = make(folder)
    assert log.episodes[0].streams["motor"].data.tolist() == [[8.0]]
    np.testing.assert_allclose(log.episodes[0].streams["motor"].time, [0.2])  # 0.3 s, and the first is at 0.1 s
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].time, [0.0, 0.1])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('format = "worldmodel-recipe"', "", ["format", "worldmodel-recipe", "nothing"]),
        ("version = 1", "version = 2", ["version", "found:    2"]),
        ('column = "t"', "", ["clock.column", "nothing"]),
        ('unit = "ms"', 'unit = "min"', ["clock.unit", "us or ns or minutes or hours", "'min'"]),
        ('kind = "sensor"', 'kind = "smell"', ["streams.wheel.kind", "'smell'"]),
        ('kind = "sensor"', 'kind = "video"', ["streams.wheel.kind", "'video'"]),
        ('kind = "sensor"', 'kind = "gps"', ["streams.wheel", "latitude, longitude, altitude"]),
        ('columns = { speed = "v", angle = "a" }', "columns = {}", ["streams.wheel.columns"]),
        ('columns = { speed = "v", angle = "a" }', "columns = { x = 3 }", ["streams.wheel.columns", "3"]),
        ('units = ["m/s", "rad"]', 'units = ["m/s"]', ["streams.wheel.units", "a list of 2", "['m/s']"]),
        ("rate_hz = 100", "rate_hz = 0", ["streams.wheel.rate_hz", "above zero"]),
        ("rate_hz = 100", "", ["streams.wheel.rate_hz", "nothing"]),
        ("rate_hz = 100", "rate = 100", ["rate_hz"]),
        ("rate_hz = 100", "rate_hz = 100\nfrme = 'body'", ["streams.wheel.frme", "did you mean 'frame'?"]),
        ("scale = [1.0, 0.001]", "scale = true", ["streams.wheel.scale", "True"]),
        ("circular = [false, true]", "circular = 1", ["streams.wheel.circular"]),
        ("[clock]", "[clocks]", ["the key clock is wrong"]),
        ("[clock]", "[clock", ["not valid TOML", "line"]),
        ('description = "a cart"', "description = 3", ["description", "3"]),
        ('description = "a cart"', 'delimiter = "::"', ["delimiter", "one character"]),
        ('description = "a cart"', "streams = 3", ["TOML"]),
    ],
)
def test_a_malformed_recipe_says_which_key(folder, old, new, words):
    (folder / "cart.toml").write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(RecipeError) as caught:
        make(folder)
    for word in ["cart.toml", *words]:
        assert word in str(caught.value)
    assert not (folder / "log.h5").exists()


def test_a_folder_of_a_recipes_name_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emps").mkdir()
    assert load_recipe("emps").streams
    assert Options(recipe="emps").absolute().recipe == "emps"


def test_an_unknown_recipe_names_the_shipped_ones(folder):
    with pytest.raises(RecipeError, match=r"no recipe 'pendulum'[\s\S]*double_pendulum"):
        load_recipe("pendulum")
    with pytest.raises(RecipeError, match="no recipe"):
        load_recipe(folder / "none.toml")


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name):
    recipe = load_recipe(name)
    assert recipe.streams or recipe.rest


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("t,v,u\n1,2,3\n", ["lacks columns", "cart.toml names: a.", "found:    t, v, u"]),
        ("", ["cannot be read as a table"]),
        ("t,v,a,u\n1,2\n", ["cannot be read as a table"]),
        ("t,v,a,u\n1,fast,3,4\n", ["column 'v' does not hold numbers", "fast"]),
        ("t,v,a,u\n", ["no rows"]),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, content, words):
    (folder / "run.csv").write_text(content)
    with pytest.raises(RecipeError) as caught:
        make(folder)
    for word in words:
        assert word in str(caught.value)
    assert sorted(p.name for p in folder.iterdir()) == ["cart.toml", "run.csv"]


def test_a_table_without_a_recipe_is_read_by_a_suggested_one(folder):
    report = ingest(folder / "run.csv", folder / "log.h5", progress=False)
    assert any("--suggest prints it" in note for note in report.notes)
    (folder / "run.csv").write_text("v,a,u\n1,1000,0\n2,2000,1\n")
    with pytest.raises(RecipeError, match=r"No clock can be told[\s\S]*period_s"):
        ingest(folder / "run.csv", folder / "none.h5", progress=False)


@pytest.mark.parametrize(("source", "words"), [("none.csv", "does not exist"), ("x*.csv", "does not exist")])
def test_a_source_that_names_nothing_is_refused(folder, source, words):
    with pytest.raises(RecipeError, match=words):
        make(folder, source)


def test_no_source_and_an_unknown_kind_of_file_are_refused(folder):
    (folder / "run.bag").write_text("")
    with pytest.raises(RecipeError, match="No source"):
        ingest([], folder / "log.h5", progress=False)
    with pytest.raises(RecipeError, match=r"of no format that is known[\s\S]*\.bag"):
        ingest(folder / "run.bag", folder / "log.h5", progress=False)


def test_an_output_that_exists_is_refused_before_anything_is_read(folder):
    (folder / "log.h5").write_text("mine")
    with pytest.raises(WorldModelError, match="--force"):
        make(folder, "none.csv")
    assert (folder / "log.h5").read_text() == "mine"


def test_rows_a_known_period_apart_need_no_time_column(folder):
    recipe = RECIPE.replace('column = "t"\nunit = "ms"', "period_s = 0.5")
    (folder / "cart.toml").write_text(recipe.replace('"body"\n', '"body"\nwhere = { v = [2, inf] }\n'))
    _, log = make(folder)
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].time, [0.5, 1.0])  # rows left out leave a gap
    np.testing.assert_allclose(log.episodes[0].streams["motor"].time, [0.0, 0.5, 1.0])


def test_a_table_may_hold_several_episodes(folder):
    parts = '\n[episodes.first]\nrows = [0, 2]\n\n[episodes.swapped]\ncolumns = { v2 = "a" }\n'
    (folder / "cart.toml").write_text(RECIPE.replace('speed = "v"', 'speed = "v2"') + parts)
    with pytest.raises(RecipeError, match=r"lacks columns[\s\S]*v2"):
        make(folder)
    (folder / "cart.toml").write_text(RECIPE + parts.replace("v2", "w"))
    report, log = make(folder)
    assert report.episodes == ("run.csv first", "run.csv swapped")
    assert [len(episode.streams["wheel"]) for episode in log.episodes] == [2, 3]
    np.testing.assert_allclose(log.episodes[1].streams["wheel"].time, [0, 0.01, 0.02])


def test_an_episode_names_its_own_columns(folder):
    recipe = RECIPE.replace('speed = "v"', 'speed = "speed"')
    both = '\n[episodes.one]\ncolumns = { speed = "v" }\n\n[episodes.other]\nrows = [1, 3]\ncolumns = { speed = "u" }\n'
    (folder / "cart.toml").write_text(recipe + both)
    _, log = make(folder)
    speeds = [episode.streams["wheel"].data[:, 0].tolist() for episode in log.episodes]
    assert speeds == [[1.5, 2.5, 3.5], [1.5, 2.5]]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('column = "t"', 'column = "t"\nperiod_s = 1.0', ["clock.column", "period_s in its place"]),
        ('column = "t"', "period_s = 0", ["clock.period_s", "above zero"]),
        ('"body"\n', '"body"\nwhere = { v = [2, 1] }\n', ["wheel.where", "[low, high]"]),
        ("[clock]", "[episodes.x]\nrows = [3, 3]\n[clock]", ["episodes.x.rows", "the first row"]),
        ("[clock]", "[episodes.x]\nrows = [0, 9]\n[clock]", ["fewer rows", "9", "3"]),
        ("[clock]", '[episodes.x]\ncolumns = { b = "c" }\n[clock]', ["lacks columns of the episode 'x'", "c"]),
    ],
)
def test_what_rows_and_episodes_cannot_be(folder, old, new, said):
    (folder / "cart.toml").write_text(RECIPE.replace(old, new))
    with pytest.raises(RecipeError) as error:
        make(folder)
    assert all(part in str(error.value) for part in said), error.value


def test_columns_of_lists_are_a_column_an_element(folder):
    state = pa.array([[1.0, 1000.0], [2.0, 2000.0], [3.0, 3000.0]], pa.list_(pa.float32(), 2))
    table = {"t": pa.array([1000, 1010, 1020]), "state": state, "u": pa.array([0.0, 1.0, 2.0])}
    parquet.write_table(pa.table(table), folder / "run.parquet")
    (folder / "cart.toml").write_text(RECIPE.replace('"v"', '"state[0]"').replace('"a"', '"state[1]"'))
    _, log = make(folder, "run.parquet")
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].data, [[1.5, 1.0], [2.5, 2.0], [3.5, 3.0]])


def test_vectors_of_a_matlab_file_are_columns(folder):
    rows = np.array([[float(v) for v in line.split(",")] for line in TABLE.split()[1:]])
    columns = {name: rows[:, [i]] for i, name in enumerate("tvau")}
    savemat(folder / "run.mat", {**columns, "gain": 2.0, "matrix": np.eye(5), "words": "hello world"})
    _, log = make(folder, "run.mat")
    np.testing.assert_allclose(log.episodes[0].streams["wheel"].data, [[1.5, 1.0], [2.5, 2.0], [3.5, 3.0]])
    (folder / "run.mat").write_bytes(b"no matlab file")
    with pytest.raises(RecipeError, match="cannot be read as a table"):
        make(folder, "run.mat", force=True)


def test_what_is_too_large_for_the_log_is_counted_as_infinite(folder):
    (folder / "run.csv").write_text("t,v,a,u\n0,1e39,1,0\n10,1,1,0\n")
    report, log = make(folder)
    assert any("1 of 4 readings are NaN or infinite" in note for note in report.notes)
    assert log.episodes[0].streams["wheel"].data[0, 0] == math.inf


def test_an_archive_is_whole_and_names_its_files_once(folder):
    with zipfile.ZipFile(folder / "run.zip", "w") as archive:
        archive.writestr("a.csv", TABLE)
    whole = (folder / "run.zip").read_bytes()
    (folder / "cut.zip").write_bytes(whole[:-30])
    with pytest.raises(RecipeError, match="cannot be unpacked"):
        make(folder, "cut.zip")
    with zipfile.ZipFile(folder / "run.zip", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.csv", TABLE)
    with pytest.raises(RecipeError, match=r"several files of one name[\s\S]*a\.csv"):
        make(folder, "run.zip")

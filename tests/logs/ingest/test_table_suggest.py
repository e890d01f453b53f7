"""Recipes that nobody wrote: what is suggested for a table, by its clock, its rows and its files."""

import tomllib
import zipfile

import h5py
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy.io import savemat
from typer.testing import CliRunner

from tests.logs.ingest.table_case import read_file, recordings, suggested
from worldmodel.cli import app
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest, suggest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options

PHONE = "time_ms,ax [g],ay [g],az [g],gx,gy,gz,lat,lon,heading_deg,speed_kmh,cmd_steer,mode,frame_index\n" + "".join(
    f"{10 * i},0,0,1,{90 + i},0,0,{48 + i / 1e5},11,{i * 40 % 360},36,{i / 50},AUTO,{i}\n" for i in range(50)
)


def test_names_units_values_and_rates_make_a_recipe(tmp_path):
    path = tmp_path / "phone.csv"
    path.write_text(PHONE)
    (recording,) = recordings(path)
    specs, samples = recording.specs, recording.samples
    assert {name: spec.kind for name, spec in specs.items()} == {
        "accelerometer": "sensor", "gyro": "sensor", "gps": "gps", "signals": "sensor", "commands": "action",
    }  # fmt: skip
    np.testing.assert_allclose(samples["accelerometer"].data[0], [0, 0, 9.80665])
    np.testing.assert_allclose(samples["gyro"].data[0, 0], np.pi / 2)
    np.testing.assert_allclose(samples["gps"].data[0, :2], [48, 11])
    assert specs["signals"].columns == ("heading", "speed")
    assert specs["signals"].circular == (True, False)
    np.testing.assert_allclose(samples["signals"].data[1], [np.radians(40), 10])
    assert specs["gyro"].rate_hz == 100
    notes = "\n".join(recording.notes)
    for doubt in ("gyro: no unit", "commands: taken for commands", "hold words are left out: mode", "count rows"):
        assert doubt in notes


def test_what_is_printed_reads_as_what_is_ingested(tmp_path):
    path = tmp_path / "phone.csv"
    path.write_text(PHONE)
    text = suggest(path)
    assert text.count("# doubt: ") >= 3
    head, _, body = text.partition("version = 1\n")
    assert 'format = "worldmodel-recipe"' in head
    (by_hand,), (by_itself,) = read_file(path, body), recordings(path)
    assert str(by_hand.specs) == str(by_itself.specs)  # as no NaN equals another
    for name, (time, data) in by_itself.samples.items():
        np.testing.assert_array_equal(by_hand.samples[name].time, time)
        np.testing.assert_array_equal(by_hand.samples[name].data, data)


def test_the_command_prints_it_and_writes_nothing(tmp_path):
    (tmp_path / "phone.csv").write_text(PHONE)
    said = CliRunner().invoke(app, ["ingest", "--suggest", str(tmp_path / "phone.csv")])
    assert (said.exit_code, said.output) == (0, suggest(tmp_path / "phone.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["phone.csv"]
    assert CliRunner().invoke(app, ["ingest", str(tmp_path / "phone.csv")]).exit_code == 2


@pytest.mark.parametrize("name", ['a "b"', "a\\b", "ä]", "a b\tc", "x=1", "[s]", "#", "'"])
def test_any_name_of_a_column_survives(tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    (tmp_path / "run.csv").write_text(f"t;{quoted};ok\n0;1;2\n1;2;3\n2;3;4\n", encoding="utf-8")
    (recording,) = recordings(tmp_path / "run.csv")
    assert sum(samples.data.shape[1] for samples in recording.samples.values()) == 2


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("sec,nanosec,x", lambda i: f"{1716021000 + i // 50},{i % 50 * 20_000_000},{i}"),
        ("timestamp_s,timestamp_us,x", lambda i: f"{1716021000 + i // 50},{i % 50 * 20_000},{i}"),
        ("date,time,ms,x", lambda i: f"2024-05-18,08:30:{i // 50:02d},{i % 50 * 20},{i}"),
    ],
)
def test_parts_of_a_second_in_a_column_of_their_own_are_added(tmp_path, header, row):
    (tmp_path / "run.csv").write_text("\n".join([header, *map(row, range(120))]) + "\n")
    (recording,) = recordings(tmp_path / "run.csv")
    assert {name: spec.columns for name, spec in recording.specs.items()} == {"signals": ("x",)}
    np.testing.assert_allclose(recording.samples["signals"].time, np.arange(120) / 50, atol=1e-9)
    assert recording.origin_utc == 1716021000


def test_the_first_sheet_with_a_table_is_read(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Made by", "me"])
    sheet = book.create_sheet("Data")
    for row in [["Time", "x"], ["s", "V"], *([i / 10, "n/a" if i == 3 else i] for i in range(9))]:
        sheet.append(row)
    book.save(tmp_path / "run.xlsx")
    (recording,) = recordings(tmp_path / "run.xlsx")
    np.testing.assert_array_equal(recording.samples["signals"].data[:, 0], [0, 1, 2, np.nan, 4, 5, 6, 7, 8])
    assert "of its sheets 'Data' is read, and not Sheet" in recording.notes


def test_readings_by_their_names_are_a_stream_each(tmp_path):
    rows = "".join(f"{i / 10};{('speed', 'rpm')[i % 2]};{10 * i};{('km/h', 'rpm')[i % 2]}\n" for i in range(40))
    (tmp_path / "run.csv").write_text("SECONDS;PID;VALUE;UNITS\n" + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    assert {name: spec.units for name, spec in recording.specs.items()} == {"speed": ("m/s",), "rpm": ("rad/s",)}
    np.testing.assert_allclose(recording.samples["speed"].data[:, 0], np.arange(0, 400, 20) / 3.6)
    np.testing.assert_allclose(recording.samples["rpm"].time, np.arange(1, 40, 2) / 10)


@pytest.mark.parametrize("key", ["event", "Type", "attribute_name"])
def test_a_log_of_events_has_a_stream_for_each_of_them(tmp_path, key):
    """A door, a setpoint and a relay that are written when they change were one stream, the setpoint among doors."""
    names, values = ("door_open", "setpoint_degC", "compressor_on"), ((0, 1), (-18, -22), (1, 0))
    rows = "".join(f"{7 * i + i % 5},{names[i % 3]},{values[i % 3][i // 3 % 2]}\n" for i in range(30))
    (tmp_path / "events.csv").write_text(f"time,{key},value\n" + rows)
    (recording,) = recordings(tmp_path / "events.csv")
    assert set(recording.samples) == {"door_open", "setpoint", "compressor_on"}
    np.testing.assert_allclose(recording.samples["door_open"].data[:, 0], np.arange(10) % 2)
    assert not any("are left out" in note for note in recording.notes)


def test_readings_by_their_names_are_commands_where_they_are_called_so(tmp_path):
    names, units = ("Speed", "Accelerator Pedal", "Motor Current", "Speed.SP"), ("km/h", "%", "A", "km/h")
    rows = "".join(f"{i / 10};{names[i % 4]};{i};{units[i % 4]}\n" for i in range(80))
    (tmp_path / "run.csv").write_text("SECONDS;SIGNAL;VALUE;UNITS\n" + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    commands = {name for name, spec in recording.specs.items() if spec.kind == "action"}
    assert commands == {"accelerator_pedal", "speed_sp"}
    assert not any("no column is called a command" in note for note in recording.notes)


@pytest.mark.parametrize("order", ["as they came", "by their names", "late"])
def test_readings_by_their_names_are_one_recording_in_whatever_order_they_stand(tmp_path, order):
    """As a historian writes them: all of a tag behind those of another, or as packets came in."""
    came = [(i + 0.4 * tag, f"TIC10{tag}.{('PV', 'OUT')[i % 2]}", 20 * i + tag) for i in range(40) for tag in range(3)]
    late = {"TIC101.PV": 7.0, "TIC102.OUT": 30.0}
    keys = {"by their names": lambda row: row[1:], "late": lambda row: row[0] + late.get(row[1], 0)}
    came = sorted(came, key=keys.get(order, lambda row: row))
    rows = [f"2026-05-04T08:00:{t:06.3f}Z,{name},{value}" for t, name, value in came]
    recording = suggested(tmp_path, "Timestamp,TagName,Value", rows)
    assert len(recording.specs) == 6
    assert {name for name, spec in recording.specs.items() if spec.kind == "action"} == {
        f"tic10{tag}_out" for tag in range(3)
    }
    np.testing.assert_allclose(recording.samples["tic102_out"].time, np.arange(1, 40, 2) + 0.8)
    np.testing.assert_array_equal(recording.samples["tic102_out"].data[:, 0], 20 * np.arange(1, 40, 2) + 2)


def test_readings_by_their_names_begin_anew_where_each_name_does(tmp_path):
    rows = [f"{i / 10},{('speed', 'load')[i % 2]},{i}" for _ in range(2) for i in range(40)]
    (tmp_path / "run.csv").write_text("time,signal,value\n" + "\n".join(rows) + "\n")
    assert [len(one.samples["load"].time) for one in recordings(tmp_path / "run.csv")] == [20, 20]


@pytest.mark.parametrize(
    ("good", "bad"), [("Good", "Bad"), ("good, local override", "bad - no communication"), (192, 24)]
)
def test_readings_that_are_not_called_good_are_none(tmp_path, good, bad):
    """As OPC servers and historians say of each reading; those that are bad hold a 0 or the last one."""
    rows = [
        f'{i / 10},{("TI1", "TI2")[i % 2]},{0 if i % 8 == 3 else 20 + i},"{bad if i % 8 == 3 else good}"'
        for i in range(80)
    ]
    recording = suggested(tmp_path, "time,tag,value,quality", rows)
    assert recording.samples["ti2"].data.min() > 0
    assert (len(recording.samples["ti1"].time), len(recording.samples["ti2"].time)) == (40, 30)
    assert any("rows whose quality is not good are taken for no readings" in note for note in recording.notes)


def test_an_encoder_of_a_single_turn_is_an_angle(tmp_path):
    counts = [int(40 * i + 900 * np.sin(i / 30)) for i in range(600)]
    rows = [f"{i / 100},{count % 4096},{i % 7}" for i, count in enumerate(counts)]
    recording = suggested(tmp_path, "time,spindle_enc,load", rows)
    spec, angle = recording.specs["signals"], recording.samples["signals"].data[:, 0]
    assert (spec.units[0], spec.circular) == ("rad", (True, False))
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(2j * np.pi * np.array(counts) / 4096), atol=1e-6)
    assert any("it wraps as an encoder of 4096 counts a turn does" in note for note in recording.notes)


def test_how_long_something_takes_is_no_clock(tmp_path):
    rows = [f"{i / 10},{8 + i % 3 / 10},{(6, 9)[i // 40]},{i % 7}" for i in range(80)]
    recording = suggested(tmp_path, "Zeit [s],Zykluszeit [s],cooling_time_setpoint [s],load", rows)
    assert recording.specs["signals"].columns == ("zykluszeit", "load")
    assert recording.specs["commands"].columns == ("cooling_time_setpoint",)


def test_sensors_that_take_turns_are_a_stream_each_and_labels_are_not(tmp_path):
    rows = "".join(f"{5 * i},{('accel_g', 'gyro_dps')[i % 2]},{i % 2},0,1\n" for i in range(60))
    (tmp_path / "run.csv").write_text("elapsed_ms,sensor,x,y,z\n" + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    np.testing.assert_allclose(recording.samples["accel"].data, [[0, 0, 9.80665]] * 30)
    np.testing.assert_allclose(recording.samples["gyro"].data[0], np.radians([1, 0, 1]))
    rows = "".join(f"{5 * i},{('imu', 'baro')[i % 2]},{('1,2,', ',,7')[i % 2]}\n" for i in range(60))
    (tmp_path / "run.csv").write_text("elapsed_ms,sensor,u,v,hpa\n" + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    assert {name: spec.columns for name, spec in recording.specs.items()} == {"imu": ("u", "v"), "baro": ("hpa",)}
    rows = "".join(f"{5 * i},{('walk', 'run')[i // 30]},{i % 2}\n" for i in range(60))
    (tmp_path / "run.csv").write_text("elapsed_ms,label,x\n" + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    assert len(recording.samples["signals"].time) == 60


def test_numbers_that_come_by_chance_are_readings_and_name_no_sensors(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{i / 50:.2f},{np.sin(i / 9):.4f},{abs(int(rng.normal() * 2))}" for i in range(400)]
    assert suggested(tmp_path, "time_s,speed,wall_signal", rows).specs["signals"].columns == ("speed", "wall_signal")
    rows = [f"{i / 50:.2f},{np.sin(i / 9):.4f},{(7, 9, 7)[i % 3]}" for i in range(400)]
    assert {spec.columns for spec in suggested(tmp_path, "time_s,speed,node", rows).specs.values()} == {("speed",)}


@pytest.mark.parametrize("name", ["run.mat", "run.h5", "run.csv"])
def test_columns_of_a_length_of_their_own_are_on_their_own_clock(tmp_path, name):
    imu, gps = np.arange(40) / 100, np.arange(12) / 10
    vectors = {"t_imu": imu, "x": np.sin(imu), "t_gps": gps, "speed": gps**2}
    if name == "run.mat":
        savemat(tmp_path / name, vectors)
    elif name == "run.h5":
        with h5py.File(tmp_path / name, "w") as file:
            for key, values in vectors.items():
                file[key] = values
    else:
        pd.DataFrame({key: pd.Series(values) for key, values in vectors.items()}).to_csv(tmp_path / name, index=False)
    assert tables.claims(tmp_path / name)
    (recording,) = recordings(tmp_path / name)
    held = {spec.columns[0]: recording.samples[stream] for stream, spec in recording.specs.items()}
    np.testing.assert_allclose(held["x"].time, imu)
    np.testing.assert_allclose(held["speed"].time, gps)
    np.testing.assert_allclose(held["speed"].data[:, 0], gps**2)


def test_a_clock_of_the_file_beside_that_of_a_struct(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["imu/time"], file["imu/x"] = np.arange(50) / 10, np.arange(50.0)
        file["time"], file["y"] = np.arange(50) / 20, -np.arange(50.0)
    (recording,) = recordings(tmp_path / "run.h5")
    rates = {column: spec.rate_hz for spec in recording.specs.values() for column in spec.columns}
    assert rates == {"x": 10, "y": 20}


def test_vectors_without_a_clock_of_their_length_are_left_out_and_told(tmp_path):
    savemat(
        tmp_path / "a.mat", {"t": np.arange(40) / 100, "x": np.arange(40.0), "v": np.arange(9.0), "w": np.arange(9.0)}
    )
    (recording,) = recordings(tmp_path / "a.mat")
    assert [spec.columns for spec in recording.specs.values()] == [("x",)]
    assert any("no clock of its length can be told for v, w" in note for note in recording.notes)


def test_a_log_of_ours_is_no_table(tmp_path):
    (tmp_path / "phone.csv").write_text(PHONE)
    ingest(tmp_path / "phone.csv", tmp_path / "log.h5", progress=False)
    assert not tables.claims(tmp_path / "log.h5")


def test_structs_and_durations_of_parquet(tmp_path):
    columns = {
        "since": pa.array(np.arange(5) * 10, pa.duration("ms")),
        "acc": pa.array([{"x": float(i), "y": 0.0, "z": 9.8} for i in range(5)]),
    }
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    (recording,) = recordings(tmp_path / "a.parquet")
    np.testing.assert_allclose(recording.samples["accelerometer"].time, np.arange(5) / 100)
    np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 0], np.arange(5))


def test_readings_that_are_held_are_samples_once(tmp_path):
    rows = [(i / 100, np.sin(i), np.sqrt(i // 10), np.cos(i // 20)) for i in range(600)]
    text = "t,a,gps_speed,temp\n" + "".join(f"{t:.2f},{a:.4f},{b:.4f},{c:.4f}\n" for t, a, b, c in rows)
    (tmp_path / "run.csv").write_text(text)
    (recording,) = recordings(tmp_path / "run.csv")
    rates = {spec.columns: spec.rate_hz for spec in recording.specs.values()}
    assert rates == {("a",): 100, ("gps_speed",): 10, ("temp",): 5}
    held = next(name for name, spec in recording.specs.items() if spec.columns == ("temp",))
    np.testing.assert_allclose(recording.samples[held].time, np.arange(30) / 5)


@pytest.mark.parametrize(
    "content", ["a,b\n1,2\n2,3\n", "time,b\n3,2\n1,3\n2,2\n1,1\n", "time,b\n1,2\n1,3\n", "t\n1\n2\n"]
)
def test_a_table_whose_clock_cannot_be_told_is_refused(tmp_path, content):
    (tmp_path / "run.csv").write_text(content)
    with pytest.raises(RecipeError):
        suggest(tmp_path / "run.csv")


@pytest.mark.parametrize(
    ("name", "first", "step", "hertz"),
    [
        ("SampleTimeFine", 2_150_934_842, 16_667, 60),  # of Movella's DOT, microseconds
        ("SampleTimeFine", 100_000, 100, 100),  # of Xsens's MTi, 100 us
        ("timestamp", 1_200_000_000_000, 5_000_000, 200),  # nanoseconds since a boot, no milliseconds since 1970
        ("timestamp", 1_700_000_000, 3600, 1 / 3600),  # hours in seconds since 1970
        ("timestamp", 1_700_000_000, 602, 1 / 602),  # ten minutes, and what a reading takes
        ("unix_time", 1_700_000_000, 500, 1 / 500),
        ("timestamp", 1_200_000_000, 10_021, 1e6 / 10_021),  # microseconds since a boot
        ("uptime_ms", 1_700_000_000, 20, 50),  # twenty days
        ("time (us)", 1_200_000_000, 1021, 1e6 / 1021),
    ],
)
def test_stamps_as_of_1970_have_steps_as_of_a_log(tmp_path, name, first, step, hertz):
    rows = [f"{first + i * step},{np.sin(i):.4f}" for i in range(50)]
    (spec,) = suggested(tmp_path, f"{name},x", rows).specs.values()
    assert spec.rate_hz == pytest.approx(hertz, rel=1e-3)


@pytest.mark.parametrize("name", ["localtime", "Realtime"])
def test_a_name_that_ends_in_time_is_a_clocks_and_an_altimeter_none(tmp_path, name):
    rows = [f"{i / 20},{i / 10},{np.sin(i):.4f}" for i in range(50)]
    (spec,) = suggested(tmp_path, f"altimeter,{name},x", rows).specs.values()
    assert (set(spec.columns), spec.rate_hz) == ({"altimeter", "x"}, 10)


def test_when_a_row_was_made_is_its_clock(tmp_path):
    rows = [f"2023-04-05 09:12:{i:02d} UTC,{i},{np.sin(i):.3f}" for i in range(30)]
    recording = suggested(tmp_path, "created_at,entry_id,field1", rows)
    assert recording.origin_utc == 1680685920


def test_a_table_that_is_damaged_where_no_suggestion_looks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.logs.ingest.formats.tables.loading._ENOUGH", 4000)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.tables.loading._PART", 1000)
    rows = [f"{i / 50:.2f},{i % 7}" for i in range(600)]
    for name, row in (("a.csv", "4.00,4"), ("b.csv", "4.00,1,2,3,4")):
        (tmp_path / name).write_text("\n".join(["t,x", *rows[:200], row, *rows[201:]]) + "\n")
    with pytest.raises(RecipeError, match=r"b\.csv"):
        recordings(tmp_path)


def test_what_is_no_table_in_an_archive_is_left_out_and_told(tmp_path):
    table = "t,x\n" + "".join(f"{i},{np.sin(i):.3f}\n" for i in range(30))
    for others in ({"b.csv": table}, {"b.csv": table.replace("x", "y")}):
        with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
            for name, content in {"README.txt": "Recorded on a Sunday.\n", "a.csv": table, **others}.items():
                archive.writestr(name, content)
        found = recordings(tmp_path / "run.zip")
        assert sum(len(recording.samples) for recording in found) == 2
        assert any("README.txt cannot be read as a table, and is left out" in note for note in found[0].notes)
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("README.txt", "Recorded on a Sunday.\n")
        archive.writestr("b.txt", "Once more.\n")
    with pytest.raises(RecipeError, match="no file that is a table"):
        recordings(tmp_path / "none.zip")


def test_an_altimeter_is_no_clock(tmp_path):
    recording = suggested(tmp_path, "t,altimeter_m,speed", [f"{i / 10},{10 + i},{np.sin(i):.3f}" for i in range(40)])
    ((name, spec),) = recording.specs.items()
    assert "altimeter" in spec.columns[0]
    np.testing.assert_array_equal(recording.samples[name].data[:, 0], 10 + np.arange(40))


def test_a_text_that_is_no_table_is_not_claimed(tmp_path):
    for name, content in {"a.txt": "A drone.\nMIT licence, 2024.\n", "b.txt": "", "c.log": "1,2\n"}.items():
        (tmp_path / name).write_text(content)
        assert not tables.claims(tmp_path / name)


def test_files_of_a_folder_are_one_recording_or_an_episode_each(tmp_path):
    files = {"a.csv": "t,x\n0,1\n1,2\n", "b.csv": "millis,y\n500,1\n1000,2\n", "c.csv": "a,b\n1,2\n"}
    (tmp_path / "run").mkdir()
    for name, content in files.items():
        (tmp_path / "run" / name).write_text(content)
    text = suggest(tmp_path / "run")
    assert "no clock can be told in c.csv" in text
    (tmp_path / "r.toml").write_text(text)
    (recording,) = tables.read(tmp_path / "run", Options(recipe=tmp_path / "r.toml"))
    assert {name: samples.time.tolist() for name, samples in recording.samples.items()} == {
        "a": [0, 1], "b": [0.5, 1],
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "runs.zip", "w") as archive:
        archive.writestr("a.csv", files["a.csv"])
        archive.writestr("b.csv", files["a.csv"])
    assert [recording.name for recording in recordings(tmp_path / "runs.zip")] == ["runs.zip a.csv", "runs.zip b.csv"]


def test_several_tables_are_all_looked_at(tmp_path):
    for name, header in (("a", "t,ax [m/s^2]"), ("b", "t,ax [m/s^2]"), ("c", "t,volt [V]")):
        (tmp_path / f"{name}.csv").write_text(header + "".join(f"\n{i / 50},{i % 7}" for i in range(30)))
    assert "a.csv, and fits all 2 sources" in suggest([tmp_path / "a.csv", tmp_path / "b.csv"]).splitlines()[0]
    assert "other columns, units or clocks: c.csv" in suggest([tmp_path / f"{n}.csv" for n in "abc"]).splitlines()[0]


def test_a_column_of_half_the_rate_is_a_stream_of_its_own(tmp_path):
    rows = "".join(f"\n{i / 20},{i},{i if i % 2 == 0 else ''}" for i in range(40))
    (tmp_path / "a.csv").write_text(f"t,fast [V],slow [V]{rows}")
    streams = tomllib.loads(suggest(tmp_path / "a.csv"))["streams"]
    assert [(*stream["columns"].values(), stream["rate_hz"]) for stream in streams.values()] == [
        ("fast [V]", 20),
        ("slow [V]", 10),
    ]


def test_a_column_that_holds_a_word_for_nothing_and_its_header_again_holds_numbers(tmp_path):
    head = 'format = "worldmodel-recipe"\nversion = 1\nmissing = ["-"]\nrest = true'
    recipe = head + '\n[clock]\ncolumn = "t"\n[streams]\n'
    (tmp_path / "r.toml").write_text(recipe)
    rows = [f"{i / 10},{'-' if i % 4 else i}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["t,v", *rows[:20], "t,v", *rows[20:]]) + "\n")
    report = ingest(tmp_path / "a.csv", tmp_path / "log.h5", recipe=tmp_path / "r.toml", progress=False)
    assert "a.csv: 1 rows are the header once more" in report.notes
    assert len(report.streams) == 1


def test_of_a_long_text_its_middle_and_end_are_looked_at_too(tmp_path, monkeypatch):
    """A receiver that finds its place late, and a column that never does."""
    monkeypatch.setattr("worldmodel.logs.ingest.formats.tables.loading._ENOUGH", 4000)
    monkeypatch.setattr("worldmodel.logs.ingest.formats.tables.loading._PART", 1000)
    rows = [f"{i / 50:.2f},{i % 7},{'45.1,7.2' if i > 500 else ','}," for i in range(600)]
    (tmp_path / "a.csv").write_text("\n".join(["t,ax [m/s^2],lat,lon,never", *rows]) + "\n")
    text = suggest(tmp_path / "a.csv")
    assert {stream["kind"] for stream in tomllib.loads(text)["streams"].values()} == {"gps", "sensor"}
    assert "columns that hold nothing are left out: never" in text
    assert "rate_hz = 50" in text


def test_a_reading_a_minute_is_no_other_number_of_seconds(tmp_path):
    rows = "".join(f"2026-11-01 {i // 60:02d}:{i % 60:02d}:00,{i % 7}\n" for i in range(300))
    (tmp_path / "run.csv").write_text(f"time,level\n{rows}")
    (recording,) = recordings(tmp_path / "run.csv")
    assert 1 / recording.specs["signals"].rate_hz == pytest.approx(60, rel=1e-9)
    (written,) = tomllib.loads(suggest(tmp_path / "run.csv"))["streams"].values()
    assert 1 / written["rate_hz"] == pytest.approx(60, rel=1e-8)


def test_a_temperature_that_rises_all_the_time_is_no_clock(tmp_path):
    rows = "".join(f"{i},{20 + i / 5},{i % 7}\n" for i in range(60))
    (tmp_path / "oven.csv").write_text(f"time [s],T_oven [°C],power [W]\n{rows}")
    assert tomllib.loads(suggest(tmp_path / "oven.csv"))["streams"]["signals"]["columns"].keys() == {"t_oven", "power"}


def test_names_that_are_nearly_one_stay_apart(tmp_path):
    rows = [f"{i / 10},{i},{2 * i % 7},{3 * i % 11}" for i in range(60)]
    specs = suggested(tmp_path, "t,level [m],Level,level_2", rows).specs.values()
    assert sorted(name for spec in specs for name in spec.columns) == ["level", "level_2", "level_2_2"]


def taking_turns(count=400):
    """Lines of sensors that take turns, German, with stamps of whole ms, so that some share one; and what was read."""
    rng, rows, read = np.random.default_rng(0), [], {"speed": [], "yaw": [], "gear": []}
    for name, period, offset in (("speed", 20, 3), ("yaw", 20, 11), ("gear", 90, 13)):
        for i in range(count * 20 // period):
            at, value = offset + i * period + int(rng.integers(0, 5)), round(i / 8, 3)
            read[name].append((at, value))
            lamp = "on" if i % 9 else "off"
            fields = {"speed": [f"{value}", "", "", ""], "yaw": ["", f"{value}", "", ""], "gear": ["", "", "D", lamp]}
            rows.append((at, ";".join([str(at), *fields[name]]).replace(".", ",")))
    header = "Zeit [ms];Tempo [km/h];Gierrate [°/s];Gang;Blinker\n"
    return header + "\n".join(line for _, line in sorted(rows)) + "\n", read


def test_sensors_that_take_turns_in_a_table_lose_nothing(tmp_path):
    """Each in columns of its own, the others empty; a row that has the stamp of another sensor's is none of theirs."""
    text, read = taking_turns()
    (tmp_path / "can.csv").write_text(text)
    (recording,) = recordings(tmp_path / "can.csv")
    by_column = {column: name for name, spec in recording.specs.items() for column in spec.columns}
    assert set(by_column) == {"tempo", "gierrate", "blinker"}
    for column, name, scale in (("tempo", "speed", 3.6), ("gierrate", "yaw", 180 / np.pi)):
        at, values = np.transpose(read[name])
        spec, samples = recording.specs[by_column[column]], recording.samples[by_column[column]]
        assert (spec.columns, spec.rate_hz) == ((column,), pytest.approx(50, rel=0.02))
        np.testing.assert_allclose(samples.time, (at - 3) / 1000, atol=5e-3)
        np.testing.assert_allclose(samples.data[:, 0], values / scale)
    report = ingest(tmp_path / "can.csv", tmp_path / "log.h5", progress=False)
    assert not report.findings
    assert any("no samples of it" in note and "in signals" in note for note in report.notes)


def test_fields_that_are_no_numbers_do_not_keep_a_recipe_from_being_suggested(tmp_path):
    """As of laboratories, where less is there than can be measured."""
    path = tmp_path / "lab.csv"
    path.write_text("t,glucose,ph\n" + "".join(f"{60 * i},{'<0.5' if i % 9 == 4 else i},7\n" for i in range(40)))
    text = suggest(path)
    assert "# doubt: fields that are no numbers are left out: '<0.5' in 4 rows of glucose\n" in text
    (recording,) = recordings(path)
    (samples,) = recording.samples.values()
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(samples.data[:, 0])), [4, 13, 22, 31])


def test_what_is_wanted_and_what_is_read_as_plants_call_them(tmp_path):
    """`.SP` is a setpoint, `.PV` what is measured; names of two letters are kept in those of their columns."""
    for name in ("a_online", "a_lab"):
        header = {"a_online": "t,pH.PV (-),DO.PV (%),Stirrer speed.SP (rpm)", "a_lab": "t,biomass,glucose,product"}
        lines = "".join(f"{30 * i},{7 + i % 3},{i % 50},{300 + i % 4}\n" for i in range(60))
        (tmp_path / f"{name}.csv").write_text(f"{header[name]}\n{lines}")
    recipe = tomllib.loads(suggest(tmp_path))
    columns = {column: stream for stream in recipe["streams"].values() for column in stream["columns"]}
    assert {"ph_pv", "do_pv"} <= set(columns)
    assert "units" not in columns["ph_pv"] or "-" not in str(columns["ph_pv"]["units"])
    assert columns["sp"]["kind"] == "action"

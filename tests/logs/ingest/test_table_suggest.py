"""Recipes that nobody wrote: what is suggested for a table, and what known programs' tables are read as."""

import re
import shutil
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

from tests.logs.ingest.table_case import read_file
from worldmodel.cli import app
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest, suggest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.formats.tables import known
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

PHONE = "time_ms,ax [g],ay [g],az [g],gx,gy,gz,lat,lon,heading_deg,speed_kmh,cmd_steer,mode,frame_index\n" + "".join(
    f"{10 * i},0,0,1,{90 + i},0,0,{48 + i / 1e5},11,{i * 40 % 360},36,{i / 50},AUTO,{i}\n" for i in range(50)
)


def recordings(path):
    return list(tables.read(path, Options()))


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


def test_a_number_for_nothing_and_spikes_tell_no_unit(tmp_path):
    rows = [[i / 100, *np.sin([i / 9, i / 11, i / 13])] for i in range(400)]
    rows[30][1], rows[40][2], rows[50][3] = 9999, -999, 80
    path = tmp_path / "gyro.csv"
    path.write_text("time,gyro_x,gyro_y,gyro_z\n" + "".join(f"{t:.2f},{x},{y},{z}\n" for t, x, y, z in rows))
    np.testing.assert_allclose(recordings(path)[0].samples["gyro"].data[0], 0)
    np.testing.assert_allclose(recordings(path)[0].samples["gyro"].data[1], rows[1][1:])


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
    ("content", "expected"),
    [
        ("millis,x\n0,1\n20,2\n40,3\n", 'unit = "ms"'),
        ("timestamp,x\n1700000000000000,1\n1700000000020000,2\n", 'unit = "us"'),
        ("t,x\n0,1\n5000,2\n10000,3\n", 'unit = "us"'),
        ("Date,Time,x\n2025-01-02,10:00:00.0,1\n2025-01-02,10:00:00.5,2\n", 'column = ["Date", "Time"]'),
        ("time,x\n26/10/2025 10:00:00,1\n26/10/2025 10:00:01,2\n", 'dates = "day_first"'),
        ("time,x\n10/26/2025 10:00:00,1\n10/26/2025 10:00:01,2\n", 'dates = "month_first"'),
        ("time,x\n45956.458333,1\n45956.458345,2\n", 'unit = "excel_days"'),
        ("t,x,episode\n" + "".join(f"{i % 20},0,{i // 20}\n" for i in range(60)), 'key = "episode"'),
        ("t,lat,lon\n0,450000000,70000000\n1,450000000,70000000\n", '"1e-7 deg"'),
        ("t,qw,qx,qy,qz\n0,1,0,0,0\n1,1,0,0,0\n", 'kind = "orientation"'),
        ("t,px,py,pz\n0,1,0,0\n1,1,0,0\n", 'kind = "position"'),
        ("t,mag_x,mag_y,mag_z\n0,30,0,-40\n1,30,0,-40\n", 'from_units = "uT"'),
        ("# time tx ty tz qx qy qz qw\n1305031102.1 1 2 3 0 0 0 1\n1305031102.2 1 2 3 0 0 0 1\n", 'kind = "position"'),
        ("#t [ns],w_x [rad s^-1],w_y [rad s^-1]\n1403636579758555392,1,2\n1403636579763555392,1,2\n", '"rad/s"'),
        ("Elapsed Time,x\n00:00:00.5,1\n00:00:01.0,2\n", 'origin = "first"'),
        ("t,roll,pitch\n0,170,-20\n1,100,-20\n", 'from_units = "deg"'),
        ("t,locationLatitude,locationLongitude\n0,47,8\n1,47,8\n", "[streams.location_gps]"),
        ("time,x\n" + "".join(f"{83000 + i // 60 * 100 + i % 60:06d},{i}\n" for i in range(90)), 'unit = "hhmmss"'),
        ("tmr10ms,x\n0,1\n10,2\n", 'unit = "cs"'),
        ("t,euler_x,euler_y\n0,170,-20\n1,100,-20\n", 'from_units = "deg"'),
        ("t,z\n" + "".join(f"{i},{i * 7 % 360}\n" for i in range(90)), "circular = [true]"),
        ("t,t_motor\n0,20\n1,21\n2,19\n3,18\n", "t_motor"),
        ("t,user_acc_x,user_acc_y,user_acc_z\n0,1,0,0\n1,1,0,0\n", "without the gravity"),
        ("t,lat [rad],lon [rad],alt\n0,0.8,0.1,4\n1,0.8,0.1,4\n", 'from_units = ["rad", "rad", ""]'),
        ("t,lat,lon,alt (WGS84)\n0,47,8,4\n1,47,8,4\n", "alt (WGS84) tells WGS84, which is no unit that becomes m"),
        ("t,px,py,pz\n0,1,0,0\n1,1,0,0\n", "no unit is told: taken for m"),
        ("t,pulse [bpm]\n0,70\n1,71\n", 'units = "bpm"'),
        ("t,v [MPH]\n0,170\n1,100\n", 'from_units = "mph"'),
        ("t,lat,NS,lon,EW\n0,4530.1,S,720.5,W\n1,4530.2,S,720.6,W\n", 'hemispheres = ["NS", "EW"]'),
        ("t,ax,ay,az\n0,1,2,16384\n1,2,3,16384\n", "the sensor's own counts"),
        ("time_min,x\n0,1\n0.01,2\n0.02,3\n", 'unit = "minutes"'),
        ("Time (h),x\n0,1\n0.01,2\n0.02,3\n", 'unit = "hours"'),
        ("gps_time,x\n1400056218.0,1\n1400056218.1,2\n", "its date is not known"),
        (",x,y\n2024-05-18 10:30:00+02:00,1,2\n2024-05-18 10:30:00.020000+02:00,2,3\n", 'column = "index"'),
        ("gps_week,gps_tow,x\n2314,604799.9,1\n2315,0.0,2\n", 'week = "gps_week"'),
        ("i_tow,x\n604799.7,1\n604799.8,2\n604799.9,2\n", "of which no column tells"),
        ("Hora,Latitud,Longitud\n10:30:00,47,8\n10:30:01,47,8\n", 'kind = "gps"'),
        ("t\tax\tay\taz\t\nms\tm/(s^2)\tm/(s^2)\tm/(s^2)\t\n0\t1\t2\t9\t\n20\t1\t2\t9\t\n", 'unit = "ms"'),
        ("%time,field.header.stamp,x\n1716021000000000000,1716021000000000000,1\n1716021000020000000,1716021000010000000,2\n",
         'column = "field.header.stamp"'),
    ],
)  # fmt: skip
def test_what_a_column_tells(tmp_path, content, expected):
    (tmp_path / "run.csv").write_text(content)
    assert expected in suggest(tmp_path / "run.csv")
    assert recordings(tmp_path / "run.csv")


@pytest.mark.parametrize("name", ["tau_con1", "motor torque", "joint1_velocity", "battery.current", "wheelSpeed"])
def test_what_is_called_another_quantity_is_no_angle(tmp_path, name):
    rows = "".join(f"{i},{i * 7 % 360}\n" for i in range(90))
    for column, said in ((name, False), ("joint1", True)):
        (tmp_path / "run.csv").write_text(f"t,{column}\n{rows}")
        text = suggest(tmp_path / "run.csv")
        assert ("rad" in text, "circular" in text) == (said, said)


def test_files_of_a_folder_have_the_same_units(tmp_path):
    """Small values of one file are of the unit that large ones of another tell, whichever comes first."""
    runs = {"a": (0.5, 3, 0.3), "b": (20, 350, 5), "c": (0.2, 2, 0.1)}
    header = "t,gyro_x,gyro_y,gyro_z,yaw,bend,torque\n"
    for name, (rate, angle, most) in runs.items():
        rows = [(i, rate, -2 * rate, 0, angle * i / 90, i * 7 % 360 * most / 5, i * 7 % 360) for i in range(90)]
        (tmp_path / f"{name}.csv").write_text(header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    (tmp_path / "readme.csv").write_text("none\n")
    report = ingest(tmp_path, tmp_path / "log.h5", skip=True, progress=False)
    log = Log(tmp_path / "log.h5")
    assert report.episodes == ("a.csv", "b.csv", "c.csv")
    assert log.streams["signals"].units == ("rad", "rad", "")
    assert log.streams["signals"].circular == (True, True, False)
    for episode, (rate, angle, _) in zip(log.episodes, runs.values(), strict=True):
        np.testing.assert_allclose(episode.streams["gyro"].data[0], np.radians([rate, -2 * rate, 0]), rtol=1e-6)
        assert np.ptp(episode.streams["signals"].data[:, 0]) <= np.radians(angle)
    assert suggest([tmp_path / f"{name}.csv" for name in runs]).count("and fits all 3") == 1


@pytest.mark.parametrize("names", [("run.csv", "run.csv"), ("a.csv", "b.csv")])
def test_recordings_in_a_folder_each_have_the_same_units(tmp_path, names):
    """Also beside folders of another program, which holds tables of other columns."""
    for folder, name, rate in (("slow", names[0], 0.5), ("fast", names[1], 50)):
        (tmp_path / folder).mkdir()
        rows = "".join(f"{i},{rate},{-2 * rate},0\n" for i in range(9))
        (tmp_path / folder / name).write_text(f"t,gyro_x,gyro_y,gyro_z\n{rows}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / names[0]).write_text("t,lat,lon\n0,1,2\n1,1,2\n")
    assert "deg/s" in suggest(tmp_path / "slow" / names[0])
    assert "1e-7" not in suggest(tmp_path / "other" / names[0])
    ingest(tmp_path, tmp_path / "log.h5", progress=False)
    fast, _, slow = Log(tmp_path / "log.h5").episodes
    np.testing.assert_allclose(slow.streams["gyro"].data[0], fast.streams["gyro"].data[0] / 100, rtol=1e-6)


def test_files_of_another_program_tell_no_units(tmp_path):
    for name, clock, size in (("degrees", "t", 1), ("integers", "time", 10**7)):
        rows = "".join(f"{i},{45 * size + i},{7 * size + i}\n" for i in range(9))
        (tmp_path / f"{name}.csv").write_text(f"{clock},lat,lon\n{rows}")
    assert "1e-7" not in suggest(tmp_path / "degrees.csv")
    assert "1e-7" in suggest(tmp_path / "integers.csv")


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


def test_a_known_program_s_recipe_is_used_where_it_fits(tmp_path):
    litchi = "latitude,longitude,altitude(feet),time(millisecond),datetime(utc)\n"
    rows = "".join(f"47.{i + 100},8.5,{i},{100 * i},2024-05-18 08:30:00.{i}00\n" for i in range(9))
    (tmp_path / "run.csv").write_text(litchi + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    assert "read by a suggested recipe" in recording.notes[0]
    np.testing.assert_allclose(recording.samples["gps"].data[1, 2], 0.3048)


@pytest.mark.parametrize(
    "content", ["a,b\n1,2\n2,3\n", "time,b\n3,2\n1,3\n2,2\n1,1\n", "time,b\n1,2\n1,3\n", "t\n1\n2\n"]
)
def test_a_table_whose_clock_cannot_be_told_is_refused(tmp_path, content):
    (tmp_path / "run.csv").write_text(content)
    with pytest.raises(RecipeError):
        suggest(tmp_path / "run.csv")


# Headers as the programs write them (each recipe's comment says the source), with a row or two.
EXPORTS = {
    "betaflight": (
        "loopIteration, time (us), gyroADC[0], gyroADC[1], gyroADC[2], accSmooth[0], accSmooth[1], accSmooth[2],"
        " motor[0], motor[1], motor[2], motor[3], flightModeFlags (flags)\n"
        "0, 40000006, 180, 0, 0, 1, 2, 2048, 300, 310, 290, 305, ANGLE_MODE\n"
        "2, 40000506, 90, 0, 0, 1, 2, 2048, 300, 310, 290, 305, ANGLE_MODE|ARM\n",
        {"gyro": np.pi, "motors": 300}, 5e-4,
    ),
    "edgetx": (
        "Date,Time,1RSS(dB),RQly(%),GPS,GSpd(kmh),Hdg(°),Alt(m),RxBt(V),Ptch(rad),Roll(rad),Yaw(rad),Rud,Ele,Thr,Ail,SA\n"
        "2026-09-12,14:00:00.000,-60,100,45.5 7.5,36,90,30,16.0,0.1,0.2,0.3,512,0,0,0,1\n"
        "2026-09-12,14:00:00.100,-60,100,45.5 7.5,36,90,30,16.0,0.1,0.2,0.3,512,0,0,0,1\n",
        {"sticks": 0.5, "speed": 10, "gps": 45.5, "angles": 0.2}, 0.1,
    ),
    "airdata": (
        "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),altitude_above_seaLevel(feet),"
        "speed(mph),voltage(v), xSpeed(mph), ySpeed(mph), zSpeed(mph), compass_heading(degrees), pitch(degrees),"
        " roll(degrees),rc_elevator,rc_aileron,rc_throttle,rc_rudder,rc_elevator(percent)\n"
        "0,2024-05-01 10:00:00,48.1,11.5,10,1000,0,15.1,10,0,0,180,0,90,0,5,0,0,0\n"
        "100,2024-05-01 10:00:00,48.1,11.5,10,1000,0,15.1,10,0,0,180,0,90,0,5,0,0,0\n",
        {"gps": 48.1, "velocity": 4.4704, "height": 3.048, "angles": np.pi / 2, "sticks": 5}, 0.1,
    ),
    "racechrono": (
        "This file is created using RaceChrono Pro v9.1.3 ( http://racechrono.com/ ).\nFormat,3\n"
        "Session title,\"Track\"\nSession type,Lap timing\nCreated,31/12/2025,02:54\nNote,\n\n"
        "timestamp,fragment_id,lap_number,elapsed_time,altitude,latitude,longitude,speed,speed,rpm\n"
        "unix time,,,s,m,deg,deg,m/s,m/s,rpm\n,,,,100: gps,100: gps,100: gps,100: gps,200: obd,200: obd\n"
        "1767150797.44,0,8,1149.08,1.1,45.5,7.5,20,19,3000\n1767150797.54,0,8,1149.18,1.1,45.5,7.5,20,19,3000\n",
        {"gps": 45.5}, 0.1,
    ),
    "motec": (
        '"Format","MoTeC CSV File",,,"Workbook",""\n"Venue","Track",,,"Worksheet",""\n"Log Time","14:30:00"\n'
        '"Sample Rate","100.000","Hz",,"End Time","0.030","s"\n\n"Time","Ground Speed","Engine RPM"\n'
        '"s","km/h","rpm"\n\n'
        '"0.000","36","3000"\n"0.010","36","3000"\n',
        {"signals": 10}, 0.01,
    ),
    "aim": (
        '"Format","AiM CSV File"\n"Session","Track"\n"Time","3:35 PM"\n"Sample Rate","20"\n"Duration","92.130"\n\n'
        '"Time","GPS Speed","GPS LatAcc","GPS Latitude","GPS Longitude","GPS Altitude"\n'
        '"s","km/h","g","deg","deg","m"\n\n'
        '"0.000","36","1","45.5","7.5","100"\n"0.050","36","1","45.5","7.5","100"\n',
        {"gps": 45.5, "signals": 10}, 0.05,
    ),
    "torque": (
        "GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Horizontal Dilution of Precision,"
        " Altitude, Bearing, G(x),Engine RPM(rpm)\n"
        "Sun Oct 05 14:22:01 GMT 2026,05-Oct-2026 14:22:01.100,7.5,45.5,10,1,500,36,0,-\n"
        "GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Horizontal Dilution of Precision,"
        " Altitude, Bearing, G(x),Engine RPM(rpm)\n"
        "Sun Oct 05 14:22:02 GMT 2026,05-Oct-2026 14:22:02.100,7.5,45.5,10,1,500,36,0,2000\n",
        {"gps": 45.5}, None,
    ),
    "vbox": (
        "File created on 19/08/2026 @ 11:20:05\n\n[header]\nsatellites\ntime\nlatitude\nlongitude\nvelocity kmh\n"
        "heading\nheight\n\n[comments]\nLog Rate (Hz) : 10.00\n\n[column names]\n"
        "sats time lat long velocity heading height\n\n[data]\n"
        "014 163920.600 +02730.00000000 -00450.00000000 036.000 090.000 +0100.00\n"
        "014 163920.700 +02730.00000000 -00450.00000000 036.000 090.000 +0100.00\n",
        {"gps": 45.5, "motion": 10}, 0.1,
    ),
    "plotjuggler": (
        "__time,/odom/pose/position/x,/odom/pose/position/y,/imu/accel/z\n1624114000.0,1,2,\n1624114000.1,1,2,\n"
        "1624114000.11,,,9.8\n1624114000.2,1,2,\n1624114000.3,1,2,\n1624114000.4,1,2,\n",
        {"odom": 1}, 0.1,
    ),
    "crazyflie": (
        "Timestamp,stateEstimate.x,stateEstimate.y,stateEstimate.z,stabilizer.roll,stabilizer.pitch,stabilizer.yaw,pm.vbat\n"
        "119637,1,2,3,0,90,0,3.9\n119737,1,2,3,0,90,0,3.9\n",
        {"position": 1, "pm": 3.9}, 0.1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_a_known_program_is_recognised_and_said(tmp_path, name):
    content, first, step = EXPORTS[name]
    path = tmp_path / ("run.vbo" if name == "vbox" else "run.csv")
    path.write_text(content, encoding="utf-8")
    assert tables.claims(path)
    (recording,) = recordings(path)
    assert f"the shipped recipe {name}" in recording.notes[0]
    for stream, value in first.items():
        assert recording.samples[stream].data[0, 0] == pytest.approx(value), stream
        if step:
            assert recording.samples[stream].time[1] == pytest.approx(step, rel=1e-5)


def test_what_lies_in_a_struct_of_actions_is_commanded(tmp_path):
    """As AgiBot World and DROID lay out their HDF5 files."""
    steps = np.arange(40.0)[:, None] * np.arange(1, 3)
    with h5py.File(tmp_path / "proprio_stats.h5", "w") as file:
        file["timestamp"] = 1_700_000_000_000_000_000 + 33_333_333 * np.arange(40)
        file["action/joint/position"], file["state/joint/position"] = np.sin(steps), np.cos(steps)
    (recording,) = recordings(tmp_path / "proprio_stats.h5")
    assert {name: spec.kind for name, spec in recording.specs.items()} == {"action": "action", "state": "sensor"}


def test_sensors_that_take_turns_are_of_the_kind_that_they_are_called_by(tmp_path):
    turns = (
        f"accelerometer,{i / 100},{np.sin(i):.4f},0,9.81\ngyroscope,{i / 100},0,{90 * np.cos(i):.4f},0\n"
        for i in range(60)
    )
    (tmp_path / "run.csv").write_text("sensor,time,x,y,z\n" + "".join(turns))
    (recording,) = recordings(tmp_path / "run.csv")
    specs = recording.specs
    assert (specs["accelerometer"].units[0], specs["accelerometer"].frame) == ("m/s^2", "body")
    assert specs["gyroscope"].units[0] == "rad/s"
    assert recording.samples["gyroscope"].data[:, 1].max() == pytest.approx(np.pi / 2)


def suggested(folder, head, rows, name="run.csv"):
    (folder / name).write_text(f"{head}\n" + "".join(f"{row}\n" for row in rows))
    (recording,) = recordings(folder / name)
    return recording


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


def test_a_fast_rotation_rate_beside_g_is_in_radians_as_phones_of_apple_have_it(tmp_path):
    rows = [f"{i / 25},0.1,0,1.0,{15 * np.sin(i):.4f},0,0" for i in range(100)]
    head = "Time,accelerationX,accelerationY,accelerationZ,rotationRateX,rotationRateY,rotationRateZ"
    recording = suggested(tmp_path, head, rows)
    np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 2], 9.80665)
    np.testing.assert_allclose(recording.samples["gyro"].data[:, 0].max(), 15, rtol=1e-2)


def test_a_gyro_beside_an_accelerometer_in_g_is_in_degrees(tmp_path):
    """As of RaceBox; a phone that turns slowly has g beside radians."""
    head = "Time,GForceX,GForceY,GForceZ,GyroX,GyroY,GyroZ"
    for size, scale in ((30, np.pi / 180), (3, 1)):
        rows = [f"{i / 25},0.1,{0.1 * np.sin(i):.3f},1.0,{size * np.sin(i):.4f},0,0" for i in range(100)]
        recording = suggested(tmp_path, head, rows)
        np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 2], 9.80665)
        np.testing.assert_allclose(recording.samples["gyro"].data[:, 0].max(), size * scale, rtol=1e-2)


def test_euler_angles_are_in_one_unit_and_a_pitch_is_no_more_than_half_a_turn(tmp_path):
    rows = [f"{i / 10},{5 * np.sin(i):.3f},{4 * np.cos(i):.3f},{(170 + i) % 360 - 180}" for i in range(100)]
    for head in ("t,Euler_X,Euler_Y,Euler_Z", "t,roll,pitch,heading"):
        samples = suggested(tmp_path, head, rows).samples
        (data,) = (stream.data for stream in samples.values())
        assert np.abs(data[:, :2]).max() == pytest.approx(np.radians(5), rel=1e-2)


def test_solutions_of_rtklib_have_a_date_and_a_time_under_one_name(tmp_path):
    head = "% program   : RTKLIB\n%\n%  GPST                  latitude(deg) longitude(deg)  height(m)   Q  ns"
    rows = [f"2017/05/25 09:01:{i:02d}.200   {35 + i / 1e5:.9f}  139.100000000  70.3000   1  9" for i in range(50)]
    recording = suggested(tmp_path, head, rows, "rover.pos")
    np.testing.assert_allclose(recording.samples["gps"].time, np.arange(50))
    np.testing.assert_allclose(recording.samples["gps"].data[0], [35, 139.1, 70.3])
    assert recording.origin_utc == pytest.approx(1495702860.2 - 18, abs=1e-6)  # GPS time is ahead of UTC
    assert not any("zone" in note for note in recording.notes)


def test_the_fixes_that_blackbox_decode_writes_beside_its_table(tmp_path):
    head = "time (us), GPS_numSat, GPS_coord[0], GPS_coord[1], GPS_altitude, GPS_speed (m/s), GPS_ground_course"
    rows = [f"{i * 100000}, 14, {47 + i / 1e5:.7f}, 8.5, 430, 5.00, 350.0" for i in range(40)]
    recording = suggested(tmp_path, head, rows, "LOG00001.01.gps.csv")
    assert recording.specs["gps"].kind == "gps"
    np.testing.assert_allclose(recording.samples["gps"].data[0, :2], [47, 8.5])


def test_what_is_called_a_command_is_one_whatever_it_is_of(tmp_path):
    commanded = [
        "cmd_speed",
        "cmd_steering_angle",
        "position_setpoint",
        "joint1_command",
        "desired_current",
        "set_velocity",
    ]
    measured = ["speed", "steering_angle", "cmd_speed_measured", "motor_temp", "setpoint_error"]
    head = ",".join(["secs", "nsecs", *commanded, *measured])
    rows = [
        ",".join([str(10 + i // 10), str(i % 10 * 10**8), *(f"{np.sin(i + k):.4f}" for k in range(11))])
        for i in range(60)
    ]
    recording = suggested(tmp_path, head, rows)
    kinds = {column: spec.kind for spec in recording.specs.values() for column in spec.columns}
    assert {name for name, kind in kinds.items() if kind == "action"} == set(commanded)
    (times,) = {tuple(samples.time) for samples in recording.samples.values()}
    np.testing.assert_allclose(times, np.arange(60) / 10)


def test_when_a_row_was_made_is_its_clock(tmp_path):
    rows = [f"2023-04-05 09:12:{i:02d} UTC,{i},{np.sin(i):.3f}" for i in range(30)]
    recording = suggested(tmp_path, "created_at,entry_id,field1", rows)
    assert recording.origin_utc == 1680685920


def test_a_pitch_in_radians_may_go_from_0_to_a_turn(tmp_path):
    angles = [np.linspace(0, 9, 100) % (2 * np.pi), 0.2 * np.sin(np.arange(100) / 9) % (2 * np.pi)]
    rows = [f"{i / 10},{roll:.4f},{pitch:.4f}" for i, (roll, pitch) in enumerate(zip(*angles, strict=True))]
    (samples,) = suggested(tmp_path, "t,roll,pitch", rows).samples.values()
    np.testing.assert_allclose(samples.data, np.transpose(angles), atol=1e-4)


def test_what_has_more_minutes_than_a_degree_is_no_degrees(tmp_path):
    rows = [f"{i},47°75.0 N,{np.sin(i):.3f}" for i in range(30)]
    specs = suggested(tmp_path, "time_s,lat,x", rows).specs
    assert [spec.columns for spec in specs.values()] == [("x",)]


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("47°30'36.0\"S", "8°15'00\"W"), ("47° 30.6 S", "8° 15.0 W"), ("-47°30.6'", "-8°15'0.0''")],
)
def test_degrees_with_minutes_and_seconds_are_degrees(tmp_path, latitude, longitude):
    rows = [f"{i};{latitude};{longitude};400" for i in range(30)]
    recording = suggested(tmp_path, "time_s;lat;lon;alt", rows)
    np.testing.assert_allclose(recording.samples["gps"].data, [[-47.51, -8.25, 400]] * 30)


def test_velocities_in_millimetres_a_second_are_no_seconds(tmp_path):
    rows = [f"{i},{470000000 + i},85000000,400000,{1000 * i}" for i in range(30)]
    recording = suggested(tmp_path, "time_s,lat_e7,lon_e7,hMSL_mm,velN_mm_s", rows)
    np.testing.assert_allclose(recording.samples["gps"].data[0], [47, 8.5, 400])
    ((name, spec),) = ((name, spec) for name, spec in recording.specs.items() if name != "gps")
    assert spec.units == ("m/s",)
    np.testing.assert_allclose(recording.samples[name].data[:, 0], np.arange(30))


@pytest.mark.parametrize(
    ("values", "unit", "factor"),
    [
        (np.arange(40) * 900, "rad", np.pi / 18000),  # MAVLink's hdg
        (np.arange(40) * 90, "rad", np.pi / 1800),  # INAV's
        (np.arange(40) * 90.5, "rad", np.pi / 180),  # ten turns
        (np.arange(40) * 20, "rad", np.pi / 180),
        (1000 + np.arange(40) * 20, "", 1),  # a stick
        (np.arange(40) * 9000, "", 1),
    ],
)
def test_angles_are_told_in_parts_of_a_degree_by_whole_numbers(tmp_path, values, unit, factor):
    (tmp_path / "alone").mkdir()  # units are told by tables in folders beside it, too
    recording = suggested(tmp_path / "alone", "time_s,heading", [f"{i},{value:g}" for i, value in enumerate(values)])
    ((name, spec),) = recording.specs.items()
    assert spec.units == (unit,)
    data = recording.samples[name].data[:, 0]
    np.testing.assert_allclose(
        np.exp(1j * data) if unit else data, np.exp(1j * values * factor) if unit else values, atol=1e-5
    )


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


def test_euroc_calls_its_columns_by_their_frames(tmp_path):
    imu = "#timestamp [ns]," + ",".join(
        f"{q}_RS_S_{axis} [{u}]" for q, u in (("w", "rad s^-1"), ("a", "m s^-2")) for axis in "xyz"
    )
    truth = "#timestamp, " + ", ".join(
        [*(f"p_RS_R_{axis} [m]" for axis in "xyz"), *(f"q_RS_{axis} []" for axis in "wxyz")]
    )
    rows = [f"{1403636579758555392 + i * 5000000},{np.sin(i):.4f},2,3,4,5,6" for i in range(30)]
    recording = suggested(tmp_path, imu, rows)
    assert {name: spec.units[0] for name, spec in recording.specs.items()} == {
        "accelerometer": "m/s^2",
        "gyro": "rad/s",
    }
    np.testing.assert_array_equal(recording.samples["accelerometer"].data[0], [4, 5, 6])
    recording = suggested(tmp_path, truth, [f"{row},0.1" for row in rows])
    assert {name: spec.kind for name, spec in recording.specs.items()} == {
        "position": "position",
        "attitude": "orientation",
    }


PHYPHOX_META = {
    "meta/device.csv": '"property";"value"\n"version";"1.1"\n',
    "meta/time.csv": '"event";"experiment time";"system time"\n"START";0,0;1,7E9\n',
}


def put(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_phyphox_in_another_language_with_decimal_commas(tmp_path):
    head = '"Zeit (s)";"Beschleunigung x (m/s^2)";"Beschleunigung y (m/s^2)";"Beschleunigung z (m/s^2)"\n'
    rows = "".join(f"{i / 100:.9E};1,5E-1;{i};9,81E0\n".replace(".", ",") for i in range(50))
    (recording,) = recordings(put(tmp_path / "many", {"Accelerometer.csv": head + rows, **PHYPHOX_META}))
    np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 1], np.arange(50))
    np.testing.assert_allclose(recording.samples["accelerometer"].time, np.arange(50) / 100)
    (alone,) = recordings(put(tmp_path / "one", {"Rohdaten.csv": head + rows, **PHYPHOX_META}))
    ((name, samples),) = alone.samples.items()
    assert alone.specs[name].units == ("m/s^2",) * 3
    np.testing.assert_allclose(samples.data[:, 1], np.arange(50))


def test_an_experiment_of_phyphox_with_one_sensor_is_what_its_header_says(tmp_path):
    rows = "".join(f"{i},{47 + i / 1e5},8.5,400,5\n" for i in range(20))
    content = '"Time (s)","Latitude (°)","Longitude (°)","Height (m)","Velocity (m/s)"\n' + rows
    (recording,) = recordings(put(tmp_path, {"Raw Data.csv": content, **PHYPHOX_META}))
    assert recording.specs["gps"].kind == "gps"
    assert any("no stream is read from: meta/device.csv, meta/time.csv" in note for note in recording.notes)


def test_files_of_one_name_in_several_folders_are_streams_of_their_own(tmp_path):
    files = {
        f"{k}/Raw Data.csv": '"Time (s)","Foo (lx)"\n' + "".join(f"{i},{i * k}\n" for i in range(20)) for k in (1, 2, 3)
    }
    (recording,) = recordings(put(tmp_path, files | PHYPHOX_META))
    assert sorted(samples.data[1, 0] for samples in recording.samples.values()) == [1, 2, 3]


def test_a_recording_of_sensor_logger_may_lack_a_gyro(tmp_path):
    stamps = [1_700_000_000_000_000_000 + 10_000_000 * i for i in range(30)]
    files = {
        "Metadata.csv": "version,device name,recording epoch time\n3,phone,1700000000000\n",
        "Annotation.csv": "time,seconds_elapsed,text,millisecond_press_duration\n",
        "Accelerometer.csv": "time,seconds_elapsed,z,y,x\n" + "".join(f"{t},0,3,2,{i}\n" for i, t in enumerate(stamps)),
    }
    path = put(tmp_path / "walk", files)
    assert tables.claims(path)
    (recording,) = recordings(path)
    np.testing.assert_array_equal(recording.samples["linear_acceleration"].data[:, 0], np.arange(30))


def test_units_that_a_known_programs_table_tells_count(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(
        "loopIteration, time (us), gyroADC[0] (rad/s), gyroADC[1] (rad/s), gyroADC[2] (rad/s), vbatLatest (V),"
        " amperageLatest (A)\n0, 40000006, 3, 0, 0, 16.5, 1\n2, 40000506, 2, 0, 0, 16.4, 1\n"
    )
    (recording,) = recordings(path)
    assert recording.samples["gyro"].data[0, 0] == 3
    assert recording.samples["battery"].data[0, 0] == 16.5
    assert any("gyroADC[0] is in rad/s; the recipe's deg/s is not" in note for note in recording.notes)


def test_units_that_a_known_programs_table_tells_are_those_that_its_recipe_does_not(tmp_path):
    axes = ", ".join(f"accSmooth[{i}]{{0}}" for i in range(3))
    head = f"loopIteration, time (us), gyroADC[0], gyroADC[1], gyroADC[2], {axes}"
    for told, unit, value in ((" (g)", "m/s^2", 9.80665), ("", "", 1)):
        (tmp_path / "run.csv").write_text(
            head.format(told) + "".join(f"\n{i}, {i * 1000}, 1, 2, 3, 0, 0, 1" for i in range(9))
        )
        (recording,) = recordings(tmp_path / "run.csv")
        assert recording.specs["accelerometer"].units[2] == unit
        assert recording.samples["accelerometer"].data[0, 2] == pytest.approx(value)


def test_an_altimeter_is_no_clock(tmp_path):
    recording = suggested(tmp_path, "t,altimeter_m,speed", [f"{i / 10},{10 + i},{np.sin(i):.3f}" for i in range(40)])
    ((name, spec),) = recording.specs.items()
    assert "altimeter" in spec.columns[0]
    np.testing.assert_array_equal(recording.samples[name].data[:, 0], 10 + np.arange(40))


def test_the_unit_of_a_known_programs_clock_counts_too(tmp_path):
    """As of blackbox_decode --unit-frame-time s."""
    rows = "".join(f"{i}, {40 + i / 500:.3f}, {i}, 0, 0\n" for i in range(30))
    head = "loopIteration, time (s), gyroADC[0], gyroADC[1], gyroADC[2]\n"
    (tmp_path / "run.csv").write_text(head + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    np.testing.assert_allclose(recording.samples["gyro"].time, np.arange(30) / 500, atol=1e-9)


def test_counts_of_blackbox_explorer_are_no_volts(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(
        '"Product","Blackbox flight data recorder by Nicholas Sherlock"\n"looptime","125"\n'
        '"loopIteration","time","gyroADC[0]","gyroADC[1]","gyroADC[2]","vbatLatest","amperageLatest"\n'
        "0,40000006,180,0,0,1650,100\n8,40001006,90,0,0,1649,100\n"
    )
    (recording,) = recordings(path)
    assert recording.samples["gyro"].data[0, 0] == pytest.approx(np.pi)
    assert "battery" not in recording.specs
    assert any("no stream is read from" in note and "vbatLatest" in note for note in recording.notes)


FOLDERS = {
    "sensor_logger": {
        "Metadata.csv": "version,device name,recording epoch time\n3,phone,1700000000000\n",
        "Gyroscope.csv": "time,seconds_elapsed,z,y,x\n1700000000000000000,0,3,2,1\n1700000000010000000,0.01,3,2,1\n",
        "TotalAcceleration.csv": "time,seconds_elapsed,z,y,x\n1700000000000000000,0,9.8,0,0.1\n",
        "Orientation.csv": "time,seconds_elapsed,qz,qy,qx,qw,roll,pitch,yaw\n1700000000000000000,0,0,0,0,1,0,0,0\n",
    },
    "phyphox": {
        "Gyroscope.csv": '"Time (s)","Gyroscope x (rad/s)","Gyroscope y (rad/s)","Gyroscope z (rad/s)"\n0.0,1,2,3\n',
        "Accelerometer.csv": '"Time (s)","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)"\n'
        "3.8E-2,0,0,9.8\n",
        "meta/device.csv": '"property","value"\n"version","1.1"\n',
        "meta/time.csv": '"event","experiment time","system time"\n"START",0.0,1.7E9\n',
    },
    "ulog2csv": {
        "log_1_sensor_combined_0.csv": "timestamp,gyro_rad[0],gyro_rad[1],gyro_rad[2],gyro_integral_dt,"
        "accelerometer_timestamp_relative,accelerometer_m_s2[0],accelerometer_m_s2[1],accelerometer_m_s2[2]\n"
        "1000000,1,2,3,0,0,0,0,-9.8\n",
        "log_1_vehicle_gps_position_0.csv": "timestamp,lat,lon,alt,fix_type\n"
        "1000000,0,0,0,0\n1100000,455000000,75000000,100000,3\n",
        "log_1_actuator_motors_0.csv": f"timestamp,{','.join(f'control[{i}]' for i in range(12))}\n"
        f"1000000,0.1,0.2,0.3,0.4{',nan' * 8}\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_known_program_s_folder_is_one_recording(tmp_path, name):
    folder = tmp_path / "run"
    for file, content in FOLDERS[name].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        for file in FOLDERS[name]:
            archive.write(folder / file, f"run/{file}")
    for path in (folder, tmp_path / "run.zip"):
        assert tables.claims(path)
        assert known.recognised(path) == name
        (recording,) = recordings(path)
        assert recording.samples["gyro"].data[0].tolist() == [1, 2, 3]
        assert abs(recording.samples["accelerometer"].data[0, 2]) == 9.8
    if name == "ulog2csv":
        np.testing.assert_allclose(recording.samples["gps"].data, [[45.5, 7.5, 100]])
        np.testing.assert_allclose(recording.samples["motors"].data[0, :5], [0.1, 0.2, 0.3, 0.4, np.nan])
    shutil.copytree(folder, tmp_path / "again")
    assert not tables.claims(tmp_path)  # two recordings are no single one


def test_every_recipe_of_a_program_says_its_source():
    for name, recipe in known.exporters().items():
        comment = recipe.path.read_text(encoding="utf-8").partition("format =")[0]
        assert re.match(r"# .{40,}", comment), name


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


@pytest.mark.parametrize(
    ("header", "accelerations"),
    [
        ("Time,G Force Lat,G Force Long,GPS Latitude,GPS Longitude", ["G Force Lat", "G Force Long"]),
        ("time,lat_acc,long_acc,lat,lon", ["lat_acc", "long_acc"]),
        ("time,GPS_LatAcc,GPS_LonAcc,latitude,longitude", ["GPS_LatAcc", "GPS_LonAcc"]),
    ],
)
def test_lateral_and_longitudinal_forces_are_no_places(tmp_path, header, accelerations):
    rows = "".join(f"\n{i / 10},{i % 3},{i % 4},{45 + i * 1e-6:.6f},{7 + i * 1e-6:.6f}" for i in range(30))
    (tmp_path / "a.csv").write_text(header + rows)
    streams = tomllib.loads(suggest(tmp_path / "a.csv"))["streams"]
    (place,) = [stream for stream in streams.values() if stream["kind"] == "gps"]
    assert list(place["columns"].values())[:2] == header.split(",")[3:]
    others = [name for stream in streams.values() if stream["kind"] != "gps" for name in stream["columns"].values()]
    assert sorted(others) == sorted(accelerations)


def test_axes_may_stand_before_what_they_are_of(tmp_path):
    columns = [f"{axis}_{what}" for what in ("acc [G]", "rate_of_rotation [deg/s]") for axis in "xyz"]
    rows = "".join(f"\n{i / 10},0,0,1,{i},{-i},3" for i in range(30))
    (tmp_path / "a.csv").write_text(",".join(["t", *columns]) + rows)
    streams = tomllib.loads(suggest(tmp_path / "a.csv"))["streams"]
    assert {name: stream["units"] for name, stream in streams.items()} == {"accelerometer": "m/s^2", "gyro": "rad/s"}


def test_a_column_of_half_the_rate_is_a_stream_of_its_own(tmp_path):
    rows = "".join(f"\n{i / 20},{i},{i if i % 2 == 0 else ''}" for i in range(40))
    (tmp_path / "a.csv").write_text(f"t,fast [V],slow [V]{rows}")
    streams = tomllib.loads(suggest(tmp_path / "a.csv"))["streams"]
    assert [(*stream["columns"].values(), stream["rate_hz"]) for stream in streams.values()] == [
        ("fast [V]", 20),
        ("slow [V]", 10),
    ]


def test_a_known_program_that_writes_semicolons_is_recognised(tmp_path):
    rows = "".join(f'\n"{i / 20:.2f}";"{70 + i}"'.replace(".", ",") for i in range(30))
    text = f'"Format";"AIM CSV File"\n"Sample Rate";"20"\n\n"Time";"GPS Speed"\n"s";"km/h"\n{rows}'
    (tmp_path / "a.csv").write_text(text)
    assert known.recognised(tmp_path / "a.csv") == "aim"


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


def test_a_wanted_velocity_is_not_in_volts(tmp_path):
    rows = "\n".join(f"{0.02 * i:.2f},{i % 7},{i % 5},{11 + 0.01 * (i % 9):.2f}" for i in range(200))
    (tmp_path / "a.csv").write_text(f"t,cmd_v,cmd_w,battery_v\n{rows}\n")
    streams = tomllib.loads(suggest([tmp_path / "a.csv"]))["streams"]
    told = {tuple(stream["columns"].values()): stream.get("units") for stream in streams.values()}
    assert told == {("cmd_v", "cmd_w"): None, ("battery_v",): "V"}


def test_motion_capture_beside_a_flight_controller_is_a_place_and_its_motors_are_commands(tmp_path):
    folder = tmp_path / "flight"
    folder.mkdir()
    turn = [(np.cos(i / 90), np.sin(i / 90)) for i in range(60)]
    (folder / "mocap.csv").write_text(
        "time,x,y,z,qx,qy,qz,qw\n"
        + "".join(f"{1.7e9 + i / 50},{c},{s},1,0,0,{s},{c}\n" for i, (c, s) in enumerate(turn))
    )
    (folder / "motors.csv").write_text(
        "timestamp_us,m1,m2\n" + "".join(f"{10_000_000 + 20_000 * i},{c},{s}\n" for i, (c, s) in enumerate(turn))
    )
    text = suggest(folder)
    streams = tomllib.loads(text)["streams"]
    assert {name: stream["kind"] for name, stream in streams.items()} == {
        "attitude": "orientation", "position": "position", "motors": "action",
    }  # fmt: skip
    assert streams["position"]["units"] == "m"
    assert "position: no unit is told: taken for m" in text
    assert "motors: taken for commands by their names" in text
    assert streams["motors"]["columns"] == {"m1": "m1", "m2": "m2"}  # as they are called where they are commanded


def test_valves_are_commands_and_a_table_without_any_says_so(tmp_path):
    rows = "".join(f"01.11.2026 00:{i:02d};{i},5;{i // 9}\n" for i in range(60))
    for name, column in (("plant", "Ventil_Heizung [%]"), ("readings", "T_raum [°C]")):
        (tmp_path / f"{name}.csv").write_text(f"Zeit;T_vorlauf [°C];{column}\n{rows}")
    plant, readings = (suggest(tmp_path / f"{name}.csv") for name in ("plant", "readings"))
    assert tomllib.loads(plant)["streams"]["commands"]["kind"] == "action"
    assert "no column is called a command" in readings
    assert "no column is called a command" not in plant


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

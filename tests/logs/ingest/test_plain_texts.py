"""Texts that are no plain tables, laid out as LabVIEW, FitCSVTool, Delsys and Arduino's monitor write them."""

import contextlib
import itertools

import numpy as np
import pytest

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant

COUNT = 60
VALUES = np.random.default_rng(0).normal(size=(2, COUNT, 2)).round(6)


def read(path, content):
    path.write_bytes(content.encode())
    assert claimant(path) == "tables"
    (recording,) = tables.read(path, Options())
    return recording


def lvm(kind, decimal=".", dimension="Time", segments=2):
    """LabVIEW's file of two channels at 1 kHz, its segments a minute apart."""
    lines = ["LabVIEW Measurement\t", "Writer_Version\t2", "Reader_Version\t2", "Separator\tTab"]
    lines += [f"Decimal_Separator\t{decimal}", "Multi_Headings\tYes", f"X_Columns\t{kind}", "Time_Pref\tAbsolute"]
    lines += ["Date\t2023/09/21", "Time\t14:41:45.5111323470585990021", "***End_of_Header***\t", "\t"]
    gap = "\t\t" if kind == "Multi" else "\t"
    for number, values in enumerate(VALUES[:segments]):
        start = f"14:4{1 + number}:45.5111323470585990021"
        tags = {"Samples": COUNT, "Date": "2023/09/21", "Time": start, "X_Dimension": dimension, "X0": "0.0E+0"}
        tags |= {"Delta_X": "0.001000"}
        lines += ["Channels\t2\t\t", *(f"{tag}\t{value}{gap}{value}\t" for tag, value in tags.items())]
        lines += [f"Y_Unit_Label\tVolts{gap}g\t", "***End_of_Header***\t\t\t"]
        lines += ["X_Value\tload\tX_Value\ta\tComment" if kind == "Multi" else "X_Value\tload\ta\tComment"]
        for row, (load, a) in enumerate(values):
            time = f"{row / 1000:.6f}"
            fields = {"One": (time, load, a), "Multi": (time, load, time, a), "No": ("", load, a)}[kind]
            lines.append("\t".join(map(str, fields)).replace(".", decimal))
        lines.append("")
    return "\r\n".join(lines)


@pytest.mark.parametrize(("kind", "decimal"), [("One", "."), ("Multi", "."), ("No", "."), ("One", ",")])
def test_segments_of_labview_follow_each_other_by_their_own_starts(tmp_path, kind, decimal):
    recording = read(tmp_path / "run.lvm", lvm(kind, decimal))
    (spec,), (samples,) = recording.specs.values(), recording.samples.values()
    assert spec.units == ("V", "m/s^2")
    np.testing.assert_allclose(samples.data, VALUES.reshape(-1, 2) * [1, 9.80665])
    np.testing.assert_allclose(samples.time, np.concatenate([start + np.arange(COUNT) / 1000 for start in (0, 60)]))
    assert any("2023-09-21 14:41:45.511132" in note for note in recording.notes)


def test_what_labview_measured_over_another_thing_than_time_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="over Frequency, not over time"):
        read(tmp_path / "run.lvm", lvm("One", dimension="Frequency", segments=1))


def test_a_labview_file_that_is_cut_off_loses_its_torn_row(tmp_path):
    whole = lvm("One", segments=1).rstrip()
    recording = read(tmp_path / "run.lvm", whole[: whole.rindex("\t")])
    assert len(recording.samples["signals"].time) == COUNT - 1
    assert any("1 torn rows were left out" in note for note in recording.notes)
    with pytest.raises(RecipeError, match="none of its segments has samples"):
        read(tmp_path / "cut.lvm", whole[: whole.index("Channels")])


DEGREES = 47 + np.arange(COUNT) * 1e-5
BEGAN = 1_000_000_000


def fit_messages():
    """What FitCSVTool makes of all messages of an activity."""
    head = "Type,Local Number,Message," + ",".join(f"Field {i},Value {i},Units {i}" for i in range(1, 8))
    lines = [head, "Definition,0,record,timestamp,1,,position_lat,1,,", 'Data,1,file_id,time_created,"1000000000",,']
    for row, degrees in enumerate(DEGREES):
        place = f'position_lat,"{round(degrees * 2**31 / 180)}",semicircles,position_long,"{2**30}",semicircles'
        more = f'altitude,"400.0",m,enhanced_altitude,"{400 + row / 10}",m,power,"{180 + row % 7}",watts'
        lines.append(f'Data,0,record,timestamp,"{BEGAN + row}",s,{place},{more},')
    return "\n".join(lines) + "\n"


def fit_records():
    """The file of records that it makes beside it."""
    head = "record.timestamp[s],record.position_lat[semicircles],record.position_long[semicircles],record.power[watts]"
    rows = (f"{BEGAN + i},{round(d * 2**31 / 180)},{2**30},{180 + i % 7}" for i, d in enumerate(DEGREES))
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize("content", [fit_messages(), fit_records()])
def test_records_of_fit_are_degrees_and_times_since_1970(tmp_path, content):
    recording = read(tmp_path / "ride.csv", content)
    place = recording.samples["gps"].data
    np.testing.assert_allclose(place[:, :2], np.stack([DEGREES, np.full(COUNT, 90.0)], 1), atol=1e-7)
    assert recording.origin_utc == BEGAN + 631_065_600  # from 1989-12-31
    assert recording.specs["signals"].units[recording.specs["signals"].columns.index("power")] == "W"
    if "enhanced" in content:
        np.testing.assert_allclose(place[:, 2], 400 + np.arange(COUNT) / 10)
        assert any("file_id (1)" in note for note in recording.notes)


def test_fit_without_records_is_refused(tmp_path):
    lines = fit_messages().splitlines()
    with pytest.raises(RecipeError, match=r"none of its messages is a record: .*file_id \(1\)"):
        read(tmp_path / "ride.csv", "\n".join(lines[:3]) + "\n")


def test_a_field_of_fit_without_an_end_is_refused_by_name(tmp_path):
    with pytest.raises(RecipeError, match="field larger than"):
        read(tmp_path / "ride.csv", fit_messages() + "Data,0,record,timestamp," + "9" * 200_000 + "\n")


@pytest.mark.parametrize(
    "head",
    [
        'X[s],"Avanti sensor 1: EMG 1 [V]",X[s],"Avanti sensor 1: ACC.X 1 [g]",X[s],"Avanti sensor 1: ACC.Y 1 [g]"',
        "EMG 1 Time Series (s),EMG 1 (V),ACC X Time Series (s),ACC X (g),ACC Y Time Series (s),ACC Y (g)",
    ],
)
def test_sensors_side_by_side_have_a_clock_each_and_those_that_agree_one(tmp_path, head):
    """Delsys: the slower ones end above, and nothing follows them."""
    fast, slow = np.arange(400) / 2000, np.arange(30) / 150
    rows = [
        f"{t:.6f},{row * 1e-6:.7f}," + (f"{slow[row]:.6f},0.5,{slow[row]:.6f},1.0" if row < len(slow) else ",,,")
        for row, t in enumerate(fast)
    ]
    recording = read(tmp_path / "emg.csv", "\n".join([head, *rows]) + "\n")
    emg, acceleration = recording.samples.values()
    np.testing.assert_allclose(emg.time, fast)
    np.testing.assert_allclose(emg.data[:, 0], np.arange(400) * 1e-6)
    np.testing.assert_allclose(acceleration.time, slow, atol=1e-6)
    np.testing.assert_allclose(acceleration.data, np.tile([0.5, 1.0], (30, 1)) * 9.80665)


def test_dates_side_by_side_are_one_clock(tmp_path):
    rows = [f"2025-01-01 10:00:{row:02d}.5,{row},2025-01-01 10:00:{row:02d}.5,{-row}" for row in range(COUNT)]
    recording = read(tmp_path / "both.csv", "\n".join(["Time,x,Time,y", *rows]) + "\n")
    (samples,) = recording.samples.values()
    np.testing.assert_allclose(samples.time, np.arange(COUNT))
    np.testing.assert_array_equal(samples.data, np.outer(np.arange(COUNT), [1, -1]))


STAMPS = [f"12:59:59.{ms:03d}" for ms in range(900, 1000, 2)] + [f"13:00:00.{ms:03d}" for ms in range(0, 20, 2)]


def stamped(rests, mark=" -> "):
    return "\r\n".join(map(mark.join, zip(STAMPS, rests, strict=True))) + "\r\n"


@pytest.mark.parametrize(
    ("form", "first", "mark", "names"),
    [
        ("{},{}", "Ready now", " -> ", ("value_1", "value_2")),
        ("{}\t{}", "left\tright", " -> ", ("left", "right")),
        ("left:{} right:{}", "Ready", " > ", ("left", "right")),
    ],
)
def test_lines_of_a_serial_monitor_are_rows(tmp_path, form, first, mark, names):
    values = VALUES[0]
    rests = [first, *(form.format(*row) for row in values[1:])]
    recording = read(tmp_path / "serial.txt", stamped(rests, mark))
    (spec,), (samples,) = recording.specs.values(), recording.samples.values()
    assert spec.columns == names
    np.testing.assert_allclose(samples.data, values[1:])
    np.testing.assert_allclose(samples.time, np.arange(COUNT - 1) * 0.002, atol=1e-9)
    told = [note for note in recording.notes if "no rows of numbers" in note]
    assert told == ([f"1 lines that are no rows of numbers were left out, first '{first}'"] if "Ready" in first else [])


def test_torn_lines_of_a_serial_monitor_are_counted(tmp_path):
    rests = [f"{a},{b}" for a, b in VALUES[0]]
    rests[20] = rests[20].split(",")[0]
    recording = read(tmp_path / "serial.txt", stamped(rests))
    assert len(recording.samples["value"].time) == COUNT - 1
    assert any("1 lines that are no rows" in note for note in recording.notes)


def test_any_cut_and_any_wrong_byte_is_read_or_refused_by_name(tmp_path):
    rng = np.random.default_rng(0)
    whole = [(".lvm", lvm("Multi")), (".csv", fit_messages()), (".txt", stamped(["1,2"] * COUNT))]
    for (ending, content), trial in itertools.product(whole, range(20)):
        data = bytearray(content.encode()[: rng.integers(1, len(content)) if trial % 2 else None])
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(256)
        path = tmp_path / f"run{ending}"
        path.write_bytes(data)
        with contextlib.suppress(RecipeError):
            list(tables.read(path, Options()))


def test_rows_without_names_behind_a_stamp_are_called_by_their_places(tmp_path):
    lines = [f"2014-05-07 16:29:{48 + i // 100:02d}.{i % 100:02d}0,{i / 64},-0.5,0.96" for i in range(COUNT)]
    recording = read(tmp_path / "watch.csv", "\n".join(lines) + "\n0.5,0.1\n")
    (spec,), (samples,) = recording.specs.values(), recording.samples.values()
    assert spec.columns == ("column_2", "column_3", "column_4")
    assert spec.rate_hz == 100
    np.testing.assert_allclose(samples.data[-1], [(COUNT - 1) / 64, -0.5, 0.96])
    told = "\n".join(recording.notes)
    assert "its columns have no names" in told
    assert "1 lines that are no rows of numbers were left out, first '0.5,0.1'" in told


@pytest.mark.parametrize("unit", [1, 1_000_000_000])
def test_a_trajectory_without_names_is_a_pose(tmp_path, unit):
    """Stamp, place and quaternion, the scalar last, as the tools of TUM's data set and most SLAM programs have them."""
    angles = np.linspace(0, 1, COUNT)
    stamps = [
        f"{1_403_636_579.25 + i / 20:.6f}" if unit == 1 else f"{(1_403_636_579 * 20 + i) * unit // 20}"
        for i in range(COUNT)
    ]
    turned = zip(stamps, angles, strict=True)
    lines = [f"{stamp} {a} 2 3 0 0 {np.sin(a / 2):.9f} {np.cos(a / 2):.9f}" for stamp, a in turned]
    recording = read(tmp_path / "trajectory.txt", "\n".join(lines) + "\n")
    assert {name: spec.kind for name, spec in recording.specs.items()} == {
        "position": "position",
        "attitude": "orientation",
    }
    np.testing.assert_allclose(recording.samples["position"].data[-1], [1, 2, 3])
    np.testing.assert_allclose(recording.samples["attitude"].data[-1], [np.cos(0.5), 0, 0, np.sin(0.5)], atol=1e-6)
    assert recording.specs["position"].rate_hz == 20
    assert any("no names: taken for a trajectory" in note for note in recording.notes)


@pytest.mark.parametrize("lines", ["0.00,1,2\n0.01,1,3\n0.02,2,4\n0.03,2,5\n", "1403636579 1\n1403636578 2\n" * 4])
def test_rows_without_names_or_a_time_that_grows_are_refused(tmp_path, lines):
    (tmp_path / "numbers.csv").write_text(lines)
    with pytest.raises(RecipeError, match="cannot be read as a table"):
        list(tables.read(tmp_path / "numbers.csv", Options()))


def test_a_recipe_counts_the_columns_of_rows_without_names(tmp_path):
    lines = "".join(f"{1_403_636_579 + i},{i},{2 * i}\n" for i in range(COUNT))
    (tmp_path / "rows.csv").write_text(lines)
    text = """format = "worldmodel-recipe"\nversion = 1\nheader = false\n[clock]\ncolumn = "#1"\norigin = "unix"
    [streams.s]\nkind = "sensor"\ncolumns = { x = "#3" }\nrate_hz = 1\n"""
    (tmp_path / "recipe.toml").write_text(text)
    (recording,) = tables.read(tmp_path / "rows.csv", Options(recipe=tmp_path / "recipe.toml"))
    np.testing.assert_array_equal(recording.samples["s"].data[:, 0], 2 * np.arange(COUNT))


def test_the_sensors_of_an_e4_are_one_recording(tmp_path):
    start = 1_680_686_620.0
    files = {"ACC": (32, 3), "EDA": (4, 1), "TEMP": (4, 1)}
    for name, (rate, width) in files.items():
        head = [", ".join([f"{value:.6f}"] * width) for value in (start, rate)]
        body = [",".join([str(i % 60)] * width) for i in range(10 * rate)]
        (tmp_path / f"{name}.csv").write_text("\n".join([*head, *body]) + "\n")
    (tmp_path / "IBI.csv").write_text(f"{start:.6f}, IBI\n" + "".join(f"{i * 0.7:.6f},0.7\n" for i in range(1, 14)))
    assert claimant(tmp_path) == "tables"
    (recording,) = tables.read(tmp_path, Options())
    columns = {column: name for name, spec in recording.specs.items() for column in spec.columns}
    assert {"x", "y", "z", "eda", "temp", "ibi"} == set(columns)
    acc = columns["x"]
    assert recording.specs[acc].rate_hz == 32
    np.testing.assert_allclose(recording.samples[acc].data[1], [9.80665 / 64] * 3, rtol=1e-6)
    np.testing.assert_allclose(recording.samples[columns["eda"]].time[:3], [0, 0.25, 0.5])
    np.testing.assert_allclose(recording.samples[columns["ibi"]].time[0], 0.7, atol=1e-6)
    assert recording.origin_utc == start

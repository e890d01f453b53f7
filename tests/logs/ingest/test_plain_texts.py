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

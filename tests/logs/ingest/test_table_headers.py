"""Names over several lines, as motion capture and spreadsheets write them."""

import numpy as np
import pytest

from tests.logs.ingest.table_case import read
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.formats.tables.suggest import suggest
from worldmodel.logs.ingest.importer import Options

COUNT = 30


def rows(columns, delimiter=","):
    """Lines of a clock of 50 Hz and sines."""
    lines = ([f"{i / 50:.2f}", *(f"{np.sin(i / 7 + k):.4f}" for k in range(columns))] for i in range(COUNT))
    return "\n".join(map(delimiter.join, lines)) + "\n"


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        (",IMU,,,MAG,,\nTime,x,y,z,x,y,z\ns,m/s2,m/s2,m/s2,uT,uT,uT\n", 6, {"imu": "m/s^2", "magnetometer": "T"}),
        ("Engine,Wheel,Wheel\nTime,Speed FL,Speed FR\ns,km/h,km/h\n", 2, {"wheel": "m/s"}),
        ("Time;Left;;;Right;;\n;Acc;;;Acc;;\n[s];x [g];y [g];z [g];x [g];y [g];z [g]\n", 6,
         {"left_accelerometer": "m/s^2", "right_accelerometer": "m/s^2"}),
        ("Time,GPS,GPS,GPS\nt,lat,lon,alt\ns,deg,deg,m\n", 3, {"gps": "deg"}),
        ("Driver,Kim,,\nTime,x,y,z\n", 3, {"signals": ""}),
        ("t,ax,ay,az\nsince start,along the car,to the left,upwards\ns,g,g,g\n", 3, {"accelerometer": "m/s^2"}),
    ],
)  # fmt: skip
def test_names_of_columns_are_those_of_their_groups(tmp_path, header, columns, expected):
    """What the suggested recipe reads is what is read without one."""
    (tmp_path / "run.csv").write_text(header + rows(columns, ";" if ";" in header else ","))
    (recording,) = tables.read(tmp_path / "run.csv", Options())
    assert {name: spec.units[0] for name, spec in recording.specs.items()} == expected
    assert all(len(samples.time) == COUNT for samples in recording.samples.values())
    (tmp_path / "recipe.toml").write_text(suggest(tmp_path / "run.csv"))
    (again,) = tables.read(tmp_path / "run.csv", Options(recipe=tmp_path / "recipe.toml"))
    assert repr(again.specs) == repr(recording.specs)


def test_vicon_s_rate_stands_alone_below_what_its_table_is_of(tmp_path):
    header = "Trajectories\n100\n,,s:CLAV,,,s:STRN,,\nFrame,Sub Frame,X,Y,Z,X,Y,Z\n,,mm,mm,mm,mm,mm,mm\n"
    lines = "".join(f"{i + 1},0,{700 + i},{i % 7},{i % 5},{i % 3},{i % 4},{i % 9}\n" for i in range(COUNT))
    (tmp_path / "take.csv").write_text(header + lines)
    (recording,) = tables.read(tmp_path / "take.csv", Options())
    (spec,), (samples,) = recording.specs.values(), recording.samples.values()
    assert spec.columns == ("clav_x", "clav_y", "clav_z", "strn_x", "strn_y", "strn_z")
    assert (set(spec.units), spec.rate_hz) == ({"m"}, 100)
    np.testing.assert_allclose(samples.data[-1, 0], (700 + COUNT - 1) / 1000)
    np.testing.assert_allclose(samples.time, np.arange(COUNT) / 100)


def test_a_recipe_says_over_how_many_lines_names_are(tmp_path):
    recipe = '[clock]\ncolumn = "Time"\n[streams.s]\nkind = "sensor"\ncolumns = { x = "B.x" }\nrate_hz = "measured"\n'
    text = "Made by me\nTime,A,B\n,x,x\n0,1,2\n1,3,4\n"
    for keys in ("header_rows = 2", "header_rows = 2\nskip = 1"):
        (recording,) = read(tmp_path, text, recipe, keys)
        np.testing.assert_array_equal(recording.samples["s"].data[:, 0], [2, 4])


def test_turns_of_a_rigid_body_are_an_attitude_and_no_gyro(tmp_path):
    """As OptiTrack's Motive exports it: the line of its numbers is no line of data."""
    header = (
        "Format Version,1.23,Capture Frame Rate,120.0\n\n,Type,Rigid Body,Rigid Body,Rigid Body,Rigid Body\n"
        ",ID,1,1,1,1\n,,Rotation,Rotation,Rotation,Rotation\nFrame,Time (Seconds),X,Y,Z,W\n"
    )
    lines = "".join(f"{i},{i / 120:.6f},0,0,{np.sin(i / 40):.6f},{np.cos(i / 40):.6f}\n" for i in range(COUNT))
    (tmp_path / "take.csv").write_text(header + lines)
    (recording,) = tables.read(tmp_path / "take.csv", Options())
    assert {name: spec.kind for name, spec in recording.specs.items()} == {"attitude": "orientation"}
    np.testing.assert_allclose(recording.samples["attitude"].data[:, 3], np.sin(np.arange(COUNT) / 40), atol=1e-6)


def test_a_header_of_which_alone_the_line_ends_in_a_delimiter_tells_units_behind_slashes(tmp_path):
    """As BioLogic writes its cyclers' tables: `time/s`, and a clock shows that what stands behind a slash is a unit."""
    head = (
        "BT-Lab ASCII FILE\nNb header lines : 6\n\nctrl_type\tRest\tCC\n\nmode\ttime/s\tEcell/V\tI/mA\t(Q-Qo)/mA.h\t\n"
    )
    lines = "".join(f"{i % 3}\t{i / 10:.15E}\t{3.5 + i / 100:.7E}\t{i:.7E}\t0.0\n" for i in range(COUNT))
    (tmp_path / "cell.mpt").write_text(head + lines)
    (recording,) = tables.read(tmp_path / "cell.mpt", Options())
    spec, samples = recording.specs["signals"], recording.samples["signals"]
    assert spec.columns == ("mode", "ecell", "i", "q_qo")
    assert spec.units == ("", "V", "A", "mA.h")
    np.testing.assert_allclose(samples.data[-1, 1:3], [3.5 + (COUNT - 1) / 100, (COUNT - 1) / 1000])
    np.testing.assert_allclose(samples.time[1], 0.1)


def test_a_header_that_comes_again_at_once_tells_no_units(tmp_path):
    header = "time,Latitude,Longitude,depth\n"
    lines = "".join(f"{1455208122.28 + i},{34.1 + i / 1e5},-81.2,{i % 7}\n" for i in range(COUNT))
    (tmp_path / "boat.csv").write_text(3 * header + lines)
    (recording,) = tables.read(tmp_path / "boat.csv", Options())
    assert recording.specs["signals"].units == ("",)
    assert recording.specs["gps"].units == ("deg", "deg", "m")
    assert not any("which is no unit" in note for note in recording.notes)


def test_a_date_with_a_blank_in_it_is_one_field_between_tabs(tmp_path):
    """As WitMotion writes it: between blanks there would be a field more than there are names."""
    lines = "".join(f"0x50\t2021-05-11 10:21:{i:02d}.112\t{i / 50}\t-0.01\t1.00\n" for i in range(COUNT))
    head = "StartTime:  2021-05-11 10:21:39.000\naddress\tTime(s)\tax(g)\tay(g)\taz(g)\n"
    (tmp_path / "imu.txt").write_text(head + lines)
    (recording,) = tables.read(tmp_path / "imu.txt", Options())
    np.testing.assert_allclose(recording.samples["accelerometer"].data[-1, 2], 9.80665)
    np.testing.assert_allclose(recording.samples["accelerometer"].time[1], 1)

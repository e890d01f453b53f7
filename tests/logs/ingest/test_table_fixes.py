"""Rows of a table that a receiver calls no fix: they are no positions, and are counted."""

import pytest

from tests.logs.ingest.table_case import read_file, suggested
from worldmodel.logs.ingest import suggest

HEAD = "t,lat,lon,alt"


def moving(*told: object) -> list[str]:
    """Rows of a place that moves, each with what is told of it."""
    return [f"{i},{47 + i / 1e4:.4f},{8 + i / 1e4:.4f},{400 + i},{one}" for i, one in enumerate(told)]


@pytest.mark.parametrize(
    ("flag", "told", "kept"),
    [
        ("fix_type", [0, 1, 2, 3, 3, 1, 3], [2, 3, 4, 6]),  # of u-blox, PX4 and MAVLink
        ("fixType", [0, 1, 1, 0, 1, 1, 1], [1, 2, 4, 5, 6]),  # whether there is one
        ("fix_quality", [0, 1, 2, 4, 5, 0, 1], [1, 2, 3, 4, 6]),  # of NMEA
        ("Quality", [0, 0, 1, 1, 1, 1, 1], [2, 3, 4, 5, 6]),
        ("GPSQual", [0, 0, 1, 2, 2, 2, 0], [2, 3, 4, 5]),
        ("gps.fix", ["false", "true", "true", "true", "false", "true", "true"], [1, 2, 3, 5, 6]),
        ("fix", ["No Fix", "2D", "3D", "3D", "no fix", "3D", "3D"], [1, 2, 3, 5, 6]),
        ("fix", ["NO_GPS", "3D", "3D", "NO_GPS", "3D", "3D", "3D"], [1, 2, 4, 5, 6]),
        ("status", list("VVAAAVA"), [2, 3, 4, 6]),  # of NMEA
        ("gps_status", [-1, 0, 0, 1, 2, -1, 0], [1, 2, 3, 4, 6]),  # of ROS
        ("GPS.Status", [1, 1, 3, 3, 4, 6, 2], [2, 3, 4, 5, 6]),  # of ArduPilot
        ("gps_valid", [0, 1, 1, 1, 1, 1, 0], [1, 2, 3, 4, 5]),
    ],
)
def test_rows_that_a_receiver_calls_no_fix_are_no_positions(tmp_path, flag, told, kept):
    recording = suggested(tmp_path, f"{HEAD},{flag}", moving(*told))
    assert recording.samples["gps"].data[:, 2].tolist() == [400 + i for i in kept]
    left = len(told) - len(kept)
    assert f"gps: {left} of {len(told)} rows are left out by {flag}, as where says" in recording.notes


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("fix_quality", [0] * 7),  # nobody filled it in
        ("fix_type", [3, 3, 2, 3, 3, 3, 3]),
        ("gps_status", [0, 1, 1, 1, 0, 0, 0]),  # all are fixes to ROS
        ("status", [0, 0, 3, 0, 3, 0, 3]),  # of who knows what
        ("mode", ["none", "AUTO", "AUTO", "none", "AUTO", "AUTO", "AUTO"]),
        ("target_fix_type", [0, 3, 3, 3, 3, 3, 3]),  # another receiver's
        ("quality", [0, 55, 55, 97, 95, 93, 91]),  # in %
        ("suffix", [0, 1, 1, 1, 1, 1, 1]),
        ("fix_type", ["", "", "", "", "", "", 3]),  # in rows of its own
    ],
)
def test_what_does_not_tell_of_fixes_leaves_none_out(tmp_path, flag, told):
    recording = suggested(tmp_path, f"{HEAD},{flag}", moving(*told))
    assert len(recording.samples["gps"].time) == len(told)


def test_a_receiver_tells_of_its_own_fixes(tmp_path):
    """Each of two receivers beside each other, and nothing of a place that is no receiver's."""
    head = "t,gps1_lat,gps1_lon,gps2_lat,gps2_lon,home_lat,home_lon,gps1_fix_type,gps2_fix_type"
    rows = [f"{i},{47 + i},8,{57 + i},9,{67 + i},10,{3 * (i > 1)},{3 * (i > 3)}" for i in range(6)]
    samples = suggested(tmp_path, head, rows).samples
    assert {name: len(one.time) for name, one in samples.items() if name.endswith("_gps")} == {
        "gps1_gps": 4, "gps2_gps": 2, "home_gps": 6,
    }  # fmt: skip


def test_a_log_without_any_fix_has_no_positions(tmp_path):
    """The last place that is known, which does not move, is where the machine was."""
    rows = [f"{i},47.1,8.2,400,0,{i * i}" for i in range(6)]
    recording = suggested(tmp_path, f"{HEAD},fix_type,speed", rows)
    assert not len(recording.samples["gps"].time)
    assert len(recording.samples["signals"].time) == 6


def test_the_suggested_recipe_leaves_them_out_of_other_tables(tmp_path):
    (tmp_path / "a.csv").write_text(f"{HEAD},fix_type\n" + "\n".join(moving(0, 0, 3, 3)) + "\n")
    (tmp_path / "b.csv").write_text(f"{HEAD},fix_type\n" + "\n".join(moving(3, 1, 3, 3)) + "\n")
    recipe = suggest(tmp_path / "a.csv").split("version = 1", 1)[1]
    assert "where = { fix_type = { at_least = 2 } }" in recipe
    assert read_file(tmp_path / "b.csv", recipe)[0].samples["gps"].time.tolist() == [0, 2, 3]

"""One recording from several files: on which clock they are joined, and what is said where none is known."""

import numpy as np
import pytest

from tests.logs.ingest.table_case import HEAD, read_file
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import load_recipe

UNIX = 1_700_000_000
JOINED = (
    '[clock]\ncolumn = "t"\norigin = "unix"\n'
    '[streams.wheel]\nfile = "wheel.csv"\nkind = "sensor"\ncolumns = { speed = "v" }\nrate_hz = "measured"\n'
    '[streams.imu]\nfile = "imu.csv"\nkind = "sensor"\ncolumns = { x = "ax" }\nrate_hz = "measured"\n'
    "clock = { column = 't', origin = ORIGIN }\n"
    '[streams.gyro]\nfile = "imu.csv"\nkind = "sensor"\ncolumns = { z = "gz" }\nrate_hz = "measured"\n'
    "where = { gz = { above = 0 } }\nclock = { column = 't', origin = ORIGIN }\nlag_s = 0.25\n"
)

ALONE = (
    '[clock]\ncolumn = "t"\norigin = ORIGIN\n'
    '[streams.imu]\nkind = "sensor"\ncolumns = { x = "ax" }\nrate_hz = "measured"\n'
)


def put(folder, files):
    for name, (columns, rows) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        lines = [columns, *(",".join(f"{value:.12g}" for value in row) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def drive(folder, begins_s=12.5, boot=0.0):
    """A folder with a wheel that counts from 1970, and an IMU that counts since it was switched on."""
    imu = [(boot + begins_s + i / 10, i, i - 1) for i in range(5)]
    return put(folder, {"wheel.csv": ("t,v", [(UNIX + i / 10, i) for i in range(5)]), "imu.csv": ("t,ax,gz", imu)})


def by(folder, origin):
    (recording,) = read_file(folder, JOINED.replace("ORIGIN", origin))
    return recording


@pytest.mark.parametrize("begins_s", [0.0, 12.5])
def test_a_clock_begins_with_the_recording_where_the_recipe_says_so(tmp_path, begins_s):
    recording = by(drive(tmp_path / "run", begins_s), '"recording"')
    assert recording.origin_utc == pytest.approx(UNIX - 0.05)
    times = {name: samples.time + recording.origin_utc - UNIX for name, samples in recording.samples.items()}
    np.testing.assert_allclose(times["wheel"], np.arange(5) / 10, atol=1e-6)
    np.testing.assert_allclose(times["imu"], np.arange(5) / 10, atol=1e-6)
    np.testing.assert_allclose(times["gyro"], np.arange(2, 5) / 10 - 0.25, atol=1e-6)  # a known lag is taken off then
    assert f"{UNIX - begins_s:.3f} s are added" in recording.notes[0]
    assert "imu, gyro" in recording.notes[0]


@pytest.mark.parametrize("origin", [f"{UNIX - 12.5}", "2023-11-14T22:13:07.5Z", "2023-11-14T23:13:07.5+01:00"])
def test_a_clock_counts_since_when_the_recipe_says(tmp_path, origin):
    recording = by(drive(tmp_path / "run"), origin)
    np.testing.assert_allclose(recording.samples["imu"].time, recording.samples["wheel"].time, atol=1e-6)
    assert recording.origin_utc == pytest.approx(UNIX - 0.05)
    (alone,) = read_file(drive(tmp_path / "alone") / "imu.csv", ALONE.replace("ORIGIN", origin))
    assert alone.origin_utc == pytest.approx(UNIX)


@pytest.mark.parametrize("origin", ['"boot"', "2023-11-14T22:13:07.5", "1700000000000", "true", "inf"])
def test_since_when_no_clock_counts(tmp_path, origin):
    (tmp_path / "r.toml").write_text(HEAD + JOINED.replace("ORIGIN", origin))
    with pytest.raises(RecipeError, match=r"streams.imu.clock.origin is wrong[\s\S]*recording, or since when"):
        load_recipe(tmp_path / "r.toml")


def test_all_clocks_may_begin_with_the_recording(tmp_path):
    files = {
        "wheel.csv": ("t,v", [(3 + i, i) for i in range(4)]),
        "imu.csv": ("t,ax,gz", [(90 + i, i, 1) for i in range(4)]),
    }
    recipe = JOINED.replace('"unix"', '"recording"').replace("ORIGIN", '"recording"').replace("lag_s = 0.25\n", "")
    (recording,) = read_file(put(tmp_path / "run", files), recipe)
    for name in ("wheel", "imu", "gyro"):
        assert recording.samples[name].time.tolist() == [0, 1, 2, 3]
    assert np.isnan(recording.origin_utc)

"""JSON files that hold a table as a whole: what is one, and what is in it."""

import json

import numpy as np
import pytest

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant

COUNT = 40
ROWS = [
    {"time": i / 50, "ax": i / 7, "ay": 0.1, "az": 9.81, "gps": {"lat": 47 + i * 1e-5, "lon": 8.5}}
    for i in range(COUNT)
]
FLAT = {name: [row[name] for row in ROWS] for name in ("time", "ax", "ay", "az")}
LAYOUTS = {
    "records": ROWS,
    "columns": FLAT,
    "pandas": {name: {str(i): value for i, value in enumerate(values)} for name, values in FLAT.items()},
    "split": {
        "columns": list(FLAT),
        "index": [*range(COUNT)],
        "data": [list(row) for row in zip(*FLAT.values(), strict=True)],
    },
    "within": {"device": "rover 3", "data": ROWS},
}


def read(path, found):
    path.write_text(json.dumps(found))
    (recording,) = tables.read(path, Options())
    return recording


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_the_same_table(tmp_path, layout):
    recording = read(tmp_path / "run.json", LAYOUTS[layout])
    assert claimant(tmp_path / "run.json") == "tables"
    stream = recording.samples["accelerometer"]
    np.testing.assert_allclose(stream.time, np.arange(COUNT) / 50)
    np.testing.assert_allclose(stream.data[:, 0], np.arange(COUNT) / 7)
    if layout == "within":
        assert any("device = rover 3" in note for note in recording.notes)


def test_a_field_that_two_paths_of_a_record_name_keeps_rows_together(tmp_path):
    """The last one counts; two values a row would shift all that come after."""
    rows = [{"time": i / 50, "wheel.speed": -1, "wheel": {"speed": i}} for i in range(COUNT)]
    (stream,) = read(tmp_path / "run.json", rows).samples.values()
    np.testing.assert_allclose(stream.time, np.arange(COUNT) / 50)
    np.testing.assert_allclose(stream.data[:, 0], np.arange(COUNT))


def test_arrays_of_their_own_lengths_have_clocks_of_their_own(tmp_path):
    found = {
        "imu": [{"t": i / 100, "gx": i} for i in range(300)],
        "gps": [{"t": i / 10, "speed": i} for i in range(30)],
    }
    recording = read(tmp_path / "run.json", found)
    np.testing.assert_allclose(recording.samples["imu"].time, np.arange(300) / 100)
    np.testing.assert_allclose(recording.samples["gps"].data[:, 0], np.arange(30))


@pytest.mark.parametrize(
    "found",
    [
        {"fps": 30, "shape": [480, 640, 3], "features": {"timestamp": {"dtype": "float32", "shape": [1]}}},
        {"camera_matrix": [[600, 0, 320], [0, 600, 240]], "created": "2024-01-01"},
        [1, 2, 3],
        {"cameras": [{"name": "front", "time_offset": 0.1}, {"name": "rear", "time_offset": 0.2}], "t": [0, 1, 2]},
    ],
)
def test_descriptions_are_no_tables(tmp_path, found):
    path = tmp_path / "info.json"
    path.write_text(json.dumps(found))
    assert claimant(path) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (json.dumps(ROWS)[:-9], "no whole JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1}', "no array of objects"),
        ('{"columns": ["time"], "data": [1.5, 2.5]}', "No clock"),
    ],
)
def test_what_is_none_is_refused_by_its_reason(tmp_path, text, why):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecipeError, match=why):
        list(tables.read(tmp_path / "run.json", Options()))

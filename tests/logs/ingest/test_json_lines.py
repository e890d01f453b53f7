"""JSON lines as tables: what is nested, what is missing, what is torn."""

import gzip
import json

import numpy as np
import pytest

from tests.logs.ingest.table_case import BODY, read
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant
from worldmodel.logs.reader import Log

COUNT = 40
ROWS = [
    {"t": i / 50, "imu": {"acc": [0.1, i / 10, 9.81], "gyro": {"x": 0.1, "y": i / 90, "z": 0}}, "mode": "auto"}
    | ({"gps": {"lat": 47 + i * 1e-5, "lon": 8.5}} if i % 5 == 0 else {})
    for i in range(COUNT)
]
LINES = [json.dumps(row) for row in ROWS]
TEXT = "\n".join(LINES) + "\n"


@pytest.mark.parametrize("name", ["run.jsonl", "run.ndjson", "run.jsonl.gz"])
def test_objects_become_streams(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(TEXT.encode()) if name.endswith(".gz") else TEXT.encode())
    assert claimant(tmp_path / name) == "tables"
    ingest(tmp_path / name, tmp_path / "log.h5", progress=False)
    (episode,) = Log(tmp_path / "log.h5").episodes
    assert episode.streams["accelerometer"].spec.units == ("m/s^2",) * 3
    np.testing.assert_allclose(episode.streams["accelerometer"].data[:, 1], np.arange(COUNT) / 10, rtol=1e-6)
    np.testing.assert_allclose(episode.streams["gyro"].time, np.arange(COUNT) / 50)
    latitude = np.asarray(episode.streams["gps"].data)[:, 0]
    np.testing.assert_allclose(latitude, 47 + np.arange(0, COUNT, 5) * 1e-5)


def test_both_ways_of_parsing_say_the_same(tmp_path):
    """The second is for what pyarrow refuses, such as a column of numbers with words."""
    odd = TEXT + '{"t": 0.8, "imu": {"acc": ["n/a", "1.5", 2]}}\n'
    columns = 'x = "imu.acc[1]", y = "imu.gyro.y"'
    recipe = BODY.replace('x = "x"', columns)
    (plain,), (mixed,) = (read(tmp_path, text, recipe, 'missing = ["n/a"]', "run.jsonl") for text in (TEXT, odd))
    np.testing.assert_array_equal(mixed.samples["s"].data[:COUNT], plain.samples["s"].data)
    np.testing.assert_array_equal(mixed.samples["s"].data[COUNT], [1.5, np.nan])


def test_lines_that_are_no_objects_are_told_by_their_numbers(tmp_path):
    recipe = BODY.replace('"x" }', '"imu.gyro.y" }')
    bad = "\n".join([*LINES[:20], "oops", "[1, 2]", *LINES[20:]]) + "\n"
    with pytest.raises(RecipeError, match=r"line 21 is no JSON object.*'oops'"):
        read(tmp_path, bad, recipe, name="run.jsonl")
    (recording,) = read(tmp_path, bad, recipe, 'unreadable = "drop"', "run.jsonl")
    assert len(recording.samples["s"].time) == COUNT
    assert any("2 lines were left out, the first of which: line 21" in note for note in recording.notes)


def test_a_torn_last_line_costs_that_line(tmp_path):
    (recording,) = read(tmp_path, TEXT[:-20], BODY.replace('"x" }', '"imu.gyro.y" }'), name="run.jsonl")
    assert len(recording.samples["s"].time) == COUNT - 1
    assert any("torn" in note and f"line {COUNT}" in note for note in recording.notes)


@pytest.mark.parametrize(
    "text", ["", "{}\n{}\n", "[1, 2]\n", '{"name": "run"}\n', "{" * 5000, '{"a":' * 3000 + "1" + "}" * 3000]
)
def test_other_json_is_no_table(tmp_path, text):
    (tmp_path / "run.jsonl").write_text(text)
    assert claimant(tmp_path / "run.jsonl") is None
    with pytest.raises(RecipeError):
        list(tables.read(tmp_path / "run.jsonl", Options()))

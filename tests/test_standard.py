"""The examples of the written standard, `datasets/README.md`, do what it says."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.importer import importers
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

STANDARD = Path(__file__).parents[1] / "datasets" / "README.md"


def example(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", STANDARD.read_text(), re.DOTALL | re.MULTILINE)
    return code


def test_a_stream_is_read_with_h5py_alone(tmp_path, monkeypatch, capsys):
    imu = StreamSpec("imu", "sensor", ("x", "y"), ("m/s^2", "rad/s"), rate_hz=10)
    rng = np.random.default_rng(0)
    with LogWriter(tmp_path / "drive.h5", [imu]) as log:
        for count in (3, 5, 2, 7, 4):
            log.append({"imu": Samples(np.arange(count) / 10, rng.normal(size=(count, 2)))}, name=f"drive {count}")
    monkeypatch.chdir(tmp_path)
    seen: dict[str, object] = {}
    exec(example("python"), seen)
    expected = Log("drive.h5").episodes[3].streams["imu"]
    np.testing.assert_array_equal(seen["time"], expected.time)
    np.testing.assert_array_equal(seen["data"], expected.data)
    low, high = expected.data[:, 1].min(), expected.data[:, 1].max()
    assert capsys.readouterr().out.splitlines()[::2] == ["drive 7 0.6 s", f"y [rad/s]: {low:g} to {high:g}"]


def test_the_recipe_reads_a_table(tmp_path):
    (tmp_path / "recipe.toml").write_text(example("toml"))
    (tmp_path / "drive.csv").write_text("stamp_ms,ax,ay,az\n1000,0,0.5,1\n1010,0.1,0.5,2\n")
    ingest(tmp_path / "drive.csv", tmp_path / "log.h5", recipe=tmp_path / "recipe.toml", progress=False)
    imu = Log(tmp_path / "log.h5").episodes[0].streams["imu"]
    assert (imu.spec.columns, imu.spec.units, imu.spec.frame) == (("x", "y", "z"), ("m/s^2",) * 3, "body")
    np.testing.assert_allclose(imu.time, [0, 0.01])
    assert imu.data[1] == pytest.approx(9.80665 * np.array([0.1, 0.5, 2]), rel=1e-6)


def test_the_importer_reads_its_format(tmp_path, monkeypatch):
    ours: dict[str, object] = {}
    exec(example("py"), ours)
    monkeypatch.setitem(importers(), "mine", SimpleNamespace(**ours))
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows[:, 0] = np.arange(50) / 200
    (tmp_path / "a.mine").write_bytes(b"MINE" + rows.astype("<f8").tobytes())
    ingest(tmp_path / "a.mine", tmp_path / "log.h5", progress=False)
    gyro = Log(tmp_path / "log.h5").episodes[0].streams["gyro"]
    np.testing.assert_allclose(gyro.data, rows[:, 1:], rtol=1e-6)

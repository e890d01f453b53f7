"""MDF files by asammdf's writer, against what went into them."""

import datetime

import asammdf
import numpy as np
import pytest

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import mdf
from worldmodel.logs.ingest.formats.mdf.channels import read_channels
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant
from worldmodel.logs.reader import Log

BEGAN = datetime.datetime(2024, 5, 17, 9, 30, tzinfo=datetime.UTC)
TIME = np.arange(5) / 10 + 3.0
SPEED, VALID = np.arange(5) * 36.0, np.array([0, 1, 0, 0, 0], bool)


def write(path, version="4.10"):
    """Two groups with masters of their own, words in one, and an invalid sample."""
    file = asammdf.MDF(version=version)
    file.start_time = BEGAN
    bits = {"invalidation_bits": VALID} if version >= "4" else {}
    file.append(
        [
            asammdf.Signal(SPEED, TIME, name="speed", unit="km/h", **bits),
            asammdf.Signal(np.array([b"a", b"b", b"c", b"d", b"e"]), TIME, name="gear", encoding="utf-8"),
            asammdf.Signal(np.arange(5, dtype=np.uint8), TIME, name="count"),
        ],
        acq_name="wheels",
        common_timebase=True,
    )
    file.append([asammdf.Signal(np.arange(3.0), np.arange(3) + 2.5, name="torque", unit="Nm")])
    path = file.save(path, overwrite=True)
    file.close()
    return path


def read(path):
    assert claimant(path) == "mdf"
    return read_channels(path)


def test_groups_are_streams(tmp_path):
    recording = read(write(tmp_path / "a.mf4"))
    wheels, spec = recording.samples["wheels"], recording.specs["wheels"]
    assert (spec.columns, spec.units) == (("speed", "count"), ("m/s", ""))
    np.testing.assert_allclose(wheels.time, np.arange(5) / 10 + 0.5)
    np.testing.assert_allclose(wheels.data, np.stack([np.where(VALID, np.nan, SPEED / 3.6), np.arange(5)], 1))
    np.testing.assert_allclose(recording.samples["group_1"].time, [0, 1, 2])
    assert recording.origin_utc == BEGAN.timestamp() + 2.5
    assert recording.notes == ["left out, as no numbers with times: wheels.gear"]


def test_version_3(tmp_path):
    recording = read(write(tmp_path / "a.mdf", "3.30"))
    (stream,) = (name for name, spec in recording.specs.items() if "speed" in spec.columns)
    np.testing.assert_allclose(recording.samples[stream].data[:, 0], SPEED / 3.6)


def test_it_goes_into_a_log(tmp_path):
    ingest(write(tmp_path / "a.mf4"), tmp_path / "log.h5", progress=False)
    assert Log(tmp_path / "log.h5").episodes[0].origin_utc == pytest.approx(BEGAN.timestamp() + 2.5)


def test_a_file_without_numbers_is_refused(tmp_path):
    path = asammdf.MDF().save(tmp_path / "a.mf4")
    with pytest.raises(RecipeError, match="no channels with numbers"):
        read(path)


def test_damage_ends_in_a_named_error(tmp_path):
    path = write(tmp_path / "a.mf4")
    path.write_bytes(path.read_bytes()[:0x200])
    with pytest.raises(WorldModelError):
        list(mdf.read(path, Options(scratch=tmp_path)))


def test_a_crash_of_the_library_is_a_named_error(tmp_path, monkeypatch):
    (tmp_path / "crash.py").write_text("import os; os.abort()")
    monkeypatch.setattr(mdf, "_READER", "crash")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RecipeError, match="ended with -6"):
        list(mdf.read(write(tmp_path / "a.mf4"), Options(scratch=tmp_path)))


def test_what_was_measured_over_an_angle_or_a_distance_is_left_out_and_said(tmp_path):
    file = asammdf.MDF(version="4.10")
    over = {"crank": ("angle", 2), "profile": ("distance", 3)}
    for name, master in {"speed": ("t", 1), **over}.items():
        signal = asammdf.Signal(np.arange(5.0), np.arange(5) * 7.0, name=name, master_metadata=master)
        file.append([signal], acq_name=name)
    path = file.save(tmp_path / "a.mf4")
    file.close()
    recording = read(path)
    assert list(recording.specs) == ["speed"]
    assert any("crank (over angle), profile (over distance)" in note for note in recording.notes)

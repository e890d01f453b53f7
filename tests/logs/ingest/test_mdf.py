"""MDF files by asammdf's writer, against what went into them."""

import datetime
from types import SimpleNamespace

import asammdf
import can
import numpy as np
import pytest
from can.io.mf4 import MF4Writer

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import mdf
from worldmodel.logs.ingest.formats.mdf.channels import read_channels
from worldmodel.logs.ingest.formats.mdf.frames import can_frames
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


def test_a_counter_of_frames_is_no_raw_frame(tmp_path):
    file = asammdf.MDF(version="4.10")
    file.append([asammdf.Signal(np.arange(5.0), TIME, name=name) for name in ("USB_FrameCount", "speed")], acq_name="a")
    path = file.save(tmp_path / "a.mf4")
    file.close()
    assert read(path).specs["a"].columns == ("USB_FrameCount", "speed")


DBC = """VERSION ""
NS_ :
BS_:
BU_: ECU
BO_ 291 WHEEL: 8 ECU
 SG_ SPEED : 0|16@1+ (0.01,0) [0|655] "km/h" ECU
BO_ 2147483939 WIDE: 8 ECU
 SG_ TURN : 0|16@1+ (0.1,0) [0|655] "deg" ECU
"""


def write_frames(path):
    """As loggers of a CAN bus write them."""
    with MF4Writer(path) as writer:
        for i in range(10):
            told = {"timestamp": BEGAN.timestamp() + i / 10, "arbitration_id": 291, "channel": 1}
            content = (360 * i).to_bytes(2, "little") + bytes(6)
            writer(can.Message(data=content, is_extended_id=False, **told))
            writer(can.Message(data=content, is_extended_id=True, is_rx=i > 0, **told))
            writer(can.Message(data=b"", is_extended_id=False, **told | {"arbitration_id": 9}))
    return path


def test_raw_frames_are_decoded_by_a_dbc(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    (recording,) = mdf.read(write_frames(tmp_path / "a.mf4"), Options(scratch=tmp_path))
    assert {name: spec.kind for name, spec in recording.specs.items()} == {
        "WHEEL": "sensor", "WIDE": "sensor", "WIDE_sent": "action",
    }  # fmt: skip
    np.testing.assert_allclose(recording.samples["WHEEL"].data[:, 0], np.arange(10))
    np.testing.assert_allclose(recording.samples["WHEEL"].time, np.arange(10) / 10, atol=1e-6)
    np.testing.assert_allclose(recording.samples["WIDE"].data[:, 0], np.radians(36 * np.arange(1, 10)))
    assert "CAN: left out: 10 frames of addresses that the DBC does not know (0x9)" in recording.notes


def test_a_length_may_be_told_by_its_code_alone():
    told = {"ID": [291, 291], "DataBytes": np.arange(128).reshape(2, 64), "DLC": [2, 9]}
    there = {f"CAN_DataFrame.{name}": np.array(samples) for name, samples in told.items()}
    file = SimpleNamespace(get=lambda name, **_: SimpleNamespace(samples=there[name], timestamps=np.arange(2.0)))
    assert [len(frame.data) for frame in can_frames(file, 0, list(there))] == [2, 12]


def test_raw_frames_that_nobody_describes_are_no_readings(tmp_path):
    with pytest.raises(RecipeError, match=r"30 CAN_DataFrame[\s\S]*--dbc"):
        list(mdf.read(write_frames(tmp_path / "a.mf4"), Options(scratch=tmp_path)))

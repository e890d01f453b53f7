"""CAN logs by python-can's writers, decoded by a DBC, against what went into them."""

import contextlib
import gzip
import math

import can
import cantools
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.health.examination import examined
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import can as importer
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant
from worldmodel.logs.reader import Log

DBC = """VERSION ""
NS_ :
BS_:
BU_: CAR
BO_ 180 SPEED: 8 CAR
 SG_ SPEED : 47|16@0+ (0.01,0) [0|250] "km/h" CAR
BO_ 800 MIXED: 8 CAR
 SG_ PAGE M : 7|8@0+ (1,0) [0|5] "" CAR
 SG_ FIRST m0 : 15|8@0+ (1,0) [0|255] "deg" CAR
 SG_ SECOND m5 : 15|8@0+ (1,0) [0|255] "" CAR
BO_ 2147483949 WIDE: 16 CAR
 SG_ LAST : 127|8@0+ (1,0) [0|255] "" CAR
"""
WRITERS = {
    ".csv": can.CSVWriter,
    ".log": can.CanutilsLogWriter,
    ".asc": can.ASCWriter,
    ".blf": can.BLFWriter,
    ".trc": can.TRCWriter,
}
UNIX = 1_715_938_200.0


def frame(seconds, address, content, **given):
    told = {"is_extended_id": False, "channel": 0} | given
    return can.Message(timestamp=UNIX + seconds, arbitration_id=address, data=content, **told)


def frames():
    return [
        frame(0, 180, b"\0\0\0\0\0\x0e\x10\0"),
        frame(0.25, 800, b"\x05\x07"),
        frame(0.5, 800, b"\x00\xb4"),
        frame(0.75, 180, b"\0\0\0\0\0\x1c\x20\0", is_rx=False),
        frame(1, 301, b"\0" * 15 + b"\x09", is_extended_id=True, is_fd=True),
        frame(1.25, 1000, b"\1"),
        frame(1.25, 180, None, is_remote_frame=True, dlc=8),
        frame(1.5, 180, b"\0\0\0\0\0\x0e\x10\0"),
    ]


def write(path, messages, dbc=True):
    if dbc:
        (path.parent / "car.dbc").write_text(DBC)
    writer = WRITERS[path.suffix](str(path))
    for message in messages:
        writer(message)
    writer.stop()
    return path


def read(path, **given):
    assert claimant(path) == "can"
    (recording,) = importer.read(path, Options(**given))
    return recording


@pytest.mark.parametrize("name", ["a.log", "a.asc", "a.blf"])
def test_messages_are_streams(tmp_path, name):
    recording = read(write(tmp_path / name, frames()))
    samples, specs = recording.samples, recording.specs
    assert set(samples) == {"SPEED", "SPEED_sent", "MIXED_0", "MIXED_5", "WIDE"}
    np.testing.assert_allclose(samples["SPEED"].data, [[10], [10]])
    np.testing.assert_allclose(samples["SPEED"].time, [0, 1.5], atol=1e-5)
    np.testing.assert_allclose(samples["SPEED_sent"].data, [[20]])
    np.testing.assert_allclose(samples["MIXED_0"].data, [[0, math.pi]])
    np.testing.assert_allclose(samples["MIXED_5"].time, [0.25], atol=1e-5)
    np.testing.assert_allclose(samples["WIDE"].data, [[9]])
    assert (specs["SPEED"].units, specs["SPEED"].kind, specs["SPEED_sent"].kind) == (("m/s",), "sensor", "action")
    left = "CAN: left out: 1 remote frames, 1 frames of addresses that the DBC does not know (0x3e8)"
    assert recording.notes == ["decoded by car.dbc, which lies beside it", left]
    assert recording.origin_utc == pytest.approx(UNIX, abs=1e-3) or name == "a.asc"


@pytest.mark.parametrize("name", ["a.log", "a.asc", "a.blf", "a.trc"])
def test_a_packed_log_is_the_log(tmp_path, name):
    path = write(tmp_path / name, frames())
    packed = path.with_name(f"{name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    plain, unpacked = read(path), read(packed)
    assert str(plain.specs) == str(unpacked.specs)
    for stream, (time, data) in plain.samples.items():
        np.testing.assert_array_equal(unpacked.samples[stream].time, time)
        np.testing.assert_array_equal(unpacked.samples[stream].data, data)
    packed.write_bytes(packed.read_bytes()[:-20])
    with contextlib.suppress(WorldModelError):
        list(importer.read(packed, Options()))


def test_frames_in_tables(tmp_path):
    recording = read(write(tmp_path / "a.csv", [frame for frame in frames() if not frame.is_remote_frame]))
    np.testing.assert_allclose(recording.samples["SPEED"].data, [[10], [20], [10]])  # it tells no direction
    np.testing.assert_allclose(recording.samples["WIDE"].data, [[9]])
    lines = ["Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8"]
    lines += [
        "1000000,000000B4,false,Rx,0,8,00,00,00,00,00,0E,10,00,",
        "1500000,000000B4,false,Tx,0,8,00,00,00,00,00,1C,20,00,",
    ]
    (tmp_path / "b.csv").write_text("\n".join([*lines, "2000000,000000B4,false,Rx,0,8,zz,", ""]))
    recording = read(tmp_path / "b.csv")
    np.testing.assert_allclose(recording.samples["SPEED"].data, [[10]])
    np.testing.assert_allclose(recording.samples["SPEED_sent"].time, [0.5])
    assert "CAN: 1 lines that cannot be read are left out" in recording.notes


@pytest.mark.parametrize(
    "lines",
    [
        ["time,addr,bus,data", "1.0,0xb4,0,0x00000000000e1000", "1.5,0xb4,128,0x00000000001c2000", "2,0xb4,0,0xzz"],
        [
            "TimestampEpoch;BusChannel;ID;IDE;DLC;DataLength;Dir;EDL;BRS;DataBytes",
            "1587654321.0;1;B4;0;8;8;0;0;0;00000000000E1000",
            "1587654321.5;1;B4;0;8;8;1;0;0;00000000001C2000",
            "1587654322.0;1;B4;0;8;8;0;0;0;zz",
        ],
    ],
)
def test_frames_as_cabana_and_the_canedge_write_them(tmp_path, lines):
    write(tmp_path / "a.log", frames())  # and its DBC
    (tmp_path / "a.log").unlink()
    (tmp_path / "b.csv").write_text("\n".join([*lines, ""]))
    recording = read(tmp_path / "b.csv")
    np.testing.assert_allclose(recording.samples["SPEED"].data, [[10]])
    np.testing.assert_allclose(recording.samples["SPEED_sent"].time, [0.5])
    assert "CAN: 1 lines that cannot be read are left out" in recording.notes


J1939 = """VERSION ""
NS_ :
BS_:
BU_: ECU
BO_ 2364540158 EEC1: 8 ECU
 SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|8031] "rpm" Vector__XXX
BO_ 2566834174 TSC1: 8 ECU
 SG_ Asked : 8|16@1+ (0.125,0) [0|8031] "rpm" Vector__XXX
"""


def test_messages_of_j1939_come_from_any_source(tmp_path):
    """EEC1 of two engines (0x0CF00400, 0x18F00401), and TSC1, which has a destination (0x0C0003EF)."""
    (tmp_path / "truck.dbc").write_text(J1939.replace("2566834174", str(0x80000000 | 0x0C0000FE)))
    content = bytes(3) + (8000).to_bytes(2, "little") + bytes(3)
    sent = [frame(i / 10, 0x0CF00400, content, is_extended_id=True) for i in range(3)]
    sent += [frame(0.35, 0x18F00401, content, is_extended_id=True)]
    sent += [frame(0.4, 0x0C0003EF, bytes(1) + (4000).to_bytes(2, "little") + bytes(5), is_extended_id=True)]
    sent += [frame(0.5, 0x18FEF100, bytes(8), is_extended_id=True)]
    recording = read(write(tmp_path / "a.log", sent, dbc=False))
    assert set(recording.samples) == {"EEC1_cf00400", "EEC1_18f00401", "TSC1"}
    np.testing.assert_allclose(recording.samples["EEC1_cf00400"].data[:, 0], 1000 * np.pi / 30)
    np.testing.assert_allclose(recording.samples["TSC1"].data[:, 0], 500 * np.pi / 30)
    assert "CAN: 5 frames are known by their parameter groups of J1939 alone" in recording.notes
    assert any("0x18fef100" in note for note in recording.notes)


def test_long_addresses_that_are_none_of_j1939_are_taken_as_they_are(tmp_path):
    (tmp_path / "car.dbc").write_text(J1939.replace("2566834174", str(0x80000000 | 0x0C000001)))
    sent = [frame(i / 10, 0x0CF004FE - (i == 2), bytes(8), is_extended_id=True) for i in range(3)]
    recording = read(write(tmp_path / "a.log", sent, dbc=False))
    assert len(recording.samples["EEC1"].time) == 2


def test_candump_with_dates(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    lines = [f" (2024-05-17 09:30:0{i}.250000)  can0  0B4   [8]  00 00 00 00 00 0E 10 00\n" for i in range(3)]
    (tmp_path / "a.log").write_text("".join(lines))
    recording = read(tmp_path / "a.log")
    np.testing.assert_allclose(recording.samples["SPEED"].time, [0, 1, 2], atol=1e-6)
    assert recording.origin_utc == pytest.approx(UNIX + 0.25)
    assert "CAN: its times tell no zone, and are taken for UTC" in recording.notes


def test_what_the_dbc_calls_no_reading_is_missing(tmp_path):
    names = 'VAL_ 180 SPEED 65535 "SNA" 65534 "Init" 3 "Invalid" ;\n'
    (tmp_path / "car.dbc").write_text(DBC + names)
    raw = (3600, 65535, 65534, 3)
    sent = [frame(i, 180, bytes(5) + number.to_bytes(2, "big") + b"\0") for i, number in enumerate(raw)]
    recording = read(write(tmp_path / "a.log", sent, dbc=False))
    np.testing.assert_allclose(recording.samples["SPEED"].data[:, 0], [10, np.nan, 655.34 / 3.6, 0.03 / 3.6])
    assert "SPEED: what the DBC calls no reading is missing: 1 of SPEED" in recording.notes


@pytest.mark.parametrize(
    ("unit", "si", "scale"),
    [
        ("G", "m/s^2", 9.80665),
        ("m/s2", "m/s^2", 1),
        ("kph", "m/s", 1 / 3.6),
        ("Deg/sec", "rad/s", np.pi / 180),
        ("odd", "odd", 1),
    ],
)
def test_units_are_understood_as_dbc_files_spell_them(tmp_path, unit, si, scale):
    (tmp_path / "car.dbc").write_text(DBC.replace('"km/h"', f'"{unit}"'))
    recording = read(write(tmp_path / "a.log", frames()[:1], dbc=False))
    assert recording.specs["SPEED"].units == (si,)
    np.testing.assert_allclose(recording.samples["SPEED"].data, 36 * scale)


def test_a_magnetic_field_in_g_is_in_gauss(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC.replace('"km/h"', '"G"').replace(" SPEED ", " MAG_X "))
    recording = read(write(tmp_path / "a.log", frames()[:1], dbc=False))
    (spec,) = recording.specs.values()
    assert (spec.columns[0], spec.units[0]) == ("MAG_X", "T")
    np.testing.assert_allclose(recording.samples[spec.name].data[:, 0], 36e-4)


def test_all_ones_on_the_bus_are_no_reading(tmp_path):
    content = [b"\xff\xff" if i == 9 else (3600 + 36 * i).to_bytes(2) for i in range(40)]
    path = write(tmp_path / "a.log", [frame(i / 10, 180, bytes(5) + two + b"\0") for i, two in enumerate(content)])
    (done,) = examined(read(path))
    assert np.flatnonzero(np.isnan(done.samples["SPEED"].data[:, 0])).tolist() == [9]


def test_values_are_those_of_the_library(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    message = cantools.database.load_file(str(tmp_path / "car.dbc")).get_message_by_name("SPEED")
    speeds = [0.0, 12.34, 99.99, 250.0]
    path = write(tmp_path / "a.log", [frame(i, 180, message.encode({"SPEED": v})) for i, v in enumerate(speeds)])
    np.testing.assert_allclose(read(path).samples["SPEED"].data[:, 0], np.array(speeds) / 3.6)


def test_several_buses_are_apart(tmp_path):
    content = [b"\0\0\0\0\0\x0e\x10\0", b"\0\0\0\0\0\x1c\x20\0"]
    path = write(tmp_path / "a.blf", [frame(i, 180, content[i], channel=i) for i in (0, 1)])
    samples = read(path).samples
    assert (samples["SPEED_1"].data, samples["SPEED_2"].data) == (pytest.approx(10), pytest.approx(20))


def test_what_candump_prints_for_people(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    line = " (1715938200.{})  can0  {}0B4   [8]  00 00 00 00 00 0E 10 00{}\n"
    text = line.format("000000", "", "   '......'") + line.format("500000", "TX - -  ", "") + " (1715938201.0"
    (tmp_path / "a.log").write_text(text)
    recording = read(tmp_path / "a.log")
    np.testing.assert_allclose(recording.samples["SPEED"].data, [[10]])
    np.testing.assert_allclose(recording.samples["SPEED_sent"].time, [0.5])
    assert "the last line has no end and is left out" in recording.notes


def test_a_dbc_is_needed(tmp_path):
    path = write(tmp_path / "a.log", frames(), dbc=False)
    with pytest.raises(RecipeError, match=r"(?s)Nothing says.*--dbc FILE"):
        read(path)
    (tmp_path / "DBC").mkdir()
    other = tmp_path / "DBC" / "other.dbc"
    other.write_text(DBC.replace("180", "181").replace("800", "801").replace("3949", "3950"))
    with pytest.raises(RecipeError, match="no frame of a message"):
        read(path, dbc=(other,))


def test_relative_stamps_are_refused(tmp_path):
    path = write(tmp_path / "a.asc", frames())
    path.write_text(path.read_text().replace("timestamps absolute", "timestamps relative"))
    with pytest.raises(RecipeError, match="relative to the line before"):
        read(path)


@pytest.mark.parametrize("name", ["a.log", "a.blf", "a.csv"])
def test_what_is_too_large_to_be_held_is_read_in_pieces(tmp_path, name, monkeypatch):
    speeds = [frame(0.1 * i, 180, bytes([0] * 5 + [14, i, 0])) for i in range(30)]
    path = write(tmp_path / name, [*speeds[:13], *(frame(1.25, 999, b"\1") for _ in range(12)), *speeds[13:]])
    whole = read(path).samples["SPEED"]
    monkeypatch.setattr(importer, "_PIECE", 7)
    pieces = list(importer.read(path, Options()))
    assert [piece.name for piece in pieces] == [f"{name} piece {i}" for i in (1, 2, 4, 5, 6)]  # one knows no frame
    data, times = zip(*((p.samples["SPEED"].data, p.samples["SPEED"].time + p.origin_utc) for p in pieces), strict=True)
    np.testing.assert_array_equal(np.concatenate(data), whole.data)
    np.testing.assert_allclose(np.concatenate(times) - times[0][0], whole.time, atol=1e-5)
    assert any("read in pieces" in note for note in pieces[0].notes)


def test_streams_of_a_piece_are_named_as_those_of_earlier_ones(tmp_path, monkeypatch):
    speeds = [frame(0.1 * i, 180, bytes([0] * 5 + [14, i, 0]), channel=i % 2 if i < 10 else 0) for i in range(20)]
    path = write(tmp_path / "a.blf", speeds)
    monkeypatch.setattr(importer, "_PIECE", 8)
    first, *others = importer.read(path, Options())
    names = [set(piece.samples) for piece in (first, *others)]
    assert names == [{"SPEED_1", "SPEED_2"}, {"SPEED_1", "SPEED_2"}, {"SPEED_1"}]


def test_it_goes_into_a_log(tmp_path):
    write(tmp_path / "a.log", [frame(i / 10, 180, bytes(5) + bytes((i, 16, 0))) for i in range(20)])
    report = ingest(tmp_path, tmp_path / "log.h5", progress=False)
    assert not any("no format claims" in note for note in report.notes)
    assert Log(tmp_path / "log.h5").episodes[0].streams["SPEED"].spec.units == ("m/s",)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["log", "asc", "blf"]), at=st.integers(0, 900), value=st.integers(0, 255), cut=st.booleans()
)
def test_damage_ends_in_a_named_error(tmp_path, suffix, at, value, cut):
    path = write(tmp_path / f"a.{suffix}", frames())
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content[:at] if cut else content)
    importer.claims(path)
    with contextlib.suppress(WorldModelError):
        assert list(importer.read(path, Options()))


def test_what_an_asc_file_tells_beside_frames_is_counted(tmp_path):
    """And a last line that is torn costs that line."""
    path = write(tmp_path / "a.asc", frames())
    events = ["1  Statistic: D 0 R 0 XD 0", "2  Statistic: D 0", "CAN 1 Status:chip status error", "1  J1939TP FEE3p 6"]
    lines = [line for line in path.read_text().splitlines() if "riggerblock" not in line.lower()]
    path.write_text(
        "\n".join([*lines, *(f"   2.{i}0000 {event}" for i, event in enumerate(events)), "   3.000 1  B4 "])
    )
    recording = read(path)
    assert "CAN: lines that are no frames are left out: 2 Statistic, 1 Status, 1 J1939TP" in recording.notes
    assert "the last line has no end and is left out" in recording.notes
    assert len(recording.samples["SPEED"].time) == 2


def test_objects_of_a_blf_file_that_are_no_frames_are_counted(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    with can.BLFWriter(str(tmp_path / "a.blf")) as writer:
        writer(frames()[0])
        for _ in range(2):
            writer.log_event("a marker", UNIX + 1)
    assert any("2 of 3 objects are no frames" in note for note in read(tmp_path / "a.blf").notes)


def test_a_trace_of_pcan(tmp_path):
    recording = read(write(tmp_path / "a.trc", [message for message in frames() if not message.is_fd]))
    np.testing.assert_allclose(recording.samples["SPEED"].data[:, 0], [10, 10], atol=1e-6)
    np.testing.assert_allclose(recording.samples["SPEED"].time, [0, 1.5], atol=1e-3)


def test_signals_beyond_a_short_frame_are_missing_and_not_lost(tmp_path):
    """Whichever frame comes first: its signals are not all of the message's."""
    full = b"\0" * 15 + b"\x09"
    wide = [frame(i, 301, full[: 8 if i in (0, 2) else 16], is_extended_id=True, is_fd=True) for i in range(4)]
    more = DBC.replace(" SG_ LAST", ' SG_ FIRST_BYTE : 7|8@0+ (1,0) [0|255] "" CAR\n SG_ LAST')
    write(tmp_path / "drive.log", wide)
    (tmp_path / "car.dbc").write_text(more)
    recording = read(tmp_path / "drive.log")
    last = recording.specs["WIDE"].columns.index("LAST")
    np.testing.assert_array_equal(recording.samples["WIDE"].data[:, last], [math.nan, 9, math.nan, 9])
    assert "WIDE: 2 of 4 frames are shorter than its 16 bytes: signals beyond are missing" in recording.notes


def test_the_first_frame_below_the_header_of_an_asc_file_is_read(tmp_path):
    (tmp_path / "car.dbc").write_text(DBC)
    rows = "".join(f"   {i}.000000 1  180  Rx   d 8 0 0 0 0 0 14 16 0\n" for i in range(5))
    text = f"date Sat May 18 10:30:00.000 am 2024\nbase dec  timestamps absolute\n{rows}"
    for header in ("", "internal events logged\n"):
        (tmp_path / "drive.asc").write_text(text.replace("absolute\n", f"absolute\n{header}"))
        assert len(read(tmp_path / "drive.asc").samples["SPEED"].time) == 5


def test_several_dbc_files_tell_more(tmp_path):
    """Of two that know an address the first counts, and that is said."""
    path = write(tmp_path / "a.log", frames(), dbc=False)
    head, *messages = DBC.split("BO_ ")
    files = []
    for name, told in (("speed", messages[0]), ("all", "BO_ ".join(messages).replace("SPEED", "OTHER"))):
        files.append(tmp_path / name / f"{name}.dbc")
        files[-1].parent.mkdir()
        files[-1].write_text(f"{head}BO_ {told}")
    report = ingest(path, tmp_path / "log.h5", dbc=files, progress=False)
    assert {"SPEED", "SPEED_sent", "MIXED_0", "MIXED_5", "WIDE"} == set(report.streams)
    assert any("all.dbc: 1 messages have addresses of earlier DBC files: OTHER" in note for note in report.notes)

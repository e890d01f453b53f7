"""GoPro telemetry: the parser on files made here, the clocks on known answers, and the whole on real recordings."""

import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from worldmodel.errors import RecipeError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import gopro
from worldmodel.logs.ingest.formats.gopro import gpmf, reading
from worldmodel.logs.ingest.formats.gopro.clock import camera_offset, drone_offset, sample_times
from worldmodel.logs.ingest.formats.gopro.fixes import contradicted
from worldmodel.logs.ingest.formats.gopro.mp4 import Payload, read_payloads
from worldmodel.logs.reader import Log

REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data")) / "gopro"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real GoPro recordings are not at {REAL}")


def record(key: str, kind: str, size: int, content: bytes) -> bytes:
    head = struct.pack(">4scBH", key.encode(), kind.encode() or b"\0", size, len(content) // size)
    return head + content + b"\0" * (-len(content) % 4)


def nest(key: str, *parts: bytes) -> bytes:
    return record(key, "", 1, b"".join(parts))


def accelerometer(raw: np.ndarray, **stamps: int) -> bytes:
    """A payload of one device with one stream: raw int16 [M, 3], at 100 counts a m/s^2."""
    kinds = {"STMP": ("J", 8, ">Q"), "TICK": ("L", 4, ">L")}
    extra = [record(key, *kinds[key][:2], struct.pack(kinds[key][2], v)) for key, v in stamps.items()]
    unit = record("SIUN", "c", 4, "m/s²".encode("latin1"))
    scale = record("SCAL", "s", 2, struct.pack(">h", 100))
    stream = nest("STRM", *extra, unit, scale, record("ACCL", "s", 6, raw.astype(">i2").tobytes()))
    return nest("DEVC", record("DVNM", "c", 1, b"Hero5 Black"), stream)


def box(kind: str, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind.encode()) + content


def mp4(payloads: list[bytes], coding: str = "gpmd", wide: bool = False, per_chunk: int = 1) -> bytes:
    """An MP4 file with one track of these samples, a second each."""
    start = len(box("ftyp", b"mp41")) + 8
    places = start + np.cumsum([0, *map(len, payloads)])[:-1][::per_chunk]
    count = struct.pack(">II", 0, len(places))
    table = box(
        "stbl",
        box("stsd", struct.pack(">III", 0, 1, 16), coding.encode(), bytes(8)),
        box("stts", struct.pack(">IIII", 0, 1, len(payloads), 1000)),
        box("stsc", struct.pack(">IIIII", 0, 1, 1, per_chunk, 1)),
        box("stsz", struct.pack(">III", 0, 0, len(payloads)), *(struct.pack(">I", len(p)) for p in payloads)),
        box("co64" if wide else "stco", count, places.astype(">u8" if wide else ">u4").tobytes()),
    )  # fmt: skip
    header = box("mdhd", bytes(12), struct.pack(">II", 1000, 1000 * len(payloads)), bytes(4))
    movie = box("moov", box("trak", box("mdia", header, box("minf", table))))
    return box("ftyp", b"mp41") + box("mdat", *payloads) + movie


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("per_chunk", [1, 2])
def test_payloads_are_found_in_an_mp4(tmp_path, wide, per_chunk):
    contents = [b"first payload", b"second", b"the third", b"4th!"]
    (tmp_path / "a.mp4").write_bytes(mp4(contents, wide=wide, per_chunk=per_chunk))
    payloads = read_payloads(tmp_path / "a.mp4", b"gpmd")
    assert payloads == [Payload(float(i), 1.0, content) for i, content in enumerate(contents)]
    assert read_payloads(tmp_path / "a.mp4", b"text") == []


def test_streams_are_scaled_and_named():
    raw = np.array([[100, -250, 981], [0, 1, 2]])
    (stream,) = gpmf.streams(accelerometer(raw))
    assert (stream.device, stream.key) == ("Hero5 Black", "ACCL")
    np.testing.assert_allclose(stream.values, raw / 100)
    assert stream.properties["SIUN"] == "m/s²"


def test_complex_structures_are_split_into_columns():
    rows = struct.pack(">QlB", 2_000_000, -45_000_000, 3) + struct.pack(">QlB", 4_000_000, 45_000_000, 2)
    parts = (
        record("TYPE", "c", 1, b"JlB"),
        record("SCAL", "l", 4, struct.pack(">lll", 1_000_000, 10_000_000, 1)),
        record("GPRI", "?", 13, rows),
    )
    (stream,) = gpmf.streams(nest("DEVC", nest("STRM", *parts)))
    np.testing.assert_allclose(stream.values, [[2, -4.5, 3], [4, 4.5, 2]])


def test_a_record_that_reaches_beyond_its_block_is_refused():
    with pytest.raises(ValueError, match="beyond its block"):
        list(gpmf.streams(accelerometer(np.ones((4, 3)))[:-8]))


def pieces(counts, starts, unit="STMP", scale=1e6):
    """Payloads a second apart, with stamps of their first samples at `starts` seconds of the camera's clock."""
    stamps = [{unit: np.array(round(start * scale))} for start in starts]
    parts = [gpmf.DeviceStream("", "ACCL", np.zeros((n, 3)), s) for n, s in zip(counts, stamps, strict=True)]
    return [(Payload(float(i), 1.0, b""), part) for i, part in enumerate(parts)]


@pytest.mark.parametrize(("unit", "scale"), [("STMP", 1e6), ("TICK", 1e3)])
def test_stamped_samples_lie_on_the_media_clock(unit, scale):
    """A 100 Hz sensor, stamped by a clock that reads 7 s when the video begins; the last payload is short."""
    counts = [99, 101, 100, 10]
    starts = 7.02 + np.cumsum([0, *counts[:-1]]) / 100
    offset = camera_offset({"SHUT": pieces([30] * 4, 7.0 + np.arange(4), unit, scale)})
    times = sample_times(pieces(counts, starts, unit, scale), offset)
    assert offset == pytest.approx(7.0)
    np.testing.assert_allclose(times, 0.02 + np.arange(310) / 100, atol=2e-5)


def test_samples_without_stamps_are_spread_over_their_payloads():
    plain = [(payload, piece._replace(properties={})) for payload, piece in pieces([50, 40, 50, 5], range(4))]
    times = sample_times(plain, math.nan)
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times[[0, 50, 90, 140]], [0, 1, 2, 3])
    assert times[-1] == pytest.approx(3 + 4 / 50)  # the short payload goes on at the usual interval


def test_a_missing_payload_is_a_gap_and_not_a_slow_sensor():
    content = pieces([100, 100, 100, 100], [0.0, 1.0, 2.0, 3.0])
    times = sample_times([content[0], content[1], content[3]], 0.0)
    assert np.diff(times).max() == pytest.approx(1.01)
    assert np.diff(times)[99:198] == pytest.approx(0.01)


def test_the_drone_clock_is_fixed_by_the_sample_with_the_least_delay():
    stamped = [(Payload(0.0, 1.0, b""), np.array([145.2, 146.8])), (Payload(1.0, 1.0, b""), np.array([147.0, 147.7]))]
    assert drone_offset(stamped) == pytest.approx(145.8)
    assert math.isnan(drone_offset([]))


@pytest.mark.parametrize(
    ("axes", "expected"), [("ZXY", [2, 3, 1]), ("YxZ", [-2, 1, 3]), ("yXZ", [2, -1, 3]), ("XzY", [1, 3, -2])]
)
def test_axes_are_put_in_order(axes, expected):
    np.testing.assert_array_equal(reading._to_xyz(np.array([[1.0, 2.0, 3.0]]), axes), [expected])


def test_unknown_axes_are_refused():
    with pytest.raises(RecipeError, match="axes"):
        reading._to_xyz(np.ones((1, 3)), "XXZ")


def test_an_mp4_without_telemetry_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4([b"subtitle"], coding="text"))
    with pytest.raises(RecipeError, match=r"no GPMF telemetry[\s\S]*original file"):
        ingest(tmp_path / "a.mp4", tmp_path / "log.h5", format="gopro", progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("content", [b"", b"not an mp4 file at all", mp4([b"x"])[:-40], mp4([b"x"])[8:]])
def test_a_damaged_mp4_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(RecipeError, match="not a whole MP4 file"):
        ingest(tmp_path / "a.mp4", tmp_path / "log.h5", format="gopro", progress=False)


def test_damaged_telemetry_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(mp4([accelerometer(np.ones((4, 3)))[:-8]]))
    with pytest.raises(RecipeError, match=r"telemetry at 0\.00 s is damaged"):
        ingest(tmp_path / "a.mp4", tmp_path / "log.h5", format="gopro", progress=False)


def test_files_with_telemetry_are_claimed(tmp_path):
    for name, content in (("a.mp4", mp4([b"x"])), ("b.mp4", mp4([b"x"], coding="text")), ("c.mp4", b"\0\0\0\1moov")):
        (tmp_path / name).write_bytes(content)
    assert [path.name for path in sorted(tmp_path.iterdir()) if gopro.claims(path)] == ["a.mp4"]


@pytest.mark.parametrize(
    "names",
    [
        ["GOPR0123.MP4", "GP010123.MP4", "GP020123.MP4"],
        ["GX010123.MP4", "GX020123.MP4", "GX030123.MP4"],
        ["gh010123.mp4", "gh020123.mp4"],
        ["drive.mp4"],
    ],
)
def test_chapters_are_one_recording(tmp_path, names):
    for name in [*names, "GX010124.MP4", "GX050123.MP4", "GP010124.MP4"]:
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in gopro.parts(tmp_path / names[0])] == names


@pytest.mark.parametrize("wrong", [[0], [0, 1], [40], [79], []])
def test_fixes_that_the_speed_contradicts_are_found(wrong):
    """A walk of 2 m/s; what is wrong lies a thousand kilometres off, or a hundred metres."""
    time = np.arange(80) / 2
    places = np.stack([45 + time * 2 / 111_000, np.full(80, 7.0), np.full(80, 300.0)], 1)
    places[wrong, 0] += 9.0 if len(wrong) > 1 else 0.001
    noise = np.random.default_rng(0).normal(0, 3e-5, (80, 2))
    places[:, :2] += noise
    assert np.flatnonzero(contradicted(time, places, np.full(80, 2.0))).tolist() == wrong


def test_a_gap_of_fixes_is_no_contradiction():
    time = np.concatenate([np.arange(20), 100 + np.arange(20)]) * 1.0
    places = np.stack([45 + time * 10 / 111_000, np.full(40, 7.0), np.zeros(40)], 1)
    assert not contradicted(time, places, np.full(40, 10.0)).any()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gopro")
    for name in ("karma", "max-heromode"):
        ingest(REAL / f"{name}.mp4", folder / f"{name}.h5", size=(36, 64), progress=False)
    return {name: Log(folder / f"{name}.h5").episodes[0] for name in ("karma", "max-heromode")}


@needs_real
@pytest.mark.parametrize(
    ("name", "rates", "utc"),
    [
        (
            "karma",
            {"camera": 29.97, "accelerometer": 200, "gyro": 400, "gps": 4, "attitude": 4, "command": 4, "motors": 1},
            1492457277,
        ),
        (
            "max-heromode",
            {"camera": 29.97, "accelerometer": 198, "gyro": 198, "magnetometer": 25, "gps": 18},
            1574120715,
        ),
    ],
)
def test_a_real_recording_has_its_streams(real, name, rates, utc):
    streams = real[name].streams
    assert set(streams) == set(rates)
    for stream, rate in rates.items():
        assert streams[stream].measured_rate_hz == pytest.approx(rate, rel=0.1)
        assert streams[stream].time[0] >= 0
        assert streams[stream].time[-1] <= real[name].duration_s < 12.2
    assert real[name].origin_utc == pytest.approx(utc, abs=3)
    assert streams["camera"].data.shape[1:] == (36, 64, 3)
    assert min(stream.time[0] for stream in streams.values()) == 0


@needs_real
@pytest.mark.parametrize("name", ["karma", "max-heromode"])
def test_gravity_points_up_the_z_axis_and_the_gyro_turns_with_it(real, name):
    """Axis order and signs agree between the sensors: seen from the camera, gravity turns against the gyro."""
    streams = real[name].streams
    time = np.arange(1, 10, 0.05)

    def smooth(stream):  # over about half a second
        width = int(stream.measured_rate_hz / 2)
        columns = [np.convolve(column, np.ones(width) / width, "same") for column in stream.data.T]
        return np.stack([np.interp(time, stream.time, column) for column in columns], axis=1)

    gravity, turn = smooth(streams["accelerometer"]), smooth(streams["gyro"])
    np.testing.assert_allclose(gravity.mean(axis=0), [0, 0, 9.8], atol=1.5)
    change, expected = np.gradient(gravity, time, axis=0), -np.cross(turn, gravity)
    assert np.corrcoef(change.ravel(), expected.ravel())[0, 1] > 0.1


@needs_real
def test_the_track_agrees_with_how_the_recordings_were_made(real):
    """The drone flies 80 m north-west in 12 s; the person walks 13 m in 10 s."""
    for name, metres in (("karma", 80), ("max-heromode", 13)):
        fixes = real[name].streams["gps"].data[:, :3]
        walked = geodetic_to_enu(fixes, fixes[0])[-1]
        assert np.hypot(*walked[:2]) == pytest.approx(metres, rel=0.1)


@needs_real
def test_the_attitude_follows_the_command(real):
    """Both were stamped by the drone's clock; pitch follows its target to a few degrees."""
    streams = real["karma"].streams
    pitch = np.interp(streams["command"].time, streams["attitude"].time, streams["attitude"].data[:, 1])
    assert np.abs(pitch - streams["command"].data[:, 1])[1:].max() < 0.1
    thrust = streams["command"].data[:, 3]
    assert 0 <= thrust.min() <= thrust.max() <= 1


@needs_real
def test_what_two_cameras_tell_of_their_fixes_is_in_one_stream(tmp_path):
    """And which of them does not tell what is said."""
    report = ingest(REAL, tmp_path / "log.h5", size=(4, 4), progress=False)
    with Log(tmp_path / "log.h5") as log:
        columns = log.streams["gps"].columns
        drone, camera = (episode.streams["gps"].mask.any(0) for episode in log.episodes)
    accuracies = ("horizontal_accuracy", "vertical_accuracy", "dilution_of_precision")
    assert columns == ("latitude", "longitude", "altitude", *accuracies)
    assert (drone.tolist(), camera.tolist()) == ([True] * 5 + [False], [True] * 3 + [False] * 2 + [True])
    assert "gps: 1 of 2 episodes lack dilution_of_precision, NaN there" in report.notes
    assert "gps: 1 of 2 episodes lack horizontal_accuracy, vertical_accuracy, NaN there" in report.notes


@needs_real
def test_chapters_follow_each_other(tmp_path, real):
    """The same file twice: each chapter's media clock begins at zero."""
    for name in ("GX010007.MP4", "GX020007.MP4"):
        (tmp_path / name).symlink_to(REAL / "max-heromode.mp4")
    report = ingest(tmp_path, tmp_path / "log.h5", size=(8, 8), progress=False)
    assert report.episodes == ("GX010007.MP4",)
    assert any("may be of several recordings" in note for note in report.notes)
    one, two = real["max-heromode"].streams, Log(tmp_path / "log.h5").episodes[0].streams
    for name in ("camera", "magnetometer"):
        count = len(one[name])
        assert len(two[name]) == 2 * count
        np.testing.assert_allclose(two[name].time[count:] - two[name].time[:count], 10.51, atol=0.05)

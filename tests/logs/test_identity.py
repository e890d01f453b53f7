"""Episodes are known by what was recorded: a copy is found wherever it is, and whatever it is called."""

import hashlib
import math

import h5py
import numpy as np
import pytest

from worldmodel.errors import LogFormatError
from worldmodel.logs import identity
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

IMU = StreamSpec("imu", "sensor", ("x", "y"), ("m/s^2", "rad/s"), 100.0)
GPS = StreamSpec("gps", "gps", ("latitude", "longitude", "altitude"), ("deg", "deg", "m"), 5.0)
DRIVE = StreamSpec("drive", "action", ("steering",), ("rad",), 20.0)
STATE = StreamSpec("state", "sensor", ("q",), ("rad",), 100.0)


def camera(size):
    return StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=size)


def drive(seed, specs=(IMU, GPS, DRIVE)):
    rng = np.random.default_rng(seed)
    return {
        s.name: Samples(
            np.arange(6 + seed) / s.rate_hz,
            rng.integers(0, 256, (6 + seed, *s.sample_shape), np.uint8)
            if s.kind == "video"
            else rng.normal(size=(6 + seed, *s.sample_shape)),
        )
        for s in specs
    }


def write(path, *episodes, specs=(IMU, GPS, DRIVE), origin_utc=math.nan):
    with LogWriter(path, specs) as writer:
        for index, streams in enumerate(episodes):
            writer.append(streams, name=f"{path.stem} {index}", origin_utc=origin_utc)
    return path


def without_hashes(path):
    """As an older release, or another tool, writes it."""
    with h5py.File(path, "r+") as file:
        del file["episodes/sha256"]
    return path


def test_one_drive_of_a_bigger_log_has_the_same_hash(tmp_path):
    write(tmp_path / "all.h5", drive(0), drive(1), drive(2))
    alone = Log(write(tmp_path / "one.h5", drive(1), origin_utc=1.7e9))
    assert [e.sha256 == alone.episodes[0].sha256 for e in Log(tmp_path / "all.h5").episodes] == [False, True, False]


def test_other_streams_of_the_log_and_their_order_do_not_enter(tmp_path):
    """A folder whose first file has one stream more: later episodes have none of its samples."""
    plain = write(tmp_path / "a.h5", drive(0))
    more = write(tmp_path / "b.h5", drive(0), specs=(STATE, DRIVE, IMU, GPS))
    assert Log(plain).episode_sha256 == Log(more).episode_sha256


@pytest.mark.parametrize("specs", [(IMU, GPS, DRIVE), (camera((4, 6)), IMU), (camera((4, 6)),)])
@pytest.mark.parametrize("pending", [0, 1 << 24], ids=["one by one", "together"])
def test_the_hash_is_of_what_was_written(tmp_path, monkeypatch, pending, specs):
    """A large episode is hashed while it is written, others before."""
    monkeypatch.setattr("worldmodel.logs.writer._PENDING_BYTES", pending)
    monkeypatch.setattr(identity, "_BLOCK_BYTES", 64)
    path = write(tmp_path / "a.h5", *(drive(seed, specs) for seed in (5000, 0, 4090)), specs=specs)
    known = Log(path).episode_sha256
    assert Log(without_hashes(path)).episode_sha256 == known
    assert Log(write(tmp_path / "b.h5", drive(4090, specs), specs=specs)).episode_sha256 == known[2:]


def test_truth_does_not_enter(tmp_path):
    with LogWriter(tmp_path / "a.h5", [IMU], truth=[STATE]) as writer:
        for seed in (1, 2):
            writer.append(drive(0, [IMU]), truth=drive(seed, [STATE]))
    assert Log(tmp_path / "a.h5", truth=True).copies() == [(0, 1)]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s | {"imu": Samples(s["imu"].time, s["imu"].data + np.array([0, 1e-3]))},
        lambda s: s | {"gps": Samples(s["gps"].time, s["gps"].data + 1e-9)},
        lambda s: s | {"drive": Samples(s["drive"].time + 1e-6, s["drive"].data)},
        lambda s: s | {"imu": Samples(s["imu"].time[:-1], s["imu"].data[:-1])},
        lambda s: {name: s[name] for name in ("imu", "gps")},
    ],
    ids=["a reading", "a ninth decimal of a fix", "a microsecond", "a sample less", "no commands"],
)
def test_what_was_recorded_does(tmp_path, change):
    log = Log(write(tmp_path / "a.h5", drive(0), change(drive(0))))
    assert len(set(log.episode_sha256)) == 2
    assert log.copies() == []


def test_a_log_without_hashes_has_them_computed(tmp_path):
    path = write(tmp_path / "a.h5", drive(0), drive(1), drive(0))
    stored = Log(path).episode_sha256
    assert Log(without_hashes(path)).episode_sha256 == stored


def test_a_file_that_another_tool_laid_out_has_the_same_hash(tmp_path):
    """Big-endian, compressed, wider than needed: the standard says which bytes are hashed."""
    path = write(tmp_path / "a.h5", drive(0))
    stored = Log(path).episode_sha256
    with h5py.File(without_hashes(path), "r+") as file:
        for key, kind in (("data", ">f8"), ("time", ">f8")):
            values = file[f"streams/imu/{key}"][:]
            del file[f"streams/imu/{key}"]
            file.create_dataset(f"streams/imu/{key}", data=values.astype(kind), chunks=True, compression="gzip")
    assert Log(path).episode_sha256 == stored


def test_it_is_the_hash_of_the_standard(tmp_path):
    streams = drive(0)
    expected = hashlib.sha256()
    for name, kind in (("drive", "<f4"), ("gps", "<f8"), ("imu", "<f4")):
        expected.update(name.encode() + b"\0" + (6).to_bytes(8, "little"))
        expected.update(streams[name].time.astype("<f8").tobytes() + streams[name].data.astype(kind).tobytes())
    assert Log(write(tmp_path / "a.h5", streams)).episodes[0].sha256 == expected.hexdigest()


def test_the_size_of_video_does_not_enter_unless_there_is_nothing_else(tmp_path):
    hashes = {}
    for size in ((4, 6), (8, 12)):
        both, only = (IMU, camera(size)), (camera(size),)
        film = drive(1, [camera(size)])
        paths = [tmp_path / f"{name}{size[0]}.h5" for name in ("both", "only")]
        write(paths[0], drive(0, [IMU]) | film, specs=both)
        write(paths[1], film, film | {"camera": film["camera"]._replace(data=255 - film["camera"].data)}, specs=only)
        hashes[size] = [Log(path).episode_sha256 for path in paths]
    assert hashes[4, 6][0] == hashes[8, 12][0]
    assert len({*hashes[4, 6][1], *hashes[8, 12][1]}) == 4


def test_a_film_is_hashed_block_by_block(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", drive(5, [camera((4, 6))]), specs=[camera((4, 6))])
    stored = Log(path).episode_sha256
    monkeypatch.setattr(identity, "_MOST_BYTES", 3 * 4 * 6 * 3)  # three frames of eleven
    assert Log(without_hashes(path)).episode_sha256 == stored


def test_copies_are_found_across_files(tmp_path):
    a = write(tmp_path / "a.h5", drive(0), drive(1), drive(0))
    b = write(tmp_path / "b.h5", drive(2), drive(1), drive(0))
    assert Log([a, b]).copies() == [(0, 2, 5), (1, 4)]
    assert Log([a, b]).episodes[4].sha256 == Log(a).episodes[1].sha256


def test_the_streams_are_read_once(tmp_path, monkeypatch):
    log = Log(without_hashes(write(tmp_path / "a.h5", drive(0), drive(1))))
    first = log.episode_sha256
    monkeypatch.setattr("worldmodel.logs.reader.episode_sha256", None)
    assert tuple(e.sha256 for e in log.episodes) == first
    assert log.copies() == []


def test_a_broken_table_of_hashes_is_named(tmp_path):
    path = without_hashes(write(tmp_path / "a.h5", drive(0)))
    with h5py.File(path, "r+") as file:
        file["episodes/sha256"] = np.zeros(1)
    with pytest.raises(LogFormatError, match="is damaged, or built otherwise"):
        _ = Log(path).episode_sha256

"""The HDF5 log: what goes in comes out, and what is not a log is refused with a reason."""

import json
import math
import resource
import subprocess
import sys
import textwrap

import h5py
import hdf5plugin
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis.extra import numpy as arrays

from worldmodel.errors import LogFormatError, WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

IMU = StreamSpec("imu", "sensor", ("x", "y"), ("m/s^2", "rad"), 100.0, "body", (0.1, math.nan), (False, True))
GPS = StreamSpec("gps", "gps", ("latitude", "longitude", "altitude"), ("deg", "deg", "m"), 5.0, "wgs84")
DRIVE = StreamSpec("drive", "action", ("steering",), ("rad",), 20.0, description="what the driver asked for")
CAMERA = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(4, 6))
STATE = StreamSpec("state", "sensor", ("q",), ("rad",), 100.0)
SPECS = (IMU, GPS, DRIVE, CAMERA)


def samples(spec: StreamSpec, count: int, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(count, *spec.sample_shape))
    return Samples(np.arange(count) / spec.rate_hz, (data * 255).astype(np.uint8) if spec.kind == "video" else data)


def write(path, episodes=2, specs=SPECS, **options):
    with LogWriter(path, specs, **options) as writer:
        for seed in range(episodes):
            content = {spec.name: samples(spec, 5 + seed, seed) for spec in specs}
            writer.append(content, name=f"drive {seed}", origin_utc=1e9 + seed)
    return path


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_round_trip(tmp_path):
    log = Log(write(tmp_path / "a.h5", about={"source": "test", "scene": "rover"}))
    assert log.about == {"source": "test", "scene": "rover"}
    assert len(log.episodes) == 2
    for seed, episode in enumerate(log.episodes):
        assert (episode.name, episode.origin_utc) == (f"drive {seed}", 1e9 + seed)
        for spec in SPECS:
            expected = samples(spec, 5 + seed, seed)
            stream = episode.streams[spec.name]
            np.testing.assert_array_equal(stream.time, expected.time)
            np.testing.assert_allclose(stream.data, expected.data, rtol=1e-6)
        assert episode.duration_s == max(s.time[-1] for s in episode.streams.values())
    # NaN is not equal to itself, so the specifications are compared as text
    assert {name: repr(spec) for name, spec in log.streams.items()} == {spec.name: repr(spec) for spec in SPECS}


@pytest.mark.parametrize("pending", [0, 1 << 24], ids=["one by one", "together"])
def test_episodes_that_begin_and_end_within_chunks_survive_a_round_trip(tmp_path, monkeypatch, pending):
    monkeypatch.setattr("worldmodel.logs.writer._PENDING_BYTES", pending)
    counts = enumerate(
        [(4096, 16), (1, 3), (4095, 29), (9000, 50), (12288, 32), (3, 1), (5000, 40)]
    )  # chunks: 4096, 16
    given = [[samples(spec, rows, i) for spec, rows in ((IMU, n), (STATE, n), (CAMERA, m))] for i, (n, m) in counts]
    with LogWriter(tmp_path / "a.h5", [IMU, CAMERA], truth=[STATE]) as writer:
        for imu, state, camera in given:
            writer.append({"imu": imu, "camera": camera}, truth={"state": state})
    with Log(tmp_path / "a.h5", truth=True) as log:
        for written, episode in zip(given, log.episodes, strict=True):
            there = episode.streams["imu"], episode.truth["state"], episode.streams["camera"]
            for expected, stream in zip(written, there, strict=True):
                np.testing.assert_array_equal(stream.time, expected.time)
                np.testing.assert_array_equal(stream.data, expected.data.astype(stream.data.dtype))


def test_a_long_stream_lies_in_larger_chunks_and_a_wide_one_does_not(tmp_path):
    wide = StreamSpec("wide", "sensor", tuple("abcde"), ("",) * 5, 100.0)
    counts = (300_000, 5, 40_000)
    given = [{spec.name: samples(spec, count, count) for spec in (IMU, wide)} for count in counts]
    with LogWriter(tmp_path / "a.h5", []) as writer:
        for spec in (IMU, wide):
            writer.declare(spec, counts[0])
        for episode in given:
            writer.append(episode)
    with Log(tmp_path / "a.h5") as log:
        for written, episode in zip(given, log.episodes, strict=True):
            for name, stream in episode.streams.items():
                np.testing.assert_array_equal(stream.time, written[name].time)
                np.testing.assert_array_equal(stream.data, written[name].data.astype(np.float32))
        chunks = {name: log.by_file(name)[0][0].dataset.chunks for name in log.streams}
    assert chunks == {"imu": (16384, 2), "wide": (4096, 5)}


@hypothesis.given(
    gaps=st.lists(st.lists(st.floats(1e-6, 1e3), max_size=20), min_size=1, max_size=4).filter(any),
    data=st.data(),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_any_samples_survive_a_round_trip(tmp_path_factory, gaps, data):
    path = tmp_path_factory.mktemp("log") / "a.h5"
    episodes = [
        Samples(np.cumsum(g), data.draw(arrays.arrays(np.float32, (len(g), 2), elements=st.floats(width=32))))
        for g in gaps
        if g
    ]
    with LogWriter(path, [IMU, DRIVE]) as writer:
        for episode in episodes:
            writer.append({"imu": episode})
    with Log(path) as log:
        assert len(log.episodes) == len(episodes)
        for written, read in zip(episodes, log.episodes, strict=True):
            np.testing.assert_array_equal(read.streams["imu"].time, written.time)
            np.testing.assert_array_equal(read.streams["imu"].data, written.data)
            np.testing.assert_array_equal(read.streams["imu"].mask, np.isfinite(written.data))
            assert len(read.streams["drive"]) == 0


def test_gps_keeps_millimetres(tmp_path):
    fix = np.array([[47.123456789, 8.123456789, 432.101]])
    with LogWriter(tmp_path / "a.h5", [GPS]) as writer:
        writer.append({"gps": Samples(np.zeros(1), fix)})
    np.testing.assert_array_equal(Log(tmp_path / "a.h5").episodes[0].streams["gps"].data, fix)


def test_slices_by_seconds(tmp_path):
    stream = Log(write(tmp_path / "a.h5")).episodes[0].streams["drive"]  # at 0, 0.05, ... 0.2 s
    assert stream[0.05:0.15].time.tolist() == [0.05, 0.1]
    assert len(stream[:].time) == 5
    assert len(stream[9:].time) == 0
    with pytest.raises(TypeError, match="seconds"):
        stream[3]


def test_nan_and_infinity_are_kept_and_masked(tmp_path):
    data = np.array([[0.0, np.nan], [np.inf, 1.0]])
    with LogWriter(tmp_path / "a.h5", [IMU]) as writer:
        writer.append({"imu": Samples(np.arange(2.0), data)})
    stream = Log(tmp_path / "a.h5").episodes[0].streams["imu"]
    np.testing.assert_array_equal(stream.data, data)
    np.testing.assert_array_equal(stream.mask, [[True, False], [False, True]])


def test_truth_is_hidden_unless_asked_for(tmp_path):
    with LogWriter(tmp_path / "a.h5", [IMU], truth=[STATE]) as writer:
        writer.append({"imu": samples(IMU, 3)}, truth={"state": samples(STATE, 4)})
    log = Log(tmp_path / "a.h5")
    assert "state" not in log.streams
    assert "state" not in log.episodes[0].streams
    assert not log.has_truth
    with pytest.raises(WorldModelError, match="truth=True"):
        _ = log.episodes[0].truth
    assert len(Log(tmp_path / "a.h5", truth=True).episodes[0].truth["state"]) == 4


def test_a_log_has_truth_if_all_of_its_files_have(tmp_path):
    for name, truth in (("a", [STATE]), ("b", [STATE]), ("c", [])):
        with LogWriter(tmp_path / f"{name}.h5", [IMU], truth=truth) as writer:
            writer.append({"imu": samples(IMU, 3)}, truth={spec.name: samples(spec, 4) for spec in truth})
    assert Log([tmp_path / "a.h5", tmp_path / "b.h5"], truth=True).has_truth
    for files in ("ac", "ca"):
        assert not Log([tmp_path / f"{name}.h5" for name in files], truth=True).has_truth


def test_a_folder_reads_as_one_log(tmp_path):
    write(tmp_path / "a.h5", episodes=2)
    write(tmp_path / "b.h5", episodes=1)
    log = Log(tmp_path)
    assert [episode.name for episode in log.episodes] == ["drive 0", "drive 1", "drive 0"]
    assert log.episodes[-1].name == "drive 0"
    assert len(log.episodes[1:]) == 2
    with pytest.raises(IndexError):
        log.episodes[3]


def test_files_with_other_streams_are_not_mixed(tmp_path):
    write(tmp_path / "a.h5")
    write(tmp_path / "b.h5", specs=(IMU,))
    with pytest.raises(LogFormatError, match="other streams"):
        Log(tmp_path)


def test_a_reader_never_sees_half_an_episode(tmp_path):
    """Rows beyond the episode table, as a crash while appending leaves them, are not read."""
    path = write(tmp_path / "a.h5", episodes=1)

    def half(file):
        for key in ("data", "time"):
            file["streams/imu"][key].resize(9, axis=0)
        file["streams/imu/offsets"].resize(3, axis=0)
        file["streams/imu/offsets"][2] = 9
        file["episodes/name"].resize(2, axis=0)

    log = Log(edit(path, half))
    assert len(log.episodes) == 1
    assert len(log.episodes[0].streams["imu"]) == 5


def test_opens_many_episodes_quickly(tmp_path):
    """The table is columns, not a group per episode: 20,000 of them open without reading 20,000 groups."""
    count = 20_000
    with LogWriter(tmp_path / "a.h5", [IMU]) as writer:
        writer.append({"imu": samples(IMU, count)})

    def split(file):
        file["streams/imu/offsets"].resize(count + 1, axis=0)
        file["streams/imu/offsets"][:] = np.arange(count + 1)
        for key, value in (("name", "x"), ("origin_utc", math.nan), ("duration", 1.0)):
            file["episodes"][key].resize(count, axis=0)
            file["episodes"][key][:] = value

    log = Log(edit(tmp_path / "a.h5", split))
    assert len(log.episodes) == count
    assert log.episodes[-1].streams["imu"].time[0] == pytest.approx((count - 1) / 100)


def read_all(path):
    return [stream.time for episode in Log(path).episodes for stream in episode.streams.values()]


def refused(path, *words):
    with pytest.raises(LogFormatError) as caught:
        read_all(path)
    for word in words:
        assert word in str(caught.value)


def test_refuses_a_file_that_is_not_hdf5(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"not a log at all")
    refused(path, "a.h5 is not an HDF5 file", "worldmodel ingest")


def test_refuses_a_missing_file_and_an_empty_folder(tmp_path):
    refused(tmp_path / "none.h5", "does not exist")
    refused(tmp_path, "holds no log")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_refuses_a_truncated_file(tmp_path, share):
    path = write(tmp_path / "a.h5")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "damaged or truncated", "again")


def test_refuses_hdf5_that_is_no_log(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 1
    refused(tmp_path / "a.h5", "not a log of this toolkit", "worldmodel-log")


def test_refuses_another_version(tmp_path):
    path = edit(write(tmp_path / "a.h5"), lambda file: file.attrs.__setitem__("version", 3))
    refused(path, "another version", "version 1 or 2", "version 3")


def test_a_log_of_the_first_version_is_read(tmp_path):
    path = edit(write(tmp_path / "a.h5"), lambda file: file.attrs.__setitem__("version", 1))
    assert len(Log(path).episodes)


@pytest.mark.parametrize("name", ["streams/imu/time", "streams/gps/data", "episodes/name", "episodes", "streams"])
def test_refuses_a_missing_dataset(tmp_path, name):
    refused(edit(write(tmp_path / "a.h5"), lambda file: file.__delitem__(name)), f"lacks the dataset /{name}", "README")


@pytest.mark.parametrize("name", ["kind", "columns", "rate_hz"])
def test_refuses_a_missing_attribute(tmp_path, name):
    path = edit(write(tmp_path / "a.h5"), lambda file: file["streams/imu"].attrs.__delitem__(name))
    refused(path, "/streams/imu lacks an attribute", name)


@pytest.mark.parametrize("about", [None, "{not json"])
def test_refuses_a_missing_or_broken_about(tmp_path, about):
    def change(file):
        del file.attrs["about"]
        if about:
            file.attrs["about"] = about

    refused(edit(write(tmp_path / "a.h5"), change), "about", "JSON")


def test_refuses_a_broken_invariant(tmp_path):
    def falling(file):
        file["streams/imu/offsets"][1] = 99

    def short(file):
        file["streams/imu/data"].resize(3, axis=0)

    def wide(file):
        del file["streams/imu/data"]
        file["streams/imu/data"] = np.zeros((11, 3))

    refused(edit(write(tmp_path / "a.h5"), falling), "/streams/imu/offsets is broken")
    refused(edit(write(tmp_path / "b.h5"), short), "shorter than its offsets")
    refused(edit(write(tmp_path / "c.h5"), wide), "wrong shape", "[2]", "[3]")


def test_refuses_a_stream_of_an_unknown_kind(tmp_path):
    path = edit(write(tmp_path / "a.h5"), lambda file: file["streams/imu"].attrs.__setitem__("kind", "smell"))
    refused(path, "unknown kind", "'smell'")


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan])
def test_refuses_times_that_do_not_increase(tmp_path, wrong):
    def change(file):
        file["streams/imu/time"][1] = wrong

    refused(edit(write(tmp_path / "a.h5"), change), "do not increase", "row 1", "'imu'")


@pytest.mark.parametrize(
    ("time", "data", "words"),
    [
        ([0.0, 0.0], np.zeros((2, 2)), "do not increase"),
        ([0.0, math.inf], np.zeros((2, 2)), "do not increase"),
        ([0.0, 1.0], np.zeros((2, 3)), "wrong shape"),
        ([0.0], np.zeros((2, 2)), "wrong shape"),
        ([], np.zeros((0, 2)), "no samples"),
    ],
)
def test_the_writer_refuses_what_the_reader_would_and_leaves_nothing(tmp_path, time, data, words):
    with pytest.raises(LogFormatError, match=words), LogWriter(tmp_path / "a.h5", [IMU]) as writer:
        writer.append({"imu": Samples(np.array(time), data)})
    assert list(tmp_path.iterdir()) == []


def test_the_writer_refuses_an_unknown_stream(tmp_path):
    with pytest.raises(LogFormatError, match="no stream 'lidar'"), LogWriter(tmp_path / "a.h5", [IMU]) as writer:
        writer.append({"lidar": samples(IMU, 2)})


def test_an_output_that_exists_is_kept_unless_forced(tmp_path):
    path = write(tmp_path / "a.h5", episodes=1)
    before = path.read_bytes()
    with pytest.raises(WorldModelError, match="--force"):
        write(path)
    assert path.read_bytes() == before
    assert len(Log(write(path, episodes=3, force=True)).episodes) == 3


def test_a_failure_leaves_the_old_file(tmp_path):
    path = write(tmp_path / "a.h5", episodes=1)
    before = path.read_bytes()
    with pytest.raises(LogFormatError, match="no stream"), LogWriter(path, SPECS, force=True) as writer:
        [writer.append({name: samples(IMU, 3)}) for name in ("imu", "lidar")]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    script = """
        import resource, signal, sys
        import numpy as np
        from worldmodel.errors import WorldModelError
        from worldmodel.logs.writer import LogWriter
        from worldmodel.types import Samples, StreamSpec
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        sys.dont_write_bytecode = True  # or a part of a module may stay
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        spec = StreamSpec("imu", "sensor", ("x",), ("",), 100.0)
        try:
            with LogWriter(sys.argv[1], [spec]) as writer:
                for _ in range(4):
                    writer.append({"imu": Samples(np.arange(100_000.0), np.ones((100_000, 1)))})
        except WorldModelError as error:
            print(error)
            sys.exit(2)
    """
    path = tmp_path / "a.h5"
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stdout
    assert "do:" in done.stdout
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_this_process_may_write_files():
    """The limit above was set in a process of its own."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_reads_what_others_compressed(tmp_path):
    path = write(tmp_path / "a.h5")
    expected = Log(path).episodes[1].streams["imu"].data

    def compress(file):
        data = file["streams/imu/data"][:]
        del file["streams/imu/data"]
        file.create_dataset("streams/imu/data", data=data, **hdf5plugin.Bitshuffle())

    np.testing.assert_array_equal(Log(edit(path, compress)).episodes[1].streams["imu"].data, expected)


def test_about_is_json_for_other_readers(tmp_path):
    with h5py.File(write(tmp_path / "a.h5", about={"b": [1, 2]}), "r") as file:
        assert json.loads(file.attrs["about"]) == {"b": [1, 2]}
        assert file.attrs["format"] == "worldmodel-log"

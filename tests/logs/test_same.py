"""The same stream in other units is read in those that are asked for; another stream under its name is refused."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from worldmodel.errors import LogFormatError
from worldmodel.logs.align import TickLayout, align
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log
from worldmodel.logs.same import Conformed
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

GYRO = StreamSpec("gyro", "sensor", ("x", "y"), ("rad/s", "m/s^2"), 100.0, "body", (0.01, np.nan))
YAW = StreamSpec("yaw", "sensor", ("yaw",), ("rad",), 50.0, "enu", circular=(True,))
SPEED = StreamSpec("speed", "action", ("speed", "air"), ("m/s", "K"), 20.0)
CAMERA = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(2, 3))
HERE = (GYRO, YAW, SPEED, CAMERA)
# the same machine as others record it, and what turns its readings into those above
ELSEWHERE = (
    dataclasses.replace(GYRO, units=("deg/s", "g"), rate_hz=200.0, noise_std=(1.0, 2.0)),
    dataclasses.replace(YAW, units=("deg",), circular=(False,)),
    dataclasses.replace(SPEED, units=("km/h", "degC"), description="by the wheels"),
    CAMERA,
)
SCALE = {"gyro": [np.pi / 180, 9.80665], "yaw": [np.pi / 180], "speed": [1 / 3.6, 1.0], "camera": [1, 1, 1]}
OFFSET = {"gyro": [0, 0], "yaw": [0], "speed": [0, 273.15], "camera": [0, 0, 0]}


def drive(seed):
    """Samples by stream, in the units of `ELSEWHERE`."""
    rng, streams = np.random.default_rng(seed), {}
    for spec in HERE:
        time = np.arange(1 + 2 * spec.rate_hz) / spec.rate_hz
        data = rng.uniform(0, 200, (len(time), *spec.sample_shape))
        streams[spec.name] = Samples(time, data.astype(np.uint8 if spec.kind == "video" else np.float32))
    streams["gyro"].data[3, 1] = np.nan
    return streams


def here(streams):
    """The same in the units of `HERE`."""
    return {n: s._replace(data=s.data * SCALE[n] + OFFSET[n] if n != "camera" else s.data) for n, s in streams.items()}


def write(path, specs, *episodes):
    with LogWriter(path, specs) as writer:
        for streams in episodes:
            writer.append(streams)
    return path


def changed(name, **changes):
    return tuple(dataclasses.replace(s, **changes) if s.name == name else s for s in HERE)


def bare(specs):
    """A log of these streams with one sample each."""
    shapes = {s.name: (s.sample_shape, np.uint8 if s.kind == "video" else float) for s in specs}
    return {name: Samples(np.zeros(1), np.ones((1, *shape), kind)) for name, (shape, kind) in shapes.items()}


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("same")
    write(folder / "a.h5", HERE, here(drive(0)))
    write(folder / "b.h5", ELSEWHERE, drive(1))
    write(folder / "expected.h5", HERE, here(drive(1)))
    return folder


def check_equal(episode, expected):
    for name, stream in episode.streams.items():
        other = expected.streams[name]
        np.testing.assert_allclose(stream.data, other.data, rtol=2e-7, atol=1e-12)
        assert stream.data.dtype == other.data.dtype
        assert (stream.spec.units, stream.spec.circular) == (other.spec.units, other.spec.circular)
        np.testing.assert_array_equal(stream.mask, other.mask)
        np.testing.assert_array_equal(stream.time, other.time)
    np.testing.assert_allclose(episode.streams["gyro"][0.5:1.0].data, expected.streams["gyro"][0.5:1.0].data, rtol=2e-7)


def test_a_joined_log_reads_in_the_units_of_its_first_file(logs):
    log = Log([logs / "a.h5", logs / "b.h5"])
    assert log.streams["gyro"].units == ("rad/s", "m/s^2")
    check_equal(log.episodes[1], Log(logs / "expected.h5").episodes[0])


def test_a_log_reads_in_the_units_of_a_run(logs):
    log = Log(logs / "b.h5").conform(HERE)
    check_equal(log.episodes[0], Log(logs / "expected.h5").episodes[0])
    assert log.streams["speed"].units == ("m/s", "K")
    assert log.streams["yaw"].circular == (True,)


def test_noise_is_converted_and_the_rate_stays_the_logs_own(logs):
    for log in (Log(logs / "b.h5").conform(HERE), Log([logs / "a.h5", logs / "b.h5"])):
        spec = log.episodes[-1].streams["gyro"].spec
        np.testing.assert_allclose(spec.noise_std, [np.pi / 180, 2 * 9.80665])
        assert spec.rate_hz == 200.0
    told = Conformed.in_units(ELSEWHERE[0], GYRO.units)
    np.testing.assert_allclose(told.spec.noise_std, [np.pi / 180, 2 * 9.80665])


def test_what_a_model_sees_is_the_same(logs):
    """An angle in degrees that cannot say that it wraps wraps in the run's radians."""
    layout = TickLayout(0.05, HERE)
    seen, expected = (align(log.episodes[0], layout) for log in (
        Log(logs / "b.h5").conform(HERE), Log(logs / "expected.h5")
    ))  # fmt: skip
    np.testing.assert_allclose(seen.values, expected.values, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(seen.actions.values, expected.actions.values, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(seen.mask, expected.mask)


def test_the_log_that_was_opened_stays_as_it_was(logs):
    log = Log(logs / "b.h5")
    log.conform(HERE)
    assert log.streams["gyro"].units == log.episodes[0].streams["gyro"].spec.units == ("deg/s", "g")
    np.testing.assert_array_equal(log.episodes[0].streams["gyro"].data, drive(1)["gyro"].data)


def test_a_log_that_reads_so_already_is_itself(logs):
    log = Log([logs / "a.h5", logs / "expected.h5"])
    assert log.conform(HERE) is log
    assert log.conform([dataclasses.replace(SPEED, rate_hz=1.0, description="")]) is log
    assert log.conform([dataclasses.replace(SPEED, units=("km/h", "K"))]) is not log


def test_units_do_not_enter_the_hash(logs):
    assert Log(logs / "b.h5").conform(HERE).episode_sha256 == Log(logs / "b.h5").episode_sha256


def test_streams_that_a_run_does_not_have_stay_as_the_joined_log_reads_them(logs):
    joined = Log([logs / "a.h5", logs / "b.h5"])
    log = joined.conform([dataclasses.replace(GYRO, units=("deg/s", "m/s^2"))])
    assert log.streams["gyro"].units == ("deg/s", "m/s^2")
    np.testing.assert_allclose(log.episodes[1].streams["gyro"].data[:, 0], drive(1)["gyro"].data[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(log.episodes[1].streams["speed"].data, joined.episodes[1].streams["speed"].data)


def test_the_truth_goes_with_its_stream(tmp_path):
    here, there = GYRO, ELSEWHERE[0]
    samples = Samples(np.zeros(1), np.array([[180.0, 1.0]]))
    with LogWriter(tmp_path / "a.h5", [there], truth=[there]) as writer:
        writer.append({"gyro": samples}, truth={"gyro": samples})
    with LogWriter(tmp_path / "b.h5", [here], truth=[here]) as writer:
        writer.append({"gyro": samples}, truth={"gyro": samples})
    alone, joined = Log(tmp_path / "a.h5", truth=True).conform([here]), Log(tmp_path, truth=True)
    np.testing.assert_allclose(alone.episodes[0].truth["gyro"].data, [[np.pi, 9.80665]], rtol=1e-6)
    second = joined.episodes[1]
    np.testing.assert_array_equal(second.truth["gyro"].data, second.streams["gyro"].data)


OTHERS = [
    (changed("gyro", kind="action"), "kind action", "kind sensor"),
    (changed("gyro", columns=("y", "x")), "columns y, x", "columns x, y"),
    (changed("gyro", frame="world"), "frame 'world'", "frame 'body'"),
    (changed("gyro", frame=""), "frame ''", "frame 'body'"),
    (changed("yaw", circular=(False,)), "yaw circular = false", "yaw circular = true"),
    (changed("camera", size=(3, 2)), "size 3x2", "size 2x3"),
    (changed("gyro", units=("rad/s", "m/s")), "units y [m/s]", "units y [m/s^2], which does not convert"),
    (changed("gyro", units=("", "g")), "units x []", "units x [rad/s], which does not convert"),
    (changed("gyro", units=("rad", "g")), "units x [rad]", "units x [rad/s], which does not convert"),
]


@pytest.mark.parametrize(("specs", "expected", "found"), OTHERS, ids=[o[1] for o in OTHERS])
def test_another_stream_is_refused_everywhere(tmp_path, specs, expected, found):
    a, b = write(tmp_path / "a.h5", specs, bare(specs)), write(tmp_path / "b.h5", HERE, bare(HERE))
    with pytest.raises(LogFormatError, match=r"b.h5 has other streams than .*a.h5: '\w+' does not fit") as joined:
        Log([a, b])
    with pytest.raises(LogFormatError, match=r"The run expects other streams than .*b.h5 has: '\w+' does") as run:
        Log(b).conform(specs)
    for caught in (joined.value, run.value):
        assert (caught.expected, caught.found) == (expected, found)


def test_an_angle_that_may_not_wrap_does_not_pass_for_one_that_does(tmp_path):
    specs = changed("yaw", circular=(False,))
    with pytest.raises(LogFormatError, match="'yaw' does not fit"):
        Log(write(tmp_path / "b.h5", specs, bare(specs))).conform(HERE)


def test_a_missing_stream_is_named(tmp_path):
    log = Log(write(tmp_path / "a.h5", (GYRO,), bare((GYRO,))))
    with pytest.raises(LogFormatError, match=r"'yaw' is missing[\s\S]*yaw[\s\S]*gyro"):
        log.conform((GYRO, YAW))
    assert repr(log.conform(()).streams) == repr(log.streams)


def test_ingest_has_the_same_rule(tmp_path, monkeypatch):
    """Two recordings of one machine, as two releases of its firmware write them."""
    from worldmodel.logs.ingest.importer import importers
    from worldmodel.logs.ingest.recording import Recording

    def read(path, _):
        spec = dataclasses.replace(GYRO, units=("deg/s", "g")) if "b" in path.stem else GYRO
        recording = Recording(path.name)
        recording.add(dataclasses.replace(spec, frame="other" if "c" in path.stem else "body"), np.zeros(1), data)
        yield recording

    data = np.array([[90.0, 1.0]])
    reader = SimpleNamespace(claims=lambda path: path.suffix == ".ours", read=read)
    monkeypatch.setitem(importers(), "ours", reader)
    paths = [tmp_path / f"{name}.ours" for name in "abc"]
    for path in paths:
        path.touch()
    ingest(paths[:2], tmp_path / "log.h5", progress=False)
    np.testing.assert_allclose(Log(tmp_path / "log.h5").episodes[1].streams["gyro"].data, [[np.pi / 2, 9.80665]], 1e-6)
    with pytest.raises(LogFormatError, match=r"c.ours has other streams than a.ours[\s\S]*'other'"):
        ingest(paths[::2], tmp_path / "no.h5", progress=False)

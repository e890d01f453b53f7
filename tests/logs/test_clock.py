"""Stamps that count from 1970 become an episode's own, and what is written can be opened."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from worldmodel.errors import LogFormatError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

IMU = StreamSpec("imu", "sensor", ("x",), ("m/s^2",), 10.0)
GPS = StreamSpec("gps", "gps", ("latitude", "longitude", "altitude"), ("deg", "deg", "m"), 1.0)
STATE = StreamSpec("state", "sensor", ("q",), ("rad",), 10.0)
NOW = 1_780_000_000.25
YEAR = 365 * 86400.0


def at(time, columns=1):
    time = np.asarray(time, float)
    return Samples(time, np.arange(len(time) * columns, dtype=float).reshape(-1, columns))


def write(path, imu, gps=(), truth=(), **episode):
    with LogWriter(path / "a.h5", [IMU, GPS], truth=[STATE]) as writer:
        writer.append({"imu": at(imu), "gps": at(gps, 3)}, truth={"state": at(truth)}, **episode)
    return Log(path / "a.h5", truth=True).episodes[0]


def refused(path, *words, **episode):
    with pytest.raises(LogFormatError) as caught:
        write(path, **episode)
    for word in words:
        assert word in str(caught.value)
    assert list(path.iterdir()) == []


def test_stamps_since_1970_become_the_episodes_own(tmp_path):
    episode = write(tmp_path, NOW + np.arange(5) / 8, NOW + np.array([0.5, 1.5]), truth=NOW + np.arange(9) / 4)
    np.testing.assert_array_equal(episode.streams["imu"].time, np.arange(5) / 8)
    np.testing.assert_array_equal(episode.streams["gps"].time, [0.5, 1.5])
    np.testing.assert_array_equal(episode.truth["state"].time, np.arange(9) / 4)
    assert (episode.origin_utc, episode.duration_s) == (NOW, 2.0)


def test_all_streams_move_together(tmp_path):
    """The first sample of any of them is time zero, be it only truth's."""
    episode = write(tmp_path, [NOW + 1], [NOW + 0.5], truth=[NOW])
    assert [episode.streams[n].time[0] for n in ("imu", "gps")] == [1.0, 0.5]
    assert episode.truth["state"].time[0] == 0


def test_a_given_origin_that_agrees_is_time_zero(tmp_path):
    episode = write(tmp_path, [NOW, NOW + 1], origin_utc=NOW - 0.75, duration_s=3.0)
    assert (episode.origin_utc, episode.duration_s) == (NOW - 0.75, 3.0)
    np.testing.assert_array_equal(episode.streams["imu"].time, [0.75, 1.75])


def test_the_hash_does_not_know_how_the_times_came(tmp_path):
    hashes = set()
    for zero in (0.0, NOW):
        (tmp_path / str(zero)).mkdir()
        hashes.add(write(tmp_path / str(zero), zero + np.arange(5) / 8).sha256)
    assert len(hashes) == 1


@pytest.mark.parametrize("zero", [-2.0, 0.0, 300.0, 0.9 * YEAR])
def test_seconds_from_time_zero_stay_as_they_are(tmp_path, zero):
    episode = write(tmp_path, zero + np.arange(5.0), origin_utc=NOW)
    np.testing.assert_array_equal(episode.streams["imu"].time, zero + np.arange(5.0))
    assert episode.origin_utc == NOW


@pytest.mark.parametrize("off", [3600.0, -900.0, NOW])
def test_a_given_origin_that_disagrees_is_refused(tmp_path, off):
    refused(tmp_path, "origin_utc", f"{NOW:.9f}", imu=[NOW, NOW + 1], origin_utc=NOW - off)


@pytest.mark.parametrize(("factor", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")])
def test_other_units_since_1970_are_named(tmp_path, factor, unit):
    refused(tmp_path, f"they are {unit} since 1970: divide by {factor:g}", imu=factor * (NOW + np.arange(3)))


def test_times_that_are_no_clock_of_a_recording_are_refused(tmp_path):
    refused(tmp_path, "end before its time zero", "-3 s to -1 s", imu=[-3, -2, -1])
    refused(tmp_path, "end before its time zero", imu=np.arange(3) - NOW)
    refused(tmp_path, "no seconds of a recording", imu=1e25 + 1e12 * np.arange(3))
    refused(tmp_path, "no seconds of a recording", imu=1.2 * YEAR + np.arange(3))  # milliseconds of ten hours


def test_a_clock_that_was_set_on_the_way_is_named_with_its_row(tmp_path):
    refused(tmp_path, "streams/imu", "1.78e+09 s at row 3 after 2 s", "cut", imu=[0, 1, 2, NOW, NOW + 1])


def test_streams_on_different_clocks_are_named(tmp_path):
    refused(tmp_path, "not on one clock", "streams/imu from 0 s to 1 s", "streams/gps from 1.78", imu=[0, 1], gps=[NOW])
    refused(tmp_path, "not on one clock", "truth/state", imu=[0, 1], truth=[NOW])


@pytest.mark.parametrize("duration", [-1.0, math.nan, math.inf, NOW])
def test_a_duration_that_is_none_is_refused(tmp_path, duration):
    refused(tmp_path, "duration", imu=[0, 1], duration_s=duration)


@pytest.mark.parametrize("origin", [math.inf, -math.inf])
def test_an_origin_that_is_no_time_is_refused(tmp_path, origin):
    refused(tmp_path, "origin_utc", "'drive 3'", imu=[0, 1], origin_utc=origin, name="drive 3")


def test_a_log_without_an_episode_is_not_written(tmp_path):
    with pytest.raises(LogFormatError, match="no episode"), LogWriter(tmp_path / "a.h5", [IMU]):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_episode_that_is_refused_leaves_no_trace_among_the_others(tmp_path):
    with LogWriter(tmp_path / "a.h5", [IMU]) as writer:
        writer.append({"imu": at([0, 1])})
        with pytest.raises(LogFormatError, match="duration"):
            writer.append({"imu": at([0, 1])}, duration_s=-1.0)
        writer.append({"imu": at([0, 1, 2])})
    assert [len(e.streams["imu"]) for e in Log(tmp_path / "a.h5").episodes] == [2, 3]


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\0b"])
def test_a_stream_without_a_name_for_a_file_is_refused(tmp_path, name):
    with pytest.raises(LogFormatError, match="cannot be called"):
        LogWriter(tmp_path / "a.h5", [StreamSpec(name, "sensor", ("x",), ("",), 1.0)])


def test_streams_that_cannot_be_told_apart_or_are_none_are_refused(tmp_path):
    with pytest.raises(LogFormatError, match="cannot be called 'imu'"):
        LogWriter(tmp_path / "a.h5", [IMU, IMU])
    with pytest.raises(LogFormatError, match="no columns"):
        LogWriter(tmp_path / "a.h5", [StreamSpec("imu", "sensor", (), (), 1.0)])


@pytest.mark.parametrize("samples", [Samples([0.0], [["a"]]), Samples(["12:00"], [[1.0]]), Samples([0.0], [[1j]])])
def test_what_is_no_number_is_refused(tmp_path, samples):
    with pytest.raises(LogFormatError, match="no numbers"), LogWriter(tmp_path / "a.h5", [IMU]) as writer:
        writer.append({"imu": samples})


SECONDS = st.one_of(
    st.floats(),
    st.floats(-10, 10),
    st.floats(0, 2 * YEAR),
    st.floats(NOW - 100, NOW + 100),
    st.floats(1.7e12, 1.8e12),
    st.sampled_from([0.0, YEAR, 315532800.0, 4102444800.0]),
)
TIMES = st.lists(SECONDS, max_size=4) | st.lists(SECONDS, max_size=4).map(lambda times: sorted(set(times)))


@st.composite
def recordings(draw):
    """Three streams of a few samples on one clock; and of any times at all, which are seldom a recording."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.tuples(TIMES, TIMES, TIMES))
    zero, gaps = draw(SECONDS.filter(math.isfinite)), st.lists(st.floats(1e-3, 1e3), max_size=4)
    return tuple((zero + np.cumsum(draw(gaps))).tolist() for _ in range(3))


@hypothesis.given(
    times=recordings(),
    name=st.text(st.characters(exclude_categories=())),
    origin=st.just(math.nan) | SECONDS,
    duration=st.none() | SECONDS,
    about=st.dictionaries(st.text(), st.floats() | st.text()),
)
@hypothesis.settings(max_examples=150, deadline=None)
def test_what_the_writer_accepts_opens_and_reads_back(tmp_path_factory, times, name, origin, duration, about):
    imu, gps, truth = times
    path = tmp_path_factory.getbasetemp() / "any.h5"
    given = {"imu": at(imu), "gps": at(gps, 3)}
    try:
        with LogWriter(path, [IMU, GPS], truth=[STATE], about=about, force=True) as writer:
            writer.append(given, truth={"state": at(truth)}, name=name, origin_utc=origin, duration_s=duration)
    except LogFormatError:
        hypothesis.event("refused")
        return
    with Log(path, truth=True) as log:
        (episode,) = log.episodes
        assert 0 <= episode.duration_s < YEAR
        zero = episode.origin_utc if min([*imu, *gps, *truth]) >= YEAR else 0.0
        for stream, samples in [
            *((episode.streams[n], s) for n, s in given.items()),
            (episode.truth["state"], at(truth)),
        ]:
            np.testing.assert_array_equal(stream.time, samples.time - zero)
            np.testing.assert_array_equal(stream.data, samples.data)


def test_where_the_network_set_a_clock_an_episode_begins(tmp_path):
    """No clock of its own: the file begins in 1970, until the network tells the time."""
    rows = [f"{t},{t % 1}" for t in (*np.arange(5, 8, 0.1), *(NOW + np.arange(0, 3, 0.1)))]
    (tmp_path / "drive.csv").write_text("\n".join(["time,speed", *rows]))
    (tmp_path / "car.toml").write_text(
        'format = "worldmodel-recipe"\nversion = 1\n[clock]\ncolumn = "time"\norigin = "unix"\n'
        '[streams.car]\nkind = "sensor"\ncolumns = { speed = "speed" }\nrate_hz = 10\n'
    )
    report = ingest(tmp_path / "drive.csv", tmp_path / "log.h5", recipe=tmp_path / "car.toml", progress=False)
    assert any("cut" in line and "30" in line for line in report.lines)
    early, late = Log(tmp_path / "log.h5").episodes
    assert (len(early.streams["car"]), len(late.streams["car"])) == (30, 30)
    assert math.isnan(early.origin_utc)
    assert late.origin_utc == pytest.approx(NOW)

"""Rerun recordings and MCAP files hold what the log holds, as their own readers say."""

import json
from collections import defaultdict

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory
from rerun.chunk import RrdReader

from tests.command_line import done, run
from tests.oscillator import ORIGIN, SPECS, episode, write_log
from worldmodel.export.mcap import write_mcap
from worldmodel.export.rrd import write_rrd
from worldmodel.export.tracks import tracks_of_log, tracks_of_trajectory
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.logs.reader import Log
from worldmodel.types import Samples


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    def gap(streams):
        streams["velocity"].data[3] = np.nan
        return streams

    return write_log(tmp_path_factory.mktemp("log") / "a.h5", 1, 1.0, gap)


@pytest.fixture(scope="module")
def trajectory():
    rng, time = np.random.default_rng(0), 1 + np.arange(1, 5) / 10
    imagined = {s.name: Samples(time, rng.normal(size=(4, 2, *s.sample_shape))) for s in SPECS}
    imagined["gps"] = Samples(time, ORIGIN + rng.normal(size=(4, 2, 3)) * (1e-5, 1e-5, 1))
    imagined["camera"] = Samples(time, rng.integers(0, 256, size=(4, 2, 16, 16, 3)).astype(np.uint8))
    logged = {name: Samples(t[t <= 1], d[t <= 1]) for name, (t, d) in episode(0, 2.0).items()}
    return Trajectory(1.0, {s.name: s for s in SPECS}, imagined, logged, 1_700_000_000.0)


def read_mcap(path):
    """By topic, log times in seconds and messages."""
    found = defaultdict(list)
    with open(path, "rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for schema, channel, message in reader.iter_messages():
            data = json.loads(message.data) if channel.message_encoding == "json" else None
            if data is None:
                data = DecoderFactory().decoder_for(channel.message_encoding, schema)(message.data)
            found[channel.topic].append((message.log_time / 1e9, data))
    return found


def read_rrd(path):
    """By entity and component, times in seconds and values."""
    found = {}
    for chunk in RrdReader(path).stream().collect().stream():
        batch = chunk.to_record_batch()
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if ":" in field.name and "time" in batch.schema.names:
                seconds = np.array(batch.column("time").cast("int64")) / 1e9
                found[f"{chunk.entity_path}:{field.name.rpartition(':')[2]}"] = seconds, column.to_pylist()
    return found


def test_mcap_holds_the_log(path, tmp_path):
    found = read_mcap(write_mcap(tracks_of_log(Log(path)), tmp_path / "a.mcap"))
    streams = Log(path).episodes[0].streams
    assert found.keys() == {f"/{name}" for name in streams}
    for name in ("velocity", "force"):
        column = streams[name].spec.columns[0]
        values = np.array([message[column] for _, message in found[f"/{name}"]], float)
        np.testing.assert_array_equal(values, streams[name].data[:, 0])
        np.testing.assert_allclose([t for t, _ in found[f"/{name}"]], streams[name].time, atol=1e-9)
    assert found["/velocity"][3][1] == {"v": None}
    fixes = [(m.latitude, m.longitude, m.altitude) for _, m in found["/gps"]]
    np.testing.assert_array_equal(fixes, streams["gps"].data)
    frames = [np.frombuffer(m.data, np.uint8).reshape(16, 16, 3) for _, m in found["/camera"]]
    np.testing.assert_array_equal(frames, streams["camera"].data)


def test_mcap_holds_every_future(trajectory, tmp_path):
    found = read_mcap(write_mcap(tracks_of_trajectory(trajectory), tmp_path / "a.mcap"))
    values = [message["v"] for _, message in found["/imagined/velocity"]]
    np.testing.assert_array_equal(values, trajectory["velocity"].data[:, :, 0])
    assert found["/imagined/gps/member_1"][2][1].latitude == trajectory["gps"].data[2, 1, 0]
    assert found["/logged/velocity"][0][0] == pytest.approx(1_700_000_000.0)
    assert found["/imagined/camera/member_0"][3][1].width == 16


def test_a_rerun_recording_holds_the_log(path, tmp_path):
    found = read_rrd(write_rrd(tracks_of_log(Log(path)), tmp_path / "a.rrd"))
    streams = Log(path).episodes[0].streams
    for name in ("velocity", "gps"):
        times, values = found[f"/{name}:scalars"]
        np.testing.assert_array_equal(np.array(values), streams[name].data)
        np.testing.assert_allclose(times, streams[name].time, atol=1e-9)
    places = found["/gps/map:positions"][1]
    np.testing.assert_array_equal(np.array(places)[:, 0], streams["gps"].data[:, :2])
    frames = np.array(found["/camera:buffer"][1], np.uint8).reshape(-1, 16, 16, 3)
    np.testing.assert_array_equal(frames, streams["camera"].data)


def test_a_rerun_recording_holds_every_future(trajectory, tmp_path):
    found = read_rrd(write_rrd(tracks_of_trajectory(trajectory), tmp_path / "a.rrd"))
    times, values = found["/imagined/velocity/v:scalars"]
    np.testing.assert_array_equal(np.array(values), trajectory["velocity"].data[:, :, 0])
    np.testing.assert_allclose(times, trajectory["velocity"].time, atol=1e-9)
    assert "/imagined/camera/member_1:buffer" in found
    assert "/logged/gps/map:positions" in found


def test_the_command_writes_both_and_replaces_neither(path, tmp_path):
    given = ("--rrd", tmp_path / "a.rrd", "--mcap", tmp_path / "a.mcap")
    said = done("inspect", path, *given).out
    assert f"wrote {tmp_path / 'a.rrd'}" in said
    assert "/gps" in read_mcap(tmp_path / "a.mcap")
    again = run("inspect", path, *given)
    assert (again.code, "exists already" in again.err) == (2, True)

"""A machine whose pose, attitude and local position are recorded takes the whole road."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.untrained import untrained_run
from worldmodel.codecs import QUATERNION, XYZ, codec
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

SPECS = (
    StreamSpec("body", "pose", (*XYZ, *QUATERNION), (*("m",) * 3, *("",) * 4), 10.0, "map"),
    StreamSpec("tag", "position", XYZ, ("m",) * 3, 5.0, "map"),
    StreamSpec("attitude", "orientation", QUATERNION, ("",) * 4, 20.0, "enu"),
    StreamSpec("rates", "sensor", ("yaw_rate",), ("rad/s",), 10.0),
    StreamSpec("steer", "action", ("left",), ("",), 10.0),
)


def flight(seed: int, turned: float = 0.0, moved=(0.0, 0.0, 0.0), signs=1.0) -> dict[str, Samples]:
    """A planar drive with a wobble, in a map `turned` about the vertical and `moved`; quaternions of any sign."""
    rng, time = np.random.default_rng(seed), np.arange(80) * 0.1
    left = np.repeat(rng.normal(size=16), 5)
    yaw = turned + np.cumsum(left) * 0.1
    steps = 0.1 * np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], -1)
    place = np.asarray(moved) + np.cumsum(steps, 0)
    turn = Rotation.from_euler("ZYX", np.stack([yaw, 0.1 * np.sin(time), 0.05 * np.cos(time)], -1))
    quaternions = turn.as_quat(scalar_first=True) * signs
    return {
        "body": Samples(time, np.concatenate([place, quaternions], 1)),
        "tag": Samples(time[::2], place[::2] + np.array([0.0, 0.0, 1.0])),
        "attitude": Samples(time, quaternions),
        "rates": Samples(time, left[:, None]),
        "steer": Samples(time, left[:, None]),
    }


def written(path, episodes):
    with LogWriter(path, SPECS) as writer:
        for streams in episodes:
            writer.append(streams)
    return Log(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    log = written(tmp_path_factory.mktemp("log") / "a.h5", [flight(seed) for seed in range(3)])
    return untrained_run(log, dt=0.1, context=20, horizon=10)


def test_what_is_imagined_is_in_the_logs_own_units_and_frame(run, tmp_path):
    log = written(tmp_path / "a.h5", [flight(7, moved=(100.0, -50.0, 2.0))])
    future = run.imagine(log, episode=0, at_s=4.0, members=3)
    body, now = future.imagined["body"].data, log.episodes[0].streams["body"].data[40]
    assert body.shape == (10, 3, 7)
    np.testing.assert_allclose(np.linalg.norm(body[..., 3:], axis=-1), 1, atol=1e-4)
    assert (body[..., 3] >= 0).all()
    assert np.linalg.norm(body[0, :, :3] - now[:3], axis=-1).max() < 20
    np.testing.assert_allclose(np.linalg.norm(future.imagined["attitude"].data, axis=-1), 1, atol=1e-4)


def test_a_turned_and_moved_map_gives_a_turned_and_moved_future(run, tmp_path):
    plain = written(tmp_path / "a.h5", [flight(7)])
    other = written(tmp_path / "b.h5", [flight(7, turned=1.3, moved=(30.0, 5.0, -2.0), signs=-1.0)])
    turn = Rotation.from_euler("z", 1.3)
    one, two = (run.imagine(log, episode=0, at_s=4.0, members=2).imagined for log in (plain, other))
    start = np.array([30.0, 5.0, -2.0])
    np.testing.assert_allclose(
        turn.apply(one["body"].data[..., :3].reshape(-1, 3)) + start,
        two["body"].data[..., :3].reshape(-1, 3),
        atol=2e-3,
    )
    np.testing.assert_allclose(
        turn.apply(one["tag"].data.reshape(-1, 3)) + start, two["tag"].data.reshape(-1, 3), atol=2e-3
    )
    stream = codec(SPECS[2])
    expected = turn * Rotation.from_quat(one["attitude"].data.reshape(-1, 4), scalar_first=True)
    error = stream.residual(expected.as_quat(scalar_first=True), two["attitude"].data.reshape(-1, 4))
    assert np.linalg.norm(error, axis=-1).max() < 5e-3

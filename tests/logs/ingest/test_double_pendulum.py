"""The shipped recipe of the real double pendulum, on the real recordings."""

import os
from pathlib import Path

import numpy as np
import pytest

from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log

LOGS = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data"))
RUNS = LOGS / "double_pendulum" / "design_C.1"
pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason=f"the real double pendulum's recordings are not at {RUNS}")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("pendulum") / "log.h5"
    report = ingest(RUNS, path, recipe="double_pendulum", progress=False)
    assert report.notes == ()
    return Log(path)


def test_each_run_is_an_episode(log):
    assert len(log.episodes) == 10
    assert [e.name for e in log.episodes][-2:] == ["20230629-154220.csv", "20230629-154548.csv"]
    assert log.about["scene"] == "double_pendulum"
    assert {n: (s.kind, s.columns, s.units) for n, s in log.streams.items()} == {
        "joints": ("sensor", ("shoulder", "elbow"), ("rad", "rad")),
        "velocities": ("sensor", ("shoulder", "elbow"), ("rad/s", "rad/s")),
        "torque": ("action", ("shoulder", "elbow"), ("N*m", "N*m")),
    }


def test_velocities_are_the_rates_of_the_joints(log):
    for episode in log.episodes:
        joints, velocities = episode.streams["joints"], episode.streams["velocities"]
        for column in range(2):
            travelled = np.trapezoid(velocities.data[:, column], velocities.time)
            assert travelled == pytest.approx(joints.data[-1, column] - joints.data[0, column], abs=0.01)

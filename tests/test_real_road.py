"""The whole road on a real drone's recording: 12 s of video, IMU, GPS and commands. It proves that it runs, no more."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import rollouts_of_one_length
from worldmodel.errors import WorldModelError
from worldmodel.imagine import imagine_to
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log
from worldmodel.report import write_report
from worldmodel.training import train
from worldmodel.validate import rivals, score, validate
from worldmodel.validate.floor import Floor
from worldmodel.validate.problem import problem_of

KARMA = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[2] / "shared" / "data")) / "gopro/karma.mp4"


@pytest.mark.skipif(not KARMA.is_file(), reason=f"the real recording is not at {KARMA}")
def test_a_drone_is_ingested_learned_imagined_and_scored(tmp_path):
    ingest(KARMA, tmp_path / "drone.h5", size=(24, 32), progress=False)
    shutil.copy(KARMA, tmp_path / "again.mp4")
    ingest(tmp_path / "again.mp4", tmp_path / "again.h5", size=(16, 24), progress=False)
    span = {"dt": 0.25, "context_s": 2.0, "horizon_s": 2.0}
    with rollouts_of_one_length():
        run = train([tmp_path / "drone.h5"], tmp_path / "run", preset="debug", steps=1, progress=False, **span)
    start = {"episode": 0, "at_s": 5.0, "members": 2}
    files = imagine_to(run, tmp_path / "drone.h5", tmp_path / "dream", **start)
    assert {file.name for file in files} == {"trajectory.h5", "trajectory.png", "camera.webm"}
    dream = Log(tmp_path / "dream" / "trajectory.h5").episodes[0]
    logged = Log(tmp_path / "drone.h5").episodes[0].streams["gps"].data
    assert np.abs(dream.streams["gps"].data[..., :2] - logged[0, :2]).max() < 0.01  # degrees: the same valley
    with pytest.raises(WorldModelError, match="has seen every episode"):  # under another name and size, it is known
        validate(run, log=tmp_path / "again.h5", progress=False)
    flight = problem_of(run.windows(Log(tmp_path / "drone.h5")), name="drone", max_starts=8)  # there is no second one
    result = score(flight, [run, *rivals(run), Floor(flight.truth)], seed=0, progress=False)
    write_report(result, tmp_path / "report")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert set(metrics["streams"]) >= {"camera", "gps", "accelerometer", "gyro", "attitude"}
    assert metrics["streams"]["gps"]["unit"] == "m"
    assert metrics["streams"]["camera"]["model"]["psnr"][-1] > 5
    assert "floor_reading" not in metrics["overall"]

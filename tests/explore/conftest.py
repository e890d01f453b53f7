import pytest

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.explore import Explorer
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter

STREAMS = [s for s in SPECS if s.name in ("phase", "gps", "camera", "force")]


@pytest.fixture(scope="package")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.h5"
    with LogWriter(path, STREAMS) as writer:
        for seed in range(2):
            writer.append({s.name: episode(seed)[s.name] for s in STREAMS}, name=f"oscillator {seed}")
    return Log(path)


@pytest.fixture(scope="package")
def run(log):
    return untrained_run(log, dt=0.1, context=8, horizon=4)


@pytest.fixture(scope="package")
def explorer(run, log, tmp_path_factory):
    return Explorer(run.session, log, tmp_path_factory.mktemp("kept"))

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.codecs import codec
from worldmodel.explore import Explorer
from worldmodel.explore.alarms import Watching
from worldmodel.live import Alarms
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


class Still:
    """A twin that reads 1 of everything."""

    name = "still"

    def readings(self, episode, moment, horizon, actions):
        specs = [spec for spec in moment.layout.streams if spec.kind in ("sensor", "gps")]
        sizes = [(horizon * moment.layout.slots(spec), len(codec(spec).labels)) for spec in specs]
        return {spec.name: np.ones(size) for spec, size in zip(specs, sizes, strict=True)}


class Calm:
    """A watch that is surprised by nothing but the gps."""

    look = 2

    def judge(self, at_s, context, future):
        self.seen = context, future
        return Alarms(at_s, {"phase": 0.25, "gps": 1.5}, {})


@pytest.fixture(scope="package")
def watch():
    return Calm()


@pytest.fixture(scope="package")
def explorer(run, log, watch, tmp_path_factory):
    return Explorer(run.session, log, tmp_path_factory.mktemp("kept"), Still(), Watching(lambda: watch))

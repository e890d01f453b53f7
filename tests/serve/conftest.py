import pytest

from tests.oscillator import episode
from tests.serve.served import STREAMS, client
from tests.untrained import untrained_run
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.serve import engine


@pytest.fixture(scope="package", autouse=True)
def one_program():
    """Batches are of one size, so that one program is compiled for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "SIZES", (8,))
        yield


@pytest.fixture(scope="package")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.h5"
    with LogWriter(path, STREAMS) as writer:
        writer.append({s.name: episode(0)[s.name] for s in STREAMS})
    return Log(path)


@pytest.fixture(scope="package")
def run(log):
    return untrained_run(log, dt=0.05, context=10, horizon=4)


@pytest.fixture(scope="package")
def asked(run):
    """A client of a server with the usual limits."""
    with client(run) as opened:
        yield opened

"""A session does once what need be done once: tracing, aligning, opening; and reads only the frames it needs."""

import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.imagine import Session, engine, imagine_to
from worldmodel.logs import aligned as aligned_module
from worldmodel.logs.frame_store import FrameStore
from worldmodel.logs.reader import Log, Stream

OPTIONS = {"episode": 1, "at_s": 2.0, "members": 3}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "a.h5", 2)


@pytest.fixture(scope="module")
def run(path):
    return untrained_run(Log(path), dt=0.05, context=20, horizon=12)


@pytest.fixture(autouse=True)
def compiled_once(run, request, monkeypatch):
    """Every session has the run's compiled functions, unless the test counts how often there is compiling."""
    if "counted" not in request.fixturenames:
        shared = run.session.forecaster
        monkeypatch.setattr("worldmodel.training.run.Forecaster", lambda team, model: shared)


@pytest.fixture
def counted(monkeypatch):
    """How often the model was traced, an episode aligned, and how many frames were read."""
    counts = {"traced": 0, "aligned": 0, "frames": 0}
    traced, aligned, rows, gather = engine.roll_out, aligned_module.align, Stream.rows, FrameStore.gather

    def count(name, function):
        def counting(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return counting

    def read(self, start, stop):
        counts["frames"] += (stop - start) * (self.spec.kind == "video")
        return rows(self, start, stop)

    def gathered(self, episodes, index):
        counts["frames"] += int((index >= 0).sum())
        return gather(self, episodes, index)

    engine._program.cache_clear()
    monkeypatch.setattr(engine, "roll_out", count("traced", traced))
    monkeypatch.setattr(aligned_module, "align", count("aligned", aligned))
    monkeypatch.setattr(Stream, "rows", read)
    monkeypatch.setattr(FrameStore, "gather", gathered)
    return counts


def test_the_second_future_traces_and_aligns_nothing_and_only_the_frames_needed_are_read(run, path, counted):
    with Session(run) as session:
        futures = [session.imagine(path, **OPTIONS)]
        read = counted["frames"]
        futures += [session.imagine(path, **OPTIONS, seed=seed) for seed in (1, 0)]
        session.imagine(path, **{**OPTIONS, "at_s": 1.5})
    assert counted["traced"] == 1
    assert counted["aligned"] == 1
    logged = len(futures[0].logged["camera"].time)
    assert read == 2 + logged == 2 + 16  # those that the model sees, and those that are shown; the episode has 40
    for name in futures[0].imagined:
        np.testing.assert_array_equal(futures[0][name].data, futures[2][name].data)
    assert (futures[0]["position"].data != futures[1]["position"].data).any()


def test_a_run_keeps_its_session(run, path):
    assert run.session is run.session
    one, two = run.imagine(path, **OPTIONS), Session(run).imagine(path, **OPTIONS)
    np.testing.assert_array_equal(one["gps"].data, two["gps"].data)


def is_open(log: Log) -> bool:
    return all(part.file.id.valid for part in log._parts)


def test_logs_that_were_opened_here_are_closed(run, path, tmp_path, monkeypatch):
    other, opened = write_log(tmp_path / "b.h5", 2, seed=7), []
    monkeypatch.setattr("worldmodel.imagine.session.Log", Recorded := type("Recorded", (Log,), {}))
    monkeypatch.setattr(Recorded, "__init__", lambda self, given: (opened.append(self), Log.__init__(self, given))[1])
    with Session(run) as session:
        session.imagine(path, **OPTIONS)
        session.imagine(path, **{**OPTIONS, "episode": 0})
        session.imagine(other, **OPTIONS)
        assert [is_open(log) for log in opened] == [False, True]
    assert [is_open(log) for log in opened] == [False, False]
    imagine_to(run, path, tmp_path / "out", **OPTIONS)
    assert [is_open(log) for log in opened] == [False] * 3


def test_a_log_that_was_given_open_stays_open(run, path):
    with Log(path) as log:
        with Session(run) as session:
            session.imagine(log, **OPTIONS)
        assert is_open(log)


def test_a_log_that_has_changed_since_is_read_anew(run, tmp_path):
    path = write_log(tmp_path / "a.h5", 2, seed=1)
    with Session(run) as session:
        before = session.imagine(path, **OPTIONS)
        path.unlink()
        write_log(path, 2, seed=2)
        after = session.imagine(path, **OPTIONS)
    assert (before["position"].data != after["position"].data).any()

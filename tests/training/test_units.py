"""A run takes a log in other units than its own, and imagines and measures the very same."""

import dataclasses

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.errors import LogFormatError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples
from worldmodel.validate.problem import problem_of

OTHER = {"velocity": ("km/h", 3.6), "phase": ("deg", 180 / np.pi), "force": ("mN", 1000.0)}
READINGS = [spec for spec in SPECS if spec.kind != "video"]


def write(path, others=()):
    """The same two recordings, with some streams in other units, and their truth."""
    specs, scale = [], {}
    for spec in READINGS:
        unit, scale[spec.name] = OTHER[spec.name] if spec.name in others else (spec.units[0], 1.0)
        units = spec.units if spec.kind == "gps" else (unit,)
        specs.append(dataclasses.replace(spec, units=units, circular=(unit == "rad",) * len(units)))
    truths = [spec for spec in specs if spec.kind != "action"]
    with LogWriter(path, specs, truth=truths) as writer:
        for seed in range(2):
            streams = episode(seed)
            there = {s.name: Samples(streams[s.name].time, streams[s.name].data * scale[s.name]) for s in specs}
            writer.append(there, truth={s.name: there[s.name] for s in truths})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("units")
    write(path / "own.h5")
    write(path / "other.h5", OTHER)
    return path


@pytest.fixture(scope="module")
def run(folder):
    return untrained_run(Log(folder / "own.h5"), dt=0.1, context=8, horizon=8)


def test_it_imagines_the_same(folder, run):
    own, other = (run.imagine(Log(folder / name), episode=1, at_s=2.0, members=2) for name in ("own.h5", "other.h5"))
    for name in own.imagined:
        np.testing.assert_allclose(other.imagined[name].data, own.imagined[name].data, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(other.logged[name].data, own.logged[name].data, rtol=1e-5, atol=1e-5)


def test_it_is_measured_on_the_same(folder, run):
    own, other = (
        problem_of(run.windows(Log(folder / name, truth=True)), name="").truth for name in ("own.h5", "other.h5")
    )
    for part in ("recorded", "truth"):
        for name, expected in getattr(own, part).items():
            np.testing.assert_allclose(getattr(other, part)[name].values, expected.values, rtol=1e-4, atol=1e-4)


def test_a_second_future_does_not_align_the_log_again(folder, run, monkeypatch):
    from worldmodel.imagine.session import Session

    log = Log(folder / "other.h5")
    with Session(run) as session:
        first = session.imagine(log, episode=1, at_s=2.0, members=1)
        monkeypatch.setattr("worldmodel.logs.aligned.align", None)
        second = session.imagine(log, episode=1, at_s=2.0, members=1)
    np.testing.assert_array_equal(first.imagined["velocity"].data, second.imagined["velocity"].data)


def test_another_quantity_is_refused(folder, run, tmp_path):
    specs = [dataclasses.replace(s, units=("m/s^2",)) if s.name == "velocity" else s for s in READINGS]
    with LogWriter(tmp_path / "a.h5", specs) as writer:
        writer.append({s.name: episode(0)[s.name] for s in specs})
    with pytest.raises(LogFormatError, match=r"run expects other streams[\s\S]*v \[m/s\][\s\S]*v \[m/s\^2\]"):
        run.windows(Log(tmp_path / "a.h5"))

"""What is pushed sample by sample is what a log of the same samples would say, bit for bit."""


import jax
import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.logs.reader import Log
from worldmodel.types import Samples

AT = 2.4
CONTEXT = 20


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 2))


@pytest.fixture(scope="module")
def run(log):
    return untrained_run(log, dt=0.05, context=CONTEXT, horizon=12)


def samples_of(streams, until: float = np.inf):
    """(time, stream, value) in order of time."""
    every = [
        (t, name, value)
        for name, stream in streams.items()
        for t, value in zip(stream.time, stream.data, strict=True)
        if t <= until
    ]
    return sorted(every, key=lambda sample: sample[0])


def pushed(run, samples, **options):
    live = run.live(start_s=0.0, **options)
    for time, name, value in samples:
        live.push(name, time, value)
    return live


def same(one, two) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def ahead(streams, at: float) -> dict[str, Samples]:
    """What a log commands after a moment."""
    later = streams["force"]
    return {"force": Samples(later.time[later.time > at] - at, later.data[later.time > at])}


def test_windows_and_futures_are_those_of_the_log(run, log):
    streams, windows = log.episodes[1].streams, run.windows(log, episodes=[1])
    live, given = pushed(run, samples_of(streams, AT)), ahead(streams, AT)
    same(live.belief.context, windows.cut(np.array([[0, round(AT / 0.05)]]), 0)[0])
    live_says = live.imagine(given, members=3, seed=5)
    log_says = run.imagine(log, episode=1, at_s=AT, members=3, seed=5, actions=given)
    same(live_says.imagined, log_says.imagined)
    assert live_says.start_s == log_says.start_s

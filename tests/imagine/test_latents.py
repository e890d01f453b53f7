"""Latents are what the model believes at a tick: of what came up to it, and of the streams that it may look at."""

import dataclasses

import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.types import Samples

SIZES = {"dt": 0.05, "context": 12, "horizon": 4}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 1)) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(log):
    return untrained_run(log, **SIZES)


def changed(path, edit) -> Log:
    return Log(write_log(path / "b.h5", 1, edit=edit))


def test_there_is_one_for_each_tick_with_a_whole_context(run, log):
    time, latents = run.latents(log, episode=0)
    np.testing.assert_allclose(time, np.arange(SIZES["context"] - 1, 80) * SIZES["dt"])
    assert latents.shape == (len(time), len(run.layout.newest) + run.settings.model.hidden)
    assert np.ptp(latents, axis=0).min() > 0


def test_the_first_are_the_readings(run, log):
    """Of the untrained network, whose filter lets through what it is given, but for what its head adds."""
    time, latents = run.latents(log, episode=0)
    stream = log.episodes[0].streams["velocity"]
    read = stream.data[np.searchsorted(stream.time, time + 1e-6) - 1, 0]
    column = run.layout.reading_columns["velocity"].start
    assert np.corrcoef(latents[:, column], read)[0, 1] > 0.9


def test_what_comes_later_does_not_move_them(run, log, tmp_path):
    def spoil(streams):
        return {name: Samples(s.time, np.where(_after(s, 2.0), 0, s.data)) for name, s in streams.items()}

    with changed(tmp_path, spoil) as other:
        (time, before), (_, after) = (run.latents(each, episode=0) for each in (log, other))
    known = time < 1.99
    np.testing.assert_array_equal(before[known], after[known])
    assert (before[~known] != after[~known]).any()


def _after(samples: Samples, moment: float) -> np.ndarray:
    return (samples.time >= moment).reshape(-1, *[1] * (samples.data.ndim - 1))


@pytest.mark.parametrize("name", ["velocity", "gps", "camera"])
def test_to_go_without_a_stream_is_never_to_have_had_it(run, log, tmp_path, name):
    with changed(tmp_path, lambda streams: streams | {name: Samples(*(x[:0] for x in streams[name]))}) as other:
        missing = run.latents(other, episode=0)
    np.testing.assert_allclose(run.latents(log, episode=0, without=[name]).data, missing.data, atol=2e-6)
    assert np.abs(run.latents(log, episode=0).data - missing.data).max() > 2e-5


def test_a_stream_that_is_not_there_and_a_run_without_network_are_told(run, log):
    with pytest.raises(WorldModelError, match="no such stream"):
        run.latents(log, episode=0, without=["gsp"])
    with pytest.raises(WorldModelError, match="no network"):
        dataclasses.replace(run, model=None).latents(log, episode=0)

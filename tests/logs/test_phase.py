"""Where ticks lie between samples: so that few are empty, and with the first sample where that is as good."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.oscillator import write_log
from worldmodel.logs.align import TickLayout, align
from worldmodel.logs.phase import layout_of
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import shipped_scenes, simulate
from worldmodel.types import Samples, StreamSpec


def write(path, times, **rates):
    """A log of an episode for each of `times`, by stream, of sensors with these rates, and one action of 10 Hz."""
    specs = [StreamSpec(name, "sensor", ("x",), ("m",), rate) for name, rate in rates.items()]
    specs.append(StreamSpec("led", "action", ("u",), ("V",), 10.0))
    with LogWriter(path, specs) as writer:
        for i, streams in enumerate(times):
            given = streams | {"led": np.arange(3) / 10}
            writer.append({n: Samples(t, np.full((len(t), 1), i, float)) for n, t in given.items()})
    return Log(path)


def shaken(rng, rate_hz, share, count=80):
    """Stamps of a machine whose periods are regular, and which stamps each up to a share of it late."""
    time = (np.arange(count) + rng.uniform(0, share, count)) / rate_hz
    return time - time[0]


def empty(log, layout):
    """Of each stream the share of slots without a sample, up to its last one."""
    out = {}
    for spec in layout.readings:
        masks = []
        for recorded in log.episodes:
            mask = align(recorded, layout).mask[:, layout.slot_columns(spec)[:, 0]].ravel()
            ends = (
                layout.time_s(np.arange(len(mask) // layout.slots(spec)))[:, None] + layout.dt * layout.slot_ticks(spec)
            ).ravel()
            masks.append(mask[ends > 0])
        out[spec.name] = 1 - np.concatenate(masks).mean()
    return out


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.sampled_from([10.0, 40.0]), share=st.floats(0.01, 0.24))
def test_no_tick_of_a_jittered_log_is_empty(seed, rate, share):
    with tempfile.TemporaryDirectory() as folder:
        log = write(Path(folder) / "a.h5", [{"level": shaken(np.random.default_rng(seed), rate, share)}], level=rate)
        layout = layout_of(log)
        plain = TickLayout(layout.dt, layout.streams)
        assume(empty(log, plain)["level"] > 0.02)  # none is, if a first stamp is the latest of all
        assert 0 < layout.phase_s <= layout.dt / layout.slots(layout.spec("level")) / 4
        assert empty(log, layout) == {"level": 0}


@pytest.mark.parametrize("rate", [3.0, 10.0, 33.0, 200.0, 1000.0])
def test_ticks_of_a_regular_log_begin_with_it(tmp_path, rate):
    time = np.arange(400) / rate
    log = write(tmp_path / "a.h5", [{"level": time}, {"level": time + 0.4 / rate}], level=rate)
    assert layout_of(log).phase_s == 0.0
    assert layout_of(log, dt=0.5).phase_s == 0.0


def test_what_is_slower_than_ticks_says_nothing_of_where_they_lie(tmp_path):
    log = write(tmp_path / "a.h5", [{"level": shaken(np.random.default_rng(0), 4.0, 0.2)}], level=4.0)
    assert layout_of(log).phase_s == 0.0
    assert layout_of(log, dt=0.25).phase_s > 0


def test_a_regular_stream_beside_a_jittered_one_keeps_its_slots_full(tmp_path):
    times = {"level": shaken(np.random.default_rng(0), 10.0, 0.2), "fast": np.arange(640) / 80}
    log = write(tmp_path / "a.h5", [times], level=10.0, fast=80.0)
    layout = layout_of(log)
    assert empty(log, TickLayout(layout.dt, layout.streams))["level"] > 0.1
    assert layout.phase_s > 0
    assert max(empty(log, layout).values()) < 0.02


def test_no_phase_is_taken_that_helps_nobody(tmp_path):
    """Where stamps lie anywhere, all are alike."""
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 400, 4000))
    log = write(tmp_path / "a.h5", [{"level": time - time[0]}], level=10.0)
    assert layout_of(log).phase_s == 0.0


def test_ticks_of_scenes_begin_with_the_first_sample(tmp_path):
    for scene in shipped_scenes():
        log = Log(simulate(scene, tmp_path / f"{scene}.h5", episodes=1, seconds=2, seed=0, progress=False))
        assert layout_of(log).phase_s == 0.0, scene
    assert layout_of(Log(write_log(tmp_path / "a.h5", 2))).phase_s == 0.0

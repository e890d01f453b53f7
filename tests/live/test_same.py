"""On every shipped scene and every real log at hand: pushed sample by sample, a window is that of the file."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

from worldmodel.live import Live
from worldmodel.logs.align import TickLayout, default_dt
from worldmodel.logs.ingest import ingest
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.simulate import simulate
from worldmodel.types import Samples, StreamSpec

SCENES = sorted(path.parent.name for path in (Path(__file__).parents[2] / "sim").glob("*/scene.toml"))
REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[3] / "shared" / "data"))
LOGS = {
    "gopro/karma.mp4": {"size": (16, 24)},
    "nanobench/B2_circle_fast_rep1.csv": {"recipe": "nanobench"},
    "comma2k19/seg40": {"size": (16, 24)},
    "donkeycar/data": {"size": (16, 24)},
    "px4/sample.ulg": {},
    "double_pendulum/design_C.1": {},
    "emps/DATA_EMPS.mat": {"recipe": "emps"},
    "lerobot_g1": {"size": (16, 24)},
    "silverbox/SNLS80mV.csv": {"recipe": "silverbox"},
    "tanks/dataBenchmark.csv": {"recipe": "tanks"},
}
CONTEXT = 16


def check(log: Log, followers: tuple[Odometer, ...] = (), phase: float = 0.0) -> None:
    """A few moments of the longest episode; `phase` is a share of a tick."""
    episode = int(np.argmax(log.durations_s))
    dt = default_dt(list(log.streams.values()))
    layout = TickLayout(dt, tuple(log.streams.values()), phase * dt)
    windows = Windows.of(log, layout, CONTEXT, 1, [episode], followers)
    streams = log.episodes[episode].streams
    time = np.concatenate([s.time for s in streams.values()])
    last = min(len(windows.ticks[0].values) - 1, CONTEXT + 400)
    moments = np.linspace(CONTEXT, last, 5).astype(int)
    held = {name: stream[: layout.time_s(last + 1)].data for name, stream in streams.items()}
    who = np.repeat(np.arange(len(streams)), [len(s) for s in streams.values()])
    row = np.concatenate([np.arange(len(s)) for s in streams.values()])
    live = Live(None, layout, CONTEXT, lambda *_: 1, 0.0, followers=followers)
    names, pushed, compared = list(streams), 0, 0
    order = np.argsort(time, kind="stable")
    for moment in moments:
        until = int(np.searchsorted(time[order], layout.time_s(moment) + 1e-7, side="right"))
        for i in order[pushed:until]:
            live.push(names[who[i]], time[i], held[names[who[i]]][row[i]])
        pushed = max(until, pushed)
        belief = live.belief
        at = round(layout.row(belief.at_s))
        if at >= CONTEXT - 1:
            compared += 1
            for one, two in zip(
                jax.tree.leaves(belief.context), jax.tree.leaves(windows.cut(np.array([[0, at]]), 0)[0]), strict=True
            ):
                np.testing.assert_array_equal(one, two)
    assert compared >= 3


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene(scene, tmp_path):
    log = Log(simulate(scene, tmp_path / "a.h5", episodes=1, seconds=3, seed=1, progress=False))
    check(log)
    check(log, phase=0.375)


def test_a_sensor_that_reads_more_rarely_than_is_seen(tmp_path):
    """Its last reading is carried in, of which a column may be missing."""
    specs = [
        StreamSpec("motor", "sensor", ("speed",), ("rad/s",), 20.0),
        StreamSpec("heat", "sensor", ("a", "b"), ("K", "K"), 0.4),
    ]
    rng, time = np.random.default_rng(0), np.arange(0, 24, 0.05)
    slow = np.sort(rng.uniform(0, 24, 10))
    heat = np.where(rng.random((10, 2)) < 0.5, np.nan, rng.normal(size=(10, 2)))
    silent = np.isnan(heat).all(1)
    heat[silent, rng.integers(0, 2, silent.sum())] = 1.0
    with LogWriter(tmp_path / "a.h5", specs) as writer:
        writer.append({"motor": Samples(time, np.sin(time)[:, None]), "heat": Samples(slow, heat)})
    log = Log(tmp_path / "a.h5")
    check(log)
    layout = TickLayout(0.05, tuple(log.streams.values()))
    windows = Windows.of(log, layout, CONTEXT, 1)
    assert windows.cut(windows.starts()[:], 1)[0].mask[:, 0, layout.columns["heat"]].any(1).mean() > 0.5


def test_places_that_are_followed(tmp_path):
    """From paths that begin a second before, so that several do."""
    log = Log(simulate("rover", tmp_path / "a.h5", episodes=1, seconds=9, seed=1, progress=False))
    layout = TickLayout(0.05, tuple(log.streams.values()))
    columns = {name: tuple(range(part.start, part.stop)) for name, part in layout.reading_columns.items()}
    followed = Odometer("gps", columns["wheels"], columns["gyro"][2:], 0.2, 1.0, 20, True, 1.1)
    windows = Windows.of(log, layout, CONTEXT, 1, followers=[followed])
    assert np.isfinite(windows.ticks[0].followed).mean() > 0.5
    check(log, (followed,))
    check(log, (followed,), phase=0.375)


@pytest.mark.parametrize("name", LOGS)
def test_a_real_log(name, tmp_path):
    if not (REAL / name).exists():
        pytest.skip(f"the real recording is not at {REAL / name}")
    ingest(REAL / name, tmp_path / "a.h5", progress=False, **LOGS[name])
    check(Log(tmp_path / "a.h5"))

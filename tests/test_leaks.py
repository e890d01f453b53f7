"""Nothing at or before t depends on what was stamped after it, no episode is on both sides of a split, no truth trains.

The first on a simulated rover and on real recordings: a double pendulum's tables, and a drone's video with telemetry.
"""

import ast
import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.imagine import Imaginer
from worldmodel.logs.ingest import ingest
from worldmodel.logs.physical import by_stream
from worldmodel.logs.reader import Episode, Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import simulate
from worldmodel.training import train, trainer
from worldmodel.training.folder import RunFolder
from worldmodel.training.run import Run
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate import Forecast, rivals
from worldmodel.validate.floor import Floor
from worldmodel.validate.leaks import action_use, estimate_leak, future_leak
from worldmodel.validate.problem import problem_of

LIBRARY = Path(__file__).parents[1] / "worldmodel"
REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[2] / "shared" / "data"))
ROUNDING_S = 1e-7  # closer than this, two stamps are the same moment


def simulated_rover(path):
    simulate("rover", path, episodes=1, seconds=6, seed=5, progress=False)


def real_pendulum(path):
    ingest(
        REAL / "double_pendulum" / "design_C.1" / "20230629-144115.csv", path, recipe="double_pendulum", progress=False
    )


def real_drone(path):
    ingest(REAL / "gopro" / "karma.mp4", path, size=(16, 24), progress=False)


class Source(NamedTuple):
    """How a log is made, the tick, context and horizon (in ticks), the moment t, and the phase of ticks."""

    make: object
    needs: str
    dt: float
    context: int
    horizon: int
    at_s: float
    phase_s: float = 0.0


SOURCES = {
    "rover": Source(simulated_rover, "", 0.05, 30, 16, 3.0),
    "rover between samples": Source(simulated_rover, "", 0.05, 30, 16, 3.03, 0.03),
    "double_pendulum": Source(real_pendulum, "double_pendulum/design_C.1", 0.01, 30, 16, 4.0),
    "karma": Source(real_drone, "gopro", 0.1, 20, 8, 6.0),
}


class Case(NamedTuple):
    source: Source
    log: Log
    run: Run
    imaginer: Imaginer
    folder: Path


@pytest.fixture(scope="module", params=SOURCES)
def case(request, tmp_path_factory):
    source = SOURCES[request.param]
    if source.needs and not (REAL / source.needs).is_dir():
        pytest.skip(f"the real recordings are not at {REAL / source.needs}")
    folder = tmp_path_factory.mktemp(request.param)
    source.make(folder / "log.h5")
    log = Log(folder / "log.h5", truth=True)
    run = untrained_run(log, dt=source.dt, context=source.context, horizon=source.horizon, phase_s=source.phase_s)
    return Case(source, log, run, Imaginer(run.model, 0), folder)


def altered(spec, samples, late):
    data = samples.data.copy()
    if spec.kind == "video":
        data[late] = 255 - data[late]
    elif spec.kind == "gps":
        data[late, :3] += (0.001, -0.002, 7.0)
    else:
        data[late] = 0.3 - 2 * data[late]
    return Samples(samples.time, data)


def dropped(spec, samples, late):
    return Samples(samples.time[~late], samples.data[~late])


def rewritten(log, path, at_s, change):
    """The log with every sample of every stream, and of the truth, changed that is stamped after `at_s`."""
    truths = [s.spec for s in log.episodes[0].truth.values()]
    with LogWriter(path, log.streams.values(), truth=truths, about=log.about) as writer:
        for e in log.episodes:
            parts = [
                {n: change(s.spec, Samples(s.time, s.data), s.time > at_s + ROUNDING_S) for n, s in group.items()}
                for group in (e.streams, e.truth)
            ]
            writer.append(parts[0], truth=parts[1], name=e.name, origin_utc=e.origin_utc, duration_s=e.duration_s)
    return Log(path)


@pytest.fixture(params=[0.0, 0.4], ids=["at a tick", "between ticks"])
def at_s(case, request):
    return case.source.at_s + request.param * case.source.dt


@pytest.fixture(params=[altered, dropped])
def other(case, at_s, request, tmp_path):
    return rewritten(case.log, tmp_path / "other.h5", at_s, request.param)


def windows_of(case, log):
    return Windows.of(log, case.run.layout, case.source.context, case.source.horizon)


def cut(case, log, tick, frames=()):
    return windows_of(case, log).cut(np.array([[0, tick]]), case.source.horizon, np.array([frames], int))


def samples(log):
    return sum(len(stream) for stream in log.episodes[0].streams.values())


def same(one, two):
    """Whether two records of arrays agree bit for bit."""
    for a, b in zip(one, two, strict=True):
        if isinstance(a, tuple):
            same(a, b)
        else:
            np.testing.assert_array_equal(a, b, strict=True)


def test_aligned_ticks_up_to_t(case, at_s, other):
    plain, changed = (windows_of(case, log).ticks[0] for log in (case.log, other))
    tick = round(case.run.layout.row(case.source.at_s))
    for name in ("values", "mask", "age_s", "frames"):
        same([getattr(plain, name)[: tick + 1]], [getattr(changed, name)[: tick + 1]])
    same([x[:tick] for x in plain.actions], [x[:tick] for x in changed.actions])
    ahead = slice(tick + 1, tick + 1 + case.source.horizon)
    for name, columns in case.run.layout.columns.items():
        assert plain.mask[ahead, columns].any(), name
        assert (plain.values[ahead, columns] != changed.values[ahead, columns]).any(), name
    moved = (plain.actions.values[ahead] != changed.actions.values[ahead]).any(0)
    assert moved.any() if samples(other) < samples(case.log) else moved.all()  # what is dropped may have been held


def test_the_context_at_t(case, at_s, other):
    tick = round(case.run.layout.row(case.source.at_s))
    asked = range(case.source.horizon)
    (context, future), (changed, ahead) = (cut(case, log, tick, asked) for log in (case.log, other))
    same(context, changed)
    assert all(context.mask[..., columns].any() for columns in case.run.layout.columns.values())
    for mask, frames, different in zip(context.frames_mask, future.frames, ahead.frames, strict=True):
        assert mask.all()
        assert (frames != different).any()
    assert (future.values != ahead.values).any()


@pytest.mark.parametrize("name", ["hold", "velocity", "linear", "dead_reckoning"])
def test_what_baselines_predict_at_t(case, at_s, other, name):
    if name not in case.run.baselines.names:
        pytest.skip("its streams tell no speed and no yaw rate")
    tick = round(case.run.layout.row(case.source.at_s))
    actions = cut(case, case.log, tick)[1].actions

    def predicted(log, k):
        return case.run.baselines.predict(name, cut(case, log, k)[0], actions)

    same([predicted(case.log, tick)], [predicted(other, tick)])
    assert (predicted(case.log, tick + 4) != predicted(other, tick + 4)).any()


def test_what_is_imagined_at_t_under_given_actions(case, at_s, other):
    """The whole of `imagine`, to the log's own units: sensors, latitudes and longitudes, and frames."""
    tick = round(case.run.layout.row(case.source.at_s))
    time = np.arange(case.source.horizon) * case.source.dt
    rng = np.random.default_rng(0)
    actions = {
        s.name: Samples(time, rng.normal(size=(len(time), len(s.columns)))) for s in case.run.layout.of_kind("action")
    }

    def imagined(log, k):
        return case.run.imagine(log, episode=0, at_s=case.run.layout.time_s(k), members=2, actions=actions).imagined

    plain, changed = imagined(case.log, tick), imagined(other, tick)
    assert plain.keys() == changed.keys() == case.log.streams.keys()
    for name in plain:
        same(plain[name], changed[name])
    plain, changed = imagined(case.log, tick + 4), imagined(other, tick + 4)
    assert all(
        (plain[s.name].data != changed[s.name].data).any() for s in case.run.layout.streams if s.kind != "action"
    )


def test_a_position_that_is_unknown_at_t_is_not_told_by_later_fixes(tmp_path):
    """No fix has come by t: what is imagined of GPS must not depend on where the first one will be."""
    at_s, seen, run = 2.0, [], None
    specs = [s for s in SPECS if s.kind != "video"]
    for shift in (0.0, 0.5):  # of the later fixes, in degrees: tens of kilometres
        streams = {s.name: episode(0)[s.name] for s in specs}
        time, fixes = streams["gps"]
        streams["gps"] = Samples(time[time > at_s], fixes[time > at_s] + (shift, shift, 0))
        with LogWriter(tmp_path / f"{shift}.h5", specs) as writer:
            writer.append(streams)
        log = Log(tmp_path / f"{shift}.h5")
        if run is None:
            run = untrained_run(log, dt=0.1, context=10, horizon=5)
        seen.append(run.imagine(log, episode=0, at_s=at_s, members=2).imagined["gps"].data)
    np.testing.assert_array_equal(*seen)


@pytest.fixture
def problem(case):
    return problem_of(windows_of(case, case.log), name="leaks", max_starts=6)


def predictors(case, problem):
    return [*rivals(case.run), Floor(problem.truth)]


class Peeks:
    """Repeats what came, from the answers that it was made with, or from the log by the start's name."""

    def __init__(self, problem, by_name):
        self.problem, self.by_name = problem, by_name

    def predict(self, asked):
        answers = self.problem.truth
        if not self.by_name:
            return Forecast({name: came.values for name, came in answers.recorded.items()})
        _, future = answers.windows.cut(asked.starts, asked.horizon)
        return Forecast(by_stream(asked.layout, future.values))


class Foresees:
    """Holds the command that leaves a tick for what is read there, or the one that led to it."""

    def __init__(self, led):
        self.led = led

    def predict(self, asked):
        (acted, *_), first = asked.actions.values(), asked.context.values.shape[1] - self.led
        told = acted[:, np.minimum(first + np.arange(asked.horizon), acted.shape[1] - 1), :1]
        return Forecast({n: np.repeat(told, past.shape[-1], -1) for n, past in asked.past.items()})


def test_no_baseline_looks_ahead_and_whoever_does_is_caught(case, problem):
    for predictor in predictors(case, problem):
        named = isinstance(predictor, Floor) and bool(predictor.predict(problem).mean)  # it looks starts up in the log
        assert future_leak(predictor, problem).passed != named
        assert estimate_leak(predictor, problem), predictor.name
    for by_name in (False, True):
        caught = future_leak(Peeks(problem, by_name), problem)
        assert not caught
        assert set(caught.moved) == {s.name for s in problem.readings}
        assert "Peeks depends on what came after the start" in caught.sentence
    kept = problem_of(windows_of(case, case.log), name="leaks", max_starts=6).truth.recorded
    for name, came in problem.truth.recorded.items():  # what was overwritten is back
        np.testing.assert_array_equal(came.values, kept[name].values)


def test_who_knows_what_is_commanded_afterwards_is_caught(case, problem):
    if not case.run.layout.actions:
        pytest.skip("nothing is commanded")
    assert estimate_leak(Foresees(led=True), problem)
    caught = estimate_leak(Foresees(led=False), problem)
    assert not caught
    assert "only afterwards" in caught.sentence
    assert action_use(Foresees(led=True), problem)
    for baseline in (p for p in rivals(case.run) if p.name in ("mean", "hold", "velocity")):
        assert not action_use(baseline, problem)


def test_the_floor_of_another_future_is_the_same(case, at_s, other):
    """It is made of a log, so the log is another one."""
    at = [case.source.at_s]
    known = Log(other.files[0], truth=True)
    one, two = (problem_of(windows_of(case, log), name="floor", at_s=at) for log in (case.log, known))
    two = dataclasses.replace(two, commands=one.commands)
    said = [Floor(p.truth).predict(p).mean for p in (one, two)]
    assert said[0].keys() == said[1].keys()
    for name in said[0]:
        np.testing.assert_allclose(said[0][name], said[1][name], atol=1e-6)


class Split(NamedTuple):
    """What a training run was given: arrays of the episodes that learn and of those that select."""

    learn: list[int]
    select: list[int]
    arrays: list[np.ndarray]


@pytest.fixture
def split(monkeypatch):
    """Prepares a training run up to its first step: `split(log, folder, **options)`."""
    given = {}

    class Held:
        def __init__(self, windows, *_):
            self.windows = given["select"] = windows

    def go_on(folder, settings, source, show):
        given["learn"] = source.batches.windows

    monkeypatch.setattr(trainer, "Selection", Held)
    monkeypatch.setattr(trainer, "go_on", go_on)
    monkeypatch.setattr(trainer, "load_run", lambda folder: None)

    def prepare(log, folder, **options):
        train([log], folder, preset="debug", progress=False, force=True, **options)
        arrays = [a for windows in given.values() for ticks in windows.ticks for a in ticks]
        for name in ("statistics.npz", "baselines.npz"):
            with np.load(folder / name) as file:
                arrays += [file[key] for key in file.files]
        return Split(given["learn"].episodes, given["select"].episodes, arrays)

    return prepare


COUNTER = (StreamSpec("x", "sensor", ("x",), ("m",), 10.0), StreamSpec("u", "action", ("u",), ("N",), 10.0))


def counters(path, episodes):
    rng = np.random.default_rng(0)
    with LogWriter(path, COUNTER) as writer:
        for _ in range(episodes):
            time = np.arange(12) / 10
            writer.append({s.name: Samples(time, rng.normal(size=(12, 1))) for s in COUNTER})
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.integers(2, 12), st.floats(0.01, 0.49))
def test_no_episode_is_on_both_sides_of_a_split(split, tmp_path_factory, seed, episodes, holdout):
    folder = tmp_path_factory.mktemp("split")
    log = counters(folder / "log.h5", episodes)
    found = split(log, folder / "run", seed=seed, holdout=holdout, context_s=0.3, horizon_s=0.2)
    assert set(found.learn) & set(found.select) == set()
    assert found.learn
    assert found.select
    kept = RunFolder(folder / "run").read_settings()
    assert (kept.learn, kept.select) == (found.learn, found.select)
    touched = set(found.learn) | set(found.select)
    assert set(kept.measure) == (set(range(episodes)) - touched if episodes > 2 else set(found.select))


def test_which_episodes_are_held_out_depends_on_the_seed(split, tmp_path):
    log = counters(tmp_path / "log.h5", 12)
    options = {"holdout": 0.3, "context_s": 0.3, "horizon_s": 0.2}
    chosen = [tuple(split(log, tmp_path / "run", seed=seed, **options).select) for seed in (0, 1, 2, 0)]
    assert len(set(chosen[:3])) > 1
    assert chosen[0] == chosen[3]
    assert all(len(held) == 4 for held in chosen)


def test_truth_changes_nothing_that_training_is_given(split, tmp_path):
    simulate("cartpole", tmp_path / "log.h5", episodes=3, seconds=2, progress=False)
    log = Log(tmp_path / "log.h5", truth=True)
    assert {"cart", "pole", "state"} <= log.episodes[0].truth.keys()
    truths = [s.spec for s in log.episodes[0].truth.values()]
    with LogWriter(tmp_path / "lies.h5", log.streams.values(), truth=truths, about=log.about) as writer:
        for e in log.episodes:
            seen = {n: Samples(s.time, s.data) for n, s in e.streams.items()}
            lies = {n: Samples(s.time, s.data * 3 + 1) for n, s in e.truth.items()}
            writer.append(seen, truth=lies, name=e.name, duration_s=e.duration_s)
    one, two = (
        split(tmp_path / name, tmp_path / "run", context_s=0.4, horizon_s=0.4) for name in ("log.h5", "lies.h5")
    )
    same(one.arrays, two.arrays)


def test_truth_is_not_shown_unless_asked_for(tmp_path):
    simulate("cartpole", tmp_path / "log.h5", episodes=1, seconds=1, progress=False)
    log = Log(tmp_path / "log.h5")
    assert not log.has_truth
    assert "state" not in log.streams
    assert "state" not in log.episodes[0].streams
    with pytest.raises(WorldModelError, match=r"without its truth[\s\S]*truth=True"):
        _ = log.episodes[0].truth
    assert isinstance(Log(tmp_path / "log.h5", truth=True).episodes[0].truth, dict)


def reaches_truth(source):
    """What in a source asks a log for its truth: `Log(..., truth=...)`, `align(..., truth)`, `.truth`, `._truth`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).split(".")[-1]
            hidden = len(node.args) > {"Log": 1, "align": 2}.get(name, 99)  # `align` takes it by position too
            hidden |= name in ("Log", "align") and any(k.arg is None for k in node.keywords)
            found += [ast.unparse(node)] if hidden or any(k.arg == "truth" for k in node.keywords) else []
        if isinstance(node, ast.Attribute) and node.attr in ("truth", "_truth", "TRUTH", "has_truth"):
            found.append(ast.unparse(node))
        if isinstance(node, ast.Constant) and node.value == "truth":
            found.append(repr(node.value))
    return found


@pytest.mark.parametrize("part", ["models", "training", "imagine", "logs/windows.py", "logs/dataset.py"])
def test_nothing_that_trains_or_imagines_asks_for_truth(part):
    files = sorted((LIBRARY / part).rglob("*.py")) if (LIBRARY / part).is_dir() else [LIBRARY / part]
    assert files
    assert {file.name: found for file in files if (found := reaches_truth(file.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "Log(path, truth=True)",
        "reader.Log(path, truth=wanted)",
        "align(episode, layout, True)",
        "align(episode, layout, truth=True)",
        "log.episodes[0].truth['state']",
        "episode._truth",
        "file['truth']",
        "Log(path, **options)",
    ],
)
def test_asking_for_truth_is_seen(source):
    assert reaches_truth(source)


def test_the_only_way_to_truth_is_the_one_that_is_searched_for():
    """`Episode` shows truth under one name; another would slip through the search."""
    shown = {name for name in dir(Episode) if not name.startswith("__")}
    assert shown - {"plot", "to_frame", "_repr_html_"} == {"truth", "sha256"}  # and the hash leaves truth out

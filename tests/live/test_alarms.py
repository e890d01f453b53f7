"""Alarms go off as often as was asked for on a machine without faults, and at once when a sensor is wrong."""

import dataclasses

import numpy as np
import pytest
from rich.console import Console

from tests.oscillator import SPECS, write_log
from worldmodel.errors import WorldModelError
from worldmodel.imagine.forecaster import Forecasted, Foreseer
from worldmodel.live import Live, Watch
from worldmodel.live.alarms import Errors, limit, runs
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.experts.reach import labels

LAYOUT = TickLayout(0.05, tuple(s for s in SPECS if s.name in ("position", "velocity", "force")))
CONTEXT, LOOK = 10, 2


class Holding(Foreseer):
    """Foresees that all stays as it is, and a force above 100 N is strange."""

    names = ()

    def futures(self, context, actions, ticks, members) -> Forecasted:
        last = np.repeat(context.values[:, -1:], actions.values.shape[1], 1)
        noise = 0.2 * np.random.default_rng(0).normal(size=(members, *last.shape[1:]))
        outside = np.zeros((*last.shape[:2], len(labels(LAYOUT))))
        outside[..., -1] = np.maximum(actions.values.max((1, 2)) - 100, 0)[:, None]
        return Forecasted(last, last[:, None] + noise, [], np.zeros((0, *last.shape)), outside)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 5, seconds=8.0))


@pytest.fixture(scope="module")
def watch(log):
    windows = Windows.of(log, LAYOUT, CONTEXT, LOOK, [1, 2, 3, 4])
    return Watch.of(Holding(), windows, np.full(LAYOUT.size, 0.1), 1.0)


def live_on(log, watch, *, spoilt=None):
    """After 4 s of the first episode; `spoilt(name, time, value)` may change a sample."""
    live = Live(Holding(), LAYOUT, CONTEXT, lambda *_: 1, 0.0, watch=watch)
    streams = log.episodes[0].streams
    samples = [(t, s.name, v) for s in LAYOUT.streams for t, v in zip(*streams[s.name][:4.0], strict=True)]
    for time, name, value in sorted(samples, key=lambda sample: sample[0]):
        live.push(name, time, spoilt(name, time, value) if spoilt else value)
    return live


def test_a_sound_machine_surprises_nobody(log, watch):
    alarms = live_on(log, watch).alarms
    assert set(alarms.surprise) == {"position", "velocity", "together"}
    assert not alarms.surprised
    assert not alarms.on_unfamiliar_ground
    assert alarms.at_s == pytest.approx(3.95)


def test_a_sensor_that_jumps_is_named(log, watch):
    def jump(name, time, value):
        return value + 20 * (name == "velocity" and time > 3.9)

    alarms = live_on(log, watch, spoilt=jump).alarms
    assert alarms.surprise["velocity"] > 1 > alarms.surprise["position"]
    assert alarms.surprised


def test_a_command_that_was_never_given_is_unfamiliar(log, watch):
    alarms = live_on(log, watch, spoilt=lambda name, time, value: value + 200 * (name == "force")).alarms
    assert alarms.on_unfamiliar_ground
    assert list(alarms.unfamiliar) == ["force.f"]


def test_a_window_is_judged_live_as_in_the_log(log, watch):
    windows = Windows.of(log, LAYOUT, CONTEXT, LOOK, [0])
    context, future = windows.cut(np.array([[0, 79 - LOOK]]), LOOK)
    assert watch.judge(3.95, context, future) == live_on(log, watch).alarms


def test_no_alarm_is_missed_between_two_looks(log, watch):
    def jump(name, time, value):
        return value + 20 * (name == "velocity" and 3.645 < time < 3.655)

    live = live_on(log, watch, spoilt=jump)
    assert not live.alarms.surprised  # at the newest tick it is over
    seen = live.alarms_since(3.5)
    np.testing.assert_allclose([each.at_s for each in seen], np.arange(3.55, 3.96, 0.05))
    assert next(each.at_s for each in seen if each.surprised) == pytest.approx(3.65)
    assert seen[-1] == live.alarms
    assert live.alarms_since(seen[-1].at_s) == [live.alarms]
    assert len(live.alarms_since(-np.inf)) == CONTEXT + 1
    with pytest.raises(WorldModelError, match="no moment"):
        live.alarms_since(np.nan)


def test_what_is_pushed_meanwhile_changes_no_alarm(log, watch):
    """It has older ticks forgotten, which were then judged as if nothing had been read."""
    told = live_on(log, watch).alarms_since(-np.inf)

    @dataclasses.dataclass(frozen=True)
    class Slow(Watch):
        def judge(self, at_s, context, future):
            for spec in LAYOUT.streams:
                live.push(spec.name, live.belief.at_s + 0.5, np.zeros(spec.sample_shape))
            return super().judge(at_s, context, future)

    live = live_on(log, Slow(**vars(watch)))
    assert live.alarms_since(-np.inf) == told


def test_nobody_watches_unless_asked_to(log):
    with pytest.raises(WorldModelError, match="Nobody watches"):
        _ = live_on(log, None).alarms
    with pytest.raises(WorldModelError, match="rate of false alarms"):
        Watch.of(Holding(), Windows.of(log, LAYOUT, CONTEXT, LOOK, [0]), np.ones(LAYOUT.size), 0.0)


@pytest.mark.parametrize("per_hour", [2.0, 30.0])
def test_a_limit_is_passed_as_often_as_asked_for(per_hour):
    rng = np.random.default_rng(0)
    learned, other = (rng.pareto(3.0, size=200_000) for _ in range(2))
    group = np.zeros(len(learned), int)
    level = limit(learned, group, 10, 0.1, per_hour)
    hours = len(other) * 0.1 / 3600
    assert (runs(other, group, 10) > level).sum() / hours == pytest.approx(per_hour, rel=0.6)


def test_what_was_never_counted_is_extrapolated():
    scores = 1 + np.random.default_rng(1).pareto(3.0, size=200_000)
    few, all_of_them = (limit(x, np.zeros(len(x), int), 10, 0.1, 1.0) for x in (scores[:5000], scores))
    assert few == pytest.approx(all_of_them, rel=0.7)


class Beside(Holding):
    """With an expert beside the blend that foresees the same, but for noise."""

    names = ("linear",)

    def alone(self, name, context, actions):
        last = self.futures(context, actions, (), 1).clean
        return last + 0.05 * np.random.default_rng(len(last)).normal(size=last.shape)


def test_streams_that_go_apart_are_told_together():
    """Each alone is as usual, but they always moved as one."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=(2000, 1))
    expected = Errors.of(np.concatenate([one, one + 0.1 * rng.normal(size=one.shape)], 1), np.zeros(2))
    apart, usual = expected.score(np.array([[1.0, -1.0], [1.0, 1.0]]))
    assert apart > 50 * usual


def test_the_steady_expert_is_a_witness(log):
    """A fault that the blend follows, so that its own errors stay small, is told by the other's."""
    windows = Windows.of(log, LAYOUT, CONTEXT, LOOK, [1, 2, 3, 4])
    watch = Watch.of(Beside(), windows, np.full(LAYOUT.size, 0.1), 1.0)
    assert len(watch.levels) == 2 + 2  # by stream, and together as each witness has it
    sound = watch.scores_of(windows)[0].max(1) / watch.surprise_limit
    assert (sound > 1).mean() < 0.01
    context, future = windows.cut(np.array([[0, 50]]), LOOK)
    moved = dataclasses.replace(watch, forecaster=Moved())
    assert watch.judge(0.0, context, future).surprise["together"] < 1
    assert moved.judge(0.0, context, future).surprise["together"] > 1


class Moved(Beside):
    """The expert is off, the blend is not."""

    def alone(self, name, context, actions):
        return super().alone(name, context, actions) + 10.0


def test_who_learns_what_is_usual_may_be_watched(log, monkeypatch, capsys):
    monkeypatch.setattr("worldmodel.terminal.Console", lambda **given: Console(**given, force_terminal=True))
    windows = Windows.of(log, LAYOUT, CONTEXT, LOOK, [1])
    for progress in (False, True):
        Watch.of(Holding(), windows, np.full(LAYOUT.size, 0.1), 1.0, progress)
        assert ("learning what is usual" in capsys.readouterr().err) == progress

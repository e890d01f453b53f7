"""A compiled team says what its experts say in numpy."""

import copy
import dataclasses
import threading

import jax
import numpy as np
import pytest

from tests.oscillator import SPECS, write_log
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.experts import compiled
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.compiled import Compiled
from worldmodel.models.experts.left_out import ask, measured
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.rich import fit_quick
from worldmodel.models.experts.team import Team
from worldmodel.training.data import measure_scaling

DT, C, H = 0.1, 6, 3


class Still:
    """An expert that is written for numpy alone."""

    name = "still"

    def predict(self, view):
        ahead = np.repeat(view.held[:, -1:], view.horizon, 1) + np.arange(view.horizon)[:, None]
        assert isinstance(ahead, np.ndarray)
        return np.where(np.arange(ahead.shape[-1]) == 0, ahead, np.nan)


class Racing:
    """An expert that goes ever farther."""

    name = "racing"

    def predict(self, view):
        return np.repeat(view.held[:, -1:], view.horizon, 1) + 5.0 * np.arange(1, view.horizon + 1)[:, None]


def racing(team):
    """All but the first, which names the mean."""
    return dataclasses.replace(team, experts=(team.experts[0], *(Racing() for _ in team.experts[1:])))


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    log = Log(write_log(tmp_path_factory.mktemp("compiled") / "log.h5", episodes=2))
    return Windows.of(log, TickLayout(DT, tuple(s for s in SPECS if s.name in ("position", "gps", "force"))), C, H)


@pytest.fixture(scope="module")
def team(windows):
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    lens, starts = baselines.lens, windows.starts().thinned()
    before, after = closed(baselines, ["mean", "hold"]), closed(baselines, ["velocity", "linear", "dead_reckoning"])
    experts = [*before, Still(), *after, *fit_quick(lens.examples(windows, starts), lens)]  # and between others
    left_out = measured(experts, lens, windows, starts, starts[:, 0])
    return Team.of(lens, tuple(experts), C, H, left_out, Reach.over(lens, [windows]))


def test_it_foresees_what_the_team_does(windows, team):
    program, rng = Compiled(team), np.random.default_rng(0)
    for tick, gaps in ((10, 0.0), (21, 0.3), (30, 0.9)):  # one program for all
        context, future = windows.cut(np.array([[0, tick]]), H)
        mask = context.mask & (rng.uniform(size=context.mask.shape) >= gaps)
        context = context._replace(mask=mask, values=np.where(mask, context.values, 0))
        asked = context, future.actions, None, team.blend.drawn(1, 5, tick)
        for one, two in zip(program.foresee(*asked), team.foresee(*asked), strict=True):
            assert one.dtype == two.dtype
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)  # single precision, where it is turned
    assert len(program._answered._made) == 1


def test_beside_a_network_it_foresees_what_the_team_does(windows, team):
    held = np.ones((3, *team.blend.usual.shape[1:]))
    both = team.with_network(1e-6 * held, held, groups=3)
    context, future = windows.cut(np.array([[0, 21]]), H)
    chosen = both.blend.drawn(1, 5, 0)
    said = 1.1 * team.foresee(context, future.actions, None, chosen).mean
    network = np.repeat(said[:, None], 4, 1).astype(np.float32)
    found = Compiled(both).foresee(context, future.actions, jax.numpy.asarray(network), chosen)
    for one, two in zip(found, compiled.foresee_in_numpy(both, context, future.actions, network, chosen), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)  # the network is of single precision
    assert (np.asarray(found.weights)[-1] > 0.1).any()


def test_meanwhile_the_team_answers_until_a_program_is_made(windows, team, monkeypatch):
    begin, made = threading.Event(), []

    class Slow:
        def __init__(self, team):
            self.team = team

        def foresee(self, *asked):
            assert begin.wait(60)
            made.append(threading.current_thread())
            found = self.team.foresee(*asked)
            return found._replace(mean=np.full_like(found.mean, 7.0))

    monkeypatch.setattr(compiled, "Compiled", Slow)
    prepared = compiled.Meanwhile(team)
    context, future = windows.cut(np.array([[0, 20]]), H)
    asked, more = ((context, future.actions, None, team.blend.drawn(1, count, 0)) for count in (5, 6))
    expected = team.foresee(*asked).mean
    for _ in range(3):
        np.testing.assert_array_equal(prepared.foresee(*asked).mean, expected)
    np.testing.assert_array_equal(prepared.foresee(*more).mean, expected)  # of another shape: it has to wait its turn
    begin.set()
    prepared._maker.shutdown(wait=True)
    assert made[0] is not threading.current_thread()
    assert (prepared.foresee(*asked).mean == 7.0).all()
    assert len(made) == 2


def test_where_no_program_can_be_made_the_team_answers_and_it_is_told_once(windows, team, monkeypatch):
    class Broken:
        def __init__(self, team):
            pass

        def foresee(self, *asked):
            raise MemoryError("no room")

    monkeypatch.setattr(compiled, "Compiled", Broken)
    prepared = compiled.Meanwhile(team)
    context, future = windows.cut(np.array([[0, 20]]), H)
    asked = context, future.actions, None, team.blend.drawn(1, 5, 0)

    def ask_again():
        for _ in range(3):
            np.testing.assert_array_equal(prepared.foresee(*asked).mean, team.foresee(*asked).mean)
            prepared._maker.submit(lambda: None).result()

    with pytest.warns(RuntimeWarning, match="slower: no room") as told:
        ask_again()
    assert len(told) == 1


def test_one_program_is_for_all_horizons_up_to_a_power_of_two(windows, team):
    """Commands that are outside what was trained on tell the same, however long a program goes on."""
    prepared = compiled.Meanwhile(team)
    for horizon in (3, 4, 3):
        context, future = windows.cut(np.array([[0, 20]]), horizon)
        actions = future.actions._replace(values=future.actions.values * np.arange(horizon)[:, None] * 9)
        asked = context, actions, None, team.blend.drawn(1, 5, 0)
        prepared._maker.submit(lambda: None).result()  # programs are made
        for one, two in zip(prepared.foresee(*asked), team.foresee(*asked), strict=True):
            assert one.shape == two.shape
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)
    assert len(prepared._made) == 1
    assert len(prepared.compiled._answered._made) == 1


def test_what_lies_outside_is_told_of_the_ticks_that_were_asked_for(windows, team):
    """Not of those that a program goes on for."""
    prepared = compiled.Meanwhile(racing(team))
    context, future = windows.cut(np.array([[0, 20]]), 5)
    asked = context, future.actions, None, team.blend.drawn(1, 5, 0)
    plain = prepared.foresee(*asked).outside
    prepared._maker.submit(lambda: None).result()
    assert len(prepared.compiled._answered._made) == 1
    np.testing.assert_allclose(prepared.foresee(*asked).outside, plain, rtol=1e-6, atol=1e-6)


def test_a_way_lies_outside_only_within_the_horizon_that_was_learned(windows, team):
    """It has no end: farther on, all that moves would have left what it was read to be."""
    way = np.append(windows.layout.relative[windows.layout.newest], np.zeros(len(team.lens.action_mean), bool))
    context, future = windows.cut(np.array([[0, 10]]), 12 * H)
    found = racing(team).foresee(context, future.actions, None, team.blend.drawn(1, 5, 0)).outside[0]
    assert (np.diff(found[:H, way], axis=0) > 0).any()
    np.testing.assert_array_equal(found[H:, way], np.broadcast_to(found[H - 1, way], found[H:, way].shape))


def test_a_linear_expert_that_explodes_is_held_back_compiled_and_not(windows, team):
    """Not of ways, which have no end."""
    lens, (linear,) = team.lens, (i for i, expert in enumerate(team.experts) if expert.name == "ridge")
    broken = copy.deepcopy(team.experts[linear])
    broken.direct.weights = broken.direct.weights * 1e6
    experts = (*team.experts[:linear], broken, *team.experts[linear + 1 :])
    wild = dataclasses.replace(team, experts=experts)
    context, future = windows.cut(np.array([[0, 20]]), H)
    asked = wild.asked(context, future.actions)
    now, reach = asked.view.held[:, -1], wild.reach
    most = 3 * np.maximum(reach.high - reach.low, 1)
    low, high = np.minimum(reach.low, now) - most, np.maximum(reach.high, now) + most
    way, raw = lens.layout.relative[lens.layout.newest], ask(experts, lens, asked).ahead[linear]
    said = wild.answer(asked).ahead[linear]
    assert (np.abs(raw) > 1e3).any((0, 1)).all()
    assert ((said >= low) & (said <= high))[..., ~way].all()
    np.testing.assert_array_equal(said[..., way], raw[..., way])
    weights = np.zeros_like(wild.blend.usual) + 1e6
    weights[linear] = 1.0
    alone = dataclasses.replace(wild, blend=dataclasses.replace(wild.blend, usual=weights))
    chosen = alone.blend.drawn(1, 2, 0)
    found = Compiled(alone).foresee(context, future.actions, None, chosen)
    np.testing.assert_allclose(found.mean, alone.foresee(context, future.actions, None, chosen).mean, rtol=1e-6)

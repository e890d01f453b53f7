"""Random actions visit all that is allowed, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from worldmodel.simulate.excitation import random_actions
from worldmodel.simulate.scene import Excitation

DT = 0.05


@st.composite
def excitations(draw):
    low = np.array(draw(st.lists(st.floats(-100, 100), min_size=1, max_size=3)))
    span = np.array(draw(st.lists(st.floats(0, 50), min_size=len(low), max_size=len(low))))
    hold = sorted(draw(st.tuples(st.floats(0.01, 1.0), st.floats(0.01, 1.0))))
    return Excitation(low, low + span, tuple(hold), draw(st.sampled_from([0.0, 0.01, 0.3])))


@given(excitations(), st.integers(0, 2**32), st.integers(1, 2000))
@settings(deadline=None)
def test_no_action_leaves_its_range(excitation, seed, count):
    actions = random_actions(excitation, np.arange(count) * DT, np.random.default_rng(seed))
    assert actions.shape == (count, len(excitation.low))
    tolerance = 1e-9 * (1 + np.abs(excitation.low) + np.abs(excitation.high))
    assert (actions >= excitation.low - tolerance).all()
    assert (actions <= excitation.high + tolerance).all()


@given(excitations(), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_both_ends_of_every_range_are_visited(excitation, seed):
    """Of 600 targets, none falls into a given twentieth of the range once in 10^13 seeds; a lag keeps a little away."""
    times = np.arange(round(600 * excitation.hold_s[1] / DT)) * DT
    actions = random_actions(excitation, times, np.random.default_rng(seed))
    reached = 1 - np.exp(-max(excitation.hold_s[0], DT) / excitation.smooth_s) if excitation.smooth_s else 1.0
    if reached < 0.9:
        return
    span = excitation.high - excitation.low
    assert (actions.min(0) <= excitation.low + 0.05 * span + (1 - reached) * span + 1e-9).all()
    assert (actions.max(0) >= excitation.high - 0.05 * span - (1 - reached) * span - 1e-9).all()


def test_targets_are_uniform_and_hold_as_long_as_they_should():
    excitation = Excitation(np.array([-1.0, 5.0]), np.array([3.0, 6.0]), (0.2, 0.7), 0.0)
    actions = random_actions(excitation, np.arange(40_000) * 0.01, np.random.default_rng(0))
    for column, low, high in zip(actions.T, excitation.low, excitation.high, strict=True):
        changes = np.flatnonzero(np.diff(column)) + 1
        holds = np.diff(changes) * 0.01
        assert 0.2 - 0.011 < holds.min() < 0.23
        assert 0.67 < holds.max() < 0.7 + 0.011
        assert kstest(column[changes], "uniform", (low, high - low)).pvalue > 0.01
    together = (np.diff(actions, axis=0) != 0).all(1).sum()
    assert together < 0.1 * len(changes), "each column has targets of its own"


def test_the_approach_is_a_first_order_lag():
    """After a target has held for one time constant, 63 % of the way to it is done."""
    excitation = Excitation(np.array([0.0]), np.array([1.0]), (3.0, 3.0), 0.5)
    smooth = random_actions(excitation, np.arange(3000) * 0.01, np.random.default_rng(1))[:, 0]
    steps = random_actions(
        Excitation(excitation.low, excitation.high, (3.0, 3.0), 0.0), np.arange(3000) * 0.01, np.random.default_rng(1)
    )[:, 0]
    for change in np.flatnonzero(np.diff(steps)) + 1:
        before, target = smooth[change - 1], steps[change]
        assert (smooth[change + 49] - before) / (target - before) == pytest.approx(1 - np.exp(-1), abs=1e-9)
        assert smooth[change + 290] == pytest.approx(target, abs=0.01)

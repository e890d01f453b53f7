"""What commands do that nobody ever gave is unknown, and members say so."""

import numpy as np
import pytest

from tests.models.test_baselines import LENS, A, C, Y, commands
from worldmodel.imagine.forecaster import Forecaster
from worldmodel.logs.windows import Context
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.team import Team

H, K, GAIN = 4, 400, np.array([1.0, 0.0, -2.0])


class Gains:
    """What the first command does to each column, and no more."""

    name = "linear"

    def predict(self, view):
        return view.ahead[..., :1] * GAIN + np.zeros(Y)


@pytest.fixture
def forecaster():
    blend = Blend(np.ones((1, H, Y)), np.ones((1, 0, 1)), np.zeros(0, int), np.zeros(Y, int), np.zeros((0, H, Y)))
    ends = [sign * np.ones(count) for count in (Y, A) for sign in (-9.0, 9.0)]
    ends[2:] = [-np.ones(A), np.ones(A)]
    return Forecaster(Team(LENS, (Gains(),), C, H, blend, Reach(*ends)), None)


def asked(led):
    """Two windows, of which the second is led by so many deviations of the first command."""
    context = Context(
        np.tile(LENS.mean, (2, C, 1)), np.ones((2, C, Y), bool), np.zeros((2, C, 1)), commands(np.zeros((2, C - 1, A))),
        (), (),
    )  # fmt: skip
    given = np.tile(LENS.action_mean, (2, H, 1))
    given[1, :, 0] += led * LENS.action_std[0]
    return context, commands(given)


def deviations(forecaster, led):
    """Of members in each window and column, and how far their mean is off, in deviations of the readings."""
    found = forecaster.futures(*asked(led), (), K)
    read = (found.read - found.clean[:, None]) / LENS.std
    np.testing.assert_allclose(read.mean(1), 0, atol=1e-9)
    return read.std(1)[:, -1]


@pytest.mark.parametrize("beyond", [0.5, 2.0, -3.0])
def test_members_differ_by_half_of_what_a_command_does_beyond_all_that_was_commanded(forecaster, beyond):
    found = deviations(forecaster, np.sign(beyond) + beyond)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_allclose(found[1], 0.5 * np.abs(beyond * GAIN), rtol=0.1)


def test_within_what_was_commanded_there_is_no_doubt(forecaster):
    for led in (0.0, 1.0, -1.0, 1.05):  # the last one as far outside as readings are noisy
        assert (deviations(forecaster, led) == 0).all()


def test_experts_are_asked_once_of_what_is_commanded_and_once_of_what_lies_within(forecaster, monkeypatch):
    led, predict = [], Gains.predict
    monkeypatch.setattr(Gains, "predict", lambda self, view: led.append(view.ahead.max()) or predict(self, view))
    deviations(forecaster, 3.0)
    now = led[::2]  # and each time of earlier moments
    assert now == pytest.approx([3.0, 1.0])


def test_a_window_has_the_members_that_it_has_alone(forecaster):
    context, actions = asked(3.0)
    both = forecaster.blended(context, actions, None, K, [4, 7])
    one = [x[1:] for x in context[:3]]
    alone = Context(*one, type(actions)(*(x[1:] for x in context.actions)), (), ())
    found = forecaster.blended(alone, type(actions)(*(x[1:] for x in actions)), None, K, [7])
    np.testing.assert_array_equal(found.read[0], both.read[1])

"""What a fit rests on: derivatives that no jump can feign, and uncertainty that recordings disagree by."""

from types import SimpleNamespace

import numpy as np
import pytest

from worldmodel.simulate.identification.fitting import _fit_of, _Linear, _Shooting

WINDOWS, READ = 40, 3


class Jumping:
    """Windows in which each reading errs by the number that is fitted; in one it jumps where the number is positive."""

    columns, noise = 1, np.ones(READ)
    begin = SimpleNamespace(std=np.ones(1))

    def __init__(self, rows=range(WINDOWS)):
        self.rows = np.array(rows)

    def __len__(self):
        return len(self.rows)

    def take(self, rows):
        return Jumping(self.rows[rows])

    def predict(self, machine, moved):
        jump = (self.rows == 7) * (machine > 0)
        return np.tile((machine + jump + moved[:, 0])[:, None], (1, READ)), np.ones(len(self), bool)

    def errors(self, predicted):
        return predicted


@pytest.mark.parametrize("least", [-np.inf, 0.0], ids=["free", "at its bound"])
def test_a_jump_is_no_derivative(least):
    parameters = SimpleNamespace(machine=lambda z: float(z[0]), least=np.array([least]))
    start = np.array([0.0 if least else 1e-5])  # at the bound the other try is a shorter step the same way
    shooting = _Shooting(parameters, Jumping(), 1.0)
    moved = np.zeros((WINDOWS, 1))
    error, _ = shooting.errors(parameters.machine(start), moved)
    slope, sound = shooting._slope(start, 0, moved, error, np.ones_like(error))
    assert sound.all()
    np.testing.assert_allclose(slope, 1.0, rtol=1e-6)


def test_the_covariance_is_that_of_the_recordings_mean():
    """Recordings that each say a number of their own: the error of their mean, beside a prior that hardly counts."""
    rng, recordings, each, precision = np.random.default_rng(0), 12, 5, 1e4
    said = rng.normal(0, 0.1, recordings)
    z = np.array([said.mean()])
    starts = np.stack([np.repeat(np.arange(recordings), each), np.zeros(recordings * each)], 1)
    pulls = precision * (z[0] - np.repeat(said, each))[:, None]
    curvatures, squared = np.full((len(starts), 1, 1), precision), (pulls**2 / precision)[:, 0]
    linear = _Linear(
        pulls.sum(0), curvatures.sum(0), lambda step: step, pulls, curvatures, squared, np.ones(len(starts), bool),
        np.ones(1),
    )  # fmt: skip
    found = _fit_of(linear, z, SimpleNamespace(starts=starts))
    expected = said.std(ddof=1) / np.sqrt(recordings)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(expected, rel=0.02)
    assert found.share[0] > 0.999
    # each of them is 12/11 times as far from the mean of the others as from that of all
    assert found.optimism == pytest.approx((recordings / (recordings - 1)) ** 2, rel=1e-3)

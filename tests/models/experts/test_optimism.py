"""An expert that learned from left-out windows is taken at what it errs in those that it did not learn from."""

import numpy as np
import pytest

from tests.models.experts.test_blend import HORIZONS, STREAM_OF, E, H, N, S, Y, left_out
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.optimism import corrected, optimism

EPISODES, OWN = 8, 1
EPISODE = np.arange(N) % EPISODES


def flattered(learned, times, seed=0):
    """Two experts, of which the second errs a number of times less, in squares, where it learned."""
    data = left_out([1.0, 1.0], seed=seed, episodes=EPISODES, within=np.ones((2, N, E, S)))
    rows = np.isin(EPISODE, learned)
    ahead, within = data.ahead.copy(), data.within.copy()
    ahead[OWN] = data.came + np.random.default_rng(seed + 1).choice([-1.0, 1.0], size=(N, H, Y))
    ahead[0] = data.came + np.random.default_rng(seed + 2).choice([-1.0, 1.0], size=(N, H, Y))
    honest = data._replace(ahead=ahead)
    ahead, within = ahead.copy(), within.copy()
    ahead[OWN, rows] = data.came[rows] + (ahead[OWN, rows] - data.came[rows]) / np.sqrt(times)
    within[OWN, rows] /= times
    return honest, honest._replace(ahead=ahead, within=within), rows


def usual(data):
    return Blend.fit(data, HORIZONS, STREAM_OF).usual


@pytest.mark.parametrize("learned", [[0, 1, 2, 3], list(range(7))])
def test_what_others_tell_of_the_windows_that_it_did_not_learn_from_counts_in_all(learned):
    honest, data, rows = flattered(learned, 5.0)
    more = optimism(data, OWN, rows, 5.0, STREAM_OF)
    np.testing.assert_allclose(more, 5.0, rtol=0.1)
    mended = corrected(data, OWN, rows, more, HORIZONS, STREAM_OF)
    np.testing.assert_allclose(usual(mended)[OWN], usual(honest)[OWN], rtol=0.1)
    assert (usual(data)[OWN] < 0.5 * usual(honest)[OWN]).all()
    np.testing.assert_allclose(mended.within[OWN], honest.within[OWN], rtol=0.1)
    np.testing.assert_array_equal(mended.ahead[0], data.ahead[0])
    np.testing.assert_array_equal(mended.ahead[OWN, ~rows], data.ahead[OWN, ~rows])


def test_each_episode_tells_once():
    """Those that it did not learn from, and by what its fit says, those that it learned from."""
    _, data, rows = flattered(list(range(6)), 9.0)
    more = optimism(data, OWN, rows, 4.0, STREAM_OF)
    np.testing.assert_allclose(more, 4.0**0.75 * 9.0**0.25, rtol=0.1)


def test_the_fit_tells_alone_of_an_expert_that_learned_from_all():
    _, data, rows = flattered(list(range(8)), 9.0)
    assert rows.all()
    np.testing.assert_allclose(optimism(data, OWN, rows, 4.0, STREAM_OF), 4.0)


def test_who_does_better_where_it_did_not_learn_gains_nothing():
    _, data, rows = flattered([0, 1, 2, 3], 0.1)
    np.testing.assert_array_equal(optimism(data, OWN, rows, 1.0, STREAM_OF), 1.0)


def test_hard_episodes_tell_nothing_of_it():
    _, data, rows = flattered([0, 1, 2, 3], 1.0)
    hard = np.where(rows, 1.0, 10.0)[:, None, None]
    data = data._replace(ahead=data.came + hard * (data.ahead - data.came))
    np.testing.assert_allclose(optimism(data, OWN, rows, 1.0, STREAM_OF), 1.0, rtol=0.1)


def test_errors_grow_at_the_times_of_samples_that_are_older_than_their_tick_and_rare():
    rng = np.random.default_rng(3)
    came = np.cumsum(rng.normal(size=(N, H, Y)), 1)
    mask = np.tile((np.arange(H) % 2 == 1)[:, None], (N, 1, Y))
    data = left_out([0.0, 0.0])._replace(came=came, mask=mask, age=np.full((N, H, Y), 0.4))
    drift = rng.normal(size=(N, 1, Y)) * np.ones((H, 1))
    data = data._replace(ahead=np.stack([came + 1, came + drift]))
    more = np.full((H, Y), 4.0)
    mended = corrected(data, OWN, np.ones(N, bool), more, HORIZONS, STREAM_OF)
    before, after = (x.squared_errors(x.ahead)[OWN] for x in (data, mended))
    constant = data._replace(came=np.zeros_like(came), ahead=np.stack([0 * came, drift]))
    told = corrected(constant, OWN, np.ones(N, bool), more, HORIZONS, STREAM_OF)
    np.testing.assert_allclose(told.ahead[OWN], 2 * drift)  # at ticks without a sample, too
    assert np.nanmean(after) > 2 * np.nanmean(before)

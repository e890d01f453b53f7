"""Metrics against plain loops and closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from worldmodel.validate.metrics import Bootstrap, covered, crps, distance_travelled, psnr, rms, ssim

W, H, S = 7, 4, 3


def one_column(squares, mask):
    """Sums and counts [W, H, 1] of single readings."""
    return np.where(mask, squares, 0)[..., None], mask[..., None].astype(float)


def test_rms_counts_what_the_mask_shows():
    rng = np.random.default_rng(0)
    errors, mask = rng.normal(size=(W, H, S)), rng.uniform(size=(W, H, S)) < 0.5
    errors[~mask] = np.nan
    mask[:, 1, 2] = False
    for axis in (0, (0, 1)):
        result = rms(errors, mask, axis)
        for place in np.ndindex(result.shape):
            pick = (slice(None), *place) if axis == 0 else (slice(None), slice(None), *place)
            there = [e for e, m in zip(errors[pick].ravel(), mask[pick].ravel(), strict=True) if m]
            expected = np.sqrt(sum(e * e for e in there) / len(there)) if there else np.nan
            assert result[place] == pytest.approx(expected, nan_ok=True)
    assert np.isnan(rms(errors, mask, 0)[1, 2])


@pytest.mark.parametrize("distance", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("members", [2, 32])
def test_crps_expects_the_closed_form_of_a_gaussian(distance, members):
    """Gneiting & Raftery 2007, whatever the number of members, in the readings' unit (here a deviation of 3)."""
    rng = np.random.default_rng(members)
    errors = 3 * (rng.normal(size=(20_000, members, 1, 1)) - distance)
    closed = 3 * (distance * (2 * norm.cdf(distance) - 1) + 2 * norm.pdf(distance) - 1 / np.sqrt(np.pi))
    assert crps(errors).mean() == pytest.approx(closed, abs=0.05)


def test_crps_of_one_member_is_its_distance():
    errors = np.random.default_rng(0).normal(size=(W, 1, H, S))
    np.testing.assert_allclose(crps(errors), np.abs(errors[:, 0]))


@pytest.mark.parametrize(("level", "low", "high"), [(0.9, 5, 95), (0.5, 25, 75)])
def test_the_interval_lies_between_known_quantiles(level, low, high):
    members = np.linspace(0, 100, 10_001)
    truth = np.array([low - 0.1, low + 0.1, 50, high - 0.1, high + 0.1])
    inside = covered((members[:, None] - truth)[None, :, None], level)[0, 0]
    assert inside.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("members", [32, 400])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_calibrated_members_cover_the_nominal_share(members, level):
    """Truth and members are drawn alike, so the interval must hold the truth as often as it says."""
    drawn = np.random.default_rng(0).normal(size=(20_000, members + 1, 1, 1))
    assert covered(drawn[:, 1:] - drawn[:, :1], level).mean() == pytest.approx(level, abs=0.012)


def test_psnr_of_known_errors():
    real = np.full((2, 8, 8, 3), 100, np.uint8)
    np.testing.assert_allclose(psnr(real + 25.5, real), 20, atol=1e-4)  # a tenth of the range
    np.testing.assert_allclose(psnr(real, real), 60)  # the bound
    half = real.astype(float)
    half[0, :4] += 25.5
    np.testing.assert_allclose(psnr(half, real), [20 + 10 * np.log10(2), 60], atol=1e-4)
    dark = np.zeros_like(real)
    np.testing.assert_allclose(psnr(dark, np.full_like(dark, 255)), 0, atol=1e-6)  # uint8 does not wrap


def test_the_interval_equals_a_plain_resampling_loop():
    rng = np.random.default_rng(0)
    episodes = np.repeat([4, 7, 9, 2, 5], [3, 1, 8, 2, 4])
    squares, mask = rng.exponential(size=(len(episodes), H)), rng.uniform(size=(len(episodes), H)) < 0.7
    mask[episodes == 7, 1] = False
    bootstrap = Bootstrap.of(episodes, seed=3)
    names, roots = np.unique(episodes), []
    assert (bootstrap.counts.sum(1) == len(names)).all()
    for counts in bootstrap.counts:
        drawn = [
            w for name, n in zip(names, counts, strict=True) for w in np.flatnonzero(episodes == name).tolist() * n
        ]
        there = [[squares[w, h] for w in drawn if mask[w, h]] for h in range(H)]
        roots.append([np.sqrt(np.mean(seen)) if seen else np.nan for seen in there])
    expected = np.nanquantile(roots, [0.025, 0.975], axis=0)
    total = np.where(mask, squares, np.nan)
    np.testing.assert_allclose(bootstrap.interval(*one_column(total, mask)), expected)
    twice = [np.repeat(part, 2, -1) for part in one_column(total, mask)]
    twice[0][..., 1] *= 9  # a column of three times the error
    np.testing.assert_allclose(bootstrap.interval(*twice), np.sqrt(5) * expected)


def test_what_is_hard_for_both_does_not_blur_their_difference():
    """Two predictors whose errors differ by a tenth, on episodes whose difficulty differs a hundredfold."""
    rng = np.random.default_rng(0)
    episodes = np.repeat(np.arange(30), 5)
    ours = (10.0 ** rng.uniform(-1, 1, 30))[episodes][:, None] * np.abs(rng.normal(size=(150, 1)))
    theirs, mask = 1.21 * ours, np.ones((150, 1), bool)
    bootstrap = Bootstrap.of(episodes, 0)
    root = np.sqrt(ours.mean())
    theirs, ours, count = theirs[..., None], ours[..., None], mask[..., None].astype(float)
    low, high = bootstrap.interval_of_gap(theirs, ours, count)[:, 0]
    assert 0 < low < 0.1 * root < high < 0.2 * root
    assert bootstrap.interval(theirs, count)[0, 0] < bootstrap.interval(ours, count)[1, 0]  # each alone says nothing
    np.testing.assert_allclose(
        bootstrap.interval_of_gap(ours, theirs, count)[:, 0], [-high, -low], rtol=1e-9
    )  # the same seen from the other side
    np.testing.assert_allclose(bootstrap.interval_of_gap(ours, ours, count)[:, 0], 0)


def test_windows_of_an_episode_move_together():
    """However many windows two episodes give, they are two: either, or both, is all that a resample can hold."""
    for windows in (1, 50):
        episodes = np.repeat([0, 1], windows)
        squares, count = one_column(episodes[:, None].astype(float), np.ones((2 * windows, 1), bool))
        interval = Bootstrap.of(episodes, 0).interval(squares, count)
        np.testing.assert_allclose(interval[:, 0], [0, 1])


def test_the_interval_covers_the_true_error_about_as_often_as_it_says():
    """30 episodes whose windows share most of their error; resampling windows would cover it half as often."""
    rng, trials, covers = np.random.default_rng(0), 300, 0
    episodes = np.repeat(np.arange(30), 10)
    true = np.sqrt(1 + 0.1)
    for trial in range(trials):
        errors = rng.normal(size=30)[episodes] + np.sqrt(0.1) * rng.normal(size=300)
        low, high = Bootstrap.of(episodes, trial).interval(errors[:, None, None] ** 2, np.ones((300, 1, 1)))[:, 0]
        covers += low <= true <= high
    assert 0.87 <= covers / trials <= 0.98


def test_a_horizon_where_nothing_came_has_no_interval():
    bootstrap = Bootstrap.of(np.array([0, 0, 1]), 0)
    mask = np.ones((3, 2), bool)
    mask[:, 1] = False
    interval = bootstrap.interval(*one_column(np.ones((3, 2)), mask))
    np.testing.assert_array_equal(interval, [[1, np.nan], [1, np.nan]])


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(1, 9))
def test_resamples_are_repeatable_and_as_large_as_the_sample(seed, count):
    one, two = (Bootstrap.of(np.arange(count), seed) for _ in range(2))
    np.testing.assert_array_equal(one.counts, two.counts)
    assert (one.counts.sum(1) == count).all()


def test_ssim_is_that_of_the_formula():
    """Wang et al. 2004, by a plain loop over windows, on one channel of small frames and on equal ones."""
    rng = np.random.default_rng(0)
    real = rng.integers(0, 255, (1, 13, 12, 3))
    seen = np.clip(real + rng.normal(0, 30, real.shape), 0, 255)
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    scores = []
    for row, column, channel in itertools.product(range(3), range(2), range(3)):
        x, y = (f[0, row : row + 11, column : column + 11, channel] / 255 for f in (seen, real))
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy, vxy = (
            (weights * a * b).sum() - p * q for a, b, p, q in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
        )
        scores.append((2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    np.testing.assert_allclose(ssim(seen, real), np.mean(scores), rtol=1e-4)
    np.testing.assert_allclose(ssim(real[:, :8, :8], real[:, :8, :8]), 1, rtol=1e-5)


def test_distance_is_the_length_of_the_path_at_its_mean_speed():
    """Around a corner at 2 m/s, one tick of half a second a step; positions are known now and then."""
    path = np.array([[[1, 0], [2, 0], [2, 1], [2, 2], [2, 3.0]]])
    mask = np.array([[True, True, True, True, True]])
    np.testing.assert_allclose(distance_travelled(path, mask, 0.5), [[np.nan, 2, 3, 4, 5]])
    mask[0, [0, 3]] = False
    path[0, [0, 3]] = np.nan  # what is masked says nothing
    np.testing.assert_allclose(distance_travelled(path, mask, 0.5), [[np.nan, np.nan, 3, 4, 5]])
    assert np.isnan(distance_travelled(path, np.zeros_like(mask), 0.5)).all()

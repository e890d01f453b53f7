import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from worldmodel.models.dynamics import Gaussian
from worldmodel.models.objective import at_sample_times, fair_crps, gaussian_kl, gaussian_score, horizon_weights
from worldmodel.validate.metrics import crps


def test_fair_crps_expects_the_closed_form_whatever_the_number_of_members():
    truth = jnp.full(20_000, 0.7)
    closed = 0.7 * (2 * norm.cdf(0.7) - 1) + 2 * norm.pdf(0.7) - 1 / np.sqrt(np.pi)  # Gneiting & Raftery 2007
    for members in (2, 5):
        drawn = jax.random.normal(jax.random.key(members), (20_000, members))
        assert float(fair_crps(drawn, truth).mean()) == pytest.approx(closed, abs=0.015)


def test_both_forms_of_crps_agree_with_a_plain_loop():
    rng = np.random.default_rng(0)
    members, truth = rng.normal(size=(3, 6, 4, 2)), rng.normal(size=(3, 4, 2))
    pairs = [np.abs(members[:, i] - members[:, j]) for i in range(6) for j in range(6) if i != j]
    plain = np.abs(members - truth[:, None]).mean(1) - 0.5 * sum(pairs) / 30
    np.testing.assert_allclose(fair_crps(jnp.asarray(members), jnp.asarray(truth)), plain, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(crps(members - truth[:, None]), plain, rtol=1e-10)


def test_a_horizon_weighs_the_inverse_of_its_error():
    errors = jnp.array([0.1, 0.2, 0.8])
    weights = horizon_weights(errors)
    assert float(weights.mean()) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(weights * errors, weights[0] * errors[0], rtol=1e-5)


def test_a_horizon_whose_error_is_not_known_weighs_neither_more_nor_less():
    weights = horizon_weights(jnp.array([0.1, jnp.nan, 0.2, jnp.nan]))
    np.testing.assert_allclose(weights, [4 / 3, 1, 2 / 3, 1], rtol=1e-6)
    np.testing.assert_array_equal(horizon_weights(jnp.full(3, jnp.nan)), 1)


def test_divergence_is_the_expected_difference_of_scores():
    of = Gaussian(jnp.array([0.3, -1.0]), jnp.array([0.5, 2.0]))
    to = Gaussian(jnp.array([0.0, 0.5]), jnp.array([1.0, 1.5]))
    drawn = of.sample(jax.random.normal(jax.random.key(0), (200_000, 2)))
    estimate = (gaussian_score(*to, drawn) - gaussian_score(*of, drawn)).sum(-1).mean()
    assert float(gaussian_kl(of, to)) == pytest.approx(float(estimate), rel=0.01)
    assert float(gaussian_kl(of, of)) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(gaussian_score(*of, drawn), -norm.logpdf(drawn, *of), rtol=1e-4, atol=1e-5)


def test_a_prediction_is_asked_for_when_its_sample_was_taken():
    """A straight line, read at ticks, is read rightly between them too; the first tick has only what follows it."""
    ticks = np.arange(1.0, 9.0)
    line = np.stack([2 * ticks, -ticks], -1)[None]
    age = np.random.default_rng(0).uniform(0, 0.9, size=(1, 8, 2))
    expected = line - age * [2, -1]
    np.testing.assert_allclose(at_sample_times(line, age), expected)
    np.testing.assert_allclose(at_sample_times(jnp.asarray(line), jnp.asarray(age)), expected, rtol=1e-5)
    np.testing.assert_array_equal(at_sample_times(line, np.zeros_like(age)), line)
    np.testing.assert_array_equal(at_sample_times(line[:, :1], age[:, :1]), line[:, :1])

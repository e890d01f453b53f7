"""Pretrained time-series models as predictors: what they are given, and what is made of their quantiles."""

import numpy as np
import pytest

from tests.oscillator import write_log
from worldmodel.benchmark import ZeroShot
from worldmodel.benchmark.zero_shot import MEMBERS, chronos
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate import make_problem, score
from worldmodel.validate.forecast import ask

LEVELS = (0.1, 0.5, 0.9)
TOTAL = StreamSpec("total", "sensor", ("sum",), ("m",), 10.0)
ADDED = StreamSpec("added", "action", ("amount",), ("m",), 10.0)


@pytest.fixture
def sums(tmp_path):
    """A reading that is the sum of all commands before it."""
    rng = np.random.default_rng(0)
    time, added = np.arange(60) / 10, rng.normal(size=(60, 1))
    total = np.concatenate([np.zeros((1, 1)), np.cumsum(added, 0)[:-1]])
    with LogWriter(tmp_path / "sums.h5", [TOTAL, ADDED]) as log:
        log.append({"total": Samples(time, total), "added": Samples(time, added)})
    with Log(tmp_path / "sums.h5", truth=True) as log:
        yield make_problem(log, dt=0.1, context_s=0.5, horizon_s=0.8)


def adds_up(past, covariates, ahead):
    """Knows the sum, and is unsure by one at either side."""
    np.testing.assert_allclose(np.diff(past[..., 0], axis=1), covariates[:, 1:, 0], atol=1e-5)  # each led to its tick
    assert np.isnan(covariates[:, 0]).all()
    total = past[:, -1:] + np.cumsum(ahead, 1)
    return np.stack([total - 1, total, total + 1], 1)


def test_commands_are_covariates_that_lead_to_their_ticks(sums):
    result = score(sums, [ZeroShot("adds", adds_up, LEVELS, batch=7)])
    assert result.rmse("total", "adds", at_s=0.8) == pytest.approx(0, abs=1e-5)
    assert "trained on other data" in result.notes[0]


def test_members_are_the_quantiles(sums):
    forecast = ask(ZeroShot("adds", adds_up, LEVELS), sums)
    members = forecast.members["total"] - forecast.mean["total"][:, None]
    assert members.shape[1] == MEMBERS
    wanted = np.interp((np.arange(MEMBERS) + 0.5) / MEMBERS, LEVELS, [-1, 0, 1])
    inside = (np.arange(MEMBERS) + 0.5) / MEMBERS
    inside = (inside > LEVELS[0]) & (inside < LEVELS[-1])
    np.testing.assert_allclose(members[0, inside, 0, 0], wanted[inside], atol=1e-5)
    assert (np.diff(members, axis=1) >= 0).all()


def test_angles_wrap_positions_are_relative_and_gaps_are_nan(tmp_path):
    def holds(past, covariates, ahead):
        known = np.nanmean(past, 1)  # of each feature somewhere in the past there is a reading
        assert np.isnan(past).any()
        assert np.isfinite(known).all()
        return np.repeat(np.repeat(known[:, None, None], 3, 1), ahead.shape[1], 2)

    with Log(write_log(tmp_path / "log.h5", episodes=1)) as log:
        problem = make_problem(log, dt=0.05, context_s=0.4, horizon_s=0.4)
        forecast = ask(ZeroShot("holds", holds, LEVELS), problem)
    assert forecast.mean.keys() == {"position", "velocity", "phase", "gps"}
    assert (np.abs(forecast.mean["phase"]) <= np.pi).all()
    assert (np.abs(forecast.mean["gps"]) < 30).all()  # metres from the last fix, and no degrees


def test_how_chronos_is_asked(sums):
    class Pipeline:
        """As `Chronos2Pipeline`: lists of [targets, ticks, quantiles], which adds up the first covariate."""

        def predict_quantiles(self, inputs, prediction_length, quantile_levels):
            quantiles = []
            for series in inputs:
                target, ahead = series["target"], series["future_covariates"]["action 0"]
                assert series["past_covariates"]["action 0"].shape == target.shape[1:]
                total = target[:, -1:] + np.cumsum(ahead)[None, :prediction_length]
                quantiles.append(np.repeat(total[..., None], len(quantile_levels), -1))
            return quantiles, None

    result = score(sums, [ZeroShot("chronos", chronos(Pipeline(), LEVELS), LEVELS)])
    assert result.rmse("total", "chronos", at_s=0.8) == pytest.approx(0, abs=1e-5)

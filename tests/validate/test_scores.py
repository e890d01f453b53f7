"""Scores: the same readings, columns and weights for every figure, whatever the units; oracles and closed forms."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr

from tests.validate.problems import DT, problem_by_hand, with_truth
from worldmodel.logs.align import TickLayout
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec
from worldmodel.validate import Forecast
from worldmodel.validate.metrics import Bootstrap
from worldmodel.validate.problem import Came
from worldmodel.validate.scores import Score, Still, Yardstick, _pooled, calibration_of, errors_of, score_stream

W, H, K = 400, 5, 20
NONE = Still((), (), False)
SENSOR = StreamSpec("imu", "sensor", ("small", "huge"), ("m", "Pa"), 10.0)
FIX = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0)


def scored(problem, spec, forecast, subject=None):
    stick, bootstrap = Yardstick.of(problem, spec), Bootstrap.of(problem.groups, 0)
    forecast = {"mean": {spec.name: forecast}} if isinstance(forecast, np.ndarray) else forecast
    errors = errors_of(Forecast(**forecast), problem, spec)
    ours = None if subject is None else errors_of(Forecast(mean={spec.name: subject}), problem, spec)
    return score_stream(errors, problem, stick, bootstrap, ours), calibration_of(errors, stick)


def ensemble(rng, came, relative, spread):
    """Members about a centre that is off by `relative` [P] standard deviations, drawn with `spread` [P] of them."""
    size = came.std((0, 1))
    centre = came + relative * size * rng.normal(size=came.shape)
    members = centre[:, None] + spread * size * rng.normal(size=(len(came), K, *came.shape[1:]))
    return {"mean": {"imu": centre}, "members": {"imu": members}}


@pytest.mark.parametrize("huge", [1.0, 1e6])
@pytest.mark.parametrize("worse", [0, 1])
def test_no_unit_drowns_another(huge, worse):
    """One column is predicted well and calibrated, the other badly and without spread, whichever has the huge unit."""
    rng = np.random.default_rng(0)
    came = rng.normal(size=(W, H, 2)) * (1.0, huge)
    relative, spread = np.full(2, 0.1), np.full(2, 0.1)
    relative[worse], spread[worse] = 1.0, 0.01
    score, calibration = scored(problem_by_hand(SENSOR, came), SENSOR, ensemble(rng, came, relative, spread))
    np.testing.assert_allclose(score.nrmse, np.sqrt((0.1**2 + 1.0**2) / 2), rtol=0.08)
    each = [0.1 / np.sqrt(np.pi), np.sqrt(2 / np.pi)]  # of a calibrated Gaussian, and of a point that is off
    np.testing.assert_allclose(score.ncrps, np.mean(each), rtol=0.08)
    np.testing.assert_allclose(score.coverage90, (0.9 + 0.02) / 2, atol=0.04)
    skill = np.sqrt(0.1**2 * (1 + 1 / K) + 1.0**2)
    np.testing.assert_allclose(score.spread_skill, np.sqrt(0.1**2 + 0.01**2) / skill, rtol=0.1)
    assert calibration[-1] == pytest.approx((0.9 + 0.02) / 2, abs=0.03)


def test_the_order_of_outcomes_is_spearmans_within_each_state():
    """Angles on both sides of the wrap have the order of their differences; a state that none of them moves is none."""
    rng = np.random.default_rng(0)
    spec = StreamSpec("arm", "sensor", ("angle", "still"), ("rad", "m"), 10.0, circular=(True, False))
    groups, angle = np.repeat(np.arange(3), 8), np.pi + 0.5 * rng.normal(size=(24, H))
    came = np.stack([angle, np.where(groups < 1, 1.0, 0.0)[:, None] + 0 * angle], -1)
    came[groups == 2, :, 0] = 2.0
    problem = dataclasses.replace(problem_by_hand(spec, came), kind="counterfactual", groups=groups)
    predicted = came + 0.4 * rng.normal(size=came.shape)
    score, _ = scored(problem, spec, predicted)
    expected = [
        spearmanr(predicted[groups == g, h, 0], came[groups == g, h, 0]).statistic for h in range(H) for g in (0, 1)
    ]
    np.testing.assert_allclose(score.rank_correlation, np.reshape(expected, (H, 2)).mean(1), atol=1e-6)
    assert (score.rank_correlation < 0.95).all()
    assert np.isnan(scored(problem_by_hand(spec, came), spec, predicted)[0].rank_correlation).all()


def test_figures_of_columns_in_several_units_are_given_by_column():
    rng = np.random.default_rng(0)
    came = rng.normal(size=(W, H, 2)) * (1.0, 1e6)
    score, _ = scored(problem_by_hand(SENSOR, came), SENSOR, came + np.array([0.5, 2e5]))
    assert np.isnan(score.rmse).all()
    assert np.isnan(score.crps).all()
    np.testing.assert_allclose(score.column_rmse, np.tile([0.5, 2e5], (H, 1)), rtol=1e-5)
    np.testing.assert_allclose(score.column_crps, np.tile([0.5, 2e5], (H, 1)), rtol=1e-5)
    np.testing.assert_allclose(score.column_nrmse, np.tile([0.5, 0.2], (H, 1)), rtol=0.08)


def test_all_figures_count_the_same_readings():
    """Where no reading came, or the truth is unknown, no figure sees that the prediction is far off."""
    rng = np.random.default_rng(0)
    came, mask = rng.normal(size=(W, H, 2)), rng.uniform(size=(W, H, 2)) < 0.7
    known = rng.uniform(size=(W, H, 2)) < 0.7
    problem = with_truth(problem_by_hand(SENSOR, came, mask), "imu", Came(came, known, np.zeros((W, H))))
    off = np.where(mask & known, 0.0, 1e3)
    members = came[:, None] + off[:, None] + 0.1 * rng.normal(size=(W, K, H, 2))
    score, _ = scored(problem, SENSOR, {"mean": {"imu": came + off}, "members": {"imu": members}})
    np.testing.assert_allclose(score.nrmse, 0, atol=1e-6)
    assert (score.ncrps < 0.1).all()
    assert (score.coverage90 > 0.99).all()
    assert (score.spread_skill < 10).all()


def test_a_column_that_never_moves_counts_in_no_figure():
    rng = np.random.default_rng(0)
    spec = StreamSpec("imu", "sensor", ("level", "fixed"), ("V", "V"), 10.0)
    came = np.stack([rng.normal(size=(W, H)), np.full((W, H), 3.3)], -1)
    score, _ = scored(problem_by_hand(spec, came), spec, came + np.array([0.1, 50.0]))
    np.testing.assert_allclose(score.rmse, 0.1, rtol=1e-5)
    np.testing.assert_allclose(score.nrmse, 0.1 / came[..., 0].std(), rtol=1e-5)
    np.testing.assert_allclose(score.crps, 0.1, rtol=1e-5)


def test_a_reading_that_stands_lies_in_an_interval_without_width_however_float32_rounds_it():
    """A temperature in steps of 0.1, held by all members: in steps it is missed, and nowhere else."""
    spec = StreamSpec("oil", "sensor", ("temperature",), ("K",), 10.0)
    came = np.full((W, H, 1), 330.1)
    came[: W // 10] += 0.1
    held = np.float32(330.1) + np.zeros((W, K, H, 1), np.float32)
    score, calibration = scored(
        problem_by_hand(spec, came), spec, {"mean": {"oil": held[:, 0]}, "members": {"oil": held}}
    )
    np.testing.assert_allclose(score.coverage90, 1 - W // 10 / W)
    np.testing.assert_allclose(calibration, 1 - W // 10 / W)


def test_so_does_one_that_is_foretold_in_steps_about_zero():
    spec = StreamSpec("axle", "sensor", ("speed",), ("m/s",), 10.0)
    came = np.round(np.random.default_rng(0).normal(0, 30, (W, H, 1))) * 0.1
    read = (np.float32(came) * (1 + 1e-7))[:, None].repeat(K, 1)
    score, calibration = scored(problem_by_hand(spec, came), spec, {"mean": {"axle": came}, "members": {"axle": read}})
    np.testing.assert_array_equal(score.coverage90, 1.0)
    np.testing.assert_array_equal(calibration, 1.0)


@pytest.mark.parametrize("weight", [0.05, 0.95])
def test_columns_weigh_the_same_however_often_they_came(weight):
    rng = np.random.default_rng(0)
    came = rng.normal(size=(W, H, 2))
    mask = np.stack([np.ones((W, H), bool), rng.uniform(size=(W, H)) < weight], -1)
    size = [came[..., i][mask[..., i]].std() for i in range(2)]
    score, _ = scored(problem_by_hand(SENSOR, came, mask), SENSOR, came + np.multiply(size, (0.2, 1.0)))
    for figure in (score.nrmse, score.nrmse_low, score.nrmse_high):
        np.testing.assert_allclose(figure, np.sqrt((0.2**2 + 1) / 2), rtol=1e-5)


def test_the_mean_has_an_nrmse_of_one():
    came = np.random.default_rng(0).normal(size=(W, H, 2)) * (1, 1e4) + (5, -3e4)
    score, _ = scored(problem_by_hand(SENSOR, came), SENSOR, np.broadcast_to(came.mean((0, 1)), came.shape))
    np.testing.assert_allclose(score.nrmse, 1, rtol=0.06)


def test_every_prediction_is_asked_for_the_moment_of_the_sample():
    """A ramp, sampled up to a tick before each tick: who knows the ramp has no error, whoever it is."""
    rng = np.random.default_rng(0)
    spec = StreamSpec("imu", "sensor", ("x",), ("m",), 10.0)
    ages = rng.uniform(0, 1, (W, H))
    slope = rng.normal(size=(W, 1))
    ticks = np.arange(1, H + 1)
    problem = problem_by_hand(spec, (slope * (ticks - ages))[..., None], age_ticks=ages)
    ramp = (slope * ticks)[..., None]
    members = np.repeat(ramp[:, None], 3, 1) + np.array([-1.0, 0.0, 1.0])[:, None, None]
    score, _ = scored(problem, spec, {"mean": {"imu": ramp}, "members": {"imu": members}})
    np.testing.assert_allclose(score.rmse, 0, atol=1e-6)
    np.testing.assert_allclose(score.rmse_reading, 0, atol=1e-6)
    assert (score.coverage90 == 1).all()


def test_between_ticks_an_angle_goes_the_short_way():
    spec = StreamSpec("imu", "sensor", ("yaw",), ("rad",), 10.0, circular=(True,))
    ahead = np.array([3.05, -3.13, -3.03])[None, :, None]  # a turn of 0.1 a tick, across the seam
    came = (ahead[..., 0] - 0.05 + np.pi) % (2 * np.pi) - np.pi
    problem = problem_by_hand(spec, came[..., None], age_ticks=np.full((1, 3), 0.5))
    errors = errors_of(Forecast(mean={"imu": ahead}), problem, spec)
    np.testing.assert_allclose(errors.truth[0, 1:, 0], 0, atol=2e-3)


def test_positions_are_distances_and_fixes_are_horizontal():
    came = np.random.default_rng(0).normal(size=(W, H, 3)) * (10, 10, 1)
    score, _ = scored(problem_by_hand(FIX, came), FIX, came + np.array([3.0, 4.0, 100.0]))
    np.testing.assert_allclose(score.rmse, 5, rtol=1e-5)
    np.testing.assert_allclose(score.crps, 3.5, rtol=1e-5)
    np.testing.assert_allclose(score.column_rmse, np.tile([3, 4, 100.0], (H, 1)), rtol=1e-5)
    place = StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 10.0)
    score, _ = scored(problem_by_hand(place, came), place, came + np.array([2.0, 3.0, 6.0]))
    np.testing.assert_allclose(score.rmse, 7, rtol=1e-5)


def test_attitudes_are_off_by_an_angle():
    """The geodesic angle, also across the sign of a quaternion; its CRPS is of the components of the rotation."""
    spec = StreamSpec("attitude", "orientation", ("qw", "qx", "qy", "qz"), ("",) * 4, 10.0)
    came = Rotation.random(W * H, random_state=0)
    off = came * Rotation.from_rotvec([0.0, 0.3, 0.0])

    def quaternions(turns):
        q = turns.as_quat(scalar_first=True).reshape(W, H, 4)
        return q * np.sign(q[..., :1])

    problem = problem_by_hand(spec, quaternions(came))
    score, _ = scored(problem, spec, -quaternions(off))
    np.testing.assert_allclose(score.rmse, 0.3, rtol=1e-4)
    np.testing.assert_allclose(score.column_rmse, np.tile([0, 0.3, 0], (H, 1)), atol=1e-4)


def test_position_error_is_given_in_percent_of_the_distance():
    """Two machines at 1 and 7 m/s: their distances' root mean square is that of a machine at 5 m/s."""
    east = np.outer([1.0, 7.0], np.arange(1, 5) * DT)
    came = np.stack([east, 0.1 * east, 0 * east], -1)
    score, _ = scored(problem_by_hand(FIX, came), FIX, came + np.array([0.1, 0.0, 0.0]))
    way = np.sqrt(1.01) * 5 * DT * np.arange(1, 5)
    np.testing.assert_allclose(score.percent_of_distance[1:], 100 * 0.1 / way[1:], rtol=1e-5)
    assert np.isnan(score.percent_of_distance[0])  # one fix says nothing of a distance


@pytest.mark.parametrize("centre", [0.0, np.pi, -2.0])
def test_an_angle_deviates_from_its_circular_mean(centre):
    """About pi, where it wraps, it deviates as it would about zero."""
    small = 0.1 * np.random.default_rng(0).normal(size=(50, 4, 1))
    spec = StreamSpec("imu", "sensor", ("yaw",), ("rad",), 10.0, circular=(True,))
    problem = problem_by_hand(spec, (small + centre + np.pi) % (2 * np.pi) - np.pi)
    assert Yardstick.of(problem, spec).deviation == pytest.approx(small.std(), rel=1e-3)


@pytest.mark.parametrize(
    ("unmoved", "fixed", "still"),
    [
        ((False, True), None, Still(("huge",), (), False)),
        ((False, False), 1, Still((), ("huge",), False)),
        ((True, True), 1, Still(("small", "huge"), ("huge",), True)),
        ((False, False), None, NONE),
    ],
)
def test_what_stood_still_in_training_or_does_here_is_in_no_figure_but_its_own(unmoved, fixed, still):
    rng = np.random.default_rng(0)
    came = rng.normal(size=(W, H, 2))
    if fixed is not None:
        came[..., fixed] = 7.0
    problem = dataclasses.replace(problem_by_hand(SENSOR, came), unmoved={"imu": np.array(unmoved)})
    assert Yardstick.of(problem, SENSOR).still == still
    made, _ = scored(problem, SENSOR, came + [0.1, 3.0])
    np.testing.assert_allclose(made.column_rmse, np.tile([0.1, 3.0], (H, 1)), rtol=1e-5)
    if not still.whole:
        expected = 0.1 if still != NONE else np.sqrt((0.1**2 + 3.0**2) / 2)
        np.testing.assert_allclose(made.nrmse, expected, rtol=0.05)


def test_picoamperes_move_and_the_arithmetic_of_an_axis_at_rest_does_not():
    rng = np.random.default_rng(0)
    spec = StreamSpec("patch", "sensor", ("ampere", "count", "x", "y"), ("A", "", "m", "m"), 10.0)
    came = rng.normal(size=(W, H, 4)) * (2e-11, 1e9, 0.3, 1e-14)
    problem = problem_by_hand(spec, came)
    assert Yardstick.of(problem, spec).still == Still((), ("y",), False)
    made, _ = scored(problem, spec, came + [1e-11, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(made.column_nrmse[:, 0], 0.5, rtol=0.05)


def test_gaps_are_to_the_subject():
    came = np.random.default_rng(0).normal(size=(W, H, 2))
    problem, size = problem_by_hand(SENSOR, came), came.std((0, 1))
    worse, _ = scored(problem, SENSOR, came + 0.5 * size, subject=came + 0.2 * size)
    np.testing.assert_allclose([worse.gap_low, worse.gap_high], 0.3, atol=0.01)
    itself, _ = scored(problem, SENSOR, came + 0.5 * size)
    np.testing.assert_allclose([itself.gap_low, itself.gap_high], 0, atol=1e-9)


def test_one_prediction_has_no_interval():
    came = np.random.default_rng(0).normal(size=(W, H, 2))
    score, calibration = scored(problem_by_hand(SENSOR, came), SENSOR, came + 0.5)
    for figure in (score.coverage50, score.coverage90, score.spread_skill, calibration):
        assert np.isnan(figure).all()
    assert Score._fields[:3] == ("rmse", "rmse_reading", "nrmse")


@pytest.mark.parametrize(("rate_hz", "width"), [(50.0, 1), (10.0, 1), (4.0, 2), (2.0, 5), (0.5, 20)])
def test_slow_streams_pool_the_ticks_of_one_interval(rate_hz, width):
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=(3, 12, 2)), rng.uniform(size=(3, 12, 2)) < 0.4
    values[~mask] = np.nan
    spec = StreamSpec("x", "sensor", ("a", "b"), ("", ""), rate_hz)
    total, count = _pooled(values, mask, TickLayout(0.1, (spec,)).interval(spec))
    for w, h, c in np.ndindex(3, 12, 2):
        there = [values[w, k, c] for k in range(max(h - width + 1, 0), h + 1) if mask[w, k, c]]
        assert count[w, h, c] == pytest.approx(len(there))
        assert total[w, h, c] == pytest.approx(sum(there), abs=1e-9)

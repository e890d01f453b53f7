"""The blend against its formula in plain loops, and against what it promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.left_out import LeftOut

N, H, Y, E, S = 40, 6, 3, 2, 2
HORIZONS = (1, 3)
STREAM_OF = np.array([0, 0, 1])


def left_out(sizes, within=None, seed=0, episodes=8, mask=None):
    """Truth 0 or so, and experts whose errors have the given sizes, so many as there are."""
    rng = np.random.default_rng(seed)
    came = rng.normal(size=(N, H, Y)) * 0.1
    ahead = came + np.asarray(sizes)[:, None, None, None] * rng.normal(size=(len(sizes), N, H, Y))
    inside = np.ones((len(sizes), N, E, S)) if within is None else within
    groups = np.arange(N) % episodes
    there = np.ones((N, H, Y), bool) if mask is None else mask
    led, held = np.zeros((N, H, 0)), np.zeros((N, Y))
    return LeftOut(np.zeros((N, 2), int), groups, came, there, np.zeros((N, H, Y)), led, held, ahead, inside)


def fitted(sizes, **options):
    return Blend.fit(left_out(sizes, **options), HORIZONS, STREAM_OF)


def calm(count, batch=4):
    return np.ones((count, batch, E, S))


def test_the_better_expert_on_left_out_episodes_weighs_by_a_power_of_the_ratio_of_squared_errors():
    blend = fitted([1.0, 2.0])
    ahead = np.random.default_rng(1).normal(size=(2, 4, H, Y))
    mean, _, weights = blend.mix(ahead, calm(2))
    np.testing.assert_allclose(weights.sum(0), 1)
    expected = (blend.usual[0] / blend.usual[1]) ** 3.5
    expected[0] = expected[1]  # samples before the first tick lie on the line through the first two
    np.testing.assert_allclose(weights[1] / weights[0], np.broadcast_to(expected, weights[0].shape), rtol=1e-9)
    np.testing.assert_allclose(mean, (weights * ahead).sum(0))
    assert weights[0].mean() > 0.9


def known(errors):
    """Experts [K, episodes, Y] whose squared errors are these at every tick of every window."""
    ahead = np.sqrt(np.asarray(errors, float))[:, np.arange(N) % np.shape(errors)[1], None]
    data = left_out([0.0] * len(errors), episodes=np.shape(errors)[1])
    return Blend.fit(data._replace(ahead=data.came + np.repeat(ahead, H, 2)), HORIZONS, STREAM_OF).usual[:, 0]


def test_who_was_not_asked_in_hard_episodes_is_no_better_for_that():
    each = np.array([[1.0, 1.0, 100.0, 100.0], [2.0, 2.0, 200.0, 200.0]])[:, :, None] * np.ones(Y)
    asked = each.copy()
    asked[1, 2:] = np.nan
    few, whole = known(asked), known(each)
    np.testing.assert_allclose(few[0], whole[0])
    np.testing.assert_allclose(few[1], whole[1], rtol=0.35)  # as in easy ones, where 3 % of the usual error counts
    asked[1, 1] = np.nan  # known from one, it flatters itself
    np.testing.assert_allclose(known(asked)[1], 4 * few[1], rtol=0.1)


def test_who_was_asked_of_some_episodes_alone_and_is_far_the_best_errs_by_no_more_for_what_others_do_elsewhere():
    each = np.array([[1.0, 1.0, 1.0, 1.0], [1e-4, 1e-4, 1e-4, 1e-4]])[:, :, None] * np.ones(Y)
    asked = each.copy()
    asked[1, 2:] = np.nan
    np.testing.assert_allclose(known(asked)[1], known(each)[1], rtol=0.01)


def test_who_is_silent_in_hard_windows_of_each_episode_is_no_better_for_that():
    """A model of products says nothing of a car that is faster than ever, where all err most."""
    hard = (np.arange(N) // 8 % 2 == 1)[:, None, None]
    errors = np.stack([np.where(hard, 10.0, 1.0), np.where(hard, 20.0, 2.0)]) * np.ones((H, Y))
    asked = np.where(hard & (np.arange(2) == 1)[:, None, None, None], np.nan, errors)
    data = left_out([0.0, 0.0])
    whole, few = (Blend.fit(data._replace(ahead=data.came + x), HORIZONS, STREAM_OF).usual for x in (errors, asked))
    np.testing.assert_allclose(few, whole)


def test_who_is_behind_the_best_pays_for_how_unsure_that_is_and_the_best_does_not_pay_for_episodes_that_differ():
    each = np.array([[1.0, 4.0, 0.25, 1.0], [2.0, 2.0, 2.0, 2.0]])[:, :, None] * np.ones(Y)
    log = np.log(each[..., 0] + 0.03 * each[0, :, 0].mean())
    behind = log[1] - log[0]
    np.testing.assert_allclose(known(each)[0], np.exp(log[0].mean()))
    np.testing.assert_allclose(known(each)[1], np.exp(log[1].mean() + behind.std() / np.sqrt(3)))


def test_an_episode_in_which_nothing_moves_does_not_decide():
    still = np.array([[1.0, 1.0, 1.0, 1e-4], [4.0, 4.0, 4.0, 1e-9]])[:, :, None] * np.ones(Y)
    usual = known(still)
    assert (usual[0] < usual[1]).all()


def test_how_far_an_expert_is_behind_in_a_column_is_half_told_by_the_stream():
    usual = known(np.array([[1.0, 1.0, 1.0], [4.0, 1.0, 4.0]])[:, None] * np.ones((2, 3, 1)))
    behind = np.log((4 + 0.03) / (1 + 0.03))
    np.testing.assert_allclose(np.log(usual[1] / usual[0]), [0.75 * behind, 0.25 * behind, behind], atol=1e-9)


def test_a_column_that_hardly_moves_does_not_decide_for_its_stream():
    """A switch that holding tells to a millionth of what a ridge does, and a gripper of which the ridge tells most."""
    usual = known(np.array([[1e-12, 1.0, 1.0], [1e-6, 0.02, 1.0]])[:, None] * np.ones((2, 3, 1)))
    assert usual[0, 0] < usual[1, 0] / 4
    assert usual[1, 1] < usual[0, 1] / 4


@pytest.mark.parametrize("told", ["still", "never there"])
def test_who_is_trusted_in_a_column_that_never_moved_or_never_came_is_told_by_its_stream(told):
    """The mean and holding are alike there until it moves; with nothing known of any, the mean would be named."""
    data = left_out([2.0, 1.0])
    if told == "still":
        data.ahead[:, ..., 1] = data.came[..., 1]
    else:
        data.mask[..., 1] = False
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    weights = blend.mix(data.ahead, calm(2, N))[2]
    np.testing.assert_allclose(weights[..., 1], weights[..., 0])
    assert (weights[1, ..., 1] > 0.9).all()


def test_an_expert_that_does_worse_than_usual_in_the_context_loses_weight_in_that_stream_alone():
    blend = fitted([1.0, 1.5])
    within = calm(2)
    within[0, 2, :, 1] = 50.0  # the first expert, in the third context, on the second stream
    _, scale, weights = blend.mix(np.zeros((2, 4, H, Y)), within)
    assert (weights[0, 2, :, 2] < 0.2).all()
    assert (weights[0, 0, :, 2] > 0.5).all()
    np.testing.assert_allclose(weights[:, 2, :, :2], weights[:, 0, :, :2])
    np.testing.assert_allclose(weights[:, 0], weights[:, 1])
    assert (scale[2, :, 2] > scale[0, :, 2]).all()  # and less is promised


def test_a_quiet_context_gives_no_credit():
    blend = fitted([1.0, 1.2])
    quiet = calm(2)
    quiet[1] = 1e-6
    usual, still = (blend.mix(np.zeros((2, 4, H, Y)), x)[2] for x in (calm(2), quiet))
    np.testing.assert_allclose(usual, still)


@pytest.mark.parametrize("times", [0.1, 9.0])
def test_errors_are_expected_to_be_as_many_times_the_usual_ones_as_inside_the_context(times):
    blend = fitted([1.0, 1.2])
    (mean, scale, weights), (same, other, as_before) = (
        blend.mix(np.zeros((2, 4, H, Y)), x) for x in (calm(2), times * calm(2))
    )
    np.testing.assert_allclose(other**2 / scale**2, (times + 0.3) / 1.3)  # 0.3 of the usual ones are always there
    np.testing.assert_allclose(same, mean)
    np.testing.assert_allclose(as_before, weights)  # it is as hard for both


def test_a_context_that_is_hard_for_all_takes_nothing_from_who_does_best_there():
    blend = fitted([1.0, 1.5])
    within = calm(2)
    within[0], within[1] = 5.0, 6.0  # five and six times their usual errors
    weights = [blend.mix(np.zeros((2, 4, H, Y)), x)[2] for x in (calm(2), within)]
    assert (weights[1][0] > weights[0][0]).all()
    alone = within.copy()
    alone[1] = 1.0  # now the first is the only one that it is hard for
    assert (blend.mix(np.zeros((2, 4, H, Y)), alone)[2][0] < weights[0][0]).all()


def test_near_horizons_inside_the_context_speak_for_near_ones_ahead():
    blend = fitted([1.0, 1.0])
    within = calm(2)
    within[0, :, 0] = 20.0  # one tick ahead it did badly, three ticks ahead as usual
    calm_odds, odds = (
        w[0, 0, :, 0] / w[1, 0, :, 0] for w in (blend.mix(np.zeros((2, 4, H, Y)), x)[2] for x in (calm(2), within))
    )
    drop = odds / calm_odds
    assert drop[1] < drop[2]
    np.testing.assert_allclose(drop[2:], drop[2])  # beyond the farthest inside the context all speak as they do there


@pytest.mark.parametrize("every", [2, 3])
def test_a_slow_stream_is_foretold_at_ticks_at_which_it_never_came(every):
    mask = np.ones((N, H, Y), bool)
    mask[:, every - 1 :: every, 2] = False  # of a stream of its own, in all left-out windows
    data = left_out([1.0, 3.0], mask=mask)
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    ahead = np.full((2, 4, H, Y), 5.0) + np.array([0, 1.0])[:, None, None, None]
    mean, scale, weights = blend.mix(ahead, calm(2))
    np.testing.assert_allclose(weights.sum(0), 1)
    assert (mean > 5).all()
    assert (scale > 0).all()
    assert np.isfinite(blend.residuals).all()
    there, usual = np.flatnonzero(mask[0, :, 2]), Blend.fit(left_out([1.0, 3.0]), HORIZONS, STREAM_OF).usual
    for own, all_came in zip(blend.usual[..., 2], usual[..., 2], strict=True):
        np.testing.assert_allclose(own[there], all_came[there])
        np.testing.assert_allclose(own, np.exp(np.interp(np.arange(H), there, np.log(own[there]))))


def test_who_says_nothing_at_a_horizon_says_nothing_beside_it_where_nothing_came():
    mask = np.ones((N, H, Y), bool)
    mask[:, 4, 2] = False
    data = left_out([1.0, 3.0], mask=mask)
    data.ahead[1, :, 3:] = np.nan
    usual = Blend.fit(data, HORIZONS, STREAM_OF).usual[..., 2]
    assert np.isfinite(usual[0]).all()
    assert np.isfinite(usual[1]).tolist() == [True] * 3 + [False] * 3


def test_a_network_is_weighed_at_ticks_at_which_nothing_came_in_what_it_is_known_from():
    errors = np.ones((2, N, H, Y))
    errors[:, :, 2, 2] = np.nan
    joined = fitted([1.0, 2.0]).joined_by(errors, beside=0, like=0, groups=9)
    assert np.isfinite(joined.usual[-1]).all()


def test_one_collision_does_not_decide():
    collided = left_out([1.0, 2.0])
    collided.ahead[0, 3] += 20.0  # the better expert, in one window of one episode
    _, _, weights = Blend.fit(collided, HORIZONS, STREAM_OF).mix(np.zeros((2, 4, H, Y)), calm(2))
    assert weights[0].mean() > 0.3  # by its mean squared error it would weigh nothing
    assert weights[0].mean() < fitted([1.0, 2.0]).mix(np.zeros((2, 4, H, Y)), calm(2))[2][0].mean()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=4), st.integers(0, 5))
def test_its_squared_error_is_at_most_the_weighted_mean_of_those_of_its_experts(sizes, seed):
    data = left_out(sizes, seed=seed)
    mean, _, weights = Blend.fit(data, HORIZONS, STREAM_OF).mix(data.ahead, data.within)
    each = (weights * (data.ahead - data.came) ** 2).sum(0)
    assert ((mean - data.came) ** 2 <= each + 1e-9).all()


def test_who_says_nothing_of_a_column_or_diverges_has_no_weight_there():
    data = left_out([0.1, 1.0, 1.0])
    data.ahead[0, :, :, 2] = np.nan
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    ahead = np.ones((3, 4, H, Y))
    ahead[0, :, :, 2] = np.nan
    ahead[1, 0, 0, 0] = np.inf
    mean, scale, weights = blend.mix(ahead, calm(3))
    assert (weights[0, ..., 2] == 0).all()
    assert weights[1, 0, 0, 0] == 0
    np.testing.assert_allclose(mean, 1)
    assert np.isfinite(scale).all()


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_members_hold_what_came_as_often_as_they_say(level):
    rng = np.random.default_rng(3)
    sizes, many = np.array([0.5, 1.5]), 400
    came = rng.standard_t(4, size=(2 * many, H, Y)) * np.geomspace(0.1, 1, H)[:, None]
    ahead = came + sizes[:, None, None, None] * rng.normal(size=(2, 2 * many, H, Y))
    groups, there = np.arange(2 * many) % 10, np.ones(came.shape, bool)
    data = LeftOut(
        np.zeros((2 * many, 2), int), groups, came, there, np.zeros(came.shape), np.zeros((2 * many, H, 0)),
        np.zeros((2 * many, Y)), ahead, np.ones((2, 2 * many, E, S)),
    )  # fmt: skip
    half = [x[:many] for x in data[:7]]
    blend = Blend.fit(LeftOut(*half, ahead[:, :many], data.within[:, :many]), HORIZONS, STREAM_OF)
    mean, scale, _ = blend.mix(ahead[:, many:], data.within[:, many:], now=np.zeros((many, 1, Y)))
    members = blend.members(mean, scale, blend.drawn(len(mean), 64, 0))
    low, high = np.quantile(members, [(1 - level) / 2, (1 + level) / 2], axis=1, method="weibull")
    inside = ((came[many:] >= low) & (came[many:] <= high)).mean()
    assert inside == pytest.approx(level, abs=0.04)
    np.testing.assert_array_equal(members, blend.members(mean, scale, blend.drawn(len(mean), 64, 0)))
    assert not np.array_equal(members, blend.members(mean, scale, blend.drawn(len(mean), 64, 1)))
    together = blend.members(*(x[:1].repeat(3, 0) for x in (mean, scale)), blend.drawn(3, 64, [0, 5, 0]))
    np.testing.assert_array_equal(together[[0, 2]], np.repeat(members[:1], 2, 0))  # each as if it were alone
    assert not np.array_equal(together[1], together[0])


def test_who_foretells_a_great_change_is_less_sure_of_it_where_errors_have_been_like_that():
    """Most windows hardly move, and a few go far, a tenth wrong in the first column and as all others in the rest."""
    rng, many = np.random.default_rng(5), 1200
    held = rng.normal(size=(many, Y))
    went = np.where(rng.uniform(size=(many, 1, 1)) < 0.1, 3.0, 0.1) * rng.normal(size=(many, H, Y))
    wrong = 0.1 + np.array([0.1, 0, 0]) * np.abs(went)
    ahead = held[:, None] + went
    came = ahead + wrong * rng.normal(size=ahead.shape)
    data = LeftOut(
        np.zeros((many, 2), int), np.arange(many) % 10, came, np.ones(came.shape, bool), np.zeros(came.shape),
        np.zeros((many, H, 0)), held, ahead[None], np.ones((1, many, E, S)),
    )  # fmt: skip
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    assert blend.lively[0] > 0.5
    assert (blend.lively[1:] == 0).all()
    far = np.abs(went[..., 0]) > 1
    for now, least, most in ((held[:, None], 0.8, 0.97), (None, 0.0, 0.7)):  # without it they are told as all others
        mean, scale, _ = blend.mix(data.ahead, data.within, now=now)
        low, high = np.quantile(blend.members(mean, scale, blend.drawn(len(mean), 64, 0))[..., 0], [0.05, 0.95], axis=1)
        assert least < ((came[..., 0] >= low) & (came[..., 0] <= high))[far].mean() < most
        assert scale[..., 1:] == pytest.approx(blend.mix(data.ahead, data.within)[1][..., 1:])
    unknown = Blend.fit(data._replace(held=np.full(held.shape, np.nan)), HORIZONS, STREAM_OF)  # an earlier release's
    assert (unknown.lively == 0).all()
    assert np.isfinite(unknown.mix(data.ahead, data.within, now=held[:, None])[1]).all()


def test_a_few_windows_that_go_far_are_not_so_wide_that_the_spread_is_more_than_the_error():
    """As a humanoid's arms: most stand still, few go many times as far as on average, and err a few times as much."""
    rng, many = np.random.default_rng(7), 3000
    far = np.exp(1.3 * rng.normal(size=(many, 1, 1)))
    came = rng.choice([-1.0, 1.0], (many, H, Y)) * far
    ahead = came + np.sqrt(0.05 + 0.1 * far) * rng.normal(size=came.shape)
    data = LeftOut(
        np.zeros((many, 2), int), np.arange(many) % 10, came, np.ones(came.shape, bool), np.zeros(came.shape),
        np.zeros((many, H, 0)), np.zeros((many, Y)), ahead[None], np.ones((1, many, E, S)),
    )  # fmt: skip
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    assert (blend.lively > 0.3).all()
    mean, scale, _ = blend.mix(data.ahead, data.within, now=np.zeros((many, 1, Y)))
    spread = blend.members(mean, scale, blend.drawn(many, 64, 0)).var(1).mean() ** 0.5
    assert spread == pytest.approx(np.sqrt(((mean - came) ** 2).mean()), rel=0.1)


def test_a_motion_within_ticks_in_which_none_had_moved_errs_by_no_more_than_all_of_it():
    moves, usual = np.array([1e-9, 1e-6, 0.01, 0.3, 0.5, 1.0])[:, None] * np.ones(Y), np.full((1, H, Y), 0.01)
    none, lively, within = np.zeros((0, H, Y)), np.array([0.6, 0.6, 0.0]), np.ones((1, E, S))
    blend = Blend(usual, within, np.array(HORIZONS), STREAM_OF, none, lively=lively, moves=moves)
    ways = np.array([0.0, 1e-5, 0.05, 0.5])[:, None, None] * np.ones((4, H, Y))
    _, plain, _ = blend.mix(ways[None], calm(1))
    _, scale, _ = blend.mix(ways[None], calm(1), now=np.zeros((4, 1, Y)))
    assert (scale <= np.maximum(plain, ways) + 1e-9).all()
    as_before = np.sqrt(0.4 + 0.6 * ways / moves)[:, 3:, :2]  # where such ways are usual
    np.testing.assert_allclose(scale[:, 3:, :2], plain[:, 3:, :2] * as_before)
    np.testing.assert_array_equal(scale[..., 2], plain[..., 2])


def test_where_trusted_experts_disagree_errors_are_expected_to_be_larger_and_are():
    """Of two alike experts whose errors are large in a fifth of windows, where nothing else tells it."""
    rng, many = np.random.default_rng(6), 1500
    size = np.where(rng.uniform(size=(many, 1, 1)) < 0.2, 1.0, 0.2)
    came = rng.normal(size=(many, H, Y))
    ahead = came + size * rng.normal(size=(2, many, H, Y))
    data = left_out([0.0, 0.0])._replace(
        groups=np.arange(many) % 10, came=came, mask=np.ones(came.shape, bool), age=np.zeros(came.shape),
        held=np.zeros((many, Y)), ahead=ahead, within=np.ones((2, many, E, S)),
    )  # fmt: skip
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    mean, scale, weights = blend.mix(ahead, data.within)
    apart = (weights * (ahead - mean) ** 2).sum(0)
    expected = (weights * blend.usual[:, None]).sum(0) + 2 * apart
    np.testing.assert_allclose(scale[:, 1:] ** 2, expected[:, 1:])
    wide = np.quantile(np.abs((came - mean) / scale), 0.9)
    held = np.abs(came - mean) <= wide * scale
    far = apart > np.quantile(apart, 0.8)
    assert held[far].mean() > 0.72  # 0.64 with one width for all


def test_errors_that_were_not_seen_lie_on_lines_between_those_that_were():
    mask = np.ones((N, H, Y), bool)
    mask[:, [0, 2, 5]] = False
    blend = fitted([1.0], mask=mask)
    residuals = blend.residuals
    np.testing.assert_array_equal(residuals[:, 0], residuals[:, 1])
    np.testing.assert_allclose(residuals[:, 2], (residuals[:, 1] + residuals[:, 3]) / 2, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(residuals[:, 5], residuals[:, 4])


def test_readings_of_a_slow_sensor_are_held_by_intervals_as_often_before_the_first_tick_at_which_one_came():
    """The nearer the start, the narrower they were, where in each window another tick is the first with a reading."""
    ticks, phase = np.arange(H), np.arange(N)[:, None] % 5
    mask = np.repeat(((ticks - phase) % 5 == 0)[..., None], Y, 2)
    blend = fitted([1.0], mask=mask)
    spread = blend.residuals.std((0, 2))
    assert spread[1:5].min() > 0.8 * spread[5:].mean()


def test_windows_in_which_nothing_came_of_a_sensor_say_nothing_of_how_little_it_errs():
    """Members repeated no error at all in nine windows of ten, of a sensor that reads in one of them."""
    mask = np.ones((N, H, Y), bool)
    mask[np.arange(N) % 10 != 3, :, 2] = False
    mask[:, :, 1] = False
    residuals = fitted([1.0], mask=mask).residuals
    several, once = residuals[..., 0].std(), residuals[..., 2].std()
    assert 0.8 * several < once < 1.2 * several
    assert set(np.unique(residuals[..., 2])) == set(np.unique(residuals[3::10, :, 2]))
    np.testing.assert_array_equal(residuals[..., 1], 0)  # of what never came nothing is known


@pytest.mark.parametrize(("episodes", "pays"), [(0, 16), (1, 4), (2, 4), (3, 1)])
def test_an_expert_known_from_other_windows_counts_by_how_much_it_errs_beside_another(episodes, pays):
    blend = fitted([1.0, 2.0])
    rng = np.random.default_rng(4)
    held = rng.normal(size=(20, H, Y)) ** 2
    joined = blend.joined_by(np.stack([0.25 * held, held]), beside=1, like=0, groups=episodes)
    expected = blend.usual[1] * 0.25 * pays
    np.testing.assert_allclose(joined.usual[2], expected)
    np.testing.assert_array_equal(joined.within[2], blend.within[0])


def test_beyond_the_horizon_that_was_measured_the_best_at_its_end_counts_ever_more():
    blend = fitted([1.0, 1.1])
    ahead = np.zeros((2, 4, 2 * H, Y))
    mean, scale, weights = blend.mix(ahead, calm(2))
    assert mean.shape == (4, 2 * H, Y)
    odds = weights[0] / weights[1]
    np.testing.assert_allclose(odds[:, -1], odds[:, H - 1] ** 2)
    np.testing.assert_allclose(scale[:, -1] <= scale[:, H - 1] * 1.0001, True)
    assert blend.members(mean, scale, blend.drawn(4, 5, 0)).shape == (4, 5, 2 * H, Y)


def test_an_expert_known_from_other_windows_is_not_trusted_where_nothing_moves_for_what_it_knows_of_what_does():
    blend = fitted([1.0])
    held = np.broadcast_to([4.0, 0.01, 1.0], (20, H, Y))  # in one stream a column that moves, and one that does not
    own = np.broadcast_to([0.04, 0.04, 0.5], (20, H, Y))
    usual = blend.joined_by(np.stack([own, held]), beside=0, like=0, groups=9).usual
    np.testing.assert_allclose(usual[1, :, 0], np.maximum(usual[0, :, 0] * 0.08 / 4.01, 0.04))  # as the whole stream
    np.testing.assert_allclose(usual[1, :, 1], usual[0, :, 1] * 4)
    quiet = blend.joined_by(np.stack([own, own]), beside=0, like=0, groups=9)
    np.testing.assert_allclose(quiet.usual[1], np.maximum(usual[0], own[0]))  # and never less than what was seen


def rarely_wrong():
    """A charge in steps, read every third tick, that holding foretells but in two windows; in none had it moved."""
    ticks, window = np.arange(H), np.arange(N)[:, None]
    mask = np.ones((N, H, Y), bool)
    mask[..., 2] = (ticks - window) % 3 == 0
    data = left_out([0.0, 0.3], mask=mask, within=np.zeros((2, N, E, S)))
    came = data.came.copy()
    came[..., 2] = np.isin(window, (5, 13)) & (ticks >= 3)
    ahead = np.concatenate([0 * came[None], data.ahead[1:]])
    return data._replace(came=came, ahead=ahead)


def test_what_is_all_but_never_wrong_is_imagined_to_err_by_no_more_than_it_did():
    """Its errors are many times the expected ones: a charge was imagined at 10,000 %, and its mean with it."""
    data = rarely_wrong()
    blend = Blend.fit(data, HORIZONS, STREAM_OF)
    within = np.zeros((2, 8, E, S))
    within[:, 4:] = 1.0  # where it has just moved
    mean, scale, _ = blend.mix(data.ahead[:, :8], within, now=data.held[:8, None])
    errors = blend.members(mean, scale, blend.drawn(8, 64, 0)) - mean[:, None]
    assert np.abs(errors[..., 2]).max() <= max(2.0, 3 * scale[..., 2].max())
    assert scale[..., 2].max() < 5
    assert np.abs(errors[:4, :, :, 2].mean(1)).max() < 0.1


def test_who_was_right_at_a_tick_at_which_few_readings_came_is_not_taken_for_sure_there():
    data = rarely_wrong()
    usual = Blend.fit(data, HORIZONS, STREAM_OF).usual[..., 2]
    assert not ((data.came[..., 2] > 0) & data.mask[..., 2])[:, 3].any()
    assert (usual[0, 3:] > 1e-4).all()
    assert usual[0, 0] < 1e-9  # nor was it wrong near there


def test_a_sensor_that_most_episodes_lack_is_no_slow_one():
    """Its errors, which grow with the horizon, are at each tick as in the episodes that have it."""
    whole = left_out([0.0, 0.0])
    grown = np.arange(1, H + 1)[:, None] * np.array([1.0, 2.0])[:, None, None, None]
    whole = whole._replace(ahead=whole.came + grown * np.ones((1, N, H, Y)))
    some = (whole.groups < 2)[:, None, None] | np.array([True, True, False])
    usual = [Blend.fit(d, HORIZONS, STREAM_OF).usual[..., 2] for d in (whole, whole._replace(mask=whole.mask & some))]
    np.testing.assert_allclose(usual[1], usual[0], rtol=1e-6)

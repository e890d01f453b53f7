"""Experts are asked inside contexts as at their ends, and measured on what they were not fitted on."""

import numpy as np
import pytest

from tests import oscillator
from tests.models.test_isotropic import flights
from tests.oscillator import SPECS, write_log
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context, Future, Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.view import Lens, short_context
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.closed import AR, ARX, Closed, Ridge, closed
from worldmodel.models.experts.evidence import earlier, errors_within, horizons_within
from worldmodel.models.experts.fitting import Trial, examples_at
from worldmodel.models.experts.left_out import Question, ask, evened, folds, measured
from worldmodel.models.experts.rich import experts_from, experts_to, fit_quick
from worldmodel.models.objective import at_sample_times
from worldmodel.training.data import measure_scaling
from worldmodel.types import Commands, StreamSpec

DT, C, H = 0.05, 16, 10


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    log = Log(write_log(tmp_path_factory.mktemp("left_out") / "log.h5", episodes=4, seconds=6.0))
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H).without_video()


@pytest.fixture(scope="module")
def scaling(windows):
    return measure_scaling(windows, 0)


@pytest.fixture(scope="module")
def lens(windows, scaling):
    return Lens(windows.layout, *(np.asarray(x) for x in scaling[:4]))


def left_out_of(windows, baselines, quick=(), allowance=UNLIMITED, rich=()):
    """What all of these say of what they were not fitted on."""
    trial = Trial.of(baselines.lens, windows, None, 0, allowance)
    return trial.beside(trial.closed(baselines, quick), rich)


def test_an_earlier_moment_of_a_context_is_seen_as_a_window_that_ends_there(windows, lens):
    starts = np.array([[0, 60], [1, 70], [3, 55]])
    context, future = windows.cut(starts, H)
    horizons, short = horizons_within(C, H), short_context(C)
    assert horizons == (1, 2, 3, 5, 8)
    seen = earlier(lens, context, future.actions, horizons)
    for i, back in enumerate(horizons):
        direct = Windows.of(windows.log, windows.layout, short, horizons[-1])
        expected = lens.examples(direct, starts - [0, back])
        rows = slice(i * len(starts), (i + 1) * len(starts))
        for name in ("slots", "readings", "mask", "held", "past", "ahead", "angle"):
            np.testing.assert_allclose(
                getattr(seen.view, name)[rows], getattr(expected.view, name), rtol=1e-4, atol=1e-4
            )
        np.testing.assert_allclose(seen.came[rows, :back], expected.came[:, :back], rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(seen.mask[rows, :back], expected.mask[:, :back])
        assert not seen.mask[rows, back:].any()  # what came after the context is not known in it


def test_earlier_moments_are_seen_where_nothing_is_commanded(windows, lens):
    context, future = windows.cut(np.array([[0, 60], [2, 66]]), H)
    past, ahead = (Commands(*(x[..., :0] for x in given)) for given in (context.actions, future.actions))
    horizons = horizons_within(C, H)
    seen = earlier(lens, context._replace(actions=past), ahead, horizons)
    acted = earlier(lens, context, future.actions, horizons)
    np.testing.assert_array_equal(seen.came, acted.came)
    np.testing.assert_array_equal(seen.view.readings, acted.view.readings)


def test_errors_inside_a_context_are_those_of_every_moment_as_far_back(windows, lens):
    starts = np.array([[0, 60], [2, 66]])
    context, future = windows.cut(starts, H)
    horizons = horizons_within(C, H)
    seen = earlier(lens, context, future.actions, horizons)
    ahead = np.random.default_rng(0).normal(size=seen.came.shape)
    found = errors_within(ahead, seen, windows.layout, horizons)
    error = np.where(seen.mask, at_sample_times(ahead, seen.age) - seen.came, np.nan)
    for w in range(len(starts)):
        for e, horizon in enumerate(horizons):
            for s, columns in enumerate(windows.layout.reading_columns.values()):
                rows = [i * len(starts) + w for i in range(e, len(horizons))]
                values = error[rows, horizon - 1, columns] ** 2
                expected = np.nanmean(values) if np.isfinite(values).any() else np.nan
                np.testing.assert_allclose(found[w, e, s], expected)


def test_an_expert_that_says_nothing_of_a_column_is_measured_by_the_others(windows, lens):
    """Dead reckoning knows no altitude."""
    context, future = windows.cut(np.array([[0, 60], [2, 66]]), H)
    seen = earlier(lens, context, future.actions, horizons_within(C, H))
    columns = windows.layout.reading_columns["gps"]
    ahead = np.full(seen.came.shape, np.nan)
    ahead[..., columns.start : columns.stop - 1] = 0.0
    found = errors_within(ahead, seen, windows.layout, horizons_within(C, H))
    stream = list(windows.layout.reading_columns).index("gps")
    assert np.isfinite(found[..., stream]).any()
    assert np.isnan(np.delete(found, stream, 2)).all()
    silent = seen._replace(mask=seen.mask & (np.arange(ahead.shape[2]) != columns.stop - 1))
    both = errors_within(np.zeros(ahead.shape), silent, windows.layout, horizons_within(C, H))
    np.testing.assert_allclose(found[..., stream], both[..., stream])


def test_errors_inside_a_context_are_the_same_beside_other_windows(windows, lens):
    """Of a column that a prediction speaks of in some windows alone."""
    starts, horizons = np.array([[0, 60], [2, 66]]), horizons_within(C, H)
    columns = windows.layout.reading_columns["gps"]

    def found(rows):
        context, future = windows.cut(starts[rows], H)
        seen = earlier(lens, context, future.actions, horizons)
        ahead = np.zeros(seen.came.shape)
        ahead[:: len(starts[rows]), :, columns.start] = np.nan  # of the first
        return errors_within(ahead, seen, windows.layout, horizons)[0]

    alone = found(slice(1))
    assert np.isfinite(alone).any()
    np.testing.assert_array_equal(found(slice(2)), alone)


@pytest.mark.parametrize(
    ("context", "horizon", "expected"), [(2, 5, ()), (40, 64, (1, 2, 3, 5, 8, 12, 20)), (40, 4, (1, 2, 3))]
)
def test_moments_are_as_far_back_as_half_a_context_and_the_horizon_allow(context, horizon, expected):
    assert horizons_within(context, horizon) == expected


def test_what_an_expert_is_measured_on_it_was_not_fitted_on(tmp_path):
    with LogWriter(tmp_path / "log.h5", SPECS) as writer:
        for seed in (0, 1, 0, 2):
            writer.append(oscillator.episode(seed, 6.0))
    log = Log(tmp_path / "log.h5")
    windows = Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)
    starts = np.asarray(windows.starts())
    parts = folds(windows, seed=0)
    assert len(parts) == 3
    for fold in parts:
        kept, left = set(fold.fit[:, 0]), set(fold.measure[:, 0])
        assert not kept & left
        assert ({0, 2} <= kept) or ({0, 2} <= left)  # copies stay together
    assert sorted(map(tuple, np.concatenate([fold.measure for fold in parts]))) == sorted(map(tuple, starts))


def test_simulated_episodes_are_fitted_on_and_never_measured(windows):
    parts = folds(windows, seed=0, simulated=[0, 2])
    measured = np.concatenate([fold.measure for fold in parts])
    assert set(measured[:, 0]) == {1, 3}
    assert all(len(fold.groups) == len(fold.measure) for fold in parts)
    assert [set(fold.fit[:, 0]) for fold in parts] == [{0, 2, *({1, 3} - set(fold.measure[:, 0]))} for fold in parts]
    every = folds(windows, seed=0, simulated=[0, 1, 2, 3])
    assert set(np.concatenate([fold.measure for fold in every])[:, 0]) == {0, 1, 2, 3}


def test_no_more_windows_of_simulated_episodes_are_fitted_on_than_of_recorded_ones(windows):
    starts, each = np.asarray(windows.starts()), len(windows.starts()) // 4
    kept = evened(starts, [0, 1, 3])
    assert np.bincount(kept[:, 0]).tolist() == [32, 31, each, 32]  # evenly among those, of whom each has 95
    np.testing.assert_array_equal(kept, np.unique(kept, axis=0))  # each once, in their order
    for all_of_them in ([], [1], [0, 2], [0, 1, 2, 3]):
        np.testing.assert_array_equal(evened(starts, all_of_them), starts)
    for fold in folds(windows, seed=0, simulated=[0, 1]):  # of the others one is fitted on, and one is left out
        assert np.isin(fold.fit[:, 0], [0, 1]).sum() == each == len(fold.fit) / 2
    (alone,) = folds(windows, seed=0, simulated=[0, 1, 3])
    assert set(alone.fit[:, 0]) == {0, 1, 3}
    assert len(alone.fit) == 3 * each


def test_one_episode_is_left_out_in_blocks_that_no_window_reaches_into(windows):
    alone = Windows.of(windows.log, windows.layout, C, H, [1])
    parts = folds(alone, seed=0)
    assert len(parts) == 4
    for fold in parts:
        gaps = np.abs(fold.fit[:, None, 1] - fold.measure[None, :, 1])
        assert gaps.min() >= C + H


def test_an_episode_too_short_for_blocks_does_both(windows):
    short = Windows.of(windows.log, windows.layout, 60, 50, [1])
    (fold,) = folds(short, seed=0)
    np.testing.assert_array_equal(fold.fit, fold.measure)
    assert len(fold.fit) == len(short.starts())
    assert not fold.apart


def test_what_learned_experts_say_of_windows_that_they_learned_from_does_not_count(windows, scaling):
    short = Windows.of(windows.log, windows.layout, 60, 50, [1]).without_video()
    baselines = Baselines.fit(short, scaling, 0)
    left_out = left_out_of(short, baselines)
    learned = np.isin(baselines.names, ("mean", "hold", "velocity"), invert=True)
    assert np.isnan(left_out.ahead[learned]).all()
    assert np.isfinite(left_out.ahead[~learned]).all()
    blend = Blend.fit(left_out, horizons_within(60, 50), short.layout.stream_of[short.layout.newest])
    assert (blend.mix(left_out.ahead, left_out.within)[2][learned] == 0).all()


def test_left_out_predictions_are_those_of_experts_fitted_on_the_rest(windows, scaling, lens):
    baselines = Baselines.fit(windows, scaling, 0)
    ridge = Ridge.fit(examples_at(lens, windows, np.asarray(windows.starts()), 0), lens)
    said: list[str] = []
    left_out = left_out_of(windows, baselines, [ridge], Allowance(say=said.append))
    assert len(said) == 4
    assert left_out.ahead.shape == (5, len(left_out.starts), H, len(lens.centre))
    episode = left_out.starts[0, 0]
    rows = left_out.starts[:, 0] == episode
    starts = np.asarray(windows.starts())
    apart = baselines.refit(windows, starts[starts[:, 0] != episode], 0)
    context, future = windows.cut(left_out.starts[rows], H)
    experts = [Closed(apart, name) for name in ("mean", "linear")]
    expected = ask(experts, lens, Question.of(lens, context, future.actions, H))
    np.testing.assert_allclose(left_out.ahead[[0, 3]][:, rows], expected.ahead, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(left_out.within[[0, 3]][:, rows], expected.within, rtol=1e-5, atol=1e-6)


def test_where_time_is_short_fewer_parts_are_left_out_and_that_is_said(windows, scaling, lens):
    baselines, said = Baselines.fit(windows, scaling, 0), []
    allowance = Allowance(0, said.append)
    left_out = left_out_of(windows, baselines, [], allowance)
    assert len(np.unique(left_out.starts[:, 0])) == 1  # and never none
    assert allowance.cut[-1] == "measuring experts on 3 of 4 parts"
    assert said[-1] == f"no time left for {allowance.cut[-1]}"


def test_where_time_is_short_experts_are_asked_of_fewer_windows_spread_as_evenly(windows, scaling, lens):
    baselines, said = Baselines.fit(windows, scaling, 0), []
    starts = np.asarray(windows.starts())
    asked = [
        measured(closed(baselines), lens, windows, starts, starts[:, 0], allowance)
        for allowance in (UNLIMITED, Allowance(0, said.append))
    ]
    assert len(asked[0].starts) > len(asked[1].starts) == 100
    assert set(asked[1].starts[:, 0]) == set(asked[0].starts[:, 0])
    assert said == ["no time left for measuring experts on as many windows"]


def test_experts_that_take_long_are_asked_of_the_same_windows_and_of_as_many_parts_as_there_is_time_for(
    windows, scaling, lens
):
    baselines = Baselines.fit(windows, scaling, 0)
    ridge = Ridge.fit(examples_at(lens, windows, np.asarray(windows.starts()), 0), lens)
    together = left_out_of(windows, baselines, [ridge])
    after = left_out_of(windows, baselines, rich=[ridge])
    np.testing.assert_array_equal(after.ahead, together.ahead)
    np.testing.assert_array_equal(after.within, together.within)
    trial = Trial.of(lens, windows, None, 0, UNLIMITED)
    told = trial.closed(baselines, [])
    trial.allowance = hurried = Allowance(0)
    found = trial.beside(told, [ridge])
    assert hurried.cut[-1] == "measuring ridge on 3 of 4 parts"
    first = len(told[0].starts)
    np.testing.assert_array_equal(found.starts, together.starts)
    assert np.isfinite(found.ahead[-1, :first]).all()
    assert np.isnan(found.ahead[-1, first:]).all()


def test_select_episodes_are_one_part_and_nothing_is_fitted_again(windows, scaling, lens):
    baselines = Baselines.fit(windows, scaling, 0)
    select = Windows.of(windows.log, windows.layout, C, H, [3]).without_video()
    trial = Trial.of(lens, windows, select, 0, UNLIMITED)
    (told,) = trial.closed(baselines, [])
    assert len(np.unique(told.starts)) > 2
    expected = ask(closed(baselines), lens, _question(lens, select, told.starts))
    np.testing.assert_allclose(told.ahead, expected.ahead, rtol=1e-6)


def _question(lens, windows, starts):
    context, future = windows.cut(starts, H)
    return Question.of(lens, context, future.actions, H)


def test_what_some_episodes_do_not_tell_is_left_open_there(windows, scaling, lens):
    """Dead reckoning may be found in some folds and not in others; then it is measured where it was."""
    baselines = Baselines.fit(windows, scaling, 0)
    view = lens.examples(windows, np.asarray(windows.starts())[::50]).view
    ahead = [expert.predict(view) for expert in closed(baselines, ("hold", "dead_reckoning"))]
    assert np.isfinite(ahead[0]).all()
    assert ahead[1].shape == ahead[0].shape
    assert np.isnan(ahead[1]).all()


def test_a_ridge_sees_the_last_ticks_alone_and_is_kept(windows, lens):
    starts = np.asarray(windows.starts())
    ridge = Ridge.fit(examples_at(lens, windows, starts, 0), lens)
    view = lens.examples(windows, starts[::40]).view
    near = view.newest(8)
    np.testing.assert_allclose(ridge.predict(view), ridge.predict(near))
    again = Ridge.from_arrays(ridge.to_arrays(), lens)
    np.testing.assert_array_equal(again.predict(view), ridge.predict(view))
    longer = view._replace(**{n: np.repeat(getattr(view, n), 2, 1) for n in ("ahead", "ahead_mask")})
    assert ridge.predict(longer).shape[1] == 2 * H


@pytest.mark.parametrize("kind", [AR, ARX])
def test_columns_by_themselves_see_their_own_past_and_arx_what_is_commanded(windows, lens, kind):
    starts = np.asarray(windows.starts())
    expert = kind.fit(examples_at(lens, windows, starts, 0), lens)
    view = lens.examples(windows, starts[::60]).view
    now = expert.predict(view)
    part = lens.layout.reading_columns["position"]
    rest = [i for i in range(now.shape[-1]) if not part.start <= i < part.stop]
    slots = [name for name in lens.layout.columns if name != "position"]
    others = np.concatenate([np.r_[lens.layout.columns[name]] for name in slots])
    jolted = view._replace(
        held=_jolted(view.held, rest), readings=_jolted(view.readings, rest), slots=_jolted(view.slots, others)
    )
    np.testing.assert_allclose(expert.predict(jolted)[..., part], now[..., part])
    assert np.abs(expert.predict(jolted)[..., rest] - now[..., rest]).max() > 0.1
    pushed = expert.predict(view._replace(ahead=view.ahead + 1.0))
    assert (np.abs(pushed - now).max() > 1e-3) == (kind is ARX)
    again = kind.from_arrays(expert.to_arrays(), lens)
    np.testing.assert_array_equal(again.predict(view), now)


def _jolted(values, columns):
    out = values.copy()
    out[..., columns] += np.random.default_rng(0).normal(size=out[..., columns].shape)
    return out


def test_columns_by_themselves_learn_from_little_where_all_together_find_what_is_not_there():
    """Eight columns that have nothing to do with each other, of which a few windows are known."""
    examples, lens = _walks(windows=40), _lens(8)
    fresh = _walks(windows=300, seed=1)
    ridge, ar = fit_quick(examples, lens)  # there are no actions
    assert isinstance(ar, AR)
    together, apart = (np.nanmean(fresh.squared_errors(expert.predict(fresh.view))) for expert in (ridge, ar))
    still = np.nanmean(fresh.squared_errors(np.repeat(fresh.view.held[:, -1:], H, 1)))
    assert apart < 0.75 * still < 0.75 * together


def test_columns_are_not_told_by_themselves_where_many_commands_move_them():
    kinds = [[type(e) for e in fit_quick(_walks(20, actions=n), _lens(8, n))] for n in (2, 9)]
    assert kinds == [[Ridge, AR, ARX], [Ridge]]


def _lens(columns, actions=0):
    def spec(name, kind, count):
        return StreamSpec(name, kind, tuple(f"{name}{i}" for i in range(count)), ("m",) * count, 1 / DT)

    streams = [spec("s", "sensor", columns)] + ([spec("u", "action", actions)] if actions else [])
    return Lens(TickLayout(DT, tuple(streams)), *(f(n) for n in (columns, actions) for f in (np.zeros, np.ones)))


def _walks(windows, seed=0, columns=8, back=0.8, actions=0):
    """Examples of readings that each return to 0 by a share a tick."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=(windows, columns))]
    for _ in range(C + H - 1):
        x.append(back * x[-1] + np.sqrt(1 - back**2) * rng.normal(size=x[-1].shape))
    values = np.stack(x, 1)
    shape = (windows, C + H - 1, actions)
    acted = Commands(rng.normal(size=shape), np.ones(shape, bool), np.zeros((*shape[:2], int(actions > 0))))
    here, led = (Commands(*(a[:, part] for a in acted)) for part in (slice(0, C - 1), slice(C - 1, None)))
    known, age = np.ones(values.shape, bool), np.zeros((windows, C + H, 1))
    past = Context(values[:, :C], known[:, :C], age[:, :C], here, (), ())
    none = np.zeros((windows, 0), np.int32)
    future = Future(led, values[:, C:], known[:, C:], age[:, C:], none, (), ())
    return _lens(columns, actions).seen(past, future)


def test_who_tells_place_and_attitude_has_experts_that_are_alike_in_all_directions(tmp_path):
    windows = flights(tmp_path / "x.h5", towards=0.0, count=2)
    lens = Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))
    examples = lens.examples(windows, np.asarray(windows.starts())[::20])
    experts = fit_quick(examples, lens)
    assert [expert.name for expert in experts] == ["ridge", "ar", "isotropic", "turning"]
    kept = experts_from(experts_to(experts), lens, tmp_path)
    for expert, again in zip(experts, kept, strict=True):
        np.testing.assert_array_equal(again.predict(examples.view), expert.predict(examples.view))

"""The compact state space against systems whose equations, and whose best predictions, are known."""

import dataclasses

import numpy as np
import pytest

from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.state_space import StateSpace, choice, expert, fitting, members
from worldmodel.models.experts.state_space.cell import Cell, Shape, shoot
from worldmodel.models.experts.state_space.fitting import BELIEFS, Belief, Recipe, add_terms, fit_linear
from worldmodel.models.experts.state_space.members import drawn
from worldmodel.models.experts.state_space.rollouts import derived, simulated
from worldmodel.models.experts.state_space.traces import Traces, pace_of
from worldmodel.types import StreamSpec

C, H = 12, 20
NOISE = 0.02


def lens_of(readings: int) -> Lens:
    names = tuple("abcdefghijkl"[:readings])
    sensor = StreamSpec("s", "sensor", names, ("m",) * readings, 20.0)
    push = StreamSpec("push", "action", ("p",), ("N",), 20.0)
    return Lens(TickLayout(0.05, (sensor, push)), np.zeros(readings), np.ones(readings), np.zeros(1), np.ones(1))


LENS = lens_of(1)


def oscillator(ticks: int, spring: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions [T] of a damped mass on a spring whose velocity no one sees, and the forces [T - 1] that drive it."""
    rng = np.random.default_rng(seed)
    force = np.repeat(rng.normal(size=ticks // 8 + 1), 8)[: ticks - 1]
    x, v, seen = 0.0, 0.0, [0.0]
    for f in force:
        v += 0.2 * (1.5 * f - x - spring * x**3 - 0.3 * v)
        x += 0.2 * v
        seen.append(x)
    return np.array(seen), force


def examples_of(
    seen: np.ndarray, force: np.ndarray, noise: float = NOISE, every: int = 10, horizon: int = H
) -> Examples:
    readings = seen + noise * np.random.default_rng(9).normal(size=len(seen))
    starts = range(0, len(seen) - C - horizon, every)
    past = np.stack([readings[i : i + C, None] for i in starts])
    came = np.stack([seen[i + C : i + C + horizon, None] for i in starts])
    acted = np.stack([force[i : i + C + horizon - 1, None] for i in starts])
    view = View(
        np.zeros((len(past), 0)), past, there(past), past, there(past), past, np.zeros(past.shape),
        acted[:, : C - 1], there(acted[:, : C - 1]), acted[:, C - 1 :], there(acted[:, C - 1 :]),
    )  # fmt: skip
    at = np.stack([np.zeros(len(past), int), np.array(starts)], 1)
    return Examples(view, came, there(came), np.zeros(came.shape), at)


def there(values: np.ndarray) -> np.ndarray:
    return np.ones(values.shape, bool)


def error(model: StateSpace, examples: Examples) -> float:
    return float(np.sqrt(np.mean((model.predict(examples.view) - examples.came) ** 2)))


def fitted(recipe: Recipe, examples: Examples, seed: int = 0) -> StateSpace:
    """One member of a given recipe."""
    members, belief = drawn(recipe, Traces.of(examples), C, [seed], Belief())
    return StateSpace(recipe, belief, members)


def in_a_moment(patch: pytest.MonkeyPatch) -> None:
    """Fewer kinds to choose from, and fewer fits of each: more of anything would only take time."""
    patch.setattr(choice, "TERMS", {name: choice.TERMS[name] for name in ("spring", "friction")})
    patch.setattr(choice, "_MOST_TERMS", 1)
    patch.setattr(choice, "_MOST_HIDDEN", 1)
    patch.setattr(choice, "_RACERS", 1)
    patch.setattr(expert, "_DRAWN", 2)


@pytest.fixture(scope="module")
def chosen() -> StateSpace:
    """Choices made, on a linear oscillator."""
    with pytest.MonkeyPatch.context() as patch:
        in_a_moment(patch)
        return StateSpace.fit(examples_of(*oscillator(300), every=25), LENS, seed=0)


@pytest.fixture(scope="module")
def sprung() -> StateSpace:
    """On an oscillator with a cubic spring."""
    return fitted(Recipe(1, ("spring",)), examples_of(*oscillator(600, spring=1.0), noise=0.0))


def test_derivatives_of_rollouts_are_those_of_differences():
    rng, shape, step = np.random.default_rng(0), Shape(2, 1, 2, ("tanh", "cube", "ramp", "tanh")), 1e-6
    flat, start, actions = 0.2 * rng.normal(size=shape.size), rng.normal(size=(3, 3)), rng.normal(size=(3, 6, 2))
    asked = (flat, np.full(3, 20.0), start.T, np.moveaxis(actions, 0, -1))
    _, by = derived(shape, *(np.asarray(part, np.float32) for part in asked))
    for k in range(shape.size + 3):
        move = step * np.eye(shape.size + 3)[k]
        ends = [
            Cell(shape, flat + sign * move[: shape.size], np.full(3, 20.0)).rollout(
                start + sign * move[shape.size :], actions
            )
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1])[..., :2] / (2 * step)
        np.testing.assert_allclose(np.moveaxis(by, -1, 0)[..., k], expected, atol=1e-4)


def test_compiled_rollouts_are_those_of_the_cell():
    rng, shape = np.random.default_rng(0), Shape(2, 1, 2, ("tanh", "cube", "ramp", "tanh"))
    flat, start, actions = 0.2 * rng.normal(size=shape.size), rng.normal(size=(3, 3)), 9 * rng.normal(size=(3, 6, 2))
    limit = np.full(3, 2.0)  # that are reached
    expected = Cell(shape, flat, limit).rollout(start, actions)[..., :2]
    assert (abs(expected[:, 1:]) == 2).any()
    asked = [np.asarray(x, np.float32) for x in (flat, limit, start.T, np.moveaxis(actions, 0, -1))]
    for seen in (simulated(shape, *asked), derived(shape, *asked)[0]):
        np.testing.assert_allclose(np.moveaxis(seen, -1, 0), expected, atol=1e-4)


def test_the_start_of_a_linear_system_is_that_of_least_squares():
    rng, shape = np.random.default_rng(1), Shape(1, 1, 1)
    linear = np.array([[-0.1, -0.2], [0.3, -0.05], [0.1, 0.2]])
    cell = Cell(shape, shape.join(linear=linear, constant=0.1, inner=0, bias=0, outer=0), np.full(2, 20.0))
    actions, readings, weight = rng.normal(size=(1, 9, 1)), rng.normal(size=(1, 10, 1)), rng.uniform(size=(1, 10, 1))
    free = cell.rollout(np.zeros((1, 2)), actions)[0, :, 0]
    columns = np.stack([cell.rollout(e[None], actions)[0, :, 0] - free for e in np.eye(2)], 1)
    guess, w = np.array([[0.3, 0.0]]), weight[0]
    rows = np.concatenate([w * columns, np.eye(2)])
    targets = np.concatenate([w[:, 0] * (readings[0, :, 0] - free), guess[0]])
    expected = np.linalg.lstsq(rows, targets, rcond=None)[0]
    np.testing.assert_allclose(shoot(cell, guess, readings, weight, actions)[0], expected, atol=1e-6)


def test_a_linear_system_with_a_hidden_state_is_recovered(chosen):
    fresh = examples_of(*oscillator(600, seed=5))
    assert chosen.recipe.hidden >= 1
    assert error(chosen, fresh) < NOISE  # the state is known better than one reading is
    shape, flat = chosen.members[0].shape, fitted(Recipe(1), examples_of(*oscillator(600), noise=0.0)).members[0].flat
    transition = np.eye(2) + Shape(1, 1, 1).split(flat)["linear"][:2].T
    true = np.array([[1 - 0.04, 0.2 * (1 - 0.06)], [-0.2, 1 - 0.06]])
    np.testing.assert_allclose(np.poly(transition), np.poly(true), atol=1e-3)
    assert shape.readings == 1


def test_without_its_hidden_state_it_is_far_worse():
    learn, fresh = (examples_of(*oscillator(600, seed=s)) for s in (0, 5))
    assert error(fitted(Recipe(1), learn), fresh) < 0.2 * error(fitted(Recipe(0), learn), fresh)


def test_a_cubic_spring_is_learned(sprung):
    learn, fresh = (examples_of(*oscillator(600, spring=1.0, seed=s), noise=0.0) for s in (0, 5))
    assert error(sprung, fresh) < 0.1 * error(fitted(Recipe(1), learn), fresh)


def test_the_nonlinear_term_is_chosen_where_there_is_one(monkeypatch):
    in_a_moment(monkeypatch)
    found = StateSpace.fit(examples_of(*oscillator(260, spring=1.0), noise=0.0, every=25, horizon=12), LENS)
    assert found.recipe.terms == ("spring",)


def test_where_there_is_no_time_the_simplest_is_chosen_and_that_is_said():
    said: list[str] = []
    found = StateSpace.fit(examples_of(*oscillator(200), every=25), LENS, allowance=Allowance(0, said.append))
    assert found.recipe == Recipe(0)
    assert "no time left for a closer choice of the state space" in said


def test_stretches_are_numbered_over_recordings_and_the_same_in_windows_that_overlap():
    starts = np.array([[0, 0], [0, 3], [2, 1]])
    nothing = np.zeros((3, 6, 1))
    found = Traces(nothing, nothing > 1, nothing[:, 1:], starts).stretches(4)
    np.testing.assert_array_equal(found, [[0, 0, 0, 0, 1, 1], [0, 1, 1, 1, 1, 2], [3, 3, 3, 4, 4, 4]])


def test_longer_steps_end_where_contexts_end_and_take_the_means_of_actions():
    ticks = np.arange(11.0)[None, :, None]
    traces = Traces(ticks, ticks != 6, 10 * ticks[:, :-1], np.array([[2, 40]]))
    slow, context = traces.paced(3, 5)
    assert context == 2
    np.testing.assert_array_equal(slow.readings[0, :, 0], [1, 4, 7, 10])
    np.testing.assert_array_equal(slow.actions[0, :, 0], [20, 50, 80])
    assert slow.mask.all()
    np.testing.assert_array_equal(slow.starts, [[2, 13]])
    same = traces.paced(1, 5)
    assert same[1] == 5
    for one, other in zip(same[0], traces, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("turns", "noise", "ticks", "pace"), [(1, 0, 1000, 10), (1, 0, 450, 4), (1, 0.01, 1000, 1)])
def test_steps_are_as_long_as_lines_miss_nothing_and_much_is_ahead(turns, noise, ticks, pace):
    time = np.arange(20 + ticks) / 1000
    readings = np.sin(2 * np.pi * turns * time) * (1 + np.zeros((3, 1)))
    readings += noise * np.random.default_rng(0).normal(size=readings.shape)
    traces = Traces(readings[..., None], readings[..., None] < 9, readings[:, 1:, None], np.zeros((3, 2), int))
    assert pace_of(traces, 20) == pace


def test_a_system_in_shorter_steps_goes_the_same_way(sprung):
    member, push = sprung.members[0], np.full((1, 40, 1), 0.5)
    path = member.in_steps_of(1 / 20).cell.rollout(np.zeros((1, 2)), np.repeat(push, 20, 1))[:, ::20]
    finer = member.in_steps_of(1 / 40).cell.rollout(np.zeros((1, 2)), np.repeat(push, 40, 1))[:, ::40]
    np.testing.assert_allclose(path, finer, atol=0.05 * abs(finer).max())
    assert abs(path[:, -1] - member.in_steps_of(1 / 20).cell.rollout(np.zeros((1, 2)), push)[:, -1]).max() > 0.1


def test_what_was_found_in_longer_steps_is_fitted_in_short_ones(sprung, monkeypatch):
    monkeypatch.setattr(expert, "pace_of", lambda *_: 2)
    monkeypatch.setattr(expert, "choose", lambda *_: (sprung.recipe, Belief(0.1, 10.0)))
    monkeypatch.setattr(expert, "_DRAWN", 1)
    learn, fresh = (examples_of(*oscillator(600, spring=1.0, seed=s), noise=0.0) for s in (0, 5))
    found = StateSpace.fit(learn, LENS)
    assert found.belief == (0.05, 10.0)
    assert error(found, fresh) < 2 * error(sprung, fresh)
    longer = StateSpace(found.recipe, found.belief, [member.in_steps_of(2) for member in found.members])
    assert error(found, fresh) < 0.1 * error(longer, fresh)


@pytest.mark.parametrize(("better", "anywhere"), [(0.0, True), (0.05, True), (0.5, False)])
def test_where_it_stands_matters_only_if_it_tells_much(better, anywhere, monkeypatch):
    traces = Traces.of(examples_of(*oscillator(300)))
    monkeypatch.setattr(
        choice._Search, "_errors", lambda _, recipe, limit: np.array([0.0 if recipe.anywhere else -better])
    )
    for first in (Recipe(1), Recipe(1, anywhere=True)):
        search = choice._Search(traces, C, 0, Allowance())
        search.consider([first])
        search.elsewhere()
        assert search.best.anywhere == anywhere


def test_precise_readings_tell_a_speed_in_a_moment_if_they_are_believed():
    """A slide that nothing slows, and a model of it that errs over its horizon by far more than readings do."""
    shape = Shape(1, 1, 1)
    flat = shape.join(linear=[[0, 0], [0.01, 0], [0, 0]], constant=0, inner=0, bias=0, outer=0)
    member = fitting.Member(shape, flat, np.full(2, 20.0), np.array([0.1]))
    place = 0.01 * np.arange(8.0)[None, :, None]
    seen = Traces(place, place < 9, np.zeros((1, 7, 1)), np.zeros((1, 2), int))
    doubted, believed = (member.start(seen, Belief(0.0, precision))[0, 1] for precision in (1.0, 100.0))
    assert believed == pytest.approx(1.0, abs=1e-3)
    assert doubted < 0.7
    both = member.start(seen.take(np.zeros(2, int)), Belief(np.zeros(2), np.array([1.0, 100.0])))
    np.testing.assert_allclose(both[:, 1], [doubted, believed], rtol=1e-4)


@pytest.mark.parametrize(("offsets", "kept"), [((9.0, 1.0, 2.0), [1]), ((9.0, -2.0, 1.0), [2, 1])])
def test_members_are_those_whose_median_errs_least_on_what_they_did_not_see(offsets, kept, monkeypatch):
    """However well they fit."""
    recipe, traces = Recipe(1, ("smooth",)), Traces.of(examples_of(*oscillator(120, spring=1.0), every=30, horizon=8))
    found = add_terms(recipe, *fit_linear(recipe, traces), traces, range(3), count=3)
    by_belief = 1 + abs(np.arange(len(BELIEFS)) - 5)[:, None, None, None]
    said = traces.readings[:, C:] + np.array(offsets)[:, None, None, None, None] * by_belief
    monkeypatch.setattr(members, "_of_what_is_left_out", lambda *_: said)
    team, belief = drawn(recipe, traces, C, range(3), Belief())
    assert [member.seed for member in team] == [found[i].seed for i in kept]
    assert belief == BELIEFS[5]


def test_what_is_left_out_is_told_by_fits_that_did_not_see_it():
    traces, recipe = Traces.of(examples_of(*oscillator(200, spring=1.0), noise=0.0, every=30)), Recipe(1)
    late = traces.starts[:, 1, None] + np.arange(traces.mask.shape[1]) >= 100
    strange = traces._replace(readings=np.where(late[..., None], traces.readings + 5.0, traces.readings))
    said = members._of_what_is_left_out(recipe, [fit_linear(recipe, traces)[0]], strange, C, late.astype(int))
    missed = members.log_errors(members.squares(said, strange, C, late), strange, C)[0, 0]
    assert missed > np.log(9 * late[:, C:].mean())  # it did not learn that all is elsewhere there


def test_squares_are_of_ticks_that_count():
    traces = Traces.of(examples_of(*oscillator(200), noise=0.0, every=30))
    mask = traces.mask.copy()
    mask[:, C + 1] = False
    gone, late = traces._replace(mask=mask), np.arange(C + H) >= C + 4
    said = traces.readings[None, :, C:] + 2.0
    windows = len(mask)
    assert members.squares(said, gone, C) == pytest.approx(4.0 * windows * (H - 1))
    assert members.squares(said, gone, C, late) == pytest.approx(4.0 * windows * (H - 4))
    assert np.exp(members.log_errors(members.squares(said, gone, C), gone, C)) == pytest.approx(4.0)


def test_of_fits_from_different_units_those_nearest_to_the_data_are_members():
    traces = Traces.of(examples_of(*oscillator(120, spring=1.0), every=30, horizon=8))
    recipe = Recipe(1, ("smooth",))
    linear = fit_linear(recipe, traces)
    alone = [add_terms(recipe, *linear, traces, [seed])[0] for seed in range(4)]
    best, second = add_terms(recipe, *linear, traces, range(4), count=2)
    errors = sorted(float(member.error[0]) for member in alone)
    assert best.error[0] <= second.error[0]
    assert best.error[0] <= errors[1]
    assert best.seed != second.seed


def test_masked_readings_have_no_influence(sprung):
    view = examples_of(*oscillator(200, spring=1.0, seed=3)).view
    mask = np.random.default_rng(0).uniform(size=view.mask.shape) < 0.6
    nonsense = np.where(mask, view.readings, 1e3)
    gaps, other = (view._replace(mask=mask, readings=r) for r in (view.readings, nonsense))
    np.testing.assert_array_equal(sprung.predict(gaps), sprung.predict(other))
    assert np.abs(sprung.predict(gaps) - sprung.predict(view)).max() > 1e-6


def test_nothing_is_known_before_the_action_that_causes_it(sprung):
    view = examples_of(*oscillator(200, spring=1.0, seed=3)).view
    later = view.ahead.copy()
    later[:, 7:] += 1
    before, after = sprung.predict(view), sprung.predict(view._replace(ahead=later))
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert (before[:, 7:9] != after[:, 7:9]).any()


def test_the_context_says_where_hidden_states_are(sprung):
    """A start at rest would miss the velocity; with more of the context the prediction is the better."""
    fresh = examples_of(*oscillator(600, spring=1.0, seed=5))

    def last(ticks: int) -> float:
        view, cut = fresh.view, slice(C - ticks, None)
        short = {k: getattr(view, k)[:, cut] for k in ("readings", "mask", "held", "age", "slots", "slots_mask")}
        short |= {k: getattr(view, k)[:, cut] for k in ("past", "past_mask")}
        return error(sprung, fresh._replace(view=view._replace(**short)))

    assert last(C) < 0.5 * last(3) < 0.5 * last(1)


def test_far_rollouts_stay_bounded(sprung):
    view = examples_of(*oscillator(80, spring=1.0), every=40).view
    pushed = np.full((len(view.ahead), 3000, 1), 50.0)
    ahead = sprung.predict(view._replace(ahead=pushed, ahead_mask=there(pushed)))
    assert np.isfinite(ahead).all()
    assert np.abs(ahead).max() <= max(m.limit[0] for m in sprung.members)


def test_arrays_bring_it_back(sprung):
    view = examples_of(*oscillator(100, spring=1.0)).view
    again = StateSpace.from_arrays(sprung.to_arrays(), LENS)
    assert again.recipe == sprung.recipe
    np.testing.assert_array_equal(again.predict(view), sprung.predict(view))


def test_what_an_earlier_version_kept_is_believed_as_it_was(sprung):
    arrays = sprung.to_arrays()
    del arrays["belief"]
    assert StateSpace.from_arrays(arrays | {"forgetting": np.array(0.1)}, LENS).belief == (0.1, 1.0)


def test_a_seed_gives_one_model_and_another_seed_other_members():
    learn = examples_of(*oscillator(120, spring=1.0), every=30, horizon=8)
    one, same, other = (fitted(Recipe(1, ("smooth",)), learn, seed).members[0].flat for seed in (0, 0, 7))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("horizon", [1, 20])
def test_little_to_learn_from_is_enough(horizon):
    learn = examples_of(*oscillator(C + horizon + 4), every=2, horizon=horizon)
    assert np.isfinite(StateSpace.fit(learn, LENS).predict(learn.view)).all()


def test_many_readings_are_refused():
    with pytest.raises(WorldModelError, match="few readings"):
        StateSpace.fit(examples_of(*oscillator(100)), lens_of(7))


def test_refitting_keeps_what_was_chosen(chosen):
    again = chosen.refit(examples_of(*oscillator(300, seed=2)))
    assert (again.recipe, again.belief) == (chosen.recipe, chosen.belief)
    assert dataclasses.asdict(again.members[0].shape) == dataclasses.asdict(chosen.members[0].shape)
    assert (again.members[0].flat != chosen.members[0].flat).any()


def test_refitting_goes_on_from_where_members_ended(sprung, monkeypatch):
    monkeypatch.setattr(fitting, "_STEPS", 0)
    again = sprung.refit(examples_of(*oscillator(120, spring=1.0, seed=3)))
    for one, other in zip(again.members, sprung.members, strict=True):
        np.testing.assert_array_equal(one.flat, other.flat)

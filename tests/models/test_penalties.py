"""What penalties of ridge regressions count, against a plain loop, and where the right answer is known."""

import numpy as np
import pytest

from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.direct import Design
from worldmodel.models.baselines.inputs import acts_until
from worldmodel.models.baselines.penalties import PENALTIES, _asked, shares
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.types import Commands, StreamSpec

DT, C, H = 0.1, 4, 3
SENSOR = StreamSpec("s", "sensor", ("a", "b"), ("m", "m"), 1 / DT)
PUSH = StreamSpec("push", "action", ("u",), ("N",), 1 / DT)
LENS = Lens(TickLayout(DT, (SENSOR, PUSH)), np.zeros(2), np.ones(2), np.zeros(1), np.ones(1))


def examples_of(rng, came, groups, missing=0.0, lens=LENS):
    """Windows of noise, of which the readings `came(held, commands)` [B, H, 2] come."""
    count = len(groups)
    seen, led = rng.normal(size=(count, C, 2)), rng.normal(size=(count, C - 1 + H, 1))
    past, ahead = (Commands(x, np.ones(x.shape, bool), np.zeros(x.shape)) for x in (led[:, : C - 1], led[:, C - 1 :]))
    view = lens.look(Context(seen, np.ones(seen.shape, bool), np.zeros((count, C, 1)), past, (), ()), ahead)
    values, mask = came(seen, led), rng.uniform(size=(count, H, 2)) >= missing
    starts = np.stack([groups, np.arange(count)], 1)
    return Examples(view, np.where(mask, values, 0.0), mask, np.zeros(values.shape), starts, groups)


def take(examples, rows):
    rest = (part[rows] for part in examples[1:])
    return Examples(examples.view.take(rows), *rest)


def shares_of(examples, allowance=UNLIMITED):
    some = take(examples, slice(0, 5))  # neither is looked at where there are several episodes
    return shares(examples, some, some, LENS.layout, np.random.default_rng(0), allowance)


def test_shares_are_those_of_a_plain_loop_over_episodes_penalties_ticks_and_columns():
    rng, groups = np.random.default_rng(1), np.repeat(np.arange(3), 40)

    def came(seen, led):
        path = np.cumsum(0.5 * led[:, C - 1 :] + 0.1 * seen[:, -1:], 1)
        return path + rng.normal(size=(len(seen), H, 2)) * (1 + groups[:, None, None])

    examples = examples_of(rng, came, groups, missing=0.2)
    design, ticks = Design.of(examples, LENS.layout, np.arange(1, H + 1)), range(H)
    told = np.zeros((H, len(PENALTIES), 2))
    errors = np.zeros((3, *told.shape))
    for out in range(3):
        for i in ticks:
            x = design.inputs(i)[:, design.varies].astype(float)
            for y in range(2):
                fit, test = (design.there[:, i, y] & apart for apart in (groups != out, groups == out))
                scale = np.maximum(x[groups != out].std(0), 1e-6)
                mean, z = x[fit].mean(0), (x - x[fit].mean(0)) / scale
                for r, penalty in enumerate(PENALTIES):
                    target = design.change[:, i, y]
                    gram = z[fit].T @ z[fit] / fit.sum() + penalty * np.eye(len(mean))
                    weights = np.linalg.solve(gram, z[fit].T @ (target[fit] - target[fit].mean()) / fit.sum())
                    left = z[test] @ weights + target[fit].mean() - target[test]
                    errors[out, i, r, y] = (left**2).mean()
    for i in ticks:
        for y in range(2):
            least = errors[:, i, :, y].mean(0).min()
            told[i, :, y] = np.mean([np.log(errors[out, i, :, y] / least + 0.03) for out in range(3)], 0)
    smooth = np.stack([told[max(i - 1, 0) : i + 2].mean(0) for i in ticks])
    expected = np.exp(-5 * smooth) / np.exp(-5 * smooth).sum(1, keepdims=True)
    np.testing.assert_allclose(shares_of(examples), expected, rtol=1e-4)


def test_what_is_told_without_noise_has_the_weakest_penalty_and_what_nothing_tells_the_stiffest_column_by_column():
    rng, groups = np.random.default_rng(2), np.repeat(np.arange(6), 6)

    def came(seen, led):
        told = seen[:, -1:, :1] + np.cumsum(led[:, C - 1 :], 1)
        return np.concatenate([told, seen[:, -1:, 1:] + rng.normal(size=(len(seen), H, 1))], -1)

    found = shares_of(examples_of(rng, came, groups))
    np.testing.assert_allclose(found.sum(1), 1)
    assert (found[:, 0, 0] > 0.95).all()
    assert (found[:, -1, 1] > 0.6).all()


def test_one_episode_is_judged_on_its_own_later_part_and_others_where_there_are_such():
    rng, groups = np.random.default_rng(3), np.repeat([0, 1], 60)
    change = {0: 1.0, 1: -1.0}  # what one episode teaches is wrong in the other
    sign = np.array([change[g] for g in groups])[:, None, None]
    examples = examples_of(rng, lambda seen, led: seen[:, -1:] + sign * np.cumsum(led[:, C - 1 :], 1), groups)
    one, other = take(examples, groups == 0), take(examples, groups == 1)
    alike = shares(one, take(one, slice(0, 40)), take(one, slice(40, 60)), LENS.layout, rng)
    assert (alike[:, 0] > 0.9).all()
    against = shares(one, one, other, LENS.layout, rng)
    assert (against.argmax(1) == len(PENALTIES) - 1).all()


@pytest.mark.parametrize("left", [0.0, np.inf])
def test_without_time_one_part_is_tried(left):
    rng, groups, said = np.random.default_rng(4), np.repeat(np.arange(4), 30), []
    examples = examples_of(rng, lambda seen, led: seen[:, -1:] + np.cumsum(led[:, C - 1 :], 1), groups)
    found = shares_of(examples, Allowance(left, said.append))
    assert (found[:, 0] > 0.9).all()
    assert said == ([] if left else ["no time left for choosing penalties on all episodes"])


def test_models_are_judged_by_the_commands_that_are_known_when_they_are_asked():
    rng, groups = np.random.default_rng(5), np.zeros(12, int)
    examples = examples_of(rng, lambda seen, led: np.repeat(led[:, C - 1 :], 2, -1), groups)
    age = examples.view.age.copy()
    age[6:, -1] = 0.5  # sampled before the last tick
    examples = examples._replace(view=examples.view._replace(age=age))
    ticks = np.array([1, 3])
    on_time, late = _asked(Design.of(examples, LENS.layout, ticks), examples, LENS.layout)
    for i, tick in enumerate(ticks.tolist()):
        assert on_time.there[:6, i].all()
        assert not on_time.there[6:, i].any()
        np.testing.assert_array_equal(late.there, ~on_time.there)
        np.testing.assert_array_equal(on_time.acted[i], acts_until(examples.view, ticks)[i])
        ahead = examples.view.ahead.copy()
        ahead[:, max(tick - 1, 0) :] = ahead[:, tick - 2 : tick - 1] if tick > 1 else examples.view.past[:, -1:]
        np.testing.assert_allclose(late.acted[i], acts_until(examples.view._replace(ahead=ahead), ticks)[i], atol=1e-6)


def test_sensors_slower_than_the_tick_are_judged_between_their_samples_too():
    """A model of odd ticks, at which samples come in every other window, is asked in the others as well."""
    slow = StreamSpec("slow", "sensor", ("a", "b"), ("m", "m"), 0.5 / DT)
    lens = Lens(TickLayout(DT, (slow, PUSH)), np.zeros(2), np.ones(2), np.zeros(1), np.ones(1))
    rng, groups = np.random.default_rng(6), np.zeros(8, int)
    examples = examples_of(rng, lambda seen, led: rng.normal(size=(len(seen), H, 2)), groups, lens=lens)
    mask = np.repeat(((np.arange(H) + np.arange(8)[:, None]) % 2 == 0)[..., None], 2, 2)
    examples = examples._replace(mask=mask, came=np.where(mask, examples.came, 0.0))
    (judged,) = _asked(Design.of(examples, lens.layout, np.arange(1, H + 1)), examples, lens.layout)
    held = examples.view.held[:, -1]
    for window in range(8):
        came = np.flatnonzero(mask[window, :, 0])
        inside = np.arange(came[0], came[-1] + 1)
        np.testing.assert_array_equal(np.flatnonzero(judged.there[window, :, 0]), inside)
        for column in range(2):
            line = np.interp(inside, came, examples.came[window, came, column]) - held[window, column]
            np.testing.assert_allclose(judged.change[window, inside, column], line, atol=1e-6)

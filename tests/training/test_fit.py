"""The loop against a plain one: AdamW by hand on a model of three numbers. No file and no log is needed."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from worldmodel.errors import TrainingDivergedError
from worldmodel.logs.windows import Context, Future
from worldmodel.training import fit as module
from worldmodel.training.config import TrainConfig
from worldmodel.training.evaluate import Evaluation
from worldmodel.training.fit import Budget, Doing, Evaluated, Source, Updated, fit
from worldmodel.training.state import Learner, TrainState

HORIZON, STEPS = 8, 24
CONFIG = TrainConfig(learning_rate=0.3, warmup=6, weight_decay=0.2, clip=1.5, evaluations=4, dropout=0.0)
SLOPE = np.array([1.0, 4.0, 0.1])


class Bowl(nnx.Module):
    """Its loss is least where its numbers are those that a batch holds."""

    def __init__(self) -> None:
        self.numbers = nnx.Param(jnp.array([0.5, -1.0, 2.0]))

    def loss(self, context, future, *, members, weights, dropout, key):
        distance = self.numbers[...] - future.values[0, 0]
        noise = jax.random.normal(key)
        return (SLOPE * distance**2).sum() / 2, {"noise": noise, "weight": weights[0]}


class Targets:
    """Batches that hold a target for each step, small ones and large ones, so that clipping matters."""

    def stream(self, step, horizon_at):
        for at in range(step, step + 500):  # an end, so that a loop that never ends fails
            horizon = horizon_at(at)
            values = np.broadcast_to(target(at).astype(np.float32), (1, horizon, 3))
            context = Context(values, values, values, values, (), ())
            ticks = np.zeros((1, 0), np.int32)
            yield horizon, (context, Future(values, values, values, values, ticks, (), ()))


class Scores:
    """A selection that scores as it is told to."""

    def __init__(self, scores=None, errors=None) -> None:
        self.scores, self.errors = iter(scores or itertools.repeat(1.0)), np.ones(HORIZON) if errors is None else errors

    def measure(self, model) -> Evaluation:
        return Evaluation(next(self.scores), self.errors, {"select/nrmse": 1.0})


def target(step: int) -> np.ndarray:
    return np.random.default_rng(step).normal(size=3) * 10.0 ** (step % 3 - 1)


def run(steps=STEPS, state=None, config=CONFIG, selection=None, seed=0):
    learner = Learner(Bowl(), config, seed)
    state = learner.start(HORIZON) if state is None else state
    return list(fit(learner, state, Source(Targets(), selection or Scores()), Budget(steps, None)))


def numbers(state: TrainState) -> np.ndarray:
    return np.asarray(jax.tree.leaves(state.params)[0])


def test_it_is_adamw_with_clipping_a_warm_up_and_half_a_cosine():
    """By hand, in double precision; Kingma & Ba 2015 with Loshchilov & Hutter's decoupled decay."""
    w, m, v = np.array([0.5, -1.0, 2.0]), np.zeros(3), np.zeros(3)
    for k in range(STEPS):
        gradient = SLOPE * (w - target(k))
        gradient *= min(1, CONFIG.clip / np.sqrt((gradient**2).sum()))
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        change = (m / (1 - 0.9 ** (k + 1))) / (np.sqrt(v / (1 - 0.99 ** (k + 1))) + 1e-8) + CONFIG.weight_decay * w
        w = w - CONFIG.learning_rate * min((k + 1) / CONFIG.warmup, 1) * (1 + np.cos(np.pi * k / STEPS)) / 2 * change
    last = run()[-1].state
    np.testing.assert_allclose(numbers(last), w, rtol=1e-4)
    assert last.step == STEPS


def test_it_goes_on_from_a_state_as_if_it_had_not_stopped():
    straight = run()
    half = next(e.state for e in run() if isinstance(e, Evaluated))
    assert half.step == STEPS / 4
    after = run(state=half)
    np.testing.assert_array_equal(numbers(after[-1].state), numbers(straight[-1].state))
    assert [e.state.step for e in after if isinstance(e, Evaluated)] == [12, 18, 24]


def test_time_adds_up_over_stops(monkeypatch):
    """And the longest rollouts stay the longest, whatever comes after them."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    start = Learner(Bowl(), CONFIG, 0).start(HORIZON)._replace(seconds=np.float64(1e4), compile_seconds=np.float64(1e3))
    start = start._replace(horizon=np.int64(HORIZON + 5))
    last = run(state=start)[-1].state
    assert 1e4 < last.seconds <= 1e4 + now[0]
    assert 1e3 < last.compile_seconds < 1e3 + now[0]
    assert last.horizon == HORIZON + 5


def test_nothing_happens_when_the_budget_is_spent():
    assert run(state=run()[-1].state) == []


def test_each_update_has_noise_of_its_own():
    noise = {int(e.state.step): e.values["noise"] for n in (2, 3) for e in updated(run(steps=n))}
    assert len(set(noise.values())) == len(noise) == 3
    assert updated(run(steps=1))[0].values["noise"] == noise[1]
    assert updated(run(steps=1, seed=1))[0].values["noise"] != noise[1]


def updated(events):
    return [event for event in events if isinstance(event, Updated)]


def test_rollouts_grow_to_the_horizon_and_each_length_is_announced():
    events = run()
    said = [event.what for event in events if isinstance(event, Doing)]
    assert said == [f"compiling rollouts of {n} ticks" for n in (1, 4)] + [
        "compiling the evaluation", "compiling rollouts of 8 ticks",
    ]  # fmt: skip
    assert events[-1].state.horizon == HORIZON


@pytest.mark.parametrize("horizon", [8, 64, 200])
def test_the_curriculum_is_a_share_of_the_horizon_and_ends_with_it(horizon):
    shares = (0, 0.149, 0.15, 0.499, 0.5, 1)
    assert [TrainConfig().horizon_at(share, horizon) for share in shares] == [
        *[horizon // 8] * 2, *[horizon // 2] * 2, *[horizon] * 2,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="whole horizon"):
        TrainConfig(curriculum=((0.0, 0.125), (0.5, 0.5)))


def test_the_best_of_the_evaluations_is_marked():
    events = [e for e in run(selection=Scores([3.0, 1.0, 2.0, 1.0])) if isinstance(e, Evaluated)]
    assert [e.improved for e in events] == [True, True, False, True]
    assert [float(e.state.best) for e in events] == [3, 1, 1, 1]


def test_errors_weigh_the_horizons_of_what_follows():
    errors = np.array([0.5, *[2.0] * 6, np.nan])
    after = updated(run(steps=60, selection=Scores(errors=errors)))
    assert after[0].values["weight"] == 1
    weights = (1 / errors) / np.nanmean(1 / errors)
    assert after[-1].values["weight"] == pytest.approx(weights[0])


def test_all_compiling_counts(monkeypatch):
    """A clock of its own: the first call of each program takes half a minute, each other a second."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def taking(function, name):
        seen = set()

        def call(*args):
            program = name(*args)
            now[0] += 1.0 if program in seen else 30.0
            seen.add(program)
            return function(*args)

        return call

    learner, scores = Learner(Bowl(), CONFIG, 0), Scores()
    monkeypatch.setattr(learner, "update", taking(learner.update, lambda _, batch, __: batch[1].values.shape[1]))
    monkeypatch.setattr(scores, "measure", taking(scores.measure, lambda _: "evaluation"))
    last = list(fit(learner, learner.start(HORIZON), Source(Targets(), scores), Budget(None, 4.0)))[-1].state
    assert last.seconds == now[0]
    assert 240 <= last.seconds < 300
    assert last.compile_seconds == 30 * 4
    assert last.step < 240 - 100


def test_a_parameter_that_is_no_number_is_told():
    with pytest.raises(TrainingDivergedError, match=r"no finite number after step 2\."):
        run(config=TrainConfig(learning_rate=np.nan, evaluations=STEPS // 2))

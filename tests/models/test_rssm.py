from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from tests.oscillator import SPECS, write_log
from tests.untrained import random_model
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.config import RSSMConfig
from worldmodel.models.dynamics import Gaussian, RecurrentState
from worldmodel.models.rssm import divergence
from worldmodel.models.world_model import Scaling

LAYOUT = TickLayout(0.02, tuple(spec for spec in SPECS if spec.kind != "video"))
CONTEXT, HORIZON, STOCHASTIC = 20, 4, 3


@pytest.fixture(scope="module")
def model():
    size, changes = LAYOUT.size, np.full(len(LAYOUT.newest), 0.1)
    scaling = Scaling(np.zeros(size), np.ones(size), np.zeros(1), np.ones(1), changes, changes)
    config = RSSMConfig(width=8, stochastic=STOCHASTIC, free_nats=1.0)
    return random_model(SimpleNamespace(model=config, layout=LAYOUT, context=CONTEXT, seed=0), scaling)


@pytest.fixture(scope="module")
def initial(model):
    """Latents of two members at the end of a context."""
    return jax.jit(lambda context: model.initial(model.observe(context), 2, jax.random.key(0)))


@pytest.fixture(scope="module")
def unrolled(model):
    return jax.jit(partial(_unrolled, model))


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    windows = Windows.of(Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 1)), LAYOUT, CONTEXT, HORIZON)
    return windows.cut(windows.starts()[[30]], HORIZON)


def kl(of, to):
    """Of one-dimensional Gaussians, summed."""
    return np.sum(np.log(to.std / of.std) + (of.std**2 + (of.mean - to.mean) ** 2) / (2 * to.std**2) - 0.5)


def test_divergence_is_balanced_above_the_free_nats_and_still_below_them():
    """Two ticks: one differs by the closed form's 2 nats, one by 0.02."""
    posterior = Gaussian(jnp.array([[[2.0], [0.2]]]), jnp.ones((1, 2, 1)))
    prior = Gaussian(jnp.zeros((1, 2, 1)), jnp.ones((1, 2, 1)))
    value, (moved, followed) = jax.jit(jax.value_and_grad(partial(divergence, free_nats=1.0), (0, 1)))(posterior, prior)
    assert float(value) == pytest.approx(1.1 * (2 + 1) / 2, rel=1e-5)
    np.testing.assert_allclose(moved.mean[0, :, 0], [0.1 * 2 / 2, 0], atol=1e-6)  # d/dm of m^2 / 2, over two ticks
    np.testing.assert_allclose(followed.mean[0, :, 0], [-2 / 2, 0], atol=1e-6)


def test_the_loss_is_that_of_a_plain_loop(model, unrolled, window):
    context, future = window
    key, ticks = jax.random.key(3), CONTEXT + HORIZON
    options = {"members": 1, "weights": jnp.ones(HORIZON), "dropout": 0.0, "key": key}
    _, terms = jax.jit(partial(model.loss, **options))(context, future)
    noise = jax.random.normal(jax.random.split(key)[1], (1, ticks, STOCHASTIC))
    actions, values, mask, age, seen = unrolled(context, future)

    @jax.jit
    def tick(state, action, seen, noise):
        h = model.dynamics.step(state, action)
        posterior, prior = model.dynamics.posterior(h, seen), model.dynamics.prior(h)
        state = RecurrentState(h, posterior.sample(noise))
        return state, model.decode(model._latent(state)), posterior, prior

    state, means, costs = model.dynamics.start(1), [], []
    for t in range(ticks):
        state, mean, *gaussians = tick(state, actions[:, t], seen[:, t], noise[:, t])
        means.append(np.asarray(mean)[0])
        costs.append(1.1 * max(kl(*(Gaussian(*map(np.asarray, g)) for g in gaussians)), 1.0))
    assert float(terms["divergence"]) == pytest.approx(np.mean(costs), rel=1e-4)
    before = [2 * means[0] - means[1], *means[:-1]]
    back = np.clip(np.asarray(age)[0][:, LAYOUT.stream_of] / LAYOUT.dt, 0, 1)
    asked = np.array(means) + back * (np.array(before) - means)
    std = np.log1p(np.exp(np.asarray(model.reading_noise[...])))
    score = np.where(mask[0], -norm.logpdf(np.asarray(values)[0], asked, std), 0)
    for name, columns in LAYOUT.columns.items():
        assert float(terms[name]) == pytest.approx(score[:, columns].sum(1).mean(), rel=1e-3)


def _unrolled(model, context, future):
    """What context and future hold together, as the model's filter gets it."""
    shown = jnp.ones((1, len(LAYOUT.readings)), bool)
    angle = model._angle(context, shown)
    readings = [model._readings(part, angle) for part in (context, future)]
    joined = type(readings[0])(*(jnp.concatenate(both, 1) for both in zip(*readings, strict=True)))
    given = [model._actions(part.actions, angle) for part in (context, future)]
    actions = jnp.concatenate([jnp.zeros_like(given[0][:, :1]), *given], 1)
    return actions, *joined, model._seen(context, joined, shown)[2]


def test_a_tick_shows_nothing_of_those_after_it(unrolled, window):
    context, future = window
    plain = unrolled(context, future)[-1]
    later = future._replace(values=future.values + 1, mask=~future.mask, age_s=future.age_s + 0.01)
    other = unrolled(context, jax.tree.map(lambda new, old: new.astype(old.dtype), later, future))[-1]
    np.testing.assert_array_equal(plain[:, :CONTEXT], other[:, :CONTEXT])
    assert (plain[:, CONTEXT:] != other[:, CONTEXT:]).any((0, 2)).all()


def test_every_input_of_a_context_reaches_the_members(initial, window):
    context, _ = window
    plain, actions = initial(context), context.actions
    changes = {
        "values": context._replace(values=context.values + 0.1),
        "mask": context._replace(mask=context.mask & (np.arange(CONTEXT) % 2 == 0)[:, None]),
        "age": context._replace(age_s=context.age_s + 0.01),
        "action": context._replace(actions=actions._replace(values=actions.values + 0.1)),
        "action's mask": context._replace(actions=actions._replace(mask=np.zeros_like(actions.mask))),
        "action's age": context._replace(actions=actions._replace(age_s=actions.age_s + 0.01)),
    }
    for name, changed in changes.items():
        assert (initial(jax.tree.map(lambda new, old: new.astype(old.dtype), changed, context)) != plain).any(), name


def test_differences_are_of_samples_that_came_and_of_those_before(model):
    """Of 1, 3, nothing, 7 at a scale of 0.1: and a change of what comes later moves none before."""
    spec = next(spec for spec in LAYOUT.readings if LAYOUT.slots(spec) == 1 and LAYOUT.features(spec) == 1)
    values, mask = (np.array(x)[None, :, None] for x in ([0.0, 1, 3, 0, 7], [False, True, True, False, True]))
    changes = jax.jit(partial(model._changes, spec))
    first, second = np.moveaxis(np.asarray(changes(values, mask)), -1, 0)
    scale = model.scaling.step[...][0], model.scaling.bend[...][0]
    np.testing.assert_allclose(first[0] * scale[0], [0, 0, 2, 0, 4], rtol=1e-5)
    np.testing.assert_allclose(second[0] * scale[1], [0, 0, 2, -2, 4], rtol=1e-5)
    values[:, 4] = 100
    np.testing.assert_array_equal(np.asarray(changes(values, mask))[:, :4, 0], first[:, :4])


def test_members_filter_with_samples_of_their_own(model, initial, window):
    """h at the context's end differs between members: it remembers the s that each has drawn."""
    latents = initial(window[0])
    deterministic = latents[..., len(LAYOUT.newest) : -STOCHASTIC]
    assert (deterministic[:, 0] != deterministic[:, 1]).any()
    assert latents.shape == (1, 2, len(LAYOUT.newest) + model.dynamics.deterministic + STOCHASTIC)

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.oscillator import SPECS, write_log
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.config import ResidualConfig, RSSMConfig
from worldmodel.models.decoders import warp
from worldmodel.models.dynamics import RecurrentDynamics, RecurrentState, ResidualDynamics
from worldmodel.models.encoders import fuse, patches, unpatch
from worldmodel.models.residual import ResidualModel
from worldmodel.models.rssm import RSSM
from worldmodel.models.world_model import Scaling

LAYOUT = TickLayout(0.02, SPECS)


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    return Windows.of(Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 2)), LAYOUT, 20, 12)


def build(kind, dtype="float32"):
    size = LAYOUT.size
    readings = len(LAYOUT.newest)
    scaling = Scaling(np.zeros(size), np.ones(size), np.zeros(1), np.ones(1), np.ones(readings), np.ones(readings))
    sizes = {"width": 16, "video_width": 8, "dtype": dtype}
    config = RSSMConfig(stochastic=8, **sizes) if kind is RSSM else ResidualConfig(hidden=8, noise=4, **sizes)
    model = config.create(LAYOUT, 20, scaling, rngs=nnx.Rngs(0))
    assert type(model) is kind
    return model


@pytest.fixture(scope="module", params=[ResidualModel, RSSM])
def model(request):
    return build(request.param)


@pytest.fixture(scope="module")
def window(windows):
    return windows.cut(windows.starts()[[3, 90]], 12, np.array([[2], [7]]))


def test_rollout_equals_a_loop_of_steps():
    rng = np.random.default_rng(0)
    dynamics = ResidualDynamics(6, 1, 4, 16, dtype=jnp.float32, rngs=nnx.Rngs(0))
    latent = jnp.asarray(rng.normal(size=(3, 6)), jnp.float32)
    inputs = jnp.asarray(rng.normal(size=(3, 5, 1 + 4)), jnp.float32)
    states, z = [], latent
    for t in range(5):
        z = dynamics.step(z, dynamics.project(inputs[:, t]))
        states.append(z)
    np.testing.assert_allclose(dynamics.rollout(latent, inputs), jnp.stack(states, 1), rtol=1e-5, atol=1e-6)


def test_recurrent_rollout_and_filter_equal_loops_of_steps():
    dynamics = RecurrentDynamics(3, 1, 5, 8, dtype=jnp.float32, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    actions, seen, noise = (jnp.asarray(rng.normal(size=(2, 4, n)), jnp.float32) for n in (1, 5, 3))
    for see in (False, True):
        state, expected = dynamics.start(2), []
        for t in range(4):
            h = dynamics.step(state, actions[:, t])
            of = dynamics.posterior(h, seen[:, t]) if see else dynamics.prior(h)
            state = RecurrentState(h, of.mean + of.std * noise[:, t])
            expected.append(state)
        rolled = (
            dynamics.filter(dynamics.start(2), actions, seen, noise)[0]
            if see
            else dynamics.rollout(dynamics.start(2), actions, noise)
        )
        for part, found in enumerate(rolled):
            np.testing.assert_allclose(found, jnp.stack([s[part] for s in expected], 1), rtol=1e-5, atol=1e-6)


def test_actions_move_only_what_comes_after_them(model, window):
    context, future = window
    belief, key = model.observe(context), jax.random.key(0)
    plain = model.imagine(belief, future.actions, 3, key)
    for change in future.actions._fields:
        changed = np.array(getattr(future.actions, change))
        changed[:, 5] = ~changed[:, 5] if changed.dtype == bool else changed[:, 5] + 0.1
        other = model.imagine(belief, future.actions._replace(**{change: changed}), 3, key)
        np.testing.assert_array_equal(plain[:, :, :5], other[:, :, :5])
        assert (plain[:, :, 5:] != other[:, :, 5:]).any(), change


def test_members_differ_and_a_seed_repeats_them(model, window):
    context, future = window
    belief = model.observe(context)
    one, again = (model.imagine(belief, future.actions, 3, jax.random.key(7)) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert (one[:, 0] != one[:, 1]).any()


def test_a_missing_stream_neither_adds_nor_dilutes():
    vote = (jnp.ones((2, 4)), jnp.full((2, 4), 3.0))
    noise = (jnp.full((2, 4), 1e6), jnp.full((2, 4), 5.0))
    here, gone = jnp.ones(2, bool), jnp.zeros(2, bool)
    np.testing.assert_allclose(fuse([vote, noise], [here, gone]), fuse([vote], [here]))
    np.testing.assert_allclose(fuse([vote], [here]), 0.75)  # Gaussian posterior: 3 / (1 + 3)


def test_a_masked_stream_changes_nothing_whatever_it_holds(model, window):
    context, _ = window
    columns = LAYOUT.columns["gps"]
    mask = context.mask.copy()
    mask[..., columns] = False
    values = context.values.copy()
    values[..., columns] = 1e3
    one = model.observe(context._replace(mask=mask))
    two = model.observe(context._replace(mask=mask, values=values))
    np.testing.assert_array_equal(one.features, two.features)
    np.testing.assert_array_equal(one.newest, two.newest)


def test_loss_terms_are_one_a_stream_and_finite(model, window):
    context, future = window
    loss, terms = model.loss(context, future, members=2, weights=jnp.ones(12), dropout=0.1, key=jax.random.key(0))
    streams = {s.name for s in SPECS if s.kind != "action"}
    if isinstance(model, ResidualModel):
        assert set(terms) == streams
        assert float(loss) == pytest.approx(np.mean([float(t) for t in terms.values()]), rel=1e-5)
    else:
        assert set(terms) == {*streams, "divergence"}
        assert float(loss) == pytest.approx(np.sum([float(t) for t in terms.values()]), rel=1e-5)


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("kind", [ResidualModel, RSSM])
def test_bfloat16_changes_how_products_are_rounded_and_nothing_else(kind, window):
    """Parameters, latents and the loss stay float32, and the loss is the same to bfloat16's two to three digits."""
    context, future = window
    options = {"members": 2, "weights": jnp.ones(12), "dropout": 0.0, "key": jax.random.key(0)}

    def value_and_gradient(model):
        graph, params, rest = nnx.split(model, nnx.Param, ...)
        return jax.jit(jax.value_and_grad(lambda p: nnx.merge(graph, p, rest).loss(context, future, **options)[0]))(
            params
        )

    exact, _ = value_and_gradient(build(kind))
    rounded, gradient = value_and_gradient(build(kind, "bfloat16"))
    assert rounded != exact
    assert float(rounded) == pytest.approx(float(exact), rel=0.05)
    assert all(g.dtype == jnp.float32 and bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))
    model = build(kind, "bfloat16")
    latents = jax.eval_shape(lambda key: model.imagine(model.observe(context), future.actions, 2, key), options["key"])
    assert latents.dtype == jnp.float32


def test_an_unknown_action_is_not_the_action_zero(model, window):
    """A servo that rests at 1500 is tens of deviations from 0: what is not known must not look like any command."""
    context, future = window
    belief, key = model.observe(context), jax.random.key(0)
    unknown = future.actions._replace(mask=np.zeros_like(future.actions.mask))
    plain = model.imagine(belief, unknown, 2, key)
    other = model.imagine(belief, unknown._replace(values=unknown.values + 50.0), 2, key)
    np.testing.assert_array_equal(plain, other)


def test_a_hidden_position_does_not_tell_the_angle(model, window):
    context, _ = window
    hidden = np.zeros((2, 5), bool)
    hidden[:, [s.name for s in LAYOUT.readings].index("gps")] = True
    assert (np.asarray(model.observe(context).angle) != 0).all()
    np.testing.assert_array_equal(model.observe(context, hidden).angle, 0)


def test_a_turned_world_is_imagined_turned(windows):
    model, key = build(ResidualModel), jax.random.key(0)
    context, future = windows.cut(windows.starts()[[30, 90]], 12)
    angle = np.full((2, 1), 1.2)
    turned = LAYOUT.frames.readings.turn(context.values, angle).astype(np.float32)

    def imagined(values):
        belief = model.observe(context._replace(values=values))
        return model.denormalise(model.decode(model.imagine(belief, future.actions, 3, key)), belief.angle)

    plain, other = imagined(context.values), imagined(turned)
    np.testing.assert_allclose(LAYOUT.frames.readings.turn(plain, angle), other, atol=1e-3)
    assert np.abs(plain[..., LAYOUT.columns["gps"]]).max() > 1e-2


def test_patches_round_trip():
    frames = jnp.asarray(np.random.default_rng(0).normal(size=(2, 16, 24, 3)))
    np.testing.assert_array_equal(unpatch(patches(frames), 3), frames)


def test_warp_by_whole_pixels_moves_the_picture():
    frame = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 8, 8, 3)), jnp.float32)
    moved = warp(frame, jnp.broadcast_to(jnp.array([1.0, -2.0]), (1, 8, 8, 2)))
    np.testing.assert_allclose(moved[0, :6, 3:], frame[0, 1:7, 1:6], atol=1e-3)
    np.testing.assert_allclose(warp(frame, jnp.zeros((1, 8, 8, 2)))[0, :-1, :-1], frame[0, :-1, :-1], atol=1e-6)


def test_imagining_is_a_loop_of_steps(model, window):
    context, future = window
    key, members = jax.random.key(4), 3

    @jax.jit
    def both(context, actions):
        belief = model.observe(context)
        first, later = jax.random.split(key)
        latent = model.start(belief, jax.random.normal(first, (2, members, *model.start_noise)))
        noise = jax.random.normal(later, (2, members, 4, model.step_noise))
        latents = []
        for t in range(4):
            now = jax.tree.map(lambda x, t=t: x[:, t], actions)
            latent = model.step(latent, now, belief.angle, noise[:, :, t])
            latents.append(latent)
        return jnp.stack(latents, 2), model.imagine(belief, actions, members, key)

    stepped, rolled = both(context, jax.tree.map(lambda x: x[:, :4], future.actions))
    np.testing.assert_allclose(stepped, rolled, rtol=1e-4, atol=1e-5)

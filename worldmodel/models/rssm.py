"""The field's reference, for comparison on the same data: a recurrent state-space model with its evidence bound."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from worldmodel.logs.windows import Context, Future
from worldmodel.models.config import RSSMConfig
from worldmodel.models.dynamics import Gaussian, RecurrentDynamics, RecurrentState
from worldmodel.models.objective import gaussian_kl, gaussian_score
from worldmodel.models.world_model import Belief, WorldModel
from worldmodel.types import Array, Commands

_BALANCE = 0.8  # of the divergence trains the prior, the rest the posterior


class RSSM(WorldModel):
    """The latent is `[readings at the tick | h | s]`; a GRU filters the context tick by tick.

    Trained by the evidence bound with a balanced divergence, as DreamerV2 (Hafner et al. 2021, arXiv 2010.02193) with
    Gaussian s. What a tick shows is its readings and their mask; of video, which is decoded from the context's last
    frame as in the other models, the newest two frames at the end of the context.
    """

    config: RSSMConfig

    def _build(self, **kwargs: Any) -> None:
        layout, width = self.layout, self.config.width
        self.dynamics = RecurrentDynamics(self.config.stochastic, self._action_inputs, width, width, **kwargs)
        state = self.dynamics.deterministic + self.dynamics.stochastic
        self.embed = nnx.Linear(1 + 2 * layout.size, width, use_bias=False, **kwargs)
        self._build_video_encoders(width, **kwargs)
        self.head = nnx.Linear(state, width, **kwargs)
        self.head_out = nnx.Linear(width, len(layout.newest), **kwargs)
        self._build_decoders(len(layout.newest) + state, **kwargs)

    def observe(self, context: Context, hidden: Array | None = None) -> Belief:
        shown = self._shown(context, hidden)
        angle = self._angle(context, shown)
        tokens, frames, seen = self._seen(context, *self._readings(context, angle), shown)
        mode = jnp.zeros((*seen.shape[:2], self.dynamics.stochastic))
        states, posteriors = self.dynamics.filter(self._start(context), self._arriving(context, angle), seen, mode)
        state, posterior = jax.tree.map(lambda x: x[:, -1], (states, posteriors))
        return Belief(angle, self._read_out(state), jnp.concatenate([*state, posterior.std], -1), tokens, frames)

    def initial(self, belief: Belief, members: int, key: jax.Array) -> jax.Array:
        sizes = self.dynamics.deterministic, self.dynamics.deterministic + self.dynamics.stochastic
        deterministic, mean, std = jnp.split(belief.features, sizes, -1)
        noise = jax.random.normal(key, (len(mean), members, self.dynamics.stochastic))
        stochastic = Gaussian(mean[:, None], std[:, None]).sample(noise)
        deterministic = jnp.broadcast_to(deterministic[:, None], (*noise.shape[:2], deterministic.shape[-1]))
        return self._latent(RecurrentState(deterministic, stochastic))

    def imagine(self, belief: Belief, actions: Commands, members: int, key: jax.Array) -> jax.Array:
        first, later = jax.random.split(key)
        given = self._actions(actions, belief.angle)
        batch, horizon, _ = given.shape
        latent = self.initial(belief, members, first).reshape(batch * members, -1)
        state = RecurrentState(*jnp.split(latent[:, len(self.layout.newest) :], [self.dynamics.deterministic], -1))
        noise = jax.random.normal(later, (batch * members, horizon, self.dynamics.stochastic))
        states = self.dynamics.rollout(state, jnp.repeat(given, members, 0), noise)
        return self._latent(states).reshape(batch, members, horizon, -1)

    def loss(
        self, context: Context, future: Future, *, members: int, weights: jax.Array, dropout: float, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The negative evidence bound of context and future, a tick; it compares no members and weighs no horizon."""
        drop, draw = jax.random.split(key)
        shown = self._shown(context, self._hide(context, dropout, drop))
        angle = self._angle(context, shown)
        parts = self._readings(context, angle), self._readings(future, angle)
        truth, there = (jnp.concatenate(both, 1) for both in zip(*parts, strict=True))
        tokens, frames, seen = self._seen(context, truth, there, shown)
        actions = jnp.concatenate([self._arriving(context, angle), self._actions(future.actions, angle)], 1)
        noise = jax.random.normal(draw, (*seen.shape[:2], self.dynamics.stochastic))
        states, posterior = self.dynamics.filter(self._start(context), actions, seen, noise)
        latents = self._latent(states)
        score = there * gaussian_score(self.decode(latents), nnx.softplus(self.reading_noise[...]), truth)
        columns = self.layout.columns
        terms = {name: score[..., c].sum(-1).mean() for name, c in columns.items()}
        prior = self.dynamics.prior(states.deterministic)
        terms["divergence"] = _balanced(posterior, prior).mean()
        belief = Belief(angle, latents[:, 0, :0], latents[:, 0, :0], tokens, frames)
        for i, spec in enumerate(self.layout.videos):
            terms[spec.name] = self._video_loss(belief, latents[:, self.context :], future, i)
        return jnp.stack(list(terms.values())).sum(), terms

    def _start(self, context: Context) -> RecurrentState:
        return self.dynamics.start(len(context.values))

    def _readings(self, window: Context | Future, angle: jax.Array) -> tuple[jax.Array, Array]:
        """Normalised features [B, T, D], 0 where there are none, and where there are."""
        return jnp.where(window.mask, self.normalise(window.values, angle), 0), window.mask

    def _seen(self, context: Context, values: Array, mask: Array, shown: Array):
        """Tokens and frames of videos, and what each tick shows [B, T, E]; frames are seen at the context's end."""
        tokens, frames, votes, present = self._look(context, shown)
        widths = jnp.array([self.layout.width(spec) for spec in self.layout.readings], int)
        columns = jnp.repeat(shown[:, : len(widths)], widths, 1, total_repeat_length=self.layout.size)[:, None]
        one = jnp.ones((*values.shape[:2], 1))  # instead of a bias, so that a log of nothing but video has an input too
        embedded = self.embed(jnp.concatenate([one, values * columns, mask & columns], -1))
        for (vote, precision), there in zip(votes, present, strict=True):
            embedded = embedded.at[:, self.context - 1].add((vote * precision * there[:, None]).astype(embedded.dtype))
        return tokens, frames, nnx.silu(embedded)

    def _arriving(self, context: Context, angle: jax.Array) -> jax.Array:
        """The action [B, C, A] that led to each tick of the context; none is known of the first's."""
        return jnp.pad(self._actions(context.actions, angle), ((0, 0), (1, 0), (0, 0)))

    def _read_out(self, state: RecurrentState) -> jax.Array:
        return self.head_out(nnx.silu(self.head(jnp.concatenate(state, -1)))).astype(jnp.float32)

    def _latent(self, state: RecurrentState) -> jax.Array:
        return jnp.concatenate([self._read_out(state), *state], -1)


def _balanced(posterior: Gaussian, prior: Gaussian) -> jax.Array:
    """The divergence, whose gradient moves mostly the prior."""
    still = jax.lax.stop_gradient
    moves_prior, moves_posterior = gaussian_kl(still(posterior), prior), gaussian_kl(posterior, still(prior))
    return _BALANCE * moves_prior + (1 - _BALANCE) * moves_posterior

"""The field's reference, for comparison on the same data: a recurrent state-space model with its evidence bound."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from worldmodel.arrays import hold
from worldmodel.logs.windows import Context, Future
from worldmodel.models.config import RSSMConfig
from worldmodel.models.dynamics import Gaussian, RecurrentDynamics, RecurrentState
from worldmodel.models.objective import at_sample_times, gaussian_kl, gaussian_score
from worldmodel.models.world_model import Belief, WorldModel
from worldmodel.types import Array, Commands, StreamSpec

_OF_PRIOR, _OF_POSTERIOR = 1.0, 0.1  # how much of the divergence trains each, as in DreamerV3


class _Readings(NamedTuple):
    """Readings of T ticks: normalised values [B, T, D], 0 where there are none; where there are; ages [B, T, streams]
    in seconds.
    """

    values: Array
    mask: Array
    age_s: Array


class RSSM(WorldModel):
    """The latent is `[readings at the tick | h | s]`; a GRU filters the context tick by tick.

    Trained by the evidence bound with DreamerV3's divergence (Hafner et al. 2025, doi 10.1038/s41586-025-08744-2):
    balanced, with free bits; s is Gaussian. It is told what the default is told: a tick shows its readings, their
    masks, ages and differences; of video, which is decoded from the context's last frame as in the other models, the
    newest two frames at the end of the context. Each member filters the context with samples of s of its own, as in
    training, so a belief's features are what the context shows, tick by tick.
    """

    config: RSSMConfig

    def _build(self, **kwargs: Any) -> None:
        layout, width = self.layout, self.config.width
        self.dynamics = RecurrentDynamics(self.config.stochastic, self._action_inputs, width, width, **kwargs)
        state = self.dynamics.deterministic + self.dynamics.stochastic
        self.embed = nnx.Linear(1 + 4 * layout.size + len(layout.readings), width, use_bias=False, **kwargs)
        self._build_video_encoders(width, **kwargs)
        self.head = nnx.Linear(state, width, **kwargs)
        self.head_out = nnx.Linear(width, len(layout.newest), **kwargs)
        self._build_decoders(len(layout.newest) + state, **kwargs)

    def observe(self, context: Context, hidden: Array | None = None) -> Belief:
        shown = self._shown(context, hidden)
        angle = self._angle(context, shown)
        tokens, frames, seen = self._seen(context, self._readings(context, angle), shown)
        steps = jnp.concatenate([self._arriving(context, angle), seen], -1)
        return Belief(angle, jnp.zeros((len(steps), 0)), steps.reshape(len(steps), -1), tokens, frames)

    @property
    def start_noise(self) -> tuple[int, ...]:
        return (self.context, self.dynamics.stochastic)

    @property
    def step_noise(self) -> int:
        return self.dynamics.stochastic

    def start(self, belief: Belief, noise: jax.Array) -> jax.Array:
        return self._latent(self._filtered(belief, noise)).reshape(*noise.shape[:2], -1)

    def step(self, latent: jax.Array, actions: Commands, angle: jax.Array, noise: jax.Array) -> jax.Array:
        given = self._actions(actions, angle)[:, None]
        readings = len(self.layout.newest)
        parts = jnp.split(latent, [readings, readings + self.dynamics.deterministic], -1)
        action = jnp.broadcast_to(given, (*noise.shape[:2], given.shape[-1]))
        deterministic = self.dynamics.step(RecurrentState(*parts[1:]), action)
        return self._latent(RecurrentState(deterministic, self.dynamics.prior(deterministic).sample(noise)))

    def imagine(self, belief: Belief, actions: Commands, members: int, key: jax.Array) -> jax.Array:
        first, later = jax.random.split(key)
        given = self._actions(actions, belief.angle)
        batch, horizon, _ = given.shape
        state = self._filtered(belief, jax.random.normal(first, (batch, members, *self.start_noise)))
        noise = jax.random.normal(later, (batch * members, horizon, self.dynamics.stochastic))
        states = self.dynamics.rollout(state, jnp.repeat(given, members, 0), noise)
        return self._latent(states).reshape(batch, members, horizon, -1)

    def _filtered(self, belief: Belief, noise: jax.Array) -> RecurrentState:
        """States [B * K, ...] at the context's end, with noise [B, K, C, S]."""
        members, count = noise.shape[1], noise.shape[0] * noise.shape[1]
        steps = belief.features.reshape(len(belief.features), self.context, -1)
        actions, seen = jnp.split(jnp.repeat(steps, members, 0), [self._action_inputs], -1)
        noise = noise.reshape(count, *self.start_noise)
        states, _ = self.dynamics.filter(self.dynamics.start(count), actions, seen, noise)
        return jax.tree.map(lambda x: x[:, -1], states)

    def loss(
        self, context: Context, future: Future, *, members: int, weights: jax.Array, dropout: float, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The negative evidence bound of context and future, a tick; it compares no members and weighs no horizon."""
        drop, draw = jax.random.split(key)
        shown = self._shown(context, self._hide(context, dropout, drop))
        angle = self._angle(context, shown)
        windows = self._readings(context, angle), self._readings(future, angle)
        readings = _Readings(*(jnp.concatenate(both, 1) for both in zip(*windows, strict=True)))
        tokens, frames, seen = self._seen(context, readings, shown)
        actions = jnp.concatenate([self._arriving(context, angle), self._actions(future.actions, angle)], 1)
        noise = jax.random.normal(draw, (*seen.shape[:2], self.dynamics.stochastic))
        states, posterior = self.dynamics.filter(self.dynamics.start(len(seen)), actions, seen, noise)
        latents = self._latent(states)
        terms = self._scores(latents, readings)
        terms["divergence"] = divergence(posterior, self.dynamics.prior(states.deterministic), self.config.free_nats)
        belief = Belief(angle, latents[:, 0, :0], latents[:, 0, :0], tokens, frames)
        for i, spec in enumerate(self.layout.videos):
            terms[spec.name] = self._video_loss(belief, latents[:, self.context :], future, i)
        return jnp.stack(list(terms.values())).sum(), terms

    def _scores(self, latents: jax.Array, readings: _Readings) -> dict[str, jax.Array]:
        """The negative log likelihood of each stream's samples at their own times, a tick."""
        predicted = at_sample_times(self.decode(latents), self.layout.age_ticks(readings.age_s))
        score = gaussian_score(predicted, nnx.softplus(self.reading_noise[...]), readings.values) * readings.mask
        return {name: score[..., columns].sum(-1).mean() for name, columns in self.layout.columns.items()}

    def _readings(self, window: Context | Future, angle: jax.Array) -> _Readings:
        values = jnp.where(window.mask, self.normalise(window.values, angle), 0)
        return _Readings(values, window.mask, window.age_s)

    def _seen(self, context: Context, readings: _Readings, shown: Array):
        """Tokens and frames of videos, and what each tick shows [B, T, E]; frames are seen at the context's end."""
        tokens, frames, votes, present = self._look(context, shown)
        one = jnp.ones((*readings.age_s.shape[:2], 1))  # not a bias: a log of nothing but video has an input too
        streams = [self._of_stream(i, spec, readings, shown[:, i]) for i, spec in enumerate(self.layout.readings)]
        embedded = self.embed(jnp.concatenate([one, *streams], -1))
        for (vote, precision), there in zip(votes, present, strict=True):
            at_end = (jnp.arange(embedded.shape[1]) == self.context - 1)[:, None]
            embedded += (at_end * (vote * precision * there[:, None])[:, None]).astype(embedded.dtype)
        return tokens, frames, nnx.silu(embedded)

    def _of_stream(self, stream: int, spec: StreamSpec, readings: _Readings, shown: Array) -> jax.Array:
        """A stream's values, masks, differences and age [B, T, 4 W + 1]; of one that is hidden, that it never came."""
        columns, shown = self.layout.columns[spec.name], shown[:, None, None]
        mask = readings.mask[..., columns] & shown
        values = readings.values[..., columns] * mask
        age = jnp.where(shown, self._age(readings.age_s[..., stream : stream + 1]), 1)
        return jnp.concatenate([values, mask, self._changes(spec, values, mask), age], -1)

    def _changes(self, spec: StreamSpec, values: jax.Array, mask: Array) -> jax.Array:
        """First and second differences [B, T, 2 W] of a stream's samples from those before, each at its own scale."""
        at = self.layout.reading_columns[spec.name]
        series, came = (jnp.asarray(x).reshape(len(x), -1, self.layout.features(spec)) for x in (values, mask))
        held, _ = hold(series, came)
        first = jnp.diff(held, axis=1, prepend=held[:, :1])
        second = jnp.diff(first, axis=1, prepend=first[:, :1])
        scaled = first / self.scaling.step[...][at], second / self.scaling.bend[...][at]
        return jnp.concatenate([x.reshape(values.shape) for x in scaled], -1)

    def _arriving(self, context: Context, angle: jax.Array) -> jax.Array:
        """The action [B, C, A] that led to each tick of the context; none is known of the first's."""
        return jnp.pad(self._actions(context.actions, angle), ((0, 0), (1, 0), (0, 0)))

    def _read_out(self, state: RecurrentState) -> jax.Array:
        return self.head_out(nnx.silu(self.head(jnp.concatenate(state, -1)))).astype(jnp.float32)

    def _latent(self, state: RecurrentState) -> jax.Array:
        return jnp.concatenate([self._read_out(state), *state], -1)


def divergence(posterior: Gaussian, prior: Gaussian, free_nats: float) -> jax.Array:
    """The mean divergence of posteriors [B, T, S] from priors: a tick below `free_nats` has nothing to gain.

    Once it moves the prior, and with less weight the posterior, so that what is seen is not made to please a prior that
    has not learned yet.
    """
    still = jax.lax.stop_gradient
    of_prior = jnp.maximum(gaussian_kl(still(posterior), prior), free_nats)
    of_posterior = jnp.maximum(gaussian_kl(posterior, still(prior)), free_nats)
    return _OF_PRIOR * of_prior.mean() + _OF_POSTERIOR * of_posterior.mean()

"""The default model: a window encoder, and a residual transition trained on open-loop rollouts."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from worldmodel.arrays import last_valid
from worldmodel.logs.windows import Context, Future
from worldmodel.models.config import ResidualConfig
from worldmodel.models.dynamics import ResidualDynamics
from worldmodel.models.encoders import RECENT, WindowEncoder, differences, fuse
from worldmodel.models.objective import fair_crps, masked_mean
from worldmodel.models.world_model import Belief, WorldModel, named
from worldmodel.types import Array, Commands, StreamSpec


class ResidualModel(WorldModel):
    """The latent is `[readings at the tick | hidden]`, and moves by `z <- z + f(z, a)`. Nothing seen is fed back."""

    config: ResidualConfig

    def _build(self, **kwargs: Any) -> None:
        layout, config, context = self.layout, self.config, self.context
        width, actions = config.width, self._action_inputs
        readings = len(layout.newest)
        latent = readings + config.hidden
        recent = {s.name: 2 * RECENT * layout.features(s) for s in layout.readings}
        inputs = {s.name: context * (2 * layout.width(s) + 1) + recent[s.name] for s in layout.readings}
        self.encoders = named({n: WindowEncoder(i, width, width, **kwargs) for n, i in inputs.items()})
        self.action_encoder = WindowEncoder(max((context - 1) * actions, 1), width, width, **kwargs)
        self._build_video_encoders(width, **kwargs)
        self.head = nnx.Linear(width + readings + config.noise, 2 * width, **kwargs)
        self.head_second = nnx.Linear(2 * width, width, **kwargs)
        zeros = nnx.initializers.zeros_init()
        self.correct = nnx.Linear(
            max(sum(recent.values()), 1), readings, kernel_init=zeros, use_bias=False, rngs=kwargs["rngs"]
        )
        small = nnx.initializers.variance_scaling(0.05, "fan_in", "normal")
        self.head_out = nnx.Linear(width, latent, kernel_init=small, **kwargs)
        self.dynamics = ResidualDynamics(latent, actions, config.noise, width, **kwargs)
        self._build_decoders(latent, **kwargs)

    def observe(self, context: Context, hidden: Array | None = None) -> Belief:
        batch = len(context.values)
        streams = self.layout.readings
        shown = self._shown(context, hidden)
        angle = self._angle(context, shown)
        votes, present, newest, recent = [], [], [], []
        values = jnp.where(context.mask, self.normalise(context.values, angle), 0)
        for i, spec in enumerate(streams):
            columns = self.layout.columns[spec.name]
            mask = context.mask[..., columns] & shown[:, i, None, None]
            value = values[..., columns] * mask
            age = self._age(context.age_s[..., i : i + 1])
            changes = self._changes(spec, value, mask)
            window = jnp.concatenate([value, mask, age], -1).reshape(batch, -1)
            votes.append(self.encoders[spec.name](jnp.concatenate([window, changes], -1)))
            present.append(mask.any((1, 2)))
            recent.append(changes)
            newest.append(_newest(value, mask, self.layout.features(spec)))
        actions = self._actions(context.actions, angle).reshape(batch, -1)
        votes.append(self.action_encoder(actions if actions.shape[1] else jnp.zeros((batch, 1))))
        present.append(jnp.ones(batch, bool))
        tokens, frames, seen, there = self._look(context, shown)
        readings = jnp.zeros((batch, 0))
        if newest:  # a filter: the last reading, less what recent changes say is its noise
            correction = self.correct(jnp.concatenate(recent, -1)) * self.scaling.bend[...]
            readings = jnp.concatenate(newest, -1) + correction
        return Belief(angle, readings, fuse([*votes, *seen], [*present, *there]), tokens, frames)

    def _changes(self, spec: StreamSpec, value: jax.Array, mask: Array) -> jax.Array:
        """A stream's recent first and second differences [B, 2 * RECENT * F], each at its own scale."""
        features = self.layout.features(spec)
        at = self.layout.reading_columns[spec.name]
        first, second, _ = differences(value, mask, features)
        scaled = jnp.stack([first / self.scaling.step[...][at], second / self.scaling.bend[...][at]], -1)
        return scaled.reshape(len(value), -1)

    @property
    def start_noise(self) -> tuple[int, ...]:
        return (self.config.noise,)

    @property
    def step_noise(self) -> int:
        return self.config.noise

    def start(self, belief: Belief, noise: jax.Array) -> jax.Array:
        known = jnp.concatenate([belief.features, belief.newest], -1)
        known = jnp.broadcast_to(known[:, None], (*noise.shape[:2], known.shape[-1]))
        x = nnx.silu(self.head(jnp.concatenate([known, noise], -1)))
        change = self.head_out(nnx.silu(self.head_second(x))).astype(jnp.float32)
        start = jnp.pad(belief.newest, ((0, 0), (0, change.shape[-1] - belief.newest.shape[-1])))
        return start[:, None] + change

    def step(self, latent: jax.Array, actions: Commands, angle: jax.Array, noise: jax.Array) -> jax.Array:
        given = self._actions(actions, angle)[:, None]
        chosen = jnp.broadcast_to(given, (*noise.shape[:2], given.shape[-1]))
        return self.dynamics.step(latent, self.dynamics.project(jnp.concatenate([chosen, noise], -1)))

    def imagine(self, belief: Belief, actions: Commands, members: int, key: jax.Array) -> jax.Array:
        first, later = jax.random.split(key)
        latent = self.initial(belief, members, first)
        given = self._actions(actions, belief.angle)
        batch, horizon, _ = given.shape
        noise = jax.random.normal(later, (batch, members, horizon, self.config.noise))
        chosen = jnp.broadcast_to(given[:, None], (*noise.shape[:3], given.shape[-1]))
        inputs = jnp.concatenate([chosen, noise], -1).reshape(batch * members, horizon, -1)
        latents = self.dynamics.rollout(latent.reshape(batch * members, -1), inputs)
        return latents.reshape(batch, members, horizon, -1)

    def loss(
        self, context: Context, future: Future, *, members: int, weights: jax.Array, dropout: float, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The fair CRPS of futures imagined open-loop, averaged over streams, and each stream's own."""
        drop, draw, sense = jax.random.split(key, 3)
        belief, latents = self.predict(context, future.actions, members, draw, self._hide(context, dropout, drop))
        truth = self.normalise(future.values, belief.angle)
        score = weights[:, None] * fair_crps(self.read_at(latents, future, sense), truth)
        columns = self.layout.columns
        terms = {n: masked_mean(score[..., c], future.mask[..., c]) for n, c in columns.items()}
        for i, spec in enumerate(self.layout.videos):
            terms[spec.name] = self._video_loss(belief, latents[:, 0], future, i)
        assert all(term.shape == () for term in terms.values())
        return jnp.stack(list(terms.values())).mean(), terms


def _newest(values: jax.Array, mask: Array, features: int) -> jax.Array:
    """Each feature's last valid value [B, F] in slots over ticks [B, C, N * F]; 0 where there is none."""
    values, mask = (x.reshape(len(x), -1, features) for x in (values, mask))
    value, known = last_valid(values, mask)
    return jnp.where(known, value, 0)

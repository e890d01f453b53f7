"""The world model: `observe` a context, `imagine` futures under actions, and the `loss` that trains it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Future
from worldmodel.models.config import ModelConfig
from worldmodel.models.decoders import SlotDecoder, VideoDecoder
from worldmodel.models.dynamics import ResidualDynamics
from worldmodel.models.encoders import RECENT, VideoEncoder, WindowEncoder, differences, fuse
from worldmodel.models.objective import fair_crps, masked_mean
from worldmodel.models.track import track_angle, turn
from worldmodel.types import Array, StreamSpec


class Belief(NamedTuple):
    """What a context says, before any member is drawn.

    Attributes:
        angle: float32 [B] from east to the track; GPS within the model is turned by minus that.
        newest: float32 [B, Y] reading of each column at the end of the context, filtered, normalised.
        features: float32 [B, E] fused votes of all streams.
        tokens: one [B, rows / 8, columns / 8, W] per video.
        frames: one float32 [B, rows, columns, 3] per video, the last seen frame in 0..1.
    """

    angle: jax.Array
    newest: jax.Array
    features: jax.Array
    tokens: tuple[jax.Array, ...]
    frames: tuple[jax.Array, ...]


class Scaling(NamedTuple):
    """Statistics of the training data: readings [D], actions [A], and differences of normalised readings [Y].

    Attributes:
        mean: of readings. std: their standard deviation.
        action_mean: of actions. action_std: their standard deviation.
        step: root mean square of the first differences of each feature's samples. bend: of their second differences.
    """

    mean: Array
    std: Array
    action_mean: Array
    action_std: Array
    step: Array
    bend: Array


class WorldModel(nnx.Module):
    """Latent dynamics over all streams of a log: the latent is `[readings at the tick | hidden]`.

    Args:
        layout: the streams and their columns.
        context: ticks of context.
        scaling: statistics of the training data.
        config: sizes.
        rngs: for the initial parameters.
    """

    def __init__(self, layout: TickLayout, context: int, scaling: Scaling, config: ModelConfig, *, rngs: nnx.Rngs):
        kwargs: dict[str, Any] = {"dtype": jnp.dtype(config.dtype), "rngs": rngs}
        width, actions = config.width, layout.action_count
        readings = len(layout.newest)
        latent = readings + config.hidden
        self.layout, self.config, self.context = layout, config, context
        self.scaling = nnx.data(Scaling(*(nnx.Variable(jnp.asarray(x, jnp.float32)) for x in scaling)))
        recent = {s.name: 2 * RECENT * layout.features(s) for s in layout.readings}
        inputs = {s.name: context * (2 * layout.width(s) + 1) + recent[s.name] for s in layout.readings}
        self.encoders = _named({n: WindowEncoder(i, width, width, **kwargs) for n, i in inputs.items()})
        self.action_encoder = WindowEncoder(max((context - 1) * actions, 1), width, width, **kwargs)
        self.video_encoders = nnx.List(
            [VideoEncoder(s.sample_shape[:2], config.video_width, width, **kwargs) for s in layout.videos]
        )
        self.head = nnx.Linear(width + readings + config.noise, 2 * width, **kwargs)
        self.head_second = nnx.Linear(2 * width, width, **kwargs)
        zeros = nnx.initializers.zeros_init()
        self.correct = nnx.Linear(max(sum(recent.values()), 1), readings, kernel_init=zeros, use_bias=False, rngs=rngs)
        small = nnx.initializers.variance_scaling(0.05, "fan_in", "normal")
        self.head_out = nnx.Linear(width, latent, kernel_init=small, **kwargs)
        self.dynamics = ResidualDynamics(latent, actions, config.noise, width, **kwargs)
        self.slot_decoders = _named(
            {s.name: SlotDecoder(latent, layout.features(s), layout.slots(s), **kwargs) for s in layout.readings}
        )
        self.spread = nnx.Variable(jnp.ones((1, layout.size)))
        self.reading_noise = nnx.Param(jnp.full(layout.size, -3.0, jnp.float32))
        self.video_decoders = nnx.List(
            [VideoDecoder(s.sample_shape[:2], latent, config.video_width, **kwargs) for s in layout.videos]
        )

    def normalise(self, values: Array, angle: jax.Array) -> jax.Array:
        """Features [B, ..., D] in physical units to the model's: scaled, GPS in the frame of the track."""
        return turn((values - self.scaling.mean[...]) / self.scaling.std[...], -angle, self.layout.gps_columns.values())

    def denormalise(self, values: Array, angle: jax.Array) -> jax.Array:
        """Back to physical units, GPS to east and north."""
        return turn(values, angle, self.layout.gps_columns.values()) * self.scaling.std[...] + self.scaling.mean[...]

    def observe(self, context: Context, hidden: jax.Array | None = None) -> Belief:
        """The belief that a context gives.

        Args:
            context: what was seen, up to tick t.
            hidden: bool [B, streams + videos], streams to treat as missing (in training, so that one may be).
        """
        batch = len(context.values)
        streams = self.layout.readings
        shown = jnp.ones((batch, len(streams) + len(self.layout.videos)), bool) if hidden is None else ~hidden
        votes, present, newest, recent = [], [], [], []
        angle = track_angle(context.values, context.mask, self.layout.gps_columns.values())
        values = jnp.where(context.mask, self.normalise(context.values, angle), 0)
        for i, spec in enumerate(streams):
            columns = self.layout.columns[spec.name]
            mask = context.mask[..., columns] & shown[:, i, None, None]
            value = values[..., columns] * mask
            age = jnp.minimum(context.age_s[..., i : i + 1] / self.layout.dt, 10.0) * 0.1
            changes = self._changes(spec, value, mask)
            window = jnp.concatenate([value, mask, age], -1).reshape(batch, -1)
            votes.append(self.encoders[spec.name](jnp.concatenate([window, changes], -1)))
            present.append(mask.any((1, 2)))
            recent.append(changes)
            newest.append(_last_valid(value, mask, self.layout.features(spec)))
        actions = self._actions(context.actions).reshape(batch, -1)
        votes.append(self.action_encoder(actions if actions.shape[1] else jnp.zeros((batch, 1))))
        present.append(jnp.ones(batch, bool))
        tokens, frames = [], []
        for i, encoder in enumerate(self.video_encoders):
            mask = context.frames_mask[i] & shown[:, len(streams) + i, None]
            pixels = context.frames[i].astype(jnp.float32) / 255
            grid, vote = encoder(pixels, mask)
            tokens.append(grid)
            frames.append(jnp.where(mask[:, -1, None, None, None], pixels[:, -1], 0.5))
            votes.append(vote)
            present.append(mask[:, -1])
        readings = jnp.zeros((batch, 0))
        if newest:  # a filter: the last reading, less what recent changes say is its noise
            correction = self.correct(jnp.concatenate(recent, -1)) * self.scaling.bend[...]
            readings = jnp.concatenate(newest, -1) + correction
        return Belief(angle, readings, fuse(votes, present), tuple(tokens), tuple(frames))

    def _changes(self, spec: StreamSpec, value: jax.Array, mask: Array) -> jax.Array:
        """A stream's recent first and second differences [B, 2 * RECENT * F], each at its own scale."""
        features = self.layout.features(spec)
        at = self.layout.reading_columns(spec)
        first, second = differences(value, mask, features)
        scaled = jnp.stack([first / self.scaling.step[...][at], second / self.scaling.bend[...][at]], -1)
        return scaled.reshape(len(value), -1)

    def initial(self, belief: Belief, members: int, key: jax.Array) -> jax.Array:
        """Draws each member's latent from the belief: [B, K, Z]."""
        noise = jax.random.normal(key, (len(belief.newest), members, self.config.noise))
        known = jnp.concatenate([belief.features, belief.newest], -1)
        known = jnp.broadcast_to(known[:, None], (*noise.shape[:2], known.shape[-1]))
        x = nnx.silu(self.head(jnp.concatenate([known, noise], -1)))
        change = self.head_out(nnx.silu(self.head_second(x))).astype(jnp.float32)
        start = jnp.pad(belief.newest, ((0, 0), (0, change.shape[-1] - belief.newest.shape[-1])))
        return start[:, None] + change

    def imagine(self, belief: Belief, actions: Array, members: int, key: jax.Array) -> jax.Array:
        """Latents [B, K, H, Z] of ticks t + 1 ... t + H under actions [B, H, A], the first of which leaves tick t."""
        first, later = jax.random.split(key)
        latent = self.initial(belief, members, first)
        batch, horizon, _ = actions.shape
        noise = jax.random.normal(later, (batch, members, horizon, self.config.noise))
        chosen = jnp.broadcast_to(self._actions(actions)[:, None], (*noise.shape[:3], actions.shape[-1]))
        inputs = jnp.concatenate([chosen, noise], -1).reshape(batch * members, horizon, -1)
        latents = self.dynamics.rollout(latent.reshape(batch * members, -1), inputs)
        return latents.reshape(batch, members, horizon, -1)

    def decode(self, latents: jax.Array) -> jax.Array:
        """Readings [..., D] free of sensor noise, in normalised units."""
        parts, position = [], 0
        for spec in self.layout.readings:
            features = self.layout.features(spec)
            parts.append(self.slot_decoders[spec.name](latents, latents[..., position : position + features]))
            position += features
        return jnp.concatenate(parts, -1) if parts else jnp.zeros((*latents.shape[:-1], 0))

    def read(self, latents: jax.Array, key: jax.Array) -> jax.Array:
        """Readings [..., D] as sensors would give them: `decode` with each column's own noise."""
        clean = self.decode(latents)
        return clean + nnx.softplus(self.reading_noise[...]) * jax.random.normal(key, clean.shape)

    def calibrate(self, members: jax.Array) -> jax.Array:
        """Members [B, K, H, D] of readings, spread about their mean as held-out episodes say they must be."""
        tick = jnp.minimum(jnp.arange(members.shape[2]), len(self.spread[...]) - 1)
        mean = members.mean(1, keepdims=True)
        return mean + self.spread[...][tick] * (members - mean)

    def decode_video(self, belief: Belief, latents: jax.Array, video: int = 0) -> jax.Array:
        """Frames [B, rows, columns, 3] in 0..1 at latents [B, Z], one a belief."""
        return self.video_decoders[video](latents, belief.tokens[video], belief.frames[video])

    def loss(
        self, context: Context, future: Future, *, members: int, weights: jax.Array, dropout: float, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The open-loop score of imagined futures, averaged over streams, and each stream's own.

        Args:
            context: what was seen.
            future: what came.
            members: futures imagined for each window.
            weights: [H] of each horizon tick.
            dropout: chance that a stream is hidden.
            key: of the noise.
        """
        drop, draw, sense = jax.random.split(key, 3)
        shape = (len(context.values), len(self.layout.readings) + len(self.layout.videos))
        hidden = jax.random.bernoulli(drop, dropout, shape) if dropout else None
        belief = self.observe(context, hidden)
        latents = self.imagine(belief, future.actions, members, draw)
        truth = self.normalise(future.values, belief.angle)
        score = fair_crps(self.read(latents, sense), truth)
        score *= weights[:, None]
        columns = self.layout.columns
        terms = {n: masked_mean(score[..., c], future.mask[..., c]) for n, c in columns.items()}
        for i, spec in enumerate(self.layout.videos):
            terms[spec.name] = self._video_loss(belief, latents[:, 0], future, i)
        assert all(term.shape == () for term in terms.values())
        return jnp.stack(list(terms.values())).mean(), terms

    def _video_loss(self, belief: Belief, latents: jax.Array, future: Future, video: int) -> jax.Array:
        """Of every other window, since decoding costs as much as all the rest."""
        belief, latents, future = jax.tree.map(lambda x: x[::2], (belief, latents, future))
        total = jnp.zeros(())
        for p in range(future.frame_ticks.shape[1]):
            latent = jnp.take_along_axis(latents, future.frame_ticks[:, p, None, None], 1)[:, 0]
            imagined = self.decode_video(belief, latent, video)
            real = future.frames[video][:, p].astype(jnp.float32) / 255
            error = ((imagined - real) ** 2).mean((1, 2, 3)) / 0.02
            total += masked_mean(error, future.frames_mask[video][:, p])
        return total / future.frame_ticks.shape[1]

    def _actions(self, actions: Array) -> jax.Array:
        return (actions - self.scaling.action_mean[...]) / self.scaling.action_std[...]


def _named(modules: dict[str, Any]) -> Any:
    """Modules by stream name; flax types its dictionary by attributes, which stream names need not be."""
    return nnx.Dict(modules)


def _last_valid(values: jax.Array, mask: Array, features: int) -> jax.Array:
    """Each feature's last valid value [B, F] in slots over ticks [B, C, N * F]; 0 where there is none."""
    values = values.reshape(len(values), -1, features)
    mask = mask.reshape(values.shape)
    last = mask.shape[1] - 1 - jnp.argmax(mask[:, ::-1], 1)
    return jnp.take_along_axis(values, last[:, None], 1)[:, 0]

"""What every world model shares: four verbs on one latent record, the model's units, and the way back to readings."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Int

from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Future
from worldmodel.models.config import ModelConfig
from worldmodel.models.decoders import Drawn, SlotDecoder, VideoDecoder
from worldmodel.models.encoders import VideoEncoder
from worldmodel.models.memory import Memory, nothing
from worldmodel.models.objective import at_sample_times, masked_mean
from worldmodel.types import Array, Commands

_OLDEST_TICKS = 10.0  # older samples are all alike
_FRAME_SCALE = 0.06  # of squared errors of pixels: frames then weigh about as much as a sensor


class Belief(NamedTuple):
    """What a context says, before any member is drawn.

    Attributes:
        angle: float32 [B, G] from the east of each world frame to the machine's heading; what is given in that frame is
            turned by minus that within the model.
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


class Film(nnx.Module):
    """Of what the frames of each video are mixed, as the select episodes say.

    Attributes:
        shares: [videos, H, 3] of what the network draws, of the last frame seen and of the mean one; they sum to 1.
        mean: by video, [rows, columns, 3] in 0..1.
        memory: by video, what members recall; empty where they show what is mixed.
    """

    def __init__(self, shares: Array, mean: Sequence[Array], memory: Sequence[Memory] = ()) -> None:
        self.shares = nnx.Variable(jnp.asarray(shares, jnp.float32))
        self.mean = nnx.List([nnx.Variable(jnp.asarray(frame, jnp.float32)) for frame in mean])
        self.memory = nnx.List(list(memory) or nothing([frame.shape for frame in mean]))

    @classmethod
    def plain(cls, shapes: Sequence[tuple[int, ...]]) -> "Film":
        """Frames as they are drawn."""
        shares = jnp.tile(jnp.array([1.0, 0.0, 0.0]), (len(shapes), 1, 1))
        return cls(shares, [jnp.zeros(shape) for shape in shapes])

    def recalling(self, memory: Sequence[Memory] = ()) -> "Film":
        """The same with other memories, or with none."""
        return Film(self.shares[...], [frame[...] for frame in self.mean], memory)


class Scaling(NamedTuple):
    """Statistics of the training data: readings [D] and actions [A], turned to the heading as the model sees them, and
    differences of normalised readings [Y].

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


class WorldModel(nnx.Module, abc.ABC):
    """Latent dynamics over all streams of a log: `observe` a context, `imagine` futures under actions, learn by `loss`.

    The latent of a tick begins with the readings at that tick; what follows them is each model's own.

    Args:
        layout: the streams and their columns.
        context: ticks of context.
        scaling: statistics of the training data.
        config: sizes.
        rngs: for the initial parameters.
    """

    def __init__(self, layout: TickLayout, context: int, scaling: Scaling, config: ModelConfig, *, rngs: nnx.Rngs):
        self.layout, self.config, self.context = layout, config, context
        self.scaling = nnx.data(Scaling(*(nnx.Variable(jnp.asarray(x, jnp.float32)) for x in scaling)))
        self.spread = nnx.Variable(jnp.ones((1, layout.size)))
        self.film = Film.plain([spec.sample_shape for spec in layout.videos])
        self.reading_noise = nnx.Param(jnp.full(layout.size, -3.0, jnp.float32))
        self._build(dtype=jnp.dtype(config.dtype), rngs=rngs)

    @abc.abstractmethod
    def _build(self, **kwargs: Any) -> None:
        """Makes the model's modules; `kwargs` are what each of them is made with."""

    @abc.abstractmethod
    def observe(self, context: Context, hidden: Array | None = None) -> Belief:
        """The belief that a context gives.

        Args:
            context: what was seen, up to tick t.
            hidden: bool [B, streams + videos], streams to treat as missing (in training, so that one may be).
        """

    @property
    @abc.abstractmethod
    def start_noise(self) -> tuple[int, ...]:
        """Shape of the standard normal noise that one member starts from."""

    @property
    @abc.abstractmethod
    def step_noise(self) -> int:
        """How much standard normal noise a tick ahead takes."""

    @abc.abstractmethod
    def start(self, belief: Belief, noise: jax.Array) -> jax.Array:
        """The latents [B, K, Z] that a belief and noise [B, K, *start_noise] stand for."""

    @abc.abstractmethod
    def step(self, latent: jax.Array, actions: Commands, angle: jax.Array, noise: jax.Array) -> jax.Array:
        """Latents [B, K, Z] one tick on: what `imagine` does of each tick, for programs that hold its loop themselves.

        Args:
            latent: [B, K, Z].
            actions: [B, A], those that leave the tick.
            angle: of the belief.
            noise: [B, K, step_noise], standard normal.
        """

    def initial(self, belief: Belief, members: int, key: jax.Array) -> jax.Array:
        """Draws each member's latent from the belief: [B, K, Z]."""
        return self.start(belief, jax.random.normal(key, (len(belief.angle), members, *self.start_noise)))

    @abc.abstractmethod
    def imagine(self, belief: Belief, actions: Commands, members: int, key: jax.Array) -> jax.Array:
        """Latents [B, K, H, Z] of ticks t + 1 ... t + H under actions [B, H, A], the first of which leaves tick t."""

    @abc.abstractmethod
    def loss(
        self, context: Context, future: Future, *, members: int, weights: jax.Array, dropout: float, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """What training makes small, and the terms that it is made of, a scalar each.

        Args:
            context: what was seen.
            future: what came.
            members: futures imagined for each window, where the objective compares futures.
            weights: [H] of each horizon tick, where it scores ticks by their horizon.
            dropout: chance that a stream is hidden.
            key: of the noise.
        """

    def predict(
        self, context: Context, actions: Commands, members: int, key: jax.Array, hidden: Array | None = None
    ) -> tuple[Belief, jax.Array]:
        """The belief that a context gives, and latents [B, K, H, Z] imagined from it: `observe` and `imagine`."""
        belief = self.observe(context, hidden)
        return belief, self.imagine(belief, actions, members, key)

    def normalise(self, values: Float[Array, "B *t D"], angle: Float[Array, "B G"]) -> Float[jax.Array, "B *t D"]:
        """Features [B, ..., D] in physical units to the model's: turned to the heading, and scaled."""
        turned = self.layout.frames.readings.turn(jnp.asarray(values), -angle)
        return (turned - self.scaling.mean[...]) / self.scaling.std[...]

    def denormalise(self, values: Float[Array, "B *t D"], angle: Float[Array, "B G"]) -> Float[jax.Array, "B *t D"]:
        """Back to physical units and the log's own frames."""
        return self.layout.frames.readings.turn(values * self.scaling.std[...] + self.scaling.mean[...], angle)

    def decode(self, latents: Float[jax.Array, "*b Z"]) -> Float[jax.Array, "*b D"]:
        """Readings [..., D] free of sensor noise, in normalised units."""
        parts, position = [], 0
        for spec in self.layout.readings:
            features = self.layout.features(spec)
            parts.append(self.slot_decoders[spec.name](latents, latents[..., position : position + features]))
            position += features
        return jnp.concatenate(parts, -1) if parts else jnp.zeros((*latents.shape[:-1], 0))

    def read(self, latents: Float[jax.Array, "*b Z"], key: jax.Array) -> Float[jax.Array, "*b D"]:
        """Readings [..., D] as sensors would give them: `decode` with each column's own noise."""
        clean = self.decode(latents)
        return clean + nnx.softplus(self.reading_noise[...]) * jax.random.normal(key, clean.shape)

    def read_at(
        self, latents: Float[jax.Array, "B K H Z"], future: Future, key: jax.Array
    ) -> Float[jax.Array, "B K H D"]:
        """Readings as sensors would give them, at the times of a future's own samples."""
        return at_sample_times(self.read(latents, key), self.layout.age_ticks(future.age_s)[:, None])

    def calibrate(self, members: Float[jax.Array, "B K H D"]) -> Float[jax.Array, "B K H D"]:
        """Members [B, K, H, D] of readings, spread about their mean as held-out episodes say they must be."""
        tick = jnp.minimum(jnp.arange(members.shape[2]), len(self.spread[...]) - 1)
        mean = members.mean(1, keepdims=True)
        return mean + self.spread[...][tick] * (members - mean)

    def mix(
        self, drawn: Float[jax.Array, "B K P *pixels"], last: Array, ticks: Int[Array, "B P"], video: int = 0
    ) -> jax.Array:
        """Frames that members draw at horizon ticks, mixed with the last one seen and the mean one (see `Film`).

        Args:
            drawn: in 0..1.
            last: [B, rows, columns, 3], black where none was seen: the mean frame is in its place.
            ticks: 0 is the first ahead.
            video: which.
        """
        shares, mean = self.film.shares[...][video], self.film.mean[video][...]
        shares = shares[jnp.minimum(ticks, len(shares) - 1)][:, None, :, None, None, None]
        last = jnp.where((last > 0).any((1, 2, 3), keepdims=True), last, mean)[:, None, None]
        return shares[..., 0] * drawn + shares[..., 1] * last + shares[..., 2] * mean

    def decode_video(self, belief: Belief, latents: jax.Array, video: int = 0) -> jax.Array:
        """Frames [B, rows, columns, 3] in 0..1 at latents [B, Z], one a belief."""
        return self.video_decoders[video](latents, belief.tokens[video], belief.frames[video])

    def draw_video(self, belief: Belief, latents: jax.Array, video: int = 0) -> Drawn:
        """What `decode_video` makes frames of, beside them."""
        return self.video_decoders[video].draw(latents, belief.tokens[video], belief.frames[video])

    def _build_video_encoders(self, features: int, **kwargs: Any) -> None:
        size = self.config.video_width
        self.video_encoders = nnx.List(
            [VideoEncoder(s.sample_shape[:2], size, features, **kwargs) for s in self.layout.videos]
        )

    def _build_decoders(self, latent: int, **kwargs: Any) -> None:
        layout = self.layout
        self.slot_decoders = named(
            {s.name: SlotDecoder(latent, layout.features(s), layout.slots(s), **kwargs) for s in layout.readings}
        )
        self.video_decoders = nnx.List(
            [VideoDecoder(s.sample_shape[:2], latent, self.config.video_width, **kwargs) for s in layout.videos]
        )

    def _shown(self, context: Context, hidden: Bool[Array, "B streams"] | None) -> Bool[Array, "B streams"]:
        """bool [B, streams + videos], which streams may be looked at."""
        shape = (len(context.values), len(self.layout.readings) + len(self.layout.videos))
        return jnp.ones(shape, bool) if hidden is None else ~hidden

    def _hide(self, context: Context, dropout: float, key: jax.Array) -> jax.Array | None:
        """bool [B, streams + videos], each stream hidden from a window with a chance of `dropout`."""
        shape = self._shown(context, None).shape
        return jax.random.bernoulli(key, dropout, shape) if dropout else None

    def _angle(self, context: Context, shown: jax.Array) -> jax.Array:
        """The heading [B, G], which a stream that is hidden does not tell."""
        mask = jnp.asarray(context.mask) & shown[:, self.layout.stream_of][:, None]
        return self.layout.frames.angle(jnp.asarray(context.values), mask)

    def _look(self, context: Context, shown: jax.Array):
        """Each video's tokens, last frame, vote, and whether it is there [B], as `Belief` and `fuse` want them."""
        tokens, frames, votes, present = [], [], [], []
        for i, encoder in enumerate(self.video_encoders):
            mask = context.frames_mask[i] & shown[:, len(self.layout.readings) + i, None]
            pixels = context.frames[i].astype(jnp.float32) / 255
            grid, vote = encoder(pixels, mask)
            tokens.append(grid)
            frames.append(jnp.where(mask[:, -1, None, None, None], pixels[:, -1], 0.5))
            votes.append(vote)
            present.append(mask[:, -1])
        return tuple(tokens), tuple(frames), votes, present

    def _video_loss(self, belief: Belief, latents: jax.Array, future: Future, video: int) -> jax.Array:
        """Of every fourth window: decoding costs much, and frames come out no better of every second."""
        belief, latents, future = jax.tree.map(lambda x: x[::4], (belief, latents, future))
        total = jnp.zeros(())
        for p in range(future.frame_ticks.shape[1]):
            latent = jnp.take_along_axis(latents, future.frame_ticks[:, p, None, None], 1)[:, 0]
            imagined = self.decode_video(belief, latent, video)
            real = future.frames[video][:, p].astype(jnp.float32) / 255
            error = ((imagined - real) ** 2).mean((1, 2, 3)) / _FRAME_SCALE
            total += masked_mean(error, future.frames_mask[video][:, p])
        return total / future.frame_ticks.shape[1]

    @property
    def _action_inputs(self) -> int:
        """Columns that `_actions` makes."""
        return 2 * self.layout.action_count + len(self.layout.actions)

    def _actions(self, actions: Commands, angle: jax.Array) -> jax.Array:
        """Actions [B, T, A] as networks see them: normalised values, 0 where unknown, masks, ages."""
        turned = self.layout.frames.actions.turn(jnp.asarray(actions.values), -angle)
        values = (turned - self.scaling.action_mean[...]) / self.scaling.action_std[...]
        return jnp.concatenate([values * actions.mask, actions.mask, self._age(actions.age_s)], -1)

    def _age(self, age_s: Array) -> jax.Array:
        """Ages in ticks, on a scale that ends at 1."""
        return jnp.minimum(age_s / self.layout.dt, _OLDEST_TICKS) / _OLDEST_TICKS


def named(modules: dict[str, Any]) -> Any:
    """Modules by stream name; flax types its dictionary by attributes, which stream names need not be."""
    return nnx.Dict(modules)

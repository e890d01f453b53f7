"""Runs a trained model forward: contexts and actions in, readings and frames out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.logs.windows import Context
from worldmodel.models.world_model import WorldModel
from worldmodel.types import Array, Commands

_BATCH = 32


class Imagined(NamedTuple):
    """Features [B, K, H, D] in physical units, GPS relative to the context's last fix.

    Attributes:
        clean: what is there to be read.
        read: what the sensors would say: with their noise, and with the spread that held-out episodes ask for.
    """

    clean: Array
    read: Array


class Imaginer:
    """A model compiled for imagining. Results depend on `seed` and on nothing that comes after the contexts."""

    def __init__(self, model: WorldModel, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        self._readings = nnx.jit(_readings, static_argnums=3)
        self._frames = nnx.jit(_frames, static_argnums=3)

    def readings(self, context: Context, actions: Commands, members: int) -> Imagined:
        """K futures of every sensor under actions [B, H, A]."""
        run = self._readings
        return Imagined(*self._in_batches(lambda c, a, key: run(self.model, c, (a, key), members), context, actions))

    def frames(self, context: Context, actions: Commands, ticks: np.ndarray, members: int = 1) -> list[np.ndarray]:
        """For each video uint8 [B, K, P, rows, columns, 3] at horizon ticks [B, P] (0 is the first ahead).

        Members are those of `readings` for the same seed and number of members.
        """

        def run(c, a, key):
            given, ticks = a
            return self._frames(self.model, c, (given, ticks, key), members)

        return self._in_batches(run, context, (actions, ticks))

    def _in_batches(self, function, context: Context, inputs) -> list[np.ndarray]:
        """Calls `function` on batches of one size, the last one padded, so that it is compiled once; joins results."""
        count = len(jax.tree.leaves(inputs)[0])
        size = min(_BATCH, count)
        parts = []
        for start in range(0, count, size):
            rows = np.minimum(np.arange(start, start + size), count - 1)
            chosen, given = jax.tree.map(lambda x, rows=rows: x[rows], (context, inputs))
            key = jax.random.fold_in(jax.random.key(self.seed), start)
            parts.append(jax.device_get(function(chosen, given, key)))
        return [np.concatenate(part)[:count] for part in zip(*parts, strict=True)]


def _readings(model: WorldModel, context: Context, inputs, members: int) -> Imagined:
    actions, key = inputs
    belief = model.observe(context)
    latents = model.imagine(belief, actions, members, key)
    read = model.calibrate(model.read(latents, jax.random.fold_in(key, 1)))
    return Imagined(model.denormalise(model.decode(latents), belief.angle), model.denormalise(read, belief.angle))


def _frames(model: WorldModel, context: Context, inputs, members: int) -> list[jax.Array]:
    actions, ticks, key = inputs
    belief = model.observe(context)
    latents = model.imagine(belief, actions, members, key)
    latents = jnp.take_along_axis(latents, ticks[:, None, :, None], 2)
    batch, count, asked, size = latents.shape
    repeated = jax.tree.map(lambda x: jnp.repeat(x, count * asked, 0), belief)
    videos = []
    for i in range(len(model.layout.videos)):
        frames = model.decode_video(repeated, latents.reshape(-1, size), i)
        pixels = jnp.round(jnp.clip(frames, 0, 1) * 255).astype(jnp.uint8)
        videos.append(pixels.reshape(batch, count, asked, *pixels.shape[1:]))
    return videos

"""Runs a trained model forward: contexts and actions in, readings and frames out."""

import copy
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.compiled import keep_compiled
from worldmodel.logs.windows import Context
from worldmodel.models.world_model import WorldModel
from worldmodel.types import Array, Commands

_BATCH = 32  # windows at once, which bounds memory


class Imagined(NamedTuple):
    """Features [B, K, H, D] in physical units, GPS relative to the context's last fix.

    Attributes:
        clean: what is there to be read.
        read: what the sensors would say: with their noise, and with the spread that held-out episodes ask for; None
            where it was not asked for.
    """

    clean: Array
    read: Array | None


class Pictures(NamedTuple):
    """One video, uint8.

    Attributes:
        members: [B, K, P, rows, columns, 3], a picture that may come each.
        mean: [B, P, rows, columns, 3], the average of all that may come, whose error is the smallest.
    """

    members: Array
    mean: Array


class Imaginer:
    """A model compiled for imagining. Results depend on `seed` and on nothing that comes after the contexts.

    The parameters are those that the model has now. For each shape of its arguments a program is traced and compiled
    once, for all seeds and all models that are built alike.
    """

    def __init__(self, model: WorldModel, seed: int = 0) -> None:
        keep_compiled()
        self.seed = seed
        graph, state = nnx.split(model)  # once: it takes longer than a short future
        self._leaves, tree = jax.tree.flatten(state)  # so does this, in each call
        self._compiled = _program(graph, tree)

    def seeded(self, seed: int) -> "Imaginer":
        """The same model with other noise."""
        other = copy.copy(self)
        other.seed = seed
        return other

    def futures(
        self, context: Context, actions: Commands, ticks: Sequence[np.ndarray], members: int, *, noisy: bool = True
    ) -> tuple[Imagined, list[Pictures]]:
        """K futures of every sensor under actions [B, H, A], and their frames.

        Args:
            context: what was seen in each of B windows.
            actions: what is commanded from there on.
            ticks: for each video int [B, P], the horizon ticks (0 is the first ahead) wanted of it; none for no frames.
            members: K.
            noisy: whether it is asked what sensors would say.

        Returns:
            The readings, and for each video its frames.
        """
        given, count = (context, actions, tuple(ticks)), len(context.values)
        size = min(_BATCH, count)
        parts = []
        for start in range(0, count, size):  # of one size, the last one padded, so that one program does
            rows = np.minimum(np.arange(start, start + size), count - 1)
            seen, led, asked = jax.tree.map(lambda x, rows=rows: x[rows], given)
            parts.append(jax.device_get(self.begun(seen, led, asked, members, noisy=noisy, start=start)))
        return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)

    def begun(
        self,
        context: Context,
        actions: Commands,
        ticks: Sequence[np.ndarray],
        members: int,
        *,
        noisy: bool = True,
        start: int = 0,
    ) -> tuple[Imagined, list[Pictures]]:
        """`futures` of one batch, the windows from `start` on, in JAX's arrays: they may be on their way still."""
        key = np.array([self.seed, start], np.uint32)
        return self._compiled(self._leaves, context, actions, tuple(ticks), key, members, noisy)

    def readings(self, context: Context, actions: Commands, members: int) -> Imagined:
        """K futures of every sensor under actions [B, H, A]."""
        return self.futures(context, actions, (), members)[0]

    def frames(self, context: Context, actions: Commands, ticks: np.ndarray, members: int = 1) -> list[np.ndarray]:
        """For each video uint8 [B, K, P, rows, columns, 3] at horizon ticks [B, P] (0 is the first ahead).

        Members are those of `readings` for the same seed and number of members.
        """
        shown = self.futures(context, actions, [ticks] * len(context.frames), members, noisy=False)[1]
        return [np.asarray(video.members) for video in shown]


@lru_cache(16)
def _program(graph, tree):
    """For models of one build, whatever their parameters: what is compiled for one is there for the next."""
    return jax.jit(partial(_roll_out_of, graph, tree), static_argnums=(5, 6))


def _roll_out_of(graph, tree, leaves, *asked) -> tuple[Imagined, list[Pictures]]:
    """`roll_out` with a state that is given in leaves."""
    return roll_out(graph, jax.tree.unflatten(tree, leaves), *asked)


def roll_out(
    graph, state, context: Context, actions: Commands, ticks, key, members: int, noisy: bool = True
) -> tuple[Imagined, list[Pictures]]:
    """`Imaginer.futures` of one batch; `key` is uint32 [2], the seed and the batch's first window."""
    model = nnx.merge(graph, state)
    key = jax.random.fold_in(jax.random.key(key[0]), key[1])
    belief, latents = model.predict(context, actions, members, key)
    imagined = Imagined(model.denormalise(model.decode(latents), belief.angle), None)
    if noisy:
        read = model.calibrate(model.read(latents, jax.random.fold_in(key, 1)))
        imagined = imagined._replace(read=model.denormalise(read, belief.angle))
    keys = [jax.random.fold_in(key, 2 + video) for video in range(len(ticks))]
    return imagined, [_frames(model, belief, latents, asked, i, keys[i]) for i, asked in enumerate(ticks)]


def _frames(model: WorldModel, belief, latents: jax.Array, ticks: jax.Array, video: int, key: jax.Array) -> Pictures:
    latents = jnp.take_along_axis(latents, ticks[:, None, :, None], 2)
    batch, members, asked, size = latents.shape
    repeated = jax.tree.map(lambda x: jnp.repeat(x, members * asked, 0), belief)
    drawn = model.draw_video(repeated, latents.reshape(-1, size), video)
    drawn = jax.tree.map(lambda x: x.reshape(batch, members, asked, *x.shape[1:]), drawn)
    mixed = model.mix(drawn.frame, belief.frames[video], ticks, video)
    memory = model.film.memory[video]
    shown = memory.picture(mixed, drawn.moved, drawn.kept, key) if len(memory) else mixed
    return Pictures(*(jnp.round(jnp.clip(x, 0, 1) * 255).astype(jnp.uint8) for x in (shown, mixed.mean(1))))

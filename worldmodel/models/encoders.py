"""Context encoders: one a stream, parallel in time, each with how sure it is of each feature."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Bool, Float, Shaped

from worldmodel.arrays import hold, namespace
from worldmodel.types import Array

PATCH = 8  # pixels: 64 patches of a 64x64 frame
RECENT = 32  # samples whose differences are looked at


class WindowEncoder(nnx.Module):
    """Reads a stream's whole context at once: values, masks, ages, changes [B, I] to a vote [B, E] and its weight."""

    def __init__(self, inputs: int, width: int, features: int, *, dtype, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(inputs, width, dtype=dtype, rngs=rngs)
        self.second = nnx.Linear(width, width, dtype=dtype, rngs=rngs)
        self.vote = _Vote(width, features, dtype=dtype, rngs=rngs)

    def __call__(self, window: Float[Array, "B I"]) -> tuple[Float[Array, "B E"], Float[Array, "B E"]]:
        return self.vote(nnx.silu(self.second(nnx.silu(self.first(window)))))


class Differences(NamedTuple):
    """First and second differences [B, RECENT, F] of a stream's newest samples, and which are of samples that came."""

    first: Array
    second: Array
    known: Array


def differences(values: Float[Array, "B C W"], mask: Bool[Array, "B C W"], features: int) -> Differences:
    """The differences of a stream's newest samples in values [B, C, N * F].

    A missing sample repeats the one before it, or the first that comes. Of a smooth signal, second differences are
    mostly noise: at their own scale, they show how the newest reading is off, which in the readings themselves is lost
    among the signal. For numpy and JAX.
    """
    xp = namespace(values)
    held, begun = hold(*(x.reshape(len(x), -1, features) for x in (values, mask)))
    short = max(RECENT + 2 - held.shape[1], 0)
    held = xp.concatenate([xp.repeat(held[:, :1], short, 1), held], 1)[:, -RECENT - 2 :]
    begun = xp.pad(begun, ((0, 0), (short, 0), (0, 0)))[:, -RECENT - 2 :]
    first = xp.diff(held, axis=1)
    return Differences(first[:, 1:], xp.diff(first, axis=1), begun[:, :-2])


class _Vote(nnx.Module):
    """Features and the precision of each: what a product of experts multiplies."""

    def __init__(self, inputs: int, features: int, *, dtype, rngs: nnx.Rngs) -> None:
        self.mean = nnx.Linear(inputs, features, dtype=dtype, rngs=rngs)
        self.precision = nnx.Linear(inputs, features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "B I"]) -> tuple[Float[Array, "B E"], Float[Array, "B E"]]:
        return self.mean(x).astype(jnp.float32), nnx.softplus(self.precision(x).astype(jnp.float32) + 0.5)


def fuse(votes: list[tuple[jax.Array, jax.Array]], present: list[Array]) -> jax.Array:
    """Product of experts with a unit prior: streams that are absent ([B] False) neither add nor dilute.

    Gaussian experts multiply by adding precisions (Wu & Goodman 2018, arXiv 1802.05335).
    """
    weights = [precision * here[:, None] for (_, precision), here in zip(votes, present, strict=True)]
    total = 1.0 + sum(weights)
    weighted = [w * mean for w, (mean, _) in zip(weights, votes, strict=True)]
    return jnp.stack(weighted).sum(0) / total


def patches(frames: Shaped[Array, "B rows columns c"]) -> Shaped[Array, "B grid_rows grid_columns patch"]:
    """[B, rows, columns, c] to [B, rows / 8, columns / 8, 64 c]."""
    batch, rows, columns, channels = frames.shape
    grid = frames.reshape(batch, rows // PATCH, PATCH, columns // PATCH, PATCH, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows // PATCH, columns // PATCH, -1)


def unpatch(grid: Shaped[Array, "B grid_rows grid_columns patch"], channels: int) -> Shaped[Array, "B rows columns c"]:
    """The inverse of `patches`."""
    batch, rows, columns, _ = grid.shape
    blocks = grid.reshape(batch, rows, columns, PATCH, PATCH, channels).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, rows * PATCH, columns * PATCH, channels)


class VideoEncoder(nnx.Module):
    """Reads the newest two frames: a grid of tokens [B, rows / 8, columns / 8, W], a vote and its weight."""

    def __init__(self, size: tuple[int, ...], width: int, features: int, *, dtype, rngs: nnx.Rngs) -> None:
        cells = (size[0] // PATCH) * (size[1] // PATCH)
        self.embed = nnx.Linear(PATCH * PATCH * 6, width, dtype=dtype, rngs=rngs)
        self.mix = nnx.Conv(width, width, (3, 3), dtype=dtype, rngs=rngs)
        self.flat = nnx.Linear(cells * width, 2 * features, dtype=dtype, rngs=rngs)
        self.vote = _Vote(2 * features, features, dtype=dtype, rngs=rngs)

    def __call__(self, frames: Array, mask: Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Frames [B, 2, rows, columns, 3] in 0..1 and whether each is there [B, 2]."""
        seen = (frames - 0.5) * mask[..., None, None, None]
        tokens = nnx.silu(self.embed(patches(jnp.concatenate([seen[:, 0], seen[:, 1]], -1))))
        tokens = tokens + nnx.silu(self.mix(tokens))
        return tokens, self.vote(nnx.silu(self.flat(tokens.reshape(len(tokens), -1))))

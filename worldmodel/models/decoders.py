"""From latents back to readings and frames."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from worldmodel.models.encoders import PATCH, unpatch


class SlotDecoder(nnx.Module):
    """A stream's slots within a tick: the reading at the tick is part of the latent, the others differ from it."""

    def __init__(self, latent: int, features: int, slots: int, *, dtype, rngs: nnx.Rngs) -> None:
        self.slots = slots
        if slots > 1:
            zeros = nnx.initializers.zeros_init()
            self.earlier = nnx.Linear(latent, (slots - 1) * features, kernel_init=zeros, dtype=dtype, rngs=rngs)

    def __call__(self, latent: Float[jax.Array, "*b Z"], newest: Float[jax.Array, "*b F"]) -> Float[jax.Array, "*b W"]:
        """Latent [..., Z] and reading at the tick [..., F] to slots [..., N * F], in time order."""
        if self.slots == 1:
            return newest
        repeated = jnp.tile(newest, self.slots - 1)
        return jnp.concatenate([repeated + self.earlier(latent).astype(jnp.float32), newest], -1)


class Drawn(NamedTuple):
    """What a decoder draws, in 0..1.

    Attributes:
        frame: [..., rows, columns, 3] the average of what may come.
        moved: [..., rows, columns, 3] the last seen frame alone, where it is expected to be, as sharp as it was.
        kept: [..., rows, columns, 1] the share of each pixel that is of it.
    """

    frame: jax.Array
    moved: jax.Array
    kept: jax.Array


class VideoDecoder(nnx.Module):
    """The last seen frame, moved by a predicted flow, and painted over where it shows nothing of what is new.

    A camera on a moving machine mostly sees what it saw before, elsewhere in the picture.
    """

    def __init__(self, size: tuple[int, ...], latent: int, width: int, *, dtype, rngs: nnx.Rngs) -> None:
        rows, columns = size[0] // PATCH, size[1] // PATCH
        self.place = nnx.Param(0.1 * jax.random.normal(rngs.params(), (rows, columns, 2 * width)))
        self.of_latent = nnx.Linear(latent, 2 * width, dtype=dtype, rngs=rngs)
        self.of_motion = nnx.Linear(latent, rows * columns * 8, dtype=dtype, rngs=rngs)
        self.of_tokens = nnx.Linear(width + 8, 2 * width, dtype=dtype, rngs=rngs)
        self.mix = nnx.Conv(2 * width, 2 * width, (3, 3), dtype=dtype, rngs=rngs)
        self.flow = nnx.Linear(2 * width, 8, kernel_init=nnx.initializers.zeros_init(), dtype=dtype, rngs=rngs)
        self.paint = nnx.Linear(2 * width, PATCH * PATCH * 4, dtype=dtype, rngs=rngs)

    def __call__(self, latent: jax.Array, tokens: jax.Array, last: jax.Array) -> jax.Array:
        """Frames [B, rows, columns, 3] in 0..1, from latents [B, Z], the last frame and its tokens."""
        return self.draw(latent, tokens, last).frame

    def draw(self, latent: jax.Array, tokens: jax.Array, last: jax.Array) -> Drawn:
        """The frame, and the last one alone as it is moved."""
        motion = self.of_motion(latent).reshape(*tokens.shape[:-1], 8)
        x = self.of_tokens(jnp.concatenate([tokens, motion], -1)) + self.of_latent(latent)[:, None, None]
        x = nnx.silu(x + self.place.astype(x.dtype))
        x = nnx.silu(x + self.mix(x))
        painted = unpatch(self.paint(x).astype(jnp.float32), 4)
        flow = self._flow(self.flow(x).astype(jnp.float32), last.shape)
        keep = nnx.sigmoid(painted[..., 3:] + 1.0)
        frame = keep * warp(last, flow) + (1 - keep) * nnx.sigmoid(painted[..., :3])
        return Drawn(frame, nearest(last, flow), keep)

    @staticmethod
    def _flow(grid: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        batch, rows, columns, _ = grid.shape
        fine = grid.reshape(batch, rows, columns, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5)
        fine = fine.reshape(batch, 2 * rows, 2 * columns, 2) * PATCH
        return jax.image.resize(fine, (batch, shape[1], shape[2], 2), "linear")


def warp(frame: Float[jax.Array, "B r c 3"], flow: Float[jax.Array, "B r c 2"]) -> Float[jax.Array, "B r c 3"]:
    """Samples frame [B, rows, columns, 3] at each pixel plus flow [B, rows, columns, 2] (rows, columns), bilinearly."""
    _, rows, columns, _ = frame.shape
    where = jnp.clip(_places(flow), 0.0, jnp.array([rows - 1.001, columns - 1.001]))
    corner = jnp.floor(where).astype(jnp.int32)
    part = where - corner
    flat = frame.reshape(len(frame), rows * columns, 3)

    def at(down: int, right: int) -> jax.Array:
        index = (corner[..., 0] + down) * columns + corner[..., 1] + right
        picked = jnp.take_along_axis(flat, index.reshape(len(frame), -1, 1), 1)
        weight = jnp.abs(1 - down - part[..., :1]) * jnp.abs(1 - right - part[..., 1:])
        return picked.reshape(frame.shape) * weight

    return at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)


def nearest(frame: Float[jax.Array, "B r c 3"], flow: Float[jax.Array, "B r c 2"]) -> Float[jax.Array, "B r c 3"]:
    """As `warp`, but of whole pixels: a mean of four would take half of what is sharp."""
    _, rows, columns, _ = frame.shape
    where = jnp.clip(jnp.round(_places(flow)), 0, jnp.array([rows - 1, columns - 1])).astype(jnp.int32)
    index = where[..., 0] * columns + where[..., 1]
    flat = frame.reshape(len(frame), rows * columns, 3)
    return jnp.take_along_axis(flat, index.reshape(len(frame), -1, 1), 1).reshape(frame.shape)


def _places(flow: jax.Array) -> jax.Array:
    """Row and column of each pixel, plus flow [B, rows, columns, 2]."""
    _, rows, columns, _ = flow.shape
    return jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"), -1) + flow

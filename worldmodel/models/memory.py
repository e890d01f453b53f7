"""Frames that are remembered: what members see where the network does not know what comes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, UInt8

from worldmodel.models.encoders import PATCH
from worldmodel.types import Array

_NEAR, _FAR = 0.04, 0.2  # errors of a cell's colour: where all of it is kept, and how much more where nothing is
_SHARE, _STEEP = 0.55, 20.0  # of a pixel that is kept, from where on the last frame shows; and how abruptly
_TONE = 0.75  # of the way that the colours of cells go to those that are expected


class Memory(nnx.Module):
    """Frames of the training episodes, of which each member recalls one that goes with what it expects to see.

    The network's own picture is the average of all that may come: right in its error and fog to the eye. Where it
    trusts the last frame, moved, a member shows that; elsewhere it shows a remembered frame (Lorenz 1969, doi
    10.1175/1520-0469(1969)26<636:APARBN>2.0.CO;2, forecast by such analogues).

    Args:
        frames: uint8 [N, rows, columns, 3]; none, where members had better show what is drawn.
        sureness: how much a likeness counts, 0 to 1: cells of a frame do not err independently.
    """

    def __init__(self, frames: UInt8[Array, "N rows columns 3"], sureness: float | jax.Array) -> None:
        self.frames = nnx.Variable(jnp.asarray(frames))
        self.seen = nnx.Variable(jnp.asarray(_cells_of_bytes(np.asarray(frames))))
        self.sureness = nnx.Variable(jnp.asarray(sureness, jnp.float32))

    def __len__(self) -> int:
        return len(self.frames[...])

    def recall(
        self, expected: Float[jax.Array, "*b rows columns 3"], kept: Float[jax.Array, "*b rows columns 1"], key
    ) -> Float[jax.Array, "*b rows columns 3"]:
        """A remembered frame each, in 0..1, for members [B, K, P]: drawn by how well it goes with what is expected.

        A member's frames are drawn with the same noise, so that it stays with a memory as long as that fits.
        """
        seen, weight = self.seen[...], self.sureness[...] / (_NEAR + _FAR * (1 - cells(kept))) ** 2
        apart = jnp.einsum("bkpij,nij->bkpn", weight[..., 0], (seen**2).sum(-1))
        apart -= 2 * jnp.einsum("bkpijc,nijc->bkpn", weight * cells(expected), seen)  # what all share is left out
        noise = jax.random.gumbel(key, (*expected.shape[:2], 1, len(self)))
        return self.frames[...][jnp.argmax(noise - apart / 2, -1)].astype(jnp.float32) / 255

    def picture(
        self,
        expected: Float[jax.Array, "*b rows columns 3"],
        moved: Float[jax.Array, "*b rows columns 3"],
        kept: Float[jax.Array, "*b rows columns 1"],
        key: jax.Array,
    ) -> Float[jax.Array, "*b rows columns 3"]:
        """What each member sees, in 0..1: the last frame, moved, where it is kept, and else a remembered one.

        Args:
            expected: what the network draws, for members [B, K, P].
            moved: the last frame, where it is expected to be.
            kept: the share of each pixel that it is trusted with.
            key: of the noise.
        """
        gate = nnx.sigmoid(_STEEP * (kept - _SHARE))
        shown = gate * moved + (1 - gate) * self.recall(expected, kept, key)
        tone = cells(expected - shown)
        return shown + _TONE * jax.image.resize(tone, expected.shape, "linear")


def cells(frames: Float[Array, "*b rows columns c"]) -> Float[Array, "*b grid_rows grid_columns c"]:
    """Means of cells of 8 by 8 pixels."""
    *batch, rows, columns, channels = frames.shape
    return frames.reshape(*batch, rows // PATCH, PATCH, columns // PATCH, PATCH, channels).mean((-4, -2))


def _cells_of_bytes(frames: UInt8[np.ndarray, "N rows columns 3"]) -> Float[np.ndarray, "N grid_rows grid_columns 3"]:
    """`cells` of frames / 255, summed as integers: to open a run is not to make float copies of all that it recalls."""
    count, rows, columns, channels = frames.shape
    strips = frames.reshape(count, rows // PATCH, PATCH, columns * channels).sum(2, dtype=np.uint16)
    sums = strips.reshape(*strips.shape[:2], columns // PATCH, PATCH, channels).sum(3, dtype=np.uint16)
    return sums.astype(np.float32) / (PATCH * PATCH * 255)


def nothing(shapes: Sequence[tuple[int, ...]]) -> list[Memory]:
    """Of videos of which nothing is remembered."""
    return [Memory(np.zeros((0, *shape), np.uint8), 0.0) for shape in shapes]

"""What a model believes at each moment of an episode, as numbers to probe."""

from collections.abc import Iterator, Sequence
from functools import partial

import jax
import numpy as np
from flax import nnx

from worldmodel.compiled import keep_compiled
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Windows
from worldmodel.models.world_model import WorldModel
from worldmodel.types import Samples

_BATCH, _MEMBERS = 64, 16  # windows at once, which bounds memory


class Observer:
    """A model compiled for observing: for all episodes once."""

    def __init__(self, model: WorldModel) -> None:
        keep_compiled()
        self.layout = model.layout
        graph, self._state = nnx.split(model)
        self._compiled = jax.jit(partial(_latents, graph))

    def latents(self, windows: Windows, without: Sequence[str] = ()) -> Samples:
        """The latent at each tick of the only episode of `windows` that has a whole context behind it.

        Args:
            windows: the aligned episode.
            without: streams that are treated as if they had never been there.

        Returns:
            Times [T] in seconds from the episode's origin, and latents float32 [T, Z], the mean of those that members
            begin with. The first are readings, filtered and normalised; what follows is the model's own.

        Raises:
            WorldModelError: if the model has no stream of that name, or the episode is shorter than a context.
        """
        hidden = np.tile(_hidden(self.layout, without), (_BATCH, 1))
        rows = windows.starts(0)[:]
        parts = [jax.device_get(self._compiled(self._state, context, hidden)) for context in _contexts(windows, rows)]
        return Samples(self.layout.time_s(rows[:, 1]), np.concatenate(parts)[: len(rows)])


def _latents(graph, state, context: Context, hidden: jax.Array) -> jax.Array:
    model = nnx.merge(graph, state)
    return model.initial(model.observe(context, hidden), _MEMBERS, jax.random.key(0)).mean(1)


def _contexts(windows: Windows, rows: np.ndarray) -> Iterator[Context]:
    """Contexts that end at `rows` [M, 2], in batches of one size: the last one is padded, so that one program does."""
    for first in range(0, len(rows), _BATCH):
        yield windows.cut(rows[np.minimum(np.arange(first, first + _BATCH), len(rows) - 1)], 0)[0]


def _hidden(layout: TickLayout, without: Sequence[str]) -> np.ndarray:
    """bool [streams + videos], as `WorldModel.observe` wants it."""
    names = [spec.name for spec in (*layout.readings, *layout.videos)]
    if unknown := [name for name in without if name not in names]:
        raise WorldModelError(
            "The model has no such stream to go without.", expected=", ".join(names), found=unknown[0]
        )
    return np.isin(names, list(without))

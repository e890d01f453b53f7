"""How experts did inside a context: asked at earlier moments of it, whose outcome it holds."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Future, make_relative
from worldmodel.models.baselines.view import Examples, Lens, short_context
from worldmodel.models.objective import at_sample_times
from worldmodel.types import Commands

_HORIZONS = (1, 2, 3, 5, 8, 12, 20)


def horizons_within(context: int, horizon: int) -> tuple[int, ...]:
    """Ticks ahead at which experts are measured inside a context, up to a horizon; none where it is too short."""
    return tuple(h for h in _HORIZONS if h <= min(context - short_context(context), horizon))


def earlier(lens: Lens, context: Context, actions: Commands, horizons: Sequence[int]) -> Examples:
    """What experts saw at earlier moments of contexts [B], and what came of it until the context's end: [E * B].

    The moments lie E `horizons` (ticks) before the end. Each window is seen as any other: in the heading, and from the
    place, of its own moment.
    """
    ticks = context.values.shape[1]
    short = short_context(ticks)
    acted = jax.tree.map(lambda a, b: np.concatenate([a, b], 1), context.actions, actions)
    parts = [_ending(lens.layout, context, acted, ticks - back, short, horizons[-1]) for back in horizons]
    return lens.seen(*jax.tree.map(lambda *x: np.concatenate(x), *parts))


def errors_within(
    ahead: Float[np.ndarray, "B H Y"], examples: Examples, layout: TickLayout, horizons: Sequence[int]
) -> Float[np.ndarray, "W E S"]:
    """Mean squared errors of predictions of `earlier`, by window, horizon and stream; NaN where nothing came.

    The columns of a stream that a prediction says nothing of, all NaN, do not count.
    """
    told = examples.mask & ~np.isnan(ahead).all((0, 1))
    error = np.where(told, at_sample_times(ahead, examples.age) - examples.came, 0.0) ** 2
    shape = (len(horizons), -1, *error.shape[1:])
    error, there = error.reshape(shape), told.reshape(shape)
    out = np.full((error.shape[1], len(horizons), len(layout.readings)), np.nan)
    for stream, columns in enumerate(layout.reading_columns.values()):
        for i, horizon in enumerate(horizons):
            part = (slice(i, None), slice(None), horizon - 1, columns)  # from moments that far back and farther
            count = there[part].sum((0, 2))
            out[:, i, stream] = np.where(count, error[part].sum((0, 2)) / np.maximum(count, 1), np.nan)
    return out


def _ending(
    layout: TickLayout, context: Context, acted: Commands, end: int, short: int, horizon: int
) -> tuple[Context, Future]:
    """The window whose context is the `short` ticks before tick `end`; ticks ahead that are not in it are masked."""
    ticks, every = context.values.shape[1], np.arange(end - short, end + horizon)
    inside = np.minimum(every, ticks - 1)
    values, age_s = context.values[:, inside].copy(), context.age_s[:, inside]
    mask = context.mask[:, inside] & (every < ticks)[:, None]
    make_relative(layout, values, mask, short)
    span = Context(values, mask, age_s, acted, (), ())
    led = np.minimum(np.arange(end - 1, end - 1 + horizon), acted.values.shape[1] - 1)
    past = _part(span, slice(0, short), slice(end - short, end - 1))
    ahead = jax.tree.map(lambda x: x[:, led], acted)
    none = np.zeros((len(values), 0), np.int32)
    return past, Future(ahead, values[:, short:], mask[:, short:], age_s[:, short:], none, (), ())


def _part(context: Context, ticks: slice, actions: slice) -> Context:
    """Some ticks of a context, and the actions between them, without frames."""
    values, mask, age_s = (x[:, ticks] for x in context[:3])
    return Context(values, mask, age_s, jax.tree.map(lambda x: x[:, actions], context.actions), (), ())

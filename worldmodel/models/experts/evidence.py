"""How experts did inside a context: asked at earlier moments of it, whose outcome it holds."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

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
    (batch, ticks), layout = context.values.shape[:2], lens.layout
    short, ahead = short_context(ticks), horizons[-1]
    end = ticks - np.array(horizons)[:, None]
    every = end + np.arange(-short, ahead)
    values, mask, age_s = (_at(x, np.minimum(every, ticks - 1)) for x in context[:3])
    mask &= np.repeat(every < ticks, batch, 0)[..., None]  # what is not in the context is not known
    make_relative(layout, values, mask, short)
    acted = Commands(*(np.concatenate(both, 1) for both in zip(context.actions, actions, strict=True)))
    led = np.minimum(end - 1 + np.arange(ahead), acted.values.shape[1] - 1)
    before, after = (Commands(*(_at(x, rows) for x in acted)) for rows in (end + np.arange(-short, -1), led))
    past = Context(values[:, :short], mask[:, :short], age_s[:, :short], before, (), ())
    none = np.zeros((len(values), 0), np.int32)
    return lens.seen(past, Future(after, values[:, short:], mask[:, short:], age_s[:, short:], none, (), ()))


def _at(x: Shaped[np.ndarray, "B T *c"], rows: Int[np.ndarray, "E N"]) -> Shaped[np.ndarray, "W N *c"]:
    """Some ticks of every window, for each of E moments one after the other: W = E * B."""
    return np.swapaxes(x[:, rows], 0, 1).reshape(-1, rows.shape[1], *x.shape[2:])


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

"""How experts did inside a context: asked at earlier moments of it, whose outcome it holds."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context, Future, relative_to_last
from worldmodel.models.baselines.view import Examples, Lens, short_context
from worldmodel.models.objective import at_sample_times
from worldmodel.types import Array, Commands

_HORIZONS = (1, 2, 3, 5, 8, 12, 20)  # ticks, about evenly in their logarithm, as errors grow


def horizons_within(context: int, horizon: int) -> tuple[int, ...]:
    """Ticks ahead at which experts are measured inside a context, up to a horizon; none where it is too short."""
    return tuple(h for h in _HORIZONS if h <= min(context - short_context(context), horizon))


def earlier(lens: Lens, context: Context, actions: Commands, horizons: Sequence[int]) -> Examples:
    """What experts saw at earlier moments of contexts [B], and what came of it until the context's end: [E * B].

    The moments lie E `horizons` (ticks) before the end. Each window is seen as any other: in the heading, and from the
    place, of its own moment.
    """
    (batch, ticks), layout, xp = context.values.shape[:2], lens.layout, namespace(context.values)
    short, ahead = short_context(ticks), horizons[-1]
    end = ticks - np.array(horizons)[:, None]
    every = end + np.arange(-short, ahead)
    values, mask, age_s = (_at(x, np.minimum(every, ticks - 1)) for x in context[:3])
    mask = mask & np.repeat(every < ticks, batch, 0)[..., None]  # what is not in the context is not known
    values, mask = relative_to_last(layout, values, mask, short)
    acted = Commands(*(xp.concatenate(both, 1) for both in zip(context.actions, actions, strict=True)))
    led = np.minimum(end - 1 + np.arange(ahead), acted.values.shape[1] - 1)
    before, after = (Commands(*(_at(x, rows) for x in acted)) for rows in (end + np.arange(-short, -1), led))
    past = Context(values[:, :short], mask[:, :short], age_s[:, :short], before, (), ())
    none = np.zeros((len(values), 0), np.int32)
    return lens.seen(past, Future(after, values[:, short:], mask[:, short:], age_s[:, short:], none, (), ()))


def _at(x: Shaped[Array, "B T *c"], rows: Int[Array, "E N"]) -> Shaped[Array, "W N *c"]:
    """Some ticks of every window, for each of E moments one after the other: W = E * B."""
    moments = x[:, rows].swapaxes(0, 1)
    return moments.reshape(rows.shape[0] * len(x), *moments.shape[2:])  # -1 would fail where there are no columns


def errors_within(
    ahead: Float[Array, "B H Y"], examples: Examples, layout: TickLayout, horizons: Sequence[int]
) -> Float[Array, "W E S"]:
    """Mean squared errors of predictions of `earlier`, by window, horizon and stream; NaN where nothing came.

    What a prediction says nothing of, NaN, does not count, whatever it says of other windows.
    """
    xp, error = namespace(ahead), at_sample_times(ahead, examples.age) - examples.came
    told = examples.mask & ~xp.isnan(error)
    error = xp.where(told, error, 0.0) ** 2
    at, farther = np.array(horizons) - 1, np.tri(len(horizons), dtype=bool)[:, None, :, None]
    total, count = (  # of each stream [E moments, W, E horizons, S]; of moments as far back as a horizon, and farther
        xp.where(farther, x, 0).sum(0)
        for x in (_by_stream(part.reshape(len(at), -1, *part.shape[1:])[:, :, at], layout) for part in (error, told))
    )
    return xp.where(count > 0, total / xp.maximum(count, 1), np.nan)


def _by_stream(x: Shaped[Array, "*b Y"], layout: TickLayout) -> Shaped[Array, "*b S"]:
    """Sums over the columns of each stream."""
    sums = [x[..., columns].sum(-1) for columns in layout.reading_columns.values()]
    return namespace(x).stack(sums, -1) if sums else np.zeros((*x.shape[:-1], 0))

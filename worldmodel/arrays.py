"""Small array operations that numpy arrays and JAX arrays share, so that data, baselines and model use the same."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped

from worldmodel.types import Array

_GOLDEN = (5**0.5 - 1) / 2


def namespace(x: Array) -> ModuleType:
    """numpy or jax.numpy, whichever made `x` (https://data-apis.org/array-api)."""
    return x.__array_namespace__()


def evenly(count: int, most: int) -> Int[np.ndarray, " N"]:
    """At most so many of `count` rows, evenly from the first to the last, rising."""
    return np.unique(np.linspace(0, count - 1, most).astype(int))


def scattered(count: int, most: int) -> Int[np.ndarray, " N"]:
    """At most so many of `count` rows, rising, one from each of as many even stretches of them.

    Where in its stretch is told by multiples of the golden ratio, so that rows keep step with nothing that repeats:
    every second start would see a stream that comes each tenth tick at odd ticks ahead alone.
    """
    edges = np.arange(min(count, most) + 1) * count // max(min(count, most), 1)
    return edges[:-1] + (np.arange(len(edges) - 1) * _GOLDEN % 1 * np.diff(edges)).astype(int)


def scan(step: Callable[[Any, Any], tuple[Any, Any]], state: Any, each: Shaped[Array, "*shape"]) -> Array:
    """What `step(state, one)`, which gives the next state and something, gives of one row after the other."""
    if namespace(each) is not np:
        from jax import lax  # the array is JAX's, so it is loaded already

        return lax.scan(step, state, each)[1]
    out = []
    for one in each:
        state, given = step(state, one)
        out.append(given)
    return np.stack(out)


def newest(mask: Bool[Array, "*shape"], axis: int = 1) -> Int[Array, "*shape"]:
    """For each place along `axis` the index of the newest True up to it; -1 before the first: int, like `mask`."""
    xp = namespace(mask)
    axis %= mask.ndim
    index = xp.arange(mask.shape[axis]).reshape((-1,) + (1,) * (mask.ndim - 1 - axis))
    seen = xp.where(mask, index, -1)
    if xp is np:
        return np.maximum.accumulate(seen, axis)
    from jax import lax  # the array is JAX's, so it is loaded already

    return lax.cummax(seen, axis)


def integral(rates: Shaped[Array, "B T *c"], step: float = 1.0) -> Shaped[Array, "B T *c"]:
    """Integrals from the first tick to each, of what is on lines between ticks, a tick being `step`."""
    xp = namespace(rates)
    return xp.concatenate([xp.zeros(rates[:, :1].shape), xp.cumsum((rates[:, 1:] + rates[:, :-1]) / 2 * step, 1)], 1)


def wrapped(angle: Shaped[Array, "*shape"]) -> Shaped[Array, "*shape"]:
    """An angle (rad) within half a turn of 0."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def hold(
    values: Shaped[Array, "*shape"], mask: Bool[Array, "*shape"], axis: int = 1
) -> tuple[Shaped[Array, "*shape"], Bool[Array, "*shape"]]:
    """Values held until the next that is valid, and whether there was one yet, both shaped like `values`.

    Before the first valid value stands that one, not a zero, so that nothing seems to jump when it comes.
    """
    xp = namespace(mask)
    last = newest(mask, axis)
    first = xp.argmax(mask, axis=axis, keepdims=True)
    return xp.take_along_axis(values, xp.where(last >= 0, last, first), axis=axis), last >= 0


def last_valid(
    values: Shaped[Array, "*shape"], mask: Bool[Array, "*shape"], axis: int = 1
) -> tuple[Shaped[Array, "*rest"], Bool[Array, "*rest"]]:
    """The newest valid value along `axis`, which is dropped, and whether there is one; where not, any value."""
    xp = namespace(mask)
    index = xp.take(newest(mask, axis), xp.asarray([-1]), axis=axis)
    value = xp.take_along_axis(values, xp.maximum(index, 0), axis=axis)
    return xp.squeeze(value, axis=axis), xp.squeeze(index >= 0, axis=axis)


def mean_known(x: Shaped[np.ndarray, "*shape"], axis: int) -> Shaped[np.ndarray, "*rest"]:
    """The mean of what is known; NaN where nothing is."""
    known = ~np.isnan(x)
    count = known.sum(axis)
    return np.where(count, np.where(known, x, 0.0).sum(axis) / np.maximum(count, 1), np.nan)

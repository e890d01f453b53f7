"""Sensors that read in steps, such as a thermometer of half a degree: what is foretold of them is read so, too."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import namespace
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.columns import columns_of
from worldmodel.types import Array

_STANDS = 0.1  # of readings that are as those before: where fewer are, noise or motion hides the steps
_FEWEST = 4  # values that tell a grid: any two, and nearly any three, lie on one
_DIGITS = (1.0, 0.1, 0.01, 0.001)  # steps that fewer values tell, as hardly any lie on these by chance,
_FEWEST_ON_DIGITS = 3  # and of two, which may be a switch's, none is foretold between
_ODD = 0.1  # of the values that may lie off it
_GAPS = (0.0, 0.1, 0.25)  # shares of the gaps between values that are less than a step: beside an odd one there are two
_OFF = 0.02  # of a step, that a value may be off the grid and counts as on it
_CLEAR = 0.1  # of a step, that values may be rounded by: of less, all that moves lies on a grid
_ROUNDED = 1.2e-7  # of a value, that float32 may round two of them apart


class Steps(NamedTuple):
    """The normalised grids that readings lie on.

    Attributes:
        stepped: int [Y] 1 of columns that lie on one and often stand; of no columns, there are none.
        size: [Y] from one value to the next.
        zero: [Y] a value.
    """

    stepped: Int[np.ndarray, " _"] = np.zeros(0, int)
    size: Float[Array, " _"] = np.zeros(0)
    zero: Float[Array, " _"] = np.zeros(0)

    @classmethod
    def of(cls, lens: Lens, read: Float[np.ndarray, "N T Y"], mask: Bool[np.ndarray, "N T Y"]) -> "Steps":
        """Those of readings over windows; none of angles that wrap, of what turns with a heading, and of places."""
        count = len(lens.centre)
        found = cls(np.zeros(count, int), np.ones(count), np.zeros(count))
        for at in (column.at for column in columns_of(lens.layout).values() if not column.circular):
            scale, centre = float(lens.scale[at]), float(lens.centre[at])
            grid = _grid(scale * read[..., at] + centre, mask[..., at], _ROUNDED * (scale + abs(centre)))
            if grid is not None:
                found.stepped[at] = 1
                found.size[at], found.zero[at] = grid[0] / scale, (grid[1] - centre) / scale
        return found

    def as_read(self, readings: Float[Array, "*b Y"]) -> Float[Array, "*b Y"]:
        """The nearest values of the grids; columns without one as they are."""
        if not self.stepped.any():
            return readings
        xp = namespace(readings)
        return xp.where(self.stepped, self.zero + xp.round((readings - self.zero) / self.size) * self.size, readings)


def _grid(read: Float[np.ndarray, "N T"], there: Bool[np.ndarray, "N T"], rounded: float) -> tuple[float, float] | None:
    """The step of a grid and a value on it, in units; None where there is none, or readings hardly ever stand.

    `rounded` is how far values are rounded.
    """
    window, series = np.nonzero(there)[0], read[there]
    stood = abs(np.diff(series))[np.diff(window) == 0] <= rounded
    if not len(stood) or stood.mean() < _STANDS:
        return None
    values, counts = np.unique(series, return_counts=True)
    zero = values[counts.argmax()]
    values = values[np.diff(values, prepend=-np.inf) > rounded]
    if len(values) < _FEWEST_ON_DIGITS:
        return None
    for size in (*_even(values, rounded), *_digits(values)):
        off = abs(values - zero - np.rint((values - zero) / size) * size)
        if rounded < _CLEAR * size and (off > _OFF * size + rounded).mean() <= _ODD:
            return float(size), float(zero)
    return None


def _digits(values: Float[np.ndarray, " K"]) -> Iterator[float]:
    """Those that tell the values apart: what moves by less than a digit is all next to one of its values."""
    for size in _DIGITS:
        if (np.diff(values) < size / 2).mean() <= _ODD:
            yield size


def _even(values: Float[np.ndarray, " K"], rounded: float) -> Iterator[float]:
    """The steps that the gaps between values may be multiples of; none of few values."""
    if len(values) < _FEWEST:
        return
    gaps = np.diff(values)
    for least in np.quantile(gaps, _GAPS, method="lower"):
        steps = np.rint(gaps / least)
        even = (steps > 0) & (abs(gaps - steps * least) <= _OFF * least + rounded)
        yield gaps[even].sum() / steps[even].sum()  # one gap alone is rounded too much to count many steps by

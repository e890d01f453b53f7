"""Errors of angles that wrap, along their circle and across it: so they are alike whichever way an angle points."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import namespace
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.columns import columns_of
from worldmodel.types import Array

_LEAST = 1e-6  # of the radius: who is as near to the middle points nowhere


class Circles(NamedTuple):
    """Where the normalised sines and cosines of angles lie.

    Attributes:
        sign: int [Y] -1 of a sine, 1 of the cosine that follows it, 0 of other columns; of no columns, there are none.
        middle, radius: [Y] of the circle along each.
    """

    sign: Int[np.ndarray, " _"]
    middle: Float[Array, " _"]
    radius: Float[Array, " _"]

    @classmethod
    def of(cls, lens: Lens) -> "Circles":
        """Those of the angles that wrap and do not turn with a heading, whose own way is always the same."""
        sign = np.zeros(len(lens.centre), int)
        for column in columns_of(lens.layout).values():
            if column.circular:
                sign[[column.at, column.at + 1]] = -1, 1
        return cls(sign, -lens.centre / lens.scale, 1 / lens.scale)

    def along(self, errors: Float[Array, "*b Y"], mean: Float[Array, "*b Y"]) -> Float[Array, "*b Y"]:
        """Errors of a mean along the circle, in a sine's place, and across it, in radii; others as they are."""
        if not self.sign.any():
            return errors
        sine, cosine = self._way(mean)
        own = errors / self._size
        return own * cosine + own[..., self._partner] * self.sign * sine

    def back(self, errors: Float[Array, "*b Y"], mean: Float[Array, "*#b Y"]) -> Float[Array, "*b Y"]:
        """The inverse of `along`."""
        if not self.sign.any():
            return errors
        sine, cosine = self._way(mean)
        return (errors * cosine - errors[..., self._partner] * self.sign * sine) * self._size

    def even(self, scale: Float[Array, "*b Y"]) -> Float[Array, "*b Y"]:
        """Deviations, in radii, where they are alike along and across; others as they are."""
        if not self.sign.any():
            return scale
        own = (scale / self._size) ** 2
        return namespace(scale).sqrt((own + own[..., self._partner]) / 2)

    @property
    def _partner(self) -> Int[np.ndarray, " Y"]:
        return np.arange(len(self.sign)) - self.sign

    @property
    def _size(self) -> Float[Array, " Y"]:
        return namespace(self.radius).where(self.sign != 0, self.radius, 1.0)

    def _way(self, mean: Float[Array, "*b Y"]) -> tuple[Float[Array, "*b Y"], Float[Array, "*b Y"]]:
        """Sine and cosine of the angle that a column is of; of other columns 0 and 1."""
        xp = namespace(mean)
        own = (mean - self.middle) / self._size
        other = own[..., self._partner]
        length = xp.sqrt(own**2 + other**2)
        told = (self.sign != 0) & (length > _LEAST)
        sine, cosine = (xp.where(self.sign == which, own, other) / xp.where(told, length, 1.0) for which in (-1, 1))
        return xp.where(told, sine, 0.0), xp.where(told, cosine, 1.0)

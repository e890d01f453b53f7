"""A vehicle that drives where its nose points: its path from speed and turning. Places are complex, east + i north."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Shaped

from worldmodel.arrays import namespace
from worldmodel.models.objective import at_sample_times
from worldmodel.types import Array

_CLEAR = 9.0  # times the variance of an angle, which its square is to be


class Path(NamedTuple):
    """Where a vehicle was, as it saw itself.

    Attributes:
        place: complex [B, T] metres from where it is at one tick, whose nose points east.
        nose: [B, T] angle of the nose from there, counter-clockwise, in rad.
    """

    place: Array
    nose: Array


class Heading(NamedTuple):
    """Where a vehicle's nose points.

    Attributes:
        now: the tick whose nose points east.
        nose: [B, T] its angle, as of `Path`.
        shorter: [B, T - 1] an arc's chord from each tick to the next, as a share of the arc.
        along: complex [B, T - 1] the chord's direction.
    """

    now: int
    nose: Array
    shorter: Array
    along: Array

    @classmethod
    def of(cls, nose: Float[Array, "B T"], now: int) -> "Heading":
        """Of a nose's angle (rad) at each tick."""
        xp, half = namespace(nose), (nose[:, 1:] - nose[:, :-1]) / 2
        shorter = xp.sinc(half / np.pi)
        nose = nose - nose[:, now : now + 1]
        return cls(now, nose, shorter, xp.exp(1j * (nose[:, :-1] + half)))


def drive(speed: Shaped[Array, "B T"], heading: Heading, dt: float) -> Path:
    """The path of a vehicle whose speed (m/s) and heading at each tick are these; exact on arcs of a circle.

    A complex speed is one along the nose, and to its left.
    """
    xp, now = namespace(speed), heading.now
    steps = (speed[:, 1:] + speed[:, :-1]) / 2 * dt * heading.shorter * heading.along
    place = xp.concatenate([xp.zeros((len(speed), 1)), xp.cumsum(steps, 1)], 1)
    return Path(place - place[:, now : now + 1], heading.nose)


class Match(NamedTuple):
    """How a path lies on fixes: turned and moved, but not stretched.

    Attributes:
        product: complex [B] sum of fixes times the path's conjugate, both about their means; its angle turns the path.
        path, fixes: [B] sums of squares of both.
        moved: complex [B] where the path's zero then lies.
        count: [B] fixes.
    """

    product: Array
    path: Array
    fixes: Array
    moved: Array
    count: Array

    @property
    def angle(self) -> Array:
        """[B] of the nose at the path's zero."""
        return namespace(self.product).angle(self.product)

    @property
    def clear(self) -> Array:
        """[B] whether the path is long enough, beside what the match leaves of the fixes, to tell its angle."""
        xp = namespace(self.product)
        left = xp.maximum(self.fixes + self.path - 2 * xp.abs(self.product), 0)
        return self.path * self.count > _CLEAR * left


def match(
    place: Complex[Array, "B T"],
    fixes: Complex[Array, "B T"],
    mask: Bool[Array, "B T"],
    age: Float[Array, "B T"],
) -> Match:
    """The least-squares match of a path to fixes that are `age` ticks old (in closed form: Umeyama 1991)."""
    xp, place = namespace(place), at_times(place, age)
    count = xp.maximum(mask.sum(1), 1)
    middle, centre = ((mask * x).sum(1) / count for x in (place, fixes))
    path, seen = mask * (place - middle[:, None]), mask * (fixes - centre[:, None])
    product = (seen * path.conj()).sum(1)
    moved = centre - xp.exp(1j * xp.angle(product)) * middle
    return Match(product, (xp.abs(path) ** 2).sum(1), (xp.abs(seen) ** 2).sum(1), moved, count)


def at_times(place: Complex[Array, "B T"], age: Float[Array, "B T"]) -> Complex[Array, "B T"]:
    """Places at the times of samples that are `age` ticks older than each tick."""
    real, imaginary = (at_sample_times(x[..., None], age[..., None])[..., 0] for x in (place.real, place.imag))
    return real + 1j * imaginary

"""A vehicle that drives where its nose points: its path from speed and turning. Places are complex, east + i north."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float

from worldmodel.models.objective import at_sample_times


class Path(NamedTuple):
    """Where a vehicle was, as it saw itself.

    Attributes:
        place: complex [B, T] metres from where it is at one tick, whose nose points east.
        nose: [B, T] angle of the nose from there, counter-clockwise, in rad.
    """

    place: np.ndarray
    nose: np.ndarray


def drive(speed: Float[np.ndarray, "B T"], nose: Float[np.ndarray, "B T"], dt: float, now: int) -> Path:
    """The path of a vehicle whose speed (m/s) and nose (rad) at each tick are these; exact on arcs of a circle."""
    half = np.diff(nose, axis=1) / 2
    chord = (speed[:, 1:] + speed[:, :-1]) / 2 * dt * np.sinc(half / np.pi)
    nose = nose - nose[:, now : now + 1]
    steps = chord * np.exp(1j * (nose[:, :-1] + half))
    place = np.concatenate([np.zeros((len(nose), 1)), np.cumsum(steps, 1)], 1)
    return Path(place - place[:, now : now + 1], nose)


def turned(rate: Float[np.ndarray, "B T"], dt: float) -> Float[np.ndarray, "B T"]:
    """The nose's angle (rad) from the first tick on, under a yaw rate (rad/s)."""
    return np.concatenate([np.zeros((len(rate), 1)), np.cumsum((rate[:, 1:] + rate[:, :-1]) / 2 * dt, 1)], 1)


class Match(NamedTuple):
    """How a path lies on fixes: turned and moved, but not stretched.

    Attributes:
        product: complex [B] sum of fixes times the path's conjugate, both about their means; its angle turns the path.
        path, fixes: [B] sums of squares of both.
        moved: complex [B] where the path's zero then lies.
    """

    product: np.ndarray
    path: np.ndarray
    fixes: np.ndarray
    moved: np.ndarray

    @property
    def angle(self) -> np.ndarray:
        """[B] of the nose at the path's zero."""
        return np.angle(self.product)


def match(
    place: Complex[np.ndarray, "B T"],
    fixes: Complex[np.ndarray, "B T"],
    mask: Bool[np.ndarray, "B T"],
    age: Float[np.ndarray, "B T"],
) -> Match:
    """The least-squares match of a path to fixes that are `age` ticks old (in closed form: Umeyama 1991)."""
    place = at_times(place, age)
    count = np.maximum(mask.sum(1), 1)
    middle, centre = ((mask * x).sum(1) / count for x in (place, fixes))
    path, seen = mask * (place - middle[:, None]), mask * (fixes - centre[:, None])
    product = (seen * path.conj()).sum(1)
    moved = centre - np.exp(1j * np.angle(product)) * middle
    return Match(product, (np.abs(path) ** 2).sum(1), (np.abs(seen) ** 2).sum(1), moved)


def at_times(place: Complex[np.ndarray, "B T"], age: Float[np.ndarray, "B T"]) -> Complex[np.ndarray, "B T"]:
    """Places at the times of samples that are `age` ticks older than each tick."""
    real, imaginary = (at_sample_times(x[..., None], age[..., None])[..., 0] for x in (place.real, place.imag))
    return real + 1j * imaginary

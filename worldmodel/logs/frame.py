"""The frame that a model sees a machine in: which way is north is no physics, so every window is turned to its heading.

A few drives hold few headings; a model that saw them would learn them by heart instead of how the machine moves.
Whatever is given in a world frame turns together: positions, velocities, headings, and commands. Written for numpy and
for JAX, so that baselines and models see the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from worldmodel.arrays import last_valid, namespace
from worldmodel.codecs import Turning, codec
from worldmodel.types import Array, StreamSpec

_CLEAR = 9.0  # a track is told from noise where its squared speed is so many times that speed's variance


class Turns(NamedTuple):
    """How columns [D] turn by an angle: `x <- x cos + sign * x[partner] sin`.

    Attributes:
        partner: int [D] the other column of the pair.
        sign: float32 [D] 0 for a column that does not turn.
        frame: int [D] which of the angles it turns by.
    """

    partner: np.ndarray
    sign: np.ndarray
    frame: np.ndarray

    def turn(self, values: Float[Array, "B *t D"], angle: Float[Array, "B G"]) -> Float[Array, "B *t D"]:
        """Values [B, ..., D] turned counter-clockwise by `angle` [B, G]."""
        if not self.sign.any():
            return values
        xp = namespace(values)
        by = xp.take(angle, xp.asarray(self.frame), axis=1)
        by = by.reshape((len(by),) + (1,) * (values.ndim - 2) + (len(self.sign),))
        sign = xp.asarray(self.sign)
        cosine = xp.where(sign != 0, xp.cos(by), 1.0)
        return values * cosine + xp.take(values, xp.asarray(self.partner), axis=-1) * (sign * xp.sin(by))


class WorldFrames:
    """The world frames of some streams: what turns in each, and what tells the angle of a window.

    Args:
        readings: the streams that are predicted, and the columns [N, F] of each one's slots and features among the D.
        actions: the action streams, and the columns [1, F] of each one's features among the A.
    """

    def __init__(
        self,
        readings: Sequence[tuple[StreamSpec, np.ndarray]],
        actions: Sequence[tuple[StreamSpec, np.ndarray]],
    ) -> None:
        told = [(codec(s).world_frame, codec(s).turning, columns) for s, columns in readings]
        self.names = tuple(dict.fromkeys(name for name, turning, _ in told if turning.heading or turning.place))
        self.readings = self._turns(readings)
        self.actions = self._turns(actions)
        self._headings = [self._pairs(told, name, "heading") for name in self.names]
        self._places = [self._pairs(told, name, "place") for name in self.names]

    @staticmethod
    def _pairs(told: list[tuple[str, Turning, np.ndarray]], name: str, what: str) -> list[np.ndarray]:
        """int [N, 2] columns (east, north) of each stream that tells a frame's angle in some way."""
        pairs = [(columns, getattr(turning, what)) for frame, turning, columns in told if frame == name]
        return [columns[:, list(pair)] for columns, pair in pairs if pair is not None]

    def _turns(self, streams: Sequence[tuple[StreamSpec, np.ndarray]]) -> Turns:
        size = max((int(columns.max()) + 1 for _, columns in streams if columns.size), default=0)
        turns = Turns(np.arange(size), np.zeros(size, np.float32), np.zeros(size, int))
        for spec, columns in streams:
            name = codec(spec).world_frame
            if name not in self.names:
                continue
            for east, north in codec(spec).turning.pairs:
                turns.partner[columns[:, east]], turns.partner[columns[:, north]] = columns[:, north], columns[:, east]
                turns.sign[columns[:, east]], turns.sign[columns[:, north]] = -1, 1
                turns.frame[columns[:, [east, north]]] = self.names.index(name)
        return turns

    def angle(self, values: Float[Array, "B C D"], mask: Bool[Array, "B C D"]) -> Float[Array, "B G"]:
        """Angles [B, G] from each frame's east to the machine's heading, counter-clockwise, at the end of a context.

        The newest heading, where a stream tells one; else the direction of the track, where it is told from the
        receiver's noise; else 0: a machine that stands still is seen with north up.

        Args:
            values: features [B, C, D] in their units.
            mask: bool [B, C, D].
        """
        xp = namespace(values)
        angles = [self._angle(frame, values, mask) for frame in range(len(self.names))]
        return xp.stack(angles, axis=1) if angles else xp.zeros((len(values), 0))

    def _angle(self, frame: int, values: Array, mask: Array) -> Array:
        xp = namespace(values)
        angle = xp.zeros(len(values))
        for columns in reversed(self._places[frame]):
            velocity, clear = track_velocity(*_series(values, mask, columns))
            angle = xp.where(clear, xp.atan2(velocity[:, 1], velocity[:, 0]), angle)
        for columns in reversed(self._headings[frame]):
            series, there = _series(values, mask, columns)
            nose, known = last_valid(series, there[..., None] & xp.ones(2, bool))
            angle = xp.where(known[:, 0], xp.atan2(nose[:, 1], nose[:, 0]), angle)
        return angle


def track_velocity(
    fixes: Float[Array, "B M 2"], there: Bool[Array, "B M"]
) -> tuple[Float[Array, "B 2"], Bool[Array, " B"]]:
    """Least-squares velocity [B, 2] of fixes [B, M, 2] where `there` [B, M], a slot, and whether it is told from noise.

    The noise is measured on the fixes themselves: by how far each lies off the line between its neighbours. With fewer
    than three fixes nothing is known of it, and it is taken for none.
    """
    xp = namespace(fixes)
    time = xp.arange(fixes.shape[1], dtype=fixes.dtype)[None, :, None]
    weight = there[..., None]
    count = xp.maximum(weight.sum(1, keepdims=True), 1)
    offset = (time - (weight * time).sum(1, keepdims=True) / count) * weight
    spread = (offset**2).sum(1)
    velocity = (offset * fixes).sum(1) / xp.maximum(spread, 1.0)
    order = xp.argsort(xp.where(there, xp.arange(fixes.shape[1]), -1), axis=1)[..., None]  # the missing first
    variance = _noise(*(xp.take_along_axis(x, order, axis=1) for x in (fixes * weight, time * weight, weight)))
    squared = (velocity**2).sum(-1)
    return velocity, (squared > 0) & (squared * spread[:, 0] > _CLEAR * variance)


def _noise(
    fixes: Float[Array, "B M 2"], time: Shaped[Array, "B M 1"], there: Bool[Array, "B M 1"]
) -> Float[Array, " B"]:
    """Variance [B] of the noise of each coordinate of fixes [B, M, 2], the newest last, `there` [B, M, 1]."""
    xp = namespace(fixes)
    if fixes.shape[1] < 3:
        return xp.zeros(len(fixes))
    known = there[:, :-2]
    part = (time[:, 1:-1] - time[:, :-2]) / xp.maximum(time[:, 2:] - time[:, :-2], 1.0)
    off = fixes[:, 1:-1] - fixes[:, :-2] - part * (fixes[:, 2:] - fixes[:, :-2])
    scaled = xp.where(known, off**2 / (1 + part**2 + (1 - part) ** 2), 0)
    return scaled.sum((1, 2)) / xp.maximum(2 * known.sum((1, 2)), 1)


def _series(
    values: Float[Array, "B C D"], mask: Bool[Array, "B C D"], columns: np.ndarray
) -> tuple[Float[Array, "B M 2"], Bool[Array, "B M"]]:
    """A pair's samples in time order [B, C * N, 2] from slots `columns` [N, 2], and where both are there."""
    series, there = (x[..., columns].reshape(len(x), -1, 2) for x in (values, mask))
    return series, there.all(-1)

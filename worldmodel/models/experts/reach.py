"""How far a question lies outside what was trained on."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import evenly, namespace
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens, View
from worldmodel.types import Array, StreamSpec

_MARGIN = 0.1  # of a standard deviation: readings have noise
_WINDOWS, _AT_ONCE = 4000, 250  # that are looked at; of a long log evenly from the first to the last
_WIDTHS = 3.0  # of what was read, of no less than one deviation, that a linear path may leave it by


@dataclasses.dataclass
class Reach:
    """The least and the greatest that was seen of each reading and action, normalised.

    Attributes:
        low, high: of readings.
        led_low, led_high: of actions.
    """

    low: Float[Array, " Y"]
    high: Float[Array, " Y"]
    led_low: Float[Array, " A"]
    led_high: Float[Array, " A"]

    @classmethod
    def of(cls, came: Float[np.ndarray, "N T Y"], led: Float[np.ndarray, "N U A"]) -> "Reach":
        """That of readings and actions; NaN, where one is missing, says nothing."""
        return cls(*(end(x) for x in (came, led) for end in (_low, _high)))

    @classmethod
    def over(cls, lens: Lens, recordings: Sequence[Windows]) -> "Reach":
        """That of whole recordings: of windows end to end, their contexts, what came next and all that was commanded.

        A place in a context lies behind the machine, one that came ahead of it: either is within.
        """
        return cls.joined([cls._of_windows(lens, windows) for windows in recordings])

    @classmethod
    def joined(cls, parts: "Sequence[Reach]") -> "Reach":
        """That of all parts together."""
        low, high, led_low, led_high = (np.stack(x) for x in zip(*(vars(p).values() for p in parts), strict=True))
        return cls(low.min(0), high.max(0), led_low.min(0), led_high.max(0))

    @classmethod
    def _of_windows(cls, lens: Lens, windows: Windows) -> "Reach":
        starts, parts = windows.starts().end_to_end(windows.context + windows.horizon), []
        starts = starts[evenly(len(starts), _WINDOWS)]
        for first in range(0, len(starts), _AT_ONCE):
            seen = lens.examples(windows, starts[first : first + _AT_ONCE])
            view = seen.view
            read = np.where(view.mask, view.readings, np.nan), np.where(seen.mask, seen.came, np.nan)
            led = np.where(view.past_mask, view.past, np.nan), np.where(view.ahead_mask, view.ahead, np.nan)
            parts.append(cls.of(np.concatenate(read, 1), np.concatenate(led, 1)))
        return cls.joined(parts)

    def outside(self, view: View) -> Float[Array, "B columns"]:
        """By how many standard deviations each reading of a context, and each action after it, is outside; 0 within."""
        xp, held = namespace(view.held), view.held
        led = xp.where(view.ahead_mask, view.ahead, np.nan)
        beyond = [xp.maximum(held - self.high, self.low - held).max(1)]
        if led.shape[1]:
            beyond.append(xp.maximum(_high(led, 1) - self.led_high, self.led_low - _low(led, 1)))
        found = xp.concatenate(beyond, 1)
        return xp.where(xp.isfinite(found) & (found > _MARGIN), found, 0.0)  # not of what was never read

    def commands_within(self, led: Float[np.ndarray, "B H A"]) -> Float[np.ndarray, "B H A"]:
        """Normalised commands, those that are outside in the place of the nearest that was ever commanded."""
        low, high = (np.where(np.isfinite(end), end, 0.0) for end in (self.led_low, self.led_high))
        held = np.clip(led, low, high)
        return np.where(np.abs(held - led) > _MARGIN, held, led)

    def astray(self, ahead: Float[Array, "K B H Y"]) -> Float[Array, "K B H Y"]:
        """By how much paths have left what was read so far, taken twice as wide about its middle; 0 within."""
        xp, margin = namespace(ahead), (self.high - self.low) / 2
        beyond = xp.maximum(xp.maximum(ahead - self.high, self.low - ahead) - margin, 0)
        farthest = xp.maximum.accumulate(xp.where(xp.isnan(beyond), 0.0, beyond), 2)
        return xp.where(xp.isfinite(margin), farthest, 0.0)

    def held_back(self, ahead: Float[Array, "K B H Y"], now: Float[Array, "B 1 Y"]) -> Float[Array, "K B H Y"]:
        """Paths that end where they have left what was read, and where they begin, by several times its width."""
        xp, width = namespace(ahead), self.high - self.low
        most = _WIDTHS * xp.maximum(width, 1.0)
        held = xp.clip(ahead, xp.minimum(self.low, now) - most, xp.maximum(self.high, now) + most)
        return xp.where(xp.isfinite(width), held, ahead)


def labels(layout: TickLayout) -> list[str]:
    """What the columns of `Reach.outside` are called."""
    return [label for spec in (*layout.readings, *layout.actions) for label in _columns(spec)]


def described(outside: Float[np.ndarray, "B columns"], layout: TickLayout, most: int = 3) -> dict[str, float]:
    """The columns that are outside, farthest first, and by how many standard deviations at most."""
    farthest = outside.max(0) if len(outside) else np.zeros(outside.shape[1])
    named: dict[str, float] = {}
    for name, size in zip(labels(layout), farthest, strict=True):
        named[name] = max(float(size), named.get(name, 0.0))
    found = sorted(((size, name) for name, size in named.items() if size > 0), reverse=True)
    return {name: size for size, name in found[:most]}


def _columns(spec: StreamSpec) -> list[str]:
    """A name for each feature; those of an angle or an attitude share one."""
    names, count = spec.columns, codec(spec).features
    return [f"{spec.name}.{name}" for name in names] if len(names) == count else [spec.name] * count


def _low(x: Array, axes: int | tuple[int, ...] = (0, 1)) -> Array:
    return -_high(-x, axes)


def _high(x: Array, axes: int | tuple[int, ...] = (0, 1)) -> Array:
    """The greatest known; minus infinity where nothing is."""
    xp = namespace(x)
    return xp.where(xp.isnan(x), -np.inf, x).max(axes, initial=-np.inf)

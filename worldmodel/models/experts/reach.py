"""How far a question lies outside what was trained on."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import mean_known, namespace, scattered
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens, View
from worldmodel.models.experts.columns import columns_of
from worldmodel.types import Array, StreamSpec

_MARGIN = 0.1  # of a standard deviation: readings have noise
_WINDOWS, _AT_ONCE = 4000, 250  # that are looked at; of a long log spread over all
_ON, _PILED, _STEEP = 1e-4, 0.005, 5.0  # what is on a wall; the share that lies there, and times that which is next
_BEYOND = 0.2  # deviations: clearly beyond what else was commanded
_NEARLY = 0.9  # of such windows go no farther than what counts as tried
_AS_WELL = 2.0  # times the usual squared error, and less: what those do was foretold as well as the rest
_WIDTHS = 3.0  # of what was read, of no less than one deviation, that a linear path may leave it by


@dataclasses.dataclass
class Reach:
    """The least and the greatest that was seen of each reading and action, normalised.

    Attributes:
        low, high: of readings.
        led_low, led_high: of actions.
        floor, ceiling: the same ends of readings, where they are walls that readings run into, such as the speed of a
            vehicle that stands; infinite where they are none. Of a run of an earlier release none.
        tried: how far beyond all else that was commanded left-out episodes went, and were foretold as well as others.
    """

    low: Float[Array, " Y"]
    high: Float[Array, " Y"]
    led_low: Float[Array, " A"]
    led_high: Float[Array, " A"]
    floor: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.full(1, -np.inf))
    ceiling: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.full(1, np.inf))
    tried: Float[Array, ""] = dataclasses.field(default_factory=lambda: np.zeros(()))

    @classmethod
    def of(cls, came: Float[np.ndarray, "N T Y"], led: Float[np.ndarray, "N U A"]) -> "Reach":
        """That of readings and actions; NaN, where one is missing, says nothing."""
        return cls(*(end(x) for x in (came, led) for end in (_low, _high)))

    @classmethod
    def over(cls, lens: Lens, recordings: Sequence[Windows]) -> "Reach":
        """That of whole recordings: of windows end to end, their contexts, what came next and all that was commanded.

        A place in a context lies behind the machine, one that came ahead of it: either is within.
        """
        parts = [part for windows in recordings for part in cls._of_windows(lens, windows, _WINDOWS)]
        whole = cls.joined([cls.of(*part) for part in parts])
        few = [read for windows in recordings for read, _ in cls._of_windows(lens, windows, _AT_ONCE)]
        floor, ceiling = whole._walls(np.concatenate(few), lens.layout)
        return dataclasses.replace(whole, floor=floor, ceiling=ceiling)

    @classmethod
    def joined(cls, parts: "Sequence[Reach]") -> "Reach":
        """That of all parts together, without walls."""
        ends = [(part.low, -part.high, part.led_low, -part.led_high) for part in parts]
        low, high, led_low, led_high = (np.stack(x).min(0) for x in zip(*ends, strict=True))
        return cls(low, -high, led_low, -led_high)

    @staticmethod
    def _of_windows(lens: Lens, windows: Windows, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Readings [N, C + H, Y] and commands [N, C - 1 + H, A] of windows end to end, NaN where there are none."""
        starts = windows.starts().end_to_end(windows.context + windows.horizon)
        starts = starts[scattered(len(starts), most)]
        for first in range(0, len(starts), _AT_ONCE):
            seen = lens.examples(windows, starts[first : first + _AT_ONCE])
            view = seen.view
            read = np.where(view.mask, view.readings, np.nan), np.where(seen.mask, seen.came, np.nan)
            led = np.where(view.past_mask, view.past, np.nan), np.where(view.ahead_mask, view.ahead, np.nan)
            yield np.concatenate(read, 1), np.concatenate(led, 1)

    def _walls(
        self, read: Float[np.ndarray, "N T Y"], layout: TickLayout
    ) -> tuple[Float[np.ndarray, " Y"], Float[np.ndarray, " Y"]]:
        """The ends that are walls, infinite where they are none: far more readings lie on one than on what is next.

        And they come to it and leave it again, as those of a counter or an odometer do not, where a machine stands at
        first or at last. Both ends are, of what is never anything else, such as a switch. Of angles that wrap, of what
        turns with a heading, and of places there are none.
        """
        walls = np.full((2, len(self.low)), -np.inf)
        for wall, sign, end in zip(walls, (1, -1), (self.low, -self.high), strict=True):
            for at in (column.at for column in columns_of(layout).values() if not column.circular):
                above = sign * read[..., at] - end[at]
                on, off = (above <= _ON).mean(), above[above > _ON]
                following = (off <= off.min() + _ON).sum() / above.size if len(off) else 1.0
                switched = len(off) > 0 and off.min() >= self.high[at] - self.low[at] - _ON
                visited = switched or _is_visited(above)
                if visited and on >= (_PILED if switched else max(_PILED, _STEEP * following)):
                    wall[at] = end[at]
        return walls[0], -walls[1]

    def walled(self, read: Float[Array, "B K H Y"], view: View) -> Float[Array, "B K H Y"]:
        """Readings that end at walls, where a context has kept to them, and commands to what was ever commanded.

        Where these do not, what looked like a wall may be where nothing has pushed a machine so far.
        """
        xp, held = namespace(read), view.held
        kept = ~(self._led_outside(view) > _MARGIN).any(-1, keepdims=True)
        low = xp.where(kept & (held.min(1, keepdims=True) >= self.floor - _MARGIN), self.floor, -np.inf)
        high = xp.where(kept & (held.max(1, keepdims=True) <= self.ceiling + _MARGIN), self.ceiling, np.inf)
        return xp.clip(read, low[:, None], high[:, None])

    def outside(self, view: View, ahead: Float[Array, "B H Y"]) -> Float[Array, "B H columns"]:
        """By how many standard deviations each reading and each action is outside until each tick ahead; 0 within.

        Readings are those of a context, and those that are foretold after it.
        """
        xp = namespace(view.held)
        read = xp.concatenate([view.held, ahead], 1)
        beyond = xp.maximum.accumulate(xp.maximum(read - self.high, self.low - read), 1)[:, view.context :]
        found = xp.concatenate([beyond, self._led_outside(view)], -1)
        return xp.where(xp.isfinite(found) & (found > _MARGIN), found, 0.0)  # not of what was never read

    def _led_outside(self, view: View) -> Float[Array, "B H A"]:
        """By how much each action has been outside; negative within, and no finite number where nothing is known."""
        xp = namespace(view.held)
        beyond = xp.maximum(view.ahead - self.led_high, self.led_low - view.ahead)
        return xp.maximum.accumulate(xp.where(view.ahead_mask, beyond, -np.inf), 1)

    def having_tried(
        self, led: Float[np.ndarray, "N H A"], groups: Int[np.ndarray, " N"], error: Float[np.ndarray, " N"]
    ) -> "Reach":
        """With what left-out windows tell of commands beyond those of all other episodes.

        Each new episode of a humanoid that follows its targets goes somewhere beyond, and all of it comes true.

        Args:
            led: what was commanded in them, normalised; NaN where none is known.
            groups: the episode of each.
            error: its mean squared error, in units of the expected one.
        """
        known, beyond = ~np.isnan(led), np.zeros(led.shape)
        for own in (groups == group for group in np.unique(groups)):
            low, high = _low(led[~own]), _high(led[~own])
            over = np.maximum(led[own] - high, low - led[own])
            beyond[own] = np.where(known[own] & np.isfinite(high - low), over, 0.0)
        farthest = beyond.max((1, 2), initial=0.0)
        far = farthest > _BEYOND
        if not far.any() or not mean_known(error[far], 0) < _AS_WELL * mean_known(error, 0):
            return dataclasses.replace(self, tried=np.zeros(()))
        return dataclasses.replace(self, tried=np.asarray(np.quantile(farthest[far], _NEARLY)))

    def commands_within(self, led: Float[np.ndarray, "B H A"]) -> Float[np.ndarray, "B H A"]:
        """Normalised commands, those that are farther outside than was tried in the place of the nearest that was."""
        ends = np.where(np.isfinite(self.led_high - self.led_low), (self.led_low, self.led_high), 0.0)
        held = np.clip(led, ends[0] - self.tried, ends[1] + self.tried)
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


def described(outside: Float[np.ndarray, "B H columns"], layout: TickLayout, most: int = 3) -> dict[str, float]:
    """The columns that are outside, farthest first, and by how many standard deviations at most."""
    farthest = outside.max((0, 1), initial=0.0)
    if not farthest.any():
        return {}
    named: dict[str, float] = {}
    for name, size in zip(labels(layout), farthest, strict=True):
        named[name] = max(float(size), named.get(name, 0.0))
    found = sorted(((size, name) for name, size in named.items() if size > 0), reverse=True)
    return {name: size for size, name in found[:most]}


def _columns(spec: StreamSpec) -> list[str]:
    """A name for each feature; those of an angle or an attitude share one, and those of a place, which are its way."""
    own, told = codec(spec), [spec.name] * codec(spec).features
    if spec.kind in ("sensor", "action"):
        first = own.physical_mask(np.arange(own.features))  # feature of each column
        column = np.searchsorted(first, np.arange(own.features), side="right") - 1
        told = [f"{spec.name}.{spec.columns[i]}" for i in column]
    return [f"{spec.name} (way)" if way else name for name, way in zip(told, own.relative, strict=True)]


def _is_visited(above: Float[np.ndarray, "N T"]) -> bool:
    """Whether, within windows, readings come to a wall that they are so far `above`, and leave it again."""
    window, tick = np.nonzero(np.isfinite(above))
    on = above[window, tick] <= _ON
    steps = np.diff(on.astype(int))[np.diff(window) == 0]
    return bool((steps > 0).any() and (steps < 0).any())


def _low(x: Float[np.ndarray, "N T Z"]) -> Float[np.ndarray, " Z"]:
    return -_high(-x)


def _high(x: Float[np.ndarray, "N T Z"]) -> Float[np.ndarray, " Z"]:
    """The greatest known; minus infinity where nothing is."""
    return np.where(np.isnan(x), -np.inf, x).max((0, 1), initial=-np.inf)

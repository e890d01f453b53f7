"""Dead reckoning: where speed and turning take a vehicle from its track so far, as an engineer would compute it."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Complex, Float, Int, Shaped

from worldmodel.arrays import hold, integral, last_valid, namespace
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.sensors import Named, beside, label, motions, pair, same_frame
from worldmodel.models.baselines.simple import hold_last
from worldmodel.models.baselines.unicycle import Heading, at_times, drive, match
from worldmodel.models.baselines.view import Examples, Lens, View, excess
from worldmodel.types import Array, StreamSpec

_EXPLAINS = 0.5  # of the variance of fixes about their mean; below it, what was taken for speed and yaw rate is not
_SLIDES = 0.8  # of what a path leaves of the fixes, that one with a sideways speed leaves at most
_FIND = 1000  # windows that sensors are found on, at least where there are so many
_SPANS = (8, 16, 32)  # ticks of its track that tell a heading; learn episodes choose
_TURN_TICKS = 4  # that a heading's rate is taken over


class _Manner(NamedTuple):
    """One way to reckon.

    Attributes:
        by_linear: speed and turning are as the linear model predicts, instead of held.
        span: ticks of context whose track tells the heading; 0 for the heading of the frame.
        from_track: start from where the track lies on average, instead of from the last fix.
    """

    by_linear: bool
    span: int
    from_track: bool


@dataclasses.dataclass
class Reckoner:
    """Reckons one stream that tells a place.

    Attributes:
        stream: its name.
        place: int [2] its east and north among the Y readings.
        speed: int [S] columns whose mean is a speed, but for a scale.
        turning: int [1] a yaw rate, or [2] the east and north of a heading.
        speed_scale: m/s in one unit of the speed.
        rate_scale: rad/s counter-clockwise in one unit of the yaw rate; 0 for a heading.
        manner: int [3] a `_Manner`.
        side: int [1] the column of the same unit that is the speed to the left, of what can move sideways; else [0].
        side_sign: -1 where that counts to the right.
    """

    stream: str
    place: Array
    speed: Array
    turning: Array
    speed_scale: float
    rate_scale: float
    manner: Array
    side: Array = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    side_sign: float = 1.0

    @classmethod
    def find(cls, spec: StreamSpec, examples: Examples, lens: Lens, named: Named | None) -> "Reckoner | None":
        """The speed and the turning that explain the drives best, with their scales; None if none explains half."""
        best, least = None, 1 - _EXPLAINS
        view, place = examples.view, pair("place", spec, lens.layout)
        readings, there, age = (
            np.concatenate(x, 1)
            for x in ((view.readings, examples.came), (view.mask, examples.mask), (view.age, examples.age))
        )
        units, tried_on = lens.units(readings), motions(spec, lens.layout, named)
        aside = {tuple(m.speed): beside(m.speed, lens.layout) for m in tried_on}
        every = [(*m.speed, *m.turning, *aside[tuple(m.speed)]) for m in tried_on]
        used = np.unique(np.concatenate([np.zeros(0, int), *every]))
        held = np.zeros_like(units)  # of all columns it would take far longer than all else
        held[..., used], _ = hold(units[..., used], there[..., used])
        fixes = _Fixes.of(units, there, age, place)
        headings: dict[tuple[float, ...], Heading] = {}  # that of one turning is the same for every speed

        def fitted(tried: Reckoner) -> tuple[Reckoner, float]:
            """With the scale of its speed, and the share of the fixes' variance that its paths leave."""
            turning = (tried.rate_scale, *tried.turning.tolist())
            if turning not in headings:
                headings[turning] = tried._heading(held, lens.layout.dt, 0)
            found = match(drive(tried._speed(held), headings[turning], lens.layout.dt).place, *fixes)
            scale = np.abs(found.product).sum() / max(found.path.sum(), 1e-12)
            left = 1 - scale**2 * found.path.sum() / max(found.fixes.sum(), 1e-12)
            return dataclasses.replace(tried, speed_scale=float(scale)), float(left)

        for motion in tried_on:
            tried, left = fitted(
                cls(spec.name, place, motion.speed, motion.turning, 1.0, motion.rate_scale, np.zeros(3, int))
            )
            sliding = [
                fitted(dataclasses.replace(tried, speed_scale=1.0, side=np.array([column]), side_sign=sign))
                for column, sign in itertools.product(aside[tuple(motion.speed)], (1.0, -1.0))
            ]
            slid = min(sliding, key=lambda each: each[1], default=(tried, np.inf))
            tried, left = slid if slid[1] < _SLIDES * left else (tried, left)
            if left < least:
                best, least = tried, left
        return best

    def choose(self, examples: Examples, linear: Float[Array, "B H Y"], lens: Lens) -> "Reckoner":
        """In the manner that is best by the distance from the fixes that came, over all ticks ahead."""
        spans = [s for s in _SPANS if s <= examples.view.held.shape[1]]
        manners = [
            _Manner(*m) for m in itertools.product((False, True), (0, *spans), (False, True)) if m[1] or not m[2]
        ]
        tried = [dataclasses.replace(self, manner=np.array(m, int)) for m in manners]
        fixes = _Fixes.of(lens.units(examples.came), examples.mask, examples.age, self.place)
        errors = np.stack([fixes.squared_error(t.track(examples.view, linear, lens)[0]) for t in tried])
        return tried[int(np.argmin(excess(errors)))]

    def track(self, view: View, linear: Float[Array, "B H Y"], lens: Lens) -> tuple[Array, Array]:
        """Places ahead [B, H], complex metres in the frame of the view, and the nose's turn until then (rad)."""
        xp, manner, context = namespace(view.held), _Manner(*self.manner), view.held.shape[1]
        ahead = linear if manner.by_linear else hold_last(view)
        readings = lens.units(xp.concatenate([view.held, ahead], 1))
        heading = self._heading(readings, lens.layout.dt, context - 1, held=not manner.by_linear)
        path = drive(self._speed(readings), heading, lens.layout.dt)
        fixes = _Fixes.of(lens.units(view.readings), view.mask, view.age, self.place)
        seen, heading, start = path.place[:, :context], xp.zeros(len(view.held)), xp.zeros(len(view.held))
        if manner.span:
            newest = np.arange(context) >= context - manner.span
            matched = match(seen, fixes.place, fixes.mask & newest, fixes.age)
            heading, start = xp.where(matched.clear, matched.angle, 0.0), matched.moved
        turn = xp.exp(1j * heading)
        if not manner.from_track:
            last, _ = last_valid(fixes.place - turn[:, None] * at_times(seen, fixes.age), fixes.mask)
            start = last
        return start[:, None] + turn[:, None] * path.place[:, context:], path.nose[:, context:]

    def predict(self, view: View, linear: Float[Array, "B H Y"], lens: Lens) -> Float[Array, "B H Y"]:
        """Normalised readings of the stream, and of those that tell a heading in its frame; NaN of all others."""
        xp, (place, turn) = namespace(linear), self.track(view, linear, lens)
        now = lens.units(view.held[:, -1:])
        said: dict[int, Array] = {}
        for spec in self._spoken_for(lens.layout):
            columns, told = lens.layout.reading_columns[spec.name], codec(spec).turning
            said |= {c: now[..., c] for c in range(columns.start, columns.stop)}
            for east, north in columns.start + np.reshape(told.pairs if told.heading is not None else (), (-1, 2)):
                vector = (now[..., east] + 1j * now[..., north]) * xp.exp(1j * turn)
                said[east], said[north] = vector.real, vector.imag
        said[self.place[0]], said[self.place[1]] = place.real, place.imag
        nothing = xp.full(linear.shape[:2], np.nan)
        every = [xp.broadcast_to(said.get(c, nothing), nothing.shape) for c in range(linear.shape[-1])]
        return lens.normal(xp.stack(every, -1))

    def reckoned(self, layout: TickLayout) -> list[int]:
        """The columns that speed and turning tell; all others of the same streams are held."""
        columns = list(self.place)
        for spec in self._spoken_for(layout):
            first, told = layout.reading_columns[spec.name].start, codec(spec).turning
            columns += [first + c for pair in (told.pairs if told.heading is not None else ()) for c in pair]
        return columns

    def describe(self, lens: Lens) -> str:
        """What was found, for people."""
        manner = _Manner(*self.manner)
        speed, turning = (label(lens.layout, columns) for columns in (self.speed, self.turning))
        if len(self.side):
            speed += f" ({label(lens.layout, self.side)} to the {'left' if self.side_sign > 0 else 'right'})"
        heading = f"the last {manner.span * lens.layout.dt:g} s of its track" if manner.span else "the frame's angle"
        return (
            f"{self.stream} from speed {self.speed_scale:.4g} x {speed} and turning {self.rate_scale or 1:.4g} x "
            f"{turning}, {'as the linear model predicts them' if manner.by_linear else 'held'}; heading from {heading}"
        )

    def _speed(self, readings: Float[Array, "B T Y"]) -> Shaped[Array, "B T"]:
        """What readings tell of it, in m/s; complex where it moves sideways, too, to the left."""
        ahead = readings[..., self.speed].mean(-1) * self.speed_scale
        if not len(self.side):
            return ahead
        return ahead + 1j * self.side_sign * self.speed_scale * readings[..., self.side[0]]

    def _heading(self, readings: Float[Array, "B T Y"], dt: float, now: int, held: bool = False) -> Heading:
        """What readings tell of it, from where it is `now`; `held` after it, a heading goes on as it turned."""
        turning = readings[..., self.turning]
        if len(self.turning) == 1:
            return Heading.of(integral(turning[..., 0] * self.rate_scale, dt), now)
        xp = namespace(readings)
        nose = xp.unwrap(xp.arctan2(turning[..., 1], turning[..., 0]), axis=1)
        if held:
            before = max(now - _TURN_TICKS, 0)
            rate = (nose[:, now] - nose[:, before]) / max(now - before, 1)
            on = nose[:, now, None] + rate[:, None] * np.arange(nose.shape[1] - now)
            nose = xp.concatenate([nose[:, :now], on], 1)
        return Heading.of(nose, now)

    def _spoken_for(self, layout: TickLayout) -> list[StreamSpec]:
        """The stream itself, and those that tell a heading in its frame and no place of their own."""
        own = layout.spec(self.stream)
        told = [(s, codec(s).turning) for s in layout.readings]
        return [s for s, t in told if s is own or (t.heading and t.place is None and same_frame(s, own))]


def find_reckoners(examples: Examples, lens: Lens, named: Named | None) -> list[Reckoner]:
    """One for each stream that tells a place, where there is a speed and a turning that explain it."""
    few = jax.tree.map(lambda x: x[:: max(len(examples.came) // _FIND, 1)], examples)
    places = [s for s in lens.layout.readings if codec(s).turning.place is not None]
    return [found for spec in places if (found := Reckoner.find(spec, few, lens, named))]


def reckon(reckoners: Sequence[Reckoner], view: View, linear: Array, lens: Lens) -> Float[Array, "B H Y"]:
    """Normalised readings of all that any of them speaks of; NaN of all others."""
    xp = namespace(linear)
    out = xp.full(linear.shape, np.nan)
    for reckoner in reckoners:
        said = reckoner.predict(view, linear, lens)
        out = xp.where(xp.isnan(out), said, out)
    return out


def reckoned(
    reckoners: Sequence[Reckoner], view: View, linear: Float[Array, "B H Y"], lens: Lens
) -> Float[Array, "B H Y"]:
    """Of what they `reckon` that which speed and turning tell; NaN of all that is no more than held."""
    told = [column for reckoner in reckoners for column in reckoner.reckoned(lens.layout)]
    ahead = reckon(reckoners, view, linear, lens)
    return namespace(ahead).where(np.isin(np.arange(ahead.shape[-1]), told), ahead, np.nan)


class _Fixes(NamedTuple):
    """Fixes as complex metres, where there is one, and how many ticks old it is."""

    place: Complex[Array, "B T"]
    mask: Bool[Array, "B T"]
    age: Float[Array, "B T"]

    @classmethod
    def of(
        cls,
        readings: Float[Array, "B T Y"],
        mask: Bool[Array, "B T Y"],
        age: Float[Array, "B T Y"],
        columns: Int[Array, "2"],
    ) -> "_Fixes":
        east, north = columns
        return cls(readings[..., east] + 1j * readings[..., north], mask[..., east] & mask[..., north], age[..., east])

    def squared_error(self, place: Complex[Array, "B T"]) -> Float[Array, " T"]:
        """Mean squared distance of predicted places from the fixes."""
        error = np.where(self.mask, np.abs(at_times(place, self.age) - self.place) ** 2, 0.0)
        return error.sum(0) / np.maximum(self.mask.sum(0), 1)

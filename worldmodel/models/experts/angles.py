"""Angles that wrap, and attitudes, carried on by their rates or by how they turned so far.

Features of an angle are its sine and cosine, and how these change is their product with its rate: linear in nothing
that is read. How far it has turned, and the integral of a rate, are. So it is with the columns of a rotation matrix.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import hold, integral, mean_known, namespace, wrapped
from worldmodel.codecs import codec, quaternion_of, rotation_columns, rotation_vector
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.closed import ARX
from worldmodel.models.experts.columns import every_column
from worldmodel.models.experts.derivatives import find_rates, held_over, unwrapped
from worldmodel.models.experts.reach import labels
from worldmodel.types import Array

_SPANS = (1, 2, 4, 8, 16)  # ticks, of whose readings together where an angle is now may be told
_NONE = -1
_SIX = np.arange(6)  # features of an attitude


class Carried(NamedTuple):
    """Angles and attitudes, and by what each is carried on.

    Attributes:
        sines: int [P] the sine of each angle among the Y readings; its cosine follows.
        rates: int [P] the column that is its rate; -1 where none is read.
        slopes: [P] what an angle turns by (rad) in a second at a rate of 1, in the rate's unit.
        spans: int [P] from the readings of how many ticks, each carried on, it is told where it is now.
        attitudes: int [Q] the first feature of each attitude among the Y readings.
        axes: int [Q, 3] the column that is its rate about each of the machine's axes; -1 where none is read.
        speeds: [Q, 3] what it turns by (rad) about that axis in a second at a rate of 1.
        missed: int [R] the sines of angles whose rate some windows lack: there they turn as if they had none.
    """

    sines: Int[np.ndarray, " P"]
    rates: Int[np.ndarray, " P"]
    slopes: Float[Array, " P"]
    spans: Int[np.ndarray, " P"]
    attitudes: Int[np.ndarray, " Q"]
    axes: Int[np.ndarray, "Q 3"]
    speeds: Float[Array, "Q 3"]
    missed: Int[np.ndarray, " R"] = np.zeros(0, int)

    @classmethod
    def none(cls) -> "Carried":
        """Nothing."""
        none = np.zeros(0, int)
        return cls(none, none, np.zeros(0), none, none, np.zeros((0, 3), int), np.zeros((0, 3)))

    @classmethod
    def find(cls, examples: Examples, lens: Lens) -> "Carried":
        """All angles of sensors that wrap, and the attitudes of which a rate is read.

        A heading by which windows are turned is one, too: how far it turns is the same.
        """
        columns = list(every_column(lens.layout))
        sines = np.array([column.at for column in columns if column.circular], int)
        attitudes = np.array(list(_attitudes(lens.layout)), int)
        if not len(sines) + len(attitudes):
            return cls.none()
        held = held_over(examples, lens)
        turned = [unwrapped(held, sine)[..., None] for sine in sines] + [_turned(held, first) for first in attitudes]
        others = [column for column in columns if not (column.circular or column.turns)]
        of = np.append(sines, attitudes.repeat(3))
        found = find_rates(examples, lens, np.concatenate(turned, -1), of, others)
        rates = np.array([each.column.at if each else _NONE for each in found])
        slopes, count = np.array([each.slope if each else 0.0 for each in found]), len(sines)
        axes, speeds = rates[count:].reshape(-1, 3), slopes[count:].reshape(-1, 3)
        led = (axes != _NONE).any(1)
        angles = sines, rates[:count], slopes[:count], np.ones(count, int)
        always = examples.view.mask.any(1).all(0)
        missed = sines[(rates[:count] != _NONE) & ~always[rates[:count]]]
        return cls(*angles, attitudes[led], axes[led], speeds[led], missed)

    @property
    def are_some(self) -> bool:
        """Whether there are any."""
        return len(self.sines) + len(self.attitudes) > 0

    @property
    def turned(self) -> Int[np.ndarray, " R"]:
        """The sines of angles that go by how they turned: those without a rate, and where it is missed."""
        return self.sines[(self.rates == _NONE) | np.isin(self.sines, self.missed)]

    def by(self, columns: Bool[np.ndarray, " Y"]) -> "Carried":
        """Those of which a rate is read that is among some columns; they go by no more than that."""
        led = (self.rates != _NONE) & columns[self.rates]
        some = ((self.axes != _NONE) & columns[self.axes]).any(1)
        return Carried(*(x[led] for x in self[:4]), *(x[some] for x in (self.attitudes, self.axes, self.speeds)))

    def rates_of(self, count: int) -> Int[np.ndarray, "Y 3"]:
        """For each of so many columns the rates that carry it on; for those that are not carried themselves."""
        out = np.arange(count)[:, None].repeat(3, 1)
        out[self.sines] = out[self.sines + 1] = self.rates[:, None]
        for first, axes in zip(self.attitudes, self.axes, strict=True):
            out[first + _SIX] = np.where(axes == _NONE, axes.max(), axes)
        return out

    def chosen(self, examples: Examples, readings: Float[np.ndarray, "B H Y"], lens: Lens) -> "Carried":
        """With the spans by which angles are foretold best, for `readings` as `carry` has them."""
        each = []
        for span in _SPANS if len(self.sines) else ():
            tried = self._replace(spans=np.full(len(self.sines), span))
            error = mean_known(examples.squared_errors(tried.carry(examples.view, readings, lens)), 0)
            both = error[:, self.sines] + error[:, self.sines + 1]
            each.append(mean_known(np.log(np.maximum(both, 1e-12)), 0))
        return self._replace(spans=np.array(_SPANS)[np.argmin(each, 0)]) if each else self

    def carry(self, view: View, readings: Float[Array, "B H Y"], lens: Lens) -> Float[Array, "B H Y"]:
        """Normalised features at the ticks ahead; NaN in all other columns, and of attitudes of which no rate is read.

        Args:
            view: what was seen.
            readings: what is foretold of the rates at the ticks ahead, normalised, and in the sine's place of what is
                `turned` how far it turns from the newest reading (rad).
            lens: units, and the tick.
        """
        xp = namespace(readings)
        held, ahead = lens.units(view.held), lens.units(readings)
        rates, read = lens.layout.dt * xp.concatenate([held, ahead], 1), view.mask.any(1)
        out = [xp.full(readings.shape[:2], np.nan)] * readings.shape[-1]
        for sine, rate, slope, span in zip(self.sines, self.rates, self.slopes, self.spans, strict=True):
            seen = xp.arctan2(held[..., sine], held[..., sine + 1])
            path = seen[:, -1:] + readings[..., sine]
            if rate != _NONE:
                led = _integral(seen, view.age[..., sine], view.mask[:, -span:, sine], slope * rates[..., rate])
                path = xp.where(read[:, rate, None], led, path) if sine in self.missed else led
            out[sine], out[sine + 1] = xp.sin(path), xp.cos(path)
        for first, axes, speeds in zip(self.attitudes, self.axes, self.speeds, strict=True):
            turns = xp.where(axes == _NONE, 0.0, speeds * rates[..., np.maximum(axes, 0)])
            features = _rotated(held[:, -1, first + _SIX], view.age[:, -1, first], turns, view.context)
            led = read[:, axes[axes != _NONE]].any(1)[:, None]
            for i in _SIX:
                out[first + i] = xp.where(led, features[..., i], np.nan)
        return lens.normal(xp.stack(out, -1))

    def unwound(self, view: View, lens: Lens) -> View:
        """With how far each that is `turned` has, up to the newest reading (rad), in its sine's place."""
        xp, layout = namespace(view.held), lens.layout
        for sine in self.turned.tolist():
            turned = unwrapped(lens.units(view.held), sine)
            way = turned - turned[:, -1:]
            spec = layout.readings[layout.stream_of[layout.newest[sine]]]
            first = layout.slot_columns(spec)[:, sine - layout.reading_columns[spec.name].start]
            slots, of_slots = view.slots * lens.std + lens.mean, view.slots
            for at in first.tolist():
                apart = wrapped(xp.arctan2(slots[..., at], slots[..., at + 1]) - turned)
                of_slots = _put(of_slots, at, xp.where(view.slots_mask[..., at], way + apart, 0))
            readings = _put(view.readings, sine, xp.where(view.mask[..., sine], way, 0))
            view = view._replace(slots=of_slots, readings=readings, held=_put(view.held, sine, way))
        return view

    def unwound_examples(self, examples: Examples, lens: Lens) -> Examples:
        """The same of what came, too, from the newest reading on."""
        came, view = examples.came, examples.view
        for sine in self.turned.tolist():
            values, mask = np.concatenate([view.held, came], 1), np.concatenate([view.mask, examples.mask], 1)
            mask[:, 0] = True  # nothing before it is known
            turned = unwrapped(lens.units(hold(values, mask)[0]), sine)
            came = _put(came, sine, (turned - turned[:, view.context - 1, None])[:, view.context :])
        return examples._replace(view=self.unwound(view, lens), came=came)


def _attitudes(layout: TickLayout) -> Iterator[int]:
    """The first feature of each attitude among the Y readings."""
    for spec in layout.of_kind("orientation", "pose"):
        heading = codec(spec).turning.heading
        assert heading is not None
        yield layout.reading_columns[spec.name].start + min(heading)


def _turned(readings: Float[np.ndarray, "B T Y"], first: int) -> Float[np.ndarray, "B T 3"]:
    """How far an attitude has turned about each of the machine's axes (rad)."""
    q = quaternion_of(readings[..., first + _SIX])
    return np.pad(np.cumsum(rotation_vector(q[:, :-1], q[:, 1:]), 1), ((0, 0), (1, 0), (0, 0)))


def _put(x: Float[Array, "B T Y"], sine: int, way: Float[Array, "B T"]) -> Float[Array, "B T Y"]:
    """With a way in a sine's place, and nothing in its cosine's."""
    return namespace(x).concatenate([x[..., :sine], way[..., None], 0 * way[..., None], x[..., sine + 2 :]], -1)


def _sampled(age: Float[Array, "B N"], ticks: Int[np.ndarray, " N"]) -> tuple[Int[Array, "B N"], Float[Array, "B N"]]:
    """In which tick what was last read at each was sampled, and how long before it; where nothing was, at it."""
    xp = namespace(age)
    age = xp.where(xp.isfinite(age), age, 0.0)
    whole = xp.floor(age).astype(int)
    return xp.maximum(ticks - whole, 0), age - whole


def _integral(
    seen: Float[Array, "B C"], age: Float[Array, "B C"], read: Bool[Array, "B S"], turns: Float[Array, "B T"]
) -> Float[Array, "B H"]:
    """An angle at the ticks ahead, by how much it turns a tick, from where its last readings together say it is."""
    xp, (context, span) = namespace(turns), (seen.shape[1], read.shape[1])
    way = integral(turns)
    at, before = _sampled(age, np.arange(context))
    then, rate = (xp.take_along_axis(x, at, 1) for x in (way, turns))
    since = way[:, context - 1, None] - then + rate * before
    newest = seen[:, -1:] + since[:, -1:]
    apart = xp.where(read, wrapped((seen + since)[:, -span:] - newest), 0)
    now = newest + apart.sum(1, keepdims=True) / xp.maximum(read.sum(1, keepdims=True), 1)
    return now + way[:, context:] - way[:, context - 1, None]


def _rotated(
    seen: Float[Array, "B 6"], age: Float[Array, " B"], turns: Float[Array, "B T 3"], context: int
) -> Float[Array, "B H 6"]:
    """An attitude at the ticks after a context of so many of T, by how much it turns a tick about its own axes (rad).

    It is `seen` at the end of the context, where it is so many ticks old.
    """
    xp = namespace(turns)
    path, reach = _quaternion((turns[:, 1:] + turns[:, :-1]) / 2), 1
    path = xp.concatenate([_quaternion(0 * turns[:, :1]), path], 1)
    while reach < path.shape[1]:  # products up to each tick, of twice as many with each round
        path = xp.concatenate([path[:, :reach], _product(path[:, :-reach], path[:, reach:])], 1)
        reach *= 2
    at, before = _sampled(age[:, None], np.array([context - 1]))
    then, rate = (xp.take_along_axis(x, at[..., None], 1) for x in (path, turns))
    begin = _product(quaternion_of(seen)[:, None], _quaternion(before[..., None] * rate))
    begin = _product(begin, then * np.array([1, -1, -1, -1]))  # where it was at the first tick
    return rotation_columns(_product(begin, path[:, context:]))


def _quaternion(vector: Float[Array, "*b 3"]) -> Float[Array, "*b 4"]:
    """Of a rotation vector (rad)."""
    xp = namespace(vector)
    angle = xp.sqrt((vector**2).sum(-1, keepdims=True))
    return xp.concatenate([xp.cos(angle / 2), xp.sinc(angle / 2 / np.pi) / 2 * vector], -1)


def _product(one: Float[Array, "*#b 4"], other: Float[Array, "*#b 4"]) -> Float[Array, "*_ 4"]:
    """Of quaternions: the rotation `other`, about the axes that `one` leads to."""
    xp = namespace(other)
    one, other = xp.broadcast_arrays(one, other)
    (a, v), (b, u) = ((q[..., :1], q[..., 1:]) for q in (one, other))
    return xp.concatenate([a * b - (v * u).sum(-1, keepdims=True), a * u + b * v + xp.linalg.cross(v, u)], -1)


@dataclasses.dataclass
class Angles(ARX):
    """Angles and attitudes by the rates that a linear model foretells, or by how far it foretells that angles turn.

    Of all else it says nothing.

    Attributes:
        carried: them.
    """

    name: ClassVar[str] = "angles"
    carried: Carried

    @classmethod
    def fit(
        cls, examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED, carried: Carried | None = None
    ) -> Self:
        """Fits the linear model; `carried` are those that `Carried.find` found."""
        found = carried or Carried.find(examples, lens)
        unwound = found.unwound_examples(examples, lens)
        base = ARX.fit(unwound, lens, allowance)
        return cls(base.direct, lens, base.memory, found.chosen(examples, base.predict(unwound.view), lens))

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED) -> Self:
        """The same angles, on other windows."""
        return self.fit(examples, self.lens, allowance, self.carried)

    def predict(self, view: View, linear: Float[Array, "B H Y"] | None = None) -> Float[Array, "B H Y"]:
        """Normalised features at the ticks ahead; NaN in all other columns.

        `linear` is what the linear rival says of the ticks ahead, which knows rates best: it sees all columns.
        """
        turned, readings = self.carried.turned, linear
        if linear is None or len(turned):
            readings = super().predict(self.carried.unwound(view, self.lens))
        if linear is not None and len(turned):
            readings = namespace(linear).where(np.isin(np.arange(linear.shape[-1]), turned), readings, linear)
        return self.carried.carry(view, readings, self.lens)

    def describe(self) -> str:
        """Which follow which rates, a line each."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        names, found = labels(self.lens.layout), self.carried
        for sine, rate, slope in zip(found.sines, found.rates, found.slopes, strict=True):
            if rate != _NONE:
                yield f"{names[sine]} turns by {names[rate]} ({slope:.3g} rad in a second of 1)"
        for first, axes in zip(found.attitudes, found.axes, strict=True):
            yield f"{names[first]} turns by {', '.join(names[rate] for rate in axes if rate != _NONE)}"

    def to_arrays(self) -> dict[str, Any]:
        """What `from_arrays` makes it of."""
        return super().to_arrays() | self.carried._asdict()

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], lens: Lens) -> Self:
        """What `to_arrays` gave."""
        base = ARX.from_arrays({k: v for k, v in arrays.items() if k not in Carried._fields}, lens)
        return cls(base.direct, lens, base.memory, Carried(**{k: v for k, v in arrays.items() if k in Carried._fields}))

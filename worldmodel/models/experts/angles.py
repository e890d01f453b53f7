"""Angles that wrap, carried on by their rates or by how they turned so far.

Features of an angle are its sine and cosine, and how these change is their product with its rate: linear in nothing
that is read. How far it has turned, and the integral of a rate, are.
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import hold, mean_known, namespace
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.closed import ARX
from worldmodel.models.experts.columns import every_column
from worldmodel.models.experts.derivatives import find_rates
from worldmodel.models.experts.reach import labels
from worldmodel.types import Array

_SPANS = (1, 2, 4, 8, 16)  # ticks, of whose readings together where an angle is now may be told
_NONE = -1


class Carried(NamedTuple):
    """Angles, and by what each is carried on.

    Attributes:
        sines: int [P] the sine of each among the Y readings; its cosine follows.
        rates: int [P] the column that is its rate; -1 where none is read.
        slopes: [P] what an angle turns by (rad) in a second at a rate of 1, in the rate's unit.
        spans: int [P] from the readings of how many ticks, each carried on, it is told where it is now.
    """

    sines: Int[np.ndarray, " P"]
    rates: Int[np.ndarray, " P"]
    slopes: Float[Array, " P"]
    spans: Int[np.ndarray, " P"]

    @classmethod
    def none(cls) -> "Carried":
        """No angles."""
        return cls(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros(0, int))

    @classmethod
    def find(cls, examples: Examples, lens: Lens) -> "Carried":
        """All of sensors that wrap; a heading by which windows are turned, too, since how far it turns is the same."""
        columns = [column for column in every_column(lens.layout) if column.circular or not column.turns]
        found = {angle.at: (rate.at, slope) for angle, rate, slope in find_rates(examples, lens, columns)}
        sines = [column.at for column in columns if column.circular]
        each = [found.get(at, (_NONE, 0.0)) for at in sines]
        rates, slopes = np.array([rate for rate, _ in each], int), np.array([slope for _, slope in each])
        return cls(np.array(sines, int), rates, slopes, np.ones(len(sines), int))

    def by(self, columns: Bool[np.ndarray, " Y"]) -> "Carried":
        """Those whose rate is read, and among some columns."""
        return Carried(*(x[(self.rates != _NONE) & columns[self.rates]] for x in self))

    def rate_of(self, count: int) -> Int[np.ndarray, " Y"]:
        """For each of so many columns the rate that carries it on; for those that are not carried themselves."""
        out = np.arange(count)
        out[self.sines] = out[self.sines + 1] = self.rates
        return out

    def chosen(self, examples: Examples, readings: Float[np.ndarray, "B H Y"], lens: Lens) -> "Carried":
        """With the spans by which angles are foretold best, for `readings` as `carry` has them."""
        each = []
        for span in _SPANS:
            tried = self._replace(spans=np.full(len(self.sines), span))
            error = mean_known(examples.squared_errors(tried.carry(examples.view, readings, lens)), 0)
            both = error[:, self.sines] + error[:, self.sines + 1]
            each.append(mean_known(np.log(np.maximum(both, 1e-12)), 0))
        return self._replace(spans=np.array(_SPANS)[np.argmin(each, 0)])

    def carry(self, view: View, readings: Float[Array, "B H Y"], lens: Lens) -> Float[Array, "B H Y"]:
        """Normalised sines and cosines at the ticks ahead; NaN in all other columns.

        Args:
            view: what was seen.
            readings: what is foretold of the rates at the ticks ahead, normalised, and in the sine's place how far an
                angle without a rate turns from the newest reading (rad).
            lens: units, and the tick.
        """
        xp = namespace(readings)
        held, ahead = lens.units(view.held), lens.units(readings)
        out = [xp.full(readings.shape[:2], np.nan)] * readings.shape[-1]
        for sine, rate, slope, span in zip(self.sines, self.rates, self.slopes, self.spans, strict=True):
            seen = xp.arctan2(held[..., sine], held[..., sine + 1])
            if rate == _NONE:
                path = seen[:, -1:] + readings[..., sine]
            else:
                turns = slope * lens.layout.dt * xp.concatenate([held[..., rate], ahead[..., rate]], 1)
                read = view.mask[:, -span:, sine]
                path = _integral(seen, view.age[..., sine], read, turns)
            for at, feature in ((sine, xp.sin(path)), (sine + 1, xp.cos(path))):
                out[at] = (feature - lens.centre[at]) / lens.scale[at]
        return xp.stack(out, -1)

    def unwound(self, view: View, lens: Lens) -> View:
        """With how far each angle without a rate has turned, up to the newest reading (rad), in its sine's place."""
        xp, layout = namespace(view.held), lens.layout
        for sine in self.sines[self.rates == _NONE].tolist():
            turned = _angle(lens.units(view.held), sine)
            way = turned - turned[:, -1:]
            spec = layout.readings[layout.stream_of[layout.newest[sine]]]
            first = layout.slot_columns(spec)[:, sine - layout.reading_columns[spec.name].start]
            slots, of_slots = view.slots * lens.std + lens.mean, view.slots
            for at in first.tolist():
                apart = _wrapped(xp.arctan2(slots[..., at], slots[..., at + 1]) - turned)
                of_slots = _put(of_slots, at, xp.where(view.slots_mask[..., at], way + apart, 0))
            readings = _put(view.readings, sine, xp.where(view.mask[..., sine], way, 0))
            view = view._replace(slots=of_slots, readings=readings, held=_put(view.held, sine, way))
        return view

    def unwound_examples(self, examples: Examples, lens: Lens) -> Examples:
        """The same of what came, too, from the newest reading on."""
        came, view = examples.came, examples.view
        for sine in self.sines[self.rates == _NONE].tolist():
            values, mask = np.concatenate([view.held, came], 1), np.concatenate([view.mask, examples.mask], 1)
            mask[:, 0] = True  # nothing before it is known
            turned = _angle(lens.units(hold(values, mask)[0]), sine)
            came = _put(came, sine, (turned - turned[:, view.context - 1, None])[:, view.context :])
        return examples._replace(view=self.unwound(view, lens), came=came)


def _angle(readings: Float[Array, "B T Y"], sine: int) -> Float[Array, "B T"]:
    xp = namespace(readings)
    return xp.unwrap(xp.arctan2(readings[..., sine], readings[..., sine + 1]), axis=1)


def _wrapped(angle: Float[Array, "*b"]) -> Float[Array, "*b"]:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _put(x: Float[Array, "B T Y"], sine: int, way: Float[Array, "B T"]) -> Float[Array, "B T Y"]:
    """With a way in a sine's place, and nothing in its cosine's."""
    return namespace(x).concatenate([x[..., :sine], way[..., None], 0 * way[..., None], x[..., sine + 2 :]], -1)


def _integral(
    seen: Float[Array, "B C"], age: Float[Array, "B C"], read: Bool[Array, "B S"], turns: Float[Array, "B T"]
) -> Float[Array, "B H"]:
    """An angle at the ticks ahead, by how much it turns a tick, from where its last readings together say it is."""
    xp, (context, span) = namespace(turns), (seen.shape[1], read.shape[1])
    way = xp.cumsum((turns[:, 1:] + turns[:, :-1]) / 2, 1)
    way = xp.concatenate([xp.zeros((len(way), 1)), way], 1)
    since = way[:, context - 1, None] - way[:, :context] + turns[:, :context] * xp.where(age < 1, age, 0.0)
    newest = seen[:, -1:] + since[:, -1:]
    apart = xp.where(read, _wrapped((seen + since)[:, -span:] - newest), 0)
    now = newest + apart.sum(1, keepdims=True) / xp.maximum(read.sum(1, keepdims=True), 1)
    return now + way[:, context:] - way[:, context - 1, None]


@dataclasses.dataclass
class Angles(ARX):
    """Angles by the rates that a linear model foretells, or by how far it foretells that they turn.

    Of all else it says nothing.

    Attributes:
        carried: the angles.
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

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised sines and cosines at the ticks ahead; NaN in all other columns."""
        return self.carried.carry(view, super().predict(self.carried.unwound(view, self.lens)), self.lens)

    def describe(self) -> str:
        """Which angles follow which rates, a line each."""
        names, (sines, rates, slopes, _) = labels(self.lens.layout), self.carried
        each = [(names[a], names[r], s) for a, r, s in zip(sines, rates, slopes, strict=True) if r != _NONE]
        return "\n".join(f"{angle} turns by {rate} ({slope:.3g} rad in a second of 1)" for angle, rate, slope in each)

    def to_arrays(self) -> dict[str, Any]:
        """What `from_arrays` makes it of."""
        return super().to_arrays() | self.carried._asdict()

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], lens: Lens) -> Self:
        """What `to_arrays` gave."""
        base = ARX.from_arrays({k: v for k, v in arrays.items() if k not in Carried._fields}, lens)
        return cls(base.direct, lens, base.memory, Carried(*(arrays[k] for k in Carried._fields)))

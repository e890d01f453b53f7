"""Each column from its own past, what is commanded, and products of two signals where some are found to tell of it.

A car's yaw rate is its speed times its steering, its lateral acceleration its speed times its yaw rate: a model that is
linear in both knows neither. Signals are foreseen by such a model first, and their products are then as good as
commanded: one step of Picard's iteration for a quadratic system, of which nothing is rolled out, so nothing diverges.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.arrays import namespace
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.apart import Apart
from worldmodel.models.baselines.reckoning import Reckoner, reckoned
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.angles import Carried
from worldmodel.models.experts.closed import ARX, Ridge
from worldmodel.models.experts.product_search import products_in, signals
from worldmodel.models.experts.reach import labels
from worldmodel.types import Array

_PENALTY = 0.01  # docs/experiments.md
_ENDS = (0.001, 0.999)  # quantiles of a signal: beyond lies what happens once in many drives
_BEYOND = 0.05  # of the range between them, by which a signal may leave it
_KEPT = ("pairs", "told", "speaks", "ends")


@dataclasses.dataclass
class Products(Ridge):
    """Of the columns for which products were found, and of places and angles that speed and turning lead to.

    Attributes:
        base: foresees the signals.
        pairs: int [P, 2] signals, the Y readings and then the A actions, whose products `direct` takes for commands.
        told: bool [Y, P] which products tell of each column.
        speaks: bool [Y] of which columns anything is said, but for places.
        ends: [2, Y] between which all but a few in a thousand of each reading lay. From where one leaves them on,
            nothing is said of what its products tell: a tyre no longer holds, or a collision is multiplied. Of commands
            farther than all that was commanded it speaks as linear experts do; whoever asks doubts them all.
        reckoners: of places whose speed or turning is among them.
        carried: the angles whose rate is among them.
    """

    name: ClassVar[str] = "products"
    longest: ClassVar[int | None] = None
    base: ARX
    pairs: Array
    told: Array
    speaks: Array
    ends: Array
    reckoners: tuple[Reckoner, ...]
    carried: Carried

    @classmethod
    def fit(
        cls,
        examples: Examples,
        lens: Lens,
        allowance: Allowance = UNLIMITED,
        reckoners: Sequence[Reckoner] = (),
        carried: Carried | None = None,
    ) -> Self:
        """Looks for products, and fits the columns that have some.

        `reckoners` are all that there are, and `carried` what `Carried.find` found.
        """
        found = cls._fitted(examples, lens, None, allowance)
        carried = (carried or Carried.find(examples, lens)).by(found.speaks)
        if carried.are_some:
            found.carried = carried.chosen(examples, found._said(examples.view)[1], lens)
            found.speaks = found.speaks | found.speaks[found.carried.rates_of(len(found.speaks))].any(1)
        moved = [r for r in reckoners if found.speaks[[*r.speed, *r.turning]].any()]
        if moved:
            readings = found._said(examples.view)[1]
            found.reckoners = tuple(reckoner.choose(examples, readings, lens) for reckoner in moved)
        return found

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED) -> Self:
        """The same columns, with the products that other windows tell of."""
        again = self._fitted(examples, self.lens, self.speaks, allowance)
        return dataclasses.replace(again, reckoners=self.reckoners, carried=self.carried)

    @classmethod
    def _fitted(cls, examples: Examples, lens: Lens, speaks: Bool[Array, " Y"] | None, allowance: Allowance) -> Self:
        first, second = allowance.turns(2)
        base = ARX.fit(examples, lens, first)
        near = examples.near(base.memory, examples.view.horizon)
        foreseen = base.predict(near.view)
        pairs, told = products_in(near, foreseen, lens.layout)
        speaks = told.any(1) if speaks is None else speaks
        found = cls(
            base.direct, lens, base.memory, base, pairs, told, speaks, _ends(near.view.held), (), Carried.none()
        )
        if told.any():
            led = np.concatenate([np.ones((len(told), lens.layout.action_count), bool), told], 1)
            beside = near._replace(view=found._beside(near.view, foreseen))
            found.direct = Apart.fit(beside, lens.layout, _PENALTY, led, second)
        return found

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead; NaN in columns of which no products tell, or none that are known."""
        xp, (said, readings) = namespace(view.held), self._said(view)
        for reckoner in self.reckoners:
            place = reckoned([reckoner], view, readings, self.lens)
            moved = [column for column in (*reckoner.speed, *reckoner.turning) if self.speaks[column]]
            known = xp.isfinite(said[..., moved]).all(-1, keepdims=True)
            said = xp.where(xp.isnan(place), said, xp.where(known, place, np.nan))
        return said

    def _said(self, view: View) -> tuple[Float[Array, "B H Y"], Float[Array, "B H Y"]]:
        """Of the columns that it speaks of, NaN of others; and of all. Of what no products tell, `base` does."""
        xp, near = namespace(view.held), view.newest(self.memory)
        foreseen = self.base.predict(near)
        unknown = self._beyond(near, foreseen)
        ahead = super().predict(self._beside(near, foreseen))
        ahead = xp.where(self.told.any(1) & ~unknown, ahead, foreseen)
        carried = self.carried.carry(view, ahead, self.lens)
        ahead = xp.where(xp.isnan(carried), ahead, carried)
        unknown = unknown | unknown[..., self.carried.rates_of(ahead.shape[-1])].any(-1)
        return xp.where(self.speaks & ~unknown, ahead, np.nan), ahead

    def _beyond(self, view: View, foreseen: Float[Array, "B H Y"]) -> Bool[Array, "B H Y"]:
        """From which tick ahead on products of a column have been of readings beyond what was read."""
        xp, (low, high) = namespace(view.held), self.ends[:, : view.held.shape[-1]]
        most = _BEYOND * (high - low)
        path = xp.concatenate([view.held, foreseen[:, :-1]], 1)
        once = (xp.cumsum((path < low - most) | (path > high + most), 1) > 0)[:, view.context - 1 :]
        once = xp.concatenate([once, xp.zeros((*once.shape[:2], view.ahead.shape[-1]), bool)], -1)
        return (once[..., self.pairs].any(-1)[:, :, None] & self.told).any(-1)

    def describe(self) -> str:
        """Which products tell of which column, a line each."""
        names = labels(self.lens.layout)
        products = [" x ".join(names[i] for i in pair) for pair in self.pairs]
        told = zip(names, self.told, strict=False)  # names of actions follow those of readings
        return "\n".join(
            f"{name} follows {', '.join(products[p] for p in np.flatnonzero(row))}" for name, row in told if row.any()
        )

    def to_arrays(self) -> dict[str, Any]:
        """What `from_arrays` makes it of."""
        own = {field.name: getattr(self.direct, field.name) for field in dataclasses.fields(self.direct)}
        own |= {name: getattr(self, name) for name in _KEPT}
        own |= {f"base.{key}": value for key, value in self.base.to_arrays().items()}
        for i, reckoner in enumerate(self.reckoners):
            own |= {f"reckoner{i}.{key}": value for key, value in vars(reckoner).items()}
        return own | {f"carried.{key}": value for key, value in self.carried._asdict().items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], lens: Lens) -> Self:
        """What `to_arrays` gave."""
        parts: dict[str, dict[str, Any]] = {}
        for key, value in arrays.items():
            part, _, field = key.rpartition(".")
            parts.setdefault(part, {})[field] = value if np.ndim(value) else np.asarray(value).item()
        own, base = parts.pop(""), ARX.from_arrays(parts.pop("base"), lens)
        found, carried = (
            {name: own.pop(name) for name in _KEPT},
            Carried(**parts.pop("carried", Carried.none()._asdict())),
        )
        reckoners = tuple(Reckoner(**x) for x in parts.values())
        return cls(Apart(**own), lens, base.memory, base, **found, reckoners=reckoners, carried=carried)

    def _beside(self, view: View, foreseen: Float[Array, "B H Y"]) -> View:
        """With products of what was read, and of what is foreseen, as commands beside the others."""
        xp, (first, second) = namespace(view.held), self.pairs.T
        both = zip(*signals(view, foreseen), strict=True)
        values, known = ([x[..., first] * x[..., second] for x in part] for part in both)
        own = (view.past, view.past_mask, view.ahead, view.ahead_mask)
        more = (values[0], known[0], values[1], known[1])
        past, past_mask, ahead, ahead_mask = (xp.concatenate(x, -1) for x in zip(own, more, strict=True))
        return view._replace(past=past, past_mask=past_mask, ahead=ahead, ahead_mask=ahead_mask)


def _ends(read: Float[np.ndarray, "B C Y"]) -> Float[np.ndarray, "2 Y"]:
    return np.quantile(read.reshape(-1, read.shape[-1]), _ENDS, axis=0)

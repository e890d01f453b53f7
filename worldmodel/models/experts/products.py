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
from worldmodel.models.experts.closed import ARX, Ridge
from worldmodel.models.experts.product_search import products_in, signals
from worldmodel.models.experts.reach import labels
from worldmodel.types import Array

_PENALTY = 0.01  # docs/experiments.md


@dataclasses.dataclass
class Products(Ridge):
    """Of the columns for which products were found, and of places that their speed and turning lead to.

    Attributes:
        base: foresees the signals.
        pairs: int [P, 2] signals, the Y readings and then the A actions, whose products `direct` takes for commands.
        told: bool [Y, P] which products tell of each column.
        speaks: bool [Y] of which columns anything is said, but for places.
        reckoners: of places whose speed or turning is among them.
    """

    name: ClassVar[str] = "products"
    longest: ClassVar[int | None] = None
    base: ARX
    pairs: Array
    told: Array
    speaks: Array
    reckoners: tuple[Reckoner, ...]

    @classmethod
    def fit(
        cls, examples: Examples, lens: Lens, allowance: Allowance = UNLIMITED, reckoners: Sequence[Reckoner] = ()
    ) -> Self:
        """Looks for products, and fits the columns that have some; `reckoners` are all that there are."""
        found = cls._fitted(examples, lens, None, allowance)
        moved = [r for r in reckoners if found.speaks[[*r.speed, *r.turning]].any()]
        if moved:
            _, readings = found._said(examples.view)
            found.reckoners = tuple(reckoner.choose(examples, readings, lens) for reckoner in moved)
        return found

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED) -> Self:
        """The same columns, with the products that other windows tell of."""
        again = self._fitted(examples, self.lens, self.speaks, allowance)
        return dataclasses.replace(again, reckoners=self.reckoners)

    @classmethod
    def _fitted(cls, examples: Examples, lens: Lens, speaks: Bool[Array, " Y"] | None, allowance: Allowance) -> Self:
        first, second = allowance.turns(2)
        base = ARX.fit(examples, lens, first)
        near = examples.near(base.memory, examples.view.horizon)
        foreseen = base.predict(near.view)
        pairs, told = products_in(near, foreseen, lens.layout)
        found = cls(base.direct, lens, base.memory, base, pairs, told, told.any(1) if speaks is None else speaks, ())
        if told.any():
            led = np.concatenate([np.ones((len(told), lens.layout.action_count), bool), told], 1)
            beside = near._replace(view=found._beside(near.view, foreseen))
            found.direct = Apart.fit(beside, lens.layout, _PENALTY, led, second)
        return found

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead; NaN in columns of which no products tell."""
        xp, (said, readings) = namespace(view.held), self._said(view)
        if not self.reckoners:
            return said
        places = reckoned(self.reckoners, view, readings, self.lens)
        return xp.where(xp.isnan(places), said, places)

    def _said(self, view: View) -> tuple[Float[Array, "B H Y"], Float[Array, "B H Y"]]:
        """Of the columns that it speaks of, NaN of others; and of all. Of what no products tell, `base` does."""
        xp, near = namespace(view.held), view.newest(self.memory)
        foreseen = self.base.predict(near)
        ahead = xp.where(self.told.any(1), super().predict(self._beside(near, foreseen)), foreseen)
        return xp.where(self.speaks, ahead, np.nan), ahead

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
        own |= {"pairs": self.pairs, "told": self.told, "speaks": self.speaks}
        own |= {f"base.{key}": value for key, value in self.base.to_arrays().items()}
        for i, reckoner in enumerate(self.reckoners):
            own |= {f"reckoner{i}.{key}": value for key, value in vars(reckoner).items()}
        return own

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any], lens: Lens) -> Self:
        """What `to_arrays` gave."""
        parts: dict[str, dict[str, Any]] = {}
        for key, value in arrays.items():
            part, _, field = key.rpartition(".")
            parts.setdefault(part, {})[field] = value if np.ndim(value) else np.asarray(value).item()
        own, base = parts.pop(""), ARX.from_arrays(parts.pop("base"), lens)
        found = {name: own.pop(name) for name in ("pairs", "told", "speaks")}
        return cls(
            Apart(**own), lens, base.memory, base, **found, reckoners=tuple(Reckoner(**x) for x in parts.values())
        )

    def _beside(self, view: View, foreseen: Float[Array, "B H Y"]) -> View:
        """With products of what was read, and of what is foreseen, as commands beside the others."""
        xp, (first, second) = namespace(view.held), self.pairs.T
        both = signals(view, foreseen)
        values, known = ([x[..., first] * x[..., second] for x in part] for part in zip(*both, strict=True))
        own = (view.past, view.past_mask, view.ahead, view.ahead_mask)
        more = (values[0], known[0], values[1], known[1])
        past, past_mask, ahead, ahead_mask = (xp.concatenate(x, -1) for x in zip(own, more, strict=True))
        return view._replace(past=past, past_mask=past_mask, ahead=ahead, ahead_mask=ahead_mask)

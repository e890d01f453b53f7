"""What knows no dynamics: naming the average, holding the last reading, and going on along a line."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.arrays import namespace
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.view import Examples, Lens, View, excess, squared_errors
from worldmodel.types import Array

_SPANS = (2, 4, 8, 16, 32)  # ticks that a speed is measured over; learn episodes choose


def hold_last(view: View) -> Float[Array, "B H Y"]:
    """The last reading of each column; the mean before the first."""
    return namespace(view.held).repeat(view.held[:, -1:], view.horizon, 1)


@dataclasses.dataclass
class Climate:
    """The average of what came, whatever was seen before.

    Attributes:
        mean: [H, Y] normalised; of what is relative to the last reading at each tick ahead, else one for all.
    """

    mean: Array

    @classmethod
    def fit(cls, examples: Examples, lens: Lens) -> "Climate":
        """Averages readings that came; vectors whose length is fixed get it back."""
        truth, mask, layout = examples.came, examples.mask, lens.layout
        at_each = _mean(truth, mask, (0,))
        mean: Array = np.where(layout.relative[layout.newest], at_each, _mean(truth, mask, (0, 1)))
        for spec in layout.readings:
            columns = layout.reading_columns[spec.name]
            units = codec(spec).normalised(lens.units(mean)[..., columns])
            mean[..., columns] = (units - lens.centre[columns]) / lens.scale[columns]
        return cls(mean)

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised; beyond the ticks that were fitted the last one's."""
        tick = np.minimum(np.arange(view.horizon), len(self.mean) - 1)
        return namespace(view.held).repeat(self.mean[None, tick], len(view.held), 0)


@dataclasses.dataclass
class Velocity:
    """The least-squares line through each column's last readings, extended.

    Attributes:
        spans: int [Y] ticks of context that the line is laid through.
    """

    spans: Array

    @classmethod
    def fit(cls, examples: Examples, layout: TickLayout) -> "Velocity":
        """Chooses for each column the span whose lines are best, among those that mostly hold two readings.

        Not for a whole stream of a sensor: a flag that leaps needs a long one, which spoils what moves beside it.
        """
        context = examples.view.mask.shape[1]
        spans = sorted({min(span, context) for span in (*_SPANS, context)})
        errors = []
        for span in spans:
            ahead = cls(np.full(examples.came.shape[-1], span)).predict(examples.view)
            slopes = (examples.view.mask[:, -span:].sum(1) > 1).mean(0) > 0.5
            errors.append(
                np.where(slopes | (span == context), squared_errors(ahead, examples, layout, apart=True), np.inf)
            )
        return cls(np.asarray(spans)[np.argmin(excess(np.stack(errors)), 0)])

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised; what was read only once is held."""
        ticks = np.arange(1 - view.held.shape[1], 1)[None, :, None]
        xp, weight = namespace(view.held), view.mask & (ticks > -self.spans)
        time = ticks - xp.where(view.mask, view.age, 0)  # when each was sampled
        count = xp.maximum(weight.sum(1), 1)
        middle = (weight * time).sum(1) / count
        level = (weight * view.readings).sum(1) / count
        offset = time - middle[:, None]
        variance = (weight * offset**2).sum(1)
        slope = (weight * offset * (view.readings - level[:, None])).sum(1) / xp.maximum(variance, 1e-9)
        ahead = np.arange(1, view.horizon + 1)[None, :, None] - middle[:, None]
        line = level[:, None] + slope[:, None] * ahead
        return xp.where(variance[:, None] > 0, line, view.held[:, -1:])


def _mean(values: Float[Array, "B H Y"], mask: Bool[Array, "B H Y"], axes: tuple[int, ...]) -> Float[Array, "*rest Y"]:
    """Means over `axes` where `mask`; 0, the mean of the statistics, where there is none."""
    return np.where(mask, values, 0.0).sum(axes) / np.maximum(mask.sum(axes), 1)

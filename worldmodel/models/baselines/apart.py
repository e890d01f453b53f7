"""A linear model in which each column is told by its own past, and of all else by no more than commands."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.direct import Asked, Direct, Questions, grid
from worldmodel.models.baselines.inputs import STILL, acts_until, flat, own_of, parts_of
from worldmodel.models.baselines.ridge import ridge
from worldmodel.models.baselines.view import Examples, in_phase, phase
from worldmodel.types import Array


@dataclasses.dataclass
class Apart(Direct):
    """Of which each column is told by its own past, and of all else by no more than commands.

    Attributes:
        own: [N, K, Y] weights of the K inputs that each column has of its own.
    """

    own: Array

    @classmethod
    def fit(cls, examples: Examples, layout: TickLayout, penalty: float, commands: bool) -> "Apart":
        """On the readings that came; `commands` says whether those tell anything."""
        view, change = examples.view, in_phase(examples, phase(examples.view)) - examples.view.held[:, -1:]
        ticks, parts = grid(view.horizon), parts_of(view, layout)
        past, acted, own = flat(parts[-1:]), acts_until(view, ticks), own_of(parts)
        varies = commands & (np.concatenate([past.std(0), np.max([a.std(0) for a in acted], 0)]) > STILL)
        weights = []
        for tick, led in zip(ticks, acted, strict=True):
            shared = np.concatenate([past, led], 1)[:, varies]
            came, there = change[:, tick - 1], examples.mask[:, tick - 1]
            weights.append(
                [_fitted(shared, own[..., y], came[:, y], there[:, y], penalty) for y in range(own.shape[-1])]
            )
        each = np.array(weights).swapaxes(1, 2)
        varies = np.concatenate([np.zeros(flat(parts[:-1]).shape[1], bool), varies])
        return cls(ticks, varies, each[:, own.shape[1] :], each[:, : own.shape[1]])

    def _answers(self, asked: Asked, questions: Questions) -> Float[Array, "B Q Y"]:
        inputs, weights = own_of(asked.parts), self.own[: len(self.ticks)]
        told = inputs.transpose(2, 0, 1) @ weights.transpose(2, 1, 0)
        return super()._answers(asked, questions) + told.transpose(1, 2, 0)[:, questions.model]


def _fitted(
    shared: Float[np.ndarray, "M S"],
    own: Float[np.ndarray, "M K"],
    change: Float[np.ndarray, " M"],
    mask: Bool[np.ndarray, " M"],
    penalty: float,
) -> Float[np.ndarray, " K+S+1"]:
    """Weights of one column's own inputs, of those that it shares, and a constant."""
    inputs = np.concatenate([own, shared], 1)
    deviation = inputs.std(0)
    scale = np.where(deviation > STILL, deviation, np.inf)
    return ridge(inputs / scale, change[:, None], mask[:, None], (penalty,))[0, :, 0] / np.append(scale, 1.0)

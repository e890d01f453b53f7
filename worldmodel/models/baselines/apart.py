"""A linear model in which each column is told by its own past, and of all else by no more than commands."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import solve

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.direct import Asked, Direct, Questions, each_tick, targets
from worldmodel.models.baselines.inputs import STILL, acts_until, flat, own_of, parts_of
from worldmodel.models.baselines.view import Examples
from worldmodel.types import Array


@dataclasses.dataclass
class Apart(Direct):
    """Of which each column is told by its own past, and of all else by no more than commands.

    Attributes:
        own: [N, K, Y] weights of the K inputs that each column has of its own.
    """

    own: Array

    @classmethod
    def fit(
        cls,
        examples: Examples,
        layout: TickLayout,
        penalty: float,
        told: Bool[np.ndarray, "Y A"],
        allowance: Allowance = UNLIMITED,
    ) -> "Apart":
        """On the readings that came; `told` says which of the view's commands tell each column anything."""
        view, (ticks, change, there) = examples.view, targets(examples)
        parts = parts_of(view, layout)
        past, acted, own = flat(parts[-1:]), acts_until(view, ticks), own_of(parts)
        deviation = np.concatenate([past.std(0), np.max([a.std(0) for a in acted], 0)])
        tells = np.tile(told, len(deviation) // max(told.shape[1], 1))  # commands are the last axis of all of these
        varies = tells.any(0) & (deviation > STILL)

        def at(i: int) -> Array:
            shared = Shared(np.concatenate([past, acted[i]], 1)[:, varies], penalty)
            columns = ((own[..., y], change[:, i, y], there[:, i, y], tells[y, varies]) for y in range(len(told)))
            return np.array([shared.fitted(*column) for column in columns])

        done, weights = each_tick(at, len(ticks), allowance)
        each = np.array(weights).swapaxes(1, 2)
        varies = np.concatenate([np.zeros(flat(parts[:-1]).shape[1], bool), varies])
        return cls(ticks[done], varies, each[:, own.shape[1] :], each[:, : own.shape[1]])

    def _answers(self, asked: Asked, questions: Questions) -> Float[Array, "B Q Y"]:
        inputs, weights = own_of(asked.parts), self.own[: len(self.ticks)]
        if namespace(inputs) is np:  # of many windows
            told = (inputs.transpose(2, 0, 1) @ weights.transpose(2, 1, 0)).transpose(1, 2, 0)
        else:  # compiled into one loop
            told = (inputs[:, None] * weights).sum(2)
        told = asked.evened(told.swapaxes(0, 1), self.ticks).swapaxes(0, 1)
        return super()._answers(asked, questions) + told[:, questions.model]


class Shared:
    """Inputs [M, S] that all columns share; their products are taken once for columns that came in the same rows."""

    def __init__(self, inputs: Float[np.ndarray, "M S"], penalty: float) -> None:
        self._scale, self._penalty = np.maximum(inputs.std(0), STILL), penalty
        self._inputs = inputs / self._scale
        self._known: dict[bytes, tuple[np.ndarray, ...]] = {}

    def fitted(
        self,
        own: Float[np.ndarray, "M K"],
        change: Float[np.ndarray, " M"],
        mask: Bool[np.ndarray, " M"],
        told: Bool[np.ndarray, " S"],
    ) -> Float[np.ndarray, " weights"]:
        """Weights of one column's own inputs, of those that it is told of what is shared, and a constant: a ridge
        regression. All others are 0.
        """
        deviation = own.std(0)
        scale = np.append(np.where(deviation > STILL, deviation, np.inf), self._scale)
        count, weights = own.shape[1], np.zeros(len(scale) + 1)
        if not mask.any():
            return weights
        shared, mean, products = self._of(mask)
        shared, mean, products = shared[:, told], mean[told], products[np.ix_(told, told)]
        x, y = own[mask] / scale[:count], change[mask]
        means = np.append(x.mean(0), mean)
        x, left = x - x.mean(0), y - y.mean()
        beside = x.T @ shared
        gram = np.block([[x.T @ x, beside], [beside.T, products]])
        moment = np.append(x.T @ left, shared.T @ left)
        slopes = solve(gram + self._penalty * len(x) * np.eye(len(gram)), moment, assume_a="pos")
        used = np.append(np.ones(count, bool), told)
        weights[:-1][used] = slopes / scale[used]
        weights[-1] = y.mean() - means @ slopes
        return weights

    def _of(self, rows: Bool[np.ndarray, " M"]) -> tuple[np.ndarray, ...]:
        """Of some rows the inputs less their means, the means, and the products."""
        if rows.tobytes() not in self._known:
            x = self._inputs[rows]
            mean = x.mean(0)
            self._known[rows.tobytes()] = x - mean, mean, (x - mean).T @ (x - mean)
        return self._known[rows.tobytes()]

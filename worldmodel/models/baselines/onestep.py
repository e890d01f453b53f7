"""A linear autoregression with actions, one step at a time, rolled out."""

import dataclasses

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import evenly, hold, namespace, scan
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.ridge import ridge
from worldmodel.models.baselines.simple import hold_last
from worldmodel.models.baselines.view import Examples, View
from worldmodel.types import Array

_PENALTIES = (1e-7, 1e-5, 1e-3, 1e-1)  # of normalised inputs; select episodes choose
_LAGS = (1, 2, 4, 8, 16)  # ticks; so are these
_ROWS = 40_000  # of the regression: more windows change nothing


@dataclasses.dataclass
class OneStep:
    """The next change of every reading, from those of the last ticks and the actions; 0 if it has no lags.

    Attributes:
        weights: [lags * (Y + A) + 1, Y] the oldest tick first, readings before actions.
        lags: how many ticks it sees.
        penalty: the ridge that the weights were fitted with.
    """

    weights: Array
    lags: int
    penalty: float = 0.0

    @classmethod
    def candidates(cls, examples: Examples, allowance: Allowance = UNLIMITED) -> list["OneStep"]:
        """One for each choice of lags and penalty, and one that holds the last reading; few lags are tried first."""
        found = [cls(np.zeros((0, examples.came.shape[-1])), 0)]
        for lags in (n for n in _LAGS if n < examples.view.held.shape[1]):
            if lags > _LAGS[0] and allowance.is_over:
                allowance.leave_out("more lags of the linear model")
                break
            found += cls.fit(examples, lags, _PENALTIES)
        return found

    @classmethod
    def fit(cls, examples: Examples, lags: int, penalties: tuple[float, ...]) -> list["OneStep"]:
        """Fits the steps of the horizon, where the frame is that in which it is rolled out.

        A tick without a fresh reading contributes its held value, whose change is 0: so does the rollout see it.
        """
        if not lags:
            return [cls(np.zeros((0, examples.came.shape[-1])), 0) for _ in penalties]
        held, acted = _series(examples)
        context, horizon = held.shape[1] - examples.came.shape[1], examples.came.shape[1]
        count = min(max(_ROWS // len(held), 1), horizon)
        ticks = context - 1 + evenly(horizon, count)
        spans = [slice(tick - lags + 1, tick + 1) for tick in ticks]
        inputs = np.concatenate([_inputs(held[:, span], acted[:, span]) for span in spans])
        change = np.concatenate([held[:, tick + 1] - held[:, tick] for tick in ticks])
        fitted = ridge(inputs, change, np.ones(change.shape, bool), penalties)
        return [cls(weights, lags, penalty) for weights, penalty in zip(fitted, penalties, strict=True)]

    def predict(self, view: View) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead."""
        if not self.lags:
            return hold_last(view)
        xp, acted = namespace(view.held), view.past[:, view.past.shape[1] + 1 - self.lags :]
        weights, constant = self.weights[:-1], self.weights[-1]

        def step(seen, led):
            held, acted = seen[0], xp.concatenate([seen[1], led[:, None]], 1)
            now = held[:, -1] + _inputs(held, acted) @ weights + constant
            return (xp.concatenate([held[:, 1:], now[:, None]], 1), acted[:, 1:]), now

        ahead = scan(step, (view.held[:, -self.lags :], acted), xp.swapaxes(view.ahead, 0, 1))
        return xp.swapaxes(ahead, 0, 1)


def _series(examples: Examples) -> tuple[Array, Array]:
    """Readings held over context and horizon [B, C + H, Y], and actions [B, C - 1 + H, A]."""
    view = examples.view
    values, mask = (np.concatenate(pair, 1) for pair in ((view.readings, examples.came), (view.mask, examples.mask)))
    held, known = hold(values, mask)
    return np.where(known, held, 0.0), np.concatenate([view.past, view.ahead], 1)


def _inputs(readings: Float[Array, "B L Y"], acted: Float[Array, "B L A"]) -> Float[Array, "B F"]:
    """What a step sees: L ticks, all their readings and then all their actions."""
    return namespace(readings).concatenate([x.reshape(len(readings), -1) for x in (readings, acted)], 1)

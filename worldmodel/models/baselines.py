"""What a world model has to beat: holding the last reading, constant velocity, and a linear model.

All work on the readings at the tick (a stream's last slot), normalised, as the world model does.
"""

import dataclasses
from pathlib import Path

import numpy as np

from worldmodel.files import readable, whole_file
from worldmodel.logs.windows import Context, Windows
from worldmodel.types import Commands

_WINDOWS = 1500
_RIDGES = (1e-3, 1e-1, 10.0, 1000.0)
_LAGS = (1, 2, 4, 8, 16)
_SPANS = (2, 4, 8, 16, 32)


@dataclasses.dataclass
class Baselines:
    """Fitted on the training episodes, kept with the run.

    Attributes:
        newest: int [Y] columns of the readings at the tick.
        mean, std: float32 [Y] of those readings; action_mean, action_std [A] of the actions.
        spans: int [Y] ticks of context over which each column's velocity is a least-squares slope.
        weights: float64 [lags * (Y + A) + 1, Y] of the ridge ARX model: the next change of every reading.
        lags: how many past ticks the ARX model sees.
    """

    newest: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    action_mean: np.ndarray
    action_std: np.ndarray
    spans: np.ndarray
    weights: np.ndarray
    lags: int

    @classmethod
    def fit(cls, windows: Windows, scaling, seed: int) -> "Baselines":
        """Chooses velocity spans, ARX lags and ridge on the training windows by their open-loop error."""
        starts = windows.starts()
        rng = np.random.default_rng([seed, 0xBA5E])
        chosen = starts[rng.integers(len(starts), size=min(_WINDOWS, len(starts)))]
        context, future = windows.cut(chosen, windows.horizon)
        newest = windows.layout.newest
        moments = [np.asarray(x) for x in scaling]
        fitted = cls(
            newest, moments[0][newest], moments[1][newest], moments[2], moments[3], np.full(len(newest), 2),
            np.zeros((0, len(newest))), 0,
        )  # fmt: skip
        truth = (future.values[..., newest] - fitted.mean) / fitted.std
        mask = future.mask[..., newest]
        fitted.spans = fitted._best_spans(context, truth, mask)
        fitted._fit_arx(context, future.actions, truth, mask)
        return fitted

    def predict(self, name: str, context: Context, actions: Commands) -> np.ndarray:
        """Readings at the tick [B, H, Y] in their units, by `hold`, `velocity` or `linear`, under actions [B, H, A]."""
        horizon = actions.values.shape[1]
        past, _ = self._held(context)
        if name == "hold":
            ahead = np.repeat(past[:, -1:], horizon, 1)
        elif name == "velocity":
            ahead = self._velocity(context, self.spans, horizon)
        elif name == "linear":
            ahead = self._roll_arx(past, self._scaled(context.actions), self._scaled(actions), self.weights, self.lags)
        else:
            raise ValueError(f"hold, velocity or linear, not {name!r}")
        return ahead * self.std + self.mean

    def save(self, path: Path) -> None:
        with whole_file(path, force=True) as partial:
            np.savez(partial, **dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> "Baselines":
        with readable(path), np.load(path) as file:
            return cls(**{**{k: file[k] for k in file.files}, "lags": int(file["lags"])})

    def _scaled(self, actions: Commands) -> np.ndarray:
        return actions.mask * (actions.values - self.action_mean) / self.action_std

    def _held(self, context: Context) -> tuple[np.ndarray, np.ndarray]:
        """Past readings [B, C, Y], each held until the next (0, the mean, before the first), and their mask."""
        mask = context.mask[..., self.newest]
        values = np.where(mask, (context.values[..., self.newest] - self.mean) / self.std, 0.0)
        ticks = np.arange(mask.shape[1])[None, :, None]
        last = np.maximum.accumulate(np.where(mask, ticks, 0), 1)
        return np.take_along_axis(values, last, 1), mask

    def _velocity(self, context: Context, spans: np.ndarray, horizon: int) -> np.ndarray:
        """The least-squares line through the last `spans` ticks' readings, extended: [B, H, Y]."""
        held, mask = self._held(context)
        ticks = np.arange(1 - held.shape[1], 1)[None, :, None]
        weight = mask & (ticks > -spans)
        count = np.maximum(weight.sum(1), 1)
        middle = (weight * ticks).sum(1) / count
        level = (weight * held).sum(1) / count
        offset = ticks - middle[:, None]
        variance = (weight * offset**2).sum(1)
        slope = (weight * offset * (held - level[:, None])).sum(1) / np.maximum(variance, 1e-9)
        known = variance > 0
        ahead = np.arange(1, horizon + 1)[None, :, None] - middle[:, None]
        line = level[:, None] + slope[:, None] * ahead
        return np.where(known[:, None], line, held[:, -1:])

    def _best_spans(self, context: Context, truth: np.ndarray, mask: np.ndarray) -> np.ndarray:
        ticks = context.values.shape[1]
        spans = sorted({min(span, ticks) for span in (*_SPANS, ticks)})
        seen = context.mask[..., self.newest]
        errors = []
        for span in spans:
            ahead = self._velocity(context, np.full(len(self.newest), span), truth.shape[1])
            slopes = (seen[:, -span:].sum(1) > 1).mean(0) > 0.5  # else it would mostly hold the last reading
            errors.append(np.where(slopes | (span == ticks), (np.abs(ahead - truth) * mask).sum((0, 1)), np.inf))
        return np.asarray(spans)[np.argmin(errors, 0)]

    def _fit_arx(self, context: Context, future_actions: Commands, truth: np.ndarray, mask: np.ndarray) -> None:
        """One-step ridge regression on the contexts; lags and ridge by the error of the whole rollout on a third."""
        held, seen = self._held(context)
        actions = self._scaled(context.actions)
        fit = slice(len(held) // 3, None)
        test = slice(0, max(len(held) // 3, 1))
        best = np.inf
        for lags in (n for n in _LAGS if n < held.shape[1]):
            inputs, target = _regression(held[fit], seen[fit], actions[fit], lags)
            gram, moment = inputs.T @ inputs, inputs.T @ target
            for ridge in _RIDGES:
                weights = np.linalg.solve(gram + ridge * np.eye(len(gram)), moment)
                future = self._scaled(Commands(*(x[test] for x in future_actions)))
                with np.errstate(all="ignore"):
                    ahead = self._roll_arx(held[test], actions[test], future, weights, lags)
                    error = float((np.abs(ahead - truth[test]) * mask[test]).sum())
                if error < best:
                    best, self.weights, self.lags = error, weights, lags

    @staticmethod
    def _roll_arx(past, past_actions, actions, weights, lags) -> np.ndarray:
        if lags == 0:
            return np.repeat(past[:, -1:], actions.shape[1], 1)
        readings = list(past[:, -lags:].swapaxes(0, 1))
        acted = list(np.concatenate([past_actions, actions], 1)[:, -(lags - 1 + actions.shape[1]) :].swapaxes(0, 1))
        one = np.ones((len(past), 1))
        for tick in range(actions.shape[1]):
            inputs = np.concatenate([*readings[-lags:], *acted[tick : tick + lags], one], 1)
            readings.append(readings[-1] + inputs @ weights)
        return np.stack(readings[lags:], 1)


def _regression(held: np.ndarray, seen: np.ndarray, actions: np.ndarray, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [M, lags * (Y + A) + 1] and next changes [M, Y] at every tick of the contexts.

    A tick without a fresh reading contributes its held value, whose change is 0: so does the rollout see it.
    """
    rows, targets = [], []
    for tick in range(lags - 1, held.shape[1] - 1):
        window = [held[:, tick - lags + 1 + i] for i in range(lags)]
        acted = [actions[:, tick - lags + 1 + i] for i in range(lags)]
        rows.append(np.concatenate([*window, *acted, np.ones((len(held), 1))], 1))
        targets.append(held[:, tick + 1] - held[:, tick])
    return np.concatenate(rows), np.concatenate(targets)

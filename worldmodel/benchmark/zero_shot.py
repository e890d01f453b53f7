"""Pretrained time-series models as predictors: readings are their targets, commands are covariates known ahead."""

from collections.abc import Callable
from typing import Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.validate.forecast import Forecast
from worldmodel.validate.problem import Problem

MEMBERS = 32
_LEVELS = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())

Quantiles = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class ZeroShot:
    """A model that was trained on other series, such as Chronos-2 or TiRex-2, asked without any training here.

    It forecasts features (angles as sine and cosine, positions relative to the context's last one), so that nothing
    wraps. Members are quantiles at levels evenly apart: each column's intervals are the model's own, and members of one
    level belong together over time by assumption.

    Args:
        name: what tables call it.
        forecast: `(past, past_covariates, future_covariates) -> quantiles`: features [N, C, Y], NaN where there was no
            reading; the command that led to each tick of the past [N, C, A], NaN where it is unknown; those that lead
            to each tick ahead [N, H, A]; and what is asked for, [N, Q, H, Y] at `levels`.
        levels: of the quantiles, rising.
        batch: windows that are asked at once.
    """

    def __init__(self, name: str, forecast: Quantiles, levels: tuple[float, ...] = _LEVELS, batch: int = 64) -> None:
        self.name, self._forecast, self._levels, self._batch = name, forecast, np.asarray(levels), batch

    def predict(self, problem: Problem) -> Forecast:
        """Members that are the model's quantiles, and its median as the mean."""
        past, covariates, ahead = _series(problem)
        parts = [
            np.asarray(
                self._forecast(past[i : i + self._batch], covariates[i : i + self._batch], ahead[i : i + self._batch])
            )
            for i in range(0, len(past), self._batch)
        ]
        quantiles = np.concatenate(parts)
        wanted = (np.arange(MEMBERS) + 0.5) / MEMBERS
        members = _at_levels(quantiles, self._levels, wanted)
        median = _at_levels(quantiles, self._levels, np.array([0.5]))[:, 0]
        note = f"{self.name} was trained on other data, and is asked as it is."
        return Forecast(_by_stream(problem, median), _by_stream(problem, members), note=note)


def chronos(pipeline: Any, levels: tuple[float, ...] = _LEVELS) -> Quantiles:
    """How a Chronos-2 pipeline (`chronos.Chronos2Pipeline`, Apache-2.0) is asked; for `ZeroShot(forecast=...)`."""

    def forecast(past: np.ndarray, covariates: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        names = [f"action {i}" for i in range(ahead.shape[-1])]
        inputs = [
            {
                "target": past[i].T,
                "past_covariates": dict(zip(names, covariates[i].T, strict=True)),
                "future_covariates": dict(zip(names, ahead[i].T, strict=True)),
            }
            for i in range(len(past))
        ]
        quantiles, _ = pipeline.predict_quantiles(
            inputs, prediction_length=ahead.shape[1], quantile_levels=list(levels)
        )
        return np.stack([np.moveaxis(np.asarray(q), (0, 1, 2), (2, 1, 0)) for q in quantiles])

    return forecast


def _series(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [W, C, Y] of the readings at the ticks, and the commands that led to them [W, C, A], NaN where unknown;
    and the commands [W, H, A] that lead to the ticks ahead.
    """
    context, newest = problem.context, problem.layout.newest
    past = np.where(context.mask[..., newest], context.values[..., newest], np.nan)
    led = np.where(context.actions.mask, context.actions.values, np.nan)
    return past, np.pad(led, ((0, 0), (1, 0), (0, 0)), constant_values=np.nan), np.asarray(problem.commands.values)


def _at_levels(quantiles: np.ndarray, levels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Quantiles [N, Q, ...] at `levels`, at the `wanted` ones: between their neighbours, or the outermost."""
    place = np.interp(wanted, levels, np.arange(len(levels)))
    low = np.minimum(place.astype(int), len(levels) - 2)
    share = (place - low).reshape(-1, *[1] * (quantiles.ndim - 2))
    return (1 - share) * quantiles[:, low] + share * quantiles[:, low + 1]


def _by_stream(problem: Problem, readings: np.ndarray) -> dict[str, np.ndarray]:
    """Physical values by stream from features [..., Y] of all readings."""
    columns = problem.layout.reading_columns
    return {spec.name: codec(spec).physical(readings[..., columns[spec.name]]) for spec in problem.readings}

"""Where a predictor believes a machine to be while its position is not told: carried along by its own predictions."""

import dataclasses

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import last_valid
from worldmodel.codecs import codec
from worldmodel.logs.windows import Context, make_relative
from worldmodel.models.objective import at_sample_times
from worldmodel.types import StreamSpec
from worldmodel.validate.forecast import Forecast, Predictor, ask
from worldmodel.validate.problem import Problem

_STEP_S = 0.5  # at most this far ahead is a position taken from one forecast


def carried(predictor: Predictor, problem: Problem, stream: StreamSpec, ticks: int) -> Forecast:
    """What a predictor says whose positions are out for the last `ticks` before each start, while all else goes on.

    It is asked again and again, at most half a second ahead, and its own predictions stand where fixes would have
    come: this is what any predictor can do that has no filter of its own, dead reckoning as well. Positions are
    relative to the problem's last fix, though that did not come, so that they are scored as those of others.

    Args:
        predictor: any.
        problem: with its answers, in whose log the contexts of earlier moments are. Its starts lie the outage and a
            context after the beginning of their episodes.
        stream: the one that tells positions.
        ticks: how long it is out.
    """
    outage, step = _Outage(problem, stream, ticks), max(round(_STEP_S / problem.dt), 1)
    for back in range(ticks, 0, -step):
        ahead = ask(predictor, outage.at(back)).mean.get(stream.name)
        if ahead is None:
            return Forecast()
        outage.fill(back, ahead[:, : min(step, back)])
    return outage.as_asked(ask(predictor, dataclasses.replace(outage.at(0), frame_ticks=problem.frame_ticks)))


class _Outage:
    """The ticks of the context at the outage's start, and all since, with the readings of one stream replaced."""

    def __init__(self, problem: Problem, stream: StreamSpec, ticks: int) -> None:
        self._problem, self._stream, self._ticks = problem, stream, ticks
        self._context = problem.context.values.shape[1]
        span = problem.truth.windows.ticks.spans(problem.starts, 1 - self._context - ticks, self._context + ticks)
        self._values, self._mask, self._age = span.values.copy(), span.mask.copy(), span.age_s
        self._slots = problem.layout.slot_columns(stream)
        self._came = np.any(span.mask[..., self._slots], axis=(-2, -1))
        self._mask[:, self._context :, self._slots] = False

    def at(self, back: int) -> Problem:
        """The problem so many ticks before the starts, with what has been filled in until then."""
        problem, part = self._problem, slice(self._ticks - back, self._ticks - back + self._context)
        windows, starts = problem.truth.windows, problem.starts - [0, back]
        seen, future = windows.cut(starts, problem.horizon)
        values, mask = self._values[:, part].copy(), self._mask[:, part].copy()
        make_relative(problem.layout, values, mask, self._context)
        context = Context(values, mask, self._age[:, part], *seen[3:])
        return dataclasses.replace(
            problem, starts=starts, context=context, commands=future.actions, frame_ticks={}, answers=None
        )

    def fill(self, back: int, ahead: Float[np.ndarray, "W T P"]) -> None:
        """Takes predictions of the ticks that follow the moment `back` before the starts for what was read."""
        first = self._ticks - back + self._context
        ticks = slice(first, first + ahead.shape[1])
        age = self._age[:, ticks, self._problem.layout.readings.index(self._stream)] / self._problem.dt
        features = at_sample_times(
            codec(self._stream).features_of(ahead), np.where(np.isfinite(age), age, 0)[..., None]
        )
        self._values[:, ticks, self._slots[-1]] = features + self._fix(first)[:, None]
        self._mask[:, ticks, self._slots[-1]] = self._came[:, ticks, None]

    def as_asked(self, forecast: Forecast) -> Forecast:
        """A forecast of the starts relative to the last real fix."""
        name, windows = self._stream.name, self._problem.truth.windows
        real = np.nan_to_num([windows.last_fix(e, t, name) for e, t in self._problem.starts])
        moved = codec(self._stream).physical(self._fix(self._values.shape[1])) - codec(self._stream).physical(real)
        mean = {**forecast.mean, name: forecast.mean[name] + moved[:, None]}
        members = dict(forecast.members)
        if name in members:
            members[name] = members[name] + moved[:, None, None]
        return forecast._replace(mean=mean, members=members)

    def _fix(self, end: int) -> Float[np.ndarray, "W F"]:
        """The newest place that is known before tick `end`, where a context that ends there has one."""
        part = slice(end - self._context, end)
        values, there = (x[:, part][..., self._slots] for x in (self._values, self._mask))
        shape = (len(values), -1, self._slots.shape[1])
        last, known = last_valid(values.reshape(shape), there.reshape(shape))
        return np.where(known & codec(self._stream).relative, last, 0.0)

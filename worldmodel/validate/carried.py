"""Where a machine is believed to be while its position is not told.

Where odometry has it, if that is followed; else where a predictor's own predictions carry it.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import last_valid
from worldmodel.codecs import codec
from worldmodel.logs.followed import beginning_of, follow, stand_in
from worldmodel.logs.windows import Context, carry_in, last_fixes, make_relative
from worldmodel.models.objective import at_sample_times
from worldmodel.types import StreamSpec
from worldmodel.validate.forecast import Forecast, Predictor, ask
from worldmodel.validate.problem import Problem

_STEP_S = 0.5  # at most this far ahead is a position taken from one forecast


def carried(predictor: Predictor, problem: Problem, stream: StreamSpec, ticks: int) -> Forecast:
    """What a predictor says whose positions are out for the last `ticks` before each start, while all else goes on.

    Where the stream is followed (`Windows.followers`), everyone sees what is followed without those fixes. Else a
    predictor is asked again and again, at most half a second ahead, and its own predictions stand where fixes would
    have come: this is what any predictor can do that has no filter of its own, dead reckoning as well. Positions are
    relative to the problem's last fix, though that did not come, so that they are scored as those of others.

    Args:
        predictor: any.
        problem: with its answers, in whose log the contexts of earlier moments are. Its starts lie the outage and a
            context after the beginning of their episodes.
        stream: the one that tells positions.
        ticks: how long it is out.
    """
    if stream.name in {f.stream for f in problem.truth.windows.followers}:
        seen, fix = _followed(problem, stream, ticks)
        return as_asked(ask(predictor, seen), problem, stream, fix)
    outage, step = _Outage(problem, stream, ticks), max(round(_STEP_S / problem.dt), 1)
    for back in range(ticks, 0, -step):
        ahead = ask(predictor, outage.at(back)).mean.get(stream.name)
        if ahead is None:
            return Forecast()
        outage.fill(back, ahead[:, : min(step, back)])
    told = ask(predictor, dataclasses.replace(outage.at(0), frame_ticks=problem.frame_ticks))
    return as_asked(told, problem, stream, outage.fix)


def _followed(problem: Problem, stream: StreamSpec, ticks: int) -> tuple[Problem, Float[np.ndarray, "W F"]]:
    """The problem as it is seen without the stream's last `ticks`, and the places that this is relative to.

    Where odometry cannot tell, that is the last fix before them.
    """
    layout, windows, count = problem.layout, problem.truth.windows, problem.context.values.shape[1]
    spans, before = [], []
    for episode, tick in problem.starts:
        whole = windows.ticks[episode]
        part = slice(0, tick + 1)
        mask, age_s = whole.mask[part].copy(), whole.age_s[part].copy()
        mask[-ticks:, layout.slot_columns(stream)] = False
        i = layout.readings.index(stream)
        age_s[-ticks:, i] = age_s[-ticks - 1, i] + layout.dt * np.arange(1, ticks + 1)
        read = whole._replace(values=whole.values[part], mask=mask, age_s=age_s)
        seen = follow(read, layout, windows.followers)
        before.append(last_fixes(layout, read.values[None], mask[None])[stream.name][0])
        spans.append([x[-count:] for x in (seen.values, seen.mask, seen.age_s, whole.held[part], seen.followed)])
    values, mask, age_s, held, followed = (np.stack(parts) for parts in zip(*spans, strict=True))
    stand_in(layout, windows.followers, followed, values, mask, age_s)
    carry_in(layout, held[:, 0], values, mask)
    known = last_fixes(layout, values, mask)[stream.name]
    fix = np.where(np.isfinite(known), known, before)
    make_relative(layout, values, mask, count)
    context = problem.context._replace(values=values, mask=mask, age_s=age_s)
    begins = tuple(beginning_of(layout, windows.followers, each[-1]) for each in followed)
    return dataclasses.replace(problem, context=context, begins=begins), fix


def as_asked(forecast: Forecast, problem: Problem, stream: StreamSpec, fix: Float[np.ndarray, "W F"]) -> Forecast:
    """A forecast relative to places `fix`, relative to those that the problem's answers are relative to."""
    name, windows, own = stream.name, problem.truth.windows, codec(stream)
    if name not in forecast.mean:
        return forecast
    real = np.nan_to_num(windows.last_fixes(problem.starts)[name])
    moved = own.physical(np.nan_to_num(fix)) - own.physical(real)
    mean, members = {**forecast.mean, name: forecast.mean[name] + moved[:, None]}, dict(forecast.members)
    if name in members:
        members[name] = members[name] + moved[:, None, None]
    return forecast._replace(mean=mean, members=members)


class _Outage:
    """The ticks of the context at the outage's start, and all since, with the readings of one stream replaced."""

    def __init__(self, problem: Problem, stream: StreamSpec, ticks: int) -> None:
        self._problem, self._stream, self._ticks = problem, stream, ticks
        self._context = problem.context.values.shape[1]
        span = problem.truth.windows.ticks.spans(problem.starts, 1 - self._context - ticks, self._context + ticks)
        self._values, self._mask, self._age = span.values.copy(), span.mask.copy(), span.age_s
        self._held = span.held
        self._slots = problem.layout.slot_columns(stream)
        self._came = np.any(span.mask[..., self._slots], axis=(-2, -1))
        self._mask[:, self._context :, self._slots] = False

    def at(self, back: int) -> Problem:
        """The problem so many ticks before the starts, with what has been filled in until then."""
        problem, part = self._problem, slice(self._ticks - back, self._ticks - back + self._context)
        windows, starts = problem.truth.windows, problem.starts - [0, back]
        seen, future = windows.cut(starts, problem.horizon)
        values, mask = self._values[:, part].copy(), self._mask[:, part].copy()
        carry_in(problem.layout, self._held[:, part.start], values, mask)
        make_relative(problem.layout, values, mask, self._context)
        context = Context(values, mask, self._age[:, part], *seen[3:])
        return dataclasses.replace(
            problem, starts=starts, context=context, commands=future.actions, frame_ticks={}, answers=None,
            begins=windows.beginnings(starts),
        )  # fmt: skip

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

    @property
    def fix(self) -> Float[np.ndarray, "W F"]:
        """The newest place that is believed at the starts."""
        return self._fix(self._values.shape[1])

    def _fix(self, end: int) -> Float[np.ndarray, "W F"]:
        """The newest place that is known before tick `end`, where a context that ends there has one."""
        part = slice(end - self._context, end)
        values, there = (x[:, part][..., self._slots] for x in (self._values, self._mask))
        shape = (len(values), -1, self._slots.shape[1])
        last, known = last_valid(values.reshape(shape), there.reshape(shape))
        return np.where(known & codec(self._stream).relative, last, 0.0)

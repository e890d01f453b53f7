"""Faults of sensors in what was seen: the same starts, with part of their context missing or wrong."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.arrays import last_valid, newest
from worldmodel.codecs import codec
from worldmodel.logs.windows import CONTEXT_FRAMES
from worldmodel.types import StreamSpec
from worldmodel.validate.problem import Problem

_SALT = 0xFA17


def positions(problem: Problem) -> tuple[StreamSpec, ...]:
    """The streams that tell a place, such as GPS."""
    return tuple(s for s in problem.readings if codec(s).turning.place is not None)


def sensors(problem: Problem) -> tuple[StreamSpec, ...]:
    """The streams that tell none, fastest first."""
    others = [s for s in problem.readings if s not in positions(problem)]
    return tuple(sorted(others, key=lambda s: -s.rate_hz))


def fastest(problem: Problem) -> tuple[StreamSpec, ...]:
    """The sensors that share the highest rate: on most machines its IMU."""
    found = sensors(problem)
    return tuple(s for s in found if s.rate_hz == found[0].rate_hz)


def drop(problem: Problem, streams: tuple[StreamSpec, ...], share: float = 0.5, seed: int = 0) -> Problem:
    """Each sample of these streams is lost with a probability of `share`, all at one moment together."""
    context, layout = problem.context, problem.layout
    mask, age_s = np.array(context.mask), np.array(context.age_s)
    rng = np.random.default_rng([seed, _SALT])
    for spec in streams:
        slots, i = layout.slot_columns(spec), layout.readings.index(spec)
        kept = rng.random((*mask.shape[:2], len(slots))) >= share
        there = np.any(mask[..., slots], axis=-1)
        mask[..., slots] &= kept[..., None]
        age_s[..., i] = _aged(age_s[..., i], there, there & kept, layout.dt)
    return _seeing(problem, np.where(mask, context.values, 0), mask, age_s)


def stick(problem: Problem, spec: StreamSpec, ticks: int) -> Problem:
    """A sensor goes on reading for the last `ticks` of the context what it read before them."""
    columns = problem.layout.slot_columns(spec)
    values, first = np.array(problem.context.values), problem.context.values.shape[1] - ticks
    slots = values[..., columns].reshape(len(values), -1, columns.shape[1])  # of one feature, in time order
    there = problem.context.mask[..., columns].reshape(slots.shape)
    read = first * len(columns)
    held, known = last_valid(slots[:, :read], there[:, :read])
    stuck = np.where(known, held, 0.0)[:, None, None]
    values[:, first:, columns] = np.where(problem.context.mask[:, first:, columns], stuck, 0.0)
    return _seeing(problem, values, problem.context.mask, problem.context.age_s)


def freeze(problem: Problem, ticks: int) -> Problem:
    """Every camera shows, stamped as new, the last frame that it took `ticks` before the end of the context."""
    windows, shown, there = problem.truth.windows, [], []
    first = 1 - problem.context.values.shape[1]
    before = windows.ticks.spans(problem.starts, first, 1 - first - ticks).frames
    for i in range(len(problem.layout.videos)):
        frames, known = windows.frames(i, problem.starts, before[..., i].max(1)[:, None])
        seen, mask = problem.context.frames[i], problem.context.frames_mask[i]
        there.append(mask & known)
        frozen = np.repeat(frames, CONTEXT_FRAMES, 1)
        shown.append(np.where(there[-1][..., None, None, None], frozen, seen))
    context = problem.context._replace(frames=tuple(shown), frames_mask=tuple(there))
    return dataclasses.replace(problem, context=context)


def _seeing(problem: Problem, values: np.ndarray, mask: np.ndarray, age_s: np.ndarray) -> Problem:
    return dataclasses.replace(problem, context=problem.context._replace(values=values, mask=mask, age_s=age_s))


def _aged(
    age_s: Float[np.ndarray, "W C"], there: Bool[np.ndarray, "W C N"], kept: Bool[np.ndarray, "W C N"], dt: float
) -> Float[np.ndarray, "W C"]:
    """Seconds since the newest sample `kept` in N slots a tick; infinite where all that were `there` are lost."""
    slots, tick = there.shape[2], np.arange(age_s.shape[1])
    older = np.where(kept.any(-1), newest(there, 2)[..., -1] - newest(kept, 2)[..., -1], 0) * dt / slots
    last = newest(kept.any(-1))
    aged = np.take_along_axis(age_s + older, np.maximum(last, 0), 1) + dt * (tick - last)
    never = np.where(there.any(-1).cumsum(1) > 0, np.inf, age_s)
    return np.where(last >= 0, aged, never).astype(age_s.dtype)

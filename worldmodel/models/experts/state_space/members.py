"""Fits from different first units, and which of them are a state space's members."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.experts.state_space.fitting import (
    BELIEFS,
    Belief,
    Member,
    Recipe,
    add_terms,
    fit_again,
    fit_linear,
)
from worldmodel.models.experts.state_space.traces import Traces

_FINISHED = 6  # fits that go on to the end
_BLOCKS = 3  # of the recordings, that are left out in turn
_MEMBERS, _ALIKE = 3, 1.1  # the best of these, that err no more than so many times as much as the very best


def squares_ahead(
    member: Member, traces: Traces, context: int, left_out: Bool[np.ndarray, "W T"]
) -> Float[np.ndarray, "K Y"]:
    """Sums of squared errors ahead of contexts, of what was left out, for each of the K beliefs."""
    ahead, count = slice(context, None), len(traces.mask)
    windows = np.tile(np.arange(count), len(BELIEFS))
    belief = Belief(*np.repeat(np.array(BELIEFS), count, 0).T)
    said = member.predict(traces.until(context).take(windows), traces.actions[windows, context - 1 :], belief)
    came = traces.readings[:, ahead]
    counted = traces.mask[:, ahead] & left_out[:, ahead, None]
    return ((said.reshape(-1, *came.shape) - came) ** 2 * counted).sum((1, 2))


def log_errors(squares: Float[np.ndarray, "*k Y"], traces: Traces, context: int) -> Float[np.ndarray, "*k"]:
    """Logarithms of mean squared errors ahead of contexts, averaged over readings."""
    count = np.maximum(traces.mask[:, context:].sum((0, 1)), 1)
    return np.log(squares / count + 1e-12).mean(-1)


def drawn(
    recipe: Recipe, traces: Traces, context: int, seeds: Sequence[int], belief: Belief, allowance: Allowance = UNLIMITED
) -> tuple[list[Member], Belief]:
    """The best of the fits from different units, all from one linear fit on, and how far to believe a context.

    Most end where they are not the best by far, and some that fit as well as any are lost where they never were. So
    each is fitted again without a third of the recordings in turn, and those that err least there are members.
    """
    found = add_terms(recipe, *fit_linear(recipe, traces), traces, seeds, _FINISHED, allowance)
    tick = traces.stretches(1)
    if len(found) == 1 or tick.max() < _BLOCKS * traces.mask.shape[1]:
        return found[:1], belief
    if allowance.is_over:
        allowance.leave_out("measuring fits of the state space")
        return found[:1], belief
    block = tick * _BLOCKS // (tick.max() + 1)
    squares = [_left_out(recipe, found, traces, context, block == i) for i in range(_BLOCKS)]
    errors = log_errors(np.sum(squares, 0), traces, context)
    order = errors.min(1).argsort()[:_MEMBERS]
    kept = [i for i in order if errors[i].min() <= errors.min() + 2 * np.log(_ALIKE)]
    return [found[i] for i in kept], BELIEFS[int(errors[kept].mean(0).argmin())]


def _left_out(
    recipe: Recipe, members: Sequence[Member], traces: Traces, context: int, left_out: Bool[np.ndarray, "W T"]
) -> Float[np.ndarray, "M K Y"]:
    """Sums of squared errors of members that were fitted again without what is left out, by belief."""
    rest = traces.without(left_out)
    begin = [(member, member.start(rest.until(context), Belief())) for member in members]
    again = fit_again(recipe, fit_linear(recipe, rest)[0], rest, begin)
    return np.stack([squares_ahead(member, traces, context, left_out) for member in again])

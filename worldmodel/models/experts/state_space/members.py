"""Fits from different first units, and which of them are a state space's members."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

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
_MEMBERS = 3  # the best of these at most


def ahead_of(member: Member, traces: Traces, context: int) -> Float[np.ndarray, "K W H Y"]:
    """What a member predicts ahead of contexts, for each of the K beliefs."""
    count = len(traces.mask)
    windows = np.tile(np.arange(count), len(BELIEFS))
    belief = Belief(*np.repeat(np.array(BELIEFS), count, 0).T)
    said = member.predict(traces.until(context).take(windows), traces.actions[windows, context - 1 :], belief)
    return said.reshape(len(BELIEFS), count, *said.shape[1:])


def squares(
    said: Float[np.ndarray, "*k W H Y"], traces: Traces, context: int, counted: Bool[np.ndarray, "*w T"] | bool = True
) -> Float[np.ndarray, "*k Y"]:
    """Sums of squared errors of what is said of ticks that count."""
    there = traces.mask & np.broadcast_to(counted, traces.mask.shape[:2])[..., None]
    return ((said - traces.readings[:, context:]) ** 2 * there[:, context:]).sum((-3, -2))


def log_errors(total: Float[np.ndarray, "*k Y"], traces: Traces, context: int) -> Float[np.ndarray, "*k"]:
    """Logarithms of mean squared errors ahead of contexts, averaged over readings."""
    count = np.maximum(traces.mask[:, context:].sum((0, 1)), 1)
    return np.log(total / count + 1e-12).mean(-1)


def drawn(
    recipe: Recipe, traces: Traces, context: int, seeds: Sequence[int], belief: Belief, allowance: Allowance = UNLIMITED
) -> tuple[list[Member], Belief]:
    """The best of the fits from different units, all from one linear fit on, and how far to believe a context.

    Most end where they are not the best by far, and some that fit as well as any are lost where they never were. So
    each is fitted again without a third of the recordings in turn. Those that err least there are members: as many as
    have the best median. Refits begin where the fits ended, and their penalties hold them there, so that all errors are
    flattered alike.
    """
    found = add_terms(recipe, *fit_linear(recipe, traces), traces, seeds, _FINISHED, allowance)
    tick = traces.stretches(1)
    if len(found) == 1 or tick.max() < _BLOCKS * traces.mask.shape[1]:
        return found[:1], belief
    if allowance.is_over:
        allowance.leave_out("measuring fits of the state space")
        return found[:1], belief
    said = _of_what_is_left_out(recipe, found, traces, context, tick * _BLOCKS // (tick.max() + 1))
    order = log_errors(squares(said, traces, context), traces, context).min(1).argsort()[:_MEMBERS]
    teams = [order[: count + 1] for count in range(len(order))]
    errors = [log_errors(squares(np.median(said[team], 0), traces, context), traces, context) for team in teams]
    best, belief_at = np.unravel_index(np.argmin(errors), np.shape(errors))
    return [found[i] for i in teams[best]], BELIEFS[belief_at]


def _of_what_is_left_out(
    recipe: Recipe, members: Sequence[Member], traces: Traces, context: int, block: Int[np.ndarray, "W T"]
) -> Float[np.ndarray, "M K W H Y"]:
    """What members predict of each tick that were fitted again without its block, by belief."""
    said = np.zeros(())
    for number in range(_BLOCKS):
        left_out = block == number
        rest = traces.without(left_out)
        begin = [(member, member.start(rest.until(context), Belief())) for member in members]
        again = fit_again(recipe, fit_linear(recipe, rest)[0], rest, begin)
        ahead = np.stack([ahead_of(member, traces, context) for member in again])
        said = np.where(left_out[:, context:, None], ahead, said)
    return said

"""What experts predict for windows that they were not fitted on, and how they did inside the contexts of these."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import namespace, scattered
from worldmodel.logs.windows import Context, Windows
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.angles import Angles
from worldmodel.models.experts.closed import RECKONED, Closed
from worldmodel.models.experts.evidence import earlier, errors_within, horizons_within
from worldmodel.models.experts.expert import Expert
from worldmodel.models.objective import at_sample_times
from worldmodel.types import Array, Commands

_WINDOWS, _VALUES = 600, 1 << 21  # windows that experts are measured on at most, and numbers in what one says of them
_VALUES_S, _FEW = 200_000, 100  # how many of those numbers a second, and windows however little time there is
_FOLDS, _BLOCKS = 5, 4  # of episodes, and of a single one in time


class Answer(NamedTuple):
    """What K experts say of B windows.

    Attributes:
        ahead: [K, B, H, Y] normalised readings in the frame of the machine; NaN where one says nothing.
        within: [K, B, E, S] mean squared errors inside the context, by horizon there and stream.
    """

    ahead: Array
    within: Array


class Question(NamedTuple):
    """What experts are asked of B windows.

    Attributes:
        view: at their moments.
        before: at earlier moments of their contexts, `horizons` before the end, with what came of them.
        horizons: ticks; none where contexts are too short for that.
    """

    view: View
    before: Examples | None
    horizons: tuple[int, ...]

    @classmethod
    def of(cls, lens: Lens, context: Context, actions: Commands, horizon: int) -> "Question":
        """Of contexts, under the actions [B, H, A] that follow; inside them no farther than `horizon` ticks."""
        horizons = horizons_within(context.values.shape[1], horizon)
        before = earlier(lens, context, actions, horizons) if horizons else None
        return cls(lens.look(context, actions), before, horizons)


class LeftOut(NamedTuple):
    """N windows, and what K experts predicted for them that were not fitted on them.

    Attributes:
        starts: int [N, 2] episode and tick.
        groups: int [N] the episode of each, or the block of the only one; copies of an episode have one number.
        came, mask, age: [N, H, Y] as in `Examples`.
        led: [N, H, A] normalised actions; NaN where none is known.
        held: [N, Y] the newest readings.
        ahead, within: as in `Answer`.
    """

    starts: Array
    groups: Array
    came: Array
    mask: Array
    age: Array
    led: Array
    held: Array
    ahead: Array
    within: Array

    def of_all(self) -> "LeftOut":
        """The groups of which every expert said something that ever did, if there are such: time may have ended.

        Whole ones, since one that says nothing of a hard window was asked of it.
        """
        spoke, (names, group) = np.isfinite(self.ahead).any((2, 3)), np.unique(self.groups, return_inverse=True)
        asked = np.stack([spoke[:, self.groups == name].any(1) for name in names], 1)
        rows = asked[spoke.any(1)].all(0)[group]
        if not rows.any():
            return self
        return LeftOut(*(x[:, rows] if axis else x[rows] for x, axis in zip(self, _WINDOW_AXES, strict=True)))

    def squared_errors(self, ahead: Float[Array, "*k N H Y"]) -> Float[Array, "*k N H Y"]:
        """Of predictions for these windows, at the samples' times; NaN where nothing came or was said."""
        return np.where(self.mask, at_sample_times(ahead, self.age) - self.came, np.nan) ** 2


_WINDOW_AXES = [int(name in Answer._fields) for name in LeftOut._fields]  # what experts say is by expert first


class Fold(NamedTuple):
    """Starts [M, 2] to fit on and to measure on, the group of each of the latter, and whether they are apart."""

    fit: Array
    measure: Array
    groups: Array
    apart: bool = True


def predictions(experts: Sequence[Expert], view: View) -> list[Float[Array, "B H Y"]]:
    """What each of a run's experts says of a view.

    The linear one is asked once: rates of angles are what it says they are, and places are reckoned along headings that
    these lead to.
    """
    said: dict[int, Array] = {}
    linear, carried, reckoning = None, None, list[int]()
    for i, expert in enumerate(experts):
        if expert.name == RECKONED:
            reckoning.append(i)
            continue
        said[i] = expert.predict(view, linear) if isinstance(expert, Angles) else expert.predict(view)
        linear = said[i] if expert.name == "linear" else linear
        carried = said[i] if isinstance(expert, Angles) else carried
    xp = namespace(view.held)
    readings = linear if linear is None or carried is None else xp.where(xp.isnan(carried), linear, carried)
    for i, expert in ((i, experts[i]) for i in reckoning):
        said[i] = expert.predict(view, readings) if isinstance(expert, Closed) else expert.predict(view)
    return [said[i] for i in range(len(experts))]


def ask(experts: Sequence[Expert], lens: Lens, asked: Question) -> Answer:
    """Asks K experts at the end of contexts, and at earlier moments of them."""
    view, before, horizons = asked
    xp = namespace(view.held)
    ahead = xp.stack([xp.asarray(said) for said in predictions(experts, view)])
    if before is None:
        return Answer(ahead, np.zeros((len(experts), len(view.held), 0, len(lens.layout.readings))))
    earlier_on = [xp.asarray(said) for said in predictions(experts, before.view)]
    return Answer(ahead, xp.stack([errors_within(each, before, lens.layout, horizons) for each in earlier_on]))


def measured(
    experts: Sequence[Expert],
    lens: Lens,
    windows: Windows,
    starts: Int[np.ndarray, "B 2"],
    groups: Int[np.ndarray, " B"],
    allowance: Allowance = UNLIMITED,
) -> LeftOut:
    """Asks experts at starts of groups, at most some hundreds, evenly among them; of fewer where time is short."""
    size = windows.horizon * max(len(lens.centre), 1)
    wanted = min(max(min(_WINDOWS, _VALUES // size), 1), len(starts))
    rows = scattered(
        len(starts), allowance.most(wanted, _FEW, _VALUES_S / size, "measuring experts on as many windows")
    )
    context, future = windows.without_video().cut(starts[rows], windows.horizon)
    asked = Question.of(lens, context, future.actions, windows.horizon)
    seen, answer = lens.seen(context, future), ask(experts, lens, asked)
    led = np.where(seen.view.ahead_mask, seen.view.ahead, np.nan)
    return LeftOut(starts[rows], groups[rows], seen.came, seen.mask, seen.age, led, seen.view.held[:, -1], *answer)


def joined(parts: Sequence[LeftOut]) -> LeftOut:
    """Several as one."""
    each = zip(zip(*parts, strict=True), _WINDOW_AXES, strict=True)
    return LeftOut(*(np.concatenate(x, axis) for x, axis in each))


def alongside(told: LeftOut, more: LeftOut | None, count: int) -> LeftOut:
    """With what so many more experts say of the same windows, NaN where they were not asked."""
    if more is None:
        ahead, within = (np.full((count, *x.shape[1:]), np.nan) for x in (told.ahead, told.within))
    else:
        ahead, within = more.ahead, more.within
    return told._replace(ahead=np.concatenate([told.ahead, ahead]), within=np.concatenate([told.within, within]))


def evened(starts: Int[np.ndarray, "M 2"], simulated: Sequence[int]) -> Int[np.ndarray, "_ 2"]:
    """Starts of which no more are of simulated episodes than of recorded ones; all of them where none is recorded.

    What a simulator lacks of a machine, such as the shaking of a rough road, many of its windows would drown.
    """
    kept = ~np.isin(starts[:, 0], simulated)
    taught, recorded = np.flatnonzero(~kept), int(kept.sum())
    kept[taught[scattered(len(taught), recorded or len(taught))]] = True
    return starts[kept]


def folds(windows: Windows, seed: int, simulated: Sequence[int] = ()) -> list[Fold]:
    """Parts of the windows that are left out in turn: of whole episodes, or of one alone blocks in time.

    Copies of an episode are together. Where one is too short for blocks that no window reaches into, all is fitted on
    and measured.

    Args:
        windows: whose starts to divide.
        seed: decides which are together.
        simulated: episodes that are fitted on, `evened`, and never measured: how an expert does there says little of a
            machine.
    """
    starts = windows.starts().thinned()
    group = windows.copies[starts[:, 0]]
    counts = ~np.isin(starts[:, 0], simulated)
    counts |= not counts.any()
    names = np.random.default_rng([seed, 0xF01D]).permutation(np.unique(group[counts]))
    if len(np.unique(group)) > 1:
        parts = np.array_split(names, min(_FOLDS, len(names)))
        left = [np.isin(group, part) for part in parts]
        return [Fold(evened(starts[~out], simulated), starts[out & counts], group[out & counts]) for out in left]
    span, edges = windows.context + windows.horizon, np.linspace(0, len(starts), _BLOCKS + 1).astype(int)
    rows = np.arange(len(starts))
    blocks = [
        Fold(starts[(rows < a - span) | (rows >= b + span)], starts[a:b], np.full(b - a, i))
        for i, (a, b) in enumerate(itertools.pairwise(edges))
    ]
    parted = [block for block in blocks if len(block.fit) and len(block.measure)]
    return parted or [Fold(starts, starts, np.zeros(len(starts), int), apart=False)]

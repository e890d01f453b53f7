"""What is validated: which windows of which episodes, what was seen there, and what really came."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import jax
import numpy as np

from worldmodel.arrays import scattered
from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout, align
from worldmodel.logs.followed import Beginning
from worldmodel.logs.phase import layout_of
from worldmodel.logs.physical import actions_by_stream, by_stream, mask_by_stream
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context, Windows
from worldmodel.types import Commands, StreamSpec

MAX_STARTS = 320  # MuJoCo simulates each, some of them twice
HORIZONS_S = (
    *(0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0),
    *(30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10_800.0, 43_200.0, 86_400.0),  # of slow logs
)
_CONTEXT_TICKS, _HORIZON_TICKS = 64, 64


class Came(NamedTuple):
    """What one stream really read at the ticks ahead of W starts.

    Attributes:
        values: [W, H, P] physical values, positions relative to the context's last.
        mask: bool [W, H, P].
        age_ticks: [W, H] how long before each tick its sample was taken.
    """

    values: np.ndarray
    mask: np.ndarray
    age_ticks: np.ndarray


class Answers(NamedTuple):
    """What really came: the part of a problem that no predictor gets.

    Attributes:
        log: whose episodes they are. windows: the same on the clock of the problem.
        recorded: by stream, as the sensors read it. truth: free of noise, or the same where no truth is known.
        noise_free: whether `truth` is free of noise.
    """

    log: Log
    windows: Windows
    recorded: Mapping[str, Came]
    truth: Mapping[str, Came]
    noise_free: bool

    def known(self, name: str) -> np.ndarray:
        """bool [W, H, P] where a stream is scored: where a reading came and what was true is known, for all figures."""
        return self.recorded[name].mask & self.truth[name].mask


@dataclasses.dataclass(frozen=True)
class Problem:
    """W starts, each with what was seen up to it and what is commanded after it: predict what every sensor reads next.

    Arrays by stream hold physical values [..., P], whose columns `codec(problem.streams[name]).labels` names: as
    recorded, but positions in metres relative to the context's last. They are 0 where their mask is False.

    Attributes:
        name: for people.
        kind: `replay` of a log, or `counterfactual`.
        layout: the tick and the streams. `layout.dt` is in seconds.
        starts: int [W, 2] (episode, tick).
        groups: int [W] starts of one group are not independent: they share an episode, or a simulated world.
        context: what was seen, as features on the model's clock, C ticks.
        commands: [W, H, A] the actions that leave the last tick of the context and each one ahead but the last.
        frame_ticks: by video asked for, int [W, P] at which ticks ahead (0 is the first); -1 for none.
        readings: the other streams asked for.
        acted: what kind the actions are, for people.
        answers: what really came; None in what a predictor gets.
        unmoved: by stream, which components of an error (bool [E]) never moved in what was learned from: they are in
            no stream's figures.
        begins: of each start, how surely it is known where, and which way, a machine begins whose place is followed;
            of none where nothing is.
    """

    name: str
    kind: str
    layout: TickLayout
    starts: np.ndarray
    groups: np.ndarray
    context: Context
    commands: Commands
    frame_ticks: Mapping[str, np.ndarray]
    readings: tuple[StreamSpec, ...]
    acted: str
    answers: Answers | None
    unmoved: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    begins: tuple[Beginning, ...] = ()

    @property
    def asked(self) -> "Problem":
        """The problem without its answers: all that a predictor gets."""
        return dataclasses.replace(self, answers=None)

    @property
    def truth(self) -> Answers:
        """The answers.

        Raises:
            WorldModelError: if this is what a predictor gets.
        """
        if self.answers is None:
            raise WorldModelError("A predictor gets a problem without its answers.")
        return self.answers

    @property
    def dt(self) -> float:
        """The tick in seconds."""
        return self.layout.dt

    @property
    def horizon(self) -> int:
        """H, in ticks."""
        return self.commands.values.shape[1]

    @property
    def past_times(self) -> np.ndarray:
        """[C] seconds of the context's ticks relative to the start, the last of which is 0."""
        return np.arange(1 - self.context.values.shape[1], 1) * self.dt

    @property
    def times(self) -> np.ndarray:
        """[H] seconds of the ticks ahead."""
        return np.arange(1, self.horizon + 1) * self.dt

    @property
    def streams(self) -> dict[str, StreamSpec]:
        """Every stream's specification by name."""
        return {spec.name: spec for spec in self.layout.streams}

    @property
    def horizons(self) -> dict[float, int]:
        """The horizons in seconds that are tabulated, and the tick of each (0 is the first ahead), to a hundredth."""
        whole = [s for s in HORIZONS_S if round(s / self.dt) and abs(round(s / self.dt) * self.dt - s) <= 0.01 * s]
        ticks = {s: round(s / self.dt) - 1 for s in whole if round(s / self.dt) <= self.horizon}
        return ticks or {self.horizon * self.dt: self.horizon - 1}

    @cached_property
    def past(self) -> dict[str, np.ndarray]:
        """By stream, the readings [W, C, P] at the context's ticks."""
        return by_stream(self.layout, self.context.values, self.past_mask)

    @cached_property
    def past_mask(self) -> dict[str, np.ndarray]:
        """By stream, which readings came: bool [W, C, P]."""
        return mask_by_stream(self.layout, self.context.mask)

    @property
    def actions(self) -> dict[str, np.ndarray]:
        """By action stream, means over each tick [W, C - 1 + H, S]: those of the context, then those ahead.

        The last one of the context is at C - 2; the one that leaves the start is at C - 1.
        """
        return self._commanded[0]

    @property
    def actions_mask(self) -> dict[str, np.ndarray]:
        """By action stream, bool [W, C - 1 + H, S]: before the first command, what is in force is unknown."""
        return self._commanded[1]

    @cached_property
    def _commanded(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        both = (np.concatenate(parts, 1) for parts in zip(self.context.actions, self.commands, strict=True))
        return actions_by_stream(self.layout, Commands(*both))

    def select(self, rows: np.ndarray, frame_ticks: Mapping[str, np.ndarray]) -> "Problem":
        """Some of the starts, asked for frames only, without answers."""
        context, commands = jax.tree.map(lambda x: x[rows], (self.context, self.commands))
        begins = tuple(self.begins[row] for row in np.arange(len(self.starts))[rows]) if self.begins else ()
        return dataclasses.replace(
            self, starts=self.starts[rows], groups=self.groups[rows], context=context, commands=commands,
            frame_ticks=frame_ticks, readings=(), answers=None, begins=begins,
        )  # fmt: skip

    def only(self, names: Collection[str]) -> "Problem":
        """The same starts, seen and asked through some of the streams alone, without films and answers."""
        whole = self.layout
        layout = dataclasses.replace(whole, streams=tuple(s for s in whole.streams if s.name in names)).without_video()
        slots = _columns(whole.columns, layout.readings)
        read = [whole.readings.index(spec) for spec in layout.readings]
        acted = _columns(whole.action_columns, layout.actions), [whole.actions.index(s) for s in layout.actions]
        context = Context(
            self.context.values[..., slots], self.context.mask[..., slots], self.context.age_s[..., read],
            _acted(self.context.actions, *acted), (), (),
        )  # fmt: skip
        return dataclasses.replace(
            self, layout=layout, context=context, commands=_acted(self.commands, *acted), frame_ticks={},
            readings=layout.readings, answers=None, unmoved={}, begins=(),
        )  # fmt: skip

    def __repr__(self) -> str:
        """What is asked, without the arrays."""
        lines = [f"<Problem {self.name!r} ({self.kind}): {len(self.starts)} starts in {len(set(self.groups))} episodes"]
        lines.append(
            f"  context {-self.past_times[0]:.4g} s, horizon {self.times[-1]:.4g} s, tick {self.dt:.4g} s"
            f"{'' if self.answers else ', without answers'}"
        )
        for name, spec in self.streams.items():
            lines.append(f"  {name}: {spec.kind} of {', '.join(codec(spec).labels)}")
        return "\n".join(lines) + ">"


def make_problem(
    log: Log,
    *,
    dt: float | None = None,
    context_s: float | None = None,
    horizon_s: float | None = None,
    episodes: Sequence[int] | None = None,
    name: str = "",
    max_starts: int | None = MAX_STARTS,
) -> Problem:
    """A problem from a log; it needs no run.

    Args:
        log: opened with its truth, if it has one, else readings stand for it.
        dt: the tick in seconds; by default what suits the log's rates.
        context_s: seconds seen before each start; by default 64 ticks.
        horizon_s: seconds ahead; by default 64 ticks.
        episodes: which of the log's; by default all.
        name: for people; by default the log's file.
        max_starts: how many moments to start from at most, evenly over the log; None for every one.

    Raises:
        WorldModelError: if a span has no sense, or no episode is long enough.
    """
    for what, value in (("dt", dt), ("context_s", context_s), ("horizon_s", horizon_s)):
        if value is not None and not 0 < value < float("inf"):
            raise WorldModelError(f"{what} must be positive and finite.", found=f"{value} s")
    layout = layout_of(log, dt)
    context = _CONTEXT_TICKS if context_s is None else max(round(context_s / layout.dt), 2)
    horizon = _HORIZON_TICKS if horizon_s is None else max(round(horizon_s / layout.dt), 1)
    windows = Windows.of(log, layout, context, horizon, episodes)
    return problem_of(windows, name=name or log.files[0].stem, max_starts=max_starts)


def problem_of(
    windows: Windows,
    *,
    name: str,
    at_s: Sequence[float] | np.ndarray | None = None,
    branches: int = 1,
    acted: str = "",
    max_starts: int | None = MAX_STARTS,
    after: int = 0,
    unmoved: Mapping[str, np.ndarray] | None = None,
) -> Problem:
    """A problem from aligned episodes, with starts evenly over each, or at one moment of each.

    Args:
        windows: whose context and horizon to use; their log may be opened with its truth.
        name: for people.
        at_s: the only moment to start from in each of the episodes: branches of simulated worlds part there.
        branches: how many consecutive episodes are futures of one world.
        acted: what kind the actions are, for people.
        max_starts: how many starts at most; None for every one.
        after: ticks of the recording that must lie before each context.
        unmoved: as in `Problem`.

    Raises:
        WorldModelError: if no episode is long enough.
    """
    layout, log, horizon = windows.layout, windows.log, windows.horizon
    starts = windows.starts()
    if after:
        starts = starts[starts[:, 1] >= windows.context - 1 + after]
    if at_s is not None:
        starts = starts[starts[:, 1] == layout.row(np.asarray(at_s)).round()[starts[:, 0]]]
    count = len(starts) if max_starts is None else min(max_starts, len(starts))
    starts = starts[scattered(len(starts), count)]
    context, future = windows.cut(starts, horizon)
    recorded = _came(layout, future.values, future.mask, future.age_s)
    answers = Answers(log, windows, recorded, _truth(windows, starts) if log.has_truth else recorded, log.has_truth)
    problem = Problem(
        name, "replay" if at_s is None else "counterfactual", layout, starts, starts[:, 0] // branches, context,
        future.actions, {}, layout.readings, acted, answers, unmoved or {}, windows.beginnings(starts),
    )  # fmt: skip
    ticks = problem.horizons.values()
    asked = {
        spec.name: np.stack([frame_ticks(windows, starts, i, tick) for tick in ticks], 1)
        for i, spec in enumerate(layout.videos)
    }
    return dataclasses.replace(problem, frame_ticks=asked)


def frame_ticks(windows: Windows, starts: np.ndarray, video: int, tick: int) -> np.ndarray:
    """int [W] the newest tick ahead, up to `tick`, with a frame, within one frame interval; -1 where there is none."""
    first = max(tick - windows.layout.interval(windows.layout.videos[video]) + 1, 0)
    ahead = np.arange(first, tick + 1)
    there = windows.ticks.spans(starts, 1 + first, len(ahead)).frames[..., video] >= 0
    return np.where(there, ahead, -1).max(1)


def _columns(spans: Mapping[str, slice], specs: Sequence[StreamSpec]) -> list[int]:
    return [column for spec in specs for column in range(spans[spec.name].start, spans[spec.name].stop)]


def _acted(actions: Commands, columns: list[int], streams: list[int]) -> Commands:
    """Some of the columns of actions, and the ages of their streams."""
    return Commands(actions.values[..., columns], actions.mask[..., columns], actions.age_s[..., streams])


def _came(layout: TickLayout, values: np.ndarray, mask: np.ndarray, age_s: np.ndarray) -> dict[str, Came]:
    there = mask_by_stream(layout, mask)
    came = by_stream(layout, values, there)
    ages = {s.name: age_s[..., i] / layout.dt for i, s in enumerate(layout.readings)}
    return {name: Came(came[name], there[name], ages[name]) for name in came}


def _truth(windows: Windows, starts: np.ndarray) -> dict[str, Came]:
    """The noise-free readings ahead of each start, positions relative to the noisy ones that the context ends with."""
    layout, log = windows.layout, windows.log
    used = np.unique(starts[:, 0])
    aligned = {i: align(log.episodes[windows.episodes[i]], layout, True, windows.ticks[i].origin) for i in used}
    ahead = np.arange(1, windows.horizon + 1)
    values = np.stack([aligned[e].values[t + ahead] for e, t in starts])
    mask = np.stack([aligned[e].mask[t + ahead] for e, t in starts])
    ages = np.stack([aligned[e].age_s[t + ahead] for e, t in starts])
    fixes = windows.last_fixes(starts)
    for spec in layout.readings:
        columns, fix = layout.slot_columns(spec), fixes[spec.name][:, None, None]
        mask[..., columns] &= np.isfinite(fix)
        values[..., columns] = np.where(mask[..., columns], values[..., columns] - fix, 0)
    return _came(layout, values, mask, ages)

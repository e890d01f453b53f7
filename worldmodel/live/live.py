"""A run beside a machine."""

from collections.abc import Callable, Sequence

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.imagine.actions import Given, continued
from worldmodel.imagine.forecaster import Foreseer
from worldmodel.imagine.session import SAME_TICK, check_members, foretell
from worldmodel.imagine.trajectory import Moment, Trajectory
from worldmodel.live.alarms import Alarms, Watch
from worldmodel.live.belief import Belief
from worldmodel.live.intake import Arrival, Intake, Seen
from worldmodel.logs.align import ROUNDING_S, TickLayout, Ticks
from worldmodel.logs.followed import Follower, beginning_of
from worldmodel.logs.windows import Context, came_after, complete_context, last_fixes, make_relative, seen
from worldmodel.types import Commands, Samples


class Live:
    """Takes a machine's readings as they come, and imagines what comes next.

        live = run.live()
        live.push("gyro", 12.31, [0.1, 0.0, 0.2])
        live.imagine({"wheels": Samples(time, data)}, horizon_s=1.0, members=16)

    Times are seconds on the machine's clock. Ticks are `dt` apart, the first the layout's phase after `start_s`; a
    tick sees what was stamped up to it. So what was just pushed is seen at the next one: of that are `belief` and, by
    default, `imagine`, and alarms of the newest that is over. One thread may push while another imagines.

    Args:
        forecaster: experts and network of the run.
        layout: the streams and the tick.
        context: ticks that a model sees.
        horizon_ticks: how many ticks a horizon in seconds has (`Run.horizon_ticks`).
        start_s: time zero; by default the first stamp that is pushed.
        watermark_s: how far a sample may be behind the newest stamp of all streams, and is still put in its place.
        watch: what alarms are told by (`Run.watch`).
        followers: of places in what models see.
    """

    def __init__(
        self,
        forecaster: Foreseer,
        layout: TickLayout,
        context: int,
        horizon_ticks: Callable[[float | None, bool], int],
        start_s: float | None = None,
        watermark_s: float = 0.5,
        watch: Watch | None = None,
        followers: Sequence[Follower] = (),
    ) -> None:
        if not 0 <= watermark_s < float("inf"):
            raise WorldModelError("A watermark is seconds.", expected="0 or more", found=f"{watermark_s}")
        self.layout, self.context = layout, context
        self._forecaster, self._horizon_ticks = forecaster, horizon_ticks
        self._watch = watch
        self._back = context if watch else 0  # ticks before the newest that alarms are told of
        keep = context + self._back + (watch.look if watch else 0)
        self._intake = Intake(layout, keep, start_s, watermark_s, followers)

    def push(self, stream: str, time_s: float, value: np.ndarray | float) -> Arrival:
        """Takes one sample: a reading, a frame, or a command that was given.

        Streams may come in any order. Across streams a sample that is old, but new in its own stream, is a slow
        sensor's; within a stream a sample far behind another can only be a clock that was set.

        Args:
            stream: its name in the run.
            time_s: when it was taken.
            value: [S] in the stream's units, NaN where a column is missing; a frame is uint8 [rows, columns, 3].

        Returns:
            `late` where its own stream had a newer one. `dropped` where it is more than the watermark behind the newest
            of all streams, or its own stream has one of that very time.

        Raises:
            WorldModelError: if there is no such stream, the value does not fit it, or the stream's clock went back: the
                sample is more than the watermark behind its own stream.
        """
        return self._intake.push(stream, time_s, value)

    @property
    def start_s(self) -> float:
        """Time zero, that ticks are counted from.

        Raises:
            WorldModelError: if nothing was pushed yet.
        """
        if self._intake.start_s is None or not np.isfinite(self._intake.newest_s):
            raise WorldModelError("Nothing was pushed yet.", remedy="push what the machine reads first")
        return self._intake.start_s

    @property
    def belief(self) -> Belief:
        """What is known at the first tick that sees all that was pushed.

        Raises:
            WorldModelError: if nothing was pushed yet.
        """
        start_s, row = self.start_s, self._row(None, ahead=True)
        known = self._intake.seen(row, self.context)
        now_s = self.layout.time_s(row)
        newest = {name: _until(part, now_s) for name, part in known.samples.items()}
        return Belief(
            at_s=start_s + now_s,
            ready=row >= self.context - 1,
            context=context_of(self.layout, self.context, known),
            readings={name: part.data[-1] for name, part in newest.items() if len(part.time)},
            age_s={n: now_s - p.time[-1] if len(p.time) else float("inf") for n, p in newest.items()},
            late=known.late,
            dropped=known.dropped,
        )

    @property
    def alarms(self) -> Alarms:
        """Whether what was read up to the newest tick that is over was to be expected, and like what was trained on.

        Raises:
            WorldModelError: if too little was pushed, or this was begun without a watch.
        """
        return self.alarms_since(np.inf)[0]

    def alarms_since(self, at_s: float) -> list[Alarms]:
        """The alarms of every tick after a moment, oldest first, so that none is missed between two looks.

            seen = live.alarms_since(seen[-1].at_s)
            if any(each.surprised for each in seen): ...

        Args:
            at_s: the moment; no tick is told of that is further back than the run looks. The newest always is.

        Raises:
            WorldModelError: if too little was pushed, that is no moment, or this was begun without a watch.
        """
        if self._watch is None:
            raise WorldModelError("Nobody watches.", remedy="run.live(watch=run.watch(LOG)), a log that was held out")
        if np.isnan(at_s):
            raise WorldModelError("That is no moment.", expected="seconds, or -inf for all ticks", found=f"{at_s}")
        watch, newest, span = self._watch, self._row(None), self.context + self._watch.look
        self._check_ready(newest - watch.look)
        after = np.floor(self.layout.row(at_s - self.start_s) + SAME_TICK) + 1
        oldest = int(np.clip(after, max(newest - self._back, span - 1), newest))
        known = self._intake.seen(newest, newest - oldest + span)  # at once: more may be pushed meanwhile
        parts = ((row, known.part(row - oldest, row - oldest + span)) for row in range(oldest, newest + 1))
        return [self._judged(watch, row, part) for row, part in parts]

    def _judged(self, watch: Watch, row: int, known: Seen) -> Alarms:
        return watch.judge(
            self.start_s + self.layout.time_s(row),
            context_of(self.layout, self.context, known),
            came_after(span_of(self.layout, self.context, known), self.context),
        )

    def imagine(
        self,
        actions: Given | None = None,
        horizon_s: float | None = None,
        members: int = 16,
        *,
        seed: int = 0,
        at_s: float | None = None,
        frames: int | None = None,
        beyond_trained: bool = False,
    ) -> Trajectory:
        """Imagines what every stream reads next; the answer is that of `run.imagine` on a log of the same samples.

        Args:
            actions: what is commanded, by action stream with times in seconds after the moment; until its first, and by
                default, what is in force holds.
            horizon_s: how far; by default as far as the run was trained.
            members: how many futures.
            seed: decides their noise.
            at_s: the moment, rounded down to a tick; by default the first tick that sees all that was pushed, which is
                `start_s` of the answer. Later, where all streams are silent; earlier than the newest stamp by no more
                than the watermark.
            frames: how many of each video are drawn, the last of the horizon; by default all, at its rate. They take
                most of the time where there are many.
            beyond_trained: allow a horizon of more than twice what was trained.

        Returns:
            The trajectory, on the machine's clock.

        Raises:
            WorldModelError: if too little was pushed, or the moment or the actions do not fit.
        """
        check_members(members)
        moment, commands = self.ask(actions, self._horizon_ticks(horizon_s, beyond_trained), at_s)
        return foretell(self._forecaster, moment, commands, members, seed, frames).later(self.start_s)

    def ask(self, actions: Given | None, horizon: int, at_s: float | None) -> tuple[Moment, Commands]:
        """What `imagine` asks its experts: the moment, and what is commanded for `horizon` ticks [H, A] after it."""
        row = self._row(at_s, ahead=at_s is None)
        self._check_ready(row)
        tick_s = self.layout.time_s(row)
        late_s = 0.0 if at_s is None else max(at_s - self.start_s - tick_s, 0.0)
        moment = moment_of(self.layout, self.context, row, self._intake.seen(row, self.context))
        before = {s.name: _until(moment.logged[s.name], tick_s + late_s) for s in self.layout.actions}
        return moment, continued(before, self.layout, row, horizon, actions, late_s)

    def _row(self, at_s: float | None, ahead: bool = False) -> int:
        """The last tick at or before a moment, or the first that sees all up to it; by default of the newest stamp."""
        after = self._intake.newest_s if at_s is None else at_s - self.start_s
        oldest = self._intake.newest_s - self._intake.watermark_s
        if not (np.isfinite(after) and after >= oldest - ROUNDING_S):
            raise WorldModelError(
                "That moment is over." if np.isfinite(after) else "That is no moment.",
                expected=f"{oldest + self.start_s:g} s or later",
                found=f"{at_s} s",
                remedy="a longer watermark_s keeps more of the past",
            )
        if ahead:
            return int(np.ceil(self.layout.row(after - ROUNDING_S)))
        return int(np.floor(self.layout.row(after) + SAME_TICK))

    def _check_ready(self, row: int) -> None:
        if row < self.context - 1:
            raise WorldModelError(
                "Too little was pushed to imagine from.",
                expected=f"{self.layout.time_s(self.context - 1):g} s, the run's context",
                found=f"{max(self.layout.time_s(row), 0.0):g} s",
                remedy="push on, and ask again (live.belief.ready)",
            )


def moment_of(layout: TickLayout, context: int, row: int, known: Seen) -> Moment:
    """The moment at tick `row`, the last that is known."""
    span = _told(layout, context, known)
    fixes = {name: fix[0] for name, fix in last_fixes(layout, span.values, span.mask).items()}
    begins = beginning_of(layout, known.followers, known.ticks.followed[-1])
    make_relative(layout, span.values, span.mask, context)
    seen_then = _seen(layout, context, span, known)
    return Moment(layout, row, seen_then, fixes, begins, span.origin, known.samples, 0.0)


def context_of(layout: TickLayout, context: int, known: Seen) -> Context:
    """What models see of the first `context` ticks that are known."""
    return _seen(layout, context, span_of(layout, context, known), known)


def _seen(layout: TickLayout, context: int, span: Ticks, known: Seen) -> Context:
    """The same of their window, whose positions are relative already."""
    return seen(layout, span, context, lambda i, index: _frames(known.shown[i], index))


def span_of(layout: TickLayout, context: int, known: Seen) -> Ticks:
    """The ticks as one window [1, T, ...], relative to the last positions of its context."""
    span = _told(layout, context, known)
    make_relative(layout, span.values, span.mask, context)
    return span


def _told(layout: TickLayout, context: int, known: Seen) -> Ticks:
    """The ticks as one window [1, T, ...], in whose context places that are followed stand for fixes."""
    values, mask, age_s, actions, frames, origin, held, followed = known.ticks
    led, (values, mask, age_s) = Commands(*(x[None] for x in actions)), (x[None].copy() for x in (values, mask, age_s))
    span = Ticks(values, mask, age_s, led, frames[None], origin, held[None], followed[None])
    complete_context(layout, known.followers, span, context)
    return span


def _until(samples: Samples, time_s: float) -> Samples:
    """What was stamped up to a moment."""
    count = int(np.searchsorted(samples.time, time_s + ROUNDING_S))
    return Samples(samples.time[:count], samples.data[:count])


def _frames(shown: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames int [1, P], black where the index is negative, and which are there."""
    there = index >= 0
    out = np.zeros((*index.shape, *shown.shape[1:]), np.uint8)
    out[there] = shown[index[there]]
    return out, there

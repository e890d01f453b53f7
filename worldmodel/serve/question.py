"""What a client asks: what was seen, what is commanded, how far; and the trajectory that answers it."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.imagine.actions import continued
from worldmodel.imagine.forecaster import Forecasted
from worldmodel.imagine.trajectory import Moment, Trajectory, assemble, frame_ticks
from worldmodel.live import Live
from worldmodel.live.intake import Seen
from worldmodel.live.live import moment_of
from worldmodel.logs.align import ROUNDING_S, TickLayout, Ticks, readings_of, ticks_of
from worldmodel.logs.followed import Follower, follow_newest, looks_back
from worldmodel.logs.physical import first_fix
from worldmodel.serve.limits import Limits
from worldmodel.types import Commands, Samples, StreamSpec

_NEVER = 1e12  # seconds
_FEWEST = 16  # members that are rolled: the network's mean is taken of so many
_FARTHEST = 2  # times its own horizon, that any may be asked for


@dataclasses.dataclass(frozen=True)
class Asked:
    """How to imagine.

    Attributes:
        actions: what is commanded, by stream, with times in seconds after the moment; until its first, and of a stream
            that is not given, what is in force holds.
        at_s: the moment; by default that of the newest sample, or the phase of ticks later where they have one; of a
            machine that pushes as of `Live.imagine`.
        horizon_s: by default as far as the run was trained.
        members: futures. seed: of their noise. frames: whether to draw videos.
    """

    actions: Mapping[str, Samples] = dataclasses.field(default_factory=dict)
    at_s: float | None = None
    horizon_s: float | None = None
    members: int = 16
    seed: int = 0
    frames: bool = False


@dataclasses.dataclass(frozen=True)
class Question:
    """A request made ready. Where programs are compiled, horizon and members are rounded up, so that few do for all.

    Attributes:
        moment: what was seen. begin_s: when its clock begins on the client's.
        commands: [1, H, A].
        horizon: ticks that are asked for; H is at least that. members: likewise; `rolled` is at least that.
        ticks: of each video the ticks to draw, int [1, P]; none where no frames are asked for.
        seed: of the noise.
    """

    moment: Moment
    begin_s: float
    commands: Commands
    horizon: int
    members: int
    rolled: int
    ticks: list[np.ndarray]
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Questions of one shape are answered together: ticks, members, and whether frames are drawn."""
        return self.commands.values.shape[1], self.rolled, len(self.ticks)


def question_of(who: Foreteller, given: Mapping[str, Samples], asked: Asked, limits: Limits) -> Question:
    """Aligns what a client sent along; its moment is a tick.

    Raises:
        WorldModelError: if the samples, the actions or the numbers do not fit.
    """
    horizon = _horizon(who, asked, limits)
    layout, context = who.layout, who.context
    at_s = _newest(given) + layout.phase_s if asked.at_s is None else asked.at_s
    begin_s = at_s - layout.time_s(context - 1)
    until = {spec.name: _until(given.get(spec.name), spec, at_s, begin_s) for spec in layout.streams}
    newest = [until[s.name].time[-1:] for s in (*layout.readings, *layout.videos)]
    if not (np.concatenate(newest) > layout.time_s(-1)).any():
        raise WorldModelError(
            "There is nothing to imagine from: the context holds no reading.",
            expected=f"samples between {begin_s:g} s and {at_s:g} s",
            found=", ".join(n for n, s in given.items() if len(s.time)) or "no samples",
            remedy="send newer samples, or another at_s",
        )
    known = _seen(layout, context, until, who.followers)
    row, led = context - 1, _complete(layout, asked.actions)
    commands = continued(until, layout, row, _rolled(who, horizon), led, 0.0)
    return _ready(who, moment_of(layout, context, row, known), begin_s, commands, horizon, asked)


def question_in(who: Foreteller, live: Live, asked: Asked, limits: Limits) -> Question:
    """What is asked of a machine that pushes; its moment is a tick, as `Live.imagine` has it.

    Raises:
        WorldModelError: if too little was pushed, or the actions or the numbers do not fit.
    """
    horizon = _horizon(who, asked, limits)
    moment, commands = live.ask(_complete(who.layout, asked.actions), _rolled(who, horizon), asked.at_s)
    return _ready(who, moment, live.start_s, commands, horizon, asked)


def answer(asked: Question, foreseen: Forecasted, experts: tuple[str, ...]) -> Trajectory:
    """The trajectory of one question, on the client's clock, of what was foreseen of its window (B = 1)."""
    moment, horizon, members = asked.moment._replace(logged={}), asked.horizon, asked.members
    ticks = frame_ticks(moment.layout, horizon)
    drawn = zip(ticks, foreseen.frames, strict=False)  # of which there may be none
    wanted = foreseen._replace(
        clean=foreseen.clean[:, :horizon],
        read=foreseen.read[:, :members, :horizon],
        frames=[video[:, :members, : len(part)] for part, video in drawn],
        weights=foreseen.weights[:, :, :horizon],
        outside=foreseen.outside[:, :horizon],
    )
    commands = Commands(*(part[0, :horizon] for part in asked.commands))
    return assemble(moment, commands, wanted, experts, ticks, asked.seed).later(asked.begin_s)


def _horizon(who: Foreteller, asked: Asked, limits: Limits) -> int:
    """The ticks that are asked for, of a question that is within what may be asked."""
    if not 1 <= asked.members <= limits.members:
        raise WorldModelError("members is out of range.", expected=f"1 to {limits.members}", found=str(asked.members))
    if not 0 <= asked.seed < 2**32:
        raise WorldModelError("seed is out of range.", expected="0 to 4294967295", found=str(asked.seed))
    if asked.frames and not who.layout.videos:
        raise WorldModelError(
            "There are no frames to draw.", found="no video among its streams", remedy="frames: false"
        )
    horizon, most = who.horizon_ticks(asked.horizon_s), max(limits.ticks, _FARTHEST * who.horizon_ticks(None))
    if horizon > most:
        far = f"at most {most * who.layout.dt:g} s"
        raise WorldModelError("horizon_s is out of range.", expected=far, found=f"{asked.horizon_s:g} s")
    return horizon


def _rolled(who: Foreteller, horizon: int) -> int:
    """Ticks that are rolled for a horizon; of programs as many as were trained, or the most that may be asked."""
    trained = who.horizon_ticks(None)
    return horizon if not who.compiled else trained if horizon <= trained else _FARTHEST * trained


def _ready(who: Foreteller, moment: Moment, begin_s: float, commands: Commands, horizon: int, asked: Asked) -> Question:
    given = Commands(*(part[None] for part in commands))
    rolled = max(_FEWEST, 1 << (asked.members - 1).bit_length()) if who.compiled else asked.members
    ticks = _ticks(moment.layout, horizon, len(commands.values)) if asked.frames else []
    return Question(moment, begin_s, given, horizon, asked.members, rolled, ticks, asked.seed)


def _ticks(layout: TickLayout, horizon: int, rolled: int) -> list[np.ndarray]:
    """Ticks [1, P] of each video, the last one repeated so that P is that of the horizon that is rolled."""
    both = zip(frame_ticks(layout, horizon), frame_ticks(layout, rolled), strict=True)
    return [np.pad(asked, (0, len(most) - len(asked)), mode="edge")[None] for asked, most in both]


def _newest(given: Mapping[str, Samples]) -> float:
    newest = [float(samples.time[-1]) for samples in given.values() if len(samples.time)]
    if not newest:
        raise WorldModelError("There is nothing to imagine from: no samples.", remedy="send some")
    return max(newest)


def _until(samples: Samples | None, spec: StreamSpec, at_s: float, begin_s: float) -> Samples:
    """What was stamped up to the moment, in seconds after `begin_s`."""
    if samples is None:
        return Samples(np.zeros(0), np.zeros((0, *spec.sample_shape)))
    stop = int(np.searchsorted(samples.time, at_s + ROUNDING_S, side="right"))
    return Samples(samples.time[:stop] - begin_s, samples.data[:stop])


def _seen(layout: TickLayout, context: int, until: dict[str, Samples], followers: tuple[Follower, ...]) -> Seen:
    """The ticks of a context; places are followed from the first sample on."""
    shown, actions = [until[s.name] for s in layout.videos], {s.name: until[s.name] for s in layout.actions}
    origins = [first_fix(s, until[s.name].data) for s in layout.of_kind("gps")]
    origin = next((fix for fix in origins if fix.any()), np.zeros(3))
    ticks = ticks_of(until, actions, [s.time for s in shown], layout, layout.time_s(np.arange(context)), origin)
    if followers:
        ticks = ticks._replace(followed=_followed(layout, context, until, followers, origin))
    return Seen(ticks, [s.data for s in shown], until, {}, {}, followers)


def _followed(
    layout: TickLayout, context: int, until: dict[str, Samples], followers: tuple[Follower, ...], origin: np.ndarray
) -> np.ndarray:
    """Where odometry has a machine over the context, by what was sent of it and of the time before."""
    earliest = min((float(until[s.name].time[0]) for s in layout.readings if len(until[s.name].time)), default=0.0)
    before = max(int(np.ceil(-layout.row(earliest))), 0)
    before = min(before, looks_back(layout, followers))

    def readings(names: frozenset[str], first: int) -> Ticks:
        times = layout.time_s(np.arange(first, before + context) - before)
        return readings_of({name: until[name] for name in names}, layout, times, origin)

    return follow_newest(layout, followers, before, context, readings)


def _complete(layout: TickLayout, given: Mapping[str, Samples]) -> dict[str, Samples] | None:
    """The actions that are given, and of the other streams nothing within reach; None where none are given."""
    silent = {s.name: Samples(np.array([_NEVER]), np.full((1, *s.sample_shape), np.nan)) for s in layout.actions}
    return silent | dict(given) if given else None

"""Imagined trajectories: K sampled futures of every stream, from one moment of a log."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.draw import Picture, beside_text
from worldmodel.errors import WorldModelError
from worldmodel.files import whole_folder
from worldmodel.imagine.beginning import begun
from worldmodel.imagine.forecaster import Forecasted, trust
from worldmodel.logs.align import TickLayout
from worldmodel.logs.followed import Beginning
from worldmodel.logs.tidy import tidy
from worldmodel.logs.windows import Context, Windows
from worldmodel.models.experts.reach import described
from worldmodel.types import Commands, Samples, StreamSpec

if TYPE_CHECKING:
    import pandas as pd

_TOLD_M = 0.01  # less is as sure as usual


@dataclasses.dataclass(frozen=True, repr=False)
class Trajectory:
    """K imagined futures. `trajectory["gps"]` are the imagined samples of a stream.

    Attributes:
        start_s: the moment they start at, seconds from the episode's origin, on the model's clock.
        streams: the specification of each stream below.
        imagined: by stream, times [M] and data [M, K, S] in the log's units (video [M, K, rows, columns, 3]).
        logged: by stream, what the log holds over the context and the horizon.
        origin_utc: of the episode.
        trust: by stream and expert, how much each expert counts at each tick ahead, [H] between 0 and 1.
        outside: columns whose context, whose commands, or what is foretold of which lie outside what was trained on,
            farthest first, and by how many of their standard deviations.
        unsure: streams whose place at the start is followed by odometry, and the deviation (m, along each axis) by
            which it is less sure than usual, as after a while without fixes. The members are spread by it.
        silent: streams of which nothing was seen in the context: they are imagined from the others. A place that is
            among them is NaN, since where the machine is cannot be said, unless it was only taken to have read nothing.
        aimless: streams whose place is followed of a machine that stands, where nothing tells which way it points: the
            members go in all directions.
        as_recorded: whether they are under the commands of the log; else what it holds after the start came under
            others, and is no truth for these.
    """

    start_s: float
    streams: dict[str, StreamSpec]
    imagined: dict[str, Samples]
    logged: dict[str, Samples]
    origin_utc: float
    trust: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    outside: dict[str, float] = dataclasses.field(default_factory=dict)
    unsure: dict[str, float] = dataclasses.field(default_factory=dict)
    silent: tuple[str, ...] = ()
    as_recorded: bool = True
    aimless: tuple[str, ...] = ()

    def __getitem__(self, stream: str) -> Samples:
        return self.imagined[stream]

    @property
    def members(self) -> int:
        return next(iter(self.imagined.values())).data.shape[1]

    @property
    def horizon_s(self) -> float:
        return max(float(s.time[-1]) for s in self.imagined.values() if len(s.time)) - self.start_s

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known beside the figures: where they begin unsurely, and how far the question lies outside."""
        lines = []
        for name, off in self.unsure.items():
            less = f", by {off:.2g} m less sure than usual" if off >= _TOLD_M else ""
            lines.append(f"{name} begins where odometry has it{less}")
        if self.aimless:
            lines.append(f"nothing tells which way {', '.join(self.aimless)} would go: futures go in all directions")
        lost = [name for name in self.silent if name in self.imagined and np.isnan(self.imagined[name].data).all()]
        if rest := [name for name in self.silent if name not in lost]:
            lines.append(f"nothing was seen of {', '.join(rest)}: imagined from the others")
        if lost:
            lines.append(f"nothing was seen of {', '.join(lost)}: where the machine is cannot be said, and is NaN")
        if self.outside:
            farthest = ", ".join(f"{name} by {size:.1f}" for name, size in self.outside.items())
            lines.append(f"outside what was trained on, in standard deviations: {farthest}")
        return tuple(lines)

    def later(self, seconds: float) -> "Trajectory":
        """The same on a clock that shows so much more."""
        imagined, logged = (
            {name: Samples(time + seconds, data) for name, (time, data) in part.items()}
            for part in (self.imagined, self.logged)
        )
        return dataclasses.replace(self, start_s=self.start_s + seconds, imagined=imagined, logged=logged)

    def plot(self) -> Picture:
        """What was seen, came and is imagined: films, a fan for each column, and GPS on the ground."""
        from worldmodel.imagine.output import draw_trajectory

        return draw_trajectory(self)

    def save(self, folder: Path | str, *, force: bool = False) -> list[Path]:
        """Writes a folder with the trajectory as a log (`trajectory.h5`), the plot, and a film of each video.

        Returns:
            The files.

        Raises:
            WorldModelError: if the folder exists and not `force`, or cannot be written.
        """
        from worldmodel.imagine.output import TRAJECTORY_FILES, write_files

        with whole_folder(folder, force, replaces=TRAJECTORY_FILES) as place:
            write_files(self, place)
        return sorted(Path(folder).iterdir())

    def to_frame(self) -> "pd.DataFrame":
        """The imagined readings, one row each: stream, column, unit, time_s, member, value in the log's units.

        A column of a stream as a table: `frame[frame.stream == "gyro"].pivot(index="time_s", columns=["column",
        "member"], values="value")`.
        """
        return tidy((self.streams[name], samples) for name, samples in self.imagined.items())

    def __repr__(self) -> str:
        lines = [f"<Trajectory of {self.members} futures, {self.horizon_s:.2f} s from {self.start_s:.2f} s"]
        for name, (time, data) in self.imagined.items():
            spec, shape = self.streams[name], "x".join(map(str, data.shape))
            columns = "" if spec.kind == "video" else f": {', '.join(spec.columns)}"
            span = f", {time[0]:.2f} to {time[-1]:.2f} s" if len(time) else ""
            lines.append(f"{name} {spec.kind} [{shape}]{columns}{span}")
        return "\n  ".join([*lines, *self.notes]) + ">"

    def _repr_html_(self) -> str:
        return beside_text(repr(self), self.plot())


class Moment(NamedTuple):
    """The tick that futures begin at, and what was seen until then.

    Attributes:
        layout: the streams and the tick.
        row: the tick.
        context: what models see, of one window.
        fixes: by reading stream, what its relative features are relative to (`last_fixes`).
        begins: how surely it is known where, and which way.
        origin: what fixes are measured from.
        logged: by stream, what is known of the context and of the horizon.
        origin_utc: of the recording.
    """

    layout: TickLayout
    row: int
    context: Context
    fixes: dict[str, np.ndarray]
    begins: Beginning
    origin: np.ndarray
    logged: dict[str, Samples]
    origin_utc: float

    @classmethod
    def of(cls, windows: Windows, row: int, horizon: int) -> "Moment":
        """A tick of the only episode of `windows`."""
        layout, episode = windows.layout, windows.log.episodes[windows.episodes[0]]
        span = slice(layout.time_s(row + 1 - windows.context), layout.time_s(row + horizon) + 1e-6)
        logged = {spec.name: episode.streams[spec.name][span] for spec in layout.streams}
        start = np.array([[0, row]])
        fixes = {name: fix[0] for name, fix in windows.last_fixes(start).items()}
        context, _ = windows.cut(start, 0)
        (begins,) = windows.beginnings(start)
        return cls(layout, row, context, fixes, begins, windows.ticks[0].origin, logged, episode.origin_utc)

    @property
    def at_s(self) -> float:
        """Where the tick is, seconds after time zero."""
        return self.layout.time_s(self.row)

    @property
    def silent(self) -> tuple[str, ...]:
        """As in `Trajectory`."""
        read = [(spec, self.context.mask[..., self.layout.slot_columns(spec)]) for spec in self.layout.readings]
        shown = zip(self.layout.videos, self.context.frames_mask, strict=True)
        return tuple(spec.name for spec, there in (*read, *shown) if not there.any())

    def without(self, streams: Sequence[str]) -> "Moment":
        """As if these had read nothing over the context; positions are still drawn from the last fix there was.

        Raises:
            WorldModelError: for a name that is no reading and no video.
        """
        can = [*self.layout.readings, *self.layout.videos]
        if unknown := set(streams) - {spec.name for spec in can}:
            names = ", ".join(spec.name for spec in can)
            raise WorldModelError("There is no such stream to silence.", expected=names, found=", ".join(unknown))
        mask, age_s = self.context.mask.copy(), self.context.age_s.copy()
        for place, spec in enumerate(self.layout.readings):
            if spec.name in streams:
                mask[..., self.layout.slot_columns(spec)] = False
                age_s[..., place] = np.inf
        shown = [
            there & (spec.name not in streams)
            for spec, there in zip(self.layout.videos, self.context.frames_mask, strict=True)
        ]
        black = [
            np.where(there[..., None, None, None], frame, 0).astype(frame.dtype)
            for frame, there in zip(self.context.frames, shown, strict=True)
        ]
        values = np.where(mask, self.context.values, 0)
        context = Context(values, mask, age_s, self.context.actions, tuple(black), tuple(shown))
        return self._replace(context=context)


def assemble(
    moment: Moment,
    commands: Commands,
    foreseen: Forecasted,
    experts: Sequence[str],
    ticks: Sequence[np.ndarray],
    seed: int,
) -> Trajectory:
    """The trajectory of what was foreseen of one window (B = 1).

    Args:
        moment: that the futures begin at.
        commands: actions [H, A] that they are under.
        foreseen: what a `Foreseer` says.
        experts: those that it weighs.
        ticks: for each video the horizon ticks [P] of its frames.
        seed: of members.
    """
    layout, horizon = moment.layout, len(commands.values)
    when = layout.time_s(moment.row + 1 + np.arange(horizon))
    readings = begun(layout, moment.context, [moment.begins], foreseen, seed).read[0]
    imagined = {spec.name: _recorded(moment, spec, readings, when) for spec in layout.readings}
    for spec, asked, video in zip(layout.videos, ticks, foreseen.frames, strict=False):  # which there may be none of
        imagined[spec.name] = Samples(when[asked], video[0].swapaxes(0, 1))
    imagined |= _commanded(layout, commands, when - layout.dt, len(readings))
    specs = {s.name: s for s in layout.streams if s.kind != "video" or s.name in imagined}
    trusted = trust(experts, foreseen.weights[:, 0], layout, moment.context)
    outside = described(foreseen.outside, layout) if foreseen.outside.size else {}
    unsure, aimless = dict(moment.begins.unsure), moment.begins.aimless
    return Trajectory(
        moment.at_s, specs, imagined, moment.logged, moment.origin_utc, trusted, outside, unsure,
        moment.silent, aimless=aimless,
    )  # fmt: skip


def frame_ticks(layout: TickLayout, horizon: int, most: int | None = None) -> list[np.ndarray]:
    """Horizon ticks [P] at which each video would have a frame, at its nominal rate; the last ones, where `most`."""
    if most == 0:
        return []
    spans = [layout.interval(spec) for spec in layout.videos]
    return [np.arange(min(span, horizon) - 1, horizon, span)[-(most or 0) :] for span in spans]


def _recorded(moment: Moment, spec: StreamSpec, readings: np.ndarray, when: np.ndarray) -> Samples:
    """Of features [K, H, D] at ticks `when` [H] those of one stream, at its own times and in its own columns."""
    layout = moment.layout
    features = readings[..., layout.slot_columns(spec)]
    data = codec(spec).recorded(features, moment.fixes[spec.name], moment.origin)
    time = when[:, None] + layout.dt * layout.slot_ticks(spec)
    return Samples(time.ravel(), data.reshape(len(readings), time.size, -1).swapaxes(0, 1))


def _commanded(layout: TickLayout, commands: Commands, time: np.ndarray, members: int) -> dict[str, Samples]:
    """Actions by stream, the same for every member; NaN before the first command."""
    out = {}
    for spec in layout.actions:
        columns = layout.action_columns[spec.name]
        values = codec(spec).physical(commands.values[:, columns])
        known = codec(spec).physical_mask(commands.mask[:, columns])
        out[spec.name] = Samples(time, np.repeat(np.where(known, values, np.nan)[:, None], members, 1))
    return out

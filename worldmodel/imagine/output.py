"""Writes a trajectory for people and programs: `trajectory.h5`, a plot, and a video where the log has one."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.codecs import codec
from worldmodel.draw import (
    WIDTH,
    Fan,
    Picture,
    draw_fan,
    draw_strip,
    draw_track,
    film,
    name_lines,
    new_figure,
    panel_title,
    style,
)
from worldmodel.draw.film import enlarged
from worldmodel.files import whole_folder
from worldmodel.imagine.session import Asked, Session
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.logs.physical import first_fix, physical_columns, physical_values
from worldmodel.logs.video import write_video
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

TRAJECTORY_FILES = ("trajectory.h5", "trajectory.png", "*.webm")
_Panel = tuple[StreamSpec, int | None]  # a stream's physical column, or None for the way on the ground
_ACROSS = 3  # panels side by side


def imagine_to(
    run: Asked,
    log: Path | str,
    out: Path | str,
    *,
    force: bool = False,
    then: Callable[[Trajectory], object] = lambda trajectory: None,
    **asked: Any,
) -> list[Path]:
    """Imagines what is `asked` (see `Session.imagine`) and writes the folder `out`; returns the files that it holds.

    `then` is given the trajectory too; where it fails, nothing is written.
    """
    actions = asked.get("actions")
    read = [Path(log), *([Path(actions)] if isinstance(actions, str | Path) else [])]
    with whole_folder(out, force, inputs=read, replaces=TRAJECTORY_FILES) as folder, Session(run) as session:
        trajectory = session.imagine(log, **asked)
        write_files(trajectory, folder, name=f"{log} episode {asked['episode']}")
        then(trajectory)
    return sorted(Path(out).iterdir())


def write_files(trajectory: Trajectory, folder: Path, name: str = "") -> None:
    """Writes `TRAJECTORY_FILES`: the trajectory as a log, a plot, and a film of each video."""
    write_trajectory(trajectory, folder / "trajectory.h5", name)
    trajectory.plot().save(folder / "trajectory.png")
    for stream, spec in trajectory.streams.items():
        if spec.kind == "video":
            write_video(folder / f"{stream}.webm", enlarged(trajectory_film(trajectory, stream)), spec.rate_hz)


def write_trajectory(trajectory: Trajectory, path: Path, name: str = "") -> None:
    """Writes imagined streams in the log format with a member axis: data [M, K, S]. Times are the episode's own."""
    about = {"source": "imagined", "start_s": trajectory.start_s}
    with LogWriter(path, trajectory.streams.values(), about=about, members=trajectory.members) as writer:
        writer.append(trajectory.imagined, name=name, origin_utc=trajectory.origin_utc)


def trajectory_film(trajectory: Trajectory, name: str, member: int = 0) -> np.ndarray:
    """The film (see `worldmodel.draw.film`) of one future: frames [M, rows, 3 x columns, 3] of the context and it.

    What was recorded under other commands is left out: nothing differs from it.
    """
    seen, came = _parts(trajectory, name)
    imagined = trajectory[name]
    near = 0.75 / trajectory.streams[name].rate_hz
    real = [_frame_at(came, time, near) if trajectory.as_recorded else None for time in imagined.time]
    return film(seen.data, real, imagined.data[:, member])


def _frame_at(came: Samples, time: float, within_s: float) -> np.ndarray | None:
    row = int(np.argmin(np.abs(came.time - time))) if len(came.time) else -1
    return came.data[row] if row >= 0 and abs(came.time[row] - time) < within_s else None


def _parts(trajectory: Trajectory, name: str) -> tuple[Samples, Samples]:
    """What the log holds of a stream up to the start, and after it."""
    time, data = trajectory.logged[name]
    before = time <= trajectory.start_s + 1e-6
    return Samples(time[before], data[before]), Samples(time[~before], data[~before])


def draw_trajectory(trajectory: Trajectory) -> Picture:
    """A film strip of each video, the way on the ground of each GPS, and a fan of each column."""
    specs = sorted(trajectory.streams.values(), key=lambda s: s.kind == "action")  # what is commanded comes last
    videos = [s for s in specs if s.kind == "video"]
    panels: list[_Panel] = [(s, None) for s in specs if codec(s).track]
    panels += [(s, i) for s in specs if s.kind != "video" for i in _told(trajectory, s)]
    rows = -(-len(panels) // _ACROSS)
    heights = [*(2.6 for _ in videos), *([1.9 * rows + 0.3] if rows else [])]
    with style():
        figure = new_figure(WIDTH, sum(heights))
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, spec in zip(parts, videos, strict=False):
            _draw_video(part, trajectory, spec)
        if rows:
            _draw_panels(parts[-1], trajectory, panels, rows)
    return Picture(figure, f"{trajectory.members} futures from {trajectory.start_s:.2f} s")


def _told(trajectory: Trajectory, spec: StreamSpec) -> list[int]:
    """The physical columns of which there is anything to draw: not, say, the altitude of fixes that tell none.

    Of a stream without a sample all are: that there is none is worth a panel.
    """
    parts = [part.data.reshape(-1, part.data.shape[-1]) for part in _physical(trajectory, spec)]
    rows = np.concatenate(parts)
    return np.flatnonzero(np.isfinite(rows).any(0) | (len(rows) == 0)).tolist()


def _draw_video(figure: "SubFigure", trajectory: Trajectory, spec: StreamSpec) -> None:
    frames = trajectory_film(trajectory, spec.name)
    imagined = trajectory[spec.name].time
    titles = ["seen"] * (len(frames) - len(imagined)) + [f"+{t - trajectory.start_s:.2g} s" for t in imagined]
    begins = max(len(frames) - len(imagined) - 1, 0)  # one frame of the context is enough
    draw_strip(figure.subplots(), frames[begins:], titles[begins:])


def _draw_panels(figure: "SubFigure", trajectory: Trajectory, panels: list[_Panel], rows: int) -> None:
    ended = any(len(time) and time[-1] > trajectory.start_s for time, _ in trajectory.logged.values())
    name_lines(figure, trajectory.members, ended, trajectory.as_recorded)
    for place, (spec, column) in enumerate(panels):
        axes = figure.add_subplot(rows, _ACROSS, place + 1)
        seen, came, imagined = _physical(trajectory, spec)
        names = physical_columns(spec)
        if column is None:
            plane = list(codec(spec).track or ())
            ways = seen.data[:, plane], came.data[:, plane], imagined.data[..., plane].swapaxes(0, 1)
            draw_track(axes, *ways, north=codec(spec).north_up, as_recorded=trajectory.as_recorded)
            across, up = (f"{names.labels[i]} (m)" for i in plane)
            axes.set(title=f"{spec.name} · on the ground", xlabel=across, ylabel=up)
            continue
        members, mean = imagined.data[:, :, column].T, codec(spec).average(imagined.data, 1)[:, column]
        fan = Fan(
            trajectory.start_s, seen.time, seen.data[:, column], came.time, came.data[:, column], imagined.time,
            members, mean, names.wraps[column], spec.kind == "action", trajectory.as_recorded,
        )  # fmt: skip
        draw_fan(axes, fan)
        axes.set_title(panel_title(spec.name, names.labels[column], names.units[column]))
        if place >= len(panels) - _ACROSS:
            axes.set_xlabel("seconds in the episode")


def _physical(trajectory: Trajectory, spec: StreamSpec) -> tuple[Samples, Samples, Samples]:
    """What was seen, came and is imagined of a stream, in physical columns."""
    parts = (*_parts(trajectory, spec.name), trajectory[spec.name])
    origin = first_fix(spec, *(part.data for part in parts))
    seen, came, imagined = (Samples(p.time, physical_values(spec, p.data, origin)) for p in parts)
    return seen, came, imagined

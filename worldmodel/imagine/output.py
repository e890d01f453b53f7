"""Writes a trajectory for people and programs: `trajectory.h5`, a plot, and a video where the log has one."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.files import whole_folder
from worldmodel.geo import geodetic_to_enu
from worldmodel.imagine.trajectory import Trajectory, imagine
from worldmodel.logs.video import write_video
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAJECTORY_FILES = ("trajectory.h5", "trajectory.png", "*.webm")
_ENLARGE = 4


def imagine_to(
    run: Path | str,
    log: Path | str,
    out: Path | str,
    *,
    episode: int,
    at_s: float,
    horizon_s: float | None = None,
    members: int = 16,
    seed: int = 0,
    actions: Path | str | None = None,
    force: bool = False,
) -> list[Path]:
    """Imagines (see `imagine`) and writes the folder `out`; returns the files that it holds."""
    read = [Path(log), *([Path(actions)] if actions is not None else [])]
    with whole_folder(out, force, inputs=read, replaces=TRAJECTORY_FILES) as folder:
        trajectory = imagine(
            run, log, episode=episode, at_s=at_s, horizon_s=horizon_s, members=members, seed=seed, actions=actions
        )
        write_trajectory(trajectory, folder / "trajectory.h5", name=f"{log} episode {episode}")
        plot_trajectory(trajectory, folder / "trajectory.png")
        for name, spec in trajectory.streams.items():
            if spec.kind == "video":
                frames = film(trajectory, name)
                write_video(folder / f"{name}.webm", frames, spec.rate_hz)
    return sorted(Path(out).iterdir())


def write_trajectory(trajectory: Trajectory, path: Path, name: str = "") -> None:
    """Writes imagined streams in the log format with a member axis: data [M, K, S]. Times are the episode's own."""
    members = next(iter(trajectory.imagined.values())).data.shape[1]
    about = {"source": "imagined", "start_s": trajectory.start_s}
    with LogWriter(path, trajectory.streams.values(), about=about, members=members) as writer:
        writer.append(trajectory.imagined, name=name, origin_utc=trajectory.origin_utc)


def film(trajectory: Trajectory, name: str) -> np.ndarray:
    """Frames [M, rows, 3 x columns, 3] side by side, enlarged: logged (context, then truth), imagined, difference.

    In the context, the imagined side shows the log dimmed and the difference is black.
    """
    logged, imagined = trajectory.logged[name], trajectory.imagined[name]
    before = logged.time <= trajectory.start_s + 1e-6
    panels = [_panel(frame, frame // 2, np.zeros_like(frame)) for frame in logged.data[before]]
    for time, frames in zip(imagined.time, imagined.data, strict=True):
        dream = frames[0]
        row = int(np.argmin(np.abs(logged.time - time))) if len(logged.time) else -1
        known = row >= 0 and abs(logged.time[row] - time) < 0.75 / trajectory.streams[name].rate_hz
        real = logged.data[row] if known else np.full_like(dream, 40)
        difference = np.abs(real.astype(int) - dream).astype(np.uint8) if known else np.zeros_like(dream)
        panels.append(_panel(real, dream, difference))
    return np.stack(panels)


def plot_trajectory(trajectory: Trajectory, path: Path) -> None:
    """A row for each column but video's: the log, each member, and their mean; of actions what is commanded."""
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot, which would change a notebook's back end

    specs = [spec for spec in trajectory.streams.values() if spec.kind != "video"]
    rows = [(spec, column) for spec in specs for column in range(3 if spec.kind == "gps" else len(spec.columns))]
    with matplotlib.rc_context({"text.parse_math": False}):  # a dollar in a unit is a dollar
        figure = Figure(figsize=(9, 1.5 * len(rows) + 0.6))
        axes = figure.subplots(len(rows), sharex=True, squeeze=False)[:, 0]
        for axis, (spec, column) in zip(axes, rows, strict=True):
            _plot_column(axis, trajectory, spec, column)
        named = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        figure.legend(list(named.values()), list(named), loc="upper right", fontsize=8, ncols=len(named))
        axes[-1].set_xlabel("seconds in the episode")
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_figheight()))
        figure.savefig(path, dpi=110)


def _plot_column(axis: "Axes", trajectory: Trajectory, spec: StreamSpec, column: int) -> None:
    logged, imagined = (_metres(trajectory, spec, s) for s in (trajectory.logged, trajectory.imagined))
    seen, futures = logged.data[:, column], imagined.data[:, :, column]
    if spec.kind == "action":  # in force until the next
        there = np.isfinite(seen)
        axis.step(logged.time[there], seen[there], where="post", color="black", lw=1, label="logged")
        axis.step(imagined.time, futures[:, 0], where="post", color="tab:blue", lw=1.2, label="commanded")
    else:
        wraps = spec.kind == "sensor" and spec.circular[column]
        mean = np.arctan2(np.sin(futures).mean(1), np.cos(futures).mean(1)) if wraps else futures.mean(1)
        seen, futures, mean = (_broken(x) if wraps else x for x in (seen, futures, mean))
        axis.plot(imagined.time, futures, color="tab:orange", lw=0.5, alpha=0.5)
        axis.plot([], [], color="tab:orange", lw=0.5, label="imagined")
        axis.plot(logged.time, seen, color="black", lw=1, label="logged")
        axis.plot(imagined.time, mean, color="tab:red", lw=1.2, label="their mean")
    axis.axvline(trajectory.start_s, color="grey", lw=0.8, ls=":")
    label = ("east", "north", "up")[column] if spec.kind == "gps" else spec.columns[column]
    unit = "m" if spec.kind == "gps" else spec.units[column]
    axis.set_ylabel(f"{spec.name}\n{label} [{unit}]" if unit else f"{spec.name}\n{label}", fontsize=7)
    axis.tick_params(labelsize=7)


def _broken(angles: np.ndarray) -> np.ndarray:
    """Angles [M, ...] without the strokes across the picture where they wrap."""
    jumps = np.abs(np.diff(angles, axis=0, prepend=angles[:1])) > np.pi
    return np.where(jumps, np.nan, angles)


def _metres(trajectory: Trajectory, spec: StreamSpec, source: dict[str, Samples]) -> Samples:
    time, data = source[spec.name]
    if spec.kind != "gps":
        return Samples(time, data)
    known = trajectory.logged[spec.name].data
    known = known[np.isfinite(known).all(1)] if len(known) else known
    origin = known[0, :3] if len(known) else trajectory.imagined[spec.name].data[0, 0, :3]
    enu = geodetic_to_enu(np.asarray(data[..., :3], np.float64).reshape(-1, 3), origin)
    return Samples(time, enu.reshape(*data.shape[:-1], 3))


def _panel(*frames: np.ndarray) -> np.ndarray:
    joined = np.concatenate(frames, 1)
    return joined.repeat(_ENLARGE, 0).repeat(_ENLARGE, 1)

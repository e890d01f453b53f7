"""Imagined trajectories: K sampled futures of every stream, from one moment of a log."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.imagine.engine import Imaginer
from worldmodel.logs.align import TickLayout, commands
from worldmodel.logs.reader import Log, check_episode
from worldmodel.logs.windows import Windows
from worldmodel.training.run import Run, load_run
from worldmodel.types import Commands, Samples, StreamSpec

_MOST_MEMBERS = 10_000


class Trajectory(NamedTuple):
    """K imagined futures.

    Attributes:
        start_s: the moment they start at, seconds from the episode's origin, on the model's clock.
        streams: the specification of each stream below.
        imagined: by stream, times [M] and data [M, K, S] in the log's units (video [M, K, rows, columns, 3]).
        logged: by stream, what the log holds over the context and the horizon.
        origin_utc: of the episode.
    """

    start_s: float
    streams: dict[str, StreamSpec]
    imagined: dict[str, Samples]
    logged: dict[str, Samples]
    origin_utc: float


def imagine(
    run: Run | Path | str,
    log: Log | Path | str,
    *,
    episode: int,
    at_s: float,
    horizon_s: float | None = None,
    members: int = 16,
    seed: int = 0,
    actions: Mapping[str, Samples] | Path | str | None = None,
) -> Trajectory:
    """Imagines what every stream reads next.

    Args:
        run: a run or its folder.
        log: the log that holds the context.
        episode: which episode.
        at_s: the moment to imagine from; the run's context must lie before it in the recording.
        horizon_s: how far; by default as far as the run was trained.
        members: how many futures.
        seed: decides their noise.
        actions: what is commanded, by action stream with times in seconds after `at_s`, or a CSV file with a column
            `time` and one per action; by default what the log holds.

    Raises:
        WorldModelError: if the moment, the log or the actions do not fit.
    """
    run = run if isinstance(run, Run) else load_run(run)
    log = log if isinstance(log, Log) else Log(log)
    windows, row, horizon = _window(run, log, episode, at_s, horizon_s, members)
    layout, dt = run.layout, run.layout.dt
    ticks = windows.ticks[0]
    context, _ = windows.cut(np.array([[0, row]]), 0)
    future = _actions(ticks, layout, row, horizon, actions, episode)
    given = Commands(*(x[None] for x in future))
    imaginer = Imaginer(run.model, seed)
    readings = imaginer.readings(context, given, members).read[0]
    when = (row + 1 + np.arange(horizon)) * dt
    imagined = {}
    for spec in layout.readings:
        features = readings[..., layout.columns[spec.name]].reshape(members, horizon, layout.slots(spec), -1)
        fix = windows.last_fix(0, row, spec.name)
        data = codec(spec).recorded(features, fix, ticks.origin)
        time = when[:, None] + dt * (np.arange(layout.slots(spec)) + 1 - layout.slots(spec)) / layout.slots(spec)
        imagined[spec.name] = Samples(time.ravel(), data.reshape(members, len(time.ravel()), -1).swapaxes(0, 1))
    for spec, asked in zip(layout.videos, _frame_ticks(layout, horizon), strict=True):
        frames = imaginer.frames(context, given, asked[None], members)[layout.videos.index(spec)][0]
        imagined[spec.name] = Samples(when[asked], frames.swapaxes(0, 1))
    for spec in layout.actions:
        part = codec(spec).physical(future.values[:, layout.action_columns[spec.name]])
        imagined[spec.name] = Samples(when - dt, np.repeat(part[:, None], members, 1))
    start = row * dt
    recorded = log.episodes[episode].streams
    span = slice(start - (run.settings.context - 1) * dt, start + horizon * dt + 1e-6)
    logged = {spec.name: recorded[spec.name][span] for spec in layout.streams}
    streams = {spec.name: spec for spec in layout.streams}
    return Trajectory(start, streams, imagined, logged, log.episodes[episode].origin_utc)


def _window(run: Run, log: Log, episode: int, at_s: float, horizon_s: float | None, members: int):
    """The aligned episode, the tick of `at_s` and the horizon in ticks."""
    from worldmodel.training.run import check_streams

    if not 1 <= members <= _MOST_MEMBERS:
        raise WorldModelError(
            "There must be at least one member, and not too many.", expected=f"1 to {_MOST_MEMBERS}", found=f"{members}"
        )
    check_episode(log, episode)
    settings = run.settings
    horizon = run.horizon_ticks(horizon_s)
    check_streams(settings.streams, log)
    windows = Windows.of(log, run.layout, settings.context, horizon, [episode])
    row = round(at_s / settings.dt) if np.isfinite(at_s) else -1
    first, last = settings.context - 1, len(windows.ticks[0].values) - 1
    if not first <= row <= last:
        raise WorldModelError(
            f"{at_s:g} s is no moment to imagine from in episode {episode}.",
            expected=f"{first * settings.dt:.2f} s (the run's context) to {last * settings.dt:.2f} s (its end)",
            found=f"{at_s:g} s",
            remedy="choose --at within that span",
        )
    return windows, row, horizon


def _actions(ticks, layout: TickLayout, row: int, horizon: int, given, episode: int) -> Commands:
    """Actions [H, A] that leave ticks `row` ... `row + horizon - 1`."""
    if given is None:
        logged = Commands(*(x[row : row + horizon] for x in ticks.actions))
        if len(logged.values) < horizon:
            raise WorldModelError(
                f"Episode {episode} ends before the horizon, so its actions do not reach that far.",
                expected=f"{horizon * layout.dt:.2f} s after {row * layout.dt:.2f} s",
                found=f"{len(logged.values) * layout.dt:.2f} s",
                remedy="choose an earlier moment, a shorter horizon, or give --actions",
            )
        return logged
    specs = layout.actions
    given = _read_actions(Path(given), specs) if isinstance(given, str | Path) else given
    for spec in specs:
        if spec.name not in given or np.shape(given[spec.name].data)[1:] != spec.sample_shape:
            found = np.shape(given[spec.name].data) if spec.name in given else ", ".join(given)
            raise WorldModelError(
                f"The actions for {spec.name!r} have the wrong width.",
                expected=f"[M, {len(spec.columns)}]: {', '.join(spec.columns)}",
                found=str(found),
            )
    return commands(given, layout, np.arange(horizon) * layout.dt)


def _read_actions(path: Path, specs: tuple[StreamSpec, ...]) -> dict[str, Samples]:
    columns = [column for spec in specs for column in spec.columns]
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = [name.strip() for name in file.readline().split(",")]
            rows = [[float(value) for value in line.split(",")] for line in file if line.strip()]
        table = np.array(rows).reshape(len(rows), len(names))
    except (OSError, ValueError) as error:
        raise WorldModelError(f"{path} cannot be read as CSV.", found=str(error).splitlines()[0]) from error
    if sorted(names) != sorted(["time", *columns]):
        raise WorldModelError(
            f"{path} has actions of the wrong width.",
            expected=f"a header with time (seconds from the start) and {', '.join(columns)}",
            found=", ".join(names),
        )
    time = table[:, names.index("time")]
    wrong = {
        "no rows": not len(table),
        "a value that is no number, or beyond float32": not (np.abs(table) < np.finfo(np.float32).max).all(),
        "times that do not increase": (np.diff(time) <= 0).any(),
    }
    if any(wrong.values()):
        found = next(what for what, there in wrong.items() if there)
        raise WorldModelError(f"The actions in {path} cannot be used.", found=found, remedy="mend the file")
    return {s.name: Samples(time, table[:, [names.index(c) for c in s.columns]]) for s in specs}


def _frame_ticks(layout: TickLayout, horizon: int) -> list[np.ndarray]:
    """Horizon ticks at which each video would have a frame, at its nominal rate."""
    spans = [layout.interval(spec) for spec in layout.videos]
    return [np.arange(min(span, horizon) - 1, horizon, span) for span in spans]

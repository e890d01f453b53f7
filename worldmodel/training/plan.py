"""Settings of a new run: what was asked for, what suits the log, and which episode has which role."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.phase import layout_of
from worldmodel.logs.reader import Log
from worldmodel.models.encoders import PATCH
from worldmodel.training.config import preset
from worldmodel.training.roles import LEARN, EpisodeRef, assign_roles, groups_of_copies
from worldmodel.training.settings import RunSettings
from worldmodel.version import __version__

DEFAULT_TICKS = 64  # of context and of horizon, by default; of context more where places are read rarely,
FIXES, _MOST_TICKS = 3, 256  # so many of which tell how fast a machine goes, but no more than so many ticks
_PAYS = 20_000  # ticks of recordings under which a network rarely adds to cheaper experts


@dataclasses.dataclass(frozen=True)
class Options:
    """What may be asked of a new run, and must be left out or fit when an old one goes on; None is not asked.

    See `train` for each; times are in seconds.
    """

    preset: str | None = None
    dynamics: str | None = None
    seed: int | None = None
    holdout: float | None = None
    weights: Sequence[float] | None = None
    dt: float | None = None
    context: float | None = None
    horizon: float | None = None
    network: bool | None = None


def new_settings(
    log: Log, logs: Sequence[Path | str], asked: Options, steps: int | None = None, minutes: float | None = None
) -> RunSettings:
    """Settings of a new run on `log`, which joins the files and folders `logs`."""
    size, seed = asked.preset or "small", asked.seed or 0
    model, config = preset(size, asked.dynamics or "residual")
    check_numbers(steps=steps, minutes=minutes, dt=asked.dt, context=asked.context, horizon=asked.horizon)
    holdout = _checked_holdout(asked.holdout)
    layout = layout_of(log, asked.dt)
    _check_streams(log, layout)
    third = int(max(episode.duration_s for episode in log.episodes) / layout.dt / 3)
    ticks = max(min(DEFAULT_TICKS, third), 1)
    fixes = max(ticks_of_fixes(layout).values(), default=0)
    context, horizon = ticks_of(asked, layout.dt)
    context, horizon = context or max(min(fixes, _MOST_TICKS, third), ticks, 2), horizon or ticks
    network = _wants_network(log, asked, steps, layout.dt)
    episodes = _episodes(log, logs, holdout, seed, layout.time_s(context + horizon - 1), network)
    return RunSettings(
        streams=layout.streams,
        dt=layout.dt,
        phase_s=layout.phase_s,
        context=context,
        horizon=horizon,
        preset=size,
        seed=seed,
        steps=None if minutes else steps or config.steps,
        minutes=minutes,
        holdout=holdout,
        logs=tuple(map(str, logs)),
        weights=_checked_weights(asked.weights, len(logs)),
        episodes=episodes,
        about=log.about,
        code_version=__version__,
        model=model,
        train=config,
        network=network,
        in_turn=len({episode.simulated for episode in episodes}) > 1,
    )


def ticks_of_fixes(layout: TickLayout) -> dict[str, int]:
    """Ticks that show `FIXES` fixes, by stream that tells where a machine is: without any, nothing is known of it."""
    return {s.name: FIXES * layout.interval(s) for s in layout.readings if codec(s).track is not None}


def _wants_network(log: Log, asked: Options, steps: int | None, dt: float) -> bool:
    """Whether a network is trained: as asked, by the way or in so many words, and where it is likely to pay."""
    if asked.network is False and _ways(asked, steps):
        raise WorldModelError("Without a network there is no preset, no dynamics, and no steps.")
    if asked.network is not None:
        return asked.network
    ticks = sum(episode.duration_s for episode in log.episodes) / dt
    return _ways(asked, steps) or ticks >= _PAYS or any(s.kind == "video" for s in log.streams.values())


def may_go_without(settings: RunSettings, asked: Options, steps: int | None) -> bool:
    """Whether a network that is planned may be left out where others tell all: nobody asked for one, nor for frames."""
    said = asked.network is not None or _ways(asked, steps)
    return settings.network and not said and not settings.layout.videos


def _ways(asked: Options, steps: int | None) -> bool:
    """Whether something is asked that a network alone has."""
    return any(way is not None for way in (asked.preset, asked.dynamics, steps))


def ticks_of(asked: Options, dt: float) -> tuple[int | None, int | None]:
    """Context and horizon that are asked for, in ticks."""
    context = None if asked.context is None else max(round(asked.context / dt), 2)
    return context, None if asked.horizon is None else max(round(asked.horizon / dt), 1)


def check_numbers(**numbers: float | None) -> None:
    """Refuses what is not positive and finite, and steps beside minutes."""
    if numbers["steps"] is not None and numbers["minutes"] is not None:
        raise WorldModelError("Both steps and minutes are given.", expected="one of them, or neither")
    for name, value in numbers.items():
        if value is not None and not 0 < value < float("inf"):
            raise WorldModelError(f"{name} must be positive and finite.", found=str(value))


def _episodes(
    log: Log, logs: Sequence[Path | str], share: float, seed: int, shortest_s: float, network: bool
) -> tuple[EpisodeRef, ...]:
    """Every episode with its role; one that is too short for a window has none but `learn`, where it does nothing."""
    counts = [len(Log(path).episodes) for path in logs] if len(logs) > 1 else [len(log.episodes)]
    sources = [source for source, count in enumerate(counts) for _ in range(count)]
    simulated = _simulated(log)
    episodes = list(log.episodes)
    groups = groups_of_copies(len(episodes), log.copies())
    long_enough = [g for g in groups if episodes[g[0]].duration_s > shortest_s - 1e-6]
    roles = assign_roles(long_enough, share, seed, simulated, network)
    return tuple(
        EpisodeRef(episode.name, episode.sha256, roles.get(i, (LEARN,)), source, i in simulated)
        for i, (episode, source) in enumerate(zip(episodes, sources, strict=True))
    )


def _simulated(log: Log) -> set[int]:
    """Episodes of files that say that a simulator wrote them."""
    parts = [Log(file) for file in log.files] if len(log.files) > 1 else [log]
    wrote = ["simulator" in part.about for part in parts for _ in part.episodes]
    return {i for i, simulated in enumerate(wrote) if simulated}


def _checked_holdout(share: float | None) -> float:
    share = 0.1 if share is None else share
    if not 0 <= share < 0.5:
        raise WorldModelError(
            "holdout is the share of the episodes that select, and of those that measure.",
            expected="0 <= holdout < 0.5",
            found=str(share),
        )
    return share


def _checked_weights(weights: Sequence[float] | None, logs: int) -> tuple[float, ...] | None:
    if weights is None:
        return None
    chosen = tuple(map(float, weights))
    if len(chosen) != logs or not all(0 < weight < float("inf") for weight in chosen):
        raise WorldModelError(
            "weights say how often each log is drawn from.",
            expected=f"{logs} positive numbers, one for each of the logs",
            found=str(list(chosen)),
        )
    return chosen


def _check_streams(log: Log, layout: TickLayout) -> None:
    """Refuses a log that has nothing to predict, or video that cannot be cut into patches."""
    if not layout.readings and not layout.videos:
        raise WorldModelError(f"{log.files[0]} has nothing to predict.", expected="a sensor, gps or video stream")
    for video in layout.videos:
        if any(side % PATCH for side in video.sample_shape[:2]):
            raise WorldModelError(
                f"Video stream {video.name!r} has a size that the model cannot cut into patches.",
                expected=f"rows and columns that are multiples of {PATCH}",
                found="x".join(map(str, video.sample_shape[:2])),
                remedy="ingest the recording again with --size, such as 64x64",
            )

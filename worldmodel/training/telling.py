"""What a training tells people: what it chose and why, and how experts did on what they had not seen."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from worldmodel.logs.reader import Log
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.team import Team
from worldmodel.terminal import counted
from worldmodel.training.plan import FIXES, ticks_of_fixes
from worldmodel.training.roles import MEASURE, ROLES, EpisodeRef
from worldmodel.training.settings import RunSettings

_SHOWN = 5  # horizons


def choices(settings: RunSettings, log: Log) -> Iterator[str]:
    """A line each on the tick, the spans, the episodes' roles, the network, and how experts are measured."""
    dt, episodes = settings.dt, settings.episodes
    seconds = sum(episode.duration_s for episode in log.episodes)
    actions = [spec for spec in settings.streams if spec.kind == "action"]
    rates = ", ".join(f"{spec.name} {spec.rate_hz:g} Hz" for spec in actions or settings.streams)
    later = f", the first {settings.phase_s:g} s after the first sample, so that fewer are empty"
    yield f"a tick is {dt:g} s ({'actions: ' if actions else ''}{rates}){later if settings.phase_s else ''}"
    context, horizon = (f"{ticks * dt:g} s ({ticks} ticks)" for ticks in (settings.context, settings.horizon))
    rare = [name for name, ticks in ticks_of_fixes(settings.layout).items() if ticks == settings.context]
    shown = f", which show {FIXES} fixes of {' and '.join(rare)}," if rare else ""
    yield f"it sees {context}{shown} and imagines {horizon}; --dt, --context and --horizon set others"
    yield from _unseen(settings)
    kept = ", which only validate looks at" if any(e.roles == (MEASURE,) for e in episodes) else ""
    ticks = round(seconds / dt)
    yield f"{counted(len(episodes), 'episode')}, {seconds:.0f} s or {ticks} ticks in all: {shares(episodes)}{kept}"
    if settings.network:
        yield f"network: {settings.preset} {settings.model.family}, {settings.model.width} units wide"
    else:
        yield "no network is trained: cheaper experts learn more from little data; begin with --network to have one"
    if settings.layout.readings:
        parts = "parts that they leave out in turn, and then learn from all"
        yield f"experts are measured on {'the select episodes' if settings.by_select else parts}"


def _unseen(settings: RunSettings) -> Iterator[str]:
    """Which sensors come so rarely that of many moments one reading of them is known at most, or none."""
    seen_s, layout = settings.context * settings.dt, settings.layout
    rare = [spec for spec in layout.readings if spec.rate_hz * seen_s < 1]
    carried = [spec for spec in rare if spec.name in layout.held_columns]
    for some, said in ((carried, "one reading"), ([s for s in rare if s not in carried], "nothing")):
        if some:
            names = ", ".join(f"{s.name} ({1 / s.rate_hz:.3g} s)" for s in some)
            longest = max(1 / s.rate_hz for s in some)
            yield (
                f"note: {names} come{'s' * (len(some) == 1)} more rarely than it sees, so that {said} of "
                f"{'it' if len(some) == 1 else 'them'} is known at many moments: --context {1.5 * longest:.3g} shows "
                f"more, a longer --dt makes that fewer ticks"
            )


def shares(episodes: Sequence[EpisodeRef]) -> str:
    """How many episodes have which roles, each counted once: '1 learn, 1 select and measure'."""
    counts = Counter(episode.roles for episode in episodes)
    ordered = sorted(counts, key=lambda roles: [ROLES.index(role) for role in roles])
    return ", ".join(f"{counts[roles]} {' and '.join(roles)}" for roles in ordered)


def trusted(team: Team, left_out: LeftOut) -> Iterator[str]:
    """A table: the error of each expert and of the blend on left-out windows, in standard deviations of readings.

    On those that all were asked of: what they are trusted with where one was not asked is nothing that a run does.
    """
    left_out = left_out.of_all()
    horizon = left_out.came.shape[1]
    ticks = np.unique(np.round(np.geomspace(1, horizon, _SHOWN)).astype(int))
    mean, _, weights = team.blend.mix(left_out.ahead, left_out.within)
    dt, names = team.lens.layout.dt, team.names[: len(left_out.ahead)]
    yield (
        "each expert's error on what was left out (naming the average: about 1; -: it speaks of some columns alone), "
        "and its weight in the blend"
    )
    yield _row("", [f"{_figure_s(tick * dt)} s" for tick in ticks])
    for name, ahead, weight in zip((*names, "blend"), (*left_out.ahead, mean), (*weights, None), strict=True):
        error = _size(left_out, ahead)[ticks - 1]
        share = ["" if weight is None else f" {np.mean(weight[:, tick - 1]):4.0%}" for tick in ticks]
        cells = ["-" if np.isnan(e) else f"{_figure(e)}{s}" for e, s in zip(error, share, strict=True)]
        yield _row(name, cells)


def _size(left_out: LeftOut, ahead: np.ndarray) -> np.ndarray:
    """Root mean square error [H] over all columns; NaN where an expert leaves one out."""
    error, came = left_out.squared_errors(ahead), left_out.mask.any(0)
    with np.errstate(all="ignore"):
        each = np.nansum(error, 0) / np.isfinite(error).sum(0)
    return np.sqrt(np.where(came, each, 0).sum(1) / came.sum(1))


def _figure_s(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 1000 else f"{seconds:.0f}"


def _figure(error: float) -> str:
    return f"{error:.3f}" if error < 10 else f"{error:.3g}" if error < 1000 else f"{error:.0e}"


def _row(name: str, cells: list[str]) -> str:
    return f"  {name:<15}" + "".join(f"{cell:<12}" for cell in cells).rstrip()  # 77 columns

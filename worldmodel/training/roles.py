"""Which episodes learn, which select, and which measure."""

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from worldmodel.logs.reader import Log

ROLES = LEARN, SELECT, MEASURE = "learn", "select", "measure"
ENOUGH = 5  # episodes that select, to tell experts by
_SALT = 0x0E1D  # apart from the other draws of a seed
_KEPT = 1 / 3  # of the episodes that do not learn: more would, if long ones were cut
_LONG, _PIECE = 10, 2.5  # times the context and the horizon: a long episode, and a piece of one


@dataclasses.dataclass(frozen=True)
class EpisodeRef:
    """One episode that a run was given, known again by its content.

    Attributes:
        name: what the log calls it.
        sha256: `Episode.sha256`.
        roles: `learn` (updates), `select` (checkpoint, weights of horizons, spread), `measure` (nothing touches it
            before `validate`): one of them, or those that share it where there are too few episodes.
        log: which of the run's logs it is in.
        simulated: whether a simulator recorded it.
    """

    name: str
    sha256: str
    roles: tuple[str, ...]
    log: int = 0
    simulated: bool = False


def having(role: str, episodes: Iterable[EpisodeRef]) -> list[int]:
    """Numbers of the episodes that have a role."""
    return [i for i, episode in enumerate(episodes) if role in episode.roles]


def assign_roles(
    groups: Sequence[Sequence[int]], share: float, seed: int, simulated: Collection[int] = (), network: bool = False
) -> dict[int, tuple[str, ...]]:
    """Roles of every episode: of a group, the same.

    Where some are recorded and others simulated, the simulated ones teach and no more: they learn, and the recorded
    ones alone share the roles. A network then has plenty to learn from, and more of these select: `ENOUGH` to weigh it
    by, or as many as learn.

    A share of the groups selects and as many measure, at least one of each where there are three. Of two groups, one
    learns and the other selects and measures; one alone learns and selects.

    Args:
        groups: numbers of episodes; those of a group are copies of one another.
        share: of the groups that select, and of those that measure. With 0, none is kept back.
        seed: decides which.
        simulated: numbers of the episodes that are.
        network: whether one is trained.
    """
    recorded = [group for group in groups if not set(group) <= set(simulated)]
    if recorded and len(recorded) < len(groups):
        taught = {episode: (LEARN,) for group in groups for episode in group}
        return taught | _divided(recorded, share, seed, ENOUGH if network else 1)
    return _divided(groups, share, seed)


def _divided(groups: Sequence[Sequence[int]], share: float, seed: int, least: int = 1) -> dict[int, tuple[str, ...]]:
    """Roles of the episodes of groups, of which so many select at least, if no fewer learn."""
    order = [groups[i] for i in np.random.default_rng([seed, _SALT]).permutation(len(groups))]
    count = min(max(1, round(share * len(groups))), (len(groups) - 1) // 2) if share else 0
    parts: dict[tuple[str, ...], list[Sequence[int]]]
    if count:
        select = max(count, min(least, (len(groups) - count) // 2))
        apart = select + count
        parts = {(SELECT,): order[:select], (MEASURE,): order[select:apart], (LEARN,): order[apart:]}
    elif len(order) == 2 and share:
        parts = {(SELECT, MEASURE): order[:1], (LEARN,): order[1:]}
    else:
        parts = {(LEARN, SELECT): order[:1], (LEARN,): order[1:]}
    return {episode: roles for roles, part in parts.items() for episode in itertools.chain(*part)}


def shared_roles(episodes: Iterable[EpisodeRef]) -> str:
    """A sentence on the roles that share episodes, for the run and the first page of its report; empty if none do."""
    shared = {episode.roles for episode in episodes if len(episode.roles) > 1}
    if (SELECT, MEASURE) in shared:
        return (
            "There are too few episodes for three roles: those that measure also chose the checkpoint and set the "
            "spread, so what they measure is flattered."
        )
    if (LEARN, SELECT) in shared:
        return (
            "No episode is kept back: one that is learned from also chose the checkpoint and set the spread, "
            "and none is left to measure on."
        )
    return ""


def unmeasured_note(episodes: Iterable[EpisodeRef]) -> str:
    """What to do before `validate`, said before a training where it leaves nothing to measure on; empty else."""
    if having(MEASURE, episodes):
        return ""
    return (
        "`worldmodel validate` will need a recording that is not in these logs (--log). To have one kept back of "
        "them, train on three episodes or more, with --holdout above 0; `worldmodel ingest --cut-every SECONDS` cuts "
        "one long recording into several (every_s in [cut] of a table's recipe does, too)."
    )


def pieces_note(episodes: Sequence[EpisodeRef], durations_s: Sequence[float], span_s: float) -> str:
    """What to do before a training where few and long episodes are mostly kept back; empty else.

    Args:
        episodes: the run's.
        durations_s: theirs.
        span_s: of the context and the horizon.
    """
    kept, every = len(episodes) - len(having(LEARN, episodes)), sum(durations_s)
    if not episodes or kept < _KEPT * len(episodes) or min(durations_s) < _LONG * span_s:
        return ""
    piece = float(f"{_PIECE * span_s:.1g}")
    return (
        f"{kept} of {len(episodes)} long recordings are kept back from learning: `worldmodel ingest --cut-every "
        f"{piece:g}` makes about {every / piece:.0f} episodes of all, of which most learn."
    )


def simulated_note(episodes: Iterable[EpisodeRef]) -> str:
    """A sentence on a run that learned from simulated episodes beside recorded ones; empty for any other."""
    episodes = list(episodes)
    simulated = sum(episode.simulated for episode in episodes)
    if simulated in (0, len(episodes)):
        return ""
    recorded = len(episodes) - simulated
    return (
        f"{simulated} simulated episodes were learned from beside {recorded} recorded ones, "
        "which alone select and measure."
    )


def groups_of_copies(count: int, copies: Iterable[Sequence[int]]) -> list[list[int]]:
    """Numbers 0 to `count` in groups, in order of their first: copies of one another together, each other alone."""
    first = {episode: min(group) for group in copies for episode in group}
    groups: dict[int, list[int]] = {}
    for episode in range(count):
        groups.setdefault(first.get(episode, episode), []).append(episode)
    return list(groups.values())


def copies_note(log: Log) -> str:
    """A sentence on the recordings that a log holds more than once; empty if there are none."""
    copies = log.copies()
    if not copies:
        return ""
    named = "; ".join(", ".join(log.episodes[i].name for i in group) for group in copies[:3])
    more = f" and {len(copies) - 3} more" if len(copies) > 3 else ""
    return f"{sum(map(len, copies))} episodes are copies of one another, and share a role: {named}{more}"

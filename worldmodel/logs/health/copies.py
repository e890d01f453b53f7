"""Recordings that are the same, or hold the same stretch, within a log and across logs that are given together."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from worldmodel.logs.health.finding import Finding
from worldmodel.logs.reader import Log

_REMEDY = "leave all but one out: a copy among what measures is no measurement"


def copied(files: Iterable[Path]) -> list[Finding]:
    """Episodes of logs that are the same to the last bit, by their hashes: a finding for each group."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        with Log(file) as log:
            for episode, known in zip(log.episodes, log.episode_sha256, strict=True):
                groups[known].append(episode.name)
    return [_copy(names) for names in groups.values() if len(names) > 1]


def _copy(names: list[str]) -> Finding:
    text = f"the same recording as {', '.join(names[1:4])}{' and more' if len(names) > 4 else ''}, to the last bit"
    return Finding("copies: whole", "all streams", "warn", text, _REMEDY, episode=names[0])

"""Tables that seem to be sensors of one recording in a file each: what joins them."""

import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from worldmodel.logs.ingest.sources import Source
from worldmodel.logs.reader import Log

_MOST_SENSORS = 32  # files of a folder; more are recordings
_NAMED = 3


def joins(sources: Sequence[Source], out: Path) -> str:
    """The commands that make one recording of the files of a folder; empty where the sources are no tables."""
    tables = [source.path for source in sources if source.format == "tables"]
    if len(tables) < 2:
        return ""
    absolute = len({path.is_absolute() for path in tables}) > 1
    folder = shlex.quote(os.path.commonpath([(path.absolute() if absolute else path).parent for path in tables]) or ".")
    return (
        f"`worldmodel ingest --suggest {folder} > recipe.toml` writes a recipe that joins them, and "
        f"`worldmodel ingest {folder} --recipe recipe.toml --out {shlex.quote(str(out))}` reads them by it"
    )


def sensors_apart(parts: Mapping[Path, Source], how: str) -> list[str]:
    """A line for folders of which each file became an episode of streams that no other has.

    Args:
        parts: the logs that sources were turned into, and these.
        how: what joins them.
    """
    tables = {
        part: source.path for part, source in parts.items() if source.format == "tables" and source.path.is_file()
    }
    beside = Counter(path.parent for path in tables.values())
    folders: dict[Path, dict[str, Path]] = defaultdict(dict)
    for part, path in tables.items():
        folder = path.parent if beside[path.parent] > 1 else path.parent.parent  # a folder a sensor
        folders[folder][str(path.relative_to(folder))] = part
    apart = [files for files in folders.values() if 2 <= len(files) <= _MOST_SENSORS and _share_nothing(files.values())]
    if not apart:
        return []
    names = list(apart[0])
    told = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return [f"{told} share no stream, and are an episode each: if they are sensors of one recording, {how}"]


def _share_nothing(logs: Iterable[Path]) -> bool:
    taken: set[str] = set()
    for path in logs:
        with Log(path) as log:
            if taken & log.streams.keys():
                return False
            taken |= log.streams.keys()
    return True

"""Notes of many recordings in few lines: what is nearly the same of several is said once."""

import re
from collections import defaultdict
from collections.abc import Sequence

from worldmodel.terminal import listing

_LONG = 160  # characters, from which a note is a list, which may differ a little
_NAMED = 4


def in_lines(notes: Sequence[str], episodes: Sequence[str]) -> list[str]:
    """The notes, with those that differ only by their recording, their numbers or the end of a long list in one line.

    Args:
        notes: those of a recording begin with its name.
        episodes: the names of the recordings.
    """
    known = set(episodes)
    groups: dict[tuple[bool, str], list[tuple[str, str]]] = defaultdict(list)
    for note in notes:
        name, text = _parted(note, known)
        groups[bool(name), _key(text) if name else note].append((name, text))
    return [_line(group, len(known)) for group in groups.values()]


def _parted(note: str, known: set[str]) -> tuple[str, str]:
    """The recording that a note is about, empty where it is about none, and the rest."""
    at = note.find(": ")
    while at >= 0:
        if note[:at] in known:
            return note[:at], note[at + 2 :]
        at = note.find(": ", at + 2)
    return "", note


def _key(text: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", text[:_LONG].rpartition(": ")[0] if len(text) > _LONG else text)


def _in_short(text: str) -> str:
    """A note without the end of a long list."""
    head, colon, names = text.rpartition(": ")
    return f"{head}{colon}{listing(names.split(', '))}" if len(text) > _LONG else text


def _line(group: Sequence[tuple[str, str]], every: int) -> str:
    name, text = group[0][0], _in_short(group[0][1])
    names = list(dict.fromkeys(name for name, _ in group))
    if len(names) == 1 or not name:
        return f"{name}: {text}" if name else text
    told = ", ".join(names[1:_NAMED]) + (" and others" if len(names) > _NAMED else "")
    return f"{name}: {text}; the like in {len(names)} of {every} episodes, also {told}"

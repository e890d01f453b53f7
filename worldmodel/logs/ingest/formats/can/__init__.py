"""CAN logs (candump, ASC, BLF, TRC, CSV), decoded by a DBC: a stream a message."""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.can import frames
from worldmodel.logs.ingest.formats.can.kept import Kept, Key
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.dbc import dbc_beside, load
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import IN_PIECES, Recording, piece_name

_PIECE = 4_000_000  # frames that are held at once: a few hundred MiB
_SINCE_1970 = 1e9  # seconds; stamps of a log that counts from its beginning are less


def claims(path: Path) -> bool:
    """By a file's first bytes."""
    try:
        return path.is_file() and frames.kind(path) is not None
    except OSError:
        return False


def parts(path: Path) -> list[Path]:
    """The log, and the DBC beside it where there is one."""
    beside = dbc_beside(path)
    return [path, *beside] if len(beside) == 1 else [path]


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode, whose time zero is the first frame of a message that the DBC knows; or pieces that can be held.

    Raises:
        RecipeError: if no DBC is given, the log is damaged, or no frame is of a message that it knows.
    """
    notes: list[str] = []
    dbc = options.dbc or (_found(path, notes),)
    messages = load(dbc, notes)
    seen: set[Key] = set()
    there = False
    with reading(path, "a CAN log"):
        every = frames.messages(path, options.advance, notes)
        for number in itertools.count(1):
            kept = Kept(messages, seen)
            more = kept.take(every, _PIECE)
            if more and number == 1:
                notes.append(IN_PIECES)
            recording = Recording(piece_name(path.name, number if more or number > 1 else 0))
            notes += kept.notes()
            kept.add_to(recording)
            if recording.samples:
                there = True
                yield _told(recording, notes)
                notes.clear()
            if not more:
                break
    if not there:
        files = ", ".join(file.name for file in dbc)
        raise RecipeError(
            f"{path} has no frame {'that fits' if seen else 'of a message of'} {files}.",
            expected="addresses such as " + ", ".join(f"{message.frame_id:#x}" for message in messages[:5]),
            found="; ".join(notes) or "no frames",
            remedy="--dbc FILE of this machine",
        )


def _told(recording: Recording, notes: Sequence[str]) -> Recording:
    recording.about["description"] = "CAN log"
    recording.notes[:0] = notes
    zero = min(float(samples.time[0]) for samples in recording.samples.values())
    recording.origin_utc = 0.0 if zero > _SINCE_1970 else math.nan
    recording.shift(zero)
    return recording


def _found(path: Path, notes: list[str]) -> Path:
    beside = dbc_beside(path)
    if len(beside) != 1:
        raise RecipeError(
            f"Nothing says what the messages of {path} mean.",
            expected="a DBC file",
            found=f"{len(beside)} beside it",
            remedy="--dbc FILE (dbc= in Python)",
        )
    notes.append(f"decoded by {beside[0].name}, which lies beside it")
    return beside[0]

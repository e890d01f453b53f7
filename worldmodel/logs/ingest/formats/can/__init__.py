"""CAN logs (candump, ASC, BLF, TRC, CSV), decoded by a DBC: a stream a message."""

import math
from collections.abc import Iterator
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.can import frames
from worldmodel.logs.ingest.formats.can.kept import Kept
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.dbc import dbc_beside, load
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

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
    """One episode, whose time zero is the first frame of a message that the DBC knows.

    Raises:
        RecipeError: if no DBC is given, the log is damaged, or no frame is of a message that it knows.
    """
    recording = Recording(path.name, about={"description": "CAN log"})
    dbc = options.dbc or (_found(path, recording),)
    known = ", ".join(file.name for file in dbc)
    messages = load(dbc, recording.notes)
    with reading(path, "a CAN log"):
        kept = Kept(messages)
        for frame in frames.messages(path, options.advance, recording.notes):
            kept.add(frame)
        recording.notes += kept.notes()
        if not kept.times:
            raise RecipeError(
                f"{path} has no frame of a message that {known} knows.",
                expected="addresses such as " + ", ".join(f"{message.frame_id:#x}" for message in messages[:5]),
                found="; ".join(recording.notes) or "no frames",
                remedy="--dbc FILE of this machine",
            )
        kept.add_to(recording)
    if not recording.samples:
        raise RecipeError(f"{path} has no frame that fits {known}.", found="; ".join(recording.notes))
    zero = min(float(samples.time[0]) for samples in recording.samples.values())
    recording.origin_utc = 0.0 if zero > _SINCE_1970 else math.nan
    recording.shift(zero)
    yield recording


def _found(path: Path, recording: Recording) -> Path:
    beside = dbc_beside(path)
    if len(beside) != 1:
        raise RecipeError(
            f"Nothing says what the messages of {path} mean.",
            expected="a DBC file",
            found=f"{len(beside)} beside it",
            remedy="--dbc FILE (dbc= in Python)",
        )
    recording.notes.append(f"decoded by {beside[0].name}, which lies beside it")
    return beside[0]

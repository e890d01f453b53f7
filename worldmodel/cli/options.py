"""What several commands share: options, and what they say."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worldmodel.export.tracks import Track

Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides everything random.")]
Out = Annotated[Path, typer.Option("--out", help="What to write.")]
BeyondTrained = Annotated[
    bool, typer.Option("--beyond-trained", help="Allow a --horizon of more than twice what was trained.")
]
Rrd = Annotated[Path | None, typer.Option("--rrd", help="Also write a Rerun recording.")]
Mcap = Annotated[Path | None, typer.Option("--mcap", help="Also write an MCAP file, for Foxglove.")]
ASKED = "A trained run, or a scene: a shipped one's name or a folder."


def say_lost_scene(about: Mapping[str, object]) -> None:
    """Says where the scene of a log cannot be read any more."""
    from worldmodel.simulate import lost_scene

    if note := lost_scene(about):
        say_notes([note])


def say_notes(notes: Iterable[str]) -> None:
    """Says what is to be known beside what is asked."""
    from rich.console import Console

    from worldmodel.terminal import say

    for note in notes:
        say(Console(), f"note: {note}")


def listed(words: list[str] | None) -> list[str] | None:
    """What an option gives that may be repeated, or hold several between commas."""
    return [part for word in words for part in word.split(",") if part] if words else None


def wrote(*paths: Path) -> None:
    """Says what was written."""
    for path in paths:
        print(f"wrote {path}")


def write_tracks(tracks: "Callable[[], Iterable[Track]]", rrd: Path | None, mcap: Path | None, force: bool) -> None:
    """Writes the formats that are asked for."""
    from worldmodel.export.mcap import write_mcap
    from worldmodel.export.rrd import write_rrd

    if rrd is not None:
        wrote(write_rrd(tracks(), rrd, force=force))
    if mcap is not None:
        wrote(write_mcap(tracks(), mcap, force=force))

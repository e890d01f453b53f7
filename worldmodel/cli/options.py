"""What several commands share: options, and what they say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides everything random.")]
Out = Annotated[Path, typer.Option("--out", help="What to write.")]
BeyondTrained = Annotated[
    bool, typer.Option("--beyond-trained", help="Allow a --horizon of more than twice what was trained.")
]


def say_lost_scene(about: Mapping[str, object]) -> None:
    """Says where the scene of a log cannot be read any more."""
    from worldmodel.simulate import lost_scene

    if note := lost_scene(about):
        print(f"note: {note}")


def listed(words: list[str] | None) -> list[str] | None:
    """What an option gives that may be repeated, or hold several between commas."""
    return [part for word in words for part in word.split(",") if part] if words else None


def wrote(*paths: Path) -> None:
    """Says what was written."""
    for path in paths:
        print(f"wrote {path}")

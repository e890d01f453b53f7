"""The application that every command registers with, and how its mistakes end."""

import sys
from typing import Annotated

import typer

from worldmodel.allocator import keep_freed
from worldmodel.errors import WorldModelError
from worldmodel.version import __version__

app = typer.Typer(
    name="worldmodel",
    help="Learn a world model from a machine's own recordings, imagine what its sensors read next, and measure how far "
    "to trust it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"worldmodel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say which it is.")
    ] = False,
) -> None: ...


def main() -> None:
    """Runs a command; a mistake of the user's ends with its message and exit code 2."""
    keep_freed()
    try:
        app()
    except (WorldModelError, OSError) as error:
        print("\n  or:       ".join([f"error: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        sys.exit(2)
    except (MemoryError, OverflowError) as error:
        print(
            f"error: That is more than this machine can hold.\n  found:    {error}\n  do:       ask for less",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)

"""Says what a long command is doing, from its first second on."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Shows `what` while the block runs: with a spinner on a terminal, as a line of standard error elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(f"{what} ..."):
            yield
    else:
        print(f"{what} ...", file=sys.stderr, flush=True)
        yield

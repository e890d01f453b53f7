"""Errors of damaged sources: whatever a reader raises becomes one that names the file and what to do."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.files import DISK_FULL

_LFS = b"version https://git-lfs"


@contextlib.contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """A block that reads a source.

    Args:
        path: the source.
        what: what it ought to be, such as "an HDF5 file".

    Raises:
        RecipeError: in place of whatever its content makes a library raise.
    """
    try:
        yield
    except WorldModelError:
        raise
    except MemoryError as error:
        raise _refuse(path, what, "sizes beyond this machine's memory") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        lines = str(error).splitlines() or [""]
        raise _refuse(path, what, f"{type(error).__name__}: {lines[0][:200]}") from error


def _refuse(path: Path, what: str, found: str) -> RecipeError:
    return RecipeError(f"{path} cannot be read as {what}.", found=found, remedy="copy it again, or leave it out")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        RecipeError: if it is none.
    """
    with reading(path, "JSON"):
        try:
            return json.loads(path.read_bytes())
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git leaves in place of one that Git LFS has not fetched."""
    with open(path, "rb") as file:
        return file.read(len(_LFS)) == _LFS

"""Output that appears only when it is whole."""

import contextlib
import errno
import fnmatch
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from worldmodel.errors import WorldModelError

_PARTIAL = ".*.partial*"  # what a killed command leaves
RUN_AGAIN = "copy the run again, or train it again"
DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def check_output(
    path: Path, force: bool = False, *, inputs: Iterable[Path] = (), replaces: Sequence[str] | None = None
) -> None:
    """Refuses an output that exists, unless `force` and nothing but an earlier output would be lost.

    Args:
        path: the file or folder to write.
        force: replace it.
        inputs: what the command reads, which is never replaced.
        replaces: of a folder, patterns of the names that the command itself writes there; it always writes the first.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise WorldModelError(f"{path} is no file and no folder, so it is not replaced.", remedy="choose another path")
    if path.exists() and not force:
        raise WorldModelError(
            f"{path} exists already.",
            remedy="choose another path, or pass --force (force=True) to replace it",
        )
    remedy, place = "choose another path", path.resolve()
    if not path.name:
        raise WorldModelError(f"{str(path)!r} is no name for an output.", remedy="name a file or folder to make")
    for source in map(Path.resolve, inputs):
        if place == source or place in source.parents:
            problem = f"{path} is or holds an input, so it is not replaced."
            raise WorldModelError(problem, found=str(source), remedy=remedy)
    if replaces is None or not path.exists():
        return
    if not path.is_dir():
        raise WorldModelError(f"{path} is no folder, so it is not replaced by one.", remedy=remedy)
    own = (*replaces, _PARTIAL)
    others = sorted(p.name for p in path.iterdir() if not any(fnmatch.fnmatch(p.name, name) for name in own))
    if not others and any(path.iterdir()) and not (path / replaces[0]).exists():
        others = ["others' files of such names"]
    if others:
        raise WorldModelError(
            f"{path} holds more than an earlier output, so it is not replaced.",
            expected=f"nothing but {', '.join(replaces)}",
            found=", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else ""),
            remedy=remedy,
        )


@contextlib.contextmanager
def disk_errors(path: Path, left: str = "nothing was left behind under that name") -> Iterator[None]:
    """Turns the system's errors while writing `path` into one that says what to do, and what is `left` there."""
    try:
        yield
    except OSError as error:
        # HDF5 reports a failed write with the system's errno in the text only.
        full = error.errno in DISK_FULL or any(f"errno = {number}" in str(error) for number in DISK_FULL)
        free = shutil.disk_usage(next(p for p in (path, *path.absolute().parents) if p.exists())).free
        raise WorldModelError(
            f"{path} cannot be written{': the disk is full' if full else ''}.",
            found=(error.strerror or str(error).splitlines()[0])
            + (f"; {free / 2**20:.0f} MiB are free there" if full else ""),
            remedy=f"{'free some space or ' if full else ''}choose another place; {left}",
        ) from error


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turns what reading a damaged file of a run raises into an error that names it and says what to do."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WorldModelError(f"{path} cannot be read.", found=found, remedy=RUN_AGAIN) from error


@contextlib.contextmanager
def _folders_above(path: Path) -> Iterator[None]:
    """Makes the folders above `path`, and takes those that it made away again if the block fails."""
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def whole_file(path: Path | str, force: bool = False) -> Iterator[Path]:
    """Yields a path beside `path` to write to; it takes its name if the block ends well and vanishes if not.

    Raises:
        WorldModelError: if `path` exists and not `force`, or if it cannot be written.
    """
    path = Path(path)
    check_output(path, force)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with disk_errors(path), _folders_above(path):
        try:
            partial.unlink(missing_ok=True)
            yield partial
            os.replace(partial, path)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(
    path: Path | str, force: bool = False, *, inputs: Iterable[Path] = (), replaces: Sequence[str] = ()
) -> Iterator[Path]:
    """As `whole_file`, for a folder that a command fills: all of it appears, or none.

    With `force` it takes the place of a folder that holds nothing but what `replaces` names (see `check_output`).
    """
    path = Path(path)
    check_output(path, force, inputs=inputs, replaces=replaces)
    partial = path.with_name(f".{path.name}.partial")
    with disk_errors(path), _folders_above(path):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            yield partial
            if path.is_dir():
                shutil.rmtree(path)
            os.replace(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

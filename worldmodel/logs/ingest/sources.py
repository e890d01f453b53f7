"""Finds what is to be ingested, and who reads it."""

import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from worldmodel.errors import RecipeError
from worldmodel.logs.format import is_log
from worldmodel.logs.ingest.importer import importer, importers
from worldmodel.logs.reader import TOGETHER

_OTHERS = (
    "--format forces one, and says what is wrong with it (for text, tables); or export it to CSV or Parquet and "
    "describe its columns in a recipe"
)
_PROGRAMS = {  # what makes a known format of some that are not read, by their suffix
    ".bbl": "blackbox_decode (github.com/betaflight/blackbox-tools) makes CSV of it, which is read",
    ".bfl": "blackbox_decode (github.com/betaflight/blackbox-tools) makes CSV of it, which is read",
    ".ld": "MoTeC i2 exports CSV, which is read",
    ".xrk": "AiM's Race Studio exports CSV, which is read",
    ".xrz": "AiM's Race Studio exports CSV, which is read",
    ".rcz": "RaceChrono exports CSV, version 3, which is read",
    ".vbb": "Racelogic's VBOX Test Suite saves it as VBO, which is read",
    ".fit": "FitCSVTool of Garmin's FIT SDK makes CSV of it, which is read",
    ".tcx": "export the track as GPX, which is read",
    ".tlog": "mavlogdump.py --format csv --types TYPE (pymavlink) makes tables of it; the vehicle's .bin holds more",
    ".svo": "export its pictures as a film or as images, which are read",
    ".tdms": "LabVIEW and nptdms make CSV or LVM of it, which are read",
    ".pkl": "save its arrays as .npz, .mat, HDF5 or Parquet: pickles run code, and are never read",
    ".npy": "save the arrays by name as .npz (numpy.savez), with a vector of times or with actions",
    ".zarr": "save its arrays as HDF5 or .npz",
}


class Source(NamedTuple):
    """One file or folder that an importer reads.

    Attributes:
        path: of it; the first of its parts where it has several files.
        format: the importer's name.
        parts: every file or folder that belongs to it.
    """

    path: Path
    format: str
    parts: tuple[Path, ...]

    def absolute(self) -> "Source":
        """The same wherever a process is started."""
        return self._replace(path=self.path.absolute(), parts=tuple(part.absolute() for part in self.parts))

    @property
    def bytes(self) -> int:
        """How large it is."""
        return sum(file.stat().st_size for part in self.parts for file in _files(part))


class Found(NamedTuple):
    """The sources, in order, and the files in given folders that no importer claims."""

    sources: list[Source]
    unclaimed: list[Path]


def find_sources(
    given: Sequence[str | Path] | str | Path, kind: str | None = None, whole: Callable[[Path], bool] | None = None
) -> Found:
    """The sources that paths and patterns name; a folder that is no source itself stands for all that is in it.

    Args:
        given: files, folders or glob patterns.
        kind: the format of all of them; by default each is detected.
        whole: which paths are sources of that format, where it is not the importer that knows.

    Raises:
        RecipeError: if one names nothing, or a file that no importer claims.
    """
    found = Found([], [])
    taken: set[Path] = set()
    claims = whole or (importer(kind).claims if kind else None)
    for name in [given] if isinstance(given, str | Path) else given:
        before, paths = (len(found.sources), len(taken)), _paths(name)
        again = any(path.resolve() in taken for path in paths)
        for path in paths:
            if path.is_dir() and (claims is None or not claims(path)):
                _add_folder(path, kind, claims, found, taken)
            else:
                _add(path, kind or _detected(path), found, taken)
        if before == (len(found.sources), len(taken)) and not again:
            raise RecipeError(
                f"{name} holds no file that can be ingested{f' as {kind}' if kind else ''}.",
                expected=f"recordings of a known format: {', '.join(importers())}",
                found=", ".join(str(path) for path in found.unclaimed[:5]),
                remedy="--format forces one",
            )
    if not found.sources:
        raise RecipeError("No source was given.", expected="one file, folder or pattern at least")
    return found


def _paths(name: str | Path) -> list[Path]:
    path = Path(name)
    if not str(name).strip():
        raise RecipeError("A source has no name.", expected="a file, a folder or a pattern of files")
    paths = [path] if path.exists() else sorted(Path(match) for match in glob.glob(str(name), recursive=True))
    if not paths:
        raise RecipeError(f"{name} does not exist.", expected="a file, a folder or a pattern of files")
    return paths


def _add_folder(
    folder: Path, kind: str | None, claims: Callable[[Path], bool] | None, found: Found, taken: set[Path]
) -> None:
    claimed = claimant(folder) if kind is None else None
    if claimed:
        _add(folder, claimed, found, taken)
    else:
        _add_inside(folder, kind, claims, found, taken)


def _add_inside(
    folder: Path, kind: str | None, claims: Callable[[Path], bool] | None, found: Found, taken: set[Path]
) -> None:
    """Adds what lies in a folder that is no source itself."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.exists():  # a link that leads nowhere, or to itself
            continue
        place = path.resolve()
        if place in taken or place in (folder / "_").resolve().parents:  # a link that leads back
            continue
        name = claimant(path) if claims is None else kind if claims(path) else None
        if name:
            _add(path, name, found, taken)
        elif path.is_dir():
            _add_inside(path, kind, claims, found, taken)
        else:
            found.unclaimed.append(path)


def _add(path: Path, name: str, found: Found, taken: set[Path]) -> None:
    """Adds a source, unless it is a part of an earlier one."""
    place = path.resolve()
    if place in taken:
        return
    parts = getattr(importer(name), "parts", lambda path: [path])(path)
    places = {place, *(part.resolve() for part in parts)}
    taken |= places
    found.sources[:] = [source for source in found.sources if source.path.resolve() not in places]
    found.unclaimed[:] = [path for path in found.unclaimed if path.resolve() not in places]
    found.sources.append(Source(path, name, tuple(parts)))


def claimant(path: Path) -> str | None:
    """The name of the first importer that claims a file or a folder; None if there is none."""
    return next((name for name, reader in importers().items() if reader.claims(path)), None)


def _detected(path: Path) -> str:
    name = claimant(path)
    if name is None and is_log(path):
        raise RecipeError(
            f"{path} is a log already.",
            expected="recordings",
            remedy=f"use it as it is; to join it with others, {TOGETHER}",
        )
    if name is None:
        raise RecipeError(
            f"{path} is of no format that is known.",
            expected=", ".join(importers()),
            found=f"a file that ends in {path.suffix!r}",
            remedy=_PROGRAMS.get(path.suffix.lower(), _OTHERS),
        )
    return name


def _files(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter([path])

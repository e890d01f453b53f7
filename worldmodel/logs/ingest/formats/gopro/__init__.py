"""GoPro MP4 files with GPMF telemetry, and recordings that the camera wrote as several files, its chapters."""

from collections.abc import Iterator
from pathlib import Path

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.gopro.chapters import chapters, read_chapters
from worldmodel.logs.ingest.formats.gopro.mp4 import has_track
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

SUFFIXES = (".mp4", ".360")


def claims(path: Path) -> bool:
    """MP4 files with a track of GPMF."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    try:
        return has_track(path, b"gpmd")
    except (RecipeError, OSError, MemoryError):
        return False


def parts(path: Path) -> list[Path]:
    """The file and the chapters that follow it."""
    return chapters(path)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a recording."""
    yield read_chapters(chapters(path), options)

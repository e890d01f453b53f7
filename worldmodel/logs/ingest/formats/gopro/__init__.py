"""GoPro MP4 files with GPMF telemetry."""

from collections.abc import Iterator
from pathlib import Path

from worldmodel.logs.ingest.formats.gopro.reading import read_gopro
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

SUFFIXES = (".mp4", ".360")


def claims(path: Path) -> bool:
    """By its suffix."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode a file."""
    yield read_gopro(path, options)

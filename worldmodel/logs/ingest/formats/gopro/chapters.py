"""Recordings that the camera wrote as several files, each with a media clock of its own that begins at zero."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from worldmodel.logs import video
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.gopro.reading import read_telemetry
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording
from worldmodel.types import Samples

_NAME = re.compile(r"(GOPR|G[A-Z]\d\d)(\d{4})", re.IGNORECASE)
_LAST = 99
_APART_S = 2.0  # of what UTC tells of two chapters: cameras tell it to about a second


def chapters(path: Path) -> list[Path]:
    """A file and those that follow it: GX010123, GX020123 and so on; GOPR0123, GP010123 and so on."""
    name = _NAME.fullmatch(path.stem)
    if name is None:
        return [path]
    kind, number = name.groups()
    letters, first = ("GP", 0) if kind.upper() == "GOPR" else (kind[:2], int(kind[2:]))
    later = (path.with_stem(f"{letters}{n:02d}{number}") for n in range(first + 1, _LAST + 1))
    return [path, *itertools.takewhile(Path.is_file, later)]


def read_chapters(paths: Sequence[Path], options: Options) -> Recording:
    """Reads a recording of one chapter or more as an episode whose time zero is its first sample.

    Raises:
        RecipeError: if a file is damaged or has no telemetry.
    """
    with reading(paths[0], "the telemetry of a GoPro film"):
        told = [read_telemetry(path) for path in paths]
    lengths = [video.duration_s(path) for path in paths[:-1]]
    starts = [0.0, *itertools.accumulate(lengths)]
    recording = Recording(paths[0].name, about={"description": "GoPro video and telemetry"})
    recording.add_film("camera", _frames(paths, starts, options, recording), options.size, options.scratch)
    for name in dict.fromkeys(name for chapter in told for name in chapter.specs):
        _add(recording, name, told, starts)
    several = len(paths) > 1
    for path, chapter in zip(paths, told, strict=True):
        recording.notes += [f"{path.name}: {note}" if several else note for note in chapter.notes]
    origins = [chapter.origin_utc - start for chapter, start in zip(told, starts, strict=True)]
    recording.origin_utc = next(filter(math.isfinite, origins), math.nan)
    if np.ptp(list(filter(math.isfinite, origins)) or [0.0]) > _APART_S:
        recording.notes.append("its chapters do not follow each other by their GPS: they may be of several recordings")
    recording.shift(min(samples.time[0] for samples in recording.samples.values() if len(samples.time)))
    return recording


def _frames(
    paths: Sequence[Path], starts: Sequence[float], options: Options, recording: Recording
) -> Iterator[tuple[float, np.ndarray]]:
    for path, start in zip(paths, starts, strict=True):
        each = path.stat().st_size // max(video.count_frames(path), 1)
        for seconds, frame in video.read_frames(path, options.size, notes=recording.notes):
            yield start + seconds, frame
            options.advance(each)


def _add(recording: Recording, name: str, told: Sequence[Recording], starts: Sequence[float]) -> None:
    """Adds a stream of all chapters, on the media clock of the first; a chapter ends where the next one begins."""
    there = [(chapter, start) for chapter, start in zip(told, starts, strict=True) if name in chapter.specs]
    pieces = [Samples(start + chapter.samples[name].time, chapter.samples[name].data) for chapter, start in there]
    firsts = [piece.time[0] if len(piece.time) else math.inf for piece in pieces[1:]]
    keep = [piece.time < first for piece, first in zip(pieces, [*firsts, math.inf], strict=True)]
    if beyond := sum(int((~one).sum()) for one in keep):
        recording.notes.append(f"{name}: {beyond} samples of a chapter that reach into the next one are left out")
    time = np.concatenate([piece.time[one] for piece, one in zip(pieces, keep, strict=True)])
    data = np.concatenate([piece.data[one] for piece, one in zip(pieces, keep, strict=True)])
    recording.add(there[0][0].specs[name], time, data)

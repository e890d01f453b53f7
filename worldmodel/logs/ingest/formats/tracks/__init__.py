"""Tracks of receivers: GPX, KML and KMZ, and logs of NMEA sentences. A segment of a track is an episode."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.tracks import gpx, kml, nmea
from worldmodel.logs.ingest.formats.tracks.fixes import Fixes, place, told_by
from worldmodel.logs.ingest.formats.tracks.markup import Markup
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

_HEAD = 4096  # bytes that tell what a file is
_ROOT = re.compile(rb"<(?:\w+:)?(gpx|kml)[\s>]")
_SENTENCES = 0.5  # the least share of a log's lines
_LONGEST_LINE = 4096
_READERS = {"gpx": gpx, "kml": kml}
_SEA = "altitude above the sea, as the receiver tells it"


def claims(path: Path) -> bool:
    """GPX and KML by their first element, NMEA by its first lines, KMZ by its name and what is in it."""
    try:
        return path.is_file() and _kind(path) is not None
    except OSError:
        return False


def _kind(path: Path) -> str | None:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PK\x03\x04"):
        return "kmz" if path.suffix.lower() == ".kmz" else None
    flat = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t")  # UTF-16 of Latin text, without its zeros
    if flat.startswith(b"<"):
        root = _ROOT.search(flat)
        return root[1].decode() if root else None
    lines = [line for line in head.split(b"\n")[: -1 if len(head) == _HEAD else None] if line.strip()]
    found = sum(bool(nmea.SENTENCE.match(line)) for line in lines)
    return "nmea" if found and found >= _SENTENCES * len(lines) else None


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode a segment or log, whose time zero is its first fix.

    Raises:
        RecipeError: if it is damaged, or no fix in it has a time.
    """
    with reading(path, "a track"):
        kind, left, notes = _kind(path), Counter[str](), list[str]()
        if kind is None:
            raise RecipeError(f"{path} is no track.", expected="GPX, KML, KMZ, or NMEA sentences with their checksums")
        with kml.document(path) if kind == "kmz" else open(path, "rb") as file:
            if kind == "nmea":
                stretches = [nmea.fixes(_lines(file, options), left, notes)]
            else:
                stretches = _stretches(kind, file, options, left, notes)
        columns = nmea.COLUMNS if kind == "nmea" else told_by(stretches)
        if left := +left:
            told = ", ".join(f"{count} {what}" for what, count in left.most_common(12))
            notes.append(f"left out of the track: {told}{' and more' if len(left) > 12 else ''}")
        yield from _recordings(path, stretches, columns, notes)


def _stretches(kind: str, file: IO[bytes], options: Options, left: Counter[str], notes: list[str]) -> list[Fixes]:
    markup = Markup(file, options.advance)
    stretches = list(_READERS["gpx" if kind == "gpx" else "kml"].stretches(markup, left))
    if markup.torn:
        notes.append("the file ends in the middle of its track: what comes before is read")
    return stretches


def _lines(file: IO[bytes], options: Options) -> Iterator[bytes]:
    while line := file.readline(_LONGEST_LINE):
        options.advance(len(line))
        yield line


def _recordings(path: Path, stretches: list[Fixes], columns: tuple[str, ...], notes: list[str]) -> Iterator[Recording]:
    made = 0
    for number, fixes in enumerate(stretches, 1):
        recording = Recording(path.name if len(stretches) == 1 else f"{path.name}:{number}", notes=notes)
        recording.about = {"description": fixes.name or "track of a GNSS receiver"}
        place(recording, fixes, columns, _SEA)
        notes = [] if recording.samples else recording.notes  # which the next one then tells
        if recording.samples:
            made += 1
            yield recording
    if not made:
        raise RecipeError(
            f"{path} has no fix with a time.",
            expected="track points with times",
            found="; ".join(notes) or "no points",
            remedy="record a track with times: a path alone tells no motion",
        )

"""Frames of candump, ASC, BLF, PCAN trace (TRC) and CSV files, also packed by gzip, by python-can's readers."""

import datetime
import gzip
import io
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, cast

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.can import csv
from worldmodel.logs.ingest.importer import needed

_HEAD = 4096  # bytes that tell what a file is
_COMPACT = re.compile(rb"\(\d+\.\d+\)\s+\S+\s+[0-9A-Fa-f]{3,8}#")
_SPACED = re.compile(  # as candump prints it for people, with stamps (-ta, -tz, -tA) and maybe directions (-x)
    r"\s*\((\d+\.\d+|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)\)"
    r"\s+(\S+)\s+(?:([RT])X [-B] [-E]\s+)?([0-9A-Fa-f]{3,8})\s+\[(\d+)\]\s*(.*)"
)
_ASC = re.compile(rb"^base\s+(?:hex|dec)\b(?:\s+\w+\s+(absolute|relative))?", re.I | re.M)
_ASC_FRAME = re.compile(r"\s*\d+\.\d+\s+(?:\d+\s+(?:\w+\s+(?:Tx|Rx|TxRq)\s|ErrorFrame)|CANFD\s)", re.I)
_ASC_EVENT = re.compile(r"\s*\d+\.\d+\s+(?:CAN\s+)?(?:\d+\s+)?(\w+)")
_TRC = re.compile(rb"^;\$FILEVERSION=|^;#{20}|^;\s+Start time: ", re.M)
_OBJECT = struct.Struct("<4sHHII")
_CONTAINER, _DEFLATED = 10, 2
_SMALL = 1 << 18  # bytes of a container that cannot unpack to more than memory holds: deflate packs by 1032 at most
_MOST_UNPACKED = 1 << 26


def kind(path: Path) -> str | None:
    """`blf`, `asc`, `trc`, `csv` or `candump`, by a file's first bytes; None for others."""
    try:
        with opened(path) as file:
            head = file.read(_HEAD)
    except (EOFError, zlib.error, gzip.BadGzipFile):  # reading it says so
        return None
    if head.startswith(b"LOGG"):
        return "blf"
    if _ASC.search(head):
        return "asc"
    if head.startswith(b";") and _TRC.search(head):
        return "trc"
    first = next((line for line in head.splitlines() if line.strip()), b"")
    if csv.is_header(first):
        return "csv"
    found = _COMPACT.match(first.strip()) or _SPACED.match(first.decode("ascii", "replace"))
    return "candump" if found else None


def opened(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked where it is packed by gzip."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if packed else open(path, "rb")


def messages(path: Path, advance: Callable[[int], object], notes: list[str]) -> Iterator[Any]:
    """The frames as python-can has them; `notes` gets what was left out.

    Raises:
        RecipeError: if its stamps are relative to each other, or it unpacks to more than fits.
    """
    readers = needed("can.io", "can")
    match kind(path):
        case "blf":
            _check_containers(path)
            with readers.BLFReader(opened(path)) as reader:
                frames = yield from _counted(reader, advance)
                if frames < reader.object_count:
                    others = f"{reader.object_count - frames} of {reader.object_count} objects"
                    notes.append(f"CAN: {others} are no frames that can be read (events, statistics, other buses)")
        case "asc":
            _check_stamps(path)
            lines: _Lines = _AscLines(path, advance, notes, _asc_line)
            yield from readers.ASCReader(lines)
            if lines.others:
                told = ", ".join(f"{count} {word}" for word, count in lines.others.most_common(12))
                notes.append(f"CAN: lines that are no frames are left out: {told}")
        case "trc":
            with io.TextIOWrapper(opened(path), "latin-1") as text, readers.TRCReader(text) as reader:
                yield from _counted(reader, advance)
        case "csv":
            lines = _Lines(path, advance, notes, lambda line: (line, ""))
            yield from csv.frames(lines, lines.others)
            notes += [f"CAN: {count} lines {what} are left out" for what, count in lines.others.items()]
        case "candump":
            yield from readers.CanutilsLogReader(_Lines(path, advance, notes, _candump_line))
            with opened(path) as file:
                if (first := _SPACED.match(file.readline(_HEAD).decode("latin-1"))) and "-" in first[1]:
                    notes.append("CAN: its times tell no zone, and are taken for UTC")
        case _:
            raise RecipeError(
                f"{path} is no CAN log.", expected="candump, ASC, BLF, TRC, or CSV of SavvyCAN or python-can"
            )


def _counted(reader: Any, advance: Callable[[int], object]) -> Generator[Any, None, int]:
    """Passes messages on, tells at times how far the file was read, and returns how many there were."""
    raw = getattr(reader.file, "buffer", reader.file)
    read = number = 0
    for message in reader:
        yield message
        number += 1
        if number % 4096 == 0:
            place = raw.tell()
            advance(place - read)
            read = place
    return number


class _Lines:
    """A log as a text file of the lines that python-can reads, without a last line that is torn.

    Args:
        path, advance, notes: as of `messages`.
        readable: makes such a line of a line, and says what it is instead where it is to be left out and counted.

    Attributes:
        others: how many lines are what.
    """

    def __init__(
        self,
        path: Path,
        advance: Callable[[int], object],
        notes: list[str],
        readable: Callable[[str], tuple[str, str]],
    ) -> None:
        self._path, self._advance, self._notes, self._readable = path, advance, notes, readable
        self.others: Counter[str] = Counter()
        self._lines = self._read()

    def __iter__(self) -> Iterator[str]:
        return self._lines  # which goes on where it was left, as an open file does

    def _read(self) -> Iterator[str]:
        with opened(self._path) as file:
            while line := file.readline(_HEAD):
                self._advance(len(line))
                if not line.endswith(b"\n") and not line.lower().startswith(b"end trigger"):
                    self._notes.append("the last line has no end and is left out")
                    return
                text, other = self._readable(line.decode("latin-1"))
                if other:
                    self.others[other] += 1
                else:
                    yield text

    def read(self) -> str:  # python-can takes what has `read` and `write` for an open file
        raise NotImplementedError

    def write(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """The file is closed when all lines are read."""


class _AscLines(_Lines):
    """Lines of an ASC file, with one that ends its header: python-can else takes the first frame for it."""

    def _read(self) -> Iterator[str]:
        begun = False
        for line in super()._read():
            if not begun and _ASC_FRAME.match(line):
                begun = True
                yield "internal events logged\n"
            yield line


def _asc_line(line: str) -> tuple[str, str]:
    """A line of an ASC file; one of an event that is no frame is none."""
    event = _ASC_EVENT.match(line)
    if event is None or _ASC_FRAME.match(line) or event[1] == "Start":
        return line, ""
    return "", event[1]


def _candump_line(line: str) -> tuple[str, str]:
    """A line as candump logs it, of one as it prints it."""
    found = _SPACED.fullmatch(line.rstrip())
    if found is None:
        return line, ""
    stamp, channel, direction, address, length, content = found.groups()
    if "-" in stamp:
        stamp = f"{datetime.datetime.fromisoformat(f'{stamp}+00:00').timestamp():.6f}"
    content = f"R{length}" if content.startswith("remote") else "".join(content.split("'")[0].split())
    flags = "##0" if int(length) > 8 else "#"
    return f"({stamp}) {channel} {address}{flags}{content}{f' {direction}' if direction else ''}\n", ""


def _check_stamps(path: Path) -> None:
    with opened(path) as file:
        found = _ASC.search(file.read(_HEAD))
    if found and (found[1] or b"").lower() == b"relative":
        raise RecipeError(
            f"{path} has stamps that are relative to the line before.",
            expected="base hex timestamps absolute",
            remedy="export it again with absolute stamps: lines that are no frames make the sum wrong",
        )


def _check_containers(path: Path) -> None:
    """Refuses a BLF file in which a container unpacks to what no writer puts into one."""
    with opened(path) as file:
        file.seek(4)
        place = int.from_bytes(file.read(4), "little")
        while True:
            file.seek(place)
            header = file.read(_OBJECT.size)
            if len(header) < _OBJECT.size:
                return
            mark, _, _, size, what = _OBJECT.unpack(header)
            if mark != b"LOBJ" or size < _OBJECT.size:
                return  # the reader says so
            if what == _CONTAINER and size > _SMALL:
                content = file.read(size - _OBJECT.size)[16:]
                if len(zlib.decompressobj().decompress(content, _MOST_UNPACKED)) == _MOST_UNPACKED:
                    raise RecipeError(f"{path} unpacks to more than a log does.", remedy="leave it out")
            place += size + size % 4

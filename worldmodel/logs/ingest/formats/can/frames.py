"""Frames of candump, ASC and BLF files, by python-can's readers."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.importer import needed

_HEAD = 4096  # bytes that tell what a file is
_COMPACT = re.compile(rb"\(\d+\.\d+\)\s+\S+\s+[0-9A-Fa-f]{3,8}#")
_SPACED = re.compile(  # as candump prints it for people, with stamps (-ta, -tz) and maybe directions (-x)
    r"\s*(\(\d+\.\d+\))\s+(\S+)\s+(?:([RT])X [-B] [-E]\s+)?([0-9A-Fa-f]{3,8})\s+\[(\d+)\]\s*(.*)"
)
_ASC = re.compile(rb"^base\s+(?:hex|dec)\s+timestamps\s+(absolute|relative)", re.I | re.M)
_OBJECT = struct.Struct("<4sHHII")
_CONTAINER, _DEFLATED = 10, 2
_SMALL = 1 << 18  # bytes of a container that cannot unpack to more than memory holds: deflate packs by 1032 at most
_MOST_UNPACKED = 1 << 26


def kind(path: Path) -> str | None:
    """`blf`, `asc` or `candump`, by a file's first bytes; None for others."""
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"LOGG"):
        return "blf"
    if _ASC.search(head):
        return "asc"
    first = next((line for line in head.splitlines() if line.strip()), b"")
    found = _COMPACT.match(first.strip()) or _SPACED.match(first.decode("ascii", "replace"))
    return "candump" if found else None


def messages(path: Path, advance: Callable[[int], object], notes: list[str]) -> Iterator[Any]:
    """The frames as python-can has them; `notes` gets what was left out.

    Raises:
        RecipeError: if its stamps are relative to each other, or it unpacks to more than fits.
    """
    io = needed("can.io", "can")
    match kind(path):
        case "blf":
            _check_containers(path)
            with io.BLFReader(str(path)) as reader:
                yield from _counted(reader, advance)
        case "asc":
            _check_stamps(path)
            with io.ASCReader(str(path)) as reader:
                yield from _counted(reader, advance)
        case "candump":
            yield from io.CanutilsLogReader(_Lines(path, advance, notes))
        case _:
            raise RecipeError(f"{path} is no CAN log.", expected="candump, ASC or BLF")


def _counted(reader: Any, advance: Callable[[int], object]) -> Iterator[Any]:
    """Passes messages on, and tells at times how far the file was read."""
    raw = getattr(reader.file, "buffer", reader.file)
    read = 0
    for number, message in enumerate(reader):
        yield message
        if number % 4096 == 0:
            place = raw.tell()
            advance(place - read)
            read = place


class _Lines:
    """A candump log as a text file of compact lines, without a last line that is torn."""

    def __init__(self, path: Path, advance: Callable[[int], object], notes: list[str]) -> None:
        self._path, self._advance, self._notes = path, advance, notes

    def __iter__(self) -> Iterator[str]:
        with open(self._path, "rb") as file:
            while line := file.readline(_HEAD):
                self._advance(len(line))
                if not line.endswith(b"\n"):
                    self._notes.append("the last line has no end and is left out")
                    return
                yield _compact(line.decode("ascii"))

    def read(self) -> str:  # python-can takes what has `read` and `write` for an open file
        raise NotImplementedError

    def write(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """The file is closed when all lines are read."""


def _compact(line: str) -> str:
    found = _SPACED.fullmatch(line.rstrip())
    if found is None:
        return line
    stamp, channel, direction, address, length, content = found.groups()
    content = f"R{length}" if content.startswith("remote") else "".join(content.split("'")[0].split())
    flags = "##0" if int(length) > 8 else "#"
    return f"{stamp} {channel} {address}{flags}{content}{f' {direction}' if direction else ''}"


def _check_stamps(path: Path) -> None:
    with open(path, "rb") as file:
        found = _ASC.search(file.read(_HEAD))
    if found and found[1].lower() == b"relative":
        raise RecipeError(
            f"{path} has stamps that are relative to the line before.",
            expected="base hex timestamps absolute",
            remedy="export it again with absolute stamps: lines that are no frames make the sum wrong",
        )


def _check_containers(path: Path) -> None:
    """Refuses a BLF file in which a container unpacks to what no writer puts into one."""
    with open(path, "rb") as file:
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

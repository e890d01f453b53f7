"""Reads what telemetry needs from an MP4 file: where a track's samples are, and when each begins."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np

from worldmodel.errors import RecipeError

T = TypeVar("T")
_MOST_SAMPLES = 1 << 24  # of a track: a header alone may claim any number


class Payload(NamedTuple):
    """One sample of an MP4 track.

    Attributes:
        start: seconds of media time at which it begins.
        duration: seconds that it covers.
        content: its bytes.
    """

    start: float
    duration: float
    content: bytes


def has_track(path: Path, coding: bytes) -> bool:
    """Whether a file has a track with this coding (a four-letter code such as `gpmd`).

    Raises:
        RecipeError: if the file is no MP4 or is damaged.
    """
    return _with_track(path, coding, lambda file, table: True) or False


def read_payloads(path: Path, coding: bytes) -> list[Payload]:
    """Every sample of the first track with this coding, in order.

    Returns:
        The payloads; empty if the file has no such track.

    Raises:
        RecipeError: if the file is no MP4 or is damaged.
    """
    return _with_track(path, coding, _read_track) or []


def _with_track(path: Path, coding: bytes, read: Callable[[BinaryIO, dict[str, bytes]], T]) -> T | None:
    """What `read` makes of the first track with this coding; None if there is none."""
    try:
        with open(path, "rb") as file:
            for table in _sample_tables(_read_movie(file)):
                if table["stsd"][12:16] == coding:
                    return read(file, table)
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise RecipeError(
            f"{path} is not a whole MP4 file.",
            found=f"{type(error).__name__} while reading its index: {error}",
            remedy="copy it again from the camera",
        ) from error
    return None


def _read_movie(file: BinaryIO) -> bytes:
    """The content of the `moov` box; the media itself is not read."""
    while header := file.read(8):
        size, kind = struct.unpack(">I4s", header)
        size, used = (struct.unpack(">Q", file.read(8))[0], 16) if size == 1 else (size, 8)
        if kind == b"moov":
            return file.read(size - used if size else -1)
        if size == 0:
            break
        if size < used:
            raise ValueError(f"box {kind!r} of {size} bytes")
        file.seek(size - used, 1)
    raise ValueError("it has no index (moov box)")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        used = 8
        if size == 1:
            size, used = struct.unpack_from(">Q", data, at + 8)[0], 16
        size = size or len(data) - at
        if size < used:
            raise ValueError(f"box {kind!r} of {size} bytes")
        yield kind, data[at + used : at + size]
        at += size


def _sample_tables(movie: bytes) -> Iterator[dict[str, bytes]]:
    """For each track the boxes of its sample table, and its media header, by name."""
    for kind, track in _boxes(movie):
        if kind == b"trak":
            media = dict(_boxes(dict(_boxes(track))[b"mdia"]))
            table = {name.decode("latin1"): box for name, box in _boxes(dict(_boxes(media[b"minf"]))[b"stbl"])}
            yield {**table, "mdhd": media[b"mdhd"]}


def _read_track(file: BinaryIO, table: dict[str, bytes]) -> list[Payload]:
    sizes, durations, offsets = _sizes(table["stsz"]), _durations(table["stts"]), _offsets(table)
    if not len(sizes) == len(durations) == len(offsets):
        raise ValueError(f"{len(sizes)} sizes, {len(durations)} durations and {len(offsets)} places")
    header = table["mdhd"]
    timescale = struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0]
    if not timescale:
        raise ValueError("its clock stands still")
    seconds = durations / timescale
    starts = np.cumsum(seconds) - seconds
    payloads = []
    for start, duration, offset, size in zip(starts, seconds, offsets, sizes, strict=True):
        file.seek(offset)
        content = file.read(size)
        if len(content) < size:
            raise ValueError(f"it ends within the sample at {start:.2f} s")
        payloads.append(Payload(float(start), float(duration), content))
    return payloads


def _sizes(box: bytes) -> np.ndarray:
    size, count = struct.unpack_from(">II", box, 4)
    _check_count(count)
    return np.full(count, size) if size else np.frombuffer(box, ">u4", count, 12).astype(np.int64)


def _durations(box: bytes) -> np.ndarray:
    runs = np.frombuffer(box, ">u4", 2 * struct.unpack_from(">I", box, 4)[0], 8).reshape(-1, 2).astype(np.int64)
    _check_count(int(runs[:, 0].sum()))
    return np.repeat(runs[:, 1], runs[:, 0])


def _check_count(count: int) -> None:
    if count > _MOST_SAMPLES:
        raise ValueError(f"a track of {count} samples")


def _offsets(table: dict[str, bytes]) -> np.ndarray:
    """The place of each sample in the file: chunks hold consecutive samples back to back."""
    wide = "co64" in table
    box = table["co64" if wide else "stco"]
    chunks = np.frombuffer(box, ">u8" if wide else ">u4", struct.unpack_from(">I", box, 4)[0], 8).astype(np.int64)
    runs = np.frombuffer(table["stsc"], ">u4", 3 * struct.unpack_from(">I", table["stsc"], 4)[0], 8).reshape(-1, 3)
    per_chunk = np.repeat(runs[:, 1].astype(int), np.diff([*(runs[:, 0].astype(int) - 1), len(chunks)]))
    sizes, offsets, at = _sizes(table["stsz"]), [], 0
    for chunk, count in zip(chunks, per_chunk, strict=True):
        inside = sizes[at : at + count]
        offsets.append(chunk + np.cumsum(inside) - inside)
        at += count
    return np.concatenate(offsets) if offsets else np.zeros(0, np.int64)

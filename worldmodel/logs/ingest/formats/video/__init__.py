"""Films and folders of images, with or without a table of times beside them."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video
from worldmodel.logs.ingest.formats.video.images import (
    images_of,
    in_order,
    is_image_folder,
    missing_numbers,
    series,
    stamps_in_names,
)
from worldmodel.logs.ingest.formats.video.times import Times, beside_film, beside_images, read_times
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".hevc", ".h264", ".h265")
_NO_NAME = re.compile(r"[^\w-]+")
_ASSUMED_HZ = 30.0
_MAY_LACK = 0.01  # of the frames a time, or of the times a frame


def claims(path: Path) -> bool:
    """Films by their suffix, as FFmpeg knows more signatures than can be listed; folders that hold images alone."""
    return is_image_folder(path) if path.is_dir() else path.suffix.lower() in SUFFIXES


def parts(path: Path) -> list[Path]:
    """The film or folder, and its table of times if there is one."""
    table = beside_images(path) if path.is_dir() else beside_film(path, SUFFIXES)
    return [path] if table is None else [path, table]


def read(path: Path, options: Options) -> Iterator[Recording]:
    """One episode of one stream, `camera`, whose time zero is its first frame.

    A folder in which images of several cameras lie has a stream a camera, by their names.
    """
    name = path.parent.name if path.name == "data" and path.is_dir() else path.name  # EuRoC's and KITTI's cam0/data
    recording = Recording(name, about={"description": "video"})
    table = next(iter(parts(path)[1:]), None)
    times = read_times(table) if table is not None else None
    if times is not None:
        recording.notes += times.notes
    cameras = series(images_of(path)) if path.is_dir() else {"": []}
    if times is not None and any(len(images) != len(times.seconds) for images in cameras.values()):
        cameras = {"": in_order([image for images in cameras.values() for image in images])}
    for name, images in cameras.items():
        stream = _NO_NAME.sub("_", name).strip("_").lower() or "camera"
        frames = _image_frames(path, stream, images, times, recording, options) if path.is_dir() else None
        frames = frames or _film_frames(path, times, recording, options)
        recording.add_film(stream, frames, options.size, options.scratch)
    if len(cameras) > 1:
        recording.notes.append(f"images of {len(cameras)} cameras by their names: {', '.join(cameras)}")
    firsts = [samples.time[0] for samples in recording.samples.values() if len(samples.time)]
    recording.shift(min(firsts, default=0.0))
    yield recording


def _film_frames(
    path: Path, times: Times | None, recording: Recording, options: Options
) -> Iterator[tuple[float, np.ndarray]]:
    each = path.stat().st_size // max(video.count_frames(path), 1)
    count = 0
    for count, (seconds, frame) in enumerate(video.read_frames(path, options.size, notes=recording.notes), 1):
        options.advance(each)
        if times is None:
            yield seconds, frame
        elif count <= len(times.seconds):
            yield times.seconds[count - 1], frame
    if times is not None:
        _compare(path, times, count, recording)


def _image_frames(
    path: Path, stream: str, images: list[Path], times: Times | None, recording: Recording, options: Options
) -> Iterator[tuple[float, np.ndarray]]:
    for seconds, image in _image_times(path, stream, images, times, recording):
        content = image.read_bytes()
        options.advance(len(content))
        yield seconds, video.read_image(content, options.size, str(image))


def _image_times(
    path: Path, stream: str, images: list[Path], times: Times | None, recording: Recording
) -> list[tuple[float, Path]]:
    """A camera's images in the order of their times."""
    if times is not None and times.names:
        return _by_name(path, times, images, recording)
    if times is not None:
        _compare(path, times, len(images), recording)
        return list(zip(times.seconds, images, strict=False))
    stamps = stamps_in_names(images)
    if stamps is not None:
        recording.origin_utc = 0.0  # which moves with the first frame to time zero
        return sorted(zip(stamps, images, strict=True))
    recording.notes.append(f"{stream}: nothing tells when its images were taken: {_ASSUMED_HZ:g} a second are assumed")
    if lacking := missing_numbers(images):
        recording.notes.append(f"{stream}: {lacking} numbers are missing among those of its images: taken for no time")
    return [(i / _ASSUMED_HZ, image) for i, image in enumerate(images)]


def _by_name(path: Path, times: Times, images: list[Path], recording: Recording) -> list[tuple[float, Path]]:
    known = {key: image for image in images for key in (image.stem, image.name)}
    found = [(seconds, known.pop(name, None)) for name, seconds in zip(times.names, times.seconds, strict=True)]
    there = [(seconds, image) for seconds, image in found if image is not None]
    _compare(path, times, len(images), recording, matched=len(there))
    return there


def _compare(path: Path, times: Times, count: int, recording: Recording, matched: int | None = None) -> None:
    """Notes a few frames without a time or times without a frame, and refuses more: no frame's time is sure then."""
    matched = min(count, len(times.seconds)) if matched is None else matched
    lack = max(count, len(times.seconds)) - matched
    if lack > max(1, _MAY_LACK * count):
        raise RecipeError(
            f"{times.path} does not tell the times of {path}.",
            expected=f"a time for each of {count} frames",
            found=f"{len(times.seconds)} times, of which {matched} belong to a frame",
            remedy="mend the table, or take it away: frames then have the film's own times",
        )
    if lack:
        recording.notes.append(
            f"camera: {count} frames and {len(times.seconds)} times in {times.path.name}: {lack} left out at the end"
        )
    if times.utc:
        recording.origin_utc = 0.0

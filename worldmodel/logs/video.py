"""Reads and writes video and images. The only module that imports OpenCV, and only when a function needs it."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError


def _cv2():
    try:
        import cv2
    except ImportError as error:
        raise WorldModelError(
            "OpenCV cannot be loaded, and video needs it.",
            found=str(error),
            remedy="apt-get install -y libgl1 libglib2.0-0 (as root), or pip install opencv-python-headless",
        ) from error
    return cv2


def read_frames(path: Path | str, size: tuple[int, int]) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a video file, one by one.

    Args:
        path: any file that OpenCV decodes.
        size: (rows, columns) to which each frame is scaled, whatever its shape.

    Yields:
        Seconds of media time, and the frame [rows, columns, 3] uint8 RGB.

    Raises:
        WorldModelError: if the file has no video that can be decoded.
    """
    cv2 = _cv2()
    capture = cv2.VideoCapture(str(path))
    try:
        count = 0
        while True:
            decoded, frame = capture.read()
            if not decoded:
                break
            count += 1
            yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, resize(frame[:, :, ::-1], size)
    finally:
        capture.release()
    if not count:
        raise WorldModelError(
            f"{path} has no video that can be decoded here.",
            expected="a file that OpenCV's FFmpeg decodes, such as H.264, HEVC, VP9 or MJPEG",
            remedy=f"convert it: ffmpeg -i {Path(path).name} -c:v libx264 -map 0 -copy_unknown converted.mp4",
        )


def count_frames(path: Path | str) -> int:
    """How many frames a video file says it has; 0 where it does not say."""
    cv2 = _cv2()
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return max(count, 0)


def write_video(path: Path | str, frames: np.ndarray, fps: float) -> None:
    """Writes a WebM file (VP9), which browsers play.

    Args:
        path: ends in `.webm`.
        frames: [T, rows, columns, 3] uint8 RGB.
        fps: frames a second.

    Raises:
        WorldModelError: if it cannot be opened.
        OSError: if not all of it could be written.
    """
    cv2 = _cv2()
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(f"frames must be uint8 [T, rows, columns, 3], not {frames.dtype} {list(frames.shape)}")
    rows, columns = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP90"), float(fps), (columns, rows))
    if not writer.isOpened():
        raise WorldModelError(
            f"{path} cannot be written as a VP9 video.",
            expected="a path that ends in .webm, in a folder that exists",
            remedy="check the path; if it is right, pip install --force-reinstall opencv-python-headless",
        )
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    if (whole := _count(cv2, path)) < len(frames):  # OpenCV says nothing of a disk that is full
        raise OSError(errno.EIO, f"{whole} of {len(frames)} frames could be written")


def _count(cv2: Any, path: Path | str) -> int:
    """How many frames a video really has, whatever its header says."""
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scales an image [rows, columns, 3] to `size` (rows, columns): by area when it shrinks, else linearly."""
    cv2 = _cv2()
    if image.shape[:2] == tuple(size):
        return np.ascontiguousarray(image)
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), (size[1], size[0]), interpolation=method)

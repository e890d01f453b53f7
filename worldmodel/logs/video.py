"""Reads and writes video and images. The only module that imports PyAV and OpenCV, when a function needs them."""

import errno
import math
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError

# Containers that hold a film themselves: a playlist names files and addresses of its writer's choice.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,hevc,h264,av1,mpegts,mpeg,mpegvideo,flv,asf,ogg,mjpeg,ivf"
_MOST_PIXELS = 1 << 27
_WHOLE = (0.0, math.inf)


def _cv2():
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(_MOST_PIXELS))
    try:
        import cv2
    except ImportError as error:
        raise WorldModelError(
            "OpenCV cannot be loaded, and images need it.",
            found=str(error),
            remedy="apt-get install -y libgl1 libglib2.0-0 (as root), or pip install opencv-python-headless",
        ) from error
    return cv2


def read_frames(
    path: Path | str,
    size: tuple[int, int],
    span: tuple[float, float] = _WHOLE,
    notes: list[str] | None = None,
) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a video file, one by one, turned upright as the file says.

    Args:
        path: any file that FFmpeg decodes.
        size: (rows, columns) to which each frame is scaled, whatever its shape.
        span: seconds of media time from which and before which frames are wanted.
        notes: gets a line where parts of the film cannot be decoded, or found; these are left out.

    Yields:
        Seconds of media time, which all tracks of a file share, and the frame [rows, columns, 3] uint8 RGB.

    Raises:
        WorldModelError: if the file has no video that can be decoded.
    """
    import av

    count = told = 0
    damaged: list[str] = []
    try:
        with _opened(path) as container:
            stream = _stream_of(container, path)
            told = stream.frames if span == _WHOLE else 0
            if span[0] > 0:
                container.seek(int(span[0] / stream.time_base), stream=stream)
            for frame in _decoded(container, stream, damaged):
                stamp = frame.pts if frame.pts is not None else frame.dts
                # Raw streams have no stamps: their frames follow each other evenly.
                seconds = float(count / _rate(stream)) if stamp is None else float(stamp * stream.time_base)
                count += 1
                if seconds >= span[1]:
                    break
                if seconds >= span[0]:
                    yield seconds, _scaled(frame, size)
    except av.FFmpegError as error:
        raise _no_video(path, str(error)) from error
    if not count:
        raise _no_video(path, damaged[0] if damaged else "none of its frames")
    if damaged and notes is not None:
        notes.append(f"{Path(path).name}: {len(damaged)} parts of the film cannot be decoded and are left out")
    if count < told and notes is not None:
        notes.append(f"{Path(path).name}: {told - count} of the {told} frames that its index tells cannot be read")


def _opened(path: Path | str) -> Any:
    """A container; what it may read is this one file."""
    import av

    options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    return av.open(f"file:{path}", options=options, metadata_errors="replace")


def _stream_of(container: Any, path: Path | str) -> Any:
    if not container.streams.video:
        raise _no_video(path, "no video track")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise _no_video(path, "a codec that is not known")
    if stream.codec_context.width * stream.codec_context.height > _MOST_PIXELS:
        raise _no_video(path, f"frames of {stream.codec_context.height} x {stream.codec_context.width}")
    stream.thread_type = "AUTO"
    return stream


def _decoded(container: Any, stream: Any, damaged: list[str]) -> Iterator[Any]:
    """Every frame that can be decoded; what cannot be goes into `damaged`."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)  # None too after an error of reading
            if packet is None:
                return
            yield from packet.decode()
        except av.FFmpegError as error:
            damaged.append(str(error))


def _rate(stream: Any) -> Fraction:
    return stream.average_rate or stream.guessed_rate or Fraction(30)


def _scaled(frame: Any, size: tuple[int, int]) -> np.ndarray:
    """A frame [rows, columns, 3] uint8 RGB, upright: scaled by area when it shrinks, else linearly.

    Scaling in the film's own colours takes a tenth of the time of converting whole frames first, and is nearer to the
    mean of what a pixel covers.
    """
    from av.video.reformatter import Interpolation as Method

    turns = round(frame.rotation / 90) % 4
    rows, columns = size if turns % 2 == 0 else size[::-1]
    shrinks = rows <= frame.height and columns <= frame.width
    method = (Method.AREA if shrinks else Method.BILINEAR) | Method.ACCURATE_RND | Method.FULL_CHR_H_INT
    image = frame.reformat(width=columns, height=rows, format="rgb24", interpolation=method).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, turns))


def _no_video(path: Path | str, found: str) -> WorldModelError:
    return WorldModelError(
        f"{path} has no video that can be decoded here.",
        expected="a whole film that FFmpeg decodes, such as H.264, HEVC, AV1, VP9 or MJPEG in MP4 or Matroska",
        found=found,
        remedy=f"copy it again; or convert it: ffmpeg -i {Path(path).name} -c:v libx264 converted.mp4",
    )


def count_frames(path: Path | str) -> int:
    """How many frames a video file says it has, or its length tells; 0 where it does not say."""
    import av

    try:
        with _opened(path) as container:
            stream = _stream_of(container, path)
            return max(stream.frames or int(_duration_s(container, stream) * _rate(stream)), 0)
    except (av.FFmpegError, WorldModelError):
        return 0


def duration_s(path: Path | str) -> float:
    """How long a video file says its film is, in seconds.

    Raises:
        WorldModelError: if it does not say.
    """
    import av

    try:
        with _opened(path) as container:
            seconds = _duration_s(container, _stream_of(container, path))
    except av.FFmpegError as error:
        raise _no_video(path, str(error)) from error
    if not seconds > 0:
        raise _no_video(path, "no length")
    return seconds


def _duration_s(container: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6


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


def shift(before: np.ndarray, after: np.ndarray) -> tuple[tuple[float, float], float]:
    """How far a picture lies right of and below another, in pixels, and the share of its spectrum that agrees.

    Args:
        before: float32 [rows, columns], grey.
        after: the same a moment later.
    """
    cv2 = _cv2()
    window = cv2.createHanningWindow(before.shape[::-1], cv2.CV_32F)
    (right, down), share = cv2.phaseCorrelate(before.copy(), after.copy(), window)  # which changes what it is given
    return (right, down), share


def to_rgb(pixels: np.ndarray, coding: str) -> np.ndarray:
    """Pixels [rows, columns, channels] uint8 of another coding as RGB: uint8 [rows, columns, 3].

    Args:
        pixels: of the image.
        coding: what OpenCV calls it, such as `BGR`, `GRAY`, `BayerBG`.

    Raises:
        ValueError: if the pixels are none of that coding.
    """
    cv2 = _cv2()
    name, mark, variant = coding.partition("_")
    try:
        return cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{name}2RGB{mark}{variant}"))
    except cv2.error as error:
        raise ValueError(f"pixels of shape {pixels.shape} are no {coding}") from error


def read_image(content: bytes, size: tuple[int, int], name: str) -> np.ndarray:
    """An image file's content (JPEG, PNG and the like) as [rows, columns, 3] uint8 RGB of `size` (rows, columns).

    Raises:
        WorldModelError: naming `name`, if it cannot be decoded.
    """
    cv2 = _cv2()
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    except cv2.error:  # such as one of more pixels than are allowed
        image = None
    if image is None:
        raise WorldModelError(
            f"{name} is no image that can be decoded.",
            expected="a whole JPEG or PNG file",
            found=f"{len(content)} bytes",
            remedy="copy it again, or leave it out",
        )
    return resize(image[:, :, ::-1], size)

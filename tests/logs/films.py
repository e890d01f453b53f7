"""Films for tests, written by FFmpeg."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def gradients(count: int, rows: int = 48, columns: int = 64) -> np.ndarray:
    """Smooth frames [count, rows, columns, 3] uint8, each brighter than the one before."""
    y, x = np.mgrid[:rows, :columns]
    plain = np.stack([x * 120 / columns, y * 120 / rows, (x + y) * 60 / (rows + columns)], -1)
    return (plain + np.arange(count)[:, None, None, None] * (130 / count)).astype(np.uint8)


def write_film(
    path: Path, frames: np.ndarray, times: Sequence[float] | None = None, codec: str = "libx264", every: int = 12
) -> Path:
    """A film of frames [T, rows, columns, 3] at `times` in seconds (10 Hz by default), with a key frame `every` few."""
    times = np.arange(len(frames)) / 10 if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=100, options={"preset": "12"} if codec == "libsvtav1" else {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.gop_size, stream.codec_context.time_base = "yuv420p", every, Fraction(1, 1000)
        for picture, seconds in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path

"""Pictures of ROS messages: raw ones in their encodings, and those in JPEG or PNG.

Encodings are those of sensor_msgs/image_encodings.hpp.
"""

import base64
from typing import Any

import numpy as np

from worldmodel.logs import video

_CHANNELS = {
    "rgb8": (3, "<u1"), "bgr8": (3, "<u1"), "8UC3": (3, "<u1"), "rgba8": (4, "<u1"), "bgra8": (4, "<u1"),
    "8UC4": (4, "<u1"), "mono8": (1, "<u1"), "8UC1": (1, "<u1"), "mono16": (1, "u2"), "16UC1": (1, "u2"),
    "bayer_rggb8": (1, "<u1"), "bayer_bggr8": (1, "<u1"), "bayer_gbrg8": (1, "<u1"), "bayer_grbg8": (1, "<u1"),
    "yuv422": (2, "<u1"), "uyvy": (2, "<u1"), "yuv422_yuy2": (2, "<u1"), "yuyv": (2, "<u1"),
}  # fmt: skip
DEEP = tuple(name for name, (_, kind) in _CHANNELS.items() if kind == "u2")  # of 16 bits
# OpenCV names a Bayer pattern by the second row's second and third pixels.
_CODES = {
    "rgba8": "RGBA", "bgr8": "BGR", "8UC3": "BGR", "bgra8": "BGRA", "8UC4": "BGRA",
    "mono8": "GRAY", "8UC1": "GRAY", "mono16": "GRAY", "16UC1": "GRAY",
    "bayer_rggb8": "BayerBG", "bayer_bggr8": "BayerRG", "bayer_gbrg8": "BayerGR",
    "bayer_grbg8": "BayerGB", "yuv422": "YUV_UYVY", "uyvy": "YUV_UYVY", "yuv422_yuy2": "YUV_YUY2",
    "yuyv": "YUV_YUY2",
}  # fmt: skip


def picture(message: Any, size: tuple[int, int], where: str) -> np.ndarray:
    """The picture of an Image or CompressedImage, scaled: uint8 [rows, columns, 3] RGB.

    Raises:
        ValueError: if it is in an encoding that is not known, or shorter than it says.
    """
    data = base64.b64decode(message.data) if isinstance(message.data, str) else bytes(message.data)
    if not hasattr(message, "encoding"):
        return video.read_image(data, size, where)
    return video.resize(_raw(message, data), size)


def _raw(message: Any, data: bytes) -> np.ndarray:
    encoding, height, width = message.encoding, message.height, message.width
    if encoding not in _CHANNELS:
        raise ValueError(f"images in the encoding {encoding!r}")
    channels, kind = _CHANNELS[encoding]
    if kind == "u2":
        kind = f"{'>' if getattr(message, 'is_bigendian', False) else '<'}u2"
    row = width * channels * np.dtype(kind).itemsize
    step = message.step or row
    if not (0 < row <= step and 0 < height * step <= len(data)):
        raise ValueError(f"an image of {height} rows of {step} bytes in {len(data)} bytes")
    pixels = np.frombuffer(data, np.uint8, height * step).reshape(height, step)[:, :row].copy().view(kind)
    if pixels.dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    pixels = np.ascontiguousarray(pixels.reshape(height, width, channels))
    return pixels if encoding == "rgb8" else video.to_rgb(pixels, _CODES[encoding])

"""Film strips: seen, true, imagined and difference frames as small images inside data addresses."""

import base64
import io
from typing import NamedTuple

import numpy as np

from worldmodel.draw import difference
from worldmodel.validate.result import Film

_LOSSLESS, _LARGEST = 96, 192  # pixels along the longer side


class Strip(NamedTuple):
    """The frames of one video as data addresses: the last seen ones, and three for each time (seconds)."""

    seen: list[str]
    times: list[float]
    truth: list[str]
    imagined: list[str]
    difference: list[str]


def strip(film: Film) -> Strip:
    """The film as small images."""
    rows = (film.seen, film.truth, film.imagined, difference(film.truth, film.imagined))
    encoded = [[_encode(frame) for frame in row] for row in rows]
    return Strip(encoded[0], [float(t) for t in film.time], *encoded[1:])


def _encode(frame: np.ndarray) -> str:
    from matplotlib.image import imsave

    small, buffer = _shrunk(frame), io.BytesIO()
    options = {"lossless": True} if max(small.shape) <= _LOSSLESS else {"quality": 85}
    imsave(buffer, small, format="webp", pil_kwargs=options)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _shrunk(frame: np.ndarray) -> np.ndarray:
    """Averages blocks of pixels until the frame is small enough for a strip."""
    block = -(-max(frame.shape[:2]) // _LARGEST)
    rows, columns = frame.shape[0] // block, frame.shape[1] // block
    cut = frame[: rows * block, : columns * block].reshape(rows, block, columns, block, -1)
    return np.ascontiguousarray(cut.mean((1, 3)).round().astype(np.uint8))

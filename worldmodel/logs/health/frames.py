"""Checks of films: frames that are written more than once."""

import math
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.health.finding import Finding, found

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

_BLOCK_BYTES = 1 << 24
_SHARE = 0.05
_FEW = 10
_STANDS_S = 1.0


def check_frames(recording: "Recording") -> Iterator[Finding]:
    """Frames that are the frame before once more, to the last bit."""
    for name, spec in recording.specs.items():
        time = recording.samples[name].time
        if spec.kind != "video" or len(time) < _FEW:
            continue
        hashes = _hashes(recording.samples[name].data)
        again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
        if len(again) > _SHARE * len(time):
            runs = np.split(again, np.flatnonzero(np.diff(again) > 1) + 1)
            longest = max((time[run[-1]] - time[run[0] - 1] for run in runs), default=0.0)
            text = f"{len(again)} of {len(time)} frames are the frame before once more"
            if longest > _STANDS_S:
                text += f"; the picture stands still for up to {longest:.3g} s"
            remedy = "nothing, if the scene stood still; else record or export the film at its own rate"
            yield found(recording, "frames: repeated", name, "warn", text, remedy, again)


def _hashes(film: np.ndarray) -> np.ndarray:
    """A number for each frame, read block after block."""
    size = max(math.prod(film.shape[1:]), 1)
    step = max(_BLOCK_BYTES // size, 1)
    return np.array(
        [
            zlib.crc32(np.ascontiguousarray(frame).data)
            for start in range(0, len(film), step)
            for frame in np.asarray(film[start : start + step])
        ]
    )

"""Frames: what was seen and came beside what was imagined, as a film and as a strip."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WATCHED = 128  # pixels high, or a little less
_GAP = 3  # pixels between the frames of a strip
_UNKNOWN = 40  # the grey of a frame that was never recorded
CONTRAST = 2  # differences are shown this many times as strong


def difference(truth: np.ndarray, imagined: np.ndarray) -> np.ndarray:
    """How far apart frames [..., rows, columns, 3] are: grey, uint8."""
    apart = np.abs(truth.astype(int) - imagined).mean(-1, keepdims=True) * CONTRAST
    return np.repeat(np.minimum(apart, 255).astype(np.uint8), 3, axis=-1)


def film(seen: np.ndarray, came: Sequence[np.ndarray | None], imagined: np.ndarray) -> np.ndarray:
    """Frames [C + P, rows, 3 x columns, 3] side by side: logged, imagined, difference.

    While the context lasts, the imagined side shows the log dimmed, and the difference is black.

    Args:
        seen: [C, rows, columns, 3] of the context.
        came: for each imagined frame the recorded one, or None where there is none.
        imagined: [P, rows, columns, 3].
    """
    panels = [(frame, frame // 2, np.zeros_like(frame)) for frame in seen]
    for real, dream in zip(came, imagined, strict=True):
        known = real if real is not None else np.full_like(dream, _UNKNOWN)
        panels.append((known, dream, difference(known, dream) if real is not None else np.zeros_like(dream)))
    return np.stack([np.concatenate(panel, 1) for panel in panels])


def enlarged(frames: np.ndarray) -> np.ndarray:
    """Every pixel of frames [M, rows, columns, 3] as a square of pixels, so that small frames can be watched."""
    block = max(_WATCHED // frames.shape[1], 1)
    return frames.repeat(block, 1).repeat(block, 2)


def draw_strip(axes: "Axes", frames: np.ndarray, titles: Sequence[str], count: int = 9) -> None:
    """Some frames of a film [M, rows, 3 x columns, 3] as columns of three pictures, the first and the last among them.

    Args:
        axes: gets nothing else.
        frames: from `film`.
        titles: of each frame.
        count: how many to show.
    """
    shown = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    grid = np.stack([np.stack(np.split(frames[index], 3, axis=1)) for index in shown])
    grid = np.pad(grid, ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=255)
    columns, kinds, high, wide, _ = grid.shape
    picture = grid.transpose(1, 2, 0, 3, 4).reshape(kinds * high, columns * wide, 3)
    axes.imshow(picture, interpolation="nearest")  # one image: an axes for each frame takes a second
    axes.set_xticks(np.arange(columns) * wide + (wide - _GAP) / 2, [titles[index] for index in shown])
    axes.set_yticks(np.arange(kinds) * high + (high - _GAP) / 2, ["logged", "imagined", "difference"])
    axes.xaxis.tick_top()
    axes.grid(False)
    axes.spines[:].set_visible(False)

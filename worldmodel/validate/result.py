"""What a validation yields: figures for machines, and what a page needs to show them to people."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass
class Example:
    """One start of one held-out episode, with everything that was seen, came, and was imagined. Times are in seconds
    relative to the start: negative in the context.

    Attributes:
        episode: its name.
        at_s: the start within the episode.
        context_time: [C]; context: by stream [C, S] readings in physical units, NaN where there was none.
        time: [H]; truth: by stream [H, S], NaN where unknown; members: by stream [K, H, S];
            baselines: by predictor and stream [H, S]. GPS is east, north, up in metres from the episode's first fix.
        video_time: [P] seconds of the frames; by video stream uint8 frames of the context's end [2, r, c, 3], the
            truth [P, r, c, 3] and the imagined [P, r, c, 3].
    """

    episode: str
    at_s: float
    context_time: np.ndarray
    context: dict[str, np.ndarray]
    time: np.ndarray
    truth: dict[str, np.ndarray]
    members: dict[str, np.ndarray]
    baselines: dict[str, dict[str, np.ndarray]]
    video_time: np.ndarray
    video_context: dict[str, np.ndarray]
    video_truth: dict[str, np.ndarray]
    video_imagined: dict[str, np.ndarray]


@dataclasses.dataclass
class Result:
    """A validated problem.

    Attributes:
        metrics: the content of `metrics.json`, as `docs/metrics.md` describes it.
        columns: by low-dimensional stream, names and units of its columns.
        curve_s: [H] horizons of the curves, seconds.
        curves: by stream and predictor, RMSE [H, S] per column in physical units.
        calibration: by stream, observed coverage at `levels` [L], over all horizons.
        levels: [L] nominal coverage.
        examples: a few starts to draw.
        baseline_note: how floor and baselines were obtained, for people.
    """

    metrics: dict[str, Any]
    columns: dict[str, list[tuple[str, str]]]
    curve_s: np.ndarray
    curves: dict[str, dict[str, np.ndarray]]
    calibration: dict[str, np.ndarray]
    levels: np.ndarray
    examples: list[Example]
    baseline_note: str

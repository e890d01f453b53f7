"""Scores predicted frames."""

from typing import NamedTuple

import numpy as np

from worldmodel.validate.forecast import Forecast
from worldmodel.validate.metrics import psnr, ssim
from worldmodel.validate.problem import Problem

_BEST_DB = 60.0


class VideoScore(NamedTuple):
    """One predictor's figures on one video at the tabulated horizons: [T], NaN where undefined.

    Attributes:
        rmse: of pixels in 0..1. nrmse: over the standard deviation of the real frames' pixels.
        psnr: in dB, of the mean squared error over all frames: a mean of each frame's own would be ruled by the moments
            when nothing moves, whose PSNR has no bound. psnr_frames: that mean, with each frame's capped at 60 dB.
        ssim: structural similarity, mean over frames.
    """

    rmse: np.ndarray
    nrmse: np.ndarray
    psnr: np.ndarray
    psnr_frames: np.ndarray
    ssim: np.ndarray


def score_video(problem: Problem, forecasts: dict[str, Forecast]) -> dict[str, dict[str, VideoScore]]:
    """By video and predictor, the scores of the members' mean frame.

    At each horizon the frame that the log holds at that tick, or up to one frame interval before it, is compared.
    """
    out = {}
    for video, (name, ticks) in enumerate(problem.frame_ticks.items()):
        _, future = problem.truth.windows.cut(problem.starts, problem.horizon, np.maximum(ticks, 0))
        known = (ticks >= 0) & problem.context.frames_mask[video][:, -1:]
        out[name] = {
            predictor: _score(forecast.frames[name], future.frames[video], known)
            for predictor, forecast in forecasts.items()
            if name in forecast.frames
        }
    return out


def _score(members: np.ndarray, real: np.ndarray, known: np.ndarray) -> VideoScore:
    """Scores of members [W, K, T, ...] beside real frames [W, T, ...] where `known` [W, T]."""
    rows = []
    for i, there in enumerate(known.T):
        frames = members[there, :, i].astype(np.float32).mean(1)
        rows.append(_figures(frames, real[there, i]) if there.any() else (np.nan,) * len(VideoScore._fields))
    return VideoScore(*np.array(rows, float).T)


def _figures(frames: np.ndarray, real: np.ndarray) -> tuple[float, ...]:
    rmse = float(np.sqrt(np.square(frames - real).mean()) / 255)
    deviation = float(real.std()) / 255
    decibels = -20 * np.log10(max(rmse, 10 ** (-_BEST_DB / 20)))
    nrmse = rmse / deviation if deviation > 0 else np.nan
    return rmse, nrmse, decibels, float(psnr(frames, real).mean()), float(ssim(frames, real).mean())

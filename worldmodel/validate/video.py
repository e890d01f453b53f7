"""Scores predicted frames."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Num

from worldmodel.arrays import evenly
from worldmodel.models.objective import energy_score
from worldmodel.validate.forecast import Forecast
from worldmodel.validate.metrics import divide, psnr, ssim
from worldmodel.validate.pictures import gradient_energy, texture_distance
from worldmodel.validate.problem import Problem

_BEST_DB = 60.0  # of frames that are alike to the last bit, which would be infinite
_LOOKED_AT = 64  # frames of a horizon whose texture is compared, which costs the most


class VideoScore(NamedTuple):
    """One predictor's figures on one video at the tabulated horizons: [T], NaN where undefined.

    Attributes:
        rmse: of pixels in 0..1. nrmse: over the standard deviation of the real frames' pixels.
        psnr: in dB, of the mean squared error over all frames: a mean of each frame's own would be ruled by the moments
            when nothing moves, whose PSNR has no bound. psnr_frames: that mean, with each frame's capped at 60 dB.
        ssim: structural similarity, mean over frames.
        sharpness: of members, energy of their gradients over that of the real frames.
        texture_distance: of members, how unlike the real frames they look, mean over both.
        energy_score: of members on a coarse grid, mean over frames.
    """

    rmse: np.ndarray
    nrmse: np.ndarray
    psnr: np.ndarray
    psnr_frames: np.ndarray
    ssim: np.ndarray
    sharpness: np.ndarray
    texture_distance: np.ndarray
    energy_score: np.ndarray


def score_video(problem: Problem, forecasts: dict[str, Forecast]) -> dict[str, dict[str, VideoScore]]:
    """By video and predictor, the scores of the members' mean frame, and of the members themselves.

    At each horizon the frame that the log holds at that tick, or up to one frame interval before it, is compared.
    """
    out = {}
    for video, (name, ticks) in enumerate(problem.frame_ticks.items()):
        _, future = problem.truth.windows.cut(problem.starts, problem.horizon, np.maximum(ticks, 0))
        known = (ticks >= 0) & problem.context.frames_mask[video][:, -1:]
        out[name] = {
            predictor: _score(forecast.frames[name], forecast.mean_frames.get(name), future.frames[video], known)
            for predictor, forecast in forecasts.items()
            if name in forecast.frames
        }
    return out


def _score(
    members: Num[np.ndarray, "W K T rows columns 3"],
    mean: Num[np.ndarray, "W T rows columns 3"] | None,
    real: Num[np.ndarray, "W T rows columns 3"],
    known: Bool[np.ndarray, "W T"],
) -> VideoScore:
    """Scores of members and their mean beside real frames where `known`."""
    mean = members.mean(1, dtype=np.float32) if mean is None else mean
    rows = []
    for i, there in enumerate(known.T):
        came = real[there, i]
        figures = (*_of_mean(mean[there, i], came), *_of_members(members[there, :, i], came)) if there.any() else ()
        rows.append(figures or (np.nan,) * len(VideoScore._fields))
    return VideoScore(*np.array(rows, float).T)


def _of_mean(
    frames: Num[np.ndarray, "N rows columns 3"], real: Num[np.ndarray, "N rows columns 3"]
) -> tuple[float, ...]:
    rmse = float(np.sqrt(np.square(frames.astype(np.float32) - real).mean()) / 255)
    deviation = float(real.std()) / 255
    decibels = -20 * np.log10(max(rmse, 10 ** (-_BEST_DB / 20)))
    nrmse = rmse / deviation if deviation > 0 else np.nan
    return rmse, nrmse, decibels, float(psnr(frames, real).mean()), float(ssim(frames, real).mean())


def _of_members(
    members: Num[np.ndarray, "N K rows columns 3"], real: Num[np.ndarray, "N rows columns 3"]
) -> tuple[float, ...]:
    some = evenly(len(real), _LOOKED_AT)
    apart = texture_distance(members[some], real[some, None])
    sharpness = divide(gradient_energy(members).mean(), gradient_energy(real).mean())
    return float(sharpness), float(apart.mean()), float(energy_score(members, real).mean())

"""Scores imagined video beside the copied last frame."""

from typing import Any

import numpy as np

from worldmodel.imagine.engine import Imaginer
from worldmodel.validate.metrics import psnr, ssim
from worldmodel.validate.problem import Problem

_MEMBERS = 4
_KEYS = ("rmse", "nrmse", "crps", "coverage90", "psnr", "psnr_frames", "ssim")


def score_video(imaginer: Imaginer, problem: Problem, horizons: dict[float, int]) -> dict[str, Any]:
    """PSNR, SSIM and RMSE (pixels in 0..1) of the members' mean frame and of the last seen frame, by video stream.

    PSNR is of the mean squared error over all frames: a mean of each frame's own would be ruled by the moments when
    nothing moves, whose PSNR has no bound. `psnr_frames` is that mean, with each frame's capped at 60 dB.

    At each horizon the frame that the log holds at that tick, or up to one frame interval before it, is compared.
    """
    windows, out = problem.windows, {}
    if not windows.layout.videos:
        return {}
    for i, spec in enumerate(windows.layout.videos):
        interval = windows.layout.interval(spec)
        table: dict[str, dict[str, list]] = {name: {key: [] for key in _KEYS} for name in ("model", "hold")}
        wanted = np.stack([_frame_tick(problem, i, tick, interval) for tick in horizons.values()], 1)
        asked = np.maximum(wanted, 0)
        _, future = windows.cut(problem.starts, problem.horizon, asked)
        members = imaginer.frames(problem.context, problem.future.actions, asked, _MEMBERS)[i]
        mean = members.astype(np.float32).mean(1)
        for column in range(wanted.shape[1]):
            known = (wanted[:, column] >= 0) & problem.context.frames_mask[i][:, -1]
            real, imagined = future.frames[i][:, column], mean[:, column]
            deviation = real[known].std() / 255 if known.any() else np.nan
            for name, frames in (("model", imagined), ("hold", problem.context.frames[i][:, -1])):
                _append(table[name], frames[known], real[known], deviation)
        out[spec.name] = {"unit": "", **table}
    return out


def _frame_tick(problem: Problem, video: int, tick: int, interval: int) -> np.ndarray:
    """int [W] the newest tick up to `tick` with a frame, within one interval; -1 where there is none."""
    ticks = []
    for episode, start in problem.starts:
        span = range(tick, max(tick - interval, -1), -1)
        frames = problem.windows.ticks[episode].frames
        ticks.append(next((t for t in span if frames[start + 1 + t, video] >= 0), -1))
    return np.asarray(ticks)


def _append(table: dict[str, list], frames: np.ndarray, real: np.ndarray, deviation: float) -> None:
    table["crps"].append(None)
    table["coverage90"].append(None)
    if not len(real):
        for key in ("rmse", "nrmse", "psnr", "psnr_frames", "ssim"):
            table[key].append(None)
        return
    rmse = float(np.sqrt(np.square(frames.astype(np.float32) - real).mean()) / 255)
    table["rmse"].append(rmse)
    table["nrmse"].append(rmse / float(deviation) if deviation > 0 else None)
    table["psnr"].append(float(-20 * np.log10(max(rmse, 1e-3))))
    table["psnr_frames"].append(float(psnr(frames, real).mean()))
    table["ssim"].append(float(ssim(frames, real).mean()))

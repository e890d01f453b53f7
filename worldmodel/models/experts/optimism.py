"""What an expert would err in left-out windows that it has learned from nevertheless, had it not."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import mean_known
from worldmodel.models.experts.blend import log_errors, pooled_errors
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.objective import at_sample_times


def optimism(
    left_out: LeftOut, expert: int, learned: Bool[np.ndarray, " N"], told: float, stream_of: Int[np.ndarray, " Y"]
) -> Float[np.ndarray, "H Y"]:
    """How many times as large the squared error of an expert is in windows that it did not learn from, 1 at least.

    By how much farther it is behind the best of the others there, over all columns of a stream: what is hard for all
    tells nothing. What its fit says of itself, from leaving out each episode that it learned from, counts for as many
    as these are.

    Args:
        left_out: windows, and what experts predicted.
        expert: which of these.
        learned: the windows of episodes that it learned from.
        told: what its fit says.
        stream_of: which stream a column is of.
    """
    each, known = log_errors(pooled_errors(left_out), left_out.groups)
    own = np.where(known[:, expert], each[:, expert], np.nan)
    others = np.delete(np.where(known, each, np.nan), expert, 1)
    best = np.where(known.any(0), mean_known(each, 0), np.inf)
    best = np.delete(best, expert, 0).argmin(0)
    behind = own - np.take_along_axis(others, best[None, None], 1)[:, 0]
    names = np.unique(left_out.groups)
    inside = np.isin(names, left_out.groups[learned])
    farther = mean_known(behind[~inside], 0) - mean_known(behind[inside], 0)
    for stream in np.unique(stream_of):
        columns = stream_of == stream
        farther[:, columns] = mean_known(farther[:, columns], -1)[:, None]
    share = inside.mean()
    farther = np.where(np.isnan(farther), np.log(told), farther)
    return np.exp(np.maximum(share * np.log(told) + (1 - share) * farther, 0))


def corrected(
    left_out: LeftOut,
    expert: int,
    learned: Bool[np.ndarray, " N"],
    more: Float[np.ndarray, "H Y"],
    horizons: Sequence[int],
    stream_of: Int[np.ndarray, " Y"],
) -> LeftOut:
    """The windows with an expert's errors where it learned as much larger as they are elsewhere.

    What it predicted is moved away from what came, and all that is made of that (weights, residuals of the blend, how
    far it goes outside) is as if it had not learned from them.

    Args:
        left_out: windows, and what experts predicted.
        expert: which of these.
        learned: the windows of episodes that it learned from.
        more: how many times as large its squared errors are (`optimism`).
        horizons: ticks of `left_out.within`.
        stream_of: which stream a column is of.
    """
    ahead, within = left_out.ahead.copy(), left_out.within.copy()
    said = ahead[expert, learned]
    error = at_sample_times(said, left_out.age[learned]) - left_out.came[learned]
    error = _on_lines(np.where(left_out.mask[learned], error, np.nan))
    ahead[expert, learned] = said + (np.sqrt(more) - 1) * error
    for stream in range(within.shape[3]):
        inside = more[np.asarray(horizons) - 1][:, stream_of == stream]
        within[expert, learned, :, stream] *= inside.mean(1) if inside.size else 1.0
    return left_out._replace(ahead=ahead, within=within)


def _on_lines(error: Float[np.ndarray, "N H Y"]) -> Float[np.ndarray, "N H Y"]:
    """Errors, between ticks at which something came on lines, beyond these as there; 0 where nothing did."""
    ticks, known = np.arange(error.shape[1]), np.isfinite(error)
    for window, column in np.argwhere(known.any(1) & ~known.all(1)):
        there = known[window, :, column]
        error[window, :, column] = np.interp(ticks, ticks[there], error[window, there, column])
    return np.nan_to_num(error)

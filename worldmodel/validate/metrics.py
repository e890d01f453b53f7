"""Figures of errors [W, H, E] (W windows, H ticks ahead, E components) and of sampled futures, in physical units."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.stats import rankdata

from worldmodel.arrays import newest
from worldmodel.imagine.calibration import central_interval
from worldmodel.types import Array

_RESAMPLES, _CENTRAL = 300, (0.025, 0.975)  # ends of 95 % intervals are then known to a few per cent of their width
_SSIM_WINDOW = 11  # pixels, as in Wang et al. 2004


def rms(
    errors: Float[np.ndarray, "*shape"], mask: Bool[np.ndarray, "*shape"], axis: tuple[int, ...] | int
) -> Float[np.ndarray, "*rest"]:
    """Root mean square of `errors` where `mask`; NaN where nothing is."""
    count = mask.sum(axis)
    total = np.where(mask, np.square(errors, dtype=np.float64), 0).sum(axis)
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.where(count, total / np.maximum(count, 1), np.nan))


def crps(errors: Float[np.ndarray, "W K H E"]) -> Float[np.ndarray, "W H E"]:
    """Fair CRPS of each reading from the errors of K members (Ferro 2014, doi 10.1002/qj.2270)."""
    members = errors.shape[1]
    skill = np.abs(errors).mean(1)
    if members == 1:
        return skill
    ordered = np.sort(errors, 1)
    rank = 2 * np.arange(1, members + 1) - members - 1
    spread = np.einsum("wkhs,k->whs", ordered, rank)  # the sum over pairs of their distance
    return skill - spread / (members * (members - 1))


def covered(
    errors: Float[np.ndarray, "W K H E"], level: float, rounding: Float[np.ndarray, " E"] | float = 0.0
) -> Bool[np.ndarray, "W H E"]:
    """Whether the truth lies in the central interval of K members, from their errors, or is off by rounding alone."""
    low, high = central_interval(errors, level)
    return (low <= rounding) & (high >= -rounding)


def psnr(
    imagined: Num[np.ndarray, "*b rows columns 3"], real: Num[np.ndarray, "*b rows columns 3"]
) -> Float[np.ndarray, "*b"]:
    """Peak signal-to-noise ratio in dB of uint8 or 0..255 frames; at most 60."""
    mse = np.square(imagined.astype(np.float32) - real).mean((-3, -2, -1)) / 255**2
    return -10 * np.log10(np.maximum(mse, 1e-6))


def ssim(
    imagined: Num[np.ndarray, "W rows columns 3"], real: Num[np.ndarray, "W rows columns 3"]
) -> Float[np.ndarray, " W"]:
    """Structural similarity of 0..255 frames, 1 for equal ones (Wang et al. 2004, doi 10.1109/TIP.2003.819861), in
    Gaussian windows of 11 pixels, or of the frame where that is smaller.
    """
    score = _ssim_of(*real.shape[1:3])
    pairs = zip(imagined, real, strict=True)
    return np.array([score(*(np.asarray(x, np.float32) / 255 for x in pair)) for pair in pairs])


@functools.cache
def _ssim_of(rows: int, columns: int) -> Callable[[np.ndarray, np.ndarray], jax.Array]:
    """SSIM of two frames [rows, columns, 3] in 0..1, compiled once for a size."""
    down, right = _gaussian_windows(rows), _gaussian_windows(columns)

    def blur(frame: jax.Array) -> jax.Array:  # far cheaper than the library's own convolution on a CPU
        return jnp.einsum("ir,rcx,jc->ijx", down, frame, right, precision="highest")  # a GPU rounds to ten bits

    return jax.jit(functools.partial(dm_pix.ssim, filter_fn=blur))


def _gaussian_windows(size: int) -> Float[np.ndarray, "N size"]:
    """Weights of every window of 11 pixels along one side, standard deviation 1.5."""
    width = min(_SSIM_WINDOW, size)
    weights = np.exp(-0.5 * ((np.arange(width) - (width - 1) / 2) / 1.5) ** 2)
    windows = np.zeros((size - width + 1, size))
    for i, row in enumerate(windows):
        row[i : i + width] = weights / weights.sum()
    return windows.astype(np.float32)


def distance_travelled(
    positions: Float[np.ndarray, "W H 2"], mask: Bool[np.ndarray, "W H"], dt: float
) -> Float[np.ndarray, "W H"]:
    """Metres travelled since the start, from positions in metres where `mask`, a tick apart.

    The mean speed along the path between the first and the newest known position, times the time since the start; NaN
    until there are two.
    """
    tick = np.arange(mask.shape[1])
    last = newest(mask)
    first = np.argmax(mask, 1)[:, None]
    held = np.take_along_axis(positions, np.maximum(last, first)[..., None], 1)
    steps = np.linalg.norm(np.diff(held, axis=1, prepend=held[:, :1]), axis=-1)
    spanned = (last - first) * dt
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spanned > 0, np.cumsum(steps, 1) / spanned * (tick + 1) * dt, np.nan)


class Bootstrap(NamedTuple):
    """Resampled episodes: how often each episode counts in each resample, [R, E]."""

    counts: np.ndarray
    episodes: np.ndarray

    @classmethod
    def of(cls, episodes: Int[np.ndarray, " W"], seed: int) -> "Bootstrap":
        """Resamples of the episodes that windows belong to."""
        names, index = np.unique(episodes, return_inverse=True)
        rng = np.random.default_rng([seed, 0xB007])
        return cls(rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=_RESAMPLES), index)

    def interval(self, total: Num[np.ndarray, "W H E"], count: Num[np.ndarray, "W H E"]) -> Float[np.ndarray, "2 H"]:
        """95 % interval over episodes of the root mean over columns of each one's `total` over its `count`.

        Args:
            total: sums of squares.
            count: of how many.
        """
        return _interval(self._roots(total, count))

    def interval_of_gap(
        self, theirs: Num[np.ndarray, "W H E"], ours: Num[np.ndarray, "W H E"], count: Num[np.ndarray, "W H E"]
    ) -> Float[np.ndarray, "2 H"]:
        """95 % interval of how much higher one root mean is than another over the same resampled episodes.

        Paired: what makes an episode hard for both does not blur their difference.
        """
        return _interval(self._roots(theirs, count) - self._roots(ours, count))

    def interval_of_ratio(
        self, theirs: Num[np.ndarray, "W H E"], ours: Num[np.ndarray, "W H E"], count: Num[np.ndarray, "W H E"]
    ) -> Float[np.ndarray, "2 H"]:
        """95 % interval of how many times one root mean is another, paired as in `interval_of_gap`."""
        return _interval(divide(self._roots(theirs, count), self._roots(ours, count)))

    def _roots(self, total: Num[np.ndarray, "W H E"], count: Num[np.ndarray, "W H E"]) -> Float[np.ndarray, "R H"]:
        """The root mean in each resample; NaN where nothing is."""
        resampled, weight = self._resampled(total), self._resampled(count)
        return np.sqrt(nanmean(divide(resampled, weight)))

    def _resampled(self, values: Num[np.ndarray, "W H E"]) -> Float[np.ndarray, "R H E"]:
        """Sums over the episodes of each resample."""
        by_episode = np.zeros((self.counts.shape[1], *values.shape[1:]))
        np.add.at(by_episode, self.episodes, values)
        return np.tensordot(self.counts, by_episode, 1)


def rank_correlation(
    predicted: Float[np.ndarray, "W H E"], true: Float[np.ndarray, "W H E"], groups: Num[np.ndarray, " W"]
) -> Float[np.ndarray, "H E"]:
    """Spearman's rank correlation [H, E] of outcomes within each group, averaged over groups.

    NaN where no group has outcomes that differ; a group with one that is not known does not count.
    """
    total, count = np.zeros(true.shape[1:]), np.zeros(true.shape[1:])
    for group in np.unique(groups):
        ranks = [rankdata(part[groups == group], axis=0, nan_policy="propagate") for part in (predicted, true)]
        ranks = [part - part.mean(0) for part in ranks]
        sizes = [(part**2).sum(0) for part in ranks]
        told = sizes[1] > 0  # false of NaN
        between = divide((ranks[0] * ranks[1]).sum(0), np.sqrt(sizes[0] * sizes[1]))
        total += np.where(told, np.nan_to_num(between), 0)  # who predicts one outcome for all tells nothing: 0
        count += told
    return divide(total, count)


def nanmean(x: Float[np.ndarray, "*b N"]) -> Float[np.ndarray, "*b"]:
    """Mean over the last axis of what is finite; NaN where nothing is."""
    known = np.isfinite(x)
    return divide(np.where(known, x, 0).sum(-1), known.sum(-1))


def divide(total: Array, count: Array) -> np.ndarray:
    """Total over count; NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(count) > 0, total / np.maximum(count, 1e-12), np.nan)


def _interval(resampled: Float[np.ndarray, "R H"]) -> Float[np.ndarray, "2 H"]:
    """The central 95 % of figures; NaN where none is known."""
    known, out = np.isfinite(resampled), np.full((2, resampled.shape[1]), np.nan)
    some, all_of_them = known.any(0), known.all(0)
    out[:, all_of_them] = np.quantile(resampled[:, all_of_them], _CENTRAL, axis=0)
    part = some & ~all_of_them  # which takes a call for each
    out[:, part] = np.nanquantile(resampled[:, part], _CENTRAL, axis=0)
    return out

"""Figures of single pictures that the error of their pixels does not tell: how sharp, and how alike."""

import numpy as np
from jaxtyping import Float, Num

_OCTAVES = 3
_CELL = 4  # pixels from one window to the next; a window is two cells wide
_MEAN, _DEVIATION = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # below which differences are not seen, as in SSIM


def gradient_energy(frames: Num[np.ndarray, "*b rows columns 3"]) -> Float[np.ndarray, "*b"]:
    """Mean squared difference [...] between neighbouring pixels of the grey frame: fog has next to none."""
    grey = frames.mean(-1, dtype=np.float32)
    return np.square(np.diff(grey, axis=-1)).mean((-2, -1)) + np.square(np.diff(grey, axis=-2)).mean((-2, -1))


def texture_distance(
    imagined: Num[np.ndarray, "*#b rows columns 3"], real: Num[np.ndarray, "*#b rows columns 3"]
) -> Float[np.ndarray, "*b"]:
    """How unlike 0..255 frames look [...]: 0 of equal ones, at most 1.

    One minus the structural texture similarity STSIM-1 (Zhao et al. 2008, doi 10.1109/ICIP.2008.4711975) of each
    colour, in a first-order steerable pyramid (Simoncelli & Freeman 1995, doi 10.1109/ICIP.1995.537667). Statistics of
    windows are compared and not their pixels, so that what stands a little beside its place is still itself, while
    what is blurred is not.
    """
    bands = zip(_bands(imagined), _bands(real), strict=True)
    return 1 - np.mean([_alike(_statistics(ours), _statistics(theirs)) for ours, theirs in bands], axis=0)


def _bands(frames: np.ndarray) -> list[np.ndarray]:
    """Bands [..., 3, rows, columns] of frames, each octave's half as large: slopes across and down, at last the rest.

    An octave is left out where a window no longer fits.
    """
    rest, bands = np.moveaxis(np.asarray(frames, np.float32), -1, -3), []
    for octave in range(_OCTAVES):
        if octave:
            rest = _halved(rest)
        bands += [np.diff(rest, axis=axis, append=np.take(rest, [-1], axis)) for axis in (-1, -2)]
        if min(rest.shape[-2:]) < 4 * _CELL:
            break
    return [*bands, rest]


def _halved(x: np.ndarray) -> np.ndarray:
    """Means of two by two pixels; an odd last one is left out."""
    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def _statistics(band: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean, variance, and correlation with the neighbour across and down, in each window of a band."""
    mean = _windows(band)
    variance = np.maximum(_windows(band * band) - mean * mean, 0)
    lags = [_windows(band * np.roll(band, -1, axis)) - mean * mean for axis in (-1, -2)]
    return mean, variance, *(lag / (variance + _DEVIATION) for lag in lags)


def _windows(x: np.ndarray) -> np.ndarray:
    """Means over windows of two by two cells, a cell apart."""
    rows, columns = x.shape[-2] // _CELL, x.shape[-1] // _CELL
    x = x[..., : rows * _CELL, : columns * _CELL]
    cells = x.reshape(*x.shape[:-2], rows, _CELL, columns, _CELL).mean((-3, -1))
    down = (cells[..., 1:, :] + cells[..., :-1, :]) / 2
    return (down[..., 1:] + down[..., :-1]) / 2


def _alike(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...]) -> np.ndarray:
    """STSIM-1 [...] of one band: luminance, contrast and two correlations, averaged over windows and colours."""
    (mean, variance, *lags), (mean_, variance_, *lags_) = ours, theirs
    terms = (2 * mean * mean_ + _MEAN) / (mean**2 + mean_**2 + _MEAN)
    terms = (
        np.maximum(terms, 0) * (2 * np.sqrt(variance * variance_) + _DEVIATION) / (variance + variance_ + _DEVIATION)
    )
    for one, other in zip(lags, lags_, strict=True):
        terms = terms * np.maximum(1 - np.abs(one - other) / 2, 0)
    return (terms**0.25).mean((-3, -2, -1))

"""What several checks need of signals: even grids, lags, and the rate at which an attitude turns."""

from typing import NamedTuple

import numpy as np

LONGEST = 16_384  # samples compared
_LEAST = 64
_MOST = 0.99  # of a correlation, as few samples tell no more


class Match(NamedTuple):
    """How one signal follows another: `lag_s` later, with this correlation, `slope` times as large.

    `next_best` is the greatest correlation at lags that do not belong to the same peak, and `sureness` by how many
    standard deviations signals as smooth as these, and as long, that have nothing to do with each other are off.
    """

    lag_s: float
    correlation: float
    slope: float
    next_best: float = 0.0
    sureness: float = 0.0


def even(start: float, end: float, rate_hz: float) -> np.ndarray:
    """Times [M] at a rate, from the middle of a span where it is long."""
    count = min(int((end - start) * rate_hz), LONGEST)
    middle = (start + end) / 2 if (end - start) * rate_hz > LONGEST else start + count / rate_hz / 2
    return middle + (np.arange(count) - count / 2) / rate_hz


def at(times: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [M] at other times, between samples in a line; samples that are not finite are left out."""
    good = np.isfinite(values)
    return np.interp(times, time[good], values[good]) if good.sum() > 1 else np.full(len(times), np.nan)


def smooth(values: np.ndarray, count: int) -> np.ndarray:
    """The mean of about so many values [M] around each, as many before as after it; of fewer at the ends."""
    if not 1 < count < len(values):
        return values
    window = np.ones(count | 1)
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def best_match(leader: np.ndarray, follower: np.ndarray, rate_hz: float, most_s: float) -> Match | None:
    """At which lag two signals [M] on one grid agree best; None where they are too short or do not move."""
    most = min(int(most_s * rate_hz), len(leader) // 4)
    if len(leader) < _LEAST or most < 1:
        return None
    return _best(leader, follower, rate_hz, np.arange(-most, most + 1))


def best_anywhere(leader: np.ndarray, follower: np.ndarray, rate_hz: float) -> Match | None:
    """The same for signals [M] and [N] of clocks of which nothing is known: any lag at which half of the shorter is in
    the other. It is counted from their first samples.
    """
    shorter = min(len(leader), len(follower))
    if shorter < _LEAST:
        return None
    least = max(shorter // 2, _LEAST)
    match = _best(leader, follower, rate_hz, np.arange(least - len(leader), len(follower) - least + 1))
    return None if match is None else match._replace(sureness=_sureness(leader, follower, match, rate_hz))


def _sureness(leader: np.ndarray, follower: np.ndarray, match: Match, rate_hz: float) -> float:
    """Fisher's z of a correlation over its deviation, with as many samples as are independent (Bartlett 1946)."""
    lag = round(match.lag_s * rate_hz)
    count = min(len(leader) - max(-lag, 0), len(follower) - max(lag, 0))
    both = [values[first : first + count] for values, first in ((leader, max(-lag, 0)), (follower, max(lag, 0)))]
    alike = np.prod([_autocorrelation(values)[1 : count // 2] for values in both], axis=0)
    independent = count / (1 + 2 * max(float(alike.sum()), 0.0))
    return float(np.arctanh(min(abs(match.correlation), _MOST)) * np.sqrt(max(independent - 3, 0.0)))


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """That of a signal [M] at lags from 0 to M - 1."""
    length = 1 << (2 * len(values) - 1).bit_length()
    products = np.fft.irfft(np.abs(np.fft.rfft(values - values.mean(), length)) ** 2, length)[: len(values)]
    return products / products[0]


def _best(leader: np.ndarray, follower: np.ndarray, rate_hz: float, lags: np.ndarray) -> Match | None:
    """The best of some lags, refined to a part of a sample by a parabola through the three values around the peak."""
    if not np.isfinite(leader).all() or not np.isfinite(follower).all():
        return None
    values, ratios = _correlations(leader - leader.mean(), follower - follower.mean(), lags)
    sizes = np.abs(values)
    peak = int(np.argmax(sizes))
    if not sizes[peak] > 0:
        return None
    shift = 0.0
    if 0 < peak < len(values) - 1:
        before, here, after = sizes[peak - 1 : peak + 2]
        curve = before - 2 * here + after
        shift = 0.5 * (before - after) / curve if curve else 0.0
    slope = values[peak] * ratios[peak]
    others = float(sizes[_beyond(sizes, peak)].max(initial=0.0))
    return Match(float(lags[peak] + shift) / rate_hz, float(values[peak]), float(slope), others)


def _beyond(sizes: np.ndarray, peak: int) -> np.ndarray:
    """Which correlations [M] lie beyond where those around a peak have fallen to half of it."""
    low = np.flatnonzero(sizes < sizes[peak] / 2)
    place = int(np.searchsorted(low, peak))
    first, last = (low[place - 1] if place else -1), (low[place] if place < len(low) else len(sizes))
    index = np.arange(len(sizes))
    return (index <= first) | (index >= last)


def _correlations(a: np.ndarray, b: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of a[k] with b[k + lag] where both are there, for each lag, and the ratio of their deviations."""
    length = 1 << (len(a) + len(b) - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(b, length) * np.conj(np.fft.rfft(a, length)), length)[lags]
    first_a, first_b = np.maximum(-lags, 0), np.maximum(lags, 0)
    there = np.minimum(len(a) - first_a, len(b) - first_b)
    sum_a, square_a = _sums(a, first_a, there)
    sum_b, square_b = _sums(b, first_b, there)
    spread_a, spread_b = (
        np.sqrt(np.maximum(square - total**2 / there, 0)) for total, square in ((sum_a, square_a), (sum_b, square_b))
    )
    size = spread_a * spread_b
    moves = size > 1e-9 * np.linalg.norm(a) * np.linalg.norm(b)
    correlation = np.divide(products - sum_a * sum_b / there, size, out=np.zeros(len(lags)), where=moves)
    return correlation, np.divide(spread_b, spread_a, out=np.zeros(len(lags)), where=moves)


def _sums(values: np.ndarray, first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of values, and of their squares, from each first row on."""
    total, squares = (np.concatenate([[0.0], np.cumsum(x)]) for x in (values, values**2))
    return total[first + count] - total[first], squares[first + count] - squares[first]


def turning(q: np.ndarray) -> np.ndarray:
    """The rotation vector [M - 1, 3] (rad), in the axes of the machine, from each quaternion [M, 4] to the next."""
    product = conjugate_product(q[:-1], q[1:])
    product = np.where(product[:, :1] < 0, -product, product)
    sine = np.linalg.norm(product[:, 1:], axis=1, keepdims=True)
    angle = 2 * np.arctan2(sine, product[:, :1])
    return product[:, 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)


def conjugate_product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """conj(p) q of quaternions [M, 4], scalar first."""
    pw, pv, qw, qv = p[:, :1], p[:, 1:], q[:, :1], q[:, 1:]
    return np.concatenate([pw * qw + (pv * qv).sum(1, keepdims=True), pw * qv - qw * pv - np.cross(pv, qv)], 1)

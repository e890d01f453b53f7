"""What several checks need of signals: even grids, lags, and the rate at which an attitude turns."""

from typing import NamedTuple

import numpy as np

LONGEST = 16_384  # samples compared
_LEAST = 64


class Match(NamedTuple):
    """How one signal follows another: `lag_s` later, with this correlation, `slope` times as large."""

    lag_s: float
    correlation: float
    slope: float


def even(start: float, end: float, rate_hz: float) -> np.ndarray:
    """Times [M] at a rate, from the middle of a span where it is long."""
    count = min(int((end - start) * rate_hz), LONGEST)
    middle = (start + end) / 2 if (end - start) * rate_hz > LONGEST else start + count / rate_hz / 2
    return middle + (np.arange(count) - count / 2) / rate_hz


def at(times: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values [M] at other times, between samples in a line; samples that are not finite are left out."""
    good = np.isfinite(values)
    return np.interp(times, time[good], values[good]) if good.sum() > 1 else np.full(len(times), np.nan)


def best_match(leader: np.ndarray, follower: np.ndarray, rate_hz: float, most_s: float) -> Match | None:
    """At which lag two signals [M] on one grid agree best; None where they are too short or do not move.

    The lag is refined to a part of a sample by a parabola through the three values around the peak.
    """
    count = len(leader)
    most = min(int(most_s * rate_hz), count // 4)
    a, b = leader - leader.mean(), follower - follower.mean()
    size = np.linalg.norm(a) * np.linalg.norm(b)
    if count < _LEAST or most < 1 or not size > 0 or not np.isfinite(size):
        return None
    length = 1 << (2 * count - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(b, length) * np.conj(np.fft.rfft(a, length)), length) / size
    lags = np.arange(-most, most + 1)
    values = product[lags]
    peak = int(np.argmax(np.abs(values)))
    shift = 0.0
    if 0 < peak < len(values) - 1:
        before, here, after = np.abs(values[peak - 1 : peak + 2])
        curve = before - 2 * here + after
        shift = 0.5 * (before - after) / curve if curve else 0.0
    slope = values[peak] * np.linalg.norm(b) / np.linalg.norm(a)
    return Match(float(lags[peak] + shift) / rate_hz, float(values[peak]), float(slope))


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

"""Fixes that a receiver's own speed contradicts, such as one at the moment of lock, though it is marked as locked."""

import numpy as np

from worldmodel.geo import geodetic_to_enu

_FASTER = 1.5  # than the speed that is told: the receiver smooths it
_SLACK_M = 50.0  # that a fix may be off


def contradicted(time: np.ndarray, places: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """Which fixes cannot belong to the longest stretch that the speed allows.

    Args:
        time: seconds [M].
        places: latitude, longitude (deg), altitude (m) [M, 3].
        speed: m/s [M], as the receiver tells it.

    Returns:
        bool [M].
    """
    if len(time) < 3:
        return np.zeros(len(time), bool)
    metres = geodetic_to_enu(places, places[len(places) // 2])
    steps = np.maximum(speed[1:], speed[:-1]) * np.abs(np.diff(time))
    travelled = _FASTER * np.concatenate([[0.0], np.nancumsum(steps)])

    def allows(i: int, j: int) -> bool:
        apart = np.linalg.norm(metres[i] - metres[j])
        return bool(apart <= abs(travelled[i] - travelled[j]) + _SLACK_M)

    apart = np.linalg.norm(np.diff(metres, axis=0), axis=1)
    edges = np.concatenate([[0], np.flatnonzero(apart > np.diff(travelled) + _SLACK_M) + 1, [len(time)]])
    longest = int(np.argmax(np.diff(edges)))
    first, stop = int(edges[longest]), int(edges[longest + 1])
    kept = np.zeros(len(time), bool)
    kept[first:stop] = True
    for anchor, order in ((stop - 1, range(stop, len(time))), (first, range(first - 1, -1, -1))):
        for row in order:
            if allows(anchor, row):
                kept[row], anchor = True, row
    return ~kept

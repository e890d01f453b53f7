"""WGS-84 positions to local east-north-up metres and back (pymap3d)."""

import numpy as np
import pymap3d


def geodetic_to_enu(lla: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Latitude, longitude (deg), altitude (m) [M, 3] to east, north, up metres [M, 3] from `origin` [3] (the same)."""
    return np.stack(pymap3d.geodetic2enu(lla[:, 0], lla[:, 1], lla[:, 2], *origin), -1)


def enu_to_geodetic(enu: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """East, north, up metres [M, 3] from `origin` [3] (deg, deg, m) to latitude, longitude (deg), altitude (m)."""
    return np.stack(pymap3d.enu2geodetic(enu[:, 0], enu[:, 1], enu[:, 2], *origin), -1)

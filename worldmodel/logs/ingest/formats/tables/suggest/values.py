"""Units that the values of columns tell, where their names do not."""

import re
from collections.abc import Sequence

import numpy as np

from worldmodel.logs.health.sentinels import stand_ins
from worldmodel.logs.ingest.formats.tables.conversions import DDMM
from worldmodel.logs.ingest.formats.tables.suggest.evidence import Evidence
from worldmodel.logs.ingest.formats.tables.suggest.stream import Suggested, plain

_G = 9.80665
_ARC_MINUTE = "0.016666666666666666 deg"
_G_FORCE = re.compile(r"g_?force|(?:^|_)gf_?[xyz]$")
_FREE = re.compile(r"free|lin|user")  # accelerations without gravity, but those of ROS
_NO_DEG = 1e5  # beyond are 1e-7 degrees
_COUNTS = 300.0  # m/s^2 in the median are more than any machine has
_TURNS = 4100.0  # degrees a second: gyros end at 4000
_FEW, _SPIKES = 100, 3  # of fewer samples none is a spike


def add_units(stream: Suggested, evidence: Evidence) -> None:
    """Adds the units that values tell, where names do not."""
    values = evidence.floats(*(column.source for column in stream.columns if column.source))
    largest = list(map(largest_of, values))
    if stream.kind == "gps":
        return _mend_gps(stream, values, largest)
    if stream.kind == "position" and not any(column.from_unit for column in stream.columns):
        stream.doubts.append("no unit is told: taken for m")
    for column in stream.columns:
        if column.from_unit or column.unit not in _BY_SIZE:
            continue
        if column.unit == "m/s^2" and _G_FORCE.search(plain(column.source)):
            column.from_unit, seems = "g", "g"
        elif column.unit == "m/s^2" and _FREE.search(plain(column.source)) and not _is_near(_size(values), _G):
            seems = "m/s^2, without the gravity that would tell"
        else:
            column.unit, column.from_unit, seems = _BY_SIZE[column.unit](values, max(largest))
        doubt = f"no unit is told; by its values it seems to be {seems}"
        stream.doubts += [doubt] if doubt not in stream.doubts else []
    return None


def _acceleration(values: Sequence[np.ndarray], _: float) -> tuple[str, str, str]:
    """The unit of the log, the one that readings are in, empty for the same, and what is said of it."""
    size = _size(values)
    if size > _COUNTS:
        return "", "", f"the sensor's own counts, {size:.4g} in the median: scale and units say what they are"
    if _is_near(size, 1):
        return "m/s^2", "g", "g"
    return "m/s^2", "", "m/s^2" if _is_near(size, _G) else "m/s^2 (not told by gravity)"


def _size(values: Sequence[np.ndarray]) -> float:
    """The median length of vectors, of three columns [M]."""
    return float(np.nanmedian(np.sqrt(np.sum(np.square(values[:3]), axis=0))))


def _is_near(size: float, gravity: float) -> bool:
    return 0.7 < size / gravity < 1.4


def _turning(_: Sequence[np.ndarray], largest: float) -> tuple[str, str, str]:
    if largest > _TURNS:
        return "", "", f"the sensor's own counts, up to {largest:.4g}: scale and units say what they are"
    return ("rad/s", "deg/s", "deg/s") if largest > 35 else ("rad/s", "", "rad/s")


def _field(_: Sequence[np.ndarray], largest: float) -> tuple[str, str, str]:
    old = "" if largest < 1e-3 else "gauss" if largest < 5 else "uT"
    return "T", old, old or "T"


_BY_SIZE = {"m/s^2": _acceleration, "rad/s": _turning, "T": _field}


def largest_of(values: np.ndarray) -> float:
    """The size of the largest of values [M], but for what stands for no reading and for single spikes."""
    sizes = np.sort(np.abs(values[np.isfinite(values) & ~stand_ins(values)]))
    spikes = _SPIKES if len(sizes) > _FEW else 0
    return float(sizes[-1 - spikes]) if len(sizes) else 0.0


def _mend_gps(stream: Suggested, values: Sequence[np.ndarray], largest: Sequence[float]) -> None:
    degrees, height = stream.columns[:2], stream.columns[2]
    if height.source and not height.from_unit and max(largest[:2]) <= _NO_DEG:
        stream.doubts.append(f"{height.source} tells no unit: taken for m")
    if max(largest[:2]) > _NO_DEG:
        for column in degrees:
            column.from_unit = "1e-7 deg"
        height.from_unit = height.from_unit or "mm"
        stream.doubts.append("positions are taken for 1e-7 degrees, heights for mm")
    elif largest[0] > 180 and max(largest[:2]) < 18060:
        minutes = any((np.abs(place[np.isfinite(place)]) % 100 >= 60).any() for place in values[:2])
        for column in degrees:
            column.from_unit = _ARC_MINUTE if minutes else DDMM
        what = "minutes of arc" if minutes else "degrees and minutes, ddmm.mmmm"
        stream.doubts.append(f"positions are taken for {what}")
    else:
        stream.doubts += ["latitudes are beyond 90: are they longitudes?"] if largest[0] > 90 else []
    stream.frame = "wgs84"

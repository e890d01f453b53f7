"""Records that cross module boundaries, and the letters of their axes.

Axes: B batch, T ticks, C context ticks, H horizon ticks, K members, N samples within a tick, S columns of a
stream, A action values, Z latent, and rows x columns x 3 (RGB) for images.

Units are SI and angles radians, except WGS-84 latitude and longitude, which are degrees. Times are float64
seconds from the episode's origin.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import LogFormatError

Array = Any  # a numpy array outside of compiled functions, a JAX array inside
GPS_COLUMNS = ("latitude", "longitude", "altitude")
GPS_UNITS = ("deg", "deg", "m")


class Samples(NamedTuple):
    """The samples of one stream within one episode.

    Attributes:
        time: float64 [M], seconds from the episode's origin, strictly increasing.
        data: [M, S] float for low-dimensional streams, [M, rows, columns, 3] uint8 RGB for video.
    """

    time: np.ndarray
    data: np.ndarray


class Commands(NamedTuple):
    """Actions on the model's clock: of each tick the mean of what is in force from it to the next.

    Attributes:
        values: float32 [..., T, A] features; 0 where the mask is False.
        mask: bool [..., T, A], False before the first command: what is in force then is unknown.
        age_s: float32 [..., T, action streams] seconds since each stream's newest command; infinite before the first.
    """

    values: Array
    mask: Array
    age_s: Array


@dataclasses.dataclass(frozen=True)
class StreamSpec:
    """What a stream is, independent of any sample: enough to read, align, encode, decode and label it.

    Attributes:
        name: the stream's name in the log.
        kind: `video`, `sensor`, `gps`, `position`, `orientation`, `pose` or `action` (`worldmodel.codecs`).
        columns: a name for each column; for video `("red", "green", "blue")`.
        units: a unit for each column, such as `m/s^2`, `rad`, `deg`; empty strings where it has none.
        rate_hz: nominal rate in samples a second, above 0.
        frame: the frame that the values are expressed in, such as `body`, `world`, `wgs84`; may be empty.
        noise_std: standard deviation of each column's noise in its unit; NaN where unknown.
        circular: whether a column is an angle in radians that wraps at 2 pi.
        size: (rows, columns) of a video's frames, None for other kinds.
        description: one line for people.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    frame: str = ""
    noise_std: tuple[float, ...] = ()
    circular: tuple[bool, ...] = ()
    size: tuple[int, int] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        columns = len(self.columns)
        noise = tuple(self.noise_std) or (math.nan,) * columns
        noise = tuple(math.nan if math.isnan(x) else x for x in noise)  # one object, so that what is alike is equal
        object.__setattr__(self, "noise_std", noise)
        object.__setattr__(self, "circular", tuple(self.circular) or (False,) * columns)
        for label in ("units", "noise_std", "circular"):
            if len(getattr(self, label)) != columns:
                raise LogFormatError(
                    f"Stream {self.name!r} does not give one of {label} for each column.",
                    expected=f"{columns} for columns {', '.join(self.columns)}",
                    found=f"{len(getattr(self, label))}",
                )
        if not 0 < self.rate_hz < float("inf"):
            raise LogFormatError(
                f"Stream {self.name!r} has no rate.", expected="rate_hz above 0 and finite", found=str(self.rate_hz)
            )
        from worldmodel.codecs import check_kind  # which is made of these specifications

        check_kind(self)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (S,), or (rows, columns, 3) for video."""
        return (*self.size, 3) if self.size is not None else (len(self.columns),)

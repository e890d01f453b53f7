"""What each kind of stream is: the one place that knows.

A codec goes between three forms of a sample:

* recorded [S]: the columns of the log, in its units and frame;
* features [F]: what a model sees, free of wraps and signs: an angle as sine and cosine, a fix as metres from an
  origin, a rotation as two columns of its matrix;
* physical [P]: what errors are measured in and pictures show: as recorded, but a fix in metres.

Features and physical values go either way in numpy and in JAX. A new kind is a class here, and an entry of `KINDS`.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from worldmodel.arrays import namespace
from worldmodel.errors import LogFormatError
from worldmodel.geo import enu_to_geodetic, geodetic_to_enu
from worldmodel.types import GPS_COLUMNS, Array, StreamSpec

QUATERNION = ("qw", "qx", "qy", "qz")
XYZ = ("x", "y", "z")


class Measure(NamedTuple):
    """The one figure by which a stream is shown in a table: its key among the scores, what it is called, its unit."""

    key: str
    title: str
    unit: str
    more_is_better: bool = False


class Lean(NamedTuple):
    """Which features tell how far a machine leans, of which the sine is one: to where its nose points, and to its left.

    Attributes:
        ahead, left: of features of a stream.
        sign: of the second beside the first, -1 or 1; the first has either.
    """

    ahead: int
    left: int
    sign: int


class Turning(NamedTuple):
    """Which features turn with a frame about the vertical.

    Attributes:
        pairs: indices (east, north) of horizontal vectors; a heading's cosine and sine are one.
        heading: the pair that is the direction of the machine's nose; None where the stream tells none.
        place: the pair that is the machine's place, whose track tells a direction; None where the stream tells none.
        lean: how far the machine leans; None where the stream does not tell.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    heading: tuple[int, int] | None = None
    place: tuple[int, int] | None = None
    lean: Lean | None = None


@dataclasses.dataclass(frozen=True)
class Codec:
    """One stream's. The base class is of columns that are what they are, or angles that wrap (`sensor`, `action`)."""

    spec: StreamSpec

    dtype: ClassVar[type] = np.float32  # on disk
    measure: ClassVar[Measure] = Measure("nrmse", "NRMSE", "")
    track: ClassVar[tuple[int, int] | None] = None  # physical columns that are drawn as a map
    distance: ClassVar[bool] = False  # whether the one figure is the root of the sum over its columns, not of the mean

    def check(self) -> None:
        """Refuses a specification that is not of this kind.

        Raises:
            LogFormatError: saying which columns were expected.
        """
        units = zip(self.spec.columns, self.spec.units, self.spec.circular, strict=True)
        if wrong := [f"{column} [{unit}]" for column, unit, wraps in units if wraps and unit != "rad"]:
            raise LogFormatError(
                f"Stream {self.spec.name!r} has angles that wrap in another unit than radians.",
                expected='units = "rad" for each circular column',
                found=", ".join(wrong),
                remedy="convert them (in a recipe: scale = 0.017453292519943295 for degrees)",
            )

    @property
    def features(self) -> int:
        """F."""
        return len(self.spec.columns) + sum(self.spec.circular)

    @property
    def relative(self) -> tuple[bool, ...]:
        """Of each feature, whether a model sees it relative to the last one of its context."""
        return (False,) * self.features

    @property
    def world_frame(self) -> str:
        """The frame that its values turn with: north-east-down is the same plane as east-north-up."""
        return "enu" if self.spec.frame in ("enu", "ned", "wgs84") else self.spec.frame

    @property
    def north_up(self) -> bool:
        """Whether the map of its `track` has north at the top."""
        return self.world_frame == "enu" and self.turning.place == self.track

    @property
    def turning(self) -> Turning:
        """Vectors and headings of a stream in the frame `enu` or `ned`, by the names of its columns.

        A vector is two columns that differ by `east` and `north`; a heading is a circular column called `yaw`,
        `heading` or `course`: counter-clockwise from east in `enu`, clockwise from north in `ned`.
        """
        if self.world_frame != "enu":
            return Turning()
        at = dict(zip(self.spec.columns, self._first, strict=True))
        vectors = [
            (at[name], at[name.replace("east", "north")])
            for name in self.spec.columns
            if "east" in name and name.replace("east", "north") in at
        ]
        nose = [
            at[name]
            for name, wraps in zip(self.spec.columns, self.spec.circular, strict=True)
            if wraps and any(word in name for word in ("yaw", "heading", "course"))
        ]
        # features are sine, cosine: east is the cosine of a yaw from east, the sine of a heading from north
        headings = [(i, i + 1) if self.spec.frame == "ned" else (i + 1, i) for i in nose]
        is_reading = self.spec.kind != "action" and headings
        return Turning((*vectors, *headings), headings[0] if is_reading else None)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the P physical columns."""
        return self.spec.columns

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the P physical columns."""
        return self.spec.units

    @property
    def error_labels(self) -> tuple[str, ...]:
        """Names of the E components of an error."""
        return self.labels

    @property
    def error_units(self) -> tuple[str, ...]:
        """Units of the E components of an error."""
        return self.units

    @property
    def figure(self) -> slice:
        """The components of an error that make the stream's one figure."""
        return slice(None)

    @property
    def _first(self) -> tuple[int, ...]:
        """The first feature of each column."""
        return tuple(int(i) for i in np.cumsum([0, *(1 + wraps for wraps in self.spec.circular)])[:-1])

    def encode(self, data: Float[np.ndarray, "M S"], origin: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "M F"]:
        """Recorded samples [M, S] to features [M, F]; NaN where one is missing.

        Args:
            data: as recorded.
            origin: latitude, longitude (deg) and altitude (m) [3] that fixes are metres from.
        """
        parts = []
        for column, wraps in zip(data.T, self.spec.circular, strict=True):
            parts += [np.sin(column), np.cos(column)] if wraps else [column]
        return np.stack(parts, -1)

    def physical(self, features: Float[Array, "*b F"]) -> Float[Array, "*b P"]:
        """Features [..., F] to physical values [..., P]."""
        if not any(self.spec.circular):
            return features
        xp = namespace(features)
        columns = [
            xp.atan2(features[..., i], features[..., i + 1]) if wraps else features[..., i]
            for i, wraps in zip(self._first, self.spec.circular, strict=True)
        ]
        return xp.stack(columns, axis=-1)

    def features_of(self, physical: Float[np.ndarray, "*b P"]) -> Float[np.ndarray, "*b F"]:
        """Physical values [..., P] back to features [..., F], in which they may be averaged and interpolated."""
        flat = physical.reshape(-1, physical.shape[-1])
        return self.encode(flat, np.zeros(3)).reshape(*physical.shape[:-1], self.features)

    def average(self, physical: Float[np.ndarray, "*b P"], axis: int) -> Float[np.ndarray, "*_ P"]:
        """Mean over an axis of physical values, taken of features, so that angles and attitudes average rightly."""
        return self.physical(self.features_of(physical).mean(axis))

    def physical_mask(self, mask: Shaped[Array, "*b F"]) -> Shaped[Array, "*b P"]:
        """Which physical values [..., P] are there, from which features [..., F] are."""
        return mask[..., np.asarray(self._first, int)]

    def recorded(
        self, features: Float[np.ndarray, "*b F"], fix: Float[np.ndarray, " F"], origin: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "*b S"]:
        """Features [..., F], the relative ones less `fix` [F], to the log's own columns [..., S]; NaN where unknown."""
        return self.physical(features)

    def normalised(self, features: Float[Array, "*b F"]) -> Float[Array, "*b F"]:
        """Features [..., F] that averaging has shrunk, such as sine and cosine, back at their length."""
        if not any(self.spec.circular):
            return features
        xp, parts = namespace(features), []
        for i, wraps in zip(self._first, self.spec.circular, strict=True):
            part = features[..., i : i + 1 + wraps]
            parts.append(part / _length(part) if wraps else part)
        return xp.concat(parts, axis=-1)

    def residual(self, prediction: Float[Array, "*#b P"], truth: Float[Array, "*#b P"]) -> Float[Array, "*_ E"]:
        """Error [..., E] of physical values [..., P]; of angles the short way round, in radians."""
        xp = namespace(prediction)
        difference = prediction - truth
        wraps = xp.asarray(np.asarray(self.spec.circular, bool))
        return xp.where(wraps, (difference + math.pi) % (2 * math.pi) - math.pi, difference)

    def error_mask(self, mask: Bool[Array, "*b P"]) -> Bool[Array, "*b E"]:
        """Which components of an error [..., E] are known, from which physical values [..., P] are."""
        return mask

    def mean(self, values: Float[np.ndarray, "M P"], mask: Bool[np.ndarray, "M P"]) -> Float[np.ndarray, " P"]:
        """Mean [P] of physical values [M, P] where `mask`, of angles the circular one; NaN where there is none."""
        circular = np.asarray(self.spec.circular, bool)
        angle = np.arctan2(_mean(np.sin(values), mask), _mean(np.cos(values), mask))
        return np.where(circular, angle, _mean(values, mask))


@dataclasses.dataclass(frozen=True)
class Position(Codec):
    """Metres x, y, z in a local frame; a model sees them relative to the last ones and turned with the machine."""

    measure = Measure("rmse", "position error", "m")
    track = (0, 1)
    distance = True

    def check(self) -> None:
        _columns(self.spec, XYZ, ("m",) * 3)

    @property
    def features(self) -> int:
        return 3

    @property
    def relative(self) -> tuple[bool, ...]:
        return (True,) * 3

    @property
    def turning(self) -> Turning:
        plane = _plane(self.spec.frame)
        return Turning((plane,), place=plane)

    @property
    def figure(self) -> slice:
        return slice(0, 3)

    @property
    def _first(self) -> tuple[int, ...]:
        return (0, 1, 2)

    def encode(self, data: Float[np.ndarray, "M S"], origin: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "M F"]:
        return _together(np.asarray(data[:, :3], np.float64), [0, 1])

    def physical(self, features: Float[Array, "*b F"]) -> Float[Array, "*b P"]:
        return features

    def normalised(self, features: Float[Array, "*b F"]) -> Float[Array, "*b F"]:
        return features

    def recorded(
        self, features: Float[np.ndarray, "*b F"], fix: Float[np.ndarray, " F"], origin: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "*b S"]:
        return features.astype(np.float64) + fix

    def residual(self, prediction: Float[Array, "*#b P"], truth: Float[Array, "*#b P"]) -> Float[Array, "*_ E"]:
        return prediction - truth

    def mean(self, values: Float[np.ndarray, "M P"], mask: Bool[np.ndarray, "M P"]) -> Float[np.ndarray, " P"]:
        return _mean(values, mask)


@dataclasses.dataclass(frozen=True)
class Gps(Position):
    """WGS-84 fixes; features are metres east, north, up. A fix without altitude is a fix."""

    dtype = np.float64  # a float32 of a longitude is off by up to a metre

    def check(self) -> None:
        if self.spec.columns[:3] != GPS_COLUMNS:
            raise LogFormatError(
                f"GPS stream {self.spec.name!r} has the wrong columns.",
                expected=f"{', '.join(GPS_COLUMNS)} and then accuracies if any",
                found=", ".join(self.spec.columns),
            )

    @property
    def world_frame(self) -> str:
        return "enu"

    @property
    def turning(self) -> Turning:
        return Turning(((0, 1),), place=(0, 1))

    @property
    def figure(self) -> slice:
        return slice(0, 2)

    @property
    def labels(self) -> tuple[str, ...]:
        return ("east", "north", "up")

    @property
    def units(self) -> tuple[str, ...]:
        return ("m",) * 3

    def encode(self, data: Float[np.ndarray, "M S"], origin: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "M F"]:
        flat = np.isnan(data[:, 2])
        enu = geodetic_to_enu(np.where(flat[:, None] & [False, False, True], origin[2], data[:, :3]), origin)
        enu[flat, 2] = np.nan
        return enu

    def features_of(self, physical: Float[np.ndarray, "*b P"]) -> Float[np.ndarray, "*b F"]:
        return physical

    def recorded(
        self, features: Float[np.ndarray, "*b F"], fix: Float[np.ndarray, " F"], origin: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "*b S"]:
        """Accuracies, which are not imagined, are NaN; so is an altitude of which nothing is known."""
        enu = (features.astype(np.float64) + fix).reshape(-1, 3)
        fixes = enu_to_geodetic(np.where(np.isnan(enu) & [False, False, True], 0.0, enu), origin)
        fixes[np.isnan(enu[:, 2]), 2] = np.nan
        fixes = fixes.reshape(features.shape)
        return np.concatenate([fixes, np.full((*fixes.shape[:-1], len(self.spec.columns) - 3), np.nan)], -1)


@dataclasses.dataclass(frozen=True)
class Orientation(Codec):
    """A unit quaternion, scalar first, that turns vectors of the machine into those of the frame.

    Features are the first two columns of its rotation matrix (Zhou et al. 2019, arXiv 1812.07035), which do not jump
    where a quaternion's sign does. Its physical form has length 1 and a scalar that is not negative. An error is the
    rotation vector (rad) from truth to prediction in the machine's axes, so its length is the geodesic angle.
    """

    measure = Measure("rmse", "attitude error", "rad")
    distance = True

    def check(self) -> None:
        _columns(self.spec, QUATERNION, ("",) * 4)

    @property
    def features(self) -> int:
        return 6

    @property
    def turning(self) -> Turning:
        east, north = _plane(self.spec.frame)
        lean = Lean(2, 5, 1 if east < north else -1)  # an axis to the left where z is up, to the right where it is down
        return Turning(((east, north), (east + 3, north + 3)), heading=(east, north), lean=lean)

    @property
    def error_labels(self) -> tuple[str, ...]:
        return ("roll", "pitch", "yaw")

    @property
    def error_units(self) -> tuple[str, ...]:
        return ("rad",) * 3

    @property
    def _first(self) -> tuple[int, ...]:
        return (0,) * 4

    def encode(self, data: Float[np.ndarray, "M S"], origin: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "M F"]:
        q = np.asarray(data, np.float64)
        length = np.linalg.norm(q, axis=-1, keepdims=True)
        return rotation_columns(np.divide(q, length, out=np.full_like(q, np.nan), where=length > 0))

    def physical(self, features: Float[Array, "*b F"]) -> Float[Array, "*b P"]:
        return quaternion_of(features)

    def normalised(self, features: Float[Array, "*b F"]) -> Float[Array, "*b F"]:
        return _orthonormal(features)

    def residual(self, prediction: Float[Array, "*#b P"], truth: Float[Array, "*#b P"]) -> Float[Array, "*_ E"]:
        return rotation_vector(truth, prediction)

    def error_mask(self, mask: Bool[Array, "*b P"]) -> Bool[Array, "*b E"]:
        return mask[..., :3]

    def mean(self, values: Float[np.ndarray, "M P"], mask: Bool[np.ndarray, "M P"]) -> Float[np.ndarray, " P"]:
        """The rotation nearest to all: the first eigenvector of their outer products (Markley et al. 2007,
        doi 10.2514/1.28949).
        """
        there = values[mask.all(-1)]
        if not len(there):
            return np.full(4, np.nan)
        q = np.linalg.eigh(there.T.astype(np.float64) @ there)[1][:, -1]
        return q * np.where(q[0] < 0, -1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Pose(Codec):
    """A position and an orientation, one after the other."""

    measure = Measure("rmse", "position error", "m")
    track = (0, 1)
    distance = True

    def check(self) -> None:
        _columns(self.spec, (*XYZ, *QUATERNION), (*("m",) * 3, *("",) * 4))

    @property
    def _parts(self) -> tuple[Position, Orientation]:
        spec = self.spec
        place, turned = (
            dataclasses.replace(
                spec, kind=kind, columns=spec.columns[part], units=spec.units[part],
                noise_std=spec.noise_std[part], circular=spec.circular[part],
            )
            for kind, part in (("position", slice(0, 3)), ("orientation", slice(3, 7)))
        )  # fmt: skip
        return Position(place), Orientation(turned)

    @property
    def features(self) -> int:
        return 9

    @property
    def relative(self) -> tuple[bool, ...]:
        return (True,) * 3 + (False,) * 6

    @property
    def turning(self) -> Turning:
        place, turned = self._parts
        pairs = [(east + 3, north + 3) for east, north in turned.turning.pairs]
        told = turned.turning.lean
        lean = told and Lean(told.ahead + 3, told.left + 3, told.sign)
        return Turning((*place.turning.pairs, *pairs), heading=pairs[0], place=place.turning.place, lean=lean)

    @property
    def error_labels(self) -> tuple[str, ...]:
        return (*XYZ, "roll", "pitch", "yaw")

    @property
    def error_units(self) -> tuple[str, ...]:
        return (*("m",) * 3, *("rad",) * 3)

    @property
    def figure(self) -> slice:
        return slice(0, 3)

    @property
    def _first(self) -> tuple[int, ...]:
        return (0, 1, 2, 3, 3, 3, 3)

    def encode(self, data: Float[np.ndarray, "M S"], origin: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "M F"]:
        place, turned = self._parts
        return np.concatenate([place.encode(data[:, :3], origin), turned.encode(data[:, 3:], origin)], -1)

    def physical(self, features: Float[Array, "*b F"]) -> Float[Array, "*b P"]:
        turned = self._parts[1].physical(features[..., 3:])
        return namespace(features).concat([features[..., :3], turned], axis=-1)

    def normalised(self, features: Float[Array, "*b F"]) -> Float[Array, "*b F"]:
        turned = self._parts[1].normalised(features[..., 3:])
        return namespace(features).concat([features[..., :3], turned], axis=-1)

    def recorded(
        self, features: Float[np.ndarray, "*b F"], fix: Float[np.ndarray, " F"], origin: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "*b S"]:
        physical = self.physical(features).astype(np.float64)
        physical[..., :3] += fix[:3]
        return physical

    def residual(self, prediction: Float[Array, "*#b P"], truth: Float[Array, "*#b P"]) -> Float[Array, "*_ E"]:
        turned = rotation_vector(truth[..., 3:], prediction[..., 3:])
        return namespace(prediction).concat([prediction[..., :3] - truth[..., :3], turned], axis=-1)

    def error_mask(self, mask: Bool[Array, "*b P"]) -> Bool[Array, "*b E"]:
        return mask[..., :6]

    def mean(self, values: Float[np.ndarray, "M P"], mask: Bool[np.ndarray, "M P"]) -> Float[np.ndarray, " P"]:
        place, turned = self._parts
        return np.concatenate([place.mean(values[:, :3], mask[:, :3]), turned.mean(values[:, 3:], mask[:, 3:])])


@dataclasses.dataclass(frozen=True)
class Video(Codec):
    """Video, which models see as pixels."""

    dtype = np.uint8
    measure = Measure("psnr", "PSNR", "dB", True)

    def check(self) -> None:
        if self.spec.size is None:
            raise LogFormatError(f"Stream {self.spec.name!r}: video has a size (rows, columns), other kinds have none.")


KINDS: Mapping[str, type[Codec]] = {
    "video": Video,
    "sensor": Codec,
    "gps": Gps,
    "position": Position,
    "orientation": Orientation,
    "pose": Pose,
    "action": Codec,
}
READINGS = tuple(kind for kind in KINDS if kind not in ("video", "action"))  # what is predicted, beside video


def codec(spec: StreamSpec) -> Codec:
    """The codec of a stream."""
    return KINDS[spec.kind](spec)


def check_kind(spec: StreamSpec) -> None:
    """Refuses a specification whose kind is unknown, or does not have such columns.

    Raises:
        LogFormatError: saying what was expected.
    """
    if spec.kind not in KINDS:
        raise LogFormatError(
            f"Stream {spec.name!r} has an unknown kind.", expected=" or ".join(KINDS), found=repr(spec.kind)
        )
    if spec.kind != "video" and spec.size is not None:
        raise LogFormatError(f"Stream {spec.name!r}: video has a size (rows, columns), other kinds have none.")
    codec(spec).check()


def _plane(frame: str) -> tuple[int, int]:
    """Which of x, y are east and north, or what plays their part in a frame without a north."""
    return (1, 0) if frame == "ned" else (0, 1)


def _columns(spec: StreamSpec, columns: tuple[str, ...], units: tuple[str, ...]) -> None:
    if (spec.columns, spec.units) != (columns, units):
        what, remedy = "columns", "call them so, in this order"
        if spec.columns == columns:
            what, remedy = "units", f"give units = {json.dumps(units)}; a recipe's from_units are what a table is in"
        raise LogFormatError(
            f"The {spec.kind} stream {spec.name!r} has the wrong {what}.",
            expected=_named(columns, units),
            found=_named(spec.columns, spec.units),
            remedy=remedy,
        )


def _named(columns: tuple[str, ...], units: tuple[str, ...]) -> str:
    return ", ".join(f"{column} [{unit}]" if unit else column for column, unit in zip(columns, units, strict=True))


def _together(data: np.ndarray, columns: list[int]) -> np.ndarray:
    """Samples [M, S] in which some columns are there together or not at all: one of them alone cannot be turned."""
    alone = np.isnan(data[:, columns]).any(1)[:, None] & np.isin(np.arange(data.shape[1]), columns)
    return np.where(alone, np.nan, data)


def _mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    count = mask.sum(0)
    total = np.where(mask, values, 0).sum(0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _length(vectors: Float[Array, "*b n"]) -> Float[Array, "*b 1"]:
    """Lengths [..., 1] that can be divided by."""
    xp = namespace(vectors)
    return xp.sqrt(xp.maximum((vectors**2).sum(-1, keepdims=True), 1e-12))


def _orthonormal(columns: Float[Array, "*b 6"]) -> Float[Array, "*b 6"]:
    """Two columns of a rotation matrix that are of length 1 and at right angles again."""
    xp = namespace(columns)
    first = columns[..., :3] / _length(columns[..., :3])
    second = columns[..., 3:] - first * (first * columns[..., 3:]).sum(-1, keepdims=True)
    return xp.concat([first, second / _length(second)], axis=-1)


def rotation_columns(q: Float[Array, "*b 4"]) -> Float[Array, "*b 6"]:
    """The first two columns of a unit quaternion's rotation matrix."""
    w, x, y, z = (q[..., i] for i in range(4))
    first = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    second = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    return namespace(q).stack([*first, *second], -1)


def quaternion_of(columns: Float[Array, "*b 6"]) -> Float[Array, "*b 4"]:
    """Unit quaternion [..., 4] with w >= 0 from the first two columns [..., 6] of a rotation matrix, or from some near.

    Each row of four times its outer product with itself is read off the matrix; the row of its largest element is the
    one that no rounding spoils (Shepperd 1978, doi 10.2514/3.55767b).
    """
    xp, columns = namespace(columns), _orthonormal(columns)
    a0, a1, a2, b0, b1, b2 = (columns[..., i] for i in range(6))
    c0, c1, c2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
    outer = [
        *(1 + a0 + b1 + c2, b2 - c1, c0 - a2, a1 - b0),
        *(b2 - c1, 1 + a0 - b1 - c2, a1 + b0, c0 + a2),
        *(c0 - a2, a1 + b0, 1 - a0 + b1 - c2, b2 + c1),
        *(a1 - b0, c0 + a2, b2 + c1, 1 - a0 - b1 + c2),
    ]
    largest = xp.argmax(xp.stack(outer[::5], axis=-1), axis=-1)
    rows = xp.stack(outer, axis=-1).reshape(*largest.shape, 4, 4)
    q = xp.take_along_axis(rows, largest[..., None, None], axis=-2)[..., 0, :]
    q = q / _length(q)
    return xp.where(q[..., :1] < 0, -q, q)


def rotation_vector(start: Float[Array, "*#b 4"], end: Float[Array, "*#b 4"]) -> Float[Array, "*_ 3"]:
    """Rotation vector [..., 3] (rad), in the axes of `start`, that turns one quaternion [..., 4] into the other."""
    xp = namespace(end)
    w0, v0, w1, v1 = start[..., :1], start[..., 1:], end[..., :1], end[..., 1:]
    w = w0 * w1 + (v0 * v1).sum(-1, keepdims=True)
    v = w0 * v1 - w1 * v0 - xp.linalg.cross(*xp.broadcast_arrays(v0, v1))
    v = xp.where(w < 0, -v, v)  # the short way round
    sine = xp.sqrt(xp.maximum((v * v).sum(-1, keepdims=True), 1e-24))
    return 2 * xp.atan2(sine, xp.abs(w)) / sine * v

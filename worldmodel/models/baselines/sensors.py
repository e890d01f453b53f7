"""Which columns tell a vehicle's speed and turning, by their units and names."""

import itertools
import re
from typing import NamedTuple

import numpy as np

from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.types import StreamSpec
from worldmodel.units import conversion

_SPEED = re.compile(r"^(?!.*wind).*(?:speed|forward|\bvx\b|(?:velocity|dvl)[_.]v?x\b|(?:\b|_)s(?:og|tw)(?:\b|_))")
_ASIDE = re.compile(r"wind|east|north|up\b|down\b|vert|climb|sink|(?:\b|_)lat|side|slip|v[yz]\b|_[yz]\b")  # not ahead
_WHEEL = re.compile(r"wheel|encoder")
_YAW = re.compile(r"yaw|gyro|turn_rate|rate_of_turn|(?:\b|_)rot(?:\b|_)|\bwz\b|angular_velocity|gier|drehrate")


class Named(NamedTuple):
    """What a user says: a stream, all of whose columns count, or one of its columns: `wheels`, `gyro.z`."""

    speed: str
    yaw: str


class Motion(NamedTuple):
    """A speed and a turning that may belong together.

    Attributes:
        speed: int [S] columns among the Y readings, whose mean is proportional to the speed.
        turning: int [1] of a yaw rate, or int [2] east and north of a heading.
        rate_scale: rad/s counter-clockwise in one unit of the yaw rate; 0 for a heading.
    """

    speed: np.ndarray
    turning: np.ndarray
    rate_scale: float


class _Column(NamedTuple):
    """A column of a sensor: its place among the Y readings, its stream, `stream.column`, its unit, and the frame."""

    at: int
    stream: str
    name: str
    unit: str
    frame: str


def motions(place: StreamSpec, layout: TickLayout, named: Named | None) -> list[Motion]:
    """Every pair of a speed and a turning of a vehicle whose place a stream tells; a yaw rate with either sign.

    Args:
        place: the stream.
        layout: where columns are.
        named: the only ones to take; by default all that look like it.

    Raises:
        WorldModelError: if a name is of no stream or column.
    """
    columns = _columns(layout)
    if named is None:
        speeds, rates = _speeds(columns), [c for c in columns if _YAW.search(c.name.lower()) and _scale(c, "rad/s")]
    else:
        speeds, rates = [_named(columns, named.speed)], _named(columns, named.yaw)
    noses = [s for s in layout.readings if codec(s).turning.heading is not None and same_frame(s, place)]
    turnings = [(np.array([c.at]), sign * (_scale(c, "rad/s") or 1.0)) for c in rates for sign in (1, -1)]
    turnings += [(pair("heading", s, layout), 0.0) for s in noses if named is None]
    return [Motion(np.array([c.at for c in speed]), *turning) for speed, turning in itertools.product(speeds, turnings)]


def beside(speed: np.ndarray, layout: TickLayout) -> list[int]:
    """Columns that may be the speed to the side, beside one ahead: others of its stream that are in m/s as it is."""
    columns = {column.at: column for column in _columns(layout)}
    own = columns[int(speed[0])]
    if len(speed) > 1 or not own.unit or not _scale(own, "m/s"):
        return []
    return [c.at for c in columns.values() if c.stream == own.stream and c.unit == own.unit and c.at != own.at]


def pair(what: str, spec: StreamSpec, layout: TickLayout) -> np.ndarray:
    """int [2] east and north, among the Y readings, of a stream's `heading` or `place`."""
    return layout.reading_columns[spec.name].start + np.array(getattr(codec(spec).turning, what))


def label(layout: TickLayout, at: np.ndarray) -> str:
    """Names for people of columns among the Y readings."""
    names = {c.at: c.name for c in _columns(layout)}
    streams = [layout.readings[i].name for i in layout.stream_of[layout.newest]]
    return ", ".join(dict.fromkeys(names.get(int(i), streams[i]) for i in at))


def same_frame(one: StreamSpec, other: StreamSpec) -> bool:
    """Whether what two streams tell turns together."""
    return codec(one).world_frame == codec(other).world_frame


def _columns(layout: TickLayout) -> list[_Column]:
    found = []
    for spec in layout.readings:
        features = layout.reading_columns[spec.name]
        at = codec(spec).physical_mask(np.arange(features.start, features.stop))  # each column's own feature
        if spec.kind == "sensor":
            named = [f"{spec.name}.{column}" for column in spec.columns]
            frame, each = codec(spec).world_frame, zip(at, named, spec.units, strict=True)
            found += [_Column(int(i), spec.name, name, unit, frame) for i, name, unit in each]
    return found


def _speeds(columns: list[_Column]) -> list[list[_Column]]:
    """Single columns that look like a speed, and all such of a stream together.

    A unit is not needed: the fixes tell the scale of a speed, and whether it is one. Where no name is a speed's, what
    is in m/s, and not of a direction in the world or to the side, may be one.
    """
    found = [
        c
        for c in columns
        if (_SPEED.search(c.name.lower()) and (not c.unit or _scale(c, "m/s")))
        or (_WHEEL.search(c.name.lower()) and (not c.unit or _scale(c, "m/s") or _scale(c, "rad/s")))
    ]
    found = found or [
        c for c in columns if _scale(c, "m/s") and c.frame in ("", "body") and not _ASIDE.search(c.name.lower())
    ]
    together = [list(group) for _, group in itertools.groupby(found, lambda c: c.stream)]
    return [[c] for c in found] + [group for group in together if len(group) > 1]


def _scale(column: _Column, unit: str) -> float:
    """How many of a unit are one of the column's; 0 where they are another quantity."""
    change = conversion(column.unit, unit)
    return change.scale if change else 0.0


def _named(columns: list[_Column], name: str) -> list[_Column]:
    found = [c for c in columns if name in (c.stream, c.name)]
    if not found:
        raise WorldModelError(
            f"No sensor is called {name!r}.",
            expected="a stream or one of its columns",
            found=", ".join(c.name for c in columns) or "no sensors",
        )
    return found

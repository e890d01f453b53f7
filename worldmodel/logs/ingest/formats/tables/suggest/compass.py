"""Headings beside fixes: which way they count is what the course of the fixes tells."""

from collections.abc import Sequence

import numpy as np

from worldmodel.logs.ingest.formats.tables.suggest.evidence import Evidence
from worldmodel.logs.ingest.formats.tables.suggest.kinds import DIRECTION
from worldmodel.logs.ingest.formats.tables.suggest.stream import Column, Suggested
from worldmodel.logs.ingest.recording import free_name

_UNITS = {"deg": np.pi / 180, "": 1.0}  # of headings, in which they are told
_FIXES = 5  # from one to the other, between which a course is taken: one alone is noise
_PAIRS, _ALIKE = 20, 0.35  # courses at least, and radians that half of them are off at most
_FRAMES = {"ned": "clockwise from north", "enu": "counter-clockwise from east"}


def of_fixes(streams: Sequence[Suggested], evidence: Evidence) -> None:
    """Gives streams with a heading the frame in which it goes where the fixes do, so that they turn together.

    A heading comes before the course in such a stream, for the first tells where the nose points.
    """
    places = [stream.columns[:2] for stream in streams if stream.kind == "gps" and not stream.hemispheres]
    for stream in streams:
        told = [c for c in stream.columns if c.circular and DIRECTION.search(c.name) and c.from_unit in _UNITS]
        if len(places) != 1 or stream.kind != "sensor" or stream.frame or not told:
            continue
        for frame, counted in _FRAMES.items():
            if all(_goes_with(column, places[0], frame, evidence) for column in told):
                stream.frame = frame
                stream.doubts += [f"{c.source} counts {counted}, as the course of the fixes does" for c in told]
                taken = {column.name for column in stream.columns}
                for column in told:
                    column.name = free_name(taken - {column.name}, _named(column.name))
                    taken.add(column.name)
                stream.columns.sort(key=lambda column: "course" in column.name)


def _named(name: str) -> str:
    """A direction's name with the word that says so in full: `heading` of `hdg`, `course` of `cog`."""
    found = DIRECTION.search(name)
    assert found
    return next((name.replace(short.strip("_"), word) for word, short in found.groupdict().items() if short), name)


def _goes_with(heading: Column, place: Sequence[Column], frame: str, evidence: Evidence) -> bool:
    off = [np.zeros(0)]
    for latitude, longitude, nose in evidence.runs(*(column.source for column in (*place, heading))):
        fixed = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude) & np.isfinite(nose))
        north, east = np.deg2rad(latitude[fixed]), np.deg2rad(longitude[fixed])
        if len(fixed) <= _FIXES or np.abs(north).max() > np.pi / 2:
            continue
        east = east * np.cos(north)
        north, east = (x[_FIXES:] - x[:-_FIXES] for x in (north, east))
        off.append(_off(north, east, nose[fixed] * _UNITS[heading.from_unit], frame))
    every = np.concatenate(off)
    return len(every) >= _PAIRS and float(np.median(every)) < _ALIKE


def _off(north: np.ndarray, east: np.ndarray, nose: np.ndarray, frame: str) -> np.ndarray:
    """How far headings, on average over each way [N], are off its course, in radians; of the longer half of them."""
    course = np.arctan2(east, north) if frame == "ned" else np.arctan2(north, east)
    within = np.lib.stride_tricks.sliding_window_view(np.exp(1j * nose), _FIXES + 1).mean(-1)
    length = np.hypot(north, east)
    return np.abs(np.angle(within * np.exp(-1j * course)))[(length > 0) & (length >= np.median(length))]

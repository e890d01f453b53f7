"""KML and KMZ: tracks (`gx:Track`), or else points with times.

Their elements: https://developers.google.com/kml/documentation/kmlreference.
"""

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import IO

from worldmodel.logs.ingest.formats.tracks.fixes import Fixes, number, utc
from worldmodel.logs.ingest.formats.tracks.markup import Element

_PLACES = {"Point": "points", "LineString": "lines without times", "Polygon": "polygons"}


def document(path: Path) -> IO[bytes]:
    """The KML of a KMZ archive, opened: the first in it, as its standard says.

    Raises:
        ValueError: if there is none.
    """
    archive = zipfile.ZipFile(path)
    name = next((name for name in archive.namelist() if name.lower().endswith(".kml")), None)
    if name is None:
        archive.close()
        raise ValueError("an archive without a KML file")
    return archive.open(name)  # which closes the archive with it


def stretches(elements: Iterable[Element], left: Counter[str]) -> Iterator[Fixes]:
    """The tracks, each when it is whole or the file ends; without any, the points with times, such as of a tracker.

    `left` counts what is left out.
    """
    name, track, array, tracks = "", None, "", 0
    points, place = Fixes(), _Place()
    for element in elements:
        if element.text is None:
            if element.name == "Track":
                track, tracks = _Track(name), tracks + 1
            elif element.name == "SimpleArrayData":
                array = element.attributes.get("name", "")
            elif element.name in _PLACES:
                left[_PLACES[element.name]] += 1
        elif track is None:
            name = element.text if element.name == "name" else name
            if element.name != "Placemark":
                place.tell(element)
            elif told := place.taken():
                points.add(told)
        elif element.name == "Track":
            yield track.fixes(left)
            track = None
        else:
            track.tell(element, array)
    if track is not None:
        yield track.fixes(left)
    if len(points) and not tracks:
        left[_PLACES["Point"]] -= len(points)
        yield points


class _Place:
    """A placemark: a point, and when it was."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def tell(self, element: Element) -> None:
        text = element.text or ""
        if element.name == "when":
            self._told["time"] = utc(text)
        elif element.name == "begin":  # of a span, from when on it was there
            self._told.setdefault("time", utc(text))
        elif element.name == "coordinates" and len(text.split()) == 1:
            names = ("longitude", "latitude", "altitude")
            self._told |= dict(zip(names, map(number, text.split(",")), strict=False))

    def taken(self) -> dict[str, float]:
        """What it tells, empty where that is no time and place; and nothing more after it."""
        told, self._told = self._told, {}
        return told if {"time", "longitude", "latitude"} <= told.keys() else {}


class _Track:
    """The lists that a track is made of, which go together by their order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._when: list[float] = []
        self._places: list[tuple[float, ...]] = []
        self._arrays: dict[str, list[float]] = {}
        self._angles = 0

    def tell(self, element: Element, array: str) -> None:
        text = element.text or ""
        if element.name == "when":
            self._when.append(utc(text))
        elif element.name == "coord":
            self._places.append(tuple(map(number, text.split()[:3])))
        elif element.name == "value" and array:
            self._arrays.setdefault(array, []).append(number(text))
        elif element.name == "angles":
            self._angles += bool(text)

    def fixes(self, left: Counter[str]) -> Fixes:
        """Its rows; those that lack a time or a place have none."""
        fixes = Fixes(self._name)
        left["angles of the view"] += self._angles
        arrays = {name: values for name, values in self._arrays.items() if len(values) == len(self._when)}
        left.update({f"values of {name}, which are not one a fix": 1 for name in self._arrays.keys() - arrays.keys()})
        for row, (when, place) in enumerate(zip_longest(self._when, self._places)):
            told = dict(zip(("longitude", "latitude", "altitude"), place or (), strict=False))
            told |= {name: values[row] for name, values in arrays.items() if row < len(values)}
            fixes.add(told if when is None else told | {"time": when})
        return fixes

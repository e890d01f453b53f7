"""GPX 1.0 and 1.1 (https://www.topografix.com/GPX/1/1): every segment of every track."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from worldmodel.logs.ingest.formats.tracks.fixes import Fixes, number, utc
from worldmodel.logs.ingest.formats.tracks.markup import Element

_NUMBERS = {
    "ele": ("altitude", 1.0), "speed": ("speed", 1.0), "course": ("course", math.pi / 180),
    "bearing": ("course", math.pi / 180), "sat": ("satellites", 1.0), "hdop": ("hdop", 1.0), "vdop": ("vdop", 1.0),
    "pdop": ("pdop", 1.0),
}  # fmt: skip
_QUALITY = {"none": 0.0, "2d": 1.0, "3d": 1.0, "dgps": 2.0, "pps": 3.0}  # as NMEA numbers them
_POINTS = {"wpt": "waypoints", "rtept": "points of routes"}


def stretches(elements: Iterable[Element], left: Counter[str]) -> Iterator[Fixes]:
    """The segments, each when it is whole or the file ends; `left` counts what is left out."""
    track = ""
    fixes: Fixes | None = None
    point: dict[str, float] | None = None
    for element in elements:
        if element.text is None:
            if element.name == "trkseg":
                fixes = Fixes(track)
            elif element.name == "trkpt":
                told = element.attributes
                point = {"latitude": number(told.get("lat")), "longitude": number(told.get("lon"))}
            elif element.name in _POINTS:
                left[_POINTS[element.name]] += 1
        elif element.name == "trkpt" and fixes is not None and point is not None:
            fixes.add(point)
            point = None
        elif point is not None:
            _tell(point, element, left)
        elif element.name == "name" and fixes is None:
            track = element.text
        elif element.name == "trkseg" and fixes is not None:
            yield fixes
            fixes = None
        elif element.name == "trk":
            track = ""
    if fixes is not None:
        yield fixes


def _tell(point: dict[str, float], element: Element, left: Counter[str]) -> None:
    name, text = element.name, element.text or ""
    if name == "time":
        point["time"] = utc(text)
    elif name == "fix":
        point["fix_quality"] = _QUALITY.get(text, math.nan)
    elif name in _NUMBERS:
        stream, scale = _NUMBERS[name]
        point[stream] = number(text) * scale
    elif text and not math.isnan(value := number(text)):
        point[name] = value
    elif text:
        left[f"words in {name}"] += 1

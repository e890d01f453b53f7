"""Folders of images: which they are, in which order, and stamps that are in their names."""

import datetime
import itertools
import os
import re
from pathlib import Path

import numpy as np

from worldmodel.logs.ingest.formats.video.times import epoch_unit

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_BESIDE = (".csv", ".txt", ".md", ".json", "")  # of files that may lie among images


# A date and a time of day at a name's end, such as 2016_12_01_13_30_48_287 and 20230405-091233.5.
_DATE = re.compile(
    r"(?<!\d)(20\d\d)([-_]?)(\d\d)\2(\d\d)[-_T ]*(\d\d)([-_.h]?)(\d\d)[-_.m]?(\d\d)s?(?:[-_.](\d{3}|\d{6}|\d{9}))?Z?$"
)


def _instant(
    year: str, _: str, month: str, day: str, hour: str, __: str, minute: str, second: str, part: str | None
) -> float:
    """Seconds since 1970 of a date in UTC.

    Raises:
        ValueError: if it is none.
    """
    day_of = datetime.datetime(int(year), int(month), int(day), tzinfo=datetime.UTC)
    of_day = datetime.time(int(hour), int(minute), int(second))
    return datetime.datetime.combine(day_of, of_day, datetime.UTC).timestamp() + float(f"0.{part or 0}")


def is_image_folder(path: Path) -> bool:
    """Whether a folder holds two images at least, and else at most a text or two."""
    images, texts = 0, 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                suffix = Path(entry.name).suffix.lower()
                if entry.name.startswith("."):
                    continue
                if suffix in SUFFIXES and entry.is_file():
                    images += 1
                elif suffix in _BESIDE and entry.is_file():
                    texts += 1
                else:
                    return False
    except OSError:
        return False
    return images >= 2 and texts <= 3


def images_of(path: Path) -> list[Path]:
    """The images of a folder."""
    return [image for image in path.iterdir() if image.suffix.lower() in SUFFIXES and not image.name.startswith(".")]


def in_order(images: list[Path]) -> list[Path]:
    """Images by the numbers in their names: 2 comes before 10."""
    return sorted(images, key=lambda image: _parts(image.stem))


def _parts(name: str) -> list[str | int]:
    """A name as text and numbers by turns."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]


def series(images: list[Path]) -> dict[str, list[Path]]:
    """Images in order, by what their names are beside their numbers: each camera's, where `left_7` lies by `right_7`.

    They are one series, of no name, unless each of several has two images at least, and their numbers overlap.
    """
    found: dict[str, list[Path]] = {}
    for image in in_order(images):
        words = "_".join(re.findall(r"[^\W\d_]+", image.stem))
        found.setdefault(words, []).append(image)
    several = len(found) > 1 and min(map(len, found.values())) > 1 and _overlap(list(found.values()))
    return found if several else {"": in_order(images)}


def _overlap(several: list[list[Path]]) -> bool:
    """Whether the numbers of no series all lie behind those of the others, as of a drive's next part."""
    numbers = [
        [[int(number) for number in re.findall(r"[0-9]+", image.stem)] for image in images] for images in several
    ]
    spans = sorted((min(one), max(one)) for one in numbers)
    ends = itertools.accumulate((stop for _, stop in spans), max)
    return all(start <= end for end, (start, _) in zip(ends, spans[1:], strict=False))


def missing_numbers(images: list[Path]) -> int:
    """How many numbers are missing between those that images' names end in, of the usual step; in order."""
    numbers = [part for image in images for part in _parts(image.stem)[-2:-1] if isinstance(part, int)]
    steps = np.diff(numbers)
    usual = np.median(steps) if len(steps) and len(numbers) == len(images) else 0
    return int((np.maximum(steps, usual) // usual - 1).sum()) if usual > 0 else 0


def stamps_in_names(images: list[Path]) -> np.ndarray | None:
    """Seconds since 1970 [M], where every name is a stamp of that epoch, in seconds up to nanoseconds; else None.

    Or where every name ends in a date and a time of its own, which are taken for UTC.
    """
    dates = [_DATE.search(image.stem) for image in images]
    if all(dates):
        try:
            stamps = np.array([_instant(*match.groups()) for match in dates if match])
        except ValueError:
            return None
        parts = np.array([int(match[9] or 0) for match in dates if match])
        counted = len(parts) > 1 and (np.diff(parts) == 1).all()  # which are numbers of a burst
        return stamps if len(set(stamps)) == len(stamps) and not counted else None
    if not all(re.fullmatch(r"[0-9]{9,19}(\.[0-9]+)?", image.stem) for image in images):
        return None
    stamps = np.array([float(image.stem) for image in images])
    unit = epoch_unit(stamps)
    return None if unit is None else stamps * unit

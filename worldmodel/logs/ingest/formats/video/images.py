"""Folders of images: which they are, in which order, and stamps that are in their names."""

import os
import re
from pathlib import Path

import numpy as np

from worldmodel.logs.ingest.formats.video.times import epoch_unit

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
_BESIDE = (".csv", ".txt", ".md", ".json", "")  # of files that may lie among images


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


def missing_numbers(images: list[Path]) -> int:
    """How many numbers are missing between those that images' names end in, of the usual step; in order."""
    numbers = [part for image in images for part in _parts(image.stem)[-2:-1] if isinstance(part, int)]
    steps = np.diff(numbers)
    usual = np.median(steps) if len(steps) and len(numbers) == len(images) else 0
    return int((np.maximum(steps, usual) // usual - 1).sum()) if usual > 0 else 0


def stamps_in_names(images: list[Path]) -> np.ndarray | None:
    """Seconds since 1970 [M], where every name is a stamp of that epoch, in seconds up to nanoseconds; else None."""
    if not all(re.fullmatch(r"[0-9]{9,19}(\.[0-9]+)?", image.stem) for image in images):
        return None
    stamps = np.array([float(image.stem) for image in images])
    unit = epoch_unit(stamps)
    return None if unit is None else stamps * unit

"""Tables of times that lie beside a film or a folder of images: a time a line, or a name and a time."""

import datetime
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video

_NAMES = ("times", "timestamps", "frame_times", "frame_timestamps")
_SUFFIXES = (".csv", ".txt")
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_IN_HEADER = re.compile(r"(?:[\[(_ ]|^)(s|ms|us|ns)(?:ecs?|econds)?(?:[\])]|$)", re.IGNORECASE)
_SAYS_FRAME = re.compile(r"frame|image|img|picture|index|idx|file|name|number|num|seq|count|^id$|^n$|^#|^$", re.I)
_SAYS_TIME = re.compile(r"time|stamp|sec|\bt\b", re.IGNORECASE)
_HEAD, _LINES = 4096, 5
_MOST_BYTES = 1 << 28
_EPOCH = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))  # of stamps since 1973 that are larger


class Times(NamedTuple):
    """When each frame was taken.

    Attributes:
        path: the table.
        seconds: float64 [M].
        names: of each frame, where the table has them; else empty.
        utc: whether they are seconds since 1970.
        notes: what was assumed.
    """

    path: Path
    seconds: np.ndarray
    names: tuple[str, ...]
    utc: bool
    notes: list[str]


def beside_film(film: Path, suffixes: Sequence[str]) -> Path | None:
    """The table of a film's times: of its name, or in a folder with no other film by a name that says it is one."""
    stems = [f"{film.stem}{end}" for end in ("_times", "_timestamps", ".times", ".timestamps")]
    own = [film.with_name(stem + suffix) for stem in stems for suffix in _SUFFIXES]
    for path in [film.with_name(film.stem + suffix) for suffix in _SUFFIXES]:
        if path.is_file() and _fits(path, film):
            return path
    if sum(other.suffix.lower() in suffixes for other in film.parent.iterdir()) == 1:
        own += _named(film.parent)
    return next((path for path in own if path.is_file()), None)


def _fits(path: Path, film: Path) -> bool:
    """Whether a table of a film's name is one of its times, and not of a sensor that was recorded with it."""
    try:
        count, there = len(read_times(path).seconds), video.count_frames(film)
    except RecipeError:
        return False
    return there > 0 and abs(count - there) <= max(1, 0.05 * there)


def beside_images(folder: Path) -> Path | None:
    """The table of the times of a folder's images: in it; beside it by the folder's name, or one that says times."""
    candidates = [*_named(folder), *(folder.with_name(folder.name + suffix) for suffix in _SUFFIXES)]
    return next((path for path in [*candidates, *_named(folder.parent)] if path.is_file()), None)


def _named(folder: Path) -> list[Path]:
    return [folder / (name + suffix) for name in _NAMES for suffix in _SUFFIXES]


def read_times(path: Path) -> Times:
    """Reads a table of times.

    Raises:
        RecipeError: if it is none.
    """
    rows, header = _rows(path)
    column = _time_column(rows, header)
    texts = [row[column] for row in rows]
    if len(header) == 2 and not _SAYS_FRAME.search(header[1 - column]):
        raise _no_table(path, f"a column {header[1 - column]}, which is no frame's number or name")
    names = tuple(Path(row[1 - column]).name for row in rows) if len(rows[0]) == 2 else ()
    if all(_is_number(name) for name in names):
        names = ()  # the frames' own numbers
    if all(map(_is_number, texts)):
        seconds, utc, notes = _seconds(path, texts, header[column] if header else "")
    else:
        seconds, utc, notes = *_dates(path, texts), []
    if not np.isfinite(seconds).all():
        raise _no_table(path, "stamps that are no numbers")
    return Times(path, seconds, names, utc, notes)


def _rows(path: Path) -> tuple[list[list[str]], list[str]]:
    """The cells of the table, and of its header; empty where it has none."""
    if path.stat().st_size > _MOST_BYTES:
        raise _no_table(path, f"{path.stat().st_size} bytes")
    _check_width(path)
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line.lstrip("# ") for line in lines if line.startswith("#")]
    lines = [line for line in lines if not line.startswith("#")]
    rows = [_cells(line) for line in lines]
    header = _cells(marked[-1]) if marked else []
    if rows and not any(_is_stamp(cell) for cell in rows[0]):
        header, rows = rows[0], rows[1:]
    width = len(rows[0]) if rows else 0
    if width not in (1, 2) or any(len(row) != width for row in rows):
        raise _no_table(path, f"{len(rows)} lines of {width} columns")
    return rows, header if len(header) == width else []


def _check_width(path: Path) -> None:
    """Refuses a table of more columns by its first lines, as a long one of a sensor may lie beside a film.

    Raises:
        RecipeError: if it has more than two.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD).decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in head.splitlines() if line.strip() and not line.startswith("#")]
    width = min((len(_cells(line)) for line in lines[:_LINES]), default=0)
    if width > 2:
        raise _no_table(path, f"{width} columns")


def _cells(line: str) -> list[str]:
    """Cells between commas, semicolons or tabs; between blanks where a date has none of them."""
    cells = re.split(r"\s*[,;\t]\s*", line)
    return line.split() if len(cells) == 1 and not _is_stamp(line) else cells


def _time_column(rows: list[list[str]], header: list[str]) -> int:
    if len(rows[0]) == 1:
        return 0
    stamps = [all(_is_stamp(row[i]) for row in rows) for i in (0, 1)]
    if stamps == [True, True] and header:
        says = [bool(_SAYS_TIME.search(name)) for name in header]
        return 0 if says == [True, False] else 1
    return 1 if stamps[1] else 0


def _seconds(path: Path, texts: list[str], header: str) -> tuple[np.ndarray, bool, list[str]]:
    """Stamps in seconds, whether they count from 1970, and what was assumed of their unit."""
    stamps = np.array(texts, np.float64)
    said = _IN_HEADER.search(header)
    unit = _UNITS[said[1].lower()] if said else epoch_unit(stamps)
    if unit is not None:
        return stamps * unit, epoch_unit(stamps * unit) == 1.0, []
    step = abs(float(np.median(np.diff(stamps)))) if len(stamps) > 1 else 1.0
    fits = next((name for name, scale in _UNITS.items() if 1e-3 <= step * scale <= 2), "s")
    notes = (
        [] if fits == "s" else [f"camera: {path.name} tells no unit: {fits} fits, {1 / (step * _UNITS[fits]):.4g} Hz"]
    )
    return stamps * _UNITS[fits], False, notes


def epoch_unit(stamps: np.ndarray) -> float | None:
    """The unit in seconds of stamps that count from 1970; None where they seem to count from elsewhere."""
    middle = float(np.median(stamps)) if len(stamps) else 0.0
    return next((_UNITS[name] for most, name in _EPOCH if middle > most), None)


def _dates(path: Path, texts: list[str]) -> tuple[np.ndarray, bool]:
    """Seconds of ISO dates; since 1970 where they tell a time zone, else since the first."""
    try:
        dates = [datetime.datetime.fromisoformat(text) for text in texts]
    except ValueError as error:
        raise _no_table(path, str(error)) from error
    aware = all(date.tzinfo is not None for date in dates)
    dates = [date if date.tzinfo else date.replace(tzinfo=datetime.UTC) for date in dates]
    seconds = np.array([date.timestamp() for date in dates])
    return seconds if aware else seconds - seconds[0], aware


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_stamp(text: str) -> bool:
    return _is_number(text) or bool(re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", text))


def _no_table(path: Path, found: str) -> RecipeError:
    return RecipeError(
        f"{path} is no table of times.",
        expected="a time a line, or a name and a time: seconds, or dates as ISO 8601 writes them",
        found=found,
        remedy="mend it, or give it another name",
    )

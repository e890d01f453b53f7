"""What is in a Donkeycar tub: its inputs, and its records in the order in which they were made."""

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats.damage import read_json

IMAGE = "image_array"
_NUMBERS = ("float", "int")
_SAID = {"user/mode", "user/angle", "user/throttle", "pilot/angle", "pilot/throttle"}
_ASSUMED_HZ = 20.0


class Record(NamedTuple):
    """One record.

    Attributes:
        seconds: when it was made, since 1970 where the tub tells.
        session: the session that it belongs to.
        values: its inputs.
    """

    seconds: float
    session: str
    values: Mapping[str, Any]


class Tub(NamedTuple):
    """A tub.

    Attributes:
        path: its folder.
        inputs: the type of each input.
        records: those that are not marked deleted.
        is_utc: whether their times count from 1970.
        notes: what was left out or assumed.
    """

    path: Path
    inputs: dict[str, str]
    records: list[Record]
    is_utc: bool
    notes: list[str]

    @property
    def sensors(self) -> dict[str, list[str]]:
        """The inputs of numbers that are no commands, by what stands before the slash."""
        groups: dict[str, list[str]] = defaultdict(list)
        for key, kind in self.inputs.items():
            if kind in _NUMBERS and key not in _SAID:
                groups[key.split("/")[0]].append(key)
        return dict(groups)

    @property
    def rate_hz(self) -> float:
        """The usual rate of records, to three figures."""
        steps = np.diff([record.seconds for record in self.records])
        ahead = steps[steps > 0]
        return float(f"{1 / np.median(ahead):.3g}") if len(ahead) else _ASSUMED_HZ

    def image(self, record: Record, key: str) -> Path | None:
        """The file of a record's image; None where there is none. It lies in the tub, whatever its name says."""
        name = Path(str(record.values.get(key) or "")).name
        places = (self.path / "images" / name, self.path / name)
        return next((path for path in places if name and path.is_file()), None)


def is_tub(path: Path) -> bool:
    """Whether a folder is a tub, of version 2 or 1."""
    if any(path.glob("*.catalog")):
        return (path / "manifest.json").is_file() or any(path.glob("*.catalog_manifest"))
    return (path / "meta.json").is_file() and any(path.glob("record_*.json"))


def open_tub(path: Path, advance: Callable[[int], object]) -> Tub:
    """Reads what a tub holds but for its images.

    Raises:
        RecipeError: if it is damaged or holds no record.
    """
    tub = _second(path, advance) if any(path.glob("*.catalog")) else _first(path, advance)
    left = [key for key, kind in tub.inputs.items() if kind not in (IMAGE, *_NUMBERS) and key not in _SAID]
    if left:
        tub.notes.append(f"inputs that are neither numbers nor images are left out: {', '.join(left)}")
    if not tub.records:
        raise RecipeError(f"{path} holds no record.", found="; ".join(tub.notes), remedy="leave it out")
    return tub


def _second(path: Path, advance: Callable[[int], object]) -> Tub:
    """Version 2: a manifest, and catalogs of a record a line."""
    notes: list[str] = []
    told = _manifest(path) if (path / "manifest.json").is_file() else None
    names = sorted(path.glob("*.catalog"), key=_number) if told is None else told.catalogs
    catalogs = [path / Path(str(name)).name for name in names]
    read = [row for catalog in catalogs for row in _rows(catalog, advance, notes)]
    read = sorted(read, key=lambda row: int(row["_index"])) if all("_index" in row for row in read) else read
    if told is None:
        notes.append("its manifest.json is not there: records that were marked deleted are not known")
        told = _Manifest([], {}, set())
    deleted, inputs = told.deleted, _types(read) | told.inputs  # of another version of the car some may not be told
    if others := sorted(other.name for other in set(path.glob("*.catalog")) - set(catalogs)):
        notes.append(f"catalogs that the manifest does not name are left out: {', '.join(others)}")
    kept = [row for number, row in enumerate(read) if int(row.get("_index", number)) not in deleted]
    if len(kept) < len(read):
        notes.append(f"{len(read) - len(kept)} of {len(read)} records are marked deleted and are left out")
    stamps = [float(row.get("_timestamp_ms", math.nan)) / 1000 for row in kept]
    sessions = [str(row.get("_session_id", path.name)) for row in kept]
    return _tub(path, inputs, kept, stamps, sessions, notes)


class _Manifest(NamedTuple):
    """What a manifest tells: the catalogs' names, the type of each input, the numbers of deleted records."""

    catalogs: list[str]
    inputs: dict[str, str]
    deleted: set[int]


def _manifest(path: Path) -> _Manifest:
    lines = (path / "manifest.json").read_text().splitlines()
    inputs, types, _, _, told = (json.loads(line) for line in lines[:5])
    deleted = {int(index) for index in told.get("deleted_indexes", ())}
    return _Manifest(list(map(str, told["paths"])), dict(zip(inputs, types, strict=True)), deleted)


def _number(catalog: Path) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, catalog.stem))
    return int(digits or 0), catalog.name


def _types(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The types of inputs by what records hold."""
    values = {key: value for row in rows for key, value in row.items() if not key.startswith("_")}
    return {
        key: "float" if isinstance(value, int | float) else IMAGE if key.endswith(IMAGE) else "str"
        for key, value in values.items()
    }


def _rows(catalog: Path, advance: Callable[[int], object], notes: list[str]) -> Iterator[dict[str, Any]]:
    """The records of a catalog; a line that is no record, such as a torn last one, costs that line."""
    if not catalog.is_file():
        notes.append(f"{catalog.name} is not there")
        return
    torn = 0
    for line in catalog.read_bytes().splitlines():
        advance(len(line) + 1)
        try:
            row = json.loads(line) if line.strip(b"\0 ") else None
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            yield row
        else:
            torn += 1
    if torn:
        notes.append(f"{catalog.name}: {torn} lines are no records and are left out")


def _first(path: Path, advance: Callable[[int], object]) -> Tub:
    """Version 1: a file a record, whose name has its number."""
    meta = read_json(path / "meta.json")
    files = [(int(file.stem[7:]), file) for file in path.glob("record_*.json") if file.stem[7:].isdigit()]
    rows, notes, torn = [], list[str](), 0
    for _, file in sorted(files):
        advance(file.stat().st_size)
        try:
            rows.append(dict(read_json(file)))
        except RecipeError:
            torn += 1
    if torn:
        notes.append(f"{torn} of {len(files)} records cannot be read and are left out")
    start = float(meta.get("start") or math.nan)
    stamps = [float(row.get("milliseconds", math.nan)) / 1000 + (0 if math.isnan(start) else start) for row in rows]
    inputs = dict(zip(meta["inputs"], meta["types"], strict=True))
    tub = _tub(path, inputs, rows, stamps, [path.name] * len(rows), notes)
    return tub if not math.isnan(start) else tub._replace(is_utc=False)


def _tub(
    path: Path, inputs: dict[str, str], rows: list[dict[str, Any]], stamps: list[float], sessions: list[str],
    notes: list[str],
) -> Tub:  # fmt: skip
    """A tub; where records tell no times, a rate is assumed."""
    told = all(map(math.isfinite, stamps))
    if not told:
        notes.append(f"not all of its records tell a time: {_ASSUMED_HZ:g} a second are assumed")
        stamps = [i / _ASSUMED_HZ for i in range(len(rows))]
    records = [Record(*values) for values in zip(stamps, sessions, rows, strict=True)]
    back = sum(b.seconds < a.seconds for a, b in itertools.pairwise(records))
    if back:
        notes.append(f"{back} records are stamped before the one that was made before them")
    return Tub(path, inputs, records, told, notes)

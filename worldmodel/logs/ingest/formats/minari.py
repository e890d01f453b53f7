"""Minari data sets in Arrow: a folder an episode (https://minari.farama.org/content/dataset_standards).

Those in HDF5 are read by `hdf5`. The last observation has no action, in place of which the file holds zeros.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video
from worldmodel.logs.ingest.formats.damage import read_json, reading
from worldmodel.logs.ingest.formats.hdf5.told import METADATA, flat, rate_in
from worldmodel.logs.ingest.formats.lerobot.features import numbers
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording
from worldmodel.types import StreamSpec

if TYPE_CHECKING:
    import pyarrow as pa

_ASSUMED_HZ = 20.0
_STREAMS = {"observations": "", "actions": "action", "rewards": "reward"}
_CHANNELS = (1, 3, 4)
_DEEPEST = 8


def claims(path: Path) -> bool:
    """Folders whose metadata say that their data are in Arrow, and the folder above."""
    try:
        return path.is_dir() and _data(path) is not None
    except (OSError, RecipeError):
        return False


def _data(path: Path) -> Path | None:
    for folder in (path, path / "data"):
        if (folder / METADATA).is_file():
            metadata = read_json(folder / METADATA)
            if isinstance(metadata, dict) and metadata.get("data_format") == "arrow":
                return folder
    return None


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode after the other, in their order.

    Raises:
        RecipeError: if it is damaged, or holds none.
    """
    with reading(path, "a Minari data set"):
        folder = _data(path)
        if folder is None:
            raise RecipeError(f"{path} is no Minari data set in Arrow.", expected=f"{METADATA} of one")
        metadata = read_json(folder / METADATA)
        rate, name = rate_in(flat(metadata))
        notes = [] if rate else [f"nothing tells the rate of its steps: {_ASSUMED_HZ:g} Hz is assumed"]
        about = {"description": f"Minari data set{name}"}
        spaces = {key: _space(metadata, key) for key in ("observation_space", "action_space")}
        for number in sorted(int(part.name) for part in folder.iterdir() if part.is_dir() and part.name.isdecimal()):
            files = sorted((folder / str(number)).glob("*.arrow"))
            recording = Recording(f"episode {number}", about=dict(about), notes=notes)
            _read_episode([_table(file) for file in files], recording, rate or _ASSUMED_HZ, spaces, options)
            notes = []
            options.advance(sum(file.stat().st_size for file in files))
            yield recording


def _space(metadata: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What the metadata say of a space; empty where they say nothing that is known."""
    told = metadata.get(key)
    told = json.loads(told) if isinstance(told, str) else told
    return told if isinstance(told, dict) else {}


def _table(file: Path) -> "pa.Table":
    import pyarrow as pa

    with reading(file, "an Arrow file"), pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        return table


def _read_episode(
    tables: list["pa.Table"], recording: Recording, rate: float, spaces: Mapping[str, Any], options: Options
) -> None:
    import pyarrow as pa

    if not tables:
        recording.notes.append("it has no file")
        return
    table = pa.concat_tables(tables)
    left = [key for key in table.column_names if key not in _STREAMS]
    for key in (key for key in _STREAMS if key in table.column_names):
        space = spaces["observation_space"] if key == "observations" else spaces["action_space"]
        column = table[key].combine_chunks()
        for name, array, inner in _leaves(_STREAMS[key], column, space if key != "rewards" else {}):
            if key != "observations":
                array = array.slice(0, max(len(array) - 1, 0))
            if shape := _picture(inner):
                _add_film(recording, name or key, array, shape, rate, options)
            elif _is_number(array.type):
                _add_numbers(recording, name or key, array, rate, key == "actions")
            else:
                left.append(name or key)
    if left:
        recording.notes.append(f"left out: {', '.join(sorted(left))}")


def _leaves(name: str, array: Any, space: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any, Any]]:
    """The arrays in an array of structs with their names, joined by underscores, and what is said of each."""
    import pyarrow as pa

    if not pa.types.is_struct(array.type) or depth > _DEEPEST:
        yield name, array, space
        return
    inner = space.get("subspaces", {})
    for i, field in enumerate(array.type):
        own = inner.get(field.name, {}) if isinstance(inner, dict) else {}
        yield from _leaves(f"{name}_{field.name}" if name else field.name, array.field(i), own, depth + 1)


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    while pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        kind = kind.value_type
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _picture(space: Any) -> tuple[int, int, int] | None:
    """The rows, columns and channels of a space of pictures; None for others."""
    shape = tuple(space.get("shape") or ()) if isinstance(space, dict) and space.get("dtype") == "uint8" else ()
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 and shape[2] in _CHANNELS else None


def _add_numbers(recording: Recording, name: str, array: Any, rate: float, action: bool) -> None:
    import pyarrow as pa

    values = numbers(pa.chunked_array([array]))
    columns = tuple(map(str, range(values.shape[1])))
    spec = StreamSpec(name, "action" if action else "sensor", columns, ("",) * len(columns), rate)
    recording.add(spec, np.arange(len(values)) / rate, values)


def _add_film(
    recording: Recording, name: str, array: Any, shape: tuple[int, int, int], rate: float, options: Options
) -> None:
    def frames() -> Iterator[tuple[float, np.ndarray]]:
        for row in range(len(array)):
            frame = np.asarray(array[row].values).reshape(shape)
            rgb = np.repeat(frame, 3, -1) if shape[2] == 1 else frame[..., :3]
            yield row / rate, video.resize(rgb, options.size)

    recording.add_film(name, frames(), options.size, options.scratch, rate_hz=rate)

"""What the columns of a LeRobot table are: numbers, images, or neither."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video
from worldmodel.logs.ingest.recording import Recording

if TYPE_CHECKING:
    import pyarrow as pa

BOOKKEEPING = {"timestamp", "frame_index", "episode_index", "index", "task_index"}
LABEL = "next."  # what a step led to: of a later time than its frame's, and told by people or a simulator
_ACTION = re.compile(r"actions?(?:[._/](?!is_pad|mask|valid)|$)")  # and not which of them count
_PREFIXES = ("observation.images.", "observation.", "")


@dataclasses.dataclass(frozen=True)
class Feature:
    """One column.

    Attributes:
        key: its name.
        names: of its elements, where the metadata tells them.
        is_image: whether it holds image files.
    """

    key: str
    names: tuple[str, ...] = ()
    is_image: bool = False

    @property
    def stream(self) -> str:
        """What its stream is called: `observation.images.front` is `front`."""
        if self.key == "observation.image":
            return "camera"
        prefix = next(prefix for prefix in _PREFIXES if self.key.startswith(prefix))
        return _plain(self.key.removeprefix(prefix)) or self.key

    @property
    def is_action(self) -> bool:
        return _ACTION.match(self.key) is not None

    def names_for(self, count: int) -> tuple[str, ...]:
        """A name for each of `count` elements: their numbers where the metadata do not fit."""
        fit = len(self.names) == count == len(set(self.names))
        return self.names if fit else tuple(map(str, range(count)))


def _plain(key: str) -> str:
    return key.replace("/", "_").replace(".", "_")


def streams_of(keys: Iterable[str]) -> dict[str, str]:
    """What the streams of columns are called, by column: by the whole name where two would share a short one."""
    short = {key: Feature(key).stream for key in keys}
    often = Counter(short.values())
    return {key: name if often[name] == 1 else _plain(key) for key, name in short.items()}


def features_of(told: Mapping[str, Any], schema: "pa.Schema") -> list[Feature]:
    """The columns of a table that make streams; `told` is what the metadata say of them."""
    found = []
    for field in schema:
        if field.name in BOOKKEEPING or field.name.startswith(LABEL):
            continue
        names = tuple(_flat(told.get(field.name, {}).get("names")))
        if _holds_numbers(field.type):
            found.append(Feature(field.name, names))
        elif _holds_images(field.type):
            found.append(Feature(field.name, is_image=True))
    return found


def _flat(names: Any) -> Iterator[str]:
    """Names in lists of lists, in a list under one key, or as keys whose values are their places."""
    if isinstance(names, dict):
        inner = [value for value in names.values() if isinstance(value, list | dict)]
        for name in inner or sorted(names, key=lambda name: float(names[name])):
            yield from _flat(name)
    elif isinstance(names, list):
        for name in names:
            yield from _flat(name)
    elif names is not None:
        yield str(names)


def _holds_numbers(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _holds_images(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return pa.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}


def numbers(column: "pa.ChunkedArray") -> np.ndarray:
    """A column of numbers, or of lists of as many each, as float64 [M, S].

    Raises:
        RecipeError: if its lists are not of one length.
    """
    import pyarrow as pa

    rows = len(column)
    flat: Any = column.combine_chunks()
    flat = getattr(flat, "storage", flat)
    while pa.types.is_nested(flat.type):
        lengths = np.asarray(flat.value_lengths().fill_null(-1))
        if len(lengths) and (lengths != lengths[0]).any():
            raise RecipeError(
                "A column holds lists of several lengths.",
                expected="as many elements in each row",
                found=f"from {lengths.min()} to {lengths.max()}",
            )
        flat = flat.flatten()
    return np.asarray(flat.to_numpy(zero_copy_only=False), np.float64).reshape(rows, -1)


def images(
    table: "pa.Table", feature: Feature, time: np.ndarray, size: tuple[int, int], recording: Recording
) -> Iterator[tuple[float, np.ndarray]]:
    """The images that a column holds; rows without one are counted."""
    missing = 0
    for seconds, cell in zip(time, table[feature.key], strict=True):
        content = cell["bytes"].as_py() if cell.is_valid else None
        if content:
            yield float(seconds), video.read_image(content, size, f"{recording.name}: an image of {feature.key}")
        missing += not content
    if missing:
        recording.notes.append(f"{feature.stream}: {missing} of {len(time)} frames hold no image")

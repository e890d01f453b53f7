"""The HDF5 log format, version 2: its names and its attributes. `datasets/README.md` is the written standard."""

import json
from pathlib import Path

import h5py
import numpy as np

from worldmodel.codecs import codec
from worldmodel.errors import LogFormatError
from worldmodel.types import StreamSpec

FORMAT = "worldmodel-log"
VERSION = 2  # 1 had no position, orientation and pose
READABLE = (1, 2)
MEMBERS = "members"  # root attribute of imagined trajectories
STREAMS, TRUTH, EPISODES = "streams", "truth", "episodes"
LONGEST_S = 365 * 86400.0  # no recording lasts longer; larger times are of another clock
FRAMES_PER_CHUNK = 16  # consecutive frames: a window reads whole chunks, not one chunk a frame
ROWS_PER_CHUNK = 4096  # few, as the last chunk of each stream is written whole; of a long stream more, in
_LONG, _ROWS_OF_LONG, _NARROW_BYTES = 1 << 18, 1 << 14, 16  # which each costs as much to write as it holds


def is_log(path: Path) -> bool:
    """Whether a file says that it is a log, of any version."""
    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except OSError:
        return False


def data_type(spec: StreamSpec) -> np.dtype:
    """Type on disk: uint8 pixels, float64 where a float32 would lose centimetres (GPS), else float32."""
    return np.dtype(codec(spec).dtype)


def rows_per_chunk(spec: StreamSpec, samples: int) -> int:
    """How many samples of a stream of so many lie together on disk."""
    if spec.kind == "video":
        return FRAMES_PER_CHUNK
    narrow = int(np.prod(spec.sample_shape)) * data_type(spec).itemsize <= _NARROW_BYTES
    return times_per_chunk(samples) if narrow else ROWS_PER_CHUNK


def times_per_chunk(samples: int) -> int:
    """How many times of so many do."""
    return _ROWS_OF_LONG if samples >= _LONG else ROWS_PER_CHUNK


def sample_shape(spec: StreamSpec, members: int | None) -> tuple[int, ...]:
    """Shape of one sample on disk: with a member axis first in imagined trajectories."""
    return spec.sample_shape if members is None else (members, *spec.sample_shape)


def write_spec(group: h5py.Group, spec: StreamSpec) -> None:
    """Writes a specification as the attributes of its stream's group."""
    group.attrs["kind"] = spec.kind
    group.attrs["columns"] = list(spec.columns)
    group.attrs["units"] = list(spec.units)
    group.attrs["rate_hz"] = spec.rate_hz
    group.attrs["frame"] = spec.frame
    group.attrs["noise_std"] = np.asarray(spec.noise_std, np.float64)
    group.attrs["circular"] = np.asarray(spec.circular, bool)
    group.attrs["description"] = spec.description
    if spec.size is not None:
        group.attrs["size"] = np.asarray(spec.size, np.int64)


def read_spec(group: h5py.Group) -> StreamSpec:
    """Reads a specification back.

    Raises:
        LogFormatError: if an attribute is missing or does not fit.
    """
    attrs, name = group.attrs, group.name.split("/")[-1]
    try:
        return StreamSpec(
            name=name,
            kind=attrs["kind"],
            columns=tuple(str(column) for column in attrs["columns"]),
            units=tuple(str(unit) for unit in attrs["units"]),
            rate_hz=float(attrs["rate_hz"]),
            frame=str(attrs.get("frame", "")),
            noise_std=tuple(float(std) for std in attrs.get("noise_std", ())),
            circular=tuple(bool(flag) for flag in attrs.get("circular", ())),
            size=tuple(int(n) for n in attrs["size"]) if "size" in attrs else None,  # type: ignore[arg-type]
            description=str(attrs.get("description", "")),
        )
    except KeyError as error:
        raise LogFormatError(
            f"{group.file.filename}: stream {group.name} lacks an attribute.", expected=str(error.args[0])
        ) from error
    except LogFormatError as error:
        raise LogFormatError(
            f"{group.file.filename}: {error.problem}", expected=error.expected, found=error.found,
            remedy="mend what wrote it, or ingest the recording again",
        ) from error  # fmt: skip
    except (TypeError, ValueError) as error:
        raise LogFormatError(
            f"{group.file.filename}: stream {group.name} has an attribute of the wrong type.",
            expected="the types of datasets/README.md",
            found=str(error),
            remedy="mend what wrote it, or ingest the recording again",
        ) from error


def write_attrs(file: h5py.File, attrs: dict[str, object]) -> None:
    """Writes the root's attributes: the format, its version, and what the log says of itself, as JSON."""
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["about"] = json.dumps(attrs, sort_keys=True)

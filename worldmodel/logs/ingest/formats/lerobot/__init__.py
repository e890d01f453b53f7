"""LeRobot data sets, of version 2 (a file an episode) and 3 (many episodes a file), and their tables alone.

The layout is described at https://huggingface.co/docs/lerobot. Rows are frames; `episode_index` parts episodes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs import video
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.lerobot.features import (
    BOOKKEEPING,
    LABEL,
    Feature,
    features_of,
    images,
    numbers,
    streams_of,
)
from worldmodel.logs.ingest.formats.lerobot.layout import Clip, DataSet
from worldmodel.logs.ingest.formats.lerobot.rows import Rows, episodes
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording, exact, nominal_rate
from worldmodel.types import StreamSpec

INFO = "meta/info.json"
_UP = 4  # folders that a table lies below its data set
_ASSUMED_HZ = 30.0


def claims(path: Path) -> bool:
    """Folders with LeRobot's metadata, and Parquet files with its columns."""
    if path.is_dir():
        return (path / INFO).is_file() and (path / "data").is_dir()
    return path.suffix.lower() == ".parquet" and _has_columns(path)


def _has_columns(path: Path) -> bool:
    from pyarrow import parquet

    try:
        names = set(parquet.read_schema(path).names)
    except Exception:  # of many types, by what is damaged
        return False
    return {"episode_index", "frame_index"} <= names and any(n.startswith(("action", "observation")) for n in names)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode after the other, each from its own frame 0.

    A table that lies in a data set has that one's names and films.
    """
    with reading(path, "a LeRobot data set"):
        roots = [path] if path.is_dir() else list(path.parents)[:_UP]
        root = next((folder for folder in roots if (folder / INFO).is_file()), None)
        data = DataSet(root, [] if path.is_dir() else [path])
        notes, empty = list(data.missing()), True
        for rows in episodes(data.files, options.advance):
            recording = _read_episode(data, rows, options)
            recording.notes += notes
            notes, empty = [], False
            yield recording
        if empty:
            raise RecipeError(f"{path} holds no episode.", found="no rows", remedy="leave it out, or copy it again")


def _read_episode(data: DataSet, rows: Rows, options: Options) -> Recording:
    recording = Recording(f"episode {rows.episode}", about=data.about)
    time = _times(data, rows, recording)
    told, count = data.lengths.get(rows.episode), rows.table.num_rows
    if told not in (None, count):
        recording.notes.append(f"its metadata tells {told} frames, its table holds {count}")
    features = features_of(data.features, rows.table.schema)
    names = streams_of([*(feature.key for feature in features), *data.videos])
    for feature in features:
        if feature.is_image:
            frames = images(rows.table, feature, time, options.size, recording)
            recording.add_film(names[feature.key], frames, options.size, options.scratch, rate_hz=data.fps)
        else:
            _add_numbers(recording, rows, feature, names[feature.key], time, data.fps)
    clips = data.clips(rows.episode)
    for key, clip in clips.items():
        _add_clip(recording, names[key], clip, count, data.fps, options)
    if data.given:
        recording.notes += [f"{Feature(key).stream}: its film is not there" for key in data.videos if key not in clips]
    known = BOOKKEEPING | {feature.key for feature in features} | set(data.videos)
    left = sorted(set(rows.table.column_names) - known)
    labels = [key for key in left if key.startswith(LABEL)]
    if labels:
        what = "labels, which tell what a step led to and are no readings, are left out"
        recording.notes.append(f"{what}: {', '.join(labels)}; --recipe can keep them")
    if left := [key for key in left if key not in labels]:
        recording.notes.append(f"columns that are no numbers are left out: {', '.join(left)}")
    return recording


def _times(data: DataSet, rows: Rows, recording: Recording) -> np.ndarray:
    """Seconds of each frame [M] from the episode's first."""
    names = rows.table.column_names
    if "timestamp" in names:
        time = np.asarray(rows.table["timestamp"].to_numpy(zero_copy_only=False), np.float64)
        return exact(time, data.fps) if data.fps else time
    frame = np.asarray(rows.table["frame_index"].to_numpy(zero_copy_only=False), np.float64)
    if not data.fps:
        recording.notes.append(f"nothing tells the rate of its frames: {_ASSUMED_HZ:g} Hz is assumed")
    return frame / (data.fps or _ASSUMED_HZ)


def _add_numbers(recording: Recording, rows: Rows, feature: Feature, name: str, time: np.ndarray, fps: float) -> None:
    values = numbers(rows.table[feature.key])
    columns = feature.names_for(values.shape[1])
    kind = "action" if feature.is_action else "sensor"
    spec = StreamSpec(name, kind, columns, ("",) * len(columns), fps or nominal_rate(time))
    recording.add(spec, time, values)


def _add_clip(recording: Recording, name: str, clip: Clip, count: int, fps: float, options: Options) -> None:
    def frames() -> Iterator[tuple[float, np.ndarray]]:
        for seconds, frame in video.read_frames(clip.path, options.size, clip.span, recording.notes):
            yield seconds - clip.zero, frame

    recording.add_film(name, frames(), options.size, options.scratch, rate_hz=fps)
    options.advance(clip.bytes)
    found = len(recording.samples[name].time)
    if not found:
        raise RecipeError(f"{clip.path} has no frame of {recording.name}.", remedy="fetch it again")
    if found != count:
        recording.notes.append(f"{name}: its film has {found} frames, its table {count}")

"""Donkeycar tubs, version 2 (catalogs of records) and 1 (a file a record): images, steering, throttle, other sensors.

The layout is that of https://github.com/autorope/donkeycar, `parts/datastore_v2.py` and `parts/datastore.py`.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.logs import video
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.donkeycar.tub import IMAGE, Record, Tub, is_tub, open_tub
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.recording import Recording
from worldmodel.types import StreamSpec

PAUSE_S = 5.0  # a longer one begins an episode: the car may have been carried
_COMMAND = {"steering": "angle", "throttle": "throttle"}
_DRIVEN = ("user", "pilot")


def claims(path: Path) -> bool:
    """Folders with a manifest and catalogs, or with records."""
    return path.is_dir() and is_tub(path)


def read(path: Path, options: Options) -> Iterator[Recording]:
    """An episode a session, and a further one after each pause; records that were marked deleted are left out."""
    with reading(path, "a Donkeycar tub"):
        tub = open_tub(path, options.advance)
        notes = list(tub.notes)
        episodes = list(_episodes(tub))
        pauses = sum(" part " in name for name, _ in episodes)
        if pauses:
            notes.append(f"cut into {pauses} episodes at pauses of more than {PAUSE_S:g} s")
        for name, records in episodes:
            recording = _read_episode(tub, name, records, options)
            recording.notes += notes
            notes = []
            yield recording


def _episodes(tub: Tub) -> Iterator[tuple[str, list[Record]]]:
    """Records by session, and within one by pause."""
    sessions: dict[str, list[Record]] = defaultdict(list)
    for record in tub.records:
        sessions[record.session].append(record)
    for session, records in sessions.items():
        pauses = [i for i, (a, b) in enumerate(itertools.pairwise(records), 1) if b.seconds - a.seconds > PAUSE_S]
        edges = [0, *pauses, len(records)]
        for number, (start, stop) in enumerate(itertools.pairwise(edges), 1):
            yield (f"{session} part {number}" if pauses else session), records[start:stop]


def _read_episode(tub: Tub, name: str, records: Sequence[Record], options: Options) -> Recording:
    recording = Recording(name, about={"description": "Donkeycar tub"})
    time = np.array([record.seconds for record in records])
    images = [key for key, kind in tub.inputs.items() if kind == IMAGE]
    for key in images:
        stream = "camera" if len(images) == 1 else key.replace("/", "_")
        recording.add_film(
            stream, _frames(tub, key, records, stream, recording, options), options.size, options.scratch
        )
    commands = np.array([_command(record.values) for record in records])
    description = "what drove the car, the person or the pilot by its mode: from -1, left, to 1, right, and forward"
    if np.isfinite(commands).any():
        columns = tuple(_COMMAND)
        spec = StreamSpec("command", "action", columns, ("",) * 2, tub.rate_hz, description=description)
        recording.add(spec, time, commands)
    for stream, keys in tub.sensors.items():
        values = np.array([[_number(record.values.get(key)) for key in keys] for record in records])
        columns = tuple(key.split("/", 1)[-1] for key in keys)
        if not np.isfinite(values).any():  # of a session before the sensor was there
            continue
        recording.add(StreamSpec(stream, "sensor", columns, ("",) * len(columns), tub.rate_hz), time, values)
    recording.origin_utc = 0.0 if tub.is_utc else math.nan  # which moves with the first record to time zero
    recording.shift(float(time[0]))
    return recording


def _frames(
    tub: Tub, key: str, records: Sequence[Record], stream: str, recording: Recording, options: Options
) -> Iterator[tuple[float, np.ndarray]]:
    missing = damaged = 0
    for record in records:
        path = tub.image(record, key)
        if path is None:
            missing += 1
            continue
        content = path.read_bytes()
        options.advance(len(content))
        try:
            image = video.read_image(content, options.size, str(path))
        except WorldModelError:
            damaged += 1
            continue
        yield record.seconds, image
    for count, what in ((missing, "no image"), (damaged, "an image that cannot be decoded")):
        if count:
            recording.notes.append(f"{stream}: {count} of {len(records)} records have {what}")


def _command(values: Mapping[str, object]) -> list[float]:
    """Steering and throttle as they were applied: the person's, the pilot's, or the pilot's steering alone."""
    mode = values.get("user/mode")
    pilots = {"local": ("angle", "throttle"), "local_angle": ("angle",)}.get(str(mode), ())
    return [_number(values.get(f"{_DRIVEN[axis in pilots]}/{axis}")) for axis in _COMMAND.values()]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan

"""The channel groups of an MDF file as streams, by asammdf.

    python -m worldmodel.logs.ingest.formats.mdf.channels FILE OUT.npz [DBC ...]

writes them as numpy arrays, for a process that a damaged file must not end.
"""

import dataclasses
import datetime
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest.formats.can.kept import Kept
from worldmodel.logs.ingest.formats.damage import reading
from worldmodel.logs.ingest.formats.dbc import in_si, load
from worldmodel.logs.ingest.formats.mdf.frames import can_frames, kind_of
from worldmodel.logs.ingest.importer import needed
from worldmodel.logs.ingest.recording import Recording, free_name, nominal_rate
from worldmodel.types import StreamSpec

_MOST_BYTES = 2 << 30  # of one group's numbers
_LONGEST_NOTE = 12
_NUMBERS = {3: (0, 1, 2, 3, 9, 10, 11, 12, 13, 14, 15, 16), 4: (0, 1, 2, 3, 4, 5)}  # data types, by version
_OVER = {2: "angle", 3: "distance", 4: "index"}  # what a master may count in place of seconds
_VARIABLE_LENGTH = 1  # a type of channel in version 4, whose damaged offsets crash the library


def read_channels(path: Path, dbc: Sequence[Path] = ()) -> Recording:
    """The streams, each a channel group on the times of its master; time zero is the first sample.

    Raw frames of a CAN bus are streams of their messages, as DBC files describe them.

    Raises:
        RecipeError: if it is damaged, or no group has numbers with times, or only frames that nobody describes.
    """
    asammdf = needed("asammdf", "mdf")
    recording = Recording(path.name, about={"description": "MDF measurement"})
    left: list[str] = []
    with reading(path, "an MDF file"), asammdf.MDF(str(path)) as file:
        groups = [index for index in range(len(file.groups)) if _cycles(file, index)]
        raw = {index: kind for index in groups if (kind := kind_of(_names(file, index)))}
        for index in groups:
            if index not in raw:
                _add_group(recording, file, index, left)
        _add_frames(recording, file, raw, dbc)
        start = file.header.start_time
    if left:
        more = f" and {len(left) - _LONGEST_NOTE} more" if len(left) > _LONGEST_NOTE else ""
        recording.notes.append(f"left out, as no numbers with times: {', '.join(left[:_LONGEST_NOTE])}{more}")
    if not recording.samples:
        raise RecipeError(f"{path} has no channels with numbers and times.", found="; ".join(recording.notes))
    _date(recording, start)
    recording.shift(min(float(samples.time[0]) for samples in recording.samples.values()))
    return recording


def _names(file: Any, index: int) -> list[str]:
    return [str(channel.name) for channel in file.groups[index].channels]


def _add_frames(recording: Recording, file: Any, raw: Mapping[int, str], dbc: Sequence[Path]) -> None:
    """Adds the messages of raw frames, by group of channels, and notes those that are none."""
    decoded = [index for index, kind in raw.items() if kind == "CAN_DataFrame"] if dbc else []
    others: Counter[str] = Counter()
    for index, kind in raw.items():
        others[kind] += _cycles(file, index) if index not in decoded else 0
    if told := ", ".join(f"{count} {kind}" for kind, count in (+others).items()):
        missing = "" if dbc else ": --dbc FILE says what those of CAN mean"
        recording.notes.append(f"raw frames are left out: {told}{missing}")
    if decoded:
        kept = Kept(load(dbc, recording.notes), set())
        for index in decoded:
            for frame in can_frames(file, index, _names(file, index)):
                kept.add(frame)
        recording.notes += kept.notes()
        kept.add_to(recording)


def _date(recording: Recording, start: datetime.datetime) -> None:
    """Takes the start for time zero, where the file tells its zone."""
    if start.tzinfo is None:
        recording.notes.append(f"began {start:%Y-%m-%d %H:%M:%S} in a time zone that it does not tell")
    elif start.timestamp() > 0:
        recording.origin_utc = start.timestamp()


def _cycles(file: Any, index: int) -> int:
    return int(file.groups[index].channel_group.cycles_nr)


def _add_group(recording: Recording, file: Any, index: int, left: list[str]) -> None:
    group, cycles = file.groups[index], _cycles(file, index)
    name = _name(recording, group, index)
    master = file.masters_db.get(index)
    if master is None:
        left.append(f"{name} (no times)")
        return
    if (kind := _OVER.get(getattr(group.channels[master], "sync_type", 0))) is not None:
        left.append(f"{name} (over {kind})")
        return
    channels = [number for number in range(len(group.channels)) if number != master]
    if 8 * cycles * (len(channels) + 1) > _MOST_BYTES:
        raise RecipeError(
            f"{name} is larger than fits into memory.", found=f"{cycles} samples of {len(channels)} channels"
        )
    columns: dict[str, np.ndarray] = {}
    units: list[str] = []
    time = np.zeros(0)
    for number in channels:
        if not _is_number(file, group.channels[number]):
            left.append(f"{name}.{group.channels[number].name}")
            continue
        signal = file.get(group=index, index=number, ignore_invalidation_bits=True)
        values = np.asarray(signal.samples)
        if values.dtype.kind not in "fiub" or values.ndim != 1 or len(values) != len(signal.timestamps):
            left.append(f"{name}.{signal.name}")
            continue
        values, time = values.astype(np.float64), np.asarray(signal.timestamps, np.float64)
        if signal.invalidation_bits is not None:
            values[np.asarray(signal.invalidation_bits, bool)] = math.nan
        unit, scale, offset = in_si(str(signal.unit or ""), f"{name}.{signal.name}")
        label = signal.name if signal.name not in columns else f"{signal.name}#{number}"
        columns[label] = values * scale + offset
        units.append(unit)
    if columns and len(time):
        spec = StreamSpec(name, "sensor", tuple(columns), tuple(units), nominal_rate(time))
        recording.add(spec, time, np.column_stack(list(columns.values())))


def _is_number(file: Any, channel: Any) -> bool:
    version = 4 if str(file.version) >= "4" else 3
    return channel.data_type in _NUMBERS[version] and (version == 3 or channel.channel_type != _VARIABLE_LENGTH)


def _name(recording: Recording, group: Any, index: int) -> str:
    """A group's own name where it has one that is not taken yet."""
    told = str(getattr(group.channel_group, "acq_name", "") or "").strip().splitlines()[:1]
    name = told[0].replace("/", "_")[:60] if told else f"group_{index}"
    return free_name(recording.specs, name, f"{name}_{index}")


def main() -> None:
    """Writes what `read_channels` reads, or the error that it raises."""
    source, out, *dbc = map(Path, sys.argv[1:])
    told: dict[str, Any] = {}
    arrays: list[np.ndarray] = []
    try:
        recording = read_channels(source, dbc)
    except WorldModelError as error:
        told["refused"] = str(error)
    else:
        told = {"origin_utc": recording.origin_utc, "notes": recording.notes, "about": recording.about}
        told["specs"] = [dataclasses.asdict(spec) for spec in recording.specs.values()]
        arrays = [array for samples in recording.samples.values() for array in samples]
    np.savez(out, *arrays, told=json.dumps(told))


if __name__ == "__main__":
    main()

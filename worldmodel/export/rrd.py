"""Tracks as a Rerun recording (https://rerun.io): curves, maps and films on one timeline."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.export.tracks import Track
from worldmodel.files import whole_file


def write_rrd(tracks: Iterable[Track], path: Path | str, *, force: bool = False) -> Path:
    """Writes tracks into one file. The timeline `time` is seconds in the episode, `utc` the time of day if known.

    Raises:
        WorldModelError: if the file exists and not `force`, or rerun-sdk is missing.
    """
    try:
        import rerun as rr
    except ImportError as error:
        remedy = "pip install 'worldmodel-toolkit[rerun]'"
        raise WorldModelError("Writing a Rerun recording needs rerun-sdk.", remedy=remedy) from error
    with whole_file(path, force) as partial:
        recording = rr.RecordingStream("worldmodel")
        recording.save(partial)
        for track in tracks:
            if len(track.samples.time):
                _write(recording, track)
        recording.disconnect()
    return Path(path)


def _write(recording: Any, track: Track) -> None:
    import rerun as rr

    times = _times(track)
    if track.spec.kind == "video":
        rows, columns = track.spec.sample_shape[:2]
        form = rr.components.ImageFormat(width=columns, height=rows, color_model="RGB", channel_datatype="U8")
        recording.log(track.path, rr.Image.from_fields(format=form), static=True)
        pixels = np.ascontiguousarray(track.samples.data).reshape(len(track.samples.time), -1)
        recording.send_columns(track.path, indexes=times, columns=rr.Image.columns(buffer=pixels))
        return
    if track.spec.kind == "gps":
        known = np.isfinite(track.samples.data[:, :2]).all(1)
        places = rr.GeoPoints.columns(positions=track.samples.data[known, :2])
        recording.send_columns(f"{track.path}/map", indexes=_times(track, known), columns=places)
    names, curves = (
        [_named(c, u) for c, u in zip(track.spec.columns, track.spec.units, strict=True)],
        track.samples.data,
    )
    if track.members is None:
        _curves(recording, track.path, times, names, curves)
        return
    for column, name in enumerate(track.spec.columns):
        members = [f"member {k}" for k in range(track.members)]
        _curves(recording, f"{track.path}/{name}", times, members, curves[:, :, column])


def _curves(recording: Any, path: str, times: list[Any], names: list[str], values: np.ndarray) -> None:
    """Curves [M, N] of these names in one plot."""
    import rerun as rr

    recording.log(path, rr.SeriesLines(names=names), static=True)
    recording.send_columns(path, indexes=times, columns=rr.Scalars.columns(scalars=np.asarray(values, np.float64)))


def _times(track: Track, chosen: Any = slice(None)) -> list[Any]:
    import rerun as rr

    times = [rr.TimeColumn("time", duration=track.samples.time[chosen])]
    if math.isfinite(track.origin_utc):
        times.append(rr.TimeColumn("utc", timestamp=track.utc_s[chosen]))
    return times


def _named(column: str, unit: str) -> str:
    return f"{column} ({unit})" if unit else column

"""Tracks as MCAP (https://mcap.dev) in Foxglove's messages: JSON of readings, fixes, raw images."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.export.tracks import Track
from worldmodel.files import whole_file


def write_mcap(tracks: Iterable[Track], path: Path | str, *, force: bool = False) -> Path:
    """Writes tracks into one file, a topic each; units are in a channel's metadata.

    Raises:
        WorldModelError: if the file exists and not `force`, or foxglove-sdk is missing.
    """
    try:
        import foxglove
    except ImportError as error:
        remedy = "pip install 'worldmodel-toolkit[foxglove]'"
        raise WorldModelError("Writing MCAP needs foxglove-sdk.", remedy=remedy) from error
    with whole_file(path, force) as partial:
        context = foxglove.Context()
        writer = foxglove.open_mcap(partial, allow_overwrite=True, context=context)
        try:
            for track in tracks:
                _write(track, context)
        finally:
            writer.close()
    return Path(path)


def _write(track: Track, context: Any) -> None:
    log = {"video": _images, "gps": _fixes}.get(track.spec.kind, _readings)(track, "/" + track.path, context)
    for stamp, sample in zip(_nanoseconds(track), track.samples.data, strict=True):
        log(stamp, sample)


def _nanoseconds(track: Track) -> list[int]:
    return np.maximum(np.rint(track.utc_s * 1e9), 0).astype(np.int64).tolist()


def _readings(track: Track, topic: str, context: Any) -> Callable[[int, np.ndarray], None]:
    """A message has a number for each column; of several members a list, one for each."""
    from foxglove import Channel

    number: dict[str, Any] = {"type": ["number", "null"]}
    one = number if track.members is None else {"type": "array", "items": number}
    title = re.sub(r"\W", "_", track.spec.name)
    schema = {"type": "object", "title": title, "properties": dict.fromkeys(track.spec.columns, one)}
    units = dict(zip(track.spec.columns, track.spec.units, strict=True))
    about = {"kind": track.spec.kind, "frame": track.spec.frame, "units": json.dumps(units)}
    channel = Channel(topic, schema=schema, message_encoding="json", context=context, metadata=about)

    def log(stamp: int, sample: np.ndarray) -> None:
        values = np.where(np.isfinite(sample), sample, None).T.tolist()  # type: ignore[call-overload]
        channel.log(dict(zip(track.spec.columns, values, strict=True)), log_time=stamp)

    return log


def _images(track: Track, topic: str, context: Any) -> Callable[[int, np.ndarray], None]:
    from foxglove.channels import RawImageChannel
    from foxglove.messages import RawImage

    channel, (rows, columns, _) = RawImageChannel(topic, context=context), track.spec.sample_shape

    def log(stamp: int, sample: np.ndarray) -> None:
        image = RawImage(
            timestamp=_stamp(stamp), frame_id=track.spec.frame, width=columns, height=rows, encoding="rgb8",
            step=3 * columns, data=np.ascontiguousarray(sample, np.uint8).tobytes(),
        )  # fmt: skip
        channel.log(image, log_time=stamp)

    return log


def _fixes(track: Track, topic: str, context: Any) -> Callable[[int, np.ndarray], None]:
    from foxglove.channels import LocationFixChannel
    from foxglove.messages import LocationFix

    channel = LocationFixChannel(topic, context=context)

    def log(stamp: int, sample: np.ndarray) -> None:
        if np.isfinite(sample).all():
            latitude, longitude, altitude = sample.tolist()
            place = {"latitude": latitude, "longitude": longitude, "altitude": altitude}
            channel.log(LocationFix(timestamp=_stamp(stamp), frame_id=track.spec.frame, **place), log_time=stamp)

    return log


def _stamp(nanoseconds: int) -> Any:
    from foxglove.messages import Timestamp

    return Timestamp(*divmod(nanoseconds, 10**9))

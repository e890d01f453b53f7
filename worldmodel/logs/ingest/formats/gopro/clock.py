"""When GoPro telemetry was sampled, in seconds of the video's clock.

A payload says how many samples it holds, not when each was taken. Three clocks have to meet:

* the media clock of the MP4 file: payload k covers [start, start + duration);
* the camera's own clock: cameras stamp the first sample that a payload holds of each stream, in microseconds
  (`STMP`) or, on older ones, in milliseconds (`TICK`). One stream, the exposure time, has a sample per video frame,
  so its stamps tie this clock to the media clock;
* a drone's clock, since boot, written into every sample. A sample cannot be stamped after the payload that holds it
  has ended; the sample that comes closest to that fixes the offset.

Within a payload, samples are spread evenly up to the next payload's first. The last payload, which is usually cut
short while its stated duration is not, and any payload before a gap go on at the median interval instead.
"""

from collections.abc import Sequence

import numpy as np

from worldmodel.logs.ingest.formats.gopro.gpmf import DeviceStream
from worldmodel.logs.ingest.formats.gopro.mp4 import Payload

Pieces = Sequence[tuple[Payload, DeviceStream]]
_FRAME_STREAMS = ("SHUT", "ISOE", "CORI")
_STAMPS = {"STMP": 1e-6, "TICK": 1e-3}


def stamp(piece: DeviceStream) -> float:
    """The camera's time in seconds of a piece's first sample; NaN where it has none."""
    for key, unit in _STAMPS.items():
        if key in piece.properties:
            return float(np.ravel(piece.properties[key])[0]) * unit  # type: ignore[arg-type]
    return float("nan")


def camera_offset(pieces: dict[str, Pieces]) -> float:
    """The camera's time when the media clock reads zero; NaN where nothing says."""
    for key in _FRAME_STREAMS:
        offsets = [stamp(piece) - payload.start for payload, piece in pieces.get(key, ())]
        if np.isfinite(offsets).any():
            return float(np.nanmedian(offsets))
    return float("nan")


def sample_times(pieces: Pieces, offset: float) -> np.ndarray:
    """Media time in seconds of every sample [M] of a stream that carries no times of its own.

    Args:
        pieces: the stream's part of each payload, in order.
        offset: the camera's time at media time zero; where it is NaN, payloads are taken to begin with a sample.
    """
    pieces = [(payload, piece) for payload, piece in pieces if len(piece.values)]
    if not pieces:
        return np.zeros(0)
    counts = np.array([len(piece.values) for _, piece in pieces])
    starts = np.array([stamp(piece) - offset for _, piece in pieces])
    if not np.isfinite(starts).all():
        starts = np.array([payload.start for payload, _ in pieces])
    delays = np.array([float(np.ravel(piece.properties.get("TIMO", 0.0))[0]) for _, piece in pieces])  # type: ignore[arg-type]
    starts = starts - delays
    if len(pieces) == 1:
        intervals = np.array([pieces[0][0].duration / counts[0]])
    else:
        intervals = np.diff(starts) / counts[:-1]
        usual = np.quantile(intervals, 0.5, method="lower")  # of few payloads, one with a gap must not win
        intervals = np.append(np.where((intervals > 1.5 * usual) | (intervals <= 0), usual, intervals), usual)
    within = np.concatenate([np.arange(count) for count in counts])
    return np.repeat(starts, counts) + within * np.repeat(intervals, counts)


def drone_offset(stamped: Sequence[tuple[Payload, np.ndarray]]) -> float:
    """The drone's time in seconds when the media clock reads zero, from each payload's stamps [M]; NaN for none."""
    return max(
        (float(times.max()) - payload.start - payload.duration for payload, times in stamped if len(times)),
        default=float("nan"),
    )

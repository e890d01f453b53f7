"""What every importer returns: one recording, on its way into a log as an episode."""

import dataclasses
import math
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from worldmodel.types import Samples, StreamSpec


@dataclasses.dataclass
class Recording:
    """One episode on its way into a log.

    Attributes:
        name: the source's file name, and what parts it from others of that source.
        specs: what its streams are, by name.
        samples: their samples, times in seconds from the episode's origin.
        origin_utc: the origin in seconds since 1970-01-01 UTC; NaN where unknown.
        notes: what was dropped or assumed, a line for people each.
        about: what the source says of itself, as a log's `about`.
    """

    name: str
    specs: dict[str, StreamSpec] = dataclasses.field(default_factory=dict)
    samples: dict[str, Samples] = dataclasses.field(default_factory=dict)
    origin_utc: float = math.nan
    notes: list[str] = dataclasses.field(default_factory=list)
    about: dict[str, object] = dataclasses.field(default_factory=dict)

    def add(self, spec: StreamSpec, time: np.ndarray, data: np.ndarray) -> None:
        """Adds a stream, without the samples whose stamps are not finite or do not increase; these are counted."""
        keep = increasing(time)
        if not keep.all():
            self.notes.append(
                f"{spec.name}: dropped {(~keep).sum()} of {len(keep)} samples whose times do not increase"
            )
            time, data = np.asarray(time)[keep], data[keep]
        self.specs[spec.name] = spec
        self.samples[spec.name] = Samples(np.asarray(time, np.float64), data)

    def add_film(
        self, name: str, frames: Iterable[tuple[float, np.ndarray]], size: tuple[int, int], scratch: Path,
        frame: str = "camera", description: str = "", rate_hz: float = 0.0,
    ) -> None:  # fmt: skip
        """Adds a video stream, whose frames are kept in a file of the system's until the episode is written.

        Args:
            name: the stream's.
            frames: the time in seconds and the picture [rows, columns, 3] uint8 RGB of each.
            size: (rows, columns).
            scratch: the folder of that file, which has no name and goes when nobody uses it.
            frame: the frame of reference.
            description: one line for people.
            rate_hz: nominal; by default that of the times.
        """
        times: list[float] = []
        late = 0
        with tempfile.TemporaryFile(dir=scratch) as file:
            for seconds, picture in frames:
                if times and not seconds > times[-1]:
                    late += 1
                    continue
                times.append(seconds)
                file.write(np.ascontiguousarray(picture, np.uint8).data)
            file.flush()
            shape = (len(times), *size, 3)
            data = np.memmap(file, np.uint8, "r", shape=shape) if times else np.zeros(shape, np.uint8)
        if late:
            self.notes.append(f"{name}: dropped {late} of {late + len(times)} frames whose times do not increase")
        time = np.array(times, np.float64)
        spec = StreamSpec(
            name, "video", ("red", "green", "blue"), ("", "", ""), rate_hz or nominal_rate(time), frame, size=size,
            description=description,
        )  # fmt: skip
        self.add(spec, time, data)

    def shift(self, seconds: float) -> None:
        """Moves the origin: every time falls by `seconds`."""
        self.samples = {name: Samples(s.time - seconds, s.data) for name, s in self.samples.items()}
        self.origin_utc += seconds


def increasing(time: np.ndarray) -> np.ndarray:
    """Which of the times [M] are finite and later than every one kept before them: bool [M]."""
    time = np.asarray(time, np.float64)
    newest = np.fmax.accumulate(np.where(np.isfinite(time), time, -np.inf))
    keep = np.isfinite(time)
    keep[1:] &= time[1:] > newest[:-1]
    return keep


def nominal_rate(time: np.ndarray) -> float:
    """A rate in Hz to four figures from the mean interval of [M] times; 1 where fewer than two samples tell none."""
    if len(time) < 2 or not time[-1] > time[0]:
        return 1.0
    return float(f"{(len(time) - 1) / (time[-1] - time[0]):.4g}")

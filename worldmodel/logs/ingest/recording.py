"""What every importer returns: one source file, read as one episode."""

import dataclasses
import math

import numpy as np

from worldmodel.types import Samples, StreamSpec


@dataclasses.dataclass
class Recording:
    """One episode on its way into a log.

    Attributes:
        name: the source's file name.
        specs: what its streams are, by name.
        samples: their samples, times in seconds from the episode's origin.
        origin_utc: the origin in seconds since 1970-01-01 UTC; NaN where unknown.
        notes: what was dropped or assumed, a line for people each.
    """

    name: str
    specs: dict[str, StreamSpec] = dataclasses.field(default_factory=dict)
    samples: dict[str, Samples] = dataclasses.field(default_factory=dict)
    origin_utc: float = math.nan
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, spec: StreamSpec, time: np.ndarray, data: np.ndarray) -> None:
        """Adds a stream, without the samples whose stamps are not finite or do not increase; these are counted."""
        keep = increasing(time)
        if not keep.all():
            self.notes.append(
                f"{spec.name}: dropped {(~keep).sum()} of {len(keep)} samples whose times do not increase"
            )
        self.specs[spec.name] = spec
        self.samples[spec.name] = Samples(np.asarray(time, np.float64)[keep], data[keep])

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

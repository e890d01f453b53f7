"""What every importer returns: one recording, on its way into a log as an episode."""

import dataclasses
import itertools
import math
import tempfile
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from worldmodel.errors import RecipeError
from worldmodel.logs.health.finding import Finding
from worldmodel.types import Samples, StreamSpec

IN_PIECES = "it is too large to be held in memory, and read in pieces, each an episode"  # noted of the first
_PART = 1 << 15  # stamps that stay in the processor's cache while they are gone through several times


class StampedBy(NamedTuple):
    """The clock of a stream of a table.

    Attributes:
        name: what tells it from others.
        lag_s: what was taken off its stamps as a known lag, in seconds.
        dated: whether it tells a date.
    """

    name: str
    lag_s: float = 0.0
    dated: bool = False


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
        findings: what its checks have said so far (`worldmodel.logs.health`).
        stored: the scale and the offset [S] that made a stream's readings of the source's own numbers, where any did.
        clocks: what stamped each stream, where the source tells: streams of one name are on one clock.
        cut_every_s: how long the episodes are that it is to be cut into; infinite for none.
        measured: arrays, and what checks have measured of them (`worldmodel.logs.health.measures`).
    """

    name: str
    specs: dict[str, StreamSpec] = dataclasses.field(default_factory=dict)
    samples: dict[str, Samples] = dataclasses.field(default_factory=dict)
    origin_utc: float = math.nan
    notes: list[str] = dataclasses.field(default_factory=list)
    about: dict[str, object] = dataclasses.field(default_factory=dict)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    stored: dict[str, tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)
    clocks: dict[str, StampedBy] = dataclasses.field(default_factory=dict)
    cut_every_s: float = math.inf
    measured: dict[int, tuple[np.ndarray, Any]] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def add(self, spec: StreamSpec, time: np.ndarray, data: np.ndarray) -> None:
        """Adds a stream with the stamps that it came with: what is wrong with them is for the checks to find."""
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
        with tempfile.TemporaryFile(dir=scratch) as file:
            for seconds, picture in frames:
                times.append(seconds)
                file.write(np.ascontiguousarray(picture, np.uint8).data)
            file.flush()
            shape = (len(times), *size, 3)
            data = np.memmap(file, np.uint8, "r", shape=shape) if times else np.zeros(shape, np.uint8)
        time = np.array(times, np.float64)
        spec = StreamSpec(
            name, "video", ("red", "green", "blue"), ("", "", ""), rate_hz or nominal_rate(time), frame, size=size,
            description=description,
        )  # fmt: skip
        self.add(spec, time, data)

    def first_sample(self, path: Path) -> float:
        """The time of the first sample of any stream.

        Raises:
            RecipeError: if there is none.
        """
        firsts = [float(samples.time.min()) for samples in self.samples.values() if len(samples.time)]
        if not firsts:
            raise RecipeError(f"{path} has no samples.", found="; ".join(self.notes), remedy="leave it out")
        return min(firsts)

    def leave_out(self, messages: Iterable[str]) -> None:
        """Notes the messages of a source that no stream is made of."""
        if names := ", ".join(sorted(messages)):
            self.notes.append(f"messages that no stream is made of: {names}")

    def shift(self, seconds: float) -> None:
        """Moves the origin: every time falls by `seconds`."""
        self.samples = {name: Samples(s.time - seconds, s.data) for name, s in self.samples.items()}
        self.origin_utc += seconds


def piece_name(name: str, number: int) -> str:
    """What a piece of a source is called, by its number counted from 1; 0 where it is the whole."""
    return f"{name} piece {number}" if number else name


def free_name(taken: Container[str], *names: str) -> str:
    """The first of some names that is not taken, or the last of them with the least number behind it from 2 on."""
    numbered = (f"{names[-1]}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain(names, numbered) if name not in taken)


def increasing(time: np.ndarray) -> np.ndarray:
    """Which of the times [M] are finite and later than every one kept before them: bool [M]."""
    time = np.asarray(time, np.float64)
    newest = np.fmax.accumulate(np.where(np.isfinite(time), time, -np.inf))
    keep = np.isfinite(time)
    keep[1:] &= time[1:] > newest[:-1]
    return keep


def exact(time: np.ndarray, rate_hz: float, digit_s: float = 0.0) -> np.ndarray:
    """Times [M] without their rounding, where they are multiples of a rate's period within it; else as given."""
    return unrounded(time, rate_hz, digit_s)[0]


def unrounded(time: np.ndarray, rate_hz: float, digit_s: float = 0.0) -> tuple[np.ndarray, float]:
    """The same, and by how much they were rounded at most, in seconds.

    Rounded ones lie now before and now after the end of the tick that they belong to.

    Args:
        time: seconds from the first, which may be rounded too.
        rate_hz: the rate.
        digit_s: their last digit; by default that of float32 for each.
    """
    time = np.asarray(time, np.float64)
    grid, ends = np.empty_like(time), []
    period = float(f"{1 / rate_hz:.9g}") if rate_hz < 1 else 0.0  # of 0.01666666667 Hz a minute
    for at in range(0, len(time), _PART):
        part = grid[at : at + _PART]
        np.rint(np.multiply(time[at : at + _PART], rate_hz, out=part), out=part)
        np.multiply(part, period, out=part) if period else np.divide(part, rate_hz, out=part)
        off = time[at : at + _PART] - part
        ends.append((off.min(), off.max()))
    if not len(grid) or not (grid[1:] > grid[:-1]).all():
        return time, 0.0
    least, most = float(min(end for end, _ in ends)), float(max(end for _, end in ends))
    exactly = time[0] == grid[0] == 0
    within = len(grid) > 1 and exactly and most - least <= np.spacing(np.float32(grid[1]))  # nearly all
    within = within or (np.abs(time - grid) <= np.spacing(np.abs(grid).astype(np.float32))).all()
    within = within or (_is_rounded(rate_hz, digit_s) and most - least <= 1.001 * digit_s)
    return (grid, max(most, -least)) if within else (time, 0.0)


def _is_rounded(rate_hz: float, digit_s: float) -> bool:
    """Whether stamps with that last digit cannot be what a whole rate's periods are, and yet tell them apart."""
    digits = 1 / (rate_hz * digit_s) if digit_s else 0.0  # of a period
    return digits > 4 and float(rate_hz).is_integer() and abs(digits - round(digits)) > 1e-6


def nominal_rate(time: np.ndarray) -> float:
    """A rate in Hz to four figures from the mean interval of [M] times; 1 where fewer than two samples tell none.

    Steps back, and gaps of more than a hundred of the usual intervals, do not enter: the times are as they came.
    """
    intervals = np.diff(time)
    ahead = intervals[intervals > 0]
    usual = ahead[ahead <= 100 * np.median(ahead)] if len(ahead) else ahead
    return float(f"{len(usual) / usual.sum():.4g}") if len(usual) else 1.0

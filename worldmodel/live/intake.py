"""Takes what a machine pushes, each sample in its place, and lays it on the model's clock."""

import math
import threading
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.live.buffer import Buffer
from worldmodel.live.laid import Laid
from worldmodel.live.origin import Origin
from worldmodel.logs.align import ROUNDING_S, TickLayout, Ticks, frames_at, ticks_of
from worldmodel.logs.followed import Follower, looks_back
from worldmodel.types import Commands, Samples, StreamSpec

Arrival = Literal["in time", "late", "dropped"]
_BURST = 4  # times its nominal rate, that a stream may have over what is kept


class Seen(NamedTuple):
    """What was pushed, over some ticks; all of it copies.

    Attributes:
        ticks: [T, ...].
        shown: by video stream, the frames that `ticks.frames` count.
        samples: by stream, seconds after time zero.
        late, dropped: by stream, how many.
        followers: of places, whose answers are in `ticks.followed`.
    """

    ticks: Ticks
    shown: list[np.ndarray]
    samples: dict[str, Samples]
    late: dict[str, int]
    dropped: dict[str, int]
    followers: tuple[Follower, ...] = ()

    def part(self, first: int, end: int) -> "Seen":
        """The same of some of its ticks."""
        led = Commands(*(x[first:end] for x in self.ticks.actions))
        parts = {name: x[first:end] for name, x in self.ticks._asdict().items() if name not in ("actions", "origin")}
        return self._replace(ticks=self.ticks._replace(actions=led, **parts))


class Intake:
    """Buffers of all streams, safe for several threads.

    Args:
        layout: the streams and the tick.
        keep: ticks that are kept; of streams that followers go by, more.
        start_s: time zero; None for the first stamp.
        watermark_s: how far behind a sample may be.
        followers: of places.
    """

    def __init__(
        self,
        layout: TickLayout,
        keep: int,
        start_s: float | None,
        watermark_s: float,
        followers: Sequence[Follower] = (),
    ) -> None:
        self.layout, self.start_s, self.watermark_s, self.followers = layout, start_s, watermark_s, tuple(followers)
        self._back_s = watermark_s + (keep + 2) * layout.dt  # of samples before a tick that it is laid from
        self._keep_s = {s.name: self._back_s + self._longer(s.name) * layout.dt for s in layout.streams}
        self._buffers = {s.name: Buffer(s, int(_BURST * s.rate_hz * self._keep_s[s.name]) + 16) for s in layout.streams}
        self._origin, self._lock = Origin(layout.readings), threading.Lock()
        self._without_films = layout.without_video()
        self._laid = Laid(self._without_films, self.followers, keep + math.ceil(watermark_s / layout.dt) + 2)
        self._late, self._dropped = ({name: 0 for name in self._buffers} for _ in range(2))
        self.newest_s = -np.inf  # after time zero, of all streams

    def _longer(self, name: str) -> int:
        """How many more ticks of a stream are kept for those that go by it."""
        return looks_back(self.layout, [f for f in self.followers if name in f.needs(self.layout)])

    def push(self, name: str, time_s: float, value: np.ndarray | float) -> Arrival:
        """See `Live.push`."""
        if name not in self._buffers:
            raise WorldModelError(f"The run has no stream {name!r}.", expected=", ".join(self._buffers), found=name)
        sample = _checked(self._buffers[name].spec, time_s, value)
        with self._lock:
            self.start_s = float(time_s) if self.start_s is None else self.start_s
            return self._place(name, float(time_s) - self.start_s, sample)

    def _place(self, name: str, time_s: float, sample: np.ndarray) -> Arrival:
        buffer = self._buffers[name]
        own = buffer.samples.time[-1] if len(buffer) else -np.inf
        if time_s < own - self.watermark_s - ROUNDING_S:
            raise WorldModelError(
                f"The clock of {name!r} went back.",
                expected=f"a stamp at most {self.watermark_s:g} s before {own + (self.start_s or 0.0):g} s",
                found=f"{time_s + (self.start_s or 0.0):g} s",
                remedy="stamp samples with a clock that is not set while it runs, or begin anew with run.live()",
            )
        if time_s < self.newest_s - self.watermark_s - ROUNDING_S or buffer.holds(time_s):
            self._dropped[name] += 1
            return "dropped"
        self.newest_s = max(self.newest_s, time_s)
        self._origin.see(name, time_s, sample)
        buffer.put(time_s, sample)
        self._laid.touch(time_s)
        buffer.forget(self.newest_s - self._keep_s[name])
        self._late[name] += time_s < own
        return "late" if time_s < own else "in time"

    def seen(self, row: int, count: int) -> Seen:
        """The `count` ticks that end at tick `row`, which are those of a log of the same samples."""
        layout = self.layout
        with self._lock:
            now = {name: buffer.samples for name, buffer in self._buffers.items()}
            origin = self._origin.fix
            ticks = self._laid.upto(row, count, origin, lambda times: self._lay(now, times, origin))
            samples = {name: Samples(*(x.copy() for x in part)) for name, part in now.items()}
            counts = self._late.copy(), self._dropped.copy()
        shown, times = [samples[s.name] for s in layout.videos], layout.time_s(np.arange(row + 1 - count, row + 1))
        frames = frames_at([each.time for each in shown], layout, times)
        return Seen(ticks._replace(frames=frames), [each.data for each in shown], samples, *counts, self.followers)

    def _lay(self, now: dict[str, Samples], times: np.ndarray, origin: np.ndarray) -> Ticks:
        """Ticks from the samples that they are made of, of which there may be far more."""
        read = {s.name: _since(now[s.name], times[0] - self._back_s) for s in self.layout.readings}
        given = {s.name: now[s.name] for s in self.layout.actions}
        return ticks_of(read, given, [], self._without_films, times, origin)


def _since(samples: Samples, time_s: float) -> Samples:
    """What was stamped after a moment, and the last before."""
    first = max(int(np.searchsorted(samples.time, time_s)) - 1, 0)
    return Samples(samples.time[first:], samples.data[first:])


def _checked(spec: StreamSpec, time_s: float, value: np.ndarray | float) -> np.ndarray:
    """The sample as it is kept, of the stream's shape."""
    if not np.isfinite(time_s):
        raise WorldModelError(f"A sample of {spec.name!r} has no time.", expected="finite seconds", found=f"{time_s}")
    try:
        sample = np.asarray(value) if spec.kind == "video" else np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise WorldModelError(f"A sample of {spec.name!r} is no number.", found=str(error)) from error
    if sample.shape == () and spec.sample_shape == (1,):
        sample = sample[None]
    if sample.shape != spec.sample_shape or (spec.kind == "video" and sample.dtype != np.uint8):
        raise WorldModelError(
            f"A sample of {spec.name!r} has another shape than the run's.",
            expected=f"{spec.sample_shape}" + (" of uint8" if spec.kind == "video" else f": {', '.join(spec.columns)}"),
            found=f"{sample.shape} of {sample.dtype}",
        )
    return sample

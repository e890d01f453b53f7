"""Where a vehicle is, by its fixes of the last seconds and its odometry, the path that speed and turning tell.

The path is matched to the fixes. A window's positions are then as good as all those fixes together, and go on where
none come.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from worldmodel.arrays import evenly, hold, newest
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout, Ticks
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.reckoning import Reckoner, find_reckoners
from worldmodel.models.baselines.sensors import label
from worldmodel.models.baselines.unicycle import at_times
from worldmodel.models.baselines.view import Lens

_SPANS_S = (5.0, 10.0, 20.0)
_OUT_S = 60.0  # a place is carried on for so long at most
_LATE = 2  # of its intervals, after which a fix is missing
_LOOKS_S = (0.0, 2.0, 5.0)  # ahead, at least the next fix, that a span is chosen by
_FEW = 3  # fixes that tell a heading
_UNLIKE = 4.0  # times the usual variance of fixes about the path: then one of both is wrong, and nothing is followed
_SILENT_S, _SILENT = 1.0, 3  # and times its interval: longer, and a sensor's last reading does not go on
_FITTED = 1.5  # of n fixes, two numbers each, three numbers are taken
_STOOD_S = 3.0  # in which a machine stands that goes no farther than fixes are noisy
_BURST = 1.5  # times its nominal rate, that a receiver's fixes are matched at most
_EPISODES, _TICKS = 40, 20_000  # that are chosen on
_WINDOWS = 1000  # that speed and turning are looked for in


class Read(NamedTuple):
    """What an odometer uses of T ticks.

    Attributes:
        row: int [N] those with a fix.
        features, mask: [T, F] of the stream that is followed. age: [T] of its newest sample, in ticks.
        means, known: [T, R] speeds, turning and the sideways speed of each tick, and where there is one.
    """

    row: np.ndarray
    features: np.ndarray
    mask: np.ndarray
    age: np.ndarray
    means: np.ndarray
    known: np.ndarray


class Fixes(NamedTuple):
    """Fixes on an odometry's path.

    Attributes:
        row: int [N] the tick of each.
        place: complex [N] where it says, east + i north in metres.
        path: complex [N] the path then, in a frame of its own.
        silent: int [N] ticks until then of which a sensor has not told.
    """

    row: Int[np.ndarray, " N"]
    place: Complex[np.ndarray, " N"]
    path: Complex[np.ndarray, " N"]
    silent: Int[np.ndarray, " N"]


class Path(NamedTuple):
    """Where odometry has been: complex [T] metres, and int [T] ticks until then of which a sensor has not told.

    And [T] which way the nose points, in the frame of the path.
    """

    place: Complex[np.ndarray, " T"]
    silent: Int[np.ndarray, " T"]
    nose: Float[np.ndarray, " T"]

    def at(self, rows: Int[np.ndarray, " R"]) -> "Path":
        """At some ticks."""
        return Path(*(x[rows] for x in self))


class Matched(NamedTuple):
    """How a path lies on the newest fixes at each of R ticks: turned and moved (in closed form: Umeyama 1991).

    Attributes:
        last: int [R] the newest fix; -1 before the first.
        matched: int [R] how many were matched.
        turn: complex [R] of length 1.
        place, path: complex [R] their middles.
        length: [R] sum of squares of the path about its middle.
        left: [R] of what the match leaves of the fixes.
    """

    last: np.ndarray
    matched: np.ndarray
    turn: np.ndarray
    place: np.ndarray
    path: np.ndarray
    length: np.ndarray
    left: np.ndarray


@dataclasses.dataclass(frozen=True)
class Odometer:
    """Follows one stream that tells a place.

    Attributes:
        stream: its name.
        speed, turning: columns among the Y readings, as of `Reckoner`, with
        speed_scale, rate_scale: m/s and rad/s in one unit of theirs.
        span: ticks before the newest fix whose fixes are matched.
        averaged: whether a place is where all of them together say; else it is carried on from the newest, which stays
            as it was read. What receivers filter already must not be averaged.
        noise: m, the distance of fixes from the matched path, a root mean square.
        usual: m2, the median variance of places when a fix has just come, as `_placed` has it. A run that has not
            measured it calls no place less sure than usual.
        side: the column that is the speed to the left, of what can move sideways.
        side_sign: -1 where that counts to the right.
    """

    stream: str
    speed: tuple[int, ...]
    turning: tuple[int, ...]
    speed_scale: float
    rate_scale: float
    span: int
    averaged: bool
    noise: float
    usual: float = math.inf
    side: tuple[int, ...] = ()
    side_sign: float = 1.0

    @classmethod
    def fit(cls, reckoner: Reckoner, episodes: Sequence[Ticks], layout: TickLayout) -> "Odometer | None":
        """The span that foretells coming fixes best; None where odometry does not help, or fixes come with each tick.

        Args:
            reckoner: what found speed and turning.
            episodes: whose fixes are foretold.
            layout: their columns.
        """
        spec = layout.spec(reckoner.stream)
        if not all(codec(spec).relative) or layout.slots(spec) > 1:
            return None
        tried = [
            cls(
                reckoner.stream, tuple(map(int, reckoner.speed)), tuple(map(int, reckoner.turning)),
                reckoner.speed_scale, reckoner.rate_scale, max(round(span / layout.dt), 2), averaged, 0.0,
                side=tuple(map(int, reckoner.side)), side_sign=reckoner.side_sign,
            )
            for span in _SPANS_S for averaged in (True, False)
        ]  # fmt: skip
        chosen = [episodes[i] for i in evenly(len(episodes), _EPISODES)]
        seen = [tried[0]._on_path(tried[0]._read(ticks, layout, slice(_TICKS)), layout) for ticks in chosen]
        fitted = [odometer._with_noise(seen, layout) for odometer in tried]
        errors = np.array([_errors(candidate, seen, layout) for candidate in (*fitted, None)])
        excess = (errors / np.maximum(errors.min(0), 1e-9)).mean(1)
        best = int(np.argmin(excess))
        return fitted[best] if best < len(fitted) else None

    def follow(
        self, ticks: Ticks, layout: TickLayout, first: int = 0, last: int | None = None
    ) -> Float[np.ndarray, "L G"]:
        """The stream's features at the last L ticks, by default all of them; NaN where what was read stands.

        Behind them the deviation (m, along each axis) by which a place is less sure than usual: it has been carried on
        for long, or matched to a few fixes. And which way a machine points that stands, with its deviation, of no more
        than a turn, where nothing else in the frame tells that.

        A tick depends on itself and those before it. So that it does on the same ones in a whole recording and in its
        newest part, paths begin at every `block`-th tick of the recording.

        Args:
            ticks: T of them.
            layout: their columns.
            first: the number, within its recording, of the first; a multiple of `block` (`reach` says how many are
                needed before one).
            last: L.
        """
        count, spec = len(ticks.values), layout.spec(self.stream)
        out = np.full((count if last is None else last, layout.features(spec) + 3), np.nan, np.float32)
        rows, fixed = np.arange(count - len(out), count), self._fixed(ticks, layout)
        newest_fix = np.searchsorted(fixed, rows, side="right") - 1
        rows, fix = rows[newest_fix >= 0], fixed[newest_fix[newest_fix >= 0]]
        near = rows - fix <= round(_OUT_S / layout.dt)
        rows, begun = rows[near], (first + fix[near]) // self.block
        for block in np.unique(begun):
            at, start = rows[begun == block], max((block - 1) * self.block - first, 0)
            read = self._read(ticks, layout, slice(start, at[-1] + 1))
            out[at - count + len(out)] = self._places(read, at - start, layout)
        return out

    def describe(self, layout: TickLayout) -> str:
        """What is followed and how, for people."""
        speed, turning = (label(layout, np.array(columns)) for columns in ((*self.speed, *self.side), self.turning))
        how = "where its fixes together say" if self.averaged else "carried on from the last fix where none comes"
        return (
            f"{self.stream} is followed by odometry ({speed}; {turning}), matched to the fixes of "
            f"{self.span * layout.dt:g} s: {how}; fixes lie {self.noise:.3g} m off"
        )

    def needs(self, layout: TickLayout) -> frozenset[str]:
        """The streams that it goes by."""
        streams = [layout.readings[i].name for i in layout.stream_of[layout.newest]]
        return frozenset({self.stream, *(streams[column] for column in self._read_from)})

    @property
    def _read_from(self) -> tuple[int, ...]:
        return (*self.speed, *self.turning, *self.side)

    @property
    def block(self) -> int:
        """Ticks from one beginning of a path to the next."""
        return self.span

    def reach(self, layout: TickLayout) -> int:
        """Ticks before one that it may depend on."""
        return 2 * self.block + round(_OUT_S / layout.dt)

    def _places(self, read: Read, rows: Int[np.ndarray, " R"], layout: TickLayout) -> Float[np.ndarray, "R G"]:
        """What `follow` tells of some ticks, whose path begins with the first that is read."""
        (fixes, path), spec = self._on_path(read, layout), layout.spec(self.stream)
        found = self._matched(fixes, rows, layout)
        place, variance, wanted = self._placed(fixes, found, path.at(rows))
        nose = self._nose(fixes, found, path, rows, layout)
        if not self.averaged:
            wanted &= rows - fixes.row[found.last] >= _LATE * layout.interval(spec)
        held, known = hold(read.features, read.mask, axis=0)
        out = np.empty((len(rows), held.shape[1] + 1))
        out[:, :-1] = np.where(known[rows], held[rows], np.nan)
        out[:, codec(spec).turning.place] = np.stack([place.real, place.imag], 1)
        out[:, -1] = np.sqrt(np.maximum(variance - self.usual, 0) / 2)
        return np.concatenate([np.where(wanted[:, None], out, np.nan), nose], 1)

    def _nose(
        self, fixes: Fixes, found: Matched, path: Path, rows: Int[np.ndarray, " R"], layout: TickLayout
    ) -> Float[np.ndarray, "R 2"]:
        """Which way a machine that stands points, and the deviation of that (rad); NaN where its track tells it.

        A path that turned with the fixes' noise over its length tells it less and less, and at last not at all.
        """
        own, frame = codec(layout.spec(self.stream)), codec(layout.spec(self.stream)).world_frame
        if any(codec(s).turning.heading is not None and codec(s).world_frame == frame for s in layout.readings):
            return np.full((len(rows), 2), np.nan)
        assert own.turning.place is not None
        before = np.maximum(rows - round(_STOOD_S / layout.dt), 0)
        stands = np.abs(path.place[rows] - path.place[before]) < self.noise
        last, oldest = np.maximum(found.last, 0), np.maximum(found.last - found.matched + 1, 0)
        told = (found.last >= 0) & (found.matched >= _FEW) & (path.silent[rows] == fixes.silent[oldest])
        off = np.where(told, self.noise / np.sqrt(2 * np.maximum(found.length, 1e-12)), np.inf)
        nose = np.stack([np.angle(found.turn) + path.nose[rows], np.minimum(off, 2 * np.pi)], 1)
        return np.where((stands & (last >= 0) & (rows - before > 0))[:, None], nose, np.nan)

    def _fixed(self, ticks: Ticks, layout: TickLayout) -> Int[np.ndarray, " N"]:
        """The ticks with a fix."""
        spec = layout.spec(self.stream)
        mask = ticks.mask[:, layout.slot_columns(spec)[-1]]
        return np.flatnonzero(mask[:, codec(spec).turning.place].all(1))

    def _read(self, ticks: Ticks, layout: TickLayout, part: slice = slice(None)) -> Read:
        """What is used of the ticks."""
        ticks, spec = ticks._replace(values=ticks.values[part], mask=ticks.mask[part]), layout.spec(self.stream)
        columns = layout.slot_columns(spec)[-1]
        features, mask = ticks.values[:, columns].astype(np.float64), ticks.mask[:, columns]
        age = ticks.age_s[part, layout.readings.index(spec)].astype(np.float64) / layout.dt
        means, known = _per_tick(ticks, layout, self._read_from)
        return Read(self._fixed(ticks, layout), features, mask, np.where(np.isfinite(age), age, 0.0), means, known)

    def _on_path(self, read: Read, layout: TickLayout) -> tuple[Fixes, Path]:
        """Fixes, and the path in the frame of the first tick's nose."""
        place, nose = self._path(read, layout.dt)
        path, row = Path(place, np.cumsum(self._silent(read, layout)), nose), read.row
        fixed = read.features[row][:, codec(layout.spec(self.stream)).turning.place] @ [1, 1j]
        taken = at_times(place[None], read.age[None])[0]
        return Fixes(row, fixed, taken[row], path.silent[row]), path

    def _silent(self, read: Read, layout: TickLayout) -> Bool[np.ndarray, " T"]:
        """Ticks at which a speed or the turning was last read too long ago."""
        streams = [layout.readings[layout.stream_of[layout.newest[r]]] for r in self._read_from]
        most = [max(round(_SILENT_S / layout.dt), _SILENT * layout.interval(s)) for s in streams]
        return (np.arange(len(read.known))[:, None] - newest(read.known, 0) > most).any(1)

    def _path(self, read: Read, dt: float) -> tuple[Complex[np.ndarray, " T"], Float[np.ndarray, " T"]]:
        """Places and the nose by speed and turning; means over each tick, so that nothing between samples is lost."""
        means, _ = hold(read.means, read.known, axis=0)
        ahead, turning, side = np.split(means, np.cumsum([len(self.speed), len(self.turning)]), axis=1)
        speed = ahead.mean(1) * self.speed_scale
        if self.side:
            speed = speed + 1j * self.side_sign * self.speed_scale * side[:, 0]
        if turning.shape[1] == 1:
            turned = turning[:, 0] * self.rate_scale * dt
        else:
            nose = np.unwrap(np.arctan2(turning[:, 1], turning[:, 0]))
            turned = np.diff(nose, prepend=nose[:1])
        chord = speed * dt * np.sinc(turned / 2 / np.pi)
        nose = np.cumsum(turned)
        return np.cumsum(chord * np.exp(1j * (nose - turned / 2))), nose

    def _matched(self, fixes: Fixes, rows: Int[np.ndarray, " R"], layout: TickLayout) -> Matched:
        """At each of these ticks, the path on the fixes of the span that ends with the newest."""
        last = np.searchsorted(fixes.row, rows, side="right") - 1
        per_s = layout.spec(self.stream).rate_hz * _BURST
        most = math.ceil(self.span * layout.dt * per_s) + 2  # always as many terms, so that sums are the same bits
        index = last[:, None] - np.arange(most)
        row = fixes.row[np.maximum(index, 0)]
        there = (index >= 0) & (row > row[:, :1] - self.span)
        place, path = fixes.place[np.maximum(index, 0)], fixes.path[np.maximum(index, 0)]
        count = there.sum(1)
        middle, along = ((there * x).sum(1) / np.maximum(count, 1) for x in (place, path))
        place, path = there * (place - middle[:, None]), there * (path - along[:, None])
        turn = np.exp(1j * np.angle((place * path.conj()).sum(1)))
        left = (np.abs(place - turn[:, None] * path) ** 2).sum(1)
        return Matched(last, count, turn, middle, along, (np.abs(path) ** 2).sum(1), left)

    def _placed(
        self, fixes: Fixes, found: Matched, path: Path
    ) -> tuple[Complex[np.ndarray, " R"], Float[np.ndarray, " R"], Bool[np.ndarray, " R"]]:
        """Places at R points of the path, their variance, and where they are likely to be nearer than the newest fix.

        The variance of a place is that of the middle of n fixes, and that of the turn times the squared way from
        there. Where the path does not fit the fixes, or a sensor was silent on the way, nothing is.
        """
        last, oldest = np.maximum(found.last, 0), np.maximum(found.last - found.matched + 1, 0)
        fix, then = fixes.place[last], fixes.path[last]
        place, along = (found.place, found.path) if self.averaged else (fix, then)
        gone = np.abs(path.place - along) ** 2
        turned = self.noise**2 / 2 / np.maximum(found.length, 1e-12)
        own = self.noise**2 / (found.matched if self.averaged else 1) + gone * turned
        held = self.noise**2 + np.abs(path.place - then) ** 2
        fits = found.left <= _UNLIKE * self.noise**2 * (found.matched - _FITTED)
        told = path.silent == fixes.silent[oldest]
        sure = (found.last >= 0) & (found.matched >= _FEW) & (own < held) & fits & told
        return place + found.turn * (path.place - along), own, sure

    def _with_noise(self, seen: Sequence[tuple[Fixes, Path]], layout: TickLayout) -> "Odometer":
        seen = [each for each in seen if len(each[0].row)]
        found = [self._matched(fixes, fixes.row, layout) for fixes, _ in seen]
        left = sum(float(m.left[m.matched > _FEW].sum()) for m in found)
        free = sum(float((m.matched[m.matched > _FEW] - _FITTED).sum()) for m in found)
        measured = dataclasses.replace(self, noise=math.sqrt(left / max(free, 1.0)))
        placed = [measured._placed(f, m, path.at(f.row)) for (f, path), m in zip(seen, found, strict=True)]
        sure = np.concatenate([np.zeros(0), *(variance[sure] for _, variance, sure in placed)])
        return dataclasses.replace(measured, usual=float(np.median(sure)) if len(sure) else measured.noise**2)

    def _foretold(
        self, fixes: Fixes, before: Int[np.ndarray, " P"], after: Int[np.ndarray, " P"], layout: TickLayout
    ) -> Complex[np.ndarray, " P"]:
        """Where the fixes `before` and the path place those `after`; where they are not sure, held."""
        found = self._matched(fixes, fixes.row[before], layout)
        place, _, sure = self._placed(fixes, found, Path(fixes.path[after], fixes.silent[after], np.zeros(len(after))))
        return np.where(sure, place, fixes.place[before])


def find_odometers(windows: Windows, lens: Lens) -> tuple[Odometer, ...]:
    """One for each stream whose place odometry helps to tell, in episodes whose places are not followed yet."""
    reckoners = find_reckoners(lens.examples(windows, windows.starts().thinned(_WINDOWS)), lens, None)
    return tuple(found for r in reckoners if (found := Odometer.fit(r, windows.ticks, windows.layout)))


def _errors(odometer: Odometer | None, seen: Sequence[tuple[Fixes, Path]], layout: TickLayout) -> list[float]:
    """Root mean square distances of fixes from where earlier ones place them, for each look ahead; None holds those."""
    out = []
    for look in _LOOKS_S:
        errors = [np.zeros(0)]
        for fixes, _ in seen:
            before, after = _pairs(fixes.row, round(look / layout.dt))
            if len(before):
                place = odometer._foretold(fixes, before, after, layout) if odometer else fixes.place[before]
                errors.append(np.abs(place - fixes.place[after]))
        out.append(_rms(np.concatenate(errors)))
    return out


def _pairs(row: Int[np.ndarray, " N"], look: int) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Of each fix, the first that is a later one and at least `look` ticks later, where there is one."""
    before = np.arange(len(row))
    after = np.maximum(np.searchsorted(row, row + look), before + 1)
    return before[after < len(row)], after[after < len(row)]


def _rms(x: Float[np.ndarray, " N"]) -> float:
    return float(np.sqrt(np.mean(x**2))) if len(x) else 0.0


def _per_tick(
    ticks: Ticks, layout: TickLayout, readings: Sequence[int]
) -> tuple[Float[np.ndarray, "T R"], Bool[np.ndarray, "T R"]]:
    """Some R of the Y readings: means over each tick's slots, and where one has a sample."""
    columns = layout.newest[list(readings)]
    streams, parts = layout.stream_of[columns], []
    for stream in np.unique(streams):
        slots = layout.slot_columns(layout.readings[stream])
        used = slots[:, columns[streams == stream] - slots[-1, 0]]  # [N, R of this stream]
        there = ticks.mask[:, used]
        count, total = there.sum(1), np.where(there, ticks.values[:, used], 0).astype(np.float64).sum(1)
        parts.append((total / np.maximum(count, 1), count > 0))
    means, known = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
    back = np.argsort(np.argsort(streams, kind="stable"))
    return means[:, back], known[:, back]

"""The best estimate of a state from what sensors have read: simulate along, and pull what is read towards the readings.

A fixed-gain observer (an alpha-beta filter about the physics; Kalata 1984, doi 10.1109/TAES.1984.310438): it needs no
covariances, and on a real double pendulum was as good as an extended Kalman filter at a sixth of its cost.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from worldmodel.arrays import wrapped
from worldmodel.simulate.impulses import Impulses
from worldmodel.simulate.pulls import Gains, Pull, gains_of, pulls
from worldmodel.simulate.reading import of_body
from worldmodel.simulate.scene import SceneStream
from worldmodel.simulate.world import World
from worldmodel.types import Samples

_SAME_STEP = 1e-4  # of a physics step: a reading stamped on a step was taken there


class _Read(NamedTuple):
    """What some rows of the states read of speeds, values [R, ...], and how far it is believed."""

    pull: Pull
    gain: float
    rows: np.ndarray
    values: np.ndarray


class Readings(NamedTuple):
    """What one stream read in each of W worlds, sorted by time, those that lack some at an infinite time.

    Attributes:
        time: [W, M] seconds from the beginning of the simulation.
        values: [W, M, S], NaN where unknown.
    """

    time: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, worlds: Sequence[Samples]) -> "Readings":
        """Of samples of each world."""
        most, width = max(len(w.time) for w in worlds), worlds[0].data.shape[1]
        time, values = np.full((len(worlds), most), np.inf), np.full((len(worlds), most, width), np.nan)
        for row, samples in enumerate(worlds):
            time[row, : len(samples.time)], values[row, : len(samples.time)] = samples
        return cls(time, values)

    def unspoilt(self, stream: SceneStream) -> "Readings":
        """Of recorded ones those of the machine itself: without a stream's bias, at the times when they were taken."""
        return Readings(self.time - stream.delay_s, self.values - stream.bias)


class Observer:
    """Estimates states of a world from what its sensors read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pulls = tuple(pulls(world))
        self._impulses = Impulses(world)

    def begin(self, read: Mapping[str, Readings], states: np.ndarray) -> np.ndarray:
        """States [W, Q] of which what is read (as for `follow`) is as it was read first."""
        states = np.array(states, np.float64)
        for pull in self._read_in(read):
            values = self._values(pull, read)
            known = np.isfinite(values).all(-1)
            first = values[np.arange(len(states)), known.argmax(1)]
            at = pull.coordinates
            states[:, at] = np.where(known.any(1)[:, None], first, states[:, at])
        return states

    def follow(
        self,
        read: Mapping[str, Readings],
        states: np.ndarray,
        controls: np.ndarray,
        *,
        begun: np.ndarray | None = None,
        models: Sequence[Any] | None = None,
        keep: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Simulates W worlds, pulled to what was read on the way. A state knows nothing that was read after it.

        Args:
            read: by stream, as the model's sensors would say, at the times when it was so (`Readings.unspoilt`).
            states: [W, Q] where the simulation begins.
            controls: [W, N, U].
            begun: int [W] physics steps that each world has run before.
            models: one for each world, copies of this world's with other numbers; by default its own.
            keep: int [K] physics steps, rising, of which states are wanted; by default the last alone.

        Returns:
            [W, K, Q], and bool [W] whether a world stayed finite; one that did not stands still.
        """
        worlds, steps = controls.shape[:2]
        keep = [steps] if keep is None else list(keep)
        begun = np.zeros(worlds, int) if begun is None else begun
        active = self._read_in(read)
        gains, values = [gains_of(pull, active) for pull in active], [self._values(pull, read) for pull in active]
        due = [_due(read[pull.stream].time, steps, self.world.step_s) for pull in active]
        stops = np.unique(np.concatenate([[0, *keep], *(np.flatnonzero((d >= 0).any(0)) for d in due)]).astype(int))
        out, sound, now = np.empty((worlds, len(keep), states.shape[1])), np.ones(worlds, bool), 0
        states = np.array(states, np.float64)
        hidden = len({c for p in active for c in range(p.speeds.start, p.speeds.stop)}) < self.world.model.nv
        for stop in stops[stops <= max(keep)]:
            if stop > now:
                rolled = self.world.try_rollout(states, controls[:, now:stop], begun + now, models)
                sound &= rolled.sound >= stop - now
                states, now = np.where(sound[:, None], rolled.states[:, -1], states), int(stop)
            speeds = []
            for pull, gain, data, rows in zip(active, gains, values, due, strict=True):
                chosen = np.flatnonzero((rows[:, stop] >= 0) & sound)
                taken = data[chosen, rows[chosen, stop]]
                if pull.kind == "speed" and hidden:
                    speeds.append(_Read(pull, gain.speed, chosen, taken))
                else:
                    self._correct(pull, gain, states, chosen, taken)
            self._push(speeds, states, models)
            for place in np.flatnonzero(np.equal(keep, stop)):
                out[:, place] = states
        return out, sound

    def _read_in(self, read: Mapping[str, Readings]) -> list[Pull]:
        return [pull for pull in self.pulls if pull.stream in read]

    def _values(self, pull: Pull, read: Mapping[str, Readings]) -> np.ndarray:
        """[W, M, ...] what a sensor read, as the coordinates have it."""
        values = read[pull.stream].values[..., pull.columns]
        if pull.site >= 0:
            values = of_body(self.world, pull.site, values)
        return values / np.linalg.norm(values, axis=-1, keepdims=True) if pull.kind == "turn" else values

    def _correct(self, pull: Pull, gains: Gains, states: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        """Pulls some rows of the states towards values [R, ...]; in place."""
        known = np.isfinite(values).all(-1)
        rows, values = rows[known], values[known]
        at = _block(rows, pull.speeds)
        if pull.kind == "speed":
            states[at] += gains.speed * (values - states[at])
        elif pull.kind == "turn":
            self._turn(pull, gains, states, rows, values)
        else:
            places = _block(rows, pull.coordinates)
            missed = values - states[places]
            missed = wrapped(missed) if pull.wraps else missed
            states[places] += gains.place * missed
            states[at] += gains.speed * missed / pull.interval_s

    def _push(self, speeds: Sequence[_Read], states: np.ndarray, models: Sequence[Any] | None) -> None:
        """Pulls what was read of speeds, and what goes with them through contacts; in place."""
        rows = np.unique(np.concatenate([np.zeros(0, int), *(read.rows for read in speeds)]))
        if not len(rows):
            return
        missed, gains = [], []
        for read in speeds:
            values = np.full((len(rows), read.pull.width), np.nan)
            values[np.searchsorted(rows, read.rows)] = read.values
            off = values - states[_block(rows, read.pull.speeds)]
            missed.append(np.nan_to_num(off))
            gains.append(np.where(np.isfinite(off), read.gain, 0.0))
        columns = np.concatenate([np.arange(r.pull.speeds.start, r.pull.speeds.stop) for r in speeds])
        machines = [self.world.model if models is None else models[row] for row in rows]
        dofs = columns - self.world.model.nq
        states[rows] = self._impulses.correct(
            machines, states[rows], dofs, np.concatenate(missed, 1), np.concatenate(gains, 1)
        )

    def _turn(self, pull: Pull, gains: Gains, states: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        mj, missed = self.world.mj, np.zeros(3)
        for row, value in zip(rows, values, strict=True):
            turned = states[row, pull.coordinates]
            mj.mju_subQuat(missed, value, turned)  # in the body's own axes, as its rates are
            mj.mju_quatIntegrate(turned, missed, gains.place)
            states[row, pull.coordinates] = turned
            states[row, pull.speeds] += gains.speed * missed / pull.interval_s


def _block(rows: np.ndarray, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """What indexes a block of a matrix, given rows and a span of columns."""
    return rows[:, None], np.arange(columns.start, columns.stop)[None]


def _due(time: np.ndarray, steps: int, step_s: float) -> np.ndarray:
    """int [W, N + 1] which reading, of times [W, M], each physics step is the first after; -1 where none is.

    Of several the newest. What was read before the simulation begins is not due.
    """
    at = np.ceil(time / step_s - _SAME_STEP)
    due = np.full((len(time), steps + 1), -1)
    world, row = np.nonzero((at >= 0) & (at <= steps))
    due[world, at[world, row].astype(int)] = row  # later ones overwrite
    return due

"""Alarms: readings that nothing foresaw, and states or commands that nothing was trained on.

Surprise is judged backwards: what would have been imagined a moment ago, under the commands that were really given, is
compared with what came, by the squared Mahalanobis length of a stream's errors. What is usual is learned from episodes
that were held out, so that a rate of false alarms can be asked for. Few hours hold one false alarm an hour seldom;
beyond what they hold, the tail is taken for a power law (Hill 1975, doi 10.1214/aos/1176343247), which errs towards too
few alarms.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodel.errors import WorldModelError
from worldmodel.imagine.forecaster import Foreseer
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import CONTEXT_FRAMES, Context, Future, Windows
from worldmodel.models.experts.reach import labels

_FLOOR = 0.005  # of a column's deviation, beside the errors that were seen
_TAIL = 0.1  # of the peaks, that the power law is fitted to
_APART_S = 1.0  # alarms that are nearer are one
_BATCH = 128
_LEAST = 1e-9


@dataclasses.dataclass(frozen=True)
class Alarms:
    """What is wrong at a tick; each figure is 1 where an alarm goes off as often as was asked for.

    Attributes:
        at_s: the tick, on the machine's clock.
        surprise: by stream that was read, how improbable it is.
        unfamiliar: by column that lies outside what was trained on.
    """

    at_s: float
    surprise: dict[str, float]
    unfamiliar: dict[str, float]

    @property
    def surprised(self) -> bool:
        return max(self.surprise.values(), default=0.0) > 1

    @property
    def on_unfamiliar_ground(self) -> bool:
        return max(self.unfamiliar.values(), default=0.0) > 1


@dataclasses.dataclass(frozen=True)
class Watch:
    """Scores of windows, and how high they may be.

    Attributes:
        forecaster: who foresees.
        layout: the streams and the tick.
        look: ticks that are looked back over.
        deviation: [D] of each column over the training.
        usual: [S] the median score of each stream that is read.
        surprise_limit: of the greatest of all streams' scores, each in its usual ones.
        outside_limit: of the farthest column, in standard deviations.
    """

    forecaster: Foreseer
    layout: TickLayout
    look: int
    deviation: np.ndarray
    expected: tuple["Errors", ...]
    usual: np.ndarray
    surprise_limit: float
    outside_limit: float

    @classmethod
    def of(
        cls, forecaster: Foreseer, windows: Windows, deviation: Float[np.ndarray, " D"], false_alarms_per_hour: float
    ) -> "Watch":
        """Learns what is usual from the episodes of `windows`, which nothing was trained on.

        Raises:
            WorldModelError: if the rate is not positive.
        """
        if not 0 < false_alarms_per_hour < float("inf"):
            raise WorldModelError("A rate of false alarms is above 0.", found=f"{false_alarms_per_hour}")
        layout, blank = windows.layout, np.ones(len(windows.layout.readings))
        watch = cls(forecaster, layout, windows.horizon, deviation, (), blank, 1.0, 1.0)
        errors, outside = watch._errors_of(windows)
        floors = [np.tile(_FLOOR * deviation[columns], windows.horizon) for columns in layout.columns.values()]
        expected = tuple(Errors.of(each, floor) for each, floor in zip(errors, floors, strict=True))
        watch = dataclasses.replace(watch, expected=expected)
        scores = watch._scores(errors)
        usual = np.nan_to_num(np.nanmedian(np.where(scores > 0, scores, np.nan), 0), nan=1.0)
        episode, apart = windows.starts()[:, 0], max(round(_APART_S / layout.dt), 1)
        limits = [
            limit(x, episode, apart, layout.dt, false_alarms_per_hour)
            for x in ((scores / usual).max(1, initial=0), outside.max(1, initial=0))
        ]
        return dataclasses.replace(watch, usual=usual, surprise_limit=limits[0], outside_limit=limits[1])

    def scores_of(self, windows: Windows) -> tuple[Float[np.ndarray, "N S"], Float[np.ndarray, "N C"]]:
        """Scores of every moment of a log, and how far outside each column is."""
        errors, outside = self._errors_of(windows)
        return self._scores(errors), outside

    def _errors_of(self, windows: Windows) -> tuple[list[np.ndarray], np.ndarray]:
        starts, plain = windows.starts()[:], windows.without_video()
        parts = [self._errors(*plain.cut(starts[i : i + _BATCH], self.look)) for i in range(0, len(starts), _BATCH)]
        errors = [np.concatenate(each) for each in zip(*(part[0] for part in parts), strict=True)]
        return errors, np.concatenate([part[1] for part in parts])

    def judge(self, at_s: float, context: Context, future: Future) -> Alarms:
        """The alarms of one window, whose future came."""
        errors, outside = self._errors(context, future)
        surprise = self._scores(errors)[0] / self.usual / self.surprise_limit
        came = [future.mask[0][:, columns].any() for columns in self.layout.columns.values()]
        read = zip(self.layout.readings, surprise, came, strict=True)
        return Alarms(at_s, {s.name: float(x) for s, x, known in read if known}, self._strange(outside[0]))

    def _strange(self, outside: Float[np.ndarray, " C"]) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, size in zip(labels(self.layout), outside / self.outside_limit, strict=True) if len(outside) else ():
            if size > 0:
                found[name] = max(float(size), found.get(name, 0.0))
        return found

    def _errors(self, context: Context, future: Future) -> tuple[list[np.ndarray], np.ndarray]:
        """Of each stream what came less what was foreseen [B, look * F], NaN where nothing came; and how far each
        column is outside [B, C].
        """
        foreseen = self.forecaster.futures(self._blind(context), future.actions, (), 1)
        error = np.where(future.mask, future.values - foreseen.clean, np.nan)
        return [error[..., part].reshape(len(error), -1) for part in self.layout.columns.values()], foreseen.outside

    def _scores(self, errors: Sequence[np.ndarray]) -> Float[np.ndarray, "B S"]:
        each = [expected.score(error) for expected, error in zip(self.expected, errors, strict=True)]
        return np.stack(each, 1)

    def _blind(self, context: Context) -> Context:
        """Without frames: to look at them takes longer than all else."""
        shape = len(context.values), CONTEXT_FRAMES
        frames = tuple(np.zeros((*shape, *spec.sample_shape), np.uint8) for spec in self.layout.videos)
        return context._replace(frames=frames, frames_mask=tuple(np.zeros(shape, bool) for _ in frames))


class Errors(NamedTuple):
    """How a stream's errors of L numbers are spread where nothing is wrong: mean [L], inverse covariance [L, L]."""

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def of(cls, errors: Float[np.ndarray, "N L"], floor: Float[np.ndarray, " L"]) -> "Errors":
        """From errors of sound machines; none is taken to be surer than `floor`."""
        known = np.isfinite(errors)
        mean = np.where(known, errors, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        left = np.where(known, errors - mean, 0.0)
        return cls(mean, np.linalg.inv(left.T @ left / max(len(left), 1) + np.diag(np.maximum(floor, _LEAST) ** 2)))

    def score(self, errors: Float[np.ndarray, "N L"]) -> Float[np.ndarray, " N"]:
        """Squared Mahalanobis length; what did not come counts as usual."""
        left = np.nan_to_num(errors - self.mean)
        return np.einsum("ni,ij,nj->n", left, self.precision, left, optimize=True)


def limit(scores: Float[np.ndarray, " N"], group: np.ndarray, apart: int, dt: float, per_hour: float) -> float:
    """The level that scores of consecutive ticks rise above so many times an hour.

    Args:
        scores: of every tick.
        group: int [N] the episode of each.
        apart: ticks within which two are one.
        dt: seconds in a tick.
        per_hour: how often.
    """
    wanted, peaks = per_hour * len(scores) * dt / 3600, runs(scores, group, apart)
    tail = np.sort(peaks[peaks > max(float(np.quantile(peaks, 1 - _TAIL)), _LEAST)])
    if len(tail) < 2:
        return max(float(scores.max(initial=0.0)), _LEAST)
    if 1 <= wanted < len(tail):  # there was enough to count
        return float(tail[-int(wanted) - 1])
    shape = np.log(tail / tail[0]).sum() / (len(tail) - 1)
    return float(tail[0] * (len(tail) / wanted) ** shape)


def runs(scores: Float[np.ndarray, " N"], group: np.ndarray, apart: int) -> Float[np.ndarray, " M"]:
    """The greatest of each stretch of `apart` consecutive ticks of an episode."""
    parts = [scores[group == name] for name in np.unique(group)]
    return np.array([part[i : i + apart].max() for part in parts for i in range(0, len(part), apart)])

"""Alarms: readings that nothing foresaw, and states or commands that nothing was trained on.

Surprise is judged backwards: what would have been imagined a moment ago, under the commands that were really given, is
compared with what came, by the squared Mahalanobis length of errors: of each stream's, which tells which one is wrong,
and of all together, which sooner tells that the machine has changed, since they hold how errors go together. The blend
follows a machine that has changed; so the linear expert, which does not, is a witness beside it.

What is usual is learned from episodes that were held out, so that a rate of false alarms can be asked for. Few hours
hold one false alarm an hour seldom; beyond what they hold, the tail is taken for a power law (Hill 1975, doi
10.1214/aos/1176343247): how often there is an alarm is then no more than a guess.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodel.errors import WorldModelError
from worldmodel.imagine.forecaster import Foreseer
from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import CONTEXT_FRAMES, Context, Future, Windows
from worldmodel.models.experts.reach import labels
from worldmodel.terminal import progress_bar

_FLOOR = 0.005  # of a column's deviation, beside the errors that were seen
_TAIL = 0.1  # of the peaks, that the power law is fitted to
_APART_S = 1.0  # alarms that are nearer are one
_BATCH = 128  # windows at once
_LEAST = 1e-9  # against division by nothing
_STEADY = "linear"  # the expert that does not follow a machine that has changed
TOGETHER = "together"


@dataclasses.dataclass(frozen=True)
class Alarms:
    """What is wrong at a tick; each figure is 1 where an alarm goes off as often as was asked for.

    Attributes:
        at_s: the tick, on the machine's clock.
        surprise: by stream that was read, how improbable it is; and `together` all of them.
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

    @property
    def raised(self) -> bool:
        """Whether there is any."""
        return self.surprised or self.on_unfamiliar_ground

    def told(self) -> dict[str, Any]:
        """All of it, in the types that messages have."""
        verdicts = {"surprised": self.surprised, "on_unfamiliar_ground": self.on_unfamiliar_ground}
        return {**dataclasses.asdict(self), **verdicts}


@dataclasses.dataclass(frozen=True)
class Watch:
    """Scores of windows, and how high they may be.

    Attributes:
        forecaster: who foresees.
        layout: the streams and the tick.
        look: ticks that are looked back over.
        deviation: [D] of each column over the training.
        expected: E errors: of each stream, and of all together as each witness has them.
        levels: [E] that each one's score rises above as often as was asked for.
        surprise_limit: of the greatest score, each in its level.
        outside_limit: of the farthest column, in standard deviations.
    """

    forecaster: Foreseer
    layout: TickLayout
    look: int
    deviation: np.ndarray
    expected: tuple["Errors", ...]
    levels: np.ndarray
    surprise_limit: float
    outside_limit: float

    @classmethod
    def of(
        cls,
        forecaster: Foreseer,
        windows: Windows,
        deviation: Float[np.ndarray, " D"],
        false_alarms_per_hour: float,
        progress: bool = False,
    ) -> "Watch":
        """Learns what is usual from the episodes of `windows`, which nothing was trained on, and may show a bar.

        Raises:
            WorldModelError: if the rate is not positive.
        """
        if not 0 < false_alarms_per_hour < float("inf"):
            raise WorldModelError("A rate of false alarms is above 0.", found=f"{false_alarms_per_hour}")
        layout, episode = windows.layout, windows.starts()[:, 0]
        apart = max(round(_APART_S / layout.dt), 1)

        def limit_of(scores: np.ndarray) -> float:
            return limit(scores, episode, apart, layout.dt, false_alarms_per_hour)

        watch = cls(forecaster, layout, windows.horizon, deviation, (), np.ones(0), 1.0, 1.0)
        errors, outside = watch._errors_of(windows, progress)
        expected = tuple(Errors.of(each, floor) for each, floor in zip(errors, watch._floors(errors), strict=True))
        watch = dataclasses.replace(watch, expected=expected, outside_limit=limit_of(outside.max(1, initial=0)))
        scores = watch._scores(errors)
        levels = np.array([limit_of(score) if score.any() else 1.0 for score in scores.T])
        return dataclasses.replace(watch, levels=levels, surprise_limit=limit_of((scores / levels).max(1)))

    def scores_of(self, windows: Windows) -> tuple[Float[np.ndarray, "N E"], Float[np.ndarray, "N C"]]:
        """Scores of every moment of a log, each in its level, and how far outside each column is."""
        errors, outside = self._errors_of(windows)
        return self._scores(errors) / self.levels, outside

    def _errors_of(self, windows: Windows, progress: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
        starts, plain = windows.starts()[:], windows.without_video()
        with progress_bar(show=progress) as bar:
            batches = bar.track(range(0, len(starts), _BATCH), description="learning what is usual")
            parts = [self._errors(*plain.cut(starts[i : i + _BATCH], self.look)) for i in batches]
        errors = [np.concatenate(each) for each in zip(*(part[0] for part in parts), strict=True)]
        return errors, np.concatenate([part[1] for part in parts])

    def judge(self, at_s: float, context: Context, future: Future) -> Alarms:
        """The alarms of one window, whose future came."""
        errors, outside = self._errors(context, future)
        surprise = self._scores(errors)[0] / self.levels / self.surprise_limit
        streams = self.layout.columns.items()
        found = {n: float(x) for (n, part), x in zip(streams, surprise, strict=False) if future.mask[0][:, part].any()}
        return Alarms(at_s, found | {TOGETHER: float(surprise[len(streams) :].max())}, self._strange(outside[0]))

    def _strange(self, outside: Float[np.ndarray, " C"]) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, size in zip(labels(self.layout), outside / self.outside_limit, strict=True) if len(outside) else ():
            if size > 0:
                found[name] = max(float(size), found.get(name, 0.0))
        return found

    def _errors(self, context: Context, future: Future) -> tuple[list[np.ndarray], np.ndarray]:
        """What came less what was foreseen, NaN where nothing came, and how far each column is outside [B, C].

        Of each stream [B, look * F] as the blend foresaw it; then of all together [B, look * D], as the linear expert
        did where there is one, and as it and the blend did.
        """
        asked = self._blind(context), future.actions
        foreseen = self.forecaster.futures(*asked, (), 1)
        said = [foreseen.clean]
        if _STEADY in self.forecaster.names:
            said.insert(0, self.forecaster.alone(_STEADY, *asked))
        errors = [np.where(future.mask, future.values - each, np.nan) for each in said]
        streams = [_flat(errors[-1][..., part]) for part in self.layout.columns.values()]
        together = [np.concatenate([_flat(each) for each in errors[: i + 1]], 1) for i in range(len(errors))]
        return [*streams, *together], foreseen.outside[:, -1]

    def _floors(self, errors: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The least deviation of each of `_errors`."""
        every = [self.deviation[part] for part in self.layout.columns.values()]
        every += [self.deviation] * (len(errors) - len(every))
        return [_FLOOR * np.tile(d, x.shape[1] // max(len(d), 1)) for d, x in zip(every, errors, strict=True)]

    def _scores(self, errors: Sequence[np.ndarray]) -> Float[np.ndarray, "B E"]:
        each = [expected.score(error) for expected, error in zip(self.expected, errors, strict=True)]
        return np.stack(each, 1)

    def _blind(self, context: Context) -> Context:
        """Without frames: to look at them takes longer than all else."""
        shape = len(context.values), CONTEXT_FRAMES
        frames = tuple(np.zeros((*shape, *spec.sample_shape), np.uint8) for spec in self.layout.videos)
        return context._replace(frames=frames, frames_mask=tuple(np.zeros(shape, bool) for _ in frames))


def _flat(x: Float[np.ndarray, "B H F"]) -> Float[np.ndarray, "B L"]:
    return x.reshape(len(x), -1)


class Errors(NamedTuple):
    """How errors of L numbers are spread where nothing is wrong: mean [L], inverse covariance [L, L]."""

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

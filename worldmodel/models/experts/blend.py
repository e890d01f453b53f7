"""The blend of experts: each weighs by its error on left-out episodes, and by how it does in the very context.

Left-out episodes alone cannot tell of a torque that was never seen; the context can. By convexity, the squared error of
the blend is at most the weighted mean of its experts'.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from worldmodel.arrays import evenly, mean_known, namespace
from worldmodel.models.experts.circles import Circles
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.long_run import FAR
from worldmodel.models.experts.steps import Steps
from worldmodel.models.objective import at_sample_times
from worldmodel.types import Array

_SHARPNESS = 3.5  # of weights: an expert with half the squared error of another weighs eleven times as much
_TRUST_CONTEXT = 0.7  # how much being worse than usual in the context counts, beside the error on left-out episodes
_USUAL = 0.3  # of the usual error, added to both sides of that comparison: small errors say little
_QUIET = 0.03  # of the best expert's mean squared error, added to each episode's: one that stands still says little
_SHARED = 0.5  # of how far an expert is behind the best in a column, which all columns of its stream tell
_MOST_SHARED = 16.0  # times the best's squared error, or as much as in the column itself, that each of the others tells
_STILL = 1e-8  # of a column's variance: where no expert errs more, nothing moved
_MOST_UNUSUAL = 400.0  # times the usual squared error, that a context announces
_WIDTH = 1.0  # in the logarithm of horizons: how far a horizon inside the context speaks for others
_FEW, FLATTERED = 2, 4.0  # an expert known from so few episodes counts with so many times its squared error
_LEARNED = 16.0  # and one known from none but those that it learned from with so many times
_LIVELY = np.linspace(0, 0.6, 7)  # shares of a squared error that may grow with how far a column moves
_ABOUT = 9  # horizons, spread evenly in their logarithm, that tell it
_TOLD = 0.01  # of the log likelihood of an error: less is no reason to believe that it does
_APART = 2.0  # times the squared distance of trusted experts from their blend, that squared errors are larger
_RESIDUALS = 256  # windows whose errors members repeat
_UNEXPECTED = 20.0  # times its expected size, that an error is at most: it was expected of too few readings
_AS_FAR, _AS_WIDE = 2.0, 3.0  # times the largest error, or the expected one, that members go at most
_LEAST = 1e-12  # against division by nothing


@dataclasses.dataclass
class Blend:
    """How much each of K experts is trusted.

    Attributes:
        usual: mean squared error on left-out episodes; infinite where an expert says nothing.
        within: the same by stream inside contexts, at `horizons` of them.
        horizons: ticks ahead.
        stream_of: which of the S streams a column is of.
        residuals: what came in left-out windows, less the blend, in units of its expected error; of angles that wrap
            along the circle, in a sine's place, and across it.
        far: [K, Y] mean squared errors over long runs, 0 of who was not asked; of none where no recording is long.
        lively: [Y] the share of an expected squared error that grows with how far the blend moves.
        moves: [H, Y] how far that is on average; of no ticks where it is not known.
        most: [Y] the largest error in left-out windows, in radii of angles that wrap; of a run that has not measured it
            none.
        sign, middle, radius: of `Circles`.
        stepped, size, zero: of `Steps`.
    """

    usual: Float[Array, "K H Y"]
    within: Float[Array, "K E S"]
    horizons: Int[Array, " E"]
    stream_of: Int[Array, " Y"]
    residuals: Float[Array, "N H Y"]
    far: Float[Array, "_ _"] = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    lively: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0))
    moves: Float[Array, "_ _"] = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    most: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0))
    sign: Int[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    middle: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0))
    radius: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0))
    stepped: Int[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    size: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0))
    zero: Float[Array, " _"] = dataclasses.field(default_factory=lambda: np.zeros(0))

    @classmethod
    def fit(
        cls,
        left_out: LeftOut,
        horizons: Sequence[int],
        stream_of: Int[np.ndarray, " Y"],
        circles: Circles | None = None,
        steps: Steps | None = None,
    ) -> "Blend":
        """Measures experts where none of them learned.

        Args:
            left_out: windows of episodes that they had not seen.
            horizons: those of `left_out.within`.
            stream_of: as above.
            circles: of the angles that wrap; None where none does.
            steps: of the sensors that read in steps; None where none does.
        """
        error = pooled_errors(left_out)
        usual = _between(_cautious(error, left_out.groups), np.isfinite(error).any((0, 1)))
        usual = _shared(usual, np.asarray(stream_of))
        within, none = mean_known(left_out.within, 1), np.zeros((0, *usual.shape[1:]))
        blend = cls(usual, within, np.asarray(horizons, int), stream_of, none)
        mean, scale, _ = blend.mix(left_out.ahead, left_out.within)
        left = np.where(left_out.mask, left_out.came - at_sample_times(mean, left_out.age), np.nan)
        way = np.abs(mean - left_out.held[:, None])
        blend.moves = np.nan_to_num(mean_known(way, 0))
        blend.lively = _lively((left / scale) ** 2, way / np.maximum(blend.moves, _LEAST))
        scale = scale * blend._livelier(mean, scale, left_out.held[:, None], np.arange(mean.shape[1]))
        if circles is not None:
            blend.sign, blend.middle, blend.radius = circles
        left = blend._circles.along(left, mean)
        blend.most = np.nan_to_num(np.abs(left)).max((0, 1), initial=0.0)
        left = np.clip(left / blend._circles.even(scale), -_UNEXPECTED, _UNEXPECTED)
        if steps is not None:
            blend.stepped, blend.size, blend.zero = steps
        few = evenly(len(left), _RESIDUALS)
        return dataclasses.replace(blend, residuals=_whole(left)[few].astype(np.float32))

    def joined_by(self, error: Float[np.ndarray, "2 N H Y"], beside: int, like: int, groups: int) -> "Blend":
        """With one more expert, known from other windows than the rest.

        What counts is by how much it errs more there than one of the others: over all columns of a stream, and in a
        column alone where that is more. It is never less than what it errs there: a network's error does not fall with
        the motion of a column, as that of holding does.

        Args:
            error: its squared errors there, and that other's; NaN where nothing came.
            beside: which of the others that is.
            like: which of the others does as it does inside a context, where it is not asked.
            groups: how many episodes the windows are of that it did not learn from; one that is known from few or none
                flatters itself, and pays for it.
        """
        came = np.isfinite(error[1]).any(0)
        own, other = (_between(mean_known(x, 0)[None], came)[0] for x in error)
        ratio = own / np.maximum(other, _LEAST)
        for stream in np.unique(self.stream_of):
            columns = self.stream_of == stream
            whole = mean_known(own[:, columns], -1) / np.maximum(mean_known(other[:, columns], -1), _LEAST)
            ratio[:, columns] = np.fmax(ratio[:, columns], whole[:, None])
        usual = np.nan_to_num(np.fmax(self.usual[beside] * ratio, own), nan=np.inf)
        usual = usual * (_LEARNED if groups == 0 else FLATTERED if groups <= _FEW else 1.0)
        within = np.concatenate([self.within, self.within[like][None]])
        far = np.pad(self.far, ((0, min(len(self.far), 1)), (0, 0)))
        return dataclasses.replace(self, usual=np.concatenate([self.usual, usual[None]]), within=within, far=far)

    def mix(
        self,
        ahead: Float[Array, "K B H Y"],
        within: Float[Array, "K B E S"],
        astray: Float[Array, "K B H Y"] | float = 0.0,
        now: Float[Array, "B 1 Y"] | None = None,
    ) -> tuple[Float[Array, "B H Y"], Float[Array, "B H Y"], Float[Array, "K B H Y"]]:
        """The blend of what experts say, its expected error, a standard deviation, and weights.

        Errors are expected to be as many times the usual ones as they are inside the context; in weights that counts
        less, and only against an expert. They are expected to be larger where trusted experts disagree. Where it is
        told from where (`now`) readings go on, they are also as much larger as those were by which the blend went as
        far: who foretells what a great change of commands does errs more than where nothing happens, and most left-out
        windows are of the latter kind.

        The first tick is weighed as the second: samples before it lie on the line through both, which other weights
        would turn. Beyond the horizon that was measured, errors are those of its end, and the best counts ever more: a
        free run should not be drawn to those that no more than hold a value. From twice that on they are no less than
        those over long runs, in which some leave the track, and than by how far a path has gone `astray`
        (`Reach.astray`): what is to come will hardly be there.
        """
        xp, farthest = namespace(ahead), self.usual.shape[1]
        tick = np.clip(np.arange(ahead.shape[2]), min(1, farthest - 1), farthest - 1)
        sharpness = _SHARPNESS * np.maximum((np.arange(ahead.shape[2]) + 1) / farthest, 1)[:, None]
        usual, (unusual, worse) = xp.log(xp.maximum(self.usual, _LEAST))[:, None, tick], self._inside(within, tick)
        if ahead.shape[2] > FAR * farthest:
            long = (np.arange(ahead.shape[2]) >= FAR * farthest)[:, None]
            drifted = xp.maximum(self.far[:, None, None] if len(self.far) else 0.0, astray**2)
            usual = xp.where(long, xp.maximum(usual, xp.log(xp.maximum(drifted, _LEAST))), usual)
        feared = xp.where(xp.isfinite(ahead), usual + _TRUST_CONTEXT * worse, np.inf)
        best = feared.min(0)
        weights = xp.exp(-sharpness * (feared - xp.where(xp.isfinite(best), best, 0)))
        total = weights.sum(0)
        weights = weights / xp.where(total > 0, total, 1)
        mean = (weights * xp.where(weights > 0, ahead, 0)).sum(0)
        variance = (weights * xp.exp(xp.where(weights > 0, usual + unusual, 0))).sum(0)
        variance = variance + _APART * (weights * xp.where(weights > 0, ahead - mean, 0) ** 2).sum(0)
        scale = xp.sqrt(variance)
        return mean, scale if now is None else scale * self._livelier(mean, scale, now, tick), weights

    def _livelier(
        self,
        mean: Float[Array, "B H Y"],
        scale: Float[Array, "B H Y"],
        now: Float[Array, "B 1 Y"],
        tick: Int[np.ndarray, " H"],
    ) -> Float[Array, "B H Y"] | float:
        """How many times as large an error is as `scale`, which is that of windows that move as far as most do.

        Where none moved within so few ticks, any motion is many times theirs: its error is no larger than all of it.
        """
        if not len(self.moves):
            return 1.0
        xp = namespace(mean)
        way = abs(mean - now)
        grown = xp.sqrt(1 - self.lively + self.lively * way / xp.maximum(self.moves[tick], _LEAST))
        return xp.where(self.lively > 0, xp.minimum(grown, xp.maximum(way / (scale + _LEAST), 1)), 1.0)

    def members(
        self, mean: Float[Array, "B H Y"], scale: Float[Array, "B H Y"], chosen: Int[Array, "B K"]
    ) -> Float[Array, "B K H Y"]:
        """Equally likely futures: about the blend, errors as they came in left-out windows `chosen`, each as a whole.

        So they keep their course over time and across sensors, and grow with the error that the context announces; to
        twice the largest that there was, or to three times what is expected, but no farther: what is all but never
        wrong, such as a charge in steps of half a percent, has errors that are many times the expected ones. Those of
        an angle that wraps are turned to where it points. A sensor that reads in steps reads the nearest: its mean lies
        between two, and errors are next to none where it mostly stands.
        """
        xp, circles = namespace(mean), self._circles
        if not len(self.residuals):
            return xp.repeat(mean[:, None], chosen.shape[1], 1)
        tick = np.minimum(np.arange(mean.shape[1]), self.residuals.shape[1] - 1)
        even = circles.even(scale)[:, None]
        errors = even * xp.asarray(self.residuals)[chosen][:, :, tick]
        if len(self.most):
            farthest = xp.maximum(_AS_FAR * self.most, _AS_WIDE * even)
            errors = xp.clip(errors, -farthest, farthest)
        steps = Steps(self.stepped, self.size, self.zero)
        return steps.as_read(mean[:, None] + circles.back(errors, mean[:, None]))

    def drawn(self, windows: int, count: int, seed: int | Sequence[int]) -> Int[Array, "B K"]:
        """For each member of each window the left-out window whose errors it repeats.

        One seed is of all windows, which then differ; with one for each, a window's members are as if it were alone.
        """
        most = max(len(self.residuals), 1)
        return np.stack([_drawn(most, count, key) for key in keys_of(windows, seed)])

    @property
    def _circles(self) -> Circles:
        return Circles(self.sign, self.middle, self.radius)

    def _inside(self, within: Float[Array, "K B E S"], tick: Int[Array, " H"]) -> tuple[Array, Array]:
        """The logarithm [K, B, H, Y] of how many times its usual squared error each expert makes in this context.

        It is of no more than some hundred times: where nobody ever erred inside of one, by chance, any error is more.
        Then what of it counts against the expert: no more than how many times that of the best one there it errs, since
        a glitch strikes an accurate expert hardest, and all of them; and nothing for doing better, since a quiet
        context says nothing of what is commanded next.
        """
        if not len(self.horizons):
            return np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1))
        xp, usual = namespace(within), self.within[:, None]
        ratio = xp.log((within + _USUAL * usual + _LEAST) / ((1 + _USUAL) * usual + _LEAST))
        best = xp.where(xp.isfinite(within), within, np.inf).min(0)
        ratio = xp.minimum(ratio, np.log(_MOST_UNUSUAL))
        beside = xp.minimum(ratio, xp.log((within + _LEAST) / (best + _LEAST)))
        return self._ahead_of(ratio, tick), xp.maximum(self._ahead_of(beside, tick), 0)

    def _ahead_of(self, inside: Float[Array, "K B E S"], tick: Int[Array, " H"]) -> Float[Array, "K B H Y"]:
        """Means over horizons inside the context, near ones first, for ticks ahead; 0 where none is known."""
        xp, known = namespace(inside), namespace(inside).isfinite(inside)
        distance = np.abs(np.log(tick + 1.0)[:, None] - np.log(self.horizons)[None])
        near = np.exp(-distance / _WIDTH)
        total, count = (near @ x for x in (xp.where(known, inside, 0.0), known.astype(float)))
        return (total / xp.maximum(count, _LEAST))[..., self.stream_of]


@functools.lru_cache(1024)
def _drawn(most: int, count: int, key: tuple[int, int]) -> Int[np.ndarray, " K"]:
    """So many of the numbers below `most`, which one who is asked at every tick draws again and again."""
    return np.random.default_rng(key).integers(most, size=count)


def keys_of(windows: int, seed: int | Sequence[int]) -> list[tuple[int, int]]:
    """Of what is random in each window, of one seed or of one for each."""
    return [(seed, row) for row in range(windows)] if isinstance(seed, int) else [(each, 0) for each in seed]


def _cautious(error: Float[np.ndarray, "K N H Y"], groups: Int[np.ndarray, " N"]) -> Float[np.ndarray, "K H Y"]:
    """Squared errors, their means over each episode averaged as logarithms, and a standard error more.

    Logarithms, since one collision would drown all else, of no less than `_QUIET`, since one episode in which nearly
    nothing moves would, too. The standard error is that of how far an expert is behind the best one, since the next
    episode may be another kind: what is hard for all tells nothing of any.
    """
    each, known = log_errors(error, groups)
    count, mean = known.sum(0), mean_known(each, 0)
    best = np.where(count, mean, np.inf).argmin(0)
    behind = np.where(known, each - np.take_along_axis(each, best[None, None], 1), np.nan)
    deviation = np.sqrt(mean_known((behind - mean_known(behind, 0)) ** 2, 0) / np.maximum(count - 1, 1))
    flattered = np.where((count == 1) & (len(each) > 1), np.log(FLATTERED), 0.0)
    return np.where(count, np.exp(mean + np.nan_to_num(deviation) + flattered), np.inf)


def log_errors(
    error: Float[np.ndarray, "K N H Y"], groups: Int[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "G K H Y"], Bool[np.ndarray, "G K H Y"]]:
    """Logarithms of each episode's mean squared errors, of those that are known and, in their stead, of the others."""
    each = np.stack([_of_episode(error[:, groups == group]) for group in np.unique(groups)])
    known, count = np.isfinite(each), np.isfinite(each).sum(0)
    whole = (count > 0) & (count == count.max(0))
    ruler = np.where(whole, each, np.inf).min(1, keepdims=True)  # who was asked of some is compared with others there
    share = mean_known(each, 0) / np.maximum(mean_known(np.where(known, ruler, np.nan), 0), _LEAST)
    usual = mean_known(np.where(np.isfinite(ruler), ruler, np.nan), 0)
    least = np.where(count, usual * np.nan_to_num(share), np.inf).min(0)
    each = np.log(each + _QUIET * np.where(np.isfinite(least), least, 0) + _LEAST)
    return _completed(each, whole), known


def pooled_errors(left_out: LeftOut) -> Float[np.ndarray, "K N H Y"]:
    """Squared errors of experts, of slow streams over as many ticks as lie between their samples."""
    return _pooled(left_out.squared_errors(left_out.ahead), left_out.mask, left_out.groups)


def _pooled(
    error: Float[np.ndarray, "K N H Y"], came: Bool[np.ndarray, "N H Y"], groups: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "K N H Y"]:
    """Squared errors of a stream slower than the tick, at each tick the mean over as many as lie between its samples.

    Of a hundred windows a few have a sample at a tick: who was right in all of these was so by chance. An episode that
    lacks a stream does not tell how slow it is.
    """
    error, ticks = error.copy(), np.arange(error.shape[2])
    per_episode = np.stack([came[groups == group].sum(1).mean(0) for group in np.unique(groups)])
    each = mean_known(np.where(per_episode > 0, per_episode, np.nan), 0)
    every = np.rint(came.shape[1] / np.maximum(np.nan_to_num(each), 1)).astype(int)
    for column in np.flatnonzero(every > 1):
        half = every[column] / 2
        near = (np.abs(ticks[:, None] - ticks) < half).astype(float)
        own = error[..., column]
        known = np.isfinite(own)
        count = known @ near
        error[..., column] = np.where(count, (np.where(known, own, 0) @ near) / np.maximum(count, 1), np.nan)
    return error


def _between(error: Float[np.ndarray, "K H Y"], came: Bool[np.ndarray, "H Y"]) -> Float[np.ndarray, "K H Y"]:
    """Errors, at ticks at which nothing came on lines, in logarithms, between those at which something did.

    A stream slower than the tick may have come at few of them. Who says nothing at the nearest of these says nothing.
    """
    error, ticks = error.copy(), np.arange(error.shape[1])
    for column in np.flatnonzero(came.any(0) & ~came.all(0)):
        there, missing = np.flatnonzero(came[:, column]), np.flatnonzero(~came[:, column])
        nearest = there[np.abs(missing[:, None] - there).argmin(1)]
        for own in error[:, :, column]:
            known = there[np.isfinite(own[there])]
            if len(known):
                line = np.exp(np.interp(ticks[missing], known, np.log(own[known] + _LEAST)))
                own[missing] = np.where(np.isfinite(own[nearest]), line, own[nearest])
    return error


def _of_episode(error: Float[np.ndarray, "K N H Y"]) -> Float[np.ndarray, "K H Y"]:
    """Means over windows; of who was silent in some as many times those of the others as where it spoke.

    So that who says nothing where it is hard does not look better for that.
    """
    known, mean = np.isfinite(error), mean_known(error, 1)
    count = known.sum(1)
    others = mean_known(np.where((count == count.max(0))[:, None], error, np.nan), 0)
    whole, beside = mean_known(others, 0), mean_known(np.where(known, others, np.nan), 1)
    return mean * (whole + _LEAST) / (beside + _LEAST)


def _lively(error: Float[np.ndarray, "N H Y"], way: Float[np.ndarray, "N H Y"]) -> Float[np.ndarray, " Y"]:
    """The share of squared errors that grows with ways, by the likelihood of normal errors.

    A nonhomogeneous regression (Gneiting et al. 2005) of one number a column, for all horizons alike. Of ways and not
    of their squares: a few windows that go far would be so wide that the spread is twice the error.
    """
    few = np.unique(np.geomspace(1, error.shape[1], _ABOUT).astype(int)) - 1
    error, way = error[:, few], way[:, few]
    told = []
    for share in _LIVELY:
        grown = 1 - share + share * way
        usual = mean_known(error / grown, 0)
        likely = np.where(np.isfinite(error), -np.log(np.maximum(usual * grown, _LEAST)) / 2, np.nan)
        told.append(mean_known(mean_known(likely, 0), 0))
    told = np.nan_to_num(np.stack(told), nan=0.0)
    best = _LIVELY[told.argmax(0)]
    return np.where(told.max(0) > told[0] + _TOLD, best, 0.0)


def _completed(each: Float[np.ndarray, "G K H Y"], whole: Bool[np.ndarray, "K H Y"]) -> Float[np.ndarray, "G K H Y"]:
    """Logarithms of errors by episode; where an expert was not asked, as far from those of the others as elsewhere.

    So that who was only asked where it is easy does not look better for that. `whole` are those asked everywhere.
    """
    others = mean_known(np.where(whole, each, np.nan), 1)[:, None]
    return np.where(np.isfinite(each), each, others + mean_known(each - others, 0))


def _shared(usual: Float[np.ndarray, "K H Y"], stream_of: Int[np.ndarray, " Y"]) -> Float[np.ndarray, "K H Y"]:
    """With part of how far each is behind the best of a column taken from all columns of its stream.

    A few episodes tell more of a stream than of each of its columns. But no other column makes an expert in one far
    worse than it is there: of a switch that hardly moves holding tells all but nothing, and nobody else comes near. Of
    a column that never moved or never came they tell nothing, and all is taken from the others: holding and the mean
    are alike there, until it moves.
    """
    log = np.where(np.isfinite(usual), np.log(usual), np.nan)
    told = np.nan_to_num(usual, posinf=0.0).max(0) > _STILL
    best = np.where(np.isfinite(log).any(0), np.nan_to_num(log, nan=np.inf).min(0), np.nan)
    behind = log - best
    for stream in np.unique(stream_of):
        columns = stream_of == stream
        few = told & columns if (told & columns).any() else told
        level = np.where(np.isnan(best), mean_known(np.where(few, best, np.nan), -1)[:, None], best)
        for column in np.flatnonzero(columns):
            own = behind[..., column]
            most = np.where(told[:, column], np.maximum(own, np.log(_MOST_SHARED)), np.inf)[..., None]
            together = mean_known(np.where(few, np.minimum(behind, most), np.nan), -1)
            own = np.where(told[:, column], own + _SHARED * (together - own), together)
            log[..., column] = level[:, column] + own
    return np.nan_to_num(np.exp(log), nan=np.inf)


def _whole(residuals: Float[np.ndarray, "N H Y"]) -> Float[np.ndarray, "N H Y"]:
    """Residuals filled where nothing came, on lines, and as the first and the last beyond these; then centred.

    They are in units of what is expected at each tick, and so no less before the first: the reading of a sensor slower
    than the tick errs as much as at the tick at which one came. Windows in which nothing came of a column, as they are
    shorter than its interval, have the errors of those in which something did, in turn: none would be no error.
    """
    filled, ticks = np.full(residuals.shape, np.nan), np.arange(residuals.shape[1])
    there = np.isfinite(residuals)
    for window, column in np.argwhere(there.any(1)):
        known = there[window, :, column]
        filled[window, :, column] = np.interp(ticks, ticks[known], residuals[window, known, column])
    for column, came in enumerate(there.any(1).T):
        told, silent = np.flatnonzero(came), np.flatnonzero(~came)
        if len(told):
            filled[silent, :, column] = filled[
                told[np.arange(len(silent)) * len(told) // max(len(silent), 1)], :, column
            ]
    return np.nan_to_num(filled - mean_known(filled, 0))

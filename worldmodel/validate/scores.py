"""Scores of one predictor on one stream. All are taken over the same readings, the same columns, the same weights."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from worldmodel.codecs import Codec, codec
from worldmodel.models.objective import at_sample_times
from worldmodel.types import StreamSpec
from worldmodel.validate.forecast import Forecast
from worldmodel.validate.metrics import (
    Bootstrap,
    covered,
    crps,
    distance_travelled,
    divide,
    nanmean,
    rank_correlation,
    rms,
)
from worldmodel.validate.problem import Came, Problem

_FLOAT32 = 1e-6  # of a value: more than float32 rounds it by, as a reading and as what is foretold of it
_LITTLE = 1e-9  # of a unit, or of how far another column of its unit moves, where that is less
LEVELS = np.linspace(0.1, 0.9, 9)


class Score(NamedTuple):
    """One predictor's figures on one stream at every tick ahead: [H], NaN where undefined (docs/metrics.md).

    Attributes:
        rmse, rmse_reading, crps: in the stream's unit; NaN where its columns have several.
        nrmse, nrmse_low, nrmse_high, gap_low, gap_high, ncrps, coverage50, coverage90, spread_skill,
            rank_correlation: without unit.
        percent_of_distance: of positions.
        column_rmse, column_crps: [H, E] of each component of an error, in its unit.
        column_nrmse: [H, N] of those that the figures above are made of.
    """

    rmse: np.ndarray
    rmse_reading: np.ndarray
    nrmse: np.ndarray
    nrmse_low: np.ndarray
    nrmse_high: np.ndarray
    gap_low: np.ndarray
    gap_high: np.ndarray
    crps: np.ndarray
    ncrps: np.ndarray
    coverage50: np.ndarray
    coverage90: np.ndarray
    spread_skill: np.ndarray
    rank_correlation: np.ndarray
    percent_of_distance: np.ndarray
    column_rmse: np.ndarray
    column_crps: np.ndarray
    column_nrmse: np.ndarray


class Still(NamedTuple):
    """Columns of a stream that are in none of its figures, unless it has no other: they tell nothing of a predictor.

    Attributes:
        trained: those that stood still in all that was learned from.
        measured: those that stand still, or were never read, in what is measured.
        whole: whether no other is left, so that there is no verdict on the stream.
    """

    trained: tuple[str, ...]
    measured: tuple[str, ...]
    whole: bool


class Errors(NamedTuple):
    """One predictor's errors on one stream.

    Attributes:
        truth: [W, H, E] of its mean against what was true; readings: against what was recorded.
        members: [W, K, H, E] of its members against what was recorded; None where it gives one prediction.
        outcome: [W, H, E] its mean less what came in the first of the futures that part from one state; None where
            none part.
    """

    truth: np.ndarray
    readings: np.ndarray
    members: np.ndarray | None
    outcome: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """What all predictors of one stream are measured by.

    Attributes:
        codec: what the stream is.
        known: bool [W, H, E] the readings that count.
        deviation: [E] standard deviation of what came.
        rounding: [E] how far float32 rounds such values: a reading that stands still lies in an interval of no width.
        counted: int [N] the components that make the stream's figures: of those that its codec names, the ones that
            moved in training and move here (or, if none does, all). Each weighs the same, divided by its deviation.
        interval: ticks from one sample to the next: a slow stream is scored over so many.
        still: the columns that are not counted.
    """

    codec: Codec
    known: np.ndarray
    deviation: np.ndarray
    rounding: np.ndarray
    counted: np.ndarray
    interval: int
    still: Still

    @classmethod
    def of(cls, problem: Problem, spec: StreamSpec) -> "Yardstick":
        what, known = codec(spec), problem.truth.known(spec.name)
        deviation, rounding = _deviation(what, problem.truth.truth[spec.name].values, known)
        named = np.arange(len(what.error_labels))[what.figure]
        moving, learned = np.isfinite(deviation), ~problem.unmoved.get(spec.name, np.zeros(len(deviation), bool))
        judged = named[(moving & learned)[named]]
        trained, measured = (tuple(what.error_labels[i] for i in named if not there[i]) for there in (learned, moving))
        return cls(
            what, what.error_mask(known), deviation, rounding, judged if len(judged) else named,
            problem.layout.interval(spec), Still(trained, measured, not len(judged)),
        )  # fmt: skip

    @property
    def unit(self) -> str:
        """The unit of the figures; empty if the columns have several."""
        units = {self.codec.error_units[i] for i in self.counted}
        return units.pop() if self.one_unit else ""

    @property
    def one_unit(self) -> bool:
        return len({self.codec.error_units[i] for i in self.counted}) == 1

    def sums(self, values: Num[np.ndarray, "W H E"]) -> tuple[Float[np.ndarray, "W H E"], Float[np.ndarray, "W H E"]]:
        """Sums [W, H, E] and counts of what is known in the sample interval up to each tick."""
        return _pooled(values, self.known, self.interval)

    def columns(self, values: Num[np.ndarray, "W H E"]) -> Float[np.ndarray, "H E"]:
        """Mean [H, E] over all starts."""
        total, count = self.sums(values)
        return divide(total.sum(0), count.sum(0))

    def across(self, columns: Float[np.ndarray, "H E"]) -> Float[np.ndarray, " H"]:
        """Mean [H] over the columns that count, of figures [H, E]."""
        return nanmean(columns[:, self.counted])

    def joined(self, squares: Float[np.ndarray, "H E"]) -> Float[np.ndarray, " H"]:
        """One root mean square [H] in the stream's unit, of a distance the root of the sum; of mean squares [H, E]."""
        if not self.one_unit:
            return np.full(len(squares), np.nan)
        times = len(self.counted) if self.codec.distance else 1
        return np.sqrt(times * self.across(squares))


def errors_of(forecast: Forecast, problem: Problem, spec: StreamSpec) -> Errors:
    """Errors of a forecast, asked at the times when the samples were really taken, like that of every predictor."""
    what, came, true = codec(spec), problem.truth.recorded[spec.name], problem.truth.truth[spec.name]
    mean, members = forecast.mean[spec.name], forecast.members.get(spec.name)
    return Errors(
        _residual(what, mean, true),
        _residual(what, mean, came),
        None if members is None else _residual(what, members, came),
        _residual(what, mean, true._replace(values=_first(problem, true))) if _parts(problem) else None,
    )


def _parts(problem: Problem) -> bool:
    """Whether several of its futures part from one state."""
    return problem.kind == "counterfactual"


def _first(problem: Problem, came: Came) -> Float[np.ndarray, "W H P"]:
    """For each start, what came in the first future from the same state."""
    _, first, group = np.unique(problem.groups, return_index=True, return_inverse=True)
    return came.values[first][group]


def _residual(what: Codec, prediction: Float[np.ndarray, "W *k H P"], came: Came) -> Float[np.ndarray, "W *k H E"]:
    """Error [W, ..., H, E] of predictions [W, ..., H, P] at ticks, taken to the moments of the samples."""
    age, values = came.age_ticks[..., None], came.values
    if prediction.ndim > values.ndim:
        age, values = age[:, None], values[:, None]
    age = np.where(np.isfinite(age), age, 0)
    return what.residual(what.physical(at_sample_times(what.features_of(prediction), age)), values)


def score_stream(
    errors: Errors, problem: Problem, stick: Yardstick, bootstrap: Bootstrap, subject: Errors | None = None
) -> Score:
    """A predictor's figures on a stream.

    Args:
        errors: its own.
        problem: whose starts they are of.
        stick: the stream's.
        bootstrap: of the problem's groups.
        subject: errors of the predictor that it is compared with, by default itself.
    """
    total, count = stick.sums(errors.truth**2)
    squares, scale = divide(total.sum(0), count.sum(0)), stick.deviation[stick.counted]
    rmse, nrmse = stick.joined(squares), np.sqrt(stick.across(squares / stick.deviation**2))
    share, counts = total[..., stick.counted] / scale**2, count[..., stick.counted]
    theirs = share if subject is None else stick.sums(subject.truth**2)[0][..., stick.counted] / scale**2
    low, high = bootstrap.interval(share, counts)
    gap_low, gap_high = bootstrap.interval_of_gap(share, theirs, counts)
    column_crps = stick.columns(crps(errors.readings[:, None] if errors.members is None else errors.members))
    return Score(
        rmse=rmse,
        rmse_reading=stick.joined(stick.columns(errors.readings**2)),
        nrmse=nrmse,
        nrmse_low=low,
        nrmse_high=high,
        gap_low=gap_low,
        gap_high=gap_high,
        crps=stick.across(column_crps) if stick.one_unit else np.full(len(rmse), np.nan),
        ncrps=stick.across(column_crps / stick.deviation),
        coverage50=_coverage(errors, stick, 0.5),
        coverage90=_coverage(errors, stick, 0.9),
        spread_skill=_spread_skill(errors, stick),
        rank_correlation=_rank_correlation(errors, problem, stick),
        percent_of_distance=_percent(rmse, problem, stick.codec),
        column_rmse=np.sqrt(squares),
        column_crps=column_crps,
        column_nrmse=np.sqrt(squares[:, stick.counted]) / scale,
    )


def calibration_of(errors: Errors | None, stick: Yardstick) -> np.ndarray:
    """Share [L] of the readings within the members' central intervals at `LEVELS`, over all horizons."""
    if errors is None or errors.members is None:
        return np.full(len(LEVELS), np.nan)
    known = stick.known[..., stick.counted]
    members, rounding = errors.members[..., stick.counted], stick.rounding[stick.counted]
    inside = [(covered(members, level, rounding) & known).sum((0, 1)) for level in LEVELS]
    return nanmean(divide(np.array(inside, float), known.sum((0, 1))))


def _coverage(errors: Errors, stick: Yardstick, level: float) -> Float[np.ndarray, " H"]:
    if errors.members is None:
        return np.full(errors.truth.shape[1], np.nan)
    return stick.across(stick.columns(covered(errors.members, level, stick.rounding).astype(float)))


def _spread_skill(errors: Errors, stick: Yardstick) -> Float[np.ndarray, " H"]:
    """Root mean variance of the members over the root mean square error of their mean."""
    if errors.members is None:
        return np.full(errors.truth.shape[1], np.nan)
    spread, skill = errors.members.var(1, ddof=1), errors.members.mean(1) ** 2
    return np.sqrt(divide(*(stick.across(stick.columns(x) / stick.deviation**2) for x in (spread, skill))))


def _rank_correlation(errors: Errors, problem: Problem, stick: Yardstick) -> Float[np.ndarray, " H"]:
    """How well the order is predicted [H] in which commands bring about outcomes, of futures that part from one state.

    A column counts in a state whose futures part by more than a hundredth of its deviation: a puck that none of them
    touches has no order.
    """
    if errors.outcome is None:
        return np.full(errors.truth.shape[1], np.nan)
    true = problem.truth.truth[stick.codec.spec.name]
    outcome = np.where(stick.known, stick.codec.residual(true.values, _first(problem, true)), np.nan) / stick.deviation
    for rows in (problem.groups == group for group in np.unique(problem.groups)):
        outcome[rows] = np.where(outcome[rows].std(0) > 0.01, outcome[rows], np.nan)
    predicted = np.round(errors.outcome / stick.deviation, 4)  # what is predicted alike is a tie
    return stick.across(rank_correlation(predicted, outcome, problem.groups))


def _percent(rmse: Float[np.ndarray, " H"], problem: Problem, what: Codec) -> Float[np.ndarray, " H"]:
    """A position's error [H] in percent of the way that the machine went, both as root mean squares."""
    if what.track is None:
        return np.full(len(rmse), np.nan)
    true, plane = problem.truth.truth[what.spec.name], list(what.track)
    travelled = distance_travelled(true.values[..., plane], np.all(true.mask[..., plane], -1), problem.dt)
    return 100 * divide(rmse, rms(travelled, np.isfinite(travelled), 0))


def _deviation(
    what: Codec, values: Float[np.ndarray, "W H P"], known: Bool[np.ndarray, "W H P"]
) -> tuple[Float[np.ndarray, " E"], Float[np.ndarray, " E"]]:
    """Standard deviation [E] of what came [W, H, P] where `known`, NaN of what never moves; how far float32 rounds it.

    Angles deviate from their circular mean, attitudes from the mean attitude. What moves by next to nothing beside the
    others of its unit does not move: a simulated axis at rest trembles by its arithmetic.
    """
    flat, there = values.reshape(-1, values.shape[-1]), known.reshape(-1, values.shape[-1])
    mean = what.mean(flat, there)
    std = rms(what.residual(flat, np.nan_to_num(mean)), what.error_mask(there), 0)
    size = np.abs(mean) + std if len(mean) == len(std) else np.zeros(len(std))
    rounding = _FLOAT32 * np.nan_to_num(size)
    units = np.array(what.error_units)
    most = np.array([np.fmax.reduce(std[units == unit]) for unit in units])
    return np.where(std > np.fmax(_LITTLE * np.fmin(most, 1), rounding), std, np.nan), rounding


def _pooled(
    values: Num[np.ndarray, "W H E"], mask: Bool[np.ndarray, "W H E"], width: int
) -> tuple[Float[np.ndarray, "W H E"], Float[np.ndarray, "W H E"]]:
    """Sums over the `width` ticks up to each tick: of a sample interval, in which a slow stream has one reading."""
    total, count = np.where(mask, values, 0), mask.astype(float)

    def window(x: np.ndarray) -> np.ndarray:
        padded = np.concatenate([np.zeros((len(x), width, *x.shape[2:])), np.cumsum(x, 1)], 1)
        return padded[:, width:] - padded[:, :-width]

    return window(total), window(count)

"""What faults of sensors cost: the same starts, asked with all that was seen, and with part of it missing or wrong."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.logs.windows import Windows
from worldmodel.training.run import Run
from worldmodel.types import StreamSpec
from worldmodel.validate.carried import carried
from worldmodel.validate.faults import drop, fastest, freeze, positions, sensors, stick
from worldmodel.validate.forecast import Forecast, Predictor, ask, name_of
from worldmodel.validate.metrics import Bootstrap, divide
from worldmodel.validate.predictors import Model, rivals
from worldmodel.validate.problem import Problem, problem_of
from worldmodel.validate.scores import Score, Yardstick, errors_of, score_stream
from worldmodel.validate.video import VideoScore, score_video

OUT_S = 10.0  # that positions are out
_BESIDE = ("network", "hold", "linear", "ridge", "dead_reckoning")
_STARTS = 128
_STUCK = 4  # sensors that stick in turn, the fastest


class Cost(NamedTuple):
    """What a fault costs one predictor on one stream.

    Attributes:
        without, faulty: its figures at the same starts.
        ratio, low, high: [H] how many times its `nrmse` is with the fault, and the 95 % bootstrap interval over
            episodes of that.
    """

    without: Score
    faulty: Score
    ratio: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Outage(NamedTuple):
    """One fault, and what it costs.

    Attributes:
        name: a word or two; text: a sentence.
        hit: the streams that it is of.
        episodes, starts: how many were asked.
        costs: by stream and predictor.
        video: by video and predictor, figures without and with the fault.
        trust: by stream and expert, shares [H] of the blend without and with the fault.
        raw_fix: [H] where positions are out, and truth is known: the distance of a fix from it, a root mean square.
    """

    name: str
    text: str
    hit: tuple[str, ...]
    episodes: int
    starts: int
    costs: dict[str, dict[str, Cost]]
    video: dict[str, dict[str, tuple[VideoScore, VideoScore]]]
    trust: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]
    raw_fix: np.ndarray | None = None


class _Fault(NamedTuple):
    """A fault of streams: how a predictor is asked under it."""

    name: str
    text: str
    hit: tuple[StreamSpec, ...]
    asked: Callable[[Predictor, Problem], Forecast]


def outages(run: Run, windows: Windows, seed: int = 0, max_starts: int = _STARTS) -> list[Outage]:
    """What each fault that the streams admit costs the run, its network alone, and the strongest baselines.

    Args:
        run: whose predictions are measured.
        windows: of episodes that it has not seen.
        seed: of members, of what is lost, and of the bootstrap.
        max_starts: how many moments to start from at most, evenly over the log.
    """
    asked = [Model(run, seed), *(p for p in rivals(run) if name_of(p) in _BESIDE)]
    problem = problem_of(windows, name="outages", max_starts=max_starts)
    quiet = dataclasses.replace(problem, frame_ticks={})
    found = []
    for fault in _faults(problem, seed):
        shown = problem if fault.hit[0].kind == "video" else quiet
        found.append(_cost(fault, shown, asked, seed))
    return [*_positions_out(windows, asked, seed, max_starts), *found]


def _faults(problem: Problem, seed: int) -> Iterator[_Fault]:
    half = problem.context.values.shape[1] // 2
    since = f"{half * problem.dt:.2g} s"
    if problem.layout.videos:
        videos = problem.layout.videos
        yield _Fault(
            f"{_names(videos)} frozen", f"The last frame of {since} before repeats, stamped as new.", videos,
            lambda p, q: ask(p, freeze(q, half)),
        )  # fmt: skip
    if imu := fastest(problem):
        yield _Fault(
            f"half of {_names(imu)} lost", "Every other sample is lost, at random, in the whole context.", imu,
            lambda p, q: ask(p, drop(q, imu, seed=seed)),
        )  # fmt: skip
    for spec in sensors(problem)[:_STUCK]:
        yield _Fault(
            f"{spec.name} stuck", f"It has read the same value for {since}.", (spec,),
            lambda p, q, spec=spec: ask(p, stick(q, spec, half)),
        )  # fmt: skip


def _positions_out(windows: Windows, asked: Sequence[Predictor], seed: int, max_starts: int) -> Iterator[Outage]:
    """Of each stream that tells positions; as long as the episodes have room for, at most `OUT_S`."""
    room = int(windows.ticks.lengths.max()) - windows.horizon - windows.context
    ticks = min(round(OUT_S / windows.layout.dt), room)
    if ticks < 1:
        return
    problem = problem_of(windows, name="outages", max_starts=max_starts, after=ticks)
    problem = dataclasses.replace(problem, frame_ticks={})
    for spec in positions(problem):
        text = f"No reading for the last {ticks * windows.layout.dt:.3g} s; all other sensors go on."
        fault = _Fault(f"{spec.name} out", text, (spec,), lambda p, q, spec=spec: carried(p, q, spec, ticks))
        yield _cost(fault, problem, asked, seed)._replace(raw_fix=_raw(problem, spec))


def _cost(fault: _Fault, problem: Problem, asked: Sequence[Predictor], seed: int) -> Outage:
    without = {name_of(p): ask(p, problem) for p in asked}
    faulty = {name_of(p): fault.asked(p, problem) for p in asked}
    bootstrap, subject = Bootstrap.of(problem.groups, seed), name_of(asked[0])
    films = [score_video(problem, forecasts) for forecasts in (without, faulty)]
    trust = [forecasts[subject].trust for forecasts in (without, faulty)]
    return Outage(
        fault.name, fault.text, tuple(s.name for s in fault.hit), len(np.unique(problem.groups)), len(problem.starts),
        {s.name: _of_stream(problem, s, without, faulty, bootstrap) for s in problem.readings},
        {name: {p: (table[p], films[1][name][p]) for p in table} for name, table in films[0].items()},
        {s: {e: (share, trust[1][s][e]) for e, share in shares.items()} for s, shares in trust[0].items()},
    )  # fmt: skip


def _of_stream(
    problem: Problem,
    spec: StreamSpec,
    without: Mapping[str, Forecast],
    faulty: Mapping[str, Forecast],
    chance: Bootstrap,
) -> dict[str, Cost]:
    stick_ = Yardstick.of(problem, spec)
    costs = {}
    for name in without:
        if spec.name not in without[name].mean or spec.name not in faulty[name].mean:
            continue
        both = [errors_of(forecasts[name], problem, spec) for forecasts in (without, faulty)]
        scores = [score_stream(errors, problem, stick_, chance) for errors in both]
        deviation = stick_.deviation[stick_.counted]
        (ours, count), (theirs, _) = ([x[..., stick_.counted] for x in stick_.sums(e.truth**2)] for e in both)
        low, high = chance.interval_of_ratio(theirs / deviation**2, ours / deviation**2, count)
        costs[name] = Cost(*scores, divide(scores[1].nrmse, scores[0].nrmse), low, high)
    return costs


def _raw(problem: Problem, spec: StreamSpec) -> np.ndarray | None:
    """Root mean square distance [H] of fixes from the truth; None where they are all that is known."""
    if not problem.truth.noise_free:
        return None
    measure = Yardstick.of(problem, spec)
    error = measure.codec.residual(problem.truth.recorded[spec.name].values, problem.truth.truth[spec.name].values)
    return measure.joined(measure.columns(error**2))


def _names(streams: Sequence[StreamSpec]) -> str:
    return ", ".join(s.name for s in streams)

"""What faults of sensors cost: the same starts, asked with all that was seen, and with part of it missing or wrong."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from rich.progress import track

from worldmodel.foreteller import Foreteller
from worldmodel.logs.windows import Windows
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
MOST_STARTS = 128
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
    """A fault of streams: the starts that it is asked at, and how a predictor is asked under it."""

    name: str
    text: str
    hit: tuple[StreamSpec, ...]
    problem: Problem
    asked: Callable[[Predictor], Forecast]


def outages(
    run: Foreteller, windows: Windows, seed: int = 0, max_starts: int = MOST_STARTS, progress: bool = False
) -> list[Outage]:
    """What each fault that the streams admit costs a run, its network alone, or a scene, and the strongest baselines.

    Args:
        run: a run or a scene, whose predictions are measured.
        windows: of episodes that it has not seen.
        seed: of members, of what is lost, and of the bootstrap.
        max_starts: how many moments to start from at most, evenly over the log.
        progress: show a bar.
    """
    asked = [Model(run, seed), *(p for p in rivals(run) if name_of(p) in _BESIDE)]
    make = partial(problem_of, windows, name="outages", max_starts=max_starts, unmoved=run.unmoved)
    faults = [*_positions_out(windows, make), *_others(windows, seed, make)]
    return [_cost(fault, asked, seed) for fault in track(faults, "outages", disable=not progress)]


def _positions_out(windows: Windows, make: Callable[..., Problem]) -> Iterator[_Fault]:
    """Of each stream that tells positions; as long as the episodes have room for, at most `OUT_S`."""
    room = int(windows.ticks.lengths.max()) - windows.horizon - windows.context
    ticks = min(round(OUT_S / windows.layout.dt), room)
    if ticks < 1:
        return
    problem = _unseen(make(after=ticks))
    text = f"No reading for the last {ticks * problem.dt:.3g} s; all other sensors go on."
    for spec in positions(problem):
        yield _Fault(
            f"{spec.name} out", text, (spec,), problem, partial(carried, problem=problem, stream=spec, ticks=ticks)
        )


def _others(windows: Windows, seed: int, make: Callable[..., Problem]) -> Iterator[_Fault]:
    shown = make()
    problem, half = _unseen(shown), windows.context // 2
    since = f"{half * problem.dt:.2g} s"
    if cameras := problem.layout.videos:
        text = f"The last frame of {since} before repeats, stamped as new."
        yield _Fault(f"{_names(cameras)} frozen", text, cameras, shown, partial(ask, problem=freeze(shown, half)))
    if imu := fastest(problem):
        text = "Half of the samples of the whole context are lost, at random."
        lost = drop(problem, imu, seed=seed)
        yield _Fault(f"half of {_names(imu)} lost", text, imu, problem, partial(ask, problem=lost))
    for spec in sensors(problem)[:_STUCK]:
        text = f"It has read the same value for {since}."
        yield _Fault(f"{spec.name} stuck", text, (spec,), problem, partial(ask, problem=stick(problem, spec, half)))


def _unseen(problem: Problem) -> Problem:
    """The problem without a question for frames, which cost far more than all else."""
    return dataclasses.replace(problem, frame_ticks={})


def _cost(fault: _Fault, asked: Sequence[Predictor], seed: int) -> Outage:
    problem, subject = fault.problem, name_of(asked[0])
    without = {name_of(p): ask(p, problem) for p in asked}
    faulty = {name_of(p): fault.asked(p) for p in asked}
    chance = Bootstrap.of(problem.groups, seed)
    films = [score_video(problem, forecasts) for forecasts in (without, faulty)]
    trust = [forecasts[subject].trust for forecasts in (without, faulty)]
    return Outage(
        name=fault.name,
        text=fault.text,
        hit=tuple(spec.name for spec in fault.hit),
        episodes=len(np.unique(problem.groups)),
        starts=len(problem.starts),
        costs={spec.name: _of_stream(problem, spec, without, faulty, chance) for spec in problem.readings},
        video={name: {p: (seen, films[1][name][p]) for p, seen in table.items()} for name, table in films[0].items()},
        trust={s: {e: (share, trust[1][s][e]) for e, share in shares.items()} for s, shares in trust[0].items()},
        raw_fix=raw_fix(problem, fault.hit[0]) if fault.hit[0] in positions(problem) else None,
    )


def _of_stream(
    problem: Problem,
    spec: StreamSpec,
    without: Mapping[str, Forecast],
    faulty: Mapping[str, Forecast],
    chance: Bootstrap,
) -> dict[str, Cost]:
    measure, costs = Yardstick.of(problem, spec), {}
    for name in (p for p in without if spec.name in without[p].mean and spec.name in faulty[p].mean):
        both = [errors_of(forecasts[name], problem, spec) for forecasts in (without, faulty)]
        ours, theirs = (score_stream(errors, problem, measure, chance) for errors in both)
        sums, counts = zip(*(measure.sums(errors.truth**2) for errors in both), strict=True)
        shares = [(x / measure.deviation**2)[..., measure.counted] for x in sums]
        low, high = chance.interval_of_ratio(shares[1], shares[0], counts[0][..., measure.counted])
        costs[name] = Cost(ours, theirs, divide(theirs.nrmse, ours.nrmse), low, high)
    return costs


def raw_fix(problem: Problem, spec: StreamSpec) -> np.ndarray | None:
    """Root mean square distance [H] of fixes from the truth; None where they are all that is known."""
    if not problem.truth.noise_free:
        return None
    measure = Yardstick.of(problem, spec)
    error = measure.codec.residual(problem.truth.recorded[spec.name].values, problem.truth.truth[spec.name].values)
    return measure.joined(measure.columns(error**2))


def _names(streams: Sequence[StreamSpec]) -> str:
    return ", ".join(s.name for s in streams)

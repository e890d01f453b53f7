"""Says in plain language, from the figures, where the model beats what and where it does not."""

import enum
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from worldmodel.report.notes import Note, notes
from worldmodel.validate.labels import (
    Scores,
    is_floor,
    is_part,
    is_rival,
    judged,
    listed,
    look,
    nearest,
    number,
    overall,
    seconds,
)
from worldmodel.validate.result import Result

_TIMES = 3  # an error so much larger is told as a multiple


class Verdict(enum.IntEnum):
    """How the model fares beside another predictor. Clearly: the 95 % interval of their difference excludes 0."""

    CLEARLY_BETTER = 2
    BETTER = 1
    LEVEL = 0
    WORSE = -1
    CLEARLY_WORSE = -2


_SENTENCES: dict[Verdict, Callable[[str, bool], str]] = {
    Verdict.CLEARLY_BETTER: lambda names, _: f"clearly beats {names}",
    Verdict.BETTER: lambda names, _: f"beats {names}",
    Verdict.LEVEL: lambda names, _: f"within the noise of {names}",
    Verdict.WORSE: lambda names, many: f"{names} {'are' if many else 'is'} better",
    Verdict.CLEARLY_WORSE: lambda names, many: f"{names} {'are' if many else 'is'} clearly better",
}


class StreamSummary(NamedTuple):
    """One stream in words; `badge` says how the model fares beside the baselines, `tone` is its first word."""

    name: str
    badge: str
    text: str

    @property
    def tone(self) -> str:
        return self.badge.split()[0]


class Summary(NamedTuple):
    """The whole in words: about all streams, each stream, and what to mind."""

    headline: list[str]
    streams: list[StreamSummary]
    notes: list[Note]


def summarise(result: Result) -> Summary:
    """The summary of a result, computed from its figures only."""
    streams = judged(result)
    return Summary(
        [text for text in (_worse(streams), _overall(result), _count(streams)) if text],
        [StreamSummary(stream.name, badge(stream), describe(stream)) for stream in streams],
        notes(result),
    )


def verdicts(stream: Scores, other: str) -> list[Verdict | None]:
    """The verdict at each horizon; None where either is undefined."""
    return [_verdict(stream, other, index) for index in range(len(stream.horizons))]


def _verdict(stream: Scores, other: str, index: int) -> Verdict | None:
    key, sign = ("psnr", 1) if stream.is_video else ("nrmse", -1)
    ours, theirs = stream.get(stream.subject, key, index), stream.get(other, key, index)
    if ours is None or theirs is None:
        return None
    low, high = stream.get(other, "gap_low", index), stream.get(other, "gap_high", index)
    if not stream.intervals or low is None or high is None:
        return Verdict(int(np.sign(sign * (ours - theirs))))
    if low > 0:
        return Verdict.CLEARLY_BETTER
    return Verdict.CLEARLY_WORSE if high < 0 else Verdict.LEVEL


def describe(stream: Scores) -> str:
    """One stream in words: beside what the model is better, level and worse, and over which horizons."""
    judged = {other: verdicts(stream, other) for other in stream.others if not is_part(other)}
    clauses = [clause for verdict in Verdict if (clause := _clause(stream, judged, verdict))]  # best first
    sentences = [f"{clause[0].upper()}{clause[1:]}." for clause in clauses] or ["There is nothing to compare here."]
    return " ".join(filter(None, [_useless(stream), *sentences, _figures(stream)]))


def _clause(stream: Scores, judged: dict[str, list[Verdict | None]], verdict: Verdict) -> str:
    """All predictors with this verdict, those with the same horizons named together."""
    groups: dict[str, list[str]] = {}
    for other, found in judged.items():
        where = _spans(found, verdict, stream.horizons)
        if where:
            groups.setdefault(where, []).append(_spoken(stream, other))
    if verdict >= Verdict.LEVEL:
        joined = "; ".join(f"{listed(names)} {where}" for where, names in groups.items())
        return _SENTENCES[verdict](joined, False) if joined else ""
    return "; ".join(f"{_SENTENCES[verdict](listed(names), len(names) > 1)} {where}" for where, names in groups.items())


def _spans(found: list[Verdict | None], wanted: Verdict, horizons: list[float]) -> str:
    """'up to 0.1 s and from 1 s to 3 s': where the verdict is `wanted`; unknown horizons are passed over."""
    known = [
        (horizon, verdict == wanted) for horizon, verdict in zip(horizons, found, strict=True) if verdict is not None
    ]
    return _where([horizon for horizon, _ in known], [holds for _, holds in known])


def _where(horizons: list[float], holds: list[bool]) -> str:
    if not any(holds):
        return ""
    if all(holds):
        return "at every horizon" if len(horizons) > 1 else f"at {seconds(horizons[0])}"
    edges = np.flatnonzero(np.diff([False, *holds, False]))
    return listed([_run(horizons, first, last - 1) for first, last in edges.reshape(-1, 2)])


def _run(horizons: list[float], first: int, last: int) -> str:
    if first == last:
        return f"at {seconds(horizons[first])}"
    if first == 0:
        return f"up to {seconds(horizons[last])}"
    return f"from {seconds(horizons[first])} to {seconds(horizons[last])}"


def _figures(stream: Scores) -> str:
    """The stream's one figure near one second, beside the best baseline's and the floor's."""
    index, measure = nearest(stream.horizons, 1.0), stream.measure
    if stream.shown(stream.subject, index) is None:
        return ""
    unit = f" {measure.unit}" if measure.unit else ""
    named = [f"{number(stream.shown(stream.subject, index))}{unit}"]
    baseline = stream.best(index, [other for other in stream.others if is_rival(other)] or ["none"])
    for other in [baseline, *filter(is_floor, stream.others)]:
        if other and (value := stream.shown(other, index)) is not None:
            best = "" if is_floor(other) or stream.is_video else "the best baseline, "
            named.append(f"{best}{_spoken(stream, other)}{',' if best else ''} {number(value)}{unit}")
    return f"{measure.title[0].upper()}{measure.title[1:]} at {seconds(stream.horizons[index])}: {'; '.join(named)}."


def _useless(stream: Scores) -> str:
    """Where the subject is worse than the average of all readings, or than the mean frame."""
    where = _below_average(stream)
    if stream.is_video:
        return f"Worse than the mean frame {where}." if where else ""
    return f"Worse than naming the average {where} (NRMSE above 1)." if where else ""


def _below_average(stream: Scores) -> str:
    """The horizons, in words; empty if there are none."""
    judged: list[tuple[float, bool]] = []
    for i, horizon in enumerate(stream.horizons):
        if stream.is_video:
            ours, least = stream.get(stream.subject, "psnr", i), stream.get("mean", "psnr", i)
        else:
            ours, least = stream.get(stream.subject, "nrmse", i), 1.0
        if ours is not None and least is not None:
            judged.append((horizon, ours < least if stream.is_video else ours > least))
    return _where([horizon for horizon, _ in judged], [worse for _, worse in judged])


def _worse(streams: list[Scores]) -> str:
    """The streams on which the subject is worse than naming the average, which is said before anything else."""
    found = [f"{stream.name} {where}" for stream in streams if (where := _below_average(stream))]
    return f"Worse than naming the average: {'; '.join(found)}." if found else ""


def badge(stream: Scores) -> str:
    """How the model fares beside all baselines, in a word or two; the floor does not count.

    Returns:
        `ahead` (from some horizon on, perhaps), `behind`, `level`, `mixed`, or `unknown` where nothing is comparable.
    """
    rows = [verdicts(stream, other) for other in stream.others if is_rival(other)]
    found = [[verdict for verdict in column if verdict is not None] for column in zip(*rows, strict=True)]
    known = [(horizon, column) for horizon, column in zip(stream.horizons, found, strict=False) if column]
    if not known:
        return "unknown"
    lost = [i for i, (_, column) in enumerate(known) if min(column) <= 0]
    if not lost or lost[-1] + 1 < len(known):
        return f"ahead from {seconds(known[lost[-1] + 1][0])}" if lost else "ahead"
    every = [verdict for _, column in known for verdict in column]
    return "behind" if max(every) < 0 else "mixed" if any(every) else "level"


def beats_all(stream: Scores, index: int) -> bool:
    """Whether the model beats every baseline at a horizon: clearly, where intervals are known."""
    found = [verdicts(stream, other)[index] for other in stream.others if is_rival(other)]
    known = [verdict for verdict in found if verdict is not None]
    return bool(known) and min(known) > 0


def _count(streams: list[Scores]) -> str:
    if not streams:
        return ""
    index = nearest(streams[0].horizons, 1.0)
    won = [stream.name for stream in streams if beats_all(stream, index)]
    lost = [stream.name for stream in streams if stream.name not in won]
    at = f"At {seconds(streams[0].horizons[index])}"
    if not won:
        return f"{at} ahead it does not beat every baseline on any stream."
    if not lost:
        return f"{at} ahead it beats every baseline on {'every stream' if len(won) > 1 else 'the only stream'}."
    return f"{at} ahead it beats every baseline on {len(won)} of {len(streams)} streams; not on {listed(lost)}."


def _overall(result: Result) -> str:
    """The model's error over all readings in percent of the others'."""
    together = overall(result)
    if together is None:
        return ""
    index = nearest(together.horizons, 1.0)
    ours = together.get(together.subject, "nrmse", index)
    if ours is None:
        return ""
    others = [(p, v) for p in together.others if not is_part(p) and (v := together.get(p, "nrmse", index))]
    beside = listed([f"{_percent(ours / value)} {_spoken(together, other)}" for other, value in others])
    ahead = seconds(together.horizons[index])
    text = (
        f"Over all readings together, the error of {look(together.subject).spoken} {ahead} ahead is {number(ours)} of "
        "the readings' standard deviation"
    )
    return f"{text}: {beside}." if beside else f"{text}."


def _percent(ratio: float) -> str:
    if ratio >= _TIMES:
        return f"{number(ratio)} times"
    change = round(100 * (ratio - 1))
    return f"{abs(change)} % {'below' if change < 0 else 'above'}" if change else "the same as"


def _spoken(stream: Scores, other: str) -> str:
    return "the copied last frame" if stream.is_video and other == "hold" else look(other).spoken

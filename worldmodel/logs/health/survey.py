"""What the checks say of a whole log, what of it is usable at a tick, and how much of the actions it covers."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from worldmodel.arrays import evenly
from worldmodel.logs.align import TickLayout
from worldmodel.logs.health.copies import compared
from worldmodel.logs.health.examination import findings
from worldmodel.logs.health.finding import FINDINGS, Finding, grouped, present
from worldmodel.logs.ingest.joining import as_recording
from worldmodel.logs.phase import layout_of
from worldmodel.logs.reader import Log, opened
from worldmodel.types import Samples, StreamSpec

_BEATS = 0.05  # how near a rate is to that of the ticks, and twice that the share of them that may be empty
MOST_EPISODES = 2000  # that are looked at one by one
_DONE = ("cut", "sort", "mask")
_BINS = 20  # of a command's range
_TRIED = 0.001  # of the samples in one of them make it tried


class Coverage(NamedTuple):
    """How much of what a command can be was tried.

    Attributes:
        stream, column, unit: which.
        low, high: the least and greatest value.
        filled: share of 20 equal parts of that range in which there are 0.1 % of the samples at least.
        histogram: int [20] samples in each part.
    """

    stream: str
    column: str
    unit: str
    low: float
    high: float
    filled: float
    histogram: np.ndarray


@dataclasses.dataclass(frozen=True)
class Health:
    """A log's.

    Attributes:
        log: it.
        dt: seconds a tick.
        looked: int [episodes] those of the log that were looked at, spread evenly where there are very many.
        ticks: int [episodes] of each.
        found: what the checks say of it now, and its copies; and what they said of a whole recording when it was
            ingested and do not see in the episodes that it was cut into.
        done: what was cut, sorted and left out when it was ingested.
        filled: int [episodes, streams] in how many ticks there is a sample; of an action, in how many one is in force.
        coverage: by column of the actions.
        independent: in how many directions all actions move, and of how many columns that move at all.
    """

    log: Log
    dt: float
    looked: np.ndarray
    ticks: np.ndarray
    found: tuple[Finding, ...]
    done: tuple[Finding, ...]
    filled: np.ndarray
    coverage: tuple[Coverage, ...]
    independent: tuple[float, int]

    @property
    def groups(self) -> list[list[Finding]]:
        return grouped(self.found)

    @property
    def verdict(self) -> str:
        """The first sentence: whether to train on it, and on how much of the log that rests."""
        every = len(self.log.episodes)
        part = f" This rests on {len(self.looked):,} of {every:,} episodes, spread evenly, and on a search for copies."
        return self._verdict + (part if len(self.looked) < every else "")

    @property
    def _verdict(self) -> str:
        refused = sum(group[0].severity == "refuse" for group in self.groups)
        said = len(self.groups) - refused
        more = f"; {said} more to know" if said else ""
        if refused:
            return f"Not to be trained on as it is: {_things(refused)} must be mended{more}."
        if said:
            return f"It can be trained on, with {_things(said)} to know."
        return "Nothing wrong was found."

    def _repr_html_(self) -> str:
        """The page, in a frame of its own."""
        from worldmodel.logs.health.page import page

        style = "width: 100%; height: 520px; border: 1px solid #ccc"
        return f'<iframe srcdoc="{escape(page(self))}" style="{style}"></iframe>'

    def __repr__(self) -> str:
        return f"<Health of {', '.join(map(str, self.log.files))}: {self.verdict}>"


def _things(count: int) -> str:
    return "one thing" if count == 1 else f"{count} things"


def survey(log: Log, dt: float | None = None) -> Health:
    """Checks a log, episode after episode; of very many, a part that is spread evenly.

    Args:
        log: it.
        dt: seconds a tick; by default what training would choose.
    """
    layout = layout_of(log, dt)
    found: list[Finding] = []
    looked = evenly(len(log.episodes), min(len(log.episodes), MOST_EPISODES))
    filled, samples = np.zeros((2, len(looked), len(log.streams)), int)
    actions: dict[str, list[Samples]] = {name: [] for name, spec in log.streams.items() if spec.kind == "action"}
    for number, place in enumerate(looked):
        episode = log.episodes[int(place)]
        recording = as_recording(episode)
        found += findings(recording)
        for index, (name, spec) in enumerate(log.streams.items()):
            if name in recording.samples:
                counts = _filled(recording.samples[name], spec, layout, episode.duration_s)
                filled[number, index], samples[number, index] = counts
        for name in actions.keys() & recording.samples.keys():
            actions[name].append(recording.samples[name])
    found += [*compared(opened(log.files)), *_astride(log, layout.dt, looked, filled, samples), *_apart(log, filled)]
    seen, said = {(finding.check, finding.stream) for finding in found}, kept(log)
    found += [each for each in said if each.severity == "warn" and (each.check, each.stream) not in seen]
    return Health(
        log,
        layout.dt,
        looked,
        layout.count(np.asarray(log.durations_s)[looked]),
        tuple(found),
        tuple(finding for finding in said if finding.severity in _DONE),
        filled,
        tuple(part for name, given in actions.items() for part in _coverages(log.streams[name], given)),
        independent(actions.values()),
    )


def _filled(samples: Samples, spec: StreamSpec, layout: TickLayout, duration_s: float) -> tuple[int, int]:
    """In how many ticks of an episode a stream has a sample, or an action is in force; and how many samples it has."""
    time = samples.time if spec.kind == "video" else samples.time[present(np.asarray(samples.data))]
    if not len(time):
        return 0, 0
    tick, last = np.ceil(np.round(layout.row(time), 6)).clip(0), int(layout.count(duration_s))
    ticks = max(last - int(tick[0]), 0) if spec.kind == "action" else len(np.unique(tick[tick < last]))
    return ticks, len(time)


def _astride(log: Log, dt: float, looked: np.ndarray, filled: np.ndarray, samples: np.ndarray) -> Iterator[Finding]:
    """Streams with about a sample a tick of which two fall into one tick, and none into the next."""
    for index, spec in enumerate(log.streams.values()):
        lost = 1 - filled[:, index].sum() / max(samples[:, index].sum(), 1)
        if spec.kind != "action" and abs(spec.rate_hz * dt - 1) < _BEATS and lost > 2 * _BEATS:
            text = (
                f"it has about one sample a tick of {dt:.4g} s, but {lost:.0%} of them share theirs with another, and "
                "about as many ticks have none: its stamps lie astride the ends of ticks, wherever these are"
            )
            episode = log.episodes[int(looked[np.argmax(samples[:, index])])]
            remedy = f"train with a tick that is longer (--dt {_longer(episode.streams[spec.name].time, dt):.4g})"
            yield Finding("usable: astride", spec.name, "warn", text, remedy, episode=episode.name)


def _apart(log: Log, filled: np.ndarray) -> Iterator[Finding]:
    """Streams that no episode has beside the others, as where the sensors of a recording became an episode each."""
    ever = np.flatnonzero((filled > 0).any(0))
    names = [list(log.streams)[i] for i in ever]
    beside = (filled[:, ever] > 0).astype(int)
    together = np.linalg.matrix_power((beside.T @ beside > 0).astype(float), max(len(names), 1)) > 0
    groups = list(dict.fromkeys(tuple(np.flatnonzero(row)) for row in together))
    if len(groups) > 1:
        told = " and of ".join(", ".join(names[i] for i in group) for group in groups)
        text = f"no episode has readings of {told} together, so that nothing can be learned of one from the other"
        remedy = (
            "if they are sensors of one recording, ingest them as one: `worldmodel ingest --suggest FOLDER` writes a "
            "recipe that joins the files of a folder"
        )
        yield Finding("streams: apart", names[groups[0][0]], "warn", text, remedy)


def _longer(time: np.ndarray, dt: float) -> float:
    """A longer tick, in which there is nearly always one of the samples at these times [M]."""
    for longer in (float(f"{factor * dt:.4g}") for factor in (1.003, 1.02, 1.1, 1.2, 1.4)):
        ticks = np.ceil(time / longer)
        if len(np.unique(ticks)) > 0.99 * (ticks[-1] - ticks[0] + 1):
            return longer
    return 2 * dt


def _coverages(spec: StreamSpec, parts: Sequence[Samples]) -> Iterator[Coverage]:
    for index, (column, unit) in enumerate(zip(spec.columns, spec.units, strict=True)):
        values = [np.asarray(part.data)[:, index] for part in parts]
        finite = np.concatenate([np.zeros(0), *(value[np.isfinite(value)] for value in values)])
        if len(finite):
            yield _coverage(spec.name, column, unit, finite)


def _coverage(stream: str, column: str, unit: str, values: np.ndarray) -> Coverage:
    low, high = float(values.min()), float(values.max())
    histogram = np.histogram(values, _BINS, (low, high))[0] if high > low else np.zeros(_BINS, int)
    return Coverage(stream, column, unit, low, high, float((histogram >= _TRIED * len(values)).mean()), histogram)


def independent(actions: Iterable[Sequence[Samples]]) -> tuple[float, int]:
    """In how many directions commands move, of how many columns that move: the participation ratio of their variances.

    It is (sum of eigenvalues)^2 / (sum of their squares) of the correlations within each stream, added up over streams
    (Gao et al. 2017, doi 10.1101/214262).
    """
    ratio, columns = 0.0, 0
    for parts in actions:
        data = np.concatenate([np.asarray(part.data, np.float64) for part in parts]) if parts else np.zeros((0, 0))
        data = data[np.isfinite(data).all(1)]
        data = data[:, np.ptp(data, 0) > 0] if len(data) > 1 else np.zeros((0, 0))
        if data.shape[1]:
            values = np.linalg.eigvalsh(np.atleast_2d(np.corrcoef(data, rowvar=False)))
            ratio += float(values.sum() ** 2 / (values**2).sum())
            columns += data.shape[1]
    return ratio, columns


def kept(log: Log) -> list[Finding]:
    """What was found when the log was ingested."""
    said: list[object] = []
    for part in opened(log.files):
        found = part.about.get(FINDINGS, [])
        said += found if isinstance(found, list) else []
    findings = []
    for one in said:
        with contextlib.suppress(TypeError, ValueError, AttributeError):  # what others wrote there
            findings.append(Finding.from_json(one))  # type: ignore[arg-type]
    return findings

"""What a check says: where, how bad, and what to do."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from worldmodel.types import Samples, StreamSpec

if TYPE_CHECKING:
    from worldmodel.logs.ingest.recording import Recording

Severity = Literal["refuse", "cut", "sort", "mask", "warn"]
SEVERITIES: tuple[Severity, ...] = ("refuse", "cut", "sort", "mask", "warn")
FINDINGS = "findings"  # of a log's `about`
_MINOR = ("commands: constant", "commands: at the limit", "commands: lead", "values: still")
_NAMED = 4  # episodes that a line names
_ALSO = 3  # more findings of one episode that it tells
_NO_ROWS = np.zeros(0, int)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a recording, or may be.

    Attributes:
        check: what was checked, in a word or two.
        stream: which stream it is about; several, with commas, where it is about more than one.
        severity: `refuse` keeps the recording out of a log; `cut` parts it into episodes, `sort` puts a stream's rows
            in the order of their times and `mask` leaves rows out (or, with `columns`, makes them NaN); `warn` is only
            said.
        text: a sentence.
        remedy: what a person can do about it.
        count: how many rows of the stream it is about; 0 where it is about the whole.
        row: the first of them, or -1.
        at_s: its time in seconds, or NaN.
        rows: all of them; not kept with a log.
        columns: which columns are masked; empty for whole rows.
        cuts: for `cut`, the rows at which each stream is cut; not kept with a log.
        episode: the recording, where findings of several are together.
    """

    check: str
    stream: str
    severity: Severity
    text: str
    remedy: str
    count: int = 0
    row: int = -1
    at_s: float = math.nan
    rows: np.ndarray = dataclasses.field(default_factory=lambda: _NO_ROWS, repr=False, compare=False)
    columns: tuple[str, ...] = ()
    cuts: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    episode: str = ""

    @property
    def where(self) -> str:
        """The first of its rows, in words; empty where it is about all."""
        if not self.count:
            return ""
        time = f" at {self.at_s:.3f} s" if math.isfinite(self.at_s) else ""
        return f"{'first ' if self.count > 1 else ''}row {self.row}{time}"

    @property
    def line(self) -> str:
        """One line for people."""
        return f"{self.stream}: {self.text}{f' ({self.where})' if self.where else ''}"

    def to_json(self) -> dict[str, object]:
        """What is kept in a log's `about`."""
        kept = {key: getattr(self, key) for key in ("episode", "check", "stream", "severity", "text", "remedy")}
        if self.count:
            kept |= {"count": self.count, "row": self.row}
            kept |= {"at_s": round(self.at_s, 6)} if math.isfinite(self.at_s) else {}
        return kept | ({"columns": list(self.columns)} if self.columns else {})

    @classmethod
    def from_json(cls, kept: Mapping[str, object]) -> "Finding":
        """Back from what `to_json` made; what another release has added is left out."""
        known = {field.name for field in dataclasses.fields(cls)} - {"rows", "cuts"}
        given = {key: value for key, value in kept.items() if key in known}
        columns = given.pop("columns", ())
        return cls(**given, columns=tuple(columns) if isinstance(columns, list) else ())  # type: ignore[arg-type]


def found(
    recording: "Recording", check: str, stream: str, severity: Severity, text: str, remedy: str,
    rows: np.ndarray = _NO_ROWS, columns: tuple[str, ...] = (),
) -> Finding:  # fmt: skip
    """A finding about rows of a stream, with the time of the first."""
    rows = np.asarray(rows, int)
    row = int(rows[0]) if len(rows) else -1
    at_s = float(recording.samples[stream].time[row]) if len(rows) else math.nan
    return Finding(check, stream, severity, text, remedy, len(rows), row, at_s, rows, columns)


def grouped(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of one check about one stream together, the worst first, and what is often as it should be last."""
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.check, finding.stream].append(finding)
    return sorted(groups.values(), key=lambda g: (SEVERITIES.index(g[0].severity), g[0].check in _MINOR))


def in_a_line(group: Sequence[Finding], episodes: int) -> str:
    """A group of findings as one line: what those of the first episode say, and in which there is one like it."""
    first, names = group[0], list(dict.fromkeys(finding.episode for finding in group))
    more = [f"; also {other.text}" for other in group[1:] if other.episode == first.episode]
    line = first.line + "".join(more[:_ALSO]) + (f"; and {len(more) - _ALSO} more" if len(more) > _ALSO else "")
    if episodes == 1 or len(names) == 1:
        return f"{first.episode}: {line}" if episodes > 1 else line
    told = ", ".join(names[1:_NAMED]) + (" and others" if len(names) > _NAMED else "")
    return f"{first.episode}: {line}; the like in {len(names)} of {episodes} episodes, also {told}"


def readings(recording: "Recording") -> Iterable[tuple[StreamSpec, Samples]]:
    """The streams that have samples, but video."""
    for name, spec in recording.specs.items():
        if spec.kind != "video" and len(recording.samples[name].time):
            yield spec, recording.samples[name]


def present(data: np.ndarray) -> np.ndarray:
    """Which rows [M] of data [M, S] are samples: those with one reading at least that is a number."""
    there = np.zeros(len(data), bool)
    for column in data.T:  # a reduction over an axis as short as that takes five times as long
        there |= np.isfinite(column)
        if there.all():  # by the first, as nearly always
            break
    return there

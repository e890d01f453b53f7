"""What a validation yields: typed figures, and what a page needs to show them to people."""

import dataclasses
import html
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from worldmodel.draw import Picture, inline_image
from worldmodel.errors import WorldModelError
from worldmodel.types import StreamSpec
from worldmodel.validate.scores import LEVELS, Score, Still
from worldmodel.validate.video import VideoScore

if TYPE_CHECKING:
    import pandas as pd

    from worldmodel.validate.outages import Outage

_WIDE = 90  # columns of a line that is printed


class Film(NamedTuple):
    """One video around one start: what was seen, what came and what was imagined.

    Attributes:
        time: [F] seconds ahead.
        seen: uint8 [2, rows, columns, 3] of the context's end.
        truth, imagined: uint8 [F, rows, columns, 3].
    """

    time: np.ndarray
    seen: np.ndarray
    truth: np.ndarray
    imagined: np.ndarray


@dataclasses.dataclass
class Example:
    """One start of one held-out episode, with everything that was seen, came, and was imagined. Times are in seconds
    relative to the start: negative in the context.

    Attributes:
        episode: its name.
        at_s: the start within the episode.
        context_time: [C]; context: by stream [C, P] readings in physical units, NaN where there was none.
        time: [H]; truth: by stream [H, P], NaN where unknown; members: by stream [K, H, P] of the subject;
            baselines: by other predictor and stream [H, P]. Positions are metres from the episode's origin.
        films: by video.
    """

    episode: str
    at_s: float
    context_time: np.ndarray
    context: dict[str, np.ndarray]
    time: np.ndarray
    truth: dict[str, np.ndarray]
    members: dict[str, np.ndarray]
    baselines: dict[str, dict[str, np.ndarray]]
    films: dict[str, Film] = dataclasses.field(default_factory=dict)


class Setting(NamedTuple):
    """What was validated on.

    Attributes:
        name: for people. kind: `replay` or `counterfactual`.
        dt, context_s, horizon_s: seconds.
        episodes, starts: how many; of a counterfactual, worlds.
        truth: `noise-free` or `as recorded`.
        actions: what kind they are, where they are not those of a recording.
    """

    name: str
    kind: str
    dt: float
    context_s: float
    horizon_s: float
    episodes: int
    starts: int
    truth: str
    actions: str = ""


class Provenance(NamedTuple):
    """What it takes to get a result again: the log's hash, the toolkit's version, the seeds of training (None without a
    run) and of validation.
    """

    data_sha256: str
    code_version: str
    seed: int | None
    validation_seed: int


@dataclasses.dataclass
class Result:
    """Scores of several predictors on one problem. `result.rmse("gps", "model", at_s=1.0)`.

    Attributes:
        setting: what was validated on.
        subject: the predictor that is compared with the others.
        streams: every stream's specification.
        times: [H] seconds of the ticks ahead.
        horizons: the tabulated horizons in seconds, and the tick of each.
        scores: by stream and predictor.
        video: by video and predictor, at the tabulated horizons.
        overall: by predictor that predicts every stream, NRMSE [H] over all columns of all streams that are judged.
        action_sensitivity: the subject's error with shuffled actions over its error; None where unknown.
        calibration: by stream, observed coverage at `levels` [L], over all horizons.
        examples: a few starts to draw.
        notes: how predictors were obtained, for people.
        trust: by stream and expert [H], how much each of the experts that the subject blends counts on average.
        outages: what faults of sensors cost, where that was asked for.
        shared_roles: which episodes played two roles in the run; empty if none did.
        provenance: what it takes to get it again.
        still: by stream, the columns on which there is no verdict, where there are any.
    """

    setting: Setting
    subject: str
    streams: dict[str, StreamSpec]
    times: np.ndarray
    horizons: dict[float, int]
    scores: dict[str, dict[str, Score]]
    video: dict[str, dict[str, VideoScore]]
    overall: dict[str, np.ndarray]
    action_sensitivity: float | None
    calibration: dict[str, np.ndarray]
    examples: list[Example]
    notes: list[str]
    provenance: Provenance
    trust: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    outages: list["Outage"] = dataclasses.field(default_factory=list)
    shared_roles: str = ""
    still: dict[str, Still] = dataclasses.field(default_factory=dict)
    levels: np.ndarray = dataclasses.field(default_factory=lambda: LEVELS)

    def rmse(self, stream: str, predictor: str, at_s: float) -> float:
        """Root mean square error in the stream's unit, `at_s` seconds ahead."""
        return self.figure("rmse", stream, predictor, at_s)

    def nrmse(self, stream: str, predictor: str, at_s: float) -> float:
        """Root mean square error over the standard deviation of what came: 1 is no better than the average."""
        return self.figure("nrmse", stream, predictor, at_s)

    def crps(self, stream: str, predictor: str, at_s: float) -> float:
        """Continuous ranked probability score in the stream's unit."""
        return self.figure("crps", stream, predictor, at_s)

    def coverage(self, stream: str, predictor: str, at_s: float, level: int = 90) -> float:
        """Share of the readings in the members' central intervals of 90 % or 50 %."""
        return self.figure(f"coverage{level}", stream, predictor, at_s)

    def psnr(self, video: str, predictor: str, at_s: float) -> float:
        """Peak signal-to-noise ratio in dB, at a tabulated horizon."""
        return self.figure("psnr", video, predictor, at_s)

    def figure(self, figure: str, stream: str, predictor: str, at_s: float) -> float:
        """One figure; NaN where it is undefined.

        Raises:
            WorldModelError: if there is no such stream, predictor, figure or horizon.
        """
        table: dict[str, Any] = _found("stream", stream, self.scores | self.video)
        score = _found("predictor", predictor, table)
        values = _found("figure", figure, {k: v for k, v in score._asdict().items() if np.ndim(v) == 1})
        times = np.array(list(self.horizons)) if stream in self.video else self.times
        index = int(np.argmin(np.abs(times - at_s)))
        if abs(times[index] - at_s) > 0.51 * self.setting.dt:
            raise WorldModelError(
                f"There are no figures of {stream} {at_s:g} s ahead.",
                expected=f"{times[0]:.4g} to {times[-1]:.4g} s" if stream in self.scores else f"one of {times} s",
                found=f"{at_s:g} s",
            )
        return float(values[index])

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json` (docs/metrics.md)."""
        from worldmodel.validate.export import to_json

        return to_json(self)

    def to_frame(self) -> "pd.DataFrame":
        """All figures as a pandas frame with columns stream, predictor, horizon_s, figure and value."""
        from worldmodel.validate.export import to_frame

        return to_frame(self)

    def plot(self) -> Picture:
        """Error against horizon: a panel a stream, a line a predictor."""
        from worldmodel.validate.curves import draw_overview

        return draw_overview(self)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows: each stream's figure about a second ahead, the subject's and the best that it has to beat."""
        from worldmodel.validate.labels import is_rival, nearest, number, scores, seconds

        rows = []
        for stream in scores(self):
            index = nearest(stream.horizons, 1.0)
            measure = " ".join(filter(None, (stream.measure.title, stream.measure.unit)))
            own, rivals = number(stream.shown(self.subject, index)), [name for name in stream.others if is_rival(name)]
            best = stream.best(index, rivals) if rivals else None
            beside = "" if best is None else f"{number(stream.shown(best, index))} {best}"
            rows.append([stream.name, f"{measure} at {seconds(stream.horizons[index])}", own, beside])
        return ["stream", "", self.subject, "best other"], rows

    def _beside(self) -> str:
        """Who else was scored, and where all figures are."""
        from worldmodel.validate.labels import predictors

        others = ", ".join(name for name in predictors(self) if name != self.subject)
        return f"beside {others}; to_frame() has all figures" if others else "to_frame() has all figures"

    def _title(self) -> str:
        s = self.setting
        spans = f"{s.episodes} episodes, {s.starts} starts, {s.context_s:.4g} s seen, {s.horizon_s:.4g} s ahead"
        return f"Result of {s.name!r} ({s.kind}): {spans}"

    def __repr__(self) -> str:
        head, rows = self._table()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
        ]
        beside = textwrap.wrap(self._beside(), _WIDE, break_on_hyphens=False)
        return "\n  ".join([f"<{self._title()}", *lines, *beside]) + ">"

    def _repr_html_(self) -> str:
        head, rows = self._table()
        cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        heads = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        table = f"<table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"
        title, beside = (html.escape(text) for text in (self._title(), self._beside()))
        return f"<p>{title}</p>{table}<p>{beside}</p>{inline_image(self.plot())}"


def _found(what: str, name: str, there: dict[str, Any]) -> Any:
    if name not in there:
        raise WorldModelError(f"The result has no {what} {name!r}.", expected=" or ".join(there), found=name)
    return there[name]

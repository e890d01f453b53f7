"""What one entry of the benchmark is: whose logs, how it is scored, what is aimed at and what others have published."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

RANK = "rank_correlation"
OUT, PLACE = "outage_rmse", "place_rmse"
RECKONED, RAW = "reckoned_from_fix", "raw_fix"  # whom these are to beat
ALL = "all"  # of streams: every column of every stream together


@dataclasses.dataclass(frozen=True)
class Simulated:
    """Logs made in a scene, other worlds to train and to test on.

    Attributes:
        scene: a shipped one.
        episodes, held_out: how many. seconds: how long each.
        hidden: patterns of the readings `stream.column` that logs lack, as if nothing measured them.
        out_s: for how many seconds positions are taken away in episodes of their own; 0 for none.
    """

    scene: str
    episodes: int
    held_out: int
    seconds: float = 20.0
    hidden: tuple[str, ...] = ()
    out_s: float = 0.0


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Recordings of others; patterns are of `fnmatch`.

    Attributes:
        card: the data card in `datasets/` that says where the recordings can be had.
        files: pattern below the folder that is given as `--data`.
        train: patterns of the names of episodes that train.
        tests: by test, patterns of the others; an episode may be in several.
        leave_out: patterns of files that are damaged.
        recipe: of tables, a shipped one; None where the files describe themselves.
        hidden: patterns of the readings `stream.column` that logs lack, since they hold some of the future.
        cut_s: how long a recording's parts are, each of which is an episode: of a machine that was recorded once, the
            last ones test. None leaves recordings whole.
    """

    card: str
    files: str
    train: tuple[str, ...]
    tests: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: {"held_out": ("*",)})
    leave_out: tuple[str, ...] = ()
    recipe: str | None = None
    hidden: tuple[str, ...] = ()
    cut_s: float | None = None


class Goal(NamedTuple):
    """What a figure is to be: no worse than a number, within two, or no worse than so many times the best of others.

    Attributes:
        figure: which. stream: whose; empty for each stream.
        since_s, until_s: the horizons.
        limit: a number in the unit of the figure: at most that, of a figure that is better the higher it is at least;
            none where `within` or `than` says it.
        within: least and most.
        than: predictors whose best counts, `times` a factor.
        beyond_interval: whether the measured model is only behind where the interval of the difference says so.
    """

    figure: str
    stream: str = ""
    since_s: float = 0.0
    until_s: float = float("inf")
    limit: float | None = None
    within: tuple[float, float] | None = None
    than: tuple[str, ...] = ()
    times: float = 1.0
    beyond_interval: bool = False

    def of(self, figure: str, stream: str, horizon_s: float) -> bool:
        """Whether it is a goal of that figure."""
        there = self.since_s - 1e-6 <= horizon_s <= self.until_s + 1e-6
        return there and self.figure == figure and (self.stream == stream or not (self.stream or stream == ALL))


class Published(NamedTuple):
    """A figure that others have published; by `source` of the problem. Without a horizon, of a free run."""

    model: str
    figure: str
    stream: str
    value: float
    horizon_s: float | None = None

    def of(self, figure: str, stream: str, horizon_s: float) -> bool:
        """Whether it is such a figure."""
        there = self.horizon_s is None or abs(self.horizon_s - horizon_s) < 1e-6
        return there and (self.figure, self.stream) == (figure, stream)


@dataclasses.dataclass(frozen=True)
class BenchmarkProblem:
    """One entry of the benchmark.

    Attributes:
        name: what `--problems` calls it.
        title: a line for people.
        logs: what trains and what tests.
        dt, context_s, horizon_s: seconds, in training; a free run is scored to each record's end.
        minutes: of training, by default.
        holdout: share of the training episodes that is kept back within a run; tests have logs of their own.
        max_starts: of a test, evenly over its log; None for every one.
        free_run: whether each test is one forecast from the end of its record's first context to its end, scored by
            the root mean square error over all of it.
        unit: of free runs' figures, and how many of it make one of the stream's.
        shown: the figures that tables show.
        goals, published: see there.
        source: of the published figures. differs: where our protocol differs from theirs.
    """

    name: str
    title: str
    logs: Simulated | Recorded
    dt: float
    context_s: float
    horizon_s: float
    minutes: float = 3.0
    holdout: float = 0.0
    max_starts: int | None = 320
    free_run: bool = False
    unit: tuple[str, float] | None = None
    shown: tuple[str, ...] = ("nrmse",)
    goals: tuple[Goal, ...] = ()
    published: tuple[Published, ...] = ()
    source: str = ""
    differs: str = ""

    @property
    def out_s(self) -> float:
        """For how many seconds positions are taken away; 0 for none."""
        return self.logs.out_s if isinstance(self.logs, Simulated) else 0.0

    @property
    def counterfactual(self) -> bool:
        """Whether it is also asked what becomes of one state of the scene under many commands."""
        return any(goal.figure == RANK for goal in self.goals)

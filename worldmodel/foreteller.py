"""Whoever can be asked what comes next, a run or a scene: futures from a log, beside a machine, and in a page."""

import abc
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.imagine.actions import Given
from worldmodel.imagine.forecaster import Foreseer
from worldmodel.imagine.session import Session
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.live import Live, Watch
from worldmodel.logs.align import TickLayout
from worldmodel.logs.followed import Follower
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.world_model import WorldModel


class Foreteller(abc.ABC):
    """What a run and a scene have in common.

    Attributes:
        name: what tables call it.
        model: the network; None where there is none.
        told_by: members that its intervals are told by where it is validated.
        usual_s: seconds of a log that tell an explorer what is usual: more take too long to wait for.
        compiled: whether programs answer, one for each shape of questions: then few shapes should do for all.
    """

    name: str
    model: WorldModel | None
    told_by: int
    usual_s: float
    compiled: bool

    @property
    @abc.abstractmethod
    def layout(self) -> TickLayout:
        """The streams that it sees and foretells, and the tick."""

    @property
    @abc.abstractmethod
    def context(self) -> int:
        """Ticks that it looks back."""

    @abc.abstractmethod
    def foreseer(self) -> Foreseer:
        """What draws its futures, with the numbers that it has now."""

    @abc.abstractmethod
    def horizon_ticks(self, horizon_s: float | None, beyond_trained: bool = False) -> int:
        """A horizon in ticks; by default its own."""

    @abc.abstractmethod
    def windows(self, log: Log, horizon: int | None = None, episodes: Sequence[int] | None = None) -> Windows:
        """The log's episodes (by default all) aligned as it wants them."""

    @abc.abstractmethod
    def unseen(self, log: Log) -> list[int]:
        """Episodes of a log that may be measured, for nothing was learned from them."""

    @abc.abstractmethod
    def unseen_note(self, log: Log) -> str:
        """What is to be said beside measurements on a log's unseen episodes; empty if nothing is."""

    @abc.abstractmethod
    def deviation(self, windows: Windows) -> np.ndarray:
        """[D] how much each column varies."""

    @property
    @abc.abstractmethod
    def where(self) -> str:
        """Its folder, or a shipped scene's name."""

    @property
    def scene_name(self) -> str:
        """The name or the folder of its machine's scene; empty where none is known."""
        return ""

    @property
    def followers(self) -> tuple[Follower, ...]:
        """Of places in what it sees."""
        return ()

    @property
    def unmoved(self) -> Mapping[str, np.ndarray]:
        """By stream, which components of an error (bool [E]) stood still in all that it learned from."""
        return {}

    @property
    def network_remedy(self) -> str:
        """How there would be a network where there is none."""
        return "train a run with network=True (--network)"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what it does not say, or not surely."""
        return ()

    def __repr__(self) -> str:
        dt, back, ahead = self.layout.dt, self.context, self.horizon_ticks(None)
        spans = f"sees {back * dt:g} s, foretells {ahead * dt:g} s, tick {dt:g} s"
        lines = [f"<{type(self).__name__} {self.where}: {spans}"]
        lines += [f"{s.name}: {s.kind} {', '.join(s.columns)} at {s.rate_hz:g} Hz" for s in self.layout.streams]
        return "\n  ".join([*lines, *self.notes]) + ">"

    def on(self, log: Log | Path | str) -> Self:
        """The same for the streams of a log."""
        return self

    @cached_property
    def session(self) -> Session:
        """What `imagine` works in: compiled functions, and the episode at hand."""
        return Session(self)

    def imagine(
        self,
        log: Log | Path | str,
        *,
        episode: int,
        at_s: float,
        horizon_s: float | None = None,
        members: int = 16,
        seed: int = 0,
        actions: Given | None = None,
        beyond_trained: bool = False,
    ) -> Trajectory:
        """Imagines what every stream reads after `at_s` seconds of an episode; see `Session.imagine`."""
        return self.on(log).session.imagine(
            log, episode=episode, at_s=at_s, horizon_s=horizon_s, members=members, seed=seed, actions=actions,
            beyond_trained=beyond_trained,
        )  # fmt: skip

    def live(self, *, start_s: float | None = None, watermark_s: float = 0.5, watch: Watch | None = None) -> Live:
        """It beside a machine, whose readings are pushed one at a time; see `worldmodel.live.Live`."""
        forecaster = self.session.forecaster
        forecaster.compile()
        spans = self.layout, self.context, self.horizon_ticks
        return Live(forecaster, *spans, start_s, watermark_s, watch, self.followers)

    def watch(
        self,
        log: Log,
        *,
        false_alarms_per_hour: float = 1.0,
        look_s: float = 0.2,
        episodes: Sequence[int] | None = None,
        progress: bool = True,
    ) -> Watch:
        """What tells alarms of a live machine: it learns what is usual from episodes that nothing was learned from.

        Args:
            log: some hours of a machine without faults, if that can be had.
            false_alarms_per_hour: of each kind of alarm.
            look_s: how far back readings are compared with what was imagined; at least a tick.
            episodes: which of the log's; by default all that nothing was learned from.
            progress: show a bar.
        """
        horizon = max(round(look_s / self.layout.dt), 1)
        windows = self.windows(log, horizon, self.unseen(log) if episodes is None else episodes)
        return Watch.of(self.session.forecaster, windows, self.deviation(windows), false_alarms_per_hour, progress)

    def explore(self, log: Log | Path | str, keep_in: Path | str = "kept", scene: str | None = None) -> Any:
        """A widget that asks it about moments of a log; see `worldmodel.explore.opening.explorer_of`."""
        from worldmodel.explore.opening import explorer_of
        from worldmodel.explore.widget import widget_of

        opened = log if isinstance(log, Log) else Log(log)
        return widget_of(explorer_of(self.on(opened), opened, keep_in, scene))

    def drive(self, scene: str | None = None, keep_in: Path | str = "kept", usual: Log | None = None) -> Any:
        """A widget in which a scene is driven live; see `worldmodel.explore.opening.drive_of`."""
        from worldmodel.explore.opening import drive_of
        from worldmodel.explore.widget import widget_of

        return widget_of(drive_of(self, scene, keep_in, usual))


def ticks_of(horizon_s: float, dt: float) -> int:
    """A horizon in ticks.

    Raises:
        WorldModelError: unless it is positive and finite.
    """
    if not 0 < horizon_s < float("inf"):
        raise WorldModelError("The horizon must be positive and finite.", found=f"{horizon_s} s")
    return max(round(horizon_s / dt), 1)

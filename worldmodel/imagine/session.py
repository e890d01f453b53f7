"""A run made ready to imagine: its functions compiled once, and the episode at hand open and aligned."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.imagine.actions import Given, commanded_until, continued, logged_ahead
from worldmodel.imagine.forecaster import Foreseer
from worldmodel.imagine.latents import Observer
from worldmodel.imagine.trajectory import Moment, Trajectory, assemble, frame_ticks
from worldmodel.logs.reader import Log, check_episode
from worldmodel.logs.windows import Context, Future, Windows
from worldmodel.models.world_model import WorldModel
from worldmodel.types import Commands, Samples

_MOST_MEMBERS = 10_000
SAME_TICK = 1e-6  # of a tick: 0.3 s is the third tick of 0.1 s, though it is a little less in binary


class Asked(Protocol):
    """What a session needs of a run or a scene (`worldmodel.foreteller`, which this package knows nothing of)."""

    @property
    def model(self) -> WorldModel | None:
        """Its network; None where it has none."""

    @property
    def network_remedy(self) -> str: ...

    def foreseer(self) -> Foreseer: ...

    def horizon_ticks(self, horizon_s: float | None, beyond_trained: bool = False) -> int: ...

    def windows(self, log: Log, horizon: int | None = None, episodes: Sequence[int] | None = None) -> Windows: ...


_T = TypeVar("_T")


class _Newest(Generic[_T]):
    """What was made last, and of what."""

    def __init__(self) -> None:
        self._made: tuple[tuple[Any, ...], _T] | None = None

    def of(self, key: tuple[Any, ...], make: Callable[[], _T]) -> _T:
        """What was made of the same, or else what is made now."""
        if self._made is None or self._made[0] != key:
            self._made = key, make()
        return self._made[1]


class _Opened:
    """The log that was opened last, by its path; anew only if its files have changed."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._log: Log | None = None

    def at(self, path: Path) -> Log:
        if self._log is None or self._key != (path, _stamp(path, self._log)):
            self.close()
            self._log = Log(path)
            self._key = path, _stamp(path, self._log)
        return self._log

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
        self._log = None


class Session:
    """Imagines from a run again and again; the second future costs little more than its computation.

        with Session(run) as session:
            session.imagine("drive.h5", episode=3, at_s=5.0)

    A log given by its path is opened here, and closed with the session or when another is asked for; one that was
    given open stays open. The model's parameters are those it had when the session was made.
    """

    def __init__(self, run: Asked) -> None:
        self.run = run
        self.forecaster = run.foreseer()
        self._opened, self._aligned = _Opened(), _Newest[Windows]()
        self._at, self._before = _Newest[Moment](), _Newest[dict[str, Samples]]()  # while only commands change

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the log that was opened here; the session can still be used."""
        self._opened.close()
        self._aligned, self._at, self._before = _Newest(), _Newest(), _Newest()

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
        silent: Sequence[str] = (),
        frames: int | None = None,
    ) -> Trajectory:
        """Imagines what every stream reads next.

        Args:
            log: the log that holds the context.
            episode: which episode.
            at_s: the moment to imagine from, rounded down to a tick, so that nothing after it is seen; the run's
                context must lie before it in the recording.
            horizon_s: how far; by default as far as the run was trained.
            members: how many futures.
            seed: decides their noise.
            actions: what is commanded, by action stream with times in seconds after `at_s`, or a CSV file with a
                column `time` and one per action; until its first, what is in force at `at_s` holds. By default what
                the log holds.
            beyond_trained: allow a horizon of more than twice what was trained.
            silent: streams that are taken to have read nothing over the context.
            frames: how many of the last of each video to imagine; by default all.

        Raises:
            WorldModelError: if the moment, the log or the actions do not fit.
        """
        check_members(members)
        horizon = self.run.horizon_ticks(horizon_s, beyond_trained)
        windows = self._episode(self._log(log), episode)
        row = _tick(windows, at_s)
        offset_s = max(at_s - windows.layout.time_s(row), 0.0)
        commands = self._commands(windows, row, horizon, actions, offset_s)
        moment = self._moment(windows, row, horizon).without(silent)
        future = foretell(self.forecaster, moment, commands, members, seed, frames)
        return dataclasses.replace(future, as_recorded=actions is None)

    def moment(self, log: Log | Path | str, *, episode: int, at_s: float, horizon_s: float | None = None) -> Moment:
        """What `imagine` begins from, with what the log holds over the context and the horizon."""
        windows = self._episode(self._log(log), episode)
        return self._moment(windows, _tick(windows, at_s), self.run.horizon_ticks(horizon_s))

    def recent(self, log: Log | Path | str, *, episode: int, at_s: float, look: int) -> tuple[Context, Future]:
        """The window, without frames, whose `look` ticks ahead end at a moment: what came last, and before that."""
        windows = self._episode(self._log(log), episode)
        row = _tick(windows, at_s)
        _tick(windows, windows.layout.time_s(row - look))
        return windows.without_video().cut(np.array([[0, row - look]]), look)

    def _moment(self, windows: Windows, row: int, horizon: int) -> Moment:
        return self._at.of((windows, row, horizon), lambda: Moment.of(windows, row, horizon))

    def _commands(self, windows: Windows, row: int, horizon: int, actions: Given | None, offset_s: float) -> Commands:
        if actions is None:
            return logged_ahead(windows, row, horizon)
        until_s = windows.layout.time_s(row) + offset_s
        before = self._before.of((windows, until_s), lambda: commanded_until(windows, until_s))
        return continued(before, windows.layout, row, horizon, actions, offset_s)

    def latents(self, log: Log | Path | str, *, episode: int, without: Sequence[str] = ()) -> Samples:
        """What the network believes at each tick of an episode that has a whole context behind it.

        Args:
            log: the log that holds the episode.
            episode: which.
            without: streams to treat as if they had never been there.

        Returns:
            Times [T] in seconds from the episode's origin, and latents float32 [T, Z]; what each number means is the
            network's own, but for the first, which are readings, filtered and normalised.

        Raises:
            WorldModelError: if the run has no network, or the log, the episode or a stream does not fit.
        """
        return self._observer.latents(self._episode(self._log(log), episode), without)

    @cached_property
    def _observer(self) -> Observer:
        if self.run.model is None:
            raise WorldModelError("There is no network, and so no latents.", remedy=self.run.network_remedy)
        return Observer(self.run.model)

    def _log(self, given: Log | Path | str) -> Log:
        return given if isinstance(given, Log) else self._opened.at(Path(given))

    def _episode(self, log: Log, episode: int) -> Windows:
        check_episode(log, episode)
        return self._aligned.of((log, episode), lambda: self.run.windows(log, episodes=[episode]))


def _stamp(path: Path, log: Log) -> tuple:
    found = [each.stat() for each in (path, *log.files) if each.exists()]
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def foretell(
    forecaster: Foreseer, moment: Moment, commands: Commands, members: int, seed: int, frames: int | None = None
) -> Trajectory:
    """What follows a moment under commands [H, A], with the last `frames` of each video, by default all."""
    layout, given = moment.layout, Commands(*(part[None] for part in commands))
    ticks = frame_ticks(layout, len(commands.values), frames)
    foreseen = forecaster.seeded(seed).futures(moment.context, given, [asked[None] for asked in ticks], members)
    return assemble(moment, commands, foreseen, forecaster.names, ticks, seed)


def check_members(members: int) -> None:
    """Refuses a number of futures that cannot be meant."""
    if not 1 <= members <= _MOST_MEMBERS:
        raise WorldModelError(
            "There must be at least one member, and not too many.", expected=f"1 to {_MOST_MEMBERS}", found=f"{members}"
        )


def _tick(windows: Windows, at_s: float) -> int:
    """The last tick at or before `at_s`.

    Raises:
        WorldModelError: unless the context lies before it in the recording, and it within that.
    """
    layout = windows.layout
    row = int(np.floor(layout.row(at_s) + SAME_TICK)) if np.isfinite(at_s) else -1
    first, last = windows.context - 1, len(windows.ticks[0].values) - 1
    if not first <= row <= last:
        raise WorldModelError(
            f"{at_s:g} s is no moment to imagine from in episode {windows.episodes[0]}.",
            expected=f"{layout.time_s(first):.2f} s (the run's context) to {layout.time_s(last):.2f} s (its end)",
            found=f"{at_s:g} s",
            remedy="choose --at within that span",
        )
    return row

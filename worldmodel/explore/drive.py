"""A scene that is driven live: it simulates as the page asks, its readings go to a live session, futures follow."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.explore import fans, wire
from worldmodel.explore.answers import Answers
from worldmodel.explore.describe import described
from worldmodel.explore.explorer import MOST_FRAMES, MOST_MEMBERS, kept
from worldmodel.explore.memory import Memory
from worldmodel.explore.outcomes import Outcomes
from worldmodel.imagine.session import Session
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.live import Alarms, Live, Watch
from worldmodel.logs.physical import physical_values
from worldmodel.simulate import Scene, check_streams
from worldmodel.simulate.driven import Driven
from worldmodel.simulate.signals import readings_at
from worldmodel.types import Samples

_ASKED: dict[str, set[str]] = {
    "info": set(),
    "drive": {"commands", "horizon_s", "members", "silent", "frames", "twin"},
    "restart": set(),
    "seen": set(),
    "keep": {"commands", "horizon_s", "members", "silent"},
}
_NEEDED = {"drive": {"commands"}, "keep": {"commands"}}
_MOST_S = 0.25  # that pass at once: who does not ask for long finds the world as it was
_KEPT = 2.5  # trained horizons, beside the context, that readings are kept for: the page asks for twice at most
_PERIOD_S = 0.5  # between two looks for alarms


class Drive(Answers):
    """A run beside a scene that somebody drives, ready to be asked.

        drive = Drive(run.session, run.live, load_scene("rover"))
        drive.handle({"kind": "drive", "commands": {"drive": [0.1, 0.6]}})

    The scene runs as long as it is asked, in real time. Otherwise as `Explorer`.

    Args:
        session: of the run.
        begin: begins a live session with a watch, or with none.
        scene: with all streams of the run.
        keep_in: the folder that kept moments are written to.
        watch: what tells alarms; None for no alarms.
        clock: seconds that pass.

    Raises:
        SceneError: if the scene lacks a stream of the run.
    """

    def __init__(
        self,
        session: Session,
        begin: Callable[..., Live],
        scene: Scene,
        keep_in: Path | str = "kept",
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(_ASKED, _NEEDED)
        self._session, self._scene, self._keep_in = session, scene, Path(keep_in)
        self._begin, self._watch, self._clock = begin, watch, clock
        check_streams(scene, begin().layout.streams)
        self._seed = 0
        self._driven = Driven(scene, self._seed)
        self._start()

    def _restart(self, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Another drive, from where the scene starts."""
        self._seed += 1
        before, self._driven = self._driven, Driven(self._scene, self._seed)
        before.close()
        self._start()
        return {}

    def _start(self) -> None:
        self._live = self._begin(watch=self._watch)
        layout = self._live.layout
        self._outcomes = Outcomes({spec.name: spec for spec in layout.readings})
        kept_s = self._context_s + _KEPT * self._session.run.horizon_ticks(None) * layout.dt
        self._memory = Memory(layout.streams, kept_s, self._scene.origin)
        self._commands = self._rest()
        self._looked: Alarms | None = None
        self._raised: Alarms | None = None  # the newest alarm, until it is seen
        looked_s = self._watch.look * layout.dt if self._watch else 0.0
        self._go_on(layout.time_s(self._live.context + 1) + looked_s, ())
        self._last_s, self._watched_s = self._clock(), -np.inf

    @property
    def _context_s(self) -> float:
        return (self._live.context - 1) * self._live.layout.dt

    def _rest(self) -> dict[str, np.ndarray]:
        world = self._driven.world
        return {s.spec.name: world.rest_controls[world.control_columns(s.sources)] for s in self._scene.actions}

    def _info(self, request: Mapping[str, Any]) -> dict[str, Any]:
        layout = self._live.layout
        usual = {stream.spec.name: stream.excitation for stream in self._scene.actions}
        ranges = {
            name: list(zip(each.low.tolist(), each.high.tolist(), strict=True)) for name, each in usual.items() if each
        }
        return {
            "live": True,
            "log": f"{self._scene.name}, driven live",
            "dt": layout.dt,
            "first_s": self._context_s,
            "horizon_s": self._session.run.horizon_ticks(None) * layout.dt,
            "streams": [described(spec, ranges) for spec in layout.streams],
            "rest": {name: values.tolist() for name, values in self._rest().items()},
            "twin": self._scene.name,
            "alarms": self._watch is not None,
        }

    def _drive(self, request: Mapping[str, Any]) -> dict[str, Any]:
        began, count = time.perf_counter(), wire.whole(request, "frames", 0, MOST_FRAMES)
        pace = self._pass_on(request)
        note = "" if self._driven.within_limits else "It left its limits, and began anew."
        if note:
            self._look()
            last = self._raised
            self._restart()
            self._raised = last
        ahead = self._other.submit(self._ahead, wire.number(request, "horizon_s")) if request.get("twin") else None
        future = self._future(request, count)
        beside = {} if ahead is None else self._sampled(ahead.result(), future)
        layout, origin = self._live.layout, self._scene.origin
        streams = {s.name: fans.fan(future, s, beside.get(s.name), False, origin) for s in layout.readings}
        self._compare(future, streams)
        return {
            **fans.summary(future, count),
            "past": self._memory.past(future.start_s - self._context_s, future.start_s, 3 if count else 0),
            "streams": streams,
            "alarms": self._told(),
            "note": note,
            "pace": pace,
            "took_ms": (time.perf_counter() - began) * 1e3,
        }

    def _keep(self, request: Mapping[str, Any]) -> dict[str, Any]:
        future = self._future(request, None)
        return kept(future, self._keep_in, f"drive-{future.start_s:.2f}s")

    def _pass_on(self, request: Mapping[str, Any]) -> float:
        """Lets as much time pass as did; returns how much of it the scene lived through."""
        commands = self._given(request)
        if any((commands[name] != values).any() for name, values in self._commands.items()):
            self._outcomes.turn(self._driven.now_s)
        self._commands, now_s = commands, self._clock()
        passed, self._last_s = max(now_s - self._last_s, 1e-3), now_s
        self._go_on(min(passed, _MOST_S), wire.names(request, "silent"))
        return min(_MOST_S / passed, 1.0)

    def _given(self, request: Mapping[str, Any]) -> dict[str, np.ndarray]:
        given = request["commands"]
        try:
            found = {name: np.array(given[name], np.float64) for name in self._commands}
            good = all(x.shape == self._commands[name].shape and np.isfinite(x).all() for name, x in found.items())
        except (KeyError, TypeError, ValueError):
            good = False
        if not good:
            expected = ", ".join(f"{name}: {len(values)} numbers" for name, values in self._commands.items())
            raise WorldModelError("The commands cannot be read.", expected=expected, found=repr(given)[:80])
        return found

    def _go_on(self, seconds: float, silent: Sequence[str]) -> None:
        """Simulates, and pushes what is read but for streams that are silent."""
        for name, time_s, value, _ in self._driven.advance(seconds, self._commands):
            if name in self._memory:
                self._memory.take(name, time_s, value)
                if name not in silent:
                    self._live.push(name, time_s, value)

    def _future(self, request: Mapping[str, Any], frames: int | None) -> Trajectory:
        held = {name: Samples(np.zeros(1), values[None]) for name, values in self._given(request).items()}
        members, horizon_s = wire.whole(request, "members", 16, MOST_MEMBERS), wire.number(request, "horizon_s")
        return self._live.imagine(held, horizon_s, members, frames=frames)

    def _ahead(self, horizon_s: float | None) -> Samples:
        ticks = self._session.run.horizon_ticks(horizon_s) + 1  # futures begin at the next tick
        seconds = ticks * self._live.layout.dt
        return self._driven.ahead(seconds, self._commands)

    def _sampled(self, ahead: Samples, future: Trajectory) -> dict[str, np.ndarray]:
        """What the scene itself will read if the commands hold, by stream [M, P] at the times of the futures."""
        found = {}
        for stream in self._scene.sensed:
            if stream.spec.name in future.imagined:
                times = future[stream.spec.name].time - ahead.time[0]
                values = readings_at(self._driven.world, self._scene, stream, ahead.data, times)
                found[stream.spec.name] = physical_values(stream.spec, values, self._scene.origin)
        return found

    def _compare(self, future: Trajectory, streams: dict[str, Any]) -> None:
        """Puts how wrong earlier futures were in the place of how wrong this one is, which nobody knows yet."""
        self._outcomes.came(self._memory.samples, self._driven.now_s)
        means = {name: np.stack([column["mean"] for column in fan["columns"]], 1) for name, fan in streams.items()}
        self._outcomes.foretell({name: Samples(future[name].time, mean) for name, mean in means.items()})
        for name, fan in streams.items():
            fan["errors"] = self._outcomes.errors(name)

    def _told(self) -> dict[str, Any] | None:
        """What was looked at last, and the newest alarm, which stays until it is seen; None where nobody watches."""
        told_of_s = self._context_s - _MOST_S  # before a request is made too late for all ticks since the last
        if self._clock() - self._watched_s > min(_PERIOD_S, told_of_s):
            self._look()
        if self._looked is None:
            return None
        return {**self._looked.told(), "raised": None if self._raised is None else self._raised.told()}

    def _look(self) -> None:
        """Looks for alarms of every tick since the last look."""
        if self._watch is None:
            return
        every = self._live.alarms_since(np.inf if self._looked is None else self._looked.at_s)
        self._looked, self._watched_s = every[-1], self._clock()
        self._raised = next((each for each in reversed(every) if each.raised), self._raised)

    def _seen(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Nobody need be told of the last alarm any more."""
        self._raised = None
        return {}

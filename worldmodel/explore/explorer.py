"""Answers what a page or a notebook asks of a run and a log; knows nothing of either."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel.errors import SceneError, WorldModelError
from worldmodel.explore import fans, wire
from worldmodel.explore.alarms import Watching
from worldmodel.explore.answers import Answers
from worldmodel.explore.beside import Beside
from worldmodel.explore.describe import described, ranges_of
from worldmodel.imagine.session import Session
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows

MOST_MEMBERS, MOST_FRAMES = 256, 16
_ASKED: dict[str, set[str]] = {
    "info": set(),
    "past": {"episode", "at_s", "horizon_s"},
    "alarms": {"episode", "at_s"},
    "imagine": {"episode", "at_s", "horizon_s", "members", "seed", "actions", "silent", "frames", "twin"},
    "keep": {"episode", "at_s", "horizon_s", "members", "seed", "actions", "silent"},
}

_NEEDED = {kind: {"episode", "at_s"} & may for kind, may in _ASKED.items()}


class Explorer(Answers):
    """A run over a log, ready to be asked.

        explorer = Explorer(run.session, log)
        explorer.handle({"kind": "imagine", "episode": 0, "at_s": 6.0, "members": 16})

    Times in answers are seconds from the moment asked for; arrays are NumPy's. May be called from threads.

    Args:
        session: of the run that is asked.
        log: what moments are chosen in; stays open.
        keep_in: the folder that kept moments are written to.
        beside: the log's twin, where it has one.
        watching: what tells alarms, where it can be learned.
    """

    def __init__(
        self,
        session: Session,
        log: Log,
        keep_in: Path | str = "kept",
        beside: Beside | None = None,
        watching: Watching | None = None,
    ) -> None:
        self._session, self._log, self._keep_in = session, log, Path(keep_in)
        self._beside, self._watching = beside, watching
        super().__init__(_ASKED, _NEEDED)

    @cached_property
    def _windows(self) -> Windows:
        return self._session.run.windows(self._log, episodes=[0])

    def _info(self, request: Mapping[str, Any]) -> dict[str, Any]:
        layout, run = self._windows.layout, self._session.run
        ranges = ranges_of(self._windows.log)
        return {
            "log": str(self._log.files[0]),
            "dt": layout.dt,
            "first_s": layout.time_s(self._windows.context - 1),
            "horizon_s": run.horizon_ticks(None) * layout.dt,
            "streams": [described(spec, ranges) for spec in layout.streams],
            "episodes": [{"name": e.name, "duration_s": e.duration_s} for e in self._log.episodes],
            "twin": None if self._beside is None else self._beside.name,
            "alarms": self._watching is not None,
        }

    def _past(self, request: Mapping[str, Any]) -> dict[str, Any]:
        moment = self._session.moment(self._log, **_place(request))
        start_s = moment.at_s
        ticks = np.arange(self._session.run.horizon_ticks(wire.number(request, "horizon_s"))) * moment.layout.dt
        streams, commands, frames = {}, {}, {}
        for spec in moment.layout.streams:
            samples = moment.logged[spec.name]
            if spec.kind == "video":
                frames[spec.name] = fans.past_frames(samples, start_s, 3)
                continue
            streams[spec.name] = fans.logged(spec, samples, start_s)
            if spec.kind == "action":
                held = np.maximum(np.searchsorted(samples.time, start_s + ticks + 1e-6) - 1, 0)
                values = np.nan_to_num(samples.data[held]) if len(samples.data) else np.zeros((len(ticks), 1))
                commands[spec.name] = np.column_stack([ticks, values]).round(6).tolist()
        return {"start_s": start_s, "streams": streams, "commands": commands, "frames": frames}

    def _alarms(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._watching is None:
            raise WorldModelError("Nobody watches.", remedy="open a log that the run has not seen")
        place = _place(request)
        return self._watching.of_moment(self._session, self._log, place["episode"], place["at_s"])

    def _imagine(self, request: Mapping[str, Any]) -> dict[str, Any]:
        began, count = time.perf_counter(), wire.whole(request, "frames", 0, MOST_FRAMES)
        simulated = self._simulated(request)
        future = self._futures(request, None if count else 0)
        beside, note = simulated()
        specs = [spec for spec in future.streams.values() if spec.kind not in ("video", "action")]
        plain = request.get("actions") is None
        return {
            **fans.summary(future, count),
            "streams": {spec.name: fans.fan(future, spec, beside.get(spec.name), plain) for spec in specs},
            "note": note,
            "took_ms": (time.perf_counter() - began) * 1e3,
        }

    def _simulated(self, request: Mapping[str, Any]) -> Callable[[], tuple[dict[str, np.ndarray], str]]:
        """Starts MuJoCo on another core; gives what it reads, by stream, and where it does not, why."""
        if self._beside is None or not request.get("twin"):
            return lambda: ({}, "")
        moment, actions = self._session.moment(self._log, **_place(request)), wire.actions(request)
        horizon = self._session.run.horizon_ticks(wire.number(request, "horizon_s"))
        begun = self._other.submit(self._beside.readings, int(request["episode"]), moment, horizon, actions)

        def result() -> tuple[dict[str, np.ndarray], str]:
            try:
                return begun.result(), ""
            except SceneError as error:
                return {}, f"MuJoCo cannot follow: {error.problem}"

        return result

    def _keep(self, request: Mapping[str, Any]) -> dict[str, Any]:
        future, stem = self._futures(request, None), f"episode{int(request['episode'])}-{float(request['at_s']):.2f}s"
        return kept(future, self._keep_in, stem)

    def _futures(self, request: Mapping[str, Any], frames: int | None) -> Trajectory:
        return self._session.imagine(
            self._log,
            **_place(request),
            members=wire.whole(request, "members", 16, MOST_MEMBERS),
            seed=wire.whole(request, "seed", 0, 2**32 - 1),
            actions=wire.actions(request),
            silent=wire.names(request, "silent"),
            frames=frames,
        )


def kept(future: Trajectory, keep_in: Path, stem: str) -> dict[str, Any]:
    """Writes a future as `worldmodel imagine` does, into a folder of its own, and says which files."""
    taken = (keep_in / (stem if not n else f"{stem}-{n}") for n in range(10_000))
    folder = next(path for path in taken if not path.exists())
    return {"folder": str(folder), "files": [path.name for path in future.save(folder)]}


def _place(request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "episode": wire.whole(request, "episode", 0, 2**31),
        "at_s": wire.number(request, "at_s"),
        "horizon_s": wire.number(request, "horizon_s"),
    }

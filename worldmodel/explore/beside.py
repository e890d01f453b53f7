"""MuJoCo beside the futures: the twin of a log, from the same moment under the same commands."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.imagine.trajectory import Moment
from worldmodel.logs.physical import first_fix, physical_values
from worldmodel.logs.reader import Log
from worldmodel.simulate import Recorded, Scene, Start, Twin, load_scene
from worldmodel.simulate.recorded import metres_since
from worldmodel.types import Samples, StreamSpec


def find_twin(log: Log, scene: str, streams: tuple[StreamSpec, ...], *, asked: bool) -> "Beside | None":
    """The twin by a scene's name or folder; None where it is empty, or does not fit and was not asked for.

    Raises:
        WorldModelError: if the scene was asked for, and is missing, does not fit, or cannot be simulated here.
    """
    try:
        return Beside(log, load_scene(scene), streams) if scene else None
    except WorldModelError:
        if asked:
            raise
        return None


class Beside:
    """The twin of a log's machine.

    It starts from the last reading of each sensor, and for what none reads from the simulator's own state. Where the
    log does not hold that, it starts from an estimate over the context.

    Args:
        log: what moments are from. It is opened once more, with its truth, which nothing else is shown.
        scene: the machine's.
        streams: of the run.

    Raises:
        SceneError: if the scene lacks one of the streams that read numbers or command.
    """

    def __init__(self, log: Log, scene: Scene, streams: tuple[StreamSpec, ...]) -> None:
        self.name, self._specs = scene.name, tuple(spec for spec in streams if spec.kind not in ("action", "video"))
        self.twin = Twin(scene, [spec for spec in streams if spec.kind != "video"])
        self._started: tuple[tuple[int, int], np.ndarray] | None = None
        known = Log(log.files, truth=True).conform(streams)
        self._recorded = lru_cache(2)(lambda episode: Recorded(known.episodes[episode], known.has_truth, self._specs))

    def readings(
        self, episode: int, moment: Moment, horizon: int, actions: Mapping[str, Samples] | None
    ) -> dict[str, np.ndarray]:
        """By stream what would be read [M, P] at the times that futures have, in physical columns.

        Args:
            episode: that the moment is of.
            moment: where it begins; it holds what the log has of the horizon.
            horizon: in ticks.
            actions: what is commanded after it; None for what the log holds.

        Raises:
            SceneError: if the simulation becomes unstable.
        """
        layout, now, recorded = moment.layout, moment.at_s, self._recorded(episode)
        given = {spec.name: _joined(moment, spec, now, actions) for spec in layout.actions}
        ahead = {s.name: (np.arange(1, horizon + 1)[:, None] + layout.slot_ticks(s)).ravel() for s in self._specs}
        ticks = np.unique(np.concatenate([[0.0], *ahead.values()]).round(6))
        state = self._state((episode, moment.row), recorded, moment)
        rolled = self.twin.rollout([Start(now, {}, None, given)], ticks * layout.dt, state[None])
        found = {}
        for spec in self._specs:
            values = rolled[spec.name]
            rows = np.searchsorted(ticks, ahead[spec.name].round(6))
            if spec.kind == "gps":
                way = metres_since(values, self.twin.scene.origin, [recorded.true_fix(spec.name, now)])[0]
                found[spec.name] = way[rows] + self._fix(recorded, moment, spec, now)
            else:
                found[spec.name] = physical_values(spec, values[0, rows], moment.origin)
        return found

    def _state(self, place: tuple[int, int], recorded: Recorded, moment: Moment) -> np.ndarray:
        """Where MuJoCo starts [Q], found once while only commands change."""
        if self._started is None or self._started[0] != place:
            self._started = place, self._found(recorded, moment)
        return self._started[1]

    def _found(self, recorded: Recorded, moment: Moment) -> np.ndarray:
        now, given = moment.at_s, {s.name: moment.logged[s.name] for s in moment.layout.actions}
        start = recorded.start(now, given)
        if start.state is not None:
            return self.twin.start_state(start)
        span_s = (moment.context.values.shape[1] - 1) * moment.layout.dt
        begin = recorded.start(now - span_s, given)
        followed, sound = self.twin.estimate([begin], [recorded.between(begin.time_s, now)], span_s)
        return followed[0] if sound[0] else self.twin.start_state(start)

    def _fix(self, recorded: Recorded, moment: Moment, spec: StreamSpec, now: float) -> np.ndarray:
        """The last fix in metres [3], from the first of what the log holds about the moment; 0 where there is none."""
        fix = recorded.last_fix(spec.name, now)
        if fix is None:
            return np.zeros(3)
        return physical_values(spec, fix[None], first_fix(spec, moment.logged[spec.name].data, fix[None]))[0]


def _joined(moment: Moment, spec: StreamSpec, now: float, actions: Mapping[str, Samples] | None) -> Samples:
    """What the log holds of a stream of commands, and from `now` on what is given instead."""
    logged = moment.logged[spec.name]
    if actions is None or spec.name not in actions:
        return logged
    time, data = actions[spec.name]
    before = logged.time < now + time[0] - 1e-9
    return Samples(np.r_[logged.time[before], now + time], np.concatenate([logged.data[before], data]))

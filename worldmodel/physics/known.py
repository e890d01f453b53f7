"""A scene to ask as one asks a run: `imagine`, `live`, `watch`, `explore`, `validate`."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller, ticks_of
from worldmodel.logs.align import TickLayout, default_dt
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.physics import Physics
from worldmodel.physics.foreseer import SceneForeseer
from worldmodel.physics.spread import Spread
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.simulate import Scene, load_scene, shipped_scenes
from worldmodel.types import StreamSpec

_TICKS = 64  # of context and horizon, where recordings are long enough
_DEVIATION_WINDOWS = 512  # standard errors of deviations are about 3 %


@dataclasses.dataclass(eq=False, repr=False)
class KnownScene(Foreteller):
    """A scene that predicts, from what its sensors have read and under what is commanded.

    Attributes:
        scene: what is simulated.
        streams: the sensors and actions that it is asked with: its own, or those of them that a log has.
        back, ahead: ticks that it looks back, and ahead unless told otherwise.
        uncertainty: of its numbers.
        spread: of its members; None where it was not measured.
        unknown: names of a log's streams, or of its own, that it says nothing of.
        tick_s: seconds from tick to tick; by default what suits its streams.
    """

    scene: Scene
    streams: tuple[StreamSpec, ...]
    back: int
    ahead: int
    uncertainty: Uncertainty
    spread: Spread | None
    unknown: tuple[str, ...] = ()
    tick_s: float | None = None
    _last: Self | None = dataclasses.field(default=None, init=False, repr=False)

    name, model, compiled = "scene", None, False
    told_by, usual_s = 20, 20.0  # each is a simulation; fewer members have no 90 % interval

    @property
    def scene_name(self) -> str:
        return self.scene.name

    @property
    def where(self) -> str:
        return self.scene.name

    @classmethod
    def of(cls, scene: Scene | Path | str) -> "KnownScene":
        """A scene, a shipped one's name, or a folder.

        Raises:
            SceneError: if it cannot be read, or has no sensor.
        """
        scene = scene if isinstance(scene, Scene) else load_scene(scene)
        streams = _own(scene)
        if not scene.read:
            raise WorldModelError(f"The scene {scene.name} has no sensor.", remedy="add one to scene.toml")
        unknown = tuple(stream.spec.name for stream in scene.streams if stream.spec not in streams)
        return cls(scene, streams, _TICKS, _TICKS, Uncertainty.of(scene.folder), Spread.read(scene.folder), unknown)

    @property
    def layout(self) -> TickLayout:
        return TickLayout(self.tick_s or default_dt(self.streams), self.streams)

    @property
    def context(self) -> int:
        return self.back

    def on(self, log: Log | Path | str) -> Self:
        """The same for those of its streams that a log has; context and horizon suit the longest episode.

        The last result is kept, so that logs alike are asked of one, with what it compiled and has open.

        Raises:
            WorldModelError: if the log lacks an action of the scene, or has none of its sensors.
        """
        if not isinstance(log, Log):
            with Log(log) as opened:
                return self.on(opened)
        own = _own(self.scene)
        wanted = [dataclasses.replace(s, frame=log.streams[s.name].frame) for s in own if s.name in log.streams]
        lacking = [s for s in own if s.kind == "action" and s.name not in log.streams]
        if lacking or not any(s.kind != "action" for s in wanted):
            raise WorldModelError(
                f"The log {log.files[0]} does not fit the scene {self.scene.name}.",
                expected=f"all of its actions, and one of its sensors: {_told(own)}",
                found=_told(log.streams.values()),
                remedy="name streams and columns alike in scene.toml",
            )
        read = log.conform(wanted, f"The scene {self.scene.name}").streams
        streams = tuple(read[spec.name] for spec in wanted)
        longest = max(episode.duration_s for episode in log.episodes) / default_dt(streams)
        ticks = max(min(_TICKS, int(longest / 3)), 2)
        unknown = tuple(name for name in log.streams if name not in {spec.name for spec in streams})
        made = dataclasses.replace(self, streams=streams, back=ticks, ahead=ticks, unknown=unknown)
        alike = (known for known in (self, self._last) if known is not None and known._asked == made._asked)
        self._last = next(alike, made)
        return self._last

    @property
    def _asked(self) -> tuple[object, ...]:
        """What tells it from the same scene on other logs."""
        return self.streams, self.unknown, self.back

    @property
    def notes(self) -> tuple[str, ...]:
        """What it says nothing of, and whether its spread was measured."""
        notes = [f"The scene says nothing of {', '.join(self.unknown)}."] if self.unknown else []
        if not self.uncertainty.names:
            notes.append(
                "It was not fitted, so its members know how sure the state is, and not how sure its numbers are."
            )
        if self.spread is None:
            notes.append("The spread of its members is not calibrated: wm.load(SCENE).calibrate(LOG) does that.")
        return tuple(notes)

    @property
    def lens(self) -> Lens:
        """That sees readings and actions in their units."""
        (still, still_led), (one, one_led) = (
            (fill(self.layout.size), fill(self.layout.action_count)) for fill in (np.zeros, np.ones)
        )
        return Lens(self.layout, still, one, still_led, one_led)

    def foreseer(self) -> SceneForeseer:
        physics = Physics.of(self.scene, self.lens, general=True)
        return SceneForeseer(physics, self.uncertainty, self.spread)

    def horizon_ticks(self, horizon_s: float | None, beyond_trained: bool = False) -> int:
        """A horizon in ticks, as far as one likes.

        Raises:
            WorldModelError: unless it is positive and finite.
        """
        return self.ahead if horizon_s is None else ticks_of(horizon_s, self.layout.dt)

    def windows(self, log: Log, horizon: int | None = None, episodes: Sequence[int] | None = None) -> Windows:
        """The log's episodes (by default all), with the streams of the scene alone.

        Raises:
            WorldModelError: if the log lacks one of them, or has another in its place.
        """
        read = log.conform(self.streams, f"The scene {self.scene.name}")
        return Windows.of(read, self.layout, self.back, horizon or self.ahead, episodes)

    def unseen(self, log: Log) -> list[int]:
        """Episodes that its numbers were not fitted to.

        Raises:
            WorldModelError: if there are none.
        """
        unseen = self.uncertainty.unfitted(log)
        if not unseen:
            raise WorldModelError(
                f"The scene was fitted to every episode of {log.files[0]}.",
                expected="a log with episodes that it was not fitted to",
                remedy="measure on another log, or fit with --holdout above 0",
            )
        return unseen

    def unseen_note(self, log: Log) -> str:
        """That some episodes are left out, and that the spread was measured on others, where it was."""
        unseen = self.unseen(log)
        left_out = len(log.episodes) - len(unseen)
        of = f"{left_out} of {len(log.episodes)} episodes"
        notes = [f"{of} are left out: the scene was fitted to them."] if left_out else []
        spread_on = set() if self.spread is None else set(self.spread.episodes_sha256)
        if met := len([i for i in unseen if log.episode_sha256[i] in spread_on]):
            notes.append(
                f"The spread of its members was measured on {met} of these episodes: what they say of its intervals is "
                "flattered."
            )
        return " ".join(notes)

    def deviation(self, windows: Windows) -> np.ndarray:
        starts = windows.starts().thinned(_DEVIATION_WINDOWS)
        context, _ = windows.without_video().cut(starts, 0)
        values = np.where(context.mask, context.values, np.nan).reshape(-1, windows.layout.size)
        with np.errstate(all="ignore"):
            return np.nan_to_num(np.nanstd(values, 0))

    def calibrate(self, log: Log | Path | str | Sequence[Path | str]) -> "KnownScene":
        """Measures how wide members must be spread, on episodes that it was not fitted to if there are any.

        What was measured is kept beside the scene, unless it is a shipped one.

        Raises:
            WorldModelError: if the log does not fit, or no episode is long enough.
        """
        if not isinstance(log, Log):
            with Log(log) as opened:
                return self.calibrate(opened)
        asked = dataclasses.replace(self.on(log), spread=None)
        chosen = self.uncertainty.unfitted(log) or range(len(log.episodes))
        spread = Spread.measured(asked.foreseer().draw, asked.windows(log, episodes=chosen))
        spread = dataclasses.replace(spread, episodes_sha256=tuple(log.episode_sha256[i] for i in chosen))
        if self.scene.name not in shipped_scenes():
            spread.write(self.scene.folder)
        return dataclasses.replace(self, spread=spread)


def _own(scene: Scene) -> tuple[StreamSpec, ...]:
    """The streams that it can be asked with."""
    names = {stream.spec.name for stream in (*scene.read, *scene.actions)}
    return tuple(stream.spec for stream in scene.streams if stream.spec.name in names)


def _told(specs: Iterable[StreamSpec]) -> str:
    return "; ".join(f"{spec.name} ({', '.join(spec.columns)})" for spec in specs)

"""Scenes: a MuJoCo world, where it starts, and what is recorded of it."""

import dataclasses
from pathlib import Path

import numpy as np

from worldmodel.codecs import READINGS
from worldmodel.types import StreamSpec


@dataclasses.dataclass(frozen=True)
class Outages:
    """Spans without samples: on average one begins every `every_s`, and it lasts between the two `seconds`."""

    every_s: float
    seconds: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Excitation:
    """Random actions: a new target, uniform between `low` and `high` [A], is approached with a lag, then another.

    Attributes:
        hold_s: a target holds for a time uniform between these two.
        smooth_s: time constant of the approach; 0 for steps.
        clip: what lies beyond an actuator's control range is applied, and recorded, at its limit; else it is refused.
        amplitude: each episode narrows the range about its middle by a factor log-uniform between these two, so that
            small motion and large are both seen.
    """

    low: np.ndarray
    high: np.ndarray
    hold_s: tuple[float, float]
    smooth_s: float
    clip: bool = False
    amplitude: tuple[float, float] = (1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class SceneStream:
    """How a stream comes out of the simulated world.

    Attributes:
        spec: what the stream is.
        sources: addresses of the sensors whose values it joins, of the actuators that it commands, or of the one camera
            that it shows (`Elements`).
        noise_std: [S] standard deviation of the noise that is added, in the stream's unit; for GPS metres.
        outages: when it is silent; None for never.
        excitation: what is commanded; only actions have one.
        delay_s: how much later than stamped a command acts, or how much earlier than stamped a reading was taken.
        bias: [S] what a sensor reads too much, in the stream's unit, for GPS in metres; what is added to a command.
    """

    spec: StreamSpec
    sources: tuple[str, ...]
    noise_std: np.ndarray
    outages: Outages | None
    excitation: Excitation | None
    delay_s: float
    bias: np.ndarray


@dataclasses.dataclass(frozen=True)
class JointReset:
    """Where a joint starts, each drawn uniformly between two numbers; what is None stays as the scene's start has it.

    A hinge or slide has `position` and `velocity` (rad or m, and per second). A free joint has `x`, `y`, `z` (m), and
    `roll`, `pitch`, `yaw` (rad), which turn it about its own axes, yaw first and roll last; a ball joint has only these
    three. Instead of `z`, a free joint may start `above_ground` metres over what lies below it.
    """

    position: tuple[float, float] | None = None
    velocity: tuple[float, float] | None = None
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    z: tuple[float, float] | None = None
    roll: tuple[float, float] | None = None
    pitch: tuple[float, float] | None = None
    yaw: tuple[float, float] | None = None
    above_ground: float | None = None


@dataclasses.dataclass(frozen=True)
class JointLimits:
    """Where a simulated episode ends: between two numbers each; None for anywhere.

    A hinge or slide has `position` and `velocity` (rad or m, and per second), a free joint `x`, `y` and `z` (m).
    """

    position: tuple[float, float] | None = None
    velocity: tuple[float, float] | None = None
    x: tuple[float, float] | None = None
    y: tuple[float, float] | None = None
    z: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What `identify` shall fit of a scene, by groups and names in which `*` stands for anything; empty for what suits.

    Attributes:
        fit, fix: what to fit, and what not to.
        prior: how unsure the scene's own values are, each a pattern and a plausible error: a share of what moves by
            factors, and of the rest in its unit. Of several that mean a number, the last counts.
    """

    fit: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    prior: tuple[tuple[str, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Scene:
    """A MuJoCo world and what is recorded of it.

    Attributes:
        name: a shipped scene's name, or the folder's path; `load_scene(name)` finds it again.
        model: the MJCF file.
        settle_s: how long the world runs before the recording begins.
        origin: latitude, longitude (deg) and altitude (m) of the world's origin; x points east, y north, z up.
        key: address of the keyframe that it starts from, with its controls; None for the model's own start.
        reset: where its joints start, by address; others start as the keyframe or the model says.
        limits: by a joint's address, what ends an episode that leaves it.
        wanted: what of it recordings shall tell.
    """

    name: str
    description: str
    model: Path
    settle_s: float
    origin: np.ndarray
    key: str | None
    reset: dict[str, JointReset]
    limits: dict[str, JointLimits]
    streams: tuple[SceneStream, ...]
    wanted: Wanted = Wanted()

    @property
    def folder(self) -> Path:
        """The folder that holds all of it: the model's own, or one above it, with the `scene.toml`."""
        above = (each for each in self.model.parents if (each / "scene.toml").is_file())
        return next(above, self.model.parent)

    def without_video(self) -> "Scene":
        """The same without cameras, which cost most of the time."""
        return dataclasses.replace(self, streams=tuple(s for s in self.streams if s.spec.kind != "video"))

    @property
    def actions(self) -> tuple[SceneStream, ...]:
        return tuple(s for s in self.streams if s.excitation is not None)

    @property
    def sensed(self) -> tuple[SceneStream, ...]:
        """The streams that read numbers."""
        return tuple(s for s in self.streams if s.spec.kind in READINGS)

    @property
    def read(self) -> tuple[SceneStream, ...]:
        """The streams whose columns are what the model's sensors read: all that read numbers but GPS."""
        return tuple(s for s in self.sensed if s.spec.kind != "gps")

    @property
    def longest_delay_s(self) -> float:
        """Of any stream."""
        return max(s.delay_s for s in self.streams)

    @property
    def tick_hz(self) -> float:
        """The rate at which the true state is recorded: that of the fastest action."""
        return max((s.spec.rate_hz for s in self.actions), default=max(s.spec.rate_hz for s in self.streams))

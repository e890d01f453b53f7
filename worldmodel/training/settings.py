"""What a run was started with, and its file: versioned JSON that later releases read."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.models.config import FAMILIES, ModelConfig
from worldmodel.training.config import TrainConfig
from worldmodel.training.roles import ENOUGH, LEARN, MEASURE, SELECT, EpisodeRef, having, shared_roles
from worldmodel.types import StreamSpec

FORMAT, VERSION = "worldmodel-run", 1


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What a run was started with; only its length may change later.

    Attributes:
        streams: the specification of every stream, as the training log gave it.
        dt: the tick in seconds.
        context, horizon: in ticks.
        steps, minutes: how long it trains: one of them, the other is None.
        holdout: the share of episodes that select, and of those that measure.
        logs: where they were. weights: how often each is drawn from, relative to the others; by its windows if None.
        episodes: every episode of the logs in order, with its role and hash.
        about: what the training log says of itself; `scene` names its simulated twin.
        model: sizes, and with them the family, of the model. train: how it is trained.
        phase_s: seconds from the first sample to the first tick.
        lengthened_at: updates after which it was given more.
        network: whether there is a network among its experts.
        began_s: seconds until its first update, which count too.
        cut: what was left out of that for want of time.
        in_turn: whether experts other than the network leave out each episode in turn even where enough select, as
            recorded ones beside simulated ones: too few to spare any. Runs of an earlier release never did.
    """

    streams: tuple[StreamSpec, ...]
    dt: float
    context: int
    horizon: int
    preset: str
    seed: int
    steps: int | None
    minutes: float | None
    holdout: float
    logs: tuple[str, ...]
    weights: tuple[float, ...] | None
    episodes: tuple[EpisodeRef, ...]
    about: dict[str, Any]
    code_version: str
    model: ModelConfig
    train: TrainConfig
    phase_s: float = 0.0
    lengthened_at: tuple[int, ...] = ()
    network: bool = True
    began_s: float = 0.0
    cut: tuple[str, ...] = ()
    in_turn: bool = False

    def __post_init__(self) -> None:
        sane = {
            "dt": 0 < self.dt < float("inf"),
            "phase_s": 0 <= self.phase_s < self.dt,
            "context": self.context >= 2,
            "horizon": self.horizon >= 1,
            "seed": isinstance(self.seed, int) and self.seed >= 0,
            "streams": len(self.streams) > 0,
            "steps": (self.steps is None) != (self.minutes is None),
        }
        if not all(sane.values()):
            raise ValueError(f"{next(name for name, fits in sane.items() if not fits)} has no sense")

    @property
    def layout(self) -> TickLayout:
        return TickLayout(self.dt, self.streams, self.phase_s)

    @property
    def experts_s(self) -> float:
        """Seconds that other experts than the network may take: of a run by minutes half, or all without one."""
        if self.minutes is None:
            return math.inf
        return 60 * self.minutes / (2 if self.network else 1)

    @property
    def network_minutes(self) -> float | None:
        """Minutes that are left for the network, at least half of them; None of a run by steps."""
        return None if self.minutes is None else max(self.minutes - self.began_s / 60, self.minutes / 2)

    @property
    def learn(self) -> list[int]:
        """Episodes of the training logs that updates see."""
        return having(LEARN, self.episodes)

    @property
    def select(self) -> list[int]:
        """Those that choose the checkpoint, and set the weights of horizons and the members' spread."""
        return having(SELECT, self.episodes)

    @property
    def measure(self) -> list[int]:
        """Those that nothing touches before `validate`."""
        return having(MEASURE, self.episodes)

    @property
    def enough_select(self) -> bool:
        """Whether the episodes that select are apart from those that learn, and enough to tell experts by."""
        apart = {self.episodes[i].sha256 for i in self.select} - {self.episodes[i].sha256 for i in self.learn}
        return len(apart) >= ENOUGH

    @property
    def by_select(self) -> bool:
        """Whether experts other than the network are measured on the select episodes, and not fitted on them.

        Else each episode is left out in turn.
        """
        return self.enough_select and not self.in_turn

    @property
    def fitted(self) -> list[int]:
        """Episodes that experts other than the network are fitted on: those that learn, and those that select, too,
        where these are not what they are measured on.
        """
        return self.learn if self.by_select else sorted({*self.learn, *self.select})

    @property
    def left_out(self) -> list[int]:
        """Episodes whose windows they are measured on, all or the recorded ones of them."""
        return self.select if self.by_select else self.fitted

    @property
    def teachers(self) -> list[int]:
        """Which of the `fitted` episodes are simulated, where others are recorded."""
        simulated = [self.episodes[i].simulated for i in self.fitted]
        return [] if all(simulated) else [i for i, each in enumerate(simulated) if each]

    @property
    def shared_roles(self) -> str:
        """A sentence on the roles that share episodes; empty if none do. Reports repeat it."""
        return shared_roles(self.episodes)

    def to_json(self) -> str:
        model = {"family": self.model.family, **dataclasses.asdict(self.model)}  # type: ignore[call-overload]
        raw = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self), "model": model}
        return plain_json({**raw, "shared_roles": self.shared_roles}, indent=1)

    @classmethod
    def from_json(cls, text: str, file: Path) -> "RunSettings":
        """Reads what `to_json` of this release, or of a later one with the same version, wrote.

        Raises:
            WorldModelError: for the file of another format or version.
            LookupError, TypeError, ValueError, AttributeError: for one that is damaged.
        """
        raw = json.loads(text)
        if (found := (raw.get("format"), raw.get("version"))) != (FORMAT, VERSION):
            raise WorldModelError(
                f"{file} is of another release.",
                expected=f"format {FORMAT!r}, version {VERSION}",
                found=f"format {found[0]!r}, version {found[1]}",
                remedy="read it with the release that wrote it, or train the run again",
            )
        family = FAMILIES[raw["model"]["family"]]
        return _known(
            cls,
            raw,
            streams=tuple(_known(StreamSpec, s, noise_std=_with_nan(s)) for s in raw["streams"]),
            episodes=tuple(_known(EpisodeRef, e) for e in raw["episodes"]),
            model=_known(family, raw["model"]),
            train=_known(TrainConfig, raw["train"]),
        )


def plain_json(value: Any, **options: Any) -> str:
    """JSON as its standard has it: what is no finite number is null."""
    return json.dumps(_finite(value), allow_nan=False, **options)


def _known(cls: Any, raw: dict[str, Any], **read: Any) -> Any:
    """A record of what it knows of `raw`: keys of later releases are passed over, `read` says what is read already."""
    names = {field.name for field in dataclasses.fields(cls)}
    return cls(**{name: _tuple(value) for name, value in {**raw, **read}.items() if name in names})


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value


def _with_nan(stream: dict[str, Any]) -> tuple[float, ...]:
    return tuple(float("nan") if std is None else std for std in stream.get("noise_std", ()))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

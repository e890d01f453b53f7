"""How much is trained and how, by preset and family of models."""

import dataclasses

from worldmodel.errors import WorldModelError
from worldmodel.models.config import FAMILIES, ModelConfig, ResidualConfig, RSSMConfig


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a preset trains a family.

    Attributes:
        batch: windows an update; each is imagined by `members` members, where the family's objective compares them.
        learning_rate: its peak. warmup: updates until it is reached.
        weight_decay: of decoupled decay. clip: greatest norm of a gradient.
        curriculum: (share of the training, share of the run's horizon): from that share on, rollouts are that long.
            It begins at 0 and ends with the whole horizon.
        frames: horizon ticks a window whose frames are decoded and scored.
        dropout: chance that a stream is hidden from a window's context.
        evaluations: how often the select episodes are scored and a checkpoint is written.
        rich: whether experts beyond ridges are looked for, which takes a minute.
    """

    batch: int = 64
    members: int = 2
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 1e-4
    clip: float = 1.0
    curriculum: tuple[tuple[float, float], ...] = ((0.0, 1 / 8), (0.15, 1 / 2), (0.5, 1.0))
    frames: int = 1
    dropout: float = 0.05
    steps: int = 20_000
    evaluations: int = 20
    rich: bool = True

    def __post_init__(self) -> None:
        if self.curriculum[0][0] != 0 or self.curriculum[-1][1] != 1:
            raise ValueError("a curriculum begins with the training and ends with the run's whole horizon")

    def horizon_at(self, share: float, horizon: int) -> int:
        """Ticks of rollouts when a share of the training is done, in a run whose horizon has `horizon` ticks."""
        part = [part for since, part in self.curriculum if share >= since][-1]
        return max(round(part * horizon), 1)


_DEBUG = TrainConfig(batch=8, steps=200, evaluations=4, curriculum=((0.0, 1 / 2), (0.5, 1.0)), rich=False)
_BASE = TrainConfig(batch=256, members=4, learning_rate=1e-3, frames=2, steps=100_000)
_SMALL_RSSM = TrainConfig(batch=64, learning_rate=4e-3, warmup=50, evaluations=10)  # by tests/benchmarks/sweep.py
PRESETS: dict[str, dict[str, tuple[ModelConfig, TrainConfig]]] = {
    "debug": {
        "residual": (ResidualConfig(width=32, hidden=8, noise=4, video_width=8), _DEBUG),
        "rssm": (RSSMConfig(width=32, stochastic=8, video_width=8), _DEBUG),
    },
    "small": {"residual": (ResidualConfig(), TrainConfig()), "rssm": (RSSMConfig(), _SMALL_RSSM)},
    "base": {
        "residual": (ResidualConfig(width=512, hidden=128, noise=16, video_width=96, dtype="bfloat16"), _BASE),
        "rssm": (RSSMConfig(width=512, stochastic=128, video_width=96, dtype="bfloat16"), _BASE),
    },
}


def preset(name: str, dynamics: str = "residual") -> tuple[ModelConfig, TrainConfig]:
    """The sizes called `name` (`debug` for tests, `small` for a CPU, `base` for an accelerator) of a family."""
    if name not in PRESETS:
        raise WorldModelError(f"There is no preset {name!r}.", expected=", ".join(PRESETS))
    if dynamics not in FAMILIES:
        raise WorldModelError(f"There are no dynamics {dynamics!r}.", expected=", ".join(FAMILIES))
    return PRESETS[name][dynamics]

"""Sizes of the model, by preset."""

import dataclasses

from worldmodel.errors import WorldModelError


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What the networks are built from.

    Attributes:
        dynamics: `residual`, or `rssm`, the recurrent state-space model to compare with.
        width: units of every hidden layer.
        hidden: size of the latent beside the predicted readings; of an RSSM, of its stochastic part.
        noise: size of the noise that makes members differ, in the belief and at every step.
        video_width: channels of the image networks.
        dtype: type of matrix products; `bfloat16` is meant for accelerators.
    """

    dynamics: str = "residual"
    width: int = 128
    hidden: int = 48
    noise: int = 8
    video_width: int = 32
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a preset trains.

    Attributes:
        batch: windows an update; each is imagined by `members` members.
        curriculum: (share of the training, horizon in ticks): from that share on, rollouts are that long.
        frames: horizon ticks a window whose frames are decoded and scored.
        dropout: chance that a stream is hidden from a window's context.
        evaluations: how often held-out episodes are scored and a checkpoint is written.
    """

    batch: int = 64
    members: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    curriculum: tuple[tuple[float, int], ...] = ((0.0, 8), (0.15, 32), (0.5, 64))
    frames: int = 1
    dropout: float = 0.05
    steps: int = 20_000
    evaluations: int = 20


PRESETS: dict[str, tuple[ModelConfig, TrainConfig]] = {
    "debug": (
        ModelConfig(width=32, hidden=8, noise=4, video_width=8),
        TrainConfig(batch=8, steps=200, evaluations=4, curriculum=((0.0, 4), (0.5, 8))),
    ),
    "small": (ModelConfig(), TrainConfig()),
    "base": (
        ModelConfig(width=512, hidden=128, noise=16, video_width=96, dtype="bfloat16"),
        TrainConfig(batch=256, members=4, learning_rate=1e-3, frames=2, steps=100_000),
    ),
}


def preset(name: str) -> tuple[ModelConfig, TrainConfig]:
    """The sizes called `name`: `debug` for tests, `small` for a CPU, `base` for an accelerator."""
    if name not in PRESETS:
        raise WorldModelError(f"There is no preset {name!r}.", expected=", ".join(PRESETS))
    return PRESETS[name]

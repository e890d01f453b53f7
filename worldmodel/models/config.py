"""Families of models: each a record of sizes that makes its model with `create`."""

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from flax import nnx

    from worldmodel.logs.align import TickLayout
    from worldmodel.models.residual import ResidualModel
    from worldmodel.models.rssm import RSSM
    from worldmodel.models.world_model import Scaling, WorldModel


@runtime_checkable
class ModelConfig(Protocol):
    """What every family has.

    Attributes:
        family: its name, by which a run's file finds it again.
        width: units of every hidden layer.
        video_width: channels of the image networks.
        dtype: type of matrix products; `bfloat16` is meant for accelerators.
    """

    family: ClassVar[str]

    def __hash__(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def video_width(self) -> int: ...
    @property
    def dtype(self) -> str: ...

    def create(self, layout: "TickLayout", context: int, scaling: "Scaling", *, rngs: "nnx.Rngs") -> "WorldModel":
        """The model with its initial parameters.

        Args:
            layout: the streams and their columns.
            context: ticks of context.
            scaling: statistics of the training data.
            rngs: for the initial parameters.
        """


@dataclasses.dataclass(frozen=True)
class ResidualConfig:
    """The default: a window encoder, and a residual transition trained on open-loop rollouts.

    Attributes:
        hidden: size of the latent beside the predicted readings.
        noise: size of the noise that makes members differ, in the belief and at every step.
    """

    family: ClassVar[str] = "residual"
    width: int = 128
    hidden: int = 48
    noise: int = 8
    video_width: int = 32
    dtype: str = "float32"

    def create(self, layout: "TickLayout", context: int, scaling: "Scaling", *, rngs: "nnx.Rngs") -> "ResidualModel":
        from worldmodel.models.residual import ResidualModel

        return ResidualModel(layout, context, scaling, self, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class RSSMConfig:
    """The recurrent state-space model to compare with.

    Attributes:
        stochastic: size of the stochastic part of the state; the deterministic part has twice `width`.
        free_nats: divergence a tick that costs nothing.
    """

    family: ClassVar[str] = "rssm"
    width: int = 128
    stochastic: int = 48
    free_nats: float = 0.0
    video_width: int = 32
    dtype: str = "float32"

    def create(self, layout: "TickLayout", context: int, scaling: "Scaling", *, rngs: "nnx.Rngs") -> "RSSM":
        from worldmodel.models.rssm import RSSM

        return RSSM(layout, context, scaling, self, rngs=rngs)


FAMILIES: dict[str, type[ResidualConfig] | type[RSSMConfig]] = {c.family: c for c in (ResidualConfig, RSSMConfig)}

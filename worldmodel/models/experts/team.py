"""All experts of a run and their blend, asked together."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodel.logs.windows import Context
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.evidence import horizons_within
from worldmodel.models.experts.expert import Expert
from worldmodel.models.experts.left_out import Answer, LeftOut, ask
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.rich import RICH
from worldmodel.types import Commands

NETWORK = "network"
_RULER, _LIKE = (
    "hold",
    "linear",
)  # the network's errors are measured beside the one's, and inside contexts are the other's


class Foreseen(NamedTuple):
    """Readings at the ticks ahead, normalised and in the frame of the machine.

    Attributes:
        mean: [B, H, Y].
        members: [B, M, H, Y] as sensors would read.
        weights: [K, B, H, Y] of each expert.
    """

    mean: np.ndarray
    members: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass
class Team:
    """The experts of a run.

    Attributes:
        lens: what they see through.
        experts: without the network, which lives in the run and is the last one where there is one.
        context, horizon: ticks that they were fitted to.
        blend: of them all.
        reach: of what they were trained on.
    """

    lens: Lens
    experts: tuple[Expert, ...]
    context: int
    horizon: int
    blend: Blend
    reach: Reach

    @classmethod
    def of(cls, lens: Lens, experts: tuple[Expert, ...], context: int, horizon: int, left_out: LeftOut) -> "Team":
        """Experts that weigh by what they predicted for windows that they had not seen."""
        layout = lens.layout
        blend = Blend.fit(left_out, horizons_within(context, horizon), layout.stream_of[layout.newest])
        reach = Reach.of(np.where(left_out.mask, left_out.came, np.nan), left_out.led)
        return cls(lens, experts, context, horizon, blend, reach)

    def reweighed(self, left_out: LeftOut, network: Float[np.ndarray, "N H Y"]) -> "Team":
        """The network joins, with what it predicted for the same left-out windows as the others."""
        joined = left_out._replace(
            ahead=np.concatenate([left_out.ahead, network[None]]),
            within=np.concatenate([left_out.within, left_out.within[self._index(_LIKE)][None]]),
        )
        return self.of(self.lens, self.experts, self.context, self.horizon, joined)

    @property
    def rich(self) -> dict[str, Any]:
        """Those that are more than a baseline, by name."""
        return {expert.name: expert for expert in self.experts if expert.name in RICH}

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of weights."""
        return (*(expert.name for expert in self.experts), NETWORK)[: len(self.blend.usual)]

    @property
    def has_network(self) -> bool:
        """Whether the network is one of them."""
        return len(self.blend.usual) > len(self.experts)

    def with_network(self, error: Float[np.ndarray, "N H Y"], held: Float[np.ndarray, "N H Y"], groups: int) -> "Team":
        """The network joins, with its squared errors on windows of so many episodes, and those of holding there."""
        ruler, like = self._index(_RULER), self._index(_LIKE)
        return dataclasses.replace(self, blend=self.blend.joined_by(np.stack([error, held]), ruler, like, groups))

    def foresee(
        self,
        context: Context,
        actions: Commands,
        network: Float[np.ndarray, "B H Y"] | None,
        members: int,
        seed: int | Sequence[int],
    ) -> Foreseen:
        """What the blend predicts after contexts [B] under actions [B, H, A].

        Args:
            context: what was seen.
            actions: what is commanded from there on.
            network: what it predicts, normalised and in the frame of the machine, where it is one of them.
            members: M futures to draw.
            seed: of their errors; or one for each window (see `Blend.members`).
        """
        answer = ask(self.experts, self.lens, context, actions, self.horizon)
        if network is not None:
            like = answer.within[self._index(_LIKE)]
            answer = Answer(*(np.concatenate([x, y[None]]) for x, y in zip(answer, (network, like), strict=True)))
        mean, scale, weights = self.blend.mix(*answer)
        return Foreseen(mean, self.blend.members(mean, scale, members, seed), weights)

    def _index(self, name: str) -> int:
        return [expert.name for expert in self.experts].index(name)

"""All experts of a run and their blend, asked together."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import mean_known, namespace
from worldmodel.logs.windows import Context
from worldmodel.models.baselines.view import Lens, View
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.circles import Circles
from worldmodel.models.experts.evidence import horizons_within
from worldmodel.models.experts.expert import Expert
from worldmodel.models.experts.left_out import Answer, LeftOut, Question, ask, predictions
from worldmodel.models.experts.long_run import FAR
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.rich import RICH
from worldmodel.models.experts.steps import Steps
from worldmodel.types import Array, Commands

NETWORK = "network"
# Far outside of what these learned from, what they say may be anything.
_LINEAR = ("linear", "ridge", "ar", "arx", "products")
_GONE_BY = ("linear", "angles")  # what others go by
_RULER, _LIKE = "hold", "linear"  # beside whose errors the network's are measured; whose it has inside contexts


class Foreseen(NamedTuple):
    """What the blend predicts, in physical units.

    Attributes:
        mean: [B, H, D] features.
        members: [B, M, H, D] as sensors would read.
        weights: [K, B, H, Y] of each expert.
        outside: [B, H, Y + A] how far each reading and action has been outside what was trained on until each tick
            (`reach.labels` names them).
    """

    mean: Array
    members: Array
    weights: Array
    outside: Array


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
    def of(
        cls,
        lens: Lens,
        experts: tuple[Expert, ...],
        context: int,
        horizon: int,
        left_out: LeftOut,
        reach: Reach,
        far: Float[np.ndarray, "K Y"] | None = None,
    ) -> "Team":
        """Experts that weigh by what they predicted for windows that they had not seen, and over long runs."""
        layout = lens.layout
        horizons, stream_of = horizons_within(context, horizon), layout.stream_of[layout.newest]
        steps = Steps.of(lens, left_out.came, left_out.mask)
        blend = Blend.fit(left_out, horizons, stream_of, Circles.of(lens), steps)
        if far is not None:
            blend = dataclasses.replace(blend, far=far)
        mean, scale, _ = blend.mix(left_out.ahead, left_out.within, now=left_out.held[:, None])
        error = mean_known((left_out.squared_errors(mean) / scale**2).reshape(len(mean), -1), 1)
        return cls(lens, experts, context, horizon, blend, reach.having_tried(left_out.led, left_out.groups, error))

    def reweighed(self, left_out: LeftOut, network: Float[Array, "N H Y"]) -> "Team":
        """The network joins, with what it predicted for the same left-out windows as the others."""
        joined = left_out._replace(
            ahead=np.concatenate([left_out.ahead, network[None]]),
            within=np.concatenate([left_out.within, left_out.within[self._index(_LIKE)][None]]),
        )
        far = np.pad(self.blend.far, ((0, min(len(self.blend.far), 1)), (0, 0)))
        return self.of(self.lens, self.experts, self.context, self.horizon, joined, self.reach, far)

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

    def with_network(self, error: Float[Array, "N H Y"], held: Float[Array, "N H Y"], groups: int) -> "Team":
        """The network joins, with its squared errors on windows of so many episodes, and those of holding there."""
        ruler, like = self._index(_RULER), self._index(_LIKE)
        return dataclasses.replace(self, blend=self.blend.joined_by(np.stack([error, held]), ruler, like, groups))

    def within(self, context: Context, actions: Commands) -> Commands | None:
        """The commands held back to what was ever commanded in training; None where they are within it."""
        angle = np.asarray(self.lens.layout.frames.angle(context.values, context.mask))
        acted = self.lens.acted(actions, angle)
        held = self.reach.commands_within(acted)
        if (held == acted)[actions.mask].all():
            return None
        return actions._replace(values=self.lens.commanded(held, angle))

    def asked(self, context: Context, actions: Commands) -> Question:
        """What experts are asked of contexts [B], of which actions [B, H, A] follow."""
        return Question.of(self.lens, context, actions, self.horizon)

    def foresee(
        self, context: Context, actions: Commands, network: Float[Array, "B H D"] | None, chosen: Int[Array, "B M"]
    ) -> Foreseen:
        """What the blend predicts for contexts [B], of which actions [B, H, A] follow.

        Args:
            context: what was seen.
            actions: what is commanded.
            network: what it predicts, as features of the log, where it is one of them.
            chosen: whose errors M futures repeat (`Blend.drawn`).
        """
        asked = self.asked(context, actions)
        return self.blended(asked.view, self.answer(asked), network, chosen)

    def alone(self, name: str, view: View) -> Float[Array, "B H Y"]:
        """What one of the experts but the network says, as `Expert.predict`."""
        some = [expert for expert in self.experts if expert.name in (name, *_GONE_BY)]
        return predictions(some, view)[[expert.name for expert in some].index(name)]

    def answer(self, asked: Question) -> Answer:
        """What the experts say; linear ones no farther outside than `Reach.held_back` lets them, but of a way."""
        said, layout = ask(self.experts, self.lens, asked), self.lens.layout
        linear = np.isin([expert.name for expert in self.experts], _LINEAR)[:, None, None, None]
        held = self.reach.held_back(said.ahead, asked.view.held[:, -1:])
        bounded = linear & ~layout.relative[layout.newest]
        return said._replace(ahead=namespace(said.ahead).where(bounded, held, said.ahead))

    def blended(
        self,
        view: View,
        answer: Answer,
        network: Float[Array, "B H D"] | None,
        chosen: Int[Array, "B M"],
    ) -> Foreseen:
        """The same of what experts have answered."""
        xp = namespace(answer.ahead)
        if network is not None:
            said = self.lens.toward(network, view.angle), answer.within[self._index(_LIKE)]
            answer = Answer(*(xp.concatenate([x, y[None]]) for x, y in zip(answer, said, strict=True)))
        mean, scale, weights = self.blend.mix(*answer, self._astray(answer.ahead), view.held[:, -1:])
        members = self.reach.walled(self.blend.members(mean, scale, chosen), view)
        mean = self.reach.walled(mean[:, None], view)[:, 0]
        clean, read = (self.lens.back_in_slots(x, view.held[:, -1], view.angle) for x in (mean, members))
        return Foreseen(clean, read, weights, self._outside(view, mean))

    def _outside(self, view: View, mean: Float[Array, "B H Y"]) -> Float[Array, "B H columns"]:
        """As `Reach.outside`; a way is known for as long as the horizon, and goes on."""
        layout = self.lens.layout
        farther = (np.arange(mean.shape[1]) >= self.horizon)[:, None] & layout.relative[layout.newest]
        return self.reach.outside(view, namespace(mean).where(farther, view.held[:, -1:], mean))

    def _astray(self, ahead: Float[Array, "K B H Y"]) -> Float[Array, "K B H Y"] | float:
        """How far paths of far forecasts have left what was read; a way has no end."""
        if ahead.shape[2] <= FAR * self.horizon:
            return 0.0
        layout = self.lens.layout
        return ~layout.relative[layout.newest] * self.reach.astray(ahead)

    def _index(self, name: str) -> int:
        return [expert.name for expert in self.experts].index(name)

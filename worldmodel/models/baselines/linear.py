"""The linear rival: one step rolled out, or straight to each tick ahead, whichever is better there."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.direct import Direct, grid
from worldmodel.models.baselines.onestep import OneStep
from worldmodel.models.baselines.penalties import PENALTIES
from worldmodel.models.baselines.view import Examples, View, excess, short_context, squared_errors
from worldmodel.types import Array


@dataclasses.dataclass
class Linear:
    """Two linear models and where each is used.

    Attributes:
        direct, step: the two.
        near: what speaks for them where less context is given than they were fitted with.
        context: ticks of that.
        shares: [N, R, Y] what each of `PENALTIES` counts at each tick and column of `direct`.
        by_direct: bool [H, Y] ticks ahead and columns at which `direct` speaks.
    """

    direct: Direct
    step: OneStep
    near: Direct | None
    context: int
    shares: Array
    by_direct: Array

    @classmethod
    def fit(
        cls,
        learn: Examples,
        select: Examples,
        layout: TickLayout,
        shares: Float[Array, "N R Y"],
        allowance: Allowance = UNLIMITED,
    ) -> "Linear":
        """Chooses on `select` among models fitted on `learn`; `with_near` or `refit` is to follow.

        Lags and penalty of the one-step model are one choice for all; which of the two speak, is chosen for each tick
        ahead and stream. What penalties of the direct one count is told (`penalties.shares`).
        """
        steps = OneStep.candidates(learn, allowance.part(allowance.left / 4))
        with np.errstate(all="ignore"):  # a rollout may diverge, and is then not chosen
            by_step = np.stack([squared_errors(s.predict(select.view), select, layout) for s in steps])
        best = int(np.argmin(excess(by_step).sum(1)))
        direct = Direct.fitted(learn, layout, PENALTIES, shares, allowance.part(allowance.left * 2 / 3))
        by_direct = squared_errors(direct.predict(select.view, layout), select, layout) <= by_step[best]
        shares = shares[np.searchsorted(grid(learn.view.horizon), direct.ticks)]
        return cls(direct, steps[best], None, learn.view.context, shares, by_direct)

    def with_near(self, examples: Examples, layout: TickLayout, allowance: Allowance = UNLIMITED) -> "Linear":
        """With a direct model of short contexts, to as many ticks ahead, that has the same penalties."""
        context = examples.view.context
        short = short_context(context)
        near = self._again(examples.near(short, max(context - short, 1)), layout, allowance)
        return dataclasses.replace(self, near=near)

    def refit(self, examples: Examples, layout: TickLayout, allowance: Allowance = UNLIMITED) -> "Linear":
        """What was chosen, fitted on other examples."""
        step = OneStep.fit(examples, self.step.lags, (self.step.penalty,))[0]
        direct = self._again(examples, layout, allowance.part(allowance.left / 2))
        again = dataclasses.replace(self, direct=direct, step=step, shares=self._shares(direct.ticks))
        return again.with_near(examples, layout, allowance)

    def _shares(self, ticks: Int[Array, " M"]) -> Float[Array, "M R Y"]:
        """What penalties count at some ticks ahead: as at the next one that was fitted."""
        return self.shares[np.searchsorted(self.direct.ticks, ticks)]

    def _again(self, examples: Examples, layout: TickLayout, allowance: Allowance) -> Direct:
        """A direct model with the same penalties."""
        return Direct.fitted(examples, layout, PENALTIES, self._shares(grid(examples.view.horizon)), allowance)

    def predict(self, view: View, layout: TickLayout) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead; beyond those fitted the one-step model goes on from the last.

        With a short context, no further than that is long.
        """
        if self.near is not None and view.context < self.context:
            return self.near.predict(view.newest(min(short_context(self.context), view.context)), layout)
        direct = self.direct.predict(view, layout)
        fitted, rolled = direct.shape[1], self._rolled(direct.shape[1], view.horizon)
        if not rolled:
            return direct
        xp, near = namespace(direct), min(fitted, rolled)
        step = self.step.predict(view._replace(ahead=view.ahead[:, :rolled], ahead_mask=view.ahead_mask[:, :rolled]))
        chosen = xp.where(self.by_direct[:near], direct[:, :near], step[:, :near])
        ahead = xp.concatenate([chosen, direct[:, near:]], 1)
        return xp.concatenate([ahead, ahead[:, -1:] + step[:, fitted:] - step[:, fitted - 1 : fitted]], 1)

    def _rolled(self, fitted: int, horizon: int) -> int:
        """How many ticks ahead `step` is asked for: as far as it speaks."""
        speaks = np.flatnonzero(~self.by_direct[:fitted].all(1))
        return horizon if horizon > fitted else int(speaks[-1]) + 1 if len(speaks) else 0

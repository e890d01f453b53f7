"""The linear rival: one step rolled out, or straight to each tick ahead, whichever is better there."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from worldmodel.arrays import namespace
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.direct import PENALTIES, Direct, grid
from worldmodel.models.baselines.onestep import OneStep
from worldmodel.models.baselines.view import Examples, View, excess, short_context, squared_errors
from worldmodel.types import Array


@dataclasses.dataclass
class Linear:
    """Two linear models and where each is used.

    Attributes:
        direct, step: the two.
        near: what speaks for them where less context is given than they were fitted with.
        context: ticks of that.
        choice: int [N, Y] which penalty each tick and column of `direct` has.
        by_direct: bool [H, Y] ticks ahead and columns at which `direct` speaks.
    """

    direct: Direct
    step: OneStep
    near: Direct
    context: int
    choice: Array
    by_direct: Array

    @classmethod
    def fit(cls, learn: Examples, select: Examples, layout: TickLayout) -> "Linear":
        """Chooses on `select` among models fitted on `learn`.

        Lags and penalty of the one-step model are one choice for all; penalties of the direct one, and which of the
        two speaks, are chosen for each tick ahead and stream.
        """
        steps, directs = OneStep.candidates(learn), Direct.candidates(learn, layout)
        with np.errstate(all="ignore"):  # a rollout may diverge, and is then not chosen
            by_step = np.stack([squared_errors(s.predict(select.view), select, layout) for s in steps])
        best = int(np.argmin(excess(by_step).sum(1)))
        predicted = Direct.predictions(directs, select.view, layout)
        by_penalty = np.stack([squared_errors(ahead, select, layout) for ahead in predicted])
        choice = np.argmin(by_penalty[:, directs[0].ticks - 1], 0)
        direct = Direct.blend(directs, choice)
        by_direct = squared_errors(direct.predict(select.view, layout), select, layout) <= by_step[best]
        near = _near(learn, layout, direct, choice)
        return cls(direct, steps[best], near, learn.view.context, choice, by_direct)

    def refit(self, examples: Examples, layout: TickLayout) -> "Linear":
        """What was chosen, fitted on other examples."""
        direct = _chosen(examples, layout, self.choice)
        step = OneStep.fit(examples, self.step.lags, (self.step.penalty,))[0]
        near = _near(examples, layout, direct, self.choice)
        return dataclasses.replace(self, direct=direct, step=step, near=near)

    def predict(self, view: View, layout: TickLayout) -> Float[Array, "B H Y"]:
        """Normalised readings at the ticks ahead; beyond those fitted the one-step model goes on from the last.

        With a short context, no further than that is long.
        """
        if view.context < self.context:
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


def _near(examples: Examples, layout: TickLayout, like: Direct, choice: Int[Array, "N Y"]) -> Direct:
    """As `like`, with its `choice` of penalties, on short contexts and to as many ticks ahead."""
    context = examples.view.context
    short = short_context(context)
    near = examples.near(short, max(context - short, 1))
    return _chosen(near, layout, choice[np.searchsorted(like.ticks, grid(near.view.horizon))])


def _chosen(examples: Examples, layout: TickLayout, choice: Int[Array, "N Y"]) -> Direct:
    """The direct model with these of all penalties; no others are fitted."""
    used = np.unique(choice) if choice.size else np.zeros(1, int)  # of a camera alone there are no readings
    candidates = Direct.candidates(examples, layout, [PENALTIES[i] for i in used])
    return Direct.blend(candidates, np.searchsorted(used, choice))

"""The compact state space as an expert: what it is like is chosen on left-out blocks, several members, their median."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from worldmodel.errors import WorldModelError
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.state_space.choice import choose
from worldmodel.models.experts.state_space.fitting import Belief, Member, Recipe, fit_again, fit_linear
from worldmodel.models.experts.state_space.members import drawn
from worldmodel.models.experts.state_space.traces import Traces, pace_of

MOST_READINGS = 6  # more make its fits slow, and ridges serve them
_DRAWN = 30  # fits from different first units
_RACED, _RESIDUALS = 8_000, 40_000  # that they look at, and members at the end; more windows are thinned


def suits(lens: Lens) -> bool:
    """Whether there are few enough readings for one."""
    return 1 <= len(lens.centre) <= MOST_READINGS


@dataclasses.dataclass
class StateSpace:
    """States of which the first are the readings; x' = x + A x + B u + c + a few units (`cell.Shape`).

    Attributes:
        recipe: what was chosen.
        belief: how far a context's readings are believed, where the start is found from them.
        members: fits from different units.
    """

    name = "state_space"
    recipe: Recipe
    belief: Belief
    members: list[Member]

    @classmethod
    def fit(cls, examples: Examples, lens: Lens, seed: int = 0, allowance: Allowance = UNLIMITED) -> "StateSpace":
        """Chooses and fits, from windows in order of time; two thirds of the time allowed go into the choice.

        Raises:
            WorldModelError: if there are more than `MOST_READINGS` columns of readings.
        """
        if not suits(lens):
            raise WorldModelError(
                "A compact state space is for few readings.",
                expected=f"1 to {MOST_READINGS} columns",
                found=f"{len(lens.centre)}",
                remedy="leave this expert out",
            )
        choosing = allowance.part(allowance.left * 2 / 3)
        traces, context = Traces.of(examples), examples.view.held.shape[1]
        pace = pace_of(traces, context)
        slow, short = traces.paced(pace, context)
        recipe, belief = choose(slow, short, seed, choosing)
        seeds = range(seed * _DRAWN, (seed + 1) * _DRAWN)
        members, belief = drawn(recipe, slow.thin(_RACED), short, seeds, belief, allowance)
        return cls(recipe, belief, members)._in_shorter_steps(pace).refit(examples, allowance)

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED) -> "StateSpace":
        """What was chosen, fitted to other examples from where members ended."""
        traces, context = Traces.of(examples).thin(_RESIDUALS), examples.view.held.shape[1]
        begin = [(member, member.start(traces.until(context), self.belief)) for member in self.members]
        members = fit_again(self.recipe, fit_linear(self.recipe, traces)[0], traces, begin, allowance)
        return dataclasses.replace(self, members=members)

    def _in_shorter_steps(self, pace: int) -> "StateSpace":
        """The same in steps of which `pace` are one of now's."""
        belief = self.belief._replace(forgetting=self.belief.forgetting / pace)
        return StateSpace(self.recipe, belief, [member.in_steps_of(1 / pace) for member in self.members])

    def predict(self, view: View) -> Float[np.ndarray, "B H Y"]:
        """Normalised readings at the ticks ahead: the median of the members."""
        seen = Traces.seen(view)
        return np.median([m.predict(seen, view.ahead, self.belief) for m in self.members], 0)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What a file keeps."""
        fields = {f"members/{k}": np.stack([getattr(m, k) for m in self.members]) for k in ("flat", "limit", "error")}
        return fields | {
            "hidden": np.array(self.recipe.hidden),
            "terms": np.array(self.recipe.terms, "S"),
            "ridge": np.array(self.recipe.ridge),
            "anywhere": np.array(self.recipe.anywhere),
            "belief": np.array(self.belief),
            "seeds": np.array([m.seed for m in self.members]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], lens: Lens) -> "StateSpace":
        """The inverse of `to_arrays`."""
        terms = tuple(t.decode() for t in arrays["terms"])
        recipe = Recipe(int(arrays["hidden"]), terms, float(arrays["ridge"]), bool(arrays["anywhere"]))
        shape = recipe.shape(len(lens.centre), len(lens.action_mean))
        fields = (arrays[name] for name in ("members/flat", "members/limit", "members/error", "seeds"))
        members = [Member(shape, flat, limit, e, int(seed)) for flat, limit, e, seed in zip(*fields, strict=True)]
        belief = arrays["belief"] if "belief" in arrays else [arrays["forgetting"]]  # of runs before there was more
        return cls(recipe, Belief(*map(float, belief)), members)

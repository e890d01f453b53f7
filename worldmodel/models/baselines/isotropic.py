"""A linear model to which all horizontal directions are alike, whichever the machine went while it learned."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import solve

from worldmodel.arrays import namespace
from worldmodel.codecs import codec
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.direct import Asked, Direct, Questions, targets
from worldmodel.models.baselines.inputs import STILL, Part, flat, parts_of, spans_of
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.types import Array

_SLOW = 0.1  # of the mean squared speed: below that, a turn is not told from noise


class Pairs(NamedTuple):
    """Horizontal vectors among the Y readings of a machine, as seen in its heading.

    Attributes:
        columns: int [2, P] where each one's parts along the nose and to its left are.
        sign: int [2, P] with which both parts of a lean turn as a place does.
        is_place: bool [P] which are places; the others are leans.
    """

    columns: Array
    sign: Array
    is_place: Array


def pairs_of(layout: TickLayout) -> Pairs:
    """Places and leans that are seen in one world frame; none where there are not both."""
    places, leans = defaultdict(list), defaultdict(list)
    for spec in layout.readings:
        told, frame, first = codec(spec).turning, codec(spec).world_frame, layout.reading_columns[spec.name].start
        if told.place is not None:
            places[frame].append((first + told.place[0], first + told.place[1], 1, 1))
        if told.lean is not None:
            leans[frame].append((first + told.lean.ahead, first + told.lean.left, told.lean.sign, 0))
    found = [pair for frame in places if frame in leans for pair in (*places[frame], *leans[frame])]
    ahead, left, sign, place = np.array(found, int).reshape(-1, 4).T
    return Pairs(np.stack([ahead, left]), np.stack([np.ones_like(sign), sign]), place > 0)


@dataclasses.dataclass
class Isotropic(Direct):
    """The change of horizontal vectors, each a sum of vectors that were seen, in any direction by the same weights.

    So what it says turns and is mirrored with what it sees. A machine that leans to accelerate, such as a multirotor,
    nearly does that, whatever path it learned from; where one does not, as a car, it is trusted little. Of commands and
    of all other columns it says nothing.

    Attributes:
        columns: int [2, P] those of the vectors.
        unit, centre: [2, P] with which a normalised reading is a component in a unit that both share.
        places: int [L] which of the vectors are places.
        slow: [L] squared speeds below which a turn is not told; none where a model is told of no turns.
        slopes: [2, K] of means over shares of the context, of which they are the speed late and early in it.
        own: [N, F, P] weights of the F vectors that are seen.
    """

    columns: Array
    unit: Array
    centre: Array
    places: Array
    slow: Array
    slopes: Array
    own: Array

    @classmethod
    def of(cls, examples: Examples, lens: Lens, penalty: float, turns: bool) -> "Isotropic":
        """Fitted on the readings that came.

        Args:
            examples: as for others.
            lens: what they were seen through.
            penalty: of a mean squared error.
            turns: whether it is told vectors times how fast a place goes, and how fast it turns, too: so that what
                comes round a bend is not that of a straight way.
        """
        (columns, sign, is_place), (ticks, change, there) = pairs_of(lens.layout), targets(examples)
        unit, centre = lens.scale[columns] * sign, lens.centre[columns] * sign
        parts, told = parts_of(examples.view, lens.layout), np.flatnonzero(is_place) if turns else np.zeros(0, int)
        silent = np.zeros((len(ticks), 1, change.shape[-1]))
        silent[..., ~np.isin(np.arange(change.shape[-1]), columns)] = np.nan
        model = cls(
            ticks, np.zeros(flat(parts).shape[1], bool), silent, columns, unit, centre, told, np.zeros(0),
            _slopes(examples.view.context), np.zeros(0),
        )  # fmt: skip
        late, _ = model._speeds(_means(parts, columns, unit))
        model.slow = np.maximum(_SLOW * (late**2).sum(1).mean(0), STILL**2)  # of what stands still
        seen, came, known = model._vectors(parts), change[:, :, columns] * unit, there[:, :, columns].all(2)
        model.own = np.stack([_fitted(seen, came[:, i], known[:, i], penalty) for i in range(len(ticks))])
        return model

    def _answers(self, asked: Asked, questions: Questions) -> Float[Array, "B Q Y"]:
        seen, count = self._vectors(asked.parts), len(self.ticks)
        xp = namespace(seen)
        said = xp.einsum("bif,nfp->bnip", seen, self.own[:count]) / self.unit
        at = np.zeros(self.weights.shape[-1], int)
        at[self.columns.reshape(-1)] = np.arange(self.columns.size)
        return (said.reshape(*said.shape[:2], -1)[..., at] + self.weights[:count, -1])[:, questions.model]

    def _vectors(self, parts: Sequence[Part]) -> Float[Array, "B 2 F"]:
        """Of each vector the last one, and how far means over shares of the context are from it; and those of turns."""
        xp, last = namespace(parts[0].values), parts[0].values[:, self.columns] * self.unit + self.centre
        means = _means(parts, self.columns, self.unit)
        seen = [last, *(x.swapaxes(1, 2).reshape(len(last), 2, -1) for x in means)]
        if len(self.places):
            late, early = self._speeds(means)
            squared = (late**2).sum(1, keepdims=True)
            turn = (early[:, :1] * late[:, 1:] - early[:, 1:] * late[:, :1]) / (squared + self.slow)
            leans = np.setdiff1d(np.arange(self.columns.shape[1]), self.places)
            for i in range(len(self.places)):
                led = xp.concatenate([late[..., i : i + 1], last[..., leans]], -1)
                across, how = xp.stack([-led[:, 1], led[:, 0]], 1), turn[..., i : i + 1]
                seen += [how * across, how**2 * led, xp.sqrt(squared[..., i : i + 1]) * led]
        return xp.concatenate(seen, -1)

    def _speeds(self, means: Sequence[Float[Array, "B K 2 p"]]) -> list[Float[Array, "B 2 L"]]:
        """Late and early in the context, of places, from the means of all vectors in their order."""
        xp = namespace(means[0])
        ways = xp.concatenate([x[:, -self.slopes.shape[1] :] for x in means], -1)[..., self.places]
        return [xp.einsum("k,bkil->bil", each, ways) for each in self.slopes]


def _means(
    parts: Sequence[Part], columns: Int[np.ndarray, "2 P"], unit: Float[Array, "2 P"]
) -> list[Float[Array, "B K 2 p"]]:
    """How far the means over shares of the context are from the last: of one vector after the other."""
    found = []
    for vector in range(columns.shape[1]):
        of_vector = [part for part in parts[2:-1] if columns[0, vector] in part.of]
        each = [values[:, :, 0] if values.ndim > 3 else values for values, _ in of_vector]  # without what says if known
        taken = [x[..., columns[:, vector] - of_vector[0].of.start] * unit[:, vector] for x in each]
        found.append(namespace(taken[0]).concatenate(taken, 1)[..., None])
    return found


def _slopes(ticks: int) -> Float[np.ndarray, "2 K"]:
    """Of means over shares of so many ticks those of lines through the last third of them, and through the others.

    Per tick; 0 where a line has no two points.
    """
    time = (np.array(spans_of(ticks)).sum(1) - 1) / 2 - (ticks - 1)
    slopes, late = np.zeros((2, len(time))), time > -ticks / 3
    for row, inside in zip(slopes, (late, ~late), strict=True):
        if inside.sum() > 1:
            away = time[inside] - time[inside].mean()
            row[inside] = away / (away**2).sum()
    return slopes


def _fitted(
    seen: Float[np.ndarray, "B 2 F"],
    came: Float[np.ndarray, "B 2 P"],
    known: Bool[np.ndarray, "B P"],
    penalty: float,
) -> Float[np.ndarray, "F P"]:
    """Weights of a ridge regression without a constant; both parts of a vector are rows."""
    scale = np.maximum(np.sqrt((seen**2).mean((0, 1))), STILL)
    weights = np.zeros((seen.shape[-1], came.shape[-1]))
    for vector, rows in enumerate(known.T):
        x, y = (seen[rows] / scale).reshape(-1, len(scale)), came[rows][..., vector].reshape(-1)
        if len(x):
            weights[:, vector] = solve(x.T @ x + penalty * len(x) * np.eye(len(scale)), x.T @ y, assume_a="pos") / scale
    return weights

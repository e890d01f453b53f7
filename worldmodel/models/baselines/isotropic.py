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
from worldmodel.models.baselines.inputs import STILL, Part, flat, parts_of
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.types import Array


class Pairs(NamedTuple):
    """Horizontal vectors among the Y readings of a machine, as seen in its heading.

    Attributes:
        columns: int [2, P] where each one's parts along the nose and to its left are.
        sign: int [2, P] with which both parts of a lean turn as a place does.
    """

    columns: Array
    sign: Array


def pairs_of(layout: TickLayout) -> Pairs:
    """Places and leans that are seen in one world frame; none where there are not both."""
    places, leans = defaultdict(list), defaultdict(list)
    for spec in layout.readings:
        told, frame, first = codec(spec).turning, codec(spec).world_frame, layout.reading_columns[spec.name].start
        if told.place is not None:
            places[frame].append((first + told.place[0], first + told.place[1], 1))
        if told.lean is not None:
            leans[frame].append((first + told.lean.ahead, first + told.lean.left, told.lean.sign))
    found = [pair for frame in places if frame in leans for pair in (*places[frame], *leans[frame])]
    ahead, left, sign = np.array(found, int).reshape(-1, 3).T
    return Pairs(np.stack([ahead, left]), np.stack([np.ones_like(sign), sign]))


@dataclasses.dataclass
class Isotropic(Direct):
    """The change of horizontal vectors, each a sum of vectors that were seen, in any direction by the same weights.

    So what it says turns and is mirrored with what it sees. A machine that leans to accelerate, such as a multirotor,
    nearly does that, whatever path it learned from; where one does not, as a car, it is trusted little. Of commands and
    of all other columns it says nothing.

    Attributes:
        columns: int [2, P] those of the vectors.
        unit, centre: [2, P] with which a normalised reading is a component in a unit that both share.
        own: [N, F, P] weights of the F vectors that are seen.
    """

    columns: Array
    unit: Array
    centre: Array
    own: Array

    @classmethod
    def of(cls, examples: Examples, lens: Lens, penalty: float) -> "Isotropic":
        """Fitted on the readings that came."""
        (columns, sign), (ticks, change, there) = pairs_of(lens.layout), targets(examples)
        unit, centre = lens.scale[columns] * sign, lens.centre[columns] * sign
        parts = parts_of(examples.view, lens.layout)
        seen = _vectors(parts, columns, unit, centre)
        came, known = change[:, :, columns] * unit, there[:, :, columns].all(2)
        own = np.stack([_fitted(seen, came[:, i], known[:, i], penalty) for i in range(len(ticks))])
        nothing = np.zeros((len(ticks), 1, change.shape[-1]))  # of constants
        silent = ~np.isin(np.arange(change.shape[-1]), columns)
        return cls(
            ticks, np.zeros(flat(parts).shape[1], bool), np.where(silent, np.nan, nothing), columns, unit, centre, own
        )

    def _answers(self, asked: Asked, questions: Questions) -> Float[Array, "B Q Y"]:
        seen = _vectors(asked.parts, self.columns, self.unit, self.centre)
        xp, count = namespace(seen), len(self.ticks)
        said = xp.einsum("bif,nfp->bnip", seen, self.own[:count]) / self.unit
        place = np.full(self.weights.shape[-1], -1)
        place[self.columns.reshape(-1)] = np.arange(self.columns.size)
        of = said.reshape(*said.shape[:2], -1)[..., np.maximum(place, 0)]
        return (of + self.weights[:count, -1])[:, questions.model]


def _vectors(
    parts: Sequence[Part],
    columns: Int[np.ndarray, "2 P"],
    unit: Float[Array, "2 P"],
    centre: Float[Array, "2 P"],
) -> Float[Array, "B 2 F"]:
    """Of each vector the last one, and how far means over shares of the context are from it."""
    (last, _), _, *rest = parts[:-1]
    xp = namespace(last)
    seen = [last[:, columns] * unit + centre]
    for values, of in rest:
        inside = np.flatnonzero(np.isin(columns[0], of))
        if inside.size:
            means = values[:, :, 0] if values.ndim > 3 else values  # without what says whether there is one
            vectors = means[..., columns[:, inside] - of.start] * unit[:, inside]
            seen.append(vectors.swapaxes(1, 2).reshape(len(last), 2, -1))
    return xp.concatenate(seen, -1)


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

"""The expert: what was found of a machine's mechanics, and what it predicts."""

import dataclasses
import functools
import json
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from worldmodel.compiled import jit_on_processor
from worldmodel.models.allowance import UNLIMITED, Allowance
from worldmodel.models.baselines.view import Examples, Lens, View
from worldmodel.models.experts.columns import Column, actions_of, columns_of
from worldmodel.models.experts.mechanics import fitting
from worldmodel.models.experts.mechanics.formulas import formulas
from worldmodel.models.experts.mechanics.model import TAPS, Form, Scales, parameters, rollout, size
from worldmodel.models.experts.mechanics.scales import measure
from worldmodel.models.experts.mechanics.start import last_axis, shot, single
from worldmodel.models.experts.mechanics.track import Came, Track, came_of, features_of, track_of
from worldmodel.models.experts.structure import MOST_COORDINATES, Structure
from worldmodel.types import Array

_NEAR, _FAR, _LAST = (10, 1000), (50, 300), (50, 1000)  # ticks of rollouts, and windows, of each stage
LAST_STEPS = "the last steps of mechanics"
_FEW = 50  # parameters; where there are more, windows are fewer
_RELEVANCE = 5  # times that relevance is looked at
_REFITS = 2  # from starts that are shot through the model
_LENGTHS = (0, 3, 20, 29)  # ticks of the path to the start
_SUBSTEPS = 4.0  # in the time in which a velocity changes by its usual size, but 2 in a tick at least
_CHUNK = 512  # windows that are predicted together
_SHORTEST = 16  # ticks that are compiled for


@dataclasses.dataclass(frozen=True)
class Mechanics:
    """Lagrange's equations of a machine whose coordinates are measured, and mostly their derivatives.

    Attributes:
        lens: the view that it works on.
        structure: what is the derivative of what, which are angles, what drives what.
        form, scales: of the model.
        flat: parameters.
        ridge: of each, as relevance chose it.
        length: ticks of the path to the start.
    """

    lens: Lens
    structure: Structure
    form: Form
    scales: Scales
    flat: Float[np.ndarray, " P"]
    ridge: Float[np.ndarray, " P"]
    length: int = 0

    name = "mechanics"

    @staticmethod
    def suits(structure: Structure) -> bool:
        """Whether there are coordinates, and not too many."""
        return 0 < len(structure.pairs) <= MOST_COORDINATES

    @classmethod
    def fit(
        cls, examples: Examples, lens: Lens, structure: Structure, seed: int, allowance: Allowance = UNLIMITED
    ) -> "Mechanics":
        """Fits rollouts of a few ticks and then of many, prunes, and fits again from better starts.

        Args:
            examples: windows to learn from, of at least 12 ticks of context.
            lens: theirs.
            structure: one for which `suits` holds.
            seed: of the windows that are drawn.
            allowance: time for it; what is found by its end counts.
        """
        track, came = _seen(examples, lens, structure)
        drives = _drives(structure, lens)
        scales = measure(track, came, drives, lens)
        substeps = max(2, int(np.ceil(_SUBSTEPS * scales.dt / scales.time)))
        angles = tuple(pair.coordinate in structure.angles for pair in structure.pairs)
        form = Form(angles, track.acted.shape[-1], drives is not None, substeps)
        blank = cls(lens, structure, form, scales, np.zeros(size(form)), fitting.first_ridge(form))
        return blank._learned(track, came, seed, allowance)

    def refit(self, examples: Examples, allowance: Allowance = UNLIMITED, seed: int = 0) -> "Mechanics":
        """The same form, pruning and start, settled on other windows from where it is; once however little time."""
        track, came = _seen(examples, self.lens, self.structure)
        rng, model = _rng(seed), self
        for turn in (UNLIMITED, *(_REFITS - 1) * (allowance,)):
            model = model._settled(*model._draw(track, came, _LAST, rng), rounds=4, allowance=turn)
        return model

    def go_on(self, examples: Examples, allowance: Allowance = UNLIMITED, seed: int = 0) -> "Mechanics":
        """With the last steps of the fit, which there was no time for."""
        return self._ended(*_seen(examples, self.lens, self.structure), _rng(seed), allowance)

    def predict(self, view: View) -> Float[np.ndarray, "B H Y"]:
        """Normalised readings at the ticks ahead; NaN in all columns but coordinates and their derivatives."""
        columns = _columns_of(self.structure, self.lens)
        return features_of(self._ahead(track_of(view, self.lens, columns), view.horizon), self.lens, columns)

    def describe(self) -> str:
        """The equations, in units, as a mechanic writes them."""
        return formulas(self.structure, self.form, self.scales, self.flat, self.lens)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All but the lens."""
        about = {"structure": self.structure.to_json(), "form": self.form._asdict(), "length": self.length}
        scales = {f"scales.{name}": np.asarray(value) for name, value in self.scales._asdict().items()}
        return {"about": np.array(json.dumps(about)), "flat": self.flat, "ridge": self.ridge, **scales}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], lens: Lens) -> "Mechanics":
        """What `to_arrays` gave."""
        about = json.loads(str(arrays["about"]))
        form = Form(**(about["form"] | {"angles": tuple(about["form"]["angles"])}))
        scales = Scales(*(np.asarray(arrays[f"scales.{name}"]) for name in Scales._fields))
        structure = Structure.from_json(about["structure"])
        return cls(lens, structure, form, scales, arrays["flat"], arrays["ridge"], about["length"])

    def _learned(self, track: Track, came: Came, seed: int, allowance: Allowance) -> "Mechanics":
        """From blank parameters."""
        rng = _rng(seed)
        model = self._settled(*self._draw(track, came, _NEAR, rng), rounds=8, allowance=allowance)
        far = self._draw(track, came, _FAR, rng)
        model = model._settled(*far, rounds=4, allowance=allowance)
        if self.structure.hidden:  # what a polynomial tells of velocities is too little to prune by
            model = model._started(*far)._settled(*far, rounds=4, allowance=allowance)
        return model._pruned(*far, allowance)._ended(track, came, rng, allowance)

    def _ended(self, track: Track, came: Came, rng: np.random.Generator, allowance: Allowance) -> "Mechanics":
        """Settled again from starts that are shot through the model."""
        model = self
        for _ in range(_REFITS):
            if allowance.is_over:
                allowance.leave_out(LAST_STEPS)
                break
            last = self._draw(track, came, _LAST, rng)
            model = model._started(*last)._settled(*last, rounds=4, allowance=allowance)
        return model

    def _draw(self, track: Track, came: Came, stage: tuple[int, int], rng: np.random.Generator) -> tuple[Track, Came]:
        """Windows of a stage, some of them twice where there are fewer, and the first ticks of what came.

        One number of windows for all logs, so that their folds share what is compiled.
        """
        horizon, windows = stage
        rows = np.sort(np.resize(rng.permutation(len(came.value)), windows * _FEW // max(len(self.flat), _FEW)))
        return track.take(rows), Came(*(part[rows, :horizon] for part in came))

    def _settled(self, track: Track, came: Came, rounds: int, allowance: Allowance) -> "Mechanics":
        data = fitting.weigh(self.form, self.scales, self.flat, self._rollouts(track, came))
        flat = fitting.settle(self.form, self.scales, self.flat, self.ridge, data, rounds, allowance)
        return dataclasses.replace(self, flat=flat)

    def _pruned(self, track: Track, came: Came, allowance: Allowance) -> "Mechanics":
        """Looks at relevance and settles in turn."""
        data = fitting.weigh(self.form, self.scales, self.flat, self._rollouts(track, came))
        flat, ridge = self.flat, self.ridge
        for _ in range(_RELEVANCE):
            if allowance.is_over:
                break
            ridge = fitting.relevance(self.form, self.scales, flat, ridge, data)
            flat = fitting.settle(self.form, self.scales, flat, ridge, data, 4, allowance)
        return dataclasses.replace(self, flat=flat, ridge=ridge)

    def _started(self, track: Track, came: Came) -> "Mechanics":
        """With the length of path to the start that leaves the least error, on average over its logarithms."""
        models = [dataclasses.replace(self, length=length) for length in _LENGTHS if length <= track.ticks - TAPS]
        return min(models, key=lambda model: np.log(model._error(track, came)).mean())

    def _error(self, track: Track, came: Came) -> Float[np.ndarray, " h"]:
        """Root mean square, in standard deviations, at the ticks that are compared."""
        missed = fitting.errors(self.form, self.scales, self.flat, self._rollouts(track, came))
        return np.sqrt((missed**2).mean((1, 2))) + 1e-12

    def _rollouts(self, track: Track, came: Came) -> fitting.Rollouts:
        """Windows with the ticks that are compared, all at the same weight."""
        horizon = came.value.shape[1]
        at = list(fitting.compared(horizon))
        start = shot(self.form, self.scales, self.flat, track, self.length)
        parts = (start, _felt(track, horizon), came.value[:, at], came.age[:, at], came.mask[:, at])
        return fitting.Rollouts(*map(last_axis, parts))

    def _ahead(self, track: Track, horizon: int) -> Float[np.ndarray, "B H S"]:
        """Coordinates and velocities ahead, a chunk of windows at a time, so that few shapes are compiled."""
        ticks, count = _rounded(horizon, _SHORTEST), len(track.seen)
        chunk = min(_rounded(count, _SHORTEST), _CHUNK)
        parts = []
        for begin in range(0, count, chunk):
            part = track.take(np.minimum(np.arange(begin, begin + chunk), count - 1))
            acted = _felt(part, horizon)
            acted = np.concatenate([acted, np.repeat(acted[:, -1:], ticks - horizon, 1)], 1)
            start = shot(self.form, self.scales, self.flat, part, self.length)
            path = _roll(self.form, self.scales, single(self.flat), last_axis(start), last_axis(acted))
            parts.append(np.moveaxis(np.asarray(path, float), -1, 0)[:, :horizon])
        return np.concatenate(parts)[:count]


@functools.partial(jit_on_processor, static_argnums=0)
def _roll(
    form: Form,
    scales: Scales,
    flat: Float[Array, " P"],
    start: Float[Array, "S B"],
    acted: Float[Array, "T A B"],
) -> Float[Array, "H S B"]:
    return rollout(form, scales, parameters(form, flat), start, acted)


def _seen(examples: Examples, lens: Lens, structure: Structure) -> tuple[Track, Came]:
    columns = _columns_of(structure, lens)
    track = track_of(examples.view, lens, columns)
    return track, came_of(examples, lens, columns, track)


def _columns_of(structure: Structure, lens: Lens) -> list[Column | None]:
    """The coordinates, then their derivatives, None where nobody reads them."""
    columns = columns_of(lens.layout)
    names = [*structure.coordinates, *(pair.derivative for pair in structure.pairs)]
    return [None if name is None else columns[name] for name in names]


def _drives(structure: Structure, lens: Lens) -> Float[np.ndarray, "n A"] | None:
    """1 where an action drives a coordinate; None where any may drive any."""
    if not structure.acts_on:
        return None
    actions = actions_of(lens.layout)
    out = np.zeros((len(structure.pairs), lens.layout.action_count))
    for action, coordinate in structure.acts_on:
        out[structure.coordinates.index(coordinate), actions[action]] = 1
    return out


def _rng(seed: int) -> np.random.Generator:
    """Of the windows that are drawn."""
    return np.random.default_rng([seed, 0x3EC4])


def _felt(track: Track, horizon: int) -> Float[np.ndarray, "B T A"]:
    """Actions of the ticks ahead, and of those before that a delay reaches back to."""
    return track.acted[:, track.ticks - TAPS : track.ticks - 1 + horizon]


def _rounded(count: int, least: int) -> int:
    """The next power of two."""
    return max(least, 1 << (count - 1).bit_length())

"""What a machine's columns are to each other: which is the derivative of which, which are angles, what drives what."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import hold
from worldmodel.codecs import codec
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.types import StreamSpec

_SPANS = (4, 8, 16)  # ticks of the increments that are compared
_LEAST_FIT = 0.9  # of an increment's variance that the integral explains, with a slope of 1
_SLOPE = 0.15  # that the best slope may be off from 1
_WINDOWS = 1000  # that are looked at, at most
_STILL = 1e-9  # an increment, in standard deviations, that is none
_TAPS = 5  # ticks on either side of a centred derivative


class Column(NamedTuple):
    """A column of a sensor that neither turns with a heading nor is relative.

    Attributes:
        name: `stream.column`.
        stream, label, unit: its parts.
        at: its first feature among the Y readings; of an angle that wraps the sine, which its cosine follows.
        circular: whether it wraps.
    """

    name: str
    stream: str
    label: str
    unit: str
    at: int
    circular: bool


class Pair(NamedTuple):
    """A coordinate and its derivative (`stream.column`), and how well they fit: R2, None where it was declared."""

    coordinate: str
    derivative: str
    fit: float | None = None


@dataclasses.dataclass(frozen=True)
class Structure:
    """What is known of a machine without a model of it.

    Attributes:
        pairs: the coordinates, each with its derivative.
        angles: those of the coordinates that are angles.
        acts_on: (action, coordinate) where each action drives one coordinate; empty where any may drive any.
        declared: which of these the user said.
        looks_ahead: derivatives that hold readings which come later: a leak, if they are taken for measurements.
    """

    pairs: tuple[Pair, ...] = ()
    angles: tuple[str, ...] = ()
    acts_on: tuple[tuple[str, str], ...] = ()
    declared: tuple[str, ...] = ()
    looks_ahead: tuple[str, ...] = ()

    @property
    def coordinates(self) -> tuple[str, ...]:
        return tuple(pair.coordinate for pair in self.pairs)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and strings."""
        return dataclasses.asdict(self) | {"pairs": [list(pair) for pair in self.pairs]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Structure":
        """What `to_json` gave, also after a file."""
        return cls(
            tuple(Pair(*pair) for pair in kept["pairs"]),
            tuple(kept["angles"]),
            tuple((action, coordinate) for action, coordinate in kept["acts_on"]),
            tuple(kept["declared"]),
            tuple(kept["looks_ahead"]),
        )

    def describe(self) -> str:
        """Lines for people."""
        if not self.pairs:
            return "no column is the derivative of another"
        lines = [f"{', '.join(self._derivatives())}; angles: {self._angles()}", self._drives()]
        lines += [f"{name} looks ahead: it is computed from readings that come later" for name in self.looks_ahead]
        return "\n".join(lines)

    def _derivatives(self) -> Iterator[str]:
        for i, pair in enumerate(self.pairs):
            how = "declared" if pair.fit is None else f"R2 {pair.fit:.2f}"
            yield f"{pair.derivative} {'of' if i else 'is the derivative of'} {pair.coordinate} ({how})"

    def _angles(self) -> str:
        how = "declared" if "angles" in self.declared else "rad"
        return f"{', '.join(self.angles)} ({how})" if self.angles else "none"

    def _drives(self) -> str:
        if not self.acts_on:
            return "any action may drive any coordinate"
        how = "declared" if "acts_on" in self.declared else "names"
        first, *rest = self.acts_on
        return ", ".join([f"{first[0]} drives {first[1]}", *(f"{a} {c}" for a, c in rest)]) + f" ({how})"


def columns_of(layout: TickLayout) -> dict[str, Column]:
    """The columns, by name, that coordinates and derivatives may be."""
    found = {}
    for spec in layout.of_kind("sensor"):
        turning = codec(spec).turning
        turned = {feature for pair in turning.pairs for feature in pair}
        start = layout.reading_columns[spec.name].start
        for label, unit, wraps, at in _columns(spec):
            if at not in turned:
                name = f"{spec.name}.{label}"
                found[name] = Column(name, spec.name, label, unit, start + at, wraps)
    return found


def actions_of(layout: TickLayout) -> dict[str, int]:
    """By name (`stream.column`), where each action's first feature is among the A actions."""
    return {
        f"{spec.name}.{label}": layout.action_columns[spec.name].start + at
        for spec in layout.actions
        for label, _, _, at in _columns(spec)
    }


def find_structure(examples: Examples, lens: Lens, declared: Mapping[str, Any] | None = None) -> Structure:
    """Finds out of windows what belongs together.

    A column is the derivative of another whose increments over some ticks are its integral, with a slope of 1.
    A coordinate is an angle if it wraps or is in rad. Actions that are as many as the coordinates, each called like
    one, drive those.

    Args:
        examples: windows to look at.
        lens: theirs.
        declared: what is not to be looked for, each by stream or by `stream.column`: `derivative`, from derivatives
            to what they are of; `angles`, a list; `acts_on`, from actions to coordinates, empty if any may drive any.

    Raises:
        WorldModelError: if what is declared does not exist.
    """
    declared = declared or {}
    columns, actions = columns_of(lens.layout), actions_of(lens.layout)
    _check_keys(declared)
    if "derivative" in declared:
        pairs = tuple(Pair(q, v) for v, q in _matched(declared["derivative"], columns, columns))
    else:
        pairs = tuple(_find_pairs(examples, lens, list(columns.values())))
    of = {pair.coordinate: columns[pair.coordinate] for pair in pairs}
    if "angles" in declared:
        angles = tuple(name for given in declared["angles"] for name in _named(given, columns) if name in of)
    else:
        angles = tuple(name for name, column in of.items() if column.circular or column.unit == "rad")
    if "acts_on" in declared:
        acts_on = tuple(_matched(declared["acts_on"], actions, of))
    else:
        acts_on = _drives(list(actions), list(of.values()))
    return Structure(pairs, angles, acts_on, tuple(declared), tuple(_looking_ahead(examples, lens, pairs)))


def _columns(spec: StreamSpec) -> Iterator[tuple[str, str, bool, int]]:
    """Label, unit, whether it wraps, and first feature of each column of a stream."""
    features = codec(spec).physical_mask(np.arange(codec(spec).features))
    for label, unit, wraps, at in zip(spec.columns, spec.units, spec.circular, features, strict=True):
        yield label, unit, wraps, int(at)


def _drives(actions: Sequence[str], coordinates: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """Actions that are called like the coordinates, one each; otherwise nothing."""
    by_label = {column.label: column.name for column in coordinates}
    labels = [name.split(".", 1)[1] for name in actions]
    if len(by_label) < len(coordinates) or sorted(labels) != sorted(by_label):
        return ()
    return tuple((name, by_label[label]) for name, label in zip(actions, labels, strict=True))


# ---- what is declared


def _check_keys(declared: Mapping[str, Any]) -> None:
    known = ("derivative", "angles", "acts_on")
    if unknown := [key for key in declared if key not in known]:
        raise WorldModelError(
            f"A structure has no {', '.join(map(repr, unknown))}.", expected=", ".join(known), found=", ".join(declared)
        )


def _named(name: str, there: Mapping[str, Any]) -> list[str]:
    """All columns of a stream, or the one, that is called so."""
    found = [full for full in there if name in (full, full.split(".", 1)[0])]
    if not found:
        raise WorldModelError(
            f"The structure names {name!r}, which cannot be meant.",
            expected="a stream or `stream.column`: " + (", ".join(there) or "none, for there is none"),
            found=repr(name),
        )
    return found


def _matched(given: Mapping[str, str], of: Mapping[str, Any], to: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each column of one side with its own of the other, in their order."""
    for name, other in given.items():
        left, right = _named(name, of), _named(other, to)
        if len(left) != len(right):
            raise WorldModelError(
                f"The structure matches {name!r} with {other!r}.",
                expected="as many columns in one as in the other",
                found=f"{len(left)} and {len(right)}",
            )
        yield from zip(left, right, strict=True)


# ---- what is found


def _find_pairs(examples: Examples, lens: Lens, columns: Sequence[Column]) -> list[Pair]:
    """The best fits first, each column in one pair at most; a derivative is no coordinate of another pair."""
    if len(columns) < 2:
        return []
    fit, slope = _fits(_series(examples, lens, columns), lens.layout.dt)
    good = (fit > _LEAST_FIT) & (abs(slope - 1) < _SLOPE)
    good[good.any(0)] = False  # the derivative of a derivative is left to the first
    pairs, free = [], np.ones(len(columns), bool)
    for i, j in sorted(zip(*np.nonzero(good), strict=True), key=lambda at: -fit[at]):
        if free[i] and free[j]:
            pairs.append((i, j))
            free[[i, j]] = False
    return [Pair(columns[i].name, columns[j].name, round(float(fit[i, j]), 4)) for i, j in sorted(pairs)]


def _series(examples: Examples, lens: Lens, columns: Sequence[Column]) -> Float[np.ndarray, "B T K"]:
    """Columns over contexts and what came, in units, each reading held until the next, angles unwrapped."""
    chosen = np.unique(np.linspace(0, len(examples.came) - 1, _WINDOWS).astype(int))
    readings, mask = (
        np.concatenate([part[chosen], ahead[chosen]], 1)
        for part, ahead in ((examples.view.readings, examples.came), (examples.view.mask, examples.mask))
    )
    held = lens.units(hold(readings, mask)[0])
    return np.stack([_physical(held, column) for column in columns], -1)


def _physical(features: Float[np.ndarray, "B T Y"], column: Column) -> Float[np.ndarray, "B T"]:
    if not column.circular:
        return features[..., column.at]
    return np.unwrap(np.arctan2(features[..., column.at], features[..., column.at + 1]), axis=1)


def _fits(series: Float[np.ndarray, "B T K"], dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each column's increments, as another's integrals: R2 [K, K] with a slope of 1, and the best slope [K, K].

    Both for the span that fits best; slopes are 0 where a column does not move.
    """
    middle = (series[:, 1:] + series[:, :-1]) / 2
    integral = np.concatenate([np.zeros_like(series[:, :1]), np.cumsum(middle, 1)], 1) * dt
    least = _STILL * series.std((0, 1))
    fits, slopes = [], []
    for span in (span for span in _SPANS if span < series.shape[1]):
        moved, passed = ((x[:, span:] - x[:, :-span]).reshape(-1, x.shape[-1]) for x in (series, integral))
        both, own, other = moved.T @ passed, (moved**2).sum(0), (passed**2).sum(0)
        moves = (np.sqrt(own / len(moved)) > least)[:, None] & (other > 0)
        off = own[:, None] - 2 * both + other
        fits.append(np.where(moves, 1 - off / np.maximum(own, 1e-300)[:, None], -np.inf))
        slopes.append(np.where(moves, both / np.maximum(other, 1e-300), 0.0))
    best = np.argmax(fits, 0)[None]
    return np.take_along_axis(np.array(fits), best, 0)[0], np.take_along_axis(np.array(slopes), best, 0)[0]


def _looking_ahead(examples: Examples, lens: Lens, pairs: Sequence[Pair]) -> Iterator[str]:
    """Derivatives that are nearer to a sum of readings on both sides than the noise of those readings allows.

    A derivative that was measured has noise of its own. So a weighted sum of noisy readings misses it by at least
    that sum's noise; what misses by less was computed from them, and if the past alone misses by more, from the future.
    """
    columns = columns_of(lens.layout)
    for pair in pairs:
        q, v = np.moveaxis(_series(examples, lens, [columns[pair.coordinate], columns[pair.derivative]]), -1, 0)
        if q.shape[1] <= 2 * _TAPS or not (noise := _noise(q)):
            continue
        near = np.lib.stride_tricks.sliding_window_view(q, 2 * _TAPS + 1, axis=1)
        near, target = (near - near[..., _TAPS, None]).reshape(-1, 2 * _TAPS + 1), v[:, _TAPS:-_TAPS].ravel()
        both, past = (_missed(near[:, part], target) for part in (slice(None), slice(_TAPS + 1)))
        if both[0] < noise * both[1] / 2 and both[0] < past[0] / 2:
            yield pair.derivative


def _noise(series: Float[np.ndarray, "B T"]) -> float:
    """Standard deviation of white noise in smooth series; 0 where high differences show none."""
    lower, upper = (
        float(np.sqrt((np.diff(series, order, axis=1) ** 2).mean() / math.comb(2 * order, order)))
        for order in (2 * _TAPS - 2, 2 * _TAPS)
    )
    return upper if upper > 0.7 * lower else 0.0


def _missed(inputs: Float[np.ndarray, "M F"], target: Float[np.ndarray, " M"]) -> tuple[float, float]:
    """Root mean square that least squares leaves, and the norm of its weights."""
    weights, *_ = np.linalg.lstsq(inputs, target, rcond=1e-10)
    return float(np.sqrt(((target - inputs @ weights) ** 2).mean())), float(np.linalg.norm(weights))

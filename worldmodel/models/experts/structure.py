"""What a machine's columns are to each other: which is the derivative of which, which are angles, what drives what."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.models.experts.columns import Column, actions_of, columns_of
from worldmodel.models.experts.derivatives import Pair, find_moved, find_pairs, looking_ahead

MOST_COORDINATES = 4  # a mass matrix of more has too many terms for a minute of data
_GOALS = ("rad", "deg", "m")  # units of commands that say where to go
_FREE = ("gps", "position", "orientation", "pose")  # what tells where a body is that moves about


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

    @property
    def hidden(self) -> bool:
        """Whether there is a derivative that nobody reads."""
        return any(pair.derivative is None for pair in self.pairs)

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
        pairs = ", ".join([*self._derivatives(), *self._hidden()])
        lines = [f"{pairs}; angles: {self._angles()}", self._drives()]
        lines += [f"{name} looks ahead: it is computed from readings that come later" for name in self.looks_ahead]
        return "\n".join(lines)

    def _derivatives(self) -> Iterator[str]:
        for i, pair in enumerate(pair for pair in self.pairs if pair.derivative is not None):
            how = "declared" if pair.fit is None else f"R2 {pair.fit:.2f}"
            yield f"{pair.derivative} {'of' if i else 'is the derivative of'} {pair.coordinate} ({how})"

    def _hidden(self) -> Iterator[str]:
        how = "declared" if "coordinates" in self.declared else "goes on as it went"
        for i, pair in enumerate(pair for pair in self.pairs if pair.derivative is None):
            begin = "" if i else "no derivative is read, but coordinates are: "
            yield f"{begin}{pair.coordinate} ({how})"

    def _angles(self) -> str:
        how = "declared" if "angles" in self.declared else "rad"
        return f"{', '.join(self.angles)} ({how})" if self.angles else "none"

    def _drives(self) -> str:
        if not self.acts_on:
            return "any action may drive any coordinate, unless [structure] of a recipe says which does"
        how = "declared" if "acts_on" in self.declared else "names"
        first, *rest = self.acts_on
        return ", ".join([f"{first[0]} drives {first[1]}", *(f"{a} {c}" for a, c in rest)]) + f" ({how})"


def find_structure(examples: Examples, lens: Lens, declared: Mapping[str, Any] | None = None) -> Structure:
    """Finds out of windows what belongs together.

    A column is the derivative of another whose increments over some ticks are its integral, with a slope of 1.
    Where none is, coordinates are lengths and angles that go on as they went, whose derivatives nobody reads: of what
    is commanded, but not told where to go, for then a controller moves it, and does not move about freely, if they are
    few, and there is an angle among them, for what only slides needs no equations of Lagrange's.
    A coordinate is an angle if it wraps or is in rad. Actions that are as many as the coordinates, each called like
    one, drive those.

    Args:
        examples: windows to look at.
        lens: theirs.
        declared: what is not to be looked for, each by stream or by `stream.column`: `derivative`, from derivatives
            to what they are of; `coordinates` whose derivatives nobody reads, a list; `angles`, a list; `acts_on`, from
            actions to coordinates, empty if any may drive any.

    Raises:
        WorldModelError: if what is declared does not exist.
    """
    declared = declared or {}
    columns, actions = columns_of(lens.layout), actions_of(lens.layout)
    _check_keys(declared)
    hidden = [name for given in declared.get("coordinates", ()) for name in _named(given, columns)]
    if "derivative" in declared:
        pairs = tuple(Pair(q, v) for v, q in _matched(declared["derivative"], columns, columns))
    else:
        pairs = () if hidden else tuple(find_pairs(examples, lens, list(columns.values())))
    if "coordinates" in declared:
        paired = {name for pair in pairs for name in (pair.coordinate, pair.derivative)}
        pairs += tuple(Pair(name, None) for name in dict.fromkeys(hidden) if name not in paired)
    elif not pairs and _is_forced(lens.layout):
        moved = find_moved(examples, lens, list(columns.values()))
        if len(moved) <= MOST_COORDINATES and any(map(_is_angle, moved)):
            pairs = tuple(Pair(each.name, None) for each in moved)
    of = {pair.coordinate: columns[pair.coordinate] for pair in pairs}
    if "angles" in declared:
        angles = tuple(name for given in declared["angles"] for name in _named(given, columns) if name in of)
    else:
        angles = tuple(name for name, column in of.items() if _is_angle(column))
    if "acts_on" in declared:
        acts_on = tuple(_matched(declared["acts_on"], actions, of))
    else:
        acts_on = _drives(list(actions), list(of.values()))
    return Structure(pairs, angles, acts_on, tuple(declared), tuple(looking_ahead(examples, lens, pairs)))


def _is_forced(layout: TickLayout) -> bool:
    """Whether forces may be what is commanded, of what stands in one place."""
    units = {unit for spec in layout.actions for unit in spec.units}
    return bool(units) and units.isdisjoint(_GOALS) and not any(layout.of_kind(kind) for kind in _FREE)


def _is_angle(column: Column) -> bool:
    return column.circular or column.unit == "rad"


def _drives(actions: Sequence[str], coordinates: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """Actions that are called like the coordinates, one each; otherwise nothing."""
    by_label = {column.label: column.name for column in coordinates}
    labels = [name.split(".", 1)[1] for name in actions]
    if len(by_label) < len(coordinates) or sorted(labels) != sorted(by_label):
        return ()
    return tuple((name, by_label[label]) for name, label in zip(actions, labels, strict=True))


def _check_keys(declared: Mapping[str, Any]) -> None:
    known = {"derivative": Mapping, "coordinates": list, "angles": list, "acts_on": Mapping}
    if unknown := [key for key in declared if key not in known]:
        raise WorldModelError(
            f"A structure has no {', '.join(map(repr, unknown))}.", expected=", ".join(known), found=", ".join(declared)
        )
    for key, given in declared.items():
        if not isinstance(given, known[key]):
            expected = "a list of names" if known[key] is list else "a table, from names to names"
            raise WorldModelError(f"The structure's {key!r} is none.", expected=expected, found=repr(given))


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

"""Whether a stream is the same as another, and how it reads as that one: the one place that decides it."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from worldmodel.errors import LogFormatError
from worldmodel.logs import format as fmt
from worldmodel.types import StreamSpec
from worldmodel.units import SAME, Conversion, conversion

_EXACTLY: tuple[tuple[str, Callable[[StreamSpec], str]], ...] = (
    ("kind", lambda spec: spec.kind),
    ("columns", lambda spec: ", ".join(spec.columns)),
    ("size", lambda spec: "x".join(map(str, spec.size or ()))),
    ("frame", lambda spec: repr(spec.frame)),
)


@dataclasses.dataclass(frozen=True)
class Conformed:
    """A stream that reads as another one: in its units.

    Attributes:
        spec: what it then is. The rate stays its own, and noise is in the new units.
        columns: what turns each column as stored into those units.
    """

    spec: StreamSpec
    columns: tuple[Conversion, ...]

    @classmethod
    def unchanged(cls, spec: StreamSpec) -> "Conformed":
        return cls(spec, (SAME,) * len(spec.columns))

    @classmethod
    def in_units(cls, spec: StreamSpec, units: tuple[str, ...]) -> "Conformed | None":
        """A stream in other units and else as it is; None where one of them does not become the other exactly."""
        found = [conversion(old, new) for old, new in zip(spec.units, units, strict=True)]
        known = tuple(change for change in found if change is not None)
        return cls(_told(spec, known, units=units), known) if len(known) == len(found) else None

    @property
    def changes_nothing(self) -> bool:
        """Whether the numbers are the same: units may be spelt otherwise."""
        return all(math.isclose(scale, 1) and offset == 0 for scale, offset in self.columns)

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """Samples [..., S] as stored, in the new units."""
        if all(column == SAME for column in self.columns):
            return data
        scale, offset = np.transpose(self.columns)
        return (offset + scale * data).astype(fmt.data_type(self.spec))


def conform(expected: StreamSpec, found: StreamSpec, problem: str, remedy: str = "") -> Conformed:
    """How a stream reads as another one.

    Kind, columns, size and frame have to be equal; a frame that is not said equals only another that is not. So has
    `circular`, except where the unit found is none in which a log may say so (degrees). Units may differ where one
    becomes the other exactly. Rates may differ: they are nominal, and every stream keeps its own times.

    Args:
        expected: what it has to be.
        found: what it is.
        problem: the beginning of the error's sentence.
        remedy: what the error tells the user to do.

    Raises:
        LogFormatError: if it is another stream, saying in what.
    """
    name = expected.name

    def refuse(what: str, wanted: str, there: str) -> LogFormatError:
        return LogFormatError(
            f"{problem}: {name!r} does not fit.", expected=f"{what} {wanted}", found=f"{what} {there}", remedy=remedy
        )

    for what, of in _EXACTLY:
        if of(expected) != of(found):
            raise refuse(what, of(expected), of(found))
    columns = []
    for i, column in enumerate(expected.columns):
        old, new = found.units[i], expected.units[i]
        wraps, wrapped = expected.circular[i], found.circular[i]
        change = conversion(old, new)
        if change is None:
            raise refuse("units", f"{column} [{new}]", f"{column} [{old}], which does not convert")
        if wraps != wrapped and (wrapped or old == "rad"):
            raise refuse(f"{column} circular =", str(wraps).lower(), str(wrapped).lower())
        columns.append(change)
    if (expected.units, expected.circular) == (found.units, found.circular):
        return Conformed.unchanged(found)
    spec = _told(found, columns, units=expected.units, circular=expected.circular)
    return Conformed(spec, tuple(columns))


def _told(spec: StreamSpec, columns: Sequence[Conversion], **otherwise: Any) -> StreamSpec:
    """A stream that is told otherwise, its noise in the units that its columns are turned into."""
    noise = tuple(abs(change.scale) * std for change, std in zip(columns, spec.noise_std, strict=True))
    return dataclasses.replace(spec, noise_std=noise, **otherwise)


def conform_all(
    expected: Iterable[StreamSpec], found: Mapping[str, StreamSpec], problem: str, remedy: str = ""
) -> dict[str, Conformed]:
    """How every one of `found` reads, by name: as the one of its name in `expected`, and as it is without such a one.

    Raises:
        LogFormatError: if one is another stream than expected, or one is missing.
    """
    read = {name: Conformed.unchanged(spec) for name, spec in found.items()}
    for spec in expected:
        if spec.name not in found:
            raise LogFormatError(
                f"{problem}: {spec.name!r} is missing.",
                expected=f"{spec.kind} with columns {', '.join(spec.columns)}",
                found=", ".join(found),
                remedy=remedy,
            )
        read[spec.name] = conform(spec, found[spec.name], problem, remedy)
    return read

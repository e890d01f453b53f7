"""Units as logs spell them, and what turns one into another exactly.

The units below are all that the toolkit knows. They differ from the usual tables where those would guess: an angle is
a dimension of its own, so that rad/s is neither 1/s nor Hz; `g` is the standard gravity, as accelerometers mean it; a
bare number, `%` and `dB` have no unit at all and become nothing else.
"""

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pint

_DEFINITIONS = """
giga- = 1e9 = G-
mega- = 1e6 = M-
kilo- = 1e3 = k-
hecto- = 1e2 = h-
centi- = 1e-2 = c-
milli- = 1e-3 = m-
micro- = 1e-6 = µ- = μ- = u-
nano- = 1e-9 = n-
meter = [length] = m = metre
second = [time] = s = sec
kilogram = [mass] = kg
ampere = [current] = A = amp
kelvin = [temperature]; offset: 0 = K
radian = [angle] = rad
degree = 0.017453292519943295 * radian = deg = °
revolution = 6.283185307179586 * radian = rev = turn
minute = 60 * second = min
hour = 3600 * second = h = hr
gram = 1e-3 * kilogram
inch = 0.0254 * meter = in
foot = 0.3048 * meter = ft = feet
mile = 1609.344 * meter = mi
nautical_mile = 1852 * meter = nmi
knot = 1852 * meter / hour = kn = kt = kts
mph = mile / hour
kph = 1000 * meter / hour
dps = degree / second
rpm = revolution / minute = RPM
hertz = 1 / second = Hz
gravity = 9.80665 * meter / second ** 2 = g = g_0
newton = kilogram * meter / second ** 2 = N
newton_meter = newton * meter = Nm
pascal = newton / meter ** 2 = Pa
bar = 1e5 * pascal
psi = 6894.757293168361 * pascal
watt = newton * meter / second = W
joule = watt * second = J
volt = watt / ampere = V
tesla = volt * second / meter ** 2 = T
gauss = 1e-4 * tesla = G = Gauss
celsius = kelvin; offset: 273.15 = degC = degreeC = C
fahrenheit = 5 / 9 * kelvin; offset: 233.15 + 200 / 9 = degF = degreeF
"""
_FACTOR = r"[A-Za-zµμ°_]+(?:(?:\^|\*\*)-?[1-9]|[²³])?"
_SPELLING = re.compile(rf"(?:1/)?{_FACTOR}(?:[*/· ]{_FACTOR})*")  # and no numbers that a parser would work out
_LONGEST = 40


class Conversion(NamedTuple):
    """A value in the new unit is `offset + scale * value`."""

    scale: float
    offset: float


SAME = Conversion(1.0, 0.0)


@functools.cache
def conversion(from_unit: str, to_unit: str) -> Conversion | None:
    """What turns values in one unit into the other, None where nothing exact does or a unit is not known.

    Units that are spelt alike are the same, known or not.
    """
    if from_unit == to_unit:
        return SAME
    if not (_readable(from_unit) and _readable(to_unit)):
        return None
    import pint

    try:
        units = _registry()
        old, new = units.parse_units(from_unit), units.parse_units(to_unit)
        offset = float(units.convert(0.0, old, new))
        lever = 1e6 if offset else 1.0  # so that the digits of the offset do not cost the scale any
        return Conversion((float(units.convert(lever, old, new)) - offset) / lever, offset)
    except (pint.errors.PintError, ValueError):  # the latter of a name such as NaN
        return None


def _readable(unit: str) -> bool:
    return len(unit) <= _LONGEST and _SPELLING.fullmatch(unit) is not None


@functools.cache
def _registry() -> "pint.UnitRegistry":
    import pint  # a third of a second, and only logs that differ in their units need it

    return pint.UnitRegistry(_DEFINITIONS.strip().splitlines())

"""Units as headers spell them, and what turns a column from one into another."""

import functools
import re
from collections.abc import Callable

import numpy as np

from worldmodel.units import conversion

HEADER = "header"  # in place of a unit: the one that the table says itself
DDMM = "ddmm.mmmm"  # degrees and minutes as NMEA writes them: 100 * degrees + minutes
_SPELT = {
    "m/s²": "m/s^2", "m/s2": "m/s^2", "m/ss": "m/s^2", "m/s/s": "m/s^2", "mps2": "m/s^2", "ms2": "m/s^2",
    "meters/second": "m/s", "meter/second": "m/s", "mps": "m/s", "ms": "ms", "m.s-1": "m/s", "m/sec": "m/s",
    "m/(s^2)": "m/s^2", "ms^-2": "m/s^2", "ms^-1": "m/s", "rads^-1": "rad/s",
    "kmh": "km/h", "kph": "km/h", "kmph": "km/h", "km/hr": "km/h", "miles/h": "mph", "mi/h": "mph",
    "kts": "kn", "kt": "kn", "knots": "kn", "knot": "kn",
    "°": "deg", "º": "deg", "degree": "deg", "degrees": "deg", "degs": "deg",
    "°/s": "deg/s", "deg/sec": "deg/s", "dps": "deg/s", "degps": "deg/s", "degrees/s": "deg/s",
    "rads": "rad/s", "radps": "rad/s",
    "radians": "rad", "radian": "rad", "rad/sec": "rad/s",
    "meter": "m", "meters": "m", "metre": "m", "metres": "m", "feet": "ft", "foot": "ft", "miles": "mi",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "millisecond": "ms", "milliseconds": "ms",
    "msec": "ms", "µs": "us", "μs": "us", "usec": "us", "microseconds": "us", "nanoseconds": "ns", "nsec": "ns",
    "v": "V", "volt": "V", "volts": "V", "mv": "mV", "a": "A", "amp": "A", "amps": "A", "ma": "mA", "w": "W",
    "watt": "W", "watts": "W",
    "°c": "degC", "ºc": "degC", "c": "degC", "degc": "degC", "celsius": "degC",
    "°f": "degF", "f": "degF", "degf": "degF", "k": "K",
    "mG": "mgauss", "µt": "uT", "μt": "uT", "ut": "uT", "gauss": "gauss",
    "hpa": "hPa", "mbar": "hPa", "kpa": "kPa", "pa": "Pa",
    "bar": "bar", "psi": "psi", "nm": "N*m", "n·m": "N*m", "n*m": "N*m", "n": "N", "rpm": "rpm", "hz": "Hz",
    "g": "g", "gs": "g", "mg": "mg", "%": "%", "percent": "%", "pct": "%",
    "-": "",  # none
}  # fmt: skip
SI = ("m/s^2", "rad/s", "rad", "m/s", "m", "K", "V", "A", "W", "T", "Pa", "N*m", "N", "Hz", "s", "kg")
_BRACKETS = re.compile(r"^(?P<name>.*?)\s*[(\[{](?P<unit>[^()\[\]{}]*)[)\]}]\s*$")
_INDEX = re.compile(r"(?:[A-Z]?\d+)?")  # in brackets, and no unit: `q[0]`, `position (J1)`
_PLACE = re.compile(r"#\d+$")  # of one of several columns of a name
_SLASH = re.compile(r"^(?P<name>.+?)\s+/\s*(?P<unit>\S+)$")  # Zeit t / s
# What a name ends in, the longest first; one letter alone says too little.
_ENDINGS = (
    ("_mm_s2", "mm/s^2"), ("_cm_s2", "cm/s^2"), ("_mm_s", "mm/s"), ("_cm_s", "cm/s"), ("_ft_s", "ft/s"),
    ("_rev_s", "rev/s"), ("_in_s", "in/s"), ("_deg_min", "deg/min"), ("_knm", "kN*m"), ("_nmi", "nmi"), ("_mpa", "MPa"),
    ("_kg", "kg"),
    ("_m_s2", "m/s^2"), ("_mps2", "m/s^2"), ("_ms2", "m/s^2"), ("_m_s", "m/s"), ("_mps", "m/s"), ("_kmh", "km/h"),
    ("_km_h", "km/h"), ("_kph", "km/h"), ("_mph", "mph"), ("_rad_s", "rad/s"), ("_radps", "rad/s"), ("_rads", "rad/s"),
    ("_deg_s", "deg/s"), ("_degps", "deg/s"), ("_dps", "deg/s"), ("_degs", "deg/s"), ("_rad", "rad"), ("_deg", "deg"),
    ("_ft", "ft"),
    ("_km", "km"), ("_cm", "cm"), ("_mm", "mm"), ("_ms", "ms"), ("_us", "us"), ("_µs", "us"), ("_μs", "us"),
    ("_ns", "ns"), ("_sec", "s"),
    ("_mv", "mV"), ("_ma", "mA"), ("_ut", "uT"), ("_hpa", "hPa"), ("_kpa", "kPa"), ("_rpm", "rpm"), ("_hz", "Hz"),
    ("_nm", "N*m"), ("_pct", "%"), ("_percent", "%"), ("_m", "m"), ("_s", "s"), ("_g", "g"), ("_v", "V"), ("_a", "A"),
    ("_knots", "kn"), ("_kts", "kn"), ("_kn", "kn"),
    ("_degc", "degC"), ("_degf", "degF"), ("_celsius", "degC"), ("_mbar", "hPa"), ("_bar", "bar"),
    ("_volts", "V"), ("_amps", "A"), ("_kw", "kW"),
)  # fmt: skip
_WANTED = re.compile(r"(?:^|_)(?:cmd|command|des|desired|goal|ref|set|setpoint|target|twist|u)_[va]$", re.IGNORECASE)
# Endings that mean this unit of what has such a name, and another one, or none, of all else: before those above.
_OF_NAMES = (
    (re.compile(r"(?:^|_)(?:[tT]|(?:[tT]emp|TEMP)[a-zA-Z]*)\d*(?:_.*)?_C$"), "_C", "degC"),  # or its third
    (re.compile(r"(?:^|_)(?:[tT]emp|TEMP)[a-zA-Z]*\d*(?:_.*)?_F$"), "_F", "degF"),
    (re.compile(r"(?:power|leistung)_w$", re.I), "_w", "W"),  # or a quaternion's first
    (re.compile(  # or an angle, beside phi and theta
        r"(?:^|_)(?:p|press[a-z]*|oil|fuel|water|coolant|air|gas|hyd[a-z]*|brake|boost|tires?|tyres?|tank|line|rail|pump|manifold"
        r"|supply|inlet|outlet|suction|discharge)\d*(?:_.*)?_psi$", re.I), "_psi", "psi"),
    (re.compile(r"_kN$|(?i:force|tension|thrust|load|effort|pull|kraft)\w*_kn$"), "_kn", "kN"),  # or knots
    (re.compile(  # or milliseconds
        r"(?:speed|velocity|(?:^|_)(?:vel|wind|gusts?|v))(?:_?(?:[xyz]|avg|mean|min|max))?_ms$", re.I), "_ms", "m/s"),
    (re.compile(r"(?:mass|weight|payload)_g$", re.I), "_g", "gram"),  # or standard gravities
    (re.compile(r"(?:dist(?:ance)?|range|(?:^|_)(?:trip|log|xte))_nm$", re.I), "_nm", "nmi"),  # or newton metres
)  # fmt: skip


def spelt(unit: str) -> str:
    """A unit as logs spell it; as it is where it is no known one."""
    plain = re.sub(r"\s+", "", unit.strip()).replace("**", "^")
    known = _SPELT.get(plain, _SPELT.get(plain.lower(), plain))
    return known if is_unit(known) or not is_unit(plain.lower()) else plain.lower()


@functools.lru_cache(4096)
def split(name: str) -> tuple[str, str]:
    """A column's name without its unit, and the unit as logs spell it; empty where the name has none."""
    if (place := _PLACE.search(name)) and (told := split(name[: place.start()]))[1]:
        return told[0] + place[0], told[1]
    for pattern in (_BRACKETS, _SLASH):
        if (match := pattern.match(name.strip())) and match["name"]:
            unit = spelt(match["unit"])
            index = pattern is _BRACKETS and _INDEX.fullmatch(match["unit"].strip())
            return (name.strip(), "") if index else (match["name"], unit)
    if _WANTED.search(name):  # a velocity or an acceleration, and neither volts nor amperes
        return name.strip(), ""
    for known, ending, unit in _OF_NAMES:
        if known.search(name):
            return name[: -len(ending)], unit
    for ending, unit in _ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)], unit
    return name.strip(), ""


def is_unit(unit: str) -> bool:
    """Whether a unit is one that is known."""
    return bool(unit) and (unit in _SPELT.values() or any(conversion(unit, new) is not None for new in SI))


def si(unit: str) -> str:
    """The SI unit that one becomes exactly; the unit itself where there is none."""
    return next((new for new in SI if unit != new and conversion(unit, new) is not None), unit)


def change(old: str, new: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """What turns values in one unit into another; None where nothing exact does.

    A number before the unit multiplies it: `1e-7 deg`. `ddmm.mmmm` is degrees and minutes.
    """
    if old == DDMM:
        return _from_minutes if new == "deg" else None
    factor, _, unit = old.partition(" ")
    try:
        scale = float(factor)
    except ValueError:
        scale, unit = 1.0, old
    exact = conversion(spelt(unit), new)
    if exact is None:
        return None
    return lambda values: exact.offset + exact.scale * scale * values


def _from_minutes(values: np.ndarray) -> np.ndarray:
    size = np.abs(values)
    degrees = np.floor(size / 100)
    return np.sign(values) * (degrees + (size - 100 * degrees) / 60)

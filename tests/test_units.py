"""Units: what converts does so exactly, and what only looks alike does not."""

import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from worldmodel.units import SAME, conversion

HAND = [  # value, unit, the same in another unit; by hand or by the definition of the unit
    (180.0, "deg", np.pi, "rad"),
    (90.0, "deg/s", np.pi / 2, "rad/s"),
    (90.0, "dps", np.pi / 2, "rad/s"),
    (-2.0, "°/s", -np.pi / 90, "rad*s^-1"),
    (1.0, "g", 9.80665, "m/s^2"),
    (1000.0, "mg", 9.80665, "m/s/s"),
    (9.80665, "m/s²", 1.0, "g"),
    (3.0, "m/s**2", 3.0, "m s^-2"),
    (36.0, "km/h", 10.0, "m/s"),
    (36.0, "kph", 10.0, "m/s"),
    (1.0, "kn", 1852 / 3600, "m/s"),
    (1.0, "knot", 1.852, "km/h"),
    (1.0, "mph", 0.44704, "m/s"),
    (1000.0, "ft", 304.8, "m"),
    (12.0, "in", 1.0, "ft"),
    (0.0, "degC", 273.15, "K"),
    (100.0, "°C", 212.0, "degF"),
    (-40.0, "degF", -40.0, "C"),
    (300.0, "K", 26.85, "degC"),
    (9.0, "degF/s", 5.0, "K/s"),
    (250.0, "ms", 0.25, "s"),
    (60.0, "rpm", 2 * np.pi, "rad/s"),
    (1.0, "rev/s", 360.0, "deg/s"),
    (50.0, "uT", 50e-6, "T"),
    (50.0, "µT", 0.5, "gauss"),  # micro sign
    (50.0, "μT", 500.0, "mG"),  # Greek mu
    (1013.25, "hPa", 101325.0, "Pa"),
    (1.0, "psi", 6894.757293168361, "Pa"),
    (1.0, "bar", 1000.0, "hPa"),
    (11800.0, "mV", 11.8, "V"),
    (3.0, "Nm", 3.0, "N*m"),
    (3.0, "N·m", 300.0, "N*cm"),
    (2.0, "kg", 2000.0, "gram"),
    (5.0, "1/s", 5.0, "Hz"),
    (5.0, "kHz", 5000.0, "s^-1"),
]


@pytest.mark.parametrize(("value", "unit", "expected", "other"), HAND)
def test_by_hand_both_ways(value, unit, expected, other):
    for x, y, change in ((value, expected, conversion(unit, other)), (expected, value, conversion(other, unit))):
        assert change.offset + change.scale * x == pytest.approx(y, rel=1e-13, abs=1e-12)


@pytest.mark.parametrize("unit", ["", "m/s^2", "%", "counts", "furlong/fortnight", "bananas^-9^9"])
def test_a_unit_is_itself_known_or_not(unit):
    assert conversion(unit, unit) == SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", "rad"),
        ("", "%"),
        ("", "deg"),
        ("rad", "m/m"),
        ("rad/s", "Hz"),
        ("rpm", "Hz"),
        ("rad/s", "1/s"),
        ("rad/s", "rad"),
        ("g", "kg"),
        ("N*m", "N"),
        ("degC", "m"),
        ("%", "percent"),
        ("counts", "V"),
        ("dBm", "mW"),
        ("fps", "m/s"),
        ("m/s^2", "m/s"),
        ("2*m", "m"),
        ("m*9^9^9^9", "m"),
        ("m)", "m"),
        ("__import__('os')", "m"),
        ("m" * 99, "m"),
        ("m" + "*m" * 999, "m"),
        ("degC*m", "K*m^2"),
        ("degC^2", "K"),
    ],
)
def test_what_is_not_the_same_quantity_does_not_convert(one, other):
    assert conversion(one, other) is None
    assert conversion(other, one) is None


KINDS = [
    ["m", "km", "ft", "in", "mi"],
    ["rad", "deg", "rev", "mrad"],
    ["m/s^2", "g", "mg", "ft/s^2"],
    ["m/s", "km/h", "kn", "mph", "ft/s"],
    ["K", "degC", "degF"],
    ["T", "uT", "gauss", "mG"],
    ["Pa", "hPa", "bar", "psi"],
]


@hypothesis.given(
    st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(*[st.sampled_from(kind)] * 3)), st.floats(-1e6, 1e6)
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_two_steps_are_one(units, value):
    a, b, c = units
    by_way, at_once, back = conversion(a, b), conversion(a, c), conversion(c, a)
    second = conversion(b, c)
    x = at_once.offset + at_once.scale * value
    assert second.offset + second.scale * (by_way.offset + by_way.scale * value) == pytest.approx(x, rel=1e-9, abs=1e-6)
    assert back.offset + back.scale * x == pytest.approx(value, rel=1e-9, abs=1e-6)


@hypothesis.given(st.text(st.sampled_from("mskgradeNTPaCF°µ²^*/·-1 ()._"), max_size=60))
@hypothesis.settings(max_examples=200, deadline=None)
def test_no_spelling_is_an_error(unit):
    change = conversion(unit, "rad/s")
    assert change is None or np.isfinite(change).all()


def test_nothing_is_loaded_for_units_that_agree():
    script = "import sys; from worldmodel.units import conversion; conversion('m', 'm'); print('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"

"""Geodesy against the formulas of the WGS-84 ellipsoid written out, published lengths, and round trips."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodel.geo import enu_to_geodetic, geodetic_to_enu

A_M, FLATTENING = 6378137.0, 1 / 298.257223563
E2 = FLATTENING * (2 - FLATTENING)
latitudes, longitudes, altitudes = st.floats(-89, 89), st.floats(-180, 180), st.floats(-400, 9000)
origins = st.tuples(latitudes, longitudes, altitudes)
metres = st.floats(-20_000, 20_000)


def earth_centred(latitude, longitude, altitude):
    phi, lam = np.radians(latitude), np.radians(longitude)
    normal = A_M / np.sqrt(1 - E2 * np.sin(phi) ** 2)
    around = (normal + altitude) * np.cos(phi)
    return np.array([around * np.cos(lam), around * np.sin(lam), (normal * (1 - E2) + altitude) * np.sin(phi)])


def local(point, origin):
    phi, lam = np.radians(origin[0]), np.radians(origin[1])
    east = np.array([-np.sin(lam), np.cos(lam), 0])
    up = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    away = earth_centred(*point) - earth_centred(*origin)
    return np.array([east @ away, np.cross(up, east) @ away, up @ away])


@given(origins, st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-500, 500)))
def test_east_north_up_is_the_difference_of_earth_centred_positions(origin, step):
    point = np.array(origin) + step
    np.testing.assert_allclose(geodetic_to_enu(point[None], np.array(origin))[0], local(point, origin), atol=1e-5)


@given(origins, st.tuples(metres, metres, st.floats(-500, 500)))
def test_there_and_back_is_within_a_tenth_of_a_millimetre(origin, enu):
    fixes = enu_to_geodetic(np.array([enu]), np.array(origin))
    np.testing.assert_allclose(geodetic_to_enu(fixes, np.array(origin))[0], enu, atol=1e-4)


@pytest.mark.parametrize(("latitude", "kilometres"), [(0.005, 110.574), (45, 111.132), (89.995, 111.694)])
def test_a_degree_of_latitude_has_the_published_length(latitude, kilometres):
    origin = np.array([latitude - 0.005, 11.0, 0.0])
    east, north, _ = geodetic_to_enu(np.array([[latitude + 0.005, 11.0, 0.0]]), origin)[0]
    assert 100 * north / 1000 == pytest.approx(kilometres, abs=1e-3)
    assert east == pytest.approx(0, abs=1e-6)


def test_axes_are_east_north_up_in_this_order():
    origin = np.array([47.0, 8.0, 400.0])
    steps = geodetic_to_enu(origin + np.diag([1e-4, 1e-4, 1.0])[[1, 0, 2]], origin)
    assert (steps.argmax(1) == [0, 1, 2]).all()
    assert steps[2, 2] == pytest.approx(1.0)
    np.testing.assert_allclose(geodetic_to_enu(origin[None], origin), 0, atol=1e-8)
